"""Do intervals of fractions hold the truth, by mechanism and number of grains? Grains drawn alone.

    python -m benchmarks.electrode            # minutes on one core
    python -m benchmarks.electrode --scans 10 # a look

Areas of grains are log-normal; each grain is whole, or partial with a logit of its own, and some of
the whole ones hold strays of the other phase, as overlaps leave. A third phase is absent. Results
go to results/bench/electrode.json.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from phasefront.fractions import electrode
from phasefront.virtual import particles

RESULT = Path(__file__).resolve().parents[1] / "results/bench/electrode.json"
SHARES = (0.03, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97)
GRAINS = (4, 8, 12, 30, 60)
# Spread of the logit of a grain's share in a population; none where grains are whole.
MECHANISMS = {"whole": None, "outline or core": 0.7, "fronts": 1.0, "solid solution": 0.15}
HALF_WHOLE = "half whole, half partial"
_AREA_SPREAD = 0.5  # of the logarithm, about that of the virtual scans
# Strays in whole grains: how often, where grains of the other phase are around, and their mean.
_STRAY_ODDS, _STRAY_MEAN, _STRAY_MOST = 0.8, 0.035, 0.15
_DRAWS = 1000
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(64)


def shares(mechanism: str, share: float, count: int, rng: np.random.Generator) -> np.ndarray:
    """Share (count,) of the one phase in grains of a population whose mean it is."""
    if mechanism == HALF_WHOLE:
        both = [shares(one, share, count, rng) for one in ("whole", "outline or core")]
        return np.where(rng.random(count) < 0.5, *both)
    spread = MECHANISMS[mechanism]
    if spread is not None:
        of_logit = particles.shifted_logistic(share, spread * _NODES, _WEIGHTS)
        return of_logit(spread * rng.standard_normal(count))
    has = rng.random(count) < share
    odds = _STRAY_ODDS * np.where(has, 1 - share, share)
    stray = np.where(rng.random(count) < odds, rng.exponential(_STRAY_MEAN, count), 0.0)
    stray = np.minimum(stray, _STRAY_MOST)
    return np.where(has, 1 - stray, stray)


def covered(mechanism: str, count: int, scans: int, seed: int) -> dict:
    """Share of intervals of the two phases that hold their fractions, mean width, and by share."""
    rng = np.random.default_rng([seed, count])
    held, width = np.zeros((len(SHARES), scans)), np.zeros((len(SHARES), scans))
    for row, share in enumerate(SHARES):
        for scan in range(scans):
            area = rng.lognormal(sigma=_AREA_SPREAD, size=count)
            one = shares(mechanism, share, count, rng)
            amount = area[:, None] * np.stack([one, 1 - one, 0 * one], axis=1)
            draws = electrode.draw_fractions(
                [amount], response=np.eye(3), draws=_DRAWS, seed=int(rng.integers(2**31))
            )
            low, high = electrode.interval(draws, amount.sum(axis=0) / area.sum())
            truth = np.array([share, 1 - share])
            held[row, scan] = np.mean((low[:2] <= truth) & (truth <= high[:2]))
            width[row, scan] = (high - low)[0]
    return {
        "mechanism": mechanism, "grains": count, "scans": held.size, "covered": held.mean(),
        "width": width.mean(),
        "by_share": dict(zip(map(str, SHARES), held.mean(axis=1), strict=True)),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scans", type=int, default=60, help="of each share")
    parser.add_argument("--seed", type=int, default=20271)
    arguments = parser.parse_args()
    rows = []
    for mechanism in (*MECHANISMS, HALF_WHOLE):
        for count in GRAINS:
            rows.append(covered(mechanism, count, arguments.scans, arguments.seed))
            print(json.dumps(rows[-1]), flush=True)
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps({"seed": arguments.seed, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
