"""Grains: contiguous positions of one crystal, whatever phases it holds.

A diffraction pattern of the zero-order Laue zone is nearly the same after half a turn about the
beam (Friedel's law), so an orientation and its half turn are often taken for each other, from one
position to the next. Neighbours that differ by half a turn are one crystal here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from phasefront.core import netcdf
from phasefront.diffraction import rotations
from phasefront.diffraction.candidates import CandidatePhases
from phasefront.grains import pooling
from phasefront.grains.lattices import (
    lattice_orientations,
    lattices_of,
    on_lattice,
    oriented,
    shown_phase,
)
from phasefront.layouts.grains import GRAINS
from phasefront.layouts.phases import MIXED, UNANSWERED


def find_grains(
    phases: xr.Dataset,
    candidates: CandidatePhases,
    *,
    misorientation_deg: float,
    min_positions: int,
    scan_step_nm: float,
) -> xr.Dataset:
    """Join neighbouring positions of one lattice orientation into grains.

    A position and each of its four neighbours join where the misorientation of their lattices,
    reduced by symmetry and by half a turn about the beam, is at most the threshold. Phases that
    share a parent lattice are compared as that lattice, so a grain may hold several phases; other
    phases never join. The orientation of a position is that under its decided phase, or under its
    most probable phase where it is mixed (the first lattice's) or undecided; vacuum belongs to no
    grain. Joining neighbours lets a
    slow drift of the orientation chain through a grain: `spread` tells.

    Parameters
    ----------
    phases
        PHASES data set.
    candidates
        In the order of `phases`. Those with `parent_axes` are compared as the lattice that they
        share, of the point group `parent_point_group`.
    misorientation_deg
        Boundary between two grains, degrees.
    min_positions
        Patches of fewer positions are no grain.
    scan_step_nm
        Scan step, nm; NaN where unknown.

    Returns
    -------
    GRAINS data set; grains are numbered by their first position, row by row. A grain's mean
    rotation is the largest eigenvector of the summed outer products of its quaternions (Markley
    et al., J. Guid. Control Dyn. 30, 1193, 2007), each taken as the symmetric equivalent nearest
    to the others; of a crystal and its half turn, it is the one that the positions' log-odds
    together speak for, and where there are none the one found at more positions. Of the
    orientations that a position's pattern hardly tells apart, it has the one that it or its grain
    is surest of (see `pooling`); of a map of another program none is known but the one given.

    Raises
    ------
    InputError
        `parent_axes` without `parent_point_group`, axes that are singular or not (3, 3), or a point
        group that orix does not know.
    """
    lattices = lattices_of(candidates)
    decision = phases["decision"].values
    rotation, family = lattice_orientations(phases, lattices)
    shown = shown_phase(phases)
    known = pooling.Known.of(phases, oriented(phases, shown))
    gap = known.half_turn_gap(shown, lattices, misorientation_deg)
    edges = _neighbours(family)
    symmetries = {lattice.family: lattice.symmetry for lattice in lattices}
    angle = _misorientations(rotation, family, edges, symmetries)
    component = _components(edges[:, angle <= misorientation_deg], family)
    label = _number_grains(component, min_positions).reshape(decision.shape)

    size = np.bincount(label[label >= 0])
    grain_family = family[_first_positions(label)]
    mean, gap = _mean_orientations(rotation, label.ravel(), grain_family, symmetries, gap)
    turned = _twice_the_same(mean, grain_family, symmetries, misorientation_deg)
    gap[turned] = np.nan
    chance = np.where(turned, 0.0, pooling.half_turn_probability(gap, known.by_other))
    settled = pooling.settle(known, shown, label.ravel(), mean, chance, candidates, lattices)
    mean, spread = _settled_means(
        on_lattice(settled.orientation, shown, lattices), label.ravel(), mean, grain_family,
        symmetries,
    )  # fmt: skip
    names = phases["phase"].values
    outline_offset, outline_y, outline_x = _outlines(label, len(size))
    pair, pair_length = _touching(label, edges)
    return netcdf.build(
        GRAINS,
        {
            "phase": names,
            "label": label,
            "size": size,
            "phase_count": _count(label, decision, range(len(names)), len(size)),
            "mixed_count": _count(label, decision, [MIXED], len(size))[:, 0],
            "undecided_count": _count(label, decision, UNANSWERED, len(size)).sum(axis=1),
            "rotation": mean,
            "spread": spread,
            "half_turn_gap": gap,
            "half_turn_probability": chance,
            "orientation": settled.orientation.reshape(*decision.shape, 4),
            "orientation_probability": settled.probability.reshape(decision.shape),
            "axes_probability": settled.axes_probability.reshape(decision.shape),
            "variant_probability": settled.variant_probability,
            "centroid_y": _centroid(label, 0, size),
            "centroid_x": _centroid(label, 1, size),
            "outline_offset": outline_offset,
            "outline_y": outline_y,
            "outline_x": outline_x,
            "pair_a": pair[0],
            "pair_b": pair[1],
            "pair_length": pair_length,
            "pair_misorientation": _between_grains(mean, mean, grain_family, pair, symmetries),
            "pair_misorientation_turned": _between_grains(
                rotations.multiply(mean, rotations.HALF_TURN), mean, grain_family, pair, symmetries
            ),
            "pair_turned_probability": pooling.either(*chance[pair]),
        },
        {
            "scan": phases.attrs["scan"],
            "scan_step_nm": float(scan_step_nm),
            "misorientation_deg": float(misorientation_deg),
        },
    )


def _neighbours(family: np.ndarray) -> np.ndarray:
    """Pairs (2, edge) of flat positions, right and down, that both have a lattice."""
    index = np.arange(family.size).reshape(family.shape)
    right = index[:, :-1].ravel(), index[:, 1:].ravel()
    down = index[:-1].ravel(), index[1:].ravel()
    edges = np.concatenate([right, down], axis=1)
    return edges[:, (family.ravel()[edges] >= 0).all(axis=0)]


def _misorientations(
    rotation: np.ndarray, family: np.ndarray, edges: np.ndarray, symmetries: dict
) -> np.ndarray:
    """Angle across each edge in degrees; infinite between lattices that are not compared."""
    angle = np.full(edges.shape[1], np.inf)
    of_edge = family.ravel()[edges]
    for number, symmetry in symmetries.items():
        own = (of_edge == number).all(axis=0)
        first, second = rotation[edges[:, own]]
        angle[own] = nearest_either_way(first, second, symmetry)[1]
    return angle


def nearest_either_way(
    rotation: np.ndarray, reference: np.ndarray, symmetry: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Equivalent (n, 4) nearest to the reference, as found or half a turn on; angle; which."""
    turned = rotations.multiply(rotation, rotations.HALF_TURN)
    as_found, angle = rotations.nearest_equivalent(rotation, reference, symmetry)
    half_turn, turned_angle = rotations.nearest_equivalent(turned, reference, symmetry)
    is_turned = turned_angle < angle
    nearest = np.where(is_turned[:, None], half_turn, as_found)
    return nearest, np.minimum(angle, turned_angle), is_turned


def _components(joined: np.ndarray, family: np.ndarray) -> np.ndarray:
    """Connected component of each flat position, -1 where there is no lattice."""
    ones = np.ones(joined.shape[1], dtype="i1")
    graph = coo_array((ones, tuple(joined)), shape=(family.size, family.size))
    _, component = connected_components(graph, directed=False)
    return np.where(family.ravel() >= 0, component, -1)


def _number_grains(component: np.ndarray, min_positions: int) -> np.ndarray:
    """Labels 0, 1, ... by first position for components that are large enough, -1 elsewhere."""
    _, first, of_position, size = np.unique(
        component, return_index=True, return_inverse=True, return_counts=True
    )
    kept = (component[first] >= 0) & (size >= min_positions)
    number = np.full(len(first), -1)
    order = np.argsort(first)
    order = order[kept[order]]
    number[order] = np.arange(len(order))
    return number[of_position]


def _first_positions(label: np.ndarray) -> tuple[np.ndarray, ...]:
    """Row and column of the first position of each grain."""
    number, first = np.unique(label.ravel(), return_index=True)
    return np.unravel_index(first[number >= 0], label.shape)


def _mean_orientations(
    rotation: np.ndarray,
    label: np.ndarray,
    grain_family: np.ndarray,
    symmetries: dict,
    gap: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Mean orientation (grain, 4), of positions as found, and its mean gap (grain,)."""
    count = len(grain_family)
    inside = np.flatnonzero(label >= 0)
    grain = label[inside]
    _, first = np.unique(grain, return_index=True)
    mean = rotation[inside[first]]
    # The second round frees the mean from the accident of which position came first.
    for _ in range(2):
        nearest, _, _ = _reduced(rotation[inside], mean, grain, grain_family, symmetries)
        mean = _eigenvector_mean(nearest, grain, count)
    _, _, is_turned = _reduced(rotation[inside], mean, grain, grain_family, symmetries)
    sign, telling = np.where(is_turned, -1.0, 1.0), np.isfinite(gap[inside])
    of_telling = grain[telling]
    number = np.bincount(of_telling, minlength=count)
    speaking_for = np.bincount(of_telling, (gap[inside] * sign)[telling], minlength=count)
    mean_gap = np.divide(speaking_for, number, out=np.full(count, np.nan), where=number > 0)
    votes = np.bincount(grain, sign, minlength=count)
    mostly_turned = np.where(number > 0, mean_gap, votes) < 0
    mean[mostly_turned] = rotations.multiply(mean[mostly_turned], rotations.HALF_TURN)
    return mean, np.abs(mean_gap)


def _settled_means(
    rotation: np.ndarray,
    label: np.ndarray,
    mean: np.ndarray,
    grain_family: np.ndarray,
    symmetries: dict,
) -> tuple[np.ndarray, np.ndarray]:
    """Mean (grain, 4) of the orientations that positions have now, rotations of their lattices
    (positions, 4), and rms misorientation to it (grain,), degrees.

    What is still half a turn off does not count: about the zone axis it is not half a turn about
    the beam, but off by twice the tilt.
    """
    inside = np.flatnonzero(label >= 0)
    grain, count = label[inside], len(mean)
    nearest, _, is_turned = _reduced(rotation[inside], mean, grain, grain_family, symmetries)
    kept = ~is_turned
    counted = np.bincount(grain[kept], minlength=count) > 0
    mean = np.where(counted[:, None], _eigenvector_mean(nearest[kept], grain[kept], count), mean)
    _, angle, _ = _reduced(rotation[inside], mean, grain, grain_family, symmetries)
    size = np.bincount(grain, minlength=count)
    spread = np.sqrt(np.bincount(grain, angle**2, minlength=count) / size)
    return mean * np.where(mean[:, :1] < 0, -1, 1), spread


def _twice_the_same(
    mean: np.ndarray, grain_family: np.ndarray, symmetries: dict, misorientation_deg: float
) -> np.ndarray:
    """Whether symmetry makes each grain's orientation and its half turn one, to a boundary."""
    same = np.zeros(len(mean), dtype=bool)
    for number, symmetry in symmetries.items():
        own = grain_family == number
        turned = rotations.multiply(mean[own], rotations.HALF_TURN)
        same[own] = rotations.misorientation(turned, mean[own], symmetry) <= misorientation_deg
    return same


def _reduced(
    rotation: np.ndarray,
    mean: np.ndarray,
    grain: np.ndarray,
    grain_family: np.ndarray,
    symmetries: dict,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each position's equivalent nearest to its grain's mean, their angle, and if half turned."""
    nearest, angle = np.empty_like(rotation), np.empty(len(rotation))
    is_turned = np.empty(len(rotation), dtype=bool)
    for number, symmetry in symmetries.items():
        own = grain_family[grain] == number
        nearest[own], angle[own], is_turned[own] = nearest_either_way(
            rotation[own], mean[grain[own]], symmetry
        )
    return nearest, angle, is_turned


def _eigenvector_mean(rotation: np.ndarray, grain: np.ndarray, count: int) -> np.ndarray:
    outer = np.zeros((count, 4, 4))
    for row in range(4):
        for column in range(4):
            product = rotation[:, row] * rotation[:, column]
            outer[:, row, column] = np.bincount(grain, product, minlength=count)
    return np.linalg.eigh(outer)[1][..., -1]


def _count(label: np.ndarray, decision: np.ndarray, values: Sequence[int], count: int):
    """Positions (grain, value) of each grain where the decision has each of the values."""
    inside = label >= 0
    return np.stack(
        [np.bincount(label[inside & (decision == v)], minlength=count) for v in values], axis=1
    )


def _centroid(label: np.ndarray, axis: int, size: np.ndarray) -> np.ndarray:
    inside = np.nonzero(label >= 0)
    return np.bincount(label[inside], inside[axis], minlength=len(size)) / size


def _outlines(label: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outer outlines, halfway between positions: offsets (grain + 1,), rows, columns."""
    from scipy.ndimage import find_objects
    from skimage.measure import find_contours

    outlines = []
    for number, box in enumerate(find_objects(label + 1)):
        inside = np.pad(label[box] == number, 1).astype("f4")
        # The outer outline is the longest; the others go round holes.
        longest = max(find_contours(inside, 0.5), key=len)
        outlines.append(longest + np.array([box[0].start - 1, box[1].start - 1]))
    offset = np.zeros(count + 1, dtype="i8")
    offset[1:] = np.cumsum([len(outline) for outline in outlines])
    vertices = np.concatenate([np.empty((0, 2)), *outlines])
    return offset, vertices[:, 0], vertices[:, 1]


def _touching(label: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (2, pair) of grains that touch, smaller label first, and the edges they share."""
    sides = np.sort(label.ravel()[edges], axis=0)
    sides = sides[:, (sides[0] >= 0) & (sides[0] < sides[1])]
    return np.unique(sides, axis=1, return_counts=True)


def _between_grains(
    mean: np.ndarray,
    other: np.ndarray,
    grain_family: np.ndarray,
    pair: np.ndarray,
    symmetries: dict,
) -> np.ndarray:
    """Misorientation of the mean of each pair's first grain and the `other` of its second, degrees.

    Between lattices of two families it is the smallest angle under the symmetries of both.
    """
    angle = np.full(pair.shape[1], np.nan)
    for first, first_symmetry in symmetries.items():
        for second, second_symmetry in symmetries.items():
            own = (grain_family[pair[0]] == first) & (grain_family[pair[1]] == second)
            equivalents = rotations.multiply(first_symmetry[:, None], mean[pair[0, own]])
            reduced = rotations.misorientation(equivalents, other[pair[1, own]], second_symmetry)
            angle[own] = reduced.min(axis=0)
    return angle
