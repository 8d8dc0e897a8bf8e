"""Phase fractions of a scan, with intervals for the population of grains it was taken from.

Two questions have different answers. Of the scanned area itself the fractions are known up to
wrong decisions and positions without an answer (`bound_low`, `bound_high`). Of the electrode, which
charge and powder diffraction measure, the scan is a sample of a few grains: the 95 % intervals here
are for that population, and they stay wide however many positions a grain has.

A grain bootstrap alone is no such interval: where all grains agree it has no width, and with ten
all-or-none grains it holds the truth in four of five cases only. So grains get random weights
(Bayesian bootstrap, Rubin, Ann. Statist. 9, 130, 1981) beside half a grain of each phase (Jeffreys'
prior), whose purity follows from how much the grains differ, and the weights are spread further
where grains are few and mixed (Student's t). For all-or-none grains of equal size that is the
Jeffreys interval of a binomial share (Brown, Cai and DasGupta, Stat. Sci. 16, 101, 2001). The same
with square blocks of the grains' size in place of grains (Kunsch, Ann. Statist. 17, 1217, 1989)
asks nothing of the segmentation.

What is found is unfolded: simulated patterns of each phase, in the scan's own grains, say how often
it is taken for another and how often it is not decided at all (CONFUSION). Each draw resamples the
simulated grains, and multiplies the rates of wrong and of missing answers by errors of its own: a
simulation knows them to a factor of two.

Fractions are shares of the area, of the volume (`thickness`), or of the formula units (`molar`).
The thickness of a position shows in what is scattered between the spots, above its level in vacuum.
Volume goes as a power of that excess: 1 for a linear camera and thin crystals; a camera that
compresses (gamma 0.57) and saturating scattering take it to about 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from scipy import ndimage, optimize, special, stats

from phasefront import layouts, netcdf
from phasefront.errors import InputError

KINDS = ("area", "thickness", "molar")

_QUANTILES = (0.025, 0.975)
_COUNTS = ("patterns", "decided", "mixed", "undecided", "unindexed", "vacuum")
# Shape of the grains' gamma weights never falls below this: smaller ones add no coverage.
_SMALLEST_SHAPE = 0.25
# Standard deviation of the logarithm of true over simulated rates of wrong and missing answers.
_RATE_SPREAD = np.log(2)
_LARGEST_ERROR_RATE = 2.0
# Wrong answers are at most this share of a row in a draw, so that a response can be inverted.
_MOST_WRONG = 0.9
# Powers of the excess that stand for their range, and places of the blocks' grid.
_EXPONENTS, _ORIGINS = 5, 16
# Fewer positions of vacuum do not show its level.
_FEWEST_VACUUM = 10
_THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
# Weight of the condition that fractions add up to 1, against the residual of each.
_SUM_WEIGHT = 1e4


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
    `molar_weight`). `value` is unfolded. What is resampled are grains; positions outside all grains
    form contiguous patches that stand beside them. Bounds treat undecided and unindexed positions
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
        Number of bootstrap draws, seed of the generator.

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
        weight[1:] = _relative_thickness(np.asarray(diffuse, "f8"), decision, exponents[1:])
    left = np.isin(decision, layouts.UNANSWERED)
    share = phases["share"].to_numpy().astype("f8")
    unit = _resampled_units(share, grains["label"].to_numpy())
    unit_amount = _sums(unit, weight, share)
    size = unit_amount[0].sum(axis=1)
    side = max(1, round(float(np.sqrt(_ratio(np.sum(size**2), size.sum(), empty=1.0)))))
    thresholds, swept_area, swept_undecided = _sweep(phases, share)
    response = _Response.of(confusion, grains, names, unit_amount[0].sum(axis=0))
    return _dataset(
        names,
        {
            "patterns": decision.size,
            "decided": np.sum(decision >= 0),
            "mixed": np.sum(decision == layouts.MIXED),
            "undecided": np.sum(decision == layouts.UNDECIDED),
            "unindexed": np.sum(decision == layouts.UNINDEXED),
            "vacuum": np.sum(decision == layouts.VACUUM),
            "block_side": side,
            "threshold": thresholds,
            "swept_area": swept_area,
            "swept_undecided": swept_undecided,
            "exponent": exponents,
            "unit_amount": unit_amount,
            "block_amount": _block_amounts(side, weight, share, np.random.default_rng(seed)),
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
        },
    )


def pool_fractions(scans: Sequence[xr.Dataset], *, seed: int = 0) -> xr.Dataset:
    """Fractions of several scans together, as of one population of grains.

    Positions count by their area, the square of the scan step in units of the first scan's; equally
    where a step is unknown. Thickness is relative to each scan's mean, because scans need not be
    exposed alike; it is unknown if it is in one of them. The simulated grains are pooled too, each
    phase's with the weight of what the scans found of it.

    Parameters
    ----------
    scans
        FRACTIONS data sets, at least one, with the same phases and settings.
    seed
        Seed of the generator.

    Returns
    -------
    FRACTIONS data set with as many draws as the first has; `scan` names all of them. A single scan
    is returned as it is.

    Raises
    ------
    InputError
        The scans have different phases, or were counted or decided with different settings.
    """
    first = scans[0]
    if len(scans) == 1:
        return first
    for scan in scans:
        if list(scan["phase"].to_numpy()) != list(first["phase"].to_numpy()):
            raise InputError(
                scan.attrs["scan"], f"its phases differ from those of {first.attrs['scan']}",
                remedy="analyse all scans with the same phases",
            )  # fmt: skip
        if not all(scan[name].equals(first[name]) for name in ("exponent", "threshold")):
            raise InputError(
                scan.attrs["scan"], f"its settings differ from those of {first.attrs['scan']}",
                remedy="decide and count all scans with the same settings",
            )  # fmt: skip
    area = np.array([scan.attrs["scan_step_nm"] for scan in scans]) ** 2
    weight = area / area[0] if np.all(np.isfinite(area)) else np.ones(len(scans))

    def weighted(name: str) -> list[np.ndarray]:
        return [w * scan[name].to_numpy() for w, scan in zip(weight, scans, strict=True)]

    summed = ("swept_area", "swept_undecided", "unknown_amount")
    return _dataset(
        first["phase"].to_numpy(),
        {
            **{name: sum(int(scan[name]) for scan in scans) for name in _COUNTS},
            **{name: sum(weighted(name)) for name in summed},
            **{
                name: first[name].to_numpy()
                for name in ("threshold", "exponent", "formula_volume", "phase_ion_content")
            },
            "block_side": np.mean([float(scan["block_side"]) for scan in scans]),
            "unit_amount": np.concatenate(weighted("unit_amount"), axis=1),
            "block_amount": np.concatenate(weighted("block_amount"), axis=2),
            "simulated_weight": np.concatenate(weighted("simulated_weight")),
            **{
                name: np.concatenate([scan[name].to_numpy() for scan in scans])
                for name in ("simulated_decided", "simulated")
            },
        },
        draws=first.sizes["draw"],
        seed=seed,
        attributes={
            "scan": ", ".join(scan.attrs["scan"] for scan in scans),
            "scan_step_nm": float(first.attrs["scan_step_nm"]),
            "decide_above": float(first.attrs["decide_above"]),
        },
    )


def fraction_table(pooled: Sequence[tuple[str, str, xr.Dataset]]) -> pd.DataFrame:
    """FRACTIONS as one tidy table, a row for each kind and phase.

    `pooled` holds (level, name, FRACTIONS), level being scan, state or experiment.
    """
    columns = (
        "found", "value", "low", "high", "block_low", "block_high", "bound_low", "bound_high",
    )  # fmt: skip
    alike = (*_COUNTS, "effective_grains", "condition_number")
    return pd.DataFrame(
        [
            {
                "level": level, "name": name, "kind": str(kind), "phase": str(phase),
                **{column: found[column].to_numpy()[i, k] for column in columns},
                "efficiency": found["efficiency"].to_numpy()[k],
                **{column: found[column].item() for column in alike},
                "molar_weight": found.attrs["molar_weight"],
            }
            for level, name, found in pooled
            for i, kind in enumerate(found["kind"].to_numpy())
            for k, phase in enumerate(found["phase"].to_numpy())
        ]
    )  # fmt: skip


def resample(
    populations: Sequence[np.ndarray],
    *,
    response: np.ndarray,
    draws: int,
    seed: int | np.random.SeedSequence,
) -> np.ndarray:
    """Draws (draw, phase) of what is found of each phase in the population grains were taken from.

    Parameters
    ----------
    populations
        Amount decided for each phase in each grain, (grain, phase), any unit: one array, or several
        that are equally likely (other weights of positions, other blocks); draws go round them.
    response
        Share of each phase (row) that is decided for each phase, (phase, phase).
    draws, seed
        Number of draws, seed of the generator.

    Grain i gets a weight from a gamma distribution of shape c, each phase k that of its prior half
    grain from one of shape 1/2. A prior grain of phase k has the area of a mean grain (weighted by
    area) and the composition R + sqrt(rho) (e_k - R), with R the fractions found and rho the
    variance between grains over that of pure ones: all-or-none grains get pure prior grains,
    grains that agree get a prior like themselves.
    """
    rng = np.random.default_rng(seed)
    total = _gamma(rng, 0.5, (draws, populations[0].shape[1]))
    for number, amount in enumerate(populations):
        own = slice(number, None, len(populations))
        total[own] = _reweighted(rng, amount[amount.sum(axis=1) > 0], total[own], response)
    return _normalised(total)


def _reweighted(
    rng: np.random.Generator, amount: np.ndarray, prior: np.ndarray, response: np.ndarray
) -> np.ndarray:
    if not len(amount) or not len(prior):
        return prior
    size = amount.sum(axis=1)
    count = size.sum() ** 2 / np.sum(size**2)
    share = amount.sum(axis=0) / size.sum()
    rho = _heterogeneity(amount, share, count, response)
    own, common = np.sqrt(rho) * prior, (1 - np.sqrt(rho)) * prior.sum(axis=1, keepdims=True)
    shape = _weight_shape(rho, count)
    weight = _gamma(rng, shape, (len(prior), len(size))) / shape
    return own + common * share + weight @ (amount / (size.sum() / count))


def unfold(found: np.ndarray, response: np.ndarray, efficiency: np.ndarray) -> np.ndarray:
    """True fractions (..., phase) from those found.

    Decided positions of true phase t are shared out by row t of `response` (..., phase, phase), and
    a share `efficiency` (..., phase) of all its positions is decided. The fractions u of the
    decided minimise |found - u response| with u >= 0 and sum 1 (non-negative least squares; where
    the exact solution is non-negative it is that); the result is u / efficiency, renormalised.
    """
    found, efficiency = np.asarray(found, "f8"), np.asarray(efficiency, "f8")
    known = np.isfinite(found).all(axis=-1)
    response = np.broadcast_to(response, (*found.shape, found.shape[-1]))
    solved = np.einsum("...p,...pt->...t", found, np.linalg.pinv(response))
    for index in map(tuple, np.argwhere(known & (solved.min(axis=-1) < -1e-12))):
        matrix = np.vstack([response[index].T, np.full(found.shape[-1], _SUM_WEIGHT)])
        solved[index] = optimize.nnls(matrix, np.append(found[index], _SUM_WEIGHT))[0]
    return _normalised(np.maximum(solved, 0.0) / efficiency)


@dataclass(frozen=True)
class _Response:
    """Simulated grains: what FRACTIONS keeps of CONFUSION."""

    simulated_weight: np.ndarray  # (grain, true phase)
    simulated_decided: np.ndarray  # (grain, true phase, phase)
    simulated: np.ndarray  # (grain, true phase)

    @classmethod
    def of(
        cls, confusion: xr.Dataset | None, grains: xr.Dataset, names: np.ndarray, area: np.ndarray
    ) -> _Response:
        """Each grain weighs by its size, all grains together by the area (phase,) that was found,
        and one position, so that a phase that was not found has a response too."""
        count = len(names)
        if confusion is None:
            return cls(*(np.zeros((0, *[count] * more)) for more in (1, 2, 1)))
        if list(confusion["phase"].to_numpy()) != list(names):
            raise InputError(
                confusion.attrs["scan"], "its simulated phases are not those of the scan",
                field="phase", remedy="simulate and decide with the same phases",
            )  # fmt: skip
        label, size = confusion["grain"].to_numpy(), grains["size"].to_numpy()
        if len(label) and (label.min() < 0 or label.max() >= len(size)):
            raise InputError(
                confusion.attrs["scan"], "it names grains that the scan does not have",
                field="grain", remedy="simulate with the grains of this scan",
            )  # fmt: skip
        weight = size[label].astype("f8")
        weight = weight[:, None] / max(weight.sum(), 1.0) * (area + 1)
        return cls(weight, confusion["decided"].to_numpy(), confusion["simulated"].to_numpy())

    def mean(self) -> tuple[np.ndarray, np.ndarray]:
        """Response (phase, phase) and efficiency (phase,)."""
        response, efficiency = self._rates(np.ones((1, len(self.simulated))), added=0.0)
        return response[0], efficiency[0]

    def drawn(self, draws: int, seed) -> tuple[np.ndarray, np.ndarray]:
        """Responses (draw, phase, phase) and efficiencies (draw, phase).

        Grains get random weights, each wrong answer half a position more (Jeffreys), and each rate
        of wrong, and the odds of missing, answers a log-normal factor.
        """
        rng = np.random.default_rng(seed)
        count = self.simulated.shape[1]
        if not self.simulated.sum() > 0:
            return self._rates(np.ones((1, len(self.simulated))), added=0.0)
        # Not from a generator's own exponential, whose rejection follows roundings.
        weight = -np.log1p(-rng.random((draws, len(self.simulated))))
        response, efficiency = self._rates(weight, added=0.5)
        factor = np.exp(_RATE_SPREAD * special.ndtri(_uniform(rng, (draws, count, count + 1))))
        wrong = response * factor[..., :count] * (1 - np.eye(count))
        most = wrong.sum(axis=-1, keepdims=True)
        wrong *= np.minimum(1.0, _MOST_WRONG / np.maximum(most, 1e-12))
        response = wrong + (1 - wrong.sum(axis=-1))[..., None] * np.eye(count)
        missing = (1 - efficiency) * factor[..., count]
        return response, efficiency / (efficiency + missing)

    def _rates(self, weight: np.ndarray, added: float) -> tuple[np.ndarray, np.ndarray]:
        """Those with weights (draw, grain), and `added` positions for each wrong answer.

        A phase that was not simulated is taken to be answered right, and as often as the others.
        """
        count = self.simulated.shape[1]
        per_position = np.divide(
            self.simulated_weight, self.simulated, out=np.zeros_like(self.simulated_weight),
            where=self.simulated > 0,
        )  # fmt: skip
        decided = np.einsum("dg,gt,gtp->dtp", weight, per_position, self.simulated_decided)
        total = np.einsum("dg,gt,gt->dt", weight, per_position, self.simulated)
        one = total / np.maximum(self.simulated.sum(axis=0), 1.0)  # amount of one position
        efficiency = np.full(total.shape, np.nan)
        np.divide(decided.sum(axis=-1) + 0.5 * one, total + one, out=efficiency, where=total > 0)
        others = np.nan_to_num(efficiency).sum(axis=-1, keepdims=True)
        others = others / np.maximum((total > 0).sum(axis=-1, keepdims=True), 1)
        efficiency = np.where(total > 0, efficiency, np.where(others > 0, others, 1.0))
        decided = decided + added * one[..., None] * (1 - np.eye(count))
        response = _normalised(decided)
        return np.where(np.isfinite(response), response, np.eye(count)), efficiency


def _uniform(rng: np.random.Generator, size: tuple[int, ...]) -> np.ndarray:
    """Uniform variates that are never 0."""
    return np.maximum(rng.random(size), 1e-16)


def _gamma(rng: np.random.Generator, shape: float, size: tuple[int, int]) -> np.ndarray:
    """Gamma variates by inversion: rejection would turn a rounding of `shape` into other draws."""
    return special.gammaincinv(shape, rng.random(size))


def _heterogeneity(
    amount: np.ndarray, share: np.ndarray, count: float, response: np.ndarray
) -> float:
    """Variance of composition between grains over that of pure grains.

    One grain counted as pure is added, and so is the impurity that mistakes give to pure grains,
    twice: grains that are all alike but for mistakes must not pass for a mixture.
    """
    size = amount.sum(axis=1)
    mistakes = _LARGEST_ERROR_RATE * (1 - np.sum(response[share.argmax()] ** 2))
    pure = 1 - np.sum(share**2)
    if pure + mistakes < 1e-12:
        return 1.0
    composition = amount / size[:, None]
    between = size @ np.sum((composition - share) ** 2, axis=1) / size.sum()
    added = (pure - between) / count + mistakes
    return float(min(1.0, (between + added) / (pure + mistakes)))


def _weight_shape(rho: float, count: float) -> float:
    """Gamma shape of the weights: 1 for pure grains, less for mixed ones that are few.

    With shape c the variance of a mean over n equal grains is s^2 / (c n + 1), which is to be
    s^2 / (n - 1) times the squared ratio of Student's to the normal quantile. The prior grains
    have that effect already where grains are pure.
    """
    freedom = max(count - 1, 1.0)
    ratio = stats.norm.ppf(_QUANTILES[1]) / stats.t.ppf(_QUANTILES[1], freedom)
    mixed = np.clip(((count - 1) * ratio**2 - 1) / count, _SMALLEST_SHAPE, 1.0)
    return float(rho + (1 - rho) * mixed)


def _check_shape(scan: str, what: str, found: tuple, expected: tuple) -> None:
    if found != expected:
        raise InputError(
            scan, f"{what} of {found} positions do not fit the phases of {expected}",
            remedy="give data sets of one scan",
        )  # fmt: skip


def _relative_thickness(
    diffuse: np.ndarray, decision: np.ndarray, exponents: np.ndarray
) -> np.ndarray:
    """Thickness over its mean (exponent, y, x), NaN if unknown: each power of the excess."""
    vacuum = decision == layouts.VACUUM
    unknown = np.full((len(exponents), *decision.shape), np.nan)
    if vacuum.sum() < _FEWEST_VACUUM or vacuum.all():
        return unknown
    excess = np.maximum(diffuse - np.median(diffuse[vacuum]), 0.0)
    power = excess ** exponents[:, None, None]
    mean = power[:, ~vacuum].mean(axis=1)
    return power / mean[:, None, None] if (mean > 0).all() else unknown


def _resampled_units(share: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Number (y, x) of the grain or, after the grains, of the patch outside them; -1 where no phase
    is known. `share` (y, x, phase) is NaN there."""
    known = np.isfinite(share).all(axis=-1)
    patch, _ = ndimage.label(known & (label < 0))
    unit = np.where(label >= 0, label, label.max(initial=-1) + patch)
    return np.where(known, unit, -1)


def _sums(unit: np.ndarray, weight: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Amount (exponent, unit, phase) of each phase in units that have any; weight (exponent, y, x),
    share (y, x, phase), unit (y, x) or -1."""
    known = unit >= 0
    _, index = np.unique(unit[known], return_inverse=True)
    sums = np.zeros((index.max(initial=-1) + 1, len(weight), share.shape[-1]))
    np.add.at(sums, index, weight[:, known].T[..., None] * share[known][:, None])
    return np.moveaxis(sums, 1, 0)


def _block_amounts(
    side: int, weight: np.ndarray, share: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Amounts (origin, exponent, block, phase) in squares on grids of random origin; blocks that a
    grid does not have are 0."""
    known = np.isfinite(share).all(axis=-1)
    y, x = np.indices(known.shape)
    across = known.shape[1] // side + 2
    sums = []
    for down, right in (rng.random((_ORIGINS, 2)) * side).astype(int):
        block = (y + down) // side * across + (x + right) // side
        sums.append(_sums(np.where(known, block, -1), weight, share))
    most = max(one.shape[1] for one in sums)
    return np.stack([np.pad(one, ((0, 0), (0, most - one.shape[1]), (0, 0))) for one in sums])


def _sweep(phases: xr.Dataset, share: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Thresholds, area of each phase (threshold, phase) and undecided area at each.

    Mixed positions stay what they are, and so do those that are undecided for another reason than
    their posterior: spots unexplained, a cell of no candidate, a second lattice in doubt.
    """
    decision, limit = phases["decision"].to_numpy(), phases.attrs["decide_above"]
    posterior = np.nan_to_num(phases["posterior"].to_numpy().astype("f8"))
    sure, likeliest = posterior.max(axis=-1), np.eye(share.shape[-1])[posterior.argmax(axis=-1)]
    misfit = np.maximum(phases["cell_misfit"].to_numpy(), phases["phase_misfit"].to_numpy())
    fits = (phases["explained"].to_numpy() >= phases.attrs["min_explained"]) & ~(
        misfit > phases.attrs["max_misfit"]
    )
    by_posterior = (decision >= 0) & (sure > limit)
    open_yet = (decision == layouts.UNDECIDED) & fits & (sure <= limit)
    open_yet &= phases["second_phase"].to_numpy() < 0
    answer = np.where(open_yet[..., None], likeliest, share)
    thresholds = np.union1d(_THRESHOLDS, [limit])
    crystal = decision != layouts.VACUUM
    area, undecided = [], []
    for threshold in thresholds:
        kept = np.where(by_posterior | open_yet, sure > threshold, np.isfinite(share).all(axis=-1))
        area.append(answer[kept].sum(axis=0))
        undecided.append(np.sum(crystal & ~kept))
    return thresholds, np.array(area), np.array(undecided)


def _dataset(
    names: np.ndarray, counted: dict, *, draws: int, seed: int, attributes: dict
) -> xr.Dataset:
    """FRACTIONS from what was counted, of one scan or of several together."""
    volumes, units = counted["formula_volume"], counted["unit_amount"]
    if not np.all(volumes > 0):
        raise InputError(
            attributes["scan"], "a formula volume is not positive", field="formula_volumes",
            remedy="check cell and formula_units of each phase",
        )  # fmt: skip
    simulated = _Response(
        *(counted[name] for name in ("simulated_weight", "simulated_decided", "simulated"))
    )
    matrix, efficiency = simulated.mean()
    seeds = np.random.SeedSequence(seed).spawn(2)
    drawn = simulated.drawn(draws, seeds[0])

    def of_weights(chosen: np.ndarray, middle: int) -> tuple[np.ndarray, ...]:
        """Found, value, and draws over grains and over blocks, positions weighed by `chosen`."""
        if (
            not np.isfinite(units[chosen]).all()
            or not np.isfinite(counted["unknown_amount"][chosen]).all()
        ):
            nothing = np.full(len(names), np.nan)
            return nothing, nothing, *np.full((2, draws, len(names)), np.nan)
        found = _normalised(units[middle].sum(axis=0))
        of_grains = list(units[chosen])
        of_blocks = [one[exponent] for exponent in chosen for one in counted["block_amount"]]
        samples = [
            unfold(resample(one, response=matrix, draws=draws, seed=seeds[1]), *drawn)
            for one in (of_grains, of_blocks)
        ]
        return found, unfold(found, matrix, efficiency), *samples

    last = len(units)
    middle = (1 + last) // 2
    by_area = of_weights(np.array([0]), 0)
    by_thickness = of_weights(np.arange(1, last), middle)
    thick = np.isfinite(by_thickness[2]).all()
    weighed, chosen = (by_thickness, middle) if thick else (by_area, 0)
    molar = tuple(_normalised(part / volumes) for part in weighed)
    found, value, sample, blocks = (
        np.stack(parts) for parts in zip(by_area, by_thickness, molar, strict=True)
    )
    both = np.stack([found, value], axis=1)
    low, high = _interval(sample, both)
    block_low, block_high = _interval(blocks, both)
    plain = np.ones(len(names))
    bounds = np.stack(
        [
            _bounds(units[at].sum(axis=0), counted["unknown_amount"][at], own)
            for at, own in ((0, plain), (middle, plain), (chosen, volumes))
        ]
    )
    ions = counted["phase_ion_content"]
    content = both[2] @ ions
    ions_low, ions_high = _interval((sample[2] @ ions)[:, None], content[:, None])
    size = units[0].sum(axis=1)
    return netcdf.build(
        layouts.FRACTIONS,
        {
            "phase": names,
            "kind": KINDS,
            "found": found,
            "value": value,
            "low": low,
            "high": high,
            "block_low": block_low,
            "block_high": block_high,
            "bound_low": bounds[:, 0],
            "bound_high": bounds[:, 1],
            "sample": sample,
            "ion_content": content[1],
            "ion_content_low": ions_low[0],
            "ion_content_high": ions_high[0],
            "effective_grains": _ratio(size.sum() ** 2, np.sum(size**2), empty=0.0),
            "response": matrix,
            "efficiency": efficiency,
            "condition_number": np.linalg.cond(matrix) if simulated.simulated.sum() else np.nan,
            **counted,
        },
        {**attributes, "molar_weight": "thickness" if thick else "area"},
    )


def _normalised(amount: np.ndarray) -> np.ndarray:
    """Shares along the last axis; NaN where there is nothing."""
    total = amount.sum(axis=-1, keepdims=True)
    return np.divide(amount, total, out=np.full(amount.shape, np.nan), where=total > 0)


def _ratio(numerator: np.ndarray, denominator: np.ndarray, *, empty: float) -> float:
    return float(numerator / denominator) if denominator > 0 else empty


def _interval(sample: np.ndarray, found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the 95 % interval over axis -2 of the draws, widened to hold all that was found."""
    low, high = np.quantile(sample, _QUANTILES, axis=-2)
    return np.fmin(low, np.fmin.reduce(found, axis=-2)), np.fmax(
        high, np.fmax.reduce(found, axis=-2)
    )


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
