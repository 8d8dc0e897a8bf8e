"""How well a position's spots fix the orientation of its crystal."""

from __future__ import annotations

import math

import numba
import numpy as np

from phasefront.core.threads import share_out
from phasefront.diffraction import likelihood_kernels as kernels
from phasefront.diffraction.likelihood import INTENSITY_POWER, Refined, spot_weights
from phasefront.diffraction.optics import Optics
from phasefront.diffraction.reflections import ReflectionTable
from phasefront.diffraction.spot_lists import Spots

_FAR = 7.0  # errors of a spot's position beyond which no reflection counts for it


def orientation_stderr(
    spots: Spots, position: np.ndarray, phase: np.ndarray, refined: Refined,
    table: ReflectionTable, optics: Optics,
) -> np.ndarray:  # fmt: skip
    """Standard errors (n,) of the orientations of candidates, degrees: rms angle to the truth.

    From Fisher's information of the likelihood (see `likelihood.refine`) of rotation, scale and
    centre together, where each candidate lies; infinite where its spots do not fix it.
    """
    out = np.empty(len(position))
    arguments = (
        spots.offset, spots.qx, spots.qy, spot_weights(spots, INTENSITY_POWER),
        np.ascontiguousarray(position), np.ascontiguousarray(phase),
        np.ascontiguousarray(refined.rotation, dtype=np.float64),
        np.ascontiguousarray(np.c_[np.log(refined.scale_factor), refined.centre]),
        table.first, table.rows, optics.terms(), out,
    )  # fmt: skip
    share_out(_all_errors, len(position), *arguments)
    return np.degrees(out)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _all_errors(
    begin, end, offset, qx, qy, weight, position, phase, rotation, nuisance, first, rows, terms,
    out,
):  # fmt: skip
    gradient, information, sigma = np.empty(6), np.empty((6, 6)), terms.position_sigma
    for i in range(begin, end):
        spots = slice(offset[position[i]], offset[position[i] + 1])
        x, y = qx[spots], qy[spots]
        matrix, own = kernels.matrix_of(rotation[i]), (first[phase[i]], first[phase[i] + 1])
        shown = kernels.reflections_shown(matrix, rows, own, terms, 0.0)
        placed = kernels.places_of(matrix, nuisance[i], shown)
        pairs = kernels.near_pairs(x, y, placed, _FAR * sigma)
        work, belonging = np.empty((5, shown.shape[1])), np.empty(len(pairs[0]))
        kernels.expanded(
            x, y, weight[spots], matrix, nuisance[i], shown, pairs, terms, sigma, work, belonging,
            gradient,
        )  # fmt: skip
        kernels.inform(nuisance[i], pairs, terms, sigma, work, belonging, information)
        # A tilt that nothing fixes is uncertain by its own prior: a radian.
        for a in range(3):
            information[a, a] += 1.0
        covariance = np.linalg.inv(information)
        out[i] = math.sqrt(covariance[0, 0] + covariance[1, 1] + covariance[2, 2])
