"""Reading powder patterns: what the columns of a text file are, and the axis in degrees.

What a file says of its axis, unit, wavelength and columns is held against what the table of powder
patterns says; what neither says is taken for degrees only where it can be degrees.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from phasefront.core.errors import InputError
from phasefront.core.texts import decoded_export
from phasefront.powder import axis_units, text_columns
from phasefront.powder.text_columns import COMMENT

_SUFFIXES = (".xye", ".xy", ".chi", ".csv", ".dat", ".txt")
_NUMBER = re.compile(
    r"[-+]?(?:(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][-+]?\d+)?|nan|inf|infinity)", re.IGNORECASE
)
_REMARK = re.compile(r"\s+[#!].*$")  # behind the numbers of a row
_THOUSANDS = re.compile(r"[-+]?\d{1,3}(?:,\d{3})+\.\d*|[-+]?\d{1,3}(?:\.\d{3})+,\d*")


class NothingFound(InputError):
    """A pattern in which there is nothing, as of a frame without a beam."""


def read_pattern(
    path: str | Path,
    *,
    wavelength: float | None = None,
    axis: str | None = None,
    unit: str | None = None,
    columns: Mapping[str, str | int] | None = None,
) -> pd.DataFrame:
    """Read a powder pattern from `.xye`, `.xy`, `.chi`, `.dat`, `.txt` or `.csv`.

    Lines before the numbers and lines that begin with #, !, ;, ', %, //, * or /* are header.
    Columns stand between blanks, tabs, semicolons or commas; decimal commas are read where they
    cannot be anything else. A descending axis is turned round.

    Parameters
    ----------
    wavelength
        angstrom; q and d become angles with it, and a header that has another is refused.
    axis, unit
        What the table says: `two_theta` in `degree` or `radian`, `q` = 4 pi sin(theta) / wavelength
        in `1/A` or `1/nm`, `d` in `A` or `nm`. Without them the header says it. Radians and d are
        taken only where the table says so.
    columns
        Name (from the last header line) or 0-based position of `axis`, `intensity` and, if there is
        one, `sigma` or `weight` (1 / sigma^2). Without it they are the first two, and the third, or
        the one so named, is the uncertainty.

    Returns
    -------
    Table with float columns `two_theta` (degree), `intensity` and `sigma`; without uncertainties
    in the file, sigma is the square root of the intensity (counts). `attrs` holds `file`, `axis`
    (what the axis was read as), `axis_stated`, `wavelength` (angstrom; None where neither header
    nor table says it) and `notes`, a list of what was changed or left out: rows at either end
    whose intensity and uncertainty are zero lie outside the detector.

    Raises
    ------
    InputError
        No such file, another format, fewer than two columns, ragged or non-numeric rows, commas
        that may be either decimal or between columns, values that are not finite, an axis that is
        not monotonic, is no angle, q or d, contradicts the table or cannot be degrees, another
        wavelength, angles outside 0 to 180 degrees, a third column that is no uncertainty, sigma
        that is not positive. NothingFound, which is one, where every intensity is zero.
    """
    path = Path(path)
    text = _read_text(path)
    lines = _Lines(path)
    for number, line in enumerate(text.splitlines(), start=1):
        lines.take(number, line)
    lines.finish()
    numbers = np.array(lines.rows)
    width = numbers.shape[1]
    if width < 2:
        raise InputError(
            path, "only one column", remedy="give angle, intensity and, best, its uncertainty"
        )
    names = None
    if lines.label is None:
        names = text_columns.in_header(path, lines.header, width)
    places = text_columns.places(path, lines.header, names, width, columns)
    known = text_columns.says_something(names)
    picked = {role: numbers[:, place] for role, place in places.items()}
    for role, values in picked.items():
        wrong = np.flatnonzero(~np.isfinite(values))
        if wrong.size:
            raise InputError(
                path, f"{wrong.size} values are not finite, first in row {wrong[0] + 1}",
                field=role, remedy="mask those points before export",
            )  # fmt: skip
    if not picked["intensity"].any():
        raise NothingFound(
            path, "every intensity is zero", field="intensity",
            remedy="leave the pattern out, or correct its columns",
        )  # fmt: skip
    picked, notes = _without_empty_ends(picked)
    notes += text_columns.doubt_counts(picked) + axis_units.doubt_wavelength(lines.header)
    if columns is None:
        named = known or path.suffix.lower() == ".xye"
        text_columns.check_uncertainty(path, picked, declared=named)
    label = names[places["axis"]] if known else lines.label
    stated = axis_units.settle(path, lines.header, label, axis=axis, unit=unit)
    wavelength = axis_units.settle_wavelength(path, lines.header, wavelength)
    angle, order = axis_units.as_two_theta(path, picked["axis"], stated, wavelength)
    table = pd.DataFrame({"two_theta": angle, "intensity": picked["intensity"][order]})
    table["sigma"] = text_columns.sigma(path, picked)[order]
    table.attrs = {
        "file": str(path), "axis": str(stated), "axis_stated": stated.said, "notes": notes,
        "wavelength": wavelength,
    }  # fmt: skip
    return table


def read_header(path: str | Path) -> list[str]:
    """Lines before the numbers of a pattern's file; raises InputError as `read_pattern`."""
    path = Path(path)
    lines = _Lines(path)
    for number, line in enumerate(_read_text(path).splitlines(), start=1):
        lines.take(number, line)
        if lines.rows:
            break
    return lines.header


def _read_text(path: Path) -> str:
    if path.suffix.lower() not in _SUFFIXES:
        raise InputError(
            path, f"no reader for {path.suffix or 'a file without suffix'!r}",
            remedy=f"give one of {', '.join(_SUFFIXES)}",
        )  # fmt: skip
    try:
        content = path.read_bytes()
    except (FileNotFoundError, IsADirectoryError):
        raise InputError(
            path, "there is no such file", remedy="correct the path of the pattern"
        ) from None
    return decoded_export(content)


@dataclass
class _Lines:
    """Header and rows of numbers, and how the file writes numbers."""

    path: Path
    header: list[str] = field(default_factory=list)
    rows: list[list[float]] = field(default_factory=list)
    points: int = 0  # cells with a decimal point
    commas: int = 0  # cells with a decimal comma
    between: bool = False  # commas stand between columns
    announced: int | None = None  # points, by Fit2D's header

    @property
    def label(self) -> str | None:
        """Fit2D's second line says what the axis is."""
        chi = self.path.suffix.lower() == ".chi" and len(self.header) > 1
        return self.header[1].strip() if chi else None

    def take(self, number: int, line: str) -> None:
        if not line.strip():
            return
        comment = COMMENT.match(line)
        cells = _cells(_REMARK.sub("", line))
        whole = not comment and all(_NUMBER.fullmatch(cell) for cell in cells)
        # Fit2D's fourth header line is the number of points.
        count = self.path.suffix.lower() == ".chi" and len(cells) == 1
        if not self.rows and (not whole or count):
            if count and whole and cells[0].isdecimal():
                self.announced = int(cells[0])
            if not comment and any(_THOUSANDS.fullmatch(cell) for cell in cells):
                self._refuse_comma(number, line)
            self.header.append(line)
            return
        if comment:
            return
        if not whole:
            if any("," in cell for cell in cells):
                self._refuse_comma(number, line)
            raise InputError(
                self.path, f"{line.strip()[:40]!r} is not a row of numbers",
                field=f"line {number}", remedy="remove the line or mark it as a comment with #",
            )  # fmt: skip
        if self.rows and len(cells) != len(self.rows[0]):
            raise InputError(
                self.path, f"{len(cells)} columns, {len(self.rows[0])} before",
                field=f"line {number}", remedy="export the pattern again",
            )  # fmt: skip
        if not self.rows:
            self._check_last_header(cells)
        self.points += sum("." in cell for cell in cells)
        self.commas += sum("," in cell for cell in cells)
        self.between |= _commas_between(line)
        self.rows.append([float(cell.replace(",", ".")) for cell in cells])

    def finish(self) -> None:
        """Refuse a file without numbers, and commas of which one cannot tell what they are."""
        if not self.rows:
            raise InputError(
                self.path, "no numbers", remedy="give a pattern of angle and intensity"
            )
        if self.announced not in (None, len(self.rows)):
            raise InputError(
                self.path, f"its header announces {self.announced} points, {len(self.rows)} are"
                " there", field="line 4", remedy="the file is cut short: export it again",
            )  # fmt: skip
        if (self.points and self.commas) or (self.between and not self.points):
            self._refuse_comma()

    def _check_last_header(self, cells: list[str]) -> None:
        """A first row that is damaged must not pass for a header, lest the point be lost."""
        last = self.header[-1] if self.header else ""
        found = _cells(last)
        if COMMENT.match(last) or len(found) != len(cells):
            return
        if any(_NUMBER.fullmatch(cell) for cell in found):
            raise InputError(
                self.path, f"{last.strip()[:40]!r} is neither names nor a row of numbers",
                field="header", remedy="correct the line, or mark it as a comment with #",
            )  # fmt: skip

    def _refuse_comma(self, number: int | None = None, line: str = "") -> None:
        where = f"in {line.strip()[:40]!r} " if line else ""
        raise InputError(
            self.path, f"a comma {where}may be decimal, of thousands or between columns",
            field=f"line {number}" if number else None,
            remedy="export with decimal points throughout, or with decimal commas throughout and"
            " semicolons or tabs between columns",
        )  # fmt: skip


def _commas_between(line: str) -> bool:
    if ";" in line or "," not in line:
        return False
    return re.search(r",\s", line) is not None or not re.search(r"\s", line.strip())


def _cells(line: str) -> list[str]:
    line = line.strip()
    if ";" in line:
        cells = line.split(";")
    elif _commas_between(line):
        cells = line.split(",")
    else:
        return [cell.strip('"') for cell in line.split()]
    if len(cells) > 2 and not cells[-1].strip():
        cells.pop()  # a separator ends the line
    return [cell.strip().strip('"') for cell in cells]


def _without_empty_ends(picked: dict) -> tuple[dict, list[str]]:
    """Rows at either end with neither intensity nor uncertainty lie outside the detector."""
    known = picked.get("sigma", picked.get("weight"))
    if known is None:
        return picked, []
    full = np.flatnonzero((known != 0) | (picked["intensity"] != 0))
    if not full.size:
        return picked, []
    kept = slice(full[0], full[-1] + 1)
    empty = len(known) - (kept.stop - kept.start)
    points = "point" if empty == 1 else "points"
    notes = [f"{empty} empty {points} at the ends of the file left out"] if empty else []
    return {role: values[kept] for role, values in picked.items()}, notes
