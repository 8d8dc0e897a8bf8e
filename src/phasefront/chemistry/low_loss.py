"""What the low loss says: where zero is, how thick the sample is, and whether metal has formed."""

from __future__ import annotations

import numpy as np

from phasefront.core.errors import InputError

# eV about the strongest channel in which the zero loss's centre is sought; from 1 eV on, and no
# further than this, lies the lowest channel between it and the first plasmon.
_CENTRE, _FIRST, _BEFORE_PLASMONS = 1.0, 1.0, 8.0
# Plasmons of metals that the beam makes of their compounds, eV: Na, Jiang et al., J. Mater. Res.
# 23, 2008; Li, Egerton, Electron Energy-Loss Spectroscopy, 3rd ed., table C.
METAL_PLASMONS = {"Na": 5.8, "Li": 7.1}
# eV: half a metal's line, and how far on either side the spectrum without it is known. Chosen.
_HALF_LINE, _AROUND = 0.6, 2.2
_SEEN = 5.0  # standard errors from which on a line is told; chosen


def zero_shifts(energy: np.ndarray, low: np.ndarray, source: str) -> np.ndarray:
    """Energy of the zero loss at each position (y, x), eV, of a low loss (energy, y, x).

    Raises InputError where energies do not hold 0 with a margin, or no peak is near it.
    """
    if energy[0] > -2 * _CENTRE or energy[-1] < _BEFORE_PLASMONS:
        raise InputError(
            source, f"energies from {energy[0]:g} to {energy[-1]:g} eV do not hold a zero loss",
            field="energy", remedy="name a low loss from -2 eV or less on",
        )  # fmt: skip
    at = energy[np.argmax(low, axis=0)]
    near = np.abs(energy[:, None, None] - at) <= _CENTRE
    weight = np.where(near, np.clip(low, 0, None), 0)
    total = weight.sum(axis=0)
    far = float(np.max(np.abs(at)))
    if not (total > 0).all() or far > -energy[0]:
        raise InputError(
            source, f"the strongest channel lies up to {far:.3g} eV from 0: no zero loss",
            field="energy", remedy="name the low loss, and calibrate its energies to 2 eV",
        )  # fmt: skip
    return np.einsum("eyx,e->yx", weight, energy) / total


def aligned(energy: np.ndarray, counts: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Spectra (energy, y, x) moved down by a shift (y, x), eV, by linear interpolation."""
    moved = np.empty_like(counts)
    for y, x in np.ndindex(shift.shape):
        moved[:, y, x] = np.interp(energy + shift[y, x], energy, counts[:, y, x])
    return moved


def relative_thickness(energy: np.ndarray, low: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Thickness over the inelastic mean free path (y, x), and its standard error by counts.

    t / lambda = ln(I / I0) (Egerton, 3rd ed., 5.1), with I0 up to the lowest channel between zero
    loss and the first plasmon of the mean spectrum. The low loss has its zero at 0 eV.
    """
    mean = low.mean(axis=(1, 2))
    between = (energy >= _FIRST) & (energy <= _BEFORE_PLASMONS)
    end = energy[between][np.argmin(mean[between])]
    elastic = low[energy <= end].sum(axis=0)
    total = low.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        thick = np.log(total / elastic)
        # Both count the elastic ones: what differs is I - I0 alone.
        stderr = np.sqrt((total - elastic) / (total * elastic))
    return thick, stderr


def metal_line(energy: np.ndarray, low: np.ndarray, plasmon: float) -> tuple[float, float]:
    """Excess of a metal's plasmon in the mean low loss over what lies around it, and its error.

    Both as shares of the spectrum there. Around the line the logarithm is taken for a parabola.
    """
    mean = low.mean(axis=(1, 2))
    near = (np.abs(energy - plasmon) <= _AROUND) & (mean > 0)
    inside = np.abs(energy - plasmon)[near] <= _HALF_LINE
    place, height = energy[near] - plasmon, np.log(mean[near])
    fitted = np.polynomial.Polynomial.fit(place[~inside], height[~inside], 2)
    left = height - fitted(place)
    noise = left[~inside].std(ddof=3)
    # The parabola's own error within the line is about that of the mean around it.
    error = noise * np.sqrt(1 / inside.sum() + 3 / (~inside).sum())
    return float(left[inside].mean()), float(error)


def says_metal(energy: np.ndarray, low: np.ndarray, element: str) -> str | None:
    """A warning where a metal's plasmon stands out of the mean low loss; None where it does not."""
    plasmon = METAL_PLASMONS.get(element)
    step = float(np.diff(energy).mean())
    if plasmon is None or energy[-1] < plasmon + _AROUND or step > _HALF_LINE / 2:
        return None
    excess, error = metal_line(energy, low, plasmon)
    if excess < _SEEN * error:
        return None
    return (
        f"a line at {plasmon:g} eV stands out of the low loss by {100 * excess:.2g} % (error"
        f" {100 * error:.1g} %): metallic {element}, made by the beam"
    )
