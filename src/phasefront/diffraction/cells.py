"""The unit cell at each position, with its covariance, and what it says of the ion content.

The candidates' cells are points on the way of one lattice that shrinks or stretches as ions leave.
A solid solution lies between them, and so does a column that holds two phases of one grain, whose
spots are too near each other to be told apart: both show a cell in between, and are reported so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numba
import numpy as np

from phasefront.core.threads import share_out
from phasefront.diffraction import rotations
from phasefront.diffraction.crystals import Crystal
from phasefront.diffraction.likelihood import Refined, assign
from phasefront.diffraction.optics import Optics
from phasefront.diffraction.reflections import ReflectionTable
from phasefront.diffraction.spot_lists import Spots

# Standard errors before the spots are seen, chosen: of a cell's relative change from the phase's
# own, as wide as the 1 to 3 % by which the phases of an insertion compound differ; and of the tilt
# and the turn in the plane that the likelihood has found, radian: 0.3 and 1 degree, where it is off
# by 0.1 to 0.3 degrees in all (docs/decisions.md).
CELL_SIGMA = 0.02
_TILT_SIGMA, _TURN_SIGMA = 0.006, 0.02  # half and double: docs/constants.md
# Degrees of freedom of Student's t: the weight of spots that are off by several errors. Chosen, as
# is usual where they are not fitted.
_FREEDOM = 4.0
_ROUNDS = 3  # of weighing spots by how far they are off; half and double: docs/constants.md
_FIXED = 6  # parameters besides the strain: rotation, log scale, centre
_BLOCK = 8192  # candidates in memory at a time
_STEP = 1e-5  # of strain, for central differences: errors of order 1e-10


@dataclass(frozen=True)
class Cells:
    """Refined cells, one entry per candidate.

    Strains are those of the reciprocal lattice, g' = (1 + F) g, as coefficients of the phase's
    `strain_basis`; unused ones are 0.
    """

    strain: np.ndarray  # (n, 6)
    covariance: np.ndarray  # (n, 6, 6) of the strain, priors included
    residual: np.ndarray  # (n,) rms distance of the spots from the strained lattice, 1/angstrom
    assigned: np.ndarray  # (n,) number of spots that it rests on
    # (n, 6, 3): what the strain would change by under scale, stretch and shear of the spots by one,
    # which all patterns of a scan share (see `likelihood.distortion_equations`).
    response: np.ndarray


def strain_basis(crystal: Crystal) -> np.ndarray:
    """Symmetric strains (m, 3, 3) that keep the crystal's Laue group, in its Cartesian axes.

    Orthonormal; m is 1 for cubic, 2 for tetragonal, trigonal and hexagonal, 3 for orthorhombic, 4
    for monoclinic and 6 for triclinic crystals (Nye, Physical Properties of Crystals, table 3: a
    symmetric second-rank tensor).
    """
    operators = rotations.matrices(crystal.symmetry)
    averaged = []
    for i in range(3):
        for j in range(i + 1):
            unit = np.zeros((3, 3))
            unit[i, j] += 0.5
            unit[j, i] += 0.5
            averaged.append(np.mean(operators @ unit @ operators.transpose(0, 2, 1), axis=0))
    basis: list[np.ndarray] = []
    for tensor in averaged:
        rest = tensor - sum((np.sum(tensor * other) * other for other in basis), np.zeros((3, 3)))
        length = np.linalg.norm(rest)
        if length > 1e-6:
            basis.append(rest / length)
    return np.array(basis)


def refine_cells(
    spots: Spots,
    position: np.ndarray,
    phase: np.ndarray,
    refined: Refined,
    table: ReflectionTable,
    optics: Optics,
    bases: Sequence[np.ndarray],
) -> Cells:
    """Strain of each candidate's cell by least squares on the spots that it indexes.

    Parameters
    ----------
    position, phase, refined
        (n,), (n,) and n entries: the candidates.
    bases
        `strain_basis` of each phase.

    Rotation, scale and centre are refined along with the strain; scale and centre within the errors
    of `optics`. What a pattern does not show, such as the axis along the beam, therefore keeps
    the error that it had beforehand. Weights are those of Student's t in two dimensions (Lange,
    Little and Taylor, JASA 84, 881, 1989); the covariance is the inverse of the information times
    chi squared per degree of freedom, where that is above one.
    """
    parts: dict[int, tuple[np.ndarray, ...]] = {}

    def work(begin: int, end: int) -> None:
        own = np.arange(begin, end)
        parts[begin] = _refine_block(
            spots, position[own], phase[own], refined.taken(own), table, optics, bases
        )

    if not len(position):
        work(0, 0)
    share_out(work, len(position), share=_BLOCK)
    return Cells(*(np.concatenate([parts[at][k] for at in sorted(parts)]) for k in range(5)))


def _refine_block(spots, position, phase, refined, table, optics, bases):
    n = len(position)
    own = _padded(bases)[phase]
    rotation = refined.rotation / np.linalg.norm(refined.rotation, axis=1, keepdims=True)
    scale, centre = np.log(refined.scale_factor), refined.centre.copy()
    strain = np.zeros((n, 6))
    prior = np.diag(
        np.concatenate(
            [
                [_TILT_SIGMA, _TILT_SIGMA, _TURN_SIGMA, optics.scale_sigma],
                [optics.centre_sigma] * 2, [CELL_SIGMA] * 6,
            ]
        )
        ** -2.0
    )  # fmt: skip
    tilt = np.zeros((n, 3))
    for _ in range(_ROUNDS):
        now = Refined.placed(rotation, np.exp(scale), centre)
        tensor = np.einsum("nk,nkij->nij", strain, own)
        assignment = assign(spots, position, phase, now, table, optics, strain=tensor)
        edge = np.searchsorted(assignment.candidate, np.arange(n + 1))
        information, gradient = np.zeros((n, _FIXED + 6, _FIXED + 6)), np.zeros((n, _FIXED + 6))
        squares, shared = np.zeros((n, 2)), np.zeros((n, _FIXED + 6, 3))
        arguments = (
            edge, spots.qx[assignment.spot], spots.qy[assignment.spot],
            table.g[:, assignment.reflection], rotations.matrices(rotation), scale, centre,
            tensor, own, optics.position_sigma, information, gradient, squares,
            shared,
        )  # fmt: skip
        share_out(normal_equations, n, *arguments)
        information += prior
        state = np.concatenate([tilt, scale[:, None], centre, strain], axis=1)
        step = np.linalg.solve(information, (gradient - state @ prior)[..., None])[..., 0]
        tilt += step[:, :3]
        rotation = _turned(rotation, step[:, :3])
        scale, centre, strain = scale + step[:, 3], centre + step[:, 4:6], strain + step[:, 6:]
    count = np.diff(edge)
    # Of the residuals before the last step, which no longer moves them.
    chi_squared = squares[:, 1] / np.maximum(2 * count - 3, 1)
    inverse = np.linalg.inv(information)
    response, covariance = (inverse @ shared)[:, _FIXED:], inverse[:, _FIXED:, _FIXED:]
    covariance *= np.maximum(chi_squared, 1.0)[:, None, None]
    unused = ~own.any(axis=(2, 3))
    covariance[unused] = 0.0
    covariance.transpose(0, 2, 1)[unused] = 0.0
    return strain, covariance, np.sqrt(squares[:, 0] / np.maximum(count, 1)), count, response


@numba.njit(cache=True, nogil=True)
def normal_equations(
    begin, end, edge, qx, qy, g, matrix, scale, centre, tensor, basis, sigma,
    information, gradient, squares, shared,
):  # fmt: skip
    """Fill information (n, 12, 12) and gradient (n, 12) of candidates, summed over their spots, and
    sums (n, 2) of the squared distances, plain and weighted; and the gradients (n, 12, 3) of spots
    that scale, stretch and shear of one move.

    Strains past the last of a phase's basis are left out: theirs are 0.
    `edge` (n + 1,): where each candidate's spots begin in `qx`, `qy` and `g` (3, m), the reflection
    of each. Parameters: turn about the frame's axes, log scale, centre, coefficients of the strain.
    """
    to_frame, strained, by_strain = np.empty((3, 3)), np.empty((3, 3)), np.empty((6, 3, 3))
    room = np.zeros((2, _FIXED + 6))
    for candidate in range(begin, end):
        # q = to_frame (1 + strain) g; its derivative by each coefficient of the strain.
        factor = math.exp(scale[candidate])
        for i in range(3):
            for j in range(3):
                to_frame[i, j] = factor * matrix[candidate, j, i]
        _multiply(to_frame, tensor[candidate], strained)
        strained += to_frame
        used = _FIXED
        for k in range(6):
            if basis[candidate, k].any():
                used = _FIXED + k + 1
            _multiply(to_frame, basis[candidate, k], by_strain[k])
        along = room[:, :used]
        along[0, 4] = along[1, 5] = 1.0
        for spot in range(edge[candidate], edge[candidate + 1]):
            g0, g1, g2 = g[0, spot], g[1, spot], g[2, spot]
            x = strained[0, 0] * g0 + strained[0, 1] * g1 + strained[0, 2] * g2
            y = strained[1, 0] * g0 + strained[1, 1] * g1 + strained[1, 2] * g2
            z = strained[2, 0] * g0 + strained[2, 1] * g1 + strained[2, 2] * g2
            # Turned by small angles w about the frame's axes, q moves by w x q.
            along[0, 1], along[0, 2], along[0, 3] = z, -y, x
            along[1, 0], along[1, 2], along[1, 3] = -z, x, y
            for k in range(used - _FIXED):
                for axis in range(2):
                    one, two, three = by_strain[k, axis]
                    along[axis, _FIXED + k] = one * g0 + two * g1 + three * g2
            off_x = qx[spot] - centre[candidate, 0] - x
            off_y = qy[spot] - centre[candidate, 1] - y
            square = off_x * off_x + off_y * off_y
            weight = (_FREEDOM + 2) / (_FREEDOM * sigma * sigma + square)
            squares[candidate, 0] += square
            squares[candidate, 1] += weight * square
            for a in range(used):
                gradient[candidate, a] += weight * (along[0, a] * off_x + along[1, a] * off_y)
                shared[candidate, a, 0] += weight * (along[0, a] * x + along[1, a] * y)
                shared[candidate, a, 1] += weight * (along[0, a] * x - along[1, a] * y)
                shared[candidate, a, 2] += weight * (along[0, a] * y + along[1, a] * x)
                for b in range(a + 1):
                    information[candidate, a, b] += weight * (
                        along[0, a] * along[0, b] + along[1, a] * along[1, b]
                    )
        for a in range(used):
            for b in range(a):
                information[candidate, b, a] = information[candidate, a, b]


@numba.njit(cache=True)
def _multiply(first, second, out):
    """Product of two matrices (3, 3): BLAS takes longer to begin."""
    for i in range(3):
        for j in range(3):
            out[i, j] = (
                first[i, 0] * second[0, j] + first[i, 1] * second[1, j] + first[i, 2] * second[2, j]
            )


def _turned(rotation, turn):
    """Orientations of crystals turned by small vectors (n, 3) about the frame's axes."""
    angle = np.linalg.norm(turn, axis=1, keepdims=True)
    half = -0.5 * turn * np.sinc(angle / (2 * np.pi))
    return rotations.multiply(rotation, np.concatenate([np.cos(angle / 2), half], axis=1))


def strain_tensors(
    strain: np.ndarray, phase: np.ndarray, bases: Sequence[np.ndarray]
) -> np.ndarray:
    """Tensors (n, 3, 3) of strains (n, 6) given as coefficients of each phase's basis."""
    return np.einsum("nk,nkij->nij", strain, _padded(bases)[phase])


def _padded(bases: Sequence[np.ndarray]) -> np.ndarray:
    padded = np.zeros((len(bases), 6, 3, 3))
    for index, basis in enumerate(bases):
        padded[index, : len(basis)] = basis
    return padded


def cell_parameters(crystal: Crystal, strain: np.ndarray) -> np.ndarray:
    """a, b, c in angstrom and alpha, beta, gamma in degrees, (n, 6), of strained cells.

    `strain` (n, 6): coefficients of the crystal's `strain_basis`.
    """
    return parameters_of(strained_axes(crystal, strain))


def strained_axes(crystal: Crystal, strain: np.ndarray) -> np.ndarray:
    """Rows a, b, c in angstrom, (n, 3, 3), of strained cells."""
    basis = strain_basis(crystal)
    tensor = np.eye(3) + np.einsum("nk,kij->nij", strain[:, : len(basis)], basis)
    return np.linalg.inv(crystal.reciprocal @ tensor).transpose(0, 2, 1)


def parameters_of(axes: np.ndarray) -> np.ndarray:
    """Of cells given by their axes as rows, (n, 3, 3)."""
    length = np.linalg.norm(axes, axis=2)
    unit = axes / length[..., None]
    cosine = np.stack(
        [np.sum(unit[:, i] * unit[:, j], axis=1) for i, j in ((1, 2), (0, 2), (0, 1))], axis=1
    )
    return np.concatenate([length, np.degrees(np.arccos(np.clip(cosine, -1, 1)))], axis=1)


def propagated(function, strain: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Covariance (n, k, k) of what `function` makes, (n, k), of strains (n, 6); first order."""
    used = np.flatnonzero(covariance.any(axis=(0, 1)))
    used = used if len(used) else np.arange(covariance.shape[1])
    derivative = np.stack(
        [
            (function(strain + step) - function(strain - step)) / (2 * _STEP)
            for step in _STEP * np.eye(6)[used]
        ],
        axis=2,
    )
    return derivative @ covariance[:, used[:, None], used] @ derivative.transpose(0, 2, 1)


def pooled_strain(
    region: np.ndarray, strain: np.ndarray, covariance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean strain (regions, m) over the positions of each region, and its covariance.

    `region` (n,), counted from 0, of strains (n, m) with covariances (n, m, m); of several strains
    (n, m, k) that have the same ones, the means are (regions, m, k). The mean has the
    least variance; what is known beforehand (`CELL_SIGMA`) counts once for a region, not once for
    each of its positions.
    """
    number, used = region.max(initial=-1) + 1, strain.shape[1]
    precision = np.linalg.inv(covariance)
    known = np.eye(used) / CELL_SIGMA**2
    # What the spots add; a covariance that was widened for poor spots may add less than nothing.
    value, vector = np.linalg.eigh(precision - known)
    seen = np.einsum("nij,nj,nkj->nik", vector, np.maximum(value, 0.0), vector)
    information = np.zeros((number, used, used))
    np.add.at(information, region, seen)
    weighted = np.zeros((number, *strain.shape[1:]))
    np.add.at(weighted, region, np.einsum("nij,nj...->ni...", precision, strain))
    spread = np.linalg.inv(information + known)
    return np.einsum("nij,nj...->ni...", spread, weighted), spread
