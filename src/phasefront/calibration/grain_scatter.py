"""Covariance of what all patterns share, from the scatter of grains, be they many or one."""

from __future__ import annotations

import numpy as np

from phasefront.diffraction.rotations import HALF_TURN, misorientation, multiply

# How much of a spot's variance all patterns of a grain share (intraclass correlation), and how many
# grains that knowledge is worth: set on virtual scans, and fitted again by `make constants` on
# others; see docs/calibration.md.
SHARED_VARIANCE, PRIOR_GRAINS = 0.15, 4
_SAME_GRAIN_DEG = 3.0  # chosen, and fitted again with them


def covariance_by_grain(
    information: np.ndarray, score: np.ndarray, grain: np.ndarray, prior: np.ndarray
) -> np.ndarray:
    """Covariance (n, n) of the maximum of a likelihood whose patterns belong to grains.

    Parameters
    ----------
    information, score
        Of each pattern at the maximum, (patterns, n, n) and (patterns, n), as if spots were
        independent of each other.
    grain
        Number of each pattern's grain, from 0.
    prior
        Information (n, n) that is there without patterns.

    Spots of one grain err together: its patterns show the same reflections, moved by the same
    neighbours. Grains are compared by leaving out one at a time, to first order: the jackknife form
    of the sandwich (Bell and McCaffrey, Surv. Methodol. 28, 169, 2002), which few grains of unequal
    size do not make too small. Few grains do not tell their own scatter. So the mean with what is
    expected of grains is taken, weighted by degrees of freedom as under an inverse Wishart prior
    (Gelman et al., Bayesian Data Analysis, 3rd ed., 3.6): a grain of m patterns tells as much as
    m / (1 + (m - 1) rho) independent ones (Kish, Survey Sampling, 1965).
    """
    number = grain.max() + 1
    total = information.sum(axis=0) + prior
    bread = np.linalg.inv(total)
    of_grain = np.zeros((number, *prior.shape))
    np.add.at(of_grain, grain, information)
    design_effect = 1 + SHARED_VARIANCE * (np.bincount(grain) - 1)
    expected = bread @ (np.einsum("g,gij->ij", design_effect, of_grain) + prior) @ bread
    if number == 1:
        return expected
    scores = np.zeros((number, len(prior)))
    np.add.at(scores, grain, score)
    # Not quite all of a grain, so that one which alone fixes a parameter leaves a finite matrix.
    left = total - (1 - 1e-3) * of_grain
    moves = np.linalg.solve(left, scores[..., None])[..., 0]
    scatter = (number - 1) / number * moves.T @ moves
    return (PRIOR_GRAINS * expected + (number - 1) * scatter) / (PRIOR_GRAINS + number - 1)


def grains_of_patterns(
    orientation: np.ndarray, known: np.ndarray, symmetry: np.ndarray
) -> np.ndarray:
    """Number of the grain of each pattern (n,), from 0; patterns of one grain share their errors.

    Orientations (n, 4) under one phase are compared, where they are `known` (n,), up to the phase's
    own symmetry (m, 4), the turns of a cube and the half turn about the beam: those which indexing
    may mistake for each other, and which twins have.
    """
    from orix.quaternion.symmetry import O as cube
    from scipy.sparse.csgraph import connected_components

    near = np.eye(len(orientation), dtype=bool)
    for there in (orientation, multiply(orientation, HALF_TURN)):
        for group in (symmetry, cube.data):
            angle = misorientation(orientation[:, None], there[None], group)
            near |= angle < _SAME_GRAIN_DEG
    near &= known[:, None] & known
    np.fill_diagonal(near, True)
    return connected_components(near, directed=False)[1]
