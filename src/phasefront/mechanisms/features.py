"""What of a grain's interfaces tells its morphology: numbers that do not hang on its size.

All are of the phase that is new, which the direction of the charge says: a core of what is left
and a nucleus inside differ by nothing else.
"""

from __future__ import annotations

import itertools

import numpy as np
import xarray as xr

from phasefront.interfaces.tracing import MODELS
from phasefront.layouts.interfaces import Beyond, Side

FEATURES = (
    "found", "shape", "new_share", "least_share", "new_domains", "old_domains", "contacts",
    "specks", "misfit_share", "label_error", "log_positions", "uniform", "best",
    "line", "band", "curve", "outline", "curvature", "curvature_over_error", "turn", "depth",
    "segments", "open_ends", "length", "longest", "width", "pointing", "axial", "new_beyond",
    "new_outside",
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
    inserting = np.broadcast_to(inserting, interfaces.sizes["grain"])
    sign = np.where(inserting, 1.0, -1.0)
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
        "misfit_share": of["misfit_share"], "label_error": of["label_error"],
        "log_positions": np.log(grains["size"].values), "uniform": _squeezed(evidence["uniform"]),
        "best": _squeezed(best - evidence["uniform"]),
        **{name: _squeezed(evidence[name] - best) for name in ("line", "band", "curve", "outline")},
        "curvature": of["curvature"] * radius * sign,
        "curvature_over_error": _squeezed(
            of["curvature"] / np.maximum(of["curvature_stderr"], 1e-12) * sign
        ),
        "depth": of["depth"] / radius, "new_outside": _new_outside(interfaces, sign),
        **_of_segments(interfaces, grains, radius, sign),
    }  # fmt: skip
    table["turn"] = table["curvature"] * table["length"]
    return np.stack([table[name] for name in FEATURES], axis=1)


def _squeezed(evidence: np.ndarray) -> np.ndarray:
    """A log-evidence on a scale on which 3 and 30 are as far apart as 30 and 300."""
    return np.sign(evidence) * np.log1p(np.abs(evidence))


def _of_segments(
    interfaces: xr.Dataset, grains: xr.Dataset, radius: np.ndarray, sign: np.ndarray
) -> dict[str, np.ndarray]:
    """How the pieces of each grain's interface lie; lengths over the grain's radius.

    `open_ends` are those that meet no other piece, `longest` the share of the length that is in one
    piece, `width` the mean of the band's. Of the normals, weighted by length: `pointing` is 1 where
    all point one way and 0 where as many point back, `axial` is 1 where all lie along one axis, and
    `new_beyond` says how far from the grain's middle, along them, the new phase begins.
    """
    offset = interfaces["segment_offset"].values
    number = np.diff(offset)
    owner = np.repeat(np.arange(len(number)), number)

    def total(values: np.ndarray) -> np.ndarray:
        known = np.isfinite(values)
        return np.bincount(owner[known], values[known], len(number))

    length = interfaces["length"].values
    width = interfaces["width"].values
    towards = np.deg2rad(interfaces["rich_side"].values)
    place = [
        interfaces[f"end_{axis}"].values.mean(axis=1) - grains[f"centroid_{axis}"].values[owner]
        for axis in ("y", "x")
    ]
    beyond = (place[0] * np.sin(towards) + place[1] * np.cos(towards)) / radius[owner]
    longest = np.zeros(len(number))
    np.maximum.at(longest, owner, length)
    turned, doubled = length * np.exp(1j * towards), length * np.exp(2j * towards)
    with np.errstate(invalid="ignore"):
        return {
            "segments": number.astype("f8"),
            "open_ends": total((interfaces["end_beyond"].values != Beyond.SEGMENT).sum(axis=1)),
            "length": total(length) / radius, "longest": longest / total(length),
            "width": total(width) / total(np.isfinite(width)) / radius,
            "pointing": np.hypot(total(turned.real), total(turned.imag)) / total(length),
            "axial": np.hypot(total(doubled.real), total(doubled.imag)) / total(length),
            "new_beyond": total(length * beyond) / total(length) * sign,
        }  # fmt: skip


def _new_outside(interfaces: xr.Dataset, sign: np.ndarray) -> np.ndarray:
    """Correlation (grain,) of being new with lying near the outline, weighted by positions.

    From ion contents at each depth: 1 where all that is new lies outside, -1 where inside.
    """
    offset = interfaces["profile_offset"].values
    side = interfaces["profile_side"].values
    depth, content = interfaces["profile_depth"].values, interfaces["profile_ion_content"].values
    weight = interfaces["profile_count"].values.astype("f8")
    outside = np.full(len(sign), np.nan)
    for grain, (first, last) in enumerate(itertools.pairwise(offset)):
        rows = np.arange(first, last)
        rows = rows[(side[rows] == Side.ALL) & np.isfinite(content[rows])]
        if len(rows) < 3:
            continue
        w = weight[rows] / weight[rows].sum()
        d, c = depth[rows] - w @ depth[rows], content[rows] - w @ content[rows]
        scale = np.sqrt((w @ d**2) * (w @ c**2))
        if scale > 0.0:
            outside[grain] = -(w @ (d * c)) / scale * sign[grain]
    return outside
