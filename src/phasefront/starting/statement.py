"""What is written of one place of a config or a table: a value, and where it is from."""

from __future__ import annotations

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
    """

    value: object
    comment: str = ""


def to_fill_in(comment: str) -> Statement:
    """A place that stays open; the comment says what belongs there."""
    return Statement(TO_FILL_IN, comment)


def open_places(statement: Statement, path: str = "") -> list[tuple[str, str]]:
    """Dotted path and comment of each place that is still to be filled in.

    Parts of a list go by their names where they have one.
    """
    value = statement.value
    if isinstance(value, dict):
        parts = value.items()
    elif isinstance(value, list):
        parts = [(_name(part, number), part) for number, part in enumerate(value)]
    else:
        return [(path, statement.comment)] if value == TO_FILL_IN else []
    below = f"{path}." if path else ""
    return [place for key, part in parts for place in open_places(part, f"{below}{key}")]


def _name(part: Statement, number: int) -> str:
    names = part.value if isinstance(part.value, dict) else {}
    return str(names["name"].value) if "name" in names else str(number)
