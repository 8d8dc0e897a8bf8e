"""Electrons that decide between two phases, and the reflections that do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from phasefront.pairs.explanation import DOSES, LIMIT, Explanation
from phasefront.pairs.patterns import Reflections

ALL_DOSES = np.append(DOSES, LIMIT)
_LISTED = 0.05  # of the evidence that one reflection can give: what is listed has more; chosen


def electrons_needed(
    explanations: Sequence[Explanation], needed: float, min_spots: int
) -> tuple[float, float, int | None]:
    """Electrons, the evidence of infinitely many, and the explanation that is hardest to refute.

    The program has to find `min_spots` spots, too. A pattern that the rival cannot index at all
    decides nothing: infinitely many.
    """
    if not explanations:
        return np.inf, 0.0, None
    curves = np.array([one.evidence(ALL_DOSES) for one in explanations])
    worst = curves.min(axis=0)
    found = explanations[0].found(ALL_DOSES[:, None]).sum(axis=1)
    electrons = max(_first_dose(worst[:-1], needed), _first_dose(found[:-1], min_spots))
    after = np.searchsorted(ALL_DOSES[:-1], electrons)
    return electrons, float(worst[-1]), int(curves[:, after].argmin())


def _first_dose(rising: np.ndarray, level: float) -> float:
    """Dose at which positive values at `DOSES` reach a level; between two, both logarithmic."""
    enough = np.flatnonzero(rising >= level)
    if not len(enough):
        return np.inf
    first = enough[0]
    if first == 0:
        return float(DOSES[0])
    low, high = np.log(np.maximum(rising[first - 1 : first + 1], 1e-12))
    part = (np.log(level) - low) / (high - low)
    return float(DOSES[first - 1] * (DOSES[first] / DOSES[first - 1]) ** part)


def discriminating_reflections(
    explanation: Explanation, dose: float, true: Reflections, rival: Reflections
) -> Iterator[dict]:
    """Reflections that tell the phases apart at a dose, strongest evidence first.

    Of Friedel mates one is listed.
    """
    of_spots, of_rival, _, off = (values[0] for values in explanation.shares(np.array([dose])))
    spots, other, promising = explanation.spots, explanation.rival, explanation.promising
    entries = [(evidence, 0, index) for index, evidence in enumerate(of_spots)] + [
        (evidence, 1, index) for index, evidence in enumerate(of_rival)
    ]
    listed: set[tuple] = set()
    for evidence, side, index in sorted(entries, key=lambda entry: (-entry[0], *entry[1:])):
        if evidence < _LISTED * -np.log(explanation.stray):
            return
        if side == 0:
            near = explanation.partner[index]
            hkl = true.hkl[spots.row[index]]
            rival_hkl = rival.hkl[other.row[near]] if near >= 0 else np.zeros(3, dtype=int)
            length = np.linalg.norm(true.g[spots.row[index]])
            faint = (
                explanation.claimed[index] < explanation.assumptions.diffracted * spots.share[index]
            )
            kind = "only A" if near < 0 or faint else "shifted"
            shift = off[index] if near >= 0 else np.nan
            intensity = spots.share[index] / spots.share.max()
        else:
            hkl, rival_hkl = np.zeros(3, dtype=int), rival.hkl[promising.row[index]]
            length = np.linalg.norm(rival.g[promising.row[index]])
            kind, shift = "only B", np.nan
            intensity = promising.share[index] / promising.share.max()
        key = (*hkl, *rival_hkl)
        if tuple(-value for value in key) in listed:
            continue
        listed.add(key)
        yield {
            "kind": kind, "hkl": hkl, "rival_hkl": rival_hkl, "spacing": 1.0 / length,
            "shift": shift, "relative_intensity": intensity, "evidence": evidence,
        }  # fmt: skip
