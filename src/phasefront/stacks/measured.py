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
        over the stack, a region that is not in the images, or one without light.
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


def _beam(stack: Stack, table_kev: float | None) -> float:
    if table_kev is None:
        return stack.beam_kev
    if not (math.isnan(stack.beam_kev) or math.isclose(stack.beam_kev, table_kev, rel_tol=0.02)):
        raise InputError(
            stack.path, f"it says {stack.beam_kev:g} kV, the table of stacks {table_kev:g} kV",
            field="beam_kev", remedy="correct beam_kev in the table, or leave it out",
        )  # fmt: skip
    return table_kev
