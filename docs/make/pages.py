"""Pages whose numbers the last runs and studies left.

A page is written where its results are there; the others stay as they are.
"""

from __future__ import annotations

import json
from pathlib import Path

from docs.make import (
    assumptions,
    constants_page,
    coverage,
    limno,
    mechanisms,
    powder,
    series,
    tomography,
    virtual_series,
    worlds,
)
from docs.make.tables import renewed
from phasefront.report.wording import markdown_table
from phasefront.virtual.checks import check_table

ROOT = Path(__file__).resolve().parents[2]
SUMMARY = ROOT / "results/demo/summary.json"
CHECK = ROOT / "results/demo/truth_check.json"
CONCLUSION = ROOT / "results/demo/conclusion.txt"
BENCH = ROOT / "results/bench/indexing.json"
WHOLE_RUN = ROOT / "results/bench/run.json"
DECISIONS = ROOT / "results/decisions/truth_check.json"
# Columns of the table of docs/decisions.md: what `truth.check_scan` calls them, and decimals.
DECISION_COLUMNS = {
    "accuracy": ("phase_accuracy_decided", 3),
    "undecided": ("undecided", 3),
    "mixed": ("mixed", 3),
    "mixed columns found": ("mixed_found", 3),
    "called mixed wrongly": ("mixed_wrong", 3),
    "overlaps right": ("phase_accuracy_overlap", 3),
    "calibration error": ("expected_calibration_error", 4),
    "orientation, median (degrees)": ("orientation_error_deg_median", 2),
    "orientation sure": ("orientation_sure", 3),
    "90 % of these (degrees)": ("orientation_error_deg_p90_sure", 2),
    "x, rms error": ("ion_content_error_rms", 3),
    "x, 95 % intervals covering": ("ion_content_covering", 3),
    "largest error of an area fraction": ("fraction_error_max", 3),
}


def demo_page() -> str:
    """What the demo found, beside its truth."""
    checks = json.loads(CHECK.read_text(encoding="utf-8"))
    states = json.loads(SUMMARY.read_text(encoding="utf-8"))["states"]
    against_truth = markdown_table(
        ["scan", "decided, right", "undecided", "mixed columns found", "orientation error, median",
         "ion content at a position, rms error", "largest error of an area fraction"],
        [
            [scan, _share(check["phase_accuracy_decided"]), _share(check["undecided"]),
             _share(check["mixed_found"]), f"{check['orientation_error_deg_median']:.2f}°",
             f"{check['ion_content_error_rms']:.3f}", f"{check['fraction_error_max']:.4f}"]
            for scan, check in checks.items()
        ],
    )  # fmt: skip
    sources = list(states[0]["x"])
    contents = markdown_table(
        ["state", *sources],
        [[state["state"], *(_interval(state["x"].get(name)) for name in sources)]
         for state in states],
    )  # fmt: skip
    return f"""# What the demo finds

`make docs` writes this page from `results/demo`, which `make demo` makes: a virtual charge, five
scans of 64 x 64 positions with dynamical intensities. The analysis does not see the truth;
`check_against_truth` alone does.

## Against the truth

{against_truth}

Decided positions are those whose column is one phase of one grain.

## Ion content by source, with 95 % intervals

{contents}

{CONCLUSION.read_text(encoding="utf-8").strip()}
"""


def speed_page() -> str:
    """Indexing beside other programs."""
    bench = json.loads(BENCH.read_text(encoding="utf-8"))
    blocks = [bench, *bench["settings"].values()]
    table = markdown_table(
        ["phases, grid", "system", "patterns", "patterns/s", "phase right",
         "orientation error, median / 90 %", "memory"],
        [row for block in blocks for row in _indexed(block)],
    )  # fmt: skip
    beside = "; ".join(
        f"{_grid(block)}: " + " and ".join(
            f"{block[key]:.0f} times as fast as {other}"
            for key, other in (("ratio_pyxem", "pyxem's default"), ("ratio_py4dstem", "py4DSTEM"))
            if block[key] is not None
        )
        for block in blocks
    )  # fmt: skip
    about = bench["machine"]
    return f"""# How fast

`make docs` writes this page from `results/bench/indexing.json`, which `make bench` makes: scans
with dynamical intensities, true geometry given to all, from raw patterns to orientations, in one
run, on {about["cores"]} cores of {about["cpu"]} (load {about["load_average"][0]:.1f} at the start).
*Decided*: with the phase decision on top (cells, second lattices, intensities in the raw pattern).
Positions that it leaves open count as not right.

{table}

phasefront is, on {beside}.
{_whole_runs() if WHOLE_RUN.exists() else ""}"""


def _grid(block: dict) -> str:
    return f"{' / '.join(block['phases'])} at {block['resolution_deg']:g}°"


def _indexed(block: dict) -> list[list[str]]:
    """A row a system."""
    return [
        [_grid(block), name, f"{block['patterns'][name]}",
         f"{rate:.0f}" if rate >= 10 else f"{rate:.1f}",
         f"{block['phase_accuracy'][name]:.3f}",
         f"{block['orientation_error_deg'][name]['median']:.2f}° / "
         f"{block['orientation_error_deg'][name]['p90']:.2f}°",
         f"{block['peak_memory_mb'][name]:.0f} MB"]
        for name, rate in block["patterns_per_s"].items()
    ]  # fmt: skip


def _whole_runs() -> str:
    """Seconds and memory of whole runs, by size of the scan and by rule, and of planning."""
    found = json.loads(WHOLE_RUN.read_text(encoding="utf-8"))
    sizes = markdown_table(
        ["positions", "seconds", "processor seconds", "positions/s", "most memory of a job"],
        [
            [f"{run['side']} x {run['side']}", f"{run['wall_s']:.0f}", f"{run['cpu_s']:.0f}",
             f"{run['positions_per_s']:.0f}",
             f"{max(rule['peak_memory_mb'] for rule in run['rules'].values()):.0f} MB"]
            for run in found["sizes"]
        ],
    )  # fmt: skip
    shown = min(found["sizes"], key=lambda run: abs(run["side"] - 256))
    rules = markdown_table(
        ["rule", "jobs", "seconds", "of them in its own work", "memory"],
        [
            [name, f"{rule['jobs']}", f"{rule['wall_s']:.1f}", f"{rule['work_s']:.1f}",
             f"{rule['peak_memory_mb']:.0f} MB"]
            for name, rule in shown["rules"].items()
        ],
    )  # fmt: skip
    planning = markdown_table(
        ["scans", "seconds", "memory"],
        [
            [f"{plan['scans']}", f"{plan['wall_s']:.0f}", f"{plan['peak_memory_mb']:.0f} MB"]
            for plan in found["planning"]
        ],
    )
    machine = found["machine"]
    return f"""
## Whole runs

`make whole-run`: one virtual scan of the demo, tiled, three phases, the shortest config, from the
raw file to supplement and explorer, on {machine["cores"]} cores of {machine["cpu"]} (load
{machine["load_average"][0]:.1f} at the start).

{sizes}

Rules of the run of {shown["side"]} x {shown["side"]} positions, by the sum of their jobs:

{rules}

A dry run, by the number of scans:

{planning}
"""


def decisions_page() -> str:
    """The page as it is, with the table and the sentence below it written again."""
    checks = json.loads(DECISIONS.read_text(encoding="utf-8"))
    table = markdown_table(
        ["scan", *DECISION_COLUMNS],
        [
            [row["scan"], *("–" if row[name] != row[name] else f"{row[name]:.{decimals}f}"
                            for name, decimals in DECISION_COLUMNS.values())]
            for row in check_table(checks).to_dict("records")
        ],
    )  # fmt: skip
    counts = {scan: check["positions"]["phase_accuracy_decided"] for scan, check in checks.items()}
    wrong = {
        scan: round(count * (1 - checks[scan]["phase_accuracy_decided"]))
        for scan, count in counts.items() if count
    }  # fmt: skip
    named = ", ".join(f"{number} in {scan}" for scan, number in wrong.items() if number)
    sentence = (
        f"Of {sum(counts.values())} decided positions of one grain and one phase"
        f" {sum(wrong.values()) or 'none'} {'is' if sum(wrong.values()) < 2 else 'are'} wrong"
        f"{f' ({named})' if named else ''}."
    )
    written = {"| scan |": f"{table}\n\n{sentence}", "| sure of |": _settled(checks)}
    return renewed(ROOT / "docs/decisions.md", written, paragraphs=2)


def _settled(checks: dict) -> str:
    """Grains of all scans by kind and phase; where sure ones are wrong, and how many positions of
    one grain, decided for one phase, have a sure orientation."""
    counts: dict[tuple[str, str], list[int]] = {}
    wrong: dict[str, int] = {}
    for scan, check in checks.items():
        for kind, of_phases in check["settled_grains"].items():
            for phase, found in of_phases.items():
                row = counts.setdefault((kind, phase), [0, 0, 0])
                row[:] = [a + b for a, b in zip(row, found.values(), strict=True)]
                wrong[scan] = wrong.get(scan, 0) + found["wrong"]
    table = markdown_table(
        ["sure of", "phase", "grains", "sure", "of these wrong"],
        [[*key, *map(str, row)] for key, row in counts.items()],
    )
    named = ", ".join(f"{number} in {scan}" for scan, number in wrong.items() if number)
    asked = [check["positions"]["orientation_sure"] for check in checks.values()]
    sure = sum(
        round(number * check["orientation_sure"])
        for number, check in zip(asked, checks.values(), strict=True) if number
    )  # fmt: skip
    return (
        f"{table}\n\n{sum(wrong.values()) or 'None'} of the grains that are called sure"
        f" {'is' if sum(wrong.values()) < 2 else 'are'} wrong{f' ({named})' if named else ''}."
        f" Of {sum(asked)} positions {sure} have a sure orientation."
    )


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _interval(value: dict | None) -> str:
    return (
        "–" if value is None else f"{value['value']:.2f} [{value['low']:.2f}, {value['high']:.2f}]"
    )


if __name__ == "__main__":
    for page, needed, write in (
        ("demo.md", [SUMMARY, CHECK, CONCLUSION], demo_page),
        ("speed.md", [BENCH], speed_page),
        ("decisions.md", [DECISIONS], decisions_page),
        ("decisions.md", [worlds.STUDY, worlds.OVERLAPS, worlds.TWINS, worlds.CHECKS], worlds.page),
        ("assumptions.md", [assumptions.STUDY], assumptions.page),
        ("coverage.md", [coverage.STUDY, coverage.GRAINS], coverage.page),
        ("limno.md", [limno.STUDY], limno.page),
        ("mechanisms.md", [mechanisms.STUDY], mechanisms.page),
        ("powder.md", [powder.STUDY], powder.page),
        ("series.md", [series.STUDY], series.page),
        ("tomography.md", [tomography.STUDY], tomography.page),
        ("virtual_series.md", [virtual_series.SUMMARY], virtual_series.page),
        (
            "constants.md",
            [constants_page.FITTED, constants_page.CHOSEN, constants_page.OF_PAIRS],
            constants_page.constants_page,
        ),
    ):
        missing = [path for path in needed if not path.is_file()]
        if missing:
            print(f"docs/{page} stays as it is: {missing[0].relative_to(ROOT)} is not there")
        else:
            (ROOT / "docs" / page).write_text(write(), encoding="utf-8")
            print(f"docs/{page}")
