"""What a grain looked like while it converted, told afterwards from the whole history of its ions.

Nothing that made the grain is asked: no regime, no model. The rules are of topology (domains of
each phase, and how often their interface meets the outline) and of the interface's shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

WHOLE, UNIFORM, NONE = "whole", "uniform", "none of these"
MORPHOLOGIES = (
    WHOLE, "front", "curved front", "band", "core", "inner nucleus", "mosaic", UNIFORM, NONE,
)  # fmt: skip

# Ion content between the 3 % and the 97 % quantile of a grain's cells that two phases span at
# least; and between which means a grain of one phase is half way, not at an end.
_TAIL, _TWO_PHASES, _HALF_WAY = 0.03, 0.4, (0.25, 0.75)
# A domain has this share of the grain's cells at least, a contact this share of the outline.
_SMALLEST_DOMAIN, _SHORTEST_ARC = 0.02, 0.025
# Contents of an interface's cells, and the share of them above which there is no front but a slope.
_BETWEEN, _SLOPE = (0.3, 0.7), 0.5
# A front that turns by more is curved; one that strays from its circle by more is neither.
_CURVED_DEG, _ROUGH = 40.0, 0.06
# The two fronts of a band turn by less than this, and are parallel within this angle.
_BENT_DEG, _PARALLEL_DEG = 75.0, 25.0
# Share of the history in which a grain looks as its label says, at least.
_DOMINANT = 0.4


@dataclass(frozen=True)
class Interface:
    """A line between two phases: length in cells, how far it turns, how much it strays from a
    circle (rms, as a share of how far it reaches), and the direction of its chord, degrees of 180
    from x towards y."""

    length: float
    turn_deg: float
    roughness: float
    direction_deg: float


@dataclass(frozen=True)
class State:
    """The topology of a grain that holds two phases."""

    rich_domains: int
    poor_domains: int
    contacts: int  # of interfaces with the outline
    rich_share: float
    interfaces: tuple[Interface, ...]
    sloping: bool  # so wide an interface that it is none


def look_at(content: np.ndarray, inside: np.ndarray) -> State | None:
    """The state of a grain from its ion content (ny, nx), 0 to 1; None where it is of one phase.

    `inside` are the grain's cells, not at the border of the grid.
    """
    cells = content[inside]
    poorest, richest = np.quantile(cells, [_TAIL, 1 - _TAIL])
    if richest - poorest < _TWO_PHASES or richest < 0.5 or poorest > 0.5:
        return None
    rich = _without_specks((content > 0.5) & inside, inside)
    between = (cells > _BETWEEN[0]) & (cells < _BETWEEN[1])
    return State(
        rich_domains=_domains(rich)[1],
        poor_domains=_domains(inside & ~rich)[1],
        contacts=_contacts(rich, inside),
        rich_share=float(rich[inside].mean()),
        interfaces=_interfaces(content, inside),
        sloping=bool(between.mean() > _SLOPE),
    )


def morphology_of_state(content: np.ndarray, inside: np.ndarray, *, inserting: bool) -> str:
    """What a grain looks like at one time; one of `MORPHOLOGIES`.

    `inserting` says which phase is the new one: the rich one while ions enter. A core is of the old
    phase, an inner nucleus of the new one.
    """
    state = look_at(content, inside)
    if state is None:
        mean = content[inside].mean()
        return UNIFORM if _HALF_WAY[0] < mean < _HALF_WAY[1] else WHOLE
    if state.sloping:
        return NONE
    match (state.rich_domains + state.poor_domains, state.contacts):
        case (2, 0):
            return "core" if _is_rich_inner(content, inside) != inserting else "inner nucleus"
        case (2, 2):
            return _shape_of_front(state.interfaces)
        case (3, 4):
            return _shape_of_pair(state.interfaces)
        case (3, 0) if _is_ring(content, inside):
            return NONE
        case (domains, _) if domains > 2:
            return "mosaic"
    return NONE


def shares_of_history(
    contents: Sequence[np.ndarray], inside: np.ndarray, *, inserting: bool
) -> np.ndarray:
    """Share of a grain's states in which it looks like each of `MORPHOLOGIES`; 0 for no states.

    The states are to follow each other at even steps of the grain's mean ion content.
    """
    seen = [morphology_of_state(content, inside, inserting=inserting) for content in contents]
    return np.array([seen.count(name) for name in MORPHOLOGIES]) / max(len(seen), 1)


def morphology_of_history(shares: np.ndarray) -> str:
    """The one name of a grain from its `shares_of_history`.

    It is what the grain looks like most of the time while it is not whole, if that is 40 % of it;
    front and curved front count together for that. A grain that jumps from one end to the other, so
    that it is whole in all states, is whole.
    """
    caught = dict(zip(MORPHOLOGIES, shares, strict=True))
    caught[WHOLE] = 0.0
    total = sum(caught.values())
    if total == 0:
        return WHOLE
    front = max("front", "curved front", key=caught.__getitem__)
    caught[front] = caught["front"] + caught["curved front"]
    likeliest = max(caught, key=caught.__getitem__)
    return likeliest if caught[likeliest] >= _DOMINANT * total else NONE


def rim(inside: np.ndarray) -> np.ndarray:
    """The cells of a grain that have a face at its outline."""
    from scipy import ndimage

    return inside & ~ndimage.binary_erosion(inside)


def _domains(cells: np.ndarray) -> tuple[np.ndarray, int]:
    from scipy import ndimage

    return ndimage.label(cells)


def _without_specks(rich: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """The rich cells, with domains of either phase that are too small to count given to the other;
    the smallest first, for two of them may be neighbours."""
    rich, smallest = rich.copy(), _SMALLEST_DOMAIN * inside.sum()
    while True:
        found = []
        for phase in (rich, inside & ~rich):
            labels, count = _domains(phase)
            sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
            found += [(size, labels == number + 1) for number, size in enumerate(sizes)]
        size, domain = min(found, key=lambda one: one[0])
        if size >= smallest or len(found) == 1:
            return rich
        rich[domain] ^= True


def _contacts(rich: np.ndarray, inside: np.ndarray) -> int:
    """How often the phase changes along the outline, without arcs too short to count."""
    arcs = _arcs(rich, inside)
    while len(arcs) > 1 and min(arcs) < _SHORTEST_ARC * sum(arcs):
        shortest = arcs.index(min(arcs))
        arcs = arcs[shortest:] + arcs[:shortest]  # in front, between the last and the second
        arcs = [arcs[-1] + arcs[0] + arcs[1], *arcs[2:-1]] if len(arcs) > 2 else [sum(arcs)]
    return len(arcs) if len(arcs) > 1 else 0


def _arcs(rich: np.ndarray, inside: np.ndarray) -> list[int]:
    """Lengths of the arcs of one phase around the outline, in its order; their number is even,
    or one."""
    from skimage.measure import find_contours

    loop = max(find_contours(inside.astype(float), 0.5), key=len)[:-1]
    # The contour runs between a cell inside and one outside; take the one inside.
    low, high = np.floor(loop).astype(int), np.ceil(loop).astype(int)
    cells = np.where(inside[low[:, 0], low[:, 1]][:, None], low, high)
    phase = rich[cells[:, 0], cells[:, 1]]
    changes = np.flatnonzero(phase != np.roll(phase, 1))
    if not len(changes):
        return [len(phase)]
    return np.diff(np.append(changes, changes[0] + len(phase))).tolist()


def _interfaces(content: np.ndarray, inside: np.ndarray) -> tuple[Interface, ...]:
    """Lines of ion content one half that are long enough to have a shape, longest first."""
    from skimage.measure import find_contours

    lines = [line for line in find_contours(content, 0.5, mask=inside) if len(line) >= 4]
    found = [_interface(line) for line in lines]
    shortest = 0.15 * np.sqrt(inside.sum())
    return tuple(
        sorted((one for one in found if one.length >= shortest), key=lambda one: -one.length)
    )


def _interface(line: np.ndarray) -> Interface:
    """The shape of a line of points (n, 2) as row and column, from the circle that fits it best:
    that of Taubin (IEEE Trans. Pattern Anal. 13 (1991) 1115), which may be a straight line."""
    length = float(np.linalg.norm(np.diff(line, axis=0), axis=1).sum())
    y, x = (line - line.mean(axis=0)).T
    squared = x**2 + y**2
    mean = squared.mean()
    design = np.stack([(squared - mean) / (2 * np.sqrt(mean)), x, y], axis=1)
    bend, a, b = np.linalg.svd(design, full_matrices=False)[2][2]
    # The circle is bend (x^2 + y^2 - mean) + a x + b y = 0.
    bend /= 2 * np.sqrt(mean)
    steepness = np.sqrt(a**2 + b**2 + 4 * bend**2 * mean)
    stray = (bend * (squared - mean) + a * x + b * y) / steepness
    along = np.linalg.svd(np.stack([x, y], axis=1), full_matrices=False)[2][0]
    return Interface(
        length, float(np.degrees(length * 2 * abs(bend) / steepness)),
        float(np.sqrt(np.mean(stray**2) / (12 * mean))),
        float(np.degrees(np.arctan2(along[1], along[0])) % 180),
    )  # fmt: skip


def _shape_of_front(interfaces: Sequence[Interface]) -> str:
    if not interfaces or interfaces[0].roughness > _ROUGH:
        return NONE
    return "curved front" if interfaces[0].turn_deg > _CURVED_DEG else "front"


def _shape_of_pair(interfaces: Sequence[Interface]) -> str:
    """What two fronts in one grain make: parallel ones a band, others domains side by side."""
    pair = interfaces[:2]
    if any(one.roughness > _ROUGH for one in pair):
        return NONE
    if len(pair) < 2 or any(one.turn_deg > _BENT_DEG for one in pair):
        return "mosaic"
    apart = abs(pair[0].direction_deg - pair[1].direction_deg)
    return "band" if min(apart, 180 - apart) <= _PARALLEL_DEG else "mosaic"


def _is_rich_inner(content: np.ndarray, inside: np.ndarray) -> bool:
    """Of two phases one of which encloses the other: whether the inner one is the rich one."""
    rich = _without_specks((content > 0.5) & inside, inside)
    arcs = rim(inside)
    return bool(rich[arcs].mean() < 0.5)


def _is_ring(content: np.ndarray, inside: np.ndarray) -> bool:
    """Of three domains without contacts: whether they lie within each other, not side by side."""
    rich = _without_specks((content > 0.5) & inside, inside)
    outer_is_rich = rich[rim(inside)].mean() >= 0.5
    return _domains(rich if outer_is_rich else inside & ~rich)[1] == 2
