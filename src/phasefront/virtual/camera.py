"""A virtual scan: dynamical spots of virtual grains, filmed as ASTAR films them, in a `.blo` file.

ASTAR's camera looks at a phosphor screen: spots are blurred, the beam in the middle is far over
the range of its 8 bits, a diffuse halo lies under everything, and the stored values are
compressed by the camera's gamma. The constants below were set by eye against a genuine file.
"""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from numba import njit

from phasefront.maps.frames import in_pattern, plane_matrix
from phasefront.virtual import bloch_waves, specimen
from phasefront.virtual.conditions import Conditions
from phasefront.virtual.particles import VirtualPhase
from phasefront.virtual.specimen import DIFFUSE_PATH_NM, Columns, at_thickness, turned

if TYPE_CHECKING:
    from phasefront.experiment.settings.instruments import Camera

CAMERA_PIXELS = 144
# Radius of the beam's disk and standard deviation of the blur of screen and lens, pixels.
_DISK_RADIUS, _BLUR = 1.6, 1.05
_STAMP_REACH = 7
# Share of the light that the screen scatters widely.
HALO_SHARE = 0.2
# Diffuse background over the radius: (1 + (r / radius)^2)^-power, radius in pixels.
_DIFFUSE_RADIUS, _DIFFUSE_POWER = 4.0, 0.62
# The direct beam in vacuum, times what saturates the camera.
_OVEREXPOSURE = 70.0
# Dark level and glare at the top and at the bottom of the frame, and read noise, counts.
_GLARE_COUNTS, READ_NOISE_COUNTS = (0.5, 3.0), 1.1
_FULL_SCALE, _COUNT_STEP = 255.0, 1 / 64
_FEW_ELECTRONS = 30.0
# Pixel of the header of a genuine file: 62.26 pixels per cm.
_PIXELS_PER_CM = 62.26
# Rows of the scan rendered at once.
_ROWS = 4


def simulate_scan(
    path: str | Path,
    *,
    scan: str,
    material: str,
    phases: list[VirtualPhase],
    ion_content: float,
    insertion_model: str,
    scale_nominal: float,
    seed: int,
    shape: tuple[int, int] = (64, 64),
    scan_step_nm: float = 10.0,
    grains: int = 14,
    thickness_nm: tuple[float, float] = (28.0, 85.0),
    front_normal: tuple[float, float, float] = (1.0, 0.0, 0.0),
    scale_error: float = 0.005,
    ellipse_ratio: float = 1.01,
    ellipse_angle_deg: float = 35.0,
    descan_px: float = 2.5,
    dose: float = 1e7,
    gamma: float = 0.567,
    camera: Camera | None = None,
    conditions: Conditions = Conditions(),  # noqa: B008 - frozen
    threads: int = 1,
    intensities: str | Path = bloch_waves.DATA_FILE,
) -> xr.Dataset:
    """Write a scan over virtual grains as an ASTAR block file and return its truth.

    Each grain takes a lattice orientation of the table at random and a random turn in the plane.
    Phases of one grain share its lattice; a column's patterns add by their share of the thickness.
    Where two grains overlap, each one's spots are weakened by what the other takes out of the
    beam. Patterns are made and written a few rows at a time, so memory does not grow with the scan.

    Parameters
    ----------
    material, phases
        Of the Bloch-wave table `intensities`.
    ion_content
        Mean over the grains, ions per formula unit; the lever rule between the two phases around
        it gives molar fractions.
    insertion_model, front_normal
        See `particles.react`; the normal of a straight front is in the Cartesian axes of the first
        phase's crystal.
    scale_nominal, scale_error
        1/angstrom per pixel as the header says it; the truth is `scale_nominal (1 + scale_error)`.
    ellipse_ratio, ellipse_angle_deg
        Long over short axis of a ring on the camera; direction of the long one, from x towards y.
    descan_px
        How far the beam's centre drifts to each side over the scan, pixels.
    dose
        Electrons per pattern.
    gamma
        Stored value = 255 (counts / 255)^gamma; 1 for a linear camera.
    camera
        How the patterns lie to the image of the scan; as it where None.
    conditions
        Beam stop, liquid and bad pixels.
    threads
        Rows rendered at the same time; the bytes do not depend on it.

    Returns
    -------
    TRUTH dataset, with orientations in the frame of the patterns. Beyond the layout its attributes
    hold the arguments that shape the scan, and phase_ion_content and phase_formula_volume
    (angstrom^3), one value a phase.

    Raises
    ------
    InputError
        Unknown material, phase or insertion model; an ion content outside the phases' range; more
        grains than the table has orientations.
    """
    grown = specimen.make_specimen(
        scan=scan, material=material, phases=phases, ion_content=ion_content,
        insertion_model=insertion_model, seed=seed, shape=shape, scan_step_nm=scan_step_nm,
        grains=grains, thickness_nm=thickness_nm, front_normal=front_normal,
        intensities=intensities,
    )  # fmt: skip
    scale = scale_nominal * (1 + scale_error)
    affine = _affine(scale, ellipse_ratio, ellipse_angle_deg)
    to_scan = np.eye(2) if camera is None else plane_matrix(camera).T
    # A stream of its own: a change of the camera leaves the grains as they are.
    centres = _descan(shape, descan_px, np.random.default_rng([seed, 1]))

    def frames_of(rows: slice) -> np.ndarray:
        light = _render_rows(grown.table, grown.columns, centres, to_scan @ affine, rows)
        seen = conditions.dim(
            light.reshape(-1, *light.shape[2:]), centres[rows].reshape(-1, 2), scale,
            diffuse_profile,
        ).reshape(light.shape)  # fmt: skip
        rng = np.random.default_rng([seed, 2, rows.start])
        return conditions.spoil(_film(seen, dose=dose, gamma=gamma, rng=rng), int(_FULL_SCALE))

    _write_block_file(
        path, frames_of,
        columns=grown.columns, shape=shape, scan_step_nm=scan_step_nm,
        scale_nominal=scale_nominal, table=grown.table, gamma=gamma, threads=threads,
    )  # fmt: skip
    truth = grown.truth(centres, affine)
    for name in ("rotation", "second_rotation"):
        seen = in_pattern(truth[name].values.astype("f8"), camera)
        truth[name] = truth[name].copy(data=seen.astype("f4"))
    return truth.assign_attrs(
        {
            "scale_error": scale_error, "ellipse_ratio": ellipse_ratio,
            "ellipse_angle_deg": ellipse_angle_deg, "dose": dose, "gamma": gamma,
        }
    )  # fmt: skip


def film_crystals(
    path: str | Path,
    table: xr.Dataset,
    *,
    pattern: np.ndarray,
    turn: np.ndarray,
    thickness_nm: np.ndarray,
    scale: float,
    seed: int,
    dose: float = 1e7,
    threads: int = 1,
) -> np.ndarray:
    """Write a scan of one single crystal a position, seen by a linear camera without distortion.

    Parameters
    ----------
    table
        BLOCH_WAVES dataset.
    pattern, turn, thickness_nm
        What is at each position, (ny, nx): row of the table, turn in the plane from x towards y
        (radian), thickness.
    scale
        1/angstrom per pixel; the beam's centre is the middle of the frame.
    dose
        Electrons per pattern.

    Returns the orientations, frame to crystal, as quaternions (ny, nx, 4).
    """
    shape, nm = pattern.shape, thickness_nm.ravel()
    lower, upper_weight, direct = at_thickness(table, pattern.ravel(), nm)
    columns = Columns(
        offset=np.arange(pattern.size + 1), pattern=pattern.ravel(), cosine=np.cos(turn.ravel()),
        sine=np.sin(turn.ravel()), lower=lower, upper_weight=upper_weight,
        share=np.ones(pattern.size), direct=direct, elastic=np.exp(-nm / DIFFUSE_PATH_NM),
    )  # fmt: skip
    centres, affine = np.full((*shape, 2), (CAMERA_PIXELS - 1) / 2), scale * np.eye(2)
    _write_block_file(
        path,
        lambda rows: _film(
            _render_rows(table, columns, centres, affine, rows),
            dose=dose, gamma=1.0, rng=np.random.default_rng([seed, rows.start]),
        ),
        columns=columns, shape=shape, scan_step_nm=10.0, scale_nominal=scale, table=table,
        gamma=1.0, threads=threads,
    )  # fmt: skip
    own = table["rotation"].values[pattern.ravel()]
    return turned(own[None], turn.ravel())[0].reshape(*shape, 4)


def _affine(scale: float, ratio: float, angle_deg: float) -> np.ndarray:
    """q = affine (pixel - centre): rings are long by `ratio` along the angle, area kept."""
    angle = np.deg2rad(angle_deg)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return scale * turn @ np.diag([ratio**-0.5, ratio**0.5]) @ turn.T


def _descan(shape, reach_px: float, rng) -> np.ndarray:
    """Centres (y, x, 2) as row and column: a smooth second-order drift around the middle."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    terms = np.stack([y, x, 0.3 * y * x, 0.3 * y**2, 0.3 * x**2], axis=-1)
    drift = terms @ rng.normal(size=(5, 2))
    drift -= (drift.max(axis=(0, 1)) + drift.min(axis=(0, 1))) / 2
    largest = np.abs(drift).max()
    middle = (CAMERA_PIXELS - 1) / 2 + rng.uniform(-1, 1, 2)
    return middle + drift * (reach_px / largest if largest > 0 else 0)


def spot_width() -> float:
    """Standard deviation of a spot along one axis, pixels."""
    return float(np.hypot(_DISK_RADIUS / 2, _BLUR))


def counts_per_electron(dose: float) -> float:
    """The exposure follows the dose: the direct beam is as far over the camera's range at any."""
    brightest = dose * (1 - HALO_SHARE) * _spot_profile(np.zeros(1))[0]
    return _OVEREXPOSURE * _FULL_SCALE / brightest


def _spot_profile(radius: np.ndarray) -> np.ndarray:
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


_TABLE_STEP = 0.05


def _render_rows(table, columns: Columns, centres, affine, rows: slice) -> np.ndarray:
    """Share of the beam's electrons expected at each pixel, (rows, nx, pixel, pixel)."""
    first, last = rows.start * centres.shape[1], rows.stop * centres.shape[1]
    images = np.empty((last - first, CAMERA_PIXELS, CAMERA_PIXELS), np.float32)
    _render(
        images, first, centres.reshape(-1, 2), np.linalg.inv(affine),
        columns.offset, columns.pattern, columns.cosine, columns.sine,
        columns.lower, columns.upper_weight, columns.share, columns.direct, columns.elastic,
        table["offset"].values, table["qx"].values, table["qy"].values, table["intensity"].values,
        _spot_profile(np.arange(0, _STAMP_REACH * 1.6, _TABLE_STEP)),
        diffuse_profile(np.arange(0, CAMERA_PIXELS * 1.6, _TABLE_STEP)),
    )  # fmt: skip
    return images.reshape(-1, centres.shape[1], CAMERA_PIXELS, CAMERA_PIXELS)


def _render_plain(table, columns: Columns, centres, affine, position: int) -> np.ndarray:
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
        image[near] += amount * _spot_profile(np.hypot(row[near] - y, column[near] - x))
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


def _film(expected: np.ndarray, *, dose: float, gamma: float, rng) -> np.ndarray:
    """Stored 8-bit frames (..., pixel, pixel) from the share of electrons expected per pixel."""
    glare = np.linspace(*_GLARE_COUNTS, CAMERA_PIXELS)
    counts = np.arange(0, _FULL_SCALE + _COUNT_STEP, _COUNT_STEP)
    stored = np.rint(_FULL_SCALE * (counts / _FULL_SCALE) ** gamma)
    # Less than one count is dark; the genuine file has many zeros and nothing between 0 and 11.
    stored[counts < 1] = 0
    frames = np.empty(expected.shape, np.uint8)
    _count_electrons(
        frames.reshape(-1, CAMERA_PIXELS, CAMERA_PIXELS),
        expected.reshape(-1, CAMERA_PIXELS, CAMERA_PIXELS),
        dose, counts_per_electron(dose), glare, stored.astype(np.uint8), rng,
    )  # fmt: skip
    return frames


@njit(cache=True, nogil=True)
def _count_electrons(frames, expected, dose, counts_per_electron, glare, stored, rng):
    for index in range(len(frames)):
        for row in range(len(glare)):
            for column in range(len(glare)):
                mean = dose * expected[index, row, column]
                if mean < _FEW_ELECTRONS:
                    electrons = float(rng.poisson(mean))
                    noise = READ_NOISE_COUNTS
                else:  # normal to within the camera's steps, and ten times as fast
                    electrons = mean
                    noise = np.sqrt(mean * counts_per_electron**2 + READ_NOISE_COUNTS**2)
                counts = electrons * counts_per_electron + glare[row]
                counts += noise * rng.standard_normal()
                place = int(min(max(counts, 0.0), _FULL_SCALE) / _COUNT_STEP)
                frames[index, row, column] = stored[place]


def _write_block_file(
    path, frames_of, *, columns, shape, scan_step_nm, scale_nominal, table, gamma, threads
) -> None:
    """Write frames as an ASTAR block file; `frames_of(rows)` gives (rows, nx, pixel, pixel)."""
    import dask
    import dask.array
    from rsciio.blockfile import file_writer

    rows = dask.array.arange(shape[0], chunks=_ROWS)
    frames = dask.array.map_blocks(
        lambda numbers: frames_of(slice(int(numbers[0]), int(numbers[-1]) + 1)),
        rows, dtype=np.uint8, new_axis=[1, 2, 3], meta=np.empty((0, 0, 0, 0), np.uint8),
        chunks=(rows.chunks[0], (shape[1],), (CAMERA_PIXELS,), (CAMERA_PIXELS,)),
    )  # fmt: skip
    signal = {
        "data": frames,
        "axes": _axes(shape, scan_step_nm),
        "metadata": {},
        "original_metadata": {"blockfile_header": _header(table, scale_nominal, gamma)},
        "attributes": {"_lazy": True},
    }
    bright_field = np.rint(_FULL_SCALE * columns.direct * columns.elastic).reshape(shape)
    # The writer maps the file into memory: a disk that gets full then would kill the process.
    if shutil.disk_usage(Path(path).parent).free < frames.nbytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    with dask.config.set(scheduler="threads", num_workers=threads):
        file_writer(
            str(path), signal, navigator=bright_field.astype(np.uint8), show_progressbar=False
        )


def _axes(shape, scan_step_nm: float) -> list[dict]:
    pixel = (CAMERA_PIXELS, 1 / _PIXELS_PER_CM, "cm", False)
    sizes = [(shape[0], scan_step_nm, "nm", True), (shape[1], scan_step_nm, "nm", True)]
    names = ("y", "x", "dy", "dx")
    return [
        {
            "name": name, "index_in_array": index, "size": size, "scale": scale, "offset": 0.0,
            "units": units, "navigate": navigate,
        }
        for index, (name, (size, scale, units, navigate)) in enumerate(
            zip(names, [*sizes, pixel, pixel], strict=True)
        )
    ]  # fmt: skip


def _header(table, scale_nominal: float, gamma: float) -> dict:
    """Fields of the header that the axes do not give, as a genuine file fills them."""
    from scipy import constants

    volts = 1e3 * table.attrs["voltage_kv"]
    rest_energy = constants.m_e * constants.c**2
    energy = constants.e * volts
    wavelength = constants.h * constants.c / np.sqrt(energy * (energy + 2 * rest_energy))
    # A pixel of width p at camera length L is p / (L wavelength) in spatial frequency.
    length_m = 0.01 / _PIXELS_PER_CM / (1e10 * wavelength * scale_nominal)
    return {
        "UNKNOWN1": 131135,
        "Beam_energy": round(volts),
        "Camera_length": round(1e4 * length_m),
        "Acquisition_time": 45000.5,  # days since 1899-12-30; fixed, so that bytes repeat
        "Note": f"Precession angle : {table.attrs['precession_deg']:g}\r\n"
        f"Precession Frequency : 100\r\nCamera gamma : {'off' if gamma == 1 else 'on'}",
    }
