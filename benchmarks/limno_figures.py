"""The maps of docs/limno.md: what phasefront and py4DSTEM say of the Li-Mn-O particle."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from phasefront.layouts.phases import MIXED, UNDECIDED, VACUUM
from phasefront.report.figures import style

# Code in the map of differences, name, colour. The two that differ stand out, the rest recedes.
AGREEMENT = (
    ("decided, same phase", "#C7E0F0"),
    ("decided, another phase", "#B00020"),
    ("undecided, likeliest the same", "#B8B8B8"),
    ("undecided, likeliest another", "#F0A050"),
    ("vacuum to phasefront only", "#F5E9C8"),
    ("vacuum", style.VACUUM_COLOUR),
)


def agreement(particle) -> np.ndarray:
    """Index into AGREEMENT of every position (y, x)."""
    decision, theirs = particle.decision, particle.theirs
    same = particle.likeliest == theirs
    code = np.where(decision == UNDECIDED, 2, 0) + ~same
    return np.where(decision == VACUUM, np.where(theirs == VACUUM, 5, 4), code)


def draw_maps(particle, labels: Mapping[str, str]):
    """Decision, posterior, py4DSTEM's map, and where the two differ."""
    import matplotlib as mpl
    from matplotlib.colors import to_rgb
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    colours = dict(enumerate(style.PHASE_COLOURS)) | {
        MIXED: style.MIXED_COLOUR,
        UNDECIDED: style.UNDECIDED_COLOUR,
        VACUUM: style.VACUUM_COLOUR,
    }

    def painted(map_: np.ndarray) -> np.ndarray:
        return np.array([[to_rgb(colours[value]) for value in row] for row in map_.tolist()])

    names = [labels.get(name, name) for name in particle.names]
    with mpl.rc_context({"font.size": 8, "axes.titlesize": 8, "mathtext.default": "regular"}):
        figure = Figure(figsize=(style.PAGE, 8.6), layout="constrained")
        axes = figure.subplots(2, 2)
        axes[0, 0].imshow(painted(particle.decision))
        posterior = particle.posterior.max(axis=-1)
        posterior[particle.decision == VACUUM] = np.nan
        shades = mpl.colormaps["viridis"].with_extremes(bad=style.VACUUM_COLOUR)
        image = axes[0, 1].imshow(posterior, cmap=shades, vmin=1 / len(names), vmax=1)
        figure.colorbar(image, ax=axes[0, 1], label="posterior probability", shrink=0.8)
        axes[1, 0].imshow(painted(particle.theirs))
        kinds = np.array([to_rgb(colour) for _, colour in AGREEMENT])
        axes[1, 1].imshow(kinds[agreement(particle)])
        titles = (
            "phasefront: decision", "phasefront: posterior of the likeliest",
            "py4DSTEM: best correlation", "py4DSTEM against phasefront",
        )  # fmt: skip
        for ax, letter, title in zip(axes.flat, "abcd", titles, strict=True):
            ax.set_title(rf"$\mathbf{{{letter}}}$  {title}", loc="left")
            ax.set(xlabel="column (position)", ylabel="row (position)")
        of_phases = [
            Patch(color=style.PHASE_COLOURS[phase], label=name) for phase, name in enumerate(names)
        ]
        of_phases.append(Patch(color=style.UNDECIDED_COLOUR, label="undecided"))
        if (particle.decision == MIXED).any():
            of_phases.append(Patch(color=style.MIXED_COLOUR, label="mixed"))
        of_phases.append(Patch(color=style.VACUUM_COLOUR, label="vacuum"))
        of_kinds = [Patch(color=colour, label=name) for name, colour in AGREEMENT]
        axes[1, 0].legend(
            handles=of_phases, loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2,
            frameon=False, fontsize=7, title="a and c", title_fontsize=7,
        )  # fmt: skip
        axes[1, 1].legend(
            handles=of_kinds, loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2,
            frameon=False, fontsize=7, title="d", title_fontsize=7,
        )  # fmt: skip
    return figure
