"""Grains of the file as a scan sees them: turned, scaled, chosen and laid out over a field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.virtual import particles
from phasefront.virtual.insertion.projection import project
from phasefront.virtual.insertion.table import CELLS, DATA_FILE, FULL, INSERTION, PLANE

MODEL = "simulated"  # among the insertion models
_FILL = 0.75  # area of a grain, of what it would cover without gaps


@dataclass(frozen=True)
class Choice:
    """Which grains of the file: those of a part, or of some of its regimes."""

    part: str = "test"
    regimes: tuple[str, ...] = ()  # all where none is named
    path: str | Path = DATA_FILE


@dataclass(frozen=True)
class Placed:
    """Grains over a field of (ny, nx) positions, and which ones of the file they are."""

    thickness: np.ndarray  # (grain, ny, nx) nm, 0 outside
    rich: np.ndarray  # (grain, ny, nx) share of the rich phase in a column
    number: np.ndarray  # (grain,) in the file
    state: np.ndarray  # (grain,) in the file; -1 before the first, number of states after the last


def view(
    table: xr.Dataset,
    number: int,
    state: int,
    rotation: Sequence[float],
    *,
    shape: tuple[int, int],
    area: float,
    thickness: float,
    centre: tuple[float, float] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Columns of one grain of an INSERTION table, cut by two planes across the beam.

    Parameters
    ----------
    number, state
        In the table; a state of -1 is before the first, the number of states after the last.
    rotation
        Quaternion, frame to crystal, of the axes that `table.PLANE` speaks of. The grain is as
        long along its third axis as it is wide.
    shape
        Rows and columns of positions.
    area
        Positions that the grain covers, about.
    thickness
        Of the cut, in steps of the scan.
    centre
        Row and column of the grain's middle; the field's middle if None.

    Returns
    -------
    Share of the rich phase in every column, and thickness in steps of the scan, both of `shape`
    and 0 beside the grain.
    """
    from scipy.spatial.transform import Rotation

    inside = table["inside"].values[number] == 1
    share = _share(table, number, state, inside)
    body = {
        "inside": inside, "length": 2 * np.sqrt(inside.sum() / np.pi),
        "to_grid": PLANE @ Rotation.from_quat(rotation, scalar_first=True).as_matrix(),
    }  # fmt: skip
    whole = (2 * CELLS, 2 * CELLS)
    covered = (project(share, **body, thickness=1.0, shape=whole)[1] > 0).sum()
    step = np.sqrt(covered / area)
    rich, thick = project(
        share, **body, thickness=thickness * step, shape=shape, step=step, centre=centre
    )
    return rich, thick / step


def place_grains(
    choice: Choice,
    rich_share: float,
    *,
    shape: tuple[int, int],
    count: int,
    scan_step_nm: float,
    thickness_nm: tuple[float, float],
    rotations: np.ndarray,
    rng: np.random.Generator,
) -> Placed:
    """Grains of the file, spread over a field, that hold about a share of the rich phase.

    Parameters
    ----------
    rich_share
        Mean volume share. Grains that share a potential are taken at the moment that is nearest to
        it; lone ones at shares that differ from grain to grain (`particles.draw_shares`), each in
        the stored state that is nearest, or whole. So the mean is met as nearly as states allow.
    thickness_nm
        Thinnest and thickest grain. Each is cut by two planes across the beam.
    rotations
        (count, 4) frame to crystal, of the axes that `table.PLANE` speaks of.

    Raises
    ------
    InputError
        The choice names an unknown part or regime, or has fewer grains than asked for.
    """
    table = netcdf.read(choice.path, INSERTION)
    number = rng.permutation(chosen(table, choice, count))[:count]
    sites, size = particles.spread_sites(shape, count, rng)
    cells = table["inside"].values[number].sum(axis=(1, 2), dtype=float)
    converted = _converted(table, number, cells, rich_share, rng)
    states = np.array([0.0, *table["converted"].values, 1.0])
    state = np.abs(converted[:, None] - states).argmin(axis=1) - 1
    thickness, rich = np.zeros((2, count, *shape))
    nm = np.exp(rng.uniform(*np.log(thickness_nm), count))
    for grain, rotation in enumerate(rotations):
        rich[grain], thick = view(
            table, number[grain], state[grain], rotation, shape=shape, area=_FILL * size**2,
            thickness=nm[grain] / scan_step_nm, centre=tuple(sites[grain]),
        )  # fmt: skip
        thickness[grain] = particles.bounded(thick * scan_step_nm, thick > 0)
    return Placed(thickness, rich, number, state)


def chosen(table: xr.Dataset, choice: Choice, count: int) -> np.ndarray:
    """Numbers of the grains to choose from; InputError where these are fewer than `count`."""
    names, parts = table["regime"].values, table["part"].values
    known = [name for name, part in zip(names, parts, strict=True) if part == choice.part]
    strange = [name for name in choice.regimes if name not in known]
    if not known or strange:
        raise InputError(
            "virtual experiment",
            f"no simulated grains of {choice.part!r}" + (f": {strange[0]!r}" if strange else ""),
            field="simulated", remedy=f"choose among {sorted(map(str, known or set(parts)))}",
        )  # fmt: skip
    wanted = np.isin(names, choice.regimes or known)
    found = np.flatnonzero(wanted[table["grain_regime"].values])
    if len(found) < count:
        raise InputError(
            "virtual experiment", f"{len(found)} simulated grains for {count}", field="simulated",
            remedy="name more regimes or ask for fewer grains",
        )  # fmt: skip
    return found


def _converted(table, number, cells, rich_share: float, rng) -> np.ndarray:
    """Converted share that each grain should show, 0 to 1."""
    circuit = table["circuit"].values
    alone = np.bincount(circuit)[circuit[number]] == 1
    shares = np.full(len(number), rich_share)
    if alone.any():
        shares[alone] = particles.draw_shares(cells[alone], rich_share, model=MODEL, rng=rng)
    inserting = table["inserting"].values[number] == 1
    return np.where(inserting, shares, 1 - shares)


def _share(table: xr.Dataset, number: int, state: int, inside: np.ndarray) -> np.ndarray:
    """Share of the rich phase in the cells of a grain, from a state of the file or an end."""
    if 0 <= state < table.sizes["state"]:
        return table["share"].values[number, state] / FULL
    return inside * float((state < 0) != (table["inserting"].values[number] == 1))
