"""Ion content along a galvanostatic log, as the charge implies it, its states and plateaus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from phasefront.core import netcdf
from phasefront.core.moments import Stamp
from phasefront.cycling.ion_content import ion_content, source_of
from phasefront.cycling.logs import (
    BDF_CURRENT,
    BDF_TIME,
    BDF_VOLTAGE,
    STEP_TYPES,
    capacity_difference,
    half_cycle_charge,
)
from phasefront.cycling.plateaus import differential_capacity, find_plateaus
from phasefront.cycling.states import locate_states
from phasefront.layouts.cycling import CYCLING

LEAST_SWING = 0.02  # of the ions at the start; less is no charge or discharge of an electrode
# A larger relative disagreement with the instrument's own counter is worth a warning.
CAPACITY_LIMIT = 0.01


# --- the whole log ---------------------------------------------------------------------------


def analyse_log(
    log: pd.DataFrame,
    *,
    name: str,
    states: Sequence[Mapping],
    mass_mg: float | None,
    started: Stamp | None = None,
    **content,
) -> xr.Dataset:
    """CYCLING dataset of a whole log: capacity, ion content, plateaus, and its states.

    Without the mass of active material, charge is the whole electrode's: what is per gram, and ion
    contents, are NaN.

    Parameters
    ----------
    log
        Table of `read_log`, (n records).
    name
        The log's name in the experiment.
    states
        As in `locate_states`.
    mass_mg
        Active mass; None where it is not known.
    started
        When the log's time was zero, if not by the file itself.
    content
        Further arguments of `ion_content`.

    Raises
    ------
    InputError
        As `ion_content` and `locate_states` do.
    """
    contents = _contents(log, mass_mg, content)
    moments = locate_states(log, states, mass_mg)
    time = log["time_s"].to_numpy()
    grams = np.nan if mass_mg is None else 1e-3 * mass_mg
    capacity = log["capacity_mAh"] / grams
    # Where dQ/dV is highest does not depend on the mass, of which any serves; what it is does.
    grid, slopes = differential_capacity(log, mass_mg=mass_mg or 1.0)
    plateaus = find_plateaus(log, mass_mg=mass_mg or 1.0)
    per_gram = 1.0 if mass_mg else np.nan
    started = started or log.attrs["started"]

    def at_states(values: pd.Series) -> np.ndarray:
        return at_moments(moments, time, values.to_numpy())

    return netcdf.build(
        CYCLING,
        {
            "time": time,
            "elapsed": log["elapsed_s"],
            "voltage": log["voltage_V"],
            "current": log["current_mA"],
            "charge": log["capacity_mAh"],
            "capacity": capacity,
            "cycle": log["cycle"],
            "half_cycle": log["half_cycle"],
            "step": log["step"],
            "step_type": [STEP_TYPES.index(kind) for kind in log["step_type"]],
            **{column: contents[column] for column in contents},
            "half_capacity": half_cycle_charge(log) / grams,
            "half_capacity_integrated": half_cycle_charge(log, "integrated_capacity_mAh") / grams,
            "grid_voltage": grid,
            "charge_per_voltage": per_gram * slopes,
            "plateau_half_cycle": plateaus["half_cycle"],
            "plateau_voltage": plateaus["voltage"],
            "plateau_from": per_gram * plateaus["capacity_from"],
            "plateau_to": per_gram * plateaus["capacity_to"],
            "state": [state["state"] for state in states],
            "state_time": moments,
            "state_voltage": at_states(log["voltage_V"]),
            "state_charge": at_states(log["capacity_mAh"]),
            "state_capacity": at_states(capacity),
            **{f"state_{column}": at_states(contents[column]) for column in contents},
        },
        {
            "log": name,
            "file": source_of(log),
            "started": started.text,
            "started_from": started.source,
            "mass_mg": np.nan if mass_mg is None else float(mass_mg),
            "initial_ion_content": float(content["initial_content"]),
            "inactive_share": float(content.get("inactive_share", 0.0)),
            "capacity_difference": capacity_difference(log),
            "warnings": "\n".join(_warnings(log, contents)),
        },
    )


def _contents(log: pd.DataFrame, mass_mg: float | None, content: Mapping) -> pd.DataFrame:
    """Ion contents along a log; NaN without a mass."""
    contents = ion_content(log, mass_mg=1.0 if mass_mg is None else mass_mg, **content)
    return contents if mass_mg is not None else contents * np.nan


def _warnings(log: pd.DataFrame, contents: pd.DataFrame) -> list[str]:
    """A sentence for each thing about a log that a reader of its ion contents has to know."""
    sentences = list(log.attrs.get("warnings", ()))
    difference = capacity_difference(log)
    if difference > CAPACITY_LIMIT:
        sentences.append(
            f"The integrated charge of a half cycle differs from the instrument's own count, which "
            f"is taken, by {difference:.1%} of the largest half cycle, more than "
            f"{CAPACITY_LIMIT:.0%}: records may be missing, or too far apart."
        )
    elif np.isnan(difference):
        sentences.append(
            "The instrument counts no charge; the integrated one is taken, which nothing checks."
        )
    if contents["ion_content"].isna().all():
        return [
            *sentences,
            "The mass of active material is not known: charge is the whole electrode's, and gives"
            " no ion content.",
        ]
    for column, whose in (("ion_content", "all"), ("active_ion_content", "the active")):
        if (contents[f"{column}_high"] < 0).any():
            sentences.append(
                f"The ion content of {whose} grains falls to {contents[column].min():.2f}, below "
                "zero beyond its error: the mass is too small, or charge went elsewhere."
            )
            break
    swing = float(np.ptp(contents["ion_content"]))
    if swing < LEAST_SWING * contents["ion_content"].iloc[0]:
        sentences.append(
            f"Over the whole log the ion content changes by {swing:.2g} per formula unit only: its"
            " current may be in another unit than it says, or the mass is too large."
        )
    return sentences


def tidy_table(cycling: xr.Dataset) -> pd.DataFrame:
    """The records of a CYCLING data set under names of the Battery Data Format, units in them."""
    data = {name: cycling[name].to_numpy() for name in cycling.variables}
    return pd.DataFrame(
        {
            BDF_TIME: data["time"],
            BDF_VOLTAGE: data["voltage"],
            BDF_CURRENT: 1e-3 * data["current"],
            "Cycle Count / 1": data["cycle"],
            "Half Cycle Count / 1": data["half_cycle"],
            "Step Count / 1": data["step"],
            "Step Type": [STEP_TYPES[kind] for kind in data["step_type"]],
            "Net Capacity / Ah": 1e-3 * data["charge"],
            "Net Specific Capacity / mAh/g": data["capacity"],
            "Ion Content / 1": data["ion_content"],
            "Ion Content Low / 1": data["ion_content_low"],
            "Ion Content High / 1": data["ion_content_high"],
        }
    )


def at_moments(moments: np.ndarray, time: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values at moments within the records' `time`, (n,), interpolated; those of the first record
    where several share the moment. Of the shape of `moments`."""
    after = np.searchsorted(time, moments, side="left")
    exact = time[after] == moments
    before = np.where(exact, after, after - 1)
    part = np.where(
        exact, 0.0, (moments - time[before]) / np.where(exact, 1.0, time[after] - time[before])
    )
    return values[before] + part * (values[after] - values[before])
