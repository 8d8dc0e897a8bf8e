"""Covariance of what all patterns share, from the scatter of grains, be they many or one."""

from __future__ import annotations

import numpy as np

from phasefront.diffraction.rotations import HALF_TURN, misorientation, multiply

# How much of a spot's variance all patterns of a grain share (intraclass correlation), and how many
# grains that knowledge is worth: set on virtual scans, and fitted again by `make constants` on
# others; see docs/calibration.md.
SHARED_VARIANCE, PRIOR_GRAINS = 0.15, 4
_SAME_GRAIN_DEG = 3.0  # chosen, and fitted again with them
# Patterns of fewer than this whose orientation no others share may be misindexed, and are taken for
# those of the grain whose spots theirs are. Chosen.
_FEW = 4
# Spots are the same within so much in radius, 1/angstrom, and in angle; patterns of a series turn
# by up to so much. Of the pattern with more spots, the share that is the same where grains are.
# Chosen: in made spots of one grain it is 0.4 to 0.9, in those of two less than 0.2.
_RADIUS, _ANGLE_DEG, _TURN_DEG, _ALIKE = 0.02, 2.0, 4.0, 0.35


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
    orientation: np.ndarray,
    known: np.ndarray,
    symmetry: np.ndarray,
    q: np.ndarray,
    offset: np.ndarray,
) -> np.ndarray:
    """Number of the grain of each pattern (n,), from 0; patterns of one grain share their errors.

    Orientations (n, 4) under one phase are compared, where they are `known` (n,), up to the phase's
    own symmetry (m, 4), the turns of a cube and the half turn about the beam: those which indexing
    may mistake for each other, and which twins have. A pattern that is indexed as nothing else is
    would count as a grain of its own, however often its grain is seen; so patterns that few share
    their orientation with go to those whose spots theirs are, `q` (spots, 2) in 1/angstrom from
    `offset` (n + 1,) on.
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
    grain = connected_components(near, directed=False)[1]
    few = np.flatnonzero(np.bincount(grain) < _FEW)
    if not few.size:
        return grain
    same = np.where(grain[:, None] == grain, 0.0, _same_spots(q, offset))
    many = ~np.isin(grain, few)
    # Each goes one way, so that patterns of two grains above each other do not make one of these;
    # to a grain that is seen often, if that is alike, not to another misindexed pattern of it.
    for number in few:
        own = np.flatnonzero(grain == number)
        for others in (many, ~many):
            there = np.where(others, same[own], 0.0)
            pair = np.unravel_index(there.argmax(), there.shape)
            if there[pair] >= _ALIKE:
                near[own[pair[0]], pair[1]] = True
                break
    return connected_components(near, directed=False)[1]


def _same_spots(q: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Share (n, n) of the spots of that of two patterns with more of them that the other has too.

    At the turn between the two, of some, at which most are the same.
    """
    from scipy.sparse import csr_array

    count = np.diff(offset)
    pattern = np.repeat(np.arange(len(count)), count)
    angles = round(360 / _ANGLE_DEG)
    ring = np.floor(np.hypot(*q.T) / _RADIUS).astype(int)
    angle = np.floor(np.degrees(np.arctan2(q[:, 1], q[:, 0])) / _ANGLE_DEG).astype(int)
    shape = (len(count), (ring.max() + 3) * angles)

    def placed(turn: int, reach: int) -> csr_array:
        """1 in the bins of each pattern's spots, turned, and in those that touch them."""
        by = [(r, a) for r in range(-reach, reach + 1) for a in range(-reach, reach + 1)]
        bins = np.concatenate(
            [(ring + 1 + r) * angles + (angle + turn + a) % angles for r, a in by]
        )
        ones = np.ones(len(bins), "f4")
        found = csr_array((ones, (np.tile(pattern, len(by)), bins)), shape=shape)
        found.data[:] = 1.0 if reach else found.data
        return found

    spots, wide = placed(0, 0), placed(0, 1)
    steps = round(_TURN_DEG / _ANGLE_DEG)
    same = np.zeros((len(count), len(count)), "f4")
    for turn in range(-steps, steps + 1):
        ours = (spots @ placed(turn, 1).T).toarray()
        theirs = (wide @ placed(turn, 0).T).toarray()
        same = np.maximum(same, np.minimum(ours, theirs))
    return same / np.maximum(count[:, None], count)
