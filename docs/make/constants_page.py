"""docs/constants.md: what fitted and chosen constants do, from three benchmarks."""

from __future__ import annotations

import json
from pathlib import Path

from phasefront.report.wording import markdown_table

BENCH = Path(__file__).resolve().parents[2] / "results/bench"
FITTED = BENCH / "constants.json"
CHOSEN = BENCH / "sensitivity.json"
OF_PAIRS = BENCH / "pair_sensitivity.json"


def constants_page() -> str:
    """The page. Numbers that the text names by words are those of the tables."""
    fitted, chosen, pairs = (json.loads(path.read_text()) for path in (FITTED, CHOSEN, OF_PAIRS))
    usual = chosen["as it is"]
    right = min(row["right"] for row in chosen.values() if "right" in row)
    again = markdown_table(
        ["constant", "code", "best of those tried", "as good", "score", "gain of the best"],
        [
            [f"`{row['constant']}`", f"{row['value']:g}", f"{row['best']:g}",
             "{:g} to {:g}".format(*row["as_good"]), f"{row['score']:.4f}",
             f"{row['gain']:.4f} ± {row['gain_stderr']:.4f}"]
            for row in fitted["constants"]
        ],
    )  # fmt: skip
    decided = _halved_and_doubled(
        chosen, {"decisions changed": "changed", "undecided": "undecided",
                 "log-probability": "log_probability"},
    )  # fmt: skip
    of_pairs = _halved_and_doubled(
        pairs, {"directions moved": "moved", "median changes by a factor": "median_by",
                "never decided": "never"},
    )  # fmt: skip
    return f"""# What constants do

`make constants`, `python -m benchmarks.sensitivity` and `python -m benchmarks.pair_sensitivity`
measure it, `make docs` writes this page. A comment beside every constant in the code says what it
is and where it is from. What has neither a source there nor a row here was chosen by hand, and what
half or double of it does is not measured.

## Those that were fitted, fitted again

On other seeds ({", ".join(map(str, fitted["seeds"]))}). Score: mean log-probability of the true
phase; for the two powers of the matching, the share of positions with the right phase and an
orientation within 3 degrees; for those of `calibration` and `AFFINE`, the mean log-density of the
true matrix ([calibration](calibration.md)). As good: within 0.01 of the best score, there 0.1.

{again}

## Half and double of those that were chosen

Three virtual scans (20 x 20 positions, seeds 81001 to 81003), decided again. The least share of
decided clear positions that are right is {right:.4f}, over all rows. As the code is,
{usual["undecided"]:.4f} of the crystal is undecided, and the mean log-probability of the true phase
is {usual["log_probability"]:.4f}. Constants that numba compiles in, and those of calibration and
spots, are not among them. Double of `_SURE` and `_WORTH` is over 1, which nothing reaches; half of
`_SPARE` is 1, as it is.

{decided}

## Half and double of those that say which phases can be told apart

Electrons that a decision between phases of Na3V2(PO4)2F3 needs, along zone axes and a grid of beam
directions. Moved: they change by more than a tenth along this share of the directions. Then the
largest factor by which the median of a pair changes, and the share of directions that no dose
decides ({pairs["as it is"]["never"]:.4f} as the code is).

{of_pairs}
"""


def _halved_and_doubled(rows: dict[str, dict], columns: dict[str, str]) -> str:
    """A table with two columns a number; refused values have none."""
    names = dict.fromkeys(name.rpartition(" x ")[0] for name in rows if " x " in name)
    return markdown_table(
        ["constant", *(f"{head}, {how}" for head in columns for how in ("half", "double"))],
        [
            [f"`{name}`", *(_number(rows[f"{name} x {factor}"].get(key))
                            for key in columns.values() for factor in ("0.5", "2"))]
            for name in names
        ],
    )  # fmt: skip


def _number(value: float | None) -> str:
    return "refused" if value is None else f"{value:z.4f}"
