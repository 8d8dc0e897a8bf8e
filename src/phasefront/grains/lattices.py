"""The lattice that each position's phase is compared as, and how it lies there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from phasefront.diffraction import rotations
from phasefront.diffraction.candidates import CandidatePhases
from phasefront.diffraction.crystals import laue_rotations
from phasefront.diffraction.parent_lattice import to_parent
from phasefront.layouts.phases import VACUUM


@dataclass(frozen=True)
class Lattice:
    """The lattice a phase is compared as; phases of one family are compared with each other."""

    family: int
    to_lattice: np.ndarray  # quaternion from the phase's Cartesian frame to the lattice's
    symmetry: np.ndarray  # (n, 4)


def lattices_of(candidates: CandidatePhases) -> list[Lattice]:
    """The lattice of each phase; raises InputError, see `find_grains`."""
    crystals, parents = candidates.crystals, candidates.parent_axes
    if any(parent is not None for parent in parents):
        shared_symmetry = laue_rotations(candidates.parent_point_group)
    lattices = []
    for number, (crystal, parent) in enumerate(zip(crystals, parents, strict=True)):
        if parent is None:
            lattices.append(Lattice(number, np.array([1.0, 0, 0, 0]), crystal.symmetry))
        else:
            lattices.append(Lattice(len(crystals), to_parent(crystal, parent), shared_symmetry))
    return lattices


def lattice_orientations(
    phases: xr.Dataset, lattices: Sequence[Lattice]
) -> tuple[np.ndarray, np.ndarray]:
    """Orientation (position, 4) of the lattice of each position, and its family, -1 none."""
    decision = phases["decision"].values.ravel()
    phase = shown_phase(phases)
    chosen = oriented(phases, phase)
    family = np.array([lattice.family for lattice in lattices])[phase]
    nowhere = (decision == VACUUM) | ~np.isfinite(chosen).all(axis=1)
    return on_lattice(chosen, phase, lattices), np.where(nowhere, -1, family).reshape(
        phases["decision"].shape
    )


def on_lattice(
    orientation: np.ndarray, phase: np.ndarray, lattices: Sequence[Lattice]
) -> np.ndarray:
    """Orientations (position, 4) of crystals of each `phase` (position,) as their lattices'."""
    to_lattice = np.array([lattice.to_lattice for lattice in lattices])
    return rotations.multiply(to_lattice[phase], orientation)


def oriented(phases: xr.Dataset, phase: np.ndarray) -> np.ndarray:
    """Orientation (position, 4) of each position under the `phase` (position,)."""
    rotation = phases["rotation"].values.astype("f8").reshape(len(phase), -1, 4)
    return rotations.unit(rotation[np.arange(len(phase)), phase])


def shown_phase(phases: xr.Dataset) -> np.ndarray:
    """The phase (position,) under which a position is oriented: decided, or the likeliest."""
    decision = phases["decision"].values.ravel()
    posterior = phases["posterior"].values.reshape(len(decision), -1)
    usable = np.isfinite(phases["rotation"].values.reshape(*posterior.shape, 4)).all(axis=-1)
    likeliest = np.where(usable, np.nan_to_num(posterior), -1.0).argmax(axis=1)
    return np.where(decision >= 0, decision, likeliest)
