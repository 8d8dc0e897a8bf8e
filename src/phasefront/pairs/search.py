"""The rival's orientation that explains a pattern best."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from phasefront.diffraction import rotations
from phasefront.diffraction.crystals import Crystal
from phasefront.diffraction.likelihood import Refined, refine
from phasefront.diffraction.matching import match
from phasefront.diffraction.optics import Optics
from phasefront.diffraction.reflections import ReflectionTable, reflection_table
from phasefront.diffraction.spot_lists import Spots
from phasefront.diffraction.template_library import COARSE_DEG, Library
from phasefront.diffraction.templates import shortest_rotations, simulate_templates
from phasefront.pairs.electrons import discriminating_reflections, electrons_needed
from phasefront.pairs.explanation import LIMIT, Explanation
from phasefront.pairs.patterns import Assumptions, IdealSpots, Reflections

# All chosen; what half and double do: docs/constants.md.
_TEMPLATE_STEP_DEG = 3.0  # of the rival's templates; what is found is refined
_RIVALS = 2  # matches of the rival that are tried at each direction
# Relations between the two lattices that are tried at all, of those found at single directions.
_RELATIONS, _RELATED_DEG = 2, 4.0
_ALIKE_DEG = 0.05  # orientations of the rival that are one
# Shares of the strongest spot's: those that the rival is indexed on, and then refined on.
_FOUND, _EXPECTED = 2e-3, 1e-4
_AMPLE = 10.0  # times the electrons needed: reflections are listed by what they say then; not there


@dataclass(frozen=True)
class Search:
    """The program's own indexing, made ready for all phases."""

    crystals: Sequence[Crystal]
    reflections: list[Reflections]
    library: Library
    table: ReflectionTable
    optics: Optics
    assumptions: Assumptions

    @classmethod
    def prepare(
        cls, crystals: Sequence[Crystal], optics: Optics, assumptions: Assumptions
    ) -> Search:
        radius = optics.window[1]
        templates = simulate_templates(
            crystals, voltage_kv=optics.voltage_kv, precession_deg=optics.precession_deg,
            resolution_deg=_TEMPLATE_STEP_DEG, max_radius=radius,
        )  # fmt: skip
        return cls(
            crystals,
            [Reflections.of(crystal, radius) for crystal in crystals],
            Library.prepare(templates, crystals, COARSE_DEG),
            reflection_table(crystals, max_radius=radius),
            optics,
            assumptions,
        )

    def rate(
        self, true: int, beams: np.ndarray, listing: np.ndarray, needed: float, min_spots: int
    ) -> Iterator[tuple[int, int, dict, list[dict]]]:
        """Rival, beam, electrons with the limit of the evidence, and, if wanted, reflections."""
        orientation = shortest_rotations(beams)
        shown = [self._shown(true, rotation) for rotation in orientation]
        refined, position, rival = self.explain(shown, orientation, true)
        for other in range(len(self.crystals)):
            if other == true:
                continue
            for number in range(len(beams)):
                own = np.flatnonzero((rival == other) & (position == number))
                explanations = [
                    Explanation.of(
                        shown[number], self._shown(other, refined.rotation[candidate]),
                        refined.scale_factor[candidate], refined.centre[candidate],
                        self.optics, self.assumptions,
                    )
                    for candidate in own[
                        first_of_its_kind(refined.rotation[own], self.crystals[other].symmetry)
                    ]
                ]  # fmt: skip
                electrons, limit, worst = electrons_needed(explanations, needed, min_spots)
                listed: list[dict] = []
                if listing[number] and worst is not None:
                    both = self.reflections[true], self.reflections[other]
                    dose = min(_AMPLE * electrons, LIMIT)
                    listed = list(discriminating_reflections(explanations[worst], dose, *both))
                yield other, number, {"electrons": electrons, "evidence_limit": limit}, listed

    def _shown(self, phase: int, rotation: np.ndarray) -> IdealSpots:
        return self.reflections[phase].shown(rotation, self.optics, self.assumptions)

    def explain(
        self, shown: Sequence[IdealSpots], orientation: np.ndarray, true: int
    ) -> tuple[Refined, np.ndarray, np.ndarray]:
        """Refined orientations of the other phases, and of which pattern and phase each is.

        Indexed as measured spots are; then refined on the expected likelihood: each spot counts by
        the weight |F| times visibility that the likelihood gives to a reflection, so that a phase
        with the same reflections ends where these are, and no other orientation is likelier. What
        relates a rival to the true phase along many directions is tried along all.
        """
        arrays = _stack([spots.above(_FOUND, self.optics) for spots in shown])
        matches = match(arrays, self.library, n_best=_RIVALS)
        found = np.isfinite(matches.score)
        found[:, true] = False
        position, phase, rank = np.nonzero(found)
        start = matches.rotation[position, phase, rank]
        start = refine(arrays, position, phase, start, self.table, self.optics).rotation
        starts = [(position, phase, start)]
        symmetry = [crystal.symmetry for crystal in self.crystals]
        for rival in range(len(self.crystals)):
            best = (phase == rival) & (rank == 0)
            relation = rotations.multiply(start[best], _inverse(orientation[position[best]]))
            for common in _commonest(relation, symmetry[rival], symmetry[true]):
                everywhere = np.arange(len(shown))
                turned = rotations.multiply(common, orientation)
                starts.append((everywhere, np.full(len(shown), rival), turned))
        position, phase, start = (np.concatenate(parts) for parts in zip(*starts, strict=True))
        amplitude = np.sqrt(self.reflections[true].strength)
        expected = [spots.above(_EXPECTED, self.optics) for spots in shown]
        expected = [replace(one, share=one.share / amplitude[one.row]) for one in expected]
        arrays = _stack(expected)
        refined = refine(
            arrays, position, phase, start, self.table, self.optics,
            intensity_power=1.0, coarse=False,
        )  # fmt: skip
        return refined, position, phase


def first_of_its_kind(rotation: np.ndarray, symmetry: np.ndarray) -> np.ndarray:
    """Which of the orientations (n, 4) have no like before them."""
    angle = rotations.misorientation(rotation[:, None], rotation, symmetry)
    return ~np.any(np.tril(angle < _ALIKE_DEG, -1), axis=1)


def _inverse(rotation: np.ndarray) -> np.ndarray:
    return rotation * [1.0, -1.0, -1.0, -1.0]


def _commonest(relation: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Of relations (n, 4) those, at most two, that most others are near, under both symmetries."""
    cosine = np.zeros((len(relation), len(relation)))
    for first, second in product(left, right):
        equivalent = rotations.multiply(rotations.multiply(first, relation), second)
        cosine = np.maximum(cosine, np.abs(equivalent @ relation.T))
    near = cosine > np.cos(np.deg2rad(_RELATED_DEG) / 2)
    chosen = []
    while near.any() and len(chosen) < _RELATIONS:
        chosen.append(int(near.sum(axis=0).argmax()))
        near[near[:, chosen[-1]]] = False
    return relation[chosen]


def _stack(shown: Sequence[IdealSpots]) -> Spots:
    """All patterns, with their shares for intensities."""
    offset = np.cumsum([0, *(len(spots.share) for spots in shown)])
    place = np.concatenate([spots.place for spots in shown])
    return Spots(offset, *place.T.copy(), np.concatenate([spots.share for spots in shown]))
