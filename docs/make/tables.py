"""Tables of a page written again, while its text stays."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path


def renewed(page: Path, tables: Mapping[str, str], *, paragraphs: int = 1) -> str:
    """Text of a page in which each table that begins as its key says is the one given, with what
    follows it up to so many `paragraphs`, the table among them.

    Raises ValueError where a page does not have exactly one such table.
    """
    text = page.read_text(encoding="utf-8")
    for start, table in tables.items():
        old = re.compile(
            rf"^{re.escape(start)}(?:.*?\n\n){{{paragraphs}}}", flags=re.DOTALL | re.MULTILINE
        )
        text, places = old.subn(lambda _, table=table: f"{table}\n\n", text)
        if places != 1:
            raise ValueError(f"{page} has {places} tables {start!r}, not one")
    return text
