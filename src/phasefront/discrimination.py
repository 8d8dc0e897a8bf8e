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

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from scipy.special import ndtr

from phasefront import layouts, netcdf, rotations
from phasefront.crystals import Crystal
from phasefront.evidence import TEMPERATURE
from phasefront.matching import Library, match
from phasefront.orientations import COARSE_DEG
from phasefront.refinement import (
    EXCITATION_WIDTH,
    Experiment,
    Refined,
    ReflectionTable,
    refine,
    reflection_table,
)
from phasefront.templates import (
    MIN_RADIUS,
    beam_directions,
    shortest_rotations,
    simulate_templates,
)

if TYPE_CHECKING:
    import pandas as pd

STEP_DEG = 5.0  # between the beam directions that are rated
ZONE_AXES = 8  # the lowest-index ones of each phase, rated as well
_LOOK_STEP_DEG = 20.0  # the same, for a look before a run
_TEMPLATE_STEP_DEG = 3.0
_RIVALS = 2  # matches of the rival that are tried at each direction
# Relations between the two lattices that are tried at all, of those found at single directions.
_RELATIONS, _RELATED_DEG = 2, 4.0
_ALIKE_DEG = 0.05  # orientations of the rival that are one
_LARGEST_INDEX = 3  # of a zone axis
_DOSES = np.logspace(1, 12, 45)  # electrons
_LIMIT = 1e15  # electrons: as good as infinitely many
_ALL_DOSES = np.append(_DOSES, _LIMIT)
# Doses at which the nuisance parameters are fitted; at each dose the best of these fits counts.
_FITTED = np.append(_DOSES[::8], _LIMIT)
# Shares of the strongest spot's: those that the rival is indexed on, and then refined on.
_FOUND, _EXPECTED = 2e-3, 1e-4
# Shares of the strongest spot's: a spot that counts for evidence, and one that may explain another.
_COUNTED, _KEPT = 1e-3, 1e-6
_OUTSIDE = 1.1  # times the largest radius at which spots count: the rival is known up to there
_REACH = 5.0  # widths of a rel-rod, beyond the cone of precession, that are looked at
_DOUBLE = 30  # strongest spots, between which double diffraction is looked for
_AMPLE = 10.0  # times the electrons needed: reflections are listed by what they say then
_TABULATED = 6  # reflections of a zone axis in the table
_LISTED = 0.05  # of the evidence that one reflection can give: what is listed has more


@dataclass(frozen=True)
class Assumptions:
    """What is said of a pattern before it is measured; lengths in 1/angstrom."""

    diffracted: float = 0.3  # share of the beam that is in the Bragg spots together
    diffuse: float = 0.3  # share that lies under them, spread evenly over the radii used
    width: float = 0.02  # rms width of a spot
    found_above: float = 5.0  # standard deviations above the background: what counts as a spot
    tilt_deg: float = 0.5  # by which an orientation may be wrong
    double: float = 0.3  # share of diffracted electrons that are diffracted once more
    trust: float = 10.0  # factor by which kinematic intensities may be wrong
    scale_sigma: float = 0.003  # of the calibrated scale, relative: what one phase alone leaves
    # Of a pattern's ellipse: grains in many orientations share a scan's, which fixes it better.
    ellipse_sigma: float = 0.001
    centre_sigma: float = 0.001

    @property
    def radius(self) -> float:
        """Two spots nearer than this are seen as one."""
        return 2.0 * self.width

    def background(self, max_radius: float) -> float:
        """Share of the beam under one spot, whose area counts as 4 pi width^2."""
        return self.diffuse * 4.0 * (self.width / max_radius) ** 2


@dataclass(frozen=True)
class _Spots:
    """What one crystal shows in one orientation; shares are of all that it diffracts."""

    place: np.ndarray  # (n, 2), 1/angstrom
    share: np.ndarray  # (n,), in the window they sum to one
    most: np.ndarray  # (n,) the largest and the smallest share within the tilt not known
    least: np.ndarray  # (n,)
    row: np.ndarray  # (n,), among the crystal's reflections

    def above(self, weakest: float, experiment: Experiment) -> _Spots:
        """Spots in the window that are stronger than a share of the strongest."""
        inside = np.hypot(*self.place.T) < experiment.window[1]
        return self.only(inside & (self.share > weakest * self.share.max()))

    def only(self, kept: np.ndarray) -> _Spots:
        return _Spots(*(getattr(self, field.name)[kept] for field in fields(self)))

    def double(self, place: np.ndarray, radius: float) -> np.ndarray:
        """Share that reaches places (m, 2) if every electron is diffracted twice.

        The pattern convolved with itself: double diffraction reaches what is the sum of two
        reflections shown, and the more, the stronger these are.
        """
        strong = np.argsort(-self.share, kind="stable")[:_DOUBLE]
        first, second = np.triu_indices(len(strong))
        sums = self.place[strong[first]] + self.place[strong[second]]
        weight = self.share[strong[first]] * self.share[strong[second]]
        return (_distance(place, sums) < radius) @ (weight * np.where(first < second, 2.0, 1.0))


@dataclass(frozen=True)
class _Reflections:
    """Of one crystal, up to a radius and a little beyond."""

    hkl: np.ndarray
    g: np.ndarray
    strength: np.ndarray

    @classmethod
    def of(cls, crystal: Crystal, max_radius: float) -> _Reflections:
        # Some outside the window explain spots just inside it.
        hkl, g, strength = crystal.reflections(1.0 / (_OUTSIDE * max_radius))
        kept = strength > _KEPT * strength.max()
        return cls(hkl[kept], g[kept], strength[kept])

    def shown(
        self, rotation: np.ndarray, experiment: Experiment, assumptions: Assumptions
    ) -> _Spots:
        """Kinematic spots under precession: Palatinus et al., Acta Cryst. B75 (2019) 512, eq. 10.

        A tilt by t moves a reflection at radius q by up to q t towards the Ewald sphere or from it.
        """
        from diffsims.utils.shape_factor_models import lorentzian_precession

        q = self.g @ rotations.matrices(rotation)
        radius = np.hypot(q[:, 0], q[:, 1])
        sphere = 1 / experiment.wavelength
        error = np.abs(sphere - np.sqrt(sphere**2 - radius**2) - q[:, 2])
        swing = np.deg2rad(experiment.precession_deg)
        slack = radius * np.deg2rad(assumptions.tilt_deg)
        near = np.flatnonzero(
            (error < _REACH * EXCITATION_WIDTH + radius * swing + slack) & (radius > MIN_RADIUS)
        )
        radius, error, slack = radius[near], error[near], slack[near]
        share, most, least = (
            self.strength[near] * lorentzian_precession(e, EXCITATION_WIDTH, radius, swing)
            for e in (error, np.maximum(error - slack, 0.0), error + slack)
        )
        # Under precession visibility is highest where the cone touches the sphere, not in between.
        most, least = np.maximum(share, most), np.minimum(share, least)
        total = share[radius < experiment.window[1]].sum()
        spots = _Spots(q[near, :2], share / total, most / total, least / total, near)
        return spots.only(spots.most > _KEPT * spots.share.max())


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
    experiment = Experiment(
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
        search = _Search.prepare(crystals, experiment, assumptions)
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
        layouts.PAIRS,
        {
            "phase": [crystal.name for crystal in crystals],
            "true_phase": [pair[0] for pair in pairs],
            "rival": [pair[1] for pair in pairs],
            **_columns(directions, layouts.PAIRS, "direction"),
            **_columns(reflections, layouts.PAIRS, "reflection"),
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


@dataclass(frozen=True)
class _Search:
    """The program's own indexing, made ready for all phases."""

    crystals: Sequence[Crystal]
    reflections: list[_Reflections]
    library: Library
    table: ReflectionTable
    experiment: Experiment
    assumptions: Assumptions

    @classmethod
    def prepare(
        cls, crystals: Sequence[Crystal], experiment: Experiment, assumptions: Assumptions
    ) -> _Search:
        radius = experiment.window[1]
        templates = simulate_templates(
            crystals, voltage_kv=experiment.voltage_kv, precession_deg=experiment.precession_deg,
            resolution_deg=_TEMPLATE_STEP_DEG, max_radius=radius,
        )  # fmt: skip
        return cls(
            crystals,
            [_Reflections.of(crystal, radius) for crystal in crystals],
            Library.prepare(templates, crystals, COARSE_DEG),
            reflection_table(crystals, max_radius=radius),
            experiment,
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
                    _Explanation.of(
                        shown[number], self._shown(other, refined.rotation[candidate]),
                        refined.scale_factor[candidate], refined.centre[candidate],
                        self.experiment, self.assumptions,
                    )
                    for candidate in own[
                        _first_of_its_kind(refined.rotation[own], self.crystals[other].symmetry)
                    ]
                ]  # fmt: skip
                electrons, limit, worst = _electrons_needed(explanations, needed, min_spots)
                listed: list[dict] = []
                if listing[number] and worst is not None:
                    both = self.reflections[true], self.reflections[other]
                    dose = min(_AMPLE * electrons, _LIMIT)
                    listed = list(_discriminating(explanations[worst], dose, *both))
                yield other, number, {"electrons": electrons, "evidence_limit": limit}, listed

    def _shown(self, phase: int, rotation: np.ndarray) -> _Spots:
        return self.reflections[phase].shown(rotation, self.experiment, self.assumptions)

    def explain(
        self, shown: Sequence[_Spots], orientation: np.ndarray, true: int
    ) -> tuple[Refined, np.ndarray, np.ndarray]:
        """Refined orientations of the other phases, and of which pattern and phase each is.

        Indexed as measured spots are; then refined on the expected likelihood: each spot counts by
        the weight |F| times visibility that the likelihood gives to a reflection, so that a phase
        with the same reflections ends where these are, and no other orientation is likelier. What
        relates a rival to the true phase along many directions is tried along all.
        """
        arrays = _stack([spots.above(_FOUND, self.experiment) for spots in shown])
        matches = match(arrays, self.library, n_best=_RIVALS)
        found = np.isfinite(matches.score)
        found[:, true] = False
        position, phase, rank = np.nonzero(found)
        start = matches.rotation[position, phase, rank]
        start = refine(arrays, position, phase, start, self.table, self.experiment).rotation
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
        expected = [spots.above(_EXPECTED, self.experiment) for spots in shown]
        expected = [replace(one, share=one.share / amplitude[one.row]) for one in expected]
        arrays = _stack(expected)
        refined = refine(
            arrays, position, phase, start, self.table, self.experiment,
            intensity_power=1.0, coarse=False,
        )  # fmt: skip
        return refined, position, phase


def _first_of_its_kind(rotation: np.ndarray, symmetry: np.ndarray) -> np.ndarray:
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


def _stack(shown: Sequence[_Spots]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """offset, qx, qy and share of the spots of all patterns, one after the other."""
    offset = np.cumsum([0, *(len(spots.share) for spots in shown)])
    place = np.concatenate([spots.place for spots in shown])
    return offset, *place.T.copy(), np.concatenate([spots.share for spots in shown])


@dataclass(frozen=True)
class _Explanation:
    """A pattern of A as B explains it; rates are shares of the beam's electrons."""

    spots: _Spots  # of A, those that count
    rival: _Spots  # of B, as it lies in A's pattern
    promising: _Spots  # those of B that count
    partner: np.ndarray  # (n,) of each spot of A the reflection of B that it would be, -1 for none
    off: np.ndarray  # (n, 2) how far it lies off that
    start: np.ndarray  # (6,) nuisance parameters of B so far: see `_jacobian`
    sigma: np.ndarray  # (6,) their prior standard errors
    claimed: np.ndarray  # (n,) the most that B can explain at A's spots
    promised: np.ndarray  # (m,) the least that B promises
    shown: np.ndarray  # (m,) what A shows there
    background: float
    position_sigma: float
    stray: float
    assumptions: Assumptions

    @classmethod
    def of(
        cls, spots: _Spots, rival: _Spots, scale: float, centre: np.ndarray,
        experiment: Experiment, assumptions: Assumptions,
    ) -> _Explanation:  # fmt: skip
        rival = replace(rival, place=scale * rival.place + centre)
        tested, promising = (one.above(_COUNTED, experiment) for one in (spots, rival))
        distance = _distance(tested.place, rival.place)
        near = distance < assumptions.radius
        # Of the reflections near by the nearest that is strong enough, else the nearest.
        strong = near & (assumptions.trust * rival.most >= tested.share[:, None])
        farther = np.where(strong, 0.0, np.where(near, assumptions.radius, np.inf))
        partner = (distance + farther).argmin(axis=1)
        off = tested.place - rival.place[partner]
        partner[~near.any(axis=1)] = -1
        off[partner < 0] = 0.0
        claimed = assumptions.trust * np.where(near, rival.most, 0.0).max(axis=1)
        again = claimed < tested.share
        claimed[again] += assumptions.double * rival.double(tested.place[again], assumptions.radius)
        promised = promising.least / assumptions.trust
        near = _distance(spots.place, promising.place) < assumptions.radius
        shown = np.where(near, spots.share[:, None], 0.0).max(axis=0)
        again = shown < promised
        places = promising.place[again]
        shown[again] += assumptions.double * spots.double(places, assumptions.radius)
        beam = assumptions.diffracted
        return cls(
            tested, rival, promising, partner, off,
            start=np.array([0.0, np.log(scale), 0.0, 0.0, *centre]),
            sigma=np.array(
                [
                    np.inf, assumptions.scale_sigma, *2 * [assumptions.ellipse_sigma],
                    *2 * [assumptions.centre_sigma],
                ]
            ),
            claimed=beam * np.minimum(claimed, tested.share),
            promised=beam * promised,
            shown=beam * np.minimum(shown, promised),
            background=assumptions.background(experiment.window[1]),
            position_sigma=experiment.position_sigma,
            stray=experiment.stray_share,
            assumptions=assumptions,
        )  # fmt: skip

    def evidence(self, dose: np.ndarray) -> np.ndarray:
        """Expected logarithm of the evidence for A against B at doses (k,) in electrons."""
        of_spots, of_rival, prior, _ = self.shares(dose)
        return of_spots.sum(axis=-1) + of_rival.sum(axis=-1) + prior

    def shares(self, dose: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """What each spot of A (k, n), each reflection of B (k, m) and the nuisance (k,) add.

        And how far each spot of A is off its partner once the nuisance is fitted, (k, n). At each
        dose the best of a few values of the nuisance parameters counts, each of which loses by more
        electrons: so the evidence never falls with the dose.
        """
        dose = dose[:, None]
        background = dose * self.background
        bright = dose * (self.assumptions.diffracted * self.spots.share)
        seen = _poisson(bright + background, dose * self.claimed + background)
        missed = _poisson(dose * self.shown + background, dose * self.promised + background)
        nuisance = self._fit(_FITTED)
        jacobian = _jacobian(self.spots.place)
        off = self.off - np.einsum("nap,tp->tna", jacobian, nuisance - self.start)
        off[:, self.partner < 0] = 0.0
        square = (off**2).sum(axis=2)
        # (values of the nuisance, doses, spots)
        moved = 0.5 * square[:, None] * (self.found(dose) / self._variance(dose))
        of_spots = self._capped(moved + seen)
        prior = 0.5 * ((nuisance / self.sigma) ** 2).sum(axis=1)
        best = (of_spots.sum(axis=2) + prior[:, None]).argmin(axis=0)
        of_spots = of_spots[best, np.arange(len(dose))]
        return of_spots, self._capped(missed), prior[best], np.sqrt(square[best])

    def found(self, dose: np.ndarray) -> np.ndarray:
        """Probability (k, n) that a spot's electrons stand far enough above their background."""
        count = dose * self.assumptions.diffracted * self.spots.share
        deviations = count / np.sqrt(count + dose * self.background)
        return ndtr(deviations - self.assumptions.found_above)

    def _variance(self, dose: np.ndarray) -> np.ndarray:
        """Of a spot's position along one axis, (k, n).

        A spot of n electrons over b of background: width^2 / n (1 + 2 b / n) (Thompson, Larson and
        Webb, Biophys. J. 82 (2002) 2775, eq. 17, of pixels that are small), and what stays.
        """
        count = dose * self.assumptions.diffracted * self.spots.share
        shot = self.assumptions.width**2 / count * (1 + 2 * dose * self.background / count)
        return self.position_sigma**2 + shot

    def _fit(self, dose: np.ndarray) -> np.ndarray:
        """Nuisance parameters (k, 6) that bring B's reflections nearest to A's spots.

        Least squares with priors; reweighted, since one spot costs no more than a stray.
        """
        paired = self.partner >= 0
        jacobian, off = _jacobian(self.spots.place[paired]), self.off[paired]
        weight = (self.found(dose[:, None]) / self._variance(dose[:, None]))[:, paired]
        prior = np.diag(self.sigma**-2.0 + 1e-12)
        step = np.zeros((len(dose), 6))
        factor = np.ones_like(weight)
        for _ in range(3):
            both = weight * factor
            normal = np.einsum("kn,nap,naq->kpq", both, jacobian, jacobian) + prior
            right = np.einsum("kn,nap,na->kp", both, jacobian, off) - prior @ self.start
            step = np.linalg.solve(normal, right[..., None])[..., 0]
            left = off - np.einsum("nap,kp->kna", jacobian, step)
            fades = (1 - self.stray) * np.exp(-0.5 * weight * (left**2).sum(axis=2))
            factor = fades / (self.stray + fades)
        return self.start + step

    def _capped(self, evidence: np.ndarray) -> np.ndarray:
        return -np.log(self.stray + (1 - self.stray) * np.exp(-evidence))


def _poisson(true: np.ndarray, rival: np.ndarray) -> np.ndarray:
    """Expected log-likelihood ratio of counts whose mean is `true` against the mean `rival`."""
    # Exactly nothing where the two are equal, however large they are.
    excess = (rival - true) / true
    return true * (excess - np.log1p(excess))


def _jacobian(place: np.ndarray) -> np.ndarray:
    """Shift (n, 2, 6) of places by: turn, scale, two components of an ellipse, centre x and y."""
    x, y = place.T
    one, zero = np.ones_like(x), np.zeros_like(x)
    return np.stack(
        [np.stack([-y, x, x, y, one, zero], axis=1), np.stack([x, y, -y, x, zero, one], axis=1)],
        axis=1,
    )


def _distance(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    x, y = (np.subtract.outer(first[:, axis], second[:, axis]) for axis in (0, 1))
    return np.sqrt(x * x + y * y)


def _electrons_needed(
    explanations: Sequence[_Explanation], needed: float, min_spots: int
) -> tuple[float, float, int | None]:
    """Electrons, the evidence of infinitely many, and the explanation that is hardest to refute.

    The program has to find `min_spots` spots, too. A pattern that the rival cannot index at all
    decides nothing: infinitely many.
    """
    if not explanations:
        return np.inf, 0.0, None
    curves = np.array([one.evidence(_ALL_DOSES) for one in explanations])
    worst = curves.min(axis=0)
    found = explanations[0].found(_ALL_DOSES[:, None]).sum(axis=1)
    electrons = max(_first_dose(worst[:-1], needed), _first_dose(found[:-1], min_spots))
    after = np.searchsorted(_ALL_DOSES[:-1], electrons)
    return electrons, float(worst[-1]), int(curves[:, after].argmin())


def _first_dose(rising: np.ndarray, level: float) -> float:
    """Dose at which positive values at `_DOSES` reach a level; between two, both logarithmic."""
    enough = np.flatnonzero(rising >= level)
    if not len(enough):
        return np.inf
    first = enough[0]
    if first == 0:
        return float(_DOSES[0])
    low, high = np.log(np.maximum(rising[first - 1 : first + 1], 1e-12))
    part = (np.log(level) - low) / (high - low)
    return float(_DOSES[first - 1] * (_DOSES[first] / _DOSES[first - 1]) ** part)


def _discriminating(
    explanation: _Explanation, dose: float, true: _Reflections, rival: _Reflections
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


def lowest_zone_axes(crystal: Crystal, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices [uvw] (n, 3) of the lowest zone axes, one of each orbit of the Laue group.

    Lowest are those with the smallest sum of squares; of equivalent ones that with the fewest
    negative indices. Also their directions (n, 3), unit vectors in the crystal's axes.
    """
    indices = np.array(list(product(range(-_LARGEST_INDEX, _LARGEST_INDEX + 1), repeat=3)))
    indices = indices[np.gcd.reduce(indices, axis=1) == 1]
    order = np.lexsort((*-indices.T[::-1], (indices < 0).sum(axis=1), (indices**2).sum(axis=1)))
    direct = np.linalg.inv(crystal.reciprocal).T
    operations = rotations.matrices(crystal.symmetry)
    uvw: list[np.ndarray] = []
    axes: list[np.ndarray] = []
    for row in indices[order]:
        if len(axes) == number:
            break
        axis = row @ direct
        axis = axis / np.linalg.norm(axis)
        images = operations @ axis
        if any(np.abs(images @ other).max() > 1 - 1e-9 for other in axes):
            continue
        uvw.append(row)
        axes.append(axis)
    return np.array(uvw).reshape(-1, 3), np.array(axes).reshape(-1, 3)


def tabulate(pairs: xr.Dataset) -> pd.DataFrame:
    """What a PAIRS dataset says, one row a discriminating reflection, at most six a zone axis.

    The first row of a pair, `all` directions, has the median over the grid of directions and the
    share of these along which no dose decides. Electrons are those that a pattern needs. Indices
    are space-separated; units are in the columns' names.
    """
    import pandas as pd

    names = pairs["phase"].to_numpy()
    rows = []
    for index, (true, rival) in enumerate(
        zip(pairs["true_phase"].to_numpy(), pairs["rival"].to_numpy(), strict=True)
    ):
        pair = {"phase": names[true], "rival": names[rival]}
        own = pairs["pair_index"].to_numpy() == index
        axis = pairs["zone_axis"].to_numpy().any(axis=1)
        grid = pairs["electrons"].to_numpy()[own & ~axis]
        rows.append(
            pair
            | {
                "zone_axis": "all",
                "electrons": np.quantile(grid, 0.5, method="higher") if len(grid) else np.nan,
                "share_impossible": np.isinf(grid).mean() if len(grid) else np.nan,
            }
        )
        for direction in np.flatnonzero(own & axis):
            here = pair | {
                "zone_axis": _words(pairs["zone_axis"].to_numpy()[direction]),
                "electrons": pairs["electrons"].to_numpy()[direction],
            }
            seen = np.flatnonzero(pairs["direction_index"].to_numpy() == direction)[:_TABULATED]
            rows += [here | _described(pairs, reflection) for reflection in seen] or [here]
    columns = [
        "phase", "rival", "zone_axis", "electrons", "share_impossible", "kind", "hkl", "rival_hkl",
        "spacing_angstrom", "shift_per_angstrom", "relative_intensity", "evidence",
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def _described(pairs: xr.Dataset, reflection: int) -> dict:
    def value(name: str) -> float:
        return float(pairs[name].to_numpy()[reflection])

    return {
        "kind": str(pairs["kind"].to_numpy()[reflection]),
        "hkl": _words(pairs["hkl"].to_numpy()[reflection]),
        "rival_hkl": _words(pairs["rival_hkl"].to_numpy()[reflection]),
        "spacing_angstrom": value("spacing"),
        "shift_per_angstrom": value("shift"),
        "relative_intensity": value("relative_intensity"),
        "evidence": value("evidence"),
    }


def _words(indices: np.ndarray) -> str:
    return " ".join(map(str, indices)) if indices.any() else ""
