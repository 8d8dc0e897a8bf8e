"""Which placement, row drift and contrast make the map from the scan's image, and how surely.

The map's thickness channel is taken for contrast_g(thickness signal of the scan), a parabola for
each grain g, under the map's probe, at where its pixels lie; plus noise of known variance. Rows
drift as a random walk. Gauss-Newton steps minimise chi squared plus the priors; the step length of
the walk is weighed by the evidence (Laplace's approximation).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from phasefront.registration.channels import blurred
from phasefront.registration.placement import interpolated
from phasefront.registration.problem import PLACED, Problem, State

# Standard deviations of priors: logarithm of true over stated pixel (5 % at two of them), of the
# probe's width, and of a grain's contrast from the common one. Chosen.
SCALE_SIGMA, WIDTH_SIGMA, CONTRAST_SIGMA = 0.025, 0.15, 0.4
# Steps of the random walk of rows that are weighed, in pixels of the map; chosen.
WALKS = (0.01, 0.02, 0.035, 0.055, 0.085, 0.13, 0.2)
_MEAN_DRIFT = 1e-3  # pixels: keeps the drift's mean, which the placement has, at nothing
_STEPS, _SMALL = 40, 1e-4  # Gauss-Newton steps at most, and gain of chi squared that ends them
_SIGNAL = 0.05  # of the prediction's range: less is background, which chi squared leaves out
_AUTOCORRELATED = 4  # pixels over which neighbours' residuals may be alike; chosen


@dataclass(frozen=True)
class Fit:
    """A fitted optimum.

    `precision` is the normal matrix with its priors, `walk` the step of the drift in nm,
    `log_evidence` weighs fits of one map; `objective` is chi squared over `inflation` of `pixels`
    on the scan, with the priors' penalty; `chi_squared` is that of a pixel of the crystal, and
    `inflation` the factor by which residuals count for less than independent ones of the stated
    errors.
    """

    state: State
    precision: np.ndarray
    objective: float
    pixels: int
    log_evidence: float
    chi_squared: float
    inflation: float
    walk: float
    shown: float


class _View:
    """Prediction of a state, its residuals and derivatives."""

    def __init__(self, problem: Problem, state: State, total: int | None = None):
        self.problem, self.state = problem, state
        placement = state.placement(problem)
        self.nm = placement.positions(problem.value.shape[1])
        at = self.nm / problem.step_nm
        width = problem.probe_nm * np.exp(state.placed[4]) / problem.step_nm
        self.width = width
        self.images = [blurred(image, width) for image in problem.basis]
        whole = np.zeros_like(self.images[0])
        for factor, image in zip(state.contrast, self.images, strict=True):
            whole = whole + factor * image
        self.whole, self.at = whole, at
        known = interpolated(problem.known.astype("f8"), at)
        self.predicted = interpolated(whole, at, order=3)
        inside = (known > 0.99) & np.isfinite(self.predicted)
        self.weight = np.where(inside, problem.weight, 0.0)
        self.residual = np.where(inside, problem.value - np.nan_to_num(self.predicted), 0.0)
        self.landmark = problem.landmarks
        if len(self.landmark):
            self.landmark_off = self.landmark[:, 2:4] - placement.at(self.landmark[:, :2])
        self.inside = int((self.weight > 0).sum())
        self.total = self.inside if total is None else total

    def chi_squared(self) -> float:
        """Sum over pixels on the scan, scaled to `total` of them: none is won by leaving it."""
        found = (self.weight * self.residual**2).sum()
        return float(found * self.total / max(self.inside, 1))

    def gradients(self) -> np.ndarray:
        """Derivatives of the prediction by y and x in nm, (2, row, column)."""
        slopes = np.gradient(self.whole)
        return np.array(
            [np.nan_to_num(interpolated(one, self.at)) / self.problem.step_nm for one in slopes]
        )

    def design(self, gradients: np.ndarray) -> np.ndarray:
        """Derivatives by placement and contrast, (parameter, row, column)."""
        off = self.nm - self.state.drift[:, None] - self.state.placed[:2]
        turned = np.stack([off[..., 1], -off[..., 0]])
        if self.width > 0:
            bend = ndimage.laplace(self.whole)
            spread = np.nan_to_num(interpolated(bend, self.at)) * self.width**2
        else:
            spread = np.zeros(self.at.shape[:2])
        contrast = [np.nan_to_num(interpolated(image, self.at)) for image in self.images]
        return np.stack(
            [
                gradients[0], gradients[1], (gradients * turned).sum(0),
                (gradients * np.moveaxis(off, -1, 0)).sum(0), spread, *contrast,
            ]
        )  # fmt: skip


def _prior(problem: Problem, state: State, walk: float) -> tuple[float, np.ndarray, np.ndarray]:
    """Penalty, its gradient and its matrix (twice the quadratic form)."""
    rows = problem.value.shape[0]
    first = PLACED + len(problem.basis)
    size = first + 2 * rows
    matrix = np.zeros((size, size))
    offset = np.concatenate([state.placed, state.contrast, state.drift.ravel()])
    groups = problem.groups
    offset[:3] = 0.0
    offset[PLACED] = 0.0
    linear = slice(PLACED + 1, PLACED + 1 + groups)
    offset[linear] -= problem.contrast
    diagonal = np.zeros(size)
    diagonal[3], diagonal[4] = SCALE_SIGMA**-2, WIDTH_SIGMA**-2
    diagonal[PLACED + 1 : first] = (CONTRAST_SIGMA * problem.contrast) ** -2.0
    # The common contrast of all grains is free within a wide prior.
    diagonal[linear] /= 4.0
    matrix[np.arange(size), np.arange(size)] = diagonal
    chain = np.zeros((rows, rows))
    along = np.arange(rows - 1)
    chain[along, along] += 1.0
    chain[along + 1, along + 1] += 1.0
    chain[along, along + 1] -= 1.0
    chain[along + 1, along] -= 1.0
    chain = chain / walk**2 + 1 / (rows * _MEAN_DRIFT * problem.pixel_nm) ** 2
    for axis in (0, 1):
        matrix[first + axis :: 2, first + axis :: 2] = chain
    slope = np.einsum("ij,j->i", matrix, offset)
    return float((offset * slope).sum()), slope, matrix


def _normal(view: _View) -> tuple[np.ndarray, np.ndarray]:
    """Right side and matrix of the data's normal equations, landmarks included."""
    problem = view.problem
    rows = problem.value.shape[0]
    gradients = view.gradients()
    design = view.design(gradients)
    share = view.total / max(view.inside, 1)
    weight = view.weight * share
    first = len(design)
    size = first + 2 * rows
    right, matrix = np.zeros(size), np.zeros((size, size))
    weighted = design * weight
    right[:first] = (weighted * view.residual).sum((1, 2))
    for one in range(first):
        matrix[one, :first] = (weighted[one] * design).sum((1, 2))
    for axis in (0, 1):
        place = first + axis + 2 * np.arange(rows)
        steep = gradients[axis] * weight
        right[place] = (steep * view.residual).sum(1)
        matrix[:first, place] = (design * steep).sum(2)
        matrix[place, :first] = matrix[:first, place].T
        for other in (0, 1):
            matrix[place, first + other + 2 * np.arange(rows)] = (steep * gradients[other]).sum(1)
    for mark, off in zip(view.landmark, getattr(view, "landmark_off", ()), strict=True):
        spot = mark[2:4] - off
        lever = spot - view.state.placed[:2]
        row = int(np.clip(np.rint(mark[0]), 0, rows - 1))
        lever = lever - view.state.drift[row]
        for axis, turned in ((0, lever[1]), (1, -lever[0])):
            slope = np.zeros(size)
            slope[axis], slope[2], slope[3] = 1.0, turned, lever[axis]
            slope[first + 2 * row + axis] = 1.0
            right += slope * off[axis] / mark[4] ** 2
            matrix += slope[:, None] * slope / mark[4] ** 2
    return right, matrix


def _objective(view: _View, walk: float, inflation: float) -> float:
    penalty = _prior(view.problem, view.state, walk)[0]
    if len(view.landmark):
        penalty += float(((view.landmark_off / view.landmark[:, 4:]) ** 2).sum())
    return view.chi_squared() / inflation + penalty


def descend(
    problem: Problem, state: State, *, walk: float, inflation: float = 1.0, drifts: bool = True,
    steps: int = _STEPS,
) -> tuple[State, float]:  # fmt: skip
    """The nearest optimum and its objective, by damped Gauss-Newton steps (Levenberg).

    `walk` is the step of the drift in nm; without `drifts` rows stay where they are.
    """
    view = _View(problem, state)
    least, damping = _objective(view, walk, inflation), 1e-3
    free = PLACED + len(problem.basis) + (2 * problem.value.shape[0] if drifts else 0)
    for _ in range(steps):
        right, matrix = _normal(view)
        _, slope, prior = _prior(problem, view.state, walk)
        right = (right / inflation - slope)[:free]
        matrix = (matrix / inflation + prior)[:free, :free]
        gained = 0.0
        for _ in range(6):
            raised = matrix + damping * np.diag(np.diag(matrix) + 1e-12)
            by = np.zeros(PLACED + len(problem.basis) + 2 * problem.value.shape[0])
            by[:free] = np.linalg.solve(raised, right)
            by[4] = np.clip(by[4], -0.2, 0.2)
            tried = _View(problem, view.state.moved(by), view.total)
            found = _objective(tried, walk, inflation)
            if found < least:
                gained, least, view = least - found, found, tried
                damping = max(damping / 5, 1e-9)
                break
            damping *= 8
        if gained < _SMALL * max(1.0, 0.01 * least):
            break
    return view.state, least


def judge(problem: Problem, state: State) -> tuple[float, float, float]:
    """Chi squared of a pixel of the crystal, inflation, and share of the signal on the scan.

    Inflation is the same chi squared, at least 1, times the sum of the residuals' correlations
    with their neighbours in all directions: so many pixels count for one.
    """
    view = _View(problem, state)
    crystal = view.predicted - state.contrast[0]
    crystal = np.abs(np.nan_to_num(crystal)) > _SIGNAL * problem.contrast
    crystal = ndimage.binary_dilation(crystal) & (view.weight > 0)
    pull = np.where(crystal, view.residual * np.sqrt(view.weight), 0.0)
    number = max(crystal.sum(), 1)
    chi_squared = float((pull**2).sum() / number)
    alike, reach = 0.0, _AUTOCORRELATED
    for row in range(-reach, reach + 1):
        for column in range(-reach, reach + 1):
            both = _overlap(crystal, row, column)
            pairs = (both[0] & both[1]).sum()
            if pairs >= 0.2 * number:
                one, other = _overlap(pull, row, column)
                alike += float((one * other).sum() / pairs) / max(chi_squared, 1e-300)
    signal = np.where(problem.weight > 0, problem.value - state.contrast[0], 0.0).clip(0)
    shown = float((signal * (view.weight > 0)).sum() / max(signal.sum(), 1e-300))
    return chi_squared, max(1.0, chi_squared) * max(1.0, alike), shown


def _overlap(image: np.ndarray, row: int, column: int) -> tuple[np.ndarray, np.ndarray]:
    """An image and itself moved by whole pixels, where both are."""
    rows, columns = image.shape
    here = np.s_[max(0, row) : rows + min(0, row), max(0, column) : columns + min(0, column)]
    there = np.s_[max(0, -row) : rows + min(0, -row), max(0, -column) : columns + min(0, -column)]
    return image[here], image[there]


def finish(problem: Problem, state: State, walk: float, inflation: float) -> Fit:
    """The optimum near `state` for one step of the walk, its precision and evidence."""
    state, objective = descend(problem, state, walk=walk, inflation=inflation)
    view = _View(problem, state)
    _, matrix = _normal(view)
    prior = _prior(problem, state, walk)[2]
    precision = matrix / inflation + prior
    rows = problem.value.shape[0]
    log_prior = -2 * (rows - 1) * np.log(walk)
    log_evidence = -objective / 2 - np.linalg.slogdet(precision)[1] / 2 + log_prior
    chi_squared, again, shown = judge(problem, state)
    return Fit(
        state, precision, objective, view.inside, float(log_evidence), chi_squared, again, walk,
        shown,
    )  # fmt: skip
