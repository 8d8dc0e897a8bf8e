"""What there is of each phase in a scan: amounts in grains, and at other thresholds."""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy import ndimage

from phasefront.layouts.phases import UNDECIDED, VACUUM

# Fewer positions of vacuum do not show its level; chosen.
_FEWEST_VACUUM = 10
_THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)  # that are tabulated


def relative_thickness(
    diffuse: np.ndarray, decision: np.ndarray, exponents: np.ndarray
) -> np.ndarray:
    """Thickness over its mean (exponent, y, x), NaN if unknown: each power of the excess."""
    vacuum = decision == VACUUM
    unknown = np.full((len(exponents), *decision.shape), np.nan)
    if vacuum.sum() < _FEWEST_VACUUM or vacuum.all():
        return unknown
    excess = np.maximum(diffuse - np.median(diffuse[vacuum]), 0.0)
    power = excess ** exponents[:, None, None]
    mean = power[:, ~vacuum].mean(axis=1)
    return power / mean[:, None, None] if (mean > 0).all() else unknown


def units_of(share: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Number (y, x) of the grain or, after the grains, of the patch outside them; -1 where no phase
    is known. `share` (y, x, phase) is NaN there."""
    known = np.isfinite(share).all(axis=-1)
    patch, _ = ndimage.label(known & (label < 0))
    unit = np.where(label >= 0, label, label.max(initial=-1) + patch)
    return np.where(known, unit, -1)


def unit_amounts(unit: np.ndarray, weight: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Amount (exponent, unit, phase) of each phase in units that have any; weight (exponent, y, x),
    share (y, x, phase), unit (y, x) or -1."""
    known = unit >= 0
    _, index = np.unique(unit[known], return_inverse=True)
    sums = np.zeros((index.max(initial=-1) + 1, len(weight), share.shape[-1]))
    np.add.at(sums, index, weight[:, known].T[..., None] * share[known][:, None])
    return np.moveaxis(sums, 1, 0)


def swept_area(phases: xr.Dataset, share: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Thresholds, area of each phase (threshold, phase) and undecided area at each.

    Mixed positions stay what they are, and so do those that are undecided for another reason than
    their posterior: spots unexplained, a cell of no candidate, a second lattice in doubt.
    """
    decision, limit = phases["decision"].to_numpy(), phases.attrs["decide_above"]
    posterior = np.nan_to_num(phases["posterior"].to_numpy().astype("f8"))
    sure, likeliest = posterior.max(axis=-1), np.eye(share.shape[-1])[posterior.argmax(axis=-1)]
    misfit = np.maximum(phases["cell_misfit"].to_numpy(), phases["phase_misfit"].to_numpy())
    fits = (phases["explained"].to_numpy() >= phases.attrs["min_explained"]) & ~(
        misfit > phases.attrs["max_misfit"]
    )
    by_posterior = (decision >= 0) & (sure > limit)
    open_yet = (decision == UNDECIDED) & fits & (sure <= limit)
    open_yet &= phases["second_phase"].to_numpy() < 0
    answer = np.where(open_yet[..., None], likeliest, share)
    thresholds = np.union1d(_THRESHOLDS, [limit] if np.isfinite(limit) else [])
    crystal = decision != VACUUM
    area, undecided = [], []
    for threshold in thresholds:
        kept = np.where(by_posterior | open_yet, sure > threshold, np.isfinite(share).all(axis=-1))
        area.append(answer[kept].sum(axis=0))
        undecided.append(np.sum(crystal & ~kept))
    return thresholds, np.array(area), np.array(undecided)
