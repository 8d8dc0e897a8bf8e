"""What the likelihood has to know of the microscope."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

# Range of the excitation error over which a reflection fades, 1/angstrom; fitted on
# Bloch-wave patterns 10 to 80 nm thick.
EXCITATION_WIDTH = 0.01


@dataclass(frozen=True)
class Experiment:
    """What the likelihood has to know besides spots and crystals; lengths in 1/angstrom."""

    voltage_kv: float
    precession_deg: float
    window: tuple[float, float]  # radii between which spots could be found
    position_sigma: float = 0.005  # error of a spot's position, systematic errors included
    scale_sigma: float = 0.003  # standard error of the calibrated scale, relative
    centre_sigma: float = 0.001  # standard error of the centre
    stray_share: float = 0.07  # probability that a spot belongs to no reflection

    @property
    def wavelength(self) -> float:
        """Relativistic wavelength in angstrom."""
        return electron_wavelength(self.voltage_kv)

    def numbers(self) -> np.ndarray:
        """The settings in the order in which the kernels take them."""
        return np.array(
            [
                self.wavelength, np.deg2rad(self.precession_deg), np.pi / EXCITATION_WIDTH,
                *self.window, self.position_sigma, self.scale_sigma,
                self.centre_sigma, self.stray_share,
            ]
        )  # fmt: skip


def electron_wavelength(voltage_kv: float) -> float:
    """Relativistic wavelength in angstrom (de Graef, Introduction to CTEM, eq. 2.23)."""
    from scipy.constants import c, e, h, m_e

    energy = e * voltage_kv * 1e3
    return 1e10 * h / math.sqrt(2 * m_e * energy * (1 + energy / (2 * m_e * c**2)))
