"""Virtual scans as lists of spots, without camera images: seconds become hundredths.

A spot is a Gaussian of the camera's spot width, filtered with another of the same width, as a spot
finder does it. What it finds are the maxima of the sum of all, so spots of two grains, or of two
phases, that are not resolved become one in between. Noise is Poisson's, of the spots and of the
diffuse background, with the camera's read noise; the standard error of a position is that of a
Gaussian peak (Winick, J. Opt. Soc. Am. A 3, 1809, 1986). Counts are those of a linear camera.

Three numbers were set on finished SPOTS of the virtual camera (three scans of 64 x 64 positions at
1e7 electrons, found spots of single crystals beside the electrons that the Bloch waves put there):
`_READ_FACTOR`, so that half of the spots of about 1200 electrons are found; `_FLOOR_PX`, the error
of the brightest spots; `_FALSE_SPOTS`, from vacuum and from spots without a reflection. Errors of
scale, ellipse and centre are as large as those calibrations' were, and the four numbers of the
diffuse level are those of the SCAN datasets.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from numba import njit

from phasefront.core import netcdf
from phasefront.layouts.spots import DISTORTION_ERRORS, SPOTS
from phasefront.spots.detection import detection_threshold
from phasefront.virtual import film, rendering
from phasefront.virtual.specimen import Specimen

# Read noise over the camera's own: dark pixels below a count and rounding add to it.
_READ_FACTOR = 1.25
_FLOOR_PX = 0.01  # error of a position that no dose removes
_FALSE_SPOTS = 0.04  # per pattern
_BEAM_RADIUS_PX = 7.9  # no spots are looked for inside it
# Standard errors of the calibration: relative ones of scale and ellipse, and of the centre.
_DISTORTION, _CENTRE_PX = 1e-4, 0.006
_FALSE_ALARMS = 0.1  # spots of noise in a pattern, the default of the stage
# Level between the spots, counts, where all of the beam is scattered diffusely; what the camera
# adds to it, as a share of the beam; noise relative to the excess over vacuum, and in counts.
_LEVEL, _GLARE, _LEVEL_NOISE, _LEVEL_NOISE_COUNTS = 53.0, 0.1, 0.03, 0.15
_GAMMA = 0.567  # of the virtual camera, see `camera`
# Spots with less than this share of what is detected alone are background.
_FAINT = 0.03
_STEPS, _STILL = 60, 1e-4  # of the search for a maximum; pixels
_SAME_PX = 0.5  # two searches that end within this distance found one maximum
_REACH = 4.0  # standard deviations beyond which a spot is not felt


def simulate_spots(
    specimen: Specimen, *, scale: float, dose: float, seed: int, max_radius: float = 1.2
) -> tuple[xr.Dataset, xr.Dataset]:
    """Bragg vectors of a scan over a specimen, and its truth.

    Parameters
    ----------
    scale
        1/angstrom per pixel of the camera.
    dose
        Electrons per pattern.
    seed
        Of the noise and of the calibration's errors.
    max_radius
        Largest spatial frequency of a spot, 1/angstrom.

    Returns
    -------
    SPOTS and TRUTH datasets. The affine map of TRUTH is a distortion that the calibration left
    (spatial frequencies, not pixels, stand for its pixels), with centres in 1/angstrom.
    """
    rng = np.random.default_rng([seed, 3])
    shape = specimen.thickness.shape[1:]
    affine = np.eye(2) + _DISTORTION * _symmetric(rng)
    centre = scale * _CENTRE_PX * rng.normal(size=2)
    offset, x, y, height = expected_spots(specimen, scale=scale, dose=dose, max_radius=max_radius)
    of = np.repeat(np.arange(len(offset) - 1), np.diff(offset))
    sigma = rendering.spot_width()
    pixel = _pixel_noise(specimen, np.hypot(x, y), of, dose)
    amplitude_noise = np.sqrt(4 * np.pi * pixel) * sigma
    measured = height + np.sqrt(amplitude_noise**2 + height) * rng.standard_normal(len(height))
    threshold = detection_threshold(
        rendering.CAMERA_PIXELS**2, spot_radius=2 * sigma, false_alarms=_FALSE_ALARMS
    )
    error = np.sqrt(sigma**2 / height + 2 * (sigma * amplitude_noise / height) ** 2 + _FLOOR_PX**2)
    place = scale * (np.stack([x, y]) + error * rng.standard_normal((2, len(height))))
    found = measured > threshold * amplitude_noise
    of, place, measured = of[found], place[:, found], measured[found]
    noise = amplitude_noise[found]

    false = rng.poisson(_FALSE_SPOTS, np.prod(shape))
    at = np.repeat(np.arange(len(false)), false)
    q, azimuth = (
        np.sqrt(rng.uniform((scale * _BEAM_RADIUS_PX) ** 2, max_radius**2, len(at))),
        (rng.uniform(0, 2 * np.pi, len(at))),
    )
    false_noise = np.sqrt(4 * np.pi * _pixel_noise(specimen, q / scale, at, dose)) * sigma
    of = np.concatenate([of, at])
    place = np.concatenate([place, q * np.stack([np.cos(azimuth), np.sin(azimuth)])], axis=1)
    measured = np.concatenate([measured, threshold * false_noise])
    noise = np.concatenate([noise, false_noise])

    order = np.argsort(of, kind="stable")
    count = np.bincount(of, minlength=np.prod(shape))
    qx, qy = np.linalg.inv(affine) @ place[:, order] + centre[:, None]
    counts = film.counts_per_electron(dose)
    spots = netcdf.build(
        SPOTS,
        {
            "count": count.reshape(shape), "offset": np.concatenate([[0], np.cumsum(count)]),
            "qx": qx, "qy": qy, "intensity": counts * measured[order],
            "variance": counts**2 * (noise**2 + measured)[order],
            **dict(zip(DISTORTION_ERRORS, _DISTORTION * np.sqrt([0.5, 0.5, 1.0]), strict=True)),
        },
        {name: specimen.attributes[name] for name in ("scan", "scan_step_nm")},
    )  # fmt: skip
    truth = specimen.truth(np.broadcast_to(centre[::-1], (*shape, 2)), affine)
    return spots, truth.assign_attrs({"dose": dose})


def simulate_diffuse(specimen: Specimen, *, seed: int) -> np.ndarray:
    """Level between the spots (ny, nx), counts of a camera with a gamma: it grows with thickness.

    The diffuse share of the beam is what neither the screen's halo nor the specimen leaves over.
    """
    elastic = specimen.columns.elastic.reshape(specimen.thickness.shape[1:])

    def level(elastic):
        return _LEVEL * (_GLARE + 1 - (1 - rendering.HALO_SHARE) * elastic) ** _GAMMA

    noise = np.random.default_rng([seed, 4]).standard_normal((2, *elastic.shape))
    excess = (level(elastic) - level(1.0)) * (1 + _LEVEL_NOISE * noise[0])
    return level(1.0) + excess + _LEVEL_NOISE_COUNTS * noise[1]


def expected_spots(
    specimen: Specimen, *, scale: float, dose: float, max_radius: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Maxima of each pattern without noise: first one of each position, x, y (pixels from the beam)
    and height (electrons of a single spot that would be as high)."""
    columns, table = specimen.columns, specimen.table
    # Electrons that a spot needs to be seen, where there is least background.
    least = _FAINT * np.sqrt(4 * np.pi) * rendering.spot_width() * _read_noise(dose)
    kept = dose * (1 - rendering.HALO_SHARE) * columns.elastic
    position = np.repeat(np.arange(len(columns.direct)), np.diff(columns.offset))
    count, peaks = _find_maxima(
        columns.offset, columns.pattern, columns.cosine / scale, columns.sine / scale,
        columns.lower, columns.upper_weight, columns.share * kept[position],
        table["offset"].values, table["qx"].values, table["qy"].values, table["intensity"].values,
        rendering.spot_width(), least, _BEAM_RADIUS_PX, max_radius / scale,
    )  # fmt: skip
    return np.concatenate([[0], np.cumsum(count)]), *peaks.T


def _symmetric(rng: np.random.Generator) -> np.ndarray:
    stretch, shear, other = rng.normal(size=3)
    return np.array([[stretch, shear], [shear, other]])


def _read_noise(dose: float) -> float:
    """Electrons per pixel."""
    return _READ_FACTOR * film.READ_NOISE_COUNTS / film.counts_per_electron(dose)


def _pixel_noise(
    specimen: Specimen, radius: np.ndarray, position: np.ndarray, dose: float
) -> np.ndarray:
    """Variance of a pixel, electrons squared, at radii in pixels of patterns at positions."""
    kept = (1 - rendering.HALO_SHARE) * specimen.columns.elastic[position]
    diffuse = 1 - kept  # of the beam; what is left in the direct beam and in spots is not
    return dose * diffuse * rendering.diffuse_profile(radius) + _read_noise(dose) ** 2


@njit(cache=True)
def _find_maxima(
    column_offset, pattern, cosine, sine, lower, upper_weight, electrons, spot_offset, qx, qy,
    intensity, sigma, least, inner, outer,
):  # fmt: skip
    """Number of maxima of each position, and x, y and height of all (n, 3); lengths in pixels."""
    positions = len(column_offset) - 1
    count = np.zeros(positions, np.int64)
    total, peaks = 0, np.empty((1024, 3))
    for position in range(positions):
        own = 0
        for crystal in range(column_offset[position], column_offset[position + 1]):
            own += spot_offset[pattern[crystal] + 1] - spot_offset[pattern[crystal]]
        spots, number = np.empty((own, 3)), 0
        for crystal in range(column_offset[position], column_offset[position + 1]):
            low, weight = lower[crystal], upper_weight[crystal]
            for spot in range(spot_offset[pattern[crystal]], spot_offset[pattern[crystal] + 1]):
                share = (1 - weight) * intensity[spot, low] + weight * intensity[spot, low + 1]
                if share * electrons[crystal] >= least:
                    spots[number, 0] = cosine[crystal] * qx[spot] - sine[crystal] * qy[spot]
                    spots[number, 1] = sine[crystal] * qx[spot] + cosine[crystal] * qy[spot]
                    spots[number, 2] = share * electrons[crystal]
                    number += 1
        if total + own > len(peaks):
            longer = np.empty((2 * (total + own), 3))
            # An array into part of one would have numba compile the words of its errors.
            for k in range(total):
                for part in range(3):
                    longer[k, part] = peaks[k, part]
            peaks = longer
        first = total
        for start in np.argsort(-spots[:number, 2]):
            x, y, height = _climb(spots[:number], spots[start, 0], spots[start, 1], sigma)
            known = False
            for other in range(first, total):
                away = (peaks[other, 0] - x) ** 2 + (peaks[other, 1] - y) ** 2
                known |= away < _SAME_PX**2
            if not known and inner <= np.sqrt(x**2 + y**2) <= outer:
                peaks[total, 0], peaks[total, 1], peaks[total, 2] = x, y, height
                total += 1
        count[position] = total - first
    return count, peaks[:total]


@njit(cache=True)
def _climb(spots, x, y, sigma):
    """The maximum of the filtered spots that is uphill of a place, by weighted centroids."""
    variance = 2 * sigma**2
    height = 0.0
    for _ in range(_STEPS):
        height, mean_x, mean_y = 0.0, 0.0, 0.0
        for spot in range(len(spots)):
            away = (spots[spot, 0] - x) ** 2 + (spots[spot, 1] - y) ** 2
            if away < _REACH**2 * variance:
                part = spots[spot, 2] * np.exp(-away / (2 * variance))
                height += part
                mean_x += part * spots[spot, 0]
                mean_y += part * spots[spot, 1]
        mean_x, mean_y = mean_x / height, mean_y / height
        step = (mean_x - x) ** 2 + (mean_y - y) ** 2
        x, y = mean_x, mean_y
        if step < _STILL**2:
            break
    return x, y, height
