"""docs/assumptions.md: the tables of what wrong assumptions do, written again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from docs.make.tables import renewed
from phasefront.report.wording import markdown_table

ROOT = Path(__file__).resolve().parents[2]
STUDY = ROOT / "results/bench/assumptions.json"
PAGE = ROOT / "docs/assumptions.md"


def _decimals(number: int) -> Callable[[float], str]:
    return lambda value: f"{value:.{number}f}"


def _percent(value: float) -> str:
    return f"{100 * value:+.2f} %"


def _thousandths(value: float) -> str:
    return f"{1000 * value:.1f}"


# Columns of the tables: what `assumptions.summarise` calls them, and how they are told.
_CASES = {
    "right": ("right", _decimals(3)),
    "wrong": ("wrong", _decimals(3)),
    "mixed": ("mixed", _decimals(3)),
    "undecided": ("undecided", _decimals(3)),
    "calibration error": ("expected_calibration_error", _decimals(4)),
    "posterior of the true phase": ("posterior_true", _decimals(4)),
    "orientation error (degrees)": ("orientation_error_deg", _decimals(2)),
    "largest error of an area fraction": ("fraction_error_max", _decimals(3)),
    "cell misfit": ("cell_misfit", _decimals(1)),
    "evidence a spot": ("evidence_per_spot", _decimals(1)),
    "position error (1e-3/A)": ("position_sigma", _thousandths),
}
_MISSING = {
    "positions": ("positions", _decimals(0)),
    "wrong": ("wrong", _decimals(3)),
    "mixed": ("mixed", _decimals(3)),
    "undecided": ("undecided", _decimals(3)),
    "other phases right": ("right_others", _decimals(3)),
    "cell misfit": ("cell_misfit", _decimals(1)),
    "spots explained": ("explained", _decimals(2)),
    "evidence a spot": ("evidence_per_spot", _decimals(1)),
    "position error (1e-3/A)": ("position_sigma", _thousandths),
    "scale found, error": ("scale_error", _percent),
}
_CONDITIONS = {
    "accuracy of decided": ("accuracy_decided", _decimals(3)),
    "decided and right": ("right", _decimals(3)),
    "mixed": ("mixed", _decimals(3)),
    "undecided": ("undecided", _decimals(3)),
    "of these unindexed": ("unindexed", _decimals(3)),
    "vacuum found": ("vacuum_found", _decimals(3)),
    "crystal called vacuum": ("vacuum_false", _decimals(3)),
    "beam's place, largest error (pixels)": ("centre_error", _decimals(2)),
    "scale, largest error": ("scale_error", _percent),
    "scans refused": ("refused", _decimals(0)),
}


def page() -> str:
    """The page as it is, with the tables of `benchmarks.assumptions`."""
    study = json.loads(STUDY.read_text(encoding="utf-8"))
    return renewed(
        PAGE,
        {
            "| what is wrong |": _table("what is wrong", study["cases"], _CASES),
            "| what is missing |": _table("what is missing", study["missing"], _MISSING),
            "| in the way |": _table("in the way", study["conditions"], _CONDITIONS),
        },
    )


def _table(first: str, cases: dict, columns: dict) -> str:
    return markdown_table(
        [first, *columns],
        [
            [name, *("–" if (value := found.get(key)) is None else told(value)
                     for key, told in columns.values())]
            for name, found in cases.items()
        ],
    )  # fmt: skip
