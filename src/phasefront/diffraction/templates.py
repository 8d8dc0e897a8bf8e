"""Templates: the spots that each phase shows along a grid of beam directions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from phasefront.core import netcdf
from phasefront.diffraction import excitation, rotations
from phasefront.diffraction.crystals import Crystal
from phasefront.diffraction.optics import electron_wavelength
from phasefront.layouts.templates import TEMPLATES

# 1/angstrom; nearer to the direct beam no spot is looked for. Chosen: spacings over 10 angstrom
# tell little, and their spots lie in the beam's glare.
MIN_RADIUS = 0.1


def simulate_templates(
    crystals: Sequence[Crystal],
    *,
    voltage_kv: float,
    precession_deg: float,
    resolution_deg: float,
    max_radius: float = 1.2,
) -> xr.Dataset:
    """Kinematic spots of each phase for beam directions `resolution_deg` apart.

    Directions cover one sector of the sphere under the phase's Laue group (with inversion); the
    rotation of a template takes the frame's z to its direction by the shortest way, the angle in
    the plane is left to the matching. Visibility under precession is diffsims' Lorentzian.

    Returns a TEMPLATES dataset; spots within 0.1 and `max_radius` (1/angstrom).
    """
    spots: dict[str, list] = {"qx": [], "qy": [], "intensity": []}
    phase_index, rotation, counts = [], [], []
    for index, crystal in enumerate(crystals):
        directions = beam_directions(crystal, resolution_deg)
        quaternions = shortest_rotations(directions)
        _, g, strength = crystal.reflections(1.0 / max_radius)
        for matrix in rotations.matrices(quaternions):
            qx, qy, intensity = _visible_spots(
                g @ matrix, strength, electron_wavelength(voltage_kv), precession_deg
            )
            for name, values in (("qx", qx), ("qy", qy), ("intensity", intensity)):
                spots[name].append(values)
            counts.append(len(qx))
        phase_index += [index] * len(quaternions)
        rotation.append(quaternions)
    return netcdf.build(
        TEMPLATES,
        {
            "phase": [crystal.name for crystal in crystals],
            "phase_index": phase_index,
            "rotation": np.concatenate(rotation),
            "offset": np.concatenate([[0], np.cumsum(counts)]),
            **{name: np.concatenate(values) for name, values in spots.items()},
        },
        {
            "voltage_kv": float(voltage_kv), "precession_deg": float(precession_deg),
            "resolution_deg": float(resolution_deg), "max_radius": float(max_radius),
        },
    )  # fmt: skip


def beam_directions(crystal: Crystal, resolution_deg: float) -> np.ndarray:
    """Unit vectors (n, 3) in the crystal's axes, one for each orbit of the Laue group.

    The sector is the set of directions nearer to a general direction than any of their
    equivalents are: a fundamental domain of any group in any setting of its axes.
    """
    from orix.sampling import sample_S2

    sphere = sample_S2(resolution_deg, method="spherified_cube_edge").data
    inside = np.array([0.36, 0.48, 0.8])
    images = rotations.matrices(crystal.symmetry) @ inside
    images = np.concatenate([images, -images])
    return sphere[sphere @ inside >= (sphere @ images.T).max(axis=1) - 1e-9]


def shortest_rotations(directions: np.ndarray) -> np.ndarray:
    """Quaternions (n, 4) that take z to the directions; about x where the direction is -z."""
    x, y, z = directions.T
    quaternions = np.stack([1 + z, -y, x, np.zeros_like(z)], axis=1)
    quaternions[z < -1 + 1e-12] = (0, 1, 0, 0)
    return quaternions / np.linalg.norm(quaternions, axis=1, keepdims=True)


def _visible_spots(
    g: np.ndarray, strength: np.ndarray, wavelength: float, precession_deg: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    radius = np.hypot(g[:, 0], g[:, 1])
    # The beam runs along -z, so the Ewald sphere's centre lies at +z.
    error = 1 / wavelength - np.sqrt(wavelength**-2 - radius**2) - g[:, 2]
    precession, reach = np.deg2rad(precession_deg), 2 * excitation.TEMPLATE.width
    near = (np.abs(error) < reach + radius * precession) & (radius > MIN_RADIUS)
    visible = excitation.TEMPLATE.visibility(error[near], radius[near], precession)
    intensity = strength[near] * visible
    seen = intensity > 1e-4 * intensity.max(initial=0.0)
    return g[near, 0][seen], g[near, 1][seen], intensity[seen]
