"""The experiment: one YAML file and three small tables, checked before any job starts.

The models below are the only place where settings and their defaults are named. The JSON schema in
workflow/schemas is generated from them, and every section reaches its script as JSON.
"""

from __future__ import annotations

import difflib
import itertools
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    RootModel,
    ValidationError,
    model_validator,
)
from typing_extensions import TypedDict

from phasefront.errors import InputError
from phasefront.provenance.context import Person

if TYPE_CHECKING:
    import pandas as pd

# What stands in paths of results: a file's name may have 255 signs, and its suffixes take some.
_NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$"
Name = Annotated[str, Field(pattern=_NAME_PATTERN, max_length=100)]
_IN_A_NAME = "a name has letters a to z, digits and . _ + - and begins with a letter or digit"
Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
# Spatial frequencies and their errors, 1/A: electrons of 1 MeV see nothing beyond.
Radius = Annotated[float, Field(gt=0, le=10)]
Side = Annotated[int, Field(ge=1, le=100_000)]
Axis = Annotated[list[float], Field(min_length=3, max_length=3)]
# Of a refused value, this many signs are shown.
_LONGEST_SHOWN = 200
# Nodes of a config as it reads with every alias written out, and levels of it.
_MOST_NODES, _MOST_LEVELS = 100_000, 50


def _plain_path(path: str) -> str:
    """A path that Snakemake, a shell and a program's arguments take as it is, once quoted."""
    if not path.strip():
        raise ValueError("the path is empty; name the file")
    if path != path.strip() or path.startswith("-"):
        raise ValueError(f"{path!r} begins or ends with a space, or begins with -; rename the file")
    if not path.isprintable() or set(path) & set("{}"):
        raise ValueError(f"{path!r} has signs that no path may have, as {{ or }}; rename the file")
    return path


def _printable(text: str) -> str:
    if any(not (sign.isprintable() or sign in "\n\t") for sign in text):
        raise ValueError("the text has control characters; leave them out")
    return text


def _web_address(text: str) -> str:
    scheme, colon, rest = text.partition(":")
    if not (scheme.isalpha() and colon and rest.isprintable() and " " not in text):
        raise ValueError(f"{text!r} is no URL; write it as https://... or doi:...")
    return text


FilePath = Annotated[str, AfterValidator(_plain_path)]
Text = Annotated[str, AfterValidator(_printable)]
Url = Annotated[str, AfterValidator(_web_address)]
Line = Annotated[Text, AfterValidator(lambda text: " ".join(text.split()))]


def _ascending(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] > pair[1]:
        raise ValueError("the first value is larger than the second; swap them")
    return pair


Angle = Annotated[float, Field(ge=0, le=180)]
Range = Annotated[tuple[Positive, Positive], AfterValidator(_ascending)]


_LOG_EXAMPLE = '{"time": ["Time", "h"], "voltage": ["Ecell", "V"], "current": ["I", "mA"]}'


def _from_json(value: object, example: str = _LOG_EXAMPLE) -> object:
    """Cells of a table hold text."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        raise ValueError(f"{value!r} is no JSON; write it as {example}") from None


class Columns(TypedDict, total=False):
    """Columns of a text log, each with its unit; those of states and how numbers are written."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    time: tuple[str, str]
    voltage: tuple[str, str]
    current: tuple[str, str]
    step: tuple[str, str]
    state: tuple[str, dict[Literal["charge", "discharge", "rest"], list[str]]]
    decimal: Literal[".", ","]
    thousands: Literal[",", ".", " ", "'"]


ColumnMap = Annotated[Columns, BeforeValidator(_from_json)]


PatternColumns = Annotated[
    dict[Literal["axis", "intensity", "sigma", "weight"], int | str],
    BeforeValidator(lambda cell: _from_json(cell, '{"axis": 0, "intensity": 1, "sigma": 2}')),
]


class Model(BaseModel):
    """Base of all sections: unknown keys are errors, values are fixed once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Phase(Model):
    """A candidate phase."""

    name: Name = Field(description="short name, used in every table and figure")
    label: Text = Field("", description="name for figures, may hold LaTeX; the name where empty")
    cif: FilePath = Field(description="path of its CIF")
    ion_content: float = Field(ge=0, description="ions per formula unit")
    formula_units: int = Field(gt=0, le=1000, description="formula units in the CIF's cell")
    parent_axes: Annotated[list[Axis], Field(min_length=3, max_length=3)] | None = Field(
        None, description="rows: axes of the lattice that phases share, in this phase's axes"
    )
    cell_from: list[Name] = Field(
        [],
        description="powder patterns that the CIF's cell was refined from; what calibrated cannot"
        " also validate, so they stay out of the comparison",
    )


class Material(Model):
    """What the grains are made of."""

    ion: str = Field(description="element that moves")
    pristine_molar_mass: Positive = Field(description="g/mol of the compound that was weighed")
    pristine_ion_content: Positive = Field(description="ions per formula unit before charge")
    pristine_ion_error: float = Field(0, ge=0, description="its standard uncertainty")
    phases: list[Phase] = Field(min_length=1)
    parent_point_group: str | None = Field(
        None, description="point group of the lattice that phases share"
    )
    two_phase_fields: list[dict[Name, float]] = Field(
        [],
        description="pairs of phases that coexist, each with its ion content where they do: the"
        " phase's own, or the limit of its solid solution; the lever rule holds in between",
    )

    @model_validator(mode="after")
    def _phases_are_distinct(self) -> Material:
        _refuse_same_names([phase.name for phase in self.phases], "phases")
        if any(phase.parent_axes for phase in self.phases) and self.parent_point_group is None:
            raise ValueError("phases have parent_axes; name the parent_point_group too")
        return self

    @model_validator(mode="after")
    def _fields_are_apart(self) -> Material:
        for field in self.two_phase_fields:
            if len(field) != 2 or not set(field) <= set(self.names):
                raise ValueError(
                    f"the two-phase field {field} does not name two of the phases;"
                    " give each of two phases with its ion content"
                )
        spans = sorted(sorted(field.values()) for field in self.two_phase_fields)
        if any(low == high for low, high in spans):
            raise ValueError("a two-phase field has no width; give its ends two ion contents")
        if any(one[1] > other[0] for one, other in itertools.pairwise(spans)):
            raise ValueError("two two-phase fields overlap; keep their ion contents apart")
        return self

    @property
    def labels(self) -> dict[str, str]:
        """Names of the phases for figures."""
        return {phase.name: phase.label or phase.name for phase in self.phases}

    @property
    def calibrating_patterns(self) -> dict[str, list[str]]:
        """Phases whose cells were refined from a powder pattern, by pattern."""
        phases: dict[str, list[str]] = {}
        for phase in self.phases:
            for pattern in phase.cell_from:
                phases.setdefault(pattern, []).append(phase.name)
        return phases

    @property
    def ion_contents(self) -> list[float]:
        """Ions per formula unit of each phase."""
        return [phase.ion_content for phase in self.phases]

    @property
    def names(self) -> list[str]:
        """Names of the phases."""
        return [phase.name for phase in self.phases]


class Instrument(Model):
    """A microscope as it was set."""

    voltage_kv: float = Field(ge=30, le=3000, description="acceleration voltage, kV")
    precession_deg: float = Field(0, ge=0, lt=5, description="precession semi-angle, degrees")
    scale: Positive | None = Field(None, description="nominal scale of the camera, 1/A per pixel")


class Camera(Model):
    """How patterns lie to the image of the scan; `phasefront.frames` defines the convention."""

    rotation_deg: float = Field(
        ge=-360,
        le=360,
        description="where the image's x axis, along its rows, points in the pattern: degrees from"
        " the pattern's x axis towards its y axis, clockwise as drawn with rows downwards",
    )
    mirrored: bool = Field(
        description="whether the image's y axis points 90 degrees to the other side of that"
    )


class StatedCamera(Camera):
    """What is known of it."""

    rotation_error_deg: float | None = Field(
        None, ge=0, lt=90, description="standard error of rotation_deg; unknown where absent"
    )


class InstrumentSection(Instrument):
    """An instrument, with what only directions on the map depend on."""

    camera: StatedCamera | None = Field(
        None,
        description="how patterns lie to the image of the scan (docs/camera.md); where absent,"
        " directions on the map are relative to the camera, and outputs say so",
    )


class CameraOfScan(RootModel):
    """The camera that took a scan; null where the config does not state how it stands."""

    root: StatedCamera | None


class CamerasOfScans(RootModel):
    """The same of every scan, by its name."""

    root: dict[Name, StatedCamera | None]


class State(Model):
    """A state of charge and, where there is a log, the one moment of it that the state is."""

    name: Name
    log: Name | None = Field(None, description="log in the cycling table")
    time_h: float | None = Field(None, ge=0, description="hours since the start of the log")
    capacity_mah_g: float | None = Field(None, description="net charge passed, mA h per gram")
    voltage_v: float | None = Field(None, description="first crossing of this voltage")
    fraction: Fraction | None = Field(
        None, description="share of the half cycle's charge; 1 is the end of its current"
    )
    rest: int | None = Field(None, ge=0, description="end of this rest, counted from 0")
    half_cycle: int = Field(
        0, ge=0, description="half cycle, from 0, that a capacity, voltage or fraction belongs to"
    )

    @model_validator(mode="after")
    def _one_moment(self) -> State:
        if len(self._given()) != (self.log is not None):
            raise ValueError(
                "give a log and exactly one of time_h, capacity_mah_g, voltage_v, fraction, rest"
            )
        return self

    def _given(self) -> dict[str, float]:
        places = {"time_h", "capacity_mah_g", "voltage_v", "fraction", "rest"}
        return self.model_dump(include=places, exclude_none=True)

    def moment(self) -> dict:
        """What `cycling.locate_state` needs to find the state."""
        return {"state": self.name, "half_cycle": self.half_cycle, **self._given()}


class StatesOnLog(RootModel):
    """The states that are located on one log."""

    root: list[State]


class StateLinks(Model):
    """What belongs to one state."""

    state: Name
    scans: list[Name]
    log: Name | None
    patterns: list[Name]


class Links(RootModel):
    """What belongs to each state: its scans, its log and its powder patterns."""

    root: list[StateLinks]


class Tables(Model):
    """Tab-separated tables that name files, states and instruments."""

    scans: FilePath | None = None
    cycling: FilePath | None = None
    powder: FilePath | None = None

    @model_validator(mode="after")
    def _one_at_least(self) -> Tables:
        if not (self.scans or self.cycling or self.powder):
            raise ValueError("no table is named; give one or more of scans, cycling and powder")
        return self


class Download(Model):
    """A public file the experiment needs."""

    path: FilePath
    url: Url
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class ScanSettings(Model):
    """Virtual images."""

    bright_field_radius_px: Positive = Field(8, description="radius of the bright-field disk")


class Standard(Model):
    """A picture of a polycrystalline standard, taken by the same camera as the scans."""

    image: FilePath = Field(description="path of a TIFF with the rings")
    d_spacings: list[Positive] = Field(min_length=2, description="spacings of its rings, angstrom")
    scale: Positive = Field(description="nominal scale, 1/A per pixel, to within 5 %")


class CalibrationSettings(Model):
    """Beam centre, ellipse and scale of each scan."""

    method: Literal["phases", "standard", "nominal"] = Field(
        "phases", description="scale and ellipse from the scan's own spots, a standard, or nominal"
    )
    standard: Standard | None = None
    scale_search: Fraction = Field(0.02, description="relative half width of the search for scale")
    patterns: int = Field(250, ge=10, description="patterns, rich in spots, that are fitted")
    resolution_deg: Positive = Field(
        2.0, description="step of the grid of beam directions they are indexed on"
    )

    @model_validator(mode="after")
    def _standard_is_there(self) -> CalibrationSettings:
        if (self.method == "standard") != (self.standard is not None):
            raise ValueError("method and standard do not go together; give both or neither")
        return self


class SpotSettings(Model):
    """Bragg vectors."""

    false_alarms: Positive = Field(0.1, description="false spots per pattern that noise may make")
    max_radius: Radius = Field(1.2, description="largest spatial frequency used, 1/A")
    position_sigma: Radius = Field(0.005, description="largest error of a position, 1/A")


class OrientationSettings(Model):
    """Indexing against simulated templates."""

    resolution_deg: Positive = Field(2.0, description="step of the grid of beam directions")
    max_radius: Radius = Field(1.2, description="largest spatial frequency matched, 1/A")
    n_best: int = Field(2, ge=1, le=10, description="distinct orientations kept per phase")
    min_spots: int = Field(5, ge=3, description="fewer spots than this are not indexed")
    device: Literal["cpu", "gpu"] = Field("cpu", description="where templates are correlated")


class PhaseSettings(Model):
    """Deciding between phases."""

    min_spots: int = Field(5, ge=3, description="fewer spots are vacuum or unindexed")
    decide_above: float = Field(0.95, gt=0.5, lt=1, description="posterior a decision needs")
    min_explained: Fraction = Field(0.5, description="share of spots the decided phase indexes")
    max_residual: Positive = Field(1.1, description="their rms distance over its expectation")
    mixed_prior: float = Field(
        0.2,
        gt=0,
        lt=1,
        description="share of positions with a cell between two phases', beforehand",
    )
    cell_tolerance: Positive = Field(0.002, description="relative error of the CIFs' cells")
    max_misfit: Positive = Field(
        4.0, description="standard errors that a cell may be off the candidates' and between"
    )


class GrainSettings(Model):
    """Grains."""

    misorientation_deg: Positive = Field(5.0, description="boundary between two grains")
    min_positions: int = Field(10, ge=1, description="smaller patches are no grain")


class FractionSettings(Model):
    """Intervals of fractions."""

    draws: int = Field(2000, ge=100, description="bootstrap draws over grains")
    thickness_exponent: Range = Field(
        (1.0, 2.0),
        description="power of the diffuse excess over vacuum that thickness goes as, from and to",
    )
    confusion_positions: int = Field(
        1500, ge=1, description="positions of each phase that are simulated to see its confusion"
    )


Column = Annotated[str | int, Field(description="name of a column, or its number from 0")]
CellParameter = Literal["a", "b", "c", "alpha", "beta", "gamma"]


class PhaseColumns(Model):
    """Columns of one phase in a table of refined fractions."""

    fraction: Column
    esd: Column | None = Field(None, description="where it is not in the fraction's own column")
    cell: dict[CellParameter, Column] = {}
    cell_esd: dict[CellParameter, Column] = {}


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

    two_theta_range: Annotated[tuple[Angle, Angle], AfterValidator(_ascending)] | None = Field(
        None, description="fitted, degrees"
    )
    background_terms: int = Field(20, ge=1, description="terms of the Chebyshev background")
    sequential: bool = Field(
        False, description="start from the fit of the state before, at the same wavelength"
    )
    refined: FractionColumns | None = Field(
        None, description="columns of the tables that rows of kind refined name"
    )


class ComparisonSettings(Model):
    """STEM against charge and powder."""

    margin: Positive = Field(0.1, description="difference in ion content that does not matter")
    fraction_margin: Positive = Field(
        0.1, description="difference in a phase fraction that does not matter"
    )


class SupplementSettings(Model):
    """What goes to the journal."""

    include_raw: bool = Field(False, description="pack the raw scans too")
    raw_identifier: str | None = Field(None, description="DOI or URL where the raw scans lie")
    license: str = Field(
        "https://spdx.org/licenses/CC-BY-4.0", description="licence of the data, as a URL"
    )


class VirtualState(Model):
    """The truth of one virtual state."""

    ion_content: float = Field(ge=0)
    insertion_model: Literal["all-or-none", "core-shell", "straight-front"] = "all-or-none"
    dose: Positive | None = Field(None, description="electrons in a pattern, here alone")
    thickness_nm: Range | None = Field(None, description="thinnest and thickest grain, here alone")


class Virtual(Model):
    """A virtual experiment that writes the raw files the tables name."""

    material: Name = Field(description="material in the table of Bloch-wave intensities")
    states: dict[Name, VirtualState]
    shape: tuple[Side, Side] = Field((64, 64), description="rows and columns of positions")
    grains: int = Field(14, ge=2, description="grains in each scan")
    dose: Positive = Field(1e7, description="electrons in a pattern")
    thickness_nm: Range = Field((28.0, 85.0), description="thinnest and thickest grain, nm")
    camera: Camera | None = Field(
        None, description="how the virtual patterns lie to the scan; as the scan where absent"
    )


class Sweep(Model):
    """Variants of the analysis: settings by their dotted paths, e.g. phases.decide_above."""

    grid: dict[str, Annotated[list[JsonValue], Field(min_length=1)]] = Field(
        {}, description="every combination of these values"
    )
    combinations: list[dict[str, JsonValue]] = Field([], description="these combinations alone")

    @model_validator(mode="after")
    def _one_way(self) -> Sweep:
        if bool(self.grid) == bool(self.combinations):
            raise ValueError("neither or both of grid and combinations; give one of them")
        return self


class CoverageSettings(Model):
    """Virtual scans on which the intervals of fractions are put to the test."""

    scans: int = Field(240, ge=1)
    shape: tuple[Side, Side] = Field((28, 28), description="rows and columns of positions")
    grains: list[Annotated[int, Field(ge=2)]] = Field(
        [5, 9, 14], min_length=1, description="grains in a scan, as many scans with each number"
    )
    rich: list[Annotated[float, Field(ge=0, le=1)]] = Field(
        [0, 0.03, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97, 1],
        min_length=1,
        description="molar fraction of the ion-rich one of two phases, as many scans with each",
    )
    dose: Range = Field((1e6, 1e7), description="fewest and most electrons in a pattern")
    simulated: int = Field(
        200, ge=1, description="positions of each phase that tell a scan's confusion of phases"
    )


class Experiment(Model):
    """One experiment: what config/<run>.yaml holds."""

    run: Name = Field(description="results go to results/<run>")
    title: Line = ""
    seed: int = Field(0, ge=0)
    material: Material
    instruments: dict[Name, InstrumentSection] = {}
    tables: Tables
    states: list[State] = Field(min_length=1)
    downloads: list[Download] = []
    people: list[Person] = Field([], description="who does the work, for the records")
    record_host: bool = Field(False, description="whether records name the computer")
    virtual: Virtual | None = None
    scans: ScanSettings = ScanSettings()
    calibration: CalibrationSettings = CalibrationSettings()
    spots: SpotSettings = SpotSettings()
    orientations: OrientationSettings = OrientationSettings()
    phases: PhaseSettings = PhaseSettings()
    grains: GrainSettings = GrainSettings()
    fractions: FractionSettings = FractionSettings()
    powder: PowderSettings = PowderSettings()
    comparison: ComparisonSettings = ComparisonSettings()
    supplement: SupplementSettings = SupplementSettings()
    coverage: CoverageSettings = CoverageSettings()
    sweep: Sweep | None = None

    @model_validator(mode="after")
    def _names_are_distinct(self) -> Experiment:
        _refuse_same_names([state.name for state in self.states], "states")
        _refuse_same_names(list(self.instruments), "instruments")
        return self

    def section(self, path: str) -> str:
        """A section, or the value at a dotted path in it, as canonical JSON.

        It is what a rule passes on and Snakemake tracks.
        """
        value = self
        for part in path.split("."):
            value = getattr(value, part)
        content = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
        return json.dumps(content, sort_keys=True)


def _shape_from_text(value: object) -> object:
    """Cells of a table hold text."""
    if not isinstance(value, str):
        return value
    sizes = value.replace("×", "x").lower().split("x")
    if len(sizes) != 2 or not all(size.strip().isdecimal() for size in sizes):
        raise ValueError(f"{value!r} is no shape; write rows x columns, such as 4 x 6")
    return [int(size) for size in sizes]


ScanShape = Annotated[
    tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]],
    BeforeValidator(_shape_from_text),
]


SkippedFrames = Annotated[int, Field(ge=0, description="frames before the first position")]
FlybackFrames = Annotated[
    int, Field(ge=0, description="frames after each row that are no positions")
]


class ScanLayout(Model):
    """How frames lie on a scan, where its file (.mib, .tvips) may not say."""

    scan_shape: ScanShape | None = Field(
        None, description="positions, rows x columns, such as 4 x 6"
    )
    skip: SkippedFrames = 0
    flyback: FlybackFrames = 0


class ScanRow(Model):
    """A row of the table of scans."""

    scan: Name
    state: Name
    path: FilePath
    kind: Literal["scan", "peaks"] = "scan"
    instrument: Name
    scan_step_nm: Positive | None = None
    scan_shape: ScanShape | None = Field(
        None, description="positions, rows x columns, such as 4 x 6, where the file does not say"
    )
    skip: SkippedFrames = 0
    flyback: FlybackFrames = 0

    @model_validator(mode="after")
    def _peaks_have_positions(self) -> ScanRow:
        if self.kind == "peaks" and (self.scan_shape or self.skip or self.flyback):
            raise ValueError(
                "a list of peaks says its shape itself; leave out scan_shape, skip and flyback"
            )
        return self


class LogRow(Model):
    """A row of the table of cycling logs."""

    log: Name
    path: FilePath
    columns: ColumnMap | None = Field(
        None,
        description='for text of another kind, as JSON: {"time": ["column", "unit"], "voltage":'
        ' ..., "current": ...} and, where there are any, "step"; "state": ["column", {"charge":'
        ' ["word"], "discharge": [...], "rest": [...]}]; "decimal" and "thousands", the signs in'
        " numbers",
    )
    mass_mg: Positive = Field(description="active material, all grains")
    mass_error_mg: float = Field(0, ge=0, description="its standard uncertainty")
    ions_per_electron: Positive = Field(1, description="1 for Li and Na, 0.5 for Mg")
    irreversible_mah_g: float = Field(0, ge=0, description="of the first charge, side reactions'")
    irreversible_error_mah_g: float = Field(0, ge=0, description="its standard uncertainty")
    leakage_ma: float = Field(0, description="current that moves no ions, at rest too")
    leakage_error_ma: float = Field(0, ge=0, description="its standard uncertainty")
    inactive_share: float = Field(0, ge=0, lt=1, description="share of the mass without contact")
    inactive_error: float = Field(0, ge=0, description="its standard uncertainty")


class PatternRow(Model):
    """A row of the table of powder patterns: a pattern to fit, or a row of refined fractions."""

    pattern: Name
    state: Name
    path: FilePath
    kind: Literal["pattern", "refined"] = "pattern"
    wavelength: Positive | None = Field(None, description="angstrom; a pattern needs it")
    row: str | None = Field(None, description="what the table of refined fractions calls it")
    axis: Literal["two_theta", "q", "d"] | None = Field(
        None, description="what the axis is, where the file does not say it"
    )
    unit: Literal["degree", "radian", "1/A", "1/nm", "A", "nm"] | None = Field(
        None, description="unit of the axis: degree or radian of 2theta, 1/A or 1/nm of q, A or nm"
        " of d",
    )  # fmt: skip
    columns: PatternColumns | None = Field(
        None,
        description="what stands in which column, by name or position from 0, as JSON: axis,"
        ' intensity and, where there is one, sigma or weight (1/sigma^2), e.g. {"axis": 0,'
        ' "intensity": 1, "weight": 2}',
    )

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

    @model_validator(mode="after")
    def _columns_are_complete(self) -> PatternRow:
        if self.columns is None:
            return self
        if not {"axis", "intensity"} <= set(self.columns):
            raise ValueError("columns lack axis or intensity; say where each stands")
        if {"sigma", "weight"} <= set(self.columns):
            raise ValueError("columns have sigma and weight; name one of them")
        if len(set(self.columns.values())) < len(self.columns):
            raise ValueError("one column has two roles; give each its own")
        return self


def load(*paths: str | Path) -> Experiment:
    """The experiment in a YAML file; of several, each overrides what those before it say.

    Sections are merged key by key, as Snakemake merges its config files; lists are replaced.
    Raises InputError, naming file, field and remedy, for what cannot be right.
    """
    content = {}
    for path in paths:
        content = _merged(content, read_yaml(Path(path)))
    return parse(content, named(paths))


def _refuse_same_names(names: list[str], what: str) -> None:
    """Raise ValueError for two names that are the same, or the same file on some systems."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.get(name.casefold())
        if other == name:
            raise ValueError(f"two {what} have the same name; give each its own")
        if other is not None:
            raise ValueError(
                f"the {what} {other!r} and {name!r} differ by capitals alone, which some file"
                " systems do not tell apart; give each another name"
            )
        seen[name.casefold()] = name


def named(paths: Iterable[str | Path]) -> str:
    """Config files as errors name them."""
    return " ".join(map(str, paths))


def _merged(below: object, above: object) -> object:
    if not isinstance(above, dict):
        return above
    if not above:  # an empty section changes nothing
        return below
    kept = below if isinstance(below, dict) else {}
    return kept | {key: _merged(kept.get(key, {}), value) for key, value in above.items()}


class _Loader(yaml.SafeLoader):
    """YAML as `yaml.safe_load` reads it, but a key may not be given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for number, (key, _) in enumerate(node.value):
            if isinstance(key, yaml.ScalarNode) and key.value in keys[:number]:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} is given twice", key.start_mark
                )
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict:
    """The mapping in a YAML file.

    Raises InputError where there is no such file, no YAML in UTF-8 or no mapping, for a key given
    twice, and for what would not fit into memory: nested too deeply, or by aliases.
    """
    if not path.is_file():
        raise InputError(path, "there is no such file", remedy="give the path of a config file")
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except UnicodeDecodeError:
        raise InputError(path, "not a text in UTF-8", remedy="save it as UTF-8") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        twice = str(getattr(error, "problem", "")).endswith("is given twice")
        raise InputError(
            path,
            error.problem if twice else "not valid YAML",
            field=f"line {mark.line + 1}" if mark else None,
            remedy="leave one of them out"
            if twice
            else "check indentation, colons and quotes there",
        ) from None
    except RecursionError:
        raise _too_large(path) from None
    except (ValueError, OverflowError) as error:  # dates and numbers that are none
        raise InputError(
            path, f"not valid YAML ({error})", remedy="put what is no number or date in quotes"
        ) from None
    content = _mapping(content, path)
    if not _fits(content):
        raise _too_large(path)
    return content


def _too_large(path: str | Path) -> InputError:
    return InputError(
        path,
        f"nested more than {_MOST_LEVELS} levels deep, or of more than {_MOST_NODES:,} values",
        remedy="write it as config/demo.yaml is written",
    )


def _fits(content: object) -> bool:
    """Whether a loaded YAML is of a config's size when every alias is written out."""
    sizes: dict[int, int] = {}

    def size(node: object, level: int) -> int:
        if level > _MOST_LEVELS:
            raise RecursionError
        if not isinstance(node, dict | list):
            return 1
        if id(node) not in sizes:
            parts = node.values() if isinstance(node, dict) else node
            sizes[id(node)] = 1 + sum(size(part, level + 1) for part in parts)
        return sizes[id(node)]

    try:
        return size(content, 0) <= _MOST_NODES
    except RecursionError:  # an alias may hold itself
        return False


def _mapping(content: object, source: str | Path) -> dict:
    if not isinstance(content, dict):
        raise InputError(source, "not a mapping of sections", remedy="start from config/demo.yaml")
    return content


def parse(content: object, source: str | Path, prefix: str = "") -> Experiment:
    """The experiment in an already loaded mapping; `source` and `prefix` are named in errors."""
    if not _fits(_mapping(content, source)):
        raise _too_large(source)
    return _validated(Experiment, content, source, prefix)


def read_table(path: str | Path, row_model: type[Model]) -> pd.DataFrame:
    """A tab-separated table whose rows are checked against `row_model`.

    The first column is the identifier and may not repeat. Lines that start with # are comments.
    """
    import pandas as pd

    path = Path(path)
    if not path.is_file():
        raise InputError(path, "there is no such file", remedy="check the config's tables section")
    try:
        table = pd.read_csv(path, sep="\t", comment="#", dtype=str, keep_default_na=False)
    except ValueError as error:  # no text in UTF-8, rows of several lengths
        raise InputError(
            path, f"not a table ({error})", remedy="separate columns by tabs, and save it as UTF-8"
        ) from None
    rows = []
    for number, row in enumerate(table.to_dict("records"), start=1):
        given = {key: value for key, value in row.items() if value != ""}
        rows.append(_validated(row_model, given, path, prefix=f"row {number}").model_dump())
    if not rows:
        raise InputError(path, "the table has no rows", remedy="add one row a file")
    checked = pd.DataFrame(rows)
    identifier = checked.columns[0]
    repeated = checked[identifier][checked[identifier].duplicated()]
    if len(repeated):
        raise InputError(
            path, f"{repeated.iloc[0]!r} occurs twice", field=identifier, remedy="name rows apart"
        )
    try:
        _refuse_same_names(checked[identifier].tolist(), "rows")
    except ValueError as error:
        problem, _, remedy = str(error).partition("; ")
        raise InputError(path, problem, field=identifier, remedy=remedy) from None
    return checked.set_index(identifier, drop=False)


def schema() -> dict:
    """JSON schema of an experiment."""
    return Experiment.model_json_schema()


def _validated(model: type[Model], content: dict, source: str | Path, prefix: str = "") -> Model:
    try:
        return model.model_validate(content)
    except ValidationError as error:
        # A misspelt key also shows as a missing one: its own sentence says more.
        first = min(error.errors(), key=lambda item: item["type"] != "extra_forbidden")
        field = ".".join([prefix] * bool(prefix) + [str(part) for part in first["loc"]])
        problem, remedy = _sentence(model, first)
        raise InputError(source, problem, field=field or None, remedy=remedy) from None


def _sentence(model: type[Model], error: dict) -> tuple[str, str]:
    """Problem and remedy of one pydantic error."""
    if error["type"] == "extra_forbidden":
        names = _names_beside(model, error["loc"])
        close = difflib.get_close_matches(str(error["loc"][-1]), names, n=1)
        remedy = f"write {close[0]!r}" if close else f"known here are {', '.join(sorted(names))}"
        return "unknown key", remedy
    if error["type"] == "missing":
        return "missing", "add it"
    if error["type"] == "value_error":
        problem, _, remedy = str(error["ctx"]["error"]).partition("; ")
        return problem, remedy or "change it"
    if error["type"] == "string_pattern_mismatch" and error["ctx"]["pattern"] == _NAME_PATTERN:
        return f"{error['input']!r} is no name", _IN_A_NAME
    message = error["msg"][0].lower() + error["msg"][1:]
    given = repr(error["input"])
    shown = given if len(given) <= _LONGEST_SHOWN else f"{given[:_LONGEST_SHOWN]}..."
    return f"{shown} cannot be used: {message}", "correct the value"


def _names_beside(model: type[Model], location: tuple) -> list[str]:
    """Field names allowed where the unknown key stands."""
    definitions = model.model_json_schema()
    node = definitions
    for part in location[:-1]:
        node = _resolved(node, definitions)
        if isinstance(part, int):
            node = node["items"]
        else:
            named = node.get("patternProperties", {}).values() or [node.get("additionalProperties")]
            node = node.get("properties", {}).get(part) or next(iter(named))
    return list(_resolved(node, definitions).get("properties", {}))


def _resolved(node: dict, definitions: dict) -> dict:
    for option in node.get("anyOf", []):
        if "$ref" in option or option.get("type") in ("object", "array"):
            node = option
            break
    if "$ref" in node:
        node = definitions["$defs"][node["$ref"].rpartition("/")[2]]
    return node
