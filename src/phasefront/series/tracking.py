"""What the places and grains of a series went through, from all that its scans saw."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.layouts.dimensions import named_ends
from phasefront.layouts.phases import VACUUM
from phasefront.layouts.series import SERIES
from phasefront.series import changes, fronts, histories, offset, population
from phasefront.series.aligned import Seen, field_of, see
from phasefront.series.course import Course
from phasefront.series.grain_fronts import LAWS, Current, fronts_of_grains
from phasefront.series.histories import STATES, Chain, Gaps, Histories

# Charge that passes in a series, in parts of what the log ever passes, below which none does.
_NO_CHARGE = 1e-3
# Of all charge, so much may go back before a series is said to go both ways.
_BACK = 0.02


def follow_series(
    aligned: xr.Dataset,
    phases: Mapping[str, xr.Dataset],
    grains: Mapping[str, xr.Dataset],
    times: Mapping[str, xr.Dataset],
    cycling: xr.Dataset,
    *,
    fields: Mapping[tuple[int, int], tuple[float, float]],
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
        Ion contents of the rich and of the poor phase of each two-phase field, by their numbers.
    seed
        Of draws.

    Raises
    ------
    InputError
        No second scan is aligned, or no ion content is known at any place.
    """
    order = [str(name) for name in aligned["scan"].to_numpy()]
    field = field_of(phases, list(fields))
    seen = see(aligned, phases, grains, times, field)
    _refuse_nothing(aligned, seen, order)
    course = Course.of(cycling)
    log_time, log_charge = course.elapsed, course.charge
    of_scan = {
        name: np.array([float(times[one][name].mean()) for one in order])
        for name in ("time", "voltage", "current", "charge", "dose")
    }
    flow = _flow(of_scan["charge"], log_charge)
    free = Gaps.open(len(order) - 1)
    gaps = free if flow == "none" else Gaps.of_charge(of_scan["charge"])
    chain = histories.fit(seen.content, seen.stderr, gaps, fields[field])
    smooth = histories.histories(chain, seen.content, seen.stderr, gaps)
    # Where a cause or a clock is asked for, the current must not have told already.
    open_chain, unguided = chain, smooth
    if flow != "none":
        open_chain = histories.fit(seen.content, seen.stderr, free, fields[field])
        unguided = histories.histories(open_chain, seen.content, seen.stderr, free)
    towards = -1.0 if flow == "in" else _towards(changes.moves(unguided))
    change = changes.change_times(towards * changes.moves(smooth), seen.time)
    label = grains[order[0]]["label"].to_numpy()
    step = float(grains[order[0]].attrs["scan_step_nm"])
    count = int(label.max()) + 1
    of_grain = _by_grain(seen, smooth, unguided, count)
    converts = np.abs(np.nan_to_num(of_grain["converted"][-1] - of_grain["converted"][0])) > 0.5
    of_grain |= {"converts": converts}
    first = times[order[0]].attrs
    current = Current(
        log_time, log_charge, onward=towards > 0, one_way=flow in ("out", "in"),
        clock_error_s=float(first["clock_offset_error_s"]),
    )  # fmt: skip
    fitted = fronts_of_grains(
        seen, chain, smooth, label, phases[order[0]]["decision"].to_numpy() == VACUUM,
        np.flatnonzero(converts), change, current, step=step, count=count, seed=seed,
    )  # fmt: skip
    known = of_grain["size"] > 0
    advanced = of_grain["converted"] if towards > 0 else 1.0 - of_grain["converted"]
    size = of_grain["size"].astype("f8")[known]
    advanced = advanced[:, known]
    slope, lag = population.balance(
        advanced, size, of_scan["time"], log_time, towards * log_charge, seed=seed
    )
    overlap = population.overlap(fitted["begin"][converts], fitted["end"][converts])
    asked = offset.ask_offset(
        _courses(seen, open_chain, np.flatnonzero(converts), onward=towards > 0),
        of_scan["time"], log_time, np.maximum.accumulate(towards * log_charge),
    )  # fmt: skip
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
    seen_now = np.where(np.isfinite(seen.content), changes.converted(smooth.single), np.nan)
    return {
        "converted": _means(seen, changes.converted(smooth.smooth), count),
        "converted_single": _means(seen, seen_now, count),
        **conversions(seen, unguided, count),
        "size": np.bincount(seen.grain[told], minlength=count),
    }


def conversions(seen: Seen, unguided: Histories, count: int) -> dict[str, np.ndarray]:
    """`moved` and `at_risk` (gap, grain) of SERIES, from histories that do not know the current."""
    before = changes.converted(unguided.smooth)[:, :-1]
    moved = changes.moves(unguided)
    left = before if moved.sum() < 0 else 1.0 - before
    return {"moved": _means(seen, moved, count), "at_risk": _means(seen, left, count)}


def _means(seen: Seen, values: np.ndarray, count: int) -> np.ndarray:
    """Means (column, grain) of values (place, column) over the places that say something."""
    told = np.isfinite(seen.content).any(axis=1)
    return np.stack([_mean_of(column, seen.grain[told], count) for column in values[told].T])


def _courses(
    seen: Seen, chain: Chain, grains: np.ndarray, *, onward: bool
) -> list[tuple[fronts.Courses, np.ndarray]]:
    """Courses and places (position, 2) of each of the `grains` that is seen at two or more."""
    found = []
    for grain in grains:
        own = np.flatnonzero((seen.grain == grain) & np.isfinite(seen.content).any(axis=1))
        own = own[:: max(1, -(-len(own) // offset.POSITIONS))]
        if len(own) > 1:
            values = seen.content[own], seen.stderr[own], seen.time[own]
            place = np.stack([seen.y[own], seen.x[own]], axis=1)
            courses = fronts.courses(chain, *values, onward=onward)
            found.append((courses.read_aside(seen.read[own] - place[:, None]), place))
    return found


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
