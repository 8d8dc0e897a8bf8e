"""Scale and ellipse from the rings of a polycrystalline standard."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import xarray as xr

from phasefront import beam, calibration
from phasefront.errors import InputError

_SCALE_STEP = 0.005  # of the search for the scale, relative
_RING_WIDTH = 0.02  # of rings at the start, 1/angstrom
_RING_STRAINS = np.array([-0.02, 0.0, 0.02])  # of the start, relative


def calibrate_rings(
    image: np.ndarray,
    *,
    d_spacings: Sequence[float],
    scale_nominal: float,
    scale_search: float = 0.05,
    name: str = "",
) -> xr.Dataset:
    """Centre, ellipse and scale from the rings of a polycrystalline standard.

    Parameters
    ----------
    image
        Counts, (ky, kx).
    d_spacings
        Spacings of the rings to be expected, angstrom.
    scale_nominal
        1/angstrom per pixel, right to within `scale_search`.

    Returns
    -------
    CALIBRATION dataset of one position.

    All usable pixels from the inner ring outwards are fitted at once: a smooth spline over the
    spatial frequency, plus a Gaussian ring of free height for each spacing. Heights and spline are
    solved linearly for each trial of centre, matrix and width (variable projection: Golub and
    Pereyra, SIAM J. Numer. Anal. 10, 413, 1973). Standard errors are of the sandwich form with
    sectors of 15 degrees as units.
    """
    from scipy.optimize import least_squares

    image = np.asarray(image, dtype=float)
    row, column, probe_radius, _ = beam.find_beam(image)
    mask = beam.usable_pixels(image, (row, column))
    coarse = _RingProblem(image, mask, d_spacings, (row, column), scale_nominal, name, every=3)
    steps = np.arange(-scale_search, scale_search + 1e-9, _SCALE_STEP)
    starts = [
        np.array([row, column, s + stretch, shear, s - stretch, _RING_WIDTH])
        for s in scale_nominal * (1 + steps)
        for stretch in scale_nominal * _RING_STRAINS
        for shear in scale_nominal * _RING_STRAINS
    ]
    costs = [np.sum(coarse.residual(start) ** 2) for start in starts]
    problem = _RingProblem(image, mask, d_spacings, (row, column), scale_nominal, name)
    span = 0.5 * _RING_WIDTH
    fit = least_squares(
        problem.residual, starts[int(np.argmin(costs))], loss="soft_l1", f_scale=0.05,
        x_scale=[0.1, 0.1, 1e-5, 1e-5, 1e-5, 1e-3],
        bounds=([-np.inf] * 5 + [0.2 * span], [np.inf] * 5 + [4 * span]),
    )  # fmt: skip
    covariance = problem.covariance(fit.x)
    row, column, xx, xy, yy, width = fit.x
    return calibration.dataset(
        affine=np.array([[xx, xy], [xy, yy]]), affine_covariance=covariance[2:5, 2:5],
        centres=np.array([[[row, column]]]), residual=np.zeros((1, 1)),
        error=math.sqrt(0.5 * (covariance[0, 0] + covariance[1, 1])),
        probe_radius=probe_radius, spot_radius=probe_radius, beam_radius=2 * probe_radius,
        mask=mask, residuals=problem.radial_residuals(fit.x, image.shape),
        attributes={
            "scan": name, "method": f"rings of a standard, {len(d_spacings)} spacings",
            "spots_used": 0, "residual_rms": float(np.sqrt(np.mean(problem.residual(fit.x) ** 2))),
            "ring_width": width,
        },
    )  # fmt: skip


class _RingProblem:
    """Relative misfit of an image of rings as a function of (row, column, xx, xy, yy, width).

    The fitted pixels are chosen once, from the nominal scale: a trial that could choose its own
    would drop what it cannot explain.
    """

    _KNOTS = 9

    def __init__(self, image, mask, d_spacings, centre, scale, name, every=1):
        self.frequencies = np.sort(1 / np.asarray(d_spacings, dtype=float))
        if len(self.frequencies) < 2:
            raise InputError(
                name, f"{len(self.frequencies)} ring is too few", field="d_spacings",
                remedy="give the spacings of at least two rings",
            )  # fmt: skip
        y, x = np.nonzero(mask)
        radius = np.hypot(y - centre[0], x - centre[1])
        ny, nx = image.shape
        nearest = min(centre[0], centre[1], ny - 1 - centre[0], nx - 1 - centre[1])
        low = (self.frequencies[0] - 0.08) / scale
        high = min((self.frequencies[-1] + 0.08) / scale, 1.1 * nearest)
        fitted = (radius > low) & (radius < high) & (y % every == 0) & (x % every == 0)
        self.y, self.x = y[fitted], x[fitted]
        self.counts = image[self.y, self.x]
        self.level = self._level(radius[fitted], self.counts)

    def residual(self, parameters):
        """Measured minus modelled counts over the local level, (pixels,)."""
        from scipy.interpolate import BSpline

        row, column, xx, xy, yy, width = parameters
        x, y = self.x - column, self.y - row
        q = np.hypot(xx * x + xy * y, xy * x + yy * y)
        low, high = q.min(), q.max() * (1 + 1e-12)
        knots = np.concatenate([[low] * 3, np.linspace(low, high, self._KNOTS), [high] * 3])
        spline = BSpline.design_matrix(q, knots, 3).toarray()
        rings = np.exp(-0.5 * ((q[:, None] - self.frequencies) / width) ** 2)
        # Over the level, so that faint outer rings weigh as much as bright inner ones.
        design = np.hstack([spline, rings]) / self.level[:, None]
        square = design.T @ design
        measured = self.counts / self.level
        height = np.linalg.solve(square + 1e-9 * np.trace(square) * np.eye(len(square)),
                                 design.T @ measured)  # fmt: skip
        return measured - design @ height

    @staticmethod
    def _level(radius, counts):
        ring = (radius / 2).astype(int)
        return np.maximum(np.bincount(ring, counts) / np.maximum(np.bincount(ring), 1), 1e-12)[ring]

    def radial_residuals(self, parameters, camera) -> dict:
        """How far rings lie outside of the fit, by squares of the camera, pixels.

        The relative stretch that the misfit asks for, to first order, where there is a ring.
        """
        row, column, *affine, _ = parameters
        step = 1e-3 * np.array([0, 0, *affine, 0])
        slope = (self.residual(parameters + step) - self.residual(parameters - step)) / 2e-3
        on_ring = slope**2 > 0.1 * np.quantile(slope**2, 0.99)
        place = np.stack([self.x - column, self.y - row], axis=1)[on_ring]
        # A ring that lies further out has a smaller frequency than the model's.
        stretch = self.residual(parameters)[on_ring] / slope[on_ring]
        return calibration.binned(place, stretch[:, None] * place, camera, slope[on_ring] ** 2)

    def covariance(self, parameters):
        steps = np.array([0.02, 0.02, 2e-6, 2e-6, 2e-6, 1e-4])
        jacobian = np.stack(
            [
                (self.residual(parameters + step) - self.residual(parameters - step))
                / (2 * step.max())
                for step in np.diag(steps)
            ],
            axis=1,
        )
        angle = np.degrees(np.arctan2(self.y - parameters[0], self.x - parameters[1]))
        sector = (angle // 15 + 12).astype(int)
        scores = np.zeros((sector.max() + 1, 6))
        np.add.at(scores, sector, self.residual(parameters)[:, None] * jacobian)
        bread = np.linalg.inv(jacobian.T @ jacobian)
        return bread @ (scores.T @ scores) @ bread * len(scores) / (len(scores) - 6)
