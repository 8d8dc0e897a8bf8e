"""Which project files a script's result depends on."""

from __future__ import annotations

import re
import site
import sys
import sysconfig
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent
# Parsing the syntax of every module would cost each job a tenth of a second. A sentence in a
# docstring that looks like an import at worst names a module too many.
_IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+(?P<module>[\w.]+)[ \t]+import[ \t]*(?:\((?P<many>[^)]*)\)|(?P<few>.*))"
    r"|import[ \t]+(?P<modules>.*))",
    re.MULTILINE,
)
_COMMENT = re.compile(r"#.*")


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


def imported_from_elsewhere() -> list[Path]:
    """Files of modules that this process has imported and nothing else tells apart, sorted.

    That is all but Python's own and those of installed packages: the project's modules, and any
    that stand before others on the path, such as a `numpy.py` beside the script.
    """
    paths = sysconfig.get_paths()
    installed = {paths[kind] for kind in ("stdlib", "platstdlib", "purelib", "platlib")}
    installed |= {*site.getsitepackages(), site.getusersitepackages()}
    tops = tuple(f"{Path(folder).absolute()}/" for folder in installed)
    named = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    files = {str(Path(name).absolute()) for name in named if isinstance(name, str)}
    outside = {Path(name).resolve() for name in files if not name.startswith(tops)}
    return sorted(path for path in outside if path.is_file())


@cache
def _imported(path: Path) -> tuple[Path, ...]:
    names = imported_names(path.read_text(encoding="utf-8"))
    return tuple(file for name in sorted(names) for file in _module_files(name))


def imported_names(source: str) -> set[str]:
    """Dotted names that a module's text imports, absolute ones only."""
    names = set()
    for found in _IMPORT.finditer(source.replace("\\\n", " ")):
        if module := found["module"]:
            if not module.startswith("."):
                names.add(module)
                names.update(
                    f"{module}.{name}" for name in _first_words(found["many"] or found["few"])
                )
        else:
            names.update(_first_words(found["modules"]))
    return names


def _first_words(listed: str) -> list[str]:
    """The names of `a as b, c` without those they are given."""
    items = _COMMENT.sub("", listed).split(",")
    return [item.split()[0] for item in items if item.split()]


@cache
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
