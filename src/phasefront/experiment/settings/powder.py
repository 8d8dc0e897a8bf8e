"""Powder patterns, and tables of fractions that another program refined."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from phasefront.experiment.settings.base import (
    Angle,
    FilePath,
    Model,
    Name,
    Positive,
    ascending,
    from_json,
)


def _complete(columns: dict[str, int | str]) -> dict[str, int | str]:
    if not {"axis", "intensity"} <= set(columns):
        raise ValueError("columns lack axis or intensity; say where each stands")
    if {"sigma", "weight"} <= set(columns):
        raise ValueError("columns have sigma and weight; name one of them")
    if len(set(columns.values())) < len(columns):
        raise ValueError("one column has two roles; give each its own")
    return columns


PatternColumns = Annotated[
    dict[Literal["axis", "intensity", "sigma", "weight"], int | str],
    BeforeValidator(lambda cell: from_json(cell, '{"axis": 0, "intensity": 1, "sigma": 2}')),
    AfterValidator(_complete),
    Field(
        description="what stands in which column, by name or position from 0, as JSON: axis,"
        ' intensity and, where there is one, sigma or weight (1/sigma^2), e.g. {"axis": 0,'
        ' "intensity": 1, "weight": 2}'
    ),
]
AxisName = Annotated[
    Literal["two_theta", "q", "d"] | None,
    Field(description="what the axis is, where the file does not say it"),
]
AxisUnit = Annotated[
    Literal["degree", "radian", "1/A", "1/nm", "A", "nm"] | None,
    Field(
        description="unit of the axis: degree or radian of 2theta, 1/A or 1/nm of q, A or nm of d"
    ),
]


Column = Annotated[str | int, Field(description="name of a column, or its number from 0")]
CellParameter = Literal["a", "b", "c", "alpha", "beta", "gamma"]


class PhaseColumns(Model):
    """Columns of one phase in a table of refined fractions."""

    fraction: Column
    esd: Column | None = Field(None, description="where it is not in the fraction's own column")
    cell: dict[CellParameter, Column] = Field({}, description="columns of its cell")
    cell_esd: dict[CellParameter, Column] = Field({}, description="columns of their e.s.d.")


class FractionColumns(Model):
    """What stands where in a table of weight fractions that another program refined."""

    program: str = Field(description="program and version, for the record")
    pattern: Column = Field(description="names the pattern of each row")
    phases: dict[Name, PhaseColumns] = Field(min_length=1)
    header: bool = Field(True, description="whether the first line names the columns")
    decimal: Literal[".", ","] = Field(".", description="sign of decimals")
    unit: Literal["share", "percent"] = Field("share", description="of the weight fractions")
    goodness_of_fit: Column | None = Field(None, description="square root of reduced chi squared")
    chi_squared: Column | None = Field(None, description="reduced, in place of goodness_of_fit")
    rwp: Column | None = Field(None, description="weighted profile R factor, percent")
    esd_scaled: bool = Field(
        True, description="whether e.s.d. have been multiplied by the goodness of fit"
    )

    @model_validator(mode="after")
    def _columns_fit(self) -> FractionColumns:
        if self.goodness_of_fit is not None and self.chi_squared is not None:
            raise ValueError("goodness_of_fit and chi_squared are both given; give one")
        if not self.header and any(isinstance(column, str) for column in self._all()):
            raise ValueError("the table has no header; give columns by number, from 0")
        return self

    def _all(self) -> list[str | int | None]:
        columns = [self.pattern, self.goodness_of_fit, self.chi_squared, self.rwp]
        for phase in self.phases.values():
            columns += [phase.fraction, phase.esd, *phase.cell.values(), *phase.cell_esd.values()]
        return columns


class PowderSettings(Model):
    """Rietveld fits, and tables of fractions that another program refined."""

    two_theta_range: Annotated[tuple[Angle, Angle], AfterValidator(ascending)] | None = Field(
        None, description="fitted, degrees"
    )
    background_terms: int = Field(20, ge=1, description="terms of the Chebyshev background")
    sequential: bool = Field(
        False, description="start from the fit of the state before, at the same wavelength"
    )
    refined: FractionColumns | None = Field(
        None, description="columns of the tables that rows of kind refined name"
    )


class PatternRow(Model):
    """A row of the table of powder patterns: a pattern to fit, or a row of refined fractions."""

    pattern: Name
    state: Name
    path: FilePath
    kind: Literal["pattern", "refined"] = "pattern"
    wavelength: Positive | None = Field(None, description="angstrom; a pattern needs it")
    row: str | None = Field(None, description="what the table of refined fractions calls it")
    axis: AxisName = None
    unit: AxisUnit = None
    columns: PatternColumns | None = None

    @model_validator(mode="after")
    def _kind_has_what_it_needs(self) -> PatternRow:
        if self.kind == "pattern" and self.wavelength is None:
            raise ValueError("a pattern has no wavelength; add it, in angstrom")
        if (self.kind == "refined") != (self.row is not None):
            raise ValueError(
                "kind and row do not go together; name the row of the table where kind is refined,"
                " and only there"
            )
        return self
