"""Parts of all settings: plain types with their checks, and the base of all sections."""

from __future__ import annotations

import json
import zoneinfo
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

# What stands in paths of results: a file's name may have 255 signs, and its suffixes take some.
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$"
Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=100)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
# Spatial frequencies and their errors, 1/A: electrons of 1 MeV see nothing beyond.
Radius = Annotated[float, Field(gt=0, le=10)]
# Degrees between directions of templates. A tenth is finer than spots tell, and half a million
# templates of an orthorhombic phase; over 10 most orientations have none near. Chosen.
GridStep = Annotated[float, Field(ge=0.1, le=10)]
Side = Annotated[int, Field(ge=1, le=100_000)]
Axis = Annotated[list[float], Field(min_length=3, max_length=3)]


def plain_path(path: str) -> str:
    """A path that Snakemake, a shell and a program's arguments take as it is, once quoted."""
    if not path.strip():
        raise ValueError("the path is empty; name the file")
    if path != path.strip() or path.startswith("-"):
        raise ValueError(f"{path!r} begins or ends with a space, or begins with -; rename the file")
    if not path.isprintable() or set(path) & set("{}<>"):  # Snakemake fills these in
        raise ValueError(
            f"{path!r} has signs that no path may have, as {{, }}, < or >; rename the file"
        )
    return path


def _printable(text: str) -> str:
    if any(not (sign.isprintable() or sign in "\n\t") for sign in text):
        raise ValueError("the text has control characters; leave them out")
    return text


def _web_address(text: str) -> str:
    scheme, colon, rest = text.partition(":")
    if not (scheme.isalpha() and colon and rest.isprintable() and " " not in text):
        raise ValueError(f"{text!r} is no URL; write it as https://... or doi:...")
    return text


def _moment_with_offset(text: str) -> str:
    example = "2025-03-03T09:00:00+01:00"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no moment; write it as {example}") from None
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no offset from UTC; write it as {example}")
    return text


def _zone(name: str) -> str:
    # The first two stand for the computer's own zone, and for none.
    known = zoneinfo.available_timezones() - {"localtime", "Factory"}
    if name not in known:
        raise ValueError(f"{name!r} is no time zone; write its IANA name, as Europe/Paris or UTC")
    return name


FilePath = Annotated[str, AfterValidator(plain_path)]
Text = Annotated[str, AfterValidator(_printable)]
# ISO 8601 with its offset from UTC.
Moment = Annotated[str, AfterValidator(_moment_with_offset)]
TimeZone = Annotated[str, AfterValidator(_zone)]
Url = Annotated[str, AfterValidator(_web_address)]
Line = Annotated[Text, AfterValidator(lambda text: " ".join(text.split()))]


def ascending(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] > pair[1]:
        raise ValueError("the first value is larger than the second; swap them")
    return pair


Angle = Annotated[float, Field(ge=0, le=180)]
Range = Annotated[tuple[Positive, Positive], AfterValidator(ascending)]


_LOG_EXAMPLE = '{"time": ["Time", "h"], "voltage": ["Ecell", "V"], "current": ["I", "mA"]}'


def from_json(value: object, example: str = _LOG_EXAMPLE) -> object:
    """Cells of a table hold text."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        raise ValueError(f"{value!r} is no JSON; write it as {example}") from None


class Model(BaseModel):
    """Base of all sections: unknown keys are errors, values are fixed once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def refuse_same_names(names: list[str], what: str) -> None:
    """Raise ValueError for two names that are the same, or the same file on some systems."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.get(name.casefold())
        if other == name:
            raise ValueError(f"two {what} have the same name; give each its own")
        if other is not None:
            raise ValueError(
                f"the {what} {other!r} and {name!r} differ by capitals alone, which some file"
                " systems do not tell apart; give each another name"
            )
        seen[name.casefold()] = name
