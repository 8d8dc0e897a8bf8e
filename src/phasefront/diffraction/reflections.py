"""Reflections of the phases, and those that a crystal shows in an orientation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from phasefront.diffraction import excitation, rotations
from phasefront.diffraction import likelihood_kernels as kernels
from phasefront.diffraction.crystals import Crystal
from phasefront.diffraction.optics import Optics

# Reflections weaker than this share of the strongest |F| are left out.
WEAKEST = 0.01
# Predicted spots are shown from this weight on.
LEAST_WEIGHT = 1e-3


@dataclass(frozen=True)
class ReflectionTable:
    """Reflections of all phases, one after the other."""

    first: np.ndarray  # (phases + 1,)
    # (5, n): g (3) in the crystal's axes and |g| in 1/angstrom, and |F|; a phase's second half are
    # Friedel's mates of the first.
    rows: np.ndarray

    @property
    def g(self) -> np.ndarray:
        """Reciprocal lattice vectors (3, n), 1/angstrom, in the crystals' Cartesian axes."""
        return self.rows[: kernels.LENGTH]


def reflection_table(crystals: Sequence[Crystal], *, max_radius: float) -> ReflectionTable:
    """Reflections up to `max_radius` (1/angstrom) that are strong enough to matter."""
    columns, first = [], [0]
    for crystal in crystals:
        # Tilted reflections just outside may swing in.
        _, q, intensity = crystal.reflections(1.0 / (1.02 * max_radius))
        amplitude = np.sqrt(intensity)
        rows = np.vstack([q.T, np.linalg.norm(q, axis=1), amplitude])
        # One of Friedel's mates, then the other: by the first component that is not 0.
        one = np.sign(q) @ [9, 3, 1] > 0
        half = rows[:, one & (amplitude > WEAKEST * amplitude.max())]
        mates = half * np.array([-1, -1, -1, 1, 1])[:, None]
        columns.append(np.hstack([half, mates]))
        first.append(first[-1] + columns[-1].shape[1])
    # Each component in one piece: kernels run over thousands of reflections.
    rows = np.ascontiguousarray(np.concatenate(columns, axis=1))
    return ReflectionTable(np.array(first), rows)


def predict_spots(
    crystal: Crystal, rotation: np.ndarray, optics: Optics
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Spots that a crystal shows in an orientation, in plain NumPy.

    Parameters
    ----------
    rotation
        (4,) quaternion, frame to crystal.

    Returns qx, qy (n,) in 1/angstrom, hkl (n, 3) and weight (n,): |F| times visibility over the
    sum of these, the mixture weights of the likelihood.
    """
    hkl, g, intensity = crystal.reflections(1.0 / optics.window[1])
    amplitude = np.sqrt(intensity)
    kept = amplitude > WEAKEST * amplitude.max()
    hkl, g, amplitude = hkl[kept], g[kept], amplitude[kept]
    q = g @ rotations.matrices(np.asarray(rotation, dtype=float))
    bend = 0.5 * optics.wavelength * (q**2).sum(axis=1)
    weight = amplitude * excitation.REFINED.visibility(
        bend - q[:, 2], np.linalg.norm(g, axis=1), np.deg2rad(optics.precession_deg)
    )
    radius = np.hypot(q[:, 0], q[:, 1])
    weight *= (radius >= optics.window[0]) & (radius <= optics.window[1])
    weight /= weight.sum()
    shown = weight > LEAST_WEIGHT
    return q[shown, 0], q[shown, 1], hkl[shown], weight[shown]
