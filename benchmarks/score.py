"""How near an answer is to the truth: the same numbers for every system."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from phasefront.diffraction import rotations

# Half a turn about the beam must bring an orientation nearer by this to count as half turned.
HALF_TURN_DEG = 5.0


def score(
    phase: np.ndarray,
    rotation: np.ndarray,
    true_phase: np.ndarray,
    true_rotation: np.ndarray,
    symmetries: Sequence[np.ndarray],
) -> dict:
    """Compare phases (n,) and orientations (n, 4), frame to crystal, with the truth.

    `symmetries` are the proper rotations of each phase's Laue group, (m, 4). An answer of phase -1
    is none.

    Returns
    -------
    None stands where there is nothing to count.

    - phase_accuracy: share of right phases, no answer being wrong;
    - phase_accuracy_answered, unanswered: the same among answers, and the share without one;
    - orientation_error_deg: median and 90th percentile of the misorientation under the Laue group
      where the phase is right;
    - half_turned: share of these that half a turn about the beam brings nearer by 5 degrees.
    """
    right = phase == true_phase
    angle, turned = orientation_errors(
        rotation[right], true_phase[right], true_rotation[right], symmetries
    )
    answered = phase >= 0
    return {
        "phase_accuracy": _mean(right),
        "phase_accuracy_answered": _mean(right[answered]),
        "unanswered": _mean(~answered),
        "orientation_error_deg": {"median": _quantile(angle, 0.5), "p90": _quantile(angle, 0.9)},
        "half_turned": _mean(angle - turned >= HALF_TURN_DEG),
    }


def orientation_errors(
    rotation: np.ndarray,
    phase: np.ndarray,
    true_rotation: np.ndarray,
    symmetries: Sequence[np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """Misorientation to the truth in degrees, as it is and after half a turn about the beam."""
    errors = np.full((2, len(phase)), np.nan)
    for index, symmetry in enumerate(symmetries):
        own = phase == index
        half_turned = rotations.multiply(rotation[own], rotations.HALF_TURN)
        for row, candidate in enumerate((rotation[own], half_turned)):
            errors[row, own] = rotations.misorientation(candidate, true_rotation[own], symmetry)
    return errors[0], errors[1]


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if values.size else None


def _quantile(values: np.ndarray, share: float) -> float | None:
    return float(np.quantile(values, share)) if values.size else None
