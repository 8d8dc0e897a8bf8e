"""Walk from an output to what it was made of, in any folder that the project was copied to.

Records name paths relative to the project's folder. That folder, the root, follows from where a
record lies and which output it names.
"""

from __future__ import annotations

import os
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from phasefront.core.errors import InputError
from phasefront.records.record import SUFFIX, Input, Record, output_path, read, record_path


@dataclass(frozen=True)
class Records:
    """Records by the path of their output, every output after what it was made of."""

    root: Path
    by_path: dict[str, Record]

    def raw_files(self) -> dict[str, Input]:
        """Files that were read and have no record of their own, by path."""
        inputs = [entry for record in self.by_path.values() for entry in record.made.inputs]
        return {entry.path: entry for entry in inputs if entry.path not in self.by_path}

    def ancestors(self, path: str) -> Records:
        """An output's record and those of all it was made of."""
        wanted, waiting = set(), [path]
        while waiting:
            at = waiting.pop()
            if at in self.by_path and at not in wanted:
                wanted.add(at)
                waiting.extend(entry.path for entry in self.by_path[at].made.inputs)
        return Records(self.root, {k: v for k, v in self.by_path.items() if k in wanted})


def collect(
    path: str | Path, *, refuse: Callable[[Path, InputError], None] | None = None
) -> Records:
    """Records of the outputs in a folder, or of one output, and of all they were made of.

    A file that is no intact record goes to `refuse` with the error, or else the error is raised.
    Raises InputError where there is no record at all.
    """
    path = Path(path)
    files = _record_files(path)
    read_files: dict[Path, Record] = {}

    def load(file: Path) -> Record | None:
        try:
            read_files[file] = read(file)
        except InputError as error:
            if refuse is None:
                raise
            refuse(file, error)
        return read_files.get(file)

    for file in files:
        load(file)
    root = _root(read_files)
    if root is None:
        if read_files and path.resolve() != absolute(path):
            return collect(path.resolve(), refuse=refuse)
        root = Path()
    by_path, seen, waiting = {}, set(files), list(read_files.values())
    for file, record in read_files.items():
        if absolute(root / record.made.output.path) == absolute(output_path(file)):
            by_path[record.made.output.path] = record
        elif refuse is not None:
            said = f"the record is of {record.made.output.path}, not of {output_path(file)}"
            refuse(file, InputError(file, said, remedy="put back the record that belongs there"))
    while waiting:
        for entry in waiting.pop().made.inputs:
            beside = record_path(root / entry.path)
            if entry.path not in by_path and beside not in seen and is_file(beside):
                seen.add(beside)
                if record := load(beside):
                    by_path[entry.path] = record
                    waiting.append(record)
    return Records(root, _upstream_first(by_path))


def locate(path: str | Path) -> tuple[Path, Record]:
    """The project's folder that an output lies in, and the output's record.

    Raises InputError where there is no record, or it is not of this file.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(path, "is a folder", remedy="name one output in it")
    (file,) = _record_files(path)
    found = read(file)
    root = _root({file: found})
    if root is None and path.resolve() != absolute(path):
        return locate(path.resolve())
    root = root or Path()
    if absolute(root / found.made.output.path) != absolute(output_path(file)):
        raise InputError(
            file,
            f"the record is of {found.made.output.path}, not of {output_path(file)}",
            remedy="put back the record that belongs there",
        )
    return root, found


def absolute(path: Path) -> Path:
    """The path from the top without `..`, and with links as they are: a folder may be one."""
    return Path(os.path.normpath(path.absolute()))


def is_file(path: Path) -> bool:
    """Whether there is such a file; not where no file can be called that."""
    try:
        return path.is_file()
    except OSError:
        return False


def files_below(folder: Path) -> Iterator[Path]:
    """Everything in a folder that is no folder, also below links to folders, each folder once."""
    seen = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        seen.add(os.path.realpath(place))
        folders[:] = [
            name for name in sorted(folders) if os.path.realpath(Path(place, name)) not in seen
        ]
        yield from (Path(place, name) for name in sorted(names))


def _record_files(path: Path) -> list[Path]:
    if path.is_dir():
        files = sorted(file for file in files_below(path) if file.name.endswith(SUFFIX))
    else:
        beside = path if path.name.endswith(SUFFIX) else record_path(path)
        of_goal = record_path(path.resolve())  # a link may lie where no record does
        files = [file for file in (beside, of_goal) if file.is_file()][:1]
    if not files and zipfile.is_zipfile(path):
        raise InputError(path, "is packed", remedy="unpack it, and name the folder that comes out")
    if not files:
        raise InputError(
            path, "has no record of how it was made", remedy="name an output or folder of a run"
        )
    return files


def _root(records: dict[Path, Record]) -> Path | None:
    """The folder that most records agree on, as short as it can be written.

    None if no record is of the file that it lies beside: a link may have another name.
    """
    found: Counter[Path] = Counter()
    for file, record in records.items():
        place, named = absolute(output_path(file)).parts, Path(record.made.output.path).parts
        if place[-len(named) :] == named:
            found[Path(*place[: -len(named)])] += 1
    if not found:
        return None
    root, here = found.most_common(1)[0][0], Path.cwd()
    near = root.is_relative_to(here) or here.is_relative_to(root)
    return Path(os.path.relpath(root)) if near else root


def _upstream_first(by_path: dict[str, Record]) -> dict[str, Record]:
    order: dict[str, Record] = {}
    entered: set[str] = set()
    waiting = sorted(by_path, reverse=True)
    while waiting:  # no recursion: a chain may be longer than Python's stack
        path = waiting[-1]
        inputs = [] if path in entered else by_path[path].made.inputs
        entered.add(path)
        names = [entry.path for entry in inputs]
        above = [name for name in names if name in by_path and name not in entered]
        waiting.extend(reversed(above))
        if not above:
            order.setdefault(waiting.pop(), by_path[path])
    return order


def seconds_spent(output: str | Path) -> float:
    """Wall time of the stages that led to a scan's output, in seconds.

    Counts the recorded files of the same name (`spots/a.nc` for `fractions/a.nc`), so neither the
    templates, which scans share, nor the making of a virtual scan.
    """
    chain: Iterable[tuple[str, Record]] = collect(output).by_path.items()
    name = Path(output).name
    return sum(record.run.wall_seconds for path, record in chain if Path(path).name == name)
