"""Bragg spots of a stack of patterns, in pixels: what the kernels are told, and what they found."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from phasefront.core.errors import InputError
from phasefront.core.threads import share_out
from phasefront.spots.dark import Dark, as_counted
from phasefront.spots.kernels import MAX_SPOTS, REACH, find_in_stack, load

# Patterns are loaded so many pixels at a time, half a megabyte, which a core's cache holds; chosen.
_LOADED = 1 << 17
# Largest step of the grid, sigma of a spot. A maximum half a step off in x and y keeps
# exp(-2 0.75^2 / 4), three quarters, of the response: see `kernels._CANDIDATE`.
_CELL = 1.5
ROUND = (1.0, 0.0, 1.0)  # metric of a camera that shows rings as circles


@dataclass(frozen=True)
class PixelSpots:
    """Spots of `n` patterns in pixels, ragged: those of pattern i are offset[i]:offset[i + 1].

    `intensity` is in counts above the background, `significance` in standard deviations.
    """

    offset: np.ndarray
    x: np.ndarray
    y: np.ndarray
    intensity: np.ndarray
    variance: np.ndarray
    significance: np.ndarray


def detection_threshold(positions: int, *, spot_radius: float, false_alarms: float) -> float:
    """Significance that noise maxima in `positions` pixels exceed `false_alarms` times on average.

    White noise filtered with a Gaussian of standard deviation s has N(u) = A / (2 s^2)
    (2 pi)^(-3/2) u exp(-u^2 / 2) maxima above u in an area A (Worsley et al. 1992).
    """
    if false_alarms <= 0:
        raise ValueError(f"false_alarms is {false_alarms}, a number above 0 is expected")
    amount = positions / (spot_radius**2 / 2) * (2 * np.pi) ** -1.5
    threshold = 1.0  # the formula has its maximum at 1 and falls from there
    for _ in range(100):
        threshold = math.sqrt(max(1.0, 2 * math.log(max(amount * threshold / false_alarms, 1.0))))
    return threshold


def find_pixel_spots(
    patterns: np.ndarray,
    centres: np.ndarray,
    *,
    spot_radius: float,
    beam_radius: float,
    mask: np.ndarray | None = None,
    false_alarms: float = 0.1,
    dark: Dark | None = None,
    metric: Sequence[float] = ROUND,
) -> PixelSpots:
    """Spots of a stack of patterns, in pixels.

    Parameters
    ----------
    patterns
        Counts, (n, ky, kx), any real dtype.
    centres
        Row and column of the direct beam in each pattern, (n, 2).
    spot_radius
        Radius of a spot in pixels: of its disk, or two standard deviations of a Gaussian.
    beam_radius
        Radius in pixels inside which nothing is looked for.
    mask
        True where a pixel can be used, (ky, kx); all by default.
    false_alarms
        Number of spots per pattern that noise alone may make.
    dark
        What pixels show without an electron; the counts are taken as they are by default.
    metric
        Of rings on the camera (yy, yx, xx): their radius is the square root of
        yy dy^2 + 2 yx dy dx + xx dx^2, in pixels; round ones by default.

    Returns
    -------
    Spots sorted by row of the grid. Independent of the number of threads.
    """
    plan = Plan(patterns.shape[1:], spot_radius, mask, false_alarms)
    dark = as_counted(patterns.shape[1:]) if dark is None else dark
    dark_frame = tuple(np.asarray(part, np.float32) for part in (dark.rows, dark.columns))
    counts = np.ascontiguousarray(patterns, dtype=patterns.dtype.newbyteorder("="))
    centres = np.ascontiguousarray(centres, dtype=np.float64)
    metric = np.asarray(metric, dtype=np.float64)
    together = max(1, _LOADED // math.prod(counts.shape[1:]))
    count = np.zeros(len(counts), np.int64)
    table = np.empty((len(counts), MAX_SPOTS, 5), np.float32)

    def find(begin: int, end: int) -> None:
        room = plan.room(together)
        for first in range(begin, end, together):
            own = slice(first, min(first + together, end))
            rows = room[: own.stop - own.start]
            load(counts[own], plan.valid, *dark_frame, dark.reach, plan.reach, rows)
            find_in_stack(
                rows, centres[own], metric, dark.electron, plan.taps, plan.valid, plan.paired,
                plan.weight, plan.noise, plan.threshold, float(beam_radius), float(spot_radius),
                count[own], table[own],
            )  # fmt: skip

    share_out(find, len(counts))
    return _ragged(count, table)


def require_finite(patterns: np.ndarray, rows: slice, source) -> None:
    """Raise InputError, naming the first position, if a value is NaN or infinite."""
    if patterns.dtype.kind == "f" and not np.isfinite(patterns.sum(dtype=float)):
        bad = np.argwhere(~np.isfinite(patterns))
        if len(bad):
            y, x = bad[0][:2]
            raise InputError(
                source, f"{len(bad)} values are NaN or infinite",
                field=f"position y={rows.start + y}, x={x}",
                remedy="replace bad pixels by numbers when the scan is exported",
            )  # fmt: skip


class Plan:
    """What all patterns share: filter, grid, valid pixels, threshold."""

    def __init__(self, shape, spot_radius, mask, false_alarms):
        self.sigma = sigma = spot_radius / 2
        self.step = max(1, int(_CELL * sigma))
        self.reach = math.ceil(REACH * sigma)
        taps = np.exp(-0.5 * (np.arange(-self.reach, self.reach + 1) / sigma) ** 2)
        taps /= taps.sum()
        self.taps = taps.astype(np.float32)
        self.valid = (
            np.ones(shape, bool) if mask is None else np.ascontiguousarray(mask, dtype=bool)
        )
        seen = separable(self.valid, taps)
        squares = separable(self.valid, taps**2)
        usable = (seen > 0.5) & self.valid
        # weight renormalises the filter where it overlaps the border or masked pixels; noise is how
        # much that raises the variance.
        weight = np.where(usable, 1 / np.maximum(seen, 0.5), 0)
        noise = np.where(usable, squares * weight**2 / np.sum(taps**2) ** 2, 1)
        # 1 where the pixel right of a cell's can be used.
        beside = np.pad(self.valid[:, 1:], ((0, 0), (0, 1)))
        self.paired = np.ascontiguousarray(beside[:: self.step, :: self.step], dtype=np.float32)
        self.weight = np.ascontiguousarray(weight[:: self.step, :: self.step], dtype=np.float32)
        self.noise = np.ascontiguousarray(noise[:: self.step, :: self.step], dtype=np.float32)
        self.threshold = detection_threshold(
            max(1, int(usable.sum())), spot_radius=spot_radius, false_alarms=false_alarms
        )

    def room(self, patterns: int) -> np.ndarray:
        """Room for some patterns as `kernels.load` sorts them, zeros around them."""
        height = len(self.weight) + 2 * -(-self.reach // self.step)
        pitch = self.step * -(-(self.valid.shape[1] + 2 * self.reach) // self.step)
        return np.zeros((patterns, self.step, height, pitch), np.float32)


def separable(image, taps):
    from scipy.ndimage import correlate1d

    rows = correlate1d(image.astype(float), taps, axis=0, mode="constant")
    return correlate1d(rows, taps, axis=1, mode="constant")


def _ragged(count: np.ndarray, table: np.ndarray) -> PixelSpots:
    flat = table[np.arange(table.shape[1])[None] < count[:, None]]
    offset = np.concatenate([[0], np.cumsum(count)]).astype(np.int64)
    return PixelSpots(offset, *(np.ascontiguousarray(flat[:, k]) for k in range(5)))
