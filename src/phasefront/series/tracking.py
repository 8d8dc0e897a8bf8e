"""What the places and grains of a series went through, from all that its scans saw."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr
from scipy import ndimage

from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.layouts.dimensions import named_ends
from phasefront.layouts.series import SERIES
from phasefront.series import changes, fronts, histories, offset, population
from phasefront.series.aligned import Seen, field_of, see
from phasefront.series.histories import STATES, Chain, Gaps, Histories

LAWS = ("with time", "with its square root", "with charge")
# Charge that passes in a series, in parts of what the log ever passes, below which none does.
_NO_CHARGE = 1e-3
# Of all charge, so much may go back before a series is said to go both ways.
_BACK = 0.02
# Positions of a grain that a front is fitted to: more tell its three numbers little better.
_FITTED = 300
# Fewer positions that convert are no front.
_FEWEST = 8


def follow_series(
    aligned: xr.Dataset,
    phases: Mapping[str, xr.Dataset],
    grains: Mapping[str, xr.Dataset],
    times: Mapping[str, xr.Dataset],
    cycling: xr.Dataset,
    *,
    fields: list[tuple[int, int]],
    seed: int,
) -> xr.Dataset:
    """SERIES data set of a series.

    Parameters
    ----------
    aligned
        ALIGNMENT data set; its scans are in the order of their times.
    phases, grains, times
        PHASES, GRAINS and TIMES data sets of its scans, by name.
    cycling
        CYCLING data set of its log.
    fields
        Numbers of the rich and of the poor phase of each two-phase field.
    seed
        Of draws.

    Raises
    ------
    InputError
        No second scan is aligned, or no ion content is known at any place.
    """
    order = [str(name) for name in aligned["scan"].to_numpy()]
    field = field_of(phases, fields)
    seen = see(aligned, phases, grains, times, field)
    _refuse_nothing(aligned, seen, order)
    log_time, log_charge = _log_of(cycling)
    of_scan = {
        name: np.array([float(times[one][name].mean()) for one in order])
        for name in ("time", "voltage", "current", "charge", "dose")
    }
    flow = _flow(of_scan["charge"], log_charge)
    free = Gaps.open(len(order) - 1)
    gaps = free if flow == "none" else Gaps.of_charge(of_scan["charge"])
    chain = histories.fit(seen.content, seen.stderr, gaps)
    smooth = histories.histories(chain, seen.content, seen.stderr, gaps)
    # Where a cause or a clock is asked for, the current must not have told already.
    unguided = smooth
    if flow != "none":
        open_chain = histories.fit(seen.content, seen.stderr, free)
        unguided = histories.histories(open_chain, seen.content, seen.stderr, free)
    towards = -1.0 if flow == "in" else _towards(changes.moves(unguided))
    change = changes.change_times(towards * changes.moves(smooth), seen.time)
    label = grains[order[0]]["label"].to_numpy()
    step = float(grains[order[0]].attrs["scan_step_nm"])
    count = int(label.max()) + 1
    of_grain = _by_grain(seen, smooth, unguided, count)
    converts = np.abs(np.nan_to_num(of_grain["converted"][-1] - of_grain["converted"][0])) > 0.5
    of_grain |= {"converts": converts}
    fitted = _fronts(
        seen, chain, label, of_grain["converts"], change, towards > 0, step, seed, flow
    )
    known = of_grain["size"] > 0
    advanced = of_grain["converted"] if towards > 0 else 1.0 - of_grain["converted"]
    size = of_grain["size"].astype("f8")[known]
    advanced = advanced[:, known]
    slope, lag = population.balance(
        advanced, size, of_scan["time"], log_time, towards * log_charge, seed=seed
    )
    overlap = population.overlap(fitted["begin"][converts], fitted["end"][converts])
    at_grain = np.stack(
        [_mean_of(seen.time[:, scan], seen.grain, count) for scan in range(len(order))]
    )
    asked = offset.ask_offset(
        towards * of_grain["moved"][:, known], at_grain[:, known], log_time, log_charge
    )
    first = times[order[0]].attrs
    return netcdf.build(
        SERIES,
        {
            "scan": order, "state": list(STATES), "way": list(fronts.WAYS), "law": list(LAWS),
            "label": label,
            **_on_map(seen, smooth, change, label.shape),
            **{name: of_scan[name] for name in ("voltage", "current", "charge", "dose")},
            "mean_time": of_scan["time"],
            **named_ends(
                "converted_share", population.converted_share(advanced, size, seed=seed)
            ),
            **named_ends("caught_share", population.caught_share(advanced)),
            **of_grain, **fitted,
            **named_ends("overlap", overlap),
            **named_ends("balance_slope", slope), **named_ends("balance_lag", lag),
            **named_ends("offset", asked.interval),
            "chain": [
                chain.middle, chain.reach, chain.error, chain.repeated, chain.rate,
                chain.log_likelihood,
            ],
        },
        {
            "series": aligned.attrs["series"], "log": first["log"],
            "rich": str(phases[order[0]]["phase"].to_numpy()[field[0]]),
            "poor": str(phases[order[0]]["phase"].to_numpy()[field[1]]),
            "flow": flow, "scan_step_nm": step,
            "declared_offset_s": first["clock_offset_s"],
            "declared_offset_error_s": first["clock_offset_error_s"],
            "offset_test": asked.sentence, "population": population.order_sentence(overlap),
        },
    )  # fmt: skip


def _refuse_nothing(aligned: xr.Dataset, seen: Seen, order: list[str]) -> None:
    series = aligned.attrs["series"]
    problems = [str(problem) for problem in aligned["problem"].to_numpy()]
    if all(problems[1:]):
        raise InputError(
            f"series {series}", f"no later scan lies on {order[0]!r}, the first one: {problems[1]}",
            field="series", remedy="give another series to scans of another region",
        )  # fmt: skip
    if not np.isfinite(seen.content).any():
        raise InputError(
            f"series {series}", "no ion content is known at any place, since no cell could be"
            " refined or phases share no lattice", field="series",
            remedy="give parent_axes to the phases of material, or leave series out",
        )  # fmt: skip


def _log_of(cycling: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    elapsed = cycling["elapsed"].to_numpy()
    known = np.isfinite(elapsed)
    return elapsed[known], cycling["charge"].to_numpy()[known]


def _flow(charge: np.ndarray, log_charge: np.ndarray) -> str:
    """Where ions go during the series: none, out, in or both."""
    passed = np.diff(charge)
    if np.abs(passed).sum() <= _NO_CHARGE * np.ptp(log_charge) or not np.ptp(log_charge) > 0:
        return "none"
    back = min(np.maximum(passed, 0).sum(), np.maximum(-passed, 0).sum())
    if back > _BACK * np.abs(passed).sum():
        return "both"
    return "out" if passed.sum() > 0 else "in"


def _towards(move: np.ndarray) -> float:
    """1 where places go from rich to poor on the whole, -1 where back."""
    return 1.0 if move.sum() >= 0 else -1.0


def _by_grain(seen: Seen, smooth: Histories, unguided: Histories, count: int) -> dict:
    told = np.isfinite(seen.content).any(axis=1)
    grain = seen.grain[told]

    def mean(values: np.ndarray) -> np.ndarray:
        columns = values[told].T
        return np.stack([_mean_of(column, grain, count) for column in columns])

    before = changes.converted(unguided.smooth)[:, :-1]
    moved = changes.moves(unguided)
    left = before if moved.sum() < 0 else 1.0 - before
    seen_now = np.where(np.isfinite(seen.content), changes.converted(smooth.single), np.nan)
    return {
        "converted": mean(changes.converted(smooth.smooth)),
        "converted_single": mean(seen_now),
        "moved": mean(moved),
        "at_risk": mean(left),
        "size": np.bincount(grain, minlength=count),
    }


def _mean_of(values: np.ndarray, grain: np.ndarray, count: int) -> np.ndarray:
    """Mean of values (place,) over each grain, those that are known; NaN where none is."""
    known = np.isfinite(values)
    total = np.bincount(grain[known], values[known], count)
    number = np.bincount(grain[known], minlength=count)
    return np.divide(total, number, out=np.full(count, np.nan), where=number > 0)


def _on_map(seen: Seen, smooth: Histories, change: np.ndarray, shape: tuple[int, int]) -> dict:
    def laid(values: np.ndarray) -> np.ndarray:
        found = np.full((*shape, *values.shape[1:]), np.nan)
        found[seen.y, seen.x] = values
        return found

    told = np.isfinite(seen.content)
    return {
        "time": np.moveaxis(laid(np.where(told, seen.time, np.nan)), 2, 0),
        "ion_content": np.moveaxis(laid(seen.content), 2, 0),
        "ion_content_stderr": np.moveaxis(laid(seen.stderr), 2, 0),
        "single": np.moveaxis(laid(np.where(told[..., None], smooth.single, np.nan)), 2, 0),
        "smooth": np.moveaxis(laid(smooth.smooth), 2, 0),
        **named_ends("change", np.stack([laid(values) for values in change])),
    }


def _fronts(
    seen: Seen, chain: Chain, label: np.ndarray, converts: np.ndarray, change: np.ndarray,
    onward: bool, step: float, seed: int, flow: str,
) -> dict:  # fmt: skip
    """Variables of SERIES that have a row a grain and come from its front."""
    count = len(converts)
    sizes = {"grain": count, "way": len(fronts.WAYS), "law": len(LAWS), "map_axis": 2}
    names = ("begin", "speed", "direction")
    found = {name: np.full((3, count), np.nan) for name in names}
    rest = {
        name: np.full([sizes[dim] for dim in SERIES.variables[name].dims], np.nan)
        for name in ("end", "entry", "log_evidence_way", "log_evidence_law")
    }
    for grain in np.flatnonzero(converts):
        own = np.flatnonzero((seen.grain == grain) & np.isfinite(seen.content).any(axis=1))
        times = change[0, own]
        if np.isfinite(times).sum() < _FEWEST:
            continue
        rest["end"][grain] = np.nanquantile(times, 0.95)
        found["begin"][:, grain] = np.nanquantile(times, 0.05)
        own = own[:: max(1, -(-len(own) // _FITTED))]
        y, x = seen.y[own], seen.x[own]
        if np.ptp(y) == 0 or np.ptp(x) == 0:
            continue
        courses = _courses(chain, seen, own, seen.time, onward=onward)
        front = fronts.fit(courses, y, x, seed=seed)
        found["begin"][:, grain] = front.start
        found["speed"][:, grain] = step * front.speed
        found["direction"][:, grain] = front.direction
        rest["entry"][grain] = front.entry
        depth = _depth_in(label == grain)[y, x]
        rest["log_evidence_way"][grain] = [
            front.log_evidence,
            fronts.log_evidence(courses, depth[:, None], seed=seed),
            fronts.log_evidence(courses, np.zeros((len(own), 0)), seed=seed),
        ]
        rest["log_evidence_law"][grain, 0] = front.log_evidence
        rest["log_evidence_law"][grain, 1] = fronts.fit(
            courses, y, x, law="parabolic", seed=seed
        ).log_evidence
        if flow in ("out", "in"):
            passed = np.maximum.accumulate((1.0 if flow == "out" else -1.0) * seen.charge, axis=1)
            by_charge = _courses(chain, seen, own, passed, onward=onward)
            rest["log_evidence_law"][grain, 2] = fronts.fit(by_charge, y, x, seed=seed).log_evidence
    return rest | {
        key: values for name in names for key, values in named_ends(name, found[name]).items()
    }


def _courses(chain: Chain, seen: Seen, own: np.ndarray, clock: np.ndarray, *, onward: bool):
    return fronts.courses(chain, seen.content[own], seen.stderr[own], clock[own], onward=onward)


def _depth_in(inside: np.ndarray) -> np.ndarray:
    """Distance of each position from the outside of a grain, the scan's edge not counted."""
    return ndimage.distance_transform_edt(np.pad(inside, 1, mode="edge"))[1:-1, 1:-1]
