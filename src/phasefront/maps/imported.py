"""A map of another program as the phases of a scan. It brings no evidence, and none is made up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.diffraction.crystals import Crystal
from phasefront.layouts.phases import PHASES, UNDECIDED, UNINDEXED
from phasefront.maps.formats import OrientationMap, match_phases, relabelled

# How far the file's step and the table's may lie apart, relative: files round theirs. Chosen.
_SAME_STEP = 0.01


def import_map(
    found: OrientationMap,
    crystals: Sequence[Crystal],
    *,
    name: str,
    given: Mapping[str, str] | None = None,
    least: Mapping[str, float] | None = None,
    scan_step_nm: float = np.nan,
) -> xr.Dataset:
    """The phases of a scan, as another program decided them.

    Parameters
    ----------
    found
        The map, as `maps.formats.read_map` gives it.
    crystals
        The candidate phases.
    name
        Identifier of the scan.
    given
        Names of the candidates by the file's own names or numbers; see `match_phases`.
    least
        Qualities of the file, each with the least value that a decision needs; what has less is
        undecided, and so is what has none.
    scan_step_nm
        What the table says, NaN where it does not; then the file's own counts.

    Returns a PHASES dataset. Positions that the file says are not indexed are `unindexed`: it does
    not tell them from vacuum. Posterior, evidence, cells, ion contents and second lattices are
    absent (NaN, -1), since these formats have none. Orientations are in the frame of the file.

    Raises InputError for phases that are not the candidates, a quality that the map does not have,
    and a step that is not the table's.
    """
    step_nm = _step(found, scan_step_nm)
    names = [crystal.name for crystal in crystals]
    phase, rotation = relabelled(found, match_phases(found, names, crystals, given))
    decision = np.where(phase >= 0, phase, UNINDEXED)
    sure = _is_sure(found, least or {})
    decision[(phase >= 0) & ~sure] = UNDECIDED
    shape, number = found.shape, len(crystals)
    one_of = np.eye(number)[np.maximum(decision, 0)]
    rotations = np.full((*shape, number, 4), np.nan)
    np.put_along_axis(
        rotations, np.maximum(phase, 0)[..., None, None], rotation[:, :, None], axis=2
    )
    sizes = {
        "y": shape[0], "x": shape[1], "phase": number, "quaternion": 4, "cell_parameter": 6,
        "other_parameter": 6, "q_axis": 2, "other_q_axis": 2, "alternative": 1,
    }  # fmt: skip
    return netcdf.build(
        PHASES,
        netcdf.unknown(PHASES, sizes)
        | {
            "phase": names,
            "rotation": rotations,
            "decision": decision,
            "share": np.where(decision[..., None] >= 0, one_of, np.nan),
            "second_phase": np.full(shape, -1),
        },
        {
            "scan": name, "scan_step_nm": step_nm, "map_by": found.program,
            "decide_above": np.nan, "min_explained": np.nan, "max_misfit": np.nan, "notes": "",
        },
    )  # fmt: skip


def _is_sure(found: OrientationMap, least: Mapping[str, float]) -> np.ndarray:
    """Where (y, x) every quality named is as large as it has to be."""
    sure = np.ones(found.shape, dtype=bool)
    for quality, limit in least.items():
        if quality not in found.qualities:
            raise InputError(
                found.path, f"has no quality {quality!r}", field="maps.least",
                remedy=f"name some of {', '.join(map(repr, found.qualities)) or 'no qualities'}",
            )  # fmt: skip
        sure &= found.qualities[quality].values >= limit
    return sure


def _step(found: OrientationMap, scan_step_nm: float) -> float:
    """The table's step, else the file's, nm; NaN where neither has one.

    Raises InputError for a step along x or y that the table contradicts, and for positions that are
    not square.
    """
    rows, columns = found.step_nm
    if abs(rows - columns) > _SAME_STEP * columns:
        raise InputError(
            found.path, f"its step is {columns:g} nm along x and {rows:g} nm along y, and positions"
            " have to be square", field="step", remedy="export the map on a square grid",
        )  # fmt: skip
    for axis, step in zip("yx", found.step_nm, strict=True):
        if abs(step - scan_step_nm) > _SAME_STEP * scan_step_nm:
            raise InputError(
                found.path, f"its step along {axis} is {step:g} nm, that of the table"
                f" {scan_step_nm:g} nm", field="scan_step_nm",
                remedy="correct the table, or leave it out there if the file is right",
            )  # fmt: skip
    if not np.isnan(scan_step_nm):
        return scan_step_nm
    return rows if np.isnan(columns) else columns
