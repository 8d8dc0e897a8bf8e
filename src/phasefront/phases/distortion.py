"""Scale and ellipse of a scan beyond its calibration, and the error of a spot's position."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from phasefront.calibration.grain_scatter import covariance_by_grain
from phasefront.diffraction import cells
from phasefront.diffraction.crystals import Crystal
from phasefront.diffraction.likelihood import Refined, distortion_equations
from phasefront.diffraction.matching_kernels import group_alike
from phasefront.diffraction.optics import LOCAL_SCALE_SIGMA, Optics
from phasefront.diffraction.reflections import ReflectionTable
from phasefront.diffraction.spot_lists import Spots
from phasefront.phases.evidence import Evidence, Starts, posterior_of, weigh

# Rounds of deciding and refining the distortion: by all spots alike, which leads out of a wrong
# calibration; then as far as grains agree. Chosen; half and double of the second:
# docs/constants.md.
_OPEN_ROUNDS, _ROUNDS = 3, 3
# Positions, evenly spread, on which the distortion is refined, and in all rounds but the last that
# start it off; for the sake of time.
_SAMPLE, _FEW = 1024, 256
# Posterior and indexed spots of the positions that show the spots' error. Chosen; half and double:
# docs/constants.md.
_SURE, _RICH = 0.9, 8
# On that error: weak spots have a larger one than most. Chosen; half and double leave more
# undecided (docs/constants.md).
_MARGIN = 1.2
# Degrees of freedom of Student's t, as is usual where they are not fitted, and of finding its
# variance (a fixed point, near which it is after a few).
_FREEDOM, _STEPS = 4.0, 30
# Stated errors of the calibration beyond which a scan's own scale or ellipse is told. Chosen: of
# Student's t with `_FREEDOM` they are passed in one of 130; in the demo's scans none passes one.
_TOLD = 5.0
# Of half the angle between orientations of one grain, as `lattices._ALIKE_DEG`.
_ALIKE_COSINE = math.cos(math.radians(0.5 * 5.0))


def fit_distortion(
    spots: Spots, starts: Starts, table: ReflectionTable, optics: Optics,
    crystals: Sequence[Crystal], errors: np.ndarray, prior: Sequence[float] | None,
) -> tuple[np.ndarray, np.ndarray, Optics]:  # fmt: skip
    """Scale and ellipse (2, 2) of the scan beyond its calibration, and the errors that remain: of
    scale, stretch and shear, covariance (3, 3), and of a pattern's spots.

    `errors` (3,) are those of the calibration: of scale, stretch and shear, relative.

    Expectation and maximisation in turn: the posterior of the phases weighs their reflections in a
    least-squares fit of the distortion; the spots freed of it give the next posterior. The error
    of a spot's position is what the indexed spots of most positions show.
    """
    distortion = np.eye(2)
    every, now = starts, optics
    for left in reversed(range(_OPEN_ROUNDS + _ROUNDS)):
        starts = every.sampled(_FEW if left else _SAMPLE)
        freed = spots.undistorted(distortion)
        evidence = weigh(freed, starts, table, now)
        posterior = posterior_of(evidence.log_evidence, 0.0, prior)
        found = evidence.best >= 0
        weight = np.zeros(len(starts.position))
        weight[evidence.best[found]] = posterior[found]
        information, right = distortion_equations(
            freed, starts.position, starts.phase, evidence.refined, weight, table, now
        )
        is_open = left >= _ROUNDS
        grain = None if is_open else _grains(starts, evidence, posterior, crystals)
        rest, covariance = common_distortion(information, right, grain, distortion, errors)
        # Symmetric: the rotation in a product of two stretches is an orientation's business.
        distortion = 0.5 * (rest @ distortion + distortion @ rest)
        if is_open:
            continue
        now = replace(
            optics,
            scale_sigma=math.hypot(math.sqrt(covariance[0, 0]), LOCAL_SCALE_SIGMA),
            position_sigma=_position_sigma(
                freed,
                starts,
                evidence.refined,
                weight > _SURE,
                crystals,
                table,
                now,
                optics.position_sigma,
            ),
        )
    return distortion, covariance, now


def common_distortion(
    information: np.ndarray, right: np.ndarray, grain: np.ndarray | None, removed: np.ndarray,
    errors: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Symmetric matrix (2, 2) that takes true spatial frequencies to those of a scan's spots as
    they are now, and the covariance (3, 3) of the scan's scale, stretch and shear.

    Parameters
    ----------
    information, right
        `likelihood.distortion_equations`.
    grain
        Number (n,), from 0, of the grain that each candidate is of; None where spots are taken for
        independent of each other.
    removed
        What has been taken from the spots already, (2, 2).
    errors
        Of scale, stretch and shear (3,): standard errors of the calibration.

    What spots ask for is as sure as grains agree about it (`covariance_by_grain`): those of a phase
    that is missing from the candidates ask for another ellipse in every orientation, those of a
    wrong calibration for the same. The calibration's errors are taken for those of Student's t
    (Lange, Little and Taylor, JASA 84, 881, 1989), so that it gives way where all grains contradict
    it, and stands where they do not agree.
    """
    expected = -_parts(removed)
    # As much as the cell of a phase may be off; spots tell more, where there are any.
    ignorance = np.eye(3) / cells.CELL_SIGMA**2
    total = information.sum(axis=0) + ignorance
    asked = np.linalg.solve(total, right.sum(axis=0) + ignorance @ expected)
    if grain is None or not len(grain):
        spread = np.linalg.inv(total)
    else:
        score = right - information @ asked
        spread = covariance_by_grain(information, score, grain, ignorance)
    variance = errors**2
    for _ in range(_STEPS):
        # How much of what is asked for is believed: nothing where the calibration has no error.
        gain = np.linalg.solve(np.diag(variance) + spread, np.diag(variance)).T
        beyond = gain @ (asked - expected)
        covariance = np.diag(variance) - gain @ np.diag(variance)
        square = beyond**2 + np.diag(covariance)
        variance = np.where(errors > 0, (_FREEDOM * errors**2 + square) / (_FREEDOM + 1), 0.0)
    scale, stretch, shear = expected + beyond
    # Symmetric to the last digit.
    covariance = 0.5 * (covariance + covariance.T)
    return np.array([[1 + scale + stretch, shear], [shear, 1 + scale - stretch]]), covariance


def contradiction(distortion: np.ndarray, errors: np.ndarray) -> str:
    """What a user is told of a scan whose grains contradict its calibration; empty otherwise.

    Parameters
    ----------
    distortion
        Matrix (2, 2) of `fit_distortion`, from true spatial frequencies to those as calibrated.
    errors
        Of scale, stretch and shear (3,), relative: standard errors that the calibration states.
    """
    scale, stretch, shear = _parts(distortion)
    # Without an error nothing gives way, and what is left is rounding.
    scale_off, *ellipse_off = np.divide(
        (scale, stretch, shear), errors, out=np.zeros(3), where=errors > 0
    )
    told = []
    if abs(scale_off) > _TOLD:
        # Frequencies too large by as much are those of pixels that were taken for too large.
        own = 1 / (1 + scale) - 1
        told.append(
            f"a scale {100 * abs(own):.2g} % {'larger' if own > 0 else 'smaller'} than its"
            f" calibration's ({abs(scale_off):.0f} of the standard errors that it states)"
        )
    if (off := math.hypot(*ellipse_off)) > _TOLD:
        longer, shorter = 1 + scale + math.hypot(stretch, shear) * np.array([1, -1])
        told.append(
            f"an ellipse whose axes differ by {100 * (longer / shorter - 1):.2g} % more than its"
            f" calibration says ({off:.0f} of the standard errors that it states)"
        )
    if not told:
        return ""
    return (
        f"its grains agree on {' and on '.join(told)}, and these were used: the calibration is"
        " wrong, or the candidates' cells are, as where a phase is missing from them; calibrate"
        " the scan again, or correct the candidates"
    )


def _parts(distortion: np.ndarray) -> np.ndarray:
    """Scale beyond 1, stretch and shear (3,) of a symmetric matrix (2, 2)."""
    return np.array(
        [
            0.5 * np.trace(distortion) - 1,
            0.5 * (distortion[0, 0] - distortion[1, 1]),
            distortion[0, 1],
        ]
    )


def _grains(
    starts: Starts, evidence: Evidence, posterior: np.ndarray, crystals: Sequence[Crystal]
) -> np.ndarray:
    """Number of the grain of each start's position, by the orientation of its likeliest phase."""
    phase = np.where(evidence.best >= 0, posterior, -1.0).argmax(axis=1)
    rotation = evidence.rotation[np.arange(len(phase)), phase]
    grain = np.full(len(phase), -1)
    number = 0
    for own, crystal in enumerate(crystals):
        at = np.flatnonzero((phase == own) & np.isfinite(rotation[:, 0]))
        group = np.empty(len(at), dtype=np.int64)
        found = group_alike(rotation[at], crystal.symmetry, _ALIKE_COSINE, group)
        grain[at] = number + group
        number += found
    return np.unique(grain[starts.position], return_inverse=True)[1]


def _position_sigma(
    spots: Spots, starts: Starts, refined: Refined, sure: np.ndarray,
    crystals: Sequence[Crystal], table: ReflectionTable, optics: Optics, largest: float,
) -> float:  # fmt: skip
    """Error of a spot's position (1/angstrom) along one axis, at most `largest`.

    From the distances to lattices whose cells are refined: those of fixed ones would hide a phase
    that is missing in a large error.
    """
    own = np.flatnonzero(sure & (refined.indexed >= _RICH))
    if not len(own):
        return largest
    chosen = starts.taken(own)
    found = cells.refine_cells(
        spots, chosen.position, chosen.phase, refined.taken(own), table, optics,
        [cells.strain_basis(crystal) for crystal in crystals],
    )  # fmt: skip
    # Two coordinates a spot, less the parameters that they determine: turn, centre, cell.
    number = np.maximum(found.assigned, _RICH // 2).astype(float)
    freedom = 2 * number / (2 * number - 6)
    typical = np.median(found.residual * np.sqrt(freedom / 2))
    return float(np.clip(_MARGIN * typical, largest / 4, largest))
