"""A look before a run: whether the phases of a plan can be told apart at all."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from phasefront.core.errors import InputError
from phasefront.diffraction.crystals import resemblance

if TYPE_CHECKING:
    from phasefront.experiment.plan import Plan

# Correlation of powder profiles from which on two phases are looked at closely before a run;
# those of charged and discharged Na3V2(PO4)2F3 correlate by 0.96 at most.
_ALIKE = 0.97


def check_pairs(plan: Plan, *, thorough: bool = False) -> list[str]:
    """See whether the phases can be told apart at the errors in the config.

    Unless `thorough`, which takes seconds, only pairs whose powder profiles hardly differ are
    looked at. Returns a sentence for each pair that some directions of the beam, on a coarse
    grid, cannot tell apart. Raises InputError for a pair that no direction and no instrument
    of the run tells apart.
    """
    experiment = plan.experiment
    pairs = list(combinations(plan.crystals, 2))
    if not thorough:
        pairs = [pair for pair in pairs if resemblance(*pair) > _ALIKE]
    if not pairs or not plan.instruments:
        return []
    from phasefront.pairs.patterns import Assumptions
    from phasefront.pairs.rating import share_impossible

    settings, optics = experiment.spots, experiment.instruments
    shares = {
        name: share_impossible(
            plan.crystals,
            voltage_kv=optics[name].voltage_kv,
            precession_deg=optics[name].precession_deg,
            max_radius=settings.max_radius,
            position_sigma=settings.position_sigma,
            decide_above=experiment.phases.decide_above,
            min_spots=experiment.phases.min_spots,
        )
        for name in plan.instruments
    }
    sentences = []
    for pair in pairs:
        for one, other in (pair, pair[::-1]):
            for name, share in shares.items():
                if never := share[one.name, other.name]:
                    sentences.append(
                        f"{one.name} cannot be told from {other.name} along {100 * never:.0f} %"
                        f" of the beam's directions by instrument {name}, whatever the dose."
                    )
        one, other = pair
        if all(
            share[one.name, other.name] == share[other.name, one.name] == 1
            for share in shares.values()
        ):
            raise InputError(
                other.path,
                f"cannot be told apart from {one.path} along any direction, whatever the dose: "
                f"at position errors of {settings.position_sigma:g} 1/angstrom and a scale "
                f"known to {Assumptions.scale_sigma:.1%} both explain the same patterns",
                remedy="leave one of the two phases out",
            )
    return sentences
