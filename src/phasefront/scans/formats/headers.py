"""What headers say, in one spelling: plain values, texts and units."""

from __future__ import annotations

import math

import numpy as np

# Longer lists in a header are colour tables and the like.
LONGEST_HEADER_LIST = 64
# Lengths in nm of the units that files give.
NANOMETRES = {"pm": 1e-3, "Å": 0.1, "A": 0.1, "nm": 1.0, "µm": 1e3, "um": 1e3, "m": 1e9}


def plain(value):
    """Values that JSON can hold: no NumPy, no bytes, no NaN, no long tables."""
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, np.ndarray):
        value = value.tolist() if value.size <= LONGEST_HEADER_LIST else range(value.size)
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, (list, tuple, range)):
        if len(value) > LONGEST_HEADER_LIST:
            return f"{len(value)} values"
        return [plain(entry) for entry in value]
    if isinstance(value, bytes):
        return text(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def text(value) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def unit_of(unit: str) -> str:
    """One spelling of a unit: 'A^-1' and '1 / Å' become '1/Å'."""
    unit = unit.replace(" ", "").replace("[", "").replace("]", "").replace("_", "")
    for exponent in ("^-1", "⁻¹", "-1"):
        if unit.endswith(exponent):
            unit = "1/" + unit.removesuffix(exponent)
    spellings = {"A": "Å", "1/A": "1/Å", "angstrom": "Å", "1/angstrom": "1/Å", "μm": "µm"}
    return spellings.get(unit, unit)
