"""Which project files a script's result depends on."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent


def closure(script: str | Path) -> list[Path]:
    """The script and, transitively, every module of phasefront it imports, sorted.

    Imports inside functions count: they are where our scripts keep the slow ones.
    """
    script = Path(script).resolve()
    found, waiting = set(), [script]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting.extend(_imported(path))
    return sorted(found)


@cache
def _imported(path: Path) -> tuple[Path, ...]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return tuple(file for name in sorted(names) for file in _module_files(name))


def _module_files(name: str) -> list[Path]:
    """Files that importing `name` runs: the module and the packages above it."""
    first, *rest = name.split(".")
    if first != PACKAGE.name:
        return []
    files, place = [PACKAGE / "__init__.py"], PACKAGE
    for part in rest:
        place = place / part
        if (place / "__init__.py").is_file():
            files.append(place / "__init__.py")
        elif place.with_suffix(".py").is_file():
            files.append(place.with_suffix(".py"))
        else:
            break
    return files
