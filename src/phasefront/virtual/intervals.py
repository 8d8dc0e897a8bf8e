"""How often intervals held the truth, and how far off the fractions were on average.

Takes the table of `virtual.coverage.run`. An interval of an absent phase starts at 0 and that of a
pure one ends at 1, so these can hardly miss; what puts intervals to the test are the phases of a
mixture, which have a group of their own.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pandas as pd
from statsmodels.stats.proportion import proportion_confint

ESTIMATES = ("found", "unfolded")
# Groups of scans that the tables show apart: by number of grains, and by share of a phase.
_FEW_TO_MANY = (0, 6, 10, np.inf)
_POOR_TO_RICH = (0, 0.2, 0.8, 1)  # bounds of the share
_THIN = 0.1  # molar, of the rarer phase where layers are thin


def summarise(table: pd.DataFrame) -> dict[str, list[dict]]:
    """Shares of intervals that hold the population's fraction, and mean errors of fractions.

    Returns
    -------
    `coverage`: one entry for each `kind` and group (`by`, `group`)
    with the number of `scans`, the share `covered`, its 95 % Wilson interval `covered_low`,
    `covered_high` (J. Am. Stat. Assoc. 22, 209, 1927) and the mean `width`. Phases of one scan are
    not independent, so Wilson's count is that of the scans.

    `bias`: one for each `estimate` (of `ESTIMATES`), `kind` and group with the mean of estimate
    less truth, `bias`, and its standard error `bias_stderr`, against the population, and
    `bias_of_area` and `bias_of_area_stderr` against the scanned area, where the draw of the grains
    adds nothing. Errors of all phases of a scan add up to 0, so a group holds one phase of a scan.
    """
    kinds = list(dict.fromkeys(table["kind"]))
    coverage = [
        {"kind": kind, "by": by, "group": group, **_coverage(rows)}
        for kind in kinds
        for by, group, rows in _groups(table[table["kind"] == kind])
        if len(rows)
    ]
    bias = [
        {"estimate": name, "kind": kind, "by": by, "group": group, **_bias(rows, name)}
        for name in ESTIMATES
        for kind in kinds
        for by, group, rows in _groups(table[table["kind"] == kind])
        if len(rows) and not rows["scan"].duplicated().any()
    ]
    return {"coverage": coverage, "bias": bias}


def _groups(table: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Rows of one kind of fraction, by what they have in common."""
    between = (table["population"] > 0) & (table["population"] < 1)
    yield "all", "all", table
    yield "truth", "mixture", table[between]
    yield "truth", "pure", table[table["population"] == 1]
    yield "truth", "absent", table[table["population"] == 0]
    for phase, rows in table.groupby("phase", sort=False):
        yield "phase", phase, rows
    for role in ("rich", "poor", "absent"):
        yield "role", role, table[table["role"] == role]
    rich = table[between & (table["role"] == "rich")]
    for low, high in itertools.pairwise(_POOR_TO_RICH):
        own = rich["population"].between(low, high, inclusive="left")
        yield "fraction of the rich phase", f"{low:g} to {high:g}", rich[own]
    for model, rows in rich.groupby("insertion_model"):
        yield "insertion model", model, rows
        share = rows["ion_content"] % 1
        yield "thin layers", f"{model}, up to 0.1", rows[share.round(6) <= _THIN]
        yield "thin layers", f"{model}, from 0.9", rows[share.round(6) >= 1 - _THIN]
    for low, high in itertools.pairwise(_FEW_TO_MANY):
        name = f"{low} to {high}" if np.isfinite(high) else f"over {low}"
        own = rich["effective_grains"].between(low, high, inclusive="left")
        yield "effective grains", name, rich[own]


def held(rows: pd.DataFrame) -> pd.Series:
    """Whether the interval holds the population's fraction."""
    return rows["population"].between(rows["low"], rows["high"])


def _coverage(rows: pd.DataFrame) -> dict:
    scans, share = rows["scan"].nunique(), float(held(rows).mean())
    ends = proportion_confint(share * scans, scans, method="wilson")
    return {
        "scans": scans, "covered": share, "covered_low": float(ends[0]),
        "covered_high": float(ends[1]), "width": float((rows["high"] - rows["low"]).mean()),
    }  # fmt: skip


def _bias(rows: pd.DataFrame, estimate: str) -> dict:
    out = {"scans": len(rows)}
    for name, truth in (("bias", "population"), ("bias_of_area", "scanned")):
        error = rows[estimate] - rows[truth]
        out[name] = float(error.mean())
        stderr = error.std() / np.sqrt(len(error)) if len(error) > 1 else np.nan
        out[f"{name}_stderr"] = float(stderr) if np.isfinite(stderr) else None
    return out
