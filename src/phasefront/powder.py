"""Powder patterns: reading them and phase fractions by Rietveld refinement.

The refinement is done by rietx (MIT licence), whose minor version is pinned; docs/powder.md says
why, and how good the fractions are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import gemmi
import numpy as np
import pandas as pd
import xarray as xr

from phasefront import layouts, netcdf
from phasefront.errors import InputError

_SUFFIXES = (".xye", ".xy", ".chi", ".csv", ".dat", ".txt")
_COMMENT = re.compile(r"^\s*(#|!|;|'|/\*|\*)")
_Q_UNITS = {"a^-1": 1.0, "angstrom": 1.0, "nm^-1": 0.1, "nanometre": 0.1, "nanometer": 0.1}

CELL = ("a", "b", "c", "alpha", "beta", "gamma")
_POLARISATION = 0.99  # share of the beam polarised normal to the scattering plane
_START_GAUSS_VARIANCE = 4e-5  # degree^2, Caglioti W
_START_LORENTZ_SIZE = 0.02  # degree, width at angle 0
_START_LORENTZ_STRAIN = 0.1  # degree, width at tan(theta) = 1; wide, to catch a cell that is off
_INSEPARABLE = 0.98  # correlation of two scales
_AT_EDGE = 0.999  # of the tolerance of a cell
_FEWEST_POINTS = 100


def read_pattern(
    path: str | Path,
    *,
    columns: dict[str, str | int] | None = None,
    wavelength: float | None = None,
) -> pd.DataFrame:
    """Read a powder pattern from `.xye`, `.xy`, `.chi`, `.dat`, `.txt` or `.csv`.

    Lines before the numbers and lines that begin with #, !, ;, ', * or /* are header.

    Parameters
    ----------
    columns
        Name (from the last header line) or 0-based position of `two_theta`, `intensity` and, if
        there is one, `sigma`. Without it they are the first two or three columns.
    wavelength
        angstrom; needed only where a `.chi` file's axis is q = 4 pi sin(theta) / wavelength.

    Returns
    -------
    Table with float columns `two_theta` (degree), `intensity` and `sigma`; without uncertainties
    in the file, sigma is the square root of the intensity (counts). `attrs` holds `file`.

    Raises
    ------
    InputError
        No such file, another format, fewer than two columns, ragged or non-numeric rows, values
        that are not finite, angles that do not increase, sigma that is not positive.
    """
    path = Path(path)
    if path.suffix.lower() not in _SUFFIXES:
        raise InputError(
            path, f"no reader for {path.suffix or 'a file without suffix'!r}",
            remedy=f"give one of {', '.join(_SUFFIXES)}",
        )  # fmt: skip
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        raise InputError(
            path, "there is no such file", remedy="correct the path of the pattern"
        ) from None
    header, numbers = _split_header(path, lines)
    picked = _pick_columns(path, header, numbers, columns)
    table = pd.DataFrame(picked, dtype=float)
    table["two_theta"] = _as_two_theta(path, header, table["two_theta"], wavelength)
    if "sigma" not in table:
        positive = table["intensity"][table["intensity"] > 0]
        smallest = positive.min() if len(positive) else 1.0
        table["sigma"] = np.sqrt(np.maximum(table["intensity"], smallest))
    _check(path, table)
    table.attrs["file"] = str(path)
    return table


def _split_header(path: Path, lines: list[str]) -> tuple[list[str], np.ndarray]:
    """Header lines, and the rest as numbers (n, columns)."""
    header, rows = [], []
    is_fit2d = path.suffix.lower() == ".chi"
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        cells = _cells(line)
        values = None if _COMMENT.match(line) else _numbers(cells)
        # Fit2D's fourth header line is the number of points.
        if not rows and (values is None or (is_fit2d and len(values) == 1)):
            header.append(line)
        elif values is not None:
            if rows and len(values) != len(rows[0]):
                raise InputError(
                    path, f"{len(values)} columns, {len(rows[0])} before",
                    field=f"line {number}", remedy="export the pattern again",
                )  # fmt: skip
            rows.append(values)
        elif not _COMMENT.match(line):
            raise InputError(
                path, f"{line.strip()[:40]!r} is not a row of numbers", field=f"line {number}",
                remedy="remove the line or mark it as a comment with #",
            )  # fmt: skip
    if not rows:
        raise InputError(path, "no numbers", remedy="give a pattern of angle and intensity")
    return header, np.array(rows)


def _cells(line: str) -> list[str]:
    separators = re.sub(r"[,;]", " ", line)
    return separators.split()


def _numbers(cells: list[str]) -> list[float] | None:
    try:
        return [float(cell) for cell in cells]
    except ValueError:
        return None


def _pick_columns(path: Path, header: list[str], numbers: np.ndarray, columns) -> dict:
    width = numbers.shape[1]
    if width < 2:
        raise InputError(
            path, "only one column", remedy="give angle, intensity and, best, its uncertainty"
        )
    if columns is None:
        columns = dict(zip(("two_theta", "intensity", "sigma"), range(min(width, 3)), strict=False))
    names = _column_names(header)
    picked = {}
    for role, wanted in columns.items():
        position = names.index(wanted) if wanted in names else wanted
        if not isinstance(position, int) or not 0 <= position < width:
            raise InputError(
                path, f"there is no column {wanted!r} for {role}", field=str(wanted),
                remedy=f"choose among {names or list(range(width))}",
            )  # fmt: skip
        picked[role] = numbers[:, position]
    for role in ("two_theta", "intensity"):
        if role not in picked:
            raise InputError(
                path, f"no column is given for {role}", field="columns",
                remedy=f"name it, among {names or list(range(width))}",
            )  # fmt: skip
    return picked


def _column_names(header: list[str]) -> list[str]:
    if not header:
        return []
    line = re.sub(_COMMENT, "", header[-1])
    separator = next((mark for mark in ",;\t" if mark in line), None)
    return [name.strip().strip('"') for name in line.split(separator)]


def _as_two_theta(path: Path, header: list[str], axis: pd.Series, wavelength: float | None):
    """Angles in degrees; the axis of a `.chi` file may be q, as its second line says."""
    label = header[1].strip().lower() if path.suffix.lower() == ".chi" and len(header) > 1 else ""
    if not label.startswith("q"):
        return axis
    unit = next((factor for name, factor in _Q_UNITS.items() if name in label), None)
    if unit is None or wavelength is None:
        raise InputError(
            path, f"the axis is {header[1].strip()!r}", field="line 2",
            remedy="give the wavelength and q in A^-1 or nm^-1, or export 2theta in degrees",
        )  # fmt: skip
    sine = axis * unit * wavelength / (4.0 * np.pi)
    if not (sine.abs() <= 1.0).all():
        raise InputError(
            path, f"q reaches beyond 4 pi / {wavelength:g} angstrom", field="wavelength",
            remedy="check the wavelength",
        )  # fmt: skip
    return np.degrees(2.0 * np.arcsin(sine))


def _check(path: Path, table: pd.DataFrame) -> None:
    for name in table.columns:
        wrong = np.flatnonzero(~np.isfinite(table[name]))
        if wrong.size:
            raise InputError(
                path, f"{wrong.size} values are not finite, first in row {wrong[0] + 1}",
                field=name, remedy="mask those points before export",
            )  # fmt: skip
    backwards = np.flatnonzero(np.diff(table["two_theta"]) <= 0)
    if backwards.size:
        raise InputError(
            path, f"the angle does not increase after row {backwards[0] + 1}", field="two_theta",
            remedy="sort by angle and average repeated points",
        )  # fmt: skip
    wrong = np.flatnonzero(table["sigma"] <= 0)
    if wrong.size:
        raise InputError(
            path, f"{wrong.size} uncertainties are not positive, first in row {wrong[0] + 1}",
            field="sigma", remedy="leave the column out or give each point its uncertainty",
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
    one Gaussian width, the zero error and a Chebyshev background for all; then Gaussian size and
    strain of each phase too. Atoms stay as in the CIF. A scale may reach zero; while a phase is
    under 3 standard errors its cell and widths are held, and its fraction keeps its e.s.d.

    Parameters
    ----------
    pattern
        From `read_pattern`.
    crystals
        One `phasefront.crystals.Crystal` a phase.
    name
        Of the pattern, for the result's attributes.
    wavelength
        angstrom.
    ion_contents, formula_units
        Ions per formula unit, and formula units per cell, of each phase.
    two_theta_range
        First and last angle to fit, degrees; all if None.
    background_terms
        Number of Chebyshev coefficients.
    cell_tolerance
        Largest relative change of a cell length against the CIF. Keep it under the difference
        between phases, lest one take another's place.
    start
        Of `layouts.POWDER`: an earlier fit of the same phases with the same instrument. Its cells,
        widths and zero error are the first guess, in place of the CIFs' cells and wide lines.

    Returns
    -------
    Dataset of `layouts.POWDER`. Every e.s.d. comes from the full covariance of the last cycle times
    the goodness of fit, and times the factor of Berar & Lelann, J. Appl. Cryst. 24 (1991) 1, for
    residuals that are correlated along the pattern. To the fractions' it adds, in squares, how far
    they shifted when the lines got Gaussian widths: no profile is that of the sample, and where
    lines overlap the difference goes into the fractions, which no covariance knows. `notes` says
    which phases were held, which could not be told apart and which cells ended at the tolerance.

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
    pattern = _within(pattern, two_theta_range, source)
    refinement, result, first = _refine(
        pattern, crystals, wavelength=wavelength, background_terms=background_terms,
        guess=_guess(crystals, start, cell_tolerance), cell_tolerance=cell_tolerance, source=source,
    )  # fmt: skip
    cell, cell_esd = _cells_of(result, crystals)
    scale, covariance = _scales(refinement, result, len(crystals))
    cell_mass = np.array([crystal.cell_mass for crystal in crystals])
    units = np.asarray(formula_units)
    weight, weight_covariance, weight_shift = _fractions(scale, covariance, cell, cell_mass, first)
    molar, molar_covariance, _ = _fractions(scale, covariance, cell, units, first)
    ions = np.asarray(ion_contents, float)
    fitted = refinement.fitted_structure.phases
    instrument = refinement.fitted_instrument
    ticks = [np.asarray(result.ticks.get(crystal.name, ()), float) for crystal in crystals]
    return netcdf.build(
        layouts.POWDER,
        {
            "phase": [crystal.name for crystal in crystals],
            "two_theta": pattern["two_theta"],
            "observed": pattern["intensity"],
            "sigma": pattern["sigma"],
            "calculated": result.y_calc,
            "background": result.y_background,
            "contribution": _contributions(refinement, pattern["two_theta"]),
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
        },
        {
            "pattern": name,
            "file": str(source),
            "wavelength": float(wavelength),
            "refined_with": f"rietx {result.provenance.package_version}",
            "started_from": "" if start is None else str(start.attrs["pattern"]),
            "iterations": first.iterations + sum(stage.n_iterations for stage in result.stages),
            "serial_correlation_factor": float(result.statistics.esd_inflation or 1.0),
            "notes": "; ".join(
                _notes(result, crystals, cell, cell_esd, covariance, cell_tolerance)
            ),
        },
    )


def _within(pattern: pd.DataFrame, two_theta_range, source) -> pd.DataFrame:
    if two_theta_range is not None:
        pattern = pattern[pattern["two_theta"].between(*two_theta_range)]
    if len(pattern) < _FEWEST_POINTS:
        raise InputError(
            source, f"only {len(pattern)} points to fit", field="two_theta",
            remedy=f"give a range that holds at least {_FEWEST_POINTS}",
        )  # fmt: skip
    return pattern


@dataclass(frozen=True)
class _Guess:
    """Where a fit starts: cells (phase, 6); widths (phase,) and zero error in degrees."""

    cells: np.ndarray
    lorentz_size: np.ndarray
    lorentz_strain: np.ndarray
    gauss_variance: float
    zero_error: float


@dataclass(frozen=True)
class _Lorentzian:
    """A fit before lines may have Gaussian widths: scales (phase,), cells (phase, 6)."""

    scale: np.ndarray
    cell: np.ndarray
    iterations: int


def _guess(crystals, start: xr.Dataset | None, cell_tolerance: float) -> _Guess:
    """From an earlier fit; from the CIFs and wide lines where there is none."""
    cells = np.array([crystal.cell for crystal in crystals], float)
    if start is None:
        phases = len(crystals)
        return _Guess(
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
    cells = np.where((change < _AT_EDGE * cell_tolerance)[:, None], found, cells)
    return _Guess(
        cells, start["lorentz_size"].to_numpy(), start["lorentz_strain"].to_numpy(),
        float(start["gauss_variance"]), float(start["zero_error"]),
    )  # fmt: skip


def _refine(pattern, crystals, *, wavelength, background_terms, guess, cell_tolerance, source):
    """The refinement, its result, and what it was with Lorentzian widths alone; by rietx."""
    import rietx
    from rietx.schemas.instrument import BackgroundChebyshev
    from threadpoolctl import threadpool_limits

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
        first = _Lorentzian(
            _scales(refinement, result, len(crystals))[0],
            _cells_of(result, crystals)[0],
            sum(stage.n_iterations for stage in result.stages),
        )
        shape = rietx.Stage("shape", ["phases.*.gauss_size", "phases.*.gauss_strain"])
        result = refinement.run_stage(data, shape, telemetry=False)
    return refinement, result, first


def _check_found(result, source) -> None:
    out_of_range = result.qpa.unmeasured_phases if result.qpa else []
    if out_of_range:
        raise InputError(
            source, f"no reflection of {', '.join(out_of_range)} is in range",
            field="two_theta", remedy="widen the range or leave the phase out",
        )  # fmt: skip
    # Only a phase that shows gets its cell refined.
    if not any(row.vary and ".cell." in row.path for row in result.parameters):
        raise InputError(
            source, "none of the phases was found", field="intensity",
            remedy="check the wavelength and the CIFs",
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
        for atom in _asymmetric_unit(crystal).itertuples()
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


def _asymmetric_unit(crystal) -> pd.DataFrame:
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


def _cells_of(result, crystals) -> tuple[np.ndarray, np.ndarray]:
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


def _fractions(scale, covariance, cell, per_cell, first: _Lorentzian):
    """Shares of scale * V * per_cell, (phase,), their covariance, and their shift from `first`.

    No profile is that of the sample. What fractions shift from one that fits a little worse to
    the next is taken for a standard error, of all of them together.
    """
    share, spread = shares(scale, covariance, per_cell * _volumes(cell))
    before = first.scale * per_cell * _volumes(first.cell)
    shift = share - before / before.sum()
    return share, spread + _undetermined(share, covariance) + np.outer(shift, shift), shift


def _volumes(cell) -> np.ndarray:
    return np.array([gemmi.UnitCell(*parameters).volume for parameters in cell])


def _scales(refinement, result, phases: int) -> tuple[np.ndarray, np.ndarray]:
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


def _contributions(refinement, two_theta) -> np.ndarray:
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


def _notes(result, crystals, cell, cell_esd, covariance, cell_tolerance) -> list[str]:
    names = [crystal.name for crystal in crystals]
    notes = [] if result.status == "converged" else [f"the fit ended as {result.status}"]
    for name, crystal, lengths, esd in zip(names, crystals, cell, cell_esd, strict=True):
        change = np.abs(lengths[:3] / np.array(crystal.cell[:3]) - 1.0)
        if np.isnan(esd).all():
            notes.append(f"{name} is under 3 standard errors: cell and widths held")
        elif change.max() > _AT_EDGE * cell_tolerance:
            notes.append(f"the cell of {name} ended at the tolerance of {cell_tolerance:g}")
    notes += [
        f"{names[first]} and {names[second]} cannot be told apart"
        for first, second in _inseparable(covariance)
    ]
    return notes
