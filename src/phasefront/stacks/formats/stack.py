"""A stack as its file has it, and what every format's reader holds it against."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from phasefront.core.errors import InputError

XRAY, LOSS, EMISSION = "X-ray absorption", "energy loss", "X-ray emission"
# eV in one of each unit that files give, without regard to capitals.
_ELECTRONVOLTS = {"ev": 1.0, "electronvolt": 1.0, "electronvolts": 1.0, "kev": 1e3}
# Photon energies of microscopes, eV: soft X-rays from carbon's edge down to silicon L, hard ones up
# to where zone plates end. In keV all but the last would be below.
_PHOTONS = (30.0, 60_000.0)
# How far a step may lie from the mean one, relative: encoders' positions scatter. Chosen.
_SAME_STEP = 0.5
# A detector that is full gives one value again and again. Where counts are as low as this many,
# chance does so, too; above, no value comes in this share of all pixels and so often. Chosen.
_FEW_COUNTS, _FULL_SHARE, _FULL_TIMES = 200, 1e-3, 10


@dataclass(frozen=True)
class Stack:
    """Images over energy, (energy, y, x), energies ascending.

    Attributes
    ----------
    path, files
        What was named, and all that was read.
    kind
        `XRAY`, `LOSS` or `EMISSION`.
    energy
        Photon energies, energy losses or energies of emitted X-rays, eV.
    counts
        Counts in each pixel, float64; where the file gives rates, these times the dwell time.
    i0
        Counts without a sample by the file's own monitor, at each energy; None without one.
    dwell_s
        Time per pixel at each energy, s; NaN where the file does not say.
    pixel_nm
        Distances of rows and of columns, nm; NaN where the file does not say.
    instrument
        Beamline or microscope, "" where the file does not say.
    beam_kev, convergence_mrad, collection_mrad
        Of electrons; NaN where the file does not say, and for X-rays.
    notes
        What a user should know of how the file was understood.
    """

    path: Path
    files: tuple[Path, ...]
    kind: str
    energy: np.ndarray
    counts: np.ndarray
    i0: np.ndarray | None = None
    dwell_s: np.ndarray | None = None
    pixel_nm: tuple[float, float] = (math.nan, math.nan)
    instrument: str = ""
    beam_kev: float = math.nan
    convergence_mrad: float = math.nan
    collection_mrad: float = math.nan
    notes: tuple[str, ...] = field(default=())


def checked(stack: Stack) -> Stack:
    """The stack with ascending energies, if it can be one.

    Raises InputError for energies that do not run one way or are no photons', counts that are not
    finite, negative ones of photons, and a detector that was full.
    """
    path, energy, counts = stack.path, stack.energy, stack.counts
    if counts.ndim != 3 or 0 in counts.shape:
        raise InputError(
            path, f"it holds an array of {shape_of(counts.shape)}, no images over energy",
            remedy="name the file of the stack itself",
        )  # fmt: skip
    if len(energy) != len(counts):
        raise InputError(
            path, f"it has {len(energy)} energies and {len(counts)} images", field="energy",
            remedy="save the stack again, complete",
        )  # fmt: skip
    if not np.isfinite(energy).all():
        raise InputError(
            path, "an energy is no finite number", field="energy",
            remedy="correct it where the stack was exported",
        )  # fmt: skip
    steps = np.diff(energy)
    if not ((steps > 0).all() or (steps < 0).all()):
        at = int(np.flatnonzero(np.sign(steps) != np.sign(np.median(steps)))[0])
        raise InputError(
            path, f"its energies do not run one way: {energy[at]:g} eV is followed by"
            f" {energy[at + 1]:g} eV", field="energy",
            remedy="split it into stacks that do, or leave out the images that were taken again",
        )  # fmt: skip
    low, high = _PHOTONS
    if stack.kind == XRAY and not (low <= energy.min() and energy.max() <= high):
        raise InputError(
            path, f"energies from {energy.min():g} to {energy.max():g} eV are no photons' of a"
            " microscope", field="energy", remedy="give energies in eV, or their unit in the file",
        )  # fmt: skip
    _refuse_counts(stack)
    return _ascending(stack) if steps.size and steps[0] < 0 else stack


def _refuse_counts(stack: Stack) -> None:
    counts = stack.counts
    bad = ~np.isfinite(counts)
    if bad.any():
        e, y, x = np.argwhere(bad)[0]
        raise InputError(
            stack.path, f"{bad.sum()} counts are NaN or infinite, the first at"
            f" {stack.energy[e]:g} eV, y={y}, x={x}", field="counts",
            remedy="leave out that image, or crop the stack, when it is exported",
        )  # fmt: skip
    if stack.kind == LOSS:  # dark counts have been taken off
        return
    if (counts < 0).any():
        raise InputError(
            stack.path, f"{(counts < 0).sum()} counts are negative, as photons' are not",
            field="counts", remedy="give the raw counts, and dark_counts in the table of stacks",
        )  # fmt: skip
    top = counts.max()
    times = int((counts == top).sum())
    if top > _FEW_COUNTS and times >= max(_FULL_TIMES, _FULL_SHARE * counts.size):
        raise InputError(
            stack.path, f"{times} values are the largest one, {top:g}: the detector was full",
            field="counts", remedy="take the stack with less light, or leave those images out",
        )  # fmt: skip


def _ascending(stack: Stack) -> Stack:
    from dataclasses import replace

    flipped = {
        name: None if value is None else value[::-1]
        for name, value in (
            ("energy", stack.energy), ("counts", stack.counts), ("i0", stack.i0),
            ("dwell_s", stack.dwell_s),
        )
    }  # fmt: skip
    return replace(stack, **flipped, notes=(*stack.notes, "it was taken from high energies down"))


def in_electronvolts(path: Path, energy: np.ndarray, unit: str | None) -> np.ndarray:
    """Energies in eV; without a unit they are taken for such. Raises InputError for another."""
    energy = np.asarray(energy, dtype=float).ravel()
    if unit is None or not unit.strip():
        return energy
    factor = _ELECTRONVOLTS.get(unit.strip().lower())
    if factor is None:
        raise InputError(
            path, f"its energies are in {unit!r}", field="energy", remedy="give them in eV or keV"
        )
    return energy * factor


def step_of(path: Path, positions: np.ndarray, nm: float, axis: str) -> float:
    """Distance of pixels along an axis, nm, from the positions of these, which may run either way.

    `nm` is the unit of the positions. NaN for one position. Raises InputError for positions that
    stand still or are not evenly spaced.
    """
    positions = np.asarray(positions, dtype=float).ravel()
    if positions.size < 2:
        return math.nan
    steps = np.diff(positions)
    mean = (positions[-1] - positions[0]) / steps.size
    if mean == 0 or not np.isfinite(positions).all():
        raise InputError(
            path, "its positions do not advance: the pixel size is zero", field=axis,
            remedy="give pixel_nm in the table of stacks, and leave the positions out of the file",
        )  # fmt: skip
    if np.abs(steps / mean - 1).max() > _SAME_STEP:
        raise InputError(
            path, f"its positions are not evenly spaced: steps from {np.abs(steps).min() * nm:g} to"
            f" {np.abs(steps).max() * nm:g} nm", field=axis,
            remedy="resample the images on an even grid",
        )  # fmt: skip
    return abs(mean) * nm


def axis_order(
    path: Path,
    shape: Sequence[int],
    sizes: Mapping[str, int],
    *,
    said: Sequence[str] | None,
    usual: Sequence[str],
) -> list[int]:
    """Where `usual` axes stand in an array, to transpose it to that order.

    Parameters
    ----------
    shape
        Of the array.
    sizes
        Lengths of the axes' own arrays, by name.
    said
        Names in the array's order where the file gives them. Otherwise lengths tell, and the
        usual order decides between orders that fit.

    Raises InputError where the axes do not fit the array, or lengths leave the order open.
    """
    described = ", ".join(f"{name} {sizes[name]}" for name in usual)
    if said is not None:
        if sorted(said) != sorted(usual) or [sizes[name] for name in said] != list(shape):
            raise InputError(
                path, f"its axes {', '.join(said)} do not fit an array of {shape_of(shape)}:"
                f" {described}", field="axes", remedy="save the stack again, complete",
            )  # fmt: skip
        return [list(said).index(name) for name in usual]
    possible = [
        order for order in itertools.permutations(usual)
        if [sizes[name] for name in order] == list(shape)
    ]  # fmt: skip
    if not possible:
        raise InputError(
            path, f"its axes do not fit its array of {shape_of(shape)}: {described}", field="axes",
            remedy="save the stack again, complete",
        )  # fmt: skip
    if len(possible) > 1 and tuple(usual) not in possible:
        raise InputError(
            path, f"of its array of {shape_of(shape)} nothing says which axis is which:"
            f" {described}", field="axes", remedy="name the axes in the file, as NXdata does",
        )  # fmt: skip
    order = tuple(usual) if tuple(usual) in possible else possible[0]
    return [order.index(name) for name in usual]


def shape_of(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))
