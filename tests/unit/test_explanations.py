"""Explanations of patterns whose crystals are known."""

import numpy as np
import pytest
from examples import example_spots
from projects import ROOT
from scipy.spatial.transform import Rotation
from stages import build_phases

from phasefront.diffraction.crystals import read_crystal
from phasefront.diffraction.optics import Optics
from phasefront.diffraction.reflections import predict_spots
from phasefront.phases.explanations import explain

# diffsims' sources hold such sequences; Python says so when it first compiles them.
pytestmark = pytest.mark.filterwarnings("ignore:invalid escape sequence")

NAMES = ["Na3V2PO42F3", "NaV2PO42F3", "Na2V2PO42F3"]
CRYSTALS = [read_crystal(ROOT / "config" / "structures" / f"{name}.cif") for name in NAMES]
MICROSCOPE = Optics(200.0, 0.8, (0.1, 1.1))
DISTORTION = np.array([[1.006, 0.003], [0.003, 0.998]])
CENTRE = np.array([0.001, -0.0015])
AXIS = Rotation.from_euler("xyz", [3, 40, 12], degrees=True)
OTHER = Rotation.from_euler("xyz", [55, 10, 70], degrees=True)


def quaternion(rotation):
    return rotation.as_quat(canonical=True, scalar_first=True)


def drawn(phase, rotation, number):
    """The strongest spots (2, number) of a crystal as a distorted, shifted pattern shows them."""
    qx, qy, _, weight = predict_spots(CRYSTALS[phase], quaternion(rotation), MICROSCOPE)
    strongest = np.argsort(-weight)[:number]
    return DISTORTION @ (np.stack([qx, qy])[:, strongest] + CENTRE[:, None])


def made(*patterns):
    """SPOTS of one row of positions, and PHASES that know the crystals' orientations."""
    q = np.concatenate(patterns, axis=1)
    count = [pattern.shape[1] for pattern in patterns]
    n = len(patterns)
    phases = build_phases(
        NAMES, np.zeros((1, n), dtype=int),
        rotation=np.broadcast_to(quaternion(AXIS), (1, n, 3, 4)),
        scale_factor=np.ones((1, n, 3)), centre=np.broadcast_to(CENTRE, (1, n, 3, 2)),
        distortion=DISTORTION,
        posterior=np.broadcast_to([0.7, 0.1, 0.2], (1, n, 3)),
        log_evidence=np.broadcast_to([-50.0, -90.0, -60.0], (1, n, 3)),
        forced_evidence=np.broadcast_to([0.0, -8.0, -3.0], (1, n, 3)),
        second_phase=[[-1] * (n - 1) + [1]],
        second_rotation=np.broadcast_to(quaternion(OTHER), (1, n, 4)),
    )  # fmt: skip
    return example_spots([count], *q), phases


@pytest.fixture(scope="module")
def accounts():
    alone = drawn(0, AXIS, 25)
    both = np.concatenate([alone, drawn(1, OTHER, 12)], axis=1)
    spots, phases = made(alone, both)
    positions = np.array([[0, 0], [0, 1]])
    return explain(
        positions, spots, phases, CRYSTALS, voltage_kv=200, precession_deg=0.8
    ), explain(
        positions, spots, phases, CRYSTALS, voltage_kv=200, precession_deg=0.8, beside=[1, 1]
    ), alone  # fmt: skip


def test_the_right_phase_explains_all_spots_where_they_are(accounts):
    (likeliest, _), _ = accounts[0]
    assert (likeliest.phase, likeliest.explained, likeliest.spots) == (0, 25, 25)
    placed = np.stack(likeliest.predicted[:2])
    distance = np.hypot(*(placed[:, :, None] - accounts[2][:, None, :])).min(axis=0)
    assert distance.max() < 0.001


def test_the_runner_up_and_any_other_phase_stand_beside(accounts):
    (_, runner_up), _ = accounts[0]
    assert runner_up.phase == 2 and runner_up.explained < 25
    assert (runner_up.log_evidence, runner_up.forced_evidence) == (-10.0, -3.0)
    (_, other), _ = accounts[1]
    assert (other.phase, other.log_evidence, other.forced_evidence) == (1, -40.0, -8.0)


def test_a_second_lattice_explains_what_the_first_leaves(accounts):
    _, (first, runner_up) = accounts[0]
    assert (first.second_phase, first.spots) == (1, 37)
    assert first.explained < 30 and first.explained_by_both >= 36
    assert runner_up.second is None


def test_a_phase_without_orientation_explains_nothing():
    spots, phases = made(drawn(0, AXIS, 25), drawn(0, AXIS, 25))
    phases["rotation"][0, 0, 2] = np.nan
    ((_, lost),) = explain(
        np.array([[0, 0]]), spots, phases, CRYSTALS, voltage_kv=200, precession_deg=0.8
    )
    assert lost.predicted is None and lost.explained == 0
