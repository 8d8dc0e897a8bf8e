"""Decisions on dynamical (Bloch-wave) patterns: right, calibrated, and undecided where unsure."""

import numpy as np
import pytest
import xarray as xr
from examples import example_spots
from projects import ROOT
from scipy.spatial.transform import Rotation

from phasefront.calibration import geometry
from phasefront.core import netcdf
from phasefront.diffraction.candidates import CandidatePhases
from phasefront.diffraction.cells import strain_basis
from phasefront.diffraction.crystals import read_crystal
from phasefront.diffraction.templates import simulate_templates
from phasefront.layouts.phases import MIXED, PHASES, UNDECIDED, VACUUM
from phasefront.layouts.spots import DISTORTION_ERRORS
from phasefront.orientations.indexing import find_orientations
from phasefront.phases import decisions, evidence
from phasefront.scans import files
from phasefront.spots import vectors
from phasefront.virtual import camera, particles, specimen
from phasefront.virtual.bloch_waves import BLOCH_WAVES, DATA_FILE

# diffsims' sources hold such sequences; Python says so when it first compiles them.
pytestmark = pytest.mark.filterwarnings("ignore:invalid escape sequence")

NAMES = ("Na3V2PO42F3", "Na2V2PO42F3", "NaV2PO42F3")
CRYSTALS = [read_crystal(ROOT / "config" / "structures" / f"{name}.cif") for name in NAMES]
OPTICS = {"voltage_kv": 200.0, "precession_deg": 0.8}
DISTORTION = np.array([[1.003, 0.002], [0.002, 0.998]])


def dynamical_scan(crystal_names, number, *, seed, sigma=0.0015, dose=6e4):
    """SPOTS of one row of positions, and the phase and orientation of each.

    Random grains and thicknesses; Poisson counts, an uneven detection limit, an error of `sigma`
    (1/angstrom) in every position, strays, and one distortion for the whole scan.
    """
    table = netcdf.read(DATA_FILE, BLOCH_WAVES)
    rng = np.random.default_rng(seed)
    usable = [i for i, name in enumerate(table["phase"].values) if name in crystal_names]
    offset, rotation = table["offset"].values, table["rotation"].values
    q_all = np.stack([table["qx"].values, table["qy"].values])
    columns, count, phase, truth = [], [], [], []
    for pattern in rng.choice(usable, number):
        own = slice(offset[pattern], offset[pattern + 1])
        electrons = rng.poisson(
            dose * rng.lognormal(0, 0.5) * table["intensity"].values[own, rng.integers(1, 9)]
        )
        radius = np.hypot(*q_all[:, own])
        seen = (electrons > np.maximum(20, 45 + 30 * rng.standard_normal(len(electrons)))) & (
            (radius > 0.1) & (radius < 1.15)
        )
        q = DISTORTION @ q_all[:, own][:, seen]
        q += sigma * rng.standard_normal(q.shape)
        strays = rng.poisson(0.7)
        stray = np.sqrt(rng.uniform(0.01, 1.32, strays)) * np.exp(2j * np.pi * rng.random(strays))
        q = np.concatenate([q, [stray.real, stray.imag]], axis=1)
        columns.append(np.vstack([q, np.append(electrons[seen], rng.uniform(30, 100, strays))]))
        count.append(q.shape[1])
        phase.append(crystal_names.index(table["phase"].values[pattern]))
        truth.append(rotation[pattern])
    qx, qy, intensity = np.concatenate(columns, axis=1)
    spots = example_spots([count], qx, qy, intensity)
    return spots, np.array(phase), Rotation.from_quat(truth, scalar_first=True)


def decide(spots, crystals, **settings):
    templates = simulate_templates(crystals, resolution_deg=2.5, **OPTICS)
    orientations = find_orientations(spots, templates, crystals)
    return decisions.decide_phases(
        spots, orientations, templates, CandidatePhases(crystals), **settings
    )


@pytest.fixture(scope="module")
def nvpf():
    spots, phase, rotation = dynamical_scan(list(NAMES), 300, seed=4)
    return spots, phase, rotation, decide(spots, CRYSTALS)


def test_three_phases_one_per_cent_apart_are_told_apart(nvpf):
    spots, phase, _, phases = nvpf
    indexed = spots["count"].values[0] >= 5
    likeliest = phases["posterior"].values[0].argmax(axis=1)
    assert (likeliest == phase)[indexed].mean() > 0.97
    decision = phases["decision"].values[0]
    decided = decision >= 0
    assert decided.mean() > 0.85
    assert (decision == phase)[decided].mean() > 0.985
    assert (decision[~indexed] == VACUUM).all()


def test_posteriors_are_calibrated(nvpf):
    spots, phase, _, phases = nvpf
    indexed = spots["count"].values[0] >= 5
    posterior = phases["posterior"].values[0][indexed]
    np.testing.assert_allclose(posterior.sum(axis=1), 1, atol=1e-5)
    right = posterior.argmax(axis=1) == phase[indexed]
    # Expected and observed share of right answers, overall: three standard errors apart at most.
    claimed = posterior.max(axis=1)
    error = np.sqrt((claimed * (1 - claimed)).sum()) / len(claimed)
    assert abs(right.mean() - claimed.mean()) < 3 * max(error, 0.004)


def test_orientations_are_within_a_fraction_of_a_degree(nvpf):
    spots, phase, truth, phases = nvpf
    errors = []
    for index in np.flatnonzero(spots["count"].values[0] >= 8):
        operators = Rotation.from_quat(CRYSTALS[phase[index]].symmetry, scalar_first=True)
        found = Rotation.from_quat(
            phases["rotation"].values[0, index, phase[index]], scalar_first=True
        )
        errors.append(np.degrees((operators * (found * truth[index].inv())).magnitude().min()))
    # The a and b axes of two phases are nearly alike: a quarter turn is a rightful confusion.
    assert np.median(errors) < 0.25


def test_distortion_and_error_of_the_spots_are_those_of_the_scan(nvpf):
    phases = nvpf[3]
    expected = [[1.003, 0.002], [0.002, 0.998]]
    np.testing.assert_allclose(phases["distortion"], expected, atol=1e-3)
    assert 0.0012 < phases["position_sigma"].item() < 0.0025


def test_a_scan_says_that_its_calibration_gave_way(nvpf):
    """Nothing within the stated errors (0.3 %); a scale 1 % off, of which 0.03 % is stated."""
    assert nvpf[3].attrs["notes"] == ""
    spots, _, _ = dynamical_scan(list(NAMES), 150, seed=4)
    phases = decide(
        spots.assign(
            qx=1.01 * spots["qx"], qy=1.01 * spots["qy"],
            **dict.fromkeys(DISTORTION_ERRORS, spots["scale_stderr"] / 10),
        ),
        CRYSTALS,
    )  # fmt: skip
    assert "a scale 1 % smaller than its calibration's" in phases.attrs["notes"]


def test_a_phase_left_out_stays_mostly_undecided():
    spots, phase, _ = dynamical_scan(list(NAMES), 200, seed=5)
    decision = decide(spots, [CRYSTALS[0], CRYSTALS[1]])["decision"].values[0]
    missing = phase == 2
    assert (decision[missing] >= 0).mean() < 0.1
    present = ~missing & (decision >= 0)
    assert (decision == phase)[present].mean() > 0.97


def test_a_scan_of_nothing_but_a_missing_phase_is_seen_as_such():
    spots, _, _ = dynamical_scan([NAMES[1]], 150, seed=8)
    phases = decide(spots, [CRYSTALS[0], CRYSTALS[2]])
    assert (phases["decision"].values >= 0).mean() < 0.02
    indexed = phases["decision"].values != VACUUM
    assert np.median(phases["phase_misfit"].values[indexed]) > 4


def test_patterns_of_another_material_stay_undecided():
    spots, _, _ = dynamical_scan(["LiFePO4", "FePO4"], 100, seed=6)
    decision = decide(spots, CRYSTALS)["decision"].values[0]
    assert (decision >= 0).mean() < 0.1


@pytest.fixture(scope="module")
def charging(tmp_path_factory):
    """PHASES, TRUTH, and PHASES without the raw scan, of grains with a core and a shell."""
    path = tmp_path_factory.mktemp("charging") / "scan.blo"
    grown = specimen.make_specimen(
        scan="charging", material="nvpf",
        phases=list(map(particles.VirtualPhase, NAMES, NAMES, (3, 2, 1))),
        ion_content=2.5, insertion_model="core-shell", seed=12, shape=(28, 28), grains=6,
    )  # fmt: skip
    truth = camera.simulate_scan(path, grown, scale_nominal=0.0175)
    scan = files.open_scan(path)
    templates = simulate_templates(CRYSTALS, resolution_deg=2.5, **OPTICS)
    calibrated = geometry.calibrate(
        scan, name="charging", crystals=CRYSTALS, templates=templates, scale_nominal=0.0175
    )
    found = vectors.find_spots(scan.blocks(), calibrated, scan="charging")
    orientations = find_orientations(found, templates, CRYSTALS)
    parents = [np.eye(3), [[1, 1, 0], [-1, 1, 0], [0, 0, 1]], np.eye(3)]
    arguments = found, orientations, templates, CandidatePhases(CRYSTALS, parents, [3, 2, 1])
    return (
        decisions.decide_phases(*arguments, raw=(scan, calibrated)),
        truth,
        decisions.decide_phases(*arguments),
    )


def test_columns_of_two_phases_are_mixed_and_their_content_is_between(charging):
    phases, truth, _ = charging
    weight = truth["weight"].values.astype(float)
    single = (weight.sum(axis=-1) > 0) & (truth["overlap"].values == 0)
    clear, middle = weight.max(axis=-1) > 0.99, weight.max(axis=-1) < 0.65
    decision = phases["decision"].values
    decided = single & clear & (decision >= 0)
    assert decided.sum() > 0.97 * (single & clear).sum()
    assert (decision == weight.argmax(axis=-1))[decided].mean() > 0.99
    assert (decision == MIXED)[single & middle].mean() > 0.7
    content = weight @ [3, 2, 1]
    error = phases["ion_content"].values - content
    assert np.sqrt(np.mean(error[single] ** 2)) < 0.12
    z = error[single] / phases["ion_content_stderr"].values[single]
    assert np.mean(np.abs(z) < 1.96) > 0.85
    share = phases["share"].values
    mixed = single & (decision == MIXED)
    assert np.abs(share - weight)[mixed].mean() < 0.1
    np.testing.assert_allclose(share[decision >= 0].sum(axis=-1), 1, atol=1e-5)
    assert np.isnan(share[decision == UNDECIDED]).all()


def test_axial_ratio_and_cell_are_those_of_the_phase(charging):
    phases, truth, _ = charging
    weight = truth["weight"].values
    for index, (ratio, crystal) in enumerate(zip((1.189, 1.218), CRYSTALS, strict=False)):
        pure = (weight[..., index] > 0.99) & (truth["overlap"].values == 0)
        found = phases["axial_ratio"].values[pure]
        assert np.median(found) == pytest.approx(ratio, abs=0.003)
        variance = np.diagonal(phases["cell_covariance"].values, axis1=-2, axis2=-1)
        z = (phases["cell"].values - crystal.cell)[pure][:, :3] / np.sqrt(variance[pure][:, :3])
        assert np.mean(np.abs(z) < 3) > 0.95


def test_raw_intensities_speak_for_the_true_phase(charging):
    phases, truth, blind = charging
    weight = truth["weight"].values
    pure = (weight.max(axis=-1) > 0.99) & (truth["overlap"].values == 0)
    assert (blind["forced_evidence"].values == 0).all()
    forced = phases["forced_evidence"].values[pure]
    right = (forced * weight[pure]).sum(axis=-1)
    # Of three phases one is right by chance.
    assert np.mean(right == forced.max(axis=-1)) > 0.38
    assert right.mean() > forced.mean()


def test_lithium_iron_phosphate(shared_data):
    crystals = [
        read_crystal(shared_data("structures/LiFePO4_COD4001848.cif"), name="LiFePO4"),
        read_crystal(shared_data("structures/FePO4_heterosite_lab_cell.cif"), name="FePO4"),
    ]
    spots, phase, truth = dynamical_scan(["LiFePO4", "FePO4"], 150, seed=7)
    phases = decide(spots, crystals)
    decision = phases["decision"].values[0]
    assert (decision >= 0).mean() > 0.9
    assert (decision == phase)[decision >= 0].mean() > 0.99
    operators = Rotation.from_quat(crystals[0].symmetry, scalar_first=True)
    errors = [
        np.degrees(
            (
                operators
                * (Rotation.from_quat(phases["rotation"].values[0, i, phase[i]], scalar_first=True)
                   * truth[i].inv())
            ).magnitude().min()
        )
        for i in np.flatnonzero(decision == phase)
    ]  # fmt: skip
    assert np.median(errors) < 0.2
    assert np.percentile(errors, 90) < 0.5


def test_a_scan_without_spots_is_vacuum():
    spots = example_spots(np.zeros((2, 2)), [], [])
    phases = decide(spots, CRYSTALS)
    assert (phases["decision"].values == VACUUM).all()
    np.testing.assert_allclose(phases["posterior"].values, 1 / 3, rtol=1e-6)
    assert (phases["reliability"].values == 0).all()
    PHASES.check(phases, "empty")


def test_prior_and_intensities_move_the_posterior_as_bayes_says():
    log_evidence = np.array([[0.0, 1.0], [1.0, 1.0]]) / evidence.TEMPERATURE
    even = evidence.posterior_of(log_evidence, 0.0, None)
    np.testing.assert_allclose(even[0], [1 / (1 + np.e), np.e / (1 + np.e)])
    np.testing.assert_allclose(even[1], [0.5, 0.5])
    weighted = evidence.posterior_of(log_evidence, 0.0, [0.8, 0.2])
    np.testing.assert_allclose(weighted[1], [0.8, 0.2])
    np.testing.assert_allclose(weighted[0, 1] / weighted[0, 0], 0.25 * np.e)
    intensities = np.array([[0.0, -1.0], [0.0, 0.0]]) / evidence.FORCED_TEMPERATURE
    np.testing.assert_allclose(
        evidence.posterior_of(log_evidence, intensities, None)[0], [0.5, 0.5]
    )


def test_reliability_compares_the_two_best_phases():
    score = np.array([[[[0.8, 0.7], [0.4, 0.1], [0.6, 0.5]], [[np.nan] * 2] * 3]])
    np.testing.assert_allclose(decisions.reliability_of(score), [[0.25, 0.0]])
    np.testing.assert_allclose(decisions.reliability_of(score[:, :, :1]), [[1.0, 0.0]])


def test_a_candidate_whose_cell_is_less_known_is_less_of_a_misfit():
    spots, _, _ = dynamical_scan([NAMES[1]], 40, seed=8)
    name, known = CRYSTALS[1].name, len(strain_basis(CRYSTALS[1]))

    def misfits(variance):
        own = xr.Dataset({"strain_covariance": (("c", "d"), variance * np.eye(known))})
        found = decide(spots, CRYSTALS, candidate_cells={name: own})
        return found["cell_misfit"].values[0]

    found = decide(spots, CRYSTALS)
    plain = found["cell_misfit"].values[0]
    likeliest = found["posterior"].values[0].argmax(axis=1) == 1
    # As wide as `cell_tolerance` says of every phase; then of this one alone wider.
    np.testing.assert_array_equal(misfits(0.002**2), plain)
    wide = misfits(0.01**2)
    assert likeliest.sum() > 20
    assert (wide < plain)[likeliest & (plain > 0)].all()
    np.testing.assert_array_equal(wide[~likeliest], plain[~likeliest])
