"""A registration as a data set."""

from __future__ import annotations

import numpy as np
import xarray as xr

from phasefront.core import netcdf
from phasefront.layouts.registration import REGISTRATION
from phasefront.registration.channels import Channel, filled
from phasefront.registration.landmarks import Tested
from phasefront.registration.laying import Laid, Optimum, Status
from phasefront.registration.placement import Placement, interpolated
from phasefront.registration.sides import thickness_signal


def as_dataset(
    laid: Laid, moving: Channel, fixed: Channel, label: np.ndarray, *, scan: str,
    tested: Tested | None = None,
) -> xr.Dataset:  # fmt: skip
    """REGISTRATION of a map laid on a scan by an image with grains `label` (y, x)."""
    scan_step_nm = fixed.pixel_nm
    at = pixels_of_scan(laid.best, label.shape, scan_step_nm)
    value = interpolated(filled(moving.value, moving.known), at)
    known = interpolated(moving.known.astype("f8"), at) > 0.5
    spread = interpolated(laid.spread_nm(moving.value.shape[1]), at)
    tested = tested or Tested(np.zeros(0), np.zeros(0), np.zeros(0, bool))
    return netcdf.build(
        REGISTRATION,
        {
            "row_start": laid.best.row_start, "column_step": laid.best.column_step,
            "draw_row_start": [one.row_start for one in laid.draws],
            "draw_column_step": [one.column_step for one in laid.draws],
            "map_thickness": np.where(known, value, np.nan),
            "scan_thickness": thickness_signal(fixed, label),
            "position_stderr": np.where(known, spread, np.nan),
            "optimum_mirrored": [one.mirrored for one in laid.optima],
            "optimum_angle": [one.angle_deg for one in laid.optima],
            "optimum_scale": [one.scale for one in laid.optima],
            "optimum_chi_squared": [one.chi_squared for one in laid.optima],
            "optimum_behind": [one.above_best for one in laid.optima],
            "landmark_off": tested.off_nm, "landmark_expected": tested.expected_nm,
            "landmark_held": tested.held,
        },
        {
            "scan": scan, "map": moving.name, "status": laid.status.name.lower(), "why": laid.why,
            "scan_step_nm": scan_step_nm, "map_pixel_nm": moving.pixel_nm,
            "map_columns": moving.value.shape[1], "chi_squared": laid.chi_squared,
            "inflation": laid.inflation, "scale": laid.scale, "scale_stderr": laid.scale_stderr,
            "angle_deg": laid.angle_deg, "mirrored": int(laid.mirrored),
            "probe_factor": laid.probe_factor, "drift_walk_nm": laid.drift_walk_nm,
            "shown": laid.shown,
        },
    )  # fmt: skip


def laid_of(registration: xr.Dataset) -> Laid:
    """What a REGISTRATION data set was made of."""
    best, draws = placements(registration)
    said = registration.attrs
    optima = tuple(
        Optimum(bool(mirrored), *map(float, rest))
        for mirrored, *rest in zip(
            *(
                registration[f"optimum_{name}"].to_numpy()
                for name in ("mirrored", "angle", "scale", "chi_squared", "behind")
            ),
            strict=True,
        )
    )
    numbers = (
        "chi_squared", "inflation", "scale", "scale_stderr", "angle_deg", "probe_factor",
        "drift_walk_nm", "shown",
    )  # fmt: skip
    return Laid(
        status=Status[str(said["status"]).upper()], why=str(said["why"]), best=best, draws=draws,
        optima=optima, mirrored=bool(said["mirrored"]),
        **{name: float(said[name]) for name in numbers},
    )  # fmt: skip


def placements(registration: xr.Dataset) -> tuple[Placement, tuple[Placement, ...]]:
    """The likeliest placement and the draws of a REGISTRATION data set."""
    rows, steps = (registration[name].to_numpy() for name in ("draw_row_start", "draw_column_step"))
    draws = tuple(Placement(row, step) for row, step in zip(rows, steps, strict=True))
    best = Placement(registration["row_start"].to_numpy(), registration["column_step"].to_numpy())
    return best, draws


def pixels_of_scan(placement: Placement, shape: tuple[int, int], step_nm: float) -> np.ndarray:
    """Fractional pixels of the map (y, x, 2) at the positions of a scan of `shape`."""
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    return placement.pixels(grid * step_nm)
