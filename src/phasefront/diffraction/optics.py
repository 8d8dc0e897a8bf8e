"""What the likelihood has to know of the microscope and of the errors of a scan."""

from __future__ import annotations

import math
from dataclasses import dataclass

import xarray as xr

from phasefront.diffraction import excitation
from phasefront.diffraction.likelihood_kernels import Terms
from phasefront.diffraction.spot_lists import observed_window


@dataclass(frozen=True)
class Optics:
    """How a scan's spots were made and how well their places are known; lengths in 1/angstrom."""

    voltage_kv: float
    precession_deg: float
    window: tuple[float, float]  # radii between which spots could be found
    position_sigma: float = 0.005  # error of a spot's position, systematic errors included
    scale_sigma: float = 0.003  # standard error of the calibrated scale, relative
    centre_sigma: float = 0.001  # standard error of the centre
    stray_share: float = 0.07  # probability that a spot belongs to no reflection

    @classmethod
    def of(cls, templates: xr.Dataset, spots: xr.Dataset, **errors: float) -> Optics:
        """Of a scan's SPOTS and the TEMPLATES simulated for its microscope."""
        beam = {name: templates.attrs[name] for name in ("voltage_kv", "precession_deg")}
        return cls(**beam, window=observed_window(spots), **errors)

    @property
    def wavelength(self) -> float:
        """Relativistic wavelength in angstrom."""
        return electron_wavelength(self.voltage_kv)

    def terms(self) -> Terms:
        """The same in the form that the kernels take."""
        return Terms(
            float(self.wavelength), math.radians(self.precession_deg),
            math.pi / excitation.REFINED.width, *map(float, self.window),
            float(self.position_sigma), float(self.scale_sigma), float(self.centre_sigma),
            float(self.stray_share),
        )  # fmt: skip


def electron_wavelength(voltage_kv: float) -> float:
    """Relativistic wavelength in angstrom (de Graef, Introduction to CTEM, eq. 2.23)."""
    from scipy.constants import c, e, h, m_e

    energy = e * voltage_kv * 1e3
    return 1e10 * h / math.sqrt(2 * m_e * energy * (1 + energy / (2 * m_e * c**2)))
