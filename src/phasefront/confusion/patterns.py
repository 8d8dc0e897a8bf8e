"""A scan's crystals, and patterns of another phase in their place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from scipy.special import ndtr

from phasefront.confusion.fates import FAINT, Fates, fates_of
from phasefront.diffraction import rotations
from phasefront.diffraction.crystals import Crystal
from phasefront.diffraction.likelihood import Refined, promised_reflections
from phasefront.diffraction.optics import Optics
from phasefront.diffraction.reflections import ReflectionTable, reflection_table
from phasefront.diffraction.spot_lists import Spots
from phasefront.grains import segmentation
from phasefront.grains.lattices import Lattice
from phasefront.layouts.phases import MIXED

# Of drawing fates and setting the counts that are expected right, each time by this factor at most;
# chosen, not measured.
_ROUNDS, _LARGEST_STEP = 3, 2.0
# Crystals of a scan that show what becomes of reflections, and how many of a grain do at least,
# for errors that its positions share. Chosen: they have some hundred thousand reflections.
_SHOWN, _OF_GRAIN = 1 << 14, 20


@dataclass(frozen=True)
class ScannedCrystals:
    """The crystals of a scan, one entry each, and what became of their reflections."""

    position: np.ndarray  # (n,) of the map, ascending
    asked: np.ndarray  # (m,) indices of the crystals to be simulated, evenly spread, ascending
    grain: np.ndarray  # (n,)
    phase: np.ndarray  # (n,) decided, or likeliest
    refined: Refined
    strength: np.ndarray  # (n,) counts of all reflections found
    strays: tuple[np.ndarray, np.ndarray]  # spots that nothing explains: crystal and spot, (m,)
    spots: Spots  # freed of the distortion
    variance: np.ndarray  # (spots,)
    fates: Fates
    table: ReflectionTable
    optics: Optics
    distortion: np.ndarray  # (2, 2)

    @classmethod
    def of(
        cls, spots: xr.Dataset, phases: xr.Dataset, label: np.ndarray, templates: xr.Dataset,
        crystals: Sequence[Crystal], *, asked: int,
    ) -> ScannedCrystals:  # fmt: skip
        """From SPOTS, PHASES and TEMPLATES of a scan; `label` (positions,): grain, -1 for none.

        Positions with a second lattice, and those of no grain or orientation, are left out. Of many
        crystals only some are taken: about as many as are `asked` for, and what shows fates.
        """
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
        chosen = spread(label[position], asked)
        taken = np.union1d(chosen, spread(label[position], _SHOWN, _OF_GRAIN))
        position, chosen = position[taken], np.searchsorted(taken, chosen)
        told = decision[position] != MIXED
        phase = phase[position]
        refined = Refined.placed(
            rotation[position].astype("f8"), scale_factor[position, 0].astype("f8"),
            centre[position].astype("f8"),
        )  # fmt: skip
        variance = spots["variance"].values.astype("f8")
        fates, strength, strays = fates_of(
            arrays, variance, position, phase, label[position], refined, table, optics,
            told if told.any() else ~told,
        )  # fmt: skip
        return cls(
            position, chosen, label[position], phase, refined, strength, strays, arrays, variance,
            fates, table, optics, distortion,
        )  # fmt: skip


def spread(grain: np.ndarray, most: int, least: int = 0) -> np.ndarray:
    """At most about `most` of the crystals (n,), of each grain the same share, evenly spread.

    One at least of each grain; or `least` of it, and then of some grains where all are too many.
    """
    if len(grain) <= most:
        return np.arange(len(grain))
    chosen, order = [], np.argsort(grain, kind="stable")
    grains = np.split(order, np.flatnonzero(np.diff(grain[order])) + 1)
    for own in grains[:: max(1, math.ceil(least * len(grains) / most))]:
        wanted = min(max(1, least, round(most * len(own) / len(grain))), len(own))
        chosen.append(own[((np.arange(wanted) + 0.5) * len(own) / wanted).astype(int)])
    return np.sort(np.concatenate(chosen))


def as_phase(
    scan: ScannedCrystals, chosen: np.ndarray, phase: int, lattices: Sequence[Lattice],
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


def simulated_patterns(
    scan: ScannedCrystals, chosen: np.ndarray, phase: int, rotation: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, ...]:  # fmt: skip
    """Spots that the chosen crystals (n,) show as a phase with the given orientations (n, 4).

    Returns
    -------
    Crystal of each spot (m,), ascending, as index into `chosen`; q (m, 2), 1/angstrom, freed of
    the distortion; counts and their variance (m,).
    """
    refined = scan.refined.taken(chosen)
    refined = replace(refined, rotation=rotation)
    kind = np.full(len(chosen), phase)
    promise = promised_reflections(kind, refined, scan.table, scan.optics, faint=FAINT)
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
