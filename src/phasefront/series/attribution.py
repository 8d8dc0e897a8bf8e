"""Is it the charge or the beam? What converts, against charge passed and dose, in all series.

In a single monotonic charge dose and charge grow together and nothing can be told; a control does:
a region that is scanned as much while no current flows. What its grains convert is the beam's, by
whatever law that goes with the dose, and the rest of what the series' grains convert is the
charge's. Grains are the units, however many positions they have, since positions of one follow
each other: by how much grains differ says how well their mean is known.

Without a control only gaps in which charge stands still under the beam, or other series, tell
anything. Then each share of a grain that converts between two scans is an event of a rate that has
two parts: one goes with the charge that passes, one with the dose, above one that is not known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr
from scipy.special import logsumexp

from phasefront.core.statistics import Interval

# Rates of the whole charge, or dose, of the series: from hardly any to all many times over; log
# spacing, with a prior even in the square root (Jeffreys' of a Poisson rate).
_RATES = np.exp(np.linspace(np.log(1e-3), np.log(30.0), 90))
# Doses below which the beam does nothing, in parts of the largest: none is known for a material.
_THRESHOLDS = np.linspace(0.0, 0.9, 10)
# Less of the grains' area than this is nothing that would need a cause: errors make as much.
_LEAST_CONVERTED = 0.02
# Share of a grain that converts in a gap for neither cause: misread positions.
_LEAST_RATE = 1e-3
# A threshold whose evidence is so far below the best one's, as a logarithm, is not possible.
_IMPOSSIBLE = 3.0
# More than half of what converts is called the cause.
_HALF = 0.5
# A control that got this part of the series' dose got all of it.
_AS_MUCH = 0.999
# Draws of how grains weigh: ends of intervals are known to a percent or so.
_DRAWS = 4000
# Fewer grains, of the series or of its controls, do not tell their own scatter: of drawn series of
# 24 grains, two in the control, in which both causes did half, up to 17 % were said to be of one.
_FEWEST = 4


class Attribution(NamedTuple):
    """How much of what converted in a series the beam did."""

    by_beam: Interval  # share; NaN where dose is not stated or nothing converts
    correlation: float  # of dose with charge passed, over the scans of the series
    controls: list[str]  # series that tell the beam from the charge
    verdict: str  # charge, beam, cannot be told or nothing converts
    reason: str


def attribute(series: str, all_series: Mapping[str, xr.Dataset]) -> Attribution:
    """Judge one of some series (SERIES data sets by name), which are of one cell and material.

    A series is a control if charge and dose do not grow together in it: without current, or with
    rests under the beam.
    """
    own = all_series[series]
    out = _sign(own)
    dose, charge = own["dose"].to_numpy(), own["charge"].to_numpy()
    correlation = _correlation(dose, charge)
    converted = float((np.maximum(out * own["moved"].to_numpy(), 0.0)).sum(axis=0).mean())
    controls = [name for name, one in all_series.items() if name != series and _is_control(one)]
    nothing = np.full(3, np.nan)
    if not np.isfinite(dose).all():
        return Attribution(
            nothing, correlation, controls, "cannot be told",
            "electrons_per_position or the step is not stated, so the dose is not known",
        )  # fmt: skip
    if converted < _LEAST_CONVERTED:
        return Attribution(nothing, correlation, controls, "nothing converts", "")
    if own.attrs["flow"] == "none":
        return Attribution(
            np.ones(3), correlation, controls, "beam",
            "it converts while no charge passes, so charge is not the cause",
        )  # fmt: skip
    by_beam = (
        _against_controls(own, [all_series[name] for name in controls])
        if controls
        else _share_by_beam(series, all_series)
    )
    value, low, high = by_beam
    told = f"the beam did {value:.2f} of it ({low:.2f} to {high:.2f})"
    if _disagree({name: all_series[name] for name in controls}, own):
        verdict, reason = "cannot be told", f"{told}, but the controls do not agree with each other"
    elif high < _HALF:
        verdict, reason = "charge", told
    elif low > _HALF:
        verdict, reason = "beam", told
    else:
        missing = ", and no control was scanned without current"
        if controls:
            missing = f"; controls tell a cause where {_FEWEST} grains or more of each can convert"
        verdict = "cannot be told"
        reason = f"{told}; dose and charge are correlated by {correlation:.2f}{missing}"
    return Attribution(by_beam, correlation, controls, verdict, reason)


def _disagree(controls: Mapping[str, xr.Dataset], own: xr.Dataset) -> bool:
    """Whether two controls, each alone beside the series, leave shares that exclude each other."""
    if len(controls) < 2:
        return False
    alone = [_against_controls(own, [one]) for one in controls.values()]
    return max(low for _, low, _ in alone) > min(high for _, _, high in alone)


def _sign(one: xr.Dataset) -> float:
    """1 where grains go from rich to poor on the whole, -1 where back."""
    return 1.0 if float(one["moved"].sum()) >= 0 else -1.0


def _correlation(dose: np.ndarray, charge: np.ndarray) -> float:
    if np.ptp(charge) == 0 or not np.ptp(dose) > 0:
        return float("nan")
    return float(np.corrcoef(dose, charge)[0, 1])


def _is_control(one: xr.Dataset) -> bool:
    return one.attrs["flow"] == "none" and bool(np.isfinite(one["dose"].to_numpy()).all())


def _against_controls(own: xr.Dataset, controls: Sequence[xr.Dataset]) -> Interval:
    """Posterior of the share that the beam did: median and 95 % interval.

    What the beam alone would convert of those grains of the series that had not yet, at each dose,
    is the share that then converts of the controls' grains that had not: expected over observed, as
    in a standardised ratio (Breslow et al., J. Am. Stat. Assoc. 78, 1, 1983). What converts beyond
    the controls' dose may be either's. Too few grains tell nothing.
    """
    rng = np.random.default_rng(0)
    sign, dose = _sign(own), own["dose"].to_numpy()
    most = [float(one["dose"].max()) for one in controls]
    common = min(dose[-1], max(most)) * _AS_MUCH
    as_much = [one for one, end in zip(controls, most, strict=True) if end >= common]
    left = _left(own, sign, dose)
    beside = np.concatenate([_left(one, sign, dose) for one in as_much])
    if min(len(left), len(beside)) < _FEWEST:
        return np.array([_HALF, 0.0, 1.0])
    able, converting = _drawn(rng, left)
    able_beside, converting_beside = _drawn(rng, beside)
    known = dose[1:] <= common / _AS_MUCH**2
    whole, until = converting.sum(axis=1), converting[:, known].sum(axis=1)
    expected = (able * converting_beside / able_beside)[:, known].sum(axis=1)
    expected = np.minimum(expected, until) / whole
    value, low = np.quantile(expected, [0.5, 0.025])
    return np.array([value, low, np.quantile(expected + (whole - until) / whole, 0.975)])


def _left(one: xr.Dataset, sign: float, dose: np.ndarray) -> np.ndarray:
    """Share (grain, scan) of what can convert that has not yet at each dose, of grains that can."""
    first = one["at_risk"].to_numpy()[0]
    moved = np.cumsum(sign * one["moved"].to_numpy(), axis=0)
    able = np.isfinite(moved[-1]) & (first > _HALF)
    done = np.clip(np.maximum.accumulate(moved[:, able], axis=0) / first[able], 0.0, 1.0)
    own_dose = one["dose"].to_numpy()
    return np.array([1.0 - np.interp(dose, own_dose, [0.0, *grain]) for grain in done.T])


def _drawn(rng: np.random.Generator, left: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shares (draw, gap) of grains that have not converted, and of those that then do.

    The Bayesian bootstrap of grains (Rubin, Ann. Stat. 9, 130, 1981), with half a grain that
    converts evenly, and half a one that never does, beside those that were seen: where grains
    convert wholly or not at all, the share that does has Jeffreys' posterior of a proportion.
    """
    scans = left.shape[1]
    weight = rng.dirichlet(np.append(np.ones(len(left)), [0.5, 0.5]), _DRAWS)
    able = weight @ np.concatenate([left, [np.linspace(1.0, 0.0, scans), np.ones(scans)]])
    return able[:, :-1], -np.diff(able, axis=1)


def _share_by_beam(series: str, all_series: Mapping[str, xr.Dataset]) -> Interval:
    """Posterior of the share that the beam did: median and 95 % interval, whose ends are those of
    any threshold that the series leave possible, since a prior of thresholds would decide."""
    own = all_series[series]
    sign = _sign(own)
    all_charge = _passed(own).sum()
    all_dose = float(own["dose"].max())
    events, risk, charge, dose, reached = [], [], [], [], []
    for one in all_series.values():
        of_scan = one["dose"].to_numpy()
        if not np.isfinite(of_scan).all():
            continue
        moved = np.maximum(sign * one["moved"].to_numpy(), 0.0)
        events.append(moved.ravel())
        risk.append(np.clip(one["at_risk"].to_numpy(), 0.0, 1.0).ravel())
        grains = moved.shape[1]
        charge.append(np.repeat(_passed(one) / max(all_charge, 1e-300), grains))
        dose.append(np.repeat(np.diff(of_scan) / all_dose, grains))
        reached.append(np.repeat(of_scan[1:] / all_dose, grains))
    events, risk, charge, dose, reached = map(np.concatenate, (events, risk, charge, dose, reached))
    own_dose = own["dose"].to_numpy() / all_dose
    told = []
    by_charge, by_dose = _RATES[:, None], _RATES[None, :]
    for threshold in _THRESHOLDS:
        above = np.where(reached > threshold, dose, 0.0)
        log_likelihood = np.zeros((len(_RATES), len(_RATES)))
        # Gaps with the same charge and dose are one.
        pairs, which = np.unique(np.stack([charge, above]), axis=1, return_inverse=True)
        counts = np.bincount(which.ravel(), events)
        risks = np.bincount(which.ravel(), risk)
        for (q, d), count, at_risk in zip(pairs.T, counts, risks, strict=True):
            rate = by_charge * q + by_dose * d + _LEAST_RATE
            log_likelihood += count * np.log(rate) - at_risk * rate
        own_above = np.diff(own_dose)[own_dose[1:] > threshold].sum()
        beam = by_dose * own_above
        log_posterior = log_likelihood + 0.5 * (np.log(by_charge) + np.log(by_dose))
        told.append(
            (logsumexp(log_posterior), _quantiles(beam / (beam + by_charge), log_posterior))
        )
    evidence = np.array([one for one, _ in told])
    intervals = np.array([interval for _, interval in told])
    possible = evidence > evidence.max() - _IMPOSSIBLE
    median = np.average(intervals[:, 0], weights=np.exp(evidence - evidence.max()))
    return np.array([median, intervals[possible, 1].min(), intervals[possible, 2].max()])


def _quantiles(values: np.ndarray, log_weight: np.ndarray) -> np.ndarray:
    """Weighted median and ends of the 95 % interval."""
    order = np.argsort(values, axis=None, kind="stable")
    weight = np.exp(log_weight - log_weight.max()).ravel()[order]
    below = np.cumsum(weight) / weight.sum()
    return np.interp([0.5, 0.025, 0.975], below, values.ravel()[order])


def _passed(one: xr.Dataset) -> np.ndarray:
    """Charge (gap,) that passes the way that the series goes."""
    return np.maximum(np.diff(one["charge"].to_numpy()) * _way(one), 0.0)


def _way(one: xr.Dataset) -> float:
    return -1.0 if one.attrs["flow"] == "in" else 1.0
