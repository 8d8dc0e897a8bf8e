"""A study in parts, each of which can be run again alone."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from time import perf_counter


def run(description: str, parts: Mapping[str, Callable[[], object]], out: Path) -> None:
    """Run the parts that the command line names, or all, and write what they find as JSON.

    What the file says of other parts is kept, and it says how many seconds each took.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(parts)}; all if none is named")
    named = parser.parse_args().parts
    strange = [part for part in named if part not in parts]
    if strange:
        parser.error(f"there is no part {strange[0]!r}")
    out.parent.mkdir(parents=True, exist_ok=True)
    found = json.loads(out.read_text(encoding="utf-8")) if named and out.exists() else {}
    for part in named or parts:
        begun = perf_counter()
        found[part] = parts[part]()
        found.setdefault("seconds", {})[part] = round(perf_counter() - begun)
        out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        print(part, f"{found['seconds'][part]} s", flush=True)
    print(out)
