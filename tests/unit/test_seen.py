"""What a scan would find of known columns: errors as stated, of positions, of grains, of mixed."""

import dataclasses

import numpy as np
import pytest
from projects import ROOT
from scipy.spatial.transform import Rotation

from phasefront.diffraction.candidates import CandidatePhases
from phasefront.layouts.phases import MIXED, PHASES, UNDECIDED, VACUUM
from phasefront.virtual.insertion import seen

STRUCTURES = ROOT / "config" / "structures"
CLEAR = seen.Doubt(content=0.05, grain=0.0, mixed=0.0, wrong=0.0, sharpness=20.0)
# Grains of 30 x 30 positions, side by side, of one share each; the last column is vacuum.
SHARES = [0.0, 1.0, 0.5, 1.0, 0.0]
LABEL = np.repeat([0, 1, 2, 3, 4], 30)[None].repeat(30, axis=0)
LABEL[:, -1] = -1
RICH = np.append(SHARES, 0.0)[LABEL]


@pytest.fixture(scope="module")
def candidates():
    axes = np.eye(3).tolist()
    return CandidatePhases.read(
        [STRUCTURES / "LiFePO4.cif", STRUCTURES / "FePO4.cif"], ["LFP", "FP"],
        ion_contents=[1.0, 0.0], parent_axes=[axes, axes], parent_point_group="mmm",
    )  # fmt: skip


def look(candidates, seed=1, pair=(0, 1), **changed):
    found = seen.see(
        RICH, LABEL, Rotation.random(5, random_state=2).as_quat(scalar_first=True), candidates,
        pair=pair, doubt=dataclasses.replace(CLEAR, **changed), rng=np.random.default_rng(seed),
    )  # fmt: skip
    PHASES.check(found, "made")
    return found


def test_ion_contents_err_as_they_state(candidates):
    found = look(candidates)
    crystal = LABEL >= 0
    off = (found["ion_content"].values - RICH) / found["ion_content_stderr"].values
    assert np.array_equal(np.isfinite(off), crystal)
    assert off[crystal].mean() == pytest.approx(0.0, abs=0.05)
    assert off[crystal].std() == pytest.approx(1.0, abs=0.05)


def test_pure_columns_are_decided_and_those_of_half_each_are_not(candidates):
    decision = look(candidates)["decision"].values
    assert (decision[RICH == 1.0] == 0).mean() > 0.99
    assert (decision[(RICH == 0.0) & (LABEL >= 0)] == 1).mean() > 0.99
    assert np.isin(decision[RICH == 0.5], (MIXED, UNDECIDED)).mean() > 0.8
    assert (decision[LABEL < 0] == VACUUM).all()


def test_the_pair_may_stand_in_any_order(candidates):
    decision = look(candidates, pair=(1, 0))["decision"].values
    assert (decision[RICH == 1.0] == 1).mean() > 0.99


def test_a_scan_may_measure_no_ion_content(candidates):
    found = look(candidates, content=np.inf)
    assert found["ion_content"].isnull().all()
    assert found["posterior"].notnull().all("phase").values[LABEL >= 0].all()


@pytest.mark.parametrize("wrong", [0.0, 0.05])
def test_so_many_positions_say_anything(candidates, wrong):
    found = look(candidates, wrong=wrong)
    off = np.abs(found["ion_content"].values - RICH)[(RICH != 0.5) & (LABEL >= 0)]
    # Two thirds of a wrong share lie further off than that, hardly any of a right one.
    assert np.mean(off > 1 / 3) == pytest.approx(wrong * 2 / 3, abs=0.012)


def test_a_grain_errs_as_a_whole_and_a_mixed_column_by_itself(candidates):
    def means(**changed):
        found = look(candidates, **changed)["ion_content"].values - RICH
        return [found[grain == LABEL].mean() for grain in range(5)]

    assert np.abs(means()).max() < 0.01
    assert np.std(means(grain=0.06)) > 0.02
    spread = [
        look(candidates, mixed=mixed)["ion_content"].values[RICH == 0.5].std()
        for mixed in (0.0, 0.15)
    ]
    assert spread[1] > 2 * spread[0]


def test_what_is_drawn_is_wider_than_what_rendered_scans_show():
    drawn = [seen.Doubt.draw(np.random.default_rng(seed)) for seed in range(200)]
    measured = [one.content for one in drawn if np.isfinite(one.content)]
    assert min(measured) < 0.05 < 0.1 < max(measured)
    assert 0.1 < np.mean([np.isinf(one.content) for one in drawn]) < 0.4
    assert max(one.grain for one in drawn) > 0.05
    assert max(one.mixed for one in drawn) > 0.13
    assert min(one.sharpness for one in drawn) < 5 < 16 < max(one.sharpness for one in drawn)
