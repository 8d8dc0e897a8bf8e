"""The log of a virtual series: pulses and rests of an electrode whose mass nobody knows."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd

from phasefront.experiment.settings.virtual_series import Pulses
from phasefront.virtual.insitu import clock
from phasefront.virtual.log import measure, open_circuit_voltage, protocol, write_eclab_text

# Made up: ions per formula unit of the whole electrode at the beginning and at the end, along the
# first plateau.
_CONTENTS = (2.95, 2.05)
_MASS_MG = 0.001  # what EC-Lab writes where nobody gave a mass
_INTERVAL_S = 10.0  # chosen: between two records


def simulate_pulses(path: str | Path, pulses: Pulses, *, seed: int) -> pd.DataFrame:
    """Write the log as EC-Lab exports it, and return its truth.

    The file says when it began as EC-Lab does, in local time without a zone.

    Returns
    -------
    One row for each moment at which the current goes on or off, the beginning and the end
    included: time_s, charge_mAh.
    """
    time, charge = clock.switches(pulses)
    rests_s = np.diff(time)[::2]
    stops = charge[::2]
    records = protocol(stops, current=pulses.current_ma, rests_s=rests_s, interval_s=_INTERVAL_S)
    content = np.interp(records["charge"], [0, stops[-1]], _CONTENTS)
    measure(
        records, open_circuit_voltage(content), current=pulses.current_ma,
        random=np.random.default_rng(seed),
    )  # fmt: skip
    write_eclab_text(
        path, records, current=pulses.current_ma, mass_mg=_MASS_MG, rests_s=rests_s,
        started=datetime.fromisoformat(pulses.started),
    )  # fmt: skip
    return pd.DataFrame({"time_s": time, "charge_mAh": charge})
