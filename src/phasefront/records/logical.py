"""A digest of what a netCDF file says, whatever way it is packed.

It covers groups, dimensions, attributes and values, in an order of its own; not compression,
chunks, byte order, unlimited dimensions, the order in which things were added, or the library that
wrote the file. Values count bit by bit: -0 is not 0, a 4-byte number is not an 8-byte one, a text
is not an array of characters. A single text is the same as an attribute of type CHAR or STRING.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

from phasefront.core.errors import InputError

_BLOCK = 1 << 22  # values read at once


def logical_digest(path: str | Path) -> str:
    """SHA-256 of the content of a netCDF-4 file of numbers and texts.

    The hashed stream is a line for each item, sorted by name within its group, as the ASCII JSON
    array [kind, name, ...] with ", " between its parts: dimensions with size; attributes with type
    and value, numbers as the hexadecimal of their little-endian bytes; variables with type,
    dimensions and attributes, then their values in C order, numbers as little-endian bytes,
    texts as UTF-8, each after its length in 8 bytes, little-endian.

    Raises InputError where a variable is of a type that has no such form (compound, vlen, enum).
    """
    import netCDF4

    total = hashlib.sha256()
    with netCDF4.Dataset(path) as file:
        file.set_auto_maskandscale(False)
        file.set_auto_chartostring(False)
        _add_group(total, file, "/")
    return total.hexdigest()


def _add_group(total, group, name: str) -> None:
    _add_line(total, "group", name)
    for key in sorted(group.dimensions):
        _add_line(total, "dimension", key, len(group.dimensions[key]))
    _add_attributes(total, group)
    for key in sorted(group.variables):
        variable = group.variables[key]
        if variable.dtype is not str and not isinstance(variable.datatype, np.dtype):
            raise InputError(
                group.filepath(),
                f"variable {key!r} is of a type of its own",
                remedy="write numbers or texts",
            )
        _add_line(total, "variable", key, _type_name(variable.dtype), tuple(variable.dimensions))
        _add_attributes(total, variable)
        _add_values(total, variable)
    for key in sorted(group.groups):
        _add_group(total, group.groups[key], f"{name}{key}/")


def _add_attributes(total, item) -> None:
    for key in sorted(item.ncattrs()):
        value = item.getncattr(key)
        if isinstance(value, str):
            _add_line(total, "attribute", key, "text", value)
        elif isinstance(value, list):
            _add_line(total, "attribute", key, "texts", value)
        else:
            array = np.atleast_1d(value)
            _add_line(
                total, "attribute", key, _type_name(array.dtype), _plain(array).tobytes().hex()
            )


def _add_values(total, variable) -> None:
    if variable.dtype is str:
        for text in np.asarray(variable[...], dtype=object).ravel():
            encoded = text.encode()
            total.update(len(encoded).to_bytes(8, "little") + encoded)
    elif variable.ndim == 0:
        total.update(_plain(np.asarray(variable[...])).tobytes())
    else:
        rows = max(1, _BLOCK // max(1, variable.size // max(1, variable.shape[0])))
        for start in range(0, variable.shape[0], rows):
            total.update(_plain(np.asarray(variable[start : start + rows])).tobytes())


def _add_line(total, *items) -> None:
    total.update(json.dumps(items).encode() + b"\n")


def _type_name(dtype) -> str:
    return "text" if dtype is str else f"{np.dtype(dtype).kind}{np.dtype(dtype).itemsize}"


def _plain(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"), copy=False))
