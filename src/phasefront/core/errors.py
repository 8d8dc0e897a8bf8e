"""The one exception that stands for bad input, or a disk in the way, rather than for a bug."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_REMEDIES = {
    errno.ENOSPC: "make room and run again",
    errno.EDQUOT: "make room and run again",
    errno.EROFS: "work in a folder that can be written to",
    errno.EACCES: "change its permissions and run again",
    errno.EPERM: "change its permissions and run again",
}
DISK_ERRORS = frozenset(_REMEDIES)
_FULL = 1 << 16  # bytes left on a full disk: less than it takes to write a result


class InputError(ValueError):
    """A user's input cannot be used.

    Scripts turn it into one sentence on stderr and exit code 2, so the message
    names the file, the field within it, what is wrong and what to do.

    Parameters
    ----------
    source
        File (or config) the problem is in.
    problem
        What is wrong, without a final full stop.
    remedy
        What the user can do about it, without a final full stop.
    field
        Column, key, data set or line within the source, if there is one.
    """

    def __init__(self, source: str | Path, problem: str, *, remedy: str, field: str | None = None):
        self.source = str(source)
        # What other programs say of a file may run over several lines.
        self.problem, self.remedy = (" ".join(text.split()) for text in (problem, remedy))
        self.field = field
        place = self.source if field is None else f"{self.source}: {field}"
        super().__init__(f"{place}: {self.problem}; {self.remedy}.")


@contextmanager
def blaming_the_disk(output: Path) -> Iterator[None]:
    """Turn what a full, read-only or forbidden disk does to the work inside into an InputError.

    The netCDF library does not say why it cannot write. So of an error that gives no such reason,
    a disk without room is taken for the cause.

    Parameters
    ----------
    output
        What is being made; named where the error names no file, or a temporary one.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        number = error.errno if isinstance(error, OSError) else None
        if number not in DISK_ERRORS:
            if _free(output) > _FULL:
                raise
            number = errno.ENOSPC
        named = getattr(error, "filename", None) or output
        source = output if Path(named).name.startswith(".part-") else named
        raise InputError(source, os.strerror(number).lower(), remedy=_REMEDIES[number]) from error


def _free(output: Path) -> int:
    """Bytes left on the disk that an output is for."""
    output = output.absolute()
    return shutil.disk_usage(next(p for p in (output, *output.parents) if p.is_dir())).free
