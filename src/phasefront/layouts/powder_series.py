"""An operando series of powder patterns: its times on a log, its fits, and both together."""

from __future__ import annotations

from phasefront.core.netcdf import Layout, Variable
from phasefront.core.tables import Column, Table
from phasefront.layouts.dimensions import PHASE_NAME, with_ends
from phasefront.layouts.powder import POWDER

_PATTERN, _PER_PHASE = ("pattern",), ("pattern", "phase")
_FILE = Variable(_PATTERN, "str", "", "file of the pattern")
_TIMES = {
    "start": Variable(_PATTERN, "str", "", "when its measurement began, ISO 8601 with its offset"),
    "time": Variable(
        _PATTERN, "f8", "s", "since the log's time was zero, pauses included, when it began"
    ),
    "exposure": Variable(_PATTERN, "f8", "s", "how long it was measured"),
    "voltage": Variable(_PATTERN, "f8", "V", "cell voltage, mean over the exposure"),
    "current": Variable(
        _PATTERN, "f8", "mA", "current, positive on charge, mean over the exposure"
    ),
    "charge": Variable(
        _PATTERN,
        "f8",
        "mA h",
        "net charge passed by the electrode, positive on charge, mean over the exposure",
    ),
}
# Attributes have the meanings that they have in TIMES of scans.
_CLOCK = ("series", "log", "log_start", "clock_test")

BATCH_TIMES = Layout(
    "When each powder pattern of a batch was measured, on its log",
    {"pattern": _FILE, **_TIMES},
    (*_CLOCK, "batch", "clock_offset_s", "clock_offset_error_s", "started_from", "exposure_from"),
)

_OF_A_FIT = (
    "weight_fraction", "weight_fraction_esd", "molar_fraction", "molar_fraction_esd", "cell",
    "cell_esd", "lorentz_size", "lorentz_strain", "zero_error", "ion_content", "ion_content_esd",
    "rwp", "goodness_of_fit",
)  # fmt: skip


def _of_each(name: str) -> Variable:
    """A variable of a pattern's fit, for many."""
    one = POWDER.variables[name]
    return Variable((*_PATTERN, *one.dims), one.dtype, one.units, one.long_name)


_FITS = {
    "phase": PHASE_NAME,
    **{name: _of_each(name) for name in _OF_A_FIT},
    "refused": Variable(_PATTERN, "str", "", "why the fit is no result, empty where it is one"),
    "notes": Variable(_PATTERN, "str", "", "what else there is to know of the fit"),
}
BATCH_FITS = Layout(
    "Rietveld fits of a part of a batch of powder patterns",
    {"pattern": _FILE, **_FITS},
    ("batch", "wavelength", "refined_with"),
)

POWDER_SERIES = Layout(
    "Phases along an operando series of powder patterns, in the order of time",
    {
        "pattern": _FILE,
        "batch": Variable(_PATTERN, "str", "", "row of the powder table that it is of"),
        **_TIMES,
        **_FITS,
        **with_ends("weight_fraction", _PER_PHASE, "weight fraction"),
        **with_ends("molar_fraction", _PER_PHASE, "fraction of formula units"),
        **with_ends("ion_content", _PATTERN, "ions per formula unit, mean over molar fractions"),
    },
    (*_CLOCK, "wavelength", "refined_with"),
)

POWDER_SERIES_TABLE = Table(
    "powder_series/*.csv",
    "Phases along an operando series of powder patterns, a row for each pattern and phase.",
    {
        "pattern": Column("str", "", "file of the pattern"),
        "start": Column("str", "", "when its measurement began, ISO 8601 with its offset"),
        "time_s": Column("f8", "s", "since the log's time was zero, when it began"),
        "exposure_s": Column("f8", "s", "how long it was measured"),
        "voltage_v": Column("f8", "V", "of the cell, mean over the exposure"),
        "current_ma": Column("f8", "mA", "positive on charge, mean over the exposure"),
        "charge_mah": Column("f8", "mA h", "net charge passed, mean over the exposure"),
        "phase": Column("str", "", "candidate phase"),
        "weight_fraction": Column("f8", "1", "empty where the fit was refused, as what follows"),
        "weight_fraction_low": Column("f8", "1", "lower end of its 95 % interval"),
        "weight_fraction_high": Column("f8", "1", "upper end of its 95 % interval"),
        "molar_fraction": Column("f8", "1", "fraction of formula units"),
        "molar_fraction_low": Column("f8", "1", "lower end of its 95 % interval"),
        "molar_fraction_high": Column("f8", "1", "upper end of its 95 % interval"),
        "ion_content": Column("f8", "1", "ions per formula unit of the pattern, all phases"),
        "ion_content_low": Column("f8", "1", "lower end of its 95 % interval"),
        "ion_content_high": Column("f8", "1", "upper end of its 95 % interval"),
        "rwp": Column("f8", "1", "weighted profile R factor"),
        "goodness_of_fit": Column("f8", "1", "square root of reduced chi squared"),
        "refused": Column("str", "", "why the fit is no result; empty where it is one"),
    },
    float_format="%.9g",
)
