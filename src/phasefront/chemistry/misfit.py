"""What references leave of spectra: how far that pulls at valences, and what is left as noise."""

from __future__ import annotations

import numpy as np

from phasefront.chemistry.spectral_fit import Fits, fit, valences_of

# Blocks of energies: about as many lines and shoulders an L edge has. Groups of positions, by
# valence, whose mean spectra are fitted. Chosen.
_BLOCKS, _GROUPS = 8, 4
# Share of a block's residual that is left by the fit, below which it tells nothing: rounding.
_LEAST_LEFT = 1e-6
# Of so many positions for each number that is fitted to their residuals, these tell noise. Chosen.
_ENOUGH = 10


def mean_spectrum(
    values: np.ndarray, variance: np.ndarray, chosen: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean of spectra (energy, position) of chosen positions: energies kept, mean, variance.

    Kept are energies that most of the positions have, and of the positions those that have all of
    these: a mean over others at one energy than at the next would be no spectrum.
    """
    known = np.isfinite(values[:, chosen]) & np.isfinite(variance[:, chosen])
    kept = known.mean(axis=1) >= 0.5
    complete = known[kept].all(axis=0)
    if not complete.any():
        complete = known[kept].sum(axis=0) == known[kept].sum(axis=0).max()
        kept = kept & known[:, complete].all(axis=1)
    spectra = values[:, chosen][:, complete][kept]
    noise = variance[:, chosen][:, complete][kept]
    return kept, spectra.mean(axis=1), noise.mean(axis=1) / complete.sum()


def of_references(
    values: np.ndarray, variance: np.ndarray, terms: np.ndarray, valences: np.ndarray,
    value: np.ndarray, good: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Standard error of valence at each position that references make, less that of noise.

    Positions are grouped by valence, and of each group's mean spectrum what the fit leaves pulls at
    the valence, one block of neighbouring energies independent of the next. Were references right,
    nothing but noise would be left. What the fit itself took of a block is put back (Bell and
    McCaffrey, Surv. Methodol. 28, 169, 2002): to leave out one block after the other instead, as a
    jackknife does, overstates the error, since one line tells much of a valence.
    """
    order = np.flatnonzero(good)[np.argsort(value[good], kind="stable")]
    groups = [group for group in np.array_split(order, _GROUPS) if group.size]
    centres, errors = [], []
    for group in groups:
        chosen = np.zeros(len(value), dtype=bool)
        chosen[group] = True
        kept, mean, noise = mean_spectrum(values, variance, chosen)
        centres.append(value[group].mean())
        errors.append(_pulled(mean, noise, terms[kept], valences))
    return np.interp(value, centres, errors)


def _pulled(mean: np.ndarray, noise: np.ndarray, terms: np.ndarray, valences: np.ndarray) -> float:
    """Standard error of the valence of a mean spectrum (energy,) beyond that of its noise; NaN
    where it has too few energies."""
    whole = fit(mean[:, None], noise[:, None], terms)
    told, by_noise = (numbers[0] for numbers in valences_of(whole, valences))
    if not np.isfinite(told):
        return np.nan
    amplitude, covariance = whole.amplitude[0], whole.covariance[0]
    known = len(valences)
    slope = np.zeros(len(amplitude))
    slope[:known] = (valences - told) / amplitude[:known].sum()
    scaled = terms / np.sqrt(noise)[:, None]
    left = mean / np.sqrt(noise) - scaled @ amplitude
    pull = scaled @ (covariance @ slope)  # of the valence by each energy's residual
    variance = 0.0
    for block in np.array_split(np.arange(len(mean)), _BLOCKS):
        own = np.eye(len(block)) - scaled[block] @ covariance @ scaled[block].T
        size, axes = np.linalg.eigh(own)
        put_back = axes @ ((axes.T @ left[block]) / np.sqrt(np.maximum(size, _LEAST_LEFT)))
        variance += (pull[block] @ put_back) ** 2
    return float(np.sqrt(max(variance - by_noise**2, 0.0)))


def noise_scale(
    values: np.ndarray, variance: np.ndarray, terms: np.ndarray, fits: Fits, known: int,
    good: np.ndarray,
) -> float:  # fmt: skip
    """By what standard errors of noise are larger than stated, from misfits of each position's own.

    Counts may be means, or of a counter with a gain. What the first `known` terms, the references,
    leave of all spectra alike is no noise, and `of_references` tells what it does: at each energy a
    part that goes with the amount is taken off residuals, and how that changes with the shares of
    references and with the amount.
    """
    residual = values[:, good] - np.einsum("ek,pk->ep", terms, fits.amplitude[good])
    seen = np.isfinite(residual) & np.isfinite(variance[:, good])
    weight = np.where(seen, 1 / np.where(seen, variance[:, good], 1.0), 0.0)
    residual = np.where(seen, residual, 0.0)
    shares = fits.amplitude[good, :known]
    amount = shares.sum(axis=1)
    shared = np.column_stack([shares, amount**2]) / np.median(amount)
    chi = (weight * residual**2).sum(axis=0)
    freedom = np.maximum(fits.used[good] - terms.shape[1], 1).astype("f8")
    if len(amount) >= _ENOUGH * shared.shape[1]:
        normal = np.einsum("ep,pk,pl->ekl", weight, shared, shared)
        right = np.einsum("ep,pk->ek", weight * residual, shared)
        common = np.einsum("ekl,el->ek", np.linalg.pinv(normal, hermitian=True), right)
        chi = (weight * (residual - common @ shared.T) ** 2).sum(axis=0)
        freedom *= 1 - shared.shape[1] / len(amount)
    return float(np.sqrt(np.median(chi / freedom)))
