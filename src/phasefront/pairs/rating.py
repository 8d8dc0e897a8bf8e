"""Which phases can be told apart: along which directions, by what, with how many electrons.

Worked out from the crystals alone, before anything is measured. If phase A is true, a pattern of N
electrons is expected to speak for A against B by the Kullback-Leibler divergence of what the two
predict, with B in the orientation in which it explains A's pattern best: the program's own search
finds it, so phases need not have a lattice in common. Three things tell phases apart:

- a spot of A lies off the reflection of B that it would be (`shifted`): for a Gaussian error,
  d^2 / (2 sigma^2), with what rotation, scale, ellipse and centre can absorb taken out at the price
  of their priors (profile likelihood), times the probability that the spot is found at all;
- A shows a spot where B shows none (`only A`), or none where B promises one (`only B`): Poisson
  counts over a background, a ln(a / b) - a + b (Kullback, Information Theory and Statistics, 1959).

Kinematic intensities are not to be trusted, so those count only where they differ by more than
`trust`, after allowing for double diffraction; and one reflection counts ln(1 / stray share) at
most: with that probability it is not what it should be, whatever its phase.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import xarray as xr

from phasefront.core import netcdf
from phasefront.diffraction.crystals import Crystal
from phasefront.diffraction.optics import Optics
from phasefront.diffraction.templates import MIN_RADIUS, beam_directions
from phasefront.layouts.pairs import PAIRS
from phasefront.pairs.patterns import Assumptions
from phasefront.pairs.search import Search
from phasefront.pairs.zone_axes import lowest_zone_axes
from phasefront.phases.evidence import TEMPERATURE

# Chosen, for time; no decision depends on them.
STEP_DEG = 5.0  # between the beam directions that are rated
ZONE_AXES = 8  # the lowest-index ones of each phase, rated as well
_LOOK_STEP_DEG = 20.0  # the same, for a look before a run


def rate_pairs(
    crystals: Sequence[Crystal],
    *,
    voltage_kv: float,
    precession_deg: float,
    max_radius: float = 1.2,
    position_sigma: float = 0.005,
    decide_above: float = 0.95,
    min_spots: int = 5,
    step_deg: float = STEP_DEG,
    zone_axes: int = ZONE_AXES,
    assumptions: Assumptions | None = None,
) -> xr.Dataset:
    """Electrons that a decision needs, for each ordered pair of phases and each beam direction.

    Parameters
    ----------
    max_radius
        Largest spatial frequency that is looked at, 1/angstrom.
    position_sigma
        Error of a spot's position along one axis that no dose takes away, 1/angstrom.
    decide_above
        The posterior that a decision needs, phases being equally likely beforehand. The evidence
        that gives it is ln(p / (1 - p)) over the temperature of `evidence.decide_phases`.
    min_spots
        Spots that must be found for a pattern to be looked at.
    step_deg, zone_axes
        Spacing of the beam directions, which cover one sector of the true phase's Laue group; and
        number of its lowest-index zone axes, which come first.

    Returns a PAIRS dataset. Electrons are infinite where no dose suffices, or more than 1e12.
    """
    assumptions = assumptions or Assumptions()
    optics = Optics(
        voltage_kv=voltage_kv,
        precession_deg=precession_deg,
        window=(MIN_RADIUS, max_radius),
        position_sigma=position_sigma,
        scale_sigma=assumptions.scale_sigma,
        centre_sigma=assumptions.centre_sigma,
    )
    needed = np.log(decide_above / (1.0 - decide_above)) / TEMPERATURE
    pairs = [pair for pair in product(range(len(crystals)), repeat=2) if pair[0] != pair[1]]
    directions: list[dict] = []
    reflections: list[dict] = []
    if pairs:
        search = Search.prepare(crystals, optics, assumptions)
        for true, crystal in enumerate(crystals):
            uvw, axes = lowest_zone_axes(crystal, zone_axes)
            beams = np.concatenate([axes, beam_directions(crystal, step_deg)])
            uvw = np.concatenate([uvw, np.zeros((len(beams) - len(uvw), 3), dtype=int)])
            rated = search.rate(true, beams, uvw.any(axis=1), needed, min_spots)
            for rival, number, values, listed in rated:
                row = {"beam": beams[number], "zone_axis": uvw[number], **values}
                reflections += [one | {"direction_index": len(directions)} for one in listed]
                directions.append({"pair_index": pairs.index((true, rival)), **row})
    return netcdf.build(
        PAIRS,
        {
            "phase": [crystal.name for crystal in crystals],
            "true_phase": [pair[0] for pair in pairs],
            "rival": [pair[1] for pair in pairs],
            **_columns(directions, PAIRS, "direction"),
            **_columns(reflections, PAIRS, "reflection"),
        },
        {
            "decide_above": float(decide_above), "evidence_needed": float(needed),
            "position_sigma": float(position_sigma), "scale_sigma": assumptions.scale_sigma,
            "voltage_kv": float(voltage_kv), "precession_deg": float(precession_deg),
            "diffracted": assumptions.diffracted, "diffuse": assumptions.diffuse,
        },
    )  # fmt: skip


def share_impossible(crystals: Sequence[Crystal], **settings) -> dict[tuple[str, str], float]:
    """Share of directions along which no dose decides, by the names of phase and rival.

    On a grid coarse enough for a look before a run; `settings` are those of `rate_pairs`.
    """
    rated = rate_pairs(crystals, step_deg=_LOOK_STEP_DEG, zone_axes=0, **settings)
    names, never = rated["phase"].to_numpy(), np.isinf(rated["electrons"].to_numpy())
    return {
        (str(names[true]), str(names[rival])): float(never[rated["pair_index"] == index].mean())
        for index, (true, rival) in enumerate(
            zip(rated["true_phase"].values, rated["rival"].values, strict=True)
        )
    }


def _columns(rows: Sequence[dict], layout: netcdf.Layout, dimension: str) -> dict[str, np.ndarray]:
    """The variables along a dimension from one mapping each entry."""
    columns = {}
    for name, declared in layout.variables.items():
        if declared.dims[:1] == (dimension,):
            shape = (len(rows), *[3] * (len(declared.dims) - 1))
            columns[name] = np.reshape([row[name] for row in rows], shape)
    return columns
