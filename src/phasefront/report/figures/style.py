"""The house style that every picture shares, and the pieces they are made of.

Phases keep one colour through all pictures, given by their order. `labels` maps the names of phases
to what is written in figures (which may hold LaTeX); a name without a label stands for itself.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


# Okabe and Ito's colours, told apart by the colour-blind (https://jfly.uni-koeln.de/color/), in an
# order that also differs in lightness from one to the next.
PHASE_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
VACUUM_COLOUR = "#EFEFEF"
UNDECIDED_COLOUR = "#666666"
UNINDEXED_COLOUR = "#A3A3A3"
# Hatched in white, so that it is told from every phase without its colour, too.
MIXED_COLOUR = "#4B1D73"
MEASURED_COLOUR = "#B00020"
DPI = 200  # of pictures in pixels
# Width of a text page with two columns, inches.
PAGE = 7.2
_STYLE = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so the same on every machine
    "font.size": 8,
    "mathtext.default": "regular",
    "axes.linewidth": 0.6,
    "axes.titlesize": 8,
    "axes.titlepad": 4,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "legend.frameon": False,
    "legend.fontsize": 8,
    "image.interpolation": "nearest",
    "lines.linewidth": 1,
    "hatch.linewidth": 0.5,
}


def save(figure: Figure, path: str | Path | BinaryIO) -> None:
    """Write a PNG whose bytes depend on the figure only: fixed resolution, no metadata.

    White margins are cut away, so what a layout leaves over at maps of odd shapes does not show.
    """
    import matplotlib as mpl

    with mpl.rc_context(_STYLE):
        figure.savefig(
            path,
            format="png",
            dpi=DPI,
            bbox_inches="tight",
            pad_inches=0.04,
            metadata={"Software": None},
        )


def styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Draw under the house style, whatever the caller's matplotlib settings are."""

    @functools.wraps(draw)
    def drawn(*arguments, **keywords):
        import matplotlib as mpl

        with mpl.rc_context():
            mpl.rcdefaults()
            mpl.rcParams.update(_STYLE)
            return draw(*arguments, **keywords)

    return drawn


def with_likeliest(phases: xr.Dataset, *answers: int) -> np.ndarray:
    """The decision (y, x), where it is one of `answers` the index of the likeliest phase."""
    decision = phases["decision"].values
    likeliest = phases["posterior"].fillna(-1).argmax("phase").values
    return np.where(np.isin(decision, answers), likeliest, decision)


def with_error(value: float, error: float) -> str:
    """A value and its standard error, rounded to two digits of the error: '0.01024 ± 0.00012'."""
    if not (np.isfinite(error) and error > 0):
        return f"{value:.4g}"
    digits = max(0, 1 - int(np.floor(np.log10(error))))
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def sentence(text: str) -> Figure:
    """A figure that says why there is no picture."""
    figure = page(PAGE, 0.6)
    figure.text(0.5, 0.5, text, ha="center", va="center", parse_math=False)
    return figure


def page(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.05, h_pad=0.06, hspace=0.03)
    return figure


def map_height(shape: tuple[int, int], *, columns: int, beside: float = 0.75) -> float:
    """Height of a row of maps across the page, with titles and ticks, inches.

    `beside` is what each map needs at its sides.
    """
    width = PAGE / columns - beside
    return float(np.clip(width * shape[0] / shape[1], 0.5, 6.0)) + 0.65


def labels(names: Sequence[str], labels: Mapping[str, str] | None) -> list[str]:
    """What is written of phases; each may stand in a line with other text."""
    return [_self_contained((labels or {}).get(str(name)) or str(name)) for name in names]


def _self_contained(label: str) -> str:
    """The label with dollars that are none of mathematics escaped, lest those of others pair up."""
    from matplotlib.cbook import is_math_text

    lines = label.split("\n")
    return "\n".join(
        line if is_math_text(line) else re.sub(r"(?<!\\)\$", r"\$", line) for line in lines
    )


def rgb(index: int) -> tuple[float, float, float]:
    from matplotlib.colors import to_rgb

    return to_rgb(PHASE_COLOURS[index % len(PHASE_COLOURS)])


def title(ax: Axes, letter: str, text: str) -> None:
    ax.set_title(rf"$\mathbf{{{letter}}}$  {text}", loc="left")


def bars(value: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Distances down and up; an end on the wrong side of the value by rounding counts as none."""
    return np.clip([value - low, high - value], 0, None)


def miller(hkl: np.ndarray) -> str:
    """Indices with bars over negative ones, set apart where one has two digits."""
    parts = [rf"\overline{{{-h}}}" if h < 0 else f"{h}" for h in map(int, hkl)]
    return "$" + (r"\," if np.abs(hkl).max() > 9 else "").join(parts) + "$"


def with_missing(name: str):
    """A colour map in which masked positions are grey as vacuum is."""
    import matplotlib as mpl

    return mpl.colormaps[name].with_extremes(bad=VACUUM_COLOUR)


def highest(values: np.ndarray | xr.DataArray) -> float | None:
    """Where a colour scale ends, so that a few wild positions do not take all of it."""
    finite = np.asarray(values)[np.isfinite(values)]
    return float(np.percentile(finite, 99.5)) if finite.size else None


def colour_bar(image, label: str, **options):
    """A colour bar along the right side of an image, as high as the image whatever its shape."""
    ax = image.axes
    place = ax.inset_axes((1.03, 0.04, 0.04, 0.92))
    return ax.figure.colorbar(image, cax=place, label=label, **options)


def scan_axes(ax: Axes, step_nm: float, *, with_labels: bool = True) -> None:
    """A scale bar where the step of the scan is known, else rows and columns."""
    if np.isfinite(step_nm):
        ax.set(xticks=[], yticks=[])
        scale_bar(ax, step_nm, "nm")
    elif with_labels:
        ax.set(xlabel="column (position)", ylabel="row (position)")


def scale_bar(ax: Axes, size_of_pixel: float, unit: str) -> None:
    """A bar of a round length below the left corner of a picture, outside the data."""
    from mpl_toolkits.axes_grid1.anchored_artists import AnchoredSizeBar

    left, right = ax.get_xlim()
    length = round_below(0.3 * (right - left) * size_of_pixel)
    value, shown = (length / 1000, "µm") if unit == "nm" and length >= 1000 else (length, unit)
    ax.set(xticks=[], yticks=[])
    bar = AnchoredSizeBar(
        ax.transData, length / size_of_pixel, f"{value:g} {shown}", "upper left", pad=0,
        borderpad=0, sep=2, frameon=False, size_vertical=0.012 * abs(np.diff(ax.get_ylim())[0]),
        bbox_to_anchor=(0, -0.02), bbox_transform=ax.transAxes,
    )  # fmt: skip
    bar.set_clip_on(False)
    ax.add_artist(bar)


def round_below(length: float) -> float:
    """The largest of 1, 2, 5 times a power of ten that is not above `length`."""
    power = 10.0 ** np.floor(np.log10(length))
    return float(max(step for step in (1, 2, 5) if step * power <= length * (1 + 1e-9)) * power)
