"""One way to choose a phase's axes in a measured lattice, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from phasefront.diffraction.cell_path import Path as CellPath
from phasefront.diffraction.cells import propagated
from phasefront.diffraction.crystals import Crystal
from phasefront.tomography import strains
from phasefront.tomography.statement import Frame

# A forbidden strain below this is rounding: the program imposed the symmetry.
_IMPOSED = 2e-4
_STEP = 1e-6  # relative, for central differences


@dataclass(frozen=True, eq=False)
class Choice:
    """One way to choose the phase's axes, and what comes of it."""

    transformation: np.ndarray
    axes: np.ndarray  # (3, 3) rows, angstrom, free of symmetry
    strain: strains.Strain
    content: float
    content_error: float
    from_path: float  # standard errors

    @property
    def misfit(self) -> float:
        return self.strain.chi_squared + self.from_path**2


def choose(
    matrix: np.ndarray,
    measured: tuple[np.ndarray, np.ndarray],
    crystal: Crystal,
    *,
    observed: bool,
    frame: Frame | None,
    distortion: float,
    path: CellPath | None,
    phase: int,
) -> Choice:
    """What a cell says in the setting that `matrix` makes of its axes.

    Parameters
    ----------
    matrix
        (3, 3), from measured axes to those of the phase.
    measured
        Rows a, b, c (3, 3), angstrom, and the covariance (9, 9) of their numbers, row by row.
    observed
        Whether it was refined, free of symmetry, on observed spots.
    frame, distortion
        As `strains.systematic` takes them.
    path, phase
        The cells between those of the phases, if they share a lattice, and which the phase is.
    """
    axes, covariance = measured
    chosen = matrix @ axes
    tensor, rotation = strains.reciprocal_strain(crystal, chosen)
    basis, allowed = strains.full_basis(crystal)

    def found(flat: np.ndarray) -> np.ndarray:
        changed = strains.reciprocal_strain(crystal, matrix @ flat.reshape(3, 3))[0]
        return strains.coefficients(basis, changed)

    slope = slope_of(found, axes)
    systematic = strains.systematic(crystal, rotation, frame, distortion)
    breaking = strains.coefficients(basis, tensor)[allowed:]
    strain = strains.symmetrised(
        crystal, tensor, slope @ covariance @ slope.T, systematic,
        free=bool(len(breaking)) and (observed or bool(np.abs(breaking).max() > _IMPOSED)),
    )  # fmt: skip
    content, error, distance = np.nan, np.nan, 0.0
    if path is not None and allowed > 1:
        (content,), (error,) = path.locate(phase, *padded(strain))
        distance = float(path.distance(phase, *padded(strain))[0])
    return Choice(matrix, chosen, strain, content, error, distance)


def padded(strain: strains.Strain) -> tuple[np.ndarray, np.ndarray]:
    """Strain (1, 6) and covariance (1, 6, 6), as functions of `diffraction.cells` take them."""
    used = len(strain.allowed)
    values, spread = np.zeros((1, 6)), np.zeros((1, 6, 6))
    values[0, :used], spread[0, :used, :used] = strain.allowed, strain.covariance
    return values, spread


def hull(choices: Sequence[Choice]) -> np.ndarray:
    """Ion content (3,): of the best choice, with an interval that covers those of all."""
    low = min(one.content - one.strain.quantile * one.content_error for one in choices)
    high = max(one.content + one.strain.quantile * one.content_error for one in choices)
    return np.array([choices[0].content, low, high])


def axial_ratio(path: CellPath | None, phase: int, best: Choice) -> np.ndarray:
    """c over the mean of a and b of the lattice that phases share, (3,); NaN without one."""
    if path is None:
        return np.full(3, np.nan)

    def of(strain: np.ndarray) -> np.ndarray:
        return path.axial_ratio(phase, strain)

    strain, spread = padded(best.strain)
    value, variance = of(strain)[0, 0], propagated(of, strain, spread)[0, 0, 0]
    half = best.strain.quantile * np.sqrt(max(variance, 0.0))
    return np.array([value, value - half, value + half])


def slope_of(function: Callable[[np.ndarray], np.ndarray], at: np.ndarray) -> np.ndarray:
    """Derivatives (k, n) of `function`, (k,), by the n numbers of `at`: central differences."""
    flat = np.asarray(at, dtype=float).ravel()
    steps = np.diag(np.full(len(flat), _STEP * np.abs(flat).max()))
    return np.stack(
        [(function(flat + s) - function(flat - s)) / (2 * s.max()) for s in steps], axis=1
    )
