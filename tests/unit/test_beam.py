"""Beam, masks and decisions on virtual scans seen past a stop, with bad pixels, in a liquid."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from projects import ROOT

from phasefront.calibration import beam, friedel, geometry, indexed_fit
from phasefront.calibration.affine import AffineFit
from phasefront.core.errors import InputError
from phasefront.scans import files
from phasefront.virtual import camera, specimen
from phasefront.virtual.conditions import Conditions, Stop
from phasefront.virtual.particles import VirtualPhase

sys.path.insert(0, str(ROOT))

from benchmarks import assumptions

SCALE = 0.0175
STOPS = {
    "arm": Stop(72, 70, radius=9, arm_width=7, arm_deg=200),
    "disk": Stop(73, 71, radius=12),
    "bar": Stop(70, 73, radius=11, arm_width=22, arm_deg=90),
    "thin": Stop(71, 72, radius=9, arm_width=6, arm_deg=45, through=0.01),
}
BESIDE = Stop(64, 88, radius=8, arm_width=8, arm_deg=-30)


def film(folder, *, seed=5101, ion_content=2.0, grains=5, **recorded):
    """A small virtual scan, opened, and its truth."""
    structures = ROOT / "config" / "structures"
    phases = [
        VirtualPhase.of_cif("Na3", structures / "Na3V2PO42F3.cif", 3),
        VirtualPhase.of_cif("Na1", structures / "NaV2PO42F3.cif", 1),
    ]
    grown = specimen.make_specimen(
        scan="virtual", material="nvpf", phases=phases, ion_content=ion_content,
        insertion_model="all-or-none", seed=seed, shape=(14, 14), grains=grains,
    )  # fmt: skip
    path = folder / "scan.blo"
    settings = {"scale_nominal": SCALE, "scale_error": 0.0} | recorded
    truth = camera.simulate_scan(path, grown, **settings)
    return files.open_scan(path), truth


def centre_errors(found, truth):
    """Distances (y, x) of the centres from the true ones, pixels."""
    return np.hypot(*(found[name] - truth[name] for name in ("centre_y", "centre_x")))


@pytest.mark.parametrize(
    ("kind", "descan_px"),
    [("arm", 0.5), ("arm", 4.0), ("disk", 4.0), ("bar", 0.5), ("thin", 0.5), ("thin", 4.0)],
)
def test_a_hidden_beam_is_where_pairs_of_spots_have_their_middle(tmp_path, kind, descan_px):
    scan, truth = film(tmp_path, conditions=Conditions(stop=STOPS[kind]), descan_px=descan_px)
    found = geometry.calibrate_centres(scan, name="stop", scale_nominal=SCALE)
    error = float(np.sqrt(np.mean(centre_errors(found, truth) ** 2)))
    assert error < 0.1
    assert error < 4 * np.sqrt(2) * float(found["centre_stderr"])
    assert found.attrs["centre_from"].startswith("Friedel pairs")
    shadow = STOPS[kind].transmission((144, 144)) < 0.5
    y, x = np.indices(shadow.shape)
    near = np.hypot(y - 72, x - 72) < 45
    beyond = near & (np.hypot(y - 72, x - 72) > float(found["beam_radius"]))
    assert found["mask"].values[shadow & beyond].sum() <= 0.2 * (shadow & beyond).sum()
    assert found["mask"].values[~shadow & near].mean() > 0.85


@pytest.mark.parametrize(
    "conditions", [Conditions(), Conditions(stop=BESIDE), Conditions(liquid=5)]
)
def test_a_beam_that_is_seen_is_measured_itself(tmp_path, conditions):
    scan, truth = film(tmp_path, conditions=conditions)
    found = geometry.calibrate_centres(scan, name="seen", scale_nominal=SCALE)
    assert found.attrs["centre_from"] == "direct beam"
    assert centre_errors(found, truth).max() < 0.05
    shadow = (
        conditions.stop.transmission((144, 144)) < 0.5 if conditions.stop else np.zeros((144, 144))
    ).astype(bool)
    assert found["mask"].values[shadow].sum() <= 0.1 * shadow.sum()
    assert found["mask"].values[~shadow].mean() > 0.97


@pytest.mark.parametrize("grains", [2, 3])
def test_space_between_the_spots_of_few_grains_is_no_shadow(tmp_path, grains):
    for seed in (5111, 5112):
        scan, _ = film(tmp_path, seed=seed, grains=grains)
        found = geometry.calibrate_centres(scan, name="few", scale_nominal=SCALE)
        assert found["mask"].values.all()


def test_hot_and_dead_pixels_of_a_scan_are_masked(tmp_path):
    conditions = Conditions(hot=0.002, dead=0.002, seed=4)
    scan, truth = film(tmp_path, conditions=conditions)
    found = geometry.calibrate_centres(scan, name="bad", scale_nominal=SCALE)
    spoilt = conditions.spoil(np.full((144, 144), 100), 255) != 100
    y, x = np.indices(spoilt.shape)
    away = np.hypot(y - 72, x - 72) > 12
    mask = found["mask"].values.astype(bool)
    assert mask[spoilt & away].mean() < 0.05
    assert mask[~spoilt].all()
    assert centre_errors(found, truth).max() < 0.1


@pytest.mark.parametrize("level", [0.0, 60.0, 2000.0])
def test_pixels_that_are_a_little_hot_are_masked_and_spots_of_one_crystal_are_not(level):
    rng = np.random.default_rng(2)
    y, x = np.indices((96, 96))
    spots = sum(
        height * np.exp(-0.5 * ((y - row) ** 2 + (x - column) ** 2) / 0.7**2)
        for row, column, height in ((20, 30, 500), (60.5, 70.5, 900), (75.3, 22, 3000))
    )
    pattern = level + spots + rng.normal(0, 1, y.shape)
    hot = [(10, 80), (50, 12), (88, 60)]
    for at, more in zip(hot, (60, 150, 4000), strict=True):
        pattern[at] += more
    mask = beam.usable_pixels(pattern, (48, 48))
    assert sorted(map(tuple, np.argwhere(~mask))) == hot


def test_a_hidden_beam_without_pairs_of_spots_is_refused(tmp_path):
    # Half of the camera lies in the stop's shadow: no spot has its partner on it.
    stop = Stop(72, 75, radius=12, arm_width=400, arm_deg=0)
    scan, _ = film(tmp_path, conditions=Conditions(stop=stop))
    with pytest.raises(InputError, match="beam centre: the direct beam is hidden, and only"):
        geometry.calibrate_centres(scan, name="half", scale_nominal=SCALE)


def test_pairs_of_spots_that_disagree_are_refused(tmp_path):
    # A bar takes half of the pairs of five grains, and the beam wanders beyond half a lattice.
    scan, _ = film(tmp_path, conditions=Conditions(stop=STOPS["bar"]), descan_px=4.0)
    with pytest.raises(InputError, match="beam centre: the direct beam is hidden, and pairs of"):
        geometry.calibrate_centres(scan, name="bar", scale_nominal=SCALE)


def test_three_pairs_around_one_centre_are_needed():
    rng = np.random.default_rng(3)
    centre = np.array([50.0, 60.0])
    one_side = np.array([[12.0, 5.0], [-9.0, 14.0], [20.0, -16.0], [3.0, 30.0]])
    both = np.concatenate([centre + one_side, centre - one_side])
    strength = np.tile([100.0, 300.0, 50.0, 800.0], 2)
    start = centre + np.array([0.8, -0.6])
    noisy = both + rng.normal(0, 0.05, both.shape)
    found = friedel.centre_of_pairs(noisy, strength, start, 3.0, 3.0)
    np.testing.assert_allclose(found, centre, atol=0.08)
    assert np.isnan(friedel.centre_of_pairs(noisy[:6], strength[:6], start, 3.0, 3.0)).all()
    anywhere = rng.uniform(0, 100, (8, 2))
    assert np.isnan(friedel.centre_of_pairs(anywhere, strength, start, 3.0, 3.0)).all()


def test_symmetry_finds_a_centre_off_the_middle_of_cameras_of_any_shape():
    for shape, centre in (((128, 128), (52.0, 70.0)), ((300, 260), (160.0, 118.0))):
        y, x = np.indices(shape)
        radius = np.hypot(y - centre[0], x - centre[1])
        pattern = 100 * (1 + (radius / 6) ** 2) ** -0.6 + 0.02 * y  # with glare to one side
        pattern[(np.abs(y - centre[0]) < 7) & (x < centre[1] + 6)] *= 0.01
        found = friedel.inversion_centre(pattern)[:2]
        assert np.hypot(*np.subtract(found, centre)) < 3 * max(1, min(shape) // 128)
        assert beam.find_beam(pattern).hidden


def fit_of(sigma, angle_deg):
    q = 0.5 * np.stack([np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))], axis=1)
    fields = dict.fromkeys(AffineFit.__dataclass_fields__)
    return AffineFit(**fields | {"sigma": sigma, "q": q, "residual": np.zeros_like(q)})


def test_a_fit_of_spots_on_one_side_is_refused():
    around = np.linspace(0, 359, 200)
    indexed_fit.require_sense(fit_of(0.003, around), "right")
    indexed_fit.require_sense(fit_of(0.003, np.linspace(-130, 130, 200)), "three quarters")
    with pytest.raises(InputError, match="one side of the beam"):
        indexed_fit.require_sense(fit_of(0.003, np.linspace(-80, 85, 200)), "quadrant")


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"conditions": Conditions(stop=STOPS["arm"]), "grains": 8},
        {"conditions": Conditions(stop=STOPS["bar"], hot=0.001, dead=0.001)},
        {"conditions": Conditions(stop=BESIDE, liquid=1)},
        {"conditions": Conditions(liquid=5)},
        {"grains": 2},
    ],
)  # fmt: skip
def test_what_is_decided_is_right_and_vacuum_is_where_it_is(tmp_path, changes):
    film = replace(assumptions.Film(2.5, 71098), **changes)
    study = assumptions.Study(tmp_path, shape=(16, 16), grains=4)
    found = assumptions.summarise([study.analyse(film, assumptions.Assumed())])
    assert found["accuracy_decided"] >= 0.99
    assert found["undecided"] < 0.1
    # Under a liquid, whose ring moves with the beam, some of it is unindexed.
    assert found["vacuum_found"] > (0.2 if film.conditions.liquid else 0.97)
    assert found["vacuum_false"] == 0
