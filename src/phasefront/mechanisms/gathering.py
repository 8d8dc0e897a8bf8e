"""The grains of all scans as one table, and the populations that they make.

A population is the grains of one state in one two-phase field. A state is in the field whose rarer
phase fills most of its grains, if that is enough to say that the field was entered and not left;
whole grains of either phase belong to it as those between both do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from phasefront.core.errors import InputError
from phasefront.layouts.interfaces import Beyond, Found
from phasefront.layouts.mechanisms import Counted, Direction

# A field is entered where the share of its rarer phase, by area, is above this: fewer are mistakes.
ENTERED = 0.02
# The share caught is about the population only where the field is neither just entered nor nearly
# left: near its ends grains of any population are whole.
MIDDLE = (0.2, 0.8)
# A state of which more than this share, by area, is of neither phase is between three.
_OTHER = 0.1
# Of CYCLING's step_type.
_REST = 0
# Fewer grains are no population: a share of two says nothing.
FEWEST_GRAINS = 3


def directions_of(
    cycling: Sequence[xr.Dataset], states: Iterable[str], stated: Mapping[str, str]
) -> dict[str, Direction]:
    """Where ions went last before each state, by the sign of the current on its log.

    `cycling` are CYCLING data sets; what is `stated` of a state (charge or discharge) goes before.
    A state on no log, or before which no charge has passed, is unknown.
    """
    found = dict.fromkeys(states, Direction.UNKNOWN)
    for log in cycling:
        time, current = log["time"].to_numpy(), log["current"].to_numpy()
        flows = (log["step_type"].to_numpy() != _REST) & (current != 0)
        for state, moment in zip(
            log["state"].to_numpy(), log["state_time"].to_numpy(), strict=True
        ):
            # What a record says holds from the record before it on; the first ends nothing.
            last = int(np.searchsorted(time, moment))
            before = np.flatnonzero(flows[1 : last + 1]) + 1
            if len(before):
                out = current[before[-1]] > 0
                found[str(state)] = Direction.OUT if out else Direction.IN
    words = {"charge": Direction.OUT, "discharge": Direction.IN}
    return found | {state: words[way] for state, way in stated.items()}


def grain_table(
    interfaces: Mapping[str, xr.Dataset],
    grains: Mapping[str, xr.Dataset],
    states: Mapping[str, str],
    directions: Mapping[str, Direction],
) -> pd.DataFrame:
    """One row a grain of every scan.

    Parameters
    ----------
    interfaces, grains
        INTERFACES and GRAINS of each scan.
    states
        State of each scan.
    directions
        Where ions went before each state; unknown where it is not named.

    Returns
    -------
    Columns `scan`, `number`, `state`, `direction` (before its state), `positions`, `found`,
    `rich` and `poor` (-1 none), `phase` (of a grain of one phase, else -1), `rich_share` (NaN where
    of one phase), `cut`, and the covariates.

    Raises
    ------
    InputError
        The files of a scan are not of the same grains.
    """
    tables = []
    for scan, found in interfaces.items():
        own = grains[scan]
        if own.sizes["grain"] != found.sizes["grain"]:
            raise InputError(
                f"interfaces of {scan}", f"have {found.sizes['grain']} grains, and its grains are"
                f" {own.sizes['grain']}", remedy="run the workflow again",
            )  # fmt: skip
        kind = found["found"].to_numpy()
        one_phase = kind == Found.ONE_PHASE
        count = own["phase_count"].to_numpy()
        most = count.argmax(axis=1) if count.size else np.zeros(len(kind), int)
        direction = directions.get(states[scan], Direction.UNKNOWN)
        tables.append(
            pd.DataFrame(
                {
                    "scan": scan,
                    "number": np.arange(len(kind)),
                    "state": states[scan],
                    "direction": int(direction),
                    "positions": own["size"].to_numpy(),
                    "found": kind,
                    "rich": found["rich"].to_numpy(),
                    "poor": found["poor"].to_numpy(),
                    "phase": np.where(one_phase & (count.max(axis=1) > 0), most, -1),
                    "rich_share": found["rich_share"].to_numpy(),
                    "cut": found["cut"].to_numpy() == 1,
                    **_covariates(found, own),
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def _covariates(interfaces: xr.Dataset, grains: xr.Dataset) -> dict[str, np.ndarray]:
    """What the order of reaction may go with, (grain,) each; NaN where not known."""
    count = grains.sizes["grain"]
    outline = _outline_lengths(grains)
    shared = np.zeros(count)
    for side in ("pair_a", "pair_b"):
        shared += np.bincount(grains[side].to_numpy(), grains["pair_length"].to_numpy(), count)
    facet_of = np.repeat(np.arange(count), np.diff(interfaces["facet_offset"].to_numpy()))
    length = interfaces["facet_length"].to_numpy()
    cracked = length * (interfaces["facet_beyond"].to_numpy() == Beyond.CRACK)
    with np.errstate(invalid="ignore", divide="ignore"):
        step = float(grains.attrs["scan_step_nm"])
        area = grains["size"].to_numpy() * (step**2 if np.isfinite(step) else 1.0)
        return {
            "size": np.log(area),
            "beam along c": interfaces["beam"].to_numpy()[:, 2] ** 2,
            "touches neighbours": np.minimum(shared / outline, 1.0),
            "cracks": np.bincount(facet_of, cracked, count) / outline,
            "longest facet along c": _longest_facet(interfaces, facet_of, count),
            "spread of orientation": grains["spread"].to_numpy().astype("f8"),
        }


def _outline_lengths(grains: xr.Dataset) -> np.ndarray:
    """Length (grain,) of outlines in edges of positions, as neighbours' contacts are counted."""
    label = np.pad(grains["label"].to_numpy(), 1, constant_values=-1)
    count = grains.sizes["grain"]
    total = np.zeros(count)
    for one, other in ((label[:, 1:], label[:, :-1]), (label[1:], label[:-1])):
        differ = one != other
        for side in (one, other):
            inside = side[differ & (side >= 0)]
            total += np.bincount(inside, minlength=count)
    return total


def _longest_facet(interfaces: xr.Dataset, facet_of: np.ndarray, count: int) -> np.ndarray:
    """Squared cosine (grain,) between the trace of the longest facet and c*."""
    found, best = np.full(count, np.nan), np.zeros(count)
    along = interfaces["facet_trace"].to_numpy()[:, 2] ** 2
    for grain, length, value in zip(
        facet_of, interfaces["facet_length"].to_numpy(), along, strict=True
    ):
        if length > best[grain]:
            best[grain], found[grain] = length, value
    return found


def populations(table: pd.DataFrame, fields: Sequence[tuple[int, int]]) -> pd.DataFrame:
    """The populations, and which grain is in which.

    Parameters
    ----------
    table
        Of `grain_table`; gains the columns `counted`, `population` (-1 none) and `converted`.
    fields
        Indices of the rich and of the poor phase of each two-phase field.

    Returns
    -------
    Columns `field`, `state`, and `converted`, the share converted by area.
    """
    table["counted"] = int(Counted.NO_POPULATION)
    table["population"] = -1
    table["converted"] = np.nan
    rows = []
    for state, own in table.groupby("state", sort=False):
        best = None
        for field, (rich, poor) in enumerate(fields):
            share = _rich_share(own, rich, poor)
            known = share.notna()
            mean = (
                np.average(share[known], weights=own.loc[known, "positions"])
                if known.any()
                else 0.0
            )
            if best is None or min(mean, 1 - mean) > min(best[1], 1 - best[1]):
                best = field, mean, share
        if best is None or min(best[1], 1 - best[1]) <= ENTERED:
            continue
        field, mean, share = best
        other = own.loc[share.isna() & (own["found"] != Found.TOO_FEW), "positions"].sum()
        if other > _OTHER * own["positions"].sum():
            table.loc[own.index, "counted"] = int(Counted.NO_FIELD)
            continue
        inserting = own["direction"].iloc[0] == Direction.IN
        table.loc[own.index, "converted"] = share if inserting else 1.0 - share
        pair = share.notna() & ~own["found"].isin([Found.TOO_FEW, Found.NO_FIELD])
        counted = np.select(
            [own["found"] == Found.TOO_FEW, ~pair, own["cut"]],
            [int(Counted.FEW), int(Counted.NO_FIELD), int(Counted.CUT)],
            int(Counted.YES),
        )
        enough = (counted == Counted.YES).sum() >= FEWEST_GRAINS
        table.loc[own.index, "counted"] = (
            counted if enough else np.where(counted == Counted.YES, Counted.NO_POPULATION, counted)
        )
        if not enough:
            continue
        table.loc[own.index[counted == Counted.YES], "population"] = len(rows)
        rows.append((field, state, mean if inserting else 1.0 - mean))
    return pd.DataFrame(rows, columns=["field", "state", "converted"])


def _rich_share(own: pd.DataFrame, rich: int, poor: int) -> pd.Series:
    """Share of the rich phase in each grain of a field; NaN in grains of other phases."""
    of_pair = (own["rich"] == rich) & (own["poor"] == poor)
    share = own["rich_share"].where(of_pair)
    return share.mask(own["phase"] == rich, 1.0).mask(own["phase"] == poor, 0.0)
