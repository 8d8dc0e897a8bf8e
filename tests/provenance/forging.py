"""Records that were changed by someone who knows how they are sealed."""

import json
from collections.abc import Callable
from pathlib import Path

from phasefront.records import record


def rewrite(path: Path, change: Callable[[dict], object]) -> None:
    """Change what a record says, and make id and seal fit again."""
    content = json.loads(path.read_text())
    change(content)
    content["id"] = record.identity(content)
    content["seal"] = record.seal(content)
    path.write_text(json.dumps(content))


def forge(output: str | Path, change: Callable[[dict], object]) -> None:
    """Rewrite the record of an output."""
    rewrite(record.record_path(output), change)
