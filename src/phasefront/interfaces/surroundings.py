"""What lies beyond a grain: vacuum, a crack, another grain, the scan's edge."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from phasefront.layouts.interfaces import Beyond
from phasefront.layouts.phases import VACUUM

# Vacuum no wider than this, with a crystal beyond, is a crack; positions.
_WIDEST_CRACK = 3


@dataclass(frozen=True)
class Surroundings:
    """A scan's grains and empty places."""

    label: np.ndarray  # (y, x) grain, -1 none
    vacuum: np.ndarray  # (y, x)

    @classmethod
    def of(cls, phases: xr.Dataset, grains: xr.Dataset) -> Surroundings:
        return cls(grains["label"].values, phases["decision"].values == VACUUM)

    def beyond(self, grain: int, place: np.ndarray, towards: np.ndarray) -> tuple[Beyond, int]:
        """What is met when leaving a grain at `place` (y, x) `towards` a unit direction (y, x), and
        which grain it is, -1 for none."""
        in_vacuum = 0
        for step in np.arange(0.0, 2.0 + _WIDEST_CRACK, 0.5):
            y, x = np.floor(place + step * towards + 0.5).astype(int)
            if not (0 <= y < self.label.shape[0] and 0 <= x < self.label.shape[1]):
                return (Beyond.VACUUM if in_vacuum else Beyond.SCAN_EDGE), -1
            other = int(self.label[y, x])
            if in_vacuum:
                if in_vacuum > 2 * _WIDEST_CRACK:
                    break
                if not self.vacuum[y, x]:
                    return Beyond.CRACK, other if other != grain else -1
            if other == grain:
                continue
            if other >= 0:
                return Beyond.GRAIN, other
            if not self.vacuum[y, x]:
                return Beyond.UNKNOWN, -1
            in_vacuum += 1
        return (Beyond.VACUUM if in_vacuum else Beyond.UNKNOWN), -1


@dataclass(frozen=True)
class Outline:
    """A grain's outer outline, closed; each vertex lies between a position inside and one out."""

    y: np.ndarray  # (vertex,)
    x: np.ndarray
    inside: np.ndarray  # (vertex, 2) row and column
    outside: np.ndarray

    @classmethod
    def of(cls, grains: xr.Dataset, grain: int) -> Outline:
        begin, end = grains["outline_offset"].values[grain : grain + 2]
        y = grains["outline_y"].values[begin:end].astype("f8")
        x = grains["outline_x"].values[begin:end].astype("f8")
        one = np.stack([np.floor(y), np.floor(x)], axis=1).astype(int)
        other = np.stack([np.ceil(y), np.ceil(x)], axis=1).astype(int)
        label = grains["label"].values
        shape = np.array(label.shape)
        in_scan = ((one >= 0) & (one < shape)).all(axis=1)
        held = np.clip(one, 0, shape - 1)
        first_inside = (in_scan & (label[held[:, 0], held[:, 1]] == grain))[:, None]
        return cls(y, x, np.where(first_inside, one, other), np.where(first_inside, other, one))

    def beyond(self, surroundings: Surroundings, grain: int) -> tuple[np.ndarray, np.ndarray]:
        """What lies beyond each vertex (Beyond), and which grain, -1 for none."""
        kinds = np.empty(len(self.y), dtype="i1")
        others = np.empty(len(self.y), dtype="i4")
        for vertex, (inside, outside) in enumerate(zip(self.inside, self.outside, strict=True)):
            towards = (outside - inside).astype("f8")
            kinds[vertex], others[vertex] = surroundings.beyond(grain, outside * 1.0, towards)
        return kinds, others


def nearest_sides(inside: np.ndarray, outline: Outline, beyond: np.ndarray) -> tuple:
    """Distance (n,) of the positions `inside` (y, x) from the outline, without what is the scan's
    own edge, and what lies beyond its nearest vertex (n,); infinite and UNKNOWN without any."""
    from scipy.spatial import cKDTree

    at = np.argwhere(inside)
    real = beyond != Beyond.SCAN_EDGE
    if not real.any():
        return np.full(len(at), np.inf), np.full(len(at), Beyond.UNKNOWN)
    vertices = np.stack([outline.y[real], outline.x[real]], axis=1)
    distance, vertex = cKDTree(vertices).query(at)
    return distance, beyond[real][vertex]
