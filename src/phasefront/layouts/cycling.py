"""A galvanostatic log with its ion content."""

from __future__ import annotations

import numpy as np

from phasefront.core.netcdf import Layout, Variable
from phasefront.core.tables import Column, Table


def _ion_contents(prefix: str, dims: tuple[str, ...], meaning: str) -> dict[str, Variable]:
    """An ion content with the ends of its interval."""
    return {
        f"{prefix}ion_content": Variable(dims, "f8", "1", meaning),
        f"{prefix}ion_content_low": Variable(dims, "f8", "1", "lower end of the 95 % interval"),
        f"{prefix}ion_content_high": Variable(dims, "f8", "1", "upper end of the 95 % interval"),
    }


CYCLING = Layout(
    "Galvanostatic log with ion content, its plateaus, and the states along it",
    {
        "time": Variable(("time",), "f8", "s", "time since the start"),
        "elapsed": Variable(
            ("time",),
            "f8",
            "s",
            "time since the start with pauses that the instrument's time leaves out; NaN where it"
            " is not known when a record was taken",
        ),
        "voltage": Variable(("time",), "f8", "V", "cell voltage"),
        "current": Variable(("time",), "f8", "mA", "current, positive on charge"),
        "charge": Variable(
            ("time",), "f8", "mA h", "net charge passed by the electrode, positive on charge"
        ),
        "capacity": Variable(
            ("time",), "f8", "mA h g-1", "net charge passed per gram, positive on charge"
        ),
        "cycle": Variable(
            ("time",), "i4", "1", "charges with the discharge after each, counted from 0"
        ),
        "half_cycle": Variable(("time",), "i4", "1", "runs of one current sign, counted from 0"),
        "step": Variable(("time",), "i4", "1", "steps of one type, counted from 0"),
        "step_type": Variable(
            ("time",),
            "i1",
            "1",
            "what the instrument did",
            {
                "flag_values": np.arange(4, dtype="i1"),
                "flag_meanings": "rest charge discharge constant_voltage",
            },
        ),
        **_ion_contents("", ("time",), "ions per formula unit, mean of all grains"),
        **_ion_contents("active_", ("time",), "ions per formula unit, grains with contact"),
        "half_capacity": Variable(
            ("half",), "f8", "mA h g-1", "charge passed in each half cycle, negative on discharge"
        ),
        "half_capacity_integrated": Variable(
            ("half",), "f8", "mA h g-1", "the same, integrated over the recorded current"
        ),
        "grid_voltage": Variable(("grid",), "f8", "V", "voltages of charge_per_voltage"),
        "charge_per_voltage": Variable(
            ("half", "grid"), "f4", "mA h g-1 V-1", "smoothed dQ/dV, negative on discharge"
        ),
        "plateau_half_cycle": Variable(("plateau",), "i4", "1", "half cycle of a plateau"),
        "plateau_voltage": Variable(("plateau",), "f8", "V", "voltage where dQ/dV is highest"),
        "plateau_from": Variable(
            ("plateau",), "f8", "mA h g-1", "charge passed in its half cycle where it begins"
        ),
        "plateau_to": Variable(
            ("plateau",), "f8", "mA h g-1", "charge passed in its half cycle where it ends"
        ),
        "state": Variable(("state",), "str", "", "state of charge"),
        "state_time": Variable(("state",), "f8", "s", "moment of the state"),
        "state_voltage": Variable(("state",), "f8", "V", "voltage at the state"),
        "state_charge": Variable(("state",), "f8", "mA h", "net charge passed at the state"),
        "state_capacity": Variable(
            ("state",), "f8", "mA h g-1", "net charge passed per gram at the state"
        ),
        **_ion_contents("state_", ("state",), "ions per formula unit, mean of all grains"),
        **_ion_contents("state_active_", ("state",), "ions per formula unit, grains with contact"),
    },
    # Sentences on what may be wrong with the log are the lines of warnings. Without a mass of
    # active material, mass_mg is NaN, and so is all that is per gram and every ion content. started
    # is when the time was zero (ISO 8601, with its offset where the zone is known; empty where
    # nothing says so), started_from what it is read from, or why it is not known.
    (
        "log", "file", "started", "started_from", "mass_mg", "initial_ion_content",
        "inactive_share", "capacity_difference", "warnings",
    ),
)  # fmt: skip

CYCLING_TABLE = Table(
    "cycling/*.csv",
    "A galvanostatic log, under the names of the Battery Data Format.",
    {
        "Test Time / s": Column("f8", "s", "since the start"),
        "Voltage / V": Column("f8", "V", "of the cell"),
        "Current / A": Column("f8", "A", "positive on charge"),
        "Cycle Count / 1": Column("i8", "1", "charges with the discharge after each, from 0"),
        "Half Cycle Count / 1": Column("i8", "1", "runs of one sign of the current, from 0"),
        "Step Count / 1": Column("i8", "1", "steps of one type, from 0"),
        "Step Type": Column("str", "", "rest, charge, discharge or constant_voltage"),
        "Net Capacity / Ah": Column("f8", "A h", "net charge passed, positive on charge"),
        "Net Specific Capacity / mAh/g": Column(
            "f8", "mA h g-1", "the same per gram of active material; empty without its mass"
        ),
        "Ion Content / 1": Column("f8", "1", "ions per formula unit, mean of all grains"),
        "Ion Content Low / 1": Column("f8", "1", "lower end of its 95 % interval"),
        "Ion Content High / 1": Column("f8", "1", "upper end of its 95 % interval"),
    },
    float_format="%.9g",
)
