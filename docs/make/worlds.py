"""The part of docs/decisions.md on two worlds: the tables of `benchmarks.worlds`."""

from __future__ import annotations

import json
from pathlib import Path

from docs.make.tables import renewed
from phasefront.report.wording import markdown_table

ROOT = Path(__file__).resolve().parents[2]
STUDY = ROOT / "results/bench/worlds.json"
OVERLAPS = ROOT / "results/bench/overlaps.json"
TWINS = ROOT / "results/bench/twins.json"
PAGE = ROOT / "docs/decisions.md"
CHECKS = ROOT / "results/bench/multislice_checks.json"
# Columns of the table: what `worlds.score` calls them, and decimals.
COLUMNS = {
    "accuracy": ("accuracy", 3),
    "undecided": ("undecided", 3),
    "mixed columns found": ("mixed_found", 3),
    "called mixed wrongly": ("mixed_wrong", 3),
    "overlaps right": ("overlap_accuracy", 3),
    "calibration error": ("calibration_error", 4),
    "orientation, median (degrees)": ("orientation_deg", 2),
    "90 %": ("orientation_p90_deg", 1),
    "orientation sure": ("orientation_sure", 3),
    "of these right": ("orientation_sure_right", 4),
    "90 % of these (degrees)": ("orientation_sure_p90_deg", 2),
    "vacuum not called so": ("vacuum_missed", 3),
}


def groups_table(groups: dict) -> str:
    """A line a group of scans."""
    return markdown_table(
        ["scans", "number", "calibration refused", "positions", "wrong", *COLUMNS],
        [
            [name, f"{found['scans'] + len(found['lost'])}", f"{len(found['refused'])}",
             *(_number(found.get(key), 0) for key in ("positions", "wrong")),
             *(_number(found.get(key), decimals) for key, decimals in COLUMNS.values())]
            for name, found in groups.items()
        ],
    )  # fmt: skip


def phases_table(groups: dict) -> str:
    """Accuracy and share undecided of each phase, a line a group."""
    rows = []
    for name, found in groups.items():
        for phase, count in found.get("by_phase", {}).items():
            decided, total = count["right"] + count["wrong"], sum(count.values())
            rows.append(
                [name, phase, f"{total}", _ratio(count["right"], decided),
                 _ratio(count["undecided"], total)]
            )  # fmt: skip
    return markdown_table(["scans", "phase", "positions", "accuracy", "undecided"], rows)


def overlaps_table(found: dict) -> str:
    """A line a share of the weaker crystal."""
    columns = {
        "stronger is the first": "first is strong", "weaker is the first": "first is weak",
        "weaker is the second": "second is weak", "no second": "no second",
    }  # fmt: skip
    return markdown_table(
        ["share of the weaker", *columns],
        [
            [share, *(f"{numbers[name]:.2f}" for name in columns.values())]
            for share, numbers in found.items()
        ],
    )


def twins_table(found: dict) -> str:
    """A line a share of the twin in the intensity; single crystals last."""
    columns = list(next(iter(found.values())))
    return markdown_table(
        ["share of the twin", *columns],
        [
            [share, *("–" if name not in numbers else f"{numbers[name]:.3f}" for name in columns)]
            for share, numbers in found.items()
        ],
    )


def silicon_table(found: dict) -> str:
    """Intensities of two families by multislice and by Bloch waves, a line a thickness."""
    families = [found["families"][name] for name in ("220", "400")]
    columns = [one[method] for one in families for method in ("mean", "bloch_waves")]
    return markdown_table(
        ["silicon [001], nm", "220, multislice", "Bloch waves", "400, multislice", "Bloch waves"],
        [
            [f"{nm:g}", *(f"{value:.4f}" for value in values)]
            for nm, *values in zip(found["thickness_nm"], *columns, strict=True)
        ],
    )  # fmt: skip


def convergence_table(found: dict) -> str:
    """R1 of a pattern against finer numerics, a column a thickness."""
    return markdown_table(
        ["thickness, nm", *(f"{nm:g}" for nm in found["thickness_nm"])],
        [["R1 against finer numerics", *(f"{apart:.3f}" for apart in found["r1"])]],
    )


def page() -> str:
    """docs/decisions.md as it is, with the tables of two worlds written again."""
    groups = json.loads(STUDY.read_text(encoding="utf-8"))
    groups.pop("seconds")
    overlaps = json.loads(OVERLAPS.read_text(encoding="utf-8"))
    checks = json.loads(CHECKS.read_text(encoding="utf-8"))
    twins = json.loads(TWINS.read_text(encoding="utf-8"))
    return renewed(
        PAGE,
        {
            "| scans | number": groups_table(groups),
            "| scans | phase": phases_table(groups),
            "| share of the weaker": overlaps_table(overlaps),
            "| share of the twin": twins_table(twins),
            "| silicon": silicon_table(checks["silicon_001"]),
            "| thickness, nm": convergence_table(checks["convergence"]),
        },
    )


def _number(value: float | None, decimals: int) -> str:
    return "–" if value is None else f"{value:.{decimals}f}"


def _ratio(part: int, whole: int) -> str:
    return f"{part / whole:.3f}" if whole else "–"
