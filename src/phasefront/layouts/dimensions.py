"""Dimensions and variables that several layouts share."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from phasefront.core.netcdf import Variable

Y_X = ("y", "x")
PER_PHASE = ("y", "x", "phase")
PHASE_NAME = Variable(("phase",), "str", "", "candidate phase")


def with_ends(
    name: str, dims: tuple[str, ...], long_name: str, units: str = "1"
) -> dict[str, Variable]:
    """A value and the ends of its 95 % interval."""
    return {
        name: Variable(dims, "f8", units, long_name),
        f"{name}_low": Variable(dims, "f8", units, f"{long_name}: lower end, 95 %"),
        f"{name}_high": Variable(dims, "f8", units, f"{long_name}: upper end, 95 %"),
    }


def named_ends(name: str, interval: np.ndarray) -> dict[str, np.ndarray]:
    """A value and its ends (3, ...), by the names that `with_ends` gives their variables."""
    return {f"{name}{end}": interval[at] for at, end in enumerate(("", "_low", "_high"))}


def flags(kind: type[IntEnum]) -> dict:
    """Attributes that say what the numbers of a variable stand for (CF conventions)."""
    return {
        "flag_values": np.array([one.value for one in kind], dtype="i1"),
        "flag_meanings": " ".join(one.name.lower() for one in kind),
    }
