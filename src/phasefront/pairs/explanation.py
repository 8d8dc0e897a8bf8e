"""Expected evidence between a true phase and a rival, by dose."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr

from phasefront.diffraction.optics import Optics
from phasefront.pairs.patterns import COUNTED, Assumptions, IdealSpots, distances

# Doses at which the nuisance parameters are fitted; at each dose the best of these fits counts.
DOSES = np.logspace(1, 12, 45)  # electrons; chosen, four a decade and in between a straight line
LIMIT = 1e15  # electrons: as good as infinitely many
_FITTED = np.append(DOSES[::8], LIMIT)


@dataclass(frozen=True)
class Explanation:
    """A pattern of A as B explains it; rates are shares of the beam's electrons."""

    spots: IdealSpots  # of A, those that count
    rival: IdealSpots  # of B, as it lies in A's pattern
    promising: IdealSpots  # those of B that count
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
        cls, spots: IdealSpots, rival: IdealSpots, scale: float, centre: np.ndarray,
        optics: Optics, assumptions: Assumptions,
    ) -> Explanation:  # fmt: skip
        rival = replace(rival, place=scale * rival.place + centre)
        tested, promising = (one.above(COUNTED, optics) for one in (spots, rival))
        distance = distances(tested.place, rival.place)
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
        near = distances(spots.place, promising.place) < assumptions.radius
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
            background=assumptions.background(optics.window[1]),
            position_sigma=optics.position_sigma,
            stray=optics.stray_share,
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
        seen = poisson_divergence(bright + background, dose * self.claimed + background)
        missed = poisson_divergence(
            dose * self.shown + background, dose * self.promised + background
        )
        nuisance = self._fit(_FITTED)
        jacobian = _jacobian(self.spots.place)
        off = self.off - self._moved(jacobian, nuisance - self.start)
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
        # Of each spot, what its weight brings to the normal equations: products of matrices.
        square = (jacobian.transpose(0, 2, 1) @ jacobian).reshape(-1, 36)
        pull = (jacobian.transpose(0, 2, 1) @ off[..., None])[..., 0]
        step = np.zeros((len(dose), 6))
        factor = np.ones_like(weight)
        for _ in range(3):
            both = weight * factor
            normal = (both @ square).reshape(-1, 6, 6) + prior
            right = both @ pull - prior @ self.start
            step = np.linalg.solve(normal, right[..., None])[..., 0]
            left = off - self._moved(jacobian, step)
            fades = (1 - self.stray) * np.exp(-0.5 * weight * (left**2).sum(axis=2))
            factor = fades / (self.stray + fades)
        return self.start + step

    @staticmethod
    def _moved(jacobian: np.ndarray, step: np.ndarray) -> np.ndarray:
        """Shifts (k, n, 2) of places with a Jacobian (n, 2, 6) under parameters (k, 6)."""
        return (step @ jacobian.reshape(-1, 6).T).reshape(len(step), -1, 2)

    def _capped(self, evidence: np.ndarray) -> np.ndarray:
        return -np.log(self.stray + (1 - self.stray) * np.exp(-evidence))


def poisson_divergence(true: np.ndarray, rival: np.ndarray) -> np.ndarray:
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
