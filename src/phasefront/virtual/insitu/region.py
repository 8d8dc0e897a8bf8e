"""The region of a virtual series: its grains, when and how each converts, and what tilts."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.experiment.settings.virtual_series import VirtualFronts, VirtualSeries
from phasefront.virtual import particles
from phasefront.virtual.insertion import placing
from phasefront.virtual.insertion.table import INSERTION
from phasefront.virtual.insitu.fronts import Front, Pictured, Still, shows_fronts, straight_through
from phasefront.virtual.particles import Bodies

# All of these are made up. Of the scan's side, by which the region with its grains is larger on
# each side, so that borders bring new area in.
_BEYOND = 0.05
# Time of a grain over that of the slowest.
_QUICKEST = 0.7
# Area of a pictured grain, of that of a cell of the diagram: it lies beside its neighbours.
_FILL = 0.75
# Places of a grain are looked at so many times a position, to know how far it reaches.
_FINE = 4


@dataclass(frozen=True)
class Region:
    """Grains at places of the specimen, rows and columns of the frame of the first scan."""

    bodies: Bodies
    fronts: tuple[Front, ...]  # of each grain
    area: np.ndarray  # (grain,) nm2

    def thickness(self, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Thickness (grain, ...) in nm at places (...), 0 beside a grain."""
        depth = self.bodies.depth(y, x)
        for grain, front in enumerate(self.fronts):
            if isinstance(front, Pictured):
                depth[grain] = front.depth_at(y, x)
        return self.bodies.thickness(depth, y, x)

    def rich(self, y: np.ndarray, x: np.ndarray, charge: np.ndarray) -> np.ndarray:
        """Share (grain, ...) of the ion-rich phase in columns at places, after a charge in mA h."""
        return np.stack([front.rich(y, x, charge) for front in self.fronts])


def draw_region(
    asked: VirtualSeries,
    *,
    shape: tuple[int, int],
    scan_step_nm: float,
    charge: float,
    simulated: placing.Choice,
    rng: np.random.Generator,
) -> Region:
    """The grains of a region and their fronts.

    Parameters
    ----------
    shape
        Positions of a scan.
    charge
        mA h that the log passes in all.
    simulated
        Which grains of the file of simulated ones are pictured.

    Raises
    ------
    InputError
        The choice of simulated grains has none from which ions leave.
    """
    beyond = [round(_BEYOND * side) for side in shape]
    field = tuple(side + 2 * more for side, more in zip(shape, beyond, strict=True))
    bodies = particles.draw_bodies(
        field, count=asked.grains, scan_step_nm=scan_step_nm, thickness_nm=asked.thickness_nm,
        rng=rng,
    )  # fmt: skip
    # The first position of a scan is not the first of the field.
    corner = np.array(beyond, float)
    bodies = replace(bodies, sites=bodies.sites - corner, middle=bodies.middle - corner)
    y, x = (
        np.arange(-more, side + more, 1 / _FINE) for side, more in zip(shape, beyond, strict=True)
    )
    y, x = np.meshgrid(y, x, indexing="ij")
    still = Region(bodies, (Still(),) * asked.grains, np.zeros(asked.grains))
    inside = still.thickness(y, x) > 0
    fronts: list[Front] = [Still()] * asked.grains
    if asked.fronts is not None:
        fronts = _draw_fronts(
            asked.fronts, bodies, inside, y, x, charge=charge, scan_step_nm=scan_step_nm,
            simulated=simulated, rng=rng,
        )  # fmt: skip
    region = Region(bodies, tuple(fronts), still.area)
    covered = (region.thickness(y, x) > 0).sum(axis=(1, 2))
    return replace(region, area=covered * (scan_step_nm / _FINE) ** 2)


def _draw_fronts(
    asked: VirtualFronts, bodies: Bodies, inside, y, x, *, charge, scan_step_nm, simulated, rng
) -> list[Front]:  # fmt: skip
    count = len(inside)
    order = rng.permutation(count)
    converting = order[asked.never :]
    begins, ends = _times(asked, len(converting), rng)
    fronts: list[Front] = [Still()] * count
    width = asked.width_nm / scan_step_nm
    pictured = rng.permutation(converting)[: asked.pictured]
    numbers = _pictures(simulated, asked.pictured, rng) if asked.pictured else []
    for place, grain in enumerate(converting):
        turn = rng.uniform(0, 2 * np.pi)
        when = {"begins": charge * begins[place], "ends": charge * ends[place], "width": width}
        if grain in pictured:
            table, number = numbers.pop()
            fronts[grain] = Pictured.of(
                table, number, area=_FILL * bodies.size**2, turn=turn,
                middle=tuple(bodies.sites[grain]), **when,
            )  # fmt: skip
        else:
            here = inside[grain]
            fronts[grain] = straight_through(y[here], x[here], normal=turn, **when)
    return fronts


def _times(asked: VirtualFronts, count: int, rng) -> tuple[np.ndarray, np.ndarray]:
    """Shares of the charge at which each of the grains begins and ends, in the order of nucleation.

    Grains take a time each; the next one begins when all but `overlap` of the last one's has
    passed; the last end is that asked for.
    """
    own = rng.uniform(_QUICKEST, 1, count)
    starts = np.append(0.0, np.cumsum((1 - asked.overlap) * own))[:count]
    first, last = asked.charge
    scale = (last - first) / (starts + own).max(initial=0.0) if count else 0.0
    return first + scale * starts, first + scale * (starts + own)


def _pictures(choice: placing.Choice, count: int, rng) -> list[tuple]:
    """Grains of the file through which fronts go as ions leave: its table and their numbers."""
    table = netcdf.read(choice.path, INSERTION)
    known = placing.chosen(table, choice, 1)
    leaving = [number for number in known if shows_fronts(table, number)]
    if len(leaving) < count:
        raise InputError(
            "virtual experiment",
            f"{len(leaving)} simulated grains that ions leave by fronts for {count}",
            field="simulated", remedy="name more regimes, or ask for fewer pictured grains",
        )  # fmt: skip
    return [(table, number) for number in rng.permutation(leaving)[:count]]
