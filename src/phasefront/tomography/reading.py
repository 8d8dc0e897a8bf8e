"""From files of a tilt series to a cell in a phase's setting, its errors and its ion content."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import gemmi
import numpy as np
import xarray as xr

from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.core.statistics import NORMAL_95
from phasefront.diffraction.candidates import CandidatePhases
from phasefront.diffraction.cell_path import Path as CellPath
from phasefront.diffraction.cells import cell_parameters, parameters_of, propagated
from phasefront.diffraction.crystals import Crystal
from phasefront.diffraction.optics import electron_wavelength
from phasefront.experiment.settings.tomography import CellRow, CellSettings
from phasefront.layouts.dimensions import named_ends
from phasefront.layouts.tomography import CELL
from phasefront.tomography.choices import (
    Choice,
    axial_ratio,
    choose,
    hull,
    off_symmetry,
    padded,
)
from phasefront.tomography.files import read_statement
from phasefront.tomography.program_errors import larger_of, stated_covariance, upright
from phasefront.tomography.refinement import FreeCell, refine_free
from phasefront.tomography.settings import lattice_settings
from phasefront.tomography.statement import Statement, join, words
from phasefront.tomography.steps import slope_of

# Relative. Wavelengths are often typed in, with two or three digits.
_SAME_WAVELENGTH = 0.01
# Standard errors off the cells between those of the phases, beyond which it is none of them.
_FARTHEST_FROM_PATH = 4.0
# Of chi squared. A way to choose axes that is worse by more has odds of 1 to 20 against the best.
_AS_GOOD = 6.0
_SAME_CELL = 1e-5  # relative: a cell that agrees so with a CIF's was copied from there


def read_cell(
    row: CellRow, candidates: CandidatePhases, settings: CellSettings, *, calibrating: bool = False
) -> xr.Dataset:
    """Read one row of the table of cells.

    Parameters
    ----------
    row
        What the table says of the measurement.
    candidates
        The phases, with the axes of the lattice that they share and their ion contents.
    settings
        Errors that no file states.
    calibrating
        Whether the phase's CIF has its cell from this measurement.

    Returns
    -------
    CELL data set. Where spots were given the cell is refined again on them, free of symmetry, and
    the breaking of symmetry counts as an error (see `strains.symmetrised`). The ion content is read
    from ratios alone, between the phases' cells. Where it cannot be, `refused` says why.

    Raises InputError for files that cannot be used or contradict each other, a wavelength that is
    not that of the voltage, a lattice that is not the phase's, no error at all, and a phase's own
    cell given as a measurement.
    """
    source = row.paths[0]
    statement = join([read_statement(path) for path in row.paths])
    wavelength = _wavelength(statement, row)
    index = list(candidates.names).index(row.phase)
    crystal = candidates.crystals[index]
    _refuse_own(statement, candidates.crystals, source, calibrating=calibrating)
    free = _refined(statement, source)
    measured = _measured(statement, free, settings, source)
    path = CellPath.of(candidates)
    observed = free is not None and statement.spots.observed
    indexed = free is not None and statement.spots.hkl is not None
    centring = statement.spots.centring if indexed else statement.centring
    oriented = free is not None or statement.axes is not None
    choices = [
        choose(
            matrix, measured, crystal,
            observed=observed,
            frame=statement.frame if oriented else None,
            distortion=settings.distortion_error,
            path=path,
            phase=index,
        )
        for matrix in lattice_settings(measured[0], centring, crystal, source)
    ]  # fmt: skip
    choices.sort(key=lambda one: one.misfit)
    best = choices[0]
    as_good = [one for one in choices if one.misfit - best.misfit < _AS_GOOD]
    content = hull(as_good)
    refused = _refusal(best, crystal, path, content, settings)
    notes = list(statement.notes)
    if len(as_good) > 1:
        notes.append(f"{len(as_good)} ways to choose the axes fit as well; the interval covers all")
    if not best.strain.freedom:
        notes.append("symmetry was imposed, so its breaking tells nothing of errors")
    if settings.distortion_error is None:
        notes.append("nobody states a stretch of patterns: one of 1 % or more is in the errors")
    if free is not None and not observed:
        notes.append("spots are where they were expected, so they give no errors of measurement")
    esd = statement.cell_esd
    return netcdf.build(
        CELL,
        {
            "stated_cell": statement.cell,
            "stated_cell_esd": np.full(6, np.nan) if esd is None else esd,
            **_cells(crystal, best, measured[1], settings),
            "strain": best.strain.allowed,
            "strain_covariance": best.strain.covariance,
            "forbidden_strain": best.strain.forbidden,
            "breaking": best.strain.chi_squared,
            "breaking_freedom": best.strain.freedom,
            **named_ends("ratio", axial_ratio(path, index, best)),
            "transformation": np.array([one.transformation for one in choices]),
            "setting_ion_content": [one.content[0] for one in choices],
            "setting_misfit": [one.misfit - best.misfit for one in choices],
            **named_ends("ion_content", np.full(3, np.nan) if refused else content),
        },
        {
            "cell_name": row.cell,
            "particle": row.particle or row.cell,
            "state": row.state,
            "phase": row.phase,
            "files": ", ".join(row.paths),
            "program": statement.program,
            "space_group": statement.space_group or "",
            "wavelength": wavelength,
            "reflections": statement.count or 0,
            "spots": free.used if free else 0,
            "spot_residual": free.residual if free else np.nan,
            "refined_free": "yes" if best.strain.freedom else "no",
            "distortion_error": np.nan
            if settings.distortion_error is None else settings.distortion_error,
            "refused": refused,
            "notes": "; ".join(notes),
        },
    )  # fmt: skip


def _wavelength(statement: Statement, row: CellRow) -> float:
    if statement.wavelength is None and row.voltage_kv is None:
        raise InputError(
            row.paths[0], "does not say that it is of electrons, by a wavelength",
            field=f"{row.cell}.voltage_kv", remedy="give the voltage in the table of cells",
        )  # fmt: skip
    if row.voltage_kv is None:
        return float(statement.wavelength)
    expected = electron_wavelength(row.voltage_kv)
    found = statement.wavelength or expected
    if abs(found / expected - 1) > _SAME_WAVELENGTH:
        raise InputError(
            row.paths[0], f"its wavelength is {found:g} angstrom, and that of {row.voltage_kv:g} kV"
            f" {expected:.5f}", field="wavelength",
            remedy="correct the voltage, or process the series with the right wavelength",
        )  # fmt: skip
    return float(found)


def _refuse_own(statement, crystals: Sequence[Crystal], source: str, *, calibrating: bool) -> None:
    for crystal in crystals:
        same = np.allclose(statement.cell, crystal.cell, rtol=_SAME_CELL, atol=0)
        if Path(source).resolve() == Path(crystal.path).resolve() or (same and not calibrating):
            raise InputError(
                source, f"its cell is that of {crystal.path} itself, {words(statement.cell)}",
                field="cell", remedy="a phase's own cell measures nothing: give the tilt series'"
                f" cell, or, if the CIF has it from there, name the row in cell_from of"
                f" {crystal.name}",
            )  # fmt: skip


def _refined(statement: Statement, source: str) -> FreeCell | None:
    """The cell refined again on spots; None without any."""
    spots = statement.spots
    if spots is None:
        return None
    if np.isnan(spots.axes).any():
        if statement.axes is None:
            raise InputError(
                source, "has spots, but no orientation of the cell to index them with",
                field="spots", remedy="name the file with the UB matrix too, as .celllist",
            )  # fmt: skip
        spots = replace(spots, axes=statement.axes)
    return refine_free(spots, source)


def _measured(statement, free, settings, source) -> tuple[np.ndarray, np.ndarray]:
    """Rows a, b, c (3, 3) of the measured cell and the covariance (9, 9) of their nine numbers.

    Where spots tell errors of their own, what the program states is a floor beside them.
    """
    if free is not None:
        axes = np.linalg.inv(free.axes).T
    elif statement.axes is not None:
        axes = np.linalg.inv(statement.axes).T
    else:
        axes = upright(statement.cell)
    stated = statement.cell_esd is not None and statement.cell_esd.any()
    if free is not None and statement.spots.observed:
        turn = slope_of(lambda flat: np.linalg.inv(flat.reshape(3, 3)).T.ravel(), free.axes)
        by_spots = turn @ free.covariance @ turn.T
        if stated:
            return axes, larger_of(by_spots, stated_covariance(statement, axes))
        return axes, by_spots
    if not stated and settings.distortion_error is None:
        raise InputError(
            source, "the cell has no standard uncertainties, or zeros",
            field="cells.distortion_error",
            remedy="state the error of distortions in the config, or name the file with the"
            " errors, or with observed spots",
        )  # fmt: skip
    return axes, stated_covariance(statement, axes) if stated else np.zeros((9, 9))


def _refusal(best: Choice, crystal, path, content, settings) -> str:
    """Why a cell tells no ion content; empty where it does."""
    free = parameters_of(best.axes[None])[0]
    kept = cell_parameters(crystal, padded(best.strain)[0])[0]
    if said := off_symmetry(free, kept, crystal):
        return said
    if path is None:
        return "the phases share no lattice (parent_axes) with an ion content of its own each"
    if len(best.strain.allowed) < 2:
        return f"the lattice of {crystal.name} has no ratio that could change"
    if best.from_path > _FARTHEST_FROM_PATH:
        return f"{best.from_path:.1f} standard errors off the cells between those of the phases"
    error = (content[2] - content[1]) / (2 * NORMAL_95)
    if error > settings.largest_ion_error:
        return (
            f"its standard error, {error:.2g} ions per formula unit, is above"
            f" {settings.largest_ion_error:g} (cells.largest_ion_error)"
        )
    return ""


def _cells(crystal: Crystal, best: Choice, covariance: np.ndarray, settings) -> dict:
    """The cell free of symmetry and with it, each with standard errors."""
    slope = slope_of(lambda flat: parameters_of(flat.reshape(1, 3, 3))[0], best.axes)
    turn = np.kron(best.transformation, np.eye(3))
    spread = slope @ turn @ covariance @ turn.T @ slope.T
    strain, of_strain = padded(best.strain)
    cell = cell_parameters(crystal, strain)[0]
    error = _ratio_errors(crystal, strain, of_strain, cell)
    if settings.camera_length_error is None:
        error[:3] = np.nan
    else:
        error[:3] = np.hypot(error[:3], settings.camera_length_error * cell[:3])
    return {
        "free_cell": parameters_of(best.axes[None])[0],
        "free_cell_error": np.sqrt(np.maximum(np.diag(spread), 0.0))
        if covariance.any()
        else np.full(6, np.nan),
        "cell": cell,
        "cell_error": error,
    }


def _ratio_errors(crystal, at, of_strain, cell) -> np.ndarray:
    """Standard errors (6,) of a cell's parameters at a volume that is held."""

    def parameters(strain: np.ndarray) -> np.ndarray:
        found = cell_parameters(crystal, strain)
        volumes = [gemmi.UnitCell(*one).volume for one in found]
        scale = (gemmi.UnitCell(*cell).volume / np.array(volumes)) ** (1 / 3)
        return np.concatenate([found[:, :3] * scale[:, None], found[:, 3:]], axis=1)

    return np.sqrt(np.maximum(np.diagonal(propagated(parameters, at, of_strain)[0]), 0.0))
