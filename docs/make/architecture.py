"""docs/architecture.svg: the flow of the rules and the layers of the packages, from the code.

The flow is Snakemake's own graph of rules for config/demo.yaml, its rules taken together by rule
file, without what follows from the rest (transitive reduction). The layers are the contract that
`make lint` holds, with the first line of each package's docstring.
"""

from __future__ import annotations

import ast
import itertools
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

ROOT = Path(__file__).resolve().parents[2]
DRAWING = ROOT / "docs/architecture.svg"
# Rule files that serve all stages, and the rule that only names what a run ends with.
_ASIDE = {"common", "variants", "inputs", "targets"}


def flow() -> dict[str, set[str]]:
    """Which rule files each one reads from, for the demo; nothing that follows from others."""
    of_rule = {
        name: "figures" if name.startswith("draw_") else path.stem
        for path in sorted((ROOT / "workflow/rules").glob("*.smk"))
        for name in re.findall(r"^ *rule (\w+):", path.read_text(encoding="utf-8"), re.MULTILINE)
        if path.stem not in _ASIDE
    }
    command = [sys.executable, "-m", "snakemake", "--configfile", "config/demo.yaml", "--rulegraph"]
    dot = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    name_of = dict(re.findall(r'(\d+)\[label = "(\w+)"', dot))
    reads: dict[str, set[str]] = {}
    for one, other in re.findall(r"(\d+) -> (\d+)", dot):
        giver, taker = of_rule.get(name_of[one]), of_rule.get(name_of[other])
        if giver and taker and giver != taker:
            reads.setdefault(taker, set()).add(giver)
            reads.setdefault(giver, set())
    return {taker: givers - _through(reads, givers) for taker, givers in sorted(reads.items())}


def _through(reads: Mapping[str, set[str]], givers: set[str]) -> set[str]:
    """All that the givers themselves go back to."""
    found, waiting = set(), [further for giver in givers for further in reads[giver]]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(reads[name])
    return found


def layers() -> list[list[tuple[str, str]]]:
    """Layers of packages, lowest first: name and first line of the docstring."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    named = [part.split(" | ") for part in contracts["contracts"][0]["layers"]]
    return [[_described(name) for name in layer] for layer in reversed(named)]


def _described(package: str) -> tuple[str, str]:
    folder = ROOT / "src/phasefront" / package
    text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8")))
    return package, text.splitlines()[0]


def draw() -> Figure:
    """The drawing: flow on the left, layers on the right."""
    figure = Figure(figsize=(14, 9), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.15))
    _draw_flow(left, flow())
    _draw_layers(right, layers())
    return figure


def _draw_flow(axes: Axes, reads: Mapping[str, set[str]]) -> None:
    """Floors from above; a reading that passes floors has a place of its own on each of them."""
    floor: dict[str, int] = {}
    while len(floor) < len(reads):
        ready = [name for name in reads if name not in floor and reads[name] <= floor.keys()]
        floor |= {name: 1 + max((floor[g] for g in reads[name]), default=-1) for name in ready}
    passing = [
        (giver, name, level)
        for name, givers in reads.items()
        for giver in sorted(givers)
        for level in range(floor[giver] + 1, floor[name])
    ]
    place: dict[object, tuple[float, float]] = {}

    def above(item: object) -> float:
        if isinstance(item, tuple):
            giver, name, level = item
            return place[giver if level == floor[giver] + 1 else (giver, name, level - 1)][0]
        given = [place.get((g, item, floor[item] - 1), place[g])[0] for g in sorted(reads[item])]
        return sum(given) / max(len(given), 1)

    for level in range(max(floor.values()) + 1):
        here = [name for name in reads if floor[name] == level]
        here += [item for item in passing if item[2] == level]
        for number, item in enumerate(sorted(here, key=above)):
            place[item] = ((number + 0.5) / len(here), -level)
    box = {"boxstyle": "round,pad=0.35", "facecolor": "#dbe9f6", "edgecolor": "0.4"}
    texts = {
        name: axes.text(*place[name], name, ha="center", va="center", bbox=box) for name in reads
    }
    for name, givers in reads.items():
        for giver in sorted(givers):
            between = [(giver, name, level) for level in range(floor[giver] + 1, floor[name])]
            way = [giver, *between, name]
            for start, end in itertools.pairwise(way):
                axes.annotate(
                    "", place[end], place[start],
                    arrowprops={
                        "arrowstyle": "-|>" if end == name else "-", "color": "0.55",
                        "shrinkA": 0, "shrinkB": 0,
                        "patchA": texts[start].get_bbox_patch() if start == giver else None,
                        "patchB": texts[end].get_bbox_patch() if end == name else None,
                    },
                )  # fmt: skip
    axes.set(xlim=(-0.05, 1.05), ylim=(-max(floor.values()) - 0.6, 0.6))
    axes.set_title("The flow: a rule file reads what those above it wrote", loc="left")
    axes.axis("off")


def _draw_layers(axes: Axes, found: list[list[tuple[str, str]]]) -> None:
    for level, layer in enumerate(found):
        for number, (name, said) in enumerate(layer):
            width = 1 / len(layer)
            corner = (number * width + 0.005, level + 0.06)
            axes.add_patch(
                Rectangle(corner, width - 0.01, 0.88, facecolor="#f6ecd9", edgecolor="0.4")
            )
            x = number * width + 0.015
            axes.text(x, level + 0.62, name, va="center", weight="bold")
            axes.text(x, level + 0.27, said, va="center", size=7, color="0.3")
    axes.set(xlim=(0, 1), ylim=(0, len(found)))
    axes.set_title("The layers: a package imports those below it only", loc="left")
    axes.axis("off")


def save(path: Path) -> None:
    """Write the drawing; the same bytes each time."""
    with mpl.rc_context({"svg.hashsalt": "phasefront", "svg.fonttype": "none", "font.size": 9}):
        draw().savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    save(DRAWING)
    print(DRAWING)
