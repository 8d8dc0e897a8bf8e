"""Phases along an operando series: fits of many patterns, and their place on the log."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.core.statistics import NORMAL_95
from phasefront.experiment.settings.powder import PowderSettings
from phasefront.experiment.settings.powder_series import PatternReading
from phasefront.layouts.dimensions import named_ends
from phasefront.layouts.powder_series import BATCH_FITS, POWDER_SERIES, POWDER_SERIES_TABLE
from phasefront.powder.files import NothingFound, read_pattern
from phasefront.powder.fits import fit_pattern
from phasefront.powder.placing import Span, refuse_overlaps

_OF_A_FIT = [
    name
    for name, declared in BATCH_FITS.variables.items()
    if declared.dtype == "f8" and declared.dims[0] == "pattern"
]


def fit_patterns(
    paths: Sequence[str | Path],
    crystals,
    *,
    batch: str,
    reading: PatternReading,
    settings: PowderSettings,
    ion_contents: Sequence[float],
    formula_units: Sequence[int],
) -> xr.Dataset:
    """BATCH_FITS data set of the Rietveld fits of patterns, as `fit_pattern` does each.

    With `settings.sequential` a fit starts from that of the pattern before, in the order given, if
    that was no refused one; else each starts from the CIFs. So what a pattern gives depends on the
    list that it stands in and on nothing else. One in which no phase shows is refused, for one
    frame without a beam is no reason to be without all others.

    Raises
    ------
    InputError
        As `read_pattern` and `fit_pattern`.
    """
    fits, before = [], None
    for path in paths:
        try:
            pattern = read_pattern(path, **dict(reading))
            before = fit_pattern(
                pattern, crystals, name=str(path), wavelength=reading.wavelength,
                ion_contents=ion_contents, formula_units=formula_units,
                two_theta_range=settings.two_theta_range,
                background_terms=settings.background_terms,
                start=before if settings.sequential else None,
            )  # fmt: skip
        except NothingFound as error:
            before = None
            fits.append(_nothing(len(crystals), error))
            continue
        fits.append(_row(before))
    return netcdf.build(
        BATCH_FITS,
        {
            "pattern": [str(path) for path in paths],
            "phase": [crystal.name for crystal in crystals],
            **{name: np.stack([fit[name] for fit in fits]) for name in _OF_A_FIT},
            "refused": [fit["refused"] for fit in fits],
            "notes": [fit["notes"] for fit in fits],
        },
        {
            "batch": batch,
            "wavelength": float(reading.wavelength),
            "refined_with": "; ".join(sorted({fit["with"] for fit in fits} - {""})),
        },
    )


def _row(fit: xr.Dataset) -> dict:
    said = {"refused": fit.attrs["refused"], "notes": fit.attrs["notes"]}
    return {name: fit[name].to_numpy() for name in _OF_A_FIT} | said | {
        "with": fit.attrs["refined_with"]
    }  # fmt: skip


def _nothing(phases: int, error: NothingFound) -> dict:
    """What is said of a pattern in which no phase shows."""
    empty = netcdf.unknown(BATCH_FITS, {"pattern": 1, "phase": phases, "cell_parameter": 6})
    return {name: empty[name][0] for name in _OF_A_FIT} | {
        "refused": error.problem, "notes": "", "with": "",
    }  # fmt: skip


def gather(times: Sequence[xr.Dataset], fits: Sequence[xr.Dataset]) -> xr.Dataset:
    """POWDER_SERIES data set of a series, in the order of time.

    Intervals of 95 % are those of a normal distribution with the e.s.d., which for fractions end at
    0 and 1.

    Parameters
    ----------
    times
        BATCH_TIMES data set of each batch.
    fits
        BATCH_FITS data sets of all their parts.

    Raises
    ------
    InputError
        Two patterns were measured at one time, or times and fits are not of the same patterns.
    """
    batch = np.concatenate(
        [np.repeat(one.attrs["batch"], one.sizes["pattern"]).astype(object) for one in times]
    )
    placed = xr.concat(times, "pattern", combine_attrs="override")
    fitted = xr.concat(fits, "pattern", combine_attrs="override")
    if sorted(placed["pattern"].values) != sorted(fitted["pattern"].values):
        raise InputError(
            times[0].attrs["series"], "times and fits are not of the same patterns",
            remedy="run the rules that make them again",
        )  # fmt: skip
    spans = [
        Span(str(file), datetime.fromisoformat(str(start)), float(exposure), "", "")
        for file, start, exposure in zip(
            placed["pattern"].values, placed["start"].values, placed["exposure"].values, strict=True
        )
    ]
    order = sorted(range(len(spans)), key=lambda at: (spans[at].start, spans[at].file))
    refuse_overlaps([spans[at] for at in order])
    placed = placed.isel(pattern=order)
    fitted = fitted.sel(pattern=placed["pattern"])
    data = {name: fitted[name].to_numpy() for name in BATCH_FITS.variables}
    for name in ("weight_fraction", "molar_fraction", "ion_content"):
        ends = data[name] + np.multiply.outer([0.0, -NORMAL_95, NORMAL_95], data[f"{name}_esd"])
        data |= named_ends(name, ends if name == "ion_content" else np.clip(ends, 0.0, 1.0))
    attributes = {name: placed.attrs[name] for name in ("series", "log", "log_start", "clock_test")}
    return netcdf.build(
        POWDER_SERIES,
        {name: placed[name].to_numpy() for name in placed.variables}
        | {"batch": batch[order], **data},
        attributes
        | {
            "wavelength": float(fitted.attrs["wavelength"]),
            "refined_with": "; ".join(sorted({one.attrs["refined_with"] for one in fits} - {""})),
        },
    )


def rows(series: xr.Dataset) -> pd.DataFrame:
    """A POWDER_SERIES data set as POWDER_SERIES_TABLE, a row for each pattern and phase."""
    patterns, phases = series.sizes["pattern"], series.sizes["phase"]
    of_pattern = {
        "pattern": "pattern", "start": "start", "time_s": "time", "exposure_s": "exposure",
        "voltage_v": "voltage", "current_ma": "current", "charge_mah": "charge",
        "ion_content": "ion_content", "ion_content_low": "ion_content_low",
        "ion_content_high": "ion_content_high", "rwp": "rwp",
        "goodness_of_fit": "goodness_of_fit", "refused": "refused",
    }  # fmt: skip
    columns = {
        name: np.repeat(series[variable].to_numpy(), phases)
        for name, variable in of_pattern.items()
    }
    columns["phase"] = np.tile(series["phase"].to_numpy(), patterns)
    for name in ("weight_fraction", "molar_fraction"):
        for end in ("", "_low", "_high"):
            columns[f"{name}{end}"] = series[f"{name}{end}"].to_numpy().ravel()
    return pd.DataFrame(columns)[list(POWDER_SERIES_TABLE.columns)]
