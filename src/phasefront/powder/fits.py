"""Phase fractions from powder patterns, by Rietveld refinement.

The refinement is done by rietx (MIT licence), whose minor version is pinned; docs/powder.md says
why, and how good the fractions are.
"""

from __future__ import annotations

import gemmi
import numpy as np
import pandas as pd
import xarray as xr

from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.layouts.powder import POWDER
from phasefront.powder import misfits, rietveld
from phasefront.powder.rietveld import Amounts

_INSEPARABLE = 0.98  # correlation of two scales
_FEWEST_POINTS = 100  # chosen: several for each of some twenty parameters
_UNKNOWN_WHERE_REFUSED = (
    "weight_fraction", "weight_fraction_esd", "weight_fraction_shift", "molar_fraction",
    "molar_fraction_esd", "cell", "cell_esd", "ion_content", "ion_content_esd",
)  # fmt: skip


def fit_pattern(
    pattern: pd.DataFrame,
    crystals,
    *,
    name: str,
    wavelength: float,
    ion_contents,
    formula_units,
    two_theta_range: tuple[float, float] | None = None,
    background_terms: int = 20,
    cell_tolerance: float = 0.01,
    start: xr.Dataset | None = None,
) -> xr.Dataset:
    """Rietveld fit of a mixture; weight and molar fractions with e.s.d.

    Refined: scale, cell (as its symmetry allows), Lorentzian size and strain width of each phase;
    one Gaussian width, the zero error and a Chebyshev background for all; where the evidence asks
    for it, preferred orientation of each phase (spherical harmonics) and half as many terms of the
    background again; then Gaussian size and strain of each phase too. Atoms stay as in the CIF. A
    scale may reach zero; while a phase is under 3 standard errors its cell and widths are held, and
    its fraction keeps its e.s.d.

    Parameters
    ----------
    pattern
        From `powder_files.read_pattern`.
    crystals
        One `phasefront.diffraction.crystals.Crystal` a phase.
    name
        Of the pattern, for the result's attributes.
    wavelength
        angstrom.
    ion_contents, formula_units
        Ions per formula unit, and formula units per cell, of each phase.
    two_theta_range
        First and last angle to fit, degrees; all if None.
    background_terms
        Number of Chebyshev coefficients, or half as many again.
    cell_tolerance
        Largest relative change of a cell length against the CIF. Keep it under the difference
        between phases, lest one take another's place.
    start
        Of `layouts.POWDER`: an earlier fit of the same phases with the same instrument. Its cells,
        widths and zero error are the first guess, in place of the CIFs' cells and wide lines. One
        that was refused is not used.

    Returns
    -------
    Dataset of `layouts.POWDER`. Every e.s.d. comes from the full covariance of the last cycle times
    the goodness of fit, and times the factor of Berar & Lelann, J. Appl. Cryst. 24 (1991) 1, for
    residuals that are correlated along the pattern. To the fractions' it adds, in squares, how far
    they shifted when the lines got Gaussian widths, and from one background to the other: no
    profile is that of the sample, and where lines overlap the difference goes into the fractions,
    which no covariance knows. `notes` says which phases were held, which could not be
    told apart and which cells ended at the tolerance, and names lines that no phase explains
    (`misfits.unexplained_lines`). A fit that is no result (`misfits.why_poor`,
    `misfits.why_no_better`) has the reason in `refused`, which is empty otherwise, and NaN for
    fractions, ion content and cells.

    Weight fractions: Hill & Howard, J. Appl. Cryst. 20 (1987) 467, W ~ S (Z M) V. The share of
    formula units follows as S Z V. Where two scales correlate by more than 0.98 the split between
    the two phases is unknown, so both get at least the e.s.d. of a uniform distribution of it.

    Raises
    ------
    InputError
        Too few points in the range, a phase without a reflection in it, no phase found, or a start
        with other phases.
    """
    source = pattern.attrs.get("file", name)
    if start is not None and start.attrs["refused"]:
        start = None
    said = list(pattern.attrs.get("notes", ()))
    axis_stated = pattern.attrs.get("axis_stated", True)
    pattern = _within(pattern, two_theta_range, source)
    refined = rietveld.refine(
        pattern, crystals, wavelength=wavelength, background_terms=background_terms,
        guess=rietveld.first_guess(crystals, start, cell_tolerance),
        cell_tolerance=cell_tolerance, source=source,
    )  # fmt: skip
    refinement, result = refined.refinement, refined.result
    cell, cell_esd = rietveld.cells_of(result, crystals)
    scale, covariance = rietveld.scales(refinement, result, len(crystals))
    cell_mass = np.array([crystal.cell_mass for crystal in crystals])
    units = np.asarray(formula_units)
    weight, weight_covariance, weight_shift = _fractions(
        scale, covariance, cell, cell_mass, refined.pairs
    )
    molar, molar_covariance, _ = _fractions(scale, covariance, cell, units, refined.pairs)
    ions = np.asarray(ion_contents, float)
    fitted = refinement.fitted_structure.phases
    instrument = refinement.fitted_instrument
    ticks = [np.asarray(result.ticks.get(crystal.name, ()), float) for crystal in crystals]
    refused = _why_refused(pattern, result, background_terms, axis_stated=axis_stated)
    lines = misfits.unexplained_lines(
        pattern, np.asarray(result.y_calc), np.asarray(result.y_background), wavelength
    )
    data = {
        "phase": [crystal.name for crystal in crystals],
        "two_theta": pattern["two_theta"],
        "observed": pattern["intensity"],
        "sigma": pattern["sigma"],
        "calculated": result.y_calc,
        "background": result.y_background,
        "contribution": rietveld.contributions(refinement, pattern["two_theta"]),
        "weight_fraction": weight,
        "weight_fraction_esd": np.sqrt(np.diag(weight_covariance)),
        "weight_fraction_shift": weight_shift,
        "molar_fraction": molar,
        "molar_fraction_esd": np.sqrt(np.diag(molar_covariance)),
        "cell": cell,
        "cell_esd": cell_esd,
        "lorentz_size": [phase.lor_size.value for phase in fitted],
        "lorentz_strain": [phase.lor_strain.value for phase in fitted],
        "gauss_size": [phase.gauss_size.value for phase in fitted],
        "gauss_strain": [phase.gauss_strain.value for phase in fitted],
        "gauss_variance": instrument.profile.w.value,
        "zero_error": instrument.zero_shift.value,
        "reflection": np.concatenate(ticks),
        "reflection_phase": np.repeat(np.arange(len(ticks)), [len(row) for row in ticks]),
        "ion_content": molar @ ions,
        "ion_content_esd": np.sqrt(ions @ molar_covariance @ ions),
        "rwp": result.statistics.rwp,
        "goodness_of_fit": result.statistics.gof,
        "unexplained_two_theta": lines["two_theta"],
        "unexplained_d": lines["d"],
        "unexplained_height": lines["height"],
    }
    notes = _notes(result, crystals, cell, cell_esd, covariance, cell_tolerance)
    strange = misfits.lines_in_words(lines["d"].to_numpy(), lines["height"].to_numpy())
    return netcdf.build(
        POWDER,
        without_fractions(data) if refused else data,
        {
            "pattern": name,
            "file": str(source),
            "wavelength": float(wavelength),
            "refined_with": f"rietx {result.provenance.package_version}",
            "started_from": "" if start is None else str(start.attrs["pattern"]),
            "iterations": refined.iterations,
            "serial_correlation_factor": float(result.statistics.esd_inflation or 1.0),
            "refused": refused,
            "notes": "; ".join(filter(None, [*said, *notes, strange])),
        },
    )


def without_fractions(data: dict) -> dict:
    """Data of `layouts.POWDER` with NaN for all that a refused fit does not tell."""
    unknown = {name: np.full(np.shape(data[name]), np.nan) for name in _UNKNOWN_WHERE_REFUSED}
    return data | unknown


def _why_refused(pattern, result, background_terms: int, *, axis_stated: bool) -> str:
    """Why the fit is no result; empty where it is one."""
    sigma = pattern["sigma"].to_numpy()
    residual = (pattern["intensity"].to_numpy() - np.asarray(result.y_calc)) / sigma
    noise = misfits.noise(pattern)
    statistics = result.statistics
    reason = misfits.why_poor(statistics.rwp, statistics.gof, noise) or misfits.why_no_better(
        residual, misfits.background_residual(pattern, background_terms),
        parameters=max(statistics.n_free_parameters - background_terms, 1), noise_level=noise,
    )  # fmt: skip
    if reason and not axis_stated:
        reason += "; nothing says what the axis is, and it was taken for 2theta in degrees"
    return reason


def _within(pattern: pd.DataFrame, two_theta_range, source) -> pd.DataFrame:
    if two_theta_range is not None:
        pattern = pattern[pattern["two_theta"].between(*two_theta_range)]
    if len(pattern) < _FEWEST_POINTS:
        raise InputError(
            source, f"only {len(pattern)} points to fit", field="two_theta",
            remedy=f"give a range that holds at least {_FEWEST_POINTS}",
        )  # fmt: skip
    return pattern


def _fractions(scale, covariance, cell, per_cell, pairs: tuple[tuple[Amounts, Amounts], ...]):
    """Shares of scale * V * per_cell, (phase,), their covariance, and their shift between models,
    the root of what `between_models` adds to the variance."""
    share, spread = shares(scale, covariance, per_cell * _volumes(cell))
    spread = spread + _undetermined(share, covariance)

    def of(amounts: Amounts) -> np.ndarray:
        amount = amounts.scale * per_cell * _volumes(amounts.cell)
        return amount / amount.sum()

    shifts = np.array([of(second) - of(first) for first, second in pairs])
    added = between_models(shifts)
    return share, spread + added, np.sqrt(np.diag(added))


def between_models(shifts: np.ndarray) -> np.ndarray:
    """Covariance of shares (phase, phase) for their shifts (pair, phase) between pairs of models.

    No profile is that of the sample, and no polynomial its background, so a shift is taken for a
    standard error. One may be small by chance: half the variance is the share's own, half that of
    shares that all scatter alike and add up to 1 (chosen; of two phases both are the same).
    """
    phases = shifts.shape[1]
    alike = np.eye(phases) - 1 / phases
    alike *= np.sum(shifts**2) / max(phases - 1, 1)
    return (shifts.T @ shifts + alike) / 2


def _volumes(cell) -> np.ndarray:
    return np.array([gemmi.UnitCell(*parameters).volume for parameters in cell])


def shares(scale, covariance, factor) -> tuple[np.ndarray, np.ndarray]:
    """Shares scale * factor / sum, (phase,), and their covariance to first order."""
    amount = scale * factor
    total = amount.sum()
    share = amount / total
    slope = (np.eye(len(scale)) - share[:, None]) * factor / total
    spread = slope @ covariance @ slope.T
    return share, spread


def _undetermined(share, scale_covariance) -> np.ndarray:
    """What inseparable pairs add to the covariance of shares: their split may be anything."""
    spread = np.zeros_like(scale_covariance)
    for first, second in _inseparable(scale_covariance):
        uniform = (share[first] + share[second]) ** 2 / 12.0
        pair = np.ix_([first, second], [first, second])
        spread[pair] += uniform * np.array([[1.0, -1.0], [-1.0, 1.0]])
    return spread


def _inseparable(covariance) -> list[tuple[int, int]]:
    """Pairs of phases whose scales the data leave undetermined but for one combination."""
    deviation = np.sqrt(np.diag(covariance))
    product = np.outer(deviation, deviation)
    correlation = np.divide(covariance, product, out=np.zeros_like(product), where=product > 0)
    pairs = np.argwhere(np.triu(np.abs(correlation) > _INSEPARABLE, 1))
    return [(int(first), int(second)) for first, second in pairs]


def _notes(result, crystals, cell, cell_esd, covariance, cell_tolerance) -> list[str]:
    names = [crystal.name for crystal in crystals]
    notes = [] if result.status == "converged" else [f"the fit ended as {result.status}"]
    for name, crystal, lengths, esd in zip(names, crystals, cell, cell_esd, strict=True):
        change = np.abs(lengths[:3] / np.array(crystal.cell[:3]) - 1.0)
        if np.isnan(esd).all():
            notes.append(f"{name} is under 3 standard errors: cell and widths held")
        elif change.max() > rietveld.AT_EDGE * cell_tolerance:
            notes.append(f"the cell of {name} ended at the tolerance of {cell_tolerance:g}")
    notes += [
        f"{names[first]} and {names[second]} cannot be told apart"
        for first, second in _inseparable(covariance)
    ]
    return notes
