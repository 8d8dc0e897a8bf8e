"""Lines of a map in text, and the table of numbers at its end."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from phasefront.core.errors import InputError
from phasefront.core.texts import decoded_export

_COMPLETE = "copy or export the file again, complete"


def split(content: bytes) -> list[str]:
    """Lines of a text of Unix, Windows or old Macs; what follows the last line's end comes last."""
    return re.split(r"\r\n|\r|\n", decoded_export(content))


def refuse_open_end(path: Path, lines: Sequence[str]) -> None:
    """Refuse a file that ends within a line: its last number may have lost digits."""
    if lines[-1].strip():
        raise InputError(
            path, "ends within a line, as a file that was cut off does", field=f"line {len(lines)}",
            remedy=f"{_COMPLETE}, or end the line if nothing is missing",
        )  # fmt: skip


def number(path: Path, text: str, field: str) -> float:
    """A number of the header, with a decimal point or comma."""
    try:
        return float(text.replace(",", ".") if "." not in text else text)
    except ValueError:
        raise InputError(
            path, f"{text.strip()!r} is no number", field=field, remedy="correct the header"
        ) from None


def count(path: Path, text: str, field: str) -> int:
    """A number of rows, columns or phases, at least 1."""
    if not re.fullmatch(r"\s*\d{1,9}\s*", text) or int(text) < 1:
        raise InputError(
            path, f"{text.strip()!r} is no count", field=field, remedy="correct the header"
        )
    return int(text)


def table(path: Path, lines: Sequence[str], first: int, columns: int | None) -> np.ndarray:
    """Numbers (n, columns) from line `first` on, parted by blanks; blank lines do not count.

    `columns` None takes those of the first row. Decimals may have commas, if none has a point.
    """
    rows = lines[first:]
    if not any(line.strip() for line in rows):
        raise InputError(path, "has no positions below its header", remedy=_COMPLETE)
    if any("," in line for line in rows):
        if any("." in line for line in rows):
            raise InputError(
                path, "has both commas and points in its numbers", field="table",
                remedy="export it with points for decimals and blanks or tabs between columns",
            )  # fmt: skip
        rows = [line.replace(",", ".") for line in rows]
    if columns is None:
        columns = len(next(line for line in rows if line.strip()).split())
    try:
        found = np.loadtxt(rows, ndmin=2, comments=None)
    except ValueError:
        found = None
    if found is None or found.shape[1] != columns:
        raise _bad_row(path, rows, first, columns)
    return found


def _bad_row(path: Path, rows: Sequence[str], first: int, columns: int) -> InputError:
    place = f"line {first + 1}"
    problem = f"is no table of {columns} numbers a row"
    for at, line in enumerate(rows, start=first + 1):
        fields = line.split()
        if fields and len(fields) != columns:
            place, problem = f"line {at}", f"has {len(fields)} values instead of {columns}"
            break
        wrong = [field for field in fields if not _is_number(field)]
        if wrong:
            place, problem = f"line {at}", f"{wrong[0]!r} is no number"
            break
    return InputError(path, problem, field=place, remedy=_COMPLETE)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
