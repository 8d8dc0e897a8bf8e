"""Data sets of the stages, of which a test says only what it is about."""

import numpy as np
import pandas as pd
from examples import example

from phasefront.core.moments import Stamp
from phasefront.cycling.analysis import analyse_log
from phasefront.grains.lattices import oriented, shown_phase
from phasefront.layouts.fractions import FRACTIONS
from phasefront.layouts.grains import GRAINS
from phasefront.layouts.phases import MIXED, PHASES


def build_phases(names, decision, *, scan="map", **given):
    """PHASES of a map of decisions (y, x); what is not given follows from these, or is NaN.

    Shares are those of the decided phase; mixed positions are half of each of the first two.
    """
    decision = np.asarray(decision)
    shape, count = decision.shape, len(names)
    share = np.full((*shape, count), np.nan)
    share[decision >= 0] = np.eye(count)[decision[decision >= 0]]
    share[decision == MIXED] = np.where(np.arange(count) < 2, 1 / min(count, 2), 0)
    return example(
        PHASES, phase=names, scan=scan,
        **{
            "distortion": np.eye(2), "decide_above": 0.95, "min_explained": 0.5, "max_misfit": 4.0,
            "position_sigma": 0.003, "orientation_stderr": 0.1, "over_strays": 50.0,
            "decision": decision, "share": share, "reliability": 0,
            "posterior": np.eye(count)[np.maximum(decision, 0)],
        } | given,
    )  # fmt: skip


def build_grains(phases, **given):
    """GRAINS of PHASES in which every position is oriented as found, for sure."""
    found = oriented(phases, shown_phase(phases))
    return example(
        GRAINS, phase=list(phases["phase"].values), scan=phases.attrs["scan"],
        **{
            "orientation": found.reshape(*phases["decision"].shape, 4),
            "orientation_probability": 1.0, "axes_probability": 1.0,
        } | given,
    )  # fmt: skip


def build_cycling(states, contents, *, cycles=False):
    """A charge with a step at x = 1.95; with `cycles` a discharge and a charge after it."""
    x = np.linspace(3.05, 0.95, 900)
    step = 1 / (1 + np.exp((x - 1.95) / 0.02))
    voltage = 3.68 + 0.5 * step + 0.05 * (3 - x) - 0.25 * np.exp(-(3.05 - x) / 0.02)
    turns = [1, -1, 1] if cycles else [1]
    part = len(x)
    log = pd.DataFrame(
        {
            "time_s": np.linspace(0, 72000 * len(turns), part * len(turns)),
            "voltage_V": np.concatenate([voltage[::turn] for turn in turns]),
            "current_mA": np.repeat(turns, part) * 0.05,
            "capacity_mAh": np.concatenate([0.003 * 64.15 * (3.05 - x[::turn]) for turn in turns]),
            "integrated_capacity_mAh": np.nan,
            "instrument_capacity_mAh": np.nan,
            "cycle": np.repeat([0, 0, 1][: len(turns)], part),
            "half_cycle": np.repeat(range(len(turns)), part),
            "step": np.repeat(range(len(turns)), part),
            "step_type": np.repeat(["charge", "discharge", "charge"][: len(turns)], part),
        }
    )
    log["elapsed_s"] = log["time_s"]
    places = 64.15 * (3.05 - contents)
    return analyse_log(
        log,
        name="charge",
        states=[
            {"state": state, "capacity_mah_g": place}
            for state, place in zip(states, places, strict=True)
        ],
        mass_mg=3.0,
        started=Stamp(None, "nothing says so"),
        mass_error_mg=0.03,
        formula_mass=417.79,
        initial_content=3.05,
        initial_error=0.005,
        inactive_share=0.1,
        inactive_error=0.02,
    )


def build_fractions(names, *, scan="map", **given):
    """FRACTIONS of two grains; what is not given is NaN, or a count of nothing."""
    return example(
        FRACTIONS, phase=names, scan=scan, scan_step_nm=10.0, molar_weight="area",
        decide_above=0.95, draw=4, **given,
    )  # fmt: skip
