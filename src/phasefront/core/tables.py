"""Tables (csv) between stages and for people: declared columns, checked when written and read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from phasefront.core.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

_KINDS = {"f8": "fiu", "i8": "iu", "bool": "b"}  # of NumPy's dtypes


@dataclass(frozen=True)
class Column:
    """One column: dtype ('f8', 'i8', 'bool', 'str'), unit ('' of texts) and meaning."""

    dtype: str
    units: str
    meaning: str


@dataclass(frozen=True)
class Table:
    """What a csv file holds: its path in the results, a title and its columns in their order.

    A star in the path stands for a name, such as a scan's. A column's name with a star declares any
    number of columns, none among them. Numbers are written by `float_format`, or in full.
    """

    file: str
    title: str
    columns: dict[str, Column]
    float_format: str | None = None

    def is_at(self, path: str) -> bool:
        """Whether a path in the results is of this table."""
        return fnmatchcase(path, self.file) and path.count("/") == self.file.count("/")

    def declared(self, names: Iterable[str]) -> dict[str, Column]:
        """The declaration of each column of these that has one."""
        patterns = [name for name in self.columns if "*" in name]
        found = {}
        for name in names:
            if name in self.columns:
                found[name] = self.columns[name]
            elif pattern := next((one for one in patterns if fnmatchcase(name, one)), None):
                found[name] = self.columns[pattern]
        return found

    def naming(self, names: Iterable[str]) -> Table:
        """This table with exactly these columns in place of those that a star declares."""
        columns = {}
        for name, column in self.columns.items():
            columns |= dict.fromkeys(names, column) if "*" in name else {name: column}
        return replace(self, columns=columns)

    def check(self, frame: pd.DataFrame, source: str | Path) -> None:
        """Raise InputError unless `frame` has the columns and dtypes declared, and no others."""
        again = "make the file again with this version of phasefront"
        absent = [name for name in self.columns if "*" not in name and name not in frame]
        if absent:
            raise InputError(
                source, f"columns {absent} of '{self.title}' are missing", remedy=again
            )
        declared = self.declared(frame.columns)
        if unknown := [name for name in frame if name not in declared]:
            raise InputError(
                source, f"columns {unknown} are not part of '{self.title}'",
                remedy="declare them in phasefront.layouts or leave them out",
            )  # fmt: skip
        if frame.columns.has_duplicates:
            raise InputError(source, f"columns of '{self.title}' stand twice", remedy=again)
        for name, column in declared.items():
            if not _is_of(frame[name], column.dtype):
                raise InputError(
                    source, f"dtype is {frame[name].dtype}, {column.dtype} expected", field=name,
                    remedy=again,
                )  # fmt: skip


def _is_of(values: pd.Series, dtype: str) -> bool:
    """Whether values are of a declared dtype; a text or a float may be absent."""
    if dtype in ("f8", "str") and values.isna().all():
        return True
    if dtype == "str":
        return all(isinstance(value, str) for value in values.dropna())
    return values.empty or values.dtype.kind in _KINDS[dtype]


def write(frame: pd.DataFrame, path: str | Path, table: Table) -> None:
    """Write `frame`, without its index, after checking it against `table`."""
    table.check(frame, path)
    frame.to_csv(path, index=False, float_format=table.float_format)


def read(path: str | Path, table: Table) -> pd.DataFrame:
    """Read a file and check it against `table`. An empty cell is an absent value (NaN).

    Raises InputError where there is no such file or it is not as declared.
    """
    import pandas as pd

    remedy = "delete it and run the rule that makes it"
    try:
        declared = table.declared(pd.read_csv(path, nrows=0).columns)
        kinds = {name: column.dtype.replace("f8", "float") for name, column in declared.items()}
        frame = pd.read_csv(path, dtype=kinds)
    except FileNotFoundError:
        raise InputError(
            path, "there is no such file", remedy="run the rule that makes it first"
        ) from None
    except ValueError as error:  # pandas' errors of parsing are some, as is that of a text's bytes
        raise InputError(path, f"not a readable table ({error})", remedy=remedy) from error
    table.check(frame, path)
    return frame
