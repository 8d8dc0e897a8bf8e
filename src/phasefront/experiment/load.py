"""Config files read and checked, before any job starts."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

import yaml
from pydantic import ValidationError

from phasefront.core.errors import InputError
from phasefront.experiment.config import Experiment
from phasefront.experiment.settings.base import NAME_PATTERN, Model

_IN_A_NAME = "a name has letters a to z, digits and . _ + - and begins with a letter or digit"
# Of a refused value, this many signs are shown.
_LONGEST_SHOWN = 200
# What `phasefront new` writes in place of what no file says.
TO_FILL_IN = "FILL_IN"
# Nodes of a config as it reads with every alias written out, and levels of it.
_MOST_NODES, _MOST_LEVELS = 100_000, 50


def load(*paths: str | Path) -> Experiment:
    """The experiment in a YAML file; of several, each overrides what those before it say.

    Sections are merged key by key, as Snakemake merges its config files; lists are replaced.
    Raises InputError, naming file, field and remedy, for what cannot be right.
    """
    content = {}
    for path in paths:
        content = merged(content, read_yaml(Path(path)))
    return parse(content, named(paths))


def named(paths: Iterable[str | Path]) -> str:
    """Config files as errors name them."""
    return " ".join(map(str, paths))


def merged(below: object, above: object) -> object:
    if not isinstance(above, dict):
        return above
    if not above:  # an empty section changes nothing
        return below
    kept = below if isinstance(below, dict) else {}
    return kept | {key: merged(kept.get(key, {}), value) for key, value in above.items()}


class _Loader(yaml.SafeLoader):
    """YAML as `yaml.safe_load` reads it, but a key may not be given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for number, (key, _) in enumerate(node.value):
            if isinstance(key, yaml.ScalarNode) and key.value in keys[:number]:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} is given twice", key.start_mark
                )
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict:
    """The mapping in a YAML file.

    Raises InputError where there is no such file, no YAML in UTF-8 or no mapping, for a key given
    twice, and for what would not fit into memory: nested too deeply, or by aliases.
    """
    if not path.is_file():
        raise InputError(path, "there is no such file", remedy="give the path of a config file")
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except UnicodeDecodeError:
        raise InputError(path, "not a text in UTF-8", remedy="save it as UTF-8") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        twice = str(getattr(error, "problem", "")).endswith("is given twice")
        raise InputError(
            path,
            error.problem if twice else "not valid YAML",
            field=f"line {mark.line + 1}" if mark else None,
            remedy="leave one of them out"
            if twice
            else "check indentation, colons and quotes there",
        ) from None
    except RecursionError:
        raise _too_large(path) from None
    except (ValueError, OverflowError) as error:  # dates and numbers that are none
        raise InputError(
            path, f"not valid YAML ({error})", remedy="put what is no number or date in quotes"
        ) from None
    content = _mapping(content, path)
    if not _fits(content):
        raise _too_large(path)
    return content


def _too_large(path: str | Path) -> InputError:
    return InputError(
        path,
        f"nested more than {_MOST_LEVELS} levels deep, or of more than {_MOST_NODES:,} values",
        remedy="write it as config/demo.yaml is written",
    )


def _fits(content: object) -> bool:
    """Whether a loaded YAML is of a config's size when every alias is written out."""
    sizes: dict[int, int] = {}

    def size(node: object, level: int) -> int:
        if level > _MOST_LEVELS:
            raise RecursionError
        if not isinstance(node, dict | list):
            return 1
        if id(node) not in sizes:
            parts = node.values() if isinstance(node, dict) else node
            sizes[id(node)] = 1 + sum(size(part, level + 1) for part in parts)
        return sizes[id(node)]

    try:
        return size(content, 0) <= _MOST_NODES
    except RecursionError:  # an alias may hold itself
        return False


def _mapping(content: object, source: str | Path) -> dict:
    if not isinstance(content, dict):
        raise InputError(source, "not a mapping of sections", remedy="start from config/demo.yaml")
    return content


def parse(content: object, source: str | Path, prefix: str = "") -> Experiment:
    """The experiment in an already loaded mapping; `source` and `prefix` are named in errors."""
    if not _fits(_mapping(content, source)):
        raise _too_large(source)
    refuse_blanks(content, source)
    return validated(Experiment, content, source, prefix)


def refuse_blanks(content: object, source: str | Path) -> None:
    """Raise InputError, naming all of them, where a place still says that it is to be filled in."""
    open_places = blanks(content)
    if open_places:
        several = len(open_places) > 1
        raise InputError(
            source, f"{'these places say' if several else 'this place says'} {TO_FILL_IN}",
            field=", ".join(open_places), remedy="write what is true there",
        )  # fmt: skip


def blanks(content: object) -> list[str]:
    """Dotted paths of the places of a config, or a table by rows, that are still to be filled in.

    Parts of a list go by their names, or else by their numbers from 0.
    """
    if isinstance(content, dict):
        parts = content.items()
    elif isinstance(content, list):
        named = [part.get("name") if isinstance(part, dict) else None for part in content]
        parts = [
            (number if name in (None, TO_FILL_IN) else name, part)
            for number, (name, part) in enumerate(zip(named, content, strict=True))
        ]
    else:
        return [""] if content == TO_FILL_IN else []
    return [f"{key}.{path}".rstrip(".") for key, part in parts for path in blanks(part)]


def validated(model: type[Model], content: dict, source: str | Path, prefix: str = "") -> Model:
    try:
        return model.model_validate(content)
    except ValidationError as error:
        # A misspelt key also shows as a missing one: its own sentence says more.
        first = min(error.errors(), key=lambda item: item["type"] != "extra_forbidden")
        field = ".".join([prefix] * bool(prefix) + [str(part) for part in first["loc"]])
        problem, remedy = _sentence(model, first)
        raise InputError(source, problem, field=field or None, remedy=remedy) from None


def _sentence(model: type[Model], error: dict) -> tuple[str, str]:
    """Problem and remedy of one pydantic error."""
    if error["type"] == "extra_forbidden":
        names = _names_beside(model, error["loc"])
        close = difflib.get_close_matches(str(error["loc"][-1]), names, n=1)
        remedy = f"write {close[0]!r}" if close else f"known here are {', '.join(sorted(names))}"
        return "unknown key", remedy
    if error["type"] == "missing":
        return "missing", "add it"
    if error["type"] == "value_error":
        problem, _, remedy = str(error["ctx"]["error"]).partition("; ")
        return problem, remedy or "change it"
    if error["type"] == "string_pattern_mismatch" and error["ctx"]["pattern"] == NAME_PATTERN:
        return f"{error['input']!r} is no name", _IN_A_NAME
    message = error["msg"][0].lower() + error["msg"][1:]
    given = repr(error["input"])
    shown = given if len(given) <= _LONGEST_SHOWN else f"{given[:_LONGEST_SHOWN]}..."
    return f"{shown} cannot be used: {message}", "correct the value"


def _names_beside(model: type[Model], location: tuple) -> list[str]:
    """Field names allowed where the unknown key stands."""
    definitions = model.model_json_schema()
    node = definitions
    for part in location[:-1]:
        node = _resolved(node, definitions)
        if isinstance(part, int):
            node = node["items"]
        else:
            named = node.get("patternProperties", {}).values() or [node.get("additionalProperties")]
            node = node.get("properties", {}).get(part) or next(iter(named))
    return list(_resolved(node, definitions).get("properties", {}))


def _resolved(node: dict, definitions: dict) -> dict:
    for option in node.get("anyOf", []):
        if "$ref" in option or option.get("type") in ("object", "array"):
            node = option
            break
    if "$ref" in node:
        node = definitions["$defs"][node["$ref"].rpartition("/")[2]]
    return node
