"""Orientations: the best of every phase at every position, matched, refined and ranked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import xarray as xr

from phasefront.core import netcdf
from phasefront.diffraction import zone
from phasefront.diffraction.crystals import Crystal
from phasefront.diffraction.likelihood import refine
from phasefront.diffraction.matching import Matches, match
from phasefront.diffraction.matching_kernels import rank_distinct
from phasefront.diffraction.optics import Optics
from phasefront.diffraction.reflections import ReflectionTable, reflection_table
from phasefront.diffraction.spot_lists import Spots
from phasefront.diffraction.template_library import COARSE_DEG, Library
from phasefront.layouts.orientations import ORIENTATIONS

BLOCK = 8192  # positions in memory at a time
# Chosen; what half and double do: docs/constants.md.
_SPARE = 1  # matches refined beyond those kept: the likelihood may put them first
# Log-likelihood by which the position's best must be better for an orientation not to be followed:
# here its half turn, in `phases.evidence` another than the phase's best. Chosen: what is refined in
# between (scale, ellipse, errors) moves differences by less than half of it.
HOPELESS = 40.0
_WORTH = 0.85  # share of the best match's score, below which only a phase's own best is refined


def find_orientations(
    spots: xr.Dataset, templates: xr.Dataset, crystals: Sequence[Crystal], **settings
) -> xr.Dataset:
    """`stream_orientations` of a whole scan, as an ORIENTATIONS dataset in memory."""
    parts = stream_orientations(spots, templates, crystals, **settings)
    return netcdf.join(parts, ORIENTATIONS, *constants(spots, crystals))


def constants(spots: xr.Dataset, crystals: Sequence[Crystal]) -> tuple[dict, dict]:
    """What of an ORIENTATIONS dataset is the same for all rows, and its attributes."""
    return {"phase": [crystal.name for crystal in crystals]}, {"scan": spots.attrs["scan"]}


def stream_orientations(
    spots: xr.Dataset,
    templates: xr.Dataset,
    crystals: Sequence[Crystal],
    *,
    n_best: int = 2,
    min_spots: int = 5,
    position_sigma: float = 0.005,
    centre_sigma: float = 0.001,
    distinct_deg: float = 5.0,
    coarse_deg: float = COARSE_DEG,
    device: str = "cpu",
) -> Iterator[dict]:
    """Best distinct orientations of every phase at every position, refined on its spots.

    Parameters
    ----------
    spots, templates
        SPOTS and TEMPLATES datasets; of SPOTS that are open on disk, a block is read at a time.
        A pattern's scale is refined within the error that SPOTS have of theirs.
    crystals
        The phases, in the templates' order.
    n_best
        Orientations kept per phase, by likelihood, best first. They differ by more than
        `distinct_deg` under the crystal's symmetry. A phase always keeps its best match; others
        are left out where their score is below 85 % of the best of all phases.
    min_spots
        Positions with fewer spots get NaN.
    position_sigma, centre_sigma
        Standard errors of a spot's position and of the pattern's centre, 1/angstrom.
    coarse_deg
        Spacing of the beam directions that are searched first, degrees.
    device
        See `matching.match`.

    Half a turn about the zone axis leaves a pattern of one zone as it is (see `zone`). So the best
    orientation of a phase is refined half a turn on, too, unless another phase is far likelier.

    Yields the variables of ORIENTATIONS but for `phase`, some rows at a time. The bytes depend
    neither on how many, nor on the number of threads.
    """
    library = Library.prepare(templates, crystals, coarse_deg)
    optics = Optics.of(templates, spots, position_sigma=position_sigma, centre_sigma=centre_sigma)
    table = reflection_table(crystals, max_radius=optics.window[1])
    ny, nx = spots["count"].shape
    rows = max(1, BLOCK // nx)
    for first in range(0, ny, rows):
        last = min(first + rows, ny)
        arrays = Spots.of(spots, slice(first * nx, last * nx))
        matches = match(arrays, library, n_best=n_best + _SPARE, min_spots=min_spots, device=device)
        found = _refine_and_rank(arrays, matches, library, table, optics, n_best, distinct_deg)
        yield {
            name: values.reshape(last - first, nx, *values.shape[1:])
            for name, values in found.items()
        }


def _refine_and_rank(
    arrays: Spots, matches: Matches, library: Library, table: ReflectionTable, optics: Optics,
    n_best: int, distinct_deg: float,
) -> dict[str, np.ndarray]:  # fmt: skip
    """Variables of ORIENTATIONS, positions first."""
    shape = (*matches.score.shape[:2], n_best)
    found = {
        "rotation": np.full((*shape, 4), np.nan),
        "log_likelihood": np.full(shape, np.nan),
        "score": np.full(shape, np.nan),
        "residual": np.full(shape, np.nan),
        "indexed": np.zeros(shape, dtype=int),
    }
    at = np.nonzero(_worth_refining(matches.score))
    position, phase = at[:2]
    refined = refine(arrays, position, phase, matches.rotation[at], table, optics, scored=True)
    best = _best_of_each(position * shape[1] + phase, refined.log_likelihood)
    likeliest = np.full(shape[0], -np.inf)
    np.maximum.at(likeliest, position, refined.log_likelihood)
    best = best[refined.log_likelihood[best] >= likeliest[position[best]] - HOPELESS]
    turned = refine(
        arrays, position[best], phase[best],
        zone.half_turned(
            arrays, position[best], phase[best], refined.taken(best), table, optics
        ),
        table, optics, coarse=False, scored=True,
    )  # fmt: skip
    position = np.concatenate([position, position[best]])
    phase = np.concatenate([phase, phase[best]])
    values = {
        name: np.concatenate([getattr(refined, name), getattr(turned, name)]) for name in found
    }
    rank = _rank(
        position, phase, values["rotation"], values["log_likelihood"], library, distinct_deg,
        n_best,
    )  # fmt: skip
    kept = rank >= 0
    for name, array in found.items():
        array[position[kept], phase[kept], rank[kept]] = values[name][kept]
    return found


def _worth_refining(score: np.ndarray) -> np.ndarray:
    """Of matches (position, phase, rank): each phase's best, and what is near the best of all."""
    found = np.isfinite(score)
    near = score >= _WORTH * np.nanmax(score, axis=(1, 2), keepdims=True, initial=0.0)
    near[..., 0] = True
    return found & near


def _best_of_each(group: np.ndarray, likelihood: np.ndarray) -> np.ndarray:
    """Index of the likeliest candidate of each group of equal numbers."""
    order = np.lexsort((-likelihood, group))
    return order[np.flatnonzero(np.diff(group[order], prepend=-1))]


def _rank(
    position: np.ndarray, phase: np.ndarray, rotation: np.ndarray, likelihood: np.ndarray,
    library: Library, distinct_deg: float, n_best: int,
) -> np.ndarray:  # fmt: skip
    """Rank (n,) of candidates by likelihood, per position and phase; -1 for what is left out.

    Left out are orientations near a better one, and those past `n_best`.
    """
    group = position * library.phases + phase
    order = np.argsort(group, kind="stable")
    rank, ordered = np.empty(len(group), dtype=int), np.full(len(group), -1)
    rank_distinct(
        group[order], phase[order], rotation[order], likelihood[order], library.symmetry,
        library.symmetry_edge, np.cos(np.deg2rad(distinct_deg) / 2), n_best, ordered,
    )  # fmt: skip
    rank[order] = ordered
    return rank
