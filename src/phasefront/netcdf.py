"""netCDF files between stages: declared layouts, checked when written and when read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import xarray as xr

from phasefront.errors import InputError


@dataclass(frozen=True)
class Variable:
    """One variable of a layout: dimensions, dtype ('f4', 'i8', 'str'), unit and meaning."""

    dims: tuple[str, ...]
    dtype: str
    units: str
    long_name: str
    attrs: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Layout:
    """What a stage's file holds: a title, its variables and the attributes it must carry."""

    title: str
    variables: dict[str, Variable]
    attributes: tuple[str, ...] = ()

    def check(self, dataset: xr.Dataset, source: str | Path) -> None:
        """Raise InputError unless `dataset` has every variable, dtype and attribute declared."""
        for name, declared in self.variables.items():
            if name not in dataset.variables:
                raise InputError(
                    source,
                    f"variable {name!r} of '{self.title}' is missing",
                    remedy="make the file again with this version of phasefront",
                )
            found = dataset[name]
            if found.dims != declared.dims:
                raise InputError(
                    source,
                    f"dimensions are {found.dims}, {declared.dims} expected",
                    field=name,
                    remedy="make the file again with this version of phasefront",
                )
            if found.size and not _same_dtype(found.dtype, declared.dtype):
                raise InputError(
                    source,
                    f"dtype is {found.dtype}, {declared.dtype} expected",
                    field=name,
                    remedy="make the file again with this version of phasefront",
                )
        undeclared = set(map(str, dataset.variables)) - set(self.variables)
        if undeclared:
            raise InputError(
                source,
                f"variables {sorted(undeclared)} are not part of '{self.title}'",
                remedy="declare them in phasefront.layouts or leave them out",
            )
        missing = [name for name in self.attributes if name not in dataset.attrs]
        if missing:
            raise InputError(
                source,
                f"attributes {missing} of '{self.title}' are missing",
                remedy="make the file again with this version of phasefront",
            )


def _same_dtype(found: np.dtype, declared: str) -> bool:
    if declared == "str":
        return found.kind in "OUT" or isinstance(found, np.dtypes.StringDType)
    return found == np.dtype(declared)


def build(layout: Layout, data: dict, attributes: dict | None = None) -> xr.Dataset:
    """Dataset of `layout` from arrays by name, cast to the declared dtypes, with CF attributes.

    A variable whose only dimension bears its own name becomes a coordinate.
    """
    variables, coordinates = {}, {}
    for name, declared in layout.variables.items():
        if name not in data:
            raise KeyError(f"'{layout.title}' needs {name!r}")
        dtype = object if declared.dtype == "str" else declared.dtype
        array = np.asarray(data[name], dtype=dtype)
        attrs = {"units": declared.units, "long_name": declared.long_name, **declared.attrs}
        if declared.dtype == "str":
            del attrs["units"]
        target = coordinates if declared.dims == (name,) else variables
        target[name] = (declared.dims, array, attrs)
    unknown = set(data) - set(layout.variables)
    if unknown:
        raise KeyError(f"'{layout.title}' has no {sorted(unknown)}")
    return xr.Dataset(variables, coordinates, {"title": layout.title, **(attributes or {})})


def write(dataset: xr.Dataset, path: str | Path, layout: Layout) -> None:
    """Write `dataset` as compressed netCDF-4 after checking it against `layout`.

    The bytes depend on the values only: no time stamp, fixed compression.
    """
    layout.check(dataset, path)
    dataset = dataset.assign_attrs({"Conventions": "CF-1.11"})
    encoding = {
        name: {"zlib": True, "complevel": 4, "shuffle": True}
        for name, declared in layout.variables.items()
        if declared.dtype != "str" and dataset[name].size > 64
    }
    for name, declared in layout.variables.items():
        if declared.dtype.startswith("f"):
            encoding.setdefault(name, {})["_FillValue"] = None
    dataset.to_netcdf(path, engine="netcdf4", format="NETCDF4", encoding=encoding)


def read(path: str | Path, layout: Layout) -> xr.Dataset:
    """Read a whole file into memory, check it against `layout` and close it."""
    try:
        with xr.open_dataset(path, engine="netcdf4", decode_times=False) as dataset:
            dataset.load()
    except FileNotFoundError:
        raise InputError(
            path, "there is no such file", remedy="run the rule that makes it first"
        ) from None
    except OSError as error:
        raise InputError(
            path, f"not a readable netCDF file ({error})", remedy="delete it and run again"
        ) from error
    layout.check(dataset, path)
    return dataset


def read_all(paths: Iterable[str | Path], layout: Layout, *, key: str) -> dict[str, xr.Dataset]:
    """Files of one layout, by the value of their attribute `key`."""
    datasets = [read(path, layout) for path in paths]
    return {dataset.attrs[key]: dataset for dataset in datasets}
