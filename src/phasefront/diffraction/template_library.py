"""Templates as matching needs them: harmonics of their rings, a coarse grid, symmetry."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import xarray as xr

from phasefront.core.threads import share_out
from phasefront.diffraction import rotations
from phasefront.diffraction.correlation import ArrayCorrelator, find_accelerator
from phasefront.diffraction.crystals import Crystal
from phasefront.diffraction.matching_kernels import COARSE_ORDERS, ORDERS, pack, search, transform
from phasefront.diffraction.spot_lists import Spots
from phasefront.diffraction.templates import MIN_RADIUS

# Spacing of the beam directions that are searched first. Chosen; half and double change 0.2 % of
# the decisions at most (docs/constants.md).
COARSE_DEG = 5.0
# Spots count by this power of their intensity. Dynamical intensities follow the kinematic ones
# loosely: high powers let a few spots decide. Fitted on Bloch-wave patterns.
TEMPLATE_POWER = 0.25
_TOGETHER = 64  # templates that are transformed at once: as many as a core's cache holds
# 1/angstrom, half width of a shell's triangular weight. Chosen; double of it takes 0.2 of the
# log-probability of the true phase (docs/constants.md).
_SHELL_STEP = 0.04


@dataclass(frozen=True)
class Library:
    """Templates made ready for matching, those nearest to one coarse template after the other."""

    rotation: np.ndarray  # (templates, 4), frame to crystal
    # (templates, shells, 2, harmonics) real and imaginary parts as 8-bit multiples of `unit`: the
    # search waits for memory. Rounding moves a correlation by some 0.0003.
    harmonics: np.ndarray
    unit: np.ndarray  # (templates,) f4
    shells: np.ndarray  # radii, 1/angstrom
    apart: float  # cosine of half the angle within which orientations are one match
    symmetry: np.ndarray  # (operations, 4), phase by phase
    symmetry_edge: np.ndarray  # (phases + 1,)
    coarse_edge: np.ndarray  # (phases + 1,): first coarse template of a phase
    near_edge: np.ndarray  # (coarse + 1,): first template of those nearest to a coarse one
    real: np.ndarray  # (harmonics, shells, coarse) f4: factors of the matrix products
    imaginary: np.ndarray

    @classmethod
    def prepare(
        cls, templates: xr.Dataset, crystals: Sequence[Crystal], coarse_deg: float
    ) -> Library:
        spots = Spots.of(templates)
        shells = np.arange(MIN_RADIUS, templates.attrs["max_radius"] + _SHELL_STEP, _SHELL_STEP)
        number = len(spots.numbers)
        shape = (len(shells), 2, len(ORDERS))
        packed, unit = np.empty((number, *shape), np.int8), np.empty(number, np.float32)
        amplitude = spots.intensity**TEMPLATE_POWER

        def work(begin: int, end: int) -> None:
            room = np.empty((_TOGETHER, *shape), dtype=np.float32)
            for first in range(begin, end, _TOGETHER):
                own = np.arange(first, min(first + _TOGETHER, end))
                harmonics = room[: len(own)]
                harmonics[:] = 0.0
                transform(spots.offset, spots.qx, spots.qy, amplitude, own, shells, harmonics)
                pack(harmonics, packed[own[0] : own[-1] + 1], unit[own[0] : own[-1] + 1])

        share_out(work, number)
        rotation = templates["rotation"].values.astype(float)
        directions = rotations.matrices(rotation)[:, :, 2]
        # Circles of this radius about the points of a grid of spacing 1 cover the plane.
        cover = max(np.deg2rad(coarse_deg) / np.sqrt(2), 1e-6)
        coarse, coarse_edge, near, count = [], [0], [], []
        for phase in range(len(crystals)):
            own = np.flatnonzero(templates["phase_index"].values == phase)
            chosen = list(_cover(directions[own], cover))
            nearest = (directions[own] @ directions[own[chosen]].T).argmax(axis=1)
            apart = np.ones(len(own), dtype=bool)
            apart[chosen] = False  # the coarse one is the first of those nearest to it
            near.append(own[np.lexsort((apart, nearest))])
            count.append(np.bincount(nearest, minlength=len(chosen)))
            coarse.append(own[chosen])
            coarse_edge.append(coarse_edge[-1] + len(chosen))
        near, coarse = np.concatenate(near), np.concatenate(coarse)
        lower = packed[coarse][..., COARSE_ORDERS - 1] * unit[coarse, None, None, None]
        real, imaginary = np.ascontiguousarray(lower.transpose(2, 3, 1, 0))
        step = np.deg2rad(templates.attrs["resolution_deg"])
        operations = [crystal.symmetry for crystal in crystals]
        return cls(
            rotation[near], packed[near], unit[near], shells, np.cos(0.75 * step),
            np.concatenate(operations), np.cumsum([0, *map(len, operations)]),
            np.array(coarse_edge), np.cumsum([0, *np.concatenate(count)]), real, imaginary,
        )  # fmt: skip

    @property
    def phases(self) -> int:
        return len(self.coarse_edge) - 1

    @cached_property
    def accelerated(self) -> ArrayCorrelator:
        """The correlator of a GPU, to which the templates are copied once for all of a scan."""
        return ArrayCorrelator(self.real, self.imaginary, *find_accelerator())

    @property
    def operations(self) -> int:
        """Floating-point operations of the matrix products for one pattern."""
        return 2 * 4 * len(COARSE_ORDERS) * len(self.shells) * int(self.coarse_edge[-1])

    def transform(
        self, spots: Spots, amplitude: np.ndarray, chosen: np.ndarray, size: int
    ) -> np.ndarray:
        """Normalised harmonics (size, shells, 2, harmonics) of the chosen patterns, then zeros.

        All batches have one size: what BLAS makes of one pattern may depend on it.
        """
        harmonics = np.zeros((size, len(self.shells), 2, len(ORDERS)), dtype=np.float32)
        transform(spots.offset, spots.qx, spots.qy, amplitude, chosen, self.shells, harmonics)
        return harmonics

    def search(
        self, harmonics: np.ndarray, score: np.ndarray, angle: np.ndarray, n_best: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Quaternions (patterns, phases, n_best, 4) and scores from the grid about the best."""
        shape = (len(harmonics), self.phases, n_best)
        quaternions, scores = np.full((*shape, 4), np.nan), np.full(shape, np.nan)
        search(
            harmonics, score, angle, self.rotation, self.harmonics, self.unit, self.coarse_edge,
            self.near_edge, self.symmetry, self.symmetry_edge, self.apart, quaternions, scores,
        )  # fmt: skip
        return quaternions, scores


def _cover(directions: np.ndarray, radius: float) -> Iterator[int]:
    """Indices of directions such that each direction lies within `radius` of a chosen one."""
    covered = np.zeros(len(directions), dtype=bool)
    for index, direction in enumerate(directions):
        if not covered[index]:
            covered |= directions @ direction >= np.cos(radius)
            yield index
