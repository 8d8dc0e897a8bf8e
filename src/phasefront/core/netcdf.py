"""netCDF files between stages: declared layouts, checked when written and when read."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np
import xarray as xr

from phasefront.core.errors import InputError

_CHUNK = 1 << 18  # values compressed together in a file that grows
_CACHE_BYTES = 1 << 22  # of open chunks, for memory's sake
_OF_ALL = ("title", "Conventions")  # attributes of every file


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
    """What a stage's file holds: a title, its variables, the attributes it must carry, and those
    that it carries where its maker knows them.

    Along the dimensions that it `grows`, a file can be written and read in parts.
    """

    title: str
    variables: dict[str, Variable]
    attributes: tuple[str, ...] = ()
    grows: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()

    def check(self, dataset: xr.Dataset, source: str | Path) -> None:
        """Raise InputError unless `dataset` has every variable, dtype and attribute declared, and
        no other."""
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
        known = {*self.attributes, *self.optional, *_OF_ALL}
        undeclared = sorted(set(map(str, dataset.attrs)) - known)
        if undeclared:
            raise InputError(
                source,
                f"attributes {undeclared} are not part of '{self.title}'",
                remedy="declare them in phasefront.layouts or leave them out",
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


def unknown(layout: Layout, sizes: Mapping[str, int]) -> dict[str, np.ndarray]:
    """Every floating-point variable of `layout` as NaN, for dimensions of these sizes."""
    return {
        name: np.full([sizes[dim] for dim in declared.dims], np.nan)
        for name, declared in layout.variables.items()
        if declared.dtype.startswith("f")
    }


def write(dataset: xr.Dataset, path: str | Path, layout: Layout) -> None:
    """Write `dataset` as compressed netCDF-4 after checking it against `layout`.

    The bytes depend on the values only: no time stamp, fixed compression.
    """
    _to_netcdf(dataset, path, layout, grows=False)


def _to_netcdf(dataset: xr.Dataset, path: str | Path, layout: Layout, *, grows: bool) -> None:
    layout.check(dataset, path)
    dataset = dataset.assign_attrs({"Conventions": "CF-1.11"})
    encoding = {
        name: {"zlib": True, "complevel": 4, "shuffle": True}
        for name, declared in layout.variables.items()
        if declared.dtype != "str" and (grows or dataset[name].size > 64)
    }
    for name, declared in layout.variables.items():
        if declared.dtype.startswith("f"):
            encoding.setdefault(name, {})["_FillValue"] = None
        if grows and declared.dims and declared.dims[0] in layout.grows:
            encoding.setdefault(name, {})["chunksizes"] = _chunk(dataset[name].shape)
    dataset.to_netcdf(
        path,
        mode="a" if grows else "w",
        engine="netcdf4",
        format="NETCDF4",
        encoding=encoding,
        unlimited_dims=layout.grows if grows else (),
    )


def _chunk(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Of `_CHUNK` values, whole but for the first dimension."""
    rest = max(1, math.prod(shape[1:]))
    return (max(1, _CHUNK // rest), *(max(1, size) for size in shape[1:]))


def join(
    parts: Iterable[dict], layout: Layout, constants: dict, attributes: dict | None = None
) -> xr.Dataset:
    """Dataset of `layout` from parts, each with all variables that grow, in their order."""
    parts = list(parts)
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return build(layout, constants | whole, attributes)


def write_parts(
    parts: Iterable[dict], path: str | Path, layout: Layout, constants: dict, attributes: dict
) -> None:
    """`write` what `join` would build, with one part in memory at a time."""
    import netCDF4

    _limit_caches()
    parts = iter(parts)
    first = next(parts)
    empty = {name: values[:0] for name, values in first.items()}
    # xarray would create them in the order of a set, another one in every process.
    with netCDF4.Dataset(path, "w") as file:
        for dimension in layout.grows:
            file.createDimension(dimension, None)
    _to_netcdf(build(layout, constants | empty, attributes), path, layout, grows=True)
    written = dict.fromkeys(first, 0)
    with netCDF4.Dataset(path, "a") as file:
        for part in chain([first], parts):
            for name, values in part.items():
                file[name][written[name] : written[name] + len(values)] = values
                written[name] += len(values)


def read(path: str | Path, layout: Layout) -> xr.Dataset:
    """Read a whole file into memory, check it against `layout` and close it."""
    with opened(path, layout) as dataset:
        return dataset.load()


@contextmanager
def opened(path: str | Path, layout: Layout) -> Iterator[xr.Dataset]:
    """A file checked against `layout`, whose values are read when they are asked for."""
    _limit_caches()
    try:
        dataset = xr.open_dataset(path, engine="netcdf4", decode_times=False, cache=False)
    except FileNotFoundError:
        raise InputError(
            path, "there is no such file", remedy="run the rule that makes it first"
        ) from None
    except OSError as error:
        raise _unreadable(path, error) from error
    with dataset:
        layout.check(dataset, path)
        try:
            yield dataset
        except RuntimeError as error:
            # netCDF4's way to say that a value cannot be decoded.
            if str(error).startswith("NetCDF:"):
                raise _unreadable(path, error) from error
            raise


def _unreadable(path: str | Path, error: Exception) -> InputError:
    return InputError(
        path, f"not a readable netCDF file ({error})", remedy="delete it and run again"
    )


def _limit_caches() -> None:
    """HDF5 keeps chunks of every variable: with 64 MB each, memory would grow with the scan."""
    import netCDF4

    netCDF4.set_chunk_cache(_CACHE_BYTES)


def read_all(paths: Iterable[str | Path], layout: Layout, *, key: str) -> dict[str, xr.Dataset]:
    """Files of one layout, by the value of their attribute `key`."""
    datasets = [read(path, layout) for path in paths]
    return {dataset.attrs[key]: dataset for dataset in datasets}
