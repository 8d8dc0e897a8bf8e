"""The decision at every position, from posterior, refined cell and second lattice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phasefront.diffraction.spot_lists import Spots
from phasefront.layouts.phases import MIXED, UNDECIDED, UNINDEXED, VACUUM
from phasefront.phases.lattices import CLEAR, Lattices, RefinedCells
from phasefront.phases.overlaps import Second
from phasefront.phases.pairs import ODDS


@dataclass(frozen=True)
class Limits:
    """What a decision needs; see `decisions.decide_phases`."""

    min_spots: int
    decide_above: float
    min_explained: float
    max_residual: float
    max_misfit: float


@dataclass(frozen=True)
class Verdict:
    """One entry a position."""

    decision: np.ndarray  # (positions,) see PHASES
    share: np.ndarray  # (positions, phases); NaN where there is no answer
    explained: np.ndarray  # (positions,) share of the spots that lattices index
    second_share: np.ndarray  # (positions,) of the second lattice in the amplitude of both

    @classmethod
    def of(
        cls, spots: Spots, alone: Spots, posterior: np.ndarray, first: Lattices,
        cell: RefinedCells, second: Second, second_posterior: np.ndarray, vacuum: np.ndarray,
        over_strays: np.ndarray, limits: Limits, position_sigma: float,
    ) -> Verdict:  # fmt: skip
        """Decide, where the lattices fit the spots.

        Parameters
        ----------
        spots, alone
            All, and those that the second lattice leaves to the first.
        posterior, second_posterior
            Of the first and second lattice's phases, (positions, phases).
        vacuum
            Whether a position is empty, (positions,).
        over_strays
            Log-odds of the first lattice against strays, (positions,).
        position_sigma
            Standard error of a spot's position, 1/angstrom.
        """
        indexed = first.count + spots.tally(second.claimed)
        explained = indexed / np.maximum(spots.numbers, 1)
        # A spot of both gives either what it has of its intensity.
        of_second = spots._replace(intensity=second.part * spots.intensity)
        of_first = alone._replace(intensity=((1 - second.part) * spots.intensity)[~second.claimed])
        weight = of_second.amplitude(second.part > 0)
        of_both = weight + of_first.amplitude(first.explained)
        second_share = weight / np.maximum(of_both, 1e-300)
        fits = (
            (explained >= limits.min_explained)
            & (over_strays > np.log(ODDS))
            & (first.residual <= limits.max_residual * position_sigma * np.sqrt(2))
            & (cell.misfit <= limits.max_misfit)
        )
        decision, share = _decide(
            posterior, fits, fits & (cell.phase_misfit <= limits.max_misfit), cell, second,
            second_share, second_posterior, limits.decide_above,
        )  # fmt: skip
        few = spots.numbers < limits.min_spots
        decision[(decision == UNDECIDED) & (explained < limits.min_explained)] = UNINDEXED
        decision[few], share[few] = UNINDEXED, np.nan
        decision[vacuum] = VACUUM
        return cls(decision, share, explained, second_share)


def _decide(
    posterior: np.ndarray, fits: np.ndarray, fits_phase: np.ndarray, cell: RefinedCells,
    second: Second, second_share: np.ndarray, second_posterior: np.ndarray,
    decide_above: float,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Decision (positions,) and shares (positions, phases), NaN where undecided.

    One lattice: its phase, if sure and if its cell `fits_phase` (positions,); mixed, if the cell
    lies between two phases. Two lattices: their phase, if it is the same for sure; mixed, if they
    are of two phases for sure; the first one's alone, if the second is weak. Where the first one's
    cell lies between two phases, a second lattice does not make one of them clear: that cell may be
    of a phase that is no candidate, and none of it is asked for its region's mean.
    """
    every, one_of = np.arange(len(posterior)), np.eye(posterior.shape[1])
    phase = posterior.argmax(axis=1)
    sure = fits_phase & (posterior[every, phase] > decide_above)
    mixed = fits & (cell.mixed > 0.5)
    share = np.where(mixed[:, None], cell.share, one_of[phase])
    known = sure | mixed

    two = second.phase >= 0
    sure_of_second = second_posterior[every, second.phase] > decide_above
    known &= ~two | sure_of_second | (second_share <= 1 - CLEAR)
    both = two & sure_of_second
    weight = np.where(both, second_share, 0.0)[:, None]
    share = (1 - weight) * share + weight * one_of[second.phase]
    clear = share.max(axis=1) >= CLEAR
    known &= ~(two & mixed & clear)
    mixed = np.where(two, ~clear, mixed)
    decision = np.where(mixed, MIXED, share.argmax(axis=1))
    # What is decided counts whole; what is mixed, by its shares.
    share = np.where(mixed[:, None], share, one_of[share.argmax(axis=1)])
    return np.where(known, decision, UNDECIDED), np.where(known[:, None], share, np.nan)
