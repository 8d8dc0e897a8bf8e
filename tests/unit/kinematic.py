"""Kinematic patterns of the three NVPF phases in known orientations."""

import numpy as np
from examples import example_spots
from projects import ROOT
from scipy.spatial.transform import Rotation

from phasefront.diffraction.crystals import read_crystal
from phasefront.diffraction.templates import shortest_rotations

NAMES = ("Na3V2PO42F3", "Na2V2PO42F3", "NaV2PO42F3")
CRYSTALS = [read_crystal(ROOT / "config" / "structures" / f"{name}.cif") for name in NAMES]
OPTICS = {"voltage_kv": 200.0, "precession_deg": 0.8}


def quaternion(rotation):
    return rotation.as_quat(canonical=True, scalar_first=True)


def spots_of(patterns, shape=(1, -1)):
    """SPOTS of positions from (qx, qy, intensity) each, in one row unless a shape is given."""
    count = np.array([len(pattern[0]) for pattern in patterns]).reshape(shape)
    columns = [
        np.concatenate([np.asarray(pattern[i], dtype=float) for pattern in patterns])
        for i in range(3)
    ]
    return example_spots(count, *columns)


def diffsims_patterns(crystal, rotations, number=25):
    """The strongest spots that diffsims gives for orientations, frame to crystal."""
    from diffsims.generators.simulation_generator import SimulationGenerator
    from orix.quaternion import Rotation as OrixRotation

    generator = SimulationGenerator(200, precession_angle=0.8)
    simulated = generator.calculate_diffraction2d(
        crystal.orix_phase(), OrixRotation(quaternion(rotations)), reciprocal_radius=1.15,
        with_direct_beam=False, max_excitation_error=0.01,
    )  # fmt: skip
    patterns = []
    simulated = simulated.coordinates if len(rotations) > 1 else [simulated.coordinates]
    for vectors in simulated:
        strongest = np.argsort(-vectors.intensity)[:number]
        strongest = strongest[np.linalg.norm(vectors.data[strongest, :2], axis=1) > 0.1]
        patterns.append((*vectors.data[strongest, :2].T, 1e4 * vectors.intensity[strongest]))
    return patterns


def misorientation_deg(crystal, first, second):
    """Smallest angle between two orientations (frame to crystal) that symmetry allows."""
    operators = Rotation.from_quat(crystal.symmetry, scalar_first=True)
    return np.degrees((operators * (first * second.inv())).magnitude().min())


def turned_in_plane(degrees):
    return Rotation.from_rotvec(np.deg2rad(degrees)[:, None] * [0, 0, 1])


def octant_rotations():
    """Orientations whose beam directions lie in all eight octants, with angles in the plane."""
    signs = np.array(np.meshgrid([1, -1], [1, -1], [1, -1])).reshape(3, -1).T
    directions = (signs * np.array([[0.42, 0.61, 0.67], [0.71, 0.22, 0.67]])[:, None]).reshape(
        -1, 3
    )
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    to_direction = Rotation.from_quat(shortest_rotations(directions), scalar_first=True)
    return to_direction * turned_in_plane(17.0 + 23.0 * np.arange(16))
