"""Example data sets of any layout, of which a test says only what it is about."""

import math
from collections.abc import Mapping

import numpy as np
import xarray as xr

from phasefront.core import netcdf
from phasefront.layouts.spots import DISTORTION_ERRORS, SPOTS

# Lengths of dimensions that are always so long, and of lists that may be empty; others are 2.
SIZES = {
    "quaternion": 4, "cell_parameter": 6, "other_parameter": 6, "threshold": 3,
    "kind": 3, "index": 3, "axis": 3,
    **dict.fromkeys(("spot", "vertex", "pair", "plateau", "reflection", "line"), 0),
    **dict.fromkeys(("direction", "simulated_grain"), 0),
}  # fmt: skip
# What stands for nothing where 0 would not: no second phase, no grain, every pixel of the camera.
MADE_UP = {"second_phase": -1, "label": -1, "mask": 1, "kind": ["area", "thickness", "molar"]}
TEXTS = (
    "scan", "file", "method", "dtype", "sha256", "header", "log", "warnings", "pattern", "state",
    "refined_with", "refused", "map_by", "molar_weight", "started", "started_from", "start",
    "end", "clock", "insertion_model", "verdict", "notes",
)  # fmt: skip


def example(layout: netcdf.Layout, **given) -> xr.Dataset:
    """A valid data set of `layout`.

    `given` are values of its variables and attributes, and sizes of its dimensions, by name. A
    value that lacks leading dimensions holds along all of them, so that a number fills its
    variable. The rest is made up: floating-point numbers are NaN, others 0, and names are counted.
    """
    values = {name: given.pop(name) for name in layout.variables if name in given}
    sizes = _sizes(layout, values)
    sizes |= {dim: given.pop(dim) for dim in sizes if dim in given}
    attributes = {name: "" if name in TEXTS else 0.0 for name in layout.attributes}
    for name, declared in layout.variables.items():
        shape = [sizes[dim] for dim in declared.dims]
        value = values[name] if name in values else _made_up(name, declared, shape)
        kind = object if declared.dtype == "str" else None
        values[name] = np.array(np.broadcast_to(np.asarray(value, kind), shape))
    found = netcdf.build(layout, values, attributes | given)
    layout.check(found, "example")
    return found


def _sizes(layout: netcdf.Layout, values: Mapping) -> dict[str, int]:
    """Of each dimension, as the values that have all of theirs show it."""
    dimensions = {dim for declared in layout.variables.values() for dim in declared.dims}
    shown = {
        dim: size
        for name, value in values.items()
        if np.ndim(value) == len(layout.variables[name].dims)
        for dim, size in zip(layout.variables[name].dims, np.shape(value), strict=True)
    }
    if "phase" in shown and "true_phase" in dimensions:
        shown["true_phase"] = shown["phase"]
    sizes = {dim: SIZES.get(dim, 2) for dim in dimensions} | shown
    for edge, parts in (("edge", ("y", "x")), ("edge", ("template",)), ("grain_edge", ("grain",))):
        if {edge, *parts} <= dimensions and edge not in shown:
            sizes[edge] = math.prod(sizes[part] for part in parts) + 1
    return sizes


def _made_up(name: str, declared: netcdf.Variable, shape: list[int]) -> object:
    of_itself = declared.dims == (name,)  # a coordinate
    if name in MADE_UP and (declared.dtype != "str" or of_itself):
        return MADE_UP[name]
    if declared.dtype == "str":
        return [f"{name} {number}" for number in range(shape[0])] if of_itself else ""
    if of_itself:
        return np.arange(shape[0])
    return np.nan if declared.dtype.startswith("f") else 0


def example_spots(count, qx, qy, intensity=1.0, variance=None, **given) -> xr.Dataset:
    """SPOTS of a map with `count` (y, x) spots, whose values stand one after the other."""
    variance = intensity if variance is None else variance
    return example(
        SPOTS, count=count, offset=np.concatenate([[0], np.cumsum(count)]), qx=qx, qy=qy,
        intensity=intensity, variance=variance,
        **dict.fromkeys(DISTORTION_ERRORS, 0.003) | {"scan_step_nm": 1.0} | given,
    )  # fmt: skip
