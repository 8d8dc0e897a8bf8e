"""Fractions freed of what simulated patterns of each phase are taken for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy import optimize, special

from phasefront.core.errors import InputError
from phasefront.fractions.electrode import normalised, uniform

# Standard deviation of the logarithm of true over simulated rates of wrong and missing answers.
# Chosen: simulated rates are taken to be right within a factor of two.
_RATE_SPREAD = np.log(2)
# Wrong answers are at most this share of a row in a draw, so that a response can be inverted.
# Chosen.
_MOST_WRONG = 0.9
# Weight of the condition that fractions add up to 1, against the residual of each: chosen so large
# that it holds.
_SUM_WEIGHT = 1e4


def unfold(found: np.ndarray, response: np.ndarray, efficiency: np.ndarray) -> np.ndarray:
    """True fractions (..., phase) from those found.

    Decided positions of true phase t are shared out by row t of `response` (..., phase, phase), and
    a share `efficiency` (..., phase) of all its positions is decided. The fractions u of the
    decided minimise |found - u response| with u >= 0 and sum 1 (non-negative least squares; where
    the exact solution is non-negative it is that); the result is u / efficiency, renormalised.
    """
    found, efficiency = np.asarray(found, "f8"), np.asarray(efficiency, "f8")
    known = np.isfinite(found).all(axis=-1)
    response = np.broadcast_to(response, (*found.shape, found.shape[-1]))
    solved = np.einsum("...p,...pt->...t", found, np.linalg.pinv(response))
    for index in map(tuple, np.argwhere(known & (solved.min(axis=-1) < -1e-12))):
        matrix = np.vstack([response[index].T, np.full(found.shape[-1], _SUM_WEIGHT)])
        solved[index] = optimize.nnls(matrix, np.append(found[index], _SUM_WEIGHT))[0]
    return normalised(np.maximum(solved, 0.0) / efficiency)


@dataclass(frozen=True)
class Response:
    """Simulated grains: what FRACTIONS keeps of CONFUSION."""

    simulated_weight: np.ndarray  # (grain, true phase)
    simulated_decided: np.ndarray  # (grain, true phase, phase)
    simulated: np.ndarray  # (grain, true phase)

    @classmethod
    def of(
        cls, confusion: xr.Dataset | None, grains: xr.Dataset, names: np.ndarray, area: np.ndarray
    ) -> Response:
        """Each grain weighs by its size, all grains together by the area (phase,) that was found,
        and one position, so that a phase that was not found has a response too."""
        count = len(names)
        if confusion is None:
            return cls(*(np.zeros((0, *[count] * more)) for more in (1, 2, 1)))
        if list(confusion["phase"].to_numpy()) != list(names):
            raise InputError(
                confusion.attrs["scan"], "its simulated phases are not those of the scan",
                field="phase", remedy="simulate and decide with the same phases",
            )  # fmt: skip
        label, size = confusion["grain"].to_numpy(), grains["size"].to_numpy()
        if len(label) and (label.min() < 0 or label.max() >= len(size)):
            raise InputError(
                confusion.attrs["scan"], "it names grains that the scan does not have",
                field="grain", remedy="simulate with the grains of this scan",
            )  # fmt: skip
        weight = size[label].astype("f8")
        weight = weight[:, None] / max(weight.sum(), 1.0) * (area + 1)
        return cls(weight, confusion["decided"].to_numpy(), confusion["simulated"].to_numpy())

    def mean(self) -> tuple[np.ndarray, np.ndarray]:
        """Response (phase, phase) and efficiency (phase,)."""
        response, efficiency = self._rates(np.ones((1, len(self.simulated))), added=0.0)
        return response[0], efficiency[0]

    def drawn(self, draws: int, seed) -> tuple[np.ndarray, np.ndarray]:
        """Responses (draw, phase, phase) and efficiencies (draw, phase).

        Grains get random weights, each wrong answer half a position more (Jeffreys), and each rate
        of wrong, and the odds of missing, answers a log-normal factor.
        """
        rng = np.random.default_rng(seed)
        count = self.simulated.shape[1]
        if not self.simulated.sum() > 0:
            return self._rates(np.ones((1, len(self.simulated))), added=0.0)
        # Not from a generator's own exponential, whose rejection follows roundings.
        weight = -np.log1p(-rng.random((draws, len(self.simulated))))
        response, efficiency = self._rates(weight, added=0.5)
        factor = np.exp(_RATE_SPREAD * special.ndtri(uniform(rng, (draws, count, count + 1))))
        wrong = response * factor[..., :count] * (1 - np.eye(count))
        most = wrong.sum(axis=-1, keepdims=True)
        wrong *= np.minimum(1.0, _MOST_WRONG / np.maximum(most, 1e-12))
        response = wrong + (1 - wrong.sum(axis=-1))[..., None] * np.eye(count)
        missing = (1 - efficiency) * factor[..., count]
        return response, efficiency / (efficiency + missing)

    def _rates(self, weight: np.ndarray, added: float) -> tuple[np.ndarray, np.ndarray]:
        """Those with weights (draw, grain), and `added` positions for each wrong answer.

        A phase that was not simulated is taken to be answered right, and as often as the others.
        """
        count = self.simulated.shape[1]
        per_position = np.divide(
            self.simulated_weight, self.simulated, out=np.zeros_like(self.simulated_weight),
            where=self.simulated > 0,
        )  # fmt: skip
        decided = np.einsum("dg,gt,gtp->dtp", weight, per_position, self.simulated_decided)
        total = np.einsum("dg,gt,gt->dt", weight, per_position, self.simulated)
        one = total / np.maximum(self.simulated.sum(axis=0), 1.0)  # amount of one position
        efficiency = np.full(total.shape, np.nan)
        np.divide(decided.sum(axis=-1) + 0.5 * one, total + one, out=efficiency, where=total > 0)
        others = np.nan_to_num(efficiency).sum(axis=-1, keepdims=True)
        others = others / np.maximum((total > 0).sum(axis=-1, keepdims=True), 1)
        efficiency = np.where(total > 0, efficiency, np.where(others > 0, others, 1.0))
        decided = decided + added * one[..., None] * (1 - np.eye(count))
        response = normalised(decided)
        return np.where(np.isfinite(response), response, np.eye(count)), efficiency
