"""Spectra in text files of two columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from phasefront.core.errors import InputError
from phasefront.core.texts import decoded


def columns_of(path: str | Path, what: str) -> np.ndarray:
    """Rows of two numbers of a text file, without its lines of words, the first ascending.

    Raises InputError, which says `what` the columns are, where it is no such table.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(path, "there is no such file", remedy="correct its path")
    rows = []
    for line in decoded(path.read_bytes()).splitlines():
        parts = line.split("#")[0].replace(",", " ").replace(";", " ").split()
        try:
            numbers = [float(part) for part in parts]
        except ValueError:
            if rows:
                raise InputError(
                    path, f"{line.strip()[:40]!r} is no row of numbers", remedy=f"give {what}"
                ) from None
            continue
        if numbers:
            rows.append(numbers)
    if len(rows) < 2 or {len(row) for row in rows} != {2}:
        raise InputError(path, "it is no table of two columns", remedy=f"give {what}")
    table = np.array(rows)
    if not np.isfinite(table).all() or (np.diff(table[:, 0]) <= 0).any():
        raise InputError(
            path, "its energies do not ascend, or a value is not finite", remedy=f"give {what}"
        )
    return table
