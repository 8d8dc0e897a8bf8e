"""Chemistry of a map."""

from __future__ import annotations

from enum import IntEnum

from phasefront.core.netcdf import Layout, Variable
from phasefront.layouts.dimensions import Y_X, flags

# Attribute `quantity` of maps of ions per formula unit.
ION_CONTENT = "ion content"
# Attribute `method` of maps by reference spectra.
XRAY_ABSORPTION = "X-ray absorption"


class Told(IntEnum):
    """Whether a position's chemistry is told, or why not."""

    TOLD = 0
    THIN = 1
    SATURATED = 2
    UNCERTAIN = 3
    OUTSIDE = 4


CHEMISTRY = Layout(
    "Chemistry of a map, position by position",
    {
        "value": Variable(Y_X, "f8", "see unit", "the quantity, NaN where the mask is 0"),
        "standard_error": Variable(Y_X, "f8", "see unit", "by noise, of each position by itself"),
        "systematic_error": Variable(
            Y_X, "f8", "see unit", "standard error that neighbours share: references, saturation"
        ),
        "thickness": Variable(
            Y_X, "f8", "see thickness_unit", "how thick the sample is, without its chemistry"
        ),
        "thickness_stderr": Variable(Y_X, "f8", "see thickness_unit", "its standard error"),
        "mask": Variable(Y_X, "i1", "1", "1 where the quantity is told"),
        "told": Variable(Y_X, "i1", "1", "whether it is told, or why not", flags(Told)),
        "misfit": Variable(Y_X, "f8", "1", "reduced chi squared of the fit, NaN without one"),
    },
    # quantity says what value is. energy_shift_ev and broadening_ev are what references were moved
    # and blurred by, shift_error_ev its standard error; NaN where nothing was fitted. warnings are
    # sentences.
    (
        "map", "quantity", "unit", "thickness_unit", "pixel_y_nm", "pixel_x_nm", "method",
        "energy_shift_ev", "shift_error_ev", "broadening_ev", "correlation", "warnings",
    ),
)  # fmt: skip

_OF_ENERGY = ("energy", *Y_X)
SPECTRA = Layout(
    "Spectra of a map as they were fitted, position by position",
    {
        "energy": Variable(("energy",), "f8", "eV", "photon energy or loss, middle of a window"),
        "measured": Variable(_OF_ENERGY, "f4", "see unit", "what was fitted, mean of each window"),
        "measured_stderr": Variable(
            _OF_ENERGY, "f4", "see unit", "its standard error; NaN where an energy was left out"
        ),
        "part": Variable(("part",), "str", "", "references or elements, and the background"),
        "model": Variable(
            ("part", *_OF_ENERGY), "f4", "see unit",
            "parts whose sum is the fit; NaN where nothing was fitted",
        ),
    },
    # quantity says what measured is; note is a sentence, or nothing.
    ("map", "quantity", "unit", "note"),
)  # fmt: skip
