"""SHA-256 of files: raw scans are read once for it, and an edit during a job is still found.

A large file is hashed while, or after, a job reads it, and the digest is remembered for as long as
size, inode and both times of the file stay what they were. A time stamp only tells changes apart
that are further apart than its resolution, so a file that was changed a moment ago is not trusted
to be what it was: it is hashed before the work and again after it, as small files are whose times
have moved.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from phasefront.core.errors import InputError

LARGE = 4 << 20  # bytes; below, hashing is as fast as remembering
MEMORY = Path(".phasefront/digests")
_CHUNK = 1 << 22  # bytes read at once
RESOLUTION_NS = 2 * 10**9  # the coarsest time stamps of a file system in use (FAT's)

Signature = list[list[str | int]]


def digest(path: str | Path) -> str:
    """SHA-256 of a file, or of a folder as the digest of its sorted (name, digest) list."""
    path = Path(path)
    total = hashlib.sha256()
    if path.is_dir():
        for child in _files_in(path):
            total.update(f"{digest(child)}  {child.relative_to(path).as_posix()}\n".encode())
    else:
        for chunk in chunks(path):
            total.update(chunk)
    return total.hexdigest()


def size(path: str | Path) -> int:
    """Bytes in a file, or in all files of a folder."""
    path = Path(path)
    return sum(p.stat().st_size for p in (_files_in(path) if path.is_dir() else [path]))


def with_companions(path: Path) -> list[Path]:
    """A file and those that are read with it: the header of Merlin's, the parts of a TVIPS stream,
    images beside a header of SDF, the header of aXis2000's.

    A companion that is not there is not named.
    """
    beside = []
    if path.suffix.lower() == ".mib":
        beside = [path.with_suffix(".hdr")]
    elif path.suffix.lower() == ".tvips" and path.stem.endswith("_000"):
        beside = sorted(path.parent.glob(f"{path.stem[:-3]}[0-9][0-9][0-9]{path.suffix}"))
    elif path.suffix.lower() == ".hdr":
        beside = sorted(path.parent.glob(f"{glob.escape(path.stem)}_a*.xim"))
    elif path.suffix.lower() == ".ncb":
        beside = [path.with_suffix(".dat")]
    return [path, *(file for file in beside if file != path and file.is_file())]


def parts(path: Path) -> list[Path]:
    """Files that are read along with a file, or all that a folder holds."""
    return _files_in(path) if path.is_dir() else with_companions(path)[1:]


def signature(path: Path) -> Signature:
    """What the file system says of a file, or of every file in a folder."""
    files = _files_in(path) if path.is_dir() else [path]
    found = []
    for file in files:
        stat = file.stat()
        times = (stat.st_mtime_ns, stat.st_ctime_ns)
        found.append([file.relative_to(path).as_posix(), stat.st_size, stat.st_ino, *times])
    return found


class Watch:
    """One file during a job: its digest, and whether it stayed what it was.

    Create it before the work; `finish` after it.
    """

    def __init__(self, path: Path):
        self.path = path
        self._before = signature(path)
        self._settled = is_settled(self._before)
        self._sha256 = _remembered(path, self._before) if self._settled else None
        if self._sha256 is None and not (self._settled and _bytes(self._before) >= LARGE):
            self._sha256 = digest(path)

    def finish(self) -> str:
        """SHA-256 of the file, the same before and after. Raises InputError where it changed."""
        try:
            after = signature(self.path)
            stayed = self._settled and after == self._before
            if self._settled:
                # Another job, or this one while it read the file, may have hashed it meanwhile.
                self._sha256 = self._sha256 or _remembered(self.path, self._before)
            if stayed and self._sha256:
                return self._sha256
            now = digest(self.path)
            unchanged = stayed if self._sha256 is None else now == self._sha256
            if unchanged and signature(self.path) == after:
                if stayed:
                    _remember(self.path, after, now)
                return now
        except FileNotFoundError:
            pass
        raise InputError(
            self.path,
            "the file changed while it was being used",
            remedy="run again, and leave inputs alone while a run is going",
        )


class Hashing:
    """Hash a file along with a reader that goes through it, so that the disk is read once."""

    def __init__(self, path: Path):
        self._path = path
        self._before = signature(path)
        self._settled = is_settled(self._before)
        self._known = _remembered(path, self._before) if self._settled else None
        self._total = hashlib.sha256()
        self._chunks = iter(()) if path.is_dir() else chunks(path)
        self._done = 0

    def advance(self, share: float) -> None:
        """Hash as far as the reader is: `share` from 0 to 1."""
        while self._known is None and self._done < share * _bytes(self._before):
            chunk = next(self._chunks, b"")
            if not chunk:
                break
            self._total.update(chunk)
            self._done += len(chunk)

    def finish(self) -> str:
        """SHA-256 of the whole file, remembered for the jobs that read it next."""
        if self._known is not None:
            return self._known
        if self._path.is_dir():
            found = digest(self._path)
        else:
            for chunk in self._chunks:
                self._total.update(chunk)
            found = self._total.hexdigest()
        if self._settled and signature(self._path) == self._before:
            _remember(self._path, self._before, found)
        return found


def chunks(path: Path) -> Iterator[bytes]:
    """The bytes of a file, some megabytes at a time."""
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            yield chunk


def _files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _bytes(found: Signature) -> int:
    return sum(entry[1] for entry in found)


def is_settled(found: Signature) -> bool:
    """Whether a change from now on would show in the file's times."""
    newest = max((stamp for entry in found for stamp in entry[3:]), default=0)
    return newest + RESOLUTION_NS < time.time_ns()


def _place(path: Path) -> Path:
    name = hashlib.sha256(os.fsencode(path.absolute())).hexdigest()
    return MEMORY / f"{name}.json"


def _remembered(path: Path, found: Signature) -> str | None:
    """Digest that was worked out when the file had this signature."""
    try:
        kept = json.loads(_place(path).read_text(encoding="utf-8"))
        return kept["sha256"] if kept["signature"] == found else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _remember(path: Path, found: Signature, sha256: str) -> None:
    if _bytes(found) < LARGE:
        return
    place = _place(path)
    part = place.with_name(f".{os.getpid()}-{place.name}")
    # A folder that cannot be written to costs time, nothing else.
    with suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        kept = {"path": str(path), "signature": found, "sha256": sha256}
        part.write_text(json.dumps(kept), encoding="utf-8")
        part.replace(place)
