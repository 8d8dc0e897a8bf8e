"""Orientations that phases of one parent lattice have from each other.

Of a pattern with few spots each phase's best matches may be anywhere. Where one phase lies as the
crystal does and another, which is there, was only tried elsewhere, the first wins for sure, and
wrongly. So each is tried where the likeliest lies.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from phasefront.diffraction import rotations
from phasefront.diffraction.candidates import CandidatePhases
from phasefront.diffraction.crystals import Crystal
from phasefront.diffraction.parent_lattice import to_parent
from phasefront.phases.evidence import Evidence

ALIKE_DEG = 3.0  # between orientations that lead to one maximum of the likelihood. Chosen


def missing_starts(
    evidence: Evidence, candidates: CandidatePhases
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Position (n,), phase (n,) and rotation (n, 4) of the likeliest phase's orientations under
    those other phases whose own best is another."""
    at = np.flatnonzero((evidence.best >= 0).any(axis=1))
    likeliest = evidence.likeliest[at]
    entry, phase, rotation = lent(likeliest, evidence.rotation[at, likeliest], candidates)
    angle = angles(rotation, evidence.rotation[at[entry], phase], phase, candidates.crystals)
    nearest = np.full((len(at), len(candidates.crystals)), np.inf)
    # Where it has no orientation the angle is no number.
    np.minimum.at(nearest, (entry, phase), np.where(np.isnan(angle), np.inf, angle))
    wanted = nearest[entry, phase] >= ALIKE_DEG
    return at[entry[wanted]], phase[wanted], rotation[wanted]


def lent(
    phase: np.ndarray, rotation: np.ndarray, candidates: CandidatePhases
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Orientations that lattices of a phase (n,) and rotation (n, 4) give to the others of their
    parent lattice, in all variants: which lattice's (m,), the other phase (m,), and (m, 4)."""
    shared = [number for number, axes in enumerate(candidates.parent_axes) if axes is not None]
    parts = [(np.zeros(0, dtype=int), np.zeros(0, dtype=int), np.zeros((0, 4)))]
    for lender in shared:
        at = np.flatnonzero(phase == lender)
        for other in shared:
            if other == lender:
                continue
            crystal, parent = candidates.crystals[other], candidates.parent_axes[other]
            there = to_parent(candidates.crystals[lender], candidates.parent_axes[lender])
            turn = rotations.multiply(to_parent(crystal, parent) * [1, -1, -1, -1], there)
            given = rotations.multiply(
                candidates.variants[other][:, None], rotations.multiply(turn, rotation[at])
            )
            parts += [(at, np.full(len(at), other), one) for one in given]
    entry, other, rotation = (np.concatenate(values) for values in zip(*parts, strict=True))
    return entry, other, rotation


def angles(
    one: np.ndarray, other: np.ndarray, phase: np.ndarray, crystals: Sequence[Crystal]
) -> np.ndarray:
    """Misorientations (n,), degrees, of orientations (n, 4) of a phase (n,)."""
    out = np.empty(len(phase))
    for number, crystal in enumerate(crystals):
        own = phase == number
        out[own] = rotations.misorientation(one[own], other[own], crystal.symmetry)
    return out
