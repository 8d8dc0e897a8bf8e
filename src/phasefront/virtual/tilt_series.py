"""A tilt series of one virtual particle, as PETS2 would leave it: cell, settings and peaks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from phasefront.diffraction.cell_path import Path as CellPath
from phasefront.diffraction.cells import parameters_of, strained_axes
from phasefront.diffraction.optics import electron_wavelength
from phasefront.tomography.settings import CENTRES

_REACH = 1.4  # of spots, 1/angstrom: a camera at 300 mm or so; chosen
_LEAST = 0.1  # 1/angstrom, what the beam's own disk hides; chosen
_STEP_DEG = 0.36  # between frames, as in a real series of PETS2
# E.s.d. that a real PETS2 states of a cell that is off by 3 %: of lengths (angstrom) and angles.
_PROMISED = (0.0004, 0.0072, 0.0005, 0.020, 0.007, 0.018)


@dataclass(frozen=True)
class Microscope:
    """What a tilt series suffers from."""

    stretch: float = 0.0  # difference of the half axes of what should be a circle, relative
    stretch_deg: float = 0.0  # direction of the longer, from the tilt axis
    camera_length: float = 0.0  # relative error
    position_sigma: float = 0.003  # 1/angstrom, as spots are off in a real series
    strain_sigma: float = 0.0  # of each strain of what else distorts a series
    tilt_range_deg: float = 110.0
    voltage_kv: float = 200.0


def cell_at(path: CellPath, phase: int, content: float) -> np.ndarray:
    """Rows a, b, c (3, 3), angstrom, in a phase's setting, of the cell at an ion content.

    On the straight lines between the phases' cells, with the symmetry of `phase`.
    """
    contents, knots = path.knots(phase)
    strain = np.array([np.interp(content, contents, column) for column in knots.T])
    return strained_axes(path.crystals[phase], strain[None])[0]


def write_series(
    folder: Path,
    axes: np.ndarray,
    microscope: Microscope,
    *,
    seed: int,
    spots: int,
    centring: str = "P",
) -> list[str]:
    """Write `.celllist`, `.pts` and `.xyz` of a crystal in a random orientation; their paths.

    Parameters
    ----------
    axes
        (3, 3), rows a, b, c of its cell, angstrom.
    spots
        How many peaks, drawn from those that cross the Ewald sphere.
    centring
        Letter of its lattice; only reflections that it allows are there.

    A peak is where its reflection crosses the Ewald sphere, taken as flat, on the nearest frame.
    The cell stated is what least squares find on the peaks, with a real program's e.s.d.
    """
    from scipy.spatial.transform import Rotation

    random = np.random.default_rng(seed)
    turned = axes @ Rotation.random(rng=random).as_matrix()
    reciprocal = np.linalg.inv(turned).T
    noise = random.normal(0.0, microscope.strain_sigma, (3, 3))
    # Off the diagonal a strain of the orthonormal basis has the root of 2 in two places.
    strain = np.triu(noise, 1) / np.sqrt(2)
    reciprocal = reciprocal @ (np.eye(3) + strain + strain.T + np.diag(np.diag(noise)))
    hkl, q = _reflections(reciprocal, np.reshape(CENTRES[centring], (-1, 3)))
    # The beam is along (0, sin t, cos t) at the tilt t; a reflection crosses where it lies across.
    tilt = np.degrees(np.arctan(np.divide(-q[:, 2], q[:, 1], where=q[:, 1] != 0, out=q[:, 2] * 0)))
    crossing = np.flatnonzero(np.abs(tilt) <= microscope.tilt_range_deg / 2)
    chosen = random.choice(crossing, min(spots, len(crossing)), replace=False)
    angle = np.radians(_STEP_DEG * np.round(tilt[chosen] / _STEP_DEG))
    across = np.stack([np.zeros_like(angle), np.cos(angle), -np.sin(angle)], axis=1)
    place = np.stack([q[chosen, 0], np.sum(q[chosen] * across, axis=1)], axis=1)
    place = place @ _distortion(microscope)
    place += random.normal(0.0, microscope.position_sigma, place.shape)
    peaks = place[:, :1] * [1.0, 0.0, 0.0] + place[:, 1:] * across
    found = np.linalg.lstsq(hkl[chosen], peaks, rcond=None)[0]
    tilts = np.arange(-microscope.tilt_range_deg / 2, microscope.tilt_range_deg / 2, _STEP_DEG)
    return _written(folder, found, peaks, tilts, microscope.voltage_kv, centring)


def _reflections(reciprocal: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    most = np.ceil(_REACH * np.linalg.norm(np.linalg.inv(reciprocal), axis=0)).astype(int)
    grid = np.stack(np.meshgrid(*(np.arange(-m, m + 1) for m in most), indexing="ij"), axis=-1)
    hkl = grid.reshape(-1, 3)
    phase = hkl @ points.T
    hkl = hkl[(np.abs(phase - np.round(phase)) < 1e-6).all(axis=1)]
    q = hkl @ reciprocal
    length = np.linalg.norm(q, axis=1)
    seen = (length > _LEAST) & (length < _REACH)
    return hkl[seen], q[seen]


def _distortion(microscope: Microscope) -> np.ndarray:
    """(2, 2), what becomes of places along and across the tilt axis; symmetric."""
    angle = np.radians(microscope.stretch_deg)
    longer = np.array([np.cos(angle), np.sin(angle)])
    stretch = microscope.stretch * (np.outer(longer, longer) - np.eye(2) / 2)
    return (1 + microscope.camera_length) * (np.eye(2) + stretch)


def _written(folder, reciprocal, peaks, tilts, voltage_kv, centring) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    cell = parameters_of(np.linalg.inv(reciprocal).T[None])[0]
    parts = {
        "celllist": [
            "cellItem active", "ubmatrix",
            *("".join(f"{value:12.6f}" for value in row) for row in reciprocal.T),
            "cell" + "".join(f"{value:10.4f}" for value in cell),
            "cellsu" + "".join(f"{value:10.4f}" for value in _PROMISED),
            f"cellCentering {centring}", "endCellItem",
        ],
        "pts": [
            f"lambda {electron_wavelength(voltage_kv):.6f}", "imagelist",
            *(f"{n:05d}.tiff {tilt:9.4f} 0.0 0.0 1.0 0 0 0 1" for n, tilt in enumerate(tilts)),
            "endimagelist",
        ],
        "xyz": ["".join(f"{value:11.5f}" for value in peak) for peak in peaks],
    }  # fmt: skip
    paths = []
    for end, lines in parts.items():
        path = folder / f"particle.{end}"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        paths.append(str(path))
    return paths
