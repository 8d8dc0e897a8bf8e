"""Serve a run's explorer on this machine, with every raw pattern read from its file on demand.

The page asks for `pattern/<scan>/<y>/<x>` relative to its own address. The answer is two
little-endian uint32, rows and columns, and the counts of the raw pattern, little-endian float32,
row by row, as the readers of scans give them. Nothing else of the machine can be read: an address
begins with a random token, and only the page and patterns of the run have one.
"""

from __future__ import annotations

import hmac
import re
import secrets
import struct
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

from phasefront.audit.diff import run_folder
from phasefront.core.errors import InputError
from phasefront.experiment.settings.scans import ScanLayout
from phasefront.records import chain, digests
from phasefront.records.record import Input, Record
from phasefront.report.explorer import PAGE
from phasefront.scans.files import open_scan
from phasefront.scans.formats.scan import Scan

_ADDRESS = re.compile(r"/([^/?]+)/([^?]*)(?:\?.*)?")
_PATTERN = re.compile(r"pattern/([^/]+)/(\d{1,6})/(\d{1,6})", re.ASCII)
_TEXT = "text/plain; charset=utf-8"
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:;"
    " frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_SECONDS = 30  # that a browser may take to say what it wants


class Refused(Exception):
    """An answer that is not what was asked for: a status, and why in a sentence."""

    def __init__(self, status: HTTPStatus, sentence: str):
        super().__init__(sentence)
        self.status, self.sentence = status, sentence


@dataclass
class RawScan:
    """The raw file that the spots of a scan were found in, as the record of these says.

    Several threads may ask at a time.
    """

    root: Path
    record: Record
    _scan: Scan | None = None
    _checked: list[digests.Signature] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def pattern(self, y: int, x: int) -> bytes:
        """The pattern at a position, as the module says.

        Raises Refused where there is no such position, or the file is not what it was.
        """
        try:
            with self._lock:
                scan = self._open()
                rows, columns = scan.shape[:2]
                if y >= rows or x >= columns:
                    raise Refused(
                        HTTPStatus.NOT_FOUND,
                        f"The scan has {rows} x {columns} positions, none at y = {y}, x = {x}.",
                    )
                pattern = scan.read_rows(y, y + 1)[0, x]
                self._open()  # it may have changed meanwhile
        except (InputError, OSError) as error:
            raise Refused(HTTPStatus.CONFLICT, str(error)) from error
        return struct.pack("<II", *pattern.shape) + pattern.astype("<f4").tobytes()

    def _open(self) -> Scan:
        """The scan, once every file of it has the bytes that the record names.

        What was hashed is not hashed again for as long as the file system says nothing new of it.
        """
        entries = [entry for entry in self.record.made.inputs if entry.role == "scan"]
        paths = [self.root / entry.path for entry in entries]
        missing = [
            entry.path for entry, path in zip(entries, paths, strict=True) if not path.exists()
        ]
        if missing:
            raise Refused(HTTPStatus.NOT_FOUND, f"{missing[0]} is not there: put it in its place.")
        found = [digests.signature(path) for path in paths]
        if self._scan is None or found != self._checked:
            self._checked = []
            named = self.root / _named(self.record)
            changed = set(digests.with_companions(named)) - set(paths)
            changed |= {
                path
                for entry, path in zip(entries, paths, strict=True)
                if not _is_what_was_used(entry, path)
            }
            if changed:
                raise Refused(
                    HTTPStatus.CONFLICT,
                    f"{min(changed)} is not what the run was made of: put back the file with the"
                    " bytes that its record names, or run again.",
                )
            layout = ScanLayout.model_validate(self.record.made.parameters["layout"])
            self._scan = open_scan(named, layout)
            if all(map(digests.is_settled, found)):
                self._checked = found
        return self._scan


def _named(record: Record) -> str:
    """The path of the scan that the job was given, without what is read along."""
    command = record.made.command
    return command[command.index("--scan") + 1]


def _is_what_was_used(entry: Input, path: Path) -> bool:
    try:
        return digests.size(path) == entry.size and digests.Watch(path).finish() == entry.sha256
    except (OSError, InputError):  # it changes just now
        return False


def raw_scans(folder: Path) -> dict[str, RawScan]:
    """The raw scans of a run by their names; peak lists and maps have no patterns."""
    found = {}
    for path in sorted((folder / "spots").glob("*.nc")):
        root, record = chain.locate(path)
        if record.made.rule == "find_spots":
            found[path.stem] = RawScan(root, record)
    return found


class Explorer(ThreadingHTTPServer):
    """A server of one run, on a free port of this machine alone.

    Raises InputError where the folder has no explorer, or a record of it is damaged.
    """

    def __init__(self, folder: Path):
        self.page = folder / PAGE
        if not self.page.is_file():
            raise InputError(self.page, "there is no such file", remedy="run the experiment first")
        self.scans = raw_scans(folder)
        self.token = secrets.token_urlsafe(32)
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def host(self) -> str:
        """What a browser that was given the address says it asks."""
        return f"127.0.0.1:{self.server_port}"

    @property
    def address(self) -> str:
        return f"http://{self.host}/{self.token}/{PAGE}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser may leave before it has its answer."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)

    def answer(self, target: str) -> tuple[str, bytes]:
        """Type and content of what an address without host asks for. Raises Refused."""
        address = _ADDRESS.fullmatch(target)
        token, place = address.groups() if address else ("", "")
        if not hmac.compare_digest(token.encode(), self.token.encode()):
            raise Refused(HTTPStatus.FORBIDDEN, "Open the address that `phasefront view` printed.")
        if place == PAGE:
            return "text/html; charset=utf-8", self.page.read_bytes()
        asked = _PATTERN.fullmatch(place)
        scan = self.scans.get(unquote(asked[1])) if asked else None
        if scan is None:
            raise Refused(HTTPStatus.NOT_FOUND, "The run has no such page and no such raw scan.")
        return "application/octet-stream", scan.pattern(int(asked[2]), int(asked[3]))


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD, tells nobody what was asked, and lets no other page in."""

    server: Explorer
    protocol_version = "HTTP/1.1"
    timeout = _SECONDS

    def do_GET(self) -> None:
        try:
            # A name of someone else's that leads here (DNS rebinding) is none of ours.
            if self.headers.get_all("Host") != [self.server.host]:
                raise Refused(HTTPStatus.FORBIDDEN, f"This is {self.server.host} alone.")
            status, (kind, content) = HTTPStatus.OK, self.server.answer(self.path)
        except Refused as error:
            status, kind, content = error.status, _TEXT, f"{error.sentence}\n".encode()
        self.send_response(status)
        for name, value in (_HEADERS | {"Content-Type": kind}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    do_HEAD = do_GET

    def version_string(self) -> str:
        return "phasefront"

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing: addresses hold the token."""


def view(run: str) -> int:
    """Serve until Ctrl-C, which is how it ends."""
    folder = run_folder(run)
    with Explorer(folder) as server:
        print(f"Explorer: {server.address}", flush=True)
        print("Ctrl-C ends it.", flush=True)
        with suppress(KeyboardInterrupt):
            server.serve_forever()
    print(f"{folder} is served no more.")
    return 0
