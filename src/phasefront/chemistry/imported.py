"""A map that another program made as a map of chemistry, with unit and error."""

from __future__ import annotations

import math

import numpy as np
import xarray as xr

from phasefront.chemistry.formats import FoundMap
from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.layouts.chemistry import CHEMISTRY, Told
from phasefront.stacks.pixels import pixel_sizes


def imported_map(
    found: FoundMap,
    *,
    name: str,
    source: str,
    quantity: str,
    unit: str,
    error: float | FoundMap,
    systematic_error: float,
    thickness: FoundMap | None,
    thickness_unit: str,
    thickness_error: float | None,
    pixel_nm: float | None,
) -> xr.Dataset:
    """A CHEMISTRY dataset of values that are not numbers (NaN) where nothing is told.

    Parameters
    ----------
    found
        The map.
    name, source
        Its identifier, and its file, which errors name.
    quantity, unit
        What the values are.
    error
        Standard error of each value by itself: one for all, or a map.
    systematic_error
        Standard error that all values share.
    thickness, thickness_unit, thickness_error
        A map of how thick the sample is, by which this one can be laid on others, and its standard
        error; None without.
    pixel_nm
        What the table says; None takes the file's.

    Raises InputError for maps of other shapes, errors below 0, no value at all, and a pixel size
    that is not known, or another than the file's.
    """
    values = found.values
    errors = error.values if isinstance(error, FoundMap) else np.full(values.shape, float(error))
    thick = np.full(values.shape, np.nan) if thickness is None else thickness.values
    for what, other in (("error", errors), ("thickness", thick)):
        if other.shape != values.shape:
            raise InputError(
                source, f"its map is {values.shape[0]} x {values.shape[1]}, that of its {what}"
                f" {other.shape[0]} x {other.shape[1]}", field=what,
                remedy="give maps of the same pixels",
            )  # fmt: skip
    if (errors < 0).any():
        raise InputError(
            source, "an error is below 0", field="error", remedy="give standard errors"
        )
    told = np.isfinite(values) & np.isfinite(errors)
    if not told.any():
        raise InputError(
            source, "no position has a value with an error", field="path",
            remedy="give numbers where the quantity is known, NaN elsewhere",
        )  # fmt: skip
    pixel = pixel_sizes(found.pixel_nm, pixel_nm, source)
    return netcdf.build(
        CHEMISTRY,
        {
            "value": np.where(told, values, np.nan),
            "standard_error": np.where(told, errors, np.nan),
            "systematic_error": np.where(told, systematic_error, np.nan),
            "thickness": thick,
            "thickness_stderr": np.where(
                np.isfinite(thick) & (thickness_error is not None), thickness_error or 0.0, np.nan
            ),
            "mask": told,
            "told": np.where(told, Told.TOLD, Told.OUTSIDE),
            "misfit": np.full(values.shape, np.nan),
        },
        {
            "map": name, "quantity": quantity, "unit": unit, "thickness_unit": thickness_unit,
            "pixel_y_nm": pixel[0], "pixel_x_nm": pixel[1], "method": "another program",
            "energy_shift_ev": math.nan, "shift_error_ev": math.nan, "broadening_ev": math.nan,
            "correlation": math.nan, "warnings": "",
        },
    )  # fmt: skip
