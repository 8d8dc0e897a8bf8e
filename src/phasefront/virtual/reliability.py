"""What was said of a probability, and what came true."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

CALIBRATION_BINS = 15  # Naeini, Cooper and Hauskrecht, AAAI 2015
# Most posteriors are near 0 or 1, so the bins of a reliability diagram are narrow there.
RELIABILITY_EDGES = (0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1)


def expected_calibration_error(confidence: np.ndarray, correct: np.ndarray) -> float:
    """Mean over bins of |accuracy - mean confidence|, weighted by their number of answers.

    Bins are of equal width from 0 to 1 (Naeini, Cooper and Hauskrecht, AAAI 2015); both (n,).
    """
    edges = np.linspace(0, 1, CALIBRATION_BINS + 1)[1:-1]
    of_bin = np.digitize(confidence, edges)
    excess = np.bincount(of_bin, correct - confidence)
    return float(np.abs(excess).sum() / len(confidence))


def bins(probability: np.ndarray, came_true: np.ndarray, edges: Sequence[float]) -> list[dict]:
    """What was said and what came true in each bin of probabilities that has any; both (n,)."""
    of_bin = np.digitize(probability, edges[1:-1])
    return [
        {
            "from": float(edges[number]),
            "to": float(edges[number + 1]),
            "count": int(here.sum()),
            "posterior": float(probability[here].mean()),
            "frequency": float(came_true[here].mean()),
        }
        for number in range(len(edges) - 1)
        if (here := of_bin == number).any()
    ]
