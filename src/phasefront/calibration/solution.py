"""The calibration of a scan as a data set, with a map of its residuals."""

from __future__ import annotations

import math

import numpy as np
import xarray as xr

from phasefront.calibration.ellipse import propagate, ratio_of, scale_of, shape_of
from phasefront.core import netcdf
from phasefront.layouts.calibration import CALIBRATION


def binned(place, residual, camera: tuple[int, int], weight=None) -> dict:
    """Mean residual over squares of the camera around the beam; NaN where few of them lie.

    Places and residuals (n, 2) as x, y in pixels, the places from the beam; residuals may be NaN.
    """
    weight = np.ones(len(place)) if weight is None else weight
    edges = np.linspace(-0.5, 0.5, _BINS + 1) * max(camera)
    middles = (edges[1:] + edges[:-1]) / 2
    known = np.isfinite(residual).all(axis=1)
    place, residual, weight = place[known, ::-1], residual[known], weight[known]

    def summed(values):
        return np.histogramdd(place, [edges, edges], weights=values)[0]

    count = summed(np.ones(len(place)))
    total = np.where(count >= _LEAST_IN_BIN, summed(weight), np.nan)
    x, y = (summed(weight * part) / total for part in residual.T)
    return {
        "bin_y": middles, "bin_x": middles, "residual_y": y, "residual_x": x,
        "residual_count": count,
    }  # fmt: skip


def dataset(
    *, affine, affine_covariance, centres, residual, error, probe_radius, spot_radius, beam_radius,
    mask, dark, attributes, residuals, outward=0.0, outward_stderr=math.nan,
) -> xr.Dataset:  # fmt: skip
    """CALIBRATION of an affine map (2, 2), the covariance of its xx, xy and yy, and the rest.

    `residuals` as `binned` gives them; `error` is that of a centre, pixels.
    """
    scale, ratio, angle = shape_of(affine)
    xx, xy, yy = np.sqrt(np.diag(affine_covariance))
    return netcdf.build(
        CALIBRATION,
        {
            "centre_y": centres[..., 0],
            "centre_x": centres[..., 1],
            "centre_residual": residual,
            "centre_stderr": error,
            "affine": affine,
            "affine_stderr": [[xx, xy], [xy, yy]],
            "scale": scale,
            "scale_stderr": propagate(scale_of, affine, affine_covariance),
            "ellipse_ratio": ratio,
            "ellipse_ratio_stderr": propagate(ratio_of, affine, affine_covariance),
            "ellipse_angle": angle,
            "probe_radius": probe_radius,
            "spot_radius": spot_radius,
            "beam_radius": beam_radius,
            "mask": mask,
            "dark_rows": dark.rows,
            "dark_columns": dark.columns,
            "dark_reach": dark.reach,
            "electron": dark.electron,
            "afterglow": dark.afterglow.share,
            "afterglow_stderr": dark.afterglow.error,
            "outward_shift": outward,
            "outward_shift_stderr": outward_stderr,
            **residuals,
        },
        attributes,
    )


def error_within(scale_search: float) -> float:
    """Relative standard error of a scale that is known to be in the range of its search only."""
    return scale_search / 2


def widened(calibration: xr.Dataset, error: float) -> xr.Dataset:
    """CALIBRATION whose scale, stretch and shear each have one more relative error.

    The three are independent: xx and yy are scale plus and minus stretch, and the ratio of the
    axes changes by twice the stretch.
    """
    scale = calibration["scale"].item()
    more = {
        "affine_stderr": scale * error * np.sqrt([[2.0, 1.0], [1.0, 2.0]]),
        "scale_stderr": scale * error,
        "ellipse_ratio_stderr": 2 * error * calibration["ellipse_ratio"].item(),
    }
    return calibration.assign(
        {
            name: calibration[name].copy(data=np.hypot(calibration[name].values, added))
            for name, added in more.items()
        }
    )


# Of the map of residuals over the camera, which is only drawn: squares a side, spots of one.
_BINS, _LEAST_IN_BIN = 12, 15
