"""Rietveld refinement of a mixture by rietx: phases and settings in, its own objects out."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from phasefront.core import threads
from phasefront.core.errors import InputError
from phasefront.powder.files import NothingFound

CELL = ("a", "b", "c", "alpha", "beta", "gamma")
AT_EDGE = 0.999  # of the tolerance of a cell
# Share of the beam polarised normal to the scattering plane, as is usual at a synchrotron.
_POLARISATION = 0.99
# Where widths start; they are refined.
_START_GAUSS_VARIANCE = 4e-5  # degree^2, Caglioti W
_START_LORENTZ_SIZE = 0.02  # degree, width at angle 0
_START_LORENTZ_STRAIN = 0.1  # degree, width at tan(theta) = 1; wide, to catch a cell that is off
# Order of the spherical harmonics of preferred orientation: five terms of an orthorhombic phase,
# enough for plates of March's r 0.8 (docs/powder.md); chosen.
_TEXTURE_ORDER = 4
# Standard errors of its scale from which a phase may have preferred orientation; chosen.
_TEXTURED = 10.0
# Terms of the other background that is tried, over those of the first; chosen.
_MORE_BACKGROUND = 1.5
# All that is refined in the end but preferred orientation, whose names follow.
_REFINED = (
    "phases.*.scale", "instrument.background.*", "phases.*.cell.*", "instrument.zero_shift",
    "phases.*.lor_size", "phases.*.lor_strain", "instrument.profile.w",
)  # fmt: skip
_GAUSSIAN = ("phases.*.gauss_size", "phases.*.gauss_strain")
_TEXTURE = "phases.*.texture.*"


@dataclass(frozen=True)
class Guess:
    """Where a fit starts: cells (phase, 6); widths (phase,) and zero error in degrees."""

    cells: np.ndarray
    lorentz_size: np.ndarray
    lorentz_strain: np.ndarray
    gauss_variance: float
    zero_error: float


@dataclass(frozen=True)
class Amounts:
    """What fractions follow from: scales (phase,), cells (phase, 6)."""

    scale: np.ndarray
    cell: np.ndarray


@dataclass(frozen=True)
class Refined:
    """The refinement, its result, and amounts by pairs of models of which neither is the truth."""

    refinement: object
    result: object
    pairs: tuple[tuple[Amounts, Amounts], ...]
    iterations: int


def first_guess(crystals, start: xr.Dataset | None, cell_tolerance: float) -> Guess:
    """From an earlier fit; from the CIFs and wide lines where there is none.

    Raises InputError where `start` (of `layouts.POWDER`) has other phases.
    """
    cells = np.array([crystal.cell for crystal in crystals], float)
    if start is None:
        phases = len(crystals)
        return Guess(
            cells, np.full(phases, _START_LORENTZ_SIZE), np.full(phases, _START_LORENTZ_STRAIN),
            _START_GAUSS_VARIANCE, 0.0,
        )  # fmt: skip
    names = [crystal.name for crystal in crystals]
    if list(start["phase"].to_numpy()) != names:
        raise InputError(
            start.attrs["pattern"], f"was fitted with other phases than {', '.join(names)}",
            field="phase", remedy="fit it again with the phases of the config",
        )  # fmt: skip
    # A cell that ran to the edge is no guess.
    found = start["cell"].to_numpy()
    change = np.abs(found[:, :3] / cells[:, :3] - 1.0).max(axis=1)
    cells = np.where((change < AT_EDGE * cell_tolerance)[:, None], found, cells)
    return Guess(
        cells, start["lorentz_size"].to_numpy(), start["lorentz_strain"].to_numpy(),
        float(start["gauss_variance"]), float(start["zero_error"]),
    )  # fmt: skip


def refine(pattern, crystals, *, wavelength, background_terms, guess, cell_tolerance, source):
    """Refine a mixture, with as many terms of background as the evidence asks for.

    Preferred orientation is refined where the evidence asks for it, too. The pairs are Lorentzian
    widths alone and Gaussian ones beside them; the two backgrounds.

    Raises InputError where a phase has no reflection in the range, and NothingFound, which is one,
    where none of them was found, or every intensity is zero.
    """
    import rietx
    from rietx.schemas.instrument import BackgroundChebyshev
    from threadpoolctl import threadpool_limits

    os.environ["RIETX_COMPILED_THREADS"] = str(threads.available())  # else it takes up to eight
    if not pattern["intensity"].any():
        raise _nothing_found(source)
    instrument = rietx.Instrument.debye_scherrer(wavelength, polarization=_POLARISATION)
    instrument.profile.w.value = guess.gauss_variance
    instrument.profile.x.value = 0.0
    instrument.zero_shift.value = guess.zero_error
    instrument.background = BackgroundChebyshev(
        coefficients=[rietx.Parameter(value=0.0) for _ in range(background_terms)]
    )
    structure = rietx.Structure(
        phases=[
            _phase(crystal, cell_tolerance, *first)
            for crystal, *first in zip(
                crystals, guess.cells, guess.lorentz_size, guess.lorentz_strain, strict=True
            )
        ]
    )
    data = rietx.PatternData(
        two_theta=pattern["two_theta"].tolist(),
        intensity=pattern["intensity"].tolist(),
        sigma=pattern["sigma"].tolist(),
    )
    plan = rietx.RefinementPlan(
        stages=[
            rietx.Stage("scale", ["phases.*.scale", "instrument.background.*"]),
            rietx.Stage("position", ["phases.*.cell.*", "instrument.zero_shift"]),
            rietx.Stage(
                "width", ["phases.*.lor_size", "phases.*.lor_strain", "instrument.profile.w"]
            ),
        ]
    )
    refinement = rietx.Refinement(structure, instrument, history=False)
    # One thread: the same sums in the same order on any machine, and no slower at this size.
    with threadpool_limits(1, user_api="blas"):
        result = refinement.fit(data, plan=plan, telemetry=False)
        _check_found(result, source)
        iterations = _iterations(result)
        found = _strong(refinement, result, len(crystals))
        if found.any():
            other = _again(refinement, data, (*_REFINED, _TEXTURE), textured=found)
            iterations += _iterations(other[1])
            if _better(other[1], result, len(pattern)):
                refinement, result = other
        lorentzian = _amounts(refinement, result, crystals)
        shape = rietx.Stage("shape", list(_GAUSSIAN))
        result = refinement.run_stage(data, shape, telemetry=False)
        iterations += _iterations(result)
        gaussian = _amounts(refinement, result, crystals)
        terms = round(_MORE_BACKGROUND * background_terms)
        paths = (
            (*_REFINED, *_GAUSSIAN, _TEXTURE)
            if _is_textured(refinement)
            else (*_REFINED, *_GAUSSIAN)
        )
        other = _again(refinement, data, paths, terms=terms)
        iterations += _iterations(other[1])
        backgrounds = gaussian, _amounts(*other, crystals)
        if _better(other[1], result, len(pattern)):
            refinement, result = other
    return Refined(refinement, result, ((lorentzian, gaussian), backgrounds), iterations)


def _iterations(result) -> int:
    return sum(stage.n_iterations for stage in result.stages)


def _amounts(refinement, result, crystals) -> Amounts:
    return Amounts(scales(refinement, result, len(crystals))[0], cells_of(result, crystals)[0])


def _strong(refinement, result, phases: int) -> np.ndarray:
    scale, covariance = scales(refinement, result, phases)
    return scale > _TEXTURED * np.sqrt(np.diag(covariance))


def _is_textured(refinement) -> bool:
    return any(phase.texture for phase in refinement.fitted_structure.phases)


def _again(refinement, data, paths, *, textured=None, terms: int | None = None):
    """A refinement that goes on from another one's end, and its result."""
    import rietx
    from rietx.schemas.structure import SphericalHarmonicTexture

    structure = refinement.fitted_structure.model_copy(deep=True)
    instrument = refinement.fitted_instrument.model_copy(deep=True)
    if textured is not None:
        for phase in np.array(structure.phases, dtype=object)[textured]:
            phase.texture = SphericalHarmonicTexture(order=_TEXTURE_ORDER)
    if terms is not None:
        coefficients = instrument.background.coefficients
        more = [rietx.Parameter(value=0.0) for _ in range(terms - len(coefficients))]
        instrument.background.coefficients = [*coefficients, *more]
    again = rietx.Refinement(structure, instrument, history=False)
    plan = rietx.RefinementPlan(stages=[rietx.Stage("again", list(paths))])
    return again, again.fit(data, plan=plan, telemetry=False)


def _better(other, result, points: int) -> bool:
    """Whether the Bayesian information criterion (Schwarz, Ann. Statist. 6, 461, 1978) prefers a
    fit with more parameters, of as many points as their correlation leaves (Berar & Lelann)."""
    one, two = result.statistics, other.statistics
    chi_squared = [s.gof**2 * (points - s.n_free_parameters) for s in (one, two)]
    counted = max(two.gof, 1.0) ** 2 * (two.esd_inflation or 1.0) ** 2
    gain = (chi_squared[0] - chi_squared[1]) / counted
    return gain > (two.n_free_parameters - one.n_free_parameters) * np.log(points)


def _check_found(result, source) -> None:
    out_of_range = result.qpa.unmeasured_phases if result.qpa else []
    if out_of_range:
        raise InputError(
            source, f"no reflection of {', '.join(out_of_range)} is in range",
            field="two_theta", remedy="widen the range or leave the phase out",
        )  # fmt: skip
    # Only a phase that shows gets its cell refined.
    if not any(row.vary and ".cell." in row.path for row in result.parameters):
        raise _nothing_found(source)


def _nothing_found(source) -> NothingFound:
    return NothingFound(
        source, "none of the phases was found", field="intensity",
        remedy="check the axis, the wavelength and the CIFs",
    )  # fmt: skip


def _phase(crystal, cell_tolerance: float, cell, lorentz_size, lorentz_strain):
    """A rietx phase in the crystal's own axes and setting; cell and widths are first guesses."""
    import rietx

    lengths = [
        rietx.Parameter(
            value=value, min=nominal * (1 - cell_tolerance), max=nominal * (1 + cell_tolerance)
        )
        for value, nominal in zip(cell[:3], crystal.cell[:3], strict=True)
    ]
    angles = [rietx.Parameter(value=value) for value in cell[3:]]
    atoms = [
        rietx.Atom(
            label=atom.label, species=atom.element,
            x=rietx.Parameter(value=atom.x), y=rietx.Parameter(value=atom.y),
            z=rietx.Parameter(value=atom.z), occ=rietx.Parameter(value=atom.occupancy, min=0.0),
            biso=rietx.Parameter(value=8.0 * np.pi**2 * atom.u_iso),
        )
        for atom in asymmetric_unit(crystal).itertuples()
    ]  # fmt: skip
    # Brackets tell rietx that the label is no more than that.
    label = crystal.space_group.xhm() if crystal.space_group else "P 1 [own setting]"
    return rietx.Phase(
        name=crystal.name,
        space_group=label,
        symmetry_operations=[operation.triplet() for operation in crystal.operations],
        cell=rietx.Cell(**dict(zip(CELL, lengths + angles, strict=True))),
        atoms=atoms,
        lor_size=rietx.Parameter(value=lorentz_size, min=0.0),
        lor_strain=rietx.Parameter(value=lorentz_strain, min=0.0),
    )


def asymmetric_unit(crystal) -> pd.DataFrame:
    """One atom of each orbit of the cell's atoms."""
    atoms = crystal.atoms
    position = atoms[["x", "y", "z"]].to_numpy()
    left, kept = np.ones(len(atoms), bool), []
    for index, (label, place) in enumerate(zip(atoms["label"], position, strict=True)):
        if not left[index]:
            continue
        kept.append(index)
        images = np.array([op.apply_to_xyz(place.tolist()) for op in crystal.operations])
        gap = images[:, None] - position
        same = (np.abs(gap - np.round(gap)) < 5e-3).all(axis=2).any(axis=0)
        left &= ~(same & (atoms["label"] == label).to_numpy())
    return atoms.iloc[kept]


def cells_of(result, crystals) -> tuple[np.ndarray, np.ndarray]:
    """Cells and e.s.d. (phase, 6): 0 where symmetry fixes a parameter, NaN if a phase was held."""
    rows = {row.path: row for row in result.parameters}
    cell = np.array([crystal.cell for crystal in crystals], float)
    esd = np.zeros_like(cell)
    for phase in range(len(crystals)):
        found = [rows.get(f"phases.{phase}.cell.{parameter}") for parameter in CELL]
        refined = any(row is not None and row.vary for row in found)
        for column, row in enumerate(found):
            if row is not None:
                cell[phase, column] = row.value
                esd[phase, column] = row.stderr if row.stderr is not None else 0.0
        if not refined:
            esd[phase] = np.nan
    return cell, esd


def scales(refinement, result, phases: int) -> tuple[np.ndarray, np.ndarray]:
    """Scales (phase,) and their covariance, goodness of fit included."""
    paths = [f"phases.{phase}.scale" for phase in range(phases)]
    values = {row.path: row.value for row in result.parameters}
    # rietx publishes the e.s.d. of each fraction, not their covariance, which molar fractions and
    # the ion content need; a test holds this private access to the published e.s.d.
    _, table, theta, deviation, correlation = refinement._answer_covariance
    covariance = np.full((phases, phases), np.nan)
    if deviation is not None:
        covariance = table.physical_covariance(theta, deviation, correlation, paths)
    return np.array([values[path] for path in paths]), np.asarray(covariance)


def contributions(refinement, two_theta) -> np.ndarray:
    """Each phase's part of the fit, (phase, two_theta)."""
    import rietx
    from rietx.schemas.instrument import BackgroundChebyshev

    instrument = refinement.fitted_instrument.model_copy(deep=True)
    instrument.background = BackgroundChebyshev(coefficients=[rietx.Parameter(value=0.0)])
    return np.array(
        [
            rietx.Refinement(
                rietx.Structure(phases=[phase]), instrument, history=False
            ).predict(two_theta.to_numpy())
            for phase in refinement.fitted_structure.phases
        ]
    )  # fmt: skip
