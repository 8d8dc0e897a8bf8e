"""Fates of the reflections that a scan's crystals promised: missed, or found and how."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from phasefront.diffraction.likelihood import (
    Assignment,
    Promise,
    Refined,
    assign,
    place,
    promised_reflections,
)
from phasefront.diffraction.optics import Optics
from phasefront.diffraction.reflections import ReflectionTable
from phasefront.diffraction.spot_lists import Spots

# Chosen by hand, none is measured by itself; what they come to is: intervals of fractions hold what
# they should (docs/coverage.md).
# Reflections with less than this share of what a pattern promises are never found.
FAINT = 1e-3
# A spot is a reflection's up to this many times the distance at which the likelihood lets it go:
# what weak spots do beyond it belongs to the scan as well.
_WIDER = 2.0
# A fate is drawn among so many with nearly the same counts expected, of the same third by strength
# of the pattern and by radius.
_NEAR, _THIRDS = 40, 3
# A reflection of a grain shows what it does at each position if it is found at this share of them.
_STEADY = 0.9
_FEWEST_UNITS = 10  # that show how alike the positions of a grain are


@dataclass(frozen=True)
class Fates:
    """What became of the reflections that a scan's crystals promised, one entry each."""

    expected: np.ndarray  # (m,) counts: the share promised, of those of all reflections found
    radius: np.ndarray  # (m,) 1/angstrom
    strength: np.ndarray  # (m,) counts of all reflections found in the pattern
    ratio: np.ndarray  # (m,) counts found over those expected; 0 where no spot was found
    error: np.ndarray  # (m, 2) of the spot's place, outwards and across, 1/angstrom
    variance: np.ndarray  # (m,) of the counts found, over their square
    common: float  # share of the scatter that positions of a grain have in common

    def draw(
        self, expected: np.ndarray, radius: np.ndarray, strength: np.ndarray, quantile: np.ndarray
    ) -> np.ndarray:
        """Index of a fate for each reflection; the higher the quantile, the more it is found."""
        chosen = np.zeros(len(expected), dtype=np.int64)
        edges, thirds = self._groups
        of_strength = np.searchsorted(edges, strength)
        for third, (inner, rings) in enumerate(thirds):
            theirs = np.flatnonzero(of_strength == third)
            of_ring = np.searchsorted(inner, radius[theirs])
            for ring, order in enumerate(rings):
                wanted = theirs[of_ring == ring]
                width = min(_NEAR, len(order))
                middle = np.searchsorted(self.expected[order], expected[wanted])
                first = np.clip(middle - width // 2, 0, len(order) - width)
                near = order[first[:, None] + np.arange(width)]
                ranked = np.argsort(self.ratio[near], axis=1, kind="stable")
                rank = np.minimum((quantile[wanted] * width).astype(int), width - 1)[:, None]
                chosen[wanted] = np.take_along_axis(
                    near, np.take_along_axis(ranked, rank, axis=1), axis=1
                )[:, 0]
        return chosen

    @cached_property
    def _groups(self) -> tuple[np.ndarray, list[tuple[np.ndarray, list[np.ndarray]]]]:
        """Edges between thirds by strength; of each third the edges between thirds by radius, and
        of each of these the fates, by ascending counts expected."""
        shares = np.arange(1, _THIRDS) / _THIRDS
        edges = np.quantile(self.strength, shares)
        own = np.searchsorted(edges, self.strength)
        thirds = []
        for third in range(_THIRDS):
            mine = np.flatnonzero(own == third)
            if not len(mine):
                mine = np.arange(len(self.radius))
            inner = np.quantile(self.radius[mine], shares)
            ring = np.searchsorted(inner, self.radius[mine])
            rings = [mine[ring == part] for part in range(_THIRDS)]
            rings = [members if len(members) else mine for members in rings]
            thirds.append(
                (inner, [one[np.argsort(self.expected[one], kind="stable")] for one in rings])
            )
        return edges, thirds


def fates_of(
    arrays: Spots, variance: np.ndarray, position: np.ndarray, phase: np.ndarray,
    grain: np.ndarray, refined: Refined, table: ReflectionTable, optics: Optics,
    told: np.ndarray,
) -> tuple[Fates, np.ndarray, tuple[np.ndarray, np.ndarray]]:  # fmt: skip
    """Fates of the reflections of crystals that are `told` (n,); strength and strays of all.

    Parameters
    ----------
    arrays, variance
        Spots freed of the distortion, and the variances of their counts (spots,).
    position, phase, grain
        Of each crystal (n,), by ascending position of the map.
    refined
        Where the crystals lie, n entries.

    Returns
    -------
    Fates; counts of all reflections found (n,); crystal and spot of what nothing explains, (m,).
    """
    wide = replace(optics, position_sigma=_WIDER * optics.position_sigma)
    near = assign(arrays, position, phase, refined, table, wide)
    error = errors_of_places(arrays, near, refined, table)
    promise = promised_reflections(phase, refined, table, optics, faint=FAINT)
    row = _rows_of(promise, near, arrays.intensity, table.rows.shape[1])
    found, row = row >= 0, row[row >= 0]
    counts, errors, spread = (np.zeros((len(found), *rest)) for rest in ((), (2,), ()))
    counts[found] = np.maximum(arrays.intensity[near.spot[row]], 1e-6)
    errors[found] = error[row]
    spread[found] = variance[near.spot[row]] / counts[found] ** 2
    strength = np.bincount(promise.crystal, counts, minlength=len(position))

    stray = np.isin(arrays.owner, position)
    stray[near.spot[row]] = False
    stray = np.flatnonzero(stray)
    crystal = np.searchsorted(position, arrays.owner[stray])

    expected = promise.share * strength[promise.crystal]
    kept = told[promise.crystal] & (expected > 0)
    ratio = counts[kept] / expected[kept]
    unit = grain[promise.crystal] * table.rows.shape[1] + promise.reflection
    fates = Fates(
        expected[kept], np.hypot(*promise.q.T)[kept], strength[promise.crystal][kept], ratio,
        errors[kept], spread[kept], common_share(unit[kept], ratio),
    )  # fmt: skip
    return fates, strength, (crystal, stray)


def _rows_of(
    promise: Promise, near: Assignment, intensity: np.ndarray, columns: int
) -> np.ndarray:  # fmt: skip
    """Row in `near` of the strongest spot near each reflection promised, -1 where there is none."""
    promised = promise.crystal * columns + promise.reflection
    key = near.candidate * columns + near.reflection
    order = np.argsort(promised)
    of_key = order[np.minimum(np.searchsorted(promised[order], key), len(order) - 1)]
    matched = np.flatnonzero(promised[of_key] == key)
    # Ascending: the strongest is written last.
    matched = matched[np.argsort(intensity[near.spot[matched]], kind="stable")]
    row = np.full(len(promised), -1)
    row[of_key[matched]] = matched
    return row


def errors_of_places(
    arrays: Spots, found: Assignment, refined: Refined, table: ReflectionTable
) -> np.ndarray:
    """Errors (m, 2) of the places of assigned spots, outwards and across, 1/angstrom.

    Each pattern's spots are compared with its reflections after the best affine map of the plane,
    which takes out turn, scale, centre and strain. A residual is divided by sqrt(1 - h), with its
    leverage h, so that its variance is that of the error (Cook and Weisberg, Residuals and
    Influence in Regression, 1982). Spots weigh by their counts.
    """
    crystals = len(refined.scale_factor)
    x, y, _ = place(found, refined.rotation, table).T
    q = np.stack([arrays.qx[found.spot], arrays.qy[found.spot]], axis=1)
    design = np.stack([x, y, np.ones(len(x))], axis=1)
    weight = np.maximum(arrays.intensity[found.spot], 1e-9)
    weight = weight / np.bincount(found.candidate, weight, minlength=crystals)[found.candidate]
    normal, right = np.zeros((crystals, 3, 3)), np.zeros((crystals, 3, 2))
    weighted = weight[:, None] * design
    np.add.at(normal, found.candidate, weighted[:, :, None] * design[:, None, :])
    np.add.at(
        right, found.candidate, weighted[:, :, None] * (q - np.stack([x, y], axis=1))[:, None]
    )
    inverse = np.linalg.inv(normal + 1e-9 * np.eye(3))
    fitted = np.einsum("mi,mij->mj", design, (inverse @ right)[found.candidate])
    leverage = np.einsum("mi,mij,mj->m", weighted, inverse[found.candidate], design)
    error = q - np.stack([x, y], axis=1) - fitted
    error /= np.sqrt(np.maximum(1 - leverage, 0.1))[:, None]
    outwards = np.stack([x, y], axis=1) / np.maximum(np.hypot(x, y), 1e-9)[:, None]
    across = np.stack([-outwards[:, 1], outwards[:, 0]], axis=1)
    return np.stack([np.sum(error * outwards, axis=1), np.sum(error * across, axis=1)], axis=1)


def common_share(unit: np.ndarray, ratio: np.ndarray) -> float:
    """Share of the variance of log(ratio) that lies between units, 0 to 1.

    One-way analysis of variance over reflections of a grain that are found nearly everywhere, so
    that the limit of detection takes no part (intraclass correlation; Searle, Casella and
    McCulloch, Variance Components, 1992, section 3.6).
    """
    _, unit, size = np.unique(unit, return_inverse=True, return_counts=True)
    found = ratio > 0
    hits = np.bincount(unit[found], minlength=len(size))
    steady = found & ((hits >= 3) & (hits >= _STEADY * size))[unit]
    _, unit, size = np.unique(unit[steady], return_inverse=True, return_counts=True)
    if len(size) < _FEWEST_UNITS:
        return 0.0
    value = np.log(ratio[steady])
    mean = np.bincount(unit, value) / size
    within = np.sum((value - mean[unit]) ** 2) / (len(value) - len(size))
    between = np.sum(size * (mean - value.mean()) ** 2) / (len(size) - 1)
    typical = (len(value) - np.sum(size**2) / len(value)) / (len(size) - 1)
    spread = max((between - within) / typical, 0.0)
    return float(spread / (spread + within)) if spread + within > 0 else 0.0
