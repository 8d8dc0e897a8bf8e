"""Files that a supplement names without holding them: raw scans that lie in an archive."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from phasefront.core.errors import InputError

TABLE = "absent.csv"
_COLUMNS = ("path", "size", "sha256", "identifier")


def table(files: Mapping[str, Mapping]) -> str:
    """The table as text: `{"size", "sha256", "identifier"}` by path."""
    stream = io.StringIO()
    rows = csv.DictWriter(stream, _COLUMNS, restval="", lineterminator="\n")
    rows.writeheader()
    rows.writerows({"path": path, **about} for path, about in files.items())
    return stream.getvalue()


def read(folder: str | Path) -> dict[str, str]:
    """SHA-256 of the files, by path; empty where the folder is no supplement.

    Raises InputError where the table is damaged.
    """
    table = Path(folder) / TABLE
    if not table.is_file():
        return {}
    try:
        with table.open(encoding="utf-8", newline="") as stream:
            return {row["path"]: row["sha256"] for row in csv.DictReader(stream)}
    except (OSError, ValueError, KeyError, csv.Error):
        raise InputError(
            table, "no list of absent files", remedy="take it from the supplement again"
        ) from None
