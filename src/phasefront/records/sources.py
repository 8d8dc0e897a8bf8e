"""Files that results were made of and that no rule makes: whether they are still what was used.

Snakemake goes by time stamps. A file that `mv`, `cp -p`, `rsync -a` or an archive puts in place has
an old one and passes for unchanged; one that was copied or touched has a new one and passes for
changed, unless Snakemake hashes it, which for a large scan takes longer than some of the jobs. The
records know what was used, and large files are hashed again only where the file system says that
something about them is new (see `digests`).
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from datetime import datetime
from functools import cache, cached_property
from pathlib import Path

from phasefront.core.errors import InputError
from phasefront.records import digests
from phasefront.records.record import SUFFIX, output_path, read


@dataclass(frozen=True)
class _Use:
    """What a file was when an output was made of it, and when that ended (ns)."""

    output: Path
    ended: float
    sha256: str


class Sources:
    """Raw files, structures, code and lock that the results in a folder were made of."""

    def __init__(self, results: Path):
        self._results = results
        self._digest = cache(lambda path: digests.Watch(path).finish())

    @cached_property
    def _uses(self) -> dict[Path, list[_Use]]:
        found: dict[Path, list[_Use]] = {}
        for beside in sorted(self._results.rglob(f"*{SUFFIX}")):
            output = output_path(beside)
            try:
                record = read(beside)
            except InputError:  # `verify` tells
                continue
            if not output.exists():  # and will be made again
                continue
            ended = datetime.fromisoformat(record.run.ended).timestamp() * 1e9
            lock = [record.made.lock] if record.made.lock else []
            inputs = [entry for entry in record.made.inputs if entry.record is None]
            for entry in (*inputs, *record.made.code, *lock):
                found.setdefault(Path(entry.path), []).append(_Use(output, ended, entry.sha256))
        return found

    def refuse_hidden_changes(self) -> None:
        """Raise InputError where files changed whose time stamps are older than what they made."""
        hidden: dict[Path, Path] = {}
        for path, uses in self._uses.items():
            times = [entry[3:] for entry in digests.signature(path)] if path.exists() else []
            for use in uses:
                looks_old = all(modified < use.ended for modified, _ in times)
                # Nobody sets the time when the file system last wrote something down of a file.
                younger = any(changed > use.ended for _, changed in times)
                if looks_old and younger and self._digest(path) != use.sha256:
                    hidden.setdefault(path, use.output)
        if hidden:
            path, output = next(iter(hidden.items()))
            files = shlex.join(sorted(map(str, hidden)))
            raise InputError(
                path,
                f"changed, but its time stamp is older than {output}, which was made of it",
                remedy=f"give it a new one, or no run sees the change: touch {files}",
            )

    def only_touched(self, path: Path) -> bool:
        """Whether a file has a newer time stamp than something made of it, and is what all used."""
        uses = self._uses.get(path, [])
        if not uses or not path.exists():
            return False
        newest = max(entry[3] for entry in digests.signature(path))
        if all(newest < use.ended for use in uses):
            return False
        return {self._digest(path)} == {use.sha256 for use in uses}
