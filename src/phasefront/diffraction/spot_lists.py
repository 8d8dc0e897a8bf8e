"""Spots of many positions as ragged arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr

_MANY_SPOTS = 1_000_000  # quantiles of more are taken of a part: 0.001 is still a thousand spots


class Spots(NamedTuple):
    """Spots of many positions, one position after the other."""

    offset: np.ndarray  # (positions + 1,): where each position's spots begin
    qx: np.ndarray  # (spots,) spatial frequency along x, 1/angstrom
    qy: np.ndarray  # (spots,) along y
    intensity: np.ndarray  # (spots,) counts, not negative

    @classmethod
    def of(cls, dataset: xr.Dataset, positions: slice = slice(None)) -> Spots:
        """Those of a SPOTS or TEMPLATES dataset, as f8.

        `positions`: those wanted, rows first; only their spots are read.
        """
        first, last, _ = positions.indices(dataset.sizes["edge"] - 1)
        offset = dataset["offset"][first : last + 1].values
        own = slice(offset[0], offset[-1])
        qx, qy, intensity = (
            dataset[name][own].values.astype(np.float64) for name in ("qx", "qy", "intensity")
        )
        return cls(offset - offset[0], qx, qy, np.maximum(intensity, 0.0))

    @property
    def numbers(self) -> np.ndarray:
        """How many spots each position has, (positions,)."""
        return np.diff(self.offset)

    @property
    def owner(self) -> np.ndarray:
        """The position of every spot, (spots,)."""
        return np.repeat(np.arange(len(self.offset) - 1), self.numbers)

    def tally(self, chosen: np.ndarray) -> np.ndarray:
        """How many chosen spots (spots,) each position has, (positions,)."""
        return np.bincount(self.owner[chosen], minlength=len(self.numbers))

    def amplitude(self, chosen: np.ndarray) -> np.ndarray:
        """Summed amplitude (positions,) of the chosen spots (spots,): it grows with the thickness.

        Intensities grow with its square where scattering is kinematic; on Bloch-wave patterns
        shares by amplitude are nearer to those of the thickness (rms 0.10 to 0.16, by intensity
        0.11 to 0.21).
        """
        amplitude = np.sqrt(self.intensity[chosen])
        return np.bincount(self.owner[chosen], amplitude, minlength=len(self.numbers))

    def without(self, left_out: np.ndarray) -> Spots:
        """Those that are not left out (spots,)."""
        offset = np.concatenate([[0], np.cumsum(self.tally(~left_out))])
        return Spots(offset, *(values[~left_out] for values in self[1:]))

    def at(self, position: int) -> Spots:
        """Those of one position, as the only one."""
        own = slice(self.offset[position], self.offset[position + 1])
        return Spots(np.array([0, own.stop - own.start]), *(values[own] for values in self[1:]))

    def undistorted(self, distortion: np.ndarray) -> Spots:
        """Where they would be without a linear map (2, 2) of spatial frequencies."""
        qx, qy = np.linalg.inv(distortion) @ np.stack([self.qx, self.qy])
        return self._replace(qx=qx, qy=qy)


def observed_window(spots: xr.Dataset) -> tuple[float, float]:
    """Radii (1/angstrom) between which a scan's spots lie, but for one in a thousand.

    At least 0.25 to 0.5, for scans with hardly any spots. Of many spots a share is looked at.
    """
    some = slice(None, None, 1 + spots.sizes["spot"] // _MANY_SPOTS)
    radius = np.hypot(spots["qx"][some].values, spots["qy"][some].values)
    if not len(radius):
        return 0.0, 1.0
    low, high = np.quantile(radius, [0.001, 0.999])
    high = max(float(high), 0.5)
    return min(float(low), 0.5 * high), high
