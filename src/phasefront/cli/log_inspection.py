"""What each log of an experiment holds, in a line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasefront.experiment import values

if TYPE_CHECKING:
    import pandas as pd

    from phasefront.experiment.plan import Plan

# Of all ions of the pristine compound, what one half cycle may pass: an electrode that is wholly
# emptied, an error of its mass and side reactions. Chosen.
_MOST_SWING = 1.2


def tell_log(plan: Plan, name: str) -> str:
    """Records, charge and start of a log, what was mended in it, and where states are on it.

    Raises InputError where it cannot be read, its start is not clear, or a state is not on it.
    """
    from phasefront.core.moments import settled
    from phasefront.cycling.ion_content import FARADAY_MAH_MOL
    from phasefront.cycling.logs import read_log
    from phasefront.experiment.settings.cycling import LogRow

    row = LogRow.model_validate(values.value(plan, f"log.{name}.row"))
    log = read_log(row.path, columns=row.columns, timezone=row.timezone)
    material = plan.experiment.material
    all_ions = FARADAY_MAH_MOL * material.pristine_ion_content / material.pristine_molar_mass
    described = describe_log(
        log, name, row.mass_mg, all_ions_mah_g=all_ions / row.ions_per_electron, ion=material.ion
    )
    began = settled(
        log.attrs["started"], stated=row.start, zone=row.timezone, path=row.path, field="start",
        table="the table of logs",
    )  # fmt: skip
    begun = f"begun {began.text or 'at an unknown time'} ({began.source})"
    states = [state.moment() for state in plan.experiment.states if state.log == name]
    told = _tell_states(log, states, row.mass_mg)
    return "; ".join([described, begun, *log.attrs["warnings"], *told])


def _tell_states(log: pd.DataFrame, states: list[dict], mass_mg: float | None) -> list[str]:
    from phasefront.cycling.analysis import at_moments
    from phasefront.cycling.states import locate_states

    moments = locate_states(log, states, mass_mg)
    time, volts = log["time_s"].to_numpy(), log["voltage_V"].to_numpy()
    return [
        f"state {state['state']} at {(at - time[0]) / 3600:.4g} h, {volt:.4g} V"
        for state, at, volt in zip(states, moments, at_moments(moments, time, volts), strict=True)
    ]


def describe_log(
    log: pd.DataFrame, name: str, mass_mg: float | None, *, all_ions_mah_g: float, ion: str
) -> str:
    """Records, duration, half cycles, charge and voltage of a log (see `logs.read_log`).

    `all_ions_mah_g` is the charge that the pristine compound's ions carry: a current in another
    unit, or a wrong mass, shows beside it, where the mass is known.
    """
    from phasefront.cycling.analysis import LEAST_SWING
    from phasefront.cycling.logs import half_cycle_charge

    duration = (log["time_s"].iloc[-1] - log["time_s"].iloc[0]) / 3600
    capacity, voltage, current = (log[c] for c in ("capacity_mAh", "voltage_V", "current_mA"))
    span, largest = capacity.max() - capacity.min(), abs(half_cycle_charge(log)).max()
    share = "of an electrode of unknown mass"
    if mass_mg is not None:
        specific, all_ions = span / (mass_mg * 1e-3), all_ions_mah_g * mass_mg * 1e-3
        share = (
            f"{specific:.4g} mAh/g of {mass_mg:g} mg or {100 * specific / all_ions_mah_g:.3g} % of"
            f" all its {ion}"
        )
        if span < LEAST_SWING * all_ions or largest > _MOST_SWING * all_ions:
            share += ", BUT no electrode gives so little or so much: see units and mass"
    return (
        f"log {name}, {len(log)} records in {duration:.4g} h,"
        f" {log['half_cycle'].max() + 1} half cycles,"
        f" {span:.4g} mAh between its most and least charged, {share},"
        f" {voltage.min():.4g} to {voltage.max():.4g} V,"
        f" {current.min():.4g} to {current.max():.4g} mA"
    )
