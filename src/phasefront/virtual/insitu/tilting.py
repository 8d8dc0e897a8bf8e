"""What a small tilt of a crystal does to its spots in the table of Bloch waves.

The table has no neighbouring orientations, so a tilt is taken kinematically: each spot gets
brighter or fainter as its visibility at the new excitation error is to that at the old one, and all
spots of a pattern keep their sum. Spots that the table left out as too weak stay out.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy.spatial.transform import Rotation

from phasefront.diffraction.excitation import REFINED
from phasefront.diffraction.optics import electron_wavelength

# Chosen: a spot that was nearly extinct gets brighter at most by so much.
_MOST_GAIN = 10.0


def reciprocal_of(table: xr.Dataset, patterns: np.ndarray) -> np.ndarray:
    """Reciprocal lattice (3, 3), rows a*, b*, c* in the crystal's axes, 1/angstrom, that spots of
    patterns of one phase lie on: least squares over their two coordinates."""
    offset, hkl = table["offset"].values, table["hkl"].values.astype(float)
    rows, wanted = [], []
    for pattern in patterns:
        spots = slice(offset[pattern], offset[pattern + 1])
        turn = _orientation(table, pattern).inv().as_matrix()[:2]
        # q_i = sum over j, k of turn_ik h_j reciprocal_jk.
        rows.append(np.einsum("ik,nj->nijk", turn, hkl[spots]).reshape(-1, 9))
        q = np.stack([table[name].values[spots] for name in ("qx", "qy")], axis=1)
        wanted.append(q.reshape(-1))
    found = np.linalg.lstsq(np.concatenate(rows), np.concatenate(wanted), rcond=None)[0]
    return found.reshape(3, 3)


def tilt(table: xr.Dataset, vectors: dict[int, np.ndarray], reciprocal: np.ndarray) -> xr.Dataset:
    """A BLOCH_WAVES table in which some patterns of one phase are tilted.

    Parameters
    ----------
    vectors
        Rotation vectors (3,) in radian by number of the pattern, in the table's frame.
    reciprocal
        Of the phase, `reciprocal_of`.
    """
    values = {name: table[name].values.copy() for name in ("qx", "qy", "intensity")}
    offset, hkl = table["offset"].values, table["hkl"].values.astype(float)
    wavelength = electron_wavelength(table.attrs["voltage_kv"])
    precession = np.deg2rad(table.attrs["precession_deg"])
    for pattern, vector in vectors.items():
        spots = slice(offset[pattern], offset[pattern + 1])
        g = _orientation(table, pattern).inv().apply(hkl[spots] @ reciprocal)
        radius = np.linalg.norm(g, axis=1)

        def visibility(g, radius=radius):
            error = g[:, 2] - 0.5 * wavelength * radius**2
            return REFINED.visibility(error, radius, precession)

        tilted = Rotation.from_rotvec(vector).apply(g)
        gain = np.minimum(visibility(tilted) / visibility(g), _MOST_GAIN)[:, None]
        before = values["intensity"][spots]
        after = before * gain
        values["intensity"][spots] = after * (before.sum(axis=0) / after.sum(axis=0))
        values["qx"][spots], values["qy"][spots] = tilted[:, 0], tilted[:, 1]
    return table.assign({name: table[name].copy(data=data) for name, data in values.items()})


def _orientation(table: xr.Dataset, pattern: int) -> Rotation:
    return Rotation.from_quat(table["rotation"].values[pattern], scalar_first=True)
