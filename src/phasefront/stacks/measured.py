"""A stack with its I0 and dark counts, as everything that follows takes it."""

from __future__ import annotations

import math

import numpy as np
import xarray as xr

from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.layouts.stacks import STACK
from phasefront.stacks.density import i0_of_region
from phasefront.stacks.files import read_i0
from phasefront.stacks.formats.stack import XRAY, Stack

# Shares of I0 that the clearest hundredth of an image may have: more than all of it by drift of the
# beam, and by so many standard deviations of counts; beyond a density of 4 nothing is told. Chosen.
_MOST_LIGHT, _OF_NOISE, _LEAST_LIGHT = 1.3, 4.0, 0.018


def measured_stack(
    stack: Stack,
    *,
    name: str,
    i0_path: str | None = None,
    i0_region: tuple[tuple[int, int], tuple[int, int]] | None = None,
    dark_counts: float = 0.0,
    beam_kev: float | None = None,
) -> xr.Dataset:
    """A STACK dataset, with I0 from a file, a region of each image or the stack's own monitor.

    Parameters
    ----------
    name
        Identifier of the stack.
    i0_path
        Text of two columns, energy in eV and counts of a pixel without a sample.
    i0_region
        Rows and columns, each from and up to, of pixels without a sample in every image.
    dark_counts
        Counts of a pixel without light.
    beam_kev
        Of electrons, where the file does not say it.

    Raises
    ------
    InputError
        A beam energy that is not the file's, an X-ray stack without I0, an I0 that does not reach
        over the stack, a region that is not in the images, or one without light, an I0 that is not
        in counts of the images.
    """
    number, rows, columns = stack.counts.shape
    dark = np.full(number, float(dark_counts))
    nothing = np.full(number, math.nan)
    i0, variance, noise, source = nothing, np.zeros(number), 1.0, "nothing"
    if i0_region is not None:
        (top, bottom), (left, right) = i0_region
        if bottom > rows or right > columns:
            raise InputError(
                stack.path, f"its images are {rows} x {columns} pixels, and i0_region reaches to"
                f" {bottom}, {right}", field="i0_region", remedy="correct it in the table",
            )  # fmt: skip
        region = (slice(top, bottom), slice(left, right))
        i0, variance, noise = i0_of_region(stack.counts, dark, region)
        source = (
            f"pixels without a sample, rows {top} to {bottom - 1}, columns {left} to {right - 1}"
        )
    elif i0_path is not None:
        i0, source = read_i0(i0_path, stack.energy) - dark, f"the file {i0_path}"
    elif stack.i0 is not None:
        i0, source = stack.i0, "the file's own monitor"
    elif stack.kind == XRAY:
        raise InputError(
            stack.path, "nothing says how much light there was without a sample", field="I0",
            remedy="give i0 or i0_region in the table of stacks",
        )  # fmt: skip
    if stack.kind == XRAY and not (i0 > 0).all():
        at = int(np.flatnonzero(~(i0 > 0))[0])
        raise InputError(
            stack.path, f"I0 from {source} is not above the dark counts at {stack.energy[at]:g} eV",
            field="I0", remedy="correct i0, i0_region or dark_counts in the table of stacks",
        )  # fmt: skip
    if stack.kind == XRAY:
        _refuse_other_light(stack, i0, dark, source)
    return netcdf.build(
        STACK,
        {
            "energy": stack.energy, "counts": stack.counts, "i0": i0, "i0_variance": variance,
            "dark": dark, "dwell": nothing if stack.dwell_s is None else stack.dwell_s,
        },
        {
            "stack": name, "file": stack.path.name, "kind": stack.kind,
            "instrument": stack.instrument, "pixel_y_nm": stack.pixel_nm[0],
            "pixel_x_nm": stack.pixel_nm[1], "beam_kev": _beam(stack, beam_kev),
            "convergence_mrad": stack.convergence_mrad,
            "collection_mrad": stack.collection_mrad, "i0_from": source, "noise_factor": noise,
            "notes": "; ".join(stack.notes),
        },
    )  # fmt: skip


def _refuse_other_light(stack: Stack, i0: np.ndarray, dark: np.ndarray, source: str) -> None:
    """Refuse an I0 that is no light without a sample in the images' own counts.

    A monitor may count the ring's current, and a file rates. Densities would all be off by one
    number, which a fit's background hides and limits of density do not.
    """
    light = np.quantile(stack.counts, 0.99, axis=(1, 2)) - dark
    clearest = float(np.median(light / i0))
    noise = float(np.median(1 / np.sqrt(i0)))
    if clearest > _MOST_LIGHT + _OF_NOISE * noise or clearest < _LEAST_LIGHT:
        raise InputError(
            stack.path, f"where most light comes through it is {clearest:.3g} times I0 from"
            f" {source}, which is of another unit or another sample", field="I0",
            remedy="give i0, in counts of a pixel, or i0_region in the table of stacks",
        )  # fmt: skip


def _beam(stack: Stack, table_kev: float | None) -> float:
    if table_kev is None:
        return stack.beam_kev
    if not (math.isnan(stack.beam_kev) or math.isclose(stack.beam_kev, table_kev, rel_tol=0.02)):
        raise InputError(
            stack.path, f"it says {stack.beam_kev:g} kV, the table of stacks {table_kev:g} kV",
            field="beam_kev", remedy="correct beam_kev in the table, or leave it out",
        )  # fmt: skip
    return table_kev
