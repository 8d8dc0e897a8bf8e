"""Hash again what records name, walk their chain, and say what does not hold."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from phasefront.audit import absent
from phasefront.audit.settings import Settings
from phasefront.records import chain, record
from phasefront.records.digests import digest, size
from phasefront.records.logical import logical_digest
from phasefront.records.record import Record

# Made beside the records, from them and from outputs that have their own.
_WITHOUT_RECORD = re.compile(r"(sweep/([^/]+~[^/]+/)+)?(logs/.+|report\.html)")


@dataclass(frozen=True)
class Verification:
    """How many records were walked; a sentence a broken link, nearest the raw files first.

    `notes` are changes that touch nothing that was made.
    """

    records: int
    problems: list[str]
    notes: list[str]


def verify(path: str | Path) -> Verification:
    """Check every record of a folder or of one output, and all records it goes back to.

    Every file is read again, nothing remembered is trusted. Works on a copy in any folder. What a
    supplement names without holding it (see `absent`) may be gone, and is told in the notes.

    Raises InputError where there is no record at all.
    """
    path = Path(path)
    refused: dict[Path, str] = {}
    records = chain.collect(path, refuse=lambda file, error: refused.setdefault(file, str(error)))
    check = _Check(records, refused)
    problems = [*refused.values()]
    for at in records.by_path:
        problems += [*check.links(at), *check.settings(at)]
    if path.is_dir():
        problems += [*check.siblings(), *_strangers(path, records)]
        named = {sentence.partition(": ")[0] for sentence in problems}
        problems += [sentence for file, sentence in check.packed() if str(file) not in named]
    number = len(records.by_path) + len(refused)
    return Verification(number, list(dict.fromkeys(problems)), check.notes())


class _Check:
    """The links of records, each file hashed once."""

    def __init__(self, records: chain.Records, refused: Collection[Path]):
        self._records, self._refused = records, refused
        self._absent, self._met_absent = absent.read(records.root), set()
        self._settings, self._changed = Settings(records.root), Counter()
        self._digests: dict[Path, str | None] = {}

    def links(self, path: str) -> Iterator[str]:
        """What does not hold of the record of an output."""
        made = self._records.by_path[path].made
        of = record.record_path(self._records.root / path)
        yield from self._output(self._records.by_path[path], of)
        for entry in made.inputs:
            what = f"the {entry.role}"
            yield from self._file(entry.path, entry.sha256, what, of, of_size=entry.size)
            yield from self._record_of_input(entry, of)
        for entry in made.code:
            yield from self._file(entry.path, entry.sha256, "code", of)
        if made.lock:
            yield from self._file(made.lock.path, made.lock.sha256, "the lock", of)

    def notes(self) -> list[str]:
        """Files known by their digest alone, and configs that changed where nobody looked."""
        absent_ones = [
            f"{path}: not here; by its digest it is what was used."
            for path in sorted(self._met_absent)
        ]
        return absent_ones + [
            f"{file}: changed, but nothing that {number} of the records used."
            for file, number in self._changed.items()
        ]

    def settings(self, path: str) -> Iterator[str]:
        """The first setting of an output's record that its config no longer gives."""
        found = self._records.by_path[path]
        of = record.record_path(self._records.root / path)
        difference = self._settings.difference(found) if found.run.config else None
        if difference:
            yield f"{difference}; {of} was made with another."
            return
        for file in [*found.run.config, *found.run.tables]:
            if list(self._file(file.path, file.sha256, "config", of)):
                self._changed[self._records.root / file.path] += 1

    def siblings(self) -> Iterator[str]:
        """Outputs that are gone with their records, while others of the same job are here."""
        for path, found in self._records.by_path.items():
            for sibling in found.made.outputs.values():
                beside = record.record_path(self._records.root / sibling)
                if sibling not in self._records.by_path and not chain.is_file(beside):
                    of = record.record_path(self._records.root / path)
                    yield f"{beside}: gone; the job of {of} made it, too."

    def packed(self) -> Iterator[tuple[Path, str]]:
        """Files of an unpacked supplement that are not what its BagIt manifests list."""
        root = self._records.root
        bag = chain.absolute(root).parent
        if chain.absolute(root).name != "data" or not (bag / "bagit.txt").is_file():
            return
        for manifest in ("manifest-sha256.txt", "tagmanifest-sha256.txt"):
            if not (bag / manifest).is_file():
                yield bag / manifest, f"{bag / manifest}: gone; it is of the supplement."
                continue
            for line in (bag / manifest).read_text(encoding="utf-8", errors="replace").splitlines():
                if not line.strip():
                    continue
                expected, _, name = line.partition(" ")
                name = name.lstrip()
                inside = name.startswith("data/")
                file = root / name.removeprefix("data/") if inside else bag / name
                found = self._digest(file)
                if found != expected:
                    what = "gone" if found is None else "changed"
                    yield file, f"{file}: {what} since the supplement was packed."

    def _output(self, found: Record, of: Path) -> Iterator[str]:
        output = found.made.output
        file = self._records.root / output.path
        sentences = list(
            self._file(output.path, output.sha256, "the output", of, of_size=output.size)
        )
        if sentences and file.exists() and output.logical_sha256:
            try:
                same = logical_digest(file) == output.logical_sha256
            except Exception:  # netCDF4 has its own for every kind of damage
                same = False
            if same:
                sentences = [f"{sentences[0][:-1]}; its values and attributes are the same."]
        yield from sentences

    def _record_of_input(self, entry: record.Input, of: Path) -> Iterator[str]:
        beside = record.record_path(self._records.root / entry.path)
        own = self._records.by_path.get(entry.path)
        if entry.record is None:
            if own is not None:
                yield f"{beside}: {of} takes what it is of for a raw file."
        elif own is not None and own.id != entry.record:
            yield f"{beside}: not the record that {of} was made from."
        elif own is None and beside not in self._refused:
            yield f"{beside}: gone; {of} names it as its input's record."

    def _file(
        self, path: str, expected: str, what: str, of: Path, *, of_size: int | None = None
    ) -> Iterator[str]:
        file = self._records.root / path
        found = self._digest(file)
        if found is None and self._absent.get(path) == expected:
            self._met_absent.add(path)
        elif found is None:
            yield f"{file}: gone; it is {what} in {of}."
        elif not found:
            yield f"{file}: cannot be read; it is {what} in {of}."
        # A folder has the digest of its list of files, which a file may hold.
        elif found != expected or (of_size is not None and size(file) != of_size):
            yield f"{file}: changed since it was {what} in {of}."

    def _digest(self, file: Path) -> str | None:
        """None where there is no file or folder, empty where it cannot be read."""
        if file not in self._digests:
            try:
                # Anything else, such as a pipe, could be read for ever.
                there = file.is_file() or file.is_dir()
                self._digests[file] = digest(file) if there else None
            except OSError:
                self._digests[file] = ""
        return self._digests[file]


def _strangers(folder: Path, records: chain.Records) -> list[str]:
    """Files in the folders of results that no record accounts for."""
    known = {chain.absolute(records.root / path) for path in records.by_path}
    places = sorted({_results_folder(Path(path)) for path in records.by_path})
    tops = [chain.absolute(records.root / place) for place in places]
    found = []
    for file in sorted(chain.files_below(folder)):
        at = chain.absolute(file)
        inside = [at.relative_to(top).as_posix() for top in tops if at.is_relative_to(top)]
        accounted = at in known or at.name.endswith(record.SUFFIX)
        if inside and not accounted and not _WITHOUT_RECORD.fullmatch(inside[0]):
            found.append(f"{file}: there is no record of how it was made.")
    return found


def _results_folder(path: Path) -> Path:
    """`results/<run>` of an output there, else the folder it is in."""
    return Path(*path.parts[:2]) if path.parts[0] == "results" else path.parent
