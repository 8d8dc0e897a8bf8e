"""What is fitted to lay a map on a scan: both images with weights, and the parameters."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from phasefront.registration.channels import (
    Channel,
    background,
    blurred,
    contrast_groups,
    extra_sigma,
    filled,
)
from phasefront.registration.placement import Placement, similarity
from phasefront.registration.starts import Start

PLACED = 5  # parameters before contrast: middle y, x, angle, log scale, log probe width


@dataclass(frozen=True)
class Problem:
    """What is fitted: the map's values with weights, and images of the scan before the probe."""

    value: np.ndarray  # (row, column)
    weight: np.ndarray  # 1/variance, 0 where not known
    pixel_nm: float
    basis: np.ndarray  # (coefficient, y, x): background, linear and square terms
    known: np.ndarray  # (y, x) of the scan
    step_nm: float
    probe_nm: float  # standard deviation of what blurs the scan to the map
    contrast: float  # prior mean of the linear terms
    landmarks: np.ndarray  # (n, 5): row and column of the map, y and x on the scan in nm, error

    @property
    def groups(self) -> int:
        """Number of contrast curves."""
        return (len(self.basis) - 1) // 2


@dataclass(frozen=True)
class State:
    """Parameters: middle (nm), angle (rad), log scale and log width; contrast; drift in nm."""

    placed: np.ndarray
    contrast: np.ndarray
    drift: np.ndarray  # (row, 2)
    mirrored: bool

    def placement(self, problem: Problem) -> Placement:
        """Where the rows lie."""
        return similarity(
            problem.value.shape, problem.pixel_nm, middle=self.placed[:2],
            angle_deg=np.rad2deg(self.placed[2]), scale=float(np.exp(self.placed[3])),
            mirrored=self.mirrored, drift=self.drift,
        )  # fmt: skip

    def moved(self, by: np.ndarray) -> State:
        """With `by` added to all parameters, in the order of the normal matrix."""
        split = np.split(by, [PLACED, PLACED + len(self.contrast)])
        return replace(
            self, placed=self.placed + split[0], contrast=self.contrast + split[1],
            drift=self.drift + split[2].reshape(self.drift.shape),
        )  # fmt: skip


def pose(
    moving: Channel, fixed: Channel, label: np.ndarray, *, extra_nm: float = 0.0,
    landmarks: np.ndarray | None = None,
) -> Problem:  # fmt: skip
    """The problem of laying `moving` on `fixed`, both blurred by `extra_nm` more (standard
    deviation).

    `label` (y, x) names grains of the scan, -1 none. The scan's noise, as the probe smooths it,
    adds to the map's.
    """
    ground = background(fixed, label)
    signal = filled(fixed.value, fixed.known) - ground
    top = np.quantile(signal[fixed.known], 0.98)
    signal = signal / max(top, 1e-12)
    groups = contrast_groups(label)
    basis = [np.ones_like(signal)]
    for power in (1, 2):
        basis += [
            np.where(groups == group, signal**power, 0.0) for group in range(groups.max() + 1)
        ]
    probe = extra_sigma(moving.resolution_nm, fixed.resolution_nm)
    own = extra_sigma(fixed.resolution_nm, moving.resolution_nm)
    soften = np.hypot(own, extra_nm) / moving.pixel_nm
    value = blurred(filled(moving.value, moving.known), soften)
    known = moving.known
    span = np.quantile(value[known], 0.98) - np.quantile(value[known], 0.02)
    smooth = probe / fixed.pixel_nm
    averaged = max(1.0, 4 * np.pi * smooth**2)  # positions that a Gaussian averages over
    noise = np.median(fixed.stderr[fixed.known]) / max(top, 1e-12) * span
    variance = moving.stderr**2 + noise**2 / averaged
    weight = np.where(known, 1 / np.where(known, variance, 1.0), 0.0)
    return Problem(
        value, weight, moving.pixel_nm, np.array(basis), fixed.known, fixed.pixel_nm,
        float(np.hypot(probe, extra_nm)), float(span),
        np.zeros((0, 5)) if landmarks is None else landmarks,
    )  # fmt: skip


def begin(start: Start, problem: Problem) -> State:
    """The state of a rough placement, with the prior's contrast."""
    contrast = np.zeros(len(problem.basis))
    contrast[0] = np.quantile(problem.value[problem.weight > 0], 0.05)
    contrast[1 : 1 + problem.groups] = problem.contrast
    placed = np.array([*start.middle, np.deg2rad(start.angle_deg), np.log(start.scale), 0.0])
    return State(placed, contrast, np.zeros((problem.value.shape[0], 2)), start.mirrored)
