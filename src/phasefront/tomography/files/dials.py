"""DIALS (Winter et al., Acta Cryst. D 74, 85, 2018): `.expt`, its models of experiments in JSON."""

from __future__ import annotations

import json
from pathlib import Path

import gemmi
import numpy as np

from phasefront.core.errors import InputError
from phasefront.core.texts import decoded
from phasefront.diffraction.cells import parameters_of
from phasefront.tomography.files import text
from phasefront.tomography.statement import Statement

_STEP = 1e-6  # of B, 1/angstrom, for central differences


def read_experiment(path: str | Path) -> Statement:
    """The one crystal of an experiment, with e.s.d. from the covariance of its B matrix."""
    try:
        models = json.loads(decoded(Path(path).read_bytes()))
        crystals, beams = models["crystal"], models["beam"]
        crystal, wavelength = crystals[0], beams[0]["wavelength"]
        axes = [crystal[f"real_space_{axis}"] for axis in "abc"]
        hall = crystal["space_group_hall_symbol"]
        covariance = np.array(crystal.get("B_covariance", []), dtype=float)
    except (ValueError, KeyError, IndexError, TypeError):
        raise text.truncated(path, "crystal and beam as DIALS writes them") from None
    if len(crystals) != 1 or len({beam["wavelength"] for beam in beams}) != 1:
        raise InputError(
            path, f"holds {len(crystals)} crystals and {len(beams)} beams", field="crystal",
            remedy="split it (dials.split_experiments) and name the one that is meant",
        )  # fmt: skip
    axes = np.array([text.numbers(path, list(map(str, axis)), 3, "real_space") for axis in axes])
    if np.linalg.det(axes) <= 0:
        raise InputError(
            path, "its axes span no volume, or are left-handed", field="real_space_a",
            remedy="export the experiment again",
        )  # fmt: skip
    cell = parameters_of(axes[None])[0]
    group = gemmi.find_spacegroup_by_ops(gemmi.symops_from_hall(hall))
    if group is None:
        raise InputError(path, f"{hall!r} is no space group", field="crystal", remedy="correct it")
    return Statement(
        str(path), "DIALS",
        cell=text.cell_of(path, list(map(str, cell)), "real_space"),
        cell_esd=_errors(cell, covariance.reshape(9, 9)) if covariance.size == 81 else None,
        centring=group.centring_type(),
        space_group=group.hm,
        wavelength=text.wavelength_of(path, str(wavelength), "wavelength"),
    )  # fmt: skip


def _errors(cell: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """E.s.d. (6,) of a cell from the covariance (9, 9) of its B matrix, row by row.

    B takes indices to Cartesian axes that turn with the crystal, q = B h. First order.
    """
    matrix = np.array(gemmi.UnitCell(*cell).frac.mat).T

    def parameters(of: np.ndarray) -> np.ndarray:
        return parameters_of(np.linalg.inv(of.reshape(1, 3, 3)))[0]

    steps = _STEP * np.eye(9)
    flat = matrix.ravel()
    slope = np.stack(
        [(parameters(flat + one) - parameters(flat - one)) / (2 * _STEP) for one in steps], axis=1
    )
    return np.sqrt(np.maximum(np.diag(slope @ covariance @ slope.T), 0.0))
