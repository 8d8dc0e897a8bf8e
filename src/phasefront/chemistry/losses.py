"""Ratio of two elements at every position of a spectrum image of energy losses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr
from scipy import signal
from threadpoolctl import threadpool_limits

from phasefront.chemistry import low_loss
from phasefront.chemistry.fitted import FittedSpectra, averaged, windows
from phasefront.core.errors import InputError
from phasefront.layouts.chemistry import Told
from phasefront.stacks.columns import columns_of
from phasefront.stacks.formats.stack import LOSS

# Relative differences that beam energies, and collection angles, may have. Chosen.
_SAME_BEAM, _SAME_ANGLE = 0.02, 0.1
# Exponents of the background's powers about that of what lies below the first edge (linear
# combination of power laws: Cueva et al., Microsc. Microanal. 18, 667, 2012), and of one with one
# term less, which says what the choice matters.
_POWERS, _OTHER_POWERS = (-1.5, -0.5, 0.5, 1.5), (-1.0, 0.0, 1.0)
_KNOTS = 2.0  # eV between knots of a fine structure: white lines are as wide
_FEWEST_BELOW = 8  # channels below the first edge
_SEEN = 5.0  # standard errors by which the second element must be seen; chosen


@dataclass(frozen=True)
class CrossSection:
    """Cross section of an element's edge per atom and eV, at the angles that were collected.

    `energy` in eV, `values` in barn/eV or any unit that all share; `relative_error` is its standard
    error, one for all energies. `beam_kev` and `collection_mrad` are what it was worked out for.
    """

    element: str
    energy: np.ndarray
    values: np.ndarray
    relative_error: float
    beam_kev: float
    collection_mrad: float

    @classmethod
    def read(cls, path: str | Path, element: str, **stated: float) -> CrossSection:
        """From text of two columns, eV and cross section. Raises InputError as `columns_of`, and
        where nothing is above 0."""
        table = columns_of(path, "two columns, energy in eV and cross section per atom")
        if not table[:, 1].max() > 0 or table[:, 1].min() < 0:
            raise InputError(
                path, "it is below 0, or nowhere above", remedy="give a cross section per atom"
            )
        return cls(element, table[:, 0], table[:, 1], **stated)

    @property
    def onset(self) -> float:
        """Energy from which on it is above 0, eV."""
        return float(self.energy[np.argmax(self.values > 0)])


@dataclass(frozen=True)
class Ratio:
    """Atoms of one element over those of another (y, x), and what it is worth; NaN where untold.

    `spectra` are what it was fitted to, in counts, averaged in windows of energy.
    """

    value: np.ndarray
    standard_error: np.ndarray
    systematic_error: np.ndarray
    thickness: np.ndarray
    thickness_stderr: np.ndarray
    told: np.ndarray
    misfit: np.ndarray
    warnings: tuple[str, ...]
    spectra: FittedSpectra


class _Fit(NamedTuple):
    """Of every position (y, x): ratio, standard error by counts, reduced chi squared, whether the
    element below is seen; in windows of energy (window, y, x) means of counts, their errors by
    counting and, of each edge, fine structure if any and background, the part of the fit."""

    value: np.ndarray
    stderr: np.ndarray
    misfit: np.ndarray
    seen: np.ndarray
    counts: np.ndarray
    counts_stderr: np.ndarray
    parts: np.ndarray


def fit_ratio(
    core: xr.Dataset,
    low: xr.Dataset,
    sections: Sequence[CrossSection],
    *,
    ratio: tuple[str, str],
    fit_ev: tuple[float, float],
    fine_structure_ev: Sequence[tuple[float, float]] = (),
    max_relative_error: float,
) -> Ratio:
    """Ratio of elements from edges and background, fitted together with plural scattering.

    Each edge is its cross section convolved with the low loss of the same position, so that losses
    to plasmons before or after do not count as fewer atoms (Verbeeck and Van Aert, Ultramicroscopy
    101, 207, 2004). The background is a linear combination of power laws. Weights are of counts as
    the mean spectrum has them; the median misfit scales all standard errors, for it has the gain of
    the camera. The systematic error holds the cross sections' errors and what another background
    makes of the ratio.

    Parameters
    ----------
    core, low
        STACK datasets of the edges and of the low loss, position by position.
    sections
        Cross sections of all edges in the range.
    ratio
        The element above, and the one below the line.
    fit_ev
        Energies fitted.
    fine_structure_ev
        Parts of them with white lines, which atoms' cross sections lack: there anything may be
        added to the edge, and is scattered again as the edge is.
    max_relative_error
        Positions whose standard error is larger are not told.

    Raises
    ------
    InputError
        No losses, maps of other shapes, a beam energy that is not known or not that of the cross
        sections, energies that do not hold an edge and a background below it, or no zero loss.
    """
    _check_beam(core, sections)
    source = core.attrs["stack"]
    energy, spectra = core["energy"].values, core["counts"].values.astype(float)
    if low["counts"].shape[1:] != spectra.shape[1:]:
        shapes = [" x ".join(map(str, one.shape[1:])) for one in (spectra, low["counts"])]
        raise InputError(
            source, f"it is a map of {shapes[0]}, its low loss {low.attrs['stack']} of {shapes[1]}",
            field="low_loss", remedy="name the low loss of the same positions",
        )  # fmt: skip
    kept = _kept(energy, sections, ratio, fit_ev, source)
    losses, low_counts = low["energy"].values, low["counts"].values.astype(float)
    zero = low_loss.zero_shifts(losses, low_counts, low.attrs["stack"])
    low_counts = low_loss.aligned(losses, low_counts, zero)
    # Of the edges' own axis the zero is not seen: what moves is common to both.
    spectra = low_loss.aligned(energy, spectra, zero - np.median(zero))
    thick, thick_stderr = low_loss.relative_thickness(losses, low_counts)
    names = [section.element for section in sections]
    above, below = names.index(ratio[0]), names.index(ratio[1])
    with threadpool_limits(1, user_api="blas"):  # sums in one order, whatever the cores
        edges = _edges(energy, sections, fine_structure_ev, losses, low_counts)
        power = _power(energy, spectra, sections, fit_ev, source)
        found, other = (
            _ratios(energy, spectra, edges, kept, power, powers, above, below, len(sections))
            for powers in (_POWERS, _OTHER_POWERS)
        )
    value, misfit, seen = found.value, found.misfit, found.seen
    good = np.isfinite(value) & seen
    scale = math.sqrt(float(np.median(misfit[good]))) if good.any() else 1.0
    stderr = found.stderr * scale
    told = np.full(value.shape, Told.TOLD)
    told[good & ~(stderr <= max_relative_error * np.maximum(np.abs(value), 1e-12))] = Told.UNCERTAIN
    told[~good] = Told.THIN
    if not (told == Told.TOLD).any():
        raise InputError(
            source, f"no position tells {ratio[0]}/{ratio[1]} to {100 * max_relative_error:g} %",
            field="losses.max_relative_error",
            remedy="bin positions, take more electrons, or allow a larger error",
        )  # fmt: skip
    by_sections = math.hypot(sections[above].relative_error, sections[below].relative_error)
    systematic = np.hypot(np.abs(value) * by_sections, value - other.value)
    here = told == Told.TOLD
    metal = low_loss.says_metal(losses, low_counts, ratio[0])
    return Ratio(
        np.where(here, value, np.nan), np.where(here, stderr, np.nan),
        np.where(here, systematic, np.nan), thick, thick_stderr, told, misfit,
        (metal,) if metal else (),
        FittedSpectra(
            averaged(energy[kept], windows(int(kept.sum()))), found.counts,
            scale * found.counts_stderr,
            (*names, *(["fine structure"] if fine_structure_ev else []), "background"),
            found.parts,
        ),
    )  # fmt: skip


def _check_beam(core: xr.Dataset, sections: Sequence[CrossSection]) -> None:
    source, beam = core.attrs["stack"], float(core.attrs["beam_kev"])
    angle = float(core.attrs["collection_mrad"])
    if core.attrs["kind"] != LOSS:
        raise InputError(
            source, f"it holds {core.attrs['kind']}, no energy losses", field="kind",
            remedy="correct its kind or its path in the table of stacks",
        )  # fmt: skip
    if math.isnan(beam):
        raise InputError(
            source, "its beam energy is not known, on which cross sections depend",
            field="beam_kev", remedy="give beam_kev in the table of stacks",
        )  # fmt: skip
    for section in sections:
        for what, unit, own, given, slack in (
            ("beam_kev", "kV", beam, section.beam_kev, _SAME_BEAM),
            ("collection_mrad", "mrad", angle, section.collection_mrad, _SAME_ANGLE),
        ):
            if not (math.isnan(own) or math.isclose(own, given, rel_tol=slack)):
                raise InputError(
                    source, f"it was taken with {own:g} {unit}, and the cross section of"
                    f" {section.element} is for {given:g} {unit}", field=f"losses.edges.{what}",
                    remedy="give cross sections for the microscope as it was set",
                )  # fmt: skip


def _kept(
    energy: np.ndarray, sections: Sequence[CrossSection], ratio: tuple[str, str],
    fit_ev: tuple[float, float], source: str,
) -> np.ndarray:  # fmt: skip
    """Which energies (energy,) are fitted."""
    low, high = fit_ev
    if low < energy[0] or high > energy[-1]:
        raise InputError(
            source, f"it reaches from {energy[0]:g} to {energy[-1]:g} eV, and {low:g} to {high:g}"
            " are to be fitted", field="losses.fit_ev", remedy="narrow losses.fit_ev",
        )  # fmt: skip
    for section in sections:
        if section.energy[-1] < high:
            raise InputError(
                source, f"the cross section of {section.element} ends at {section.energy[-1]:g} eV,"
                f" and up to {high:g} eV are to be fitted", field="losses.edges",
                remedy="give a longer cross section, or narrow losses.fit_ev",
            )  # fmt: skip
        if section.element in ratio and not low < section.onset < high:
            raise InputError(
                source, f"the edge of {section.element} at {section.onset:g} eV is not within"
                f" {low:g} to {high:g} eV", field="losses.fit_ev", remedy="widen losses.fit_ev",
            )  # fmt: skip
    return (energy >= low) & (energy <= high)


def _power(
    energy: np.ndarray, spectra: np.ndarray, sections: Sequence[CrossSection],
    fit_ev: tuple[float, float], source: str,
) -> float:  # fmt: skip
    """Exponent r of a power law E^-r of the mean spectrum below the first edge."""
    first = min(section.onset for section in sections if section.onset > fit_ev[0])
    mean = spectra.mean(axis=(1, 2))
    before = (energy >= fit_ev[0]) & (energy < first) & (mean > 0)
    if before.sum() < _FEWEST_BELOW:
        raise InputError(
            source, f"{before.sum()} channels lie between {fit_ev[0]:g} eV and the first edge at"
            f" {first:g} eV, too few for a background", field="losses.fit_ev",
            remedy="begin losses.fit_ev further below the edge",
        )  # fmt: skip
    return -float(np.polyfit(np.log(energy[before]), np.log(mean[before]), 1)[0])


def _edges(
    energy: np.ndarray,
    sections: Sequence[CrossSection],
    fine_structure_ev: Sequence[tuple[float, float]],
    losses: np.ndarray,
    low: np.ndarray,
) -> np.ndarray:
    """Terms with plural scattering (term, energy, y, x): edges, per atom and electron of the beam,
    and then the fine structure's."""
    step = float(np.diff(energy).mean())
    # The low loss on the edges' channels, 0 among them, and energies so far below as it reaches.
    first, last = math.ceil(losses[0] / step), math.floor(losses[-1] / step)
    grid = step * np.arange(first, last + 1)
    from_below = energy[0] - grid[-1]
    wide = from_below + step * np.arange(len(energy) + last - first)
    bare = [np.interp(wide, one.energy, one.values, left=0.0) for one in sections]
    for start, end in fine_structure_ev:
        knots = np.linspace(start, end, max(round((end - start) / max(_KNOTS, step)), 2) + 1)
        bare += [np.interp(wide, knots, one, 0, 0) for one in np.eye(len(knots))[1:-1]]
    bare = np.stack(bare)
    # Summed into the edges' channels, not read off in their middle: a zero loss may be narrower.
    fine = float(np.diff(losses).mean())
    ends = np.concatenate([losses - fine / 2, losses[-1:] + fine / 2])
    sums = np.concatenate([np.zeros((1, low[0].size)), low.reshape(len(losses), -1)]).cumsum(axis=0)
    borders = np.append(grid - step / 2, grid[-1] + step / 2)
    kernels = np.diff(np.stack([np.interp(borders, ends, one) for one in sums.T]), axis=1)
    kernels /= kernels.sum(axis=1, keepdims=True)
    # Channel 0 of the full convolution is at from_below + grid[0].
    start = len(grid) - 1
    convolved = signal.fftconvolve(bare[:, None], kernels[None], axes=2)
    return np.moveaxis(convolved[:, :, start : start + len(energy)], 2, 1).reshape(
        len(bare), len(energy), *low.shape[1:]
    )


def _ratios(
    energy: np.ndarray, spectra: np.ndarray, edges: np.ndarray, kept: np.ndarray, power: float,
    powers: Sequence[float], above: int, below: int, known: int,
) -> _Fit:  # fmt: skip
    """Fits of edges, the first `known` of which are elements', and a background of `powers`."""
    shape, starts = spectra.shape[1:], windows(int(kept.sum()))
    groups = [slice(one, one + 1) for one in range(known)]
    groups += [slice(known, len(edges))] if len(edges) > known else []
    groups.append(slice(len(edges), None))
    value, stderr, misfit = (np.full(shape, np.nan) for _ in range(3))
    seen = np.zeros(shape, dtype=bool)
    parts = np.full((len(groups), len(starts), *shape), np.nan)
    shown, noise = (np.full((len(starts), *shape), np.nan) for _ in range(2))
    lengths = np.diff(np.append(starts, int(kept.sum())))
    background = np.stack([(energy[kept] / energy[kept][0]) ** -(power + p) for p in powers])
    mean = spectra.mean(axis=(1, 2))[kept]
    expected = np.clip(mean, 1e-3 * mean.max(), None)
    for at in np.ndindex(shape):
        counts = spectra[(kept, *at)]
        share = counts.sum() / mean.sum()
        if not share > 0:
            continue
        error = np.sqrt(expected * share)
        shown[(slice(None), *at)] = averaged(counts, starts)
        noise[(slice(None), *at)] = np.sqrt(averaged(error**2, starts) / lengths)
        terms = np.vstack([edges[(slice(None), kept, *at)], background])
        size = np.abs(terms).max(axis=1, keepdims=True)
        weighted = terms / size / error
        normal = weighted @ weighted.T
        if np.linalg.cond(normal) > 1e13:
            continue
        inverse = np.linalg.inv(normal)
        amount = inverse @ (weighted @ (counts / error))
        left = counts / error - amount @ weighted
        for number, group in enumerate(groups):
            model = amount[group] @ (terms[group] / size[group])
            parts[(number, slice(None), *at)] = averaged(model, starts)
        misfit[at] = left @ left / (left.size - len(amount))
        seen[at] = amount[below] > _SEEN * math.sqrt(inverse[below, below] * misfit[at])
        atoms, covariance = amount / size[:, 0], inverse / size / size.T
        value[at] = atoms[above] / atoms[below]
        slope = np.array([1 / atoms[below], -value[at] / atoms[below]])
        pair = np.ix_([above, below], [above, below])
        stderr[at] = math.sqrt(slope @ covariance[pair] @ slope)
    return _Fit(value, stderr, misfit, seen, shown, noise, parts)
