"""Logs of every cycler as one table, ion content with intervals, states and the lever rule."""

import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.cycling.analysis import analyse_log, tidy_table
from phasefront.cycling.ion_content import FARADAY_MAH_MOL, ion_content
from phasefront.cycling.logs import STEP_TYPES, capacity_difference, read_log
from phasefront.cycling.plateaus import differential_capacity, find_plateaus
from phasefront.cycling.states import locate_state, locate_states
from phasefront.layouts.cycling import CYCLING

MAP = {"time": ("t", "h"), "voltage": ("E", "V"), "current": ("I", "A")}
HALF = 1.959964
NVPF = {"mass_mg": 5.0, "mass_error_mg": 0.0, "formula_mass": 417.79, "initial_content": 3.0}


def write_csv(path, rows, header="t;E;I", separator=";", decimal="."):
    lines = [header]
    lines += [separator.join(repr(v).replace(".", decimal) for v in row) for row in rows]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def make_log(tmp_path):
    """Log of given hours, volts and mA, as read from a file."""

    def make(hours, volts, milliamperes):
        rows = np.column_stack([hours, volts, np.asarray(milliamperes) / 1e3]).tolist()
        return read_log(write_csv(tmp_path / "log.csv", rows), columns=MAP)

    return make


@pytest.fixture
def charge_rest_discharge(make_log):
    """1 h rest, 10 h at 0.05 mA (100 mAh/g of 5 mg), 2 h rest, 5 h at -0.05 mA."""
    hours = [0, 1, 1, 6, 11, 11, 13, 13, 18]
    volts = [3.0, 3.0, 3.2, 3.7, 4.2, 4.15, 4.1, 4.0, 3.5]
    current = [0, 0, 0.05, 0.05, 0.05, 0, 0, -0.05, -0.05]
    return make_log(hours, volts, current)


# --- real files ------------------------------------------------------------------------------

# name: records, last time (s), steps, half cycles, cycles, first charge (mAh), agreement with
# counter, number of records at rest, on charge, on discharge and at constant voltage
REAL = {
    "lfp_half_cell_c10.mpr": (11399, 269881.24, 21, 10, 5, 0.5448, 5e-4, (1031, 5887, 4481, 0)),
    # EC-Lab counts its half cycles 0, 2, 3, 4 ...
    "naxcoo2_c24.mpr": (46102, 456309.59, 14, 13, 6, 0.9865, 5e-4, (361, 23576, 22165, 0)),
    # Its currents are means over the intervals.
    "eclab_gcpl.mpt": (132, 659.99, 12, 8, 4, 8.33e-5, 1e-9, (44, 44, 44, 0)),
    # Two steps at constant current, then constant voltage, that the instrument has as one each.
    "neware.ndax": (1464, 43800.0, 6, 2, 1, 0.5928, 2e-3, (22, 441, 579, 422)),
    "neware.nda": (439, 721.6, 6, 3, 1, 6.9e-4, 0.01, (286, 51, 102, 0)),
    # The converter that wrote it divided the current by 1000.
    "arbin_example.bdf.csv": (2150, 345733.39, 17, 8, 4, 4.835e-4, 1e-4, (769, 669, 712, 0)),
    "arbin.res": (2150, 345733.39, 17, 8, 4, 0.4835, 1e-4, (769, 669, 712, 0)),
}


@pytest.mark.parametrize("name", REAL)
def test_real_logs(shared_data, name):
    path = shared_data(f"cycling/{name}")
    log = read_log(path)
    records, end, steps, half_cycles, cycles, first_charge, agreement, types = REAL[name]
    assert len(log) == records
    assert log["time_s"].iloc[-1] == pytest.approx(end, abs=0.01)
    assert (log["time_s"].diff().dropna() >= 0).all()
    assert log["step"].max() + 1 == steps
    assert log["half_cycle"].max() + 1 == half_cycles
    assert log["cycle"].max() + 1 == cycles
    assert tuple(log["step_type"].value_counts().reindex(STEP_TYPES, fill_value=0)) == types
    # The converted counter begins with the second record of each step.
    said = " ".join(log.attrs["warnings"])
    assert said.startswith("The counter misses the first interval of 8 steps") == ("bdf" in name)
    assert bool(said) == ("bdf" in name)
    passed = log.groupby("half_cycle")["capacity_mAh"].last().diff()
    passed.iloc[0] = log.loc[log["half_cycle"] == 0, "capacity_mAh"].iloc[-1]
    assert passed[passed > 0].iloc[0] == pytest.approx(first_charge, rel=1e-2)
    assert (np.sign(passed.to_numpy()[1:]) == -np.sign(passed.to_numpy()[:-1])).all()
    assert capacity_difference(log) < agreement
    assert log.attrs["source"] == str(path)


def test_real_gamry_charge(shared_data):
    log = read_log(shared_data("cycling/gamry_charge.DTA"))
    assert len(log) == 66
    assert log["current_mA"].mean() == pytest.approx(20.006, abs=0.001)
    assert log["capacity_mAh"].iloc[-1] == pytest.approx(20.006 * (6.56833 - 0.1) / 3600, rel=1e-4)
    assert np.isnan(capacity_difference(log))


def test_lithium_iron_phosphate_charges_159_mAh_g_around_3_4_V(shared_data):
    log = read_log(shared_data("cycling/lfp_half_cell_c10.mpr"))
    under_current = log[log["current_mA"] != 0]
    capacity, plateau = {}, {}
    for number, part in under_current.groupby("half_cycle"):
        passed = np.abs(part["capacity_mAh"].to_numpy() - part["capacity_mAh"].iloc[0])
        capacity[number] = passed[-1]
        plateau[number] = np.interp(0.5, passed / passed[-1], part["voltage_V"])
    assert capacity[1] == pytest.approx(0.545, abs=0.001)
    assert capacity[1] / 3.42e-3 == pytest.approx(159, abs=0.5)
    # Polarisation lifts the first charge by 0.1 V; it evens out in the last cycle.
    assert plateau[1] == pytest.approx(3.53, abs=0.02)
    assert (plateau[8] + plateau[9]) / 2 == pytest.approx(3.42, abs=0.02)
    content = ion_content(
        log, mass_mg=3.42, mass_error_mg=0.03, formula_mass=157.76, initial_content=1.0
    )
    assert content["ion_content"].min() == pytest.approx(1 - 156.8 / 169.9, abs=0.005)


def test_lithium_iron_phosphate_has_one_plateau(shared_data):
    """Near 3.43 V: above it on charge and below it on discharge, by the polarisation."""
    log = read_log(shared_data("cycling/lfp_half_cell_c10.mpr"))
    plateaus = find_plateaus(log, mass_mg=3.42).set_index("half_cycle")
    assert plateaus.index.tolist() == list(range(1, 10))
    charge, discharge = plateaus.loc[[1, 3, 5, 7, 9]], plateaus.loc[[2, 4, 6, 8]]
    assert charge["voltage"].iloc[0] == pytest.approx(3.52, abs=0.01)
    assert charge["voltage"].iloc[1:].to_numpy() == pytest.approx(3.494, abs=0.003)
    assert discharge["voltage"].to_numpy() == pytest.approx(3.352, abs=0.003)
    assert (charge["voltage"].mean() + discharge["voltage"].mean()) / 2 == pytest.approx(
        3.43, abs=0.01
    )
    # Most of the 159 mA h/g of the first charge.
    assert charge["capacity_from"].iloc[0] < 5
    assert 130 < charge["capacity_to"].iloc[0] < 140


def test_sodium_cobalt_oxide_repeats_its_plateaus(shared_data):
    """Eleven on charge, at the same voltages to 10 mV in every cycle after the first."""
    log = read_log(shared_data("cycling/naxcoo2_c24.mpr"))
    plateaus = find_plateaus(log, mass_mg=10.0)
    steep = [3.67, 3.275, 2.974, 2.69, 2.624, 2.56, 2.454]
    for half_cycle in (3, 5, 7, 9, 11):
        found = plateaus.loc[plateaus["half_cycle"] == half_cycle, "voltage"].to_numpy()
        assert np.abs(found[:, None] - steep).min(axis=0).max() < 0.01


def test_open_circuit_curve_without_time_is_no_log(shared_data):
    path = shared_data("cycling/nvpf_ocp_chayambuka2022.csv")
    with pytest.raises(InputError, match=r"lacks \['time', 'current'\].*without time is no log"):
        read_log(path, columns={"voltage": ("Positive electrode open-circuit potential [V]", "V")})
    with pytest.raises(InputError, match=r"'Test Time / s'.*are missing; give a column map"):
        read_log(path)


def test_gamry_tables_of_one_file_run_on(shared_data, tmp_path):
    text = shared_data("cycling/gamry_charge.DTA").read_text(encoding="latin-1")
    table = text[text.index("CURVE\t") : text.index("STARTTIMEOFFSET")]
    (tmp_path / "two.DTA").write_text(text + table, encoding="latin-1")
    log = read_log(tmp_path / "two.DTA")
    assert len(log) == 132
    assert log["step"].tolist() == [0] * 66 + [1] * 66
    assert log["time_s"].iloc[66] == pytest.approx(6.56833 + 0.1)
    assert log["capacity_mAh"].iloc[-1] == pytest.approx(
        20.006 * (2 * 6.56833 - 0.1) / 3600, rel=1e-4
    )


# --- the table -------------------------------------------------------------------------------


@given(
    current=st.floats(0.001, 10.0),
    hours=st.lists(st.floats(0.01, 5.0), min_size=2, max_size=20),
    comma=st.booleans(),
    unit=st.sampled_from([("mA", 1.0), ("A", 1e-3), ("uA", 1e3), ("-mA", -1.0)]),
)
@settings(deadline=None, max_examples=40)
def test_constant_current_in_any_notation(tmp_path_factory, current, hours, comma, unit):
    time = np.cumsum(hours)
    rows = [(float(t), 3.7, current * unit[1]) for t in time]
    path = tmp_path_factory.mktemp("log") / "log.txt"
    write_csv(path, rows, decimal="," if comma else ".")
    log = read_log(path, columns={**MAP, "current": ("I", unit[0])})
    expected = current * (time - time[0])
    np.testing.assert_allclose(log["capacity_mAh"], expected, rtol=1e-9, atol=1e-12)
    content = ion_content(log, **NVPF)
    np.testing.assert_allclose(
        content["ion_content"], 3 - expected / 5e-3 / (FARADAY_MAH_MOL / 417.79), rtol=1e-9
    )


@given(order=st.permutations(range(6)))
@settings(deadline=None)
def test_records_out_of_order_are_refused(tmp_path_factory, order):
    rows = [(100.0 + number, 3.7, 1e-3) for number in order]
    path = write_csv(tmp_path_factory.mktemp("log") / "log.csv", rows)
    if list(order) == sorted(order):
        assert len(read_log(path, columns=MAP)) == 6
        return
    first = next(n for n in range(1, 6) if order[n] < order[n - 1])
    with pytest.raises(InputError, match=f"time_s, record {first + 1}: time runs backwards"):
        read_log(path, columns=MAP)


def test_repeated_time_stamps_and_rounding_are_tolerated(make_log):
    log = make_log([0, 1, 1 - 1e-6, 1, 2], [3.7] * 5, [1.0] * 5)
    assert (log["time_s"].diff().dropna() >= 0).all()
    assert log["capacity_mAh"].iloc[-1] == pytest.approx(2.0, rel=1e-5)


def test_rests_belong_to_the_half_cycle_before(charge_rest_discharge):
    assert charge_rest_discharge["half_cycle"].tolist() == [0] * 7 + [1] * 2
    assert charge_rest_discharge["cycle"].tolist() == [0] * 9
    assert charge_rest_discharge["step"].tolist() == [0, 0, 1, 1, 1, 2, 2, 3, 3]
    assert charge_rest_discharge["capacity_mAh"].tolist() == pytest.approx(
        [0, 0, 0, 0.25, 0.5, 0.5, 0.5, 0.5, 0.25]
    )


def test_first_record_of_a_step_speaks_for_the_time_since_the_last(make_log):
    # A logger that writes at the end of an interval: no record at the moment of the switch.
    log = make_log([0, 1, 2, 3, 4, 5], [3.7] * 6, [0, 0, 1, 1, -1, -1])
    assert log["capacity_mAh"].tolist() == pytest.approx([0, 0, 1, 2, 1, 0])


@pytest.mark.parametrize(
    ("current", "cycle"),
    [
        ([1, 1, -1, -1, 1, 1, -1, -1], [0, 0, 0, 0, 1, 1, 1, 1]),
        # A short discharge at the beginning, as of a cell that lay about, makes no cycle.
        ([-1, 1, 1, -1, 0, 1, 1, -1], [0, 0, 0, 0, 0, 1, 1, 1]),
        ([0, -1, -1, 0, -1, -1, 0, 0], [0] * 8),
        ([0] * 8, [0] * 8),
    ],
)
def test_cycles_are_charges_with_the_discharge_after(make_log, current, cycle):
    assert make_log(range(8), [3.7] * 8, current)["cycle"].tolist() == cycle


def test_formation_at_a_hundredth_of_the_current_is_no_rest(make_log):
    current = [0.02, 0.02, -0.02, -0.02, 2, 2, -2, -2]
    log = make_log([0, 50, 50, 90, 90, 90.5, 90.5, 91], [3.7] * 8, current)
    assert log["cycle"].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert log["step_type"].tolist() == ["charge", "charge", "discharge", "discharge"] * 2
    assert log["capacity_mAh"].tolist() == pytest.approx([0, 1, 1, 0.2, 0.2, 1.2, 1.2, 0.2])
    # What is lost on the first charge is lost in the formation.
    lost = ion_content(log, irreversible_mAh_g=6.415, **NVPF)["ion_content"]
    plain = ion_content(log, **NVPF)["ion_content"]
    np.testing.assert_allclose(lost - plain, [0] + [0.1] * 7, atol=1e-5)


def test_clock_that_starts_again_runs_on(make_log):
    log = make_log([0, 1, 2, 3, 0.5, 1.5, 2.5], [3.7] * 7, [1.0, 1, 1, 1, 2, 2, 2])
    assert (log["time_s"] / 3600).tolist() == pytest.approx([0, 1, 2, 3, 3.5, 4.5, 5.5])
    assert log["capacity_mAh"].tolist() == pytest.approx([0, 1, 2, 3, 4, 6, 8])
    assert log["step"].tolist() == [0] * 4 + [1] * 3
    assert log["half_cycle"].tolist() == [0] * 7
    (sentence,) = log.attrs["warnings"]
    assert sentence.startswith("The clock starts again at record 5 (10800 s); ")
    assert analyse_log(log, name="cell", states=[], **NVPF).attrs["warnings"].startswith(sentence)


def test_counter_that_starts_again_with_the_clock(tmp_path):
    rows = [(0, 3.7, 1, 0), (3600, 3.8, 1, 1), (7200, 3.9, 1, 2), (0, 3.9, 1, 0), (3600, 4, 1, 1)]
    (tmp_path / "log.mpt").write_text(mpt(["time/s", "Ewe/V", "I/mA", "(Q-Qo)/mA.h"], rows))
    log = read_log(tmp_path / "log.mpt")
    assert log["instrument_capacity_mAh"].tolist() == [0, 1, 2, 2, 3]
    assert capacity_difference(log) == pytest.approx(0)


def test_counters_that_start_again_with_every_cycle(tmp_path):
    header = f"{BDF_HEADER},Step Count / 1,Charging Capacity / Ah,Discharging Capacity / Ah"
    rows = [
        (0, 3.0, 1, 1, 0, 0), (3600, 4.0, 1, 1, 1, 0), (3600, 4.0, -1, 2, 1, 0),
        (7200, 3.0, -1, 2, 1, 1), (7200, 3.0, 1, 3, 0, 0), (10800, 4.0, 1, 3, 1, 0),
    ]  # fmt: skip
    path = write_csv(tmp_path / "log.csv", rows, header=header, separator=",")
    log = read_log(path)
    assert log["instrument_capacity_mAh"].tolist() == [0, 1e3, 1e3, 0, 0, 1e3]
    assert capacity_difference(log) == pytest.approx(0)


def test_half_cycles_are_counted_where_eclab_skips_numbers(tmp_path):
    names = ["mode", "Ns", "time/s", "Ewe/V", "I/mA", "half cycle"]
    rows = [(3, 0, 0, "3,0", 0, 0), (1, 1, 10, "3,1", "-1,5", 0), (1, 2, 20, "3,2", "1,5", 2)]
    rows += [(3, 2, 30, "3,2", "0,001", 2), (1, 3, 40, "3,1", "-1,5", 4)]
    (tmp_path / "log.mpt").write_text(mpt(names, rows))
    log = read_log(tmp_path / "log.mpt")
    assert log["half_cycle"].tolist() == [0, 0, 1, 1, 2]
    assert log["step"].tolist() == [0, 1, 2, 3, 4]
    assert log["step_type"].tolist() == ["rest", "discharge", "charge", "rest", "discharge"]
    assert log["voltage_V"].tolist() == [3.0, 3.1, 3.2, 3.2, 3.1]
    assert log["current_mA"].tolist() == [0, -1.5, 1.5, 0.001, -1.5]


@pytest.mark.parametrize("sign", [1, -1])
def test_held_voltage_is_found_where_the_instrument_does_not_say(make_log, sign):
    volts = [3.6, 3.8, 4.0, 4.2, 4.2, 4.2005, 4.2, 4.2, 4.1]
    current = np.array([1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2, 0]) * sign
    log = make_log(range(9), volts, current)
    driven = "charge" if sign > 0 else "discharge"
    assert log["step_type"].tolist() == [driven] * 4 + ["constant voltage"] * 4 + ["rest"]
    assert log["half_cycle"].tolist() == [0] * 9


def test_flat_voltage_under_constant_current_is_not_held(make_log):
    log = make_log(range(8), [3.43] * 8, [1, 1.001, 1, 0.999, 1, 1, 1, 1])
    assert set(log["step_type"]) == {"charge"}


def test_column_map_skips_a_preamble_and_takes_steps(tmp_path):
    path = tmp_path / "log.txt"
    path.write_text(
        "made by a cycler\nno header yet\nstep\tt\tE\tI\n5\t0\t3,1\t1\n5\t1\t3,2\t1\n7\t1\t3,3\t1\n"
    )
    columns = {"time": ("t", "min"), "voltage": ("E", "V"), "current": ("I", "mA")}
    log = read_log(path, columns={**columns, "step": ("step", "1")})
    assert log["time_s"].tolist() == [0.0, 60.0, 60.0]
    assert log["voltage_V"].tolist() == [3.1, 3.2, 3.3]
    assert log["step"].tolist() == [0, 0, 1]


def mpt(names, rows, header_lines=3):
    body = ["\t".join(names)] + ["\t".join(map(str, row)) for row in rows]
    lines = ["EC-Lab ASCII FILE", f"Nb header lines : {header_lines}", *body]
    return "\n".join(lines) + "\n"


def test_eclab_without_a_current_column(tmp_path):
    """Galvanostatic: the set current; potentiostatic: slope of the charge; else rest."""
    names = ["mode", "Ns", "time/s", "dq/mA.h", "control/V/mA", "Ewe/V"]
    rows = [
        (3, 0, 0, 0, 0.5, 3.0),
        (1, 1, 0, 0, 0.5, 3.6),
        (1, 1, 3600, 0.5, 0.5, 4.2),
        (2, 2, 3600, 0, 4.2, 4.2),
        (2, 2, 7200, 0.2, 4.2, 4.2),
        (2, 2, 10800, 0.1, 4.2, 4.2),
    ]
    (tmp_path / "log.mpt").write_text(mpt(names, rows))
    log = read_log(tmp_path / "log.mpt")
    assert log["current_mA"].tolist() == pytest.approx([0, 0.5, 0.5, 0.5, 0.2, 0.1], abs=0.31)
    assert log["current_mA"].iloc[4:].tolist() == pytest.approx([0.2, 0.1])
    assert log["instrument_capacity_mAh"].iloc[-1] == pytest.approx(0.8)
    assert (log["half_cycle"] == 0).all()
    assert log["step_type"].tolist() == ["rest"] + ["charge"] * 2 + ["constant voltage"] * 3


# --- bad logs --------------------------------------------------------------------------------

GOOD_MPT = mpt(["time/s", "Ewe/V", "I/mA"], [(0, "3,1", 1), (1, "3,2", 1)])
BDF_HEADER = "Test Time / s,Voltage / V,Current / A"
BAD = {
    "empty.csv": ("", None, "the log is empty"),
    "headeronly.csv": (f"{BDF_HEADER}\n", None, "holds 0 records"),
    "one.csv": (f"{BDF_HEADER}\n0,3,1\n", None, "holds 1 records"),
    "nobdf.csv": ("time,volt\n0,3\n", None, "'Current / A'.*give a column map"),
    "nan.csv": (
        f"{BDF_HEADER}\n0,3,1\n1,nan,1\n",
        None,
        "Voltage / V, record 2: 'nan' is no number",
    ),
    "inf.csv": (
        f"{BDF_HEADER}\n0,3,1\n1,inf,1\n",
        None,
        "Voltage / V, record 2: 'inf' is no number",
    ),
    "word.csv": (f"{BDF_HEADER}\n0,3,1\n1,3,over\n", None, "Current / A, record 2: 'over'"),
    "cut.csv": (f"{BDF_HEADER}\n0,3,1\n1,3\n", None, "Current / A, record 2"),
    "ragged.csv": (f"{BDF_HEADER}\n0,3,1\n1,3,1,7,7\n2,3,1\n", None, "not a table"),
    "back.csv": (f"{BDF_HEADER}\n5,3,1\n1,3,1\n", None, "record 2: time runs backwards"),
    "lacks.txt": ("t;E\n0;1\n", MAP, "I: the column is missing"),
    "map.txt": ("t;E\n0;1\n", {"time": ("t", "s")}, "lacks .*voltage.*current"),
    "unknown.txt": ("t;E\n0;1\n", {**MAP, "heat": ("Q", "J")}, "unknown .*heat"),
    "unit.txt": ("t;E;I\n0;1;1\n", {**MAP, "time": ("t", "weeks")}, "'weeks' is no unit of time"),
    "log.doc": ("x", None, "no cycler format is known"),
    "notext.mpt": ("hello\n", None, "not 'EC-Lab ASCII FILE'"),
    "nocount.mpt": ("EC-Lab ASCII FILE\nmode\n", None, "line 2: the number of header lines"),
    "short.mpt": ("EC-Lab ASCII FILE\nNb header lines : 80\n", None, "80 header lines"),
    "novolt.mpt": (mpt(["time/s", "I/mA"], [(0, 1), (1, 1)]), None, "Ewe/V.*column is missing"),
    "nocurrent.mpt": (mpt(["time/s", "Ewe/V"], [(0, 1), (1, 1)]), None, "mode: the column"),
    "back.mpt": (GOOD_MPT + "0\t3,3\t1\n", None, "record 3: time runs backwards"),
    "broken.mpr": ("BIO-LOGIC MODULAR FILE", None, "not a readable EC-Lab .mpr"),
    "broken.nda": ("NEWARE", None, "not a readable Neware"),
    "broken.ndax": ("PK", None, "not a readable Neware"),
    "impedance.dta": ("EXPLAIN\nZCURVE\tTABLE\n", None, "there is no CURVE table"),
    "column.dta": ("EXPLAIN\nCURVE\tTABLE\t1\n\tPt\tT\n\t#\ts\n\t0\t1\n", None, "Vf: the column"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_logs_are_refused_in_one_sentence(tmp_path, name):
    content, columns, message = BAD[name]
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message) as error:
        read_log(tmp_path / name, columns=columns)
    assert str(error.value).startswith(str(tmp_path / name))
    assert error.value.remedy


def test_missing_log(tmp_path):
    with pytest.raises(InputError, match="there is no such log"):
        read_log(tmp_path / "none.mpr")


@pytest.mark.parametrize("name", ["lfp_half_cell_c10.mpr", "neware.nda", "neware.ndax"])
def test_truncated_binary_logs(shared_data, tmp_path, name):
    content = shared_data(f"cycling/{name}").read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 3])
    with pytest.raises(InputError, match=r"not a readable|it was cut"):
        read_log(tmp_path / name)


def test_arbin_that_is_no_database(tmp_path):
    (tmp_path / "log.res").write_bytes(b"no database")
    with pytest.raises(InputError, match=r"not a readable Arbin \.res"):
        read_log(tmp_path / "log.res")


@pytest.mark.parametrize("size", [300_000, 419_840, 500_000])
def test_arbin_databases_cut_short(shared_data, tmp_path, size):
    content = shared_data("cycling/arbin.res").read_bytes()
    (tmp_path / "log.res").write_bytes(content[:size])
    with pytest.raises(InputError, match=r"not a readable Arbin|2150 records are announced, \d+"):
        read_log(tmp_path / "log.res")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Test_ID": [1, 2, 2]}, "Test_ID: the file holds 2 tests"),
        ({"Data_Point": [1, 2, 4]}, "Data_Point: records are missing .* after number 2"),
        ({"Voltage": None}, "Voltage: the column is missing"),
        ({}, None),
    ],
)
def test_arbin_tables_that_cannot_be_used(tmp_path, monkeypatch, change, message):
    table = {"Test_ID": [1, 1, 1], "Data_Point": [3, 1, 2], "Test_Time": [2, 0, 1]}
    names = ("Voltage", "Current", "Step_Index", "Charge_Capacity", "Discharge_Capacity")
    table |= {name: [0, 0, 0] for name in names}
    table = {name: values for name, values in (table | change).items() if values is not None}

    class Database:
        table_header = SimpleNamespace(number_of_rows=3)

        def __init__(self, path):
            pass

        def get_table(self, name):
            return self

        def parse(self):
            return table

    monkeypatch.setattr("access_parser.AccessParser", Database)
    (tmp_path / "log.res").write_bytes(b"")
    if message is None:
        assert read_log(tmp_path / "log.res")["time_s"].tolist() == [0, 1, 2]
    else:
        with pytest.raises(InputError, match=message):
            read_log(tmp_path / "log.res")


def test_what_the_reader_of_neware_files_doubts_is_said(shared_data, monkeypatch):
    import fastnda

    genuine = fastnda.read

    def doubting(path):
        warnings.warn("a layout not seen before", UserWarning, stacklevel=1)
        return genuine(path)

    monkeypatch.setattr(fastnda, "read", doubting)
    log = read_log(shared_data("cycling/neware.ndax"))
    assert log.attrs["warnings"] == [
        "The reader of Neware files doubts this one: a layout not seen before"
    ]


def test_neware_times_that_add_up_to_more_than_it_took_are_refused(shared_data, monkeypatch):
    import fastnda

    table = fastnda.read(shared_data("cycling/neware.ndax"))
    doubled = table.with_columns(total_time_s=table["total_time_s"] * 2)
    monkeypatch.setattr(fastnda, "read", lambda path: doubled)
    with pytest.raises(InputError, match="add up to 87600 s, but by its absolute times it took"):
        read_log(shared_data("cycling/neware.ndax"))


# --- ion content -----------------------------------------------------------------------------


def test_sodium_vanadium_fluorophosphate_by_its_rule_of_thumb(charge_rest_discharge):
    content = ion_content(charge_rest_discharge, **NVPF)
    passed = charge_rest_discharge["capacity_mAh"] / 5e-3
    np.testing.assert_allclose(content["ion_content"], 3 - passed / 64.15, atol=1e-4)


def test_divalent_ions_leave_half_as_fast(charge_rest_discharge):
    single = ion_content(charge_rest_discharge, **NVPF)["ion_content"]
    double = ion_content(charge_rest_discharge, ions_per_electron=0.5, **NVPF)["ion_content"]
    np.testing.assert_allclose(3 - double, (3 - single) / 2)


def test_irreversible_loss_goes_with_the_first_charge(charge_rest_discharge):
    plain = ion_content(charge_rest_discharge, **NVPF)["ion_content"]
    lost = ion_content(charge_rest_discharge, irreversible_mAh_g=6.415, **NVPF)["ion_content"]
    np.testing.assert_allclose(
        lost - plain, 0.1 * np.array([0, 0, 0, 0.5, 1, 1, 1, 1, 1]), atol=1e-5
    )


def test_leakage_discharges_at_rest(make_log):
    log = make_log([0, 10], [4.0, 3.9], [0, 0])
    content = ion_content(log, leakage_mA=0.003, leakage_error_mA=0.001, **NVPF)
    assert content["ion_content"].iloc[-1] == pytest.approx(3 + 6 / 64.15, abs=1e-4)
    width = content["ion_content_high"] - content["ion_content_low"]
    assert width.iloc[-1] == pytest.approx(2 * 1.96 * 2 / 64.15, rel=1e-3)


def test_interval_agrees_with_monte_carlo(charge_rest_discharge):
    """Draw mass, initial content, leakage and loss; the loss's profile is left proportional."""
    random = np.random.default_rng(0)
    errors = {
        "mass_error_mg": 0.05,
        "initial_error": 0.01,
        "irreversible_error_mAh_g": 1.5,
        "leakage_error_mA": 2e-4,
    }
    values = {"initial_content": 3.0, "leakage_mA": 5e-4, "irreversible_mAh_g": 0.0}
    exact = {"formula_mass": 417.79, **dict.fromkeys(errors, 0.0)}
    drawn = [
        ion_content(
            charge_rest_discharge,
            mass_mg=random.normal(5.0, 0.05),
            initial_content=random.normal(3.0, 0.01),
            irreversible_mAh_g=random.normal(0.0, 1.5),
            leakage_mA=random.normal(5e-4, 2e-4),
            **exact,
        )["ion_content"].to_numpy()
        for _ in range(3000)
    ]
    found = ion_content(charge_rest_discharge, mass_mg=5.0, formula_mass=417.79, **values, **errors)
    half_width = (found["ion_content_high"] - found["ion_content_low"]) / 2
    np.testing.assert_allclose(half_width, 1.96 * np.std(drawn, axis=0), rtol=0.05)
    np.testing.assert_allclose(found["ion_content"], np.mean(drawn, axis=0), atol=0.003)


def test_interval_covers_a_loss_that_sets_in_late(charge_rest_discharge):
    """A loss whose rate grows linearly with charge passed lies one standard error away."""
    found = ion_content(charge_rest_discharge, irreversible_mAh_g=10.0, **NVPF)
    middle = found.iloc[3]
    true = 3 - (50 - 10 * 0.5**2) / (FARADAY_MAH_MOL / 417.79)
    error = (middle["ion_content_high"] - middle["ion_content"]) / 1.959964
    assert middle["ion_content"] - true == pytest.approx(error)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mass_mg": None}, "mass_mg: the value is missing; give the active mass"),
        ({"mass_mg": float("nan")}, "mass_mg: the value is missing"),
        ({"mass_mg": 0.0}, "mass_mg: 0 is not possible"),
        ({"mass_mg": -1.0}, "mass_mg: -1 is not possible"),
        ({"mass_error_mg": None}, "mass_error_mg: the value is missing"),
        ({"formula_mass": 0.0}, "formula_mass: 0 is not possible"),
        ({"initial_content": None}, "initial_content: the value is missing"),
        ({"irreversible_error_mAh_g": -1.0}, "irreversible_error_mAh_g: -1 is not possible"),
    ],
)
def test_impossible_cell_data(charge_rest_discharge, change, message):
    with pytest.raises(InputError, match=message):
        ion_content(charge_rest_discharge, **{**NVPF, **change})


def test_grains_without_contact_stay_while_the_others_go_further(charge_rest_discharge):
    content = ion_content(
        charge_rest_discharge, inactive_share=0.2, inactive_error=0.05, initial_error=0.01, **NVPF
    )
    mean, active = content["ion_content"], content["active_ion_content"]
    np.testing.assert_allclose(0.2 * 3 + 0.8 * active, mean)
    error = (content["active_ion_content_high"] - active) / HALF
    np.testing.assert_allclose(error**2, 0.01**2 + ((3 - mean) * 0.05 / 0.8**2) ** 2)
    # The mean does not depend on who takes part.
    plain = ion_content(charge_rest_discharge, initial_error=0.01, **NVPF)
    np.testing.assert_array_equal(plain["ion_content_low"], content["ion_content_low"])
    np.testing.assert_array_equal(plain["ion_content"], plain["active_ion_content"])


@pytest.mark.parametrize("share", [1.0, -0.1, float("nan")])
def test_impossible_share_without_contact(charge_rest_discharge, share):
    with pytest.raises(InputError, match=r"inactive_share: .* is not possible"):
        ion_content(charge_rest_discharge, inactive_share=share, **NVPF)


# --- differential capacity -------------------------------------------------------------------


@given(
    volts=st.lists(st.floats(2.0, 4.5), min_size=3, max_size=30),
    current=st.floats(0.01, 5.0).flatmap(lambda size: st.sampled_from([size, -size])),
)
@settings(deadline=None, max_examples=40)
def test_differential_capacity_keeps_the_charge_and_its_sign(tmp_path_factory, volts, current):
    rows = [(3600.0 * hour, volt, current) for hour, volt in enumerate(volts)]
    path = tmp_path_factory.mktemp("log") / "log.mpt"
    path.write_text(mpt(["time/s", "Ewe/V", "I/mA"], rows))
    log = read_log(path)
    grid, slopes = differential_capacity(log, mass_mg=5.0)
    passed = current * (len(volts) - 1) / 5e-3
    assert np.nansum(slopes) * (grid[1] - grid[0]) == pytest.approx(passed, rel=1e-6)
    assert np.nanmin(slopes * np.sign(current)) > -1e-6 * np.abs(passed)


def two_plateaus(make_log, *, sign=1, noise=0.0):
    """1 mA for 10 h over two smooth steps of charge, of 4 mAh at 3.4 V and 5 mAh at 3.9 V."""
    volts = np.linspace(3.2, 4.1, 20001)
    charge = (
        (volts - 3.2) / 0.9
        + 4 / (1 + np.exp(-(volts - 3.4) / 0.01))
        + 5 / (1 + np.exp(-(volts - 3.9) / 0.01))
    )
    hours = np.linspace(0, charge[-1] - charge[0], 3000)
    along = np.interp(hours, charge - charge[0], volts)
    along += np.random.default_rng(0).normal(0, noise, len(along))
    return make_log(hours, along[::sign], np.full(len(hours), float(sign)))


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("noise", [0.0, 3e-4])
def test_plateaus_are_where_the_charge_is(make_log, sign, noise):
    log = two_plateaus(make_log, sign=sign, noise=noise)
    plateaus = find_plateaus(log, mass_mg=10.0)
    assert plateaus["voltage"].tolist() == pytest.approx([3.4, 3.9][::sign], abs=0.004)
    # The steps hold 400 and 500 mA h/g, and 95 % of each lies where a tenth of the height is left.
    held = plateaus["capacity_to"] - plateaus["capacity_from"]
    assert held.tolist() == pytest.approx([400, 500][::sign], rel=0.07)
    middle = (plateaus["capacity_to"] + plateaus["capacity_from"]) / 2
    expected = [22 + 200, 400 + 78 + 250] if sign > 0 else [22 + 250, 500 + 78 + 200]
    assert middle.tolist() == pytest.approx(expected, abs=5)


def test_differential_capacity_is_the_derivative(make_log):
    grid, slopes = differential_capacity(two_plateaus(make_log), mass_mg=10.0)
    share = 1 / (1 + np.exp(-(grid - 3.9) / 0.01))
    expected = 100 * (1 / 0.9 + 5 * share * (1 - share) / 0.01)
    near = (grid > 3.7) & (grid < 4.05)
    # The filter is 16 mV wide, so it lowers a peak of 35 mV.
    np.testing.assert_allclose(slopes[0, near], expected[near], atol=0.04 * expected.max())


def test_voltage_without_plateau_has_none(make_log):
    hours = np.linspace(0, 10, 500)
    assert find_plateaus(make_log(hours, 3 + hours / 10, np.ones(500)), mass_mg=5.0).empty
    assert find_plateaus(make_log(hours, 3 + hours / 10, np.zeros(500)), mass_mg=5.0).empty


# --- states ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "hours"),
    [
        ({"time_h": 2.5}, 2.5),
        ({"time_h": 18}, 18),
        ({"capacity_mah_g": 0.0}, 0.0),
        ({"capacity_mah_g": 30.0}, 4.0),
        ({"capacity_mah_g": 100.0}, 11.0),
        ({"capacity_mah_g": 70.0, "half_cycle": 1}, 16.0),
        ({"voltage_v": 3.6}, 5.0),
        ({"voltage_v": 4.0, "half_cycle": 0}, 9.0),
        ({"voltage_v": 3.6, "half_cycle": 1}, 17.0),
        ({"fraction": 0.0}, 0.0),
        ({"fraction": 0.5}, 6.0),
        ({"fraction": 1.0}, 11.0),
        ({"fraction": 1.0, "half_cycle": 1}, 18.0),
        ({"rest": 0}, 1.0),
        ({"rest": 1}, 13.0),
    ],
)
def test_states_are_found(charge_rest_discharge, place, hours):
    found = locate_state(charge_rest_discharge, state="here", mass_mg=5.0, **place)
    assert found == pytest.approx(3600 * hours)


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ({}, "state here: 0 of time_h"),
        ({"time_h": 1.0, "rest": 0}, "2 of time_h"),
        ({"time_h": 19.0}, "time_h = 19 is not reached, the log has 18 h"),
        ({"time_h": -1.0}, "time_h = -1 is not reached"),
        ({"capacity_mah_g": 120.0}, "not reached, the log has 0 to 100 in half cycle 0"),
        ({"voltage_v": 4.5}, "voltage_v = 4.5 is not reached"),
        ({"fraction": 1.2}, "fraction = 1.2 is not reached"),
        ({"rest": 2}, "the log has 2 rests"),
        ({"voltage_v": 4.0, "half_cycle": 7}, "the log has half cycles 0 to 1"),
    ],
)
def test_states_that_the_log_does_not_reach(charge_rest_discharge, place, message):
    with pytest.raises(InputError, match=message):
        locate_state(charge_rest_discharge, state="here", mass_mg=5.0, **place)


@pytest.mark.parametrize(
    ("one", "other", "hours"),
    [
        ({"rest": 1}, {"rest": 1}, 13),
        ({"rest": 1}, {"time_h": 13.0001}, 13),
        ({"fraction": 1}, {"capacity_mah_g": 100}, 11),
        ({"fraction": 0, "half_cycle": 1}, {"rest": 1}, 13),
    ],
)
def test_two_states_at_one_moment_are_refused(charge_rest_discharge, one, other, hours):
    """In the order in which the config has them; a third state lies elsewhere."""
    states = [{"state": "b", **one}, {"state": "elsewhere", "rest": 0}, {"state": "a", **other}]
    with pytest.raises(InputError, match=f"states: states b and a are both at {hours} h; correct"):
        locate_states(charge_rest_discharge, states, 5.0)


@settings(deadline=None, max_examples=60)
@given(
    first=st.floats(0, 1.99),
    later=st.floats(-1e-3, 1e-3),
    spacing=st.sampled_from([0.1, 60.0, 3e3]),
)
def test_states_a_second_or_a_record_apart_are_two(first, later, spacing):
    time = np.arange(0, 7200 + spacing, spacing)
    log = pd.DataFrame({"time_s": time, "step_type": "charge", "half_cycle": 0})
    log.attrs["source"] = "log"
    second = max(first + later, 0.0)
    apart, near = 3600 * abs(second - first), min(1.0, spacing)
    assume(abs(apart - near) > 1e-6)
    states = [{"state": "a", "time_h": first}, {"state": "b", "time_h": second}]
    if apart > near:
        assert locate_states(log, states, None) == pytest.approx([3600 * first, 3600 * second])
    else:
        with pytest.raises(InputError, match="states a and b are both at"):
            locate_states(log, states, None)


def test_voltage_is_not_sought_in_a_rest(make_log):
    log = make_log([0, 1, 1, 2, 3], [4.2, 3.0, 3.2, 3.4, 3.6], [0, 0, 1, 1, 1])
    found = locate_state(log, state="here", mass_mg=5.0, voltage_v=3.5)
    assert found == pytest.approx(2.5 * 3600)


def test_fraction_of_a_log_without_charge(make_log):
    log = make_log([0, 1], [4.0, 4.0], [0, 0])
    with pytest.raises(InputError, match="no charge in half cycle 0"):
        locate_state(log, state="here", mass_mg=5.0, fraction=0.5)


def test_analysis_is_a_file_that_reads_back(charge_rest_discharge, tmp_path):
    states = [
        {"state": "pristine", "time_h": 0},
        {"state": "half", "fraction": 0.5},
        {"state": "charged", "rest": 1},
    ]
    result = analyse_log(charge_rest_discharge, name="cell", states=states, **NVPF)
    netcdf.write(result, tmp_path / "cell.nc", CYCLING)
    again = netcdf.read(tmp_path / "cell.nc", CYCLING)
    assert again["state"].to_numpy().tolist() == ["pristine", "half", "charged"]
    np.testing.assert_allclose(again["capacity"].max(), 100)
    assert again["state_capacity"].to_numpy().tolist() == pytest.approx([0, 50, 100])
    assert again["half_capacity"].to_numpy().tolist() == pytest.approx([100, -50])
    assert again["half_capacity_integrated"].to_numpy().tolist() == pytest.approx([100, -50])
    assert again["step_type"].to_numpy().tolist() == [0, 0, 1, 1, 1, 0, 0, 2, 2]
    assert again["step_type"].attrs["flag_meanings"].split()[3] == "constant_voltage"
    assert again.attrs["warnings"].startswith("The instrument counts no charge")
    np.testing.assert_allclose(
        again["state_ion_content"], 3 - np.array([0, 50, 100]) / 64.15, atol=1e-4
    )
    assert again["state_voltage"].to_numpy().tolist() == pytest.approx([3.0, 3.7, 4.1])
    assert again.attrs["mass_mg"] == 5.0
    assert again.attrs["log"] == "cell"


def test_disagreement_with_the_counter_is_said(tmp_path):
    names = ["time/s", "Ewe/V", "I/mA", "(Q-Qo)/mA.h"]
    for last, warned in ((2.01, False), (2.1, True)):
        rows = [(0, 3.7, 1, 0), (3600, 3.8, 1, 1), (7200, 3.9, 1, last)]
        (tmp_path / "log.mpt").write_text(mpt(names, rows))
        log = read_log(tmp_path / "log.mpt")
        cell = {**NVPF, "mass_mg": 50.0}
        sentences = analyse_log(log, name="cell", states=[], **cell).attrs["warnings"]
        assert ("by 4.8% of the largest half cycle" in sentences) == warned
        assert (sentences == "") != warned


def test_a_mass_too_small_is_said(charge_rest_discharge):
    cell = {**NVPF, "mass_mg": 2.0, "mass_error_mg": 0.02}
    result = analyse_log(charge_rest_discharge, name="cell", states=[], **cell)
    assert "ion content of all grains falls to -0.90, below zero" in result.attrs["warnings"]
    result = analyse_log(charge_rest_discharge, name="cell", states=[], inactive_share=0.6, **NVPF)
    assert "of the active grains falls to -0.90" in result.attrs["warnings"]


def test_a_charge_of_next_to_nothing_is_doubted(charge_rest_discharge):
    for mass_mg, doubted in ((5.0, False), (5000.0, True)):
        cell = {**NVPF, "mass_mg": mass_mg}
        result = analyse_log(charge_rest_discharge, name="cell", states=[], **cell)
        assert ("may be in another unit" in result.attrs["warnings"]) == doubted


def test_tidy_table_is_battery_data_format(charge_rest_discharge, tmp_path):
    result = analyse_log(charge_rest_discharge, name="cell", states=[], **NVPF)
    table = tidy_table(result)
    table.to_csv(tmp_path / "cell.csv", index=False)
    again = read_log(tmp_path / "cell.csv")
    for column in ("time_s", "voltage_V", "current_mA", "capacity_mAh", "half_cycle", "step"):
        np.testing.assert_allclose(again[column], charge_rest_discharge[column], atol=1e-12)
    assert table["Step Type"].tolist() == charge_rest_discharge["step_type"].tolist()
    np.testing.assert_allclose(table["Net Capacity / Ah"], again["capacity_mAh"] / 1e3, atol=1e-15)
    np.testing.assert_allclose(table["Ion Content / 1"], result["ion_content"])


def test_long_log_is_kept_whole(shared_data, tmp_path):
    log = read_log(shared_data("cycling/naxcoo2_c24.mpr"))
    result = analyse_log(
        log,
        name="naxcoo2",
        states=[{"state": "start", "time_h": 0}],
        mass_mg=10.0,
        mass_error_mg=0.1,
        formula_mass=107.0,
        initial_content=0.7,
    )
    netcdf.write(result, tmp_path / "log.nc", CYCLING)
    assert netcdf.read(tmp_path / "log.nc", CYCLING).sizes["time"] == 46102


@pytest.mark.parametrize("state", [{"rest": 0}, {"state": "a", "tme_h": 1.0}])
def test_misspelt_states(charge_rest_discharge, state):
    with pytest.raises(InputError, match="a state needs the key 'state'"):
        analyse_log(charge_rest_discharge, name="cell", states=[state], **NVPF)
