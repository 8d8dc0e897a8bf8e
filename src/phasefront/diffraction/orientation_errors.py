"""How well a position's spots fix the orientation of its crystal."""

from __future__ import annotations

import numpy as np

from phasefront.core.threads import share_out
from phasefront.diffraction import likelihood_kernels as kernels
from phasefront.diffraction.likelihood import INTENSITY_POWER, Refined, spot_weights
from phasefront.diffraction.optics import Optics
from phasefront.diffraction.reflections import ReflectionTable
from phasefront.diffraction.spot_lists import Spots


def orientation_stderr(
    spots: Spots, position: np.ndarray, phase: np.ndarray, refined: Refined,
    table: ReflectionTable, optics: Optics,
) -> np.ndarray:  # fmt: skip
    """Standard errors (n,) of the orientations of candidates, degrees: rms angle to the truth.

    From Fisher's information of the likelihood (see `likelihood.refine`) of rotation, scale and
    centre together, where each candidate lies; a radian about each axis that its spots do not fix.
    """
    out = np.empty(len(position))
    arguments = (
        spots.offset, spots.qx, spots.qy, spot_weights(spots, INTENSITY_POWER),
        np.ascontiguousarray(position), np.ascontiguousarray(phase),
        np.ascontiguousarray(refined.rotation, dtype=np.float64),
        np.ascontiguousarray(np.c_[np.log(refined.scale_factor), refined.centre]),
        table.first, table.rows, optics.terms(), out,
    )  # fmt: skip
    share_out(kernels.errors_all, len(position), *arguments)
    return np.degrees(out)
