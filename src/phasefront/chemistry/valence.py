"""Mean valence at every position of an X-ray stack, from reference spectra."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy import optimize
from threadpoolctl import threadpool_limits

from phasefront.chemistry.fitted import FittedSpectra, by_terms
from phasefront.chemistry.misfit import mean_spectrum, noise_scale, of_references
from phasefront.chemistry.references import References
from phasefront.chemistry.spectral_fit import Fits, fit, terms_of, valences_of
from phasefront.core.errors import InputError
from phasefront.layouts.chemistry import Told

# Standard errors by which the edge must stand out of noise where there is any sample.
_SEEN = 5.0  # chosen
_ALIKE = 0.999  # correlation of references that no noise level of a microscope tells apart; chosen
_START_BROADENING = 0.1  # eV
# eV: less cannot be told from none; and as far apart are the ends of a slope.
_LEAST_BROADENING, _SLOPE_STEP = 0.03, 0.02
_MOST_BROADENING = 1.0  # eV: more would be another beamline's, whose references say nothing here
_SHIFT_STEP = 0.1  # eV, between first tries: narrower than any line
# A misfit that says that references are not the sample's; and what share of the references' range
# of valences a change with thickness must be to be told of. Chosen.
_BAD_FIT, _TREND = 2.0, 0.1
_THRESHOLD_OFF = 1.0  # eV, at most: thresholds lie beneath the lines, where none shows them
# Standard deviation of what may lie anywhere between two ends, in parts of their distance.
_EVEN = 1 / np.sqrt(12)
_FEWEST = 20  # positions in a third, to compare means of thirds


@dataclass(frozen=True)
class Valence:
    """Mean valence of each position, what it is worth, and the amount of absorbing atoms.

    Arrays are (y, x); NaN where `told` is not `Told.TOLD`, but for `thickness`. `spectra` are what
    it was fitted to, in optical density.
    """

    value: np.ndarray
    standard_error: np.ndarray
    systematic_error: np.ndarray
    thickness: np.ndarray
    thickness_stderr: np.ndarray
    told: np.ndarray
    misfit: np.ndarray
    shift: float
    shift_error: float
    broadening: float
    correlation: float
    warnings: tuple[str, ...]
    spectra: FittedSpectra


class _Spectra:
    """Spectra (energy, position) with variances inf where they are left out, corrected for light
    that no sample takes away."""

    def __init__(self, density: xr.Dataset, inside: np.ndarray):
        number = int(inside.sum())
        self.energy = density["energy"].values[inside]
        measured = density["optical_density"].values.astype(float)[inside]
        variance = density["variance"].values.astype(float)[inside]
        saturated = density["saturated"].values[inside] == 1
        self.shape = measured.shape[1:]
        self.measured = measured.reshape(number, -1)
        self.variance = np.where(saturated, np.inf, variance).reshape(number, -1)

    def corrected(self, stray: float) -> np.ndarray:
        """Densities if a share of the light were stray; NaN where more was seen to be missing."""
        through = (np.exp(-self.measured) - stray) / (1 - stray)
        return -np.log(np.where(through > 0, through, np.nan))


def fit_valence(
    density: xr.Dataset,
    references: References,
    *,
    fit_ev: tuple[float, float] | None,
    max_shift_ev: float,
    max_error: float,
) -> Valence:
    """Mean valence from a weighted fit of references and background to every position's spectrum.

    Amplitudes may be negative, so that means over positions are not biased (Lerotic et al.,
    Ultramicroscopy 100, 35, 2004, fit likewise). Of several references only the mean valence is
    told: their shares are not, where spectra are alike.

    References are moved and blurred, all alike, as the mean spectrum asks. Stray light is taken as
    half of `density.stray_share`. The systematic error holds: the error of that shift and blur;
    stray light anywhere between none and all; thresholds up to an eV aside; and how far what
    references leave of mean spectra pulls at the valence, where they do not describe the sample.
    The standard error has noise alone.

    Parameters
    ----------
    fit_ev
        Energies that are fitted, eV; without, those where the stack and all references are.
    max_shift_ev
        How far energy scales of references and stack may lie apart.
    max_error
        Positions whose standard error is larger are not told.

    Raises
    ------
    InputError
        References that do not cover the energies, too few energies, references too much alike, no
        position with an edge, or references that fit only when moved too far.
    """
    source = density.attrs["stack"]
    inside = _range(density["energy"].values, references, fit_ev, max_shift_ev, source)
    spectra = _Spectra(density, inside)
    stray = float(density.attrs["stray_share"])
    values = spectra.corrected(stray / 2)
    known = len(references.names)
    terms = terms_of(spectra.energy, references, shift=0.0, broadening=0.0)
    alike, (one, other) = most_alike(terms, known)
    if alike > _ALIKE:
        raise InputError(
            source, f"the references {references.names[one]} and {references.names[other]}"
            f" correlate by {alike:.4f} where they are fitted: valence is not told",
            field="chemistry.references", remedy="widen chemistry.fit_ev, or give other references",
        )  # fmt: skip

    first = _fit(spectra, values, spectra.variance, references, 0.0, _START_BROADENING)
    seen = _seen(first, known)
    if not seen.any():
        raise InputError(
            source, "no position shows the references' edge", field="chemistry.references",
            remedy="give references of the edge that was measured, or correct chemistry.fit_ev",
        )  # fmt: skip
    kept, mean, mean_variance = mean_spectrum(values, spectra.variance, seen)
    with threadpool_limits(1, user_api="blas"):  # sums in one order, whatever the cores
        shift, broadening, covariance = _place(
            spectra.energy[kept], mean, mean_variance, references, max_shift_ev, source
        )
    first = _fit(spectra, values, spectra.variance, references, shift, broadening)
    variance = _of_the_model(spectra, first, references, shift, broadening)
    fits = _fit(spectra, values, variance, references, shift, broadening)
    value, stderr = valences_of(fits, references.valences)
    told = np.full(len(value), Told.TOLD)
    told[~_seen(fits, known)] = Told.THIN
    told[~np.isfinite(value)] = Told.SATURATED
    told[np.isnan(spectra.measured).all(axis=0)] = Told.OUTSIDE
    terms = terms_of(spectra.energy, references, shift=shift, broadening=broadening)
    good = told == Told.TOLD
    scale = noise_scale(values, variance, terms, fits, known, good) if good.any() else 1.0
    stderr = stderr * scale
    told[good & ~(stderr <= max_error)] = Told.UNCERTAIN
    good = told == Told.TOLD
    if not good.any():
        raise InputError(
            source, f"no position tells its valence to {max_error:g}", field="chemistry.max_error",
            remedy="take spectra with more light or of thinner grains, or allow a larger error",
        )  # fmt: skip

    def again(shift: float, broadening: float, stray: float, moved: float = 0.0) -> np.ndarray:
        terms = terms_of(
            spectra.energy, references, shift=shift, broadening=broadening, threshold_shift=moved
        )
        return valences_of(fit(spectra.corrected(stray), variance, terms), references.valences)[0]

    parts = [
        (again(*above, stray / 2) - again(*below, stray / 2)) / 2
        for above, below in _ends(shift, broadening, covariance)
    ]
    parts.append((again(shift, broadening, 0.0) - again(shift, broadening, stray)) * _EVEN)
    if references.thresholds:
        ends = [
            again(shift, broadening, stray / 2, moved)
            for moved in (-_THRESHOLD_OFF, _THRESHOLD_OFF)
        ]
        parts.append((ends[1] - ends[0]) * _EVEN)
    parts.append(of_references(values, variance, terms, references.valences, value, good))
    systematic = np.sqrt(np.sum(np.square(np.nan_to_num(parts)), axis=0))
    low = (spectra.energy[0] - spectra.energy.mean()) / np.ptp(spectra.energy)
    at_low_end = np.array([1.0, low])
    line = slice(known, known + 2)
    spread = fits.covariance[:, line, line]
    of_each = {
        "value": np.where(good, value, np.nan),
        "standard_error": np.where(good, stderr, np.nan),
        "systematic_error": np.where(good, systematic, np.nan),
        "thickness": fits.amplitude[:, line] @ at_low_end,
        "thickness_stderr": scale
        * np.sqrt(np.einsum("i,pij,j->p", at_low_end, spread, at_low_end)),
        "told": told,
        "misfit": fits.reduced,
    }
    return Valence(
        **{name: values.reshape(spectra.shape) for name, values in of_each.items()},
        shift=shift, shift_error=float(np.sqrt(covariance[0, 0])), broadening=broadening,
        correlation=most_alike(terms, known)[0],
        warnings=_warnings(values, value, fits.reduced, good, references.valences),
        spectra=by_terms(
            spectra.energy, values, scale * np.sqrt(variance), terms, fits.amplitude,
            references.names, spectra.shape,
        ),
    )  # fmt: skip


def _range(
    energy: np.ndarray, references: References, fit_ev: tuple[float, float] | None, margin: float,
    source: str,
) -> np.ndarray:  # fmt: skip
    """Which energies (energy,) are fitted."""
    if fit_ev is None:
        low = max(energy[0], *(own[0] + margin for own in references.energy))
        high = min(energy[-1], *(own[-1] - margin for own in references.energy))
    else:
        low, high = max(fit_ev[0], energy[0]), min(fit_ev[1], energy[-1])
    inside = (energy >= low) & (energy <= high)
    needed = len(references.names) + 2 + bool(references.thresholds)
    if inside.sum() <= needed:
        raise InputError(
            source, f"{inside.sum()} of its energies, {energy[0]:g} to {energy[-1]:g} eV, are where"
            f" references are fitted, and more than {needed} are needed", field="energy",
            remedy="give references of the edge that was measured, or correct chemistry.fit_ev",
        )  # fmt: skip
    references.check_covers(energy[inside][0], energy[inside][-1], margin, source)
    return inside


def most_alike(terms: np.ndarray, known: int) -> tuple[float, tuple[int, int]]:
    """Largest correlation of two of the first `known` terms, less the background, and which."""
    background = terms[:, known:]
    shown = (
        terms[:, :known] - background @ np.linalg.lstsq(background, terms[:, :known], rcond=None)[0]
    )
    length = np.sqrt((shown**2).sum(axis=0))
    alike = (shown.T @ shown) / np.outer(length, length)
    one, other = np.triu_indices(known, 1)
    most = int(np.argmax(alike[one, other]))
    return float(alike[one, other][most]), (int(one[most]), int(other[most]))


def _fit(
    spectra: _Spectra, values: np.ndarray, variance: np.ndarray, references: References,
    shift: float, broadening: float,
) -> Fits:  # fmt: skip
    terms = terms_of(spectra.energy, references, shift=shift, broadening=broadening)
    return fit(values, variance, terms)


def _seen(fits: Fits, known: int) -> np.ndarray:
    """Whether the references' sum stands out of noise, at each position."""
    amount = fits.amplitude[:, :known].sum(axis=1)
    variance = fits.covariance[:, :known, :known].sum(axis=(1, 2))
    return amount > _SEEN * np.sqrt(variance) * np.sqrt(np.maximum(fits.reduced, 1))


def _of_the_model(
    spectra: _Spectra, fits: Fits, references: References, shift: float, broadening: float
) -> np.ndarray:
    """Variances by the densities of the fit: those by counts follow their noise.

    A density's variance goes with its exponential, as that of light does that is counted.
    """
    terms = terms_of(spectra.energy, references, shift=shift, broadening=broadening)
    model = np.einsum("ek,pk->ep", terms, fits.amplitude)
    moved = np.where(np.isfinite(model), model - spectra.measured, 0.0)
    return spectra.variance * np.exp(np.clip(moved, -1, 1))


def _place(
    energy: np.ndarray, mean: np.ndarray, variance: np.ndarray, references: References,
    max_shift_ev: float, source: str,
) -> tuple[float, float, np.ndarray]:  # fmt: skip
    """Shift and blur of references in a mean spectrum, eV, and their covariance with the misfit."""

    def left(place: np.ndarray) -> np.ndarray:
        terms = terms_of(energy, references, shift=place[0], broadening=place[1])
        solved = np.linalg.lstsq(terms / error[:, None], mean / error, rcond=None)[0]
        return (mean - terms @ solved) / error

    def slope(place: np.ndarray) -> np.ndarray:
        steps = _SLOPE_STEP * np.eye(2)
        ends = [left(place + step) - left(place - step) for step in steps]
        return np.array(ends).T / (2 * _SLOPE_STEP)

    error = np.sqrt(variance)
    tried = np.arange(-max_shift_ev, max_shift_ev + 1e-9, _SHIFT_STEP)
    start = min(tried, key=lambda shift: np.sum(left(np.array([shift, _START_BROADENING])) ** 2))
    low, high = (-max_shift_ev - 1e-9, _LEAST_BROADENING), (max_shift_ev + 1e-9, _MOST_BROADENING)
    found = optimize.least_squares(
        left, (start, _START_BROADENING), slope, bounds=(low, high), x_scale=(0.1, 0.1)
    )
    shift, broadening = map(float, found.x)
    if abs(shift) > 0.99 * max_shift_ev:
        raise InputError(
            source, f"references fit only when moved by {max_shift_ev:g} eV or more",
            field="chemistry.references",
            remedy="calibrate the energies of one or the other, or raise chemistry.max_shift_ev",
        )  # fmt: skip
    normal = found.jac.T @ found.jac
    freedom = max(len(energy) - len(found.x) - terms_of(
        energy, references, shift=shift, broadening=broadening).shape[1], 1)  # fmt: skip
    worse = max(1.0, 2 * found.cost / freedom)
    # A blur of nothing leaves no slope: what it may be is then its whole range of no effect.
    return shift, broadening, worse * np.linalg.pinv(normal)


def _ends(shift: float, broadening: float, covariance: np.ndarray) -> list[tuple]:
    """Pairs of (shift, blur) that are a standard error above and below, along both main axes."""
    size, axes = np.linalg.eigh(covariance)
    ends = []
    for length, axis in zip(np.sqrt(np.clip(size, 0, None)), axes.T, strict=True):
        move = np.clip(length, 0, _MOST_BROADENING) * axis
        ends.append(
            tuple(
                (shift + sign * move[0], max(broadening + sign * float(move[1]), 0.0))
                for sign in (1, -1)
            )
        )
    return ends


def _warnings(
    values: np.ndarray, value: np.ndarray, reduced: np.ndarray, good: np.ndarray,
    valences: np.ndarray,
) -> tuple[str, ...]:  # fmt: skip
    """What a reader of the numbers must know."""
    warnings = []
    if (misfit := float(np.median(reduced[good]))) > _BAD_FIT:
        warnings.append(
            f"references do not describe the spectra: the median reduced chi squared is"
            f" {misfit:.2g}; the systematic error has what that does where it is common to all"
        )
    densest = np.nanmax(np.where(np.isfinite(values[:, good]), values[:, good], -np.inf), axis=0)
    order = np.argsort(densest, kind="stable")
    thin, thick = order[: len(order) // 3], order[-(len(order) // 3) :]
    if len(thin) >= _FEWEST:
        change = value[good][thick].mean() - value[good][thin].mean()
        if abs(change) > _TREND * np.ptp(valences):
            warnings.append(
                f"from optical densities of {densest[thin].mean():.2g} to"
                f" {densest[thick].mean():.2g} at the highest line the valence changes by"
                f" {change:+.2g}: saturation or chemistry, the fit cannot tell which"
            )
    return tuple(warnings)
