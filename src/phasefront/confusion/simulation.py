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

import numpy as np
import xarray as xr

from phasefront.confusion.patterns import ScannedCrystals, as_phase, simulated_patterns
from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.diffraction.candidates import CandidatePhases
from phasefront.grains.lattices import lattices_of
from phasefront.layouts.confusion import CONFUSION
from phasefront.layouts.phases import UNANSWERED
from phasefront.layouts.spots import DISTORTION_ERRORS, SPOTS
from phasefront.orientations import indexing
from phasefront.phases import decisions


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
    scan = ScannedCrystals.of(spots, phases, label, templates, candidates.crystals, asked=positions)
    lattices = lattices_of(candidates)
    chosen = scan.asked
    for phase in range(number if len(scan.fates.ratio) else 0):
        rng = np.random.default_rng([seed, phase])
        rotation = as_phase(scan, chosen, phase, lattices, found_grains["rotation"].values, rng)
        patterns = simulated_patterns(scan, chosen, phase, rotation, rng)
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
