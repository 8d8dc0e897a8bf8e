"""What can be told of insertion mechanisms: power, errors and their coverage, on unseen grains.

`python -m benchmarks.mechanisms` writes `results/bench/mechanisms.json`; `make docs` then writes
docs/mechanisms.md. No constant was chosen on these seeds.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

from benchmarks import fronts, habit_planes, literature, morphology, populations, snapshots
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


def main() -> None:
    """Run the parts, or those that are named, and keep what the file says of the others."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all if none is named")
    named = parser.parse_args().parts
    strange = [part for part in named if part not in PARTS]
    if strange:
        parser.error(f"there is no part {strange[0]!r}")
    OUT.parent.mkdir(parents=True, exist_ok=True)
    found = json.loads(OUT.read_text(encoding="utf-8")) if named and OUT.exists() else {}
    for part in named or PARTS:
        begun = perf_counter()
        found[part] = PARTS[part]()
        found.setdefault("seconds", {})[part] = round(perf_counter() - begun)
        OUT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        print(part, f"{found['seconds'][part]} s", flush=True)
    print(OUT)


if __name__ == "__main__":
    main()
