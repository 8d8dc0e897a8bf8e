"""Scale and ellipse from the rings of a polycrystalline standard."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from phasefront.calibration import beam, solution
from phasefront.calibration.ellipse import scale_of
from phasefront.core.errors import InputError
from phasefront.spots.dark import as_counted

# Chosen: what they must give is tested on made pictures (any nominal scale within the range ends at
# the true one, one beyond it is refused) and on a gold grating's (docs/calibration.md).
_SCALE_STEP = 0.005  # of the search for the scale, relative
_RING_WIDTH = 0.02  # of rings at the start, 1/angstrom
_WIDTH_RANGE = (0.002, 0.04)  # of rings, 1/angstrom
_RING_STRAINS = np.array([-0.02, 0.0, 0.02])  # of the start, relative
# Scales are also tried this far beyond the allowed range, to see when the right one is there.
# Chosen.
_BEYOND = 0.08
_SEARCH_PIXELS = 3000  # that the search looks at
_OTHER_SCALE = 0.015  # relative; starts further apart than this end in scales of their own
_SURE = 4.0  # standard errors by which the best scale must fit better than any other
_RESELECTIONS = 6  # of the pixels that are fitted, at most
_LOSS_SCALE = 0.05  # of residuals, relative to the local level


def read_picture(path: str | Path) -> np.ndarray:
    """A picture in grey, counts (ky, kx). Raises InputError where it is none."""
    from skimage.io import imread

    try:
        image = imread(path)
    except Exception as error:  # each plugin has its own
        raise InputError(
            path, f"not a readable picture ({error})", remedy="save it as TIFF"
        ) from None
    if image.ndim != 2:
        raise InputError(
            path, f"not one picture in grey, its shape is {image.shape}",
            remedy="save it as a TIFF with one channel",
        )  # fmt: skip
    return image


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
        1/angstrom per pixel, right to within `scale_search`. It says where to search, and moves
        the result no further: pixels are chosen anew from the scale that was found.
    scale_search
        Largest relative distance of the scale from `scale_nominal`.

    Returns
    -------
    CALIBRATION dataset of one position.

    All usable pixels from the inner ring outwards are fitted at once: a smooth spline over the
    spatial frequency, plus a Gaussian ring of free height for each spacing. Heights and spline are
    solved linearly for each trial of centre, matrix and width (variable projection: Golub and
    Pereyra, SIAM J. Numer. Anal. 10, 413, 1973). Standard errors are of the sandwich form, with
    both sectors of 15 degrees and rings as units (Cameron, Gelbach and Miller, J. Bus. Econ. Stat.
    29, 238, 2011).

    Raises
    ------
    InputError
        Fewer than two spacings or rings on the camera; a scale further than `scale_search` from
        the nominal one; another scale that fits nearly as well; rings of a width that is no ring's.
    """
    image = np.asarray(image, dtype=float)
    row, column, probe_radius, _ = beam.find_beam(image)
    mask = beam.usable_pixels(image, (row, column))
    camera = _Camera(image, mask, np.sort(1 / np.asarray(d_spacings, dtype=float)), name)
    starts = camera.search((row, column), scale_nominal, scale_search + _BEYOND)
    problem, fit = camera.fit(starts[0])
    camera.require_right(problem, fit, starts[1:], scale_nominal, scale_search)
    covariance = problem.covariance(fit.x)
    row, column, xx, xy, yy, width = fit.x
    return solution.dataset(
        affine=np.array([[xx, xy], [xy, yy]]), affine_covariance=covariance[2:5, 2:5],
        centres=np.array([[[row, column]]]), residual=np.zeros((1, 1)),
        error=math.sqrt(0.5 * (covariance[0, 0] + covariance[1, 1])),
        probe_radius=probe_radius, spot_radius=probe_radius, beam_radius=2 * probe_radius,
        mask=mask, dark=as_counted(mask.shape),
        residuals=problem.radial_residuals(fit.x, image.shape),
        attributes={
            "scan": name, "method": f"rings of a standard, {len(d_spacings)} spacings",
            "spots_used": 0, "residual_rms": float(np.sqrt(np.mean(problem.residual(fit.x) ** 2))),
            "ring_width": width, "scale_nominal": scale_nominal, "scale_search": scale_search,
            "error_kind": f"scatter of sectors and of {problem.rings} rings",
        },
    )  # fmt: skip


@dataclass(frozen=True)
class _Camera:
    """A picture of rings at known frequencies, in which their scale is searched and fitted."""

    image: np.ndarray
    mask: np.ndarray
    frequencies: np.ndarray  # 1/angstrom, ascending
    name: str

    def search(self, centre, scale: float, reach: float) -> list[np.ndarray]:
        """Parameters to start from: the best of all scales, and of each other dip of the misfit."""
        pixels = np.count_nonzero(self.mask)
        every = max(1, round(math.sqrt(pixels / _SEARCH_PIXELS)))
        ends = (scale * (1 - reach), scale * (1 + reach))
        problem = _RingProblem(self, centre, ends, every)
        number = 2 * math.ceil(reach / _SCALE_STEP) + 1
        best, costs = [], []
        for s in np.linspace(*ends, number):
            trials = [
                np.array([*centre, s + stretch, shear, s - stretch, _RING_WIDTH])
                for stretch in s * _RING_STRAINS
                for shear in s * _RING_STRAINS
            ]
            of_trials = [np.sum(_loss(problem.residual(trial))) for trial in trials]
            best.append(trials[int(np.argmin(of_trials))])
            costs.append(min(of_trials))
        around = np.concatenate([[np.inf], costs, [np.inf]])
        dips = np.flatnonzero((around[1:-1] <= around[:-2]) & (around[1:-1] <= around[2:]))
        return [best[i] for i in sorted(dips, key=lambda i: costs[i])]

    def fit(self, start: np.ndarray):
        """The problem of the pixels that the fitted scale chooses, and its solution."""
        problem = self._around(start)
        fit = problem.solve(start)
        for _ in range(_RESELECTIONS):
            again = self._around(fit.x)
            if again.same_pixels(problem):
                break
            problem, fit = again, again.solve(fit.x)
        return problem, fit

    def _around(self, parameters) -> _RingProblem:
        scale = scale_of(parameters[[2, 3, 3, 4]].reshape(2, 2))
        return _RingProblem(self, parameters[:2], (scale, scale))

    def require_right(self, problem, fit, others, scale_nominal, scale_search) -> None:
        """Raise InputError unless the fit is where it may be, and better than those elsewhere."""
        scale = problem.scale(fit.x)
        off = scale / scale_nominal - 1
        wide = f"{fit.x[5]:.2g} 1/angstrom wide"
        if fit.active_mask.any():
            raise InputError(
                self.name, f"the rings would be {wide}, which is the limit of what is fitted",
                field="d_spacings", remedy="give the spacings of rings that the picture shows",
            )  # fmt: skip
        for other in others:
            other = problem.solve(other).x
            if abs(problem.scale(other) / scale - 1) < _OTHER_SCALE:
                continue
            better, error = problem.advantage(fit.x, other)
            if not better > _SURE * error:
                raise InputError(
                    self.name,
                    f"scales of {scale:.6g} and {problem.scale(other):.6g} 1/angstrom per pixel fit"
                    " the rings about equally well",
                    field="d_spacings",
                    remedy="give the spacings of all rings that the picture shows, and no others, "
                    "or take calibration: {method: nominal}",
                )
        if not abs(off) <= scale_search:
            raise InputError(
                self.name,
                f"the rings ask for {scale:.6g} 1/angstrom per pixel, {100 * off:+.1f} % from the "
                f"nominal {scale_nominal:.6g}, where {100 * scale_search:.3g} % are allowed",
                field="scale",
                remedy="correct calibration.standard.scale if that is right, or d_spacings",
            )


def _loss(residual: np.ndarray) -> np.ndarray:
    """What `least_squares` calls soft_l1, in squares of the residual's unit."""
    return 2 * _LOSS_SCALE**2 * (np.sqrt(1 + (residual / _LOSS_SCALE) ** 2) - 1)


class _RingProblem:
    """Relative misfit of an image of rings as a function of (row, column, xx, xy, yy, width).

    The fitted pixels are chosen once, from two scales between which all that is tried lies: a trial
    that could choose its own would drop what it cannot explain.
    """

    _KNOTS = 9

    def __init__(self, camera: _Camera, centre, scales: tuple[float, float], every: int = 1):
        image, self.frequencies = camera.image, camera.frequencies
        ny, nx = image.shape
        nearest = min(centre[0], centre[1], ny - 1 - centre[0], nx - 1 - centre[1])
        seen = self.frequencies / scales[1] < 1.1 * nearest
        self.rings = np.count_nonzero(seen)
        if self.rings < 2:
            raise InputError(
                camera.name, f"{self.rings} ring is too few", field="d_spacings",
                remedy="give the spacings of at least two rings that the camera holds",
            )  # fmt: skip
        y, x = np.nonzero(camera.mask)
        radius = np.hypot(y - centre[0], x - centre[1])
        low = (self.frequencies[0] - 0.08) / scales[1]
        high = min((self.frequencies[-1] + 0.08) / scales[0], 1.1 * nearest)
        fitted = (radius > low) & (radius < high) & (y % every == 0) & (x % every == 0)
        self.y, self.x = y[fitted], x[fitted]
        self.counts = image[self.y, self.x]
        self.level = self._level(radius[fitted], self.counts)

    @staticmethod
    def scale(parameters) -> float:
        """1/angstrom per pixel."""
        return scale_of(parameters[[2, 3, 3, 4]].reshape(2, 2))

    def same_pixels(self, other: _RingProblem) -> bool:
        return np.array_equal(self.y, other.y) and np.array_equal(self.x, other.x)

    def solve(self, start: np.ndarray):
        from scipy.optimize import least_squares

        return least_squares(
            self.residual, start, loss="soft_l1", f_scale=_LOSS_SCALE,
            x_scale=[0.1, 0.1, 1e-5, 1e-5, 1e-5, 1e-3],
            bounds=([-np.inf] * 5 + [_WIDTH_RANGE[0]], [np.inf] * 5 + [_WIDTH_RANGE[1]]),
        )  # fmt: skip

    def advantage(self, parameters, other) -> tuple[float, float]:
        """By how much the first fit better, mean over sectors, and its standard error."""
        gain = _loss(self.residual(other)) - _loss(self.residual(parameters))
        sectors = np.bincount(self._sectors(parameters), gain)
        return float(sectors.mean()), float(sectors.std(ddof=1) / math.sqrt(len(sectors)))

    def _sectors(self, parameters) -> np.ndarray:
        """Number of each pixel's sector of 15 degrees."""
        angle = np.degrees(np.arctan2(self.y - parameters[0], self.x - parameters[1]))
        return (angle // 15).astype(int) + 12

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
        return solution.binned(place, stretch[:, None] * place, camera, slope[on_ring] ** 2)

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
        sector = self._sectors(parameters)
        row, column, xx, xy, yy, _ = parameters
        x, y = self.x - column, self.y - row
        q = np.hypot(xx * x + xy * y, xy * x + yy * y)
        ring = np.abs(q[:, None] - self.frequencies).argmin(axis=1)
        score = self.residual(parameters)[:, None] * jacobian
        bread = np.linalg.pinv(jacobian.T @ jacobian, hermitian=True)

        def sandwich(unit):
            units, unit = np.unique(unit, return_inverse=True)
            scores = np.zeros((len(units), 6))
            np.add.at(scores, unit, score)
            # As many of the units' scores are free as units less parameters, but for few units.
            free = max(len(units) - 6, len(units) / 2)
            return bread @ (scores.T @ scores) @ bread * len(units) / free

        both = sandwich(sector) + sandwich(ring) - sandwich(sector * len(self.frequencies) + ring)
        # The difference may be smaller than one of the two alone, which it must not be.
        values, vectors = np.linalg.eigh(both - sandwich(sector))
        return sandwich(sector) + (vectors * np.maximum(values, 0)) @ vectors.T
