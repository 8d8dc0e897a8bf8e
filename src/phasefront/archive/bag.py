"""A BagIt bag (RFC 8493), written straight into a zip: each file is read once, and only read.

The bagit library makes bags in place, from files that are moved into them. Copies would take the
room and time of a scan, and links change the times of the files they lead to, or lead out of the
bag, which it refuses. It validates these bags in the tests.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from phasefront.records.digests import chunks

# A zip can hold no earlier time; files in it bear no other, lest bytes depend on it.
_NO_TIME = (1980, 1, 1, 0, 0, 0)
# Files that are compressed in themselves: to do it again would save a twentieth of them.
_COMPRESSED = {".nc", ".png"}


class Bag:
    """A bag that is being written as the one folder `top` of an open zip."""

    def __init__(self, packed: zipfile.ZipFile, top: str):
        self._packed, self._top = packed, top
        self._payload: dict[str, dict] = {}
        self._tags: dict[str, dict] = {}

    def add_file(self, name: str, source: Path) -> dict:
        """Put a file into the payload as `name`. Returns its `{"size", "sha256"}`."""
        return self._add(self._payload, f"data/{name}", chunks(source))

    def add_text(self, name: str, text: str) -> dict:
        """Put a text into the payload as `name`. Returns its `{"size", "sha256"}`."""
        return self._add(self._payload, f"data/{name}", [text.encode()])

    def finish(self, description: str, date: str) -> None:
        """Write what makes it a bag: declaration, description and manifests."""
        total = sum(about["size"] for about in self._payload.values())
        self._tag("bagit.txt", "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n")
        self._tag(
            "bag-info.txt",
            f"Bagging-Date: {date}\n"
            f"External-Description: {' '.join(description.split())}\n"
            f"Payload-Oxum: {total}.{len(self._payload)}\n",
        )
        self._tag("manifest-sha256.txt", _manifest(self._payload))
        self._tag("tagmanifest-sha256.txt", _manifest(self._tags))

    def _tag(self, name: str, text: str) -> None:
        self._add(self._tags, name, [text.encode()])

    def _add(self, listed: dict[str, dict], name: str, parts: Iterable[bytes]) -> dict:
        entry = zipfile.ZipInfo(f"{self._top}/{name}", _NO_TIME)
        compressed = PurePosixPath(name).suffix in _COMPRESSED
        entry.compress_type = zipfile.ZIP_STORED if compressed else zipfile.ZIP_DEFLATED
        entry.external_attr = 0o644 << 16
        total, size = hashlib.sha256(), 0
        with self._packed.open(entry, "w", force_zip64=True) as goal:
            for part in parts:
                goal.write(part)
                total.update(part)
                size += len(part)
        listed[name] = {"size": size, "sha256": total.hexdigest()}
        return listed[name]


def _manifest(listed: dict[str, dict]) -> str:
    """A line a file; line ends in names are encoded, as the RFC has it."""
    return "".join(
        f"{about['sha256']}  {name.replace(chr(13), '%0D').replace(chr(10), '%0A')}\n"
        for name, about in sorted(listed.items())
    )
