"""Gauss-Newton steps of the joint fit: what all patterns share, with their rotations eliminated."""

from __future__ import annotations

import numpy as np

# Parameters of the joint fit that all patterns share.
PARAMETERS = ("xx", "xy", "yy", "shift_x", "shift_y", "outward")
_SHARED = len(PARAMETERS)
# 1/angstrom^2, prior of a spot's outward shift times its frequency: of the order of its variance.
# Chosen, not measured: lists of spots have no such shift.
OUTWARD_SIGMA = 5e-4
# 1/variance of (xx, xy, yy, shift x, shift y): ties of a step to where it starts, chosen too weak
# to be seen but where spots say nothing about a parameter, which then stays.
_STEP_TIES = np.diag([400.0, 400.0, 400.0, 2500.0, 2500.0, 0.0])
# Errors of the same, unity, where spots say nothing.
IGNORANCE = np.diag([1.0, 1.0, 1.0, 1.0, 1.0, 0.0])


def prior_information() -> np.ndarray:
    """Information (6, 6) on the shared parameters that is there without patterns."""
    prior = np.zeros((_SHARED, _SHARED))
    prior[5, 5] = 1 / OUTWARD_SIGMA**2
    return prior


def joint_step(
    normal: np.ndarray, gradient: np.ndarray, weight: np.ndarray, parameters: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Newton step of the shared parameters, and of each candidate's rotation given it.

    Parameters
    ----------
    normal, gradient
        Normal equations of each candidate of each pattern, (patterns, candidates, 9, 9) and
        (patterns, candidates, 9): the shared parameters, then small turns.
    weight
        Posterior of each candidate (patterns, candidates).
    parameters
        The shared parameters (6,): xx, xy, yy, shift x and y, outward.

    Returns
    -------
    Step (6,), and turns (patterns, candidates, 3), radians.
    """
    information, score = information_and_score(normal, gradient, weight)
    prior = prior_information()
    known = information.sum(axis=0) + prior + _STEP_TIES
    move = np.linalg.solve(known, score.sum(axis=0) - prior @ parameters)
    inner = np.linalg.inv(normal[..., _SHARED:, _SHARED:])
    rest = gradient[..., _SHARED:] - normal[..., _SHARED:, :_SHARED] @ move
    turns = np.einsum("pkij,pkj->pki", inner, rest)
    return move, turns


def information_and_score(
    normal: np.ndarray, gradient: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Of each pattern on the shared parameters, (patterns, 6, 6) and (patterns, 6).

    Rotations are eliminated, and patterns that disagree with the others lose weight. Arguments are
    those of `joint_step`.
    """
    return _trusted(*_profiled(normal, gradient, weight))


def _profiled(normal, gradient, weight):
    """Information on the shared parameters with rotations eliminated, and score, by pattern."""
    inner = np.linalg.inv(normal[..., _SHARED:, _SHARED:])
    cross = normal[..., :_SHARED, _SHARED:] @ inner
    information = normal[..., :_SHARED, :_SHARED] - cross @ normal[..., _SHARED:, :_SHARED]
    profiled = gradient[..., :_SHARED] - np.einsum("pkij,pkj->pki", cross, gradient[..., _SHARED:])
    return np.einsum("pk,pkij->pij", weight, information), np.einsum("pk,pki->pi", weight, profiled)


def _trusted(information, score):
    """Both weighted by how well each pattern agrees with the shared parameters.

    A pattern of two crystals, or of a phase that is no candidate, pulls in a direction of its own.
    Its pull is measured by score' information^-1 score and cut by Tukey's biweight, which is 0
    where that is nine times what half of the patterns stay below.
    """
    # A pattern whose spots belong to no reflection says nothing.
    size = np.maximum(np.einsum("pii->p", information), 1e-12)
    ridge = 1e-6 * size[:, None, None] * np.eye(_SHARED)
    pull = np.einsum(
        "pi,pi->p", score, np.linalg.solve(information + ridge, score[..., None])[..., 0]
    )
    trust = np.clip(1 - pull / max(9 * np.median(pull), 1e-12), 0, None) ** 2
    return information * trust[:, None, None], score * trust[:, None]


def turned(rotation: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """Matrices (..., 3, 3) turned by small rotation vectors (..., 3), radians."""
    from scipy.spatial.transform import Rotation

    small = Rotation.from_rotvec(turns.reshape(-1, 3)).as_matrix().reshape(rotation.shape)
    return small @ rotation
