"""Likelihood of a position's spots under a phase in an orientation, and its continuous maximum.

Every spot found is a draw from the reflections that the crystal shows in this orientation, each
blurred by the error of a spot's position, or, with a small probability, a stray from anywhere in
the window of radii observed. A reflection's weight is its kinematic |F| times its visibility under
precession, over the sum of all weights: so a phase that promises many reflections pays for those
that are not found, and the pattern of excited reflections pins the tilt, of which the positions
alone say little.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phasefront.diffraction import rotations
from phasefront.diffraction.likelihood_kernels import assign_all, promise_all, refine_all
from phasefront.diffraction.optics import Experiment
from phasefront.diffraction.reflections import ReflectionTable

# Relative standard error of one pattern's scale about the scan's: height, local strain.
LOCAL_SCALE_SIGMA = 0.001


@dataclass(frozen=True)
class Refined:
    """Outcome of `refine`, one entry per candidate."""

    rotation: np.ndarray  # (n, 4) quaternions, frame to crystal
    scale_factor: np.ndarray  # (n,)
    centre: np.ndarray  # (n, 2), 1/angstrom
    log_likelihood: np.ndarray  # (n,) at the maximum, priors of scale and centre included
    score: np.ndarray  # (n,) normalised correlation of spot amplitudes, 0 to 1
    residual: np.ndarray  # (n,) rms distance of indexed spots, 1/angstrom
    indexed: np.ndarray  # (n,) spots that belong to a reflection rather than astray

    def taken(self, chosen: np.ndarray) -> Refined:
        """The outcomes of some candidates."""
        return Refined(**{name: values[chosen] for name, values in vars(self).items()})


def refine(
    spots: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    position: np.ndarray,
    phase: np.ndarray,
    rotation: np.ndarray,
    table: ReflectionTable,
    experiment: Experiment,
    *,
    intensity_power: float = 0.25,
    coarse: bool = True,
) -> Refined:
    """Climb from each candidate orientation to the nearest maximum of the likelihood.

    Parameters
    ----------
    spots
        offset (positions + 1,), qx, qy and intensity (spots,).
    position, phase, rotation
        (n,), (n,) and (n, 4): which spots, which phase, and the orientation to start from.
    intensity_power
        Spots count by this power of their intensity, normalised to a mean of one.
    coarse
        Start with a wide position error, for starts that are off by the step of a template grid.

    Rotation (3), scale (1) and centre (2) are refined together by Fisher scoring with
    Levenberg-Marquardt damping; scale and centre have Gaussian priors. The work is shared among
    numba's threads, each candidate by itself, so their number does not matter.
    """
    offset, qx, qy, intensity = spots
    weight = _spot_weights(offset, intensity, intensity_power)
    out = np.full((len(position), 11), np.nan)
    refine_all(
        offset, qx.astype(np.float64), qy.astype(np.float64), weight, np.sqrt(weight),
        *_in_rows(position, phase, np.asarray(rotation, dtype=np.float64)), table.first,
        table.rows, experiment.numbers(), coarse, out,
    )  # fmt: skip
    return Refined(
        rotation=out[:, :4],
        scale_factor=out[:, 4],
        log_likelihood=out[:, 5],
        score=out[:, 6],
        residual=out[:, 7],
        indexed=out[:, 8].astype(np.int16),
        centre=out[:, 9:],
    )


def _in_rows(*arrays: np.ndarray) -> list[np.ndarray]:
    """Arrays in one layout, so that kernels are compiled once: for each takes half a minute."""
    return [np.ascontiguousarray(array) for array in arrays]


@dataclass(frozen=True)
class Promise:
    """Reflections that crystals should show, one entry each."""

    crystal: np.ndarray  # (m,) ascending
    reflection: np.ndarray  # (m,) column of the reflection table
    q: np.ndarray  # (m, 2) in the pattern, 1/angstrom
    share: np.ndarray  # (m,) of what the crystal promises


def promised_reflections(
    phase: np.ndarray,
    refined: Refined,
    table: ReflectionTable,
    experiment: Experiment,
    *,
    faint: float = 0.0,
) -> Promise:
    """Reflections that crystals of these phases (n,), refined so, should show in the window.

    Their shares are |F| times visibility over the sum of all; those with less than `faint` are left
    out.
    """
    count = np.zeros(len(phase), dtype=np.int64)
    arguments = (
        *_in_rows(phase, refined.rotation, refined.scale_factor, refined.centre), table.first,
        table.rows, experiment.numbers(), faint,
    )  # fmt: skip
    nothing = np.zeros((0, 3))
    promise_all(*arguments, np.zeros(len(phase) + 1, dtype=np.int64), count, nothing, count)
    edge = np.concatenate([[0], np.cumsum(count)])
    out, reflection = np.empty((edge[-1], 3)), np.empty(edge[-1], dtype=np.int64)
    if edge[-1]:
        promise_all(*arguments, edge, count, out, reflection)
    crystal = np.repeat(np.arange(len(phase)), count)
    return Promise(crystal, reflection, out[:, :2], out[:, 2])


@dataclass(frozen=True)
class Assignment:
    """Which reflection each spot of a candidate is; spots that are none are left out."""

    candidate: np.ndarray  # (m,) ascending
    spot: np.ndarray  # (m,)
    reflection: np.ndarray  # (m,) column of the reflection table


def assign(
    spots: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    position: np.ndarray,
    phase: np.ndarray,
    refined: Refined,
    table: ReflectionTable,
    experiment: Experiment,
    *,
    strain: np.ndarray | None = None,
) -> Assignment:
    """Nearest excited reflection of each spot, within three standard errors of its position.

    Parameters
    ----------
    position, phase, refined
        (n,), (n,) and n entries: the candidates.
    strain
        (n, 3, 3): each reciprocal lattice is taken as (1 + strain) g, in the crystal's axes.
    """
    offset, qx, qy, _ = spots
    if strain is None:
        strain = np.zeros((len(position), 3, 3))
    edge = np.concatenate([[0], np.cumsum(np.diff(offset)[position])])
    reflection = np.empty(edge[-1], dtype=np.int64)
    assign_all(
        offset, qx, qy,
        *_in_rows(
            position, phase, refined.rotation, refined.centre, refined.scale_factor, strain
        ),
        table.first, table.rows, experiment.numbers(), edge, reflection,
    )  # fmt: skip
    candidate = np.repeat(np.arange(len(position)), np.diff(edge))
    spot = np.arange(edge[-1]) - edge[candidate] + offset[position[candidate]]
    found = reflection >= 0
    return Assignment(candidate[found], spot[found], reflection[found])


def place(
    assignment: Assignment,
    rotation: np.ndarray,
    table: ReflectionTable,
    strain: np.ndarray | None = None,
) -> np.ndarray:
    """Assigned reflections (m, 3) in the frame, 1/angstrom, before scale and centre.

    `rotation` (n, 4) and `strain` (n, 3, 3) are the candidates'; see `assign`.
    """
    g = table.rows[:3, assignment.reflection].T
    if strain is not None:
        g = g + np.einsum("mij,mj->mi", strain[assignment.candidate], g)
    return np.einsum("mij,mi->mj", rotations.matrices(rotation)[assignment.candidate], g)


def common_distortion(
    spots: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    position: np.ndarray,
    phase: np.ndarray,
    refined: Refined,
    weight: np.ndarray,
    table: ReflectionTable,
    experiment: Experiment,
    *,
    distortion_sigma: float,
) -> np.ndarray:
    """Symmetric matrix (2, 2) that takes true spatial frequencies to a scan's, by least squares.

    Each candidate, with its `weight`, sets the spots it indexes against where its reflections lie.
    Scale and the two components of an ellipse differ from none by `distortion_sigma` beforehand.
    """
    assignment = assign(spots, position, phase, refined, table, experiment)
    x, y, _ = place(assignment, refined.rotation, table).T
    off_x = spots[1][assignment.spot] - refined.centre[assignment.candidate, 0] - x
    off_y = spots[2][assignment.spot] - refined.centre[assignment.candidate, 1] - y
    sums = np.array(
        [
            x * x + y * y, x * x - y * y, 2 * x * y,
            x * off_x + y * off_y, x * off_x - y * off_y, y * off_x + x * off_y,
        ]
    )  # fmt: skip
    weight = weight[assignment.candidate] / experiment.position_sigma**2
    square, difference, product, *right = sums @ weight
    normal = np.array(
        [[square, difference, product], [difference, square, 0.0], [product, 0.0, square]]
    )
    scale, stretch, shear = np.linalg.solve(normal + np.eye(3) / distortion_sigma**2, right)
    return np.array([[1 + scale + stretch, shear], [shear, 1 + scale - stretch]])


def _spot_weights(offset: np.ndarray, intensity: np.ndarray, power: float) -> np.ndarray:
    raw = np.maximum(intensity.astype(np.float64), 1e-6) ** power
    count = np.diff(offset)
    total = np.zeros(len(count))
    np.add.at(total, np.repeat(np.arange(len(count)), count), raw)
    return raw * np.repeat(count / np.maximum(total, 1e-300), count)
