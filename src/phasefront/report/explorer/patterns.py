"""Patterns that the page holds: which of them, and in what form.

A pattern is cropped to the square that reaches the outermost spots of its scan, binned where that
square is large, and stored as square roots of its counts in 8 bits, each pattern compressed by
itself, so that the page unpacks the one that is asked for.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from phasefront.diffraction.spot_lists import observed_window
from phasefront.layouts.phases import MIXED, UNANSWERED, VACUUM
from phasefront.scans.formats.scan import Scan

# More pixels along a side are binned.
LARGEST_SIDE = 160
# The square reaches beyond the outermost spots.
_MARGIN = 1.06
_SAMPLED = 12  # patterns, of which the extent is told
# Of the root of a count: a level of this width adds a twelfth to its variance.
_NOISE = 0.5
# Of zlib: takes a quarter of its default's time, and 3 % more room on the demo's patterns.
_EFFORT = 4


@dataclass(frozen=True)
class Frame:
    """What part of the camera patterns are cropped to: a square, in pixels, and its bins."""

    top: int
    left: int
    side: int  # before binning; a multiple of it
    binning: int

    @classmethod
    def of(cls, calibration: xr.Dataset, spots: xr.Dataset, *, coarser: int = 1) -> Frame:
        """The frame of a scan, from its CALIBRATION and SPOTS; bins are `coarser` than need be."""
        camera = calibration["mask"].shape
        reach = _MARGIN * observed_window(spots)[1] / float(calibration["scale"])
        ends = []
        for axis, size in zip("yx", camera, strict=True):
            centre = calibration[f"centre_{axis}"].values
            ends.append((max(0, int(centre.min() - reach)), min(size, int(centre.max() + reach))))
        (top, bottom), (left, right) = ends
        side = max(1, min(max(bottom - top, right - left) + 1, *camera))
        binning = -(-side // LARGEST_SIDE) * coarser
        side = max(side, binning)
        side -= side % binning
        return cls(min(top, camera[0] - side), min(left, camera[1] - side), side, binning)

    def cut(self, patterns: np.ndarray) -> np.ndarray:
        """Patterns (n, ky, kx), cropped and binned to means (n, rows, columns)."""
        cut = patterns[:, self.top : self.top + self.side, self.left : self.left + self.side]
        # Sums of whole arrays: a mean over axes of a few pixels each takes ten times as long.
        of_rows = cut[:, :: self.binning].astype("f4")
        for row in range(1, self.binning):
            of_rows += cut[:, row :: self.binning]
        mean = of_rows[..., :: self.binning].copy()
        for column in range(1, self.binning):
            mean += of_rows[..., column :: self.binning]
        mean /= self.binning**2
        return mean


@dataclass(frozen=True)
class Embedded:
    """The patterns of one scan in the page."""

    frame: Frame
    position: np.ndarray  # (n,) flat positions, ascending
    content: list[bytes]  # (n,) zlib streams of square roots, u1, rows first
    step: np.ndarray  # (n,) of the square root of counts; 1 of the 255 levels


def ranked(phases: xr.Dataset, label: np.ndarray) -> np.ndarray:
    """Rank (y, x) of each position: 0 undecided, mixed, unindexed or at a boundary, 1 the rest of
    the crystal, 2 vacuum.

    At a boundary is what has a neighbour, other than vacuum, of another grain (`label`) or answer.
    """
    decision = phases["decision"].values
    crystal = decision != VACUUM
    first = np.isin(decision, [MIXED, *UNANSWERED])
    for one, other in (
        ((slice(1, None), slice(None)), (slice(-1), slice(None))),
        ((slice(None), slice(1, None)), (slice(None), slice(-1))),
    ):
        unlike = crystal[one] & crystal[other]
        unlike &= (decision[one] != decision[other]) | (label[one] != label[other])
        first[one] |= unlike
        first[other] |= unlike
    return np.where(crystal, np.where(first, 0, 1), 2)


def spread(positions: np.ndarray, number: int) -> np.ndarray:
    """`number` of the positions (n,), evenly; all where there are no more."""
    if number >= len(positions):
        return positions
    return positions[(np.arange(number) * len(positions)) // max(number, 1)]


def choose(ranks: Sequence[np.ndarray], costs: Sequence[float], room: float) -> list[np.ndarray]:
    """Flat positions of each scan whose patterns fit in `room`.

    Parameters
    ----------
    ranks
        Of each scan (y, x), see `ranked`.
    costs
        What a pattern of each scan takes, in the unit of `room`.

    Rank by rank: all of a rank where they fit, else as large a share of it in every scan.
    """
    chosen: list[list[np.ndarray]] = [[np.empty(0, dtype=int)] for _ in ranks]
    for rank in range(3):
        own = [np.flatnonzero(values == rank) for values in ranks]
        wanted = sum(len(one) * cost for one, cost in zip(own, costs, strict=True))
        share = min(1.0, room / wanted) if wanted else 1.0
        for taken, one, cost in zip(chosen, own, costs, strict=True):
            some = spread(one, int(share * len(one)))
            taken.append(some)
            room -= len(some) * cost
        if share < 1:
            break
    return [np.sort(np.concatenate(taken)) for taken in chosen]


@dataclass(frozen=True)
class RawScan:
    """What patterns are chosen by and read from."""

    scan: Scan
    rank: np.ndarray  # (y, x), see `ranked`
    calibration: xr.Dataset
    spots: xr.Dataset


def embed(scans: Sequence[RawScan], room: float) -> list[Embedded]:
    """As many patterns of the scans as fit in `room` bytes of the page.

    Bins are twice as large where only so all positions of the first rank fit.
    """
    if not scans:
        return []
    samples = [_sample(scan) for scan in scans]
    for coarser in (1, 2):
        frames = [Frame.of(scan.calibration, scan.spots, coarser=coarser) for scan in scans]
        costs = [
            float(np.mean([in_page(one) for one in _levels(frame.cut(sample))[0]]))
            for frame, sample in zip(frames, samples, strict=True)
        ]
        wanted = sum(cost * (scan.rank == 0).sum() for cost, scan in zip(costs, scans, strict=True))
        if wanted <= room:
            break
    chosen = choose([scan.rank for scan in scans], costs, room)
    return fitted([compressed(*parts) for parts in zip(scans, frames, chosen, strict=True)], room)


def compressed(raw: RawScan, frame: Frame, position: np.ndarray) -> Embedded:
    """The patterns at flat positions, ascending, in the form that the page holds."""
    content, step = [], [np.empty(0, "f4")]
    columns = raw.rank.shape[1]
    for rows, block in raw.scan.blocks():
        own = slice(*np.searchsorted(position, [rows.start * columns, rows.stop * columns]))
        patterns = block.reshape(-1, *block.shape[2:])[position[own] - rows.start * columns]
        some, width = _levels(frame.cut(patterns))
        content += some
        step.append(width)
    return Embedded(frame, position, content, np.concatenate(step))


def _levels(patterns: np.ndarray) -> tuple[list[bytes], np.ndarray]:
    """Compressed levels of the roots of patterns (n, rows, columns), and the width of a level."""
    root = np.sqrt(np.maximum(patterns, 0))
    width = np.maximum(root.max(axis=(1, 2), initial=0) / 255, _NOISE).astype("f4")
    levels = np.rint(root / width[:, None, None]).astype("u1")
    return [zlib.compress(level.tobytes(), _EFFORT) for level in levels], width


def _sample(raw: RawScan) -> np.ndarray:
    """A few patterns of the crystal (n, ky, kx), or of the scan where there is none."""
    columns = raw.rank.shape[1]
    crystal = np.flatnonzero(raw.rank < 2)
    some = spread(crystal if len(crystal) else np.arange(raw.rank.size), _SAMPLED)
    return np.stack(
        [raw.scan.read_rows(row, row + 1)[0, column]
         for row, column in zip(*(part.tolist() for part in divmod(some, columns)), strict=True)]
    )  # fmt: skip


def in_page(content: bytes) -> int:
    """Bytes that a stream takes in the page: base64 of whole groups of three."""
    return 4 * (-(-len(content) // 3))


def fitted(scans: Sequence[Embedded], room: float) -> list[Embedded]:
    """The same without some, evenly, where they take more than the room after all."""
    total = sum(in_page(one) for scan in scans for one in scan.content)
    if total <= room:
        return list(scans)
    out = []
    for scan in scans:
        keep = spread(np.arange(len(scan.content)), int(0.99 * len(scan.content) * room / total))
        content = [scan.content[one] for one in keep]
        out.append(Embedded(scan.frame, scan.position[keep], content, scan.step[keep]))
    return out
