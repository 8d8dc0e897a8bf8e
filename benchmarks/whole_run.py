"""Whole runs, raw scan to supplement and explorer: seconds and memory of every rule, by the size of
the scan; and what planning costs by the number of scans.

    python -m benchmarks.whole_run             # all parts, into results/bench/run.json
    python -m benchmarks.whole_run planning    # one part again

The scan is a virtual one of the demo (`make demo` makes it), tiled. The config is the least that a
user writes. Each run starts from nothing and is thrown away.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections import defaultdict
from pathlib import Path

import yaml

from benchmarks import machine, parts
from benchmarks.block_files import rearrange, tiled
from phasefront.cli import running
from phasefront.records.record import SUFFIX

OUT = Path("results/bench/run.json")
DEMO = Path("config/demo.yaml")
SOURCE = Path("results/demo/raw/grains-x2.5.blo")
RUN = "bench-run"
SIDES = (64, 128, 256, 512)
SCANS = (1, 10, 100, 200)


def experiment(folder: Path, scans: list[Path]) -> Path:
    """The shortest config of scans in one state, in a folder; returns its path."""
    demo = yaml.safe_load(DEMO.read_text())
    known = ("name", "cif", "ion_content", "formula_units")
    of_ion = ("ion", "pristine_molar_mass", "pristine_ion_content")
    material = {key: demo["material"][key] for key in of_ion}
    material["phases"] = [{k: phase[k] for k in known} for phase in demo["material"]["phases"]]
    rows = [f"{scan.stem}\tonly\t{scan}\tastar" for scan in scans]
    table = folder / "scans.tsv"
    table.write_text("\n".join(["scan\tstate\tpath\tinstrument", *rows]) + "\n")
    config = folder / "config.yaml"
    config.write_text(
        yaml.safe_dump(
            {"run": RUN, "material": material, "instruments": demo["instruments"],
             "tables": {"scans": str(table)}, "states": [{"name": "only"}]}
        )
    )  # fmt: skip
    return config


def measured(command: list[str]) -> dict[str, float]:
    """Wall and processor seconds of a command, and most memory of one of its processes, MB."""
    started = time.perf_counter()
    silent = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    process = os.posix_spawn(command[0], command, os.environ, file_actions=silent)
    _, status, usage = os.wait4(process, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}")
    return {
        "wall_s": time.perf_counter() - started,
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "peak_memory_mb": usage.ru_maxrss / 1024,
    }


def of_rules(results: Path) -> dict[str, dict[str, float]]:
    """Jobs of each rule, their seconds (in their own work, and all) and most memory, by records."""
    jobs = {}
    for path in results.rglob(f"*{SUFFIX}"):
        record = json.loads(path.read_text())
        jobs[record["made"]["rule"], record["run"]["started"]] = record["run"]
    rules: dict[str, dict[str, float]] = defaultdict(
        lambda: {"jobs": 0, "wall_s": 0.0, "work_s": 0.0, "peak_memory_mb": 0.0}
    )
    for (rule, _), run in jobs.items():
        own = rules[rule]
        own["jobs"] += 1
        own["wall_s"] += run["wall_seconds"]
        own["work_s"] += run["work_seconds"]
        own["peak_memory_mb"] = max(own["peak_memory_mb"], run["peak_memory_mb"])
    return dict(sorted(rules.items(), key=lambda item: -item[1]["wall_s"]))


def measure_sizes(sides: tuple[int, ...] = SIDES) -> list[dict]:
    """A run of one scan of each size."""
    found = []
    for side in sides:
        with _folder() as folder:
            scan = rearrange(SOURCE, folder / "scan.blo", tiled(SOURCE, (side, side)))
            command = [sys.executable, "-m", "phasefront", "run", str(experiment(folder, [scan]))]
            whole = measured([*command, "--cores", str(len(os.sched_getaffinity(0)))])
            rules = of_rules(Path("results") / RUN)
        whole["positions_per_s"] = side**2 / whole["wall_s"]
        found.append({"side": side, **whole, "rules": rules})
        print(f"{side} x {side}: {whole['wall_s']:.0f} s", flush=True)
    return found


def measure_planning(numbers: tuple[int, ...] = SCANS) -> list[dict]:
    """A dry run of so many scans."""
    found = []
    for number in numbers:
        with _folder() as folder:
            scans = [folder / f"scan-{one}.blo" for one in range(number)]
            for scan in scans:
                os.link(SOURCE, scan)
            command = running.snakemake([experiment(folder, scans)], "--dry-run")
            found.append({"scans": number, **measured(command)})
        print(f"{number} scans planned: {found[-1]['wall_s']:.0f} s", flush=True)
    return found


class _folder:
    """A folder for a run, which goes with the run's results."""

    def __enter__(self) -> Path:
        self.path = OUT.parent / RUN
        for old in (self.path, Path("results") / RUN):
            shutil.rmtree(old, ignore_errors=True)
        self.path.mkdir(parents=True)
        return self.path

    def __exit__(self, *_) -> None:
        for made in (self.path, Path("results") / RUN):
            shutil.rmtree(made, ignore_errors=True)


if __name__ == "__main__":
    if not SOURCE.is_file():
        raise SystemExit(f"{SOURCE}: there is no such file; `make demo` makes it")
    parts.run(
        __doc__,
        {"machine": machine.describe, "sizes": measure_sizes, "planning": measure_planning},
        OUT,
    )
