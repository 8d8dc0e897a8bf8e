"""Spots of many patterns as a mixture over reflections, and its likelihood's maximum."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from phasefront.calibration.affine_kernels import EXCITED, mixture, predict
from phasefront.calibration.joint_steps import OUTWARD_SIGMA, joint_step, turned
from phasefront.core.errors import InputError
from phasefront.core.threads import share_out
from phasefront.diffraction import excitation
from phasefront.diffraction.optics import electron_wavelength

# Chosen, and fitted again by `make constants` on 18 scans of few grains and electrons: no value
# tried is better by three standard errors of the difference (docs/calibration.md).
OUTLIER_SHARE = 0.07  # of spots that belong to no predicted reflection
_START_SIGMA, _LEAST_SIGMA, MOST_SIGMA = 0.012, 0.001, 0.012  # position error, 1/angstrom
ROUGH_STEPS, FINE_STEPS = 6, 30  # of a climb, at most; chosen
# Reflections that no turn below this excites are passed over; chosen, few candidates turn further.
_NEAR = np.deg2rad(3.0)
# In a part, relative; maxima further apart are different answers. Chosen: ten standard errors of
# most scans, and less than half of what the phases' spacings differ by.
_OTHER_MATRIX = 0.004
# Ways of a climb that come as near as this are one; chosen, a quarter of it.
_MEETING = 0.001
# In any of the parameters, relative or 1/angstrom: steps below this are the last. Chosen, a
# hundredth of the model's error; steps then fall by half each time, or go back and forth.
_SETTLED = 1e-6
# What to do without a fit.
OTHERWISE = (
    "take the scale from a picture of a standard, calibration: {method: standard}, "
    "or as it is, calibration: {method: nominal}"
)
# Of xx, xy and yy: no camera is so far off, and no matrix within is singular.
_BOUNDS = np.array([[0.7, -0.2, 0.7], [1.3, 0.2, 1.3]])


@dataclass(frozen=True)
class JointState:
    """Parameters of the joint fit: xx, xy, yy, shift x and y, outward; rotation matrices; width."""

    parameters: np.ndarray
    rotation: np.ndarray  # (patterns, candidates, 3, 3)
    sigma: float
    phase_share: np.ndarray  # of candidates' phases
    log_likelihood: float = -np.inf

    @classmethod
    def start(cls, scale: float, rotation: np.ndarray) -> JointState:
        """A round scale, before anything is fitted; `rotation` (patterns, candidates, 3, 3)."""
        parameters = np.array([scale, 0.0, scale, 0.0, 0.0, 0.0])
        return cls(parameters, rotation, _START_SIGMA, np.empty(0))

    @property
    def scale(self) -> float:
        """Mean of the two axes, geometric, relative to the nominal one."""
        xx, xy, yy = self.parameters[:3]
        return math.sqrt(max(xx * yy - xy**2, 0.0))


class SpotMixture:
    """Spots, candidate orientations and reflections in the form that the kernel takes.

    Its arguments are those of `affine.fit_affine`, and so is what it raises.
    """

    def __init__(self, found, orientations, crystals, voltage_kv, precession_deg):
        from scipy.spatial.transform import Rotation

        rotation = orientations["rotation"].values
        rotation = rotation.reshape(-1, *rotation.shape[2:]).astype(float)  # pattern, phase, rank
        rank = rotation.shape[2]
        counts = found["count"].values.ravel()
        known = np.isfinite(rotation).all(axis=-1)
        used = np.flatnonzero(known.any(axis=(1, 2)) & (counts > 0))
        if len(used) < 3:
            raise InputError(
                found.attrs.get("scan", ""), f"only {len(used)} patterns could be indexed",
                field="scale",
                remedy=f"check the candidate phases and the nominal scale, or {OTHERWISE}",
            )  # fmt: skip
        rotation = rotation[used].reshape(len(used), -1, 4)
        known = known[used].reshape(len(used), -1)
        rotation[~known] = [1, 0, 0, 0]
        flat = Rotation.from_quat(rotation.reshape(-1, 4), scalar_first=True)
        self.rotation = flat.inv().as_matrix().reshape(*known.shape, 3, 3)
        self.known = known
        self.phase = np.repeat(np.arange(len(crystals)), rank)
        offset = found["offset"].values
        q = np.stack([found["qx"].values, found["qy"].values], axis=1).astype(float)
        self.offset = np.concatenate([[0], np.cumsum(counts[used])])
        self.q = np.concatenate([q[offset[i] : offset[i] + counts[i]] for i in used])
        radius = np.linalg.norm(self.q, axis=1)
        self.q_range = (max(0.9 * radius.min(), 0.02), radius.max() + 0.02)
        reflections = [c.reflections(1 / (1.03 * self.q_range[1])) for c in crystals]
        self.g = np.concatenate([q for _, q, _ in reflections])
        self.amplitude = np.concatenate(
            [np.sqrt(power / np.mean(power)) for _, _, power in reflections]
        )
        self.g_offset = np.concatenate([[0], np.cumsum([len(q) for _, q, _ in reflections])])
        self.wavelength = electron_wavelength(voltage_kv)
        self.precession = math.radians(precession_deg)
        self.crystals = crystals
        self.first_orientation = rotation[:, 0]
        self.first_known = known[:, 0]
        self.near, self.near_offset = self._near()

    def _near(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows of reflections that count within `_NEAR` of the first rotations, and where each
        candidate's begin; a tenth of what the kernel would try each time."""
        length = np.linalg.norm(self.g, axis=1)
        width = np.sqrt(excitation.AFFINE.variance(length, self.precession))
        most = EXCITED * width + _NEAR * length
        ewald = 0.5 * self.wavelength * length**2
        rows = []
        for pattern in self.rotation:
            for phase, upward in zip(self.phase, pattern[:, 2], strict=True):
                own = slice(*self.g_offset[phase : phase + 2])
                error = self.g[own] @ upward - ewald[own]
                rows.append(own.start + np.flatnonzero(np.abs(error) < most[own]))
        return (
            np.concatenate(rows).astype(np.int32), np.cumsum([0, *map(len, rows)]),
        )  # fmt: skip

    def _strayed(self, rotation: np.ndarray) -> np.ndarray:
        """Whether each candidate (patterns, candidates) turned by more than `_NEAR`."""
        trace = np.einsum("pkij,pkij->pk", rotation, self.rotation)
        return 0.5 * (trace - 1.0) < math.cos(_NEAR)

    def evaluate(self, state: JointState):
        """Log-likelihood of each candidate, its normal equations, sum of r^2 and of inliers."""
        patterns, candidates = self.known.shape
        found = (
            np.full((patterns, candidates), -np.inf), np.zeros((patterns, candidates, 9, 9)),
            np.zeros((patterns, candidates, 9)), np.zeros((patterns, candidates)),
            np.zeros((patterns, candidates)),
        )  # fmt: skip
        arguments = (
            self.q, self.offset, state.rotation, self.known, self.phase, self.g, self.amplitude,
            self.g_offset, self.near, self.near_offset, self._strayed(state.rotation),
            state.parameters, state.sigma, self.wavelength, self.precession,
            excitation.AFFINE.width, self.q_range[0], self.q_range[1], OUTLIER_SHARE, *found,
        )  # fmt: skip
        share_out(mixture, patterns, *arguments)
        return found

    def climb(self, state: JointState, steps: int) -> JointState:
        """The state after so many steps of expectation and maximisation, or fewer where these no
        longer move it; with its likelihood."""
        for _ in range(steps):
            before, state = self._step(state)
            if np.abs(state.parameters - before.parameters).max() < _SETTLED:
                break
        return self._step(state)[0]

    def explore(self, scales: Sequence[float]) -> list[JointState]:
        """Where a few steps lead from round scales; ways that meet go on as the likelier one."""
        states = [JointState.start(scale, self.rotation) for scale in scales]
        for _ in range(ROUGH_STEPS):
            ways = sorted(map(self._step, states), key=lambda way: -way[0].log_likelihood)
            kept: list[tuple[JointState, JointState]] = []
            for here, following in ways:
                if all(_apart(here, other, _MEETING) for other, _ in kept):
                    kept.append((here, following))
            states = [following for _, following in kept]
        return [self._step(state)[0] for state in states]

    def _step(self, state: JointState) -> tuple[JointState, JointState]:
        """The state with its likelihood, and the one after a step of expectation and maximisation,
        without."""
        share, parameters = state.phase_share, state.parameters
        if not share.size:
            share = np.full(self.phase.max() + 1, 1 / (self.phase.max() + 1))
        likelihood, normal, gradient, squares, inliers = self.evaluate(state)
        weight, total = self.responsibility(likelihood, share)
        total -= 0.5 * (parameters[5] / OUTWARD_SIGMA) ** 2
        here = replace(state, phase_share=share, log_likelihood=total)
        move, turns = joint_step(normal, gradient, weight, parameters)
        parameters = parameters + move
        parameters[:3] = np.clip(parameters[:3], *_BOUNDS)
        sigma = math.sqrt((weight * squares).sum() / max(2 * (weight * inliers).sum(), 1e-9))
        sigma = min(max(sigma, _LEAST_SIGMA), MOST_SIGMA)
        of_phase = np.bincount(self.phase, weight.sum(axis=0), minlength=len(share))
        share = (of_phase + 1) / (of_phase.sum() + len(share))
        return here, JointState(parameters, turned(state.rotation, turns), sigma, share)

    def best_two(self, starts: Sequence[JointState]) -> tuple[JointState, JointState | None]:
        """The likeliest state, and the likeliest of another matrix, if there is one."""
        best = self.climb(max(starts, key=lambda state: state.log_likelihood), FINE_STEPS)
        others = [state for state in starts if _apart(state, best)]
        if not others:
            return best, None
        rival = self.climb(max(others, key=lambda state: state.log_likelihood), FINE_STEPS)
        best, rival = sorted([best, rival], key=lambda state: -state.log_likelihood)
        return best, rival if _apart(rival, best) else None

    def responsibility(self, likelihood, share):
        """Posterior of each pattern's candidates, and the log-likelihood of all patterns."""
        joint = likelihood + np.log(share[self.phase])
        joint[~self.known] = -np.inf
        highest = joint.max(axis=1, keepdims=True)
        weight = np.exp(joint - highest)
        total = weight.sum(axis=1, keepdims=True)
        return weight / total, float((highest + np.log(total)).sum())

    @property
    def area(self) -> float:
        """Of the ring of spots, over pi; nominal, 1/angstrom^2."""
        return self.q_range[1] ** 2 - self.q_range[0] ** 2

    def residuals(self, state: JointState, candidate: np.ndarray) -> np.ndarray:
        """Measured minus predicted, 1/angstrom, of spots more likely indexed than stray."""
        residual = np.full(self.q.shape, np.nan)
        for i, k in enumerate(candidate):
            rows = np.arange(*self.g_offset[self.phase[k] : self.phase[k] + 2], dtype=np.int32)
            predicted = predict(
                state.rotation[i, k], self.g, self.amplitude, rows, state.parameters,
                self.wavelength, self.precession, excitation.AFFINE.width, *self.q_range,
            )  # fmt: skip
            of_pattern = slice(self.offset[i], self.offset[i + 1])
            q = true_frequencies(self.q[of_pattern], state.parameters)
            off = q[:, None] - predicted[:, :2]
            density = predicted[:, 3] * np.exp(-0.5 * np.sum(off**2, axis=-1) / state.sigma**2)
            total = density.sum(axis=1)
            stray = 2 * state.sigma**2 * OUTLIER_SHARE / self.area
            indexed = total > stray
            mean = np.einsum("sm,smi->si", density[indexed], off[indexed]) / total[indexed, None]
            residual[of_pattern][indexed] = mean
        return residual


def true_frequencies(q: np.ndarray, parameters: np.ndarray) -> np.ndarray:
    """True frequencies (n, 2) of nominal ones, by the parameters of the joint fit."""
    xx, xy, yy, shift_x, shift_y, outward = parameters
    inwards = q * (1 - outward / np.sum(q**2, axis=1, keepdims=True))
    return inwards @ np.array([[xx, xy], [xy, yy]]) - np.array([shift_x, shift_y])


def _apart(one: JointState, other: JointState, distance: float = _OTHER_MATRIX) -> bool:
    return np.abs(one.parameters[:3] - other.parameters[:3]).max() > distance
