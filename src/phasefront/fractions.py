"""Phase fractions of a scan, with intervals for the population of grains it was taken from.

Two questions have different answers. Of the scanned area itself the fractions are known up to
wrong decisions and undecided positions (`bound_low`, `bound_high`). Of the electrode, which charge
and powder diffraction measure, the scan is a sample of a few grains: the 95 % intervals here are
for that population, and they stay wide however many positions a grain has.

A grain bootstrap alone is no such interval: where all grains agree it has no width, and with ten
all-or-none grains it holds the truth in four of five cases only. So grains get random weights
(Bayesian bootstrap, Rubin, Ann. Statist. 9, 130, 1981) beside half a grain of each phase (Jeffreys'
prior), whose purity follows from how much the grains differ, and the weights are spread further
where grains are few and mixed (Student's t). For all-or-none grains of equal size that is the
Jeffreys interval of a binomial share (Brown, Cai and DasGupta, Stat. Sci. 16, 101, 2001).

Wrong decisions matter where a phase is rare: one in a hundred makes a pure scan look mixed. The
draws are unfolded by error rates that the posteriors imply, which are taken to be right within a
factor of two, and intervals hold what twice these rates make of the fractions found.

On simulated populations (pure, all-or-none, straight fronts, core-shell; 3 to 30 grains; good and
bad decisions) 0.91 to 1.00 of the intervals hold the truth, 0.965 on average:
tests/unit/test_fractions.py measures it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from scipy import ndimage, special, stats

from phasefront import layouts, netcdf
from phasefront.errors import InputError

KINDS = ("area", "molar")

_QUANTILES = (0.025, 0.975)
# Shape of the grains' gamma weights never falls below this: smaller ones add no coverage.
_SMALLEST_SHAPE = 0.25
# Standard deviation of the logarithm of true over implied error rates.
_ERROR_RATE_SPREAD = np.log(2)
_LARGEST_ERROR_RATE = 2.0


def phase_fractions(
    phases: xr.Dataset,
    grains: xr.Dataset,
    *,
    ion_contents: Sequence[float],
    formula_volumes: Sequence[float],
    draws: int = 1000,
    seed: int,
) -> xr.Dataset:
    """Count the phases of a scan.

    The fraction of a phase is its share of the decided and mixed positions (area; a mixed one
    counts for each of its phases by its share there), or of formula units if thickness is the same
    everywhere (molar: area over `formula_volumes`, renormalised). What is resampled are grains,
    each with these positions; those outside all grains form contiguous patches that stand beside
    them. Bounds treat undecided positions only as unknown.

    Parameters
    ----------
    phases, grains
        PHASES and GRAINS data sets of the same scan.
    ion_contents
        Ions per formula unit of each phase, in the order of `phases`.
    formula_volumes
        Volume of a formula unit of each phase, cubic angstrom.
    draws, seed
        Number of bootstrap draws, seed of the generator.

    Returns
    -------
    FRACTIONS data set. Without a decided position values are NaN and intervals those of the prior.

    Raises
    ------
    InputError
        The scan of `grains` is not that of `phases`, or a formula volume is not positive.
    """
    if phases["decision"].shape != grains["label"].shape:
        raise InputError(
            grains.attrs["scan"],
            f"grains of {grains['label'].shape} positions do not fit the phases of "
            f"{phases['decision'].shape}", remedy="give phases and grains of one scan",
        )  # fmt: skip
    decision = phases["decision"].values
    units = _resampled_units(phases["share"].values, grains["label"].values)
    return _dataset(
        phases["phase"].values,
        units,
        posterior_sum=_posterior_sum(decision, phases["posterior"].values),
        undecided_area=float(np.sum(decision == layouts.UNDECIDED)),
        counts={
            "patterns": decision.size,
            "decided": np.sum(decision >= 0),
            "mixed": np.sum(decision == layouts.MIXED),
            "undecided": np.sum(decision == layouts.UNDECIDED),
            "vacuum": np.sum(decision == layouts.VACUUM),
        },
        ion_contents=np.asarray(ion_contents, dtype="f8"),
        formula_volumes=np.asarray(formula_volumes, dtype="f8"),
        draws=draws,
        seed=seed,
        attributes={
            "scan": phases.attrs["scan"],
            "scan_step_nm": float(grains.attrs["scan_step_nm"]),
        },
    )


def pool_fractions(scans: Sequence[xr.Dataset], *, seed: int = 0) -> xr.Dataset:
    """Fractions of several scans of one state together, as of one population of grains.

    Positions count by their area, the square of the scan step in units of the first scan's; equally
    where a step is unknown.

    Parameters
    ----------
    scans
        FRACTIONS data sets, at least one, with the same phases.
    seed
        Seed of the generator.

    Returns
    -------
    FRACTIONS data set with as many draws as the first has; `scan` names all of them. A single scan
    is returned as it is.

    Raises
    ------
    InputError
        The scans have different phases.
    """
    first = scans[0]
    if len(scans) == 1:
        return first
    for scan in scans:
        if list(scan["phase"].values) != list(first["phase"].values):
            raise InputError(
                scan.attrs["scan"], f"its phases differ from those of {first.attrs['scan']}",
                remedy="analyse all scans with the same phases",
            )  # fmt: skip
    area = np.array([scan.attrs["scan_step_nm"] for scan in scans]) ** 2
    weight = area / area[0] if np.all(np.isfinite(area)) else np.ones(len(scans))
    counts = ("patterns", "decided", "mixed", "undecided", "vacuum")
    return _dataset(
        first["phase"].values,
        np.concatenate([w * s["grain_area"].values for w, s in zip(weight, scans, strict=True)]),
        posterior_sum=sum(
            w * scan["posterior_sum"].values for w, scan in zip(weight, scans, strict=True)
        ),
        undecided_area=sum(w * float(s["undecided"]) for w, s in zip(weight, scans, strict=True)),
        counts={name: sum(int(scan[name]) for scan in scans) for name in counts},
        ion_contents=first["phase_ion_content"].values,
        formula_volumes=first["formula_volume"].values,
        draws=first.sizes["draw"],
        seed=seed,
        attributes={
            "scan": ", ".join(scan.attrs["scan"] for scan in scans),
            "scan_step_nm": float(first.attrs["scan_step_nm"]),
        },
    )


def resample(grain_area: np.ndarray, *, confusion: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """Draws (draw, phase) of the area fractions of the population that grains were taken from.

    Parameters
    ----------
    grain_area
        Area decided for each phase in each grain, (grain, phase), any unit.
    confusion
        Share of each phase (row) that is decided for each phase, (phase, phase).
    draws, seed
        Number of draws, seed of the generator.

    Grain i gets a weight from a gamma distribution of shape c, each phase k that of its prior half
    grain from one of shape 1/2. A prior grain of phase k has the area of a mean grain (weighted by
    area) and the composition R + sqrt(rho) (e_k - R), with R the fractions found and rho the
    variance between grains over that of pure ones: all-or-none grains get pure prior grains,
    grains that agree get a prior like themselves. Each draw is then unfolded with error rates of
    its own, log-normal about those of `confusion`.
    """
    rng = np.random.default_rng(seed)
    area = grain_area.sum(axis=1)
    total = _gamma(rng, 0.5, (draws, grain_area.shape[1]))
    if len(area):
        count = area.sum() ** 2 / np.sum(area**2)
        share = grain_area.sum(axis=0) / area.sum()
        rho = _heterogeneity(grain_area, share, count, confusion)
        own, common = np.sqrt(rho) * total, (1 - np.sqrt(rho)) * total.sum(axis=1, keepdims=True)
        shape = _weight_shape(rho, count)
        weight = _gamma(rng, shape, (draws, len(area))) / shape
        total = own + common * share + weight @ (grain_area / (area.sum() / count))
    strength = np.exp(_ERROR_RATE_SPREAD * rng.standard_normal((draws, 1)))
    return unfold(_normalised(total), confusion, strength)


def unfold(
    fractions: np.ndarray, confusion: np.ndarray, strength: float | np.ndarray = 1.0
) -> np.ndarray:
    """Fractions (..., phase) freed of wrong decisions.

    With f = F C for true fractions F and a confusion matrix C, the result is f - strength (f -
    f C^-1), cut at 0 and renormalised; a strength of 2 doubles the error rates.
    """
    excess = fractions - fractions @ np.linalg.inv(confusion)
    return _normalised(np.maximum(fractions - strength * excess, 0.0))


def confusion_matrix(posterior_sum: np.ndarray) -> np.ndarray:
    """Share of the decided positions of each phase (row) that are decided for each phase.

    `posterior_sum` (phase, phase) holds the posteriors of all phases summed over the positions
    decided for one (row). The rate of mistakes between two phases is the mean posterior of the one
    where the other was decided; a scan cannot tell the two directions apart.
    """
    decided = posterior_sum.sum(axis=1)
    wrong = posterior_sum + posterior_sum.T
    both = decided[:, None] + decided
    rate = np.divide(wrong, both, out=np.zeros_like(wrong), where=both > 0)
    np.fill_diagonal(rate, 0.0)
    return rate + np.diag(1 - rate.sum(axis=1))


def _gamma(rng: np.random.Generator, shape: float, size: tuple[int, int]) -> np.ndarray:
    """Gamma variates by inversion: rejection would turn a rounding of `shape` into other draws."""
    return special.gammaincinv(shape, rng.random(size))


def _posterior_sum(decision: np.ndarray, posterior: np.ndarray) -> np.ndarray:
    return np.array(
        [posterior[decision == k].sum(axis=0, dtype="f8") for k in range(posterior.shape[-1])]
    )


def _heterogeneity(
    grain_area: np.ndarray, share: np.ndarray, count: float, confusion: np.ndarray
) -> float:
    """Variance of composition between grains over that of pure grains.

    One grain counted as pure is added, and so is the impurity that mistakes give to pure grains,
    twice: grains that are all alike but for mistakes must not pass for a mixture.
    """
    area = grain_area.sum(axis=1)
    mistakes = _LARGEST_ERROR_RATE * (1 - np.sum(confusion[share.argmax()] ** 2))
    pure = 1 - np.sum(share**2)
    if pure + mistakes < 1e-12:
        return 1.0
    composition = grain_area / area[:, None]
    between = area @ np.sum((composition - share) ** 2, axis=1) / area.sum()
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


def _resampled_units(share: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Area (unit, phase) of each phase in grains and, after them, in patches outside all grains.

    `share` (y, x, phase) is NaN where no phase is known.
    """
    known = np.isfinite(share).all(axis=-1)
    patch, count = ndimage.label(known & (label < 0))
    grains = label.max(initial=-1) + 1
    unit = np.where(label >= 0, label, grains + patch - 1)[known]
    units = np.zeros((grains + count, share.shape[-1]))
    np.add.at(units, unit, share[known].astype("f8"))
    return units[units.sum(axis=1) > 0]


def _dataset(
    names: np.ndarray,
    grain_area: np.ndarray,
    *,
    posterior_sum: np.ndarray,
    undecided_area: float,
    counts: dict[str, int],
    ion_contents: np.ndarray,
    formula_volumes: np.ndarray,
    draws: int,
    seed: int,
    attributes: dict,
) -> xr.Dataset:
    if not np.all(formula_volumes > 0):
        raise InputError(
            attributes["scan"], "a formula volume is not positive", field="formula_volumes",
            remedy="check cell and formula_units of each phase",
        )  # fmt: skip
    area = grain_area.sum(axis=0)
    confusion = confusion_matrix(posterior_sum)
    value = _normalised(area)
    found = np.stack([value, unfold(value, confusion, _LARGEST_ERROR_RATE)])
    sample = resample(grain_area, confusion=confusion, draws=draws, seed=seed)
    found, sample = (np.stack([f, _normalised(f / formula_volumes)]) for f in (found, sample))
    value = found[:, 0]
    low, high = _interval(sample, found)
    bounds = np.stack(
        [
            _bounds(area, undecided_area, np.ones_like(area)),
            _bounds(area, undecided_area, formula_volumes),
        ]
    )
    ions, ions_found = sample[1] @ ion_contents, found[1] @ ion_contents
    ions_low, ions_high = _interval(ions[:, None], ions_found[:, None])
    per_grain = grain_area.sum(axis=1)
    return netcdf.build(
        layouts.FRACTIONS,
        {
            "phase": names,
            "kind": KINDS,
            "value": value,
            "low": low,
            "high": high,
            "bound_low": bounds[:, 0],
            "bound_high": bounds[:, 1],
            "sample": sample,
            "ion_content": ions_found[0],
            "ion_content_low": ions_low[0],
            "ion_content_high": ions_high[0],
            **counts,
            "effective_grains": _ratio(per_grain.sum() ** 2, np.sum(per_grain**2), empty=0.0),
            "grain_area": grain_area,
            "posterior_sum": posterior_sum,
            "formula_volume": formula_volumes,
            "phase_ion_content": ion_contents,
        },
        attributes,
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


def _bounds(area: np.ndarray, undecided: float, volumes: np.ndarray) -> np.ndarray:
    """Fraction of each phase if none, or every, undecided position has it, (2, phase).

    In the first case they have the phase whose formula units are smallest among the others.
    """
    amount = area / volumes
    low, high = np.empty((2, len(area)))
    for k, volume in enumerate(volumes):
        others = np.delete(volumes, k)
        elsewhere = undecided / others.min() if len(others) else 0.0
        low[k] = _ratio(amount[k], amount.sum() + elsewhere, empty=0.0)
        own = undecided / volume
        high[k] = _ratio(amount[k] + own, amount.sum() + own, empty=1.0)
    return np.stack([low, high])
