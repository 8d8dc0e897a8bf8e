"""What the likelihood has to know of the microscope and of the errors of a scan."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import xarray as xr

from phasefront.diffraction import excitation
from phasefront.diffraction.likelihood_kernels import Terms
from phasefront.diffraction.spot_lists import observed_window
from phasefront.layouts.spots import DISTORTION_ERRORS

# Relative standard error of one pattern's scale about the scan's: height, local strain. Chosen: a
# grain 3 micrometres higher under a focal length of 3 mm, or strained by as much. Virtual scans
# have neither, and decide more with half of it (docs/constants.md).
LOCAL_SCALE_SIGMA = 0.001
# By how much scale and both parts of the ellipse (relative) of a scan differ from those of a
# standard, or of whatever else they were taken from, with lenses set anew in between; one standard
# error. Chosen: a sample 5 to 10 micrometres higher or lower is brought to focus by as much of the
# objective's focal length of 2 to 3 mm, and the camera length goes with it. Rings of the gold
# grating and its published scale are 0.5 % apart (docs/calibration.md), a published list of
# peaks and its sample's cells 0.3 to 0.4 % in each part (docs/limno.md).
LENSES_SET_ANEW = 0.003


@dataclass(frozen=True)
class Optics:
    """How a scan's spots were made and how well their places are known; lengths in 1/angstrom."""

    voltage_kv: float
    precession_deg: float
    window: tuple[float, float]  # radii between which spots could be found
    # Error of a spot's position, systematic errors included; as spots.position_sigma, whose default
    # it is. `phases.distortion` measures a scan's own.
    position_sigma: float = 0.005
    scale_sigma: float = LOCAL_SCALE_SIGMA  # standard error of a pattern's scale, relative
    # Standard error of a pattern's centre. Chosen: 0.06 pixels of 0.0175.
    centre_sigma: float = 0.001
    stray_share: float = 0.07  # probability that a spot belongs to no reflection

    @classmethod
    def of(cls, templates: xr.Dataset, spots: xr.Dataset, **errors: float) -> Optics:
        """Of a scan's SPOTS and the TEMPLATES simulated for its microscope.

        A pattern's scale is as sure as that of SPOTS, apart from what varies over the scan.
        """
        beam = {name: templates.attrs[name] for name in ("voltage_kv", "precession_deg")}
        scale, _, _ = distortion_errors(spots)
        return cls(
            **beam, window=observed_window(spots),
            scale_sigma=math.hypot(scale, LOCAL_SCALE_SIGMA), **errors,
        )  # fmt: skip

    @property
    def wavelength(self) -> float:
        """Relativistic wavelength in angstrom."""
        return electron_wavelength(self.voltage_kv)

    @property
    def area(self) -> float:
        """Of the window, angstrom^-2."""
        low, high = self.window
        return np.pi * (high**2 - low**2)

    def terms(self) -> Terms:
        """The same in the form that the kernels take."""
        return Terms(
            float(self.wavelength), math.radians(self.precession_deg),
            math.pi / excitation.REFINED.width, *map(float, self.window),
            float(self.position_sigma), float(self.scale_sigma), float(self.centre_sigma),
            float(self.stray_share),
        )  # fmt: skip


def distortion_errors(spots: xr.Dataset) -> np.ndarray:
    """Relative standard errors (3,) of scale, stretch and shear of SPOTS."""
    return np.array([spots[name].item() for name in DISTORTION_ERRORS])


def electron_wavelength(voltage_kv: float) -> float:
    """Relativistic wavelength in angstrom (de Graef, Introduction to CTEM, eq. 2.23)."""
    from scipy.constants import c, e, h, m_e

    energy = e * voltage_kv * 1e3
    return 1e10 * h / math.sqrt(2 * m_e * energy * (1 + energy / (2 * m_e * c**2)))
