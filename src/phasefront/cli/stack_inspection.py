"""What each stack of an experiment holds, in a line."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from phasefront.core.errors import InputError
from phasefront.experiment import values
from phasefront.experiment.settings.stacks import StackRow

if TYPE_CHECKING:
    from phasefront.experiment.plan import Plan
    from phasefront.stacks.formats.stack import Stack


def tell_stack(plan: Plan, name: str) -> str:
    """Size, energies, pixel, light and beam of a stack, or size and range of a map.

    Raises InputError where it cannot be read or contradicts the table of stacks.
    """
    row = StackRow.model_validate(values.value(plan, f"stack.{name}.row"))
    if row.kind == "map":
        return _map(row)
    from phasefront.stacks.files import read_stack
    from phasefront.stacks.measured import measured_stack

    stack = read_stack(row.path, pixel_nm=row.pixel_nm)
    _refuse_other_kind(row, stack)
    found = measured_stack(
        stack, name=name, i0_path=row.i0, i0_region=row.i0_region, dark_counts=row.dark_counts,
        beam_kev=row.beam_kev,
    )  # fmt: skip
    energy = found["energy"].values
    said = found.attrs
    words = [
        f"stack {name}, {said['kind']}, {found.sizes['y']} x {found.sizes['x']} positions of"
        f" {said['pixel_y_nm']:.4g} x {said['pixel_x_nm']:.4g} nm",
        f"{len(energy)} energies from {energy[0]:g} to {energy[-1]:g} eV",
        f"counts from {float(found['counts'].min()):.4g} to {float(found['counts'].max()):.4g}",
    ]
    if row.kind == "xray":
        i0 = found["i0"].values
        words.append(f"I0 from {i0.min():.4g} to {i0.max():.4g} by {said['i0_from']}")
    elif not math.isnan(said["beam_kev"]):
        words.append(f"beam of {said['beam_kev']:g} kV")
    return "; ".join([", ".join(words), *filter(None, [said["notes"]])])


def _refuse_other_kind(row: StackRow, stack: Stack) -> None:
    """Raise InputError where a stack cannot be of the kind that the table says."""
    from phasefront.chemistry.low_loss import zero_shifts
    from phasefront.stacks.formats.stack import LOSS, XRAY

    expected = XRAY if row.kind == "xray" else LOSS
    if stack.kind != expected:
        raise InputError(
            row.path, f"it holds {stack.kind}, the table of stacks says {row.kind}", field="kind",
            remedy="correct its kind or its path in the table of stacks",
        )  # fmt: skip
    if row.kind == "low-loss":
        zero_shifts(stack.energy, stack.counts, row.path)


def _map(row: StackRow) -> str:
    from phasefront.chemistry.formats import read_map

    found = read_map(row.path).values
    told = found[np.isfinite(found)]
    span = f"{told.min():.4g} to {told.max():.4g}" if told.size else "nothing"
    return (
        f"map {row.stack} of {row.quantity} ({row.unit}), {found.shape[0]} x {found.shape[1]}"
        f" positions, {told.size} of them with a value, {span}"
    )
