"""Weight fractions that another program refined, from its table of results.

One reader for every program: the config says which column holds what. What the programs write
differs in the separator, in the sign of decimals, in shares or percent, and in how an error stands
beside its value.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from scipy.optimize import nnls

from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.layouts.powder import POWDER
from phasefront.powder import misfits
from phasefront.powder.fits import shares, without_fractions
from phasefront.powder.rietveld import CELL

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
# 0.254, 0.254(3), 25.41( 2.25), TOPAS's 0.254`_0.003 and 0.254 +- 0.003
_VALUE = re.compile(
    rf"\s*(?P<value>{_NUMBER})`?\s*"
    rf"(?:\(\s*(?P<bracket>\d+\.?\d*)\s*\)|(?:_|\+/?-|±)\s*(?P<error>{_NUMBER}))?\s*"
)
_LARGEST_SUM = 1.02  # rounding; more is no set of fractions
_SMALLEST_SUM = 0.5  # less is another unit or another column
_LARGEST_CELL_CHANGE = 0.05  # against the CIF; more is another column or setting


def read_fractions(
    path: str | Path,
    crystals,
    columns,
    *,
    name: str,
    row: str,
    wavelength: float | None,
    ion_contents,
    formula_units,
) -> xr.Dataset:
    """The fractions of one row of a table, in the form of a fitted pattern.

    Parameters
    ----------
    path
        Table with a separator (comma, semicolon, tab) or aligned by blanks; with or without a line
        of column names.
    crystals
        One `phasefront.diffraction.crystals.Crystal` a phase, for cell masses and cells.
    columns
        `config.FractionColumns`.
    name
        Of the pattern, for the result's attributes.
    row
        What the table calls the pattern.
    wavelength
        angstrom, for the record; None where not known.
    ion_contents, formula_units
        Ions per formula unit, and formula units per cell, of each phase.

    Returns
    -------
    Dataset of `layouts.POWDER` without points and reflections; NaN for what the table does not say.

    A phase without columns, or whose fraction is empty, is absent. Fractions are divided by their
    sum where the table has other phases too; `notes` says so. The table has no covariance. It
    follows from the e.s.d. if the scales of the phases are independent: then var(W_i) / W_i^2 =
    r_i (1 - 2 W_i) + sum_k W_k^2 r_k, with r the relative variances of the scales, and the sum of
    fractions has no variance. For two phases that is exact. Correlations are taken from there, the
    e.s.d. from the table.

    Raises
    ------
    InputError
        No such row or column, a cell of the table that is no number, fractions without e.s.d., in
        another unit, or whose sum cannot be right, or a lattice far from the CIF's.
    """
    path = Path(path)
    cells = _row(path, columns, row)
    names = [crystal.name for crystal in crystals]
    unit = 0.01 if columns.unit == "percent" else 1.0
    weight, deviation = (
        unit
        * np.array(
            [_fraction(path, cells, columns.phases.get(phase), columns) for phase in names]
        ).T
    )
    total = weight.sum()
    _check_sum(path, total / unit, total, columns)
    quality = _optional(path, cells, columns.goodness_of_fit, columns)
    if columns.chi_squared is not None:
        quality = np.sqrt(_optional(path, cells, columns.chi_squared, columns))
    if not columns.esd_scaled:
        if not np.isfinite(quality):
            raise InputError(
                path, "e.s.d. are to be multiplied by the goodness of fit, which is not there",
                field="powder.refined.goodness_of_fit", remedy="name its column",
            )  # fmt: skip
        deviation = deviation * max(1.0, quality)
    weight, deviation = weight / total, deviation / total
    covariance = independent_scales(weight, deviation)
    mass = np.array([crystal.cell_mass for crystal in crystals]) / np.asarray(formula_units)
    molar, molar_covariance = shares(weight, covariance, 1.0 / mass)
    ions = np.asarray(ion_contents, float)
    lattice, lattice_esd = np.transpose(
        [_lattice(path, cells, columns, crystal) for crystal in crystals], (1, 0, 2)
    )
    unknown = np.full(len(names), np.nan)
    # Every program gives the profile's R factor in percent.
    rwp = 0.01 * _optional(path, cells, columns.rwp, columns)
    refused = misfits.why_poor(rwp, quality)
    data = {
        "phase": names,
        **{
            part: np.empty(0)
            for part in ("two_theta", "observed", "sigma", "calculated", "background")
        },
        "contribution": np.empty((len(names), 0)),
        "weight_fraction": weight,
        "weight_fraction_esd": deviation,
        "weight_fraction_shift": unknown,
        "molar_fraction": molar,
        "molar_fraction_esd": np.sqrt(np.diag(molar_covariance)),
        "cell": lattice,
        "cell_esd": lattice_esd,
        "lorentz_size": unknown,
        "lorentz_strain": unknown,
        "gauss_size": unknown,
        "gauss_strain": unknown,
        "gauss_variance": np.nan,
        "zero_error": np.nan,
        "reflection": np.empty(0),
        "reflection_phase": np.empty(0),
        "ion_content": molar @ ions,
        "ion_content_esd": np.sqrt(ions @ molar_covariance @ ions),
        "rwp": rwp,
        "goodness_of_fit": quality,
        **dict.fromkeys(
            ("unexplained_two_theta", "unexplained_d", "unexplained_height"), np.empty(0)
        ),
    }
    return netcdf.build(
        POWDER,
        without_fractions(data) if refused else data,
        {
            "pattern": name,
            "file": str(path),
            "wavelength": np.nan if wavelength is None else float(wavelength),
            "refined_with": columns.program,
            "started_from": "",
            "refused": refused,
            "notes": "; ".join(_notes(names, weight, total)),
        },
    )


def independent_scales(weight, deviation) -> np.ndarray:
    """Covariance (phase, phase) of weight fractions with these e.s.d. and independent scales.

    The relative variances r of the scales solve var(W_i) = W_i^2 (r_i (1 - 2 W_i) +
    sum_k W_k^2 r_k) by least squares, none negative.
    """
    weight, deviation = np.asarray(weight, float), np.asarray(deviation, float)
    effect = np.diag(1.0 - 2.0 * weight) + weight**2
    there = (weight > 0) & (deviation > 0)
    covariance = np.diag(deviation**2)
    if there.sum() < 2:
        return covariance
    relative, _ = nnls(effect[np.ix_(there, there)], (deviation[there] / weight[there]) ** 2)
    _, model = shares(weight[there], np.diag(relative * weight[there] ** 2), 1.0)
    spread = np.sqrt(np.diag(model))
    outer = np.outer(spread, spread)
    correlation = np.divide(model, outer, out=np.eye(len(spread)), where=outer > 0)
    np.fill_diagonal(correlation, 1.0)
    covariance[np.ix_(there, there)] = correlation * np.outer(deviation[there], deviation[there])
    return covariance


def _row(path: Path, columns, row: str) -> pd.Series:
    """The cells of one row as text, by column name, or by position in a table without names."""
    try:
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except FileNotFoundError:
        raise InputError(
            path, "there is no such file", remedy="correct the path of the table"
        ) from None
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if not lines:
        raise InputError(path, "the table is empty", remedy="export it again")
    separator = next((mark for mark in "\t;," if mark in lines[0]), None)
    if separator == "," and columns.decimal == ",":
        raise InputError(
            path, "commas both between columns and in numbers", field="powder.refined.decimal",
            remedy="export with semicolons or tabs between columns",
        )  # fmt: skip
    rows = [_split(line, separator) for line in lines]
    header = rows.pop(0) if columns.header else list(range(len(rows[0])))
    for number, cells in enumerate(rows, start=1 + columns.header):
        if len(cells) != len(header):
            raise InputError(
                path, f"{len(cells)} columns where {len(header)} are expected",
                field=f"line {number}", remedy="export the table again",
            )  # fmt: skip
    table = pd.DataFrame(rows, columns=header)
    named = _column(path, table.columns, columns.pattern)
    found = table[table[named] == row]
    if len(found) != 1:
        problem = "occurs more than once" if len(found) else "is not in the table"
        raise InputError(
            path, f"row {row!r} {problem}", field=str(columns.pattern),
            remedy=f"name one of {sorted(set(table[named]))} in the table of powder patterns",
        )  # fmt: skip
    return found.iloc[0]


def _split(line: str, separator: str | None) -> list[str]:
    if separator is None:
        # FullProf pads inside brackets: 11.41( 2.25)
        return re.sub(r"\(\s+", "(", line).split()
    return [cell.strip() for cell in next(csv.reader([line], delimiter=separator))]


def _column(path: Path, present, wanted: str | int) -> str | int:
    if wanted not in list(present):
        raise InputError(
            path, f"there is no column {wanted!r}", field="powder.refined",
            remedy=f"name one of {list(present)}",
        )  # fmt: skip
    return wanted


def _value(path: Path, cells: pd.Series, column, columns) -> tuple[float, float]:
    """A value and, where it stands in the same cell, its error, else NaN; both NaN if empty."""
    text = cells[_column(path, cells.index, column)]
    if text.lower() in ("", "none", "nan", "-"):
        return np.nan, np.nan
    point = text.replace(",", ".") if columns.decimal == "," else text
    found = _VALUE.fullmatch(point)
    if not found:
        remedy = "correct the table or name another column"
        if "," in text and columns.decimal == ".":
            remedy = 'numbers have a decimal comma: set powder.refined.decimal to ","'
        raise InputError(path, f"{text!r} is not a number", field=str(column), remedy=remedy)
    value, bracket, error = found.group("value", "bracket", "error")
    if bracket is not None:
        # Digits without a point count in the last decimals of the value.
        decimals = len(value.partition(".")[2]) if "." not in bracket else 0
        return float(value), float(bracket) * 10.0**-decimals
    return float(value), float(error) if error is not None else np.nan


def _optional(path: Path, cells: pd.Series, column, columns) -> float:
    return np.nan if column is None else _value(path, cells, column, columns)[0]


def _fraction(path: Path, cells: pd.Series, phase, columns) -> tuple[float, float]:
    """Fraction and e.s.d. in the table's unit; an absent phase has none of either."""
    if phase is None:
        return 0.0, 0.0
    value, error = _value(path, cells, phase.fraction, columns)
    if np.isnan(value):
        return 0.0, 0.0
    if phase.esd is not None:
        error = _value(path, cells, phase.esd, columns)[0]
    if np.isnan(error) or error < 0:
        raise InputError(
            path, "the fraction has no e.s.d.", field=str(phase.fraction),
            remedy="name the e.s.d.'s column in powder.refined.phases, or export it",
        )  # fmt: skip
    if value < 0:
        raise InputError(
            path, f"the fraction {value:g} is negative", field=str(phase.fraction),
            remedy="refine again without that phase",
        )  # fmt: skip
    return value, error


def _check_sum(path: Path, written: float, total: float, columns) -> None:
    if _SMALLEST_SUM <= total <= _LARGEST_SUM:
        return
    remedy = "name the columns of weight fractions"
    if columns.unit == "share" and 100 * _SMALLEST_SUM <= written <= 100 * _LARGEST_SUM:
        remedy = "they are percent: set powder.refined.unit to percent"
    if columns.unit == "percent" and _SMALLEST_SUM <= written <= _LARGEST_SUM:
        remedy = "they are shares: set powder.refined.unit to share"
    raise InputError(
        path, f"the weight fractions add up to {written:g} in {columns.unit}",
        field="powder.refined.phases", remedy=remedy,
    )  # fmt: skip


def _lattice(path: Path, cells: pd.Series, columns, crystal) -> tuple[np.ndarray, np.ndarray]:
    """Cell (6) and e.s.d. (6). Lengths that the CIF has equal, and angles, need not be given."""
    value, error = np.full(6, np.nan), np.full(6, np.nan)
    phase = columns.phases.get(crystal.name)
    if phase is None or not phase.cell:
        return value, error
    for index, parameter in enumerate(CELL):
        if parameter in phase.cell:
            value[index], error[index] = _value(path, cells, phase.cell[parameter], columns)
        if parameter in phase.cell_esd:
            error[index] = _value(path, cells, phase.cell_esd[parameter], columns)[0]
    nominal = np.array(crystal.cell, float)
    for index in range(3):
        same = [i for i in range(3) if nominal[i] == nominal[index] and np.isfinite(value[i])]
        if np.isnan(value[index]) and same:
            value[index], error[index] = value[same[0]], error[same[0]]
    if np.isnan(value[:3]).all():
        return value, error
    fixed = np.isnan(value[3:])
    value[3:][fixed], error[3:][fixed] = nominal[3:][fixed], 0.0
    wrong = np.flatnonzero(np.abs(value / nominal - 1.0) > _LARGEST_CELL_CHANGE)
    if wrong.size:
        raise InputError(
            path, f"{CELL[wrong[0]]} of {crystal.name} is {value[wrong[0]]:g}, "
            f"{nominal[wrong[0]]:g} in the CIF", field=f"powder.refined.phases.{crystal.name}.cell",
            remedy="name the right column, or give the CIF in the setting of the refinement",
        )  # fmt: skip
    return value, error


def _notes(names, weight, total: float) -> list[str]:
    notes = [f"{name} is absent" for name, share in zip(names, weight, strict=True) if share == 0]
    if abs(total - 1.0) > _LARGEST_SUM - 1.0:
        notes.append(f"other phases hold {1 - total:.3g} of the weight, left out here")
    return notes
