"""A map of crystal grains, and how an insertion reaction has gone through each of them.

Shapes and reaction models are made up (convex grains, wedges, steps, sharp fronts); the amounts
are exact: the mean over all grains meets the state asked for as nearly as the model allows, or,
if grains are drawn one by one, the mean of the population does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from phasefront.core.errors import InputError

INSERTION_MODELS = ("all-or-none", "core-shell", "straight-front")

# All of these are made up; see above. Share of the field that grains cover.
_COVERAGE = 0.62
# How far grains reach beyond the border with their neighbours, in grain sizes, and how often:
# cracks between some, overlaps of others.
_REACH, _REACH_ODDS = (-0.07, 0.0, 0.2), (0.3, 0.4, 0.3)
_THINNEST_NM, _THICKEST_NM = 8.0, 100.0  # of the table of intensities: 5 to 100
_EDGE_NM, _EDGE_SLOPE = 10.0, 1.6  # thickness at the outline, and its rise per length inwards
# An interface seen edge-on still spreads over this many positions: probe size and roughness.
_INTERFACE_WIDTH = 1.5
# Spread of the logit of the reacted fraction from grain to grain.
_FRACTION_SPREAD = 0.7
_SUBSETS = 1 << 14  # random choices of grains, of which the nearest to the share is taken
_NODES = 64  # of the quadrature over that spread
_BARELY = 1e-9  # positions by which a grain too small for the grid reaches one of it


@dataclass(frozen=True)
class VirtualPhase:
    """A phase of the virtual experiment."""

    name: str  # as in the config
    structure: str  # as in the table of Bloch-wave intensities
    ion_content: float  # ions per formula unit

    @classmethod
    def of_cif(cls, name: str, cif: str | Path, ion_content: float) -> VirtualPhase:
        """The table knows a structure by the name of its CIF."""
        return cls(name, Path(cif).stem, ion_content)


@dataclass(frozen=True)
class Grains:
    """Grains over a field of (ny, nx) positions; a position may belong to several."""

    thickness: np.ndarray  # (grain, ny, nx) nm along the beam, 0 outside the grain
    depth: np.ndarray  # (grain, ny, nx) distance to the grain's outline in positions, inside > 0

    @property
    def volumes(self) -> np.ndarray:
        """Volume of each grain in nm times positions."""
        return self.thickness.sum(axis=(1, 2))


@dataclass(frozen=True)
class Bodies:
    """Convex grains that are asked for at any place: cells of a Voronoi diagram, `count` of them.

    Each is flat, wedged, has a step along a line through it, and thins towards its outline. All
    but the first two are (count,).
    """

    sites: np.ndarray  # (site, 2) rows and columns; the first ones are those of the grains
    size: float  # side of a square of a cell's area, positions
    reach: np.ndarray  # how far grains reach beyond the border with their neighbours, positions
    middle: np.ndarray  # (count, 2) row and column
    wedge: np.ndarray  # direction in which a grain gets thicker, radian from x towards y
    slope: np.ndarray  # by how much of its thickness, over its size
    step: np.ndarray  # direction of what lies beyond the step
    step_place: np.ndarray  # sizes from the middle
    nm: np.ndarray  # thickness
    beyond: np.ndarray  # share of it beyond the step
    edge_slope: float  # rise of the thickness from the outline, nm a position

    def depth(self, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Distance to the outline of each grain at places (...), (count, ...), inside > 0."""
        places = np.stack([y, x], axis=-1)
        depth = _depth_of_cells(places, self.sites, len(self.reach))
        return depth + self.reach.reshape(-1, *[1] * np.ndim(y))

    def thickness(self, depth: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Thickness of each grain in nm, (count, ...), at places of this depth; 0 beside it."""
        thickness = np.empty_like(depth)
        for grain, (middle_y, middle_x) in enumerate(self.middle):
            away_y, away_x = y - middle_y, x - middle_x
            wedge, step = self.wedge[grain], self.step[grain]
            along = (np.cos(wedge) * away_x + np.sin(wedge) * away_y) / self.size
            across = np.cos(step) * away_x + np.sin(step) * away_y
            body = self.nm[grain] * (1 + self.slope[grain] * along)
            lower = across > self.step_place[grain] * self.size
            body = np.where(lower, self.beyond[grain] * body, body)
            edge = _EDGE_NM + self.edge_slope * np.maximum(depth[grain], 0)
            thickness[grain] = bounded(np.minimum(body, edge), depth[grain] > 0)
        return thickness


def draw_bodies(
    shape: tuple[int, int],
    *,
    count: int,
    scan_step_nm: float,
    thickness_nm: tuple[float, float],
    rng: np.random.Generator,
) -> Bodies:
    """`count` grains in the middle of a field, vacuum around them.

    `thickness_nm` is the range of their thickness; wedges are up to a third.
    """
    sites, size = spread_sites(shape, count, rng)
    reach = size * rng.choice(_REACH, p=_REACH_ODDS, size=count)
    y, x = np.mgrid[: shape[0], : shape[1]]
    depth = _depth_of_cells(np.stack([y, x], axis=-1), sites, count)
    # A grain between all positions reaches the one where it is deepest.
    reach = np.maximum(reach, _BARELY - depth.max(axis=(1, 2)))
    drawn, low, high = [], *np.log(thickness_nm)
    for inside in depth + reach[:, None, None] > 0:
        wedge, step = rng.uniform(0, 2 * np.pi, 2)
        drawn.append(
            {
                "middle": (y[inside].mean(), x[inside].mean()), "wedge": wedge, "step": step,
                "step_place": rng.uniform(-0.2, 0.3), "nm": np.exp(rng.uniform(low, high)),
                "slope": rng.uniform(0, 0.6), "beyond": rng.uniform(0.55, 1.0),
            }
        )  # fmt: skip
    columns = {name: np.array([one[name] for one in drawn]) for name in drawn[0]}
    return Bodies(sites, size, reach, edge_slope=_EDGE_SLOPE * scan_step_nm, **columns)


def make_grains(
    shape: tuple[int, int],
    *,
    count: int,
    scan_step_nm: float,
    thickness_nm: tuple[float, float],
    rng: np.random.Generator,
) -> Grains:
    """The grains that `draw_bodies` draws, at each position of the field."""
    bodies = draw_bodies(
        shape, count=count, scan_step_nm=scan_step_nm, thickness_nm=thickness_nm, rng=rng
    )
    y, x = np.mgrid[: shape[0], : shape[1]]
    depth = bodies.depth(y, x)
    return Grains(bodies.thickness(depth, y, x), depth)


def bounded(thickness: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Thickness in nm, within what Bloch waves were computed for; 0 where there is no grain."""
    return np.where(inside, np.clip(thickness, _THINNEST_NM, _THICKEST_NM), 0)


def spread_sites(
    shape: tuple[int, int], count: int, rng: np.random.Generator
) -> tuple[np.ndarray, float]:
    """Rows and columns of middles of grains over a field, the most central first, and the side of a
    square of the area that each has; at least four more than `count`, which are for the vacuum."""
    field = np.array(shape, float)
    number = max(count + 4, round(count / _COVERAGE))
    sites = [field * rng.uniform(0.3, 0.7, 2)]
    while len(sites) < number:  # best of several candidates: evenly spread, yet irregular
        candidates = field * rng.random((8, 2))
        distance = np.linalg.norm(candidates[:, None] - np.array(sites), axis=2).min(axis=1)
        sites.append(candidates[distance.argmax()])
    sites = np.array(sites)
    sites = sites[np.linalg.norm(sites / field - 0.5, axis=1).argsort()]
    return sites, float(np.sqrt(field.prod() / number))


def _depth_of_cells(places: np.ndarray, sites: np.ndarray, count: int) -> np.ndarray:
    """Depth (count, ...) of places (..., 2) in the first cells of a Voronoi diagram."""
    squared = ((places - sites.reshape(-1, *[1] * (places.ndim - 1), 2)) ** 2).sum(axis=-1)
    depth = np.empty((count, *places.shape[:-1]))
    for cell in range(count):
        others = np.delete(np.arange(len(sites)), cell)
        gap = np.linalg.norm(sites[others] - sites[cell], axis=1)
        gap = gap.reshape(-1, *[1] * (places.ndim - 1))
        depth[cell] = ((squared[others] - squared[cell]) / (2 * gap)).min(axis=0)
    return depth


def neighbouring_phases(contents: Sequence[float], ion_content: float) -> tuple[int, int, float]:
    """Indices of the ion-poor and ion-rich phase around a state, and the rich one's molar fraction.

    `contents` are the ions per formula unit of each phase. The lever rule:
    ion_content = (1 - fraction) poor + fraction rich.

    Raises
    ------
    InputError
        `ion_content` lies outside what the phases span.
    """
    order = sorted(range(len(contents)), key=lambda index: contents[index])
    ordered = [contents[index] for index in order]
    if len(contents) == 1 and ion_content == ordered[0]:
        return order[0], order[0], 1.0
    if len(contents) == 1 or not ordered[0] <= ion_content <= ordered[-1]:
        raise InputError(
            "virtual experiment", f"no phases around {ion_content:g} ions per formula unit",
            field="ion_content", remedy=f"ask for {ordered[0]:g} to {ordered[-1]:g}",
        )  # fmt: skip
    upper = max(1, int(np.searchsorted(ordered, ion_content)))
    poor, rich = ordered[upper - 1], ordered[upper]
    return order[upper - 1], order[upper], (ion_content - poor) / (rich - poor)


def volume_share(molar_fraction: float, *, formula_volume: float, other: float) -> float:
    """Share of the volume of a phase with this molar fraction, from both formula volumes."""
    volume = molar_fraction * formula_volume
    return volume / (volume + (1 - molar_fraction) * other)


def draw_shares(
    volumes: np.ndarray,
    share: float,
    *,
    model: str,
    independent: bool = False,
    rng: np.random.Generator,
) -> np.ndarray:
    """Share of the ion-rich phase in each grain (grain,), 0 or 1 in the model `all-or-none`.

    Shares differ from grain to grain, whatever the grains' sizes. With `independent` each is a draw
    from a population whose mean is `share`; without, their mean over these grains, weighted by
    volume, is `share`, or as near to it as whole grains allow.
    """
    if model == "all-or-none" or share in (0.0, 1.0):
        if independent:
            return (rng.random(len(volumes)) < share).astype(float)
        return _choose_grains(volumes, share, rng)
    spread = _FRACTION_SPREAD * rng.standard_normal(len(volumes))
    if not independent:
        return shifted_logistic(share, spread, volumes)(spread)
    return shifted_logistic(share, *_population())(spread)


def population_shares(share: float) -> tuple[np.ndarray, np.ndarray]:
    """Shares in the grains of a population with this mean, and their weights in an integral.

    This is what `draw_shares` draws from in models that leave two phases in a grain.
    """
    if share in (0.0, 1.0):
        return np.array([share]), np.ones(1)
    spread, weights = _population()
    return shifted_logistic(share, spread, weights)(spread), weights


def react(
    grains: Grains,
    shares: np.ndarray,
    *,
    model: str,
    front_directions: np.ndarray,
    scan_step_nm: float,
) -> np.ndarray:
    """Share of the ion-rich phase in every column of every grain, (grain, ny, nx) from 0 to 1.

    Parameters
    ----------
    shares
        Volume share of the ion-rich phase in each grain, (grain,).
    model
        `all-or-none`: a whole grain has one phase. `core-shell`: ions leave through the outline,
        the core is rich. `straight-front`: a plane, fixed in the crystal, has moved across.
    front_directions
        (grain, 3) unit normal of that plane in the frame of the patterns, towards the ion-rich
        side; its projection on the scan is used, and a plane that is not edge-on gives a band
        of columns that hold both phases.

    Raises
    ------
    InputError
        Unknown model.
    """
    if model not in INSERTION_MODELS:
        raise InputError(
            "virtual experiment", f"insertion model {model!r} is unknown",
            field="insertion_model", remedy=f"choose one of {', '.join(INSERTION_MODELS)}",
        )  # fmt: skip
    if model == "straight-front":
        along, width = _along_front(grains, front_directions, scan_step_nm)
    else:
        along, width = grains.depth, np.full(grains.depth.shape, _INTERFACE_WIDTH)
    return np.stack(
        [
            _behind_interface(*grain)
            for grain in zip(along, width, grains.thickness, shares, strict=True)
        ]
    )


def _choose_grains(volumes: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Grains (0 or 1 each) whose volume is nearest to the share, among many random choices."""
    subsets = rng.random((_SUBSETS, len(volumes))) < share
    error = np.abs(subsets @ volumes / volumes.sum() - share)
    return subsets[error.argmin()].astype(float)


def _population() -> tuple[np.ndarray, np.ndarray]:
    """Nodes of the spread of the logit, and their weights, which add up to 1."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    return _FRACTION_SPREAD * nodes, weights / weights.sum()


def shifted_logistic(share: float, logits: np.ndarray, weights: np.ndarray):
    """The function from logits to shares, a shifted logistic one, with this weighted mean."""
    from scipy.optimize import brentq
    from scipy.special import expit, logit

    start = logit(share)
    shift = brentq(lambda c: expit(start + logits + c) @ weights / weights.sum() - share, -20, 20)
    return lambda values: expit(start + values + shift)


def _along_front(grains: Grains, directions: np.ndarray, scan_step_nm: float):
    """Coordinate across the front, and width of its projection, both in positions."""
    y, x = np.mgrid[: grains.depth.shape[1], : grains.depth.shape[2]]
    in_plane = np.maximum(np.hypot(directions[:, 0], directions[:, 1]), 0.1)[:, None, None]
    normal = directions[:, :, None, None] / in_plane[:, None]
    tilt = np.abs(normal[:, 2])
    width = np.maximum(_INTERFACE_WIDTH, grains.thickness / scan_step_nm * tilt)
    return normal[:, 0] * x + normal[:, 1] * y, width


def _behind_interface(along, width, thickness, share: float) -> np.ndarray:
    """Share of the phase behind an interface, placed so that it fills `share` of the grain."""
    from scipy.optimize import brentq

    inside = thickness > 0
    if share in (0.0, 1.0):
        return share * inside

    def filled(place: float) -> np.ndarray:
        return np.where(inside, np.clip((along - place) / width + 0.5, 0, 1), 0)

    def excess(place: float) -> float:
        return (filled(place) * thickness).sum() / thickness.sum() - share

    reach = width[inside].max()
    return filled(brentq(excess, along[inside].min() - reach, along[inside].max() + reach))
