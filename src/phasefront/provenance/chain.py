"""Walk from an output to what it was made of."""

from __future__ import annotations

import json
from pathlib import Path

from phasefront.provenance.record import record_path


def ancestors(output: str | Path) -> dict[str, dict]:
    """Records of an output and of all recorded files it was made from, by their paths."""
    found, waiting = {}, [Path(output)]
    while waiting:
        path = waiting.pop()
        beside = record_path(path)
        if str(path) not in found and beside.is_file():
            record = json.loads(beside.read_text(encoding="utf-8"))
            found[str(path)] = record
            waiting.extend(Path(entry["path"]) for entry in record["made"]["inputs"])
    return found


def seconds_spent(output: str | Path) -> float:
    """Wall time of the stages that led to a scan's output, in seconds.

    Counts the recorded files of the same name (`spots/a.nc` for `fractions/a.nc`), so neither the
    templates, which scans share, nor the making of a virtual scan.
    """
    output = Path(output)
    return sum(
        record["run"]["wall_seconds"]
        for path, record in ancestors(output).items()
        if Path(path).name == output.name
    )
