"""What half and double of a constant of `pairs` do to the electrons that a decision needs.

On the phases of NVPF at 200 kV and 0.8 degree of precession, along zone axes and a grid of beam
directions 10 degrees apart. Writes `results/bench/pair_sensitivity.json` and prints a line for each
value: share of directions whose electrons change by more than a tenth, or become finite or
infinite; the largest factor by which the median of a pair changes; and the share of directions that
no dose decides.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from benchmarks import assumptions
from benchmarks.sensitivity import with_constant
from phasefront.diffraction.crystals import read_crystals
from phasefront.pairs.rating import rate_pairs

OUT = assumptions.ROOT / "results" / "bench" / "pair_sensitivity.json"
STEP_DEG = 10.0  # twice that of the report, for time
CONSTANTS = (
    "pairs.patterns.COUNTED", "pairs.patterns.KEPT", "pairs.patterns._REACH",
    "pairs.patterns._DOUBLE", "pairs.search._TEMPLATE_STEP_DEG", "pairs.search._RIVALS",
    "pairs.search._RELATIONS", "pairs.search._RELATED_DEG", "pairs.search._ALIKE_DEG",
    "pairs.search._FOUND", "pairs.search._EXPECTED",
)  # fmt: skip


def electrons() -> tuple[np.ndarray, np.ndarray]:
    """Electrons needed along each direction (n,), and the pair of each (n,)."""
    paths = [assumptions.STRUCTURES / f"{phase.cif}.cif" for phase in assumptions.PHASES]
    rated = rate_pairs(
        read_crystals(paths, assumptions.NAMES), voltage_kv=200.0, precession_deg=0.8,
        step_deg=STEP_DEG,
    )  # fmt: skip
    return rated["electrons"].to_numpy(), rated["pair_index"].to_numpy()


def compared(usual: np.ndarray, found: np.ndarray, pair: np.ndarray) -> dict:
    """See the module; electrons (n,) with the code's value and another, infinite where never."""
    both = np.isfinite(usual) & np.isfinite(found)
    moved = np.isfinite(usual) != np.isfinite(found)
    moved[both] = np.abs(np.log(found[both] / usual[both])) > np.log(1.1)
    medians = np.array(
        [[np.median(one[pair == p]) for p in np.unique(pair)] for one in (usual, found)]
    )
    with np.errstate(invalid="ignore"):
        factor = np.exp(np.abs(np.diff(np.log(medians), axis=0)))
    return {
        "moved": float(moved.mean()),
        "median_by": float(np.nanmax(factor)),
        "never": float(np.isinf(found).mean()),
    }


def main(out: Path = OUT) -> None:
    usual, pair = electrons()
    rows = {"as it is": compared(usual, usual, pair)}
    for name in CONSTANTS:
        for by in (0.5, 2.0):
            with with_constant(name, by):
                rows[f"{name} x {by:g}"] = row = compared(usual, electrons()[0], pair)
            print(f"{name:36} x {by:3g} {row}", flush=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
