"""Logs as people have them: clocks that start again, locales, strays, impedance, lies."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phasefront.core.errors import InputError
from phasefront.cycling.logs import capacity_difference, half_cycle_charge, read_log
from phasefront.cycling.states import locate_state
from phasefront.experiment.settings.cycling import LogRow
from phasefront.experiment.tables import read_table

BDF = "Test Time / s,Voltage / V,Current / A"
STATES = {"charge": ["C"], "discharge": ["D"], "rest": ["R", "P"]}
MACCOR = {
    "time": ("Test (Sec)", "s"), "voltage": ("Volts", "V"), "current": ("Amps", "A"),
    "step": ("Step", "1"),
}  # fmt: skip
QUOTED = {"time": ("Time (s)", "s"), "voltage": ("Voltage (V)", "V")}
QUOTED["current"] = ("Current (mA)", "mA")
CLOCKS = {"time": ("Total Time", "h:mm:ss"), "voltage": ("Voltage(V)", "V")}
CLOCKS["current"] = ("Current(mA)", "mA")
few = settings(deadline=None, max_examples=40)


# --- one example of each kind ----------------------------------------------------------------

# file: column map, end in s, charge of each half cycle in mAh, words of the warning
RIGHT = {
    "restart-twice/two_restarts.csv": (None, 10800, [1, -1], "record 5 (1800 s), 16 (7200 s);"),
    "bts91/bts91.nda": (None, 10800, [1, -1], ""),
    "eis-in-log/modulo_bat.mpt": (None, 7260, [0.2], ""),
    "mean-current/gcpl.mpt": (None, 120.0506, [0.002, -0.002], ""),
    "stray-halfcycle/stray.csv": (None, 9000.02, [-1, 1], "record 5 (0.002 mA, 5.6e-09 mAh)"),
    "magnitude/maccor.txt": ({**MACCOR, "state": ("State", STATES)}, 10800, [1, -1], ""),
    "thousands/quoted_current.csv": ({**QUOTED, "thousands": ","}, 10800, [2500, -2500], ""),
    "ewe-brackets/btlab.mpt": (None, 10800, [1, -1], ""),
    "ewe-brackets/cp.mpt": (None, 10800, [1, -1], ""),
    "bdf-names/machine.bdf.csv": (None, 10800, [1, -1], ""),
    "clock-text/hms.csv": (CLOCKS, 10800, [1, -1], ""),
}
REFUSED = {
    "time-zero/zero_at_steps.csv": (None, "record 5: the clock goes from 1800 s to 0 s and at on"),
    "magnitude/maccor.txt": (MACCOR, 'never changes its sign.*map the column.*"state"'),
    "thousands/quoted_current.csv": (QUOTED, "'2,500' may be a decimal sign or .*\"thousands\""),
    "clock-text/hms.csv": ({**CLOCKS, "time": ("Total Time", "s")}, 'the unit "h:mm:ss" of time'),
}


@pytest.mark.parametrize("name", RIGHT)
def test_what_was_misread_is_right(shared_data, name):
    columns, end, charges, warning = RIGHT[name]
    log = read_log(shared_data(f"cases/{name}"), columns=columns)
    assert log["time_s"].iloc[-1] == pytest.approx(end)
    for column in ("capacity_mAh", "integrated_capacity_mAh"):
        assert half_cycle_charge(log, column).tolist() == pytest.approx(charges, rel=2e-5)
    assert warning in " ".join(log.attrs["warnings"])
    assert bool(warning) == bool(log.attrs["warnings"])


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_known_is_refused(shared_data, name):
    columns, message = REFUSED[name]
    with pytest.raises(InputError, match=message):
        read_log(shared_data(f"cases/{name}"), columns=columns)


# --- clocks ----------------------------------------------------------------------------------


def write_bdf(path, time, current_mA, *, volts=None, step=None, header=BDF, extra=()):
    """A BDF table; voltage rises on charge and falls on discharge unless it is given."""
    current = np.asarray(current_mA, dtype="f8")
    volts = 3.5 + 0.01 * np.cumsum(np.sign(current)) if volts is None else volts
    columns = [time, volts, current / 1e3, *([] if step is None else [step]), *extra]
    header += "" if step is None else ",Step Count / 1"
    rows = [",".join(repr(float(value)) for value in row) for row in zip(*columns, strict=True)]
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


runs = st.lists(
    st.tuples(st.lists(st.floats(0.8, 1.2), min_size=3, max_size=7), st.floats(0, 0.5)),
    min_size=1, max_size=5,
)  # fmt: skip


@given(
    runs=runs, scale=st.sampled_from([1.0, 60.0, 3600.0]), with_steps=st.booleans(), data=st.data()
)
@few
def test_a_clock_runs_on_after_any_number_of_restarts(
    tmp_path_factory, runs, scale, with_steps, data
):
    parts = [scale * np.cumsum([start, *intervals]) for intervals, start in runs]
    clock = np.concatenate(parts)
    reached = np.cumsum([0.0, *(part[-1] for part in parts)])[:-1]
    time = np.concatenate([part + offset for part, offset in zip(parts, reached, strict=True)])
    level = data.draw(st.lists(st.sampled_from([-2.0, 0.5, 1.0]), min_size=len(parts)))
    current = np.concatenate([np.full(len(p), i) for p, i in zip(parts, level, strict=False)])
    step = np.arange(len(clock)) // 3 if with_steps else None
    path = write_bdf(tmp_path_factory.mktemp("log") / "log.csv", clock, current, step=step)
    log = read_log(path)
    np.testing.assert_allclose(log["time_s"], time, rtol=1e-12)
    expected = np.cumsum(current * np.diff(time, prepend=time[0])) / 3600
    np.testing.assert_allclose(log["capacity_mAh"], expected, atol=1e-9 * scale)
    starts = np.cumsum([len(part) for part in parts])[:-1] + 1
    said = " ".join(log.attrs["warnings"])
    assert [int(n) for n in re.findall(r"(\d+) \(\S+ s\)", said)] == starts[:3].tolist()
    assert (f"{len(starts) - 3} more" in said) == (len(starts) > 3)


@given(count=st.integers(4, 30), data=st.data())
@few
def test_stamps_that_were_lost_are_refused(tmp_path_factory, count, data):
    time = 100.0 * np.arange(count)
    lost = data.draw(st.sets(st.integers(2, count - 1), min_size=1, max_size=4))
    time[list(lost)] = 0.0
    path = write_bdf(tmp_path_factory.mktemp("log") / "log.csv", time, np.ones(count))
    with pytest.raises(InputError, match=r"did not start again|time runs backwards"):
        read_log(path)


@pytest.mark.parametrize(
    ("time", "message"),
    [
        ([0, 1, 2, 8.7e9], r"lasts 276 years.*between 2 s and 8700000000 s; correct the unit"),
        ([0, 1, 8.7e9, 3], "time runs backwards"),
        ([0, 1.7e9, 1.7e9 + 1, 1.7e9 + 2], "lasts 53.9 years"),
        ([5, 5, 5, 5], "time stands still at 5 s"),
        ([0, 1, 2, float("inf")], "record 4: 'inf' is no number"),
    ],
)
def test_times_that_cannot_be_are_refused(tmp_path, time, message):
    with pytest.raises(InputError, match=message):
        read_log(write_bdf(tmp_path / "log.csv", time, [1, 1, 1, 1]))


def as_clock(seconds, style):
    days, rest = divmod(round(seconds), 86400)
    text = f"{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}"
    return {
        "hours": f"{days * 24 + rest // 3600}:{rest // 60 % 60:02d}:{rest % 60:02d}",
        "maccor": f"  {days}d {text}.00",
        "python": f"{days} days, {text}",
        "neware": f"{days}-{text}.000",
    }[style]


@given(
    hours=st.lists(st.integers(1, 90000), min_size=2, max_size=12),
    style=st.sampled_from(["hours", "maccor", "python", "neware", "iso", "day first"]),
)
@few
def test_clocks_and_dates_are_read_as_text(tmp_path_factory, hours, style):
    seconds = np.concatenate([[0], np.cumsum(hours)])
    unit = "h:mm:ss"
    if style in ("iso", "day first"):
        unit = "date" if style == "iso" else "%d.%m.%Y %H:%M:%S"
        dates = pd.Timestamp("2025-03-01 09:00:00") + pd.to_timedelta(seconds, unit="s")
        cells = dates.strftime("%Y-%m-%dT%H:%M:%S" if style == "iso" else unit)
    else:
        cells = [as_clock(value, style) for value in seconds]
    path = tmp_path_factory.mktemp("log") / "log.txt"
    path.write_text("t;E;I\n" + "".join(f"{cell};3.5;2\n" for cell in cells))
    log = read_log(
        path, columns={"time": ("t", unit), "voltage": ("E", "V"), "current": ("I", "A")}
    )
    np.testing.assert_allclose(log["time_s"], seconds)
    assert log["capacity_mAh"].iloc[-1] == pytest.approx(2e3 * seconds[-1] / 3600)


@pytest.mark.parametrize(
    ("unit", "cells", "message"),
    [
        ("s", ["01:30", "01:31"], 'record 1: .*the unit "h:mm" or "m:ss"'),
        ("s", ["2025-03-01 09:00", "2025-03-01 09:01"], 'the unit "date" of time'),
        ("s", ["3/1/2025 9:00", "3/1/2025 9:01"], "a format as unit of time"),
        ("h:mm:ss", ["00:00:10", "00:01"], "record 2: '00:01' is no time in the unit 'h:mm:ss'"),
        ("h:mm:ss", ["00:61:10", "00:01:01"], "record 1: '00:61:10' is no time"),
        ("date", ["01/02/2025 10:00", "01/02/2025 10:01"], "record 1: .* in the unit 'date'"),
        ("h:mm:ss", ["23:58:00", "23:59:00", "00:00:00", "00:01:00"], "passes midnight"),
        ("weeks", ["1", "2"], "'weeks' is no unit of time; use one of ms.*h:mm:ss.*date"),
    ],
)
def test_clocks_of_another_kind_are_refused_with_what_helps(tmp_path, unit, cells, message):
    path = tmp_path / "log.txt"
    path.write_text("t;E;I\n" + "".join(f"{cell};3.5;2\n" for cell in cells))
    with pytest.raises(InputError, match=message):
        read_log(path, columns={"time": ("t", unit), "voltage": ("E", "V"), "current": ("I", "A")})


# --- numbers and signs -----------------------------------------------------------------------

NAMES = ("Time", "U", "I", "State")
SCALE = {"s": 1.0, "min": 1 / 60, "h": 1 / 3600, "ms": 1e3, "A": 1e-3, "mA": 1.0, "uA": 1e3}


def cell_log(current):
    """Rest, charge, rest, discharge of an hour each: s, V, mA, state."""
    clock = 3600.0 * np.array([0, 0.5, 1, 1, 1.5, 2, 2, 3, 3, 3.5, 4])
    volts = [3, 3, 3, 3.2, 3.7, 4.2, 4.1, 4.1, 4, 3.5, 3]
    levels = current * np.array([0, 0, 0, 1, 1, 1, 0, 0, -1, -1, -1])
    return clock, volts, levels, list("RRRCCCPRDDD")


def write_number(value, decimal, thousands):
    text = f"{value:,.6f}".replace(",", "T").replace(".", decimal)
    return text.replace("T", thousands or "")


notations = st.sampled_from(
    [(".", None), (",", None), (".", ","), (",", "."), (",", " "), (".", "'"), (",", "\xa0")]
)


@given(
    current=st.floats(0.01, 5000.0), notation=notations, unsigned=st.booleans(),
    separator=st.sampled_from("\t;,"), stated=st.booleans(),
    units=st.tuples(st.sampled_from(["s", "min", "h", "ms"]), st.sampled_from(["A", "mA", "uA"])),
)  # fmt: skip
@settings(deadline=None, max_examples=150)
def test_any_unit_locale_and_sign_is_right_or_refused(
    tmp_path_factory, current, notation, unsigned, separator, stated, units
):
    decimal, thousands = notation
    clock, volts, levels, states = cell_log(current)
    lines = [separator.join(NAMES)]
    for second, volt, level, state in zip(clock, volts, levels, states, strict=True):
        numbers = (
            second * SCALE[units[0]],
            volt,
            SCALE[units[1]] * (abs(level) if unsigned else level),
        )
        cells = [write_number(value, decimal, thousands) for value in numbers]
        lines.append(separator.join([*(f'"{cell}"' for cell in cells), state]))
    path = tmp_path_factory.mktemp("log") / "log.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    columns = {"time": ("Time", units[0]), "voltage": ("U", "V"), "current": ("I", units[1])}
    if unsigned:
        columns["state"] = ("State", STATES)
    if stated:
        columns["decimal"] = decimal
        if thousands:
            columns["thousands"] = thousands.replace("\xa0", " ")
    try:
        log = read_log(path, columns=columns)
    except InputError as error:
        assert not stated, error
        assert "thousands" in error.remedy
        return
    rounding = 1e-6 / SCALE[units[0]] + 1e-6 / SCALE[units[1]] / current
    assert half_cycle_charge(log).tolist() == pytest.approx(
        [current, -current], rel=1e-5 + rounding
    )
    assert set(log["step_type"]) == {"rest", "charge", "discharge"}
    assert locate_state(log, state="a", mass_mg=1, rest=1) == pytest.approx(3 * 3600, rel=1e-3)


@pytest.mark.parametrize(
    ("rows", "change", "message"),
    [
        (["0;3;1;C", "1;3;1;X"], {}, r"'X' is no state of the map, record 2.*\['C', 'X'\]"),
        (["0;3;1;C", "1;3;-1;C"], {}, "record 2: -1 mA in the state 'C'; correct the lists"),
        (["0;3;1;C", "1;3;1;R"], {}, "record 2: 1 mA in the state 'R'"),
        (["0;3;1;C", "1;3;1;C"], {"state": ("State", {"charge": ["C"], "rest": ["C"]})}, "two lis"),
        (["0;3;1;C", "1;3;1;C"], {"decimal": ",", "thousands": ","}, "',' cannot be both"),
        (["0;3;2,50;C", "1;3;1;C"], {"thousands": ","}, "'2,50' is no number; correct \"thous"),
        (["0;3;2.5;C", "1;3;1;C"], {"decimal": ","}, "'2.5' is no number; correct \"thous"),
        (["0;3;1,5;C", "1;3;2.500;C"], {}, "the comma in '1,5' may be a decimal sign"),
        (["0;3;1 000;C", "1;3;1;C"], {}, 'state the signs in numbers in a column map'),
        (["0;3000;1;C", "1;3100;1;C"], {}, "3100 V is no voltage of a cell; correct the unit"),
    ],
)  # fmt: skip
def test_maps_that_do_not_fit_are_refused(tmp_path, rows, change, message):
    path = tmp_path / "log.txt"
    path.write_text("\n".join(["Time;U;I;State", *rows]) + "\n")
    columns = {"time": ("Time", "h"), "voltage": ("U", "V"), "current": ("I", "mA")}
    with pytest.raises(InputError, match=message):
        read_log(path, columns=columns | {"state": ("State", STATES)} | change)


def test_cells_beyond_the_header_are_empty_or_refused(tmp_path):
    path = tmp_path / "log.txt"
    columns = {"time": ("Time", "h"), "voltage": ("U", "V"), "current": ("I", "mA")}
    path.write_text("Time;U;I\n0;3;1;\n1;3;1;\n")
    assert half_cycle_charge(read_log(path, columns=columns)) == pytest.approx([1])
    path.write_text("Time;U;I\n0;3;1;7\n1;3;1;7\n")
    with pytest.raises(InputError, match="not a table of equal columns"):
        read_log(path, columns=columns)


def test_a_column_that_stands_twice_is_refused(tmp_path):
    (tmp_path / "log.txt").write_text("Time;U;I;I\n0;3;1;2\n1;3;1;2\n")
    with pytest.raises(InputError, match="I: 2 columns have this name"):
        read_log(
            tmp_path / "log.txt",
            columns={"time": ("Time", "h"), "voltage": ("U", "V"), "current": ("I", "mA")},
        )


@given(rest=st.booleans(), sign=st.sampled_from([1, -1]), numbered=st.booleans())
@few
def test_currents_that_lost_their_sign_are_refused(tmp_path_factory, rest, sign, numbered):
    clock, volts, levels, _ = cell_log(1.0)
    keep = slice(None) if rest else levels != 0
    step = np.cumsum(np.diff(levels, prepend=0) != 0)[keep] if numbered else None
    path = tmp_path_factory.mktemp("log") / "log.csv"
    write_bdf(
        path, clock[keep], sign * np.abs(levels[keep]), volts=np.array(volts)[keep], step=step
    )
    with pytest.raises(InputError, match=r"never changes its sign.*rises by 1 V and falls by 1"):
        read_log(path)
    write_bdf(path, clock[keep], -levels[keep], volts=np.array(volts)[keep], step=step)
    with pytest.raises(InputError, match=r"falls by 1 V on charge.*a minus sign"):
        read_log(path)
    write_bdf(path, clock[keep], levels[keep], volts=np.array(volts)[keep], step=step)
    # Without the rest, its hour is the discharge's.
    assert half_cycle_charge(read_log(path)) == pytest.approx([1, -1 if rest else -2])


def test_states_whose_words_are_exchanged_are_refused(shared_data):
    words = {"charge": ["D"], "discharge": ["C"], "rest": ["R"]}
    with pytest.raises(InputError, match=r"falls by 1 V on charge.*exchange the states' words"):
        read_log(
            shared_data("cases/magnitude/maccor.txt"), columns={**MACCOR, "state": ("State", words)}
        )


def test_mean_currents_of_a_mapped_text_are_means(shared_data, tmp_path):
    lines = shared_data("cases/mean-current/gcpl.mpt").read_text().splitlines()
    (tmp_path / "log.txt").write_text("\n".join(lines[3:]) + "\n")
    columns = {"time": ("time/s", "s"), "voltage": ("Ewe/V", "V"), "current": ("<I>/mA", "mA")}
    log = read_log(tmp_path / "log.txt", columns={**columns, "step": ("Ns", "1")})
    assert half_cycle_charge(log) == pytest.approx([0.002, -0.002], rel=1e-4)


STARTS = [
    b"", b"\xff\xfe", b"NEWARE", b"PK\x03\x04", BDF.encode() + b"\n", b"Time;U;I\n",
    b"EC-Lab ASCII FILE\nNb header lines : 3\ntime/s\tEwe/V\tI/mA\n",
    b"CURVE\tTABLE\n\tT\tVf\tIm\n\ts\tV\tA\n",
]  # fmt: skip


@given(
    ending=st.sampled_from(["csv", "mpt", "mpr", "nda", "ndax", "res", "dta", "txt"]),
    start=st.sampled_from(STARTS),
    rest=st.one_of(st.binary(max_size=300), st.text("0123456789.,;\t\n-e \"'", max_size=200)),
)  # fmt: skip
@settings(deadline=None, max_examples=150)
def test_any_file_is_a_log_or_refused(tmp_path_factory, ending, start, rest):
    path = tmp_path_factory.mktemp("log") / f"log.{ending}"
    path.write_bytes(start + (rest if isinstance(rest, bytes) else rest.encode()))
    columns = {"time": ("Time", "h"), "voltage": ("U", "V"), "current": ("I", "mA")}
    try:
        log = read_log(path, columns=columns if ending == "txt" else None)
    except InputError as error:
        assert str(error).startswith(str(path))
        assert error.remedy
    else:
        assert np.isfinite(log["capacity_mAh"]).all()
        assert len(log) >= 2


def test_the_column_map_of_a_table_holds_states_and_signs(tmp_path):
    columns = {
        "time": ["t", "h:mm:ss"], "voltage": ["E", "V"], "current": ["I", "mA"],
        "state": ["State", STATES], "decimal": ",", "thousands": ".",
    }  # fmt: skip
    path = tmp_path / "logs.tsv"
    path.write_text(f"log\tpath\tmass_mg\tcolumns\na\ta.txt\t3\t{json.dumps(columns)}\n")
    row = read_table(path, LogRow).loc["a"]
    again = LogRow.model_validate_json(json.dumps(row.to_dict()))
    assert again.columns == row["columns"]
    assert again.columns["state"] == ("State", STATES)
    for wrong in ({"decimal": ";"}, {"tme": ["t", "h"]}, {"state": ["State", {"pause": ["P"]}]}):
        path.write_text(
            f"log\tpath\tmass_mg\tcolumns\na\ta.txt\t3\t{json.dumps(columns | wrong)}\n"
        )
        with pytest.raises(InputError, match=r"row 1\.columns"):
            read_table(path, LogRow)


# --- half cycles -----------------------------------------------------------------------------


@given(
    share=st.floats(2e-3, 9e-3), interval=st.floats(0.01, 60.0), data=st.data(),
    places=st.sets(st.integers(0, 7), min_size=0, max_size=4), numbered=st.booleans(),
)  # fmt: skip
@few
def test_stray_records_make_no_half_cycle_and_no_rest(
    tmp_path_factory, share, interval, data, places, numbered
):
    """Records of a small current of either sign, at any of the rests, one to four times."""
    rows, step = [], 0
    for cycle in range(2):
        for level in (0.0, 1.0, 0.0, -1.0):
            step += 1
            place = 4 * cycle + [0.0, 1.0, 0.0, -1.0].index(level)
            rows += [(600.0 if n else 0.0, level, step) for n in range(7)]
            if level == 0 and place in places:
                sign = data.draw(st.sampled_from([1, -1]))
                rows.insert(-3, (interval, sign * share, step))
    time = np.cumsum([row[0] for row in rows])
    current = np.array([row[1] for row in rows])
    steps = [row[2] for row in rows] if numbered else None
    strays = np.flatnonzero((current != 0) & (np.abs(current) < 0.5)) + 1
    log = read_log(write_bdf(tmp_path_factory.mktemp("log") / "log.csv", time, current, step=steps))
    assert half_cycle_charge(log) == pytest.approx([1, -1, 1, -1], abs=1e-3)
    assert log["cycle"].max() == 1
    said = " ".join(log.attrs["warnings"])
    assert [int(n) for n in re.findall(r"(\d+) \(\S+ mA", said)] == strays[:3].tolist()
    rest = (log["step_type"] == "rest").to_numpy()
    assert (np.diff(rest.astype(int)) == -1).sum() == 4


def write_mpt(path, names, rows):
    lines = ["EC-Lab ASCII FILE", "Nb header lines : 3", "\t".join(names)]
    path.write_text("\n".join([*lines, *("\t".join(map(str, row)) for row in rows)]) + "\n")
    return path


@given(
    spectra=st.integers(0, 4), points=st.integers(1, 12), counted=st.booleans(),
    amplitude=st.floats(0.01, 5.0),
)  # fmt: skip
@few
def test_impedance_between_charges_is_no_half_cycle(
    tmp_path_factory, spectra, points, counted, amplitude
):
    rows, time = [(3, 0, 0.0, 0.0, 0.0, 3.0, 0.0)], 0.0
    for number in range(spectra + 1):
        for _ in range(6):
            time += 600
            rows.append((1, 2 * number + 1, time, 0.1 / 6, 0.1, 3.4, 0.0))
        for n in range(points if number < spectra else 0):
            time += 6
            rows.append((2, 2 * number + 2, time, 0.0, amplitude * (-1) ** n, 3.4, 1e3 / 2**n))
    names = ["mode", "Ns", "time/s", "dq/mA.h", "I/mA", "Ewe/V", "freq/Hz"]
    if not counted:
        names.pop(3)
        rows = [(*row[:3], *row[4:]) for row in rows]
    log = read_log(write_mpt(tmp_path_factory.mktemp("log") / "log.mpt", names, rows))
    assert half_cycle_charge(log) == pytest.approx([0.1 * (spectra + 1)])
    assert np.isnan(capacity_difference(log)) != counted
    assert counted == (capacity_difference(log) < 1e-6)
    assert not log.attrs["warnings"]


@given(
    levels=st.lists(st.sampled_from([-0.2, 0.0, 0.1]), min_size=1, max_size=6),
    interval=st.floats(1.0, 600.0), mean=st.booleans(), switch=st.floats(1e-4, 0.1),
)  # fmt: skip
@few
def test_mean_and_point_currents_pass_the_same_charge(
    tmp_path_factory, levels, interval, mean, switch
):
    """A ramp within each step, from half of its level to all of it, recorded either way."""
    rows, time, charge = [("", 1, 0.0, 0.0)], 0.0, 0.0
    for step, level in enumerate(levels):
        time += switch
        rows.append(("", step, time, 0.5 * level))
        charge += 0.5 * level * switch
        for part in range(5):
            ends = 0.5 * level * (1 + np.array([part, part + 1]) / 5)
            time += interval
            charge += ends.mean() * interval
            rows.append(("", step, time, ends.mean() if mean else ends[1]))
    name = "<I>/mA" if mean else "I/mA"
    rows = [(row[1], row[2], row[3], 3.5) for row in rows]
    path = tmp_path_factory.mktemp("log") / "log.mpt"
    log = read_log(write_mpt(path, ["Ns", "time/s", name, "Ewe/V"], rows))
    assert log["capacity_mAh"].iloc[-1] == pytest.approx(charge / 3600, abs=1e-9)


# --- counters --------------------------------------------------------------------------------

COUNTED = f"{BDF},Charging Capacity / Ah,Discharging Capacity / Ah"


@given(
    factor=st.sampled_from([0.1, 10.0, 1e3, 1e-3, -1.0, 2.0]), current=st.floats(1e-3, 1e3),
    text=st.booleans(),
)  # fmt: skip
@few
def test_a_counter_that_says_something_else_is_refused(tmp_path_factory, factor, current, text):
    clock, volts, levels, _ = cell_log(current)
    gain = factor * levels * np.diff(clock, prepend=0.0) / 3600
    folder = tmp_path_factory.mktemp("log")
    if text:
        names = ["time/s", "Ewe/V", "I/mA", "dq/mA.h"]
        path = write_mpt(folder / "log.mpt", names, zip(clock, volts, levels, gain, strict=True))
    else:
        counters = [1e-3 * np.cumsum(np.maximum(sign * gain, 0)) for sign in (1, -1)]
        path = write_bdf(
            folder / "log.csv", clock, levels, volts=volts, header=COUNTED, extra=counters
        )
    with pytest.raises(InputError, match=r"half cycle \d: the instrument counts .* adds up to"):
        read_log(path)


def test_the_counter_is_the_charge_and_the_integral_its_check(tmp_path):
    """Records too far apart for a current that halves: the integral is wrong, the count is not."""
    rows = [(0, 3.0, 1.0, 0.0), (3600, 3.5, 1.0, 0.9), (7200, 4.0, 0.5, 0.7)]
    log = read_log(write_mpt(tmp_path / "a.mpt", ["time/s", "Ewe/V", "I/mA", "dq/mA.h"], rows))
    assert log["capacity_mAh"].tolist() == pytest.approx([0, 0.9, 1.6])
    assert log["integrated_capacity_mAh"].tolist() == pytest.approx([0, 1.0, 1.75])
    assert capacity_difference(log) == pytest.approx(0.15 / 1.75)


@pytest.mark.parametrize("name", ["Net Capacity / Ah", "net_capacity_ah"])
def test_net_capacity_of_a_bdf_log_is_a_counter(tmp_path, name):
    clock, volts, levels, _ = cell_log(1.0)
    net = 1e-3 * np.cumsum(levels * np.diff(clock, prepend=0.0)) / 3600
    header = BDF if "/" in name else "test_time_second,voltage_volt,current_ampere"
    path = write_bdf(
        tmp_path / "a.csv",
        clock,
        levels,
        volts=volts,
        header=f"{header},{name}",
        extra=[1.01 * net],
    )
    log = read_log(path)
    assert half_cycle_charge(log) == pytest.approx([1.01, -1.01])
    assert capacity_difference(log) == pytest.approx(0.01 / 1.01)


@given(charges=st.lists(st.floats(0.1, 5.0), min_size=2, max_size=8), late=st.booleans())
@few
def test_counters_that_start_again_at_each_step(tmp_path_factory, charges, late):
    """From zero at the step's first record (`late`), or at the end of the step before."""
    rows, time = [(0.0, 0.0, 0, 0.0, 0.0)], 0.0
    for step, charge in enumerate(charges, start=1):
        sign = 1 if step % 2 else -1
        for part in range(1, 5):
            time += 900.0
            counter = 1e-3 * charge * (part - late) / 4
            pair = (counter, 0.0) if sign > 0 else (0.0, counter)
            rows.append((time, sign * charge, step, *pair))
    time, current, step, *counters = zip(*rows, strict=True)
    header = f"{BDF},Charging Capacity / Ah,Discharging Capacity / Ah,Step Count / 1"
    path = write_bdf(
        tmp_path_factory.mktemp("log") / "log.csv", time, current, header=header,
        extra=[*counters, step],
    )  # fmt: skip
    log = read_log(path)
    signs = np.where(np.arange(len(charges)) % 2, -1, 1)
    assert half_cycle_charge(log) == pytest.approx((signs * charges).tolist())
    assert capacity_difference(log) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("column", range(3))
@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "NaN", ""])
def test_what_is_no_finite_number_is_a_sentence(tmp_path, column, value):
    cells = ["1", "3.5", "0.1"]
    cells[column] = value
    (tmp_path / "a.csv").write_text("\n".join([BDF, "0,3.4,0.1", ",".join(cells)]) + "\n")
    with pytest.raises(InputError, match=f"record 2: '{value}' is no number"):
        read_log(tmp_path / "a.csv")
