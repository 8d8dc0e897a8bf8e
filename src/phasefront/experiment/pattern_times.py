"""Tables that say when the patterns of a series were measured, where their files do not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from phasefront.core.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

_SEPARATORS = {".tsv": "\t", ".csv": ","}
_COLUMNS = ("path", "start", "exposure_s")


def read_times(path: str | Path) -> pd.DataFrame:
    """A table of patterns and their times: texts in the columns path, start and exposure_s.

    Tabs stand between the columns of `.tsv`, commas between those of `.csv`; lines that start with
    # are comments. Without the column exposure_s all of its cells are empty.

    Raises
    ------
    InputError
        No such file, no table of these columns, no rows, a row without path or start, or a file
        that is named twice.
    """
    import pandas as pd

    path = Path(path)
    if not path.is_file():
        raise InputError(path, "there is no such file", remedy="correct times in the powder table")
    separator = _SEPARATORS.get(path.suffix.lower())
    if separator is None:
        raise InputError(
            path, f"a table of times ends with .tsv or .csv, not {path.suffix!r}",
            remedy="rename it, with tabs or commas between its columns",
        )  # fmt: skip
    try:
        table = pd.read_csv(path, sep=separator, comment="#", dtype=str, keep_default_na=False)
    except ValueError as error:  # no text in UTF-8, rows of several lengths, nothing in it
        raise InputError(
            path, f"not a table ({error})", remedy="give the columns path, start and exposure_s"
        ) from None
    unknown = [name for name in table.columns if name not in _COLUMNS]
    missing = [name for name in _COLUMNS[:2] if name not in table.columns]
    if unknown or missing:
        what = f"has a column {unknown[0]!r}" if unknown else f"has no column {missing[0]!r}"
        raise InputError(
            path, f"it {what}", field="columns",
            remedy="give path, start and, where it is known, exposure_s",
        )  # fmt: skip
    if not len(table):
        raise InputError(path, "the table has no rows", remedy="add one row a pattern")
    table = table.apply(lambda column: column.str.strip()).reindex(columns=_COLUMNS, fill_value="")
    for number, row in enumerate(table.itertuples(), start=1):
        for name in _COLUMNS[:2]:
            if not getattr(row, name):
                raise InputError(path, f"row {number} has none", field=name, remedy="fill it in")
    table["path"] = [str(Path(name)) for name in table["path"]]
    repeated = table["path"][table["path"].duplicated()]
    if len(repeated):
        raise InputError(
            path, f"{repeated.iloc[0]!r} occurs twice", field="path", remedy="leave one row of it"
        )
    return table
