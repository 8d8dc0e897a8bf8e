"""Where variants of a sweep keep results: below those of their changes that a result depends on.

A variant's folder names what it changes, as `sweep/grains__min_positions~12/`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Made:
    """What a result is made of: paths of the values given to its rule, and the results it reads."""

    given: Collection[str] = ()
    read: Collection[str] = ()


def folder_of(labels: Mapping[str, str]) -> str:
    """Folder of a variant below that of the run, ended by /; "" where nothing is changed."""
    parts = [f"{name}~{value}/" for name, value in labels.items()]
    return f"sweep/{''.join(parts)}" if parts else ""


def changes_in(variant: str) -> dict[str, str]:
    """What a variant's folder says that it changes."""
    return dict(part.split("~", 1) for part in variant.split("/") if "~" in part)


def column(path: str) -> str:
    """A dotted path as a name for a folder and for a wildcard, an identifier."""
    return path.replace(".", "__")


def label(value: object) -> str:
    """A value as part of a file name: 4.0 is 4, and the parts of a list are joined by two dots."""
    if isinstance(value, list | tuple):
        return "..".join(map(label, value))
    if isinstance(value, float):
        return f"{value:.12g}"
    return (
        "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    )


def given_upstream(result: str, made: Callable[[str], Made]) -> set[str]:
    """Paths of all values that a result, or one it goes back to, is made with."""
    found, seen, waiting = set(), set(), [result]
    while waiting:
        one = waiting.pop()
        if one not in seen:
            seen.add(one)
            found.update(made(one).given)
            waiting.extend(made(one).read)
    return found


def folder_for(result: str, variant: str, made: Callable[[str], Made]) -> str:
    """The folder in which a variant finds a result: that of the changes the result depends on.

    Variants that agree on these share the result, with each other and with the run itself.

    Parameters
    ----------
    result
        Path below the run's folder.
    variant
        Folder of the variant.
    made
        What each result is made of, by its path.
    """
    paths = {column(path) for path in given_upstream(result, made)}
    kept = {name: value for name, value in changes_in(variant).items() if _is_given(name, paths)}
    return folder_of(kept)


def _is_given(change: str, paths: Collection[str]) -> bool:
    """Whether a setting is one of these, or lies in one of them."""
    return any(f"{change}__".startswith(f"{path}__") for path in paths)
