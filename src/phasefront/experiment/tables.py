"""Tab-separated tables of the experiment, each row checked."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from phasefront.core.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
from phasefront.experiment.load import refuse_blanks, validated
from phasefront.experiment.settings.base import Model, refuse_same_names


def read_table(
    path: str | Path, row_model: type[Model] | Callable[[Mapping[str, str]], type[Model]]
) -> pd.DataFrame:
    """A tab-separated table whose rows are checked against `row_model`.

    Where rows are of several kinds, `row_model` gives a row's model by its filled cells; all have
    the same first column, and a column that a row's model lacks is empty.

    The first column is the identifier and may not repeat. Lines that start with # are comments.
    """
    import pandas as pd

    path = Path(path)
    if not path.is_file():
        raise InputError(path, "there is no such file", remedy="check the config's tables section")
    try:
        table = pd.read_csv(path, sep="\t", comment="#", dtype=str, keep_default_na=False)
    except ValueError as error:  # no text in UTF-8, rows of several lengths
        raise InputError(
            path, f"not a table ({error})", remedy="separate columns by tabs, and save it as UTF-8"
        ) from None
    _refuse_other_separators(table, path)
    # Blanks around a cell, as before a comment, are of its layout.
    table = table.rename(columns=str.strip).apply(lambda column: column.str.strip())
    refuse_blanks({row.iloc[0]: row.to_dict() for _, row in table.iterrows()}, path)
    rows = []
    for number, row in enumerate(table.to_dict("records"), start=1):
        given = {key: value for key, value in row.items() if value != ""}
        model = row_model if isinstance(row_model, type) else row_model(given)
        rows.append(validated(model, given, path, prefix=f"row {number}").model_dump())
    if not rows:
        raise InputError(path, "the table has no rows", remedy="add one row a file")
    checked = pd.DataFrame(rows)
    identifier = checked.columns[0]
    repeated = checked[identifier][checked[identifier].duplicated()]
    if len(repeated):
        raise InputError(
            path, f"{repeated.iloc[0]!r} occurs twice", field=identifier, remedy="name rows apart"
        )
    try:
        refuse_same_names(checked[identifier].tolist(), "rows")
    except ValueError as error:
        problem, _, remedy = str(error).partition("; ")
        raise InputError(path, problem, field=identifier, remedy=remedy) from None
    return checked.set_index(identifier, drop=False)


def _refuse_other_separators(table: pd.DataFrame, path: Path) -> None:
    """Raise InputError where one column is several, or rows have a cell more than the header."""
    import pandas as pd

    if not isinstance(table.index, pd.RangeIndex):
        raise InputError(
            path, f"a row has more cells than the header's {len(table.columns)}",
            field=f"the row of {table.index[0]!r}", remedy="give each column a name in the header",
        )  # fmt: skip
    names = list(table.columns)
    if len(names) == 1 and re.search(r"[,;]|\S\s+\S", names[0]):
        raise InputError(
            path, f"its header is one column, {names[0][:60]!r}", field="header",
            remedy="separate columns by tabs, not by commas, semicolons or blanks",
        )  # fmt: skip


def refuse_same_files(table: pd.DataFrame, path: str | None) -> None:
    """Raise InputError where two rows are of one file: one measurement would count as two."""
    first: dict[str, str] = {}
    for name, named in table["path"].items():
        file = os.path.realpath(named)
        if file in first:
            raise InputError(
                path, f"{named} is the file of {first[file]!r}, too", field=f"{name}.path",
                remedy="correct the path, or leave the row out",
            )  # fmt: skip
        first[file] = name


def optional_table(path: str | None, row_model: type[Model]) -> pd.DataFrame:
    """`read_table`, or without a path a table of no rows."""
    import pandas as pd

    if path is None:
        return pd.DataFrame(columns=list(row_model.model_fields))
    return read_table(path, row_model)
