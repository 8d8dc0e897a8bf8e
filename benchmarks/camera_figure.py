"""The drawing of docs/camera.md: an image of a scan, and the pattern as two cameras see it.

`python -m benchmarks.camera_figure` writes `docs/camera.png`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from phasefront.experiment.settings.instruments import Camera
from phasefront.maps.frames import plane_matrix
from phasefront.report.figures import style

FIGURE = Path(__file__).resolve().parent.parent / "docs" / "camera.png"
ANGLE_DEG = 30.0
# Reciprocal axes of the drawn grain, in the frame of the scan; the first is normal to its facet.
_FACET_NORMAL = np.array([np.cos(np.deg2rad(-35)), np.sin(np.deg2rad(-35))])
_OTHER = np.array([0.25, 0.72])
_BEHIND = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
_ARROWS = {"x": ((1.0, 0.0), "#D55E00"), "y": ((0.0, 1.0), "#0072B2")}


@style.styled
def draw():
    """The figure."""
    figure = style.page(style.PAGE, 3.0)
    image, *patterns = figure.subplots(1, 3)
    _draw_image(image)
    for ax, letter, mirrored in zip(patterns, "bc", (False, True), strict=True):
        camera = Camera(rotation_deg=ANGLE_DEG, mirrored=mirrored)
        style.title(ax, letter, f"pattern, mirrored: {str(mirrored).lower()}")
        _draw_pattern(ax, camera)
    return figure


def _draw_image(ax) -> None:
    from matplotlib.patches import Polygon

    along = np.array([-_FACET_NORMAL[1], _FACET_NORMAL[0]])
    corners = [(0.75, 1.5), (0.75, -1.3), (-0.9, -1.0), (-1.3, 0.4), (-0.6, 1.2)]
    outline = [n * _FACET_NORMAL + t * along for n, t in corners]
    ax.add_patch(Polygon(outline, facecolor="0.85", edgecolor="black", linewidth=0.8))
    ax.plot(*np.transpose(outline[:2]), color="black", linewidth=3)
    middle = 0.75 * _FACET_NORMAL
    ax.annotate("facet", middle, xytext=(1.35, -0.9), arrowprops={"arrowstyle": "-"}, ha="center")
    _arrows(ax, np.eye(2))
    style.title(ax, "a", "image of the scan")
    _frame(ax, "columns of the scan", "rows of the scan")


def _draw_pattern(ax, camera: Camera) -> None:
    to_pattern = plane_matrix(camera)
    h, k = (index.ravel() for index in np.mgrid[-4:5, -4:5])
    spots = (np.outer(h, 0.5 * _FACET_NORMAL) + np.outer(k, _OTHER)) @ to_pattern.T
    inside = np.hypot(*spots.T) < 1.9
    of_facet = k == 0
    for chosen, colour in ((~of_facet, "0.6"), (of_facet, "black")):
        ax.scatter(*spots[inside & chosen].T, s=14, color=colour)
    angle = np.linspace(0, np.deg2rad(camera.rotation_deg), 30)
    ax.plot([0, 1.9], [0, 0], color="0.5", linewidth=0.6, linestyle=":")
    ax.plot(1.45 * np.cos(angle), 1.45 * np.sin(angle), color="black", linewidth=0.8)
    middle = 1.75 * np.array([np.cos(angle[15]), np.sin(angle[15])])
    ax.text(*middle, f"{camera.rotation_deg:g}°", ha="center", va="center", bbox=_BEHIND)
    _arrows(ax, to_pattern)
    _frame(ax, "columns of the camera", "rows of the camera")


def _arrows(ax, matrix: np.ndarray) -> None:
    for name, (direction, colour) in _ARROWS.items():
        tip = 1.25 * matrix @ direction
        ax.annotate(
            "", tip, xytext=(0, 0), arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 1.6}
        )
        ax.text(
            *(1.15 * tip), name, color=colour, ha="center", va="center", weight="bold", bbox=_BEHIND
        )


def _frame(ax, columns: str, rows: str) -> None:
    ax.set(xlim=(-2, 2), ylim=(2, -2), aspect="equal", xticks=[], yticks=[])
    ax.set(xlabel=f"{columns} →", ylabel=f"← {rows}")


if __name__ == "__main__":
    style.save(draw(), FIGURE)
