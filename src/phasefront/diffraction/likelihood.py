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

from phasefront.core.threads import share_out
from phasefront.diffraction import likelihood_kernels as kernels
from phasefront.diffraction import rotations
from phasefront.diffraction.optics import Optics
from phasefront.diffraction.reflections import ReflectionTable
from phasefront.diffraction.spot_lists import Spots

# Crystals whose promised reflections are collected at a time; for the cache's sake.
_TOGETHER = 32

INTENSITY_POWER = 0.25  # of their intensity, by which spots count in the likelihood


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

    @classmethod
    def placed(cls, rotation: np.ndarray, scale_factor: np.ndarray, centre: np.ndarray) -> Refined:
        """Of crystals that are known to lie so, whose spots are not looked at."""
        unknown = np.full(len(rotation), np.nan)
        return cls(rotation, scale_factor, centre, unknown, unknown, unknown, unknown)

    def taken(self, chosen: np.ndarray) -> Refined:
        """The outcomes of some candidates."""
        return Refined(**{name: values[chosen] for name, values in vars(self).items()})

    def joined(self, other: Refined) -> Refined:
        """These outcomes, then the other's."""
        both = zip(vars(self).items(), vars(other).values(), strict=True)
        return Refined(**{name: np.concatenate([one, two]) for (name, one), two in both})


def refine(
    spots: Spots,
    position: np.ndarray,
    phase: np.ndarray,
    rotation: np.ndarray,
    table: ReflectionTable,
    optics: Optics,
    *,
    intensity_power: float = INTENSITY_POWER,
    coarse: bool = True,
    least: int = 0,
    scored: bool = False,
) -> Refined:
    """Climb from each candidate orientation to the nearest maximum of the likelihood.

    Parameters
    ----------
    position, phase, rotation
        (n,), (n,) and (n, 4): which spots, which phase, and the orientation to start from.
    intensity_power
        Spots count by this power of their intensity, normalised to a mean of one.
    coarse
        Start with a wide position error, for starts that are off by the step of a template grid.
    least
        Candidates that cannot come to index so many spots are given up: of these `indexed` is 0,
        all else NaN.
    scored
        Whether to work out the score, too, which is NaN otherwise.

    Rotation (3), scale (1) and centre (2) are refined together by quasi-Newton steps, from Fisher's
    information on (see `likelihood_kernels.learn`); scale and centre have Gaussian priors. The work
    is shared among numba's threads, each candidate by itself, so their number does not matter.
    """
    weight = spot_weights(spots, intensity_power)
    out = np.full((len(position), kernels.COLUMNS), np.nan)
    arguments = (
        spots.offset, spots.qx, spots.qy, weight, np.sqrt(weight),
        *_in_rows(position, phase, np.asarray(rotation, dtype=np.float64)), table.first,
        table.rows, optics.terms(), coarse, least, scored, out,
    )  # fmt: skip
    share_out(kernels.refine_all, len(position), *arguments)
    return Refined(
        rotation=out[:, : kernels.SCALE],
        scale_factor=out[:, kernels.SCALE],
        log_likelihood=out[:, kernels.LOG_LIKELIHOOD],
        score=out[:, kernels.SCORE],
        residual=out[:, kernels.RESIDUAL],
        indexed=out[:, kernels.INDEXED].astype(np.int16),
        centre=out[:, kernels.CENTRE :],
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
    optics: Optics,
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
        table.rows, optics.terms(), faint, count,
    )  # fmt: skip
    most = int(np.diff(table.first).max(initial=0))
    found: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def work(begin: int, end: int) -> None:
        out = np.empty((_TOGETHER * most, 3))
        reflection = np.empty(len(out), dtype=np.int64)
        for first in range(begin, end, _TOGETHER):
            last = min(first + _TOGETHER, end)
            kernels.promise_all(first, last, *arguments, out, reflection)
            number = count[first:last].sum()
            found[first] = out[:number].copy(), reflection[:number].copy()

    share_out(work, len(phase))
    if not found:
        return Promise(count, count, np.empty((0, 2)), np.empty(0))
    out, reflection = (np.concatenate([found[at][k] for at in sorted(found)]) for k in (0, 1))
    crystal = np.repeat(np.arange(len(phase)), count)
    return Promise(crystal, reflection, out[:, :2], out[:, 2])


@dataclass(frozen=True)
class Assignment:
    """Which reflection each spot of a candidate is; spots that are none are left out."""

    candidate: np.ndarray  # (m,) ascending
    spot: np.ndarray  # (m,)
    reflection: np.ndarray  # (m,) column of the reflection table


def assign(
    spots: Spots,
    position: np.ndarray,
    phase: np.ndarray,
    refined: Refined,
    table: ReflectionTable,
    optics: Optics,
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
    if strain is None:
        strain = np.zeros((len(position), 3, 3))
    edge = np.concatenate([[0], np.cumsum(spots.numbers[position])])
    reflection = np.empty(edge[-1], dtype=np.int64)
    arguments = (
        spots.offset, spots.qx, spots.qy,
        *_in_rows(
            position, phase, refined.rotation, refined.centre, refined.scale_factor, strain
        ),
        table.first, table.rows, optics.terms(), edge, reflection,
    )  # fmt: skip
    share_out(kernels.assign_all, len(position), *arguments)
    candidate = np.repeat(np.arange(len(position)), np.diff(edge))
    spot = np.arange(edge[-1]) - edge[candidate] + spots.offset[position[candidate]]
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
    g = table.g[:, assignment.reflection].T
    if strain is not None:
        g = g + np.einsum("mij,mj->mi", strain[assignment.candidate], g)
    return np.einsum("mij,mi->mj", rotations.matrices(rotation)[assignment.candidate], g)


def distortion_equations(
    spots: Spots,
    position: np.ndarray,
    phase: np.ndarray,
    refined: Refined,
    weight: np.ndarray,
    table: ReflectionTable,
    optics: Optics,
) -> tuple[np.ndarray, np.ndarray]:
    """Normal equations of a scan's scale, stretch and shear beyond those that spots were freed of:
    information (n, 3, 3) and right-hand side (n, 3) of each candidate, its spots independent.

    Each candidate, with its `weight`, sets the spots it indexes against where its reflections lie.
    The symmetric matrix ((1 + scale + stretch, shear), (shear, 1 + scale - stretch)) takes true
    spatial frequencies to the scan's.
    """
    assignment = assign(spots, position, phase, refined, table, optics)
    x, y, _ = place(assignment, refined.rotation, table).T
    off_x = spots.qx[assignment.spot] - refined.centre[assignment.candidate, 0] - x
    off_y = spots.qy[assignment.spot] - refined.centre[assignment.candidate, 1] - y
    sums = np.zeros((len(position), 6))
    parts = np.array(
        [
            x * x + y * y, x * x - y * y, 2 * x * y,
            x * off_x + y * off_y, x * off_x - y * off_y, y * off_x + x * off_y,
        ]
    )  # fmt: skip
    np.add.at(sums, assignment.candidate, parts.T)
    sums *= (weight / optics.position_sigma**2)[:, None]
    square, difference, product = sums[:, :3].T
    none = np.zeros(len(position))
    rows = [[square, difference, product], [difference, square, none], [product, none, square]]
    return np.moveaxis(np.array(rows), -1, 0), sums[:, 3:]


def spot_weights(spots: Spots, power: float) -> np.ndarray:
    """What spots (spots,) count: a power of their intensity, with a mean of one a position."""
    raw = np.maximum(spots.intensity, 1e-6) ** power
    total = np.zeros(len(spots.numbers))
    np.add.at(total, spots.owner, raw)
    return raw * np.repeat(spots.numbers / np.maximum(total, 1e-300), spots.numbers)
