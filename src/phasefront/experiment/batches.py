"""Batches of operando powder series: what the powder table says of them, and their files."""

from __future__ import annotations

import glob
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from phasefront.core.errors import InputError
from phasefront.experiment.pattern_times import read_times
from phasefront.experiment.settings.base import plain_path, refuse_same_names
from phasefront.experiment.settings.powder import PatternRow
from phasefront.experiment.settings.powder_series import BatchRow
from phasefront.experiment.tables import optional_table, read_table

if TYPE_CHECKING:
    import pandas as pd

# Chosen: a part is a minute or two of one core, and the start of a job a few seconds of it.
PATTERNS_IN_A_PART = 20
# Linux takes no argument of more than 131072 bytes (MAX_ARG_STRLEN, execve(2)), and a job's command
# is one argument of its shell. What else stands in it takes less than the rest.
_LONGEST_LIST = 100_000


@dataclass(frozen=True)
class Batches:
    """Rows of the powder table that are batches of series (pandas, indexed by their names)."""

    table: pd.DataFrame
    source: str

    @property
    def names(self) -> list[str]:
        return list(self.table.index)

    @property
    def series(self) -> list[str]:
        """The operando series, each once."""
        return list(dict.fromkeys(self.table["series"]))

    def of_series(self, series: str) -> list[str]:
        """Names of the batches of a series."""
        return list(self.table.index[self.table["series"] == series])

    def files_of(self, batch: str) -> list[str]:
        """Paths of a batch's patterns, in the order in which they are fitted: numbers in names of
        files by their size, or as the table of times has them.

        Raises InputError as `read_times`.
        """
        return self._files[batch]

    @cached_property
    def _files(self) -> dict[str, list[str]]:
        return {
            batch: list(read_times(row["times"])["path"])
            if row["times"]
            else files_matching(row["path"])
            for batch, row in self.table.iterrows()
        }

    def parts_of(self, batch: str) -> dict[str, list[str]]:
        """Paths of a batch's patterns, by the number of the part that is fitted in one job."""
        files, size = self.files_of(batch), PATTERNS_IN_A_PART
        return {
            f"{first // size:03d}": files[first : first + size]
            for first in range(0, len(files), size)
        }

    def check_references(self, scan_series: Sequence[str], check_log: Callable) -> None:
        """Raise InputError where batches of a series do not go together, or a name is of scans too.

        `check_log(log, source, field)` refuses a log that is not there.
        """
        try:
            refuse_same_names([*self.series, *scan_series], "series")
        except ValueError as error:
            _, _, remedy = str(error).partition("; ")
            taken = {name.casefold() for name in scan_series}
            both = next((name for name in self.series if name.casefold() in taken), "")
            what = f"the series {both!r} is one of scans, too" if both else str(error)
            raise InputError(
                self.source, what.partition(";")[0], field="series", remedy=remedy
            ) from None
        for batch, row in self.table.iterrows():
            check_log(row["log"], self.source, f"{batch}.log")
            first = self.table.loc[self.of_series(row["series"])[0]]
            for column in ("log", "wavelength"):
                if row[column] != first[column]:
                    raise InputError(
                        self.source, f"{column} is {row[column]}, and {first[column]} in"
                        f" {first['pattern']!r} of the same series", field=f"{batch}.{column}",
                        remedy="correct one of them, or give this batch a series of its own",
                    )  # fmt: skip

    def check_files(self) -> None:
        """Raise InputError where a batch has no files, or some that no job can be given."""
        seen: dict[str, str] = {}
        for batch, row in self.table.iterrows():
            files = self.files_of(batch)
            source, field = row["times"] or self.source, f"{batch}.path"
            _check_paths(files, source, field, matching=row["path"])
            for path in files:
                if path in seen:
                    raise InputError(
                        self.source, f"{path!r} is in {seen[path]!r}, too", field=field,
                        remedy="leave it in one of them",
                    )  # fmt: skip
                seen[path] = batch


def read_powder_table(path: str | None) -> tuple[pd.DataFrame, Batches]:
    """The table of powder patterns: single ones, and batches of series; none of either without it.

    Raises InputError as `read_table`.
    """
    import pandas as pd

    if path is None:
        return optional_table(None, PatternRow), Batches(optional_table(None, BatchRow), "")
    rows = read_table(path, lambda given: BatchRow if "series" in given else PatternRow)
    batched = rows["series"].notna() if "series" in rows else pd.Series(False, rows.index)
    single, of_series = (
        rows[chosen].reindex(columns=list(model.model_fields))
        for chosen, model in ((~batched, PatternRow), (batched, BatchRow))
    )
    return single, Batches(of_series.astype(object).where(of_series.notna(), None), path)


def files_matching(path: str) -> list[str]:
    """Files that a path with * and ? matches, numbers in their names in order of size."""
    # As a shell does it: pathlib's finds hidden files, too, and takes no absolute path.
    names = glob.glob(path, recursive=True)  # noqa: PTH207
    found = [name for name in names if Path(name).is_file()]
    return sorted(found, key=_by_number)


def _by_number(name: str) -> tuple:
    parts = re.split(r"(\d+)", name)
    return tuple((int(part), part) if part.isdecimal() else (0, part) for part in parts)


def _check_paths(files: list[str], source: str, field: str, *, matching: str | None) -> None:
    if not files:
        raise InputError(
            source, f"no file matches {matching!r}", field=field,
            remedy="correct it; paths begin where the run is started",
        )  # fmt: skip
    for name in files:
        try:
            plain_path(name)
        except ValueError as error:
            problem, _, remedy = str(error).partition("; ")
            raise InputError(source, problem, field=field, remedy=remedy) from None
    absent = [name for name in files if not Path(name).is_file()]
    if absent:
        others = f", nor are {len(absent) - 1} others" if len(absent) > 1 else ""
        raise InputError(
            source, f"{absent[0]!r} is not there{others}", field="path",
            remedy="correct the paths, which begin where the run is started",
        )  # fmt: skip
    length = sum(len(shlex.quote(name)) + 1 for name in files)
    if length > _LONGEST_LIST:
        raise InputError(
            source, f"the paths of {len(files)} files are {length} characters long, more than the"
            f" {_LONGEST_LIST} that fit into a command", field=field,
            remedy="give the series several batches, a row each, or shorten the paths",
        )  # fmt: skip
