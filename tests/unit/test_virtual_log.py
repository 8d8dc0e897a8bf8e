"""The virtual galvanostatic log: genuine to readers, true to its own truth."""

import numpy as np
import pandas as pd
import pytest

from phasefront.core.errors import InputError
from phasefront.cycling.analysis import analyse_log
from phasefront.cycling.ion_content import FARADAY_MAH_MOL
from phasefront.cycling.logs import capacity_difference, read_log
from phasefront.virtual.log import open_circuit_voltage, simulate_log

STATES = {"x30": 3.0, "x25": 2.5, "x20": 2.0, "x15": 1.5, "x10": 1.0}
AT_RESTS = [{"state": name, "rest": number} for number, name in enumerate(STATES)]
DECLARED = {
    "mass_mg": 5.0,
    "irreversible_mAh_g": 5.0,
    "irreversible_error_mAh_g": 1.0,
    "mass_error_mg": 0.05,
    "formula_mass": 417.79,
}


def test_a_stranger_reads_it_with_pandas_as_the_genuine_export(tmp_path, shared_data):
    simulate_log(tmp_path / "charge.mpt", states=STATES, seed=1)
    tables = []
    for path in (tmp_path / "charge.mpt", shared_data("cycling/eclab_gcpl.mpt")):
        lines = path.read_text(encoding="latin-1").splitlines()
        assert lines[0] == "EC-Lab ASCII FILE"
        header = int(lines[1].removeprefix("Nb header lines : "))
        tables.append(
            pd.read_csv(path, sep="\t", skiprows=header - 1, encoding="latin-1", decimal=",")
        )
    ours, genuine = tables
    assert set(ours.columns[:-1]) <= set(genuine.columns)
    assert (ours.dtypes == genuine.dtypes[ours.columns[:-1]].reindex(ours.columns)).iloc[:-2].all()


def test_header_declares_the_mass_not_the_true_one(tmp_path):
    simulate_log(tmp_path / "charge.mpt", states=STATES, seed=1, mass_mg=4.2)
    text = (tmp_path / "charge.mpt").read_text(encoding="latin-1")
    assert "Mass of active material : 4,200 mg" in text


def test_log_reads_back_and_truth_lies_at_the_end_of_each_rest(tmp_path):
    truth = simulate_log(tmp_path / "charge.mpt", states=STATES, seed=1)
    log = read_log(tmp_path / "charge.mpt")
    assert (log["half_cycle"] == 0).all()
    assert log["step"].max() == 8
    assert capacity_difference(log) < 1e-4
    passed = np.interp(truth["time_s"], log["time_s"], log["capacity_mAh"]) / 5e-3
    np.testing.assert_allclose(passed, truth["capacity_mAh_g"], atol=0.02)
    at_rest = np.interp(truth["time_s"], log["time_s"], log["current_mA"])
    assert (at_rest == 0).all()


def test_without_errors_the_charge_is_exactly_faraday(tmp_path):
    truth = simulate_log(
        tmp_path / "charge.mpt",
        states=STATES,
        seed=1,
        mass_error_mg=0.0,
        irreversible_mAh_g=0.0,
        irreversible_error_mAh_g=0.0,
    )
    expected = (3 - truth["ion_content"]) * FARADAY_MAH_MOL / 417.79
    np.testing.assert_allclose(truth["capacity_mAh_g"], expected, rtol=1e-12)
    assert truth["capacity_mAh_g"].iloc[-1] == pytest.approx(2 * 64.15, abs=0.01)


def test_analysis_covers_the_truth_in_nineteen_logs_of_twenty(tmp_path):
    inside = []
    for seed in range(60):
        path = tmp_path / "charge.mpt"
        truth = simulate_log(path, states=STATES, seed=seed, interval_s=3600.0, rest_h=1.0)
        found = analyse_log(
            read_log(path), name="virtual", states=AT_RESTS, initial_content=3.0, **DECLARED
        )
        np.testing.assert_allclose(found["state_time"], truth["time_s"])
        inside.append(
            (found["state_ion_content_low"].to_numpy() <= truth["ion_content"])
            & (truth["ion_content"] <= found["state_ion_content_high"].to_numpy())
        )
    covered = np.mean(inside, axis=0)
    assert (covered >= 0.9).all()
    assert covered[-1] < 1.0  # an interval that always covers says too little


def test_voltage_shows_two_plateaus(tmp_path):
    simulate_log(tmp_path / "charge.mpt", states=STATES, seed=2)
    log = read_log(tmp_path / "charge.mpt")
    charging = log[log["current_mA"] > 0]
    first, second = charging[charging["step"] <= 3], charging[charging["step"] >= 5]
    assert first["voltage_V"].median() == pytest.approx(3.71, abs=0.03)
    assert second["voltage_V"].median() == pytest.approx(4.19, abs=0.03)


def test_open_circuit_curve_follows_the_literature_on_its_plateaus(shared_data):
    measured = pd.read_csv(shared_data("cycling/nvpf_ocp_chayambuka2022.csv")).to_numpy()
    content = 3 - 2 * (1 - measured[:, 0]) / 0.79
    plateau = ((content > 2.1) & (content < 2.9)) | ((content > 1.1) & (content < 1.85))
    difference = open_circuit_voltage(content[plateau]) - measured[plateau, 1]
    assert np.abs(difference).max() < 0.015
    assert (np.diff(open_circuit_voltage(np.linspace(3, 1, 500))) > 0).all()


def test_same_seed_same_bytes_other_seed_other_cell(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        simulate_log(tmp_path / name, states=STATES, seed=seed)
    a, b, c = ((tmp_path / name).read_bytes() for name in "abc")
    assert a == b
    assert a != c


@pytest.mark.parametrize("contents", [[3.0], [2.0, 2.5], [3.2, 2.0], [3.0, 0.5]])
def test_states_that_are_no_charge_are_refused(tmp_path, contents):
    states = {f"s{n}": value for n, value in enumerate(contents)}
    with pytest.raises(InputError, match="states: a charge cannot pass"):
        simulate_log(tmp_path / "charge.mpt", states=states, seed=1)
