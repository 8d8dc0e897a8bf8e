"""Data sets of the stages, of which a test says only what it is about."""

import numpy as np

from phasefront import layouts, netcdf


def build_phases(names, decision, *, scan="map", **given):
    """PHASES of a map of decisions (y, x); what is not given follows from these, or is NaN.

    Shares are those of the decided phase; mixed positions are half of each of the first two.
    """
    decision = np.asarray(decision)
    shape, count = decision.shape, len(names)
    share = np.full((*shape, count), np.nan)
    share[decision >= 0] = np.eye(count)[decision[decision >= 0]]
    share[decision == layouts.MIXED] = np.where(np.arange(count) < 2, 1 / min(count, 2), 0)
    sizes = dict(zip(("y", "x", "phase"), (*shape, count), strict=True))
    sizes |= {"quaternion": 4, "cell_parameter": 6, "other_parameter": 6}
    unknown = {
        name: np.full([sizes[dim] for dim in variable.dims], np.nan)
        for name, variable in layouts.PHASES.variables.items()
        if variable.dtype == "f4"
    }
    known = {
        "phase": names, "decision": decision, "share": share, "reliability": np.zeros(shape),
        "posterior": np.eye(count)[np.maximum(decision, 0)], "second_phase": np.full(shape, -1),
    }  # fmt: skip
    attributes = {"scan": scan, "decide_above": 0.95, "min_explained": 0.5, "max_misfit": 4.0}
    return netcdf.build(layouts.PHASES, {**unknown, **known, **given}, attributes)
