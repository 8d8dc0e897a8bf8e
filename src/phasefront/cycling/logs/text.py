"""Tables in text files: where they begin, and what their numbers, clocks and dates say."""

from __future__ import annotations

import csv
import io
import re
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from phasefront.core.errors import InputError
from phasefront.core.moments import Stamp
from phasefront.core.texts import decoded_export
from phasefront.cycling.logs import clock

_SEPARATORS = "\t;,|"
_HEADER_WITHIN = 500  # lines
_LONGEST_CELL = 40  # signs of a cell that a message quotes
_CLOCKS = {
    # Days may stand before the hours, as in 1d 02:03:04, 1 day, 02:03:04, 1-02:03:04, 1.02:03:04.
    "h:mm:ss": r"(?:(?P<d>\d+)(?:\s*d(?:ays?)?\s*,?\s*|[-.\s]\s*))?(?P<h>\d+):(?P<m>[0-5]?\d)"
    r":(?P<s>[0-5]?\d(?:[.,]\d*)?)",
    "h:mm": r"(?P<h>\d+):(?P<m>[0-5]?\d)",
    "m:ss": r"(?P<m>\d+):(?P<s>[0-5]?\d(?:[.,]\d*)?)",
}
CLOCK_UNITS = (*_CLOCKS, "date", "a format as of strptime, such as %d/%m/%Y %H:%M:%S")
_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}  # in one of each


class Notation(NamedTuple):
    """Signs in the numbers of a file; an instrument's own format may use either decimal sign."""

    decimal: str = "either"
    thousands: str | None = None


EITHER_DECIMAL = Notation()


class Delimited(NamedTuple):
    """A table of text cells, and what stands between them in the file."""

    table: pd.DataFrame
    separator: str


def parse(path: Path, kind: str, load: Callable):
    """What `load()` returns; a third-party parser's failure, of whatever type, as InputError."""
    try:
        return load()
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            path, f"not a readable {kind} file ({type(error).__name__}: {error})",
            remedy="export it again from the cycler's software",
        ) from error  # fmt: skip


def read_lines(path: Path) -> list[str]:
    """Lines of a text in UTF-8, UTF-16 with its mark, or else Latin-1."""
    return decoded_export(path.read_bytes()).splitlines()


def read_delimited(path: Path, wanted: Sequence[str]) -> Delimited:
    """Table of a text file whose header is the first line with all columns in `wanted`.

    Without such a line it has the first line's columns and no rows, so that the caller can say
    which column is missing.
    """
    lines = read_lines(path)
    if not lines:
        raise InputError(path, "the log is empty", remedy="export it again, with its data")
    header = _find_header(lines, wanted, path)
    if header is None:
        separator = next((mark for mark in _SEPARATORS if mark in lines[0]), ",")
        return Delimited(pd.DataFrame(columns=_cells(lines[0], separator), dtype=str), separator)
    number, separator = header
    return Delimited(read_table("\n".join(lines[number:]), separator, path), separator)


def _find_header(lines: list[str], wanted: Sequence[str], path: Path) -> tuple[int, str] | None:
    for number, line in enumerate(lines[:_HEADER_WITHIN]):
        for separator in _SEPARATORS:
            cells = _cells(line, separator)
            if set(wanted) <= set(cells):
                for name in wanted:
                    if cells.count(name) > 1:
                        raise InputError(
                            path, f"{cells.count(name)} columns have this name", field=name,
                            remedy="name the columns apart in the file's header",
                        )  # fmt: skip
                return number, separator
    return None


def _cells(line: str, separator: str) -> list[str]:
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=separator), [])]
    except csv.Error:  # no line of a table, but of some binary file
        return []


def read_table(text: str, separator: str, path: Path) -> pd.DataFrame:
    """Cells as text; lines cut short are filled with empty cells.

    A separator at the end of each row, but not of the header, is allowed; cells without a name are
    not.
    """
    header, _, rows = text.partition("\n")
    try:
        try:
            table = _parsed(text, separator)
        except pd.errors.ParserWarning:
            table = _parsed(f"{header}{separator}\n{rows}", separator)
            if table.iloc[:, -1].str.strip().any():
                raise
            table = table.iloc[:, :-1]
    except (pd.errors.ParserError, pd.errors.EmptyDataError, pd.errors.ParserWarning) as error:
        raise InputError(
            path, f"not a table of equal columns ({error})", remedy="export the log again"
        ) from error
    return table.rename(columns=str.strip)


def _parsed(text: str, separator: str) -> pd.DataFrame:
    with warnings.catch_warnings():
        # It says that cells beyond the header are lost.
        warnings.simplefilter("error", pd.errors.ParserWarning)
        return pd.read_csv(
            io.StringIO(text), sep=separator, dtype=str, keep_default_na=False, index_col=False
        )


def first_column(table: pd.DataFrame, names: Sequence[str], path: Path, remedy: str) -> str:
    """The first of the names that the table has; InputError if it has none."""
    for name in names:
        if name in table:
            return name
    raise InputError(path, "the column is missing", field=" or ".join(names), remedy=remedy)


# --- numbers ---------------------------------------------------------------------------------


def find_notation(
    content: Delimited, names: Sequence[str], path: Path,
    decimal: str | None, thousands: str | None,
) -> Notation:  # fmt: skip
    """Signs in the numbers of some columns: as stated, or as only one reading is possible.

    A comma is a decimal sign where some number cannot be read otherwise: groups of thousands have
    three digits and do not begin with 0. Beside it, a point is one where no number with a point
    could be such groups.

    Raises
    ------
    InputError
        The signs stated are the same, or nothing is stated and commas may be read in two ways.
    """
    if decimal is not None or thousands is not None:
        decimal = decimal or ("," if thousands == "." else ".")
        if decimal == thousands:
            raise InputError(
                path, f"{decimal!r} cannot be both decimal and thousands", field="columns",
                remedy="state the sign of one of them, or two different ones",
            )  # fmt: skip
        return Notation(decimal, thousands)
    cells = pd.concat([content.table[name].str.strip() for name in names], ignore_index=True)
    commas = cells[cells.str.contains(",", regex=False)]
    if commas.empty:
        return Notation(".")
    grouped = commas.str.fullmatch(r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?")
    pointed = cells.str.fullmatch(r"[+-]?[1-9]\d{0,2}(\.\d{3})+").any()
    if not grouped.all() and not pointed and (commas.str.count(",") == 1).all():
        return EITHER_DECIMAL
    example = commas[grouped].iloc[0] if grouped.any() else commas.iloc[0]
    raise InputError(
        path, f"the comma in {example!r} may be a decimal sign or one between thousands",
        field=next(n for n in names if (content.table[n].str.strip() == example).any()),
        remedy='state it in the column map: "decimal": "," or "thousands": ","',
    )  # fmt: skip


def numbers(
    table: pd.DataFrame, name: str, path: Path, notation: Notation = EITHER_DECIMAL
) -> np.ndarray:
    """A column as float64, (n,); what is no number is an error."""
    column = table[name]
    if column.dtype.kind in "fiub":
        return _finite(column.to_numpy(dtype="f8"), column, name, path, notation)
    cells = column.str.strip()
    if notation.thousands:
        group = rf"(?:{re.escape(notation.thousands)}\d{{3}})"
        number = rf"[+-]?\d{{1,3}}{group}*(?:{re.escape(notation.decimal)}\d*)?(?:[eE][+-]?\d+)?"
        plain = rf"[+-]?\d*(?:{re.escape(notation.decimal)}\d*)?(?:[eE][+-]?\d+)?"
        grouped = cells.str.replace("\xa0", " ").str.replace("\u202f", " ")
        fits = grouped.str.fullmatch(number) | grouped.str.fullmatch(plain)
        cells = grouped.str.replace(notation.thousands, "", regex=False).where(fits, cells + "?")
    elif notation.decimal == ",":
        cells = cells.where(~cells.str.contains(".", regex=False), cells + "?")
    if notation.decimal != ".":
        cells = cells.str.replace(",", ".", regex=False)
    values = pd.to_numeric(cells, errors="coerce")
    return _finite(values.to_numpy(dtype="f8"), column, name, path, notation)


def _finite(
    values: np.ndarray, column: pd.Series, name: str, path: Path, notation: Notation
) -> np.ndarray:
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        cell = str(column.iloc[bad[0]])
        raise InputError(
            path, f"{cell[:_LONGEST_CELL]!r} is no number",
            field=f"{name}, record {bad[0] + 1}", remedy=_remedy(cell, notation),
        )  # fmt: skip
    return values


def _remedy(cell: str, notation: Notation) -> str:
    """What helps with a cell that is no number, by what it looks like."""
    cell = cell.strip()
    for unit, pattern in _CLOCKS.items():
        if re.fullmatch(pattern, cell):
            units = '"h:mm" or "m:ss"' if unit != "h:mm:ss" else f'"{unit}"'
            return f"for a clock, give a column map with the unit {units} of time"
    if re.match(r"\d{4}-\d\d-\d\d", cell):
        return 'for dates, give a column map with the unit "date" of time'
    if re.match(r"\d{1,4}[/.-]\d{1,2}[/.-]\d{1,4}\D", cell):
        return 'for dates, give a column map with a format as unit of time, as "%d/%m/%Y %H:%M:%S"'
    if re.fullmatch(r"[+-]?\d{1,3}(?:[ '’\xa0\u202f.,]\d{3})+(?:[.,]\d*)?", cell):
        return 'state the signs in numbers in a column map: "thousands" and "decimal"'
    if notation.decimal == "," or notation.thousands:
        return 'correct "thousands" and "decimal" in the column map, or delete this record'
    return "export the log again or delete this record"


# --- clocks ----------------------------------------------------------------------------------


def is_clock(unit: str) -> bool:
    """Whether a unit of time says that its cells are text: a clock or a date."""
    return unit in _CLOCKS or unit == "date" or "%" in unit


def is_date(unit: str) -> bool:
    """Whether cells in this unit of time have a day, and not the hour alone."""
    return unit == "date" or any(sign in unit for sign in ("%d", "%j", "%D", "%x", "%c", "%s"))


def first_date(table: pd.DataFrame, name: str, unit: str) -> Stamp:
    """The first moment of a column of dates that `seconds` has read."""
    form = "ISO8601" if unit == "date" else unit
    return Stamp(
        pd.to_datetime(table[name].iloc[0].strip(), format=form).to_pydatetime(warn=False),
        f"the first date of its column {name!r}",
    )


def seconds(
    table: pd.DataFrame, name: str, unit: str, path: Path, *, zone: str | None = None
) -> np.ndarray:
    """A column of clocks (since a start) or dates (since the first) in seconds, (n,).

    Dates without an offset are of the IANA `zone`, or of a clock that is never changed.

    Raises
    ------
    InputError
        A cell is no such clock or date, a clock passes midnight, dates run backwards, or a date
        does not exist in the zone or may be either of two hours.
    """
    cells = table[name].str.strip()
    if unit in _CLOCKS:
        parts = cells.str.extract(f"^(?:{_CLOCKS[unit]})$").reset_index(drop=True)
        required = parts.drop(columns="d", errors="ignore")
        bad = np.flatnonzero(required.isna().any(axis=1))
        parts = parts.apply(lambda part: part.str.replace(",", ".", regex=False))
        values = sum(
            _SECONDS[part] * pd.to_numeric(parts[part]).fillna(0.0) for part in parts.columns
        ).to_numpy(dtype="f8")  # fmt: skip
    else:
        dates = pd.to_datetime(
            cells, format="ISO8601" if unit == "date" else unit, utc=True, errors="coerce"
        )
        bad = np.flatnonzero(dates.isna())
        if zone is not None and not len(bad):
            dates = _in_zone(cells, unit, zone, dates, name, path)
        values = (dates - dates.iloc[0]).dt.total_seconds().to_numpy() if len(dates) else []
    if len(bad):
        raise InputError(
            path, f"{cells.iloc[bad[0]]!r} is no time in the unit {unit!r}",
            field=f"{name}, record {bad[0] + 1}",
            remedy=f"use one of {', '.join(CLOCK_UNITS)}, as the file writes it",
        )  # fmt: skip
    if unit in _CLOCKS:
        _refuse_midnight(np.asarray(values), name, path)
    elif is_date(unit):
        clock.refuse_dates_in_reverse(np.asarray(values), cells, name, path)
    return np.asarray(values, dtype="f8")


def _in_zone(
    cells: pd.Series, unit: str, zone: str, dates: pd.Series, name: str, path: Path
) -> pd.Series:
    """Dates in UTC of cells without an offset, by their zone; those with one as they are."""
    form = "ISO8601" if unit == "date" else unit
    if pd.to_datetime(cells.iloc[0], format=form).tzinfo is not None:
        return dates
    try:
        # Records in their order tell the first of two hours from the second.
        local = dates.dt.tz_localize(None).dt.tz_localize(zone, ambiguous="infer")
    except ValueError as error:
        raise InputError(
            path, f"not a clock of {zone} ({error})", field=name,
            remedy="export the time since the start, or dates with their offset from UTC",
        ) from None  # fmt: skip
    return local.dt.tz_convert("UTC")


def _refuse_midnight(time: np.ndarray, name: str, path: Path) -> None:
    """A time of day loses its days; that it ends just below 24 h and goes on at 0 shows it."""
    change = np.diff(time)
    forward = change[change > 0]
    interval = np.median(forward) if forward.size else 0.0
    over = np.flatnonzero(
        (time[:-1] >= 86400 - interval) & (time[:-1] < 86400) & (time[1:] <= interval)
    )
    if over.size and time.max() < 86400:
        raise InputError(
            path, "the clock passes midnight, so that it is a time of day without its day",
            field=f"{name}, record {over[0] + 2}",
            remedy="export the time since the start, or with dates",
        )  # fmt: skip
