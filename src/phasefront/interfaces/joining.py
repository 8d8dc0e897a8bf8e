"""What was found in single grains, as the variables of INTERFACES."""

from __future__ import annotations

import itertools

import numpy as np

from phasefront.interfaces.facets import Facet
from phasefront.interfaces.segments import Segment
from phasefront.layouts.interfaces import Found, Shape

# An end so near to a facet lies on it, positions.
_ON_FACET = 1.5
_OF_GRAIN = {
    "found": Found.ONE_PHASE, "rich": -1, "poor": -1, "rich_share": np.nan, "measured_count": 0,
    "posterior_count": 0, "decision_count": 0, "other_count": 0, "cut": 0, "noise": np.nan,
    "shape": Shape.NONE, "misfit_share": np.nan, "curvature": np.nan, "curvature_stderr": np.nan,
    "depth": np.nan, "depth_stderr": np.nan, "rich_domains": -1, "poor_domains": -1,
    "contacts": -1, "specks": 0, "label_error": np.nan, "misorientation": np.nan,
    "misorientation_stderr": np.nan,
}  # fmt: skip


def joined(traced: list[dict], models: int) -> dict:
    """Variables of INTERFACES from what was found in each grain: values by the variables' names,
    and lists of `segments`, `facets` and `rows` of profiles. What a grain does not say is absent.
    """
    data = {
        name: np.array([one.get(name, absent) for one in traced])
        for name, absent in _OF_GRAIN.items()
    }
    for name, size in (("log_evidence", models), ("misorientation_axis", 3)):
        rows = [one.get(name, np.full(size, np.nan)) for one in traced]
        data[name] = np.array(rows).reshape(len(traced), size)
    lists = {name: [one[name] for one in traced] for name in ("segments", "facets", "rows")}
    for name, key in (("segments", "segment"), ("facets", "facet"), ("rows", "profile")):
        counts = [0, *map(len, lists[name])]
        data[f"{key}_offset"] = np.cumsum(counts)
    every: list[Segment] = list(itertools.chain(*lists["segments"]))
    edges: list[Facet] = list(itertools.chain(*lists["facets"]))
    rows = np.array(list(itertools.chain(*lists["rows"])), "f8").reshape(-1, 5)
    ends = np.array([one.ends for one in every]).reshape(-1, 2, 2)
    facet_ends = np.array([one.ends for one in edges]).reshape(-1, 2, 2)
    on_facet = [
        [_facet_at(end, own, first) for end in one.ends]
        for grain, own in enumerate(lists["facets"])
        for first in [int(data["facet_offset"][grain])]
        for one in lists["segments"][grain]
    ]
    plain = (
        "length", "stderr_across", "direction", "direction_stderr", "rich_side", "width",
        "width_stderr", "positions",
    )  # fmt: skip
    return data | {
        **{name: np.array([getattr(one, name) for one in every]) for name in plain},
        "end_y": ends[..., 0], "end_x": ends[..., 1],
        "end_beyond": np.array([one.beyond for one in every]).reshape(-1, 2),
        "end_grain": np.array([one.grains for one in every]).reshape(-1, 2),
        "end_facet": np.array(on_facet).reshape(-1, 2),
        "facet_y": facet_ends[..., 0], "facet_x": facet_ends[..., 1],
        "facet_length": np.array([one.length for one in edges]),
        "facet_direction": np.array([one.direction for one in edges]),
        "facet_direction_stderr": np.array([one.direction_stderr for one in edges]),
        "facet_beyond": np.array([one.beyond for one in edges]),
        "facet_grain": np.array([one.grain for one in edges]),
        "profile_side": rows[:, 0], "profile_depth": rows[:, 1],
        "profile_ion_content": rows[:, 2], "profile_stderr": rows[:, 3],
        "profile_count": rows[:, 4],
    }  # fmt: skip


def _facet_at(end: np.ndarray, facets: list[Facet], first: int) -> int:
    """Index of the facet that an end lies on, -1 none."""
    distance = [facet.distance(end) for facet in facets]
    if not distance or min(distance) > _ON_FACET:
        return -1
    return first + int(np.argmin(distance))
