"""Arrays as text in the page: rounded, compressed, and unpacked by the browser on demand."""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass

import numpy as np

# Bits of a number's fraction that are kept: an error of at most 2^-16 of it, 0.0015 %.
FINE = 15
COARSE = 9  # for pictures and errors, 0.1 %


@dataclass(frozen=True)
class Packed:
    """An array in the page: dtype ('f4', 'i4', 'i2', 'i1', 'u1'), shape, and base64 text."""

    dtype: str
    shape: tuple[int, ...]
    text: str


def pack(values: np.ndarray, dtype: str, *, bits: int = FINE) -> Packed:
    """Numbers as little-endian `dtype`, their bytes sorted by place, deflated (zlib), in base64.

    Floats are rounded to `bits` of their fraction, for the last ones are noise that does not
    compress.
    """
    values = np.ascontiguousarray(values, dtype=np.dtype(dtype).newbyteorder("<"))
    if dtype == "f4":
        values = rounded(values, bits)
    size = values.dtype.itemsize
    by_place = values.reshape(-1).view("u1").reshape(-1, size).T
    return Packed(dtype, values.shape, encoded(zlib.compress(by_place.tobytes(), 6)))


def rounded(values: np.ndarray, bits: int) -> np.ndarray:
    """Float32 numbers with `bits` of their fraction, to the nearest; NaN and infinity stay."""
    drop = 23 - bits
    raw = values.astype("<f4").view("<u4")
    up = (raw + np.uint32((1 << drop) >> 1)) & np.uint32(0xFFFFFFFF << drop & 0xFFFFFFFF)
    return np.where(np.isfinite(values), up.view("<f4"), values).astype("<f4")


def encoded(content: bytes) -> str:
    """Base64 text."""
    return base64.b64encode(content).decode("ascii")
