"""Which phase of a map is which of the experiment's, and in whose axes its orientations are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from scipy.spatial.transform import Rotation

from phasefront.core.errors import InputError
from phasefront.diffraction import rotations
from phasefront.diffraction.crystals import Crystal
from phasefront.maps.formats.map import NOT_INDEXED, Cell, MapPhase, OrientationMap, basis

# Cells of one phase differ by less, with ion content and with how well they are known. Chosen.
CELL_TOLERANCE = 0.03
# Cells that are the same apart from the decimals of the file; they tell the order of the axes.
_ROUNDED = 2e-4
_SAME_TURN_DEG = 0.1  # chosen: what a file's decimals may turn a direction by


@dataclass(frozen=True, eq=False)
class PhaseMatch:
    """What one phase of the file is in the experiment."""

    phase: int  # place among the experiment's phases; NOT_INDEXED: not among them, and nowhere
    turn: np.ndarray  # (4,) quaternion from the axes of the file's crystal to those of the CIF's
    axes: str  # which axis of the CIF a, b, c of the file are: "abc" where they are the same


def match_phases(
    found: OrientationMap, names: Sequence[str], crystals: Sequence[Crystal],
    given: Mapping[str, str] | None = None,
) -> tuple[PhaseMatch, ...]:  # fmt: skip
    """The experiment's phase of each of the map's, in the order of `found.phases`.

    Parameters
    ----------
    names, crystals
        The experiment's phases.
    given
        The experiment's name by the file's name or number, for phases that have other names there;
        without it names have to be the same, apart from capitals.

    A cell has to be the CIF's within 3 % in each parameter, in some order of the axes. Where one
    order fits to the decimals of the file, that is it; else it is the CIF's own, if that fits, or
    the only one that does.

    Raises
    ------
    InputError
        A phase that occurs on the map is none of the experiment's, or two of them, or has another
        cell; `given` names what is not there.
    """
    wanted = _given(found, names, given or {})
    matches = []
    for place, phase in enumerate(found.phases):
        occurs = bool((found.phase == place).any())
        alike = [i for i, name in enumerate(names) if name.casefold() == phase.name.casefold()]
        exact = [i for i in alike if names[i] == phase.name]
        options = [wanted[place]] if place in wanted else exact or alike
        if not options and not occurs:
            matches.append(PhaseMatch(NOT_INDEXED, np.array([1.0, 0, 0, 0]), "abc"))
            continue
        if len(options) != 1:
            raise InputError(
                found.path, f"its phase {_shown(phase)} is"
                f" {'none' if not options else 'more than one'} of {', '.join(names)}; the file"
                f" has {', '.join(map(_shown, found.phases))}", field="phases",
                remedy="say in the config which phase of the experiment each of the file's is",
            )  # fmt: skip
        turn, axes = _turn(found.path, phase, crystals[options[0]])
        matches.append(PhaseMatch(options[0], turn, axes))
    _refuse_twins(found, matches, wanted)
    return tuple(matches)


def relabelled(
    found: OrientationMap, matches: Sequence[PhaseMatch]
) -> tuple[np.ndarray, np.ndarray]:
    """The map in terms of the experiment.

    Returns
    -------
    Place (ny, nx) among the experiment's phases, NOT_INDEXED where there is none, and orientation
    (ny, nx, 4) from the map's frame to the axes of that phase's CIF, NaN where there is none.
    """
    phase = np.full(found.shape, NOT_INDEXED)
    rotation = np.full((*found.shape, 4), np.nan)
    for place, match in enumerate(matches):
        here = found.phase == place
        phase[here] = match.phase
        rotation[here] = rotations.multiply(match.turn, found.rotation[here])
    return phase, rotation


def _given(found: OrientationMap, names: Sequence[str], given: Mapping[str, str]) -> dict[int, int]:
    """Place of the experiment's phase by that of the file's."""
    wanted: dict[int, int] = {}
    for key, name in given.items():
        places = [
            i for i, phase in enumerate(found.phases) if str(key) in (phase.name, str(phase.number))
        ]
        if len(places) != 1 or name not in names or places[0] in wanted:
            problem = (
                f"{name!r} is no phase of the experiment, which has {', '.join(names)}"
                if name not in names
                else f"{key!r} names {'none' if not places else 'more than one'} of its phases"
                if len(places) != 1
                else f"{key!r} is a phase that has been named before"
            )
            raise InputError(
                found.path, f"{problem}; the file has {', '.join(map(_shown, found.phases))}",
                field="phases", remedy="correct the names in the config",
            )  # fmt: skip
        wanted[places[0]] = names.index(name)
    return wanted


def _refuse_twins(
    found: OrientationMap, matches: Sequence[PhaseMatch], wanted: Mapping[int, int]
) -> None:
    """Two phases of the file may be one of the experiment's only where the config says so."""
    for place, match in enumerate(matches):
        for other in range(place):
            same = match.phase == matches[other].phase != NOT_INDEXED
            if same and not {place, other} <= wanted.keys():
                raise InputError(
                    found.path, f"its phases {_shown(found.phases[other])} and"
                    f" {_shown(found.phases[place])} would be one of the experiment's",
                    field="phases", remedy="say in the config which phase each of the two is",
                )  # fmt: skip


def _turn(path: str, phase: MapPhase, crystal: Crystal) -> tuple[np.ndarray, str]:
    """Quaternion from the file's crystal axes to the CIF's, and the order of the axes."""
    reordered = {order: _reordered(crystal.cell, order) for order in permutations(range(3))}
    fitting: dict[tuple[int, ...], np.ndarray] = {}
    for tolerance in (_ROUNDED, CELL_TOLERANCE):
        fitting = fitting or {
            order: turn
            for order, (cell, turn) in reordered.items()
            if np.allclose(phase.cell, cell, rtol=tolerance, atol=0)
        }
    if not fitting:
        raise InputError(
            path, f"the cell of its phase {_shown(phase)}, {_cell_text(phase.cell)}, is not that of"
            f" {crystal.path}, {_cell_text(crystal.cell)}, within {CELL_TOLERANCE:.0%}",
            field="phases", remedy="say which phase it is, or index with the cell of this CIF",
        )  # fmt: skip
    order = next(iter(fitting))  # the first is the CIF's own
    for other in fitting.values():
        apart = rotations.misorientation(fitting[order], other, crystal.symmetry)
        if order != (0, 1, 2) and apart > _SAME_TURN_DEG:
            raise InputError(
                path, f"the axes of its phase {_shown(phase)}, {_cell_text(phase.cell)}, may be"
                f" those of {crystal.path}, {_cell_text(crystal.cell)}, in more than one order",
                field="phases", remedy="index with the axes of this CIF",
            )  # fmt: skip
    return fitting[order], "".join("abc"[axis] for axis in order)


def _reordered(cell: Cell, order: tuple[int, ...]) -> tuple[Cell, np.ndarray]:
    """The cell with its axes in another order, and the turn from its axes to the cell's own.

    Of an odd order the axes are all reversed to stay right-handed; the Laue group holds that.
    """
    lengths, angles = cell[:3], cell[3:]
    other = (*(lengths[i] for i in order), *(angles[i] for i in order))
    vectors = basis(cell)[:, list(order)]
    vectors *= np.sign(np.linalg.det(vectors))
    turn = Rotation.from_matrix(vectors @ np.linalg.inv(basis(other)))
    return other, turn.as_quat(scalar_first=True)


def _shown(phase: MapPhase) -> str:
    return f"{phase.name!r} (number {phase.number})"


def _cell_text(cell: Cell) -> str:
    return ", ".join(f"{value:.4g}" for value in cell)
