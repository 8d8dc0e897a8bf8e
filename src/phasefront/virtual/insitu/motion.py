"""Where the positions of a series' scans lie on the specimen.

The specimen drifts and jumps under the beam, and turns in the plane. What lies at the place s of
the frame of the first scan (row, column, at that scan's start) is seen by scan k at the position
p = c + R(angle_k) (s - c) + offset_k + part drift_k, where c is the middle of the field, R turns
from x towards y, and part is the share of the scan that has passed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from phasefront.experiment.settings.virtual_series import VirtualMotion

# Steps of a fixed point: drift is a small part of the field, so that two are enough for 1e-4.
_STEPS = 3


@dataclass(frozen=True)
class Motion:
    """The frames of all scans."""

    shape: tuple[int, int]
    offset: np.ndarray  # (scan, 2) positions down and along the rows, at the scan's start
    drift: np.ndarray  # (scan, 2) from its start to its end
    angle: np.ndarray  # (scan,) radian

    @classmethod
    def draw(
        cls, asked: VirtualMotion, scans: int, shape: tuple[int, int], rng: np.random.Generator
    ) -> Motion:
        """Motions of a size; the first scan defines the frame.

        The way of the drift wanders by a third of a right angle (rms) from scan to scan, which is
        made up. The angle walks at random and gets as far as asked for.
        """
        way = rng.uniform(0, 2 * np.pi) + np.cumsum(np.pi / 6 * rng.standard_normal(scans))
        drift = asked.drift_px * np.stack([np.sin(way), np.cos(way)], axis=1)
        jumps = asked.jump_px * rng.standard_normal((scans, 2))
        jumps[0] = 0
        before = np.concatenate([np.zeros((1, 2)), drift[:-1]])
        walk = np.cumsum(np.concatenate([[0.0], rng.standard_normal(scans - 1)]))
        farthest = np.abs(walk).max()
        angle = np.deg2rad(asked.rotation_deg) * walk / (farthest if farthest > 0 else 1.0)
        return cls(shape, np.cumsum(jumps + before, axis=0), drift, angle)

    def places(self, scan: int, part: np.ndarray) -> np.ndarray:
        """Place (2, ny, nx), row and column, that each position of a scan sees.

        `part` (ny, nx) is the share of the scan that has passed then.
        """
        y, x = np.indices(self.shape, dtype=float)
        moved = np.stack([y, x]) - self._middle - self._shift(scan, part)
        return self._middle + _turned(moved, -self.angle[scan])

    def positions(self, scan: int, places: np.ndarray, part_of) -> np.ndarray:
        """Position (2, ...) at which a scan sees places (2, ...); `part_of(row, column)` as above.

        Positions beyond the scan's field are those of a scan that went on in the same way.
        """
        axes = [1] * (places.ndim - 1)
        middle = self._middle.reshape(2, *axes)
        still = middle + _turned(places - middle, self.angle[scan])
        part = np.full(places.shape[1:], 0.5)
        for _ in range(_STEPS):
            seen = still + self._shift(scan, part)
            part = part_of(*seen)
        return still + self._shift(scan, part)

    @property
    def _middle(self) -> np.ndarray:
        return (np.array(self.shape).reshape(2, 1, 1) - 1) / 2

    def _shift(self, scan: int, part: np.ndarray) -> np.ndarray:
        axes = [1] * np.ndim(part)
        return self.offset[scan].reshape(2, *axes) + part * self.drift[scan].reshape(2, *axes)


def _turned(way: np.ndarray, angle: float) -> np.ndarray:
    """Ways (2, ...) as row and column, turned from x towards y."""
    row, column = way
    return np.stack(
        [
            np.sin(angle) * column + np.cos(angle) * row,
            np.cos(angle) * column - np.sin(angle) * row,
        ]
    )
