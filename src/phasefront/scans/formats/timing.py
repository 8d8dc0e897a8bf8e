"""When a scan was taken, as its file says."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from phasefront.core.moments import Stamp


@dataclass(frozen=True)
class Timing:
    """Start and end of a scan, and how its positions lie between them.

    Attributes
    ----------
    start, end
        Moments of the first position's beginning and of the last one's end.
    positions_s
        Times of the positions since the start, (ny, nx), s, where frames have times of their own.
    dwell_s, flyback_s
        Time of a position, and between the last of a row and the first of the next; NaN and 0
        where the file does not say.
    """

    start: Stamp
    end: Stamp
    positions_s: np.ndarray | None = None
    dwell_s: float = math.nan
    flyback_s: float = 0.0


UNTIMED = Timing(*[Stamp(None, "the file gives no time")] * 2)


def of_frames(start: Stamp, stamps: np.ndarray) -> Timing:
    """Timing of positions whose frames have stamps (ny, nx), whole numbers of ns.

    `start` is the moment of the first position's stamp. Unknown where stamps run backwards.
    """
    passed = 1e-9 * (stamps - stamps.flat[0])
    if start.moment is None:
        return Timing(start, start)
    back = np.flatnonzero(np.diff(passed.ravel()) < 0)
    if back.size:
        row, column = np.unravel_index(back[0] + 1, passed.shape)
        unknown = Stamp(
            None, f"{start.source} run backwards at the position y={row}, x={column}"
        )  # fmt: skip
        return Timing(unknown, unknown)
    dwell = float(np.median(np.diff(passed, axis=1))) if passed.shape[1] > 1 else math.nan
    end = start.moment + timedelta(seconds=float(passed[-1, -1]) + (dwell if dwell > 0 else 0.0))
    return Timing(start, Stamp(end, start.source), passed, dwell)
