"""A map of chemistry, as everything that follows takes it."""

from __future__ import annotations

import numpy as np
import xarray as xr

from phasefront.chemistry.dose import ZeroDose
from phasefront.chemistry.losses import Ratio
from phasefront.chemistry.valence import Valence
from phasefront.core import netcdf
from phasefront.layouts.chemistry import CHEMISTRY, ION_CONTENT, Told


def valence_map(valence: Valence, density: xr.Dataset) -> xr.Dataset:
    """A CHEMISTRY dataset of a fit's mean valences."""
    return netcdf.build(
        CHEMISTRY,
        {
            "value": valence.value, "standard_error": valence.standard_error,
            "systematic_error": valence.systematic_error, "thickness": valence.thickness,
            "thickness_stderr": valence.thickness_stderr, "mask": valence.told == Told.TOLD,
            "told": valence.told, "misfit": valence.misfit,
        },
        {
            "map": density.attrs["stack"], "quantity": "mean valence", "unit": "1",
            "thickness_unit": "optical density below the edge",
            "pixel_y_nm": density.attrs["pixel_y_nm"], "pixel_x_nm": density.attrs["pixel_x_nm"],
            "method": "X-ray absorption", "energy_shift_ev": valence.shift,
            "shift_error_ev": valence.shift_error, "broadening_ev": valence.broadening,
            "correlation": valence.correlation, "warnings": "; ".join(valence.warnings),
        },
    )  # fmt: skip


def ion_content(
    valences: xr.Dataset, *, constant: float, per_valence: float, exchange: float,
    exchange_error: float,
) -> xr.Dataset:  # fmt: skip
    """A CHEMISTRY dataset of ion content from one of valences, by the balance of charge.

    x = constant + per_valence v + exchange: for Na_x V_2 (PO4)_2 F_(3-y) O_y that is 9 + y - 2 v.
    The exchange is one for all positions, so its error is systematic.
    """
    systematic = np.hypot(per_valence * valences["systematic_error"], exchange_error)
    return valences.assign(
        value=valences["value"].copy(
            data=constant + per_valence * valences["value"].values + exchange
        ),
        standard_error=valences["standard_error"].copy(
            data=abs(per_valence) * valences["standard_error"].values
        ),
        systematic_error=valences["systematic_error"].copy(data=systematic.values),
    ).assign_attrs(quantity=ION_CONTENT, unit="ions per formula unit")


def ions_of_ratio(ratio: xr.Dataset, formula_atoms: float) -> xr.Dataset:
    """A CHEMISTRY dataset of ion content from one of ratios, of the ion over an element of which a
    formula unit has `formula_atoms` atoms."""
    errors = ("value", "standard_error", "systematic_error")
    return ratio.assign(
        {name: ratio[name].copy(data=formula_atoms * ratio[name].values) for name in errors}
    ).assign_attrs(quantity=ION_CONTENT, unit="ions per formula unit")


def ratio_map(
    fitted: Ratio, stack: xr.Dataset, *, elements: tuple[str, str], before: ZeroDose | None = None
) -> xr.Dataset:
    """A CHEMISTRY dataset of a ratio of elements from losses.

    Parameters
    ----------
    fitted
        Of the first scan.
    stack
        Its STACK dataset.
    before
        The ratio before the beam changed it, where there are repeats.
    """
    name = "/".join(elements)
    value, stderr, systematic = fitted.value, fitted.standard_error, fitted.systematic_error
    warnings = list(fitted.warnings)
    if before is None:
        warnings.append(f"{name} is as the beam left it: there are no repeats")
    else:
        # What is systematic is a share of the ratio, of the first scan as before it.
        systematic = np.hypot(systematic * before.value / value, before.decay_error)
        value, stderr = before.value, before.standard_error
        warnings.append(
            f"{name} is extrapolated to no dose: 1/e is left after {before.decay_dose:.3g}"
            f" electrons per nm2 (error {before.decay_dose_stderr:.2g})"
        )
    told = np.isfinite(value) & np.isfinite(systematic)
    return netcdf.build(
        CHEMISTRY,
        {
            "value": np.where(told, value, np.nan),
            "standard_error": np.where(told, stderr, np.nan),
            "systematic_error": np.where(told, systematic, np.nan),
            "thickness": fitted.thickness, "thickness_stderr": fitted.thickness_stderr,
            "mask": told, "told": fitted.told, "misfit": fitted.misfit,
        },
        {
            "map": stack.attrs["stack"], "quantity": name, "unit": "atoms per atom",
            "thickness_unit": "inelastic mean free paths",
            "pixel_y_nm": stack.attrs["pixel_y_nm"], "pixel_x_nm": stack.attrs["pixel_x_nm"],
            "method": "energy loss", "energy_shift_ev": np.nan, "shift_error_ev": np.nan,
            "broadening_ev": np.nan, "correlation": np.nan, "warnings": "; ".join(warnings),
        },
    )  # fmt: skip
