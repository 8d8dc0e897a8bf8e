"""Simulated confusion: of good and of bad patterns, of phases alike, and by the command line."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest
from examples import example_spots
from hypothesis import given
from hypothesis import strategies as st
from kinematic import CRYSTALS, NAMES, OPTICS
from projects import ROOT

from phasefront.confusion import fates, patterns, simulation
from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.core.threads import VARIABLE
from phasefront.diffraction import rotations
from phasefront.diffraction.candidates import CandidatePhases
from phasefront.diffraction.templates import simulate_templates
from phasefront.grains import segmentation
from phasefront.grains.lattices import lattices_of
from phasefront.layouts.confusion import CONFUSION
from phasefront.layouts.grains import GRAINS
from phasefront.layouts.phases import PHASES, UNDECIDED
from phasefront.layouts.spots import SPOTS
from phasefront.layouts.templates import TEMPLATES
from phasefront.orientations.indexing import find_orientations
from phasefront.phases import decisions
from phasefront.virtual.bloch_waves import BLOCH_WAVES, DATA_FILE

PARENTS = [np.eye(3).tolist(), [[1, 1, 0], [-1, 1, 0], [0, 0, 1]], np.eye(3).tolist()]
CANDIDATES = CandidatePhases(CRYSTALS, PARENTS, [3, 2, 1], parent_point_group="4/mmm")
SIDE = 6  # positions along each side of a grain


@pytest.fixture(scope="module")
def templates():
    return simulate_templates(CRYSTALS, resolution_deg=4.0, **OPTICS)


def bloch_scan(name, *, dose, sigma, seed, count=8):
    """SPOTS of a row of square grains of one phase, from Bloch waves; vacuum lies between them.

    Counts are Poisson's, places have an error of `sigma` (1/angstrom) that grows as spots fade.
    Lattice orientations and thicknesses depend on the seed alone.
    """
    table = netcdf.read(DATA_FILE, BLOCH_WAVES)
    usable = np.flatnonzero(table["phase"].values == name)
    usable = usable[table["grain"].values[usable].argsort()]
    chosen = np.random.default_rng(seed).choice(usable, count, replace=False)
    offset = table["offset"].values
    shape = (SIDE, count * (SIDE + 1))
    number, columns = np.zeros(shape, dtype=int), {}
    for grain, pattern in enumerate(chosen):
        rng = np.random.default_rng([seed, grain])
        own = slice(offset[pattern], offset[pattern + 1])
        q = np.stack([table["qx"].values[own], table["qy"].values[own]])
        intensity = table["intensity"].values[own, rng.integers(2, 8)]
        for y, x in np.ndindex(SIDE, SIDE):
            electrons = rng.poisson(dose * rng.lognormal(0, 0.2) * intensity)
            radius = np.hypot(*q)
            seen = (electrons > 45) & (radius > 0.1) & (radius < 1.15)
            spread = sigma * np.sqrt(500 / electrons[seen])
            found = q[:, seen] + np.minimum(spread, 0.005) * rng.standard_normal((2, seen.sum()))
            column = grain * (SIDE + 1) + x
            number[y, column] = seen.sum()
            columns[y * shape[1] + column] = np.vstack([found, electrons[seen]])
    qx, qy, counts = np.concatenate([columns[at] for at in sorted(columns)], axis=1)
    return example_spots(number, qx, qy, counts, scan="squares")


def analysed(spots, templates, candidates=CANDIDATES):
    oriented = find_orientations(spots, templates, candidates.crystals)
    phases = decisions.decide_phases(spots, oriented, templates, candidates)
    found = segmentation.find_grains(
        phases, candidates, misorientation_deg=5.0, min_positions=10, scan_step_nm=1.0
    )
    return spots, phases, found, templates, candidates


@pytest.fixture(scope="module")
def good(templates):
    return analysed(bloch_scan(NAMES[1], dose=3e5, sigma=0.001, seed=1), templates)


@pytest.fixture(scope="module")
def simulated(good):
    return simulation.simulate_confusion(*good, positions=150, seed=3)


def rates(found):
    """Shares (true phase, phase) decided, and (true phase,) undecided, over all grains."""
    whole = found.sum("grain")
    count = whole["simulated"].values
    return whole["decided"].values / count[:, None], whole["undecided"].values / count


@pytest.mark.slow
def test_good_patterns_of_each_phase_are_told_apart(good, simulated):
    CONFUSION.check(simulated, "confusion")
    decided, undecided = rates(simulated)
    assert (np.diag(decided) > 0.9).all()
    assert decided[~np.eye(3, dtype=bool)].max() < 0.02
    assert (undecided < 0.1).all()
    assert simulated.attrs == simulated.attrs | {"scan": "squares", "seed": 3}


def test_every_grain_gets_its_share_of_the_positions(good, simulated):
    count = simulated["simulated"].values
    # One grain's patterns are explained as well from 79 degrees away, and may fall apart.
    assert len(count) == good[2].sizes["grain"] >= 7
    assert (count == count[:, :1]).all()
    assert 140 <= count[:, 0].sum() <= 160
    assert count.min() >= 10
    ended = simulated["decided"].sum("phase") + simulated["undecided"]
    assert (ended <= simulated["simulated"] + 1e-6).all()


def test_few_electrons_confuse(templates, simulated):
    bad = analysed(bloch_scan(NAMES[1], dose=1.2e4, sigma=0.003, seed=1), templates)
    found = simulation.simulate_confusion(*bad, positions=150, seed=3)
    assert (rates(found)[1] - rates(simulated)[1]).mean() > 0.2


@pytest.mark.slow
@pytest.mark.parametrize(("dose", "sigma"), [(2.5e4, 0.002), (4e4, 0.0015)])
def test_rates_are_those_of_scans_of_each_phase(templates, dose, sigma):
    """The truth: the same grains, of each phase in turn, analysed like the scan simulated from."""
    scans = [
        analysed(bloch_scan(name, dose=dose, sigma=sigma, seed=9, count=16), templates)
        for name in NAMES
    ]
    truth = np.zeros((3, 2))
    for phase, (_, phases, found, *_) in enumerate(scans):
        own = (found["label"].values >= 0) & (phases["second_phase"].values < 0)
        share = np.nansum(phases["share"].values[own], axis=0) / own.sum()
        undecided = (phases["decision"].values[own] == UNDECIDED).mean()
        truth[phase] = share.sum() - share[phase], undecided
    of_scans = []
    for scan in scans:
        found = simulation.simulate_confusion(*scan, positions=600, seed=3)
        decided, undecided = rates(found)
        wrong = decided.sum(axis=1) - np.diag(decided)
        np.testing.assert_allclose(wrong.mean(), truth[:, 0].mean(), atol=0.015)
        of_scans.append(undecided.mean())
    # A grain that fails as a whole in the variant that was drawn is a third of what one scan of
    # sixteen tells; the three together tell it to within a factor of two.
    assert 0.5 < np.mean(of_scans) / truth[:, 1].mean() < 2


def test_phases_of_one_cell_and_nearly_one_structure_are_confused():
    sodium = CRYSTALS[0].atoms
    poorer = sodium.assign(occupancy=np.where(sodium.element == "Na", 0.8, 1.0) * sodium.occupancy)
    crystals = [CRYSTALS[0], dataclasses.replace(CRYSTALS[0], name="poorer", atoms=poorer)]
    templates = simulate_templates(crystals, resolution_deg=4.0, **OPTICS)
    axes = [np.eye(3).tolist()] * 2
    candidates = CandidatePhases(crystals, axes, parent_point_group="4/mmm")
    spots = bloch_scan(NAMES[0], dose=1e5, sigma=0.001, seed=2, count=5)
    scan = analysed(spots, templates, candidates)
    found = simulation.simulate_confusion(*scan, positions=100, seed=3)
    assert (rates(found)[1] > 0.5).all()
    certain = simulation.simulate_confusion(
        *scan, positions=100, seed=3, phase_settings={"decide_above": 0.5001}
    )
    wrong = 1 - np.diag(rates(certain)[0] / rates(certain)[0].sum(axis=1, keepdims=True))
    # Forced to decide, it errs often, but less often than by chance.
    assert 0.02 < wrong.mean() < 0.55


def test_phases_without_a_common_lattice_are_simulated_too(good):
    found = simulation.simulate_confusion(
        *good[:4], CandidatePhases(CRYSTALS), positions=60, seed=3
    )
    decided, _ = rates(found)
    assert (found["simulated"].values > 0).all()
    assert (np.diag(decided) > 0.75).all()


def test_threads_do_not_matter_and_the_seed_does(good, monkeypatch):
    def run(seed, threads):
        monkeypatch.setenv(VARIABLE, str(threads))
        return simulation.simulate_confusion(
            *good, positions=40, seed=seed,
            phase_settings={"decide_above": 1 - 1e-12},
        )  # fmt: skip

    first = run(3, 1)
    assert first.identical(run(3, 2))
    assert not first["decided"].equals(run(4, 1)["decided"])


def test_the_total_counts_of_a_position_are_the_scan_s(good):
    spots, phases, found, templates, _ = good
    scan = patterns.ScannedCrystals.of(
        spots, phases, found["label"].values.ravel(), templates, CRYSTALS, asked=1500
    )
    every = np.arange(len(scan.position))
    lattices = lattices_of(CANDIDATES)
    off = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        for phase in range(3):
            rotation = patterns.as_phase(
                scan, every, phase, lattices, found["rotation"].values, rng
            )
            crystal, _, counts, _ = patterns.simulated_patterns(scan, every, phase, rotation, rng)
            assert (np.diff(crystal) >= 0).all()
            total = np.bincount(crystal, counts, minlength=len(every))
            off.append(np.abs(np.log(total / scan.strength)))
            number = np.bincount(crystal, minlength=len(every)).mean()
            expected = spots["count"].values[spots["count"] > 0].mean()
            assert number == pytest.approx(expected, rel=0.25)
    # Not nearer: other counts make other spots fall below the limit. Each seed draws a variant for
    # each of seven grains; over many draws it is 0.2.
    assert (np.median(np.reshape(off, (8, 3, -1)), axis=(0, 2)) < 0.3).all()


def test_orientations_are_those_of_the_grain_up_to_a_variant(good):
    spots, phases, found, templates, _ = good
    scan = patterns.ScannedCrystals.of(
        spots, phases, found["label"].values.ravel(), templates, CRYSTALS, asked=1500
    )
    lattices = lattices_of(CANDIDATES)
    every, mean = np.arange(len(scan.position)), found["rotation"].values
    for phase in range(3):
        rotation = patterns.as_phase(
            scan, every, phase, lattices, mean, np.random.default_rng(phase)
        )
        lattice = lattices[phase]
        _, angle, _ = segmentation.nearest_either_way(
            rotations.multiply(lattice.to_lattice, rotation), mean[scan.grain], lattice.symmetry
        )
        assert angle.max() < 5
        # One variant a grain: positions of a grain stay near each other without any symmetry.
        for grain in range(len(mean)):
            own = rotation[scan.grain == grain]
            assert rotations.misorientation(own, own[:1], np.array([[1.0, 0, 0, 0]])).max() < 8


def test_errors_of_places_keep_their_variance():
    from phasefront.diffraction.likelihood import Assignment, Refined
    from phasefront.diffraction.reflections import ReflectionTable
    from phasefront.diffraction.spot_lists import Spots

    rng = np.random.default_rng(5)
    number, each = 2000, 8
    g = rng.uniform(-1, 1, (3, number * each))
    g[2] = 0
    found = Assignment(
        np.repeat(np.arange(number), each), np.arange(g.shape[1]), np.arange(g.shape[1])
    )
    rotation = np.tile([1.0, 0, 0, 0], (number, 1))
    nothing = np.zeros(number)
    refined = Refined(rotation, nothing + 1, np.zeros((number, 2)), *[nothing] * 4)
    bend = np.eye(2) + rng.normal(0, 0.01, (number, 2, 2))
    q = np.einsum("nij,nj->ni", bend[found.candidate], g[:2].T) + 0.003
    q += 0.002 * rng.standard_normal(q.shape)
    arrays = Spots(np.arange(number + 1) * each, *q.T, np.ones(len(q)))
    table = ReflectionTable(np.array([0, g.shape[1]]), np.vstack([g, g[:2]]))
    error = fates.errors_of_places(arrays, found, refined, table)
    assert np.std(error, axis=0) == pytest.approx([0.002, 0.002], rel=0.03)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.8])
def test_share_in_common_is_the_intraclass_correlation(share):
    rng = np.random.default_rng(6)
    unit = np.repeat(np.arange(600), 8)
    level = np.sqrt(share) * rng.standard_normal(600)[unit]
    level += np.sqrt(1 - share) * rng.standard_normal(len(unit))
    assert fates.common_share(unit, np.exp(0.4 * level)) == pytest.approx(share, abs=0.05)


def test_share_in_common_of_too_little_is_none():
    assert fates.common_share(np.arange(50), np.ones(50)) == 0
    assert fates.common_share(np.zeros(0, dtype=int), np.zeros(0)) == 0


def test_fates_come_as_often_as_they_did():
    rng = np.random.default_rng(7)
    expected = np.exp(rng.uniform(0, 6, 20000))
    found = rng.random(20000) < expected / (expected + 50)
    ratio = np.where(found, rng.lognormal(0, 0.4, 20000), 0)
    radius, strength = rng.uniform(0.1, 1.1, 20000), rng.lognormal(8, 0.5, 20000)
    made = fates.Fates(
        expected, radius, strength, ratio, np.zeros((20000, 2)), np.zeros(20000), 0.0
    )
    wanted = np.full(5000, 50.0)
    near = rng.uniform(0.1, 1.1, 5000), rng.lognormal(8, 0.5, 5000)
    quantile = rng.random(5000)
    drawn = made.draw(wanted, *near, quantile)
    assert (ratio[drawn] > 0).mean() == pytest.approx(0.5, abs=0.08)
    assert np.abs(np.log(expected[drawn] / 50)).max() < 0.5
    low, high = (made.draw(wanted, *near, np.full(5000, q)) for q in (0.1, 0.95))
    assert (ratio[low] == 0).all()
    assert (ratio[high] > 1).all()


@given(grain=st.lists(st.integers(0, 9), min_size=1, max_size=300), most=st.integers(1, 400))
def test_chosen_positions_are_spread_over_the_grains(grain, most):
    grain = np.sort(grain)
    chosen = patterns.spread(grain, most)
    assert (np.diff(chosen) > 0).all()
    assert set(grain[chosen]) == set(grain)
    share = np.bincount(grain[chosen], minlength=10) - most * np.bincount(grain, minlength=10) / (
        len(grain)
    )
    assert len(chosen) == len(grain) if len(grain) <= most else (np.abs(share) <= 1).all()
    several = np.bincount(grain[patterns.spread(grain, most, 5)], minlength=10)
    enough = several >= np.minimum(5, np.bincount(grain, minlength=10))
    assert enough.all() or ((enough | (several == 0)).all() and several.sum() <= most + 10)


def test_of_a_large_scan_some_crystals_show_what_becomes_of_reflections(good, monkeypatch):
    spots, phases, found, templates, _ = good

    def read():
        label = found["label"].values.ravel()
        return patterns.ScannedCrystals.of(spots, phases, label, templates, CRYSTALS, asked=40)

    whole = read()
    monkeypatch.setattr(patterns, "_SHOWN", 80)
    some = read()
    assert 80 <= len(some.position) < 0.6 * len(whole.position)
    np.testing.assert_array_equal(some.position[some.asked], whole.position[whole.asked])
    assert some.fates.common == pytest.approx(whole.fates.common, abs=0.1)
    missed = [(one.fates.ratio == 0).mean() for one in (some, whole)]
    assert missed[0] == pytest.approx(missed[1], abs=0.05)


def test_a_scan_without_grains_has_none(good):
    spots, phases, _, templates, candidates = good
    none = segmentation.find_grains(
        phases, candidates, misorientation_deg=5.0, min_positions=10**6, scan_step_nm=1.0
    )
    found = simulation.simulate_confusion(spots, phases, none, templates, candidates, seed=1)
    assert found["decided"].shape == (0, 3, 3)
    CONFUSION.check(found, "none")


def test_bad_input_is_refused(good):
    spots, phases, found, templates, candidates = good
    other = CandidatePhases(CRYSTALS[::-1])
    with pytest.raises(InputError, match="do not fit the phases"):
        simulation.simulate_confusion(
            spots, phases, found.isel(y=slice(2)), templates, candidates, seed=1
        )
    with pytest.raises(InputError, match="its phases are"):
        simulation.simulate_confusion(spots, phases, found, templates, other, seed=1)


def test_the_script_does_the_same(good, tmp_path):
    spots, phases, found, templates, _ = good
    files = {
        "spots": (spots, SPOTS), "phases": (phases, PHASES),
        "grains": (found, GRAINS), "templates": (templates, TEMPLATES),
    }  # fmt: skip
    command = [sys.executable, str(ROOT / "scripts/simulate_confusion.py")]
    for name, (dataset, layout) in files.items():
        netcdf.write(dataset, tmp_path / f"{name}.nc", layout)
        command += [f"--{name}", str(tmp_path / f"{name}.nc")]
    lattice = json.dumps({"axes": PARENTS, "point_group": "4/mmm"})
    command += ["--names", json.dumps(NAMES), "--ion-contents", "[3, 2, 1]"]
    command += ["--shared-lattice", lattice]
    command += ["--cifs", *(crystal.path for crystal in CRYSTALS), "--orientations", "{}"]
    command += ["--decisions", "{}", "--position-sigma"]
    command += ["0.005", "--positions", "40", "--seed", "3"]
    command += ["--confusion", str(tmp_path / "confusion.nc")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    written = netcdf.read(tmp_path / "confusion.nc", CONFUSION)
    expected = simulation.simulate_confusion(*good, positions=40, seed=3)
    np.testing.assert_array_equal(written["decided"], expected["decided"])
    (tmp_path / "spots.nc").unlink()
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "spots.nc" in done.stderr
