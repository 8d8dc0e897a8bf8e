"""What a scan says of ion content at each position, and which parts it has."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import xarray as xr
from scipy import ndimage
from skimage.draw import line

from phasefront.layouts.phases import UNINDEXED, VACUUM


def ion_content_of(
    phases: xr.Dataset, ion_contents: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """Ions per formula unit (y, x) of a PHASES data set and standard errors, NaN where not known.

    By the cell, between those of the phases, where these share a lattice. Elsewhere by the phases'
    `ion_contents` and shares, whose error is that of not knowing the phase, by the posterior.
    Where a second lattice is seen, of a grain over another, nothing is known: the cell is of one of
    them, and chemistry of both.
    """
    decision = phases["decision"].to_numpy()
    value = phases["ion_content"].to_numpy().astype("f8")
    stderr = phases["ion_content_stderr"].to_numpy().astype("f8")
    if not np.isfinite(value).any():
        contents = np.asarray(ion_contents, "f8")
        share, chance = (phases[name].to_numpy().astype("f8") for name in ("share", "posterior"))
        value = (share * contents).sum(axis=-1)
        mean = (chance * contents).sum(axis=-1)
        spread = (chance * (contents - mean[..., None]) ** 2).sum(axis=-1)
        stderr = np.sqrt(np.where(np.isfinite(spread), spread, 0.0))
    else:
        stderr = np.where(stderr > 0, stderr, np.nan)
    one_lattice = phases["second_phase"].to_numpy() < 0
    known = (
        ~np.isin(decision, (VACUUM, UNINDEXED))
        & one_lattice
        & np.isfinite(value)
        & np.isfinite(stderr)
    )
    return np.where(known, value, np.nan), np.where(known, stderr, np.nan)


def phase_parts(phases: xr.Dataset) -> dict[str, np.ndarray]:
    """Positions (y, x) that are decided for each phase, by its name."""
    decision = phases["decision"].to_numpy()
    return {str(name): decision == at for at, name in enumerate(phases["phase"].to_numpy())}


def interface_distance(interfaces: xr.Dataset, label: np.ndarray, step_nm: float) -> np.ndarray:
    """Distance (y, x) in nm from the interface of the position's own grain, by an INTERFACES data
    set; NaN in grains without one, and where `label` (y, x) names none."""
    found = np.full(label.shape, np.nan)
    offset = interfaces["segment_offset"].to_numpy()
    ends = np.stack([interfaces[name].to_numpy() for name in ("end_y", "end_x")], axis=-1)
    for grain, (first, last) in enumerate(itertools.pairwise(offset)):
        own, drawn = label == grain, np.ones(label.shape, dtype=bool)
        for (y0, x0), (y1, x1) in np.rint(ends[first:last]).astype(int):
            row, column = line(y0, x0, y1, x1)
            inside = (row >= 0) & (row < label.shape[0]) & (column >= 0) & (column < label.shape[1])
            drawn[row[inside], column[inside]] = False
        if not drawn.all():
            distance = ndimage.distance_transform_edt(drawn) * step_nm
            found[own] = distance[own]
    return found
