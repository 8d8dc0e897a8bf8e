"""The second world's camera: a fibre-coupled one of 16 bits, and what stands before it.

Disks of the beam, plasmon losses and the point spread are one transfer function of the light; then
come gain, dark current, hot and dead pixels, a dead column, afterglow and the shadow of a beam
stop. The numbers are chosen, or from the literature where one is named, so that frames differ from
those of `phasefront.virtual` in every respect.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

SCALE = 0.0135  # 1/angstrom per pixel, nominal
PIXELS = 192  # a side
_PADDED = 256  # of the field in which light is spread
_DISK = 0.030  # radius of the beam's disk, 1/angstrom: 0.75 mrad
# Of the Lorentzian of a plasmon loss of 22 eV at 200 kV: its half width, E / 2 E0, and the width of
# the Gaussian that ends it, 1/angstrom.
_PLASMON_FROM, _PLASMON_TO = 0.0022, 0.4
# Sharp core, and tail of light that spreads in the fibres: width and length in pixels, its share.
_CORE, _TAIL, _TAIL_SHARE = 0.75, 3.5, 0.25
# Counts an electron makes, and variance of that over its square; of a pixel's and a column's gain.
_GAIN, _GAIN_SPREAD, _PIXEL_GAIN, _COLUMN_GAIN = 12.0, 0.4, 0.02, 0.01
_DARK, _DARK_COLUMN, _READ_NOISE = 60.0, 2.0, 4.0  # counts
_HOT, _DEAD = 1e-3, 5e-4  # shares of pixels
_HOT_COUNTS = 800.0  # mean of the exponential distribution of hot pixels' dark counts
_AFTERGLOW = 0.004  # of the frame before
_STOP_THROUGH = 0.002  # light that goes through the beam stop


class Camera:
    """Spreads light and makes counts of it, frame after frame."""

    def __init__(self, stop: bool, rng):
        self.rng = rng
        side = (PIXELS, PIXELS)
        self.gain = _GAIN * (1 + _PIXEL_GAIN * rng.normal(size=side))
        self.gain *= 1 + _COLUMN_GAIN * rng.normal(size=PIXELS)
        self.dark = _DARK + _DARK_COLUMN * rng.normal(size=PIXELS) + np.zeros(side)
        drawn = rng.uniform(size=side)
        self.dark[drawn < _HOT] += rng.exponential(_HOT_COUNTS, int((drawn < _HOT).sum()))
        self.gain[drawn > 1 - _DEAD] = 0
        self.gain[:, int(rng.integers(PIXELS))] = 0
        self.middle = (PIXELS - 1) / 2 + rng.uniform(-3, 3, 2)
        self.shadow = self._shadow(np.deg2rad(rng.uniform(0, 360))) if stop else 1.0
        self.before = np.zeros(side)

    def _shadow(self, angle: float) -> np.ndarray:
        """Of a pin from the frame's edge, its round end a little beyond the beam."""
        y, x = np.indices((PIXELS, PIXELS)) - self.middle[:, None, None]
        along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        outside = np.where(along > -3, np.abs(across), np.hypot(along + 3, across)) - 7.0
        clear = 1 / (1 + np.exp(-outside / 0.6))
        return _STOP_THROUGH + (1 - _STOP_THROUGH) * clear

    @cached_property
    def transfer(self) -> tuple[np.ndarray, np.ndarray]:
        """What becomes of a point: by disk and screen; and with one plasmon loss before."""
        from scipy.special import j1

        cycles = np.fft.fftfreq(_PADDED)
        frequency = np.hypot(cycles[:, None], np.fft.rfftfreq(_PADDED))
        across = 2 * np.pi * np.maximum(frequency, 1e-9) * _DISK / SCALE
        core = np.exp(-2 * (np.pi * _CORE * frequency) ** 2)
        tail = (1 + (2 * np.pi * _TAIL * frequency) ** 2) ** -1.5  # of exp(-r / length)
        whole = 2 * j1(across) / across * ((1 - _TAIL_SHARE) * core + _TAIL_SHARE * tail)
        # What is cut off at the band's edge would ring along the axes; no camera does.
        soft = np.cos(np.pi / 2 * np.clip((np.abs(cycles) - 0.35) / 0.15, 0, 1)) ** 2
        whole *= soft[:, None] * soft[: _PADDED // 2 + 1]
        q = SCALE * _PADDED * np.hypot(cycles[:, None], cycles)
        # The pole stands for its own pixel: 0.3 of a pixel is the mean distance there.
        loss = np.exp(-((q / _PLASMON_TO) ** 2)) / (
            np.maximum(q, 0.3 * SCALE) ** 2 + _PLASMON_FROM**2
        )
        return whole, whole * np.fft.rfft2(loss / loss.sum())

    def light(self, spots, amounts, centre, lost: float) -> np.ndarray:
        """Light of spots (n, 2) at pixels from the frame's corner, as row and column."""
        place = spots + centre
        rows = np.exp(-2j * np.pi * np.outer(np.fft.fftfreq(_PADDED), place[:, 0]))
        columns = np.exp(-2j * np.pi * np.outer(place[:, 1], np.fft.rfftfreq(_PADDED)))
        points = (rows * amounts) @ columns
        elastic, inelastic = self.transfer
        image = np.fft.irfft2(points * ((1 - lost) * elastic + lost * inelastic), s=(_PADDED,) * 2)
        return np.maximum(image[:PIXELS, :PIXELS], 0)

    def film(self, light: np.ndarray, dose: float) -> np.ndarray:
        """Counts (uint16) of a frame."""
        electrons = self.rng.poisson(dose * light * self.shadow) + _AFTERGLOW * self.before
        self.before = electrons
        counts = self.gain * electrons + self.dark
        noise = np.sqrt(_GAIN_SPREAD * self.gain**2 * electrons + _READ_NOISE**2)
        counts += noise * self.rng.normal(size=counts.shape)
        return np.clip(np.rint(counts), 0, 65535).astype(np.uint16)


def descan(shape, middle, wobble: float, rng) -> np.ndarray:
    """The beam's centre (y, x, 2): two slopes, a wave of so many pixels over nine rows, jitter."""
    y, x = np.indices(shape, dtype=float)
    slopes = rng.uniform(-2, 2, (2, 2)) / np.array(shape)
    drift = np.stack([y, x], axis=-1) @ slopes
    drift += wobble * np.sin(2 * np.pi * y / 9 + rng.uniform(0, 6))[..., None]
    return middle + drift - drift.mean(axis=(0, 1)) + 0.08 * rng.normal(size=(*shape, 2))


def affine_of(rng) -> np.ndarray:
    """q = affine (pixel - centre): scale off by up to 1.5 %, rings long by 1.5 % somewhere."""
    angle = rng.uniform(0, np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    stretch = np.diag([1.015**-0.5, 1.015**0.5])
    return SCALE * (1 + rng.uniform(-0.015, 0.015)) * turn @ stretch @ turn.T
