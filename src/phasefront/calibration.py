"""Calibration of a scan: beam centre per position, ellipse and scale, with standard errors.

The scale and the ellipse come from the scan itself: spots of many patterns, whose orientations are
already known roughly, are fitted jointly against every candidate crystal; or from the rings of a
standard.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numba import njit, prange

from phasefront import layouts, netcdf, spots
from phasefront.errors import InputError
from phasefront.refinement import electron_wavelength
from phasefront.scans import sample_rows

OUTLIER_SHARE = 0.07  # of spots that belong to no predicted reflection
EXCITATION_WIDTH = 0.012  # 1/angstrom: half width of a reflection of a thin crystal, no precession
_START_SIGMA, _LEAST_SIGMA, _MOST_SIGMA = 0.012, 0.001, 0.012  # position error, 1/angstrom
_START_RADIUS = 4.0  # of a spot in pixels, before it is measured
_SAMPLE_BYTES = 128 * 2**20  # of patterns held at once to fit scale and ellipse
_CLUSTER = 8  # positions a side over which errors of the centre are taken for dependent
_SAME_GRAIN_DEG = 3.0
_SHARED = 6  # parameters of the joint fit that all patterns share
# 1/angstrom^2, prior of a spot's outward shift times its frequency: of the order of its variance.
_OUTWARD_SIGMA = 5e-4
_MODEL_ERROR = 1.5e-4  # of the affine's parts, relative, that scatter among grains does not show
_BINS = 12  # a side of the map of residuals over the camera
_LEAST_IN_BIN = 15
_ROUGH_STEPS, _FINE_STEPS = 6, 30
_SCALE_STEP = 0.0025  # of the search for the scale, relative
_RING_WIDTH = 0.02  # of a standard's rings at the start, 1/angstrom
_RING_STRAINS = np.array([-0.02, 0.0, 0.02])  # of the start, relative


# ------------------------------------------------------------------------------------- centres


def find_beam(pattern: np.ndarray) -> tuple[float, float, float]:
    """Row, column and radius (pixels) of the direct beam in a mean pattern.

    The beam is the region over half the maximum around it. Where a beam stop breaks it up, the
    centre is that of the pattern's inversion symmetry, and the radius that of the stop's shadow.
    """
    from scipy import ndimage

    smooth = ndimage.gaussian_filter(np.asarray(pattern, dtype=float), 1.0)
    floor = np.median(smooth)
    peak = np.unravel_index(smooth.argmax(), smooth.shape)
    labels, _ = ndimage.label(smooth > floor + 0.5 * (smooth.max() - floor))
    region = ndimage.binary_fill_holes(labels == labels[peak])
    y, x = np.nonzero(region)
    row, column, radius = y.mean(), x.mean(), math.sqrt(region.sum() / np.pi)
    reach = np.hypot(y - row, x - column).max()
    if reach < 1.5 * radius + 1:
        return float(row), float(column), float(radius)
    row, column = _inversion_centre(smooth)
    return row, column, _shadow_radius(smooth, row, column)


def _inversion_centre(pattern: np.ndarray) -> tuple[float, float]:
    """Centre about which the pattern matches itself turned by 180 degrees, to half a pixel.

    Masked normalised correlation (Padfield, IEEE Trans. Image Process. 21, 2706, 2012) of the
    logarithm, without what is much darker than its surroundings.
    """
    from scipy import ndimage
    from skimage.registration import phase_cross_correlation

    around = ndimage.median_filter(pattern, min(pattern.shape) // 4)
    mask = ndimage.binary_erosion(pattern > 0.5 * around, iterations=2, border_value=1)
    contrast = np.log(np.maximum(pattern, 1e-3 * pattern.max()))
    shift = phase_cross_correlation(
        contrast, contrast[::-1, ::-1], reference_mask=mask, moving_mask=mask[::-1, ::-1],
        overlap_ratio=0.3,
    )[0]  # fmt: skip
    row, column = (np.subtract(pattern.shape, 1) + shift) / 2
    return float(row), float(column)


def _shadow_radius(pattern: np.ndarray, row: float, column: float) -> float:
    y, x = np.indices(pattern.shape)
    ring = np.hypot(y - row, x - column).astype(int)
    profile = np.bincount(ring.ravel(), pattern.ravel()) / np.bincount(ring.ravel())
    return float(max(2, profile[: min(pattern.shape) // 2].argmax()))


def usable_pixels(mean_pattern: np.ndarray, centre: tuple[float, float]) -> np.ndarray:
    """Mask (ky, kx) without a beam stop's shadow and without hot or dead pixels.

    The shadow is what stays below 0.4 of its ring's upper quartile, in patches of 30 pixels or
    more; a hot pixel is four times its highest neighbour, a dead one a tenth of their median.
    """
    from scipy import ndimage

    pattern = np.asarray(mean_pattern, dtype=float)
    y, x = np.indices(pattern.shape)
    ring = np.hypot(y - centre[0], x - centre[1]).astype(int) // 2
    level = ndimage.labeled_comprehension(
        pattern, ring, np.arange(ring.max() + 1), lambda values: np.quantile(values, 0.75), float, 0
    )[ring]
    smooth = ndimage.median_filter(pattern, 3)
    faint = level <= np.median(level)
    scatter = 1.2533 * np.abs(pattern - smooth)[faint].mean()
    dark = ndimage.binary_opening((smooth < 0.4 * level) & (level > 10 * scatter))
    labels, _ = ndimage.label(dark)
    size = np.bincount(labels.ravel())
    shadow = ndimage.binary_dilation(dark & (size[labels] >= 30), iterations=2)
    neighbours = np.ones((3, 3), bool)
    neighbours[1, 1] = False
    highest = ndimage.maximum_filter(pattern, footprint=neighbours)
    hot = (pattern > 4 * highest) & (pattern - highest > 10 * scatter)
    dead = (pattern < 0.1 * smooth) & (smooth - pattern > 10 * scatter)
    return ~(shadow | hot | dead)


def find_centres(
    patterns: np.ndarray, start: tuple[float, float], *, radius: float, mask: np.ndarray
) -> np.ndarray:
    """Row and column of the direct beam in each pattern, (n, 2); NaN where none is seen.

    Parameters
    ----------
    patterns
        Counts, (n, ky, kx).
    start
        Row and column to start from.
    radius
        Of the direct beam's disk, pixels.

    The disk is cut between three and nine tenths of its own mean level, so neither saturation nor
    contrast inside the disk matters, and its centroid is taken in a window that follows it.
    """
    return _centres_of_disks(
        np.ascontiguousarray(patterns, dtype=np.float32), float(start[0]), float(start[1]),
        float(radius), np.ascontiguousarray(mask, dtype=bool),
    )  # fmt: skip


@njit(parallel=True, cache=True)
def _centres_of_disks(patterns, row, column, radius, mask):  # pragma: no cover - compiled
    centres = np.empty((patterns.shape[0], 2))
    for i in prange(patterns.shape[0]):
        centres[i] = _centre_of_disk(patterns[i], row, column, radius, mask)
    return centres


@njit(cache=True)
def _centre_of_disk(pattern, row, column, radius, mask):  # pragma: no cover - compiled
    ny, nx = pattern.shape
    window = 1.5 * radius + 1
    y, x = row, column
    # Wide first, so that a beam that strayed by its own radius is still caught.
    for turn in range(12):
        reach = 2.5 * window if turn < 3 else window
        level, pixels = 0.0, 0
        total, sum_y, sum_x = 0.0, 0.0, 0.0
        for v in range(max(int(y - radius), 0), min(int(y + radius) + 2, ny)):
            for u in range(max(int(x - radius), 0), min(int(x + radius) + 2, nx)):
                if mask[v, u] and (v - y) ** 2 + (u - x) ** 2 <= (0.7 * radius) ** 2:
                    level += pattern[v, u]
                    pixels += 1
        if pixels == 0 or level <= 0:
            return np.array([np.nan, np.nan])
        low, high = 0.3 * level / pixels, 0.9 * level / pixels
        for v in range(max(int(y - reach), 0), min(int(y + reach) + 2, ny)):
            for u in range(max(int(x - reach), 0), min(int(x + reach) + 2, nx)):
                if mask[v, u] and (v - y) ** 2 + (u - x) ** 2 <= reach**2:
                    w = min(max((pattern[v, u] - low) / (high - low), 0.0), 1.0)
                    total += w
                    sum_y += w * (v - y)
                    sum_x += w * (u - x)
        if total <= 0:
            return np.array([np.nan, np.nan])
        y += sum_y / total
        x += sum_x / total
        if y < 0 or x < 0 or y > ny - 1 or x > nx - 1:
            return np.array([np.nan, np.nan])
    return np.array([y, x])


def fit_surface(measured: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Smooth surface through measured centres (ny, nx, 2), which may hold NaN and outliers.

    A quadratic in both scan directions where each has 5 positions or more, else a plane, else a
    constant; iteratively reweighted least squares with Tukey's biweight (Huber and Ronchetti,
    Robust Statistics, 2009).

    Returns
    -------
    Fitted centres (ny, nx, 2), distance of the measured from the fitted ones (ny, nx; NaN where not
    measured), and the standard error of a fitted centre in pixels. It is estimated from means
    over squares of 8 x 8 positions, for neighbours share their errors.
    """
    ny, nx = measured.shape[:2]
    basis = _surface_basis(ny, nx)
    known = np.isfinite(measured).all(axis=-1).ravel()
    if not known.any():
        raise ValueError("no centre was measured")
    if known.sum() < 2 * basis.shape[1]:
        basis = basis[:, :1]
    flat = measured.reshape(-1, 2)
    weight = np.ones(known.sum())
    for _ in range(30):
        root = np.sqrt(weight)[:, None]
        solution = np.linalg.lstsq(root * basis[known], root * flat[known], rcond=None)[0]
        distance = np.linalg.norm(flat[known] - basis[known] @ solution, axis=1)
        # Median distance of a two-dimensional Gaussian is 1.1774 sigma.
        scaled = distance / max(4.685 * np.median(distance) / 1.1774, 1e-6)
        weight = np.clip(1 - scaled**2, 0, None) ** 2
    fitted = (basis @ solution).reshape(ny, nx, 2)
    residual = np.linalg.norm(measured - fitted, axis=-1)
    error = _surface_error(measured - fitted, weight, known, basis)
    return fitted, residual, error


def _surface_basis(ny: int, nx: int) -> np.ndarray:
    y, x = np.indices((ny, nx)).reshape(2, -1)
    y, x = y / max(ny - 1, 1) - 0.5, x / max(nx - 1, 1) - 0.5
    columns = [np.ones(ny * nx)]
    columns += [y] if ny > 1 else []
    columns += [x] if nx > 1 else []
    if min(ny, nx) >= 5:
        columns += [y * y, y * x, x * x]
    return np.stack(columns, axis=1)


def _surface_error(difference, weight, known, basis) -> float:
    """Standard error of a fitted centre, one direction, averaged over the scan: by clusters."""
    ny, nx = difference.shape[:2]
    y, x = np.indices((ny, nx))
    size = _CLUSTER if known.sum() >= 16 * _CLUSTER**2 else 1
    cluster = ((y // size) * (nx // size + 1) + x // size).ravel()[known]
    used = basis[known]
    bread = np.linalg.pinv((weight[:, None] * used).T @ used)
    flat = difference.reshape(-1, 2)[known]
    variance = 0.0
    for axis in range(2):
        scores = np.zeros((cluster.max() + 1, used.shape[1]))
        np.add.at(scores, cluster, (weight * flat[:, axis])[:, None] * used)
        covariance = bread @ (scores.T @ scores) @ bread
        variance += np.einsum("ij,jk,ik->i", basis, covariance, basis).mean() / 2
    return math.sqrt(variance)


# ----------------------------------------------------------------------------------- spot size


def measure_spot_radius(
    patterns: np.ndarray, centres: np.ndarray, *, probe_radius: float, mask: np.ndarray
) -> float:
    """Twice the rms width of the strong spots, pixels: a disk's radius, two sigma of a Gaussian.

    The width is measured under a Gaussian weight as wide as the last estimate and corrected for it
    (adaptive moments: Bernstein and Jarvis, Astron. J. 123, 583, 2002). Without spots, the radius
    of the direct beam stands in, which is the spots' own unless it is saturated.
    """
    radius = min(_START_RADIUS, probe_radius)
    patterns = np.asarray(patterns, dtype=np.float32)
    for _ in range(4):
        found = spots.find_pixel_spots(
            patterns, centres, spot_radius=radius, beam_radius=probe_radius + radius, mask=mask
        )
        if not found.significance.size:
            return probe_radius
        strong = found.significance >= max(12.0, float(np.median(found.significance)))
        if strong.sum() < 5:
            return radius
        of = np.repeat(np.arange(len(patterns)), np.diff(found.offset))
        widths = [
            _adaptive_width(patterns[i], y, x, radius / 2)
            for i, y, x in zip(of[strong], found.y[strong], found.x[strong], strict=True)
        ]
        last, radius = radius, float(np.clip(2 * np.nanmedian(widths), 1.5, 3 * probe_radius + 3))
        if abs(radius - last) < 0.02 * radius:
            break
    return radius


def _adaptive_width(pattern: np.ndarray, row: float, column: float, sigma: float) -> float:
    """Standard deviation of a spot along one axis, pixels; NaN where it cannot be measured."""
    for _ in range(20):
        reach = math.ceil(4 * sigma)
        y0, x0 = round(float(row)) - reach, round(float(column)) - reach
        if y0 < 0 or x0 < 0:
            return np.nan
        window = pattern[y0 : y0 + 2 * reach + 1, x0 : x0 + 2 * reach + 1]
        if window.shape != (2 * reach + 1, 2 * reach + 1):
            return np.nan
        y, x = np.indices(window.shape)
        distance = (y + y0 - row) ** 2 + (x + x0 - column) ** 2
        outer = distance > (3.2 * sigma) ** 2
        weight = np.exp(-0.5 * distance / sigma**2) * (window - np.median(window[outer]))
        if weight.sum() <= 0:
            return np.nan
        measured = (weight * distance).sum() / weight.sum() / 2
        if not 0 < measured < 0.9 * sigma**2:
            return np.nan
        # Product of two Gaussians: 1 / measured = 1 / sigma_spot^2 + 1 / sigma_weight^2.
        spot = 1 / math.sqrt(1 / measured - 1 / sigma**2)
        if abs(spot - sigma) < 1e-3:
            return spot
        sigma = spot
    return sigma


def measure_beam_radius(
    patterns: np.ndarray, centres: np.ndarray, *, probe_radius: float, spot_radius: float,
    mask: np.ndarray,
) -> float:  # fmt: skip
    """Radius around the direct beam inside which no spots should be looked for, pixels.

    At least the beam's and a spot's radius, and as far as the mean radial profile, from the beam
    outwards, falls by more than a quarter over half a spot radius.
    """
    ny, nx = mask.shape
    y, x = np.indices(mask.shape)
    size = math.ceil(math.hypot(ny, nx)) + 1
    total, number = np.zeros(size), np.zeros(size)
    for pattern, (row, column) in zip(patterns, centres, strict=True):
        ring = np.hypot(y - row, x - column)[mask].astype(int)
        total += np.bincount(np.minimum(ring, size - 1), pattern[mask], size)
        number += np.bincount(np.minimum(ring, size - 1), minlength=size)
    profile = total[number > 0] / number[number > 0]
    start = math.ceil(probe_radius)
    fall = -np.diff(np.log(np.maximum(profile, 1e-12 + 1e-9 * profile.max())))
    steep = fall[start:] * spot_radius / 2 > 0.25
    reach = start + (len(steep) if steep.all() else int(np.argmin(steep)))
    return float(max(probe_radius + spot_radius, min(reach, min(ny, nx) / 4)))


# ---------------------------------------------------------------------------- scale and ellipse


@dataclass(frozen=True)
class AffineFit:
    """What must be done to nominal frequencies: q_true = matrix (q - outward q / |q|^2) - shift.

    `covariance` is that of (xx, xy, yy, shift x, shift y, outward) with grains as independent
    units; `phase_share` belongs to the phases. `residual` (spots, 2) is what the fit leaves of
    each of the spots `q` (spots, 2), nominal; NaN for one that belongs to no reflection.
    """

    matrix: np.ndarray
    covariance: np.ndarray
    shift: np.ndarray
    outward: float
    sigma: float
    q: np.ndarray
    residual: np.ndarray
    patterns_used: int
    spots_used: int
    grains: int
    phase_share: np.ndarray


def fit_affine(
    found: xr.Dataset,
    orientations: xr.Dataset,
    crystals: Sequence,
    *,
    voltage_kv: float,
    precession_deg: float,
    scale_search: float = 0.02,
) -> AffineFit:
    """Symmetric 2x2 matrix and shift that bring nominal spots onto the candidate crystals.

    Parameters
    ----------
    found
        SPOTS dataset in nominal 1/angstrom.
    orientations
        ORIENTATIONS dataset of the same positions, right to a degree or two, whatever the scale.
    crystals
        Candidate phases in the order of `orientations`; each pattern may be any of them.
    scale_search
        Relative half width of the search for the scale.

    Every spot belongs to one of a pattern's predicted reflections, with a weight proportional to
    abs(F) and to how well it is excited, or to a uniform background; every pattern to one of its
    candidate orientations. The likelihood of this mixture is climbed by expectation and
    maximisation with Gauss-Newton steps (Dempster et al., J. R. Stat. Soc. B 39, 1, 1977) from
    several scales, for phases a few per cent apart mistake each other's scale. A phase that
    predicts many reflections pays for those that are not there.

    Where the diffuse background falls outwards, a camera whose response is not linear amplifies
    the outer flank of a spot more than the inner one, and its maximum moves outwards: by its
    variance times the slope of the response's logarithm, which under counts^gamma on a background
    radius^-p is (1 - gamma) p / radius. So an outward shift in proportion to 1 / |q| is fitted
    beside scale and ellipse. Ignored, it reads as a scale 0.03 to 0.05 % too small in the virtual
    scans of a camera with a gamma of 0.57, and as none with 1.

    Standard errors are of the sandwich form with grains as units (Liang and Zeger, Biometrika 73,
    13, 1986), plus a model error of 1.5e-4, as virtual scans show it. They leave out an error of
    the candidates' own cells, which all scans share.

    Raises
    ------
    InputError
        If there are fewer than three patterns with enough spots and an orientation.
    """
    problem = _AffineProblem(found, orientations, crystals, voltage_kv, precession_deg)
    steps = max(1, math.ceil(scale_search / (2 * _SCALE_STEP)))
    scales = 1 + np.linspace(-scale_search, scale_search, 2 * steps + 1)
    starts = [
        problem.climb(_State.start(scale, problem.rotation), _ROUGH_STEPS) for scale in scales
    ]
    likeliest = max(starts, key=lambda state: state.log_likelihood)
    return problem.summary(problem.climb(likeliest, _FINE_STEPS))


@dataclass(frozen=True)
class _State:
    """Parameters of the joint fit: xx, xy, yy, shift x and y, outward; rotation matrices; width."""

    parameters: np.ndarray
    rotation: np.ndarray  # (patterns, candidates, 3, 3)
    sigma: float
    phase_share: np.ndarray  # of candidates' phases
    log_likelihood: float = -np.inf

    @classmethod
    def start(cls, scale: float, rotation: np.ndarray) -> _State:
        parameters = np.array([scale, 0.0, scale, 0.0, 0.0, 0.0])
        return cls(parameters, rotation, _START_SIGMA, np.empty(0))


class _AffineProblem:
    """Spots, candidate orientations and reflections in the form that the kernel takes."""

    def __init__(self, found, orientations, crystals, voltage_kv, precession_deg):
        from scipy.spatial.transform import Rotation

        rotation = orientations["rotation"].values
        rotation = rotation.reshape(-1, *rotation.shape[2:]).astype(float)  # pattern, phase, rank
        rank = rotation.shape[2]
        counts = found["count"].values.ravel()
        known = np.isfinite(rotation).all(axis=-1)
        used = np.flatnonzero(known.any(axis=(1, 2)) & (counts > 0))
        if len(used) < 3:
            raise InputError(
                found.attrs.get("scan", ""), f"only {len(used)} patterns could be indexed",
                field="scale", remedy="check the candidate phases and the nominal scale",
            )  # fmt: skip
        rotation = rotation[used].reshape(len(used), -1, 4)
        known = known[used].reshape(len(used), -1)
        rotation[~known] = [1, 0, 0, 0]
        flat = Rotation.from_quat(rotation.reshape(-1, 4), scalar_first=True)
        self.rotation = flat.inv().as_matrix().reshape(*known.shape, 3, 3)
        self.known = known
        self.phase = np.repeat(np.arange(len(crystals)), rank)
        offset = found["offset"].values
        q = np.stack([found["qx"].values, found["qy"].values], axis=1).astype(float)
        self.offset = np.concatenate([[0], np.cumsum(counts[used])])
        self.q = np.concatenate([q[offset[i] : offset[i] + counts[i]] for i in used])
        radius = np.linalg.norm(self.q, axis=1)
        self.q_range = (max(0.9 * radius.min(), 0.02), radius.max() + 0.02)
        reflections = [c.reflections(1 / (1.03 * self.q_range[1])) for c in crystals]
        self.g = np.concatenate([q for _, q, _ in reflections])
        self.amplitude = np.concatenate(
            [np.sqrt(power / np.mean(power)) for _, _, power in reflections]
        )
        self.g_offset = np.concatenate([[0], np.cumsum([len(q) for _, q, _ in reflections])])
        self.wavelength = electron_wavelength(voltage_kv)
        self.precession = math.radians(precession_deg)
        self.crystals = crystals
        self.first_orientation = rotation[:, 0]
        self.first_known = known[:, 0]

    def evaluate(self, state: _State):
        """Log-likelihood of each candidate, its normal equations, sum of r^2 and of inliers."""
        return _mixture(
            self.q, self.offset, state.rotation, self.known, self.phase, self.g, self.amplitude,
            self.g_offset, state.parameters, state.sigma, self.wavelength, self.precession,
            self.q_range[0], self.q_range[1], OUTLIER_SHARE,
        )  # fmt: skip

    def climb(self, state: _State, steps: int) -> _State:
        share = state.phase_share
        if not share.size:
            share = np.full(self.phase.max() + 1, 1 / (self.phase.max() + 1))
        parameters, rotation, sigma = state.parameters, state.rotation, state.sigma
        for _ in range(steps):
            now = _State(parameters, rotation, sigma, share)
            likelihood, normal, gradient, squares, inliers = self.evaluate(now)
            weight, total = self._responsibility(likelihood, share)
            move, turns = _joint_step(normal, gradient, weight, parameters)
            parameters = parameters + move
            rotation = _turn(rotation, turns)
            sigma = math.sqrt((weight * squares).sum() / max(2 * (weight * inliers).sum(), 1e-9))
            sigma = min(max(sigma, _LEAST_SIGMA), _MOST_SIGMA)
            of_phase = np.bincount(self.phase, weight.sum(axis=0), minlength=len(share))
            share = (of_phase + 1) / (of_phase.sum() + len(share))
        likelihood = self.evaluate(_State(parameters, rotation, sigma, share))[0]
        total = self._responsibility(likelihood, share)[1]
        total -= 0.5 * (parameters[5] / _OUTWARD_SIGMA) ** 2
        return _State(parameters, rotation, sigma, share, float(total))

    def _responsibility(self, likelihood, share):
        """Posterior of each pattern's candidates, and the log-likelihood of all patterns."""
        joint = likelihood + np.log(share[self.phase])
        joint[~self.known] = -np.inf
        highest = joint.max(axis=1, keepdims=True)
        weight = np.exp(joint - highest)
        total = weight.sum(axis=1, keepdims=True)
        return weight / total, float((highest + np.log(total)).sum())

    def summary(self, state: _State) -> AffineFit:
        likelihood, normal, gradient, _, _ = self.evaluate(state)
        weight, _ = self._responsibility(likelihood, state.phase_share)
        information, score = _trusted(*_profiled(normal, gradient, weight))
        grain = self._grains()
        xx, xy, yy = state.parameters[:3]
        covariance = _covariance_by_unit(information, score, grain)
        covariance[:3, :3] += np.diag([1.0, 0.5, 1.0]) * _MODEL_ERROR**2 * (xx * yy - xy**2)
        return AffineFit(
            matrix=np.array([[xx, xy], [xy, yy]]),
            covariance=covariance,
            shift=state.parameters[3:5],
            outward=float(state.parameters[5]),
            sigma=state.sigma,
            q=self.q,
            residual=self._residuals(state, weight.argmax(axis=1)),
            patterns_used=len(self.known),
            spots_used=len(self.q),
            grains=int(grain.max() + 1),
            phase_share=state.phase_share,
        )

    def _residuals(self, state: _State, candidate: np.ndarray) -> np.ndarray:
        """Measured minus predicted, 1/angstrom, of spots more likely indexed than stray."""
        residual = np.full(self.q.shape, np.nan)
        for i, k in enumerate(candidate):
            reflections = slice(self.g_offset[self.phase[k]], self.g_offset[self.phase[k] + 1])
            predicted = _predict(
                state.rotation[i, k], self.g[reflections], self.amplitude[reflections],
                state.parameters, self.wavelength, self.precession, *self.q_range,
            )  # fmt: skip
            of_pattern = slice(self.offset[i], self.offset[i + 1])
            q = _corrected(self.q[of_pattern], state.parameters)
            off = q[:, None] - predicted[:, :2]
            density = predicted[:, 3] * np.exp(-0.5 * np.sum(off**2, axis=-1) / state.sigma**2)
            total = density.sum(axis=1)
            stray = (
                2 * state.sigma**2 * OUTLIER_SHARE / (self.q_range[1] ** 2 - self.q_range[0] ** 2)
            )
            indexed = total > stray
            mean = np.einsum("sm,smi->si", density[indexed], off[indexed]) / total[indexed, None]
            residual[of_pattern][indexed] = mean
        return residual

    def _grains(self) -> np.ndarray:
        """Number of the grain of each pattern; patterns of one grain share their errors.

        Orientations under the first phase are compared, up to the turns of a cube and the half turn
        about the beam: those which indexing may mistake for each other, and which twins have.
        """
        from orix.quaternion import symmetry
        from scipy.sparse.csgraph import connected_components

        from phasefront.rotations import HALF_TURN, misorientation, multiply

        own, cube = self.crystals[0].symmetry, symmetry.O.data
        here = self.first_orientation
        near = np.eye(len(here), dtype=bool)
        for there in (here, multiply(here, HALF_TURN)):
            for group in (own, cube):
                angle = misorientation(here[:, None], there[None], group)
                near |= angle < _SAME_GRAIN_DEG
        near &= self.first_known[:, None] & self.first_known
        np.fill_diagonal(near, True)
        return connected_components(near, directed=False)[1]


def _covariance_by_unit(information, score, unit) -> np.ndarray:
    """Covariance of the shared parameters by leaving out one unit at a time, to first order.

    The jackknife form of the sandwich (Bell and McCaffrey, Surv. Methodol. 28, 169, 2002), which
    few units of unequal size do not make too small. Information (patterns, n, n), score (patterns,
    n), number of each pattern's unit.
    """
    number = unit.max() + 1
    total = information.sum(axis=0) + _prior_information()
    of_unit = np.zeros((number, _SHARED, _SHARED))
    np.add.at(of_unit, unit, information)
    scores = np.zeros((number, _SHARED))
    np.add.at(scores, unit, score)
    if number <= _SHARED:  # too few to tell their own scatter
        return np.linalg.inv(total)
    # Not quite all of a unit, so that one which alone fixes a parameter leaves a finite matrix.
    left = total - (1 - 1e-3) * of_unit
    moves = np.linalg.solve(left, scores[..., None])[..., 0]
    return (number - 1) / number * moves.T @ moves


def _prior_information() -> np.ndarray:
    prior = np.zeros((_SHARED, _SHARED))
    prior[5, 5] = 1 / _OUTWARD_SIGMA**2
    return prior


def _corrected(q: np.ndarray, parameters: np.ndarray) -> np.ndarray:
    """True frequencies (n, 2) of nominal ones, by the parameters of the joint fit."""
    xx, xy, yy, shift_x, shift_y, outward = parameters
    inwards = q * (1 - outward / np.sum(q**2, axis=1, keepdims=True))
    return inwards @ np.array([[xx, xy], [xy, yy]]) - np.array([shift_x, shift_y])


def _joint_step(normal, gradient, weight, parameters):
    """Gauss-Newton step of the shared parameters, and of each candidate's rotation given it."""
    information, score = _trusted(*_profiled(normal, gradient, weight))
    prior = _prior_information()
    move = np.linalg.solve(information.sum(axis=0) + prior, score.sum(axis=0) - prior @ parameters)
    inner = np.linalg.inv(normal[..., _SHARED:, _SHARED:])
    rest = gradient[..., _SHARED:] - normal[..., _SHARED:, :_SHARED] @ move
    turns = np.einsum("pkij,pkj->pki", inner, rest)
    return move, turns


def _profiled(normal, gradient, weight):
    """Information on the shared parameters with rotations eliminated, and score, by pattern."""
    inner = np.linalg.inv(normal[..., _SHARED:, _SHARED:])
    cross = normal[..., :_SHARED, _SHARED:] @ inner
    information = normal[..., :_SHARED, :_SHARED] - cross @ normal[..., _SHARED:, :_SHARED]
    profiled = gradient[..., :_SHARED] - np.einsum("pkij,pkj->pki", cross, gradient[..., _SHARED:])
    return np.einsum("pk,pkij->pij", weight, information), np.einsum("pk,pki->pi", weight, profiled)


def _trusted(information, score):
    """Both weighted by how well each pattern agrees with the shared parameters.

    A pattern of two crystals, or of a phase that is no candidate, pulls in a direction of its own.
    Its pull is measured by score' information^-1 score and cut by Tukey's biweight, which is 0
    where that is nine times what half of the patterns stay below.
    """
    ridge = 1e-6 * np.einsum("pii->p", information)[:, None, None] * np.eye(_SHARED)
    pull = np.einsum(
        "pi,pi->p", score, np.linalg.solve(information + ridge, score[..., None])[..., 0]
    )
    trust = np.clip(1 - pull / max(9 * np.median(pull), 1e-12), 0, None) ** 2
    return information * trust[:, None, None], score * trust[:, None]


def _turn(rotation, turns):
    from scipy.spatial.transform import Rotation

    small = Rotation.from_rotvec(turns.reshape(-1, 3)).as_matrix().reshape(rotation.shape)
    return small @ rotation


@njit(parallel=True, cache=True)
def _mixture(
    q,
    offset,
    rotation,
    known,
    phase,
    g,
    amplitude,
    g_offset,
    parameters,
    sigma,
    wavelength,
    precession,
    q_low,
    q_high,
    outliers,
):  # pragma: no cover - compiled
    patterns, candidates = known.shape
    likelihood = np.full((patterns, candidates), -np.inf)
    normal = np.zeros((patterns, candidates, 9, 9))
    gradient = np.zeros((patterns, candidates, 9))
    squares = np.zeros((patterns, candidates))
    inliers = np.zeros((patterns, candidates))
    for i in prange(patterns):
        for k in range(candidates):
            first, last = g_offset[phase[k]], g_offset[phase[k] + 1]
            if known[i, k]:
                predicted = _predict(
                    rotation[i, k], g[first:last], amplitude[first:last], parameters, wavelength,
                    precession, q_low, q_high,
                )  # fmt: skip
                likelihood[i, k], squares[i, k], inliers[i, k] = _compare(
                    q[offset[i] : offset[i + 1]], predicted, parameters, sigma, q_low, q_high,
                    outliers, normal[i, k], gradient[i, k],
                )  # fmt: skip
            # A step of a pattern that says nothing about its orientation stays within a degree.
            for a in range(6, 9):
                normal[i, k, a, a] += 1 / 0.017**2
    return likelihood, normal, gradient, squares, inliers


@njit(cache=True)
def _predict(rotation, g, amplitude, parameters, wavelength, precession, q_low, q_high):
    """Reflections near the Ewald sphere: x, y, z in the frame, weight, and its logarithm's slope.

    Electrons travel along -z: the excitation error is g_z - wavelength g^2 / 2. Weights have the
    sum 1; the slope is against z, before that is enforced.
    """
    scale = math.sqrt(parameters[0] * parameters[2] - parameters[1] ** 2)
    low, high = (scale * q_low) ** 2, (scale * q_high) ** 2
    table = np.empty((g.shape[0], 5))
    n, total = 0, 0.0
    for m in range(g.shape[0]):
        z = rotation[2, 0] * g[m, 0] + rotation[2, 1] * g[m, 1] + rotation[2, 2] * g[m, 2]
        length2 = g[m, 0] ** 2 + g[m, 1] ** 2 + g[m, 2] ** 2
        width2 = EXCITATION_WIDTH**2 + 0.5 * precession**2 * length2
        error = z - 0.5 * wavelength * length2
        if error * error > 6.25 * width2:
            continue
        x = rotation[0, 0] * g[m, 0] + rotation[0, 1] * g[m, 1] + rotation[0, 2] * g[m, 2]
        y = rotation[1, 0] * g[m, 0] + rotation[1, 1] * g[m, 1] + rotation[1, 2] * g[m, 2]
        if low <= x * x + y * y <= high:
            table[n, 0], table[n, 1], table[n, 2] = x, y, z
            table[n, 3] = amplitude[m] * math.exp(-0.5 * error * error / width2)
            table[n, 4] = -error / width2
            total += table[n, 3]
            n += 1
    table[:n, 3] /= max(total, 1e-30)
    return table[:n]


@njit(cache=True)
def _compare(q, predicted, parameters, sigma, q_low, q_high, outliers, normal, gradient):
    """Log-likelihood of a pattern's spots; adds to the normal equations of 6 + 3 parameters.

    Densities are per area of the camera in nominal units, hence the determinant; an outward shift
    in proportion to 1 / q leaves areas alone to first order.
    """
    xx, xy, yy, shift_x, shift_y, outward = parameters
    determinant = xx * yy - xy * xy
    uniform = outliers / (math.pi * (q_high**2 - q_low**2))
    peak = (1 - outliers) * determinant / (2 * math.pi * sigma**2)
    total, squares, inliers = 0.0, 0.0, 0.0
    row_x, row_y = np.zeros(9), np.zeros(9)
    drawn_x, drawn_y = 0.0, 0.0
    share = np.empty(predicted.shape[0])
    for j in range(q.shape[0]):
        length2 = q[j, 0] ** 2 + q[j, 1] ** 2
        out_x, out_y = q[j, 0] / length2, q[j, 1] / length2
        q_x, q_y = q[j, 0] - outward * out_x, q[j, 1] - outward * out_y
        x = xx * q_x + xy * q_y - shift_x
        y = xy * q_x + yy * q_y - shift_y
        density = uniform
        for m in range(predicted.shape[0]):
            distance2 = (x - predicted[m, 0]) ** 2 + (y - predicted[m, 1]) ** 2
            share[m] = 0.0
            if distance2 < 25 * sigma**2:
                share[m] = peak * predicted[m, 3] * math.exp(-0.5 * distance2 / sigma**2)
                density += share[m]
        total += math.log(density)
        for m in range(predicted.shape[0]):
            if share[m] < 1e-6 * density:
                continue
            weight = share[m] / density
            dx, dy = x - predicted[m, 0], y - predicted[m, 1]
            squares += weight * (dx * dx + dy * dy)
            inliers += weight
            row_x[0], row_x[1], row_x[3] = q_x, q_y, -1.0
            row_y[1], row_y[2], row_y[4] = q_x, q_y, -1.0
            row_x[5] = -(xx * out_x + xy * out_y)
            row_y[5] = -(xy * out_x + yy * out_y)
            row_x[7], row_x[8] = -predicted[m, 2], predicted[m, 1]
            row_y[6], row_y[8] = predicted[m, 2], -predicted[m, 0]
            drawn_x += weight * predicted[m, 4] * predicted[m, 1]
            drawn_y -= weight * predicted[m, 4] * predicted[m, 0]
            w = weight / sigma**2
            for a in range(9):
                gradient[a] -= w * (row_x[a] * dx + row_y[a] * dy)
                for b in range(9):
                    normal[a, b] += w * (row_x[a] * row_x[b] + row_y[a] * row_y[b])
    _add_tilt(predicted, inliers, drawn_x, drawn_y, normal, gradient)
    gradient[0] += inliers * yy / determinant
    gradient[1] -= 2 * inliers * xy / determinant
    gradient[2] += inliers * xx / determinant
    return total, squares, inliers


@njit(cache=True)
def _add_tilt(predicted, inliers, drawn_x, drawn_y, normal, gradient):
    """What the choice of excited reflections says about the tilt: score and Fisher information.

    A turn about x moves a reflection along z by its y, a turn about y by minus its x.
    """
    mean_x, mean_y, square_x, square_y, product = 0.0, 0.0, 0.0, 0.0, 0.0
    for m in range(predicted.shape[0]):
        by_x = predicted[m, 4] * predicted[m, 1]
        by_y = -predicted[m, 4] * predicted[m, 0]
        mean_x += predicted[m, 3] * by_x
        mean_y += predicted[m, 3] * by_y
        square_x += predicted[m, 3] * by_x * by_x
        square_y += predicted[m, 3] * by_y * by_y
        product += predicted[m, 3] * by_x * by_y
    gradient[6] += drawn_x - inliers * mean_x
    gradient[7] += drawn_y - inliers * mean_y
    normal[6, 6] += inliers * (square_x - mean_x**2)
    normal[7, 7] += inliers * (square_y - mean_y**2)
    normal[6, 7] += inliers * (product - mean_x * mean_y)
    normal[7, 6] += inliers * (product - mean_x * mean_y)


# ------------------------------------------------------------------------------------ the stage


def calibrate(
    scan,
    *,
    name: str,
    crystals: Sequence,
    templates: xr.Dataset,
    scale_nominal: float,
    scale_search: float = 0.02,
    patterns: int = 250,
    false_alarms: float = 0.1,
) -> xr.Dataset:
    """Calibrate a raw scan from itself: one pass over the file, and a few rows before.

    Parameters
    ----------
    scan
        `scans.Scan`.
    name
        Identifier of the scan.
    crystals, templates
        Candidate phases and their TEMPLATES dataset.
    scale_nominal
        1/angstrom per pixel, right to within `scale_search`.
    patterns
        Number of patterns, spread over the scan, that scale and ellipse are fitted on.

    Returns
    -------
    CALIBRATION dataset.

    Raises
    ------
    InputError
        Values that are not finite, patterns without a direct beam, or too few that can be indexed.
    """
    geometry = _Geometry.measure(scan, 4 * patterns)
    found = spots.find_pixel_spots(
        geometry.sample, geometry.sample_centres, spot_radius=geometry.spot_radius,
        beam_radius=geometry.beam_radius, mask=geometry.mask, false_alarms=false_alarms,
    )  # fmt: skip
    nominal = _nominal_spots(
        found,
        geometry.sample_centres,
        scale_nominal,
        patterns,
        float(templates.attrs["max_radius"]),
    )
    fit = index_and_fit(nominal.assign_attrs(scan=name), crystals, templates, scale_search)
    affine = scale_nominal * fit.matrix
    return geometry.dataset(
        affine=affine,
        affine_covariance=scale_nominal**2 * fit.covariance[:3, :3],
        shift=np.linalg.solve(affine, fit.shift),
        shift_variance=np.trace(fit.covariance[3:5, 3:5]) / 2 / scale_nominal**2,
        outward=fit.outward / scale_nominal**2,
        outward_stderr=math.sqrt(fit.covariance[5, 5]) / scale_nominal**2,
        residuals=_binned(
            fit.q / scale_nominal, np.linalg.solve(affine, fit.residual.T).T, geometry.mask.shape
        ),
        attributes={
            "scan": name, "method": "spots of the scan against its candidate phases",
            "spots_used": fit.spots_used, "residual_rms": fit.sigma,
            "patterns_used": fit.patterns_used, "grains_used": fit.grains,
            "phase_share": fit.phase_share,
        },
    )  # fmt: skip


def calibrate_centres(scan, *, name: str, scale_nominal: float) -> xr.Dataset:
    """Centres, radii and usable pixels of a scan whose phases are not known; the scale is nominal.

    Like `calibrate`, but affine is `scale_nominal` times the identity and its errors are NaN.
    """
    return _Geometry.measure(scan, 64).dataset(
        affine=scale_nominal * np.eye(2), affine_covariance=np.full((3, 3), np.nan),
        shift=np.zeros(2), residuals=_binned(np.empty((0, 2)), np.empty((0, 2)), (2, 2)),
        attributes={
            "scan": name, "method": "nominal scale", "spots_used": 0, "residual_rms": np.nan,
        },
    )  # fmt: skip


def calibrate_with_standard(scan, *, name: str, standard: xr.Dataset) -> xr.Dataset:
    """Centres, radii and usable pixels from the scan; scale and ellipse from a standard.

    `standard` is a CALIBRATION dataset of the same camera, such as `calibrate_rings` gives.
    """
    found = calibrate_centres(scan, name=name, scale_nominal=standard["scale"].item())
    of_camera = ("affine", "affine_stderr", "scale", "scale_stderr")
    of_ellipse = ("ellipse_ratio", "ellipse_ratio_stderr", "ellipse_angle")
    of_residuals = ("residual_y", "residual_x", "residual_count")
    return (
        found.drop_vars(["bin_y", "bin_x"])
        .assign(
            {variable: standard[variable] for variable in of_camera + of_ellipse + of_residuals}
        )
        .assign_attrs(method=standard.attrs["method"], residual_rms=standard.attrs["residual_rms"])
    )


@dataclass(frozen=True)
class _Geometry:
    """What a scan says about beam and camera, without any crystal; lengths in pixels."""

    centres: np.ndarray  # fitted surface (ny, nx, 2)
    residual: np.ndarray
    stderr: float
    probe_radius: float
    spot_radius: float
    beam_radius: float
    mask: np.ndarray
    sample: np.ndarray  # patterns spread over the scan
    sample_centres: np.ndarray

    @classmethod
    def measure(cls, scan, wanted: int) -> _Geometry:
        mean = _mean_pattern(scan)
        if mean.max() <= mean.min():
            raise InputError(
                scan.path, f"every pixel of the mean pattern is {mean.max():g}",
                remedy="check the camera's acquisition and export the scan again",
            )  # fmt: skip
        row, column, probe_radius = find_beam(mean)
        mask = usable_pixels(mean, (row, column))
        measured, sample, places = _centres_and_sample(
            scan, (row, column), probe_radius, mask, wanted
        )
        if not np.isfinite(measured).any():
            measured = np.broadcast_to(np.array([row, column]), measured.shape)
        centres, residual, stderr = fit_surface(measured)
        at = centres.reshape(-1, 2)[places]
        few, at_few = (values[:: max(1, len(sample) // 64)] for values in (sample, at))
        spot_radius = measure_spot_radius(few, at_few, probe_radius=probe_radius, mask=mask)
        beam_radius = measure_beam_radius(
            few, at_few, probe_radius=probe_radius, spot_radius=spot_radius, mask=mask
        )
        return cls(
            centres, residual, stderr, probe_radius, spot_radius, beam_radius, mask, sample, at
        )

    def dataset(self, *, shift, shift_variance=0.0, **fitted) -> xr.Dataset:
        return _dataset(
            centres=self.centres + shift[::-1], residual=self.residual,
            error=math.sqrt(self.stderr**2 + shift_variance), probe_radius=self.probe_radius,
            spot_radius=self.spot_radius, beam_radius=self.beam_radius, mask=self.mask, **fitted,
        )  # fmt: skip


def index_and_fit(
    found: xr.Dataset, crystals: Sequence, templates: xr.Dataset, scale_search: float
) -> AffineFit:
    """Orientations of nominal spots by template matching, then `fit_affine` on them."""
    from phasefront.orientations import find_orientations

    orientations = find_orientations(found, templates, crystals, n_best=2, min_spots=6,
        scale_sigma=scale_search / 2, centre_sigma=0.003,
    )  # fmt: skip
    return fit_affine(
        found, orientations, crystals, scale_search=scale_search,
        voltage_kv=float(templates.attrs["voltage_kv"]),
        precession_deg=float(templates.attrs["precession_deg"]),
    )  # fmt: skip


def _mean_pattern(scan) -> np.ndarray:
    """Mean over rows spread evenly over the scan."""
    rows = sample_rows(scan.shape[0])
    total = np.zeros(scan.shape[2:])
    for row in rows:
        block = scan.read_rows(row, row + 1)
        spots.require_finite(block, slice(row, row + 1), scan.path)
        total += block[0].mean(axis=0, dtype=float)
    return total / len(rows)


def _centres_and_sample(scan, start, radius, mask, wanted):
    """Centre of every pattern, and up to `wanted` patterns on a regular net with their places."""
    ny, nx, ky, kx = scan.shape
    affordable = max(1, _SAMPLE_BYTES // (ky * kx * scan.dtype.itemsize))
    net = max(1, math.ceil(math.sqrt(ny * nx / min(wanted, affordable))))
    measured = np.empty((ny, nx, 2))
    sample, places = [], []
    for rows, block in scan.blocks():
        spots.require_finite(block, rows, scan.path)
        flat = block.reshape(-1, ky, kx)
        measured[rows] = find_centres(flat, start, radius=radius, mask=mask).reshape(-1, nx, 2)
        for k, row in enumerate(range(rows.start, rows.stop)):
            if row % net == net // 2 or ny <= net:
                columns = np.arange(min(net // 2, nx - 1), nx, net)
                sample.append(block[k, columns])
                places.append(row * nx + columns)
    return measured, np.concatenate(sample), np.concatenate(places)


def _nominal_spots(found, centres, scale, patterns, max_radius) -> xr.Dataset:
    """Spots in nominal 1/angstrom of the patterns, spread evenly, that have enough of them."""
    of = np.repeat(np.arange(len(centres)), np.diff(found.offset))
    qx = scale * (found.x - centres[of, 1])
    qy = scale * (found.y - centres[of, 0])
    near = np.hypot(qx, qy) <= max_radius
    count = np.bincount(of[near], minlength=len(centres))
    chosen = _spread(np.flatnonzero(count >= 6), patterns)
    keep = near & np.isin(of, chosen)
    return _spots_dataset(
        count[chosen], qx[keep], qy[keep], found.intensity[keep], found.variance[keep]
    )


def _spread(places: np.ndarray, wanted: int) -> np.ndarray:
    if len(places) <= wanted:
        return places
    return places[np.linspace(0, len(places) - 1, wanted).round().astype(int)]


def _spots_dataset(count, qx, qy, intensity, variance) -> xr.Dataset:
    return netcdf.build(
        layouts.SPOTS,
        {
            "count": np.asarray(count)[None],
            "offset": np.concatenate([[0], np.cumsum(count)]),
            "qx": qx,
            "qy": qy,
            "intensity": intensity,
            "variance": variance,
        },
        {"scan": "", "scan_step_nm": np.nan},
    )


def _binned(place, residual, camera: tuple[int, int], weight=None) -> dict:
    """Mean residual over squares of the camera around the beam; NaN where few of them lie.

    Places and residuals (n, 2) as x, y in pixels, the places from the beam; residuals may be NaN.
    """
    weight = np.ones(len(place)) if weight is None else weight
    edges = np.linspace(-0.5, 0.5, _BINS + 1) * max(camera)
    middles = (edges[1:] + edges[:-1]) / 2
    known = np.isfinite(residual).all(axis=1)
    place, residual, weight = place[known, ::-1], residual[known], weight[known]

    def summed(values):
        return np.histogramdd(place, [edges, edges], weights=values)[0]

    count = summed(np.ones(len(place)))
    total = np.where(count >= _LEAST_IN_BIN, summed(weight), np.nan)
    x, y = (summed(weight * part) / total for part in residual.T)
    return {
        "bin_y": middles, "bin_x": middles, "residual_y": y, "residual_x": x,
        "residual_count": count,
    }  # fmt: skip


def _dataset(*, affine, affine_covariance, centres, residual, error, probe_radius, spot_radius,
             beam_radius, mask, attributes, residuals, outward=0.0,
             outward_stderr=math.nan) -> xr.Dataset:  # fmt: skip
    scale, ratio, angle = _shape_of(affine)
    xx, xy, yy = np.sqrt(np.diag(affine_covariance))
    return netcdf.build(
        layouts.CALIBRATION,
        {
            "centre_y": centres[..., 0],
            "centre_x": centres[..., 1],
            "centre_residual": residual,
            "centre_stderr": error,
            "affine": affine,
            "affine_stderr": [[xx, xy], [xy, yy]],
            "scale": scale,
            "scale_stderr": _propagate(_scale_of, affine, affine_covariance),
            "ellipse_ratio": ratio,
            "ellipse_ratio_stderr": _propagate(_ratio_of, affine, affine_covariance),
            "ellipse_angle": angle,
            "probe_radius": probe_radius,
            "spot_radius": spot_radius,
            "beam_radius": beam_radius,
            "mask": mask,
            "outward_shift": outward,
            "outward_shift_stderr": outward_stderr,
            **residuals,
        },
        attributes,
    )


def _shape_of(affine: np.ndarray) -> tuple[float, float, float]:
    """Scale, long over short axis of a ring on the camera, and direction of the long one (degrees).

    A ring is long where a pixel is worth little: along the smaller eigenvalue.
    """
    values, vectors = np.linalg.eigh(affine)
    x, y = vectors[:, 0]
    return (
        math.sqrt(values[0] * values[1]),
        float(values[1] / values[0]),
        math.degrees(math.atan2(y, x)) % 180.0,
    )


def _scale_of(affine):
    return _shape_of(affine)[0]


def _ratio_of(affine):
    return _shape_of(affine)[1]


def _propagate(quantity, affine, covariance) -> float:
    """Standard error of a quantity of the affine, by first-order propagation.

    A ratio of nearly 1 has no derivative where it is 1: the mean over both signs of a step of one
    standard error stands for it.
    """
    if not np.isfinite(covariance).all():
        return math.nan
    steps = np.linalg.cholesky(covariance + 1e-30 * np.eye(3)).T
    spread = 0.0
    for xx, xy, yy in steps:
        step = np.array([[xx, xy], [xy, yy]])
        spread += (0.5 * (quantity(affine + step) - quantity(affine - step))) ** 2
    return math.sqrt(spread)


# ---------------------------------------------------------------------------- rings of a standard


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
    row, column, probe_radius = find_beam(image)
    mask = usable_pixels(image, (row, column))
    coarse = _RingProblem(image, mask, d_spacings, (row, column), scale_nominal, name, every=3)
    steps = np.arange(-scale_search, scale_search + 1e-9, 2 * _SCALE_STEP)
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
    return _dataset(
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
        return _binned(place, stretch[:, None] * place, camera, slope[on_ring] ** 2)

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
