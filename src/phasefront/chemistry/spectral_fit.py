"""Linear fits of many spectra by the same terms, each with weights of its own."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from phasefront.chemistry.references import References

# Spectra fitted together, for memory's sake: products of terms for each are held at once.
_BLOCK = 4096
_THRESHOLD_WIDTH = 0.5  # eV: of core holes and monochromators at L edges of 3d metals, half of it


class Fits(NamedTuple):
    """Amplitudes of the terms (spectrum, term), their covariance, reduced chi squared, and how many
    energies each spectrum had; NaN where these are too few for the terms."""

    amplitude: np.ndarray
    covariance: np.ndarray
    reduced: np.ndarray
    used: np.ndarray


def terms_of(
    energy: np.ndarray,
    references: References,
    *,
    shift: float,
    broadening: float,
    threshold_shift: float = 0.0,
) -> np.ndarray:
    """Terms (energy, term) of a spectrum: the references first, then the background.

    The background is a line, which is what lies below the edge, of lower energies' edges and I0.
    Where references are white lines alone there is the continuum, too: an arctangent at each
    threshold, which lies `threshold_shift` eV from where it is said to.
    """
    spectra = references.at(energy, shift=shift, broadening=broadening)
    middle = (energy - energy.mean()) / np.ptp(energy)
    background = [np.ones_like(energy), middle]
    if references.thresholds:
        moved = energy - shift - threshold_shift
        background.append(
            sum(
                weight * (0.5 + np.arctan((moved - threshold) / _THRESHOLD_WIDTH) / np.pi)
                for threshold, weight in references.thresholds
            )
        )
    return np.column_stack([spectra, *background])


def fit(spectra: np.ndarray, variance: np.ndarray, terms: np.ndarray) -> Fits:
    """Weighted linear least squares of spectra (energy, spectrum), all by `terms` (energy, term).

    Values whose variance is not finite are left out. Sums run in a fixed order, so that bytes do
    not depend on the number of cores.
    """
    count, number = spectra.shape[1], terms.shape[1]
    products = np.einsum("ek,el->ekl", terms, terms).reshape(len(terms), -1)
    amplitude, covariance = (
        np.full((count, number), np.nan),
        np.full((count, number, number), np.nan),
    )
    reduced, used = np.full(count, np.nan), np.zeros(count, dtype=int)
    for start in range(0, count, _BLOCK):
        part = slice(start, start + _BLOCK)
        known = np.isfinite(variance[:, part]) & np.isfinite(spectra[:, part])
        weight = np.where(known, 1 / np.where(known, variance[:, part], 1), 0)
        values = np.where(known, spectra[:, part], 0)
        used[part] = known.sum(axis=0)
        normal = np.einsum("ep,eq->pq", weight, products).reshape(-1, number, number)
        right = np.einsum("ep,ek->pk", weight * values, terms)
        enough = (used[part] > number) & _well_posed(normal)
        if not enough.any():
            continue
        inverse = np.linalg.inv(normal[enough])
        solved = np.einsum("pkl,pl->pk", inverse, right[enough])
        left = values[:, enough] - np.einsum("ek,pk->ep", terms, solved)
        chi = (weight[:, enough] * left**2).sum(axis=0)
        at = start + np.flatnonzero(enough)
        amplitude[at], covariance[at] = solved, inverse
        reduced[at] = chi / (used[at] - number)
    return Fits(amplitude, covariance, reduced, used)


def _well_posed(normal: np.ndarray) -> np.ndarray:
    """Whether normal equations (spectrum, term, term) can be solved: no term is the others' sum."""
    scale = np.sqrt(np.einsum("pkk->pk", normal))
    solid = (scale > 0).all(axis=1)
    safe = np.where(scale > 0, scale, 1)
    scaled = normal / safe[:, :, None] / safe[:, None, :]
    least = np.linalg.eigvalsh(scaled)[:, 0]
    return solid & (least > 1e-10)  # of a sum of squares: rounding is 1e-16


def valences_of(fits: Fits, valences: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean valence of each spectrum, sum of a v over sum of a, and its standard error by noise."""
    known = len(valences)
    amplitude = fits.amplitude[:, :known]
    amount = amplitude.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = amplitude @ valences / amount
        slope = (valences - mean[:, None]) / amount[:, None]
    spread = fits.covariance[:, :known, :known]
    return mean, np.sqrt(np.einsum("pk,pkl,pl->p", slope, spread, slope))
