"""What stands between a virtual specimen and its frames: a beam stop, a liquid, bad pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

_EDGE = 0.7  # width of the penumbra of a stop's edge, pixels; made up
# Ring of a liquid: radius and width (standard deviation), 1/angstrom, as water and carbonates have.
LIQUID_RADIUS, _LIQUID_WIDTH = 0.32, 0.07


@dataclass(frozen=True)
class Stop:
    """Shadow of a beam stop: a disk, and an arm from it to the edge of the camera; pixels.

    `arm_deg` is the arm's direction, from x towards y; `through` is the share of the light that a
    thin stop lets pass. An arm as wide as the disk is a bar.
    """

    row: float
    column: float
    radius: float
    arm_width: float = 0.0
    arm_deg: float = 0.0
    through: float = 0.0

    def transmission(self, shape: tuple[int, int]) -> np.ndarray:
        """Share of the light (ky, kx) that passes."""
        y, x = np.indices(shape, dtype=float)
        y, x = y - self.row, x - self.column
        angle = np.deg2rad(self.arm_deg)
        along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        depth = self.radius - np.hypot(y, x)
        arm = np.where(along > 0, self.arm_width / 2 - np.abs(across), -np.inf)
        open_share = expit(-np.maximum(depth, arm) / _EDGE)
        return self.through + (1 - self.through) * open_share


@dataclass(frozen=True)
class Conditions:
    """How a virtual scan is seen; nothing stands in the way by default.

    `liquid` is how many times as bright as the specimen's diffuse scattering, were all electrons
    scattered so, the ring of a liquid is at its maximum. `hot` pixels show full scale, `dead` ones
    nothing; both are shares of the camera's pixels, at places drawn with `seed`.
    """

    stop: Stop | None = None
    liquid: float = 0.0
    hot: float = 0.0
    dead: float = 0.0
    seed: int = 0

    def dim(self, light: np.ndarray, centres: np.ndarray, scale: float, profile) -> np.ndarray:
        """Light (positions, ky, kx) with the liquid's ring, behind the stop.

        Parameters
        ----------
        light
            Share of the electrons at each pixel.
        centres
            Row and column of the beam at each position, (positions, 2).
        scale
            1/angstrom per pixel.
        profile
            Diffuse light at a distance in pixels from the beam.
        """
        if self.liquid:
            y, x = np.indices(light.shape[1:])
            bright = self.liquid * float(profile(LIQUID_RADIUS / scale))
            for one, (row, column) in zip(light, centres, strict=True):
                q = scale * np.hypot(y - row, x - column)
                one += bright * np.exp(-0.5 * ((q - LIQUID_RADIUS) / _LIQUID_WIDTH) ** 2)
        if self.stop is not None:
            light = light * self.stop.transmission(light.shape[1:]).astype(light.dtype)
        return light

    def spoil(self, frames: np.ndarray, full_scale: int) -> np.ndarray:
        """Frames (..., ky, kx) with the same hot and dead pixels in each."""
        draw = np.random.default_rng(self.seed).uniform(size=frames.shape[-2:])
        frames[..., draw < self.hot] = full_scale
        frames[..., draw > 1 - self.dead] = 0
        return frames
