"""The likeliest phase's lattice at each position, its cell refined, and what the cell says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, ndtr

from phasefront.diffraction import cell_path, cells
from phasefront.diffraction.crystals import Crystal
from phasefront.diffraction.likelihood import assign
from phasefront.diffraction.optics import Optics
from phasefront.diffraction.reflections import ReflectionTable
from phasefront.diffraction.spot_lists import Spots
from phasefront.phases import kinship
from phasefront.phases.evidence import Evidence

# By definition: a position is mixed where no phase has this share of it.
CLEAR = 0.75
# Chosen; half and double change no decision (docs/constants.md).
_ALIKE_DEG = 5.0  # misorientation within which neighbours are one lattice
# Steps of finding the cells that are not their phase's, at most, and by how much (relative) the
# scatter of these changes in the last; least share of them, so that logarithms stay finite.
_STEPS, _CHANGE, _LEAST = 100, 1e-3, 1e-6
# Such cells scatter by so many standard errors of the candidate's own at least: what that is off by
# is the same for all regions of the phase. Chosen on scans of other seeds than those reported,
# where 1.5 to 4 do about the same.
_FAR = 2.0


@dataclass(frozen=True)
class Lattices:
    """The likeliest phase's best lattice at each position, its cell refined."""

    phase: np.ndarray  # (positions,)
    rotation: np.ndarray  # (positions, 4)
    position: np.ndarray  # (n,) positions that have one
    cells: cells.Cells  # of these
    explained: np.ndarray  # (spots,)
    residual: np.ndarray  # (positions,) rms distance of indexed spots, 1/angstrom
    count: np.ndarray  # (positions,) spots indexed
    numbers: np.ndarray  # (positions,) spots that there are

    @classmethod
    def of(
        cls, spots: Spots, evidence: Evidence, posterior: np.ndarray,
        crystals: Sequence[Crystal], table: ReflectionTable, optics: Optics,
        wanted: np.ndarray | None = None, shared: np.ndarray | None = None,
    ) -> Lattices:  # fmt: skip
        """Of the positions `wanted` (positions,), all where None.

        Spots that are `shared` (spots,) with another lattice may be two that are not resolved,
        between the reflections of both. They move the cell towards what both hold together, and
        tell nothing of how well this lattice fits: that is the residual of the others, refined by
        themselves, less two of its standard errors.
        """
        phase = posterior.argmax(axis=1)
        best = evidence.best_of(phase)
        position = np.flatnonzero(best >= 0 if wanted is None else (best >= 0) & wanted)
        own = evidence.refined.taken(best[position])
        bases = [cells.strain_basis(crystal) for crystal in crystals]
        found = cells.refine_cells(spots, position, phase[position], own, table, optics, bases)
        assignment = assign(
            spots, position, phase[position], own, table, optics,
            strain=cells.strain_tensors(found.strain, phase[position], bases),
        )  # fmt: skip
        explained = np.zeros(len(spots.qx), dtype=bool)
        explained[assignment.spot] = True
        residual = np.full(len(phase), np.inf)
        residual[position] = found.residual
        if shared is not None:
            some = np.flatnonzero(spots.tally(shared)[position] > 0)
            at = position[some]
            apart = cells.refine_cells(
                spots.without(shared), at, phase[at], own.taken(some), table, optics, bases
            )
            # Few may be left; the mean square of n has a standard error of its n^(-1/2).
            residual[at] = apart.residual / np.sqrt(1 + 2 / np.sqrt(np.maximum(apart.assigned, 1)))
        return cls(
            phase, evidence.rotation[np.arange(len(phase)), phase], position, found, explained,
            residual, spots.tally(explained), spots.numbers,
        )  # fmt: skip

    def renewed(self, anew: Lattices, changed: np.ndarray, left_out: np.ndarray) -> Lattices:
        """Those found `anew` at the positions `changed` (positions,), the others as they are; all
        without the spots `left_out` (spots,), which were of changed positions."""
        kept = ~changed[self.position]
        position = np.concatenate([self.position[kept], anew.position])
        order = np.argsort(position)
        found = cells.Cells(
            *(
                np.concatenate([old[kept], new])[order]
                for old, new in zip(
                    vars(self.cells).values(), vars(anew.cells).values(), strict=True
                )
            )
        )
        count = np.where(changed, anew.count, self.count)
        of_changed = np.repeat(changed, self.numbers)[~left_out]
        explained = np.where(of_changed, anew.explained, self.explained[~left_out])
        return Lattices(
            anew.phase, anew.rotation, position[order], found, explained,
            np.where(changed, anew.residual, self.residual), count, anew.numbers,
        )  # fmt: skip


@dataclass(frozen=True)
class RefinedCells:
    """What the refined cells say; NaN where there is no lattice, or none that phases share."""

    parameters: np.ndarray  # (positions, 6) angstrom, degree
    covariance: np.ndarray  # (positions, 6, 6)
    misfit: np.ndarray  # (positions,) standard errors from the candidates and between; inf for none
    axial_ratio: np.ndarray
    axial_ratio_stderr: np.ndarray
    ion_content: np.ndarray
    ion_content_stderr: np.ndarray
    mixed: np.ndarray  # (positions,) probability that no phase has the share CLEAR
    share: np.ndarray  # (positions, phases)
    phase_misfit: np.ndarray  # (positions,) see `_phase_misfit`; 0 between phases

    @classmethod
    def of(
        cls, shape: tuple[int, int], found: Lattices, crystals: Sequence[Crystal],
        path: cell_path.Path | None, errors: Sequence[np.ndarray],
        distortion_covariance: np.ndarray, mixed_prior: float,
    ) -> RefinedCells:  # fmt: skip
        """`errors` (6, 6) are those of each candidate's own cell, as strains, and
        `distortion_covariance` (3, 3) that of the scan's scale, stretch and shear."""
        positions = len(found.phase)
        out = cls(
            np.full((positions, 6), np.nan), np.full((positions, 6, 6), np.nan),
            np.full(positions, np.inf), *(np.full(positions, np.nan) for _ in range(4)),
            np.zeros(positions), np.zeros((positions, len(crystals))), np.zeros(positions),
        )  # fmt: skip
        for phase, crystal in enumerate(crystals):
            own = found.phase[found.position] == phase
            at = found.position[own]
            if not own.any():
                continue
            strain = found.cells.strain[own]
            # That of the scale is in each pattern's.
            ellipse = found.cells.response[own][:, :, 1:]
            covariance = found.cells.covariance[own] + _through(
                ellipse, distortion_covariance[1:, 1:]
            )
            out.parameters[at] = cells.cell_parameters(crystal, strain)
            out.covariance[at] = cells.propagated(
                lambda strain, crystal=crystal: cells.cell_parameters(crystal, strain), strain,
                covariance,
            )  # fmt: skip
            if path is None:
                out.misfit[at] = _chi(strain, covariance + errors[phase])
                continue
            out.axial_ratio[at] = path.axial_ratio(phase, strain)[:, 0]
            spread = cells.propagated(
                lambda strain, phase=phase: path.axial_ratio(phase, strain), strain, covariance
            )
            out.axial_ratio_stderr[at] = np.sqrt(spread[:, 0, 0])
            out.misfit[at] = path.distance(phase, strain, covariance + errors[phase])
            out.ion_content[at], out.ion_content_stderr[at] = path.locate(phase, strain, covariance)
        if path is not None:
            out.mixed[:], out.share[:] = _between(
                out.ion_content, out.ion_content_stderr, path.ion_contents, mixed_prior
            )
        plain = out.mixed[found.position] <= 0.5
        region = _regions(shape, found, found.position[plain], crystals)
        for phase, crystal in enumerate(crystals):
            own = plain & (found.phase[found.position] == phase)
            used = len(cells.strain_basis(crystal))
            out.phase_misfit[found.position[own]] = _phase_misfit(
                region[found.position[own]], found.cells.strain[own, :used],
                found.cells.covariance[own, :used, :used], errors[phase][:used, :used],
                found.cells.response[own, :used], distortion_covariance,
            )  # fmt: skip
        return out

    def variables(self) -> dict[str, np.ndarray]:
        """Those of PHASES."""
        return {
            "cell": self.parameters, "cell_covariance": self.covariance,
            "cell_misfit": self.misfit, "phase_misfit": self.phase_misfit,
            "axial_ratio": self.axial_ratio, "axial_ratio_stderr": self.axial_ratio_stderr,
            "ion_content": self.ion_content, "ion_content_stderr": self.ion_content_stderr,
        }  # fmt: skip


def _regions(
    shape: tuple[int, int], found: Lattices, position: np.ndarray, crystals: Sequence[Crystal]
) -> np.ndarray:
    """Region (positions,) that each of the positions given is in: neighbours of one phase, less
    than _ALIKE_DEG apart; -1 elsewhere."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    number = shape[0] * shape[1]
    counted = np.zeros(number, dtype=bool)
    counted[position] = True
    grid = np.arange(number).reshape(shape)
    one = np.concatenate([grid[:, :-1].ravel(), grid[:-1].ravel()])
    other = np.concatenate([grid[:, 1:].ravel(), grid[1:].ravel()])
    alike = counted[one] & counted[other] & (found.phase[one] == found.phase[other])
    one, other = one[alike], other[alike]
    angle = kinship.angles(found.rotation[one], found.rotation[other], found.phase[one], crystals)
    one, other = one[angle < _ALIKE_DEG], other[angle < _ALIKE_DEG]
    edges = coo_array((np.ones(len(one), dtype=bool), (one, other)), shape=(number, number))
    region = connected_components(edges, directed=False)[1]
    return np.where(counted, region, -1)


def _phase_misfit(
    region: np.ndarray, strain: np.ndarray, covariance: np.ndarray, errors: np.ndarray,
    response: np.ndarray, distortion_covariance: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Standard errors, with those of the CIF and of the scan's scale and ellipse, that the mean
    cell of each position's region is off its phase's (n,).

    One position tells little of a phase that is missing and has a cell near a candidate's; a region
    tells more, and all regions together tell more still: infinite where a region is likelier one of
    those whose cells are not the phase's (see `_foreign`), and fits by chance, or because its
    direction does not show the whole cell.
    """
    _, region, size = np.unique(region, return_inverse=True, return_counts=True)
    if not len(size):
        return np.zeros(0)
    every = np.concatenate([strain[:, :, None], response], axis=2)
    pooled, spread = cells.pooled_strain(region, every, covariance)
    mean, moved = pooled[:, :, 0], pooled[:, :, 1:]
    # Scale and ellipse are the same for all positions; the mean does not make them surer.
    spread = spread + errors + _through(moved, distortion_covariance)
    misfit = np.where(_foreign(mean, spread, size, errors) > 0.5, np.inf, _chi(mean, spread))
    return misfit[region]


def _foreign(
    mean: np.ndarray, covariance: np.ndarray, size: np.ndarray, errors: np.ndarray
) -> np.ndarray:
    """Probability (regions,) that a region's cell is not its phase's.

    Mean strains (regions, m) with covariances (regions, m, m) of regions of so many positions are
    drawn from a mixture: of none, and of strains that scatter normally, as those do that a missing
    phase shows from various directions. Share and scatter are the likeliest ones (expectation and
    maximisation; each position counts), the scatter no smaller than _FAR times the `errors` (m, m)
    of the phase's own cell: all regions may be off by these.
    """
    scatter, share = cells.CELL_SIGMA**2 * np.eye(mean.shape[1]), 0.5
    plain = _log_density(mean, covariance)
    for _ in range(_STEPS):
        wide = covariance + scatter
        odds = _log_density(mean, wide) - plain
        foreign = expit(odds + np.log(share) - np.log1p(-share))
        weight = foreign * size
        share = np.clip(weight.sum() / size.sum(), _LEAST, 1 - _LEAST)
        gain = np.linalg.solve(wide, np.broadcast_to(scatter, wide.shape)).transpose(0, 2, 1)
        own = np.einsum("nij,nj->ni", gain, mean)
        square = own[:, :, None] * own[:, None, :] + scatter - gain @ scatter
        before, total = scatter, max(weight.sum(), _LEAST)
        scatter = _at_least(np.einsum("n,nij->ij", weight, square) / total, _FAR**2 * errors)
        if np.linalg.norm(scatter - before) < _CHANGE * np.linalg.norm(before):
            break
    return foreign


def _at_least(covariance: np.ndarray, least: np.ndarray) -> np.ndarray:
    """A covariance (m, m) that is nowhere smaller than another."""
    root = np.linalg.cholesky(least)
    whitened = np.linalg.solve(root, np.linalg.solve(root, covariance).T)
    value, vector = np.linalg.eigh(whitened)
    side = root @ vector
    return (side * np.maximum(value, 1.0)) @ side.T


def _through(response: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Covariance (n, m, m) of what answers with `response` (n, m, k) to what has `covariance`."""
    return response @ covariance @ response.transpose(0, 2, 1)


def _log_density(strain: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Of strains (n, m) under none with these covariances (n, m, m), less a constant."""
    return -0.5 * (_chi(strain, covariance) ** 2 + np.linalg.slogdet(covariance)[1])


def _chi(strain: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """How far strains (n, m) are from none, in standard errors (n,)."""
    solved = np.linalg.solve(covariance, strain[..., None])[..., 0]
    return np.sqrt(np.sum(strain * solved, axis=1))


def _between(
    content: np.ndarray, error: np.ndarray, contents: np.ndarray, prior: float
) -> tuple[np.ndarray, np.ndarray]:
    """Probability (n,) that a column holds no phase to the share CLEAR, and shares (n, phases).

    The share of the ion-rich one of two neighbouring phases is 0 or 1 beforehand, or, with
    probability `prior`, anything between; it is seen with a normal error. Bayes' rule.
    """
    order = np.argsort(contents)
    ordered = contents[order]
    known = np.isfinite(content)
    lower = np.clip(np.searchsorted(ordered, content) - 1, 0, len(ordered) - 2)
    width = (ordered[1:] - ordered[:-1])[lower]
    rich, sigma = (content - ordered[lower]) / width, error / width
    pure = 0.5 * (1 - prior) * (_normal(rich, sigma) + _normal(rich - 1, sigma))
    anything = prior * (ndtr((1 - rich) / sigma) - ndtr(-rich / sigma))
    middle = prior * (ndtr((CLEAR - rich) / sigma) - ndtr((1 - CLEAR - rich) / sigma))
    mixed = np.where(known, middle / np.maximum(pure + anything, 1e-300), 0.0)
    rich = np.clip(np.where(known, rich, 0.0), 0, 1)
    share = np.zeros((len(content), len(contents)))
    every = np.arange(len(content))
    share[every, order[lower]] = 1 - rich
    share[every, order[lower + 1]] = rich
    return mixed, share


def _normal(value: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    return np.exp(-0.5 * (value / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
