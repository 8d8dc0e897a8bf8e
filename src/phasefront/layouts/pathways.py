"""Ways of ions through the grains of a scan that a map of chemistry is laid on."""

from __future__ import annotations

from phasefront.core.netcdf import Layout, Variable
from phasefront.layouts.dimensions import Y_X, with_ends

_GRAIN = ("grain",)
_PROFILE = ("grain", "way", "place")
# Along the axis of a grain, and across it.
WAYS = ("along", "across")

PATHWAYS = Layout(
    "Along which direction the ion content of grains changes, and channels of the structure there",
    {
        "label": Variable(_GRAIN, "i4", "1", "number of the grain among those of the scan"),
        "content": Variable(
            Y_X, "f8", "1", "ions per formula unit by all that was measured; NaN where not known"
        ),
        "content_stderr": Variable(Y_X, "f8", "1", "standard deviation of equally likely ones"),
        **with_ends(
            "direction", _GRAIN,
            "axis along which the ion content changes, from x towards y; its ends may pass 0 or"
            " 180", "degree",
        ),
        **with_ends(
            "anisotropy", _GRAIN, "0 where it changes across the axis as much, 1 where not at all"
        ),
        "chance": Variable(
            _GRAIN, "f8", "1", "chance that a map without any axis is as anisotropic"
        ),
        **with_ends(
            "channel_angle", _GRAIN,
            "angle from the axis to the nearest channel on the map; NaN where none lies there",
            "degree",
        ),
        "channel_chance": Variable(
            _GRAIN, "f8", "1", "chance that an axis in any direction lies as near to a channel"
        ),
        "channel": Variable(_GRAIN, "i4", "1", "which of the stated channels, -1 none"),
        "shown_label": Variable(("shown",), "i4", "1", "grain of a channel that lies on the map"),
        "shown_direction": Variable(
            ("shown",), "f8", "degree", "its direction there, from x towards y"
        ),
        "way": Variable(("way",), "str", "", "along the axis of a grain, and across it"),
        "place": Variable(("place",), "f8", "nm", "place on a profile, from the grain's middle"),
        **with_ends("profile", _PROFILE, "mean ion content of a grain's positions there"),
    },
    # channel_chance is that of all grains together; sources are what the ion content is from, and
    # status is that of the registration: without an accepted one there are no grains.
    (
        "scan", "map", "status", "sources", "channels", "channel_chance", "answer",
        "scan_step_nm", "map_pixel_nm",
    ),
)  # fmt: skip
