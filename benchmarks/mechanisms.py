"""What can be told of insertion mechanisms: power, errors and their coverage, on unseen grains.

`python -m benchmarks.mechanisms` writes `results/bench/mechanisms.json`; `make docs` then writes
docs/mechanisms.md. No constant was chosen on these seeds.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmarks import fronts, habit_planes, literature, morphology, parts, populations, snapshots
from phasefront.mechanisms.morphology import Morphologist

OUT = Path(__file__).resolve().parents[1] / "results" / "bench" / "mechanisms.json"
SEED = 20261201


def _of_snapshots() -> dict:
    """Morphologies and populations, from snapshots of the test part."""
    seen = snapshots.snapshots({"test": snapshots.VIEWS["test"]}, snapshots.SEED)
    morphologist = Morphologist.read()
    return {
        "told": morphology.told(seen, morphologist),
        "detection": populations.detected(seen, morphologist),
        "verdicts": populations.verdicts(seen, morphologist, SEED, 4000),
    }


PARTS: dict[str, Callable[[], object]] = {
    "literature": literature.table,
    "fronts": lambda: fronts.study(SEED, 4),
    "habit_planes": lambda: habit_planes.study(SEED, 40),
    "habit_regions": lambda: habit_planes.as_assumed(SEED, 200),
    "random_fronts": lambda: habit_planes.random_fronts(SEED, 160),
    "covariates": lambda: populations.covariates(SEED, (30, 60), 40),
    "snapshots": _of_snapshots,
}


if __name__ == "__main__":
    parts.run(__doc__.splitlines()[0], PARTS, OUT)
