"""docs/tomography.md: the tables of virtual tilt series, written again."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks import tilt_series
from docs.make.tables import renewed

ROOT = Path(__file__).resolve().parents[2]
STUDY = tilt_series.RESULT
PAGE = ROOT / "docs/tomography.md"


def page() -> str:
    """The page as it is, with a table for each material."""
    materials = json.loads(STUDY.read_text(encoding="utf-8"))["rows"]
    return renewed(
        PAGE, {f"| {name} | told": tilt_series.table(name, of) for name, of in materials.items()}
    )
