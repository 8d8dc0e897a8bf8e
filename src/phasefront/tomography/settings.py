"""All ways in which a measured lattice is the lattice of a phase, in the phase's own setting."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import gemmi
import numpy as np

from phasefront.core.errors import InputError
from phasefront.diffraction.crystals import Crystal
from phasefront.tomography.statement import words

# Of lengths (relative, once both cells have one volume) and of angles (degree): insertion strains
# a lattice by a few percent, and a series is off by as much again. Chosen.
_LENGTH_TOLERANCE, _ANGLE_TOLERANCE = 0.06, 3.0
_VOLUME_TOLERANCE = 0.25  # relative: camera lengths are off by up to 5 %, insertion adds its own
# How many times the volume of a lattice another may have to be called its super- or subcell.
_LARGEST_MULTIPLE = 12
# Lattice points of a cell beside its corners.
CENTRES = {
    "P": [],
    "A": [(0, 0.5, 0.5)],
    "B": [(0.5, 0, 0.5)],
    "C": [(0.5, 0.5, 0)],
    "I": [(0.5, 0.5, 0.5)],
    "F": [(0, 0.5, 0.5), (0.5, 0, 0.5), (0.5, 0.5, 0)],
    "R": [(2 / 3, 1 / 3, 1 / 3), (1 / 3, 2 / 3, 2 / 3)],
}


def lattice_settings(
    axes: np.ndarray, centring: str | None, crystal: Crystal, source: str
) -> list[np.ndarray]:
    """Transformations (3, 3) from measured axes to axes in a phase's setting.

    Parameters
    ----------
    axes
        (3, 3), rows a, b, c of the measured cell, angstrom.
    centring
        Its letter, or None where no file says it: every lattice is tried then. R stands for obverse
        hexagonal axes.
    crystal
        The phase.
    source
        File named in errors.

    Returns
    -------
    Each matrix times `axes` has rows a, b, c as the phase's CIF has them, right-handed, with
    lengths and angles near its own but for a common scale. Matrices that the phase's own rotations
    turn into each other are one setting, and are given once, nearest first. More than one is an
    ambiguity: the measured lattice does not say which of its axes is which of the phase's.

    Raises InputError where there is none, naming a super- or subcell where it is one.
    """
    if centring is not None:
        found = _settings_of(axes, centring, crystal, source)
    else:
        found, refusals = [], []
        for letter in CENTRES:
            try:
                found += _settings_of(axes, letter, crystal, source)
            except InputError as refusal:
                refusals.append(refusal)
        if not found:
            raise refusals[0]
    return _distinct(found, axes, crystal)


def _settings_of(axes, centring, crystal, source) -> list[np.ndarray]:
    own = np.linalg.inv(crystal.reciprocal).T
    multiplicity = 1 + len(_centres(crystal.operations.find_centering(), source))
    measured = abs(np.linalg.det(axes)) / (1 + len(_centres(centring, source)))
    ratio = measured / (crystal.volume / multiplicity)
    if abs(ratio - 1) > _VOLUME_TOLERANCE:
        raise _wrong_volume(ratio, axes, crystal, source)
    lattice = _primitive(axes, centring, source)
    chosen = _combinations(lattice, own * ratio ** (1 / 3), multiplicity)
    chosen = [rows for rows in chosen if _has_centres(rows, crystal, source)]
    if not chosen:
        raise InputError(
            source, f"its lattice has no axes like those of {crystal.name}, {words(crystal.cell)}",
            field="cell", remedy="name the phase that the particle is of, and the cell's centring",
        )  # fmt: skip
    return [rows @ lattice @ np.linalg.inv(axes) for rows in chosen]


def _centres(letter: str, source: str) -> Sequence[tuple]:
    if letter not in CENTRES:
        raise InputError(
            source, f"{letter!r} is no lattice", field="centring",
            remedy=f"give one of {', '.join(CENTRES)}",
        )  # fmt: skip
    return CENTRES[letter]


def _primitive(axes: np.ndarray, centring: str, source: str) -> np.ndarray:
    """Rows of a reduced basis (Niggli's) of all lattice points, in the frame of `axes`."""
    points = _centres(centring, source)
    vectors = gemmi.UnitCell(*_parameters(axes)).primitive_orth_matrix(centring)
    to_primitive = np.array(gemmi.UnitCell(*_parameters(axes)).frac.mat) @ np.array(vectors)
    primitive = to_primitive.T @ axes if points else axes
    reducer = gemmi.GruberVector(gemmi.UnitCell(*_parameters(primitive)), None, True)
    reducer.niggli_reduce()
    change = np.array(reducer.change_of_basis.rot) / gemmi.Op.DEN
    return change.T @ primitive


def _parameters(axes: np.ndarray) -> tuple[float, ...]:
    from phasefront.diffraction.cells import parameters_of

    return tuple(map(float, parameters_of(axes[None])[0]))


def _combinations(lattice: np.ndarray, wanted: np.ndarray, multiplicity: int) -> list[np.ndarray]:
    """Integer rows (3, 3) that make of a lattice's basis three axes like those wanted."""
    length = np.linalg.norm(wanted, axis=1)
    reach = length.max() * (1 + _LENGTH_TOLERANCE)
    # |n_i| = |v . g_i| <= |v| |g_i| with the reciprocal axes g.
    most = np.floor(reach * np.linalg.norm(np.linalg.inv(lattice), axis=0)).astype(int)
    grid = np.stack(np.meshgrid(*(np.arange(-m, m + 1) for m in most), indexing="ij"), axis=-1)
    integers = grid.reshape(-1, 3)
    found = np.linalg.norm(integers @ lattice, axis=1)
    like = [integers[np.abs(found / one - 1) < _LENGTH_TOLERANCE] for one in length]
    aim = np.array(_parameters(wanted))[3:]
    rows = []
    for a, b in itertools.product(like[0], like[1]):
        if abs(_angle(a @ lattice, b @ lattice) - aim[2]) > _ANGLE_TOLERANCE:
            continue
        for c in like[2]:
            near = (
                abs(_angle(b @ lattice, c @ lattice) - aim[0]) <= _ANGLE_TOLERANCE
                and abs(_angle(a @ lattice, c @ lattice) - aim[1]) <= _ANGLE_TOLERANCE
            )
            matrix = np.array([a, b, c])
            volume = np.linalg.det(matrix) * np.sign(np.linalg.det(lattice))
            if near and round(volume) == multiplicity:
                rows.append(matrix)
    return rows


def _angle(one: np.ndarray, other: np.ndarray) -> float:
    cosine = one @ other / np.sqrt((one @ one) * (other @ other))
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def _has_centres(rows: np.ndarray, crystal: Crystal, source: str) -> bool:
    """Whether the phase's centring points are points of the measured lattice."""
    points = np.array(_centres(crystal.operations.find_centering(), source)).reshape(-1, 3) @ rows
    return bool(np.abs(points - np.round(points)).max(initial=0.0) < 1e-6)


def _distinct(found: list[np.ndarray], axes: np.ndarray, crystal: Crystal) -> list[np.ndarray]:
    """One of each set that the phase's proper rotations turn into each other, nearest first."""
    own = np.linalg.inv(crystal.reciprocal).T
    scale = (abs(np.linalg.det(found[0] @ axes)) / crystal.volume) ** (2 / 3)
    off = [np.linalg.norm((m @ axes) @ (m @ axes).T / scale - own @ own.T) for m in found]
    kept: list[np.ndarray] = []
    for at in np.lexsort((np.arange(len(off)), np.round(off, 9))):
        turned = [rotation @ found[at] for rotation in _rotations(crystal)]
        if not any(np.allclose(one, other, atol=1e-6) for one in turned for other in kept):
            kept.append(found[at])
    return kept


def _rotations(crystal: Crystal) -> list[np.ndarray]:
    """Proper rotations of the Laue group, on the rows of axes."""
    found = {}
    for operation in crystal.operations.sym_ops:
        matrix = np.round(np.array(operation.rot) / gemmi.Op.DEN).astype(int)
        matrix = matrix if np.linalg.det(matrix) > 0 else -matrix
        found[matrix.tobytes()] = matrix.T
    return list(found.values())


def _wrong_volume(ratio: float, axes, crystal: Crystal, source: str) -> InputError:
    multiple = max(ratio, 1 / ratio)
    near = round(multiple)
    kind = "supercell" if ratio > 1 else "subcell"
    if 2 <= near <= _LARGEST_MULTIPLE and abs(multiple / near - 1) < _VOLUME_TOLERANCE:
        return InputError(
            source, f"{words(_parameters(axes))} is a {kind} of {crystal.name}, {near} times"
            f" {'as large' if ratio > 1 else 'smaller'}", field="cell",
            remedy="index on the phase's own cell; a twin's spots, too, seem to be of a supercell",
        )  # fmt: skip
    return InputError(
        source, f"{words(_parameters(axes))} has {ratio:.2f} times the volume of {crystal.name},"
        f" {words(crystal.cell)}", field="cell",
        remedy="name the phase that the particle is of, and the cell's centring",
    )  # fmt: skip
