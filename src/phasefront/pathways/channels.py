"""Channels of a structure on the map of a grain, and whether the grain's axis lies along one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from phasefront.core.statistics import Interval

# A channel is on the map if its part there is at least this of its length: another runs along the
# beam, where no gradient is seen. Chosen: half a channel or more.
_ON_MAP = 0.5
# Directions that a random axis is drawn in, to count how many lie as near to a channel.
_DIRECTIONS = np.arange(0.0, 180.0, 0.25)
_ENDS = (0.025, 0.975)  # of the 95 % interval


@dataclass(frozen=True)
class Along:
    """Angle in degrees from a grain's axis to the nearest channel on the map, and the chance that
    an axis in any direction lies as near. NaN where no channel lies on the map."""

    angle: Interval
    chance: float
    nearest: int  # number of the channel, -1 where none


def on_map(
    channels: np.ndarray, rotation: np.ndarray, operations: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Channels of a grain as seen on the map.

    Parameters
    ----------
    channels
        (channel, 3) directions in the Cartesian axes of the crystal.
    rotation
        (3, 3) matrix that takes vectors of the scan's frame (x, y, beam) to the crystal.
    operations
        (operation, 3, 3) proper rotations of the lattice: equivalent channels are as good.

    Returns
    -------
    Directions (n,) in degrees from x towards y, 0 to 180; parts (n,) of their lengths that lie on
    the map; and which channel (n,) each is. Those that run along the beam are left out.
    """
    unit = channels / np.linalg.norm(channels, axis=1, keepdims=True)
    equivalent = np.einsum("oij,cj->coi", operations, unit).reshape(-1, 3)
    which = np.repeat(np.arange(len(channels)), len(operations))
    x, y, _ = (equivalent @ rotation).T
    part = np.hypot(x, y)
    kept = part >= _ON_MAP
    return np.degrees(np.arctan2(y, x))[kept] % 180.0, part[kept], which[kept]


def along(
    direction: float, draws: np.ndarray, channels: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> Along:
    """How near a grain's axis lies to the channels of `on_map`.

    `direction` is in degrees, `draws` (draw,) are equally likely ones. Under the null hypothesis
    the axis lies anywhere: with many equivalent channels one is always near.
    """
    angles, _, which = channels
    if not len(angles) or not np.isfinite(direction):
        return Along(np.full(3, np.nan), np.nan, -1)
    apart = _apart(direction, angles)
    nearest = int(apart.argmin())
    of_draws = _apart(draws[:, None], angles).min(axis=1)
    anywhere = _apart(_DIRECTIONS[:, None], angles).min(axis=1)
    chance = float(np.mean(anywhere <= apart[nearest] + 1e-9))
    return Along(np.append(apart[nearest], np.quantile(of_draws, _ENDS)), chance,
                 int(which[nearest]))  # fmt: skip


def together(chances: np.ndarray) -> float:
    """Chance of all grains' axes lying so near to channels, if each lay anywhere; NaN for none.

    Stouffer's sum: many grains that lie somewhat near tell as much as one that lies very near.
    """
    known = chances[np.isfinite(chances)]
    if not known.size:
        return np.nan
    within = np.clip(known, 1e-6, 1 - 1e-6)
    return float(stats.combine_pvalues(within, method="stouffer").pvalue)


def _apart(one: np.ndarray | float, other: np.ndarray) -> np.ndarray:
    """Angle between axes, 0 to 90 degrees."""
    off = np.abs(one - other) % 180.0
    return np.minimum(off, 180.0 - off)
