"""Stacks as their files have them, held against the table of stacks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from phasefront.core.errors import InputError
from phasefront.scans.formats.scan import blamed_on
from phasefront.stacks.columns import columns_of
from phasefront.stacks.formats import READERS
from phasefront.stacks.formats.stack import Stack, checked
from phasefront.stacks.pixels import pixel_sizes

# Energies are rounded in one file or the other: so far beyond, eV, or a third of a step where that
# is less, is the same energy.
_ROUNDED = 0.2


def read_stack(path: str | Path, *, pixel_nm: float | None = None) -> Stack:
    """A stack of images over energy: counts (energy, y, x), energies ascending.

    Reads SDF (.hdr with .xim), HERMES and NXstxm (.hdf5, .h5, .nxs, .stxm), Mantis (.hdf5),
    aXis2000 (.ncb with .dat), and spectrum images (.dm3, .dm4, .hspy, .bcf).

    Parameters
    ----------
    pixel_nm
        What the table of stacks says, nm, of rows and columns alike. It calibrates the file's, but
        may not contradict it.

    Raises
    ------
    InputError
        No such file, no stack or several, a damaged one, energies that do not run one way, counts
        that cannot be counts, or no pixel size.
    """
    path = Path(path)
    reader = reader_of(path, READERS, "stack")
    with blamed_on(path):
        stack = checked(reader(path))
    return replace(stack, pixel_nm=pixel_sizes(stack.pixel_nm, pixel_nm, path))


def reader_of(path: Path, readers: Mapping[str, Callable], kind: str) -> Callable:
    """The reader of a file's suffix; `kind` says what the file is.

    Raises InputError for another suffix, and where there is no such file.
    """
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise InputError(
            path, f"{kind}s with the suffix {path.suffix!r} cannot be read",
            remedy=f"use one of {', '.join(readers)}",
        )  # fmt: skip
    if not path.is_file():
        raise InputError(path, "there is no such file", remedy=f"correct the path of the {kind}")
    return reader


def read_i0(path: str | Path, energy: np.ndarray) -> np.ndarray:
    """I0 at the energies of a stack, counts, from two columns of text: energy in eV, counts.

    Between the file's energies it is interpolated.

    Raises InputError for what is no such table, energies that do not ascend, counts that are not
    above 0, and energies of the stack that the file does not reach.
    """
    table = columns_of(path, "two columns, energy in eV and counts")
    own, counts = table[:, 0], table[:, 1]
    if (counts <= 0).any():
        raise InputError(path, "a count is not above 0", field="I0", remedy="leave that energy out")
    slack = min(np.diff(own).min() / 3, _ROUNDED)
    if own[0] > energy[0] + slack or own[-1] < energy[-1] - slack:
        raise InputError(
            path, f"I0 reaches from {own[0]:g} to {own[-1]:g} eV, the stack from {energy[0]:g} to"
            f" {energy[-1]:g} eV", field="I0", remedy="give I0 of the whole stack",
        )  # fmt: skip
    return np.interp(energy, own, counts)
