"""The truth of a virtual map of chemistry, and how near registration and correlation come to it."""

from __future__ import annotations

from phasefront.core.netcdf import Layout, Variable
from phasefront.core.tables import Column, Table

_PIXEL = ("map_row", "map_column")

MAP_TRUTH = Layout(
    "Truth of a virtual map of chemistry; no rule of the analysis reads it",
    {
        "row_start": Variable(
            ("map_row", "scan_axis"), "f8", "nm",
            "y and x on the scan from its first position, of the first pixel of each row",
        ),
        "column_step": Variable(
            ("scan_axis",), "f8", "nm", "from a pixel to the next one of its row, y and x"
        ),
        "thickness": Variable(_PIXEL, "f8", "nm", "thickness under the probe"),
        "ion_content": Variable(
            _PIXEL, "f8", "1", "ions per formula unit under the probe; NaN in vacuum"
        ),
    },
    ("stack", "scan", "mirrored"),
)  # fmt: skip

MAP_CHECK_TABLE = Table(
    "maps_check.csv",
    "Virtual maps of chemistry against their truth.",
    {
        "stack": Column("str", "", "stack, or map"),
        "status": Column("str", "", "whether it was laid: accepted, undecided or refused"),
        "mirror_right": Column("bool", "", "whether it was turned over as it truly is"),
        "off_nm": Column("f8", "nm", "root mean square error of where the crystal's pixels lie"),
        "stated_nm": Column("f8", "nm", "the same as stated by draws"),
        "regions_hold": Column("f8", "1", "share of them whose 95 % region holds the truth"),
        "scale_true": Column("f8", "1", "true over stated pixel"),
        "scale": Column("f8", "1", "the same as found"),
        "scale_stderr": Column("f8", "1", "its standard error"),
        "told": Column("i8", "1", "pixels whose chemistry is told"),
        "bias": Column("f8", "1", "mean error of their ions per formula unit"),
        "rms": Column("f8", "1", "root mean square error of them"),
        "within_95": Column("f8", "1", "share of them within 1.96 standard errors, both kinds"),
        "answer": Column("str", "", "does chemistry follow structure; in truth it does"),
        "slope": Column("f8", "1", "slope against structure; in truth 1"),
        "slope_low": Column("f8", "1", "lower end of its 95 % interval"),
        "slope_high": Column("f8", "1", "upper end of its 95 % interval"),
    },
)  # fmt: skip
