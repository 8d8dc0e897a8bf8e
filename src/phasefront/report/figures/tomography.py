"""Cells of particles against the cells of the phases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from phasefront.diffraction.cell_path import Path
from phasefront.report.figures import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BESIDE = 0.08  # of a state's width, between its particles


@style.styled
def draw_cells(
    cells: Mapping[str, xr.Dataset],
    *,
    names: Sequence[str],
    path: Path | None,
    labels: Mapping[str, str] | None = None,
    ion: str = "",
) -> Figure:
    """Axial ratio against ion content beside the line through the phases; ion contents by state.

    `cells` are CELL data sets by name; `path` the cells between those of the phases `names`.
    Dotted lines are ratios of cells that have no ion content.
    """
    shown = {name: found for name, found in cells.items() if np.isfinite(found["ratio"].item())}
    if path is None or not shown:
        return style.sentence("No ratio of these cells changes with the ion content.")
    figure = style.page(style.PAGE, 2.8)
    against, of_states = figure.subplots(1, 2)
    _line(against, path, names, labels)
    order = list(dict.fromkeys(found.attrs["state"] for found in cells.values()))
    for name, found in shown.items():
        colour = style.rgb(list(names).index(found.attrs["phase"]))
        ratio, content = _bar(found, "ratio"), _bar(found, "ion_content")
        if found.attrs["refused"]:
            against.axhline(ratio[0][0], color=colour, linewidth=0.6, linestyle=":")
            continue
        against.errorbar(
            content[0], ratio[0], xerr=content[1], yerr=ratio[1], fmt="o", color=colour,
            markersize=3, linewidth=0.8,
        )  # fmt: skip
        place = order.index(found.attrs["state"]) + _BESIDE * _within(name, cells)
        of_states.errorbar(
            [place], content[0], yerr=content[1], fmt="o", color=colour, markersize=3, linewidth=0.8
        )
    against.set_xlabel(f"{ion} per formula unit")
    against.set_ylabel("c / mean of a and b")
    of_states.set_xticks(range(len(order)), order)
    of_states.set_xlim(-0.6, len(order) - 0.4)
    of_states.set_ylabel(f"{ion} per formula unit")
    return figure


def _line(axes, path: Path, names: Sequence[str], labels: Mapping[str, str] | None) -> None:
    """Ratios of the phases, and the line between them."""
    own = [path.axial_ratio(phase, np.zeros((1, 6)))[0, 0] for phase in range(len(names))]
    order = np.argsort(path.ion_contents)
    axes.plot(path.ion_contents[order], np.array(own)[order], color="0.6", linewidth=0.8)
    for phase, name in enumerate(style.labels(names, labels)):
        axes.plot(
            path.ion_contents[phase], own[phase], "s", color=style.rgb(phase), markersize=5,
            markerfacecolor="none", label=name,
        )  # fmt: skip
    axes.legend()


def _bar(found: xr.Dataset, name: str) -> tuple[list[float], np.ndarray]:
    """A value, and the lengths (2, 1) of its bar below and above."""
    value, low, high = (found[f"{name}{end}"].item() for end in ("", "_low", "_high"))
    return [value], np.array([[value - low], [high - value]])


def _within(name: str, cells: Mapping[str, xr.Dataset]) -> float:
    """Where a cell stands among those of its state, from the middle."""
    state = cells[name].attrs["state"]
    beside = [other for other, found in cells.items() if found.attrs["state"] == state]
    return beside.index(name) - (len(beside) - 1) / 2
