"""Pathways of all grains of a scan that a map of chemistry is laid on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from phasefront.core import netcdf
from phasefront.diffraction import rotations
from phasefront.experiment.settings.instruments import Camera
from phasefront.layouts.dimensions import named_ends
from phasefront.layouts.pathways import PATHWAYS, WAYS
from phasefront.layouts.registration import ACCEPTED
from phasefront.maps import frames
from phasefront.pathways import channels as on_grains
from phasefront.pathways import gradients, profiles
from phasefront.pathways.combined import Content, combine

# Positions of a grain of which anything is known, at least; chosen.
_FEWEST = 40
_BY_CHANCE = 0.05  # what happens by chance less often is told; the usual level


def trace_pathways(
    correlation: xr.Dataset,
    grains: xr.Dataset,
    channels: Sequence[Sequence[float]],
    *,
    axes: np.ndarray,
    operations: np.ndarray,
    camera: Camera | None,
    seed: int,
) -> xr.Dataset:
    """PATHWAYS of a scan.

    Parameters
    ----------
    correlation, grains
        CORRELATION of a map with the scan, and GRAINS of that.
    channels
        Directions (u, v, w) along the axes of the shared lattice.
    axes
        (3, 3) a, b and c of that lattice in the crystal's Cartesian axes, one a row.
    operations
        (operation, 3, 3) its proper rotations.
    camera
        How the camera stands to the scan; without it no channel can be drawn on the map.
    seed
        Of draws and surrogates.
    """
    label = grains["label"].to_numpy()
    step, pixel = (float(correlation.attrs[name]) for name in ("scan_step_nm", "map_pixel_nm"))
    content, sources = _content(correlation, label, pixel / step, seed)
    which = _large_enough(content.value, label) if _is_laid(correlation) else np.empty(0, int)
    shown = {grain: np.empty(0) for grain in which}
    directions = np.array(channels, "f8").reshape(-1, 3) @ axes
    places = _places(label, which, pixel / step)
    told = _empty(len(which), len(places))
    for at, grain in enumerate(which):
        inside, box = _boxed(label == grain)
        own = np.where(inside, content.value[box], np.nan)
        draws = np.where(inside, content.draws[(..., *box)], np.nan)
        axis = gradients.axis_of(own, draws, seed=seed)
        there = (np.empty(0), np.empty(0), np.empty(0, int))
        if len(directions) and camera is not None:
            turned = frames.on_scan(grains["rotation"].to_numpy()[grain].astype("f8"), camera)
            there = on_grains.on_map(directions, rotations.matrices(turned), operations)
        shown[grain] = np.unique(np.round(there[0], 3))
        along = on_grains.along(axis.direction[0], axis.draws, there)
        of_grain = {
            **named_ends("direction", axis.direction),
            **named_ends("anisotropy", axis.anisotropy), "chance": axis.chance,
            **named_ends("channel_angle", along.angle), "channel_chance": along.chance,
            "channel": along.nearest, **_profiles(own, draws, axis.direction[0], places),
        }  # fmt: skip
        for name, values in of_grain.items():
            told[name][at] = values
    chance = on_grains.together(told["channel_chance"])
    return netcdf.build(
        PATHWAYS,
        {
            "label": which, "content": content.value,
            "content_stderr": np.std(content.draws, axis=0), "way": list(WAYS),
            "place": places * step,
            "shown_label": np.repeat(which, [len(shown[grain]) for grain in which]),
            "shown_direction": np.concatenate([np.empty(0), *shown.values()]), **told,
        },
        {
            **{name: correlation.attrs[name] for name in ("scan", "map", "status")},
            "sources": sources, "channels": _named(channels), "channel_chance": chance,
            "answer": _answer(told, channels, camera, chance, str(correlation.attrs["status"])),
            "scan_step_nm": step, "map_pixel_nm": pixel,
        },
    )  # fmt: skip


def _boxed(grain: np.ndarray) -> tuple[np.ndarray, tuple[slice, slice]]:
    """A grain (y, x) in its box with a position beside it, and that box."""
    box = tuple(slice(max(int(at.min()) - 1, 0), int(at.max()) + 2) for at in np.nonzero(grain))
    return grain[box], box


def _is_laid(correlation: xr.Dataset) -> bool:
    return str(correlation.attrs["status"]) == ACCEPTED


def _content(
    correlation: xr.Dataset, label: np.ndarray, resolution: float, seed: int
) -> tuple[Content, str]:
    """Ion content of all sources, and which these are.

    A quantity that changes by a stated number for one more ion has no stated zero: its mean over
    the crystal is put where that of structure is, which moves no gradient.
    """
    structure, stderr, chemistry, noise, placed = (
        correlation[name].to_numpy().astype("f8")
        for name in ("structure", "structure_stderr", "chemistry", "chemistry_stderr",
                     "draw_chemistry")
    )  # fmt: skip
    if not _is_laid(correlation):
        return Content(np.full(label.shape, np.nan), np.full((1, *label.shape), np.nan)), "none"
    slope = float(correlation.attrs["expected_slope"])
    offset, factor = (float(correlation.attrs[f"{one}_systematic"]) for one in ("mean", "slope"))
    sources = "structure and chemistry"
    if not np.isfinite(slope):
        sources = "structure alone, for nobody says what an ion more does to the map's quantity"
        chemistry, placed = np.full_like(chemistry, np.nan), np.full_like(placed, np.nan)
        offset = factor = 0.0
    elif slope != 1.0:
        both = (label >= 0) & np.isfinite(structure) & np.isfinite(chemistry)
        middle, level = chemistry[both].mean(), structure[both].mean()
        chemistry, placed = ((one - middle) / slope + level for one in (chemistry, placed))
        # Its mean is structure's, whatever all positions are off by.
        noise, offset, factor = noise / abs(slope), 0.0, factor / abs(slope)
    crystal = label >= 0
    known = [np.where(crystal, one, np.nan) for one in (structure, chemistry)]
    content = combine(
        known[0], stderr, known[1], noise, placed, resolution=resolution, seed=seed,
        offset=offset, factor=factor,
    )  # fmt: skip
    return content, sources


def _large_enough(value: np.ndarray, label: np.ndarray) -> np.ndarray:
    known = np.bincount(label[(label >= 0) & np.isfinite(value)], minlength=1)
    return np.flatnonzero(known >= _FEWEST)


def _places(label: np.ndarray, which: np.ndarray, every: float) -> np.ndarray:
    """Middles of bins along the largest of the grains, in positions, `every` so many."""
    reach = 0.0
    for grain in which:
        y, x = np.nonzero(label == grain)
        reach = max(reach, float(np.hypot(np.ptp(y), np.ptp(x))) / 2.0)
    step = max(every, 1.0)
    number = int(np.ceil(reach / step))
    return step * np.arange(-max(number, 1), max(number, 1) + 1)


def _profiles(own: np.ndarray, draws: np.ndarray, direction: float, places: np.ndarray) -> dict:
    if not np.isfinite(direction):
        return named_ends("profile", np.full((3, len(WAYS), len(places)), np.nan))
    told = [profiles.profile(own, draws, direction + turn, places) for turn in (0.0, 90.0)]
    return named_ends("profile", np.array([[one[at] for one in told] for at in (1, 2, 3)]))


def _empty(grains: int, places: int) -> dict[str, np.ndarray]:
    """Variables of PATHWAYS that each grain has, before anything is known of any."""
    sizes = {"grain": grains, "way": len(WAYS), "place": places}
    return {
        name: np.full([sizes[dim] for dim in one.dims], -1 if one.dtype == "i4" else np.nan)
        for name, one in PATHWAYS.variables.items()
        if one.dims[:1] == ("grain",) and name != "label"
    }


def _named(channels: Sequence[Sequence[float]]) -> str:
    return ", ".join("[" + " ".join(f"{part:g}" for part in one) + "]" for one in channels)


def _answer(told: dict, channels, camera: Camera | None, chance: float, status: str) -> str:
    if status != ACCEPTED:
        return f"cannot tell: the map is {status}"
    if not len(told["direction"]):
        return f"cannot tell: no grain has {_FEWEST} positions of known ion content"
    axes = int((told["chance"] < _BY_CHANCE).sum())
    number = len(told["direction"])
    said = f"{axes} of {number} grains have an axis that maps without one hardly have"
    if not len(channels):
        return f"{said}; no channels are stated"
    if camera is None:
        return f"{said}; how the camera stands to the scan is not stated, so channels are not drawn"
    if not np.isfinite(chance):
        return f"{said}; no channel lies on the map of any"
    near = "nearer" if chance < _BY_CHANCE else "no nearer"
    return f"{said}; axes lie {near} to channels than chance has it (p = {chance:.2g})"
