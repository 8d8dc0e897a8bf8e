"""A candidate's cell by its CIF and by tilt series of its particles."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import gemmi
import numpy as np
import xarray as xr

from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.diffraction.cells import cell_parameters
from phasefront.diffraction.cifs import structure_block
from phasefront.diffraction.crystals import Crystal
from phasefront.layouts.tomography import CANDIDATE_CELL
from phasefront.tomography.choices import off_symmetry

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
    for found in cells:
        if said := off_symmetry(found["free_cell"].to_numpy(), found["cell"].to_numpy(), crystal):
            raise _unusable(found.attrs["cell_name"], crystal, said)
    strains = np.array([found["strain"].to_numpy() for found in cells])
    weights = np.linalg.inv(np.array([found["strain_covariance"].to_numpy() for found in cells]))
    weight = weights.sum(axis=0)
    mean = np.linalg.solve(weight, np.einsum("nij,nj->i", weights, strains))
    off = strains - mean
    # Scales are not known and tell nothing of scatter: they are no degrees of freedom.
    freedom = (len(cells) - 1) * (strains.shape[1] - 1)
    between = np.einsum("ni,nij,nj->", off, weights, off) / freedom if freedom else np.nan
    weight = weight / max(1.0, np.nan_to_num(between))
    own = np.eye(len(mean)) / tolerance**2
    covariance = np.linalg.inv(weight + own)
    apart = float(np.sqrt(mean @ np.linalg.inv(np.linalg.inv(weight) + np.linalg.inv(own)) @ mean))
    if apart > _FARTHEST:
        raise _unusable(
            ", ".join(found.attrs["cell_name"] for found in cells), crystal,
            f"{apart:.1f} standard errors off the CIF, whose cell is good to {tolerance:g}",
        )  # fmt: skip
    strain = covariance @ weight @ mean
    return netcdf.build(
        CANDIDATE_CELL,
        {
            "cell": _at_volume(cell_parameters(crystal, _padded(strain))[0], crystal.volume),
            "strain": strain,
            "strain_covariance": covariance,
            "particle_strain": strains,
            "between": between,
            "off": apart,
        },
        {
            "phase": crystal.name,
            "cells": ", ".join(found.attrs["cell_name"] for found in cells),
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
