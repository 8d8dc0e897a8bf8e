"""The one exception that stands for bad input rather than for a bug."""

from __future__ import annotations

from pathlib import Path


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
        self.problem = problem
        self.remedy = remedy
        self.field = field
        place = self.source if field is None else f"{self.source}: {field}"
        super().__init__(f"{place}: {problem}; {remedy}.")
