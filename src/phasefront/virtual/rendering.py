"""Expected patterns: spots with the profile of the probe, on a diffuse background."""

from __future__ import annotations

import numpy as np
from numba import njit

from phasefront.virtual.specimen import Columns

CAMERA_PIXELS = 144  # a side, as ASTAR has
# The frame, spots and background are made up to look like those of a genuine ASTAR file; a test
# compares them. Radius of the beam's disk and standard deviation of the blur of screen and lens,
# pixels.
_DISK_RADIUS, _BLUR = 1.6, 1.05
# Diffuse background over the radius: (1 + (r / radius)^2)^-power, radius in pixels.
_DIFFUSE_RADIUS, _DIFFUSE_POWER = 4.0, 0.62


_STAMP_REACH = 7  # pixels; a disk of 1.6 under that blur has less than 1e-6 of its light beyond
# Share of the light that the screen scatters widely.
HALO_SHARE = 0.2


def spot_width() -> float:
    """Standard deviation of a spot along one axis, pixels."""
    return float(np.hypot(_DISK_RADIUS / 2, _BLUR))


def spot_profile(radius: np.ndarray) -> np.ndarray:
    """Light per square pixel at a distance from a spot's centre: disk under Gaussian blur."""
    from scipy.special import ive

    inner, step = np.linspace(0, _DISK_RADIUS, 81, retstep=True)
    outer = np.asarray(radius, float)[..., None]
    ring = inner * np.exp(-((outer - inner) ** 2) / (2 * _BLUR**2))
    ring = ring * ive(0, outer * inner / _BLUR**2)
    integral = (ring.sum(axis=-1) - 0.5 * (ring[..., 0] + ring[..., -1])) * step
    return integral * 2 / (2 * np.pi * _DISK_RADIUS**2 * _BLUR**2)


def diffuse_profile(radius: np.ndarray) -> np.ndarray:
    """Diffuse light per square pixel, all of it on a frame with the beam in the middle."""

    def shape(r):
        return (1 + (r / _DIFFUSE_RADIUS) ** 2) ** -_DIFFUSE_POWER

    along = np.arange(CAMERA_PIXELS) - (CAMERA_PIXELS - 1) / 2
    return shape(np.asarray(radius, float)) / shape(np.hypot(along[:, None], along)).sum()


_TABLE_STEP = 0.05  # pixels, of the profile's table: a twentieth of the blur, read linearly


def render_rows(table, columns: Columns, centres, affine, rows: slice) -> np.ndarray:
    """Share of the beam's electrons expected at each pixel, (rows, nx, pixel, pixel)."""
    first, last = rows.start * centres.shape[1], rows.stop * centres.shape[1]
    images = np.empty((last - first, CAMERA_PIXELS, CAMERA_PIXELS), np.float32)
    _render(
        images, first, centres.reshape(-1, 2), np.linalg.inv(affine),
        columns.offset, columns.pattern, columns.cosine, columns.sine,
        columns.lower, columns.upper_weight, columns.share, columns.direct, columns.elastic,
        table["offset"].values, table["qx"].values, table["qy"].values, table["intensity"].values,
        spot_profile(np.arange(0, _STAMP_REACH * 1.6, _TABLE_STEP)),
        diffuse_profile(np.arange(0, CAMERA_PIXELS * 1.6, _TABLE_STEP)),
    )  # fmt: skip
    return images.reshape(-1, centres.shape[1], CAMERA_PIXELS, CAMERA_PIXELS)


def render_plain(table, columns: Columns, centres, affine, position: int) -> np.ndarray:
    """What `_render` computes, for one position, in plain NumPy."""
    centre = centres.reshape(-1, 2)[position]
    offset, intensity = table["offset"].values, table["intensity"].values
    q = np.stack([table["qx"].values, table["qy"].values], axis=1).astype(float)
    row, column = np.mgrid[:CAMERA_PIXELS, :CAMERA_PIXELS].astype(float)
    kept = (1 - HALO_SHARE) * columns.elastic[position]
    places, amounts = [centre], [kept * columns.direct[position]]
    for crystal in range(columns.offset[position], columns.offset[position + 1]):
        pattern, lower = columns.pattern[crystal], columns.lower[crystal]
        spots = slice(offset[pattern], offset[pattern + 1])
        cosine, sine = columns.cosine[crystal], columns.sine[crystal]
        turned = q[spots] @ np.array([[cosine, sine], [-sine, cosine]])
        places.extend(centre + (turned @ np.linalg.inv(affine).T)[:, ::-1])
        weight = columns.upper_weight[crystal]
        mean = (1 - weight) * intensity[spots, lower] + weight * intensity[spots, lower + 1]
        amounts.extend(kept * columns.share[crystal] * mean)
    image = diffuse_profile(np.hypot(row - centre[0], column - centre[1])) * (1 - sum(amounts))
    for (y, x), amount in zip(places, amounts, strict=True):
        near = (abs(row - np.rint(y)) <= _STAMP_REACH) & (abs(column - np.rint(x)) <= _STAMP_REACH)
        image[near] += amount * spot_profile(np.hypot(row[near] - y, column[near] - x))
    return image


@njit(cache=True, nogil=True)
def _look_up(profile, radius):
    place = radius / _TABLE_STEP
    below = int(place)
    part = place - below
    return (1 - part) * profile[below] + part * profile[below + 1]


@njit(cache=True, nogil=True)
def _stamp(image, y, x, amount, profile):
    middle_y, middle_x = round(y), round(x)
    for row in range(max(0, middle_y - _STAMP_REACH), min(len(image), middle_y + _STAMP_REACH + 1)):
        for column in range(
            max(0, middle_x - _STAMP_REACH), min(len(image), middle_x + _STAMP_REACH + 1)
        ):
            distance = np.sqrt((row - y) ** 2 + (column - x) ** 2)
            image[row, column] += amount * _look_up(profile, distance)


@njit(cache=True, nogil=True)
def _render(
    images, first, centres, to_pixels, column_offset, pattern, cosine, sine, lower, upper_weight,
    share, direct, elastic, spot_offset, qx, qy, intensity, spot_profile, diffuse_profile,
):  # fmt: skip
    for index in range(len(images)):
        image, position = images[index], first + index
        image[:] = 0
        centre_y, centre_x = centres[position]
        kept = (1 - HALO_SHARE) * elastic[position]
        _stamp(image, centre_y, centre_x, kept * direct[position], spot_profile)
        diffuse = 1 - kept * direct[position]
        for crystal in range(column_offset[position], column_offset[position + 1]):
            low, weight = lower[crystal], upper_weight[crystal]
            for spot in range(spot_offset[pattern[crystal]], spot_offset[pattern[crystal] + 1]):
                amount = (1 - weight) * intensity[spot, low] + weight * intensity[spot, low + 1]
                amount *= kept * share[crystal]
                turned_x = cosine[crystal] * qx[spot] - sine[crystal] * qy[spot]
                turned_y = sine[crystal] * qx[spot] + cosine[crystal] * qy[spot]
                x = centre_x + to_pixels[0, 0] * turned_x + to_pixels[0, 1] * turned_y
                y = centre_y + to_pixels[1, 0] * turned_x + to_pixels[1, 1] * turned_y
                _stamp(image, y, x, amount, spot_profile)
                diffuse -= amount
        for row in range(len(image)):
            for column in range(len(image)):
                distance = np.sqrt((row - centre_y) ** 2 + (column - centre_x) ** 2)
                image[row, column] += diffuse * _look_up(diffuse_profile, distance)
