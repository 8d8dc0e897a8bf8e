"""What stands between a virtual specimen and its frames: a beam stop, a liquid, bad pixels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

# Mean free path of electrons of 200 kV in a liquid of an electrolyte, about; its value is quoted
# between 150 and 300 nm. 300 nm leave 22 % unscattered.
LIQUID_PATH_NM = 200.0
_EDGE = 0.7  # width of the penumbra of a stop's edge, pixels; made up
# Ring of a liquid: radius and width (standard deviation), 1/angstrom, as water and carbonates have.
LIQUID_RADIUS, _LIQUID_WIDTH = 0.32, 0.07
# Integral of a ring whose maximum is 1 over the plane, 1/angstrom^2; its width is a fifth of its
# radius, so that the middle takes less than 1e-5 from it.
_RING_AREA = (2 * np.pi) ** 1.5 * LIQUID_RADIUS * _LIQUID_WIDTH


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
    scattered so, the ring of a liquid is at its maximum. Of a layer `liquid_nm` thick
    exp(-thickness / path) of the light passes, and the rest is in that ring. `hot` pixels show full
    scale, `dead` ones nothing; both are shares of the camera's pixels, at places drawn with `seed`.
    """

    stop: Stop | None = None
    liquid: float = 0.0
    liquid_nm: float = 0.0
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
            bright = self.liquid * float(profile(LIQUID_RADIUS / scale))
            for one, ring in zip(light, _rings(light.shape[1:], centres, scale), strict=True):
                one += bright * ring
        if self.liquid_nm:
            passed = np.exp(-self.liquid_nm / LIQUID_PATH_NM)
            for one, ring in zip(light, _rings(light.shape[1:], centres, scale), strict=True):
                one *= passed
                one += (1 - passed) / (_RING_AREA / scale**2) * ring
        if self.stop is not None:
            light = light * self.stop.transmission(light.shape[1:]).astype(light.dtype)
        return light

    def spoil(self, frames: np.ndarray, full_scale: int) -> np.ndarray:
        """Frames (..., ky, kx) with the same hot and dead pixels in each."""
        draw = np.random.default_rng(self.seed).uniform(size=frames.shape[-2:])
        frames[..., draw < self.hot] = full_scale
        frames[..., draw > 1 - self.dead] = 0
        return frames


def _rings(shape: tuple[int, int], centres: np.ndarray, scale: float) -> Iterator[np.ndarray]:
    """A liquid's ring, 1 at its maximum, about each centre."""
    y, x = np.indices(shape)
    for row, column in centres:
        q = scale * np.hypot(y - row, x - column)
        yield np.exp(-0.5 * ((q - LIQUID_RADIUS) / _LIQUID_WIDTH) ** 2)
