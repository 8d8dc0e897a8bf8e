"""docs/tomography.md: the tables of virtual tilt series, written again."""

from __future__ import annotations

import json
from pathlib import Path

from docs.make.tables import renewed
from phasefront.report.wording import markdown_table

ROOT = Path(__file__).resolve().parents[2]
STUDY = ROOT / "results/bench/tilt_series.json"
PAGE = ROOT / "docs/tomography.md"


def page() -> str:
    """The page as it is, with a table for each material."""
    materials = json.loads(STUDY.read_text(encoding="utf-8"))["rows"]
    return renewed(PAGE, {f"| {name} | told": _table(name, of) for name, of in materials.items()})


def _table(material: str, rows: dict) -> str:
    heads = [material, *next(iter(rows.values()))]
    return markdown_table(
        heads, [[name, *(f"{value:.3f}" for value in row.values())] for name, row in rows.items()]
    )
