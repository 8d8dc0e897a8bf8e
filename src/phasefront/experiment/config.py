"""The experiment: what config/<run>.yaml holds, every section with its defaults.

The JSON schema in workflow/schemas is generated from it, and every section reaches its script as
JSON.
"""

from __future__ import annotations

import json

from pydantic import Field, JsonValue, model_validator
from pydantic_core import to_jsonable_python

from phasefront.experiment.settings.base import FilePath, Line, Model, Name, Url, refuse_same_names
from phasefront.experiment.settings.calibration import CalibrationSettings
from phasefront.experiment.settings.chemistry import ChemistrySettings
from phasefront.experiment.settings.comparison import ComparisonSettings
from phasefront.experiment.settings.correlation import CorrelationSettings
from phasefront.experiment.settings.coverage import CoverageSettings
from phasefront.experiment.settings.fractions import FractionSettings
from phasefront.experiment.settings.grains import GrainSettings
from phasefront.experiment.settings.instruments import InstrumentSection
from phasefront.experiment.settings.interfaces import InterfaceSettings
from phasefront.experiment.settings.losses import LossSettings
from phasefront.experiment.settings.maps import MapSettings
from phasefront.experiment.settings.material import Material
from phasefront.experiment.settings.mechanisms import MechanismSettings
from phasefront.experiment.settings.orientations import OrientationSettings
from phasefront.experiment.settings.pathways import PathwaySettings
from phasefront.experiment.settings.phases import PhaseSettings
from phasefront.experiment.settings.powder import PowderSettings
from phasefront.experiment.settings.registration import RegistrationSettings
from phasefront.experiment.settings.report import ReportSettings
from phasefront.experiment.settings.scans import ScanSettings
from phasefront.experiment.settings.spots import SpotSettings
from phasefront.experiment.settings.stacks import StackSettings
from phasefront.experiment.settings.states import State
from phasefront.experiment.settings.supplement import SupplementSettings
from phasefront.experiment.settings.sweep import Sweep
from phasefront.experiment.settings.tomography import CellSettings
from phasefront.experiment.settings.virtual import Virtual
from phasefront.records.context import Person


class Tables(Model):
    """Tab-separated tables that name files, states and instruments."""

    scans: FilePath | None = None
    cycling: FilePath | None = None
    powder: FilePath | None = None
    cells: FilePath | None = None
    stacks: FilePath | None = None

    @model_validator(mode="after")
    def _one_at_least(self) -> Tables:
        if not (self.scans or self.cycling or self.powder or self.cells or self.stacks):
            raise ValueError(
                "no table is named; give one or more of scans, cycling, powder, cells and stacks"
            )
        return self


class Download(Model):
    """A public file the experiment needs."""

    path: FilePath
    url: Url
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class Experiment(Model):
    """One experiment: what config/<run>.yaml holds."""

    run: Name = Field(description="results go to results/<run>")
    title: Line = ""
    seed: int = Field(0, ge=0)
    material: Material
    instruments: dict[Name, InstrumentSection] = Field({}, description="microscopes, by name")
    tables: Tables
    states: list[State] = Field(min_length=1)
    downloads: list[Download] = Field([], description="what `phasefront fetch` fetches")
    people: list[Person] = Field([], description="who does the work, for the records")
    record_host: bool = Field(False, description="whether records name the computer")
    virtual: Virtual | None = None
    scans: ScanSettings = ScanSettings()
    calibration: CalibrationSettings = CalibrationSettings()
    spots: SpotSettings = SpotSettings()
    orientations: OrientationSettings = OrientationSettings()
    phases: PhaseSettings = PhaseSettings()
    maps: MapSettings = MapSettings()
    grains: GrainSettings = GrainSettings()
    fractions: FractionSettings = FractionSettings()
    interfaces: InterfaceSettings = InterfaceSettings()
    mechanisms: MechanismSettings = MechanismSettings()
    powder: PowderSettings = PowderSettings()
    cells: CellSettings = CellSettings()
    stacks: StackSettings = StackSettings()
    chemistry: ChemistrySettings = ChemistrySettings()
    losses: LossSettings = LossSettings()
    registration: RegistrationSettings = RegistrationSettings()
    correlation: CorrelationSettings = CorrelationSettings()
    pathways: PathwaySettings = PathwaySettings()
    comparison: ComparisonSettings = ComparisonSettings()
    report: ReportSettings = ReportSettings()
    supplement: SupplementSettings = SupplementSettings()
    coverage: CoverageSettings = CoverageSettings()
    sweep: Sweep | None = None

    @model_validator(mode="after")
    def _names_are_distinct(self) -> Experiment:
        refuse_same_names([state.name for state in self.states], "states")
        refuse_same_names(list(self.instruments), "instruments")
        return self

    @model_validator(mode="after")
    def _mechanisms_are_of_what_is_here(self) -> Experiment:
        states = [state.name for state in self.states]
        phases = self.material.names
        elasticity = [name for one in self.mechanisms.elasticity for name in one.phases]
        for field, given, known in (
            ("direction", self.mechanisms.direction, states),
            ("elasticity", elasticity, phases),
        ):
            if unknown := [name for name in given if name not in known]:
                raise ValueError(
                    f"mechanisms.{field} names {', '.join(unknown)}, which is none of"
                    f" {', '.join(known)}; correct the name"
                )
        return self

    @property
    def fetched(self) -> dict[str, str]:
        """Addresses of the files that the experiment fetches, by path."""
        return {item.path: item.url for item in self.downloads}

    def value(self, path: str) -> JsonValue:
        """A section, or the value at a dotted path in it, as JSON knows it."""
        value = self
        for part in path.split("."):
            value = getattr(value, part)
        return to_jsonable_python(value)

    def section(self, path: str) -> str:
        """The same as canonical JSON."""
        return json.dumps(self.value(path), sort_keys=True)


def schema() -> dict:
    """JSON schema of an experiment."""
    return Experiment.model_json_schema()
