"""What of a grain's interfaces tells its morphology: numbers that do not hang on its size.

All are of the phase that is new, which the direction of the charge says: a core of what is left
and a nucleus inside differ by nothing else.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from phasefront.interfaces.tracing import MODELS
from phasefront.layouts.interfaces import Side

FEATURES = (
    "found", "shape", "new_share", "least_share", "new_domains", "old_domains", "contacts", "specks",
    "misfit_share", "label_error", "noise", "log_positions", "uniform", "best", "line", "band",
    "curve", "outline", "curvature", "depth", "width", "length", "segments", "new_outside", "spread",
)  # fmt: skip


def features_of(
    interfaces: xr.Dataset, grains: xr.Dataset, inserting: np.ndarray | bool
) -> np.ndarray:
    """Features (grain, len(FEATURES)) of the grains of a scan; NaN what a grain does not show.

    Parameters
    ----------
    interfaces, grains
        INTERFACES and GRAINS of a scan.
    inserting
        Whether ions enter, so that the rich phase is the new one; one for all or one a grain.
    """
    count = interfaces.sizes["grain"]
    inserting = np.broadcast_to(inserting, count)
    radius = np.sqrt(grains["size"].values / np.pi)
    of = {name: interfaces[name].values.astype("f8") for name in interfaces if name != "phase"}
    share = np.where(inserting, of["rich_share"], 1.0 - of["rich_share"])
    evidence = dict(zip(MODELS, of["log_evidence"].T, strict=True))
    best = np.fmax.reduce([evidence[name] for name in MODELS if name != "uniform"])
    rich, poor = of["rich_domains"], of["poor_domains"]
    table = {
        "found": of["found"], "shape": of["shape"], "new_share": share,
        "least_share": np.minimum(share, 1.0 - share),
        "new_domains": np.where(inserting, rich, poor),
        "old_domains": np.where(inserting, poor, rich),
        "contacts": of["contacts"], "specks": of["specks"] / radius,
        "misfit_share": of["misfit_share"], "label_error": of["label_error"], "noise": of["noise"],
        "log_positions": np.log(grains["size"].values), "uniform": _squeezed(evidence["uniform"]),
        "best": _squeezed(best - evidence["uniform"]),
        **{name: _squeezed(evidence[name] - best) for name in ("line", "band", "curve", "outline")},
        "curvature": of["curvature"] * radius * np.where(inserting, 1.0, -1.0),
        "depth": of["depth"] / radius,
    }  # fmt: skip
    table |= _of_segments(interfaces, radius) | _of_profiles(interfaces, inserting)
    return np.stack([table[name] for name in FEATURES], axis=1)


def _squeezed(evidence: np.ndarray) -> np.ndarray:
    """A log-evidence on a scale on which 3 and 30 are as far apart as 30 and 300."""
    return np.sign(evidence) * np.log1p(np.abs(evidence))


def _of_segments(interfaces: xr.Dataset, radius: np.ndarray) -> dict[str, np.ndarray]:
    """Number of segments, their length and mean width over the grain's radius."""
    offset = interfaces["segment_offset"].values
    number = np.diff(offset)
    owner = np.repeat(np.arange(len(number)), number)
    length = np.bincount(owner, interfaces["length"].values, len(number))
    known = np.isfinite(interfaces["width"].values)
    width = np.bincount(owner[known], interfaces["width"].values[known], len(number))
    with np.errstate(invalid="ignore"):
        mean = width / np.bincount(owner[known], minlength=len(number)) / radius
    return {
        "segments": number.astype("f8"), "length": length / radius, "width": mean,
    }  # fmt: skip


def _of_profiles(interfaces: xr.Dataset, inserting: np.ndarray) -> dict[str, np.ndarray]:
    """How ion content changes from the outline inwards, in standard deviations of its rows.

    `new_outside` is 1 where all that is new lies outside, -1 where it lies inside: the correlation
    of ion content with depth, weighted by positions. `spread` is the range of the profile.
    """
    offset = interfaces["profile_offset"].values
    side = interfaces["profile_side"].values
    depth, content = interfaces["profile_depth"].values, interfaces["profile_ion_content"].values
    weight = interfaces["profile_count"].values.astype("f8")
    outside, spread = np.full((2, len(inserting)), np.nan)
    for grain, (first, last) in enumerate(zip(offset[:-1], offset[1:], strict=True)):
        rows = np.arange(first, last)
        rows = rows[(side[rows] == Side.ALL) & np.isfinite(content[rows])]
        if len(rows) < 3:
            continue
        w = weight[rows] / weight[rows].sum()
        d, c = depth[rows] - w @ depth[rows], content[rows] - w @ content[rows]
        scale = np.sqrt((w @ d**2) * (w @ c**2))
        if scale > 0.0:
            outside[grain] = -(w @ (d * c)) / scale * (1.0 if inserting[grain] else -1.0)
        spread[grain] = np.ptp(content[rows])
    return {"new_outside": outside, "spread": spread}
