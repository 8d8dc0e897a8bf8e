"""Afterglow: the share of the frame before that a camera's screen still shows.

Where a scan goes from one crystal to another, spots of the first stay behind in the frame after,
and in none before. What reaches over from a neighbour by the probe's tails, or where grains
overlap, does so from both sides alike: so the share is what frames after a change show more than
frames before one.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

# Chosen on virtual scans, of other seeds than any page reports.
_FRAMES = 2048  # that are asked, for time's sake
_PIXELS = 60  # of two by two, in which frames differ most: a dozen spots
_CLEAR = 0.05  # standard error of a share that one change tells, at most
_LATER = 0.25  # of a change that comes after the frames which are compared, at most
_MOST = 0.5  # share that is looked for; what is more is an overlap of grains
_ENOUGH = 20  # changes, at least
_SURE = 4.0  # standard errors from none
_WIDER = 5.0  # times its own standard error that a share may scatter, at most
_STARTS = np.linspace(-0.02, 0.1, 13)  # of the search: as near to each other as shares scatter
_ROUNDS = 100


class Afterglow(NamedTuple):
    """Share of the frame before, 0 where none is sure, and its standard error; NaN: not told."""

    share: float = 0.0
    error: float = math.nan


def measure_afterglow(scan, usable: np.ndarray) -> Afterglow:
    """Of a scan whose rows are filmed from left to right, `usable` (ky, kx) away from the beam."""
    from phasefront.scans.descriptions import sample_rows  # what needs no scan does without

    ny, nx = scan.shape[:2]
    if nx < 4:
        return Afterglow()
    after, before = [], []
    for row in sample_rows(ny, max(1, _FRAMES // nx)):
        frames = _binned(scan.read_rows(row, row + 1)[0], usable)
        if frames.shape[1] < 2 * _PIXELS or not np.isfinite(frames).all():
            return Afterglow()
        after.append(_left_behind(frames))
        before.append(_left_behind(frames[::-1]))
    told = [_common(*np.concatenate(side, axis=1)) for side in (after, before)]
    if None in told:
        return Afterglow()
    (share, error), (overlap, error_overlap) = told
    share, error = share - overlap, math.hypot(error, error_overlap)
    return Afterglow(share if share > _SURE * error else 0.0, error)


def without_afterglow(patterns: np.ndarray, share: float) -> np.ndarray:
    """Patterns (rows, nx, ky, kx) less a share of the one before in their row, float32; as they
    are where the share is 0. Before the first one of a row the beam flew back: it is left."""
    if share == 0:
        return patterns
    out = patterns.astype(np.float32)
    out[:, 1:] -= np.float32(share) * patterns[:, :-1]
    return out


def _binned(frames: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Counts (n, places) of two by two pixels that can all be used."""
    ky, kx = (side // 2 * 2 for side in usable.shape)
    whole = usable[:ky, :kx].reshape(ky // 2, 2, kx // 2, 2).all(axis=(1, 3))
    rows = frames[:, :ky:2, :kx].astype(np.float32) + frames[:, 1:ky:2, :kx]
    return (rows[:, :, ::2] + rows[:, :, 1::2])[:, whole]


def _left_behind(frames: np.ndarray) -> np.ndarray:
    """Shares (2, n) of a frame that the next one shows, and their standard errors, by the slope
    over the places where it outshines the third after it most; NaN where that one is not as the
    second after, for the change came later then.

    What is explained is the next frame less the second after; so no noise is on both sides.
    """
    change = frames[:-3] - frames[3:]
    most = np.argpartition(-change, _PIXELS, axis=1)[:, :_PIXELS]
    frame = np.arange(len(change))[:, None]
    change = _about_mean(change[frame, most])
    left = _about_mean(frames[frame + 1, most] - frames[frame + 2, most])
    later = _about_mean(frames[frame + 2, most] - frames[frame + 3, most])
    square = (change**2).sum(axis=1)
    square[np.abs((change * later).sum(axis=1)) >= _LATER * square] = np.nan
    share = (change * left).sum(axis=1) / square
    scatter = ((left - share[:, None] * change) ** 2).sum(axis=1) / (_PIXELS - 2)
    return np.stack([share, np.sqrt(np.maximum(scatter / square, 1e-12))]).astype(float)


def _about_mean(values: np.ndarray) -> np.ndarray:
    return values - values.mean(axis=1, keepdims=True)


def _common(share: np.ndarray, error: np.ndarray) -> tuple[float, float] | None:
    """Share (n) that sharp changes agree on, with its standard error; None where too few do.

    A mixture of these and of any share at all, by expectation and maximisation (Dempster et al.,
    J. R. Stat. Soc. B 39, 1, 1977) from several starts.
    """
    clear = (error < _CLEAR) & (np.abs(share) < _MOST)
    share, error = share[clear], error[clear]
    if len(share) < _ENOUGH:
        return None
    best, found = -math.inf, None
    for at in _STARTS:
        sharp, wider = 0.5, 1.0
        for _ in range(_ROUNDS):
            off = (share - at) / error
            of_sharp = sharp / (wider * error * math.sqrt(2 * math.pi))
            of_sharp *= np.exp(-0.5 * (off / wider) ** 2)
            every = of_sharp + (1 - sharp) / (2 * _MOST)
            belongs = of_sharp / every
            if belongs.sum() < _ENOUGH / 2:
                break
            weight = belongs / error**2
            at = float(weight @ share / weight.sum())
            sharp = belongs.mean()
            wider = min(max(1.0, math.sqrt(belongs @ off**2 / belongs.sum())), _WIDER)
        else:
            if (likely := float(np.log(every).sum())) > best:
                best, found = likely, (at, wider / math.sqrt(weight.sum()))
    return found
