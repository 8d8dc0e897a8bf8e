"""What references are worth: how far mean valences move when energies are left out."""

from __future__ import annotations

import numpy as np

from phasefront.chemistry.spectral_fit import fit, valences_of

# Blocks of energies, one of which is left out each time: about as many lines and shoulders an L
# edge has. Groups of positions, by valence, whose mean spectra are fitted. Chosen.
_BLOCKS, _GROUPS = 8, 4


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

    Positions are grouped by valence, and of each group's mean spectrum one block of neighbouring
    energies after the other is left out (delete-a-group jackknife, Kott, J. Off. Stat. 17, 521,
    2001). Were references right, nothing but noise would move the valence.
    """
    order = np.flatnonzero(good)[np.argsort(value[good], kind="stable")]
    groups = [group for group in np.array_split(order, _GROUPS) if group.size]
    centres, errors = [], []
    for group in groups:
        chosen = np.zeros(len(value), dtype=bool)
        chosen[group] = True
        kept, mean, noise = mean_spectrum(values, variance, chosen)
        whole = fit(mean[:, None], noise[:, None], terms[kept])
        _, by_noise = valences_of(whole, valences)
        moved = []
        for block in np.array_split(np.arange(kept.sum()), _BLOCKS):
            left_out = noise.copy()
            left_out[block] = np.inf
            part = fit(mean[:, None], left_out[:, None], terms[kept])
            moved.append(valences_of(part, valences)[0][0])
        moved = np.array(moved)[np.isfinite(moved)]
        count = max(len(moved), 1)
        spread = (count - 1) / count * np.sum((moved - moved.mean()) ** 2) if moved.size else np.nan
        centres.append(value[group].mean())
        errors.append(np.sqrt(max(spread - by_noise[0] ** 2, 0.0)))
    return np.interp(value, centres, errors)
