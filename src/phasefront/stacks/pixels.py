"""How large pixels are: by the file, or by the table, which may not contradict it."""

from __future__ import annotations

from pathlib import Path

from phasefront.core.errors import InputError

# Ratio of pixel sizes that file and table may have, as of steps of scans: above it is another unit.
_SAME_PIXEL = 1.5  # chosen


def pixel_sizes(
    own: tuple[float, float], table_nm: float | None, source: str | Path
) -> tuple[float, float]:
    """Distances of rows and of columns, nm.

    Parameters
    ----------
    own
        Those of the file, NaN where it does not say; one that it says is taken for both.
    table_nm
        What the table of stacks says of both, which may calibrate the file's; None takes these.

    Raises InputError where neither says it, or the two contradict each other.
    """
    known = [size for size in own if size > 0]
    if table_nm is None:
        if not known:
            raise InputError(
                source, "it does not say how large a pixel is", field="pixel_nm",
                remedy="give pixel_nm in the table of stacks",
            )  # fmt: skip
        rows, columns = (size if size > 0 else known[0] for size in own)
        return rows, columns
    for size in known:
        if max(size / table_nm, table_nm / size) > _SAME_PIXEL:
            raise InputError(
                source, f"its pixels are {size:g} nm, the table of stacks says {table_nm:g} nm",
                field="pixel_nm", remedy="correct pixel_nm in the table, or leave it out",
            )  # fmt: skip
    return table_nm, table_nm
