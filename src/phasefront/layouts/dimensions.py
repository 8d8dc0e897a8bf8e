"""Dimensions and variables that several layouts share."""

from __future__ import annotations

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
