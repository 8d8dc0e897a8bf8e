"""A virtual galvanostatic log: charge of Na3V2(PO4)2F3 as EC-Lab exports it as text.

The cell differs from what its owner believes, by the errors that the owner declares: the weighed
mass and the irreversible capacity are drawn around the declared values. The irreversible current
grows with voltage, as oxidation of the electrolyte does, which the analysis does not know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd

from phasefront.core.errors import InputError
from phasefront.cycling.ion_content import FARADAY_MAH_MOL

# Made up, of the size that half cells in coin cells show; the analysis knows none of them.
_OXIDATION_SCALE_V = 0.5  # the irreversible current grows e-fold over this
_OHMIC_V = 0.015
_POLARISATION_V = 0.020  # after long under current
_POLARISATION_S = 900.0  # in which it comes and goes e-fold
_VOLTAGE_NOISE_V = 3e-4  # standard deviation
_CURRENT_NOISE = 2e-4  # relative, of a recorded current
_SWITCH_S = 4e-4  # from the end of a step to the first record of the next

# The local time of a log that is on no clock.
_STARTED = datetime(2025, 3, 3, 9)

_COLUMNS = (
    "mode", "ox/red", "error", "control changes", "Ns changes", "counter inc.", "Ns", "time/s",
    "dq/mA.h", "(Q-Qo)/mA.h", "control/V/mA", "Ewe/V", "I Range", "Q charge/discharge/mA.h",
    "half cycle", "<I>/mA", "cycle number",
)  # fmt: skip


def open_circuit_voltage(content: np.ndarray) -> np.ndarray:
    """Equilibrium voltage of Na_xV2(PO4)2F3 against sodium for x from 3 to 1, in V.

    Two sloping plateaus, the step between them at x = 2, and an exponential at each end; the
    constants follow the curve of Chayambuka et al., doi 10.1016/j.electacta.2021.139764, to about
    10 mV on the plateaus (there the step lies at x = 1.94).
    """
    plateaus = 3.65 + 0.05 * (3 - content) + 0.215 * (1 + np.tanh((2 - content) / 0.02))
    ends = 0.12 * np.exp(-(content - 1) / 0.02) - 0.6 * np.exp(-(3 - content) / 0.04)
    return plateaus + ends


def simulate_log(
    path: str | Path,
    *,
    states: Mapping[str, float],
    seed: int,
    mass_mg: float = 5.0,
    mass_error_mg: float = 0.05,
    irreversible_mAh_g: float = 5.0,
    irreversible_error_mAh_g: float = 1.0,
    formula_mass: float = 417.79,
    hours_per_ion: float = 10.0,
    rest_h: float = 2.0,
    interval_s: float = 60.0,
) -> pd.DataFrame:
    """Write the log of a charge that rests at each state, and return the truth.

    Parameters
    ----------
    path
        The .mpt file to write.
    states
        True ion content by name, decreasing from the pristine cell to the end of charge, within
        3 to 1.
    seed
        Of the true mass, the true irreversible capacity and the noise.
    mass_mg, mass_error_mg, irreversible_mAh_g, irreversible_error_mAh_g
        What the owner declares, with standard uncertainties; the truth is drawn from them.
    formula_mass
        g/mol of the pristine compound.
    hours_per_ion
        Nominal duration of taking out one ion per formula unit; sets the current.
    rest_h, interval_s
        Length of each rest, and time between two records.

    Returns
    -------
    One row a state: state, ion_content (true), time_s (end of its rest), capacity_mAh_g (charge
    passed over declared mass, so with the irreversible part).

    Raises
    ------
    InputError
        The states are no charge within 3 to 1.
    """
    stops_at = np.array(list(states.values()), dtype="f8")
    if (
        len(stops_at) < 2
        or np.any(np.diff(stops_at) >= 0)
        or not (stops_at[0] <= 3 and stops_at[-1] >= 1)
    ):
        raise InputError(
            path, f"a charge cannot pass through the ion contents {stops_at.tolist()}",
            field="states", remedy="list two or more that decrease, from at most 3 to at least 1",
        )  # fmt: skip
    random = np.random.default_rng(seed)
    true_mass_g = 1e-3 * random.normal(mass_mg, mass_error_mg)
    true_loss = max(0.0, random.normal(irreversible_mAh_g, irreversible_error_mAh_g))
    content = np.linspace(stops_at[0], stops_at[-1], 20001)
    voltage = open_circuit_voltage(content)
    reversible = (stops_at[0] - content) * FARADAY_MAH_MOL / formula_mass
    charge = true_mass_g * (reversible + true_loss * _loss_share(content, voltage))
    current = 1e-3 * mass_mg * FARADAY_MAH_MOL / formula_mass / hours_per_ion
    stops = np.interp(-stops_at, -content, charge)

    rests_s = [3600 * rest_h] * len(stops)
    records = protocol(stops, current=current, rests_s=rests_s, interval_s=interval_s)
    equilibrium = np.interp(records["charge"], charge, voltage)
    measure(records, equilibrium, current=current, random=random)
    write_eclab_text(path, records, current=current, mass_mg=mass_mg, rests_s=rests_s)
    ends = records[records["resting"]].groupby("step")["time"].last()
    return pd.DataFrame(
        {
            "state": list(states),
            "ion_content": list(states.values()),
            "time_s": ends.to_numpy(),
            "capacity_mAh_g": stops / (1e-3 * mass_mg),
        }
    )


def _loss_share(content: np.ndarray, voltage: np.ndarray) -> np.ndarray:
    """Share of the irreversible capacity lost down to each ion content, 0 to 1."""
    rate = np.exp((voltage - voltage.max()) / _OXIDATION_SCALE_V)
    mean_rate = (rate[1:] + rate[:-1]) / 2
    lost = np.concatenate([[0.0], np.cumsum(mean_rate * -np.diff(content))])
    return lost / lost[-1]


def protocol(
    stops: np.ndarray, *, current: float, rests_s: Sequence[float], interval_s: float
) -> pd.DataFrame:
    """Records of rest, charge, rest ...: step, resting, time in s, charge in mAh.

    The electrode rests at each of `stops`, charges in mAh, as long as `rests_s` says.
    """
    parts, start, passed = [], 0.0, stops[0]
    for number, (stop, rest_s) in enumerate(zip(stops, rests_s, strict=True)):
        if number > 0:
            duration = 3600 * (stop - passed) / current
            elapsed = _sample(duration, interval_s)
            parts.append(
                pd.DataFrame(
                    {
                        "step": 2 * number - 1,
                        "resting": False,
                        "time": start + elapsed,
                        "charge": passed + current * elapsed / 3600,
                    }
                )
            )
            start, passed = start + duration, stop
        elapsed = _sample(rest_s, interval_s)
        parts.append(
            pd.DataFrame(
                {"step": 2 * number, "resting": True, "time": start + elapsed, "charge": stop}
            )
        )
        start += rest_s
    return pd.concat(parts, ignore_index=True)


def measure(
    records: pd.DataFrame, equilibrium: np.ndarray, *, current: float, random: np.random.Generator
) -> None:
    """Add voltage (V) and current (mA), with noise, to records at an equilibrium voltage."""
    records["voltage"] = equilibrium + _overpotential(records["time"], records["resting"])
    records["voltage"] += random.normal(0, _VOLTAGE_NOISE_V, len(records))
    noise = random.normal(0, _CURRENT_NOISE, len(records))
    records["current"] = np.where(records["resting"], 0.0, current * (1 + noise))


def _sample(duration: float, interval: float) -> np.ndarray:
    """Moments of the records of a step: just after its start, every interval, and its end."""
    return np.concatenate([[_SWITCH_S], np.arange(interval, duration, interval), [duration]])


def _overpotential(time: pd.Series, resting: pd.Series) -> np.ndarray:
    """Ohmic drop and a polarisation that follows the current with one time constant, in V."""
    polarisation = np.zeros(len(time))
    decay = np.exp(-np.diff(time) / _POLARISATION_S)
    target = np.where(resting, 0.0, _POLARISATION_V)
    for row in range(1, len(time)):
        before = polarisation[row - 1]
        polarisation[row] = target[row] + (before - target[row]) * decay[row - 1]
    return polarisation + np.where(resting, 0.0, _OHMIC_V)


def write_eclab_text(
    path: str | Path,
    records: pd.DataFrame,
    *,
    current: float,
    mass_mg: float,
    rests_s: Sequence[float],
    started: datetime = _STARTED,
) -> None:
    """EC-Lab's text export with decimal commas; its charge counter is exact, its current is not.

    It gives the local time at which it `started`, and no zone.
    """
    passed = records["charge"] - records["charge"].iloc[0]
    changes = records["step"].diff().fillna(0).ne(0).astype(int)
    resting = records["resting"].to_numpy()
    table = pd.DataFrame(
        {
            "mode": np.where(resting, 3, 1),
            "ox/red": 1,
            "error": 0,
            "control changes": changes,
            "Ns changes": changes,
            "counter inc.": 0,
            "Ns": records["step"],
            "time/s": records["time"].map(_long),
            "dq/mA.h": passed.diff().fillna(0).map(_long),
            "(Q-Qo)/mA.h": passed.map(_long),
            "control/V/mA": pd.Series(np.where(resting, 0.0, current)).map(_short),
            "Ewe/V": records["voltage"].map(_short),
            "I Range": np.where(resting, 39, 38),
            "Q charge/discharge/mA.h": passed.map(_long),
            "half cycle": 0,
            "<I>/mA": records["current"].map(_long),
            "cycle number": _long(0.0),
        }
    )[list(_COLUMNS)]
    body = ["\t".join(_COLUMNS) + "\t"]
    body += ["\t".join(map(str, row)) for row in table.itertuples(index=False)]
    header = _header(current=current, mass_mg=mass_mg, rests_s=rests_s, started=started)
    # The count includes its own line, the line before it, and the column names.
    lines = ["EC-Lab ASCII FILE", f"Nb header lines : {len(header) + 3:<27d}", *header, *body]
    Path(path).write_text("\n".join(lines) + "\n", encoding="latin-1", newline="\n")


def _header(
    *, current: float, mass_mg: float, rests_s: Sequence[float], started: datetime
) -> list[str]:
    steps = 2 * len(rests_s) - 1
    charging = [step % 2 == 1 for step in range(steps)]
    moment = f"{started:%m/%d/%Y %H:%M:%S}.{started.microsecond // 1000:03d}"

    def row(name: str, values: list) -> str:
        return f"{name:<20}" + "".join(f"{value!s:<20}" for value in values)

    return [
        "",
        "Galvanostatic Cycling with Potential Limitation",
        "",
        "Run on channel : 1 (SN 00000)",
        "User : ",
        "Electrode connection : standard",
        "Potential control : Ewe",
        "Ewe ctrl range : min = 0,00 V, max = 5,00 V",
        f"Acquisition started on : {moment}",
        f"Technique started on : {moment}",
        "Device : virtual",
        "Comments : simulated by phasefront, no measurement",
        f"Mass of active material : {_comma(f'{mass_mg:.3f}')} mg",
        "Cycle Definition : Charge/Discharge alternance",
        row("Ns", list(range(steps))),
        row("Set I/C", ["I"] * steps),
        row("Is", [_comma(f"{1e3 * current if on else 0:.3f}") for on in charging]),
        row("unit Is", ["µA"] * steps),
        row("vs.", ["<None>"] * steps),
        row("I sign", ["> 0"] * steps),
        row("I Range", ["1 mA" if on else "100 µA" for on in charging]),
        row(
            "tR (h:m:s)",
            [
                "0:00:0,0000" if on else _clock(rests_s[step // 2])
                for step, on in enumerate(charging)
            ],
        ),
        "",
    ]


def _clock(lasting_s: float) -> str:
    seconds = round(lasting_s)
    return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60},0000"


def _comma(number: str) -> str:
    return number.replace(".", ",")


def _long(value: float) -> str:
    """EC-Lab's double: 15 decimals, three-digit exponent, decimal comma."""
    mantissa, exponent = f"{value:.15E}".split("E")
    return f"{_comma(mantissa)}E{int(exponent):+04d}"


def _short(value: float) -> str:
    """EC-Lab's single: 7 decimals, three-digit exponent, decimal comma."""
    mantissa, exponent = f"{value:.7E}".split("E")
    return f"{_comma(mantissa)}E{int(exponent):+04d}"
