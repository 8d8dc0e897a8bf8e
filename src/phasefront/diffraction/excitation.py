"""How strongly a reflection shows when it is off the Ewald sphere: the models, each for its use.

A rel-rod has one shape; what a stage takes it for depends on what else is uncertain there, so each
has a width of its own. Compiled kernels write the formulas out and take the widths from here; tests
hold them to these. Which beams a simulation of dynamical scattering counts
(`virtual.bloch_waves`) is another question: there intensities come out, here they are assumed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class LorentzianRod:
    """Lorentzian rel-rod averaged over the cone of precession.

    Palatinus et al., Acta Cryst. B75, 512, 2019, eq. 10, as diffsims has it.
    """

    width: float  # excitation error at which a reflection has faded, 1/angstrom

    def visibility(self, error: np.ndarray, radius: np.ndarray, precession: float) -> np.ndarray:
        """Of reflections with excitation errors (n,) at radii (n,), both in 1/angstrom, up to a
        common factor; the beam precesses by an angle in radian."""
        from diffsims.utils.shape_factor_models import lorentzian_precession

        return lorentzian_precession(error, self.width, radius, precession)


@dataclass(frozen=True)
class GaussianRod:
    """Gaussian rel-rod; precession adds half of its swing's square to the variance.

    A reflection at radius q swings by q t times a cosine, whose mean square is 1/2. The slope of
    its logarithm, which the fit of an affine map takes, is that of a parabola.
    """

    width: float  # standard deviation without precession, 1/angstrom

    def variance(self, radius: np.ndarray, precession: float) -> np.ndarray:
        """Of the excitation errors at which a reflection shows, (n,), 1/angstrom^2."""
        return self.width**2 + 0.5 * (precession * radius) ** 2

    def visibility(self, error: np.ndarray, radius: np.ndarray, precession: float) -> np.ndarray:
        """See `LorentzianRod.visibility`."""
        return np.exp(-0.5 * error**2 / self.variance(radius, precession))


# Of the likelihood, its predicted spots, and the pairs of phases: orientations are refined. Fitted
# on Bloch-wave patterns 10 to 80 nm thick.
REFINED = LorentzianRod(0.01)
# Of templates: wider than a crystal's, because the nearest direction of the grid is off by up to
# half a step.
TEMPLATE = LorentzianRod(0.02)
# Of the fit of scale and ellipse: half width of a reflection of a thin crystal. Half of it is as
# good, double better by 2.3 standard errors of the difference (docs/calibration.md).
AFFINE = GaussianRod(0.012)
