"""How often a scan's phases are taken for each other: each phase's patterns, simulated and decided.

A posterior says how sure one decision is. What a scan makes of all patterns of a phase only comes
out where the phase is known. So each phase in turn is put in place of every crystal of the scan, in
the orientations, with the strengths and with the errors that the scan itself shows, and is decided
by the same calls as the scan.

What the scan shows is resampled, not modelled. Each reflection that a phase promises takes the
fate of one that was promised in the scan: with nearly the same counts expected, at a similar radius
and in a pattern of similar strength. The fate is to be missed or found, and if found, by how much
it was stronger or weaker than expected, and how far from its place. So dynamical scattering, the
limit of detection, and how the error of a place grows as spots fade, are in it. Most of the scatter
belongs to a reflection of a grain and not to a position, because dynamical intensities are nearly
the same at the next one; that correlation is measured and kept. Spots that nothing explains stay,
turned by a random angle about the beam.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from scipy.special import ndtr

from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.diffraction import rotations
from phasefront.diffraction.candidates import CandidatePhases
from phasefront.diffraction.crystals import Crystal
from phasefront.diffraction.likelihood import (
    Assignment,
    Promise,
    Refined,
    assign,
    place,
    promised_reflections,
)
from phasefront.diffraction.optics import Optics
from phasefront.diffraction.reflections import ReflectionTable, reflection_table
from phasefront.diffraction.spot_lists import Spots
from phasefront.grains import segmentation
from phasefront.layouts.confusion import CONFUSION
from phasefront.layouts.phases import MIXED, UNANSWERED
from phasefront.layouts.spots import DISTORTION_ERRORS, SPOTS
from phasefront.orientations import indexing
from phasefront.phases import decisions

# Reflections with less than this share of what a pattern promises are never found.
_FAINT = 1e-3
# A spot is a reflection's up to this many times the distance at which the likelihood lets it go:
# what weak spots do beyond it belongs to the scan as well.
_WIDER = 2.0
# A fate is drawn among so many with nearly the same counts expected, of the same third by strength
# of the pattern and by radius.
_NEAR, _THIRDS = 40, 3
# A reflection of a grain shows what it does at each position if it is found at this share of them.
_STEADY = 0.9
# Of drawing fates and setting the counts that are expected right, each time by this factor at most.
_ROUNDS, _LARGEST_STEP = 3, 2.0
_FEWEST_UNITS = 10  # that show how alike the positions of a grain are


def simulate_confusion(
    spots: xr.Dataset,
    phases: xr.Dataset,
    found_grains: xr.Dataset,
    templates: xr.Dataset,
    candidates: CandidatePhases,
    *,
    positions: int = 1500,
    orientation_settings: dict | None = None,
    phase_settings: dict | None = None,
    seed: int,
) -> xr.Dataset:
    """Decide simulated patterns of each phase at a scan's orientations, strengths and errors.

    Parameters
    ----------
    spots, phases, found_grains, templates
        SPOTS, PHASES, GRAINS and TEMPLATES datasets of one scan.
    candidates
        In the order of `phases`.
    positions
        Simulated at most, of each phase; each grain gets its share, evenly spread.
    orientation_settings, phase_settings
        Arguments of `orientations.find_orientations` and `evidence.decide_phases`: those that the
        scan was decided with.
    seed
        Of the generator. The result depends on it, and not on the number of threads.

    A position keeps its orientation, described as the other phase by the lattice that they share;
    which of the variants that this lattice's symmetry allows is drawn for each grain. Where the
    phases share no lattice, the scan says nothing of how a grain of the other phase would lie: a
    direction is drawn for each grain, uniformly, and its positions keep their small turns about
    their mean. Positions with a second lattice, and those of no grain, are not simulated.

    Intensities in the raw patterns (see `forced`) are not simulated: decisions rest on spots alone.
    Positions that are not simulated are empty, so that regions of one phase are less dense than in
    the scan.

    Returns
    -------
    CONFUSION dataset. A position that gets too few spots is neither decided nor undecided.

    Raises
    ------
    InputError
        Spots, phases and grains are not of one shape, or phases are not those of the crystals.
    """
    _check_same(spots, phases, found_grains, candidates.names)
    label = found_grains["label"].values.ravel()
    count, number = len(found_grains["size"]), len(candidates.crystals)
    decided = np.zeros((count, number, number))
    undecided, simulated = np.zeros((count, number)), np.zeros((count, number))
    scan = _Scan.of(spots, phases, label, templates, candidates.crystals)
    lattices = segmentation.lattices_of(candidates)
    chosen = _spread(label[scan.position], positions)
    for phase in range(number if len(scan.fates.ratio) else 0):
        rng = np.random.default_rng([seed, phase])
        rotation = _as_phase(scan, chosen, phase, lattices, found_grains["rotation"].values, rng)
        patterns = _simulate(scan, chosen, phase, rotation, rng)
        found = _decide(
            _on_map(patterns, scan.position[chosen], spots, scan.distortion), templates,
            candidates, orientation_settings or {}, phase_settings or {},
        )  # fmt: skip
        at = scan.position[chosen]
        share = np.nan_to_num(found["share"].values.reshape(-1, number)[at])
        missed = np.isin(found["decision"].values.ravel()[at], UNANSWERED)
        np.add.at(decided, (label[at], phase), share)
        np.add.at(undecided, (label[at], phase), missed)
        np.add.at(simulated, (label[at], phase), 1.0)
    return netcdf.build(
        CONFUSION,
        {
            "phase": candidates.names, "grain": np.arange(count),
            "decided": decided, "undecided": undecided, "simulated": simulated,
        },
        {"scan": phases.attrs["scan"], "seed": int(seed)},
    )  # fmt: skip


def _check_same(spots, phases, found_grains, names) -> None:
    shape = phases["decision"].shape
    for name, other in (("spots", spots["count"]), ("grains", found_grains["label"])):
        if other.shape != shape:
            raise InputError(
                phases.attrs["scan"], f"{name} of {other.shape} positions do not fit the phases of "
                f"{shape}", remedy="give spots, phases and grains of one scan",
            )  # fmt: skip
    if list(phases["phase"].values) != names:
        raise InputError(
            phases.attrs["scan"], f"its phases are {list(phases['phase'].values)}, not {names}",
            field="phase", remedy="give the CIFs of the phases that were decided, in their order",
        )  # fmt: skip


def _decide(
    spots: xr.Dataset, templates: xr.Dataset, candidates: CandidatePhases,
    orientation_settings: dict, phase_settings: dict,
) -> xr.Dataset:  # fmt: skip
    oriented = indexing.find_orientations(
        spots, templates, candidates.crystals, **orientation_settings
    )
    return decisions.decide_phases(spots, oriented, templates, candidates, **phase_settings)


@dataclass(frozen=True)
class _Fates:
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
        for own, wanted in self._groups(radius, strength):
            order = own[np.argsort(self.expected[own], kind="stable")]
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

    def _groups(self, radius, strength):
        """Indices of the fates, and of the reflections wanted, of each third of each third."""
        thirds = np.arange(1, _THIRDS) / _THIRDS
        edges = np.quantile(self.strength, thirds)
        own, wanted = np.searchsorted(edges, self.strength), np.searchsorted(edges, strength)
        for third in range(_THIRDS):
            mine, theirs = np.flatnonzero(own == third), np.flatnonzero(wanted == third)
            if not len(mine):
                mine = np.arange(len(self.radius))
            inner = np.quantile(self.radius[mine], thirds)
            ring, ring_wanted = (
                np.searchsorted(inner, values) for values in (self.radius[mine], radius[theirs])
            )
            for part in range(_THIRDS):
                members = mine[ring == part]
                yield members if len(members) else mine, theirs[ring_wanted == part]


@dataclass(frozen=True)
class _Scan:
    """The crystals of a scan, one entry each, and what became of their reflections."""

    position: np.ndarray  # (n,) of the map, ascending
    grain: np.ndarray  # (n,)
    phase: np.ndarray  # (n,) decided, or likeliest
    refined: Refined
    strength: np.ndarray  # (n,) counts of all reflections found
    strays: tuple[np.ndarray, np.ndarray]  # spots that nothing explains: crystal and spot, (m,)
    spots: Spots  # freed of the distortion
    variance: np.ndarray  # (spots,)
    fates: _Fates
    table: ReflectionTable
    optics: Optics
    distortion: np.ndarray  # (2, 2)

    @classmethod
    def of(
        cls, spots: xr.Dataset, phases: xr.Dataset, label: np.ndarray, templates: xr.Dataset,
        crystals: Sequence[Crystal],
    ) -> _Scan:  # fmt: skip
        optics = Optics.of(templates, spots, position_sigma=phases["position_sigma"].item())
        table = reflection_table(crystals, max_radius=optics.window[1])
        distortion = phases["distortion"].values
        arrays = Spots.of(spots).undistorted(distortion)

        decision = phases["decision"].values.ravel()
        posterior = phases["posterior"].values.reshape(len(decision), -1)
        phase = np.where(decision >= 0, decision, posterior.argmax(axis=1))
        rotation, scale_factor, centre = (
            phases[name].values.reshape(*posterior.shape, -1)[np.arange(len(phase)), phase]
            for name in ("rotation", "scale_factor", "centre")
        )
        single = (label >= 0) & (phases["second_phase"].values.ravel() < 0)
        position = np.flatnonzero(single & np.isfinite(rotation).all(axis=1))
        told = decision[position] != MIXED
        phase = phase[position]
        refined = Refined.placed(
            rotation[position].astype("f8"), scale_factor[position, 0].astype("f8"),
            centre[position].astype("f8"),
        )  # fmt: skip
        variance = spots["variance"].values.astype("f8")
        fates, strength, strays = _fates(
            arrays, variance, position, phase, label[position], refined, table, optics,
            told if told.any() else ~told,
        )  # fmt: skip
        return cls(
            position, label[position], phase, refined, strength, strays, arrays, variance, fates,
            table, optics, distortion,
        )  # fmt: skip


def _fates(
    arrays: Spots, variance: np.ndarray, position: np.ndarray, phase: np.ndarray,
    grain: np.ndarray, refined: Refined, table: ReflectionTable, optics: Optics,
    told: np.ndarray,
) -> tuple[_Fates, np.ndarray, tuple[np.ndarray, np.ndarray]]:  # fmt: skip
    """Fates of the reflections of crystals that are `told` (n,); strength and strays of all."""
    wide = replace(optics, position_sigma=_WIDER * optics.position_sigma)
    near = assign(arrays, position, phase, refined, table, wide)
    error = _errors(arrays, near, refined, table)
    promise = promised_reflections(phase, refined, table, optics, faint=_FAINT)
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
    fates = _Fates(
        expected[kept], np.hypot(*promise.q.T)[kept], strength[promise.crystal][kept], ratio,
        errors[kept], spread[kept], _common_share(unit[kept], ratio),
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


def _errors(
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


def _common_share(unit: np.ndarray, ratio: np.ndarray) -> float:
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


def _spread(grain: np.ndarray, most: int) -> np.ndarray:
    """At most about `most` of the crystals (n,), of each grain the same share, evenly spread."""
    if len(grain) <= most:
        return np.arange(len(grain))
    chosen = []
    for number in np.unique(grain):
        own = np.flatnonzero(grain == number)
        wanted = max(1, round(most * len(own) / len(grain)))
        chosen.append(own[((np.arange(wanted) + 0.5) * len(own) / wanted).astype(int)])
    return np.sort(np.concatenate(chosen))


def _as_phase(
    scan: _Scan, chosen: np.ndarray, phase: int, lattices: Sequence[segmentation.Lattice],
    mean: np.ndarray, rng: np.random.Generator,
) -> np.ndarray:  # fmt: skip
    """Orientations (n, 4) that the chosen crystals would have as another phase.

    `mean` (grain, 4): orientations of the grains' lattices.
    """
    target = lattices[phase]
    back = target.to_lattice * [1, -1, -1, -1]
    as_any = rng.standard_normal((len(mean), 4))  # a uniform direction in four dimensions
    as_any /= np.linalg.norm(as_any, axis=1, keepdims=True)
    variant = target.symmetry[rng.integers(len(target.symmetry), size=len(mean))]
    out = np.empty((len(chosen), 4))
    own_phase, grain = scan.phase[chosen], scan.grain[chosen]
    for number, lattice in enumerate(lattices):
        own = own_phase == number
        rotation = rotations.multiply(lattice.to_lattice, scan.refined.rotation[chosen[own]])
        rotation, _, _ = segmentation.nearest_either_way(
            rotation, mean[grain[own]], lattice.symmetry
        )
        shared = lattice.family == target.family
        turn = (variant if shared else as_any)[grain[own]]
        out[own] = rotations.multiply(back, rotations.multiply(turn, rotation))
    return out


def _simulate(
    scan: _Scan, chosen: np.ndarray, phase: int, rotation: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, ...]:
    """Spots of crystals of a phase: crystal, q (m, 2), counts and variance, crystals ascending."""
    refined = scan.refined.taken(chosen)
    refined = replace(refined, rotation=rotation)
    kind = np.full(len(chosen), phase)
    promise = promised_reflections(kind, refined, scan.table, scan.optics, faint=_FAINT)
    grain = scan.grain[chosen][promise.crystal]
    columns = scan.table.rows.shape[1]
    _, unit = np.unique(grain * columns + promise.reflection, return_inverse=True)
    common = scan.fates.common
    level = np.sqrt(common) * rng.standard_normal(unit.max(initial=-1) + 1)[unit]
    level += np.sqrt(1 - common) * rng.standard_normal(len(unit))
    strength = scan.strength[chosen][promise.crystal]
    expected, radius = promise.share * strength, np.hypot(*promise.q.T)
    quantile = ndtr(level)
    for _ in range(_ROUNDS):
        fate = scan.fates.draw(expected, radius, strength, quantile)
        counts = expected * scan.fates.ratio[fate]
        # What one reflection takes, the others lack: the counts add up to the position's.
        total = np.bincount(promise.crystal, counts, minlength=len(chosen))
        factor = scan.strength[chosen] / np.maximum(total, 1e-9)
        expected = expected * np.clip(factor, 1 / _LARGEST_STEP, _LARGEST_STEP)[promise.crystal]
    outwards = promise.q / radius[:, None]
    across = np.stack([-outwards[:, 1], outwards[:, 0]], axis=1)
    error = scan.fates.error[fate]
    q = promise.q + error[:, :1] * outwards + error[:, 1:] * across
    seen = counts > 0
    shown = promise.crystal[seen], q[seen], counts[seen], scan.fates.variance[fate[seen]]

    of_crystal, spot = scan.strays
    place_of = np.full(len(scan.position), -1)
    place_of[chosen] = np.arange(len(chosen))
    kept = place_of[of_crystal] >= 0
    crystal, spot = place_of[of_crystal[kept]], spot[kept]
    turn = np.exp(2j * np.pi * rng.random(len(chosen)))[crystal]
    turned = turn * (scan.spots.qx[spot] + 1j * scan.spots.qy[spot])
    crystal = np.concatenate([shown[0], crystal])
    order = np.argsort(crystal, kind="stable")
    stray_counts = scan.spots.intensity[spot]
    return (
        crystal[order],
        np.concatenate([shown[1], np.stack([turned.real, turned.imag], axis=1)])[order],
        np.concatenate([shown[2], stray_counts])[order],
        np.concatenate([shown[3] * shown[2] ** 2, scan.variance[spot]])[order],
    )


def _on_map(
    patterns: tuple[np.ndarray, ...], position: np.ndarray, spots: xr.Dataset,
    distortion: np.ndarray,
) -> xr.Dataset:  # fmt: skip
    """SPOTS of a map that is empty where nothing is simulated, with the scan's distortion."""
    crystal, q, counts, variance = patterns
    shape = spots["count"].shape
    count = np.bincount(position[crystal], minlength=shape[0] * shape[1])
    qx, qy = distortion @ q.T
    return netcdf.build(
        SPOTS,
        {
            "count": count.reshape(shape), "offset": np.concatenate([[0], np.cumsum(count)]),
            "qx": qx, "qy": qy, "intensity": counts, "variance": variance,
            **{name: spots[name] for name in DISTORTION_ERRORS},
        },
        {name: spots.attrs[name] for name in ("scan", "scan_step_nm")},
    )  # fmt: skip
