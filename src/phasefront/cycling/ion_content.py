"""Ion content along a log, with its uncertainty."""

from __future__ import annotations

import numpy as np
import pandas as pd

from phasefront.core.errors import InputError
from phasefront.core.statistics import NORMAL_95

FARADAY_MAH_MOL = 96485.33212 / 3.6  # CODATA 2018

# --- ion content -----------------------------------------------------------------------------


def ion_content(
    log: pd.DataFrame,
    *,
    mass_mg: float,
    mass_error_mg: float,
    formula_mass: float,
    initial_content: float,
    initial_error: float = 0.0,
    ions_per_electron: float = 1.0,
    irreversible_mAh_g: float = 0.0,
    irreversible_error_mAh_g: float = 0.0,
    leakage_mA: float = 0.0,
    leakage_error_mA: float = 0.0,
    inactive_share: float = 0.0,
    inactive_error: float = 0.0,
) -> pd.DataFrame:
    """Ions per formula unit along a log, with a 95 % interval: of all grains, and of active ones.

    Faraday's law, x = x0 - n q M / F with q = (Q - I_leak t) / m - s q_irr, where s(t), 0 to 1, is
    the charge passed up to t on the first charge as a share of that charge's total: the
    irreversible loss is taken in proportion to charge. To first order and for independent errors
    (JCGM 100:2008, 5.1.2)

        u(x)^2 = u(x0)^2 + (n M / F)^2 [((Q - I_leak t) / m)^2 (u(m) / m)^2 + (t u(I_leak) / m)^2
                 + s^2 u(q_irr)^2 + (s (1 - s) q_irr)^2]

    whose last term is the loss not being proportional after all: it is as large as the change if
    its rate grew linearly from zero instead. The interval is x -+ 1.96 u(x). That is the mean of
    all grains, which microscope and diffraction see. Grains without contact, a share f of the mass,
    stay at x0, and the others are at x_a = x0 - (x0 - x) / (1 - f), so that the variance of x0 - x
    over (1 - f)^2 and ((x0 - x) u(f) / (1 - f)^2)^2 add to u(x0)^2.

    Parameters
    ----------
    log
        Table of `read_log`.
    mass_mg, mass_error_mg
        Active mass and its standard uncertainty.
    formula_mass
        g/mol of the compound that the mass was weighed as (the pristine one).
    initial_content, initial_error
        Ions per formula unit at the first record, and the standard uncertainty.
    ions_per_electron
        Ions that leave per electron: 1 for Li+ and Na+, 0.5 for Mg2+.
    irreversible_mAh_g, irreversible_error_mAh_g
        Capacity of the first charge that side reactions took, and its standard uncertainty.
    leakage_mA, leakage_error_mA
        Current that passes the cell without moving ions, at rest too, and its uncertainty.
    inactive_share, inactive_error
        Share of the mass in grains without contact, and its standard uncertainty.

    Returns
    -------
    ion_content, ion_content_low, ion_content_high and the same with active_ before them; not
    clipped, so a wrong mass shows.
    """
    source = source_of(log)
    require_columns(source, "mass_mg", mass_mg, positive=True, remedy="give the active mass in mg")
    require_columns(source, "formula_mass", formula_mass, positive=True, remedy="give it in g/mol")
    require_columns(source, "initial_content", initial_content, remedy="give ions per formula unit")
    for name, value in {
        "mass_error_mg": mass_error_mg,
        "initial_error": initial_error,
        "irreversible_error_mAh_g": irreversible_error_mAh_g,
        "leakage_error_mA": leakage_error_mA,
        "inactive_error": inactive_error,
    }.items():
        require_columns(source, name, value, remedy="give a standard uncertainty, zero or more")
    if not 0 <= inactive_share < 1:
        raise InputError(
            source, f"{inactive_share:g} is not possible", field="inactive_share",
            remedy="give the share of the mass without contact, from 0 to less than 1",
        )  # fmt: skip
    mass_g = 1e-3 * mass_mg
    hours = (log["time_s"] - log["time_s"].iloc[0]).to_numpy() / 3600.0
    passed = (log["capacity_mAh"].to_numpy() - leakage_mA * hours) / mass_g
    share = _share_of_first_charge(log)
    per_mAh_g = ions_per_electron * formula_mass / FARADAY_MAH_MOL
    change = per_mAh_g * (passed - share * irreversible_mAh_g)
    variance = per_mAh_g**2 * (
        (passed * mass_error_mg / mass_mg) ** 2
        + (hours * leakage_error_mA / mass_g) ** 2
        + (share * irreversible_error_mAh_g) ** 2
        + (share * (1 - share) * irreversible_mAh_g) ** 2
    )
    active = 1 - inactive_share
    active_variance = variance / active**2 + (change * inactive_error / active**2) ** 2
    return pd.DataFrame(
        {
            **_with_interval("ion_content", initial_content - change, initial_error, variance),
            **_with_interval(
                "active_ion_content", initial_content - change / active, initial_error,
                active_variance,
            ),
        },
        index=log.index,
    )  # fmt: skip


def _with_interval(
    name: str, value: np.ndarray, initial_error: float, variance: np.ndarray
) -> dict[str, np.ndarray]:
    half_width = NORMAL_95 * np.sqrt(initial_error**2 + variance)
    return {name: value, f"{name}_low": value - half_width, f"{name}_high": value + half_width}


def _share_of_first_charge(log: pd.DataFrame) -> np.ndarray:
    """Charge passed up to each record on the first charge over that charge's total, (n,)."""
    gain = np.diff(log["capacity_mAh"].to_numpy(), prepend=0.0)
    half_cycle = log["half_cycle"].to_numpy()
    net = np.bincount(half_cycle, weights=gain)
    if not (net > 0).any():
        return np.zeros(len(log))
    first_charge = np.flatnonzero(net > 0)[0]
    passed = np.cumsum(np.where(half_cycle == first_charge, np.maximum(gain, 0.0), 0.0))
    return passed / passed[-1]


def source_of(log: pd.DataFrame) -> str:
    return log.attrs.get("source", "log")


def require_columns(
    source: str, name: str, value: float | None, *, remedy: str, positive: bool = False
) -> None:
    """Raise InputError unless `value` is a finite number, not negative (and not 0 if positive)."""
    if value is None or not np.isfinite(value):
        raise InputError(source, "the value is missing", field=name, remedy=remedy)
    if value < 0 or (positive and value == 0):
        raise InputError(source, f"{value:g} is not possible", field=name, remedy=remedy)
