"""How the cell of the lattice that phases share changes with the ion content."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from phasefront.core.errors import InputError
from phasefront.diffraction.candidates import CandidatePhases
from phasefront.diffraction.cells import strain_basis, strained_axes
from phasefront.diffraction.crystals import Crystal


@dataclass(frozen=True)
class Path:
    """How the lattice that phases share changes with the ion content."""

    crystals: Sequence[Crystal]
    parents: Sequence[np.ndarray]  # rows: the shared lattice's axes in each phase's own
    ion_contents: np.ndarray  # (phases,)

    @classmethod
    def of(cls, candidates: CandidatePhases) -> Path | None:
        """None where phases share no lattice or two of them one ion content, or there is only one.

        Raises InputError for axes that span no volume.
        """
        crystals, ion_contents = candidates.crystals, candidates.ion_contents
        parent_axes = candidates.parent_axes
        if any(axes is None for axes in parent_axes):
            return None
        if len(crystals) < 2 or len(set(ion_contents)) < len(crystals):
            return None
        for crystal, axes in zip(crystals, parent_axes, strict=True):
            if abs(np.linalg.det(np.array(axes))) < 1e-6:
                raise InputError(
                    crystal.path, "the axes of the shared lattice span no volume",
                    field="parent_axes", remedy="give three axes that are not in one plane",
                )  # fmt: skip
        parents = [np.array(axes, dtype=float) for axes in parent_axes]
        return cls(crystals, parents, np.array(ion_contents, dtype=float))

    def axial_ratio(self, phase: int, strain: np.ndarray) -> np.ndarray:
        """c over the mean of a and b of the shared lattice, (n, 1), of strains (n, 6)."""
        axes = strained_axes(self.crystals[phase], strain)
        length = np.linalg.norm(self.parents[phase] @ axes, axis=2)
        return (length[:, 2] / (0.5 * (length[:, 0] + length[:, 1])))[:, None]

    def knots(self, phase: int) -> tuple[np.ndarray, np.ndarray]:
        """Ion contents, ascending, and strains (phases, 6) from `phase`'s cell to each phase's.

        The stretch of the shared lattice is the square root of its change of metric; only what
        keeps the symmetry of `phase` is kept.
        """
        from scipy.linalg import sqrtm

        crystal = self.crystals[phase]
        basis = strain_basis(crystal)
        own = self._shared_axes(phase)
        order = np.argsort(self.ion_contents)
        strains = np.zeros((len(order), 6))
        for row, other in enumerate(order):
            change = np.linalg.inv(own) @ self._shared_axes(other)
            stretch = np.real(sqrtm(change @ change.T))
            reciprocal = np.linalg.inv(stretch) - np.eye(3)
            strains[row, : len(basis)] = np.einsum("kij,ij->k", basis, reciprocal)
        return self.ion_contents[order], strains

    def _shared_axes(self, phase: int) -> np.ndarray:
        axes = np.linalg.inv(self.crystals[phase].reciprocal).T
        return self.parents[phase] @ axes

    def locate(
        self, phase: int, strain: np.ndarray, covariance: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Ion content (n,) and its standard error (n,) from strains (n, 6) of `phase`.

        The place nearest to each strain on the path of straight lines between the phases' cells, in
        the metric of its covariance (generalised least squares); the lines at both ends go on.
        """
        content, error, _ = self._nearest(phase, strain, covariance, beyond=np.inf)
        return content, error

    def distance(self, phase: int, strain: np.ndarray, covariance: np.ndarray) -> np.ndarray:
        """How far strains (n, 6) are from the path between the first and last phase, in standard
        errors (n,)."""
        return self._nearest(phase, strain, covariance, beyond=0.0)[2]

    def _nearest(self, phase, strain, covariance, *, beyond):
        contents, knots = self.knots(phase)
        used = len(strain_basis(self.crystals[phase]))
        strain, knots = strain[:, :used], knots[:, :used]
        weight = np.linalg.inv(covariance[:, :used, :used])
        best = np.full(len(strain), np.inf)
        content, error = np.zeros(len(strain)), np.zeros(len(strain))
        for segment in range(len(knots) - 1):
            along = knots[segment + 1] - knots[segment]
            information = np.einsum("i,nij,j->n", along, weight, along)
            off = strain - knots[segment]
            share = np.einsum("i,nij,nj->n", along, weight, off) / information
            share = np.clip(
                share, -beyond if segment == 0 else 0.0,
                1.0 + (beyond if segment == len(knots) - 2 else 0.0),
            )  # fmt: skip
            rest = off - share[:, None] * along
            square = np.einsum("ni,nij,nj->n", rest, weight, rest)
            nearer = square < best
            width = contents[segment + 1] - contents[segment]
            best[nearer] = square[nearer]
            content[nearer] = (contents[segment] + share * width)[nearer]
            error[nearer] = (width / np.sqrt(information))[nearer]
        return content, error, np.sqrt(best)
