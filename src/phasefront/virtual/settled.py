"""How many grains of a virtual scan are sure of half turn and variant, and which of them are wrong.

Positions of a grain are alike in this, so it is grains that count.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import xarray as xr

from phasefront.diffraction import rotations
from phasefront.diffraction.crystals import Crystal
from phasefront.diffraction.parent_lattice import variants

# By how much a position comes nearer to the truth by half a turn about the beam, degrees, if it is
# half a turn about the zone axis off (see `truth.check_scan`).
HALF_TURNED_DEG = 5.0
KINDS = ("half turn", "variant")


def settled_grains(
    truth: xr.Dataset, phases: xr.Dataset, grains: xr.Dataset, crystals: Sequence[Crystal],
    symmetries: Sequence[np.ndarray], parents: Sequence | None, counted: np.ndarray,
) -> dict:  # fmt: skip
    """Grains by kind and phase: `grains`, and how many are `sure`, and `wrong` though sure.

    A grain of a phase is right where most of its positions that are `counted` (y, x) and decided
    for the phase are. It is sure beyond what a decision needs. Half turns that symmetry, or
    another program, leaves no question are not counted, nor are phases without variants.
    `symmetries` are those of the lattice that phases share, in each phase's axes; see
    `orientation_errors.lattice_symmetries`.
    """
    above = float(phases.attrs["decide_above"])
    label, decision = grains["label"].values, phases["decision"].values
    surely_turned = grains["half_turn_gap"].notnull().values
    chance = {
        "half turn": np.where(surely_turned, 1.0 - grains["half_turn_probability"].values, np.nan),
        "variant": grains["variant_probability"].values,
    }
    counts = {kind: {} for kind in KINDS}
    for number, (crystal, symmetry) in enumerate(zip(crystals, symmetries, strict=True)):
        own = counted & (decision == number) & (label >= 0)
        right = dict(zip(KINDS, _right(truth, grains, own, number, crystal, symmetry), strict=True))
        parent = parents[number] if parents else None
        for kind in KINDS:
            if kind == "variant" and (parent is None or len(variants(crystal, parent)) == 1):
                continue
            known = chance[kind] if kind == "half turn" else chance[kind][:, number]
            found = [
                (known[grain] > above, mostly)
                for grain, mostly in _mostly(label[own], right[kind])
                if np.isfinite(known[grain])
            ]
            counts[kind][crystal.name] = {
                "grains": len(found),
                "sure": sum(bool(sure) for sure, _ in found),
                "wrong": sum(bool(sure and not mostly) for sure, mostly in found),
            }
    return counts


def _right(truth, grains, own, number: int, crystal: Crystal, symmetry: np.ndarray):
    """Whether half turn and variant of the positions `own` (y, x) are right, (n,) each."""
    found = rotations.unit(grains["orientation"].values[own].astype("f8"))
    true = rotations.unit(truth["rotation"].values[own, number].astype("f8"))
    either = np.stack([found, rotations.multiply(found, rotations.HALF_TURN)])
    as_found, turned = rotations.misorientation(true, either, symmetry)
    of_crystal = rotations.misorientation(true, either, crystal.symmetry).min(axis=0)
    of_lattice = np.minimum(as_found, turned)
    return as_found - turned < HALF_TURNED_DEG, of_crystal - of_lattice < HALF_TURNED_DEG


def _mostly(label: np.ndarray, right: np.ndarray) -> Iterator[tuple[int, bool]]:
    for grain in np.unique(label):
        yield grain, right[label == grain].mean() > 0.5
