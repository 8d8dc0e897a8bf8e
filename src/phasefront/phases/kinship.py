"""Orientations that phases of one parent lattice have from each other.

Of a pattern with few spots each phase's best matches may be anywhere. Where one phase lies as the
crystal does and another, which is there, was only tried elsewhere, the first wins for sure, and
wrongly. So each is tried where the likeliest lies.
"""

from __future__ import annotations

import numpy as np

from phasefront.diffraction import rotations
from phasefront.diffraction.candidates import CandidatePhases
from phasefront.diffraction.parent_lattice import to_parent
from phasefront.phases.evidence import Evidence

_ALIKE_DEG = 3.0  # between orientations that lead to one maximum of the likelihood. Chosen


def missing_starts(
    evidence: Evidence, candidates: CandidatePhases
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Position (n,), phase (n,) and rotation (n, 4) of the likeliest phase's orientations under
    those other phases whose own best is another."""
    likeliest = evidence.likeliest
    found = (evidence.best >= 0).any(axis=1)
    shared = [number for number, axes in enumerate(candidates.parent_axes) if axes is not None]
    parts = [(np.zeros(0, dtype=int), np.zeros(0, dtype=int), np.zeros((0, 4)))]
    for lender in shared:
        at = np.flatnonzero(found & (likeliest == lender))
        for other in shared:
            if other == lender:
                continue
            crystal, parent = candidates.crystals[other], candidates.parent_axes[other]
            there = to_parent(candidates.crystals[lender], candidates.parent_axes[lender])
            turn = rotations.multiply(to_parent(crystal, parent) * [1, -1, -1, -1], there)
            rotation = rotations.multiply(turn, evidence.rotation[at, lender])
            lent = rotations.multiply(candidates.variants[other][:, None], rotation)
            own = evidence.rotation[at, other]
            angle = rotations.misorientation(lent, own[None], crystal.symmetry)
            # Where it has no orientation the angle is no number.
            wanted = ~(angle.min(axis=0) < _ALIKE_DEG)
            for one in lent[:, wanted]:
                parts.append((at[wanted], np.full(wanted.sum(), other), one))
    position, phase, rotation = (np.concatenate(values) for values in zip(*parts, strict=True))
    return position, phase, rotation
