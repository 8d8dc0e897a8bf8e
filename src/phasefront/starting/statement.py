"""What is written of one place of a config or a table: a value, and where it is from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from phasefront.experiment.load import TO_FILL_IN


@dataclass(frozen=True)
class Statement:
    """A value of YAML or of a table's cell, or what has still to be found out.

    Attributes
    ----------
    value
        A plain value; a mapping or list of statements; `TO_FILL_IN` where no file says it.
    comment
        Where the value is from, or what is to be filled in.
    doubtful
        Whether the value is one that its source often has wrong.
    """

    value: object
    comment: str = ""
    doubtful: bool = False


def to_fill_in(comment: str) -> Statement:
    """A place that stays open; the comment says what belongs there."""
    return Statement(TO_FILL_IN, comment)


def leaves(statement: Statement, path: str = "") -> Iterator[tuple[str, Statement]]:
    """Every plain value with its dotted path; parts of a list go by their names, if any."""
    value = statement.value
    if isinstance(value, dict):
        parts = value.items()
    elif isinstance(value, list):
        parts = [(_name(part, number), part) for number, part in enumerate(value)]
    else:
        yield path, statement
        return
    below = f"{path}." if path else ""
    for key, part in parts:
        yield from leaves(part, f"{below}{key}")


def is_open(statement: Statement) -> bool:
    """Whether anything in it is still to be filled in."""
    return any(leaf.value == TO_FILL_IN for _, leaf in leaves(statement))


def _name(part: Statement, number: int) -> str:
    names = part.value if isinstance(part.value, dict) else {}
    return str(names["name"].value) if "name" in names else str(number)
