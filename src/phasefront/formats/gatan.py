"""Gatan DigitalMicrograph (.dm3, .dm4)."""

from __future__ import annotations

from pathlib import Path

from phasefront.formats.scan import Scan
from phasefront.formats.signals import choose, from_signal, map_signals


def open_dm(path: Path) -> Scan:
    """The one scan in a file of DigitalMicrograph."""
    signal = choose(path, map_signals(path, "digitalmicrograph"))
    return from_signal(path, signal, (path,), rows_together=1)
