"""What chemistry is worked out of: reference spectra, and what a valence means for the ions."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from phasefront.experiment.settings.base import FilePath, Line, Model, Name, Positive, ascending

EnergyRange = Annotated[tuple[Positive, Positive], AfterValidator(ascending)]


class Reference(Model):
    """The spectrum of a compound of known valence."""

    name: Name
    valence: float = Field(description="of the absorbing atom")
    path: FilePath = Field(
        description="text of two columns, energy in eV and absorption per absorbing atom, in one"
        " unit for all references"
    )
    source: Line = Field(min_length=1, description="who measured or calculated it, and how")


class ChargeBalance(Model):
    """Ion content from a mean valence: x = constant + per_valence v + exchange.

    Of Na_x V_2 (PO4)_2 F_(3-y) O_y, whose charges add up to nothing: x = 9 + y - 2 v.
    """

    constant: float
    per_valence: float = Field(description="ions per formula unit for each valence")
    exchange: float = Field(0, description="ions more than that, such as y of O in place of F")
    exchange_error: float = Field(0, ge=0, description="its standard error")

    @model_validator(mode="after")
    def _has_a_slope(self) -> ChargeBalance:
        if self.per_valence == 0:
            raise ValueError("per_valence is 0; give ions per formula unit for each valence")
        return self


class ChemistrySettings(Model):
    """Valence from X-ray stacks."""

    references: list[Reference] = Field([], description="two or more, of different valence")
    thresholds: list[tuple[Positive, Positive]] = Field(
        [],
        description="energies, eV, and heights of the steps of the continuum, where references are"
        " white lines alone, such as [[517, 2], [524, 1]] of V L3 and L2",
    )
    fit_ev: EnergyRange | None = Field(
        None, description="energies that are fitted; without, all that stack and references share"
    )
    max_shift_ev: Positive = Field(
        1.0, description="how far apart the energy scales of references and stack may lie"
    )
    max_error: Positive = Field(0.5, description="valences that are told no better are not told")
    ion_content: ChargeBalance | None = Field(
        None, description="ion content from the valence; without, maps are of the valence"
    )

    @model_validator(mode="after")
    def _references_differ(self) -> ChemistrySettings:
        names = [reference.name for reference in self.references]
        if len(set(names)) < len(names):
            raise ValueError("two references have the same name; give each its own")
        if len(self.references) == 1 or (
            self.references and len({reference.valence for reference in self.references}) == 1
        ):
            raise ValueError("references are of one valence; give two or more of different valence")
        return self
