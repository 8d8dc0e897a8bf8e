"""Indexing side by side: phasefront, pyxem and py4DSTEM on one synthetic scan, in one run.

Writes `results/bench/indexing.json`. A system's rate is patterns over the seconds from raw patterns
in a file to orientations; building its library and compiling are reported apart. Slow systems do
the first rows only.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import machine, scan, systems
from benchmarks.score import score
from benchmarks.systems import PHASEFRONT, PY4DSTEM, PYXEM, PYXEM_ALL, System
from phasefront.diffraction.crystals import read_crystals
from phasefront.diffraction.template_library import COARSE_DEG, Library
from phasefront.diffraction.templates import simulate_templates
from phasefront.virtual.rendering import CAMERA_PIXELS

OUT = systems.ROOT / "results" / "bench" / "indexing.json"
STRUCTURES = systems.ROOT / "config" / "structures"
PHASES = {
    "lfp": ("LiFePO4", "FePO4"),
    "nvpf": ("Na3V2PO42F3", "Na2V2PO42F3", "NaV2PO42F3"),
}
SEED = 20150304
THREADS = 2
# What is kept of every system: from its record, and from its score.
RECORDED = ("templates", "peak_memory_mb", "seconds", "seconds_apart")
SCORED = (
    "phase_accuracy", "phase_accuracy_answered", "unanswered", "orientation_error_deg",
    "half_turned",
)  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """One scan and one grid; `rows` of COLUMNS patterns for each system."""

    material: str
    resolution_deg: float
    rows: dict[System, int]
    phases: int | None = None  # the first so many of the material's
    threads: int = THREADS


# A scan of 128 x 128 positions; of the others what takes them as long, so that no start counts.
MAIN = Comparison("lfp", 2.0, {PHASEFRONT: 1024, PYXEM: 32, PYXEM_ALL: 8, PY4DSTEM: 3})
OTHERS = {
    "one_degree": Comparison("lfp", 1.0, {PHASEFRONT: 1024, PYXEM: 8, PYXEM_ALL: 2, PY4DSTEM: 1}),
    "nvpf": Comparison("nvpf", 2.0, {PHASEFRONT: 1024, PYXEM: 32, PYXEM_ALL: 8, PY4DSTEM: 3}),
}
_ALONE = {PHASEFRONT: 256}
SCALING = {
    "templates": [Comparison("lfp", step, _ALONE) for step in (4.0, 3.0, 2.0, 1.5, 1.0)],
    "phases": [Comparison("nvpf", 2.0, _ALONE, phases=count) for count in (1, 2, 3)],
    "threads": [Comparison("lfp", 2.0, _ALONE, threads=count) for count in (1, 2)],
}


def measure(
    main: Comparison,
    others: dict[str, Comparison],
    scaling: dict[str, Sequence[Comparison]],
    *,
    report: Callable[[str], None] = print,
) -> dict:
    """Run all comparisons, one process after the other, and return what the JSON file holds."""
    about = machine.describe()
    with tempfile.TemporaryDirectory() as folder:
        result = compare(main, Path(folder), report)
        result["settings"] = {
            key: compare(other, Path(folder), report) for key, other in others.items()
        }
        result["scaling"] = {
            key: [_rate(compare(case, Path(folder), report), case) for case in cases]
            for key, cases in scaling.items()
        }
    result["machine"] = about
    result["matrix_products"] = products(main)
    return result


def products(comparison: Comparison) -> dict:
    """How near matching's matrix products come to the machine's peak, on one thread."""
    names = list(PHASES[comparison.material][: comparison.phases])
    crystals = read_crystals([STRUCTURES / f"{name}.cif" for name in names], names)
    templates = simulate_templates(
        crystals, voltage_kv=systems.VOLTAGE_KV, precession_deg=systems.PRECESSION_DEG,
        resolution_deg=comparison.resolution_deg, max_radius=systems.MAX_RADIUS,
    )  # fmt: skip
    reached = machine.matching_gflops(Library.prepare(templates, crystals, COARSE_DEG))
    peak = machine.sgemm_peak_gflops(threads=1)
    return {"gflops": reached, "sgemm_peak_gflops": peak, "share_of_peak": reached / peak}


def compare(comparison: Comparison, folder: Path, report: Callable[[str], None]) -> dict:
    """Numbers of every system by its name, and phasefront's rate over the others'."""
    names = list(PHASES[comparison.material][: comparison.phases])
    crystals = read_crystals([STRUCTURES / f"{name}.cif" for name in names], names)
    path = folder / "scan.blo"
    truth = scan.make_scan(
        path, material=comparison.material, phases=names, rows=max(comparison.rows.values()),
        seed=SEED,
    )  # fmt: skip
    out = {
        "phases": names, "resolution_deg": comparison.resolution_deg,
        "threads": comparison.threads, "patterns_per_s": {}, "patterns": {},
        **{key: {} for key in (*SCORED, *RECORDED)}, "versions": {}, "skipped": {},
    }  # fmt: skip
    for system, rows in comparison.rows.items():
        try:
            answers = systems.run(
                system, path, rows=rows, crystals=crystals, scale=scan.SCALE,
                camera=(CAMERA_PIXELS, CAMERA_PIXELS), resolution_deg=comparison.resolution_deg,
                threads=comparison.threads, folder=folder,
            )  # fmt: skip
        except systems.FailedError as error:
            out["skipped"][system.name] = str(error)
            report(f"{system.name} skipped: {error}")
            continue
        for name, answer in answers.items():
            done = len(answer.phase)
            scored = score(
                answer.phase, answer.rotation, truth.phase[:done], truth.rotation[:done],
                [crystal.symmetry for crystal in crystals],
            )  # fmt: skip
            out["patterns_per_s"][name], out["patterns"][name] = answer.patterns_per_s, done
            for key in SCORED:
                out[key][name] = scored[key]
            for key in RECORDED:
                out[key][name] = answer.record[key]
            out["versions"][name] = answer.record["versions"]
            report(
                f"{'/'.join(names)} at {comparison.resolution_deg:g} degrees, {name}: {done} "
                f"patterns, {answer.patterns_per_s:.3g}/s, phase {scored['phase_accuracy']:.3f}"
            )
    rate = out["patterns_per_s"]
    out["ratio_pyxem"] = _ratio(rate, PYXEM.name)
    out["ratio_py4dstem"] = _ratio(rate, PY4DSTEM.name)
    return out


def _ratio(rate: dict[str, float], other: str) -> float | None:
    return rate[PHASEFRONT.name] / rate[other] if other in rate else None


def _rate(numbers: dict, case: Comparison) -> dict:
    """What a series shows: phasefront's rate and what it depends on."""
    kept = {
        key: numbers[key][PHASEFRONT.name]
        for key in ("patterns_per_s", "seconds", "templates", "patterns", "phase_accuracy")
    }
    return {
        "resolution_deg": case.resolution_deg, "phases": len(numbers["phases"]),
        "threads": case.threads, **kept,
    }  # fmt: skip


def show(result: dict) -> None:
    """The comparisons as tables; phase: share right of n patterns, none: without answer."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console()
    for block in (result, *result["settings"].values()):
        title = f"{' / '.join(block['phases'])} at {block['resolution_deg']:g} degrees"
        table = Table(title=title, box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
        table.add_column("system", no_wrap=True)
        for head in ("n", "/s", "phase", "none", "error°", "90 %", "MB"):
            table.add_column(head, justify="right", no_wrap=True)
        for name, rate in block["patterns_per_s"].items():
            error = block["orientation_error_deg"][name]
            numbers = (
                (block["patterns"][name], "d"), (rate, ".1f"),
                (block["phase_accuracy"][name], ".3f"), (block["unanswered"][name], ".3f"),
                (error["median"], ".2f"), (error["p90"], ".2f"),
                (block["peak_memory_mb"][name], ".0f"),
            )  # fmt: skip
            table.add_row(name, *("-" if n is None else format(n, how) for n, how in numbers))
        console.print(table)
        for name, reason in block["skipped"].items():
            console.print(f"{name} skipped: {reason}")
    console.print(
        f"phasefront over pyxem {_shown(result['ratio_pyxem'])}, over py4DSTEM "
        f"{_shown(result['ratio_py4dstem'])}; matching's matrix products reach "
        f"{result['matrix_products']['share_of_peak']:.0%} of the machine's sgemm peak"
    )


def _shown(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.0f} times"


def main() -> None:
    result = measure(MAIN, OTHERS, SCALING)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    unfinished = OUT.with_suffix(".part")
    unfinished.write_text(json.dumps(result, indent=2) + "\n")
    unfinished.replace(OUT)
    show(result)
    print(f"written to {OUT.relative_to(systems.ROOT)}")


if __name__ == "__main__":
    main()
