"""Phase-field model of ion insertion in grains that share a potential, in plain NumPy.

The ion content c of a cell, from 0 to 1, follows (Bazant, Acc. Chem. Res. 46 (2013) 1144; for
coherency Cogswell and Bazant, ACS Nano 6 (2012) 2215)

    mu = ln(c / (1 - c)) + omega (1 - 2 c) - kappa lap(c) + IFFT[B(n) FFT(c - mean c)]
    dc/dt = div(D c (1 - c) grad mu) + k sqrt(c (1 - c)) 2 sinh((potential - mu) / 2)

with energies in kT per site and lengths in cells of the grid. The rate constant k may differ from
cell to cell, and is 0 away from the outline where ions come through the outline alone. The
potential is the one at which the grains that share it take up their current. Nothing diffuses
across the outline, and a full cell there gains the energy `wetting` a face (Cahn, J. Chem. Phys. 66
(1977) 3667).

The elastic term takes a matrix of the same stiffness around the grain, so it overstates what a
free surface holds. The regular solution and the symmetric exchange current are models, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import count

import numpy as np
from scipy import fft

# Largest change of a cell's ion content in one step, and most stages of a step.
_LARGEST_CHANGE, _MOST_STAGES = 0.1, 30
_PATIENCE = 2000  # steps in which time goes on by the longest step at least
_DAMPING = 0.05  # of the Chebyshev polynomial


@dataclass(frozen=True)
class Energy:
    """Free energy of a crystal, per site and in kT.

    `strain` is B(n) of every wave of the grid (see `strain_of_waves`), or 0 where the phases do
    not strain each other.
    """

    omega: float  # of the regular solution; two phases above 2
    kappa: float  # of the gradient, times the square of a cell
    strain: np.ndarray | float = 0.0


@dataclass(frozen=True)
class Grains:
    """Grains on a grid each: arrays (grain, ny, nx), or (grain, nz, ny, nx)."""

    inside: np.ndarray  # whether a cell belongs to the grain; never at the border of the grid
    rate: np.ndarray  # k of every cell, at unit time
    wetting: np.ndarray  # (grain,) kT that a full cell gains for each face at the outline
    circuit: np.ndarray  # (grain,) number of the potential that the grain shares with others
    mobility: float = 0.0  # D, cells squared at unit time

    @property
    def axes(self) -> tuple[int, ...]:
        """Axes of the grid."""
        return tuple(range(1, self.inside.ndim))

    def per_cell(self, of_grain: np.ndarray) -> np.ndarray:
        """Values (grain,) in a shape that goes with arrays of cells."""
        return np.reshape(of_grain, (-1, *[1] * len(self.axes)))

    def mean(self, content: np.ndarray) -> np.ndarray:
        """Mean ion content of each grain, (grain,)."""
        return (content * self.inside).sum(axis=self.axes) / self.inside.sum(axis=self.axes)

    @cached_property
    def pairs(self) -> list[tuple[tuple, tuple, np.ndarray]]:
        """Slices of both sides of the faces along each axis, and 1 where a grain has both."""
        found = []
        for axis in self.axes:
            near, far = ([slice(None)] * self.inside.ndim for _ in range(2))
            near[axis], far[axis] = slice(None, -1), slice(1, None)
            both = self.inside[tuple(near)] & self.inside[tuple(far)]
            found.append((tuple(near), tuple(far), both.astype(float)))
        return found

    @cached_property
    def faces(self) -> np.ndarray:
        """Faces of each cell that belong to the outline."""
        count = 2.0 * len(self.axes) * self.inside
        for near, far, both in self.pairs:
            count[near] -= both
            count[far] -= both
        return count


@dataclass(frozen=True)
class Moment:
    """Grains at a time."""

    time: float
    potential: np.ndarray  # (circuit,) kT
    content: np.ndarray  # as Grains.inside; 0 outside


def binodal(omega: float) -> float:
    """Ion content of the poor phase; the rich one has 1 minus it.

    The common tangent of a regular solution is level, so the chemical potential is 0 at both ends.

    Raises
    ------
    ValueError
        `omega` is not above 2: there is one phase.
    """
    from scipy.optimize import brentq

    if omega <= 2:
        raise ValueError(f"a regular solution with omega {omega:g} is one phase")
    spinodal = (1 - np.sqrt(1 - 2 / omega)) / 2
    return brentq(lambda c: np.log(c / (1 - c)) + omega * (1 - 2 * c), 1e-300, spinodal, xtol=1e-16)


def strain_of_waves(
    energy_of: Callable[[np.ndarray], np.ndarray], shape: tuple[int, ...]
) -> np.ndarray:
    """`Energy.strain` on a grid, from the energy of unit vectors (..., axis) along its axes.

    The constant costs nothing, for a grain as a whole may stretch. The last wave of an even axis
    stands for both of its signs, so the mean of their energies is taken.
    """
    strain = 0.0
    for sign in (1, -1):
        lines = [fft.fftfreq(n) for n in shape[:-1]] + [fft.rfftfreq(shape[-1])]
        for line, n in zip(lines, shape, strict=True):
            line[np.isclose(np.abs(line), 0.5)] = 0.5 * (sign if n % 2 == 0 else 1)
        waves = np.stack(np.meshgrid(*lines, indexing="ij"), axis=-1)
        waves[(0,) * len(shape)] = 1.0
        length = np.linalg.norm(waves, axis=-1, keepdims=True)
        strain = strain + energy_of(waves / length) / 2
    strain[(0,) * len(shape)] = 0.0
    return strain


def excess_potential(content: np.ndarray, grains: Grains, energy: Energy) -> np.ndarray:
    """The chemical potential less ln(c / (1 - c)), kT, as `Grains.inside`; of no meaning outside.

    `content` is 0 outside.
    """
    excess = energy.omega * (1 - 2 * content) - grains.per_cell(grains.wetting) * grains.faces
    for near, far, both in grains.pairs:
        bend = energy.kappa * both * (content[far] - content[near])
        excess[near] -= bend
        excess[far] += bend
    if np.ndim(energy.strain):
        change = (content - grains.per_cell(grains.mean(content))) * grains.inside
        waves = fft.rfftn(change, axes=grains.axes)
        excess += fft.irfftn(energy.strain * waves, s=content.shape[1:], axes=grains.axes)
    return excess


def simulate(
    grains: Grains,
    energy: Energy,
    start: np.ndarray,
    *,
    current: np.ndarray,
    longest_step: float,
) -> Iterator[Moment]:
    """The grains from `start` on, moment by moment and without end.

    Parameters
    ----------
    start
        Ion content, as `Grains.inside`.
    current
        (circuit,) sites that the grains at one potential fill in unit time; negative while ions
        leave.
    longest_step
        Longest step of time. Steps are shorter where any cell changes by more than 0.1.

    Raises ValueError where the cells that react are full (or empty) and the current asks for more,
    or where steps get so short that there would be no end.

    Steps are those of the first-order Runge-Kutta-Chebyshev method (Verwer, Appl. Numer. Math. 22
    (1996) 359). Its stages are weighted sums of rates, so the ions that the current brings are
    all there, to rounding.
    """
    content, time = np.where(grains.inside, start, 0.0), 0.0
    checked = -longest_step
    for number in count():
        if number % _PATIENCE == 0:
            if time - checked < longest_step:
                raise ValueError(
                    f"steps became too short after a time of {time:g}: ask for weaker wetting or a "
                    "lower current"
                )
            checked = time
        rate, potential, stiffness = _rate(content, grains, energy, current)
        yield Moment(time, potential, content)
        reach = (2 - 4 / 3 * _DAMPING) / stiffness  # of one stage; that of s stages is s^2 of it
        step = min(
            longest_step, _LARGEST_CHANGE / max(np.abs(rate).max(), 1e-12), reach * _MOST_STAGES**2
        )
        stages = max(2, int(np.ceil(np.sqrt(step / reach))))
        content = _chebyshev(
            lambda stage: _rate(stage, grains, energy, current)[0], content, rate, step, stages
        )
        time += step


def _rate(content, grains: Grains, energy: Energy, current):
    """dc/dt, the potential of each circuit, and a bound on the eigenvalues of the rate's slope.

    With r the excess potential, k sqrt(c (1 - c)) exp(-mu / 2) = k (1 - c) exp(-r / 2): nothing
    diverges at c of 0 and 1, nor does D c (1 - c) grad mu = D (grad c + c (1 - c) grad r).
    """
    excess = excess_potential(content, grains, energy)
    grown = np.exp(excess / 2)
    filling, emptying = grains.rate / grown, grains.rate * grown
    bend = 4 * len(grains.axes) * energy.kappa + np.max(energy.strain)
    slope = filling, emptying
    filling, emptying = (1 - content) * filling, content * emptying
    enters, leaves = (
        np.bincount(grains.circuit, one.sum(axis=grains.axes)) for one in (filling, emptying)
    )
    if not (enters.min() > 0 and leaves.min() > 0):
        raise ValueError(
            "the cells that ions can go through are full (or empty) and the current asks for more"
        )
    # enters x - leaves / x = current, in the form that loses no digits for either sign.
    root = np.sqrt(current**2 + 4 * enters * leaves)
    activity = np.where(
        current >= 0, (current + root) / (2 * enters), 2 * leaves / (root - current)
    )
    x = grains.per_cell(activity[grains.circuit])
    filling, emptying = filling * x, emptying / x
    stiffness = np.max(slope[0] * x + slope[1] / x) + np.max(filling + emptying) / 2 * bend
    rate = filling - emptying
    if grains.mobility:
        mixed = content * (1 - content)
        for near, far, both in grains.pairs:
            drift = (mixed[near] + mixed[far]) / 2 * (excess[far] - excess[near])
            flow = grains.mobility * both * (content[far] - content[near] + drift)
            rate[near] += flow
            rate[far] -= flow
        stiffness += 4 * len(grains.axes) * grains.mobility * (1 + max(mixed.max(), 0) * bend)
    return rate, 2 * np.log(activity), stiffness


def _chebyshev(rate_of, content, rate, step: float, stages: int) -> np.ndarray:
    """One step of Verwer's first-order formula, damped."""
    at = 1 + _DAMPING / stages**2
    chebyshev, slope = [1.0, at], [0.0, 1.0]
    for _ in range(2, stages + 1):
        slope.append(2 * chebyshev[-1] + 2 * at * slope[-1] - slope[-2])
        chebyshev.append(2 * at * chebyshev[-1] - chebyshev[-2])
    scale = chebyshev[stages] / slope[stages]
    before, now = content, content + step * scale / at * rate
    for j in range(2, stages + 1):
        ratio = chebyshev[j - 1] / chebyshev[j]
        after = 2 * ratio * (at * now + scale * step * rate_of(now))
        after -= chebyshev[j - 2] / chebyshev[j] * before
        before, now = now, after
    return now
