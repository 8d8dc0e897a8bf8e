"""The study of wrong assumptions: what it makes wrong, what it counts, its figure."""

import sys

import numpy as np
import pytest
from projects import ROOT

from phasefront.core import netcdf
from phasefront.diffraction.crystals import read_crystal
from phasefront.layouts.phases import MIXED, UNDECIDED, VACUUM
from phasefront.report.figures.style import save
from phasefront.virtual import bloch_waves

sys.path.insert(0, str(ROOT))

from benchmarks import assumptions, assumptions_figure
from benchmarks.assumptions import Assumed, Case, Film, Outcome

WEIGHT = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0.8, 0.2], [0, 0.5, 0.5], [0, 0, 0]])
OVERLAP = np.array([False, False, False, False, False, False])
DECISION = np.array([0, 1, 1, UNDECIDED, MIXED, VACUUM])


def outcome(**changes):
    """Six positions: a right and a wrong Na3, a right and an undecided Na2, mixed, vacuum."""
    one_of = np.eye(3)
    share = np.array([*one_of[[0, 1, 1]], [np.nan] * 3, [0, 0.5, 0.5], [np.nan] * 3])
    posterior = np.array([*one_of[[0, 1, 1]], [0, 0.6, 0.4], [0, 0.5, 0.5], [np.nan] * 3])
    number = np.arange(6.0)
    fields = {
        "weight": WEIGHT, "overlap": OVERLAP, "decision": DECISION, "share": share,
        "posterior": posterior, "angle": number, "explained": number, "misfit": number,
        "evidence": number, "scale_error": -0.01, "position_sigma": 0.003,
    }  # fmt: skip
    return Outcome(**fields | changes)


def test_shares_are_those_of_clear_positions():
    found = assumptions.summarise([outcome()])
    assert found["positions"] == 4
    assert (found["right"], found["wrong"]) == (0.5, 0.25)
    assert (found["undecided"], found["mixed"], found["vacuum"]) == (0.25, 0, 0)
    assert found["accuracy_decided"] == pytest.approx(2 / 3)
    assert found["right_others"] is None
    assert found["posterior_true"] == pytest.approx((1 + 0 + 1 + 0.6) / 4)
    assert found["orientation_error_deg"] == 2  # of positions 0, 2 and 3
    assert found["explained"] == found["cell_misfit"] == 1.5
    assert found["scale_error"] == -0.01


def test_overlaps_are_left_out():
    overlap = np.array([False, True, False, False, False, False])
    assert assumptions.summarise([outcome(overlap=overlap)])["wrong"] == 0


def test_a_missing_phase_is_judged_where_it_is():
    found = assumptions.summarise([outcome()], missing="Na2")
    assert found["positions"] == 2
    assert found["right_others"] == 0.5
    assert found["undecided"] == 0.5


def test_scans_are_pooled_and_the_worst_scale_is_told():
    found = assumptions.summarise([outcome(), outcome(scale_error=0.02)])
    assert found["positions"] == 8
    assert found["scale_error"] == 0.02


def test_fractions_of_what_is_decided_against_all_crystal():
    true = WEIGHT[:5].mean(axis=0)
    share = np.array([1, 2.5, 0.5]) / 4
    assert assumptions.fraction_error(outcome()) == pytest.approx(np.abs(share - true).max())
    assert assumptions.fraction_error(outcome(share=np.full((6, 3), np.nan))) == 1


def test_a_cell_is_stretched_at_its_volume(tmp_path):
    source = assumptions.STRUCTURES / "Na2V2PO42F3.cif"
    wrong = tmp_path / source.name
    wrong.write_text(assumptions.stretched(source.read_text(), 0.003))
    right, changed = read_crystal(source), read_crystal(wrong)
    assert changed.volume == pytest.approx(right.volume, rel=1e-5)
    ratio = (changed.cell[2] / changed.cell[0]) / (right.cell[2] / right.cell[0])
    assert ratio == pytest.approx(1.003, rel=1e-5)
    assert changed.space_group.hm == right.space_group.hm


def test_blocks_are_turned_by_the_rms_and_keep_their_light():
    table = netcdf.read(bloch_waves.DATA_FILE, bloch_waves.BLOCH_WAVES)
    blocks = assumptions.turned(table, 2.0, copies=5)
    bloch_waves.BLOCH_WAVES.check(blocks, "blocks")
    assert blocks.sizes["spot"] == 5 * table.sizes["spot"]
    whole, parts = (
        np.add.reduceat(data["intensity"].values, data["offset"].values[:-1])
        for data in (table, blocks)
    )
    np.testing.assert_allclose(parts, whole, rtol=1e-4)
    q, turned = (
        np.stack([data["qx"].values, data["qy"].values], axis=-1).astype(float) @ [1, 1j]
        for data in (table, blocks)
    )
    angle = np.degrees(np.angle(turned.reshape(-1, 5) / q[:, None]))
    assert np.sqrt(np.mean(angle**2)) == pytest.approx(2, rel=1e-3)
    assert np.mean(angle) == pytest.approx(0, abs=1e-3)


def test_blocks_of_a_mosaic_are_tilted_by_the_rms_about_their_mean():
    tilts = bloch_waves.mosaic(4, 7, 2.0, seed=1)
    vectors = np.degrees([own.as_rotvec() for own in tilts])
    np.testing.assert_allclose(vectors.mean(axis=1), 0, atol=1e-9)
    np.testing.assert_allclose(np.sqrt((vectors[..., :2] ** 2).mean(axis=1)), 2)
    np.testing.assert_allclose(vectors[..., 2], 0, atol=1e-12)
    assert bloch_waves.mosaic(4, 1, 2.0, seed=1)[0].magnitude() == 0


def test_the_figure_repeats(tmp_path):
    numbers = assumptions.summarise([outcome()])
    result = {"cases": {"a": numbers, "b": numbers}, "missing": {"c": numbers}}
    for name in ("first.png", "again.png"):
        save(assumptions_figure.draw(result), tmp_path / name)
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "again.png").read_bytes()


@pytest.mark.slow
def test_a_small_study():
    film = (Film(2.5, 71099),)
    cases = [Case("right", Assumed(), film), Case("round", Assumed(round_rings=True), film)]
    missing = [Case("no Na3", Assumed(("Na2", "Na1")), film)]
    found = assumptions.measure(cases, missing, shape=(12, 12), grains=3, report=lambda line: None)
    assert found["cases"]["right"]["accuracy_decided"] > 0.9
    assert abs(found["cases"]["right"]["scale_error"]) < 0.003
    assert found["missing"]["no Na3"]["right"] == 0
    assert (
        found["missing"]["no Na3"]["evidence_per_spot"]
        < (found["cases"]["right"]["evidence_per_spot"])
    )
