"""Scale and ellipse from a sample that is indexed until the scale settles."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import xarray as xr

from phasefront.calibration.affine import AffineFit, corrected, fit_affine, refine_affine
from phasefront.calibration.ellipse import scale_of
from phasefront.core.errors import InputError

# Chosen: width of a sector, so that half a turn is twelve; spots in an empty one, of the mean.
_SECTOR_DEG, _EMPTY = 15, 0.1
# Chosen: relative; further apart than this, indexing fails in between. At 3 % off nominal, 12 of 12
# lists of spots were refused with the right scale named (docs/calibration.md).
_INDEXED_SCALES = 0.03
_INDEXINGS = 4  # of the sample, at most; chosen, for time's sake
# Relative; a scale that moves less from one indexing to the next is the answer. Chosen.
_SETTLED = 0.001


def index_and_fit(
    found: xr.Dataset, crystals: Sequence, templates: xr.Dataset, scale_search: float
) -> AffineFit:
    """Orientations of nominal spots by template matching, then `fit_affine` on them.

    They are indexed at several scales around the nominal one, as orientations found at a wrong
    scale may hold the fit there, and then again as the fit corrects them, until that leaves the
    scale where it was.

    Raises
    ------
    InputError
        As `fit_affine` does, or if the scale does not settle.
    """
    number = math.ceil(scale_search / _INDEXED_SCALES)
    offsets = _INDEXED_SCALES * np.arange(-number, number + 1)
    seen = [found.assign(qx=(1 + s) * found["qx"], qy=(1 + s) * found["qy"]) for s in offsets]
    scales = []
    for _ in range(_INDEXINGS):
        fit = _index_and_fit(found, seen, crystals, templates, scale_search)
        scales.append(scale_of(fit.matrix))
        if len(scales) > 1 and abs(scales[-1] - scales[-2]) < _SETTLED:
            return fit
        seen = [corrected(found, fit.parameters)]
    raise InputError(
        found.attrs["scan"],
        f"the scale does not settle, at {100 * (scales[-2] - 1):+.2f} % and then "
        f"{100 * (scales[-1] - 1):+.2f} % off the nominal one",
        field="scale", remedy="check the candidate phases and the nominal scale, or take "
        "calibration: {method: standard} or {method: nominal}",
    )  # fmt: skip


def index_and_refine(
    found: xr.Dataset, crystals: Sequence, templates: xr.Dataset, parameters: np.ndarray
) -> AffineFit:
    """Orientations of nominal spots where `parameters` are right, then `refine_affine` on them."""
    orientations = _indexed([corrected(found, parameters)], crystals, templates)
    return refine_affine(found, orientations, crystals, parameters, **_optics(templates))


def _index_and_fit(found, seen, crystals, templates, scale_search) -> AffineFit:
    """Fit of the spots `found` to what indexing makes of them as each of `seen`."""
    orientations = _indexed(seen, crystals, templates)
    return fit_affine(
        found, orientations, crystals, scale_search=scale_search, **_optics(templates)
    )


def _indexed(seen, crystals, templates) -> xr.Dataset:
    """ORIENTATIONS of the spots as each of `seen`, side by side."""
    from phasefront.orientations.indexing import find_orientations

    indexed = [
        find_orientations(spots, templates, crystals, n_best=2, min_spots=6, centre_sigma=0.003)[
            "rotation"
        ]
        for spots in seen
    ]
    return xr.concat(indexed, dim="rank").to_dataset()


def _optics(templates) -> dict[str, float]:
    return {name: float(templates.attrs[name]) for name in ("voltage_kv", "precession_deg")}


def require_sense(fit: AffineFit, name: str) -> None:
    """Refuse a fit whose spots lie on one side."""
    angle = np.degrees(np.arctan2(*fit.q[np.isfinite(fit.residual).all(axis=1)].T[::-1])) % 360
    share = np.bincount((angle // _SECTOR_DEG).astype(int), minlength=360 // _SECTOR_DEG)
    empty = share < _EMPTY * share.mean()
    run = longest = 0
    for one in np.concatenate([empty, empty]):
        run = run + 1 if one else 0
        longest = max(longest, run)
    if min(longest, empty.size) * _SECTOR_DEG >= 180:
        raise InputError(
            name, "all spots lie on one side of the beam's centre, where scale, ellipse and centre "
            "cannot be told apart", field="calibration",
            remedy="centre the pattern on the camera, or give a standard",
        )  # fmt: skip
