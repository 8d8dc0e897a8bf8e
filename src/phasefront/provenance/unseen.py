"""Files that changed, and yet look older than what was made of them.

Snakemake takes a file for unchanged whose time stamp is older than the results. A file that `mv`,
`cp -p`, `rsync -a` or an archive puts in place has an old one. Nobody sets the time when the file
system last wrote down something about a file (ctime): where it is younger than a result, the file
is hashed, and the result's record knows what was used.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from pathlib import Path

from phasefront.errors import InputError
from phasefront.provenance import digests
from phasefront.provenance.record import SUFFIX, Record, output_path, read


def refuse_unseen_changes(results: Path) -> None:
    """Raise InputError where files changed unseen that the results in a folder were made of.

    Only what no rule makes is looked at: raw files, structures, code, the lock.
    """
    current = cache(lambda path: digests.Watch(path).finish())
    hidden: dict[Path, Path] = {}
    for beside in sorted(results.rglob(f"*{SUFFIX}")):
        output = output_path(beside)
        try:
            found = read(beside)
        except InputError:  # `verify` tells
            continue
        if not output.exists():  # and will be made again
            continue
        ended = datetime.fromisoformat(found.run.ended).timestamp() * 1e9
        for path, sha256 in _sources(found):
            times = [entry[3:] for entry in digests.signature(path)] if path.exists() else []
            looks_old = all(modified < ended for modified, _ in times)
            younger = any(changed > ended for _, changed in times)
            if looks_old and younger and current(path) != sha256:
                hidden.setdefault(path, output)
    if hidden:
        path, output = next(iter(hidden.items()))
        files = shlex.join(sorted(map(str, hidden)))
        raise InputError(
            path,
            f"changed, but its time stamp is older than {output}, which was made of it",
            remedy=f"give it a new one, or no run sees the change: touch {files}",
        )


def _sources(found: Record) -> Iterator[tuple[Path, str]]:
    """Files that a result was made of and that have no record of their own."""
    lock = [found.made.lock] if found.made.lock else []
    files = [entry for entry in found.made.inputs if entry.record is None]
    for entry in (*files, *found.made.code, *lock):
        yield Path(entry.path), entry.sha256
