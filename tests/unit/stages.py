"""Data sets of the stages, of which a test says only what it is about."""

import numpy as np

from phasefront import layouts, netcdf


def build_phases(names, decision, *, scan="map", **given):
    """PHASES of a map of decisions (y, x); what is not given says nothing or follows from these.

    Shares are those of the decided phase; mixed positions are half of each of the first two.
    """
    decision = np.asarray(decision)
    shape, count = decision.shape, len(names)
    share = np.full((*shape, count), np.nan)
    share[decision >= 0] = np.eye(count)[decision[decision >= 0]]
    share[decision == layouts.MIXED] = np.where(np.arange(count) < 2, 1 / min(count, 2), 0)
    unknown, per_phase = np.full(shape, np.nan), (*shape, count)
    usual = {
        "rotation": np.full((*per_phase, 4), np.nan), "log_evidence": np.zeros(per_phase),
        "forced_evidence": np.zeros(per_phase),
        "posterior": np.eye(count)[np.maximum(decision, 0)], "share": share,
        "reliability": np.zeros(shape), "explained": np.ones(shape),
        "cell": np.full((*shape, 6), np.nan), "cell_covariance": np.full((*shape, 6, 6), np.nan),
        "cell_misfit": unknown, "axial_ratio": unknown, "axial_ratio_stderr": unknown,
        "ion_content": unknown, "ion_content_stderr": unknown,
        "second_phase": np.full(shape, -1), "second_rotation": np.full((*shape, 4), np.nan),
        "second_share": unknown,
    }  # fmt: skip
    data = {"phase": names, "decision": decision, **usual, **given}
    return netcdf.build(layouts.PHASES, data, {"scan": scan, "decide_above": 0.95})
