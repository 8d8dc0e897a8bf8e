"""How near virtual maps, and where they were laid, come to their truth."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr

from phasefront.core.statistics import NORMAL_95
from phasefront.layouts.map_truth import MAP_CHECK_TABLE
from phasefront.registration.placement import Placement
from phasefront.registration.result import placements

_WITHIN_95 = -2 * np.log(0.05)  # squared distance in two dimensions, in standard errors


def check_maps(
    truth: Mapping[str, xr.Dataset], chemistry: Mapping[str, xr.Dataset],
    registrations: Mapping[str, xr.Dataset], correlations: Mapping[str, xr.Dataset],
) -> pd.DataFrame:  # fmt: skip
    """MAP_CHECK_TABLE of MAP_TRUTH, CHEMISTRY, REGISTRATION and CORRELATION data sets by stack."""
    rows = [
        _row(true, chemistry[name], registrations[name], correlations[name])
        for name, true in truth.items()
    ]
    return pd.DataFrame(rows, columns=list(MAP_CHECK_TABLE.columns))


def _row(
    true: xr.Dataset, chemistry: xr.Dataset, registration: xr.Dataset, correlation: xr.Dataset
) -> dict:
    content = true["ion_content"].to_numpy()
    columns, said = content.shape[1], registration.attrs
    lies = Placement(true["row_start"].to_numpy(), true["column_step"].to_numpy())
    best, draws = placements(registration)
    told = (chemistry["mask"].to_numpy() == 1) & np.isfinite(content)
    off, stated, held = _place_errors(lies, best, draws, columns, told)
    error = (chemistry["value"].to_numpy() - content)[told]
    total = np.hypot(chemistry["standard_error"], chemistry["systematic_error"]).to_numpy()[told]
    pixel = float(said["map_pixel_nm"])
    known = bool(told.any())
    return {
        "stack": true.attrs["stack"], "status": said["status"],
        "mirror_right": bool(said["mirrored"]) == bool(true.attrs["mirrored"]),
        "off_nm": off, "stated_nm": stated, "regions_hold": held,
        "scale_true": float(np.hypot(*lies.column_step)) / pixel,
        "scale": float(said["scale"]), "scale_stderr": float(said["scale_stderr"]),
        "told": int(told.sum()), "bias": float(error.mean()) if known else np.nan,
        "rms": float(np.sqrt((error**2).mean())) if known else np.nan,
        "within_95": float((np.abs(error) <= NORMAL_95 * total).mean()) if known else np.nan,
        "answer": correlation.attrs["answer"],
        **{f"slope{end}": float(correlation[f"slope{end}"][0]) for end in ("", "_low", "_high")},
    }  # fmt: skip


def _place_errors(
    lies: Placement, best: Placement, draws: tuple[Placement, ...], columns: int, where: np.ndarray
) -> tuple[float, float, float]:
    """Root mean square error in nm of pixels, the same by draws, and how many regions hold."""
    if not where.any():
        return np.nan, np.nan, np.nan
    true = lies.positions(columns)[where]
    drawn = np.array([one.positions(columns)[where] for one in draws])
    off = true - best.positions(columns)[where]
    spread = drawn - drawn.mean(axis=0)
    covariance = np.einsum("dni,dnj->nij", spread, spread) / (len(drawn) - 1)
    from_mean = true - drawn.mean(axis=0)
    distance = np.einsum("ni,nij,nj->n", from_mean, np.linalg.inv(covariance), from_mean)
    return (
        float(np.sqrt((off**2).sum(axis=1).mean())),
        float(np.sqrt(np.trace(covariance, axis1=1, axis2=2).mean())),
        float(np.mean(distance <= _WITHIN_95)),
    )
