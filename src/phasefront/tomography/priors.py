"""A candidate's cell by its CIF and by tilt series of its particles."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import gemmi
import numpy as np
import xarray as xr
from scipy.linalg import null_space

from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.diffraction.cells import cell_parameters, propagated, strain_basis
from phasefront.diffraction.cifs import structure_block
from phasefront.diffraction.crystals import Crystal
from phasefront.layouts.tomography import CANDIDATE_CELL
from phasefront.tomography.choices import off_symmetry
from phasefront.tomography.strains import coefficients

# Standard errors between particles and CIF beyond which one of them is not of this phase.
_FARTHEST = 4.0
_TAGS = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")


def refine_candidate(
    cells: Sequence[xr.Dataset], crystal: Crystal, *, tolerance: float
) -> xr.Dataset:
    """The mean of particles' cells and the CIF's, each with its error.

    Parameters
    ----------
    cells
        CELL datasets of particles of the phase, read with this CIF.
    crystal
        The phase by its CIF.
    tolerance
        Relative standard error of the CIF's cell, the same for every strain.

    Ratios are the particles' and the CIF's; the volume is the CIF's, for camera lengths of tilt
    series err by percents. Particles that scatter by more than their errors widen these (Birge,
    Phys. Rev. 40, 207, 1932).

    Returns a CANDIDATE_CELL dataset. Raises InputError for a particle that breaks the symmetry too
    far, and where particles and CIF are over 4 standard errors apart.
    """
    names = ", ".join(found.attrs["cell_name"] for found in cells)
    for found in cells:
        if said := off_symmetry(found["free_cell"].to_numpy(), found["cell"].to_numpy(), crystal):
            raise _unusable(found.attrs["cell_name"], crystal, said)
    basis = np.array(strain_basis(crystal))
    if len(basis) < 2:
        raise _unusable(names, crystal, "its lattice has no ratio that could differ")
    # Strains that change ratios: at right angles to that of all lengths alike.
    alike = coefficients(basis, np.eye(3)) / np.sqrt(3)
    ratios = null_space(alike[None]).T

    def at_volume(strain: np.ndarray) -> np.ndarray:
        """The strain (n, m - 1) of ratios alone, in which the unknown scale has no part."""
        stretch = np.eye(3) + np.einsum("nk,kij->nij", strain[:, : len(basis)], basis)
        scale = np.cbrt(np.linalg.det(stretch))[:, None, None]
        return np.einsum("nij,kij->nk", stretch / scale, basis) @ ratios.T

    rest = 6 - len(basis)
    found = np.pad([one["strain"].to_numpy() for one in cells], ((0, 0), (0, rest)))
    spread = [one["strain_covariance"].to_numpy() for one in cells]
    spread = np.pad(spread, ((0, 0), (0, rest), (0, rest)))
    strains = at_volume(found)
    weights = np.linalg.inv(propagated(at_volume, found, spread))
    weight = weights.sum(axis=0)
    mean = np.linalg.solve(weight, np.einsum("nij,nj->i", weights, strains))
    off = strains - mean
    freedom = (len(cells) - 1) * len(ratios)
    between = np.einsum("ni,nij,nj->", off, weights, off) / freedom if freedom else np.nan
    weight = weight / max(1.0, np.nan_to_num(between))
    both = np.linalg.inv(weight) + tolerance**2 * np.eye(len(mean))
    apart = float(np.sqrt(mean @ np.linalg.inv(both) @ mean))
    if apart > _FARTHEST:
        raise _unusable(
            names, crystal,
            f"{apart:.1f} standard errors off the CIF, whose cell is good to {tolerance:g}",
        )  # fmt: skip
    covariance = np.linalg.inv(weight + np.eye(len(mean)) / tolerance**2)
    strain = covariance @ weight @ mean @ ratios
    return netcdf.build(
        CANDIDATE_CELL,
        {
            "cell": _at_volume(cell_parameters(crystal, _padded(strain))[0], crystal.volume),
            "strain": strain,
            "strain_covariance": ratios.T @ covariance @ ratios
            + tolerance**2 * np.outer(alike, alike),
            "particle_strain": strains @ ratios,
            "between": between,
            "off": apart,
        },
        {
            "phase": crystal.name,
            "cells": names,
            "tolerance": tolerance,
        },
    )


def _unusable(names: str, crystal: Crystal, said: str) -> InputError:
    return InputError(
        names, f"no prior for the cell of {crystal.name}: {said}",
        field=f"material.phases.{crystal.name}.cell_prior",
        remedy="leave it out, or name the phase that the particle is of",
    )  # fmt: skip


def _padded(strain: np.ndarray) -> np.ndarray:
    return np.pad(strain, (0, 6 - len(strain)))[None]


def _at_volume(cell: np.ndarray, volume: float) -> np.ndarray:
    """The cell (6,) with its lengths at this volume."""
    scale = (volume / gemmi.UnitCell(*cell).volume) ** (1 / 3)
    return np.concatenate([cell[:3] * scale, cell[3:]])


def write_cif(source: str | Path, candidate: xr.Dataset, path: str | Path) -> None:
    """Write the structure of a CIF with the cell of a CANDIDATE_CELL dataset.

    Fractional coordinates stay as they are. Raises InputError as `structure_block`.
    """
    block = structure_block(source)
    for tag, value in zip(_TAGS, candidate["cell"].to_numpy(), strict=True):
        block.set_pair(f"_cell_{tag}", f"{value:.6f}".rstrip("0").rstrip("."))
    if block.find_value("_cell_volume"):
        volume = gemmi.UnitCell(*candidate["cell"].to_numpy()).volume
        block.set_pair("_cell_volume", f"{volume:.4f}")
    Path(path).write_text(block.as_string() + "\n", encoding="utf-8")
