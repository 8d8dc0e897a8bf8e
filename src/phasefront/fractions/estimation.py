"""Phase fractions of a scan, with intervals for the population of grains it was taken from.

Two questions have different answers. Of the scanned area itself the fractions are known up to
wrong decisions and positions without an answer (`bound_low`, `bound_high`). Of the electrode, which
charge and powder diffraction measure, the scan is a sample of a few grains: the 95 % intervals here
are for that population, and they stay wide however many positions a grain has.

So its grains are taken for a sample of the electrode's, of which some are whole and others partial:
see `electrode`.

What is found is unfolded: simulated patterns of each phase, in the scan's own grains, say how often
it is taken for another and how often it is not decided at all (CONFUSION). Each draw weighs the
simulated grains anew, and multiplies the rates of wrong and of missing answers by errors of its
own: a simulation knows them to a factor of two.

Fractions are shares of the area, of the volume (`thickness`), or of the formula units (`molar`).
The thickness of a position shows in what is scattered between the spots, above its level in vacuum.
Volume goes as a power of that excess: 1 for a linear camera and thin crystals; a camera that
compresses (gamma 0.57) and saturating scattering take it to about 2.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.fractions import counting, electrode
from phasefront.fractions.columns import weigh_columns
from phasefront.fractions.electrode import normalised
from phasefront.fractions.unfolding import Response, unfold
from phasefront.layouts.fractions import FRACTIONS
from phasefront.layouts.phases import MIXED, UNANSWERED, UNDECIDED, UNINDEXED, VACUUM

KINDS = ("area", "thickness", "molar")
# Powers of the excess that stand for their range; chosen.
_EXPONENTS = 5
COUNTS = ("patterns", "decided", "mixed", "undecided", "unindexed", "vacuum")


def phase_fractions(
    phases: xr.Dataset,
    grains: xr.Dataset,
    confusion: xr.Dataset | None = None,
    *,
    diffuse: np.ndarray | None = None,
    ion_contents: Sequence[float],
    formula_volumes: Sequence[float],
    thickness_exponent: tuple[float, float] = (1.0, 2.0),
    draws: int = 1000,
    seed: int,
) -> xr.Dataset:
    """Count the phases of a scan.

    `found` is the share of a phase among the decided and mixed positions (a mixed one counts for
    each of its phases by its share there): of their area, of their area times thickness, and of
    formula units (over `formula_volumes`, by thickness where it is known, else by area; attribute
    `molar_weight`). `value` is unfolded. Positions outside all grains form contiguous patches that
    count as grains. Bounds treat undecided and unindexed positions
    as unknown.

    Parameters
    ----------
    phases, grains
        PHASES and GRAINS data sets of the same scan.
    confusion
        CONFUSION data set of the scan; without one, or without a grain in it, `value` is `found`.
    diffuse
        Level between the spots (y, x) (SCAN), counts. Without it, or with fewer than ten positions
        of vacuum, thickness is unknown and its fractions NaN.
    ion_contents
        Ions per formula unit of each phase, in the order of `phases`.
    formula_volumes
        Volume of a formula unit of each phase, cubic angstrom.
    thickness_exponent
        Range of the power of the excess of `diffuse` that thickness goes as; its middle for values,
        all of it for draws.
    draws, seed
        Number of draws, seed of the generator.

    Returns
    -------
    FRACTIONS data set. Without a decided position values are NaN and intervals those of the prior.

    Raises
    ------
    InputError
        The scan of `grains` or `diffuse` is not that of `phases`, `confusion` has other phases or
        grains, or a formula volume is not positive.
    """
    decision = phases["decision"].to_numpy()
    names = phases["phase"].to_numpy()
    _check_shape(grains.attrs["scan"], "grains", grains["label"].shape, decision.shape)
    exponents = np.concatenate([[0.0], np.linspace(*thickness_exponent, _EXPONENTS)])
    weight = np.full((len(exponents), *decision.shape), np.nan)
    weight[0] = 1.0
    if diffuse is not None:
        _check_shape(phases.attrs["scan"], "diffuse levels", diffuse.shape, decision.shape)
        weight[1:] = counting.relative_thickness(np.asarray(diffuse, "f8"), decision, exponents[1:])
    left = np.isin(decision, UNANSWERED)
    share = phases["share"].to_numpy().astype("f8")
    unit = counting.units_of(share, grains["label"].to_numpy())
    share = weigh_columns(phases, share, unit, np.asarray(ion_contents, "f8"))
    unit_amount = counting.unit_amounts(unit, weight, share)
    thresholds, swept_area, swept_undecided = counting.swept_area(phases, share)
    response = Response.of(confusion, grains, names, unit_amount[0].sum(axis=0))
    return estimate(
        names,
        {
            "patterns": decision.size,
            "decided": np.sum(decision >= 0),
            "mixed": np.sum(decision == MIXED),
            "undecided": np.sum(decision == UNDECIDED),
            "unindexed": np.sum(decision == UNINDEXED),
            "vacuum": np.sum(decision == VACUUM),
            "threshold": thresholds,
            "swept_area": swept_area,
            "swept_undecided": swept_undecided,
            "exponent": exponents,
            "unit_amount": unit_amount,
            "unknown_amount": weight[:, left].sum(axis=1),
            "formula_volume": np.asarray(formula_volumes, dtype="f8"),
            "phase_ion_content": np.asarray(ion_contents, dtype="f8"),
            **vars(response),
        },
        draws=draws,
        seed=seed,
        attributes={
            "scan": phases.attrs["scan"],
            "scan_step_nm": float(grains.attrs["scan_step_nm"]),
            "decide_above": float(phases.attrs["decide_above"]),
            "notes": phases.attrs["notes"],
        },
    )


def _check_shape(scan: str, what: str, found: tuple, expected: tuple) -> None:
    if found != expected:
        raise InputError(
            scan, f"{what} of {found} positions do not fit the phases of {expected}",
            remedy="give data sets of one scan",
        )  # fmt: skip


def estimate(
    names: np.ndarray, counted: dict, *, draws: int, seed: int, attributes: dict
) -> xr.Dataset:
    """FRACTIONS from what was counted, of one scan or of several together."""
    volumes, units = counted["formula_volume"], counted["unit_amount"]
    if not np.all(volumes > 0):
        raise InputError(
            attributes["scan"], "a formula volume is not positive", field="formula_volumes",
            remedy="check cell and formula_units of each phase",
        )  # fmt: skip
    simulated = Response(
        *(counted[name] for name in ("simulated_weight", "simulated_decided", "simulated"))
    )
    matrix, efficiency = simulated.mean()
    seeds = np.random.SeedSequence(seed).spawn(2)
    drawn = simulated.drawn(draws, seeds[0])

    def of_weights(chosen: np.ndarray, middle: int) -> tuple[np.ndarray, ...]:
        """Found, value, and draws, positions weighed by `chosen`."""
        if (
            not np.isfinite(units[chosen]).all()
            or not np.isfinite(counted["unknown_amount"][chosen]).all()
        ):
            nothing = np.full(len(names), np.nan)
            return nothing, nothing, np.full((draws, len(names)), np.nan)
        found = normalised(units[middle].sum(axis=0))
        sample = electrode.draw_fractions(
            list(units[chosen]), response=matrix, draws=draws, seed=seeds[1]
        )
        return found, unfold(found, matrix, efficiency), unfold(sample, *drawn)

    last = len(units)
    middle = (1 + last) // 2
    by_area = of_weights(np.array([0]), 0)
    by_thickness = of_weights(np.arange(1, last), middle)
    thick = np.isfinite(by_thickness[2]).all()
    weighed, chosen = (by_thickness, middle) if thick else (by_area, 0)
    molar = tuple(normalised(part / volumes) for part in weighed)
    found, value, sample = (
        np.stack(parts) for parts in zip(by_area, by_thickness, molar, strict=True)
    )
    both = np.stack([found, value])
    low, high = _interval(np.moveaxis(sample, 1, 0), both)
    plain = np.ones(len(names))
    bounds = np.stack(
        [
            _bounds(units[at].sum(axis=0), counted["unknown_amount"][at], own)
            for at, own in ((0, plain), (middle, plain), (chosen, volumes))
        ]
    )
    ions = counted["phase_ion_content"]
    content = both[:, 2] @ ions
    ions_low, ions_high = _interval(sample[2] @ ions, content, (ions.min(), ions.max()))
    size = units[0].sum(axis=1)
    return netcdf.build(
        FRACTIONS,
        {
            "phase": names,
            "kind": KINDS,
            "found": found,
            "value": value,
            "low": low,
            "high": high,
            "bound_low": bounds[:, 0],
            "bound_high": bounds[:, 1],
            "sample": sample,
            "ion_content": content[1],
            "ion_content_low": ions_low,
            "ion_content_high": ions_high,
            "effective_grains": _ratio(size.sum() ** 2, np.sum(size**2), empty=0.0),
            "response": matrix,
            "efficiency": efficiency,
            "condition_number": np.linalg.cond(matrix) if simulated.simulated.sum() else np.nan,
            **counted,
        },
        {**attributes, "molar_weight": "thickness" if thick else "area"},
    )


def _ratio(numerator: np.ndarray, denominator: np.ndarray, *, empty: float) -> float:
    return float(numerator / denominator) if denominator > 0 else empty


def _interval(
    sample: np.ndarray, found: np.ndarray, limits: tuple[float, float] = (0.0, 1.0)
) -> tuple[np.ndarray, np.ndarray]:
    """Ends (...) of the 95 % interval of draws (draw, ...) between limits, widened to hold what was
    found and its unfolded value (2, ...)."""
    low, high = limits
    place = (found[1] - low) / (high - low) if high > low else np.full_like(found[1], 0.5)
    ends = electrode.interval(sample, place)
    return np.fmin(ends[0], np.fmin.reduce(found)), np.fmax(ends[1], np.fmax.reduce(found))


def _bounds(area: np.ndarray, unknown: float, volumes: np.ndarray) -> np.ndarray:
    """Fraction of each phase if none, or every, unknown position has it, (2, phase).

    In the first case they have the phase whose formula units are smallest among the others.
    """
    if not np.isfinite(area).all():
        return np.full((2, len(area)), np.nan)
    amount = area / volumes
    low, high = np.empty((2, len(area)))
    for k, volume in enumerate(volumes):
        others = np.delete(volumes, k)
        elsewhere = unknown / others.min() if len(others) else 0.0
        low[k] = _ratio(amount[k], amount.sum() + elsewhere, empty=0.0)
        own = unknown / volume
        high[k] = _ratio(amount[k] + own, amount.sum() + own, empty=1.0)
    return np.stack([low, high])
