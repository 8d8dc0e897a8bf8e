"""Expected patterns: spots with the profile of the probe, on a diffuse background."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from phasefront.virtual.specimen import Columns

CAMERA_PIXELS = 144  # a side, as ASTAR has
# Share of the light that a phosphor screen scatters widely.
HALO_SHARE = 0.2


@dataclass(frozen=True)
class Screen:
    """How the light of a spot and of the background spreads; lengths in pixels."""

    disk_radius: float  # of the beam
    blur: float  # standard deviation
    halo_share: float  # of the light, scattered widely
    # Diffuse background over the radius: (1 + (r / radius)^2)^-power.
    diffuse_radius: float
    diffuse_power: float


# Made up to look like frames of a genuine ASTAR file; a test compares them.
PHOSPHOR = Screen(1.6, 1.05, HALO_SHARE, 4.0, 0.62)
# Made up: a camera behind optical fibres has sharper spots and less of a halo.
FIBRE = Screen(1.4, 0.7, 0.08, 5.0, 0.75)

_STAMP_REACH = 7  # pixels; a phosphor's disk and blur have less than 1e-6 of its light beyond


def spot_width() -> float:
    """Standard deviation of a phosphor's spot along one axis, pixels."""
    return float(np.hypot(PHOSPHOR.disk_radius / 2, PHOSPHOR.blur))


def spot_profile(radius: np.ndarray, screen: Screen = PHOSPHOR) -> np.ndarray:
    """Light per square pixel at a distance from a spot's centre: disk under Gaussian blur."""
    from scipy.special import ive

    disk, blur = screen.disk_radius, screen.blur
    inner, step = np.linspace(0, disk, 81, retstep=True)
    outer = np.asarray(radius, float)[..., None]
    ring = inner * np.exp(-((outer - inner) ** 2) / (2 * blur**2))
    ring = ring * ive(0, outer * inner / blur**2)
    integral = (ring.sum(axis=-1) - 0.5 * (ring[..., 0] + ring[..., -1])) * step
    return integral * 2 / (2 * np.pi * disk**2 * blur**2)


def diffuse_profile(radius: np.ndarray, screen: Screen = PHOSPHOR) -> np.ndarray:
    """Diffuse light per square pixel, all of it on a frame with the beam in the middle."""

    def shape(r):
        return (1 + (r / screen.diffuse_radius) ** 2) ** -screen.diffuse_power

    along = np.arange(CAMERA_PIXELS) - (CAMERA_PIXELS - 1) / 2
    return shape(np.asarray(radius, float)) / shape(np.hypot(along[:, None], along)).sum()


_TABLE_STEP = 0.05  # pixels, of the profile's table: a twentieth of the blur, read linearly


def render_rows(
    table, columns: Columns, centres, affine, rows: slice, screen: Screen = PHOSPHOR
) -> np.ndarray:
    """Share of the beam's electrons expected at each pixel, (rows, nx, pixel, pixel)."""
    first, last = rows.start * centres.shape[1], rows.stop * centres.shape[1]
    images = np.empty((last - first, CAMERA_PIXELS, CAMERA_PIXELS), np.float32)
    _render(
        images, first, centres.reshape(-1, 2), np.linalg.inv(affine),
        columns.offset, columns.pattern, columns.cosine, columns.sine,
        columns.lower, columns.upper_weight, columns.share, columns.direct, columns.elastic,
        table["offset"].values, table["qx"].values, table["qy"].values, table["intensity"].values,
        spot_profile(np.arange(0, _STAMP_REACH * 1.6, _TABLE_STEP), screen),
        diffuse_profile(np.arange(0, CAMERA_PIXELS * 1.6, _TABLE_STEP), screen),
        screen.halo_share,
    )  # fmt: skip
    return images.reshape(-1, centres.shape[1], CAMERA_PIXELS, CAMERA_PIXELS)


def render_plain(
    table, columns: Columns, centres, affine, position: int, screen: Screen = PHOSPHOR
) -> np.ndarray:
    """What `_render` computes, for one position, in plain NumPy."""
    centre = centres.reshape(-1, 2)[position]
    offset, intensity = table["offset"].values, table["intensity"].values
    q = np.stack([table["qx"].values, table["qy"].values], axis=1).astype(float)
    row, column = np.mgrid[:CAMERA_PIXELS, :CAMERA_PIXELS].astype(float)
    kept = (1 - screen.halo_share) * columns.elastic[position]
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
    image = diffuse_profile(np.hypot(row - centre[0], column - centre[1]), screen)
    image *= 1 - sum(amounts)
    for (y, x), amount in zip(places, amounts, strict=True):
        near = (abs(row - np.rint(y)) <= _STAMP_REACH) & (abs(column - np.rint(x)) <= _STAMP_REACH)
        image[near] += amount * spot_profile(np.hypot(row[near] - y, column[near] - x), screen)
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
    halo_share,
):  # fmt: skip
    for index in range(len(images)):
        image, position = images[index], first + index
        image[:] = 0
        centre_y, centre_x = centres[position]
        kept = (1 - halo_share) * elastic[position]
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
