"""Scale and ellipse of a scan beyond its calibration, and the error of a spot's position."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from phasefront.diffraction import cells
from phasefront.diffraction.crystals import Crystal
from phasefront.diffraction.likelihood import Refined, common_distortion
from phasefront.diffraction.optics import LOCAL_SCALE_SIGMA, Optics
from phasefront.diffraction.reflections import ReflectionTable
from phasefront.diffraction.spot_lists import Spots
from phasefront.phases.evidence import Starts, posterior_of, weigh

_ROUNDS = 3  # of deciding and refining the distortion; half and double: docs/constants.md
# Positions, evenly spread, on which the distortion is refined, and in all rounds but the last that
# start it off; for the sake of time.
_SAMPLE, _FEW = 1024, 256
# Posterior and indexed spots of the positions that show the spots' error. Chosen; half and double:
# docs/constants.md.
_SURE, _RICH = 0.9, 8
# On that error: weak spots have a larger one than most. Chosen; half and double leave more
# undecided (docs/constants.md).
_MARGIN = 1.2


def fit_distortion(
    spots: Spots, starts: Starts, table: ReflectionTable, optics: Optics,
    crystals: Sequence[Crystal], errors: np.ndarray, prior: Sequence[float] | None,
) -> tuple[np.ndarray, Optics]:  # fmt: skip
    """Scale and ellipse (2, 2) of the scan beyond its calibration, and the errors that remain.

    `errors` (3,) are those of the calibration: of scale, stretch and shear, relative.

    Expectation and maximisation in turn: the posterior of the phases weighs their reflections in a
    least-squares fit of the distortion; the spots freed of it give the next posterior. The error
    of a spot's position is what the indexed spots of most positions show.
    """
    distortion = np.eye(2)
    every, now = starts, optics
    for left in reversed(range(_ROUNDS)):
        starts = every.sampled(_FEW if left else _SAMPLE)
        freed = spots.undistorted(distortion)
        evidence = weigh(freed, starts, table, now)
        posterior = posterior_of(evidence.log_evidence, 0.0, prior)
        found = evidence.best >= 0
        weight = np.zeros(len(starts.position))
        weight[evidence.best[found]] = posterior[found]
        rest, scale_stderr = common_distortion(
            freed, starts.position, starts.phase, evidence.refined, weight, table, now,
            removed=distortion, errors=errors,
        )  # fmt: skip
        # Symmetric: the rotation in a product of two stretches is an orientation's business.
        distortion = 0.5 * (rest @ distortion + distortion @ rest)
        now = replace(
            optics,
            scale_sigma=math.hypot(scale_stderr, LOCAL_SCALE_SIGMA),
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
    return distortion, now


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
