"""Drift from scan to scan: what the calibrations of a run say about camera length and lenses."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr

# Chosen: four errors happen once in 16 000 scans by chance; 0.2 % is what CIFs' cells may be off.
_DEVIATES_Z, _DEVIATES_BY = 4.0, 0.002


def compare_calibrations(
    calibrations: Mapping[str, xr.Dataset], instruments: Mapping[str, str]
) -> pd.DataFrame:
    """Scale, ellipse and centre of each scan against the other scans of its instrument.

    Parameters
    ----------
    calibrations
        CALIBRATION datasets by scan.
    instruments
        Name of the instrument that took each scan.

    Returns
    -------
    One row a scan, in the order of `calibrations`. Scale in 1/angstrom per pixel; `stretch` and
    `shear` are the ellipse's components along x and between x and y, halves of ln(ratio) times the
    cosine and sine of twice the angle; centres in pixels, `centre_drift` being how far the centre
    moves over the scan along its longer way. `scale_deviation`, `ellipse_deviation` (relative) and
    their z compare a scan with the weighted mean of the others of its instrument, NaN where there
    is none or no standard error. Scans that do not agree with the weighted median are kept out of
    the mean of the others, so that one which changed does not make all others deviate. `deviates`
    where either is past z = 4 and 0.2 %: the camera length or the lenses changed, or a scan was
    indexed as a phase that it does not hold.
    """
    table = pd.DataFrame(
        [
            {"scan": scan, "instrument": instruments[scan], **_summary_of(calibration)}
            for scan, calibration in calibrations.items()
        ]
    )
    logarithm = np.log(table["scale"].to_numpy())
    relative = (table["scale_stderr"] / table["scale"]).to_numpy()
    off, error = (np.full((3, len(table)), np.nan) for _ in range(2))
    for _, rows in table.groupby("instrument", sort=False).indices.items():
        quantities = (
            (logarithm, relative),
            (table["stretch"].to_numpy(), table["stretch_stderr"].to_numpy()),
            (table["shear"].to_numpy(), table["shear_stderr"].to_numpy()),
        )
        for part, (value, stderr) in enumerate(quantities):
            off[part, rows], error[part, rows] = _against_others(value[rows], stderr[rows])
    # Long over short axis is the exponential of twice the length of (stretch, shear).
    return table.assign(
        scale_deviation=np.expm1(off[0]),
        scale_z=off[0] / error[0],
        ellipse_deviation=2 * np.hypot(off[1], off[2]),
        ellipse_z=np.hypot(off[1] / error[1], off[2] / error[2]),
        deviates=_deviates(off[0], off[0] / error[0])
        | _deviates(2 * np.hypot(*off[1:]), np.hypot(*(off[1:] / error[1:]))),
    )


def _deviates(deviation: np.ndarray, z: np.ndarray) -> np.ndarray:
    return (np.abs(z) > _DEVIATES_Z) & (np.abs(deviation) > _DEVIATES_BY)


def _summary_of(calibration: xr.Dataset) -> dict:
    (xx, xy), (_, yy) = calibration["affine"].to_numpy()
    (xx_error, xy_error), (_, yy_error) = calibration["affine_stderr"].to_numpy()
    mean = (xx + yy) / 2
    y, x = calibration["centre_y"].to_numpy(), calibration["centre_x"].to_numpy()
    return {
        **{
            name: calibration[name].item()
            for name in ("scale", "scale_stderr", "ellipse_ratio", "ellipse_ratio_stderr")
        },
        "ellipse_angle": calibration["ellipse_angle"].item(),
        # A ring is long where a pixel is worth little.
        "stretch": (yy - xx) / 2 / mean,
        "stretch_stderr": math.hypot(xx_error, yy_error) / 2 / mean,
        "shear": -xy / mean,
        "shear_stderr": xy_error / mean,
        "centre_y": float(y.mean(dtype=float)),
        "centre_x": float(x.mean(dtype=float)),
        "centre_stderr": calibration["centre_stderr"].item(),
        "centre_drift": math.hypot(*(float(np.ptp(part)) for part in (y, x))),
    }


def _against_others(value: np.ndarray, stderr: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Difference of each value from the weighted mean of the others, and its standard error."""
    difference, error = np.full((2, len(value)), np.nan)
    known = np.isfinite(value) & (stderr > 0)
    weight = np.where(known, 1 / np.where(known, stderr, 1) ** 2, 0)
    order = np.argsort(value)
    half = np.searchsorted(np.cumsum(weight[order]), weight.sum() / 2)
    if known.sum() < 2:
        return difference, error
    middle = value[order[half]]
    limit = np.maximum(_DEVIATES_Z * stderr, _DEVIATES_BY)
    agrees = known & (np.abs(value - middle) < limit)
    for i in np.flatnonzero(known):
        others = agrees & (np.arange(len(value)) != i)
        if not others.any():  # two scans, or none that agree: each against all others
            others = known & (np.arange(len(value)) != i)
        total = weight[others].sum()
        difference[i] = value[i] - (weight[others] * value[others]).sum() / total
        error[i] = math.sqrt(stderr[i] ** 2 + 1 / total)
    return difference, error
