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

from phasefront.errors import InputError
from phasefront.provenance.context import Person

if TYPE_CHECKING:
    import pandas as pd

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+-]*$")]
Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]


def _ascending(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] > pair[1]:
        raise ValueError("the first value is larger than the second; swap them")
    return pair


Range = Annotated[tuple[Positive, Positive], AfterValidator(_ascending)]


def _from_json(value: object) -> object:
    """Cells of a table hold text."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        raise ValueError(
            f"{value!r} is no JSON; write it as"
            ' {"time": ["Time", "h"], "voltage": ["Ecell", "V"], "current": ["I", "mA"]}'
        ) from None


ColumnMap = Annotated[
    dict[Literal["time", "voltage", "current", "step"], tuple[str, str]],
    BeforeValidator(_from_json),
]


class Model(BaseModel):
    """Base of all sections: unknown keys are errors, values are fixed once read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Phase(Model):
    """A candidate phase."""

    name: Name = Field(description="short name, used in every table and figure")
    label: str = Field("", description="name for figures, may hold LaTeX; the name where empty")
    cif: str = Field(description="path of its CIF")
    ion_content: float = Field(ge=0, description="ions per formula unit")
    formula_units: int = Field(gt=0, description="formula units in the CIF's cell")
    parent_axes: list[list[float]] | None = Field(
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
        names = [phase.name for phase in self.phases]
        if len(set(names)) < len(names):
            raise ValueError("two phases have the same name; give each its own")
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

    voltage_kv: Positive = Field(description="acceleration voltage, kV")
    precession_deg: float = Field(0, ge=0, lt=5, description="precession semi-angle, degrees")
    scale: Positive | None = Field(None, description="nominal scale of the camera, 1/A per pixel")


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

    scans: str
    cycling: str | None = None
    powder: str | None = None


class Download(Model):
    """A public file the experiment needs."""

    path: str
    url: str
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class ScanSettings(Model):
    """Virtual images."""

    bright_field_radius_px: Positive = Field(8, description="radius of the bright-field disk")


class Standard(Model):
    """A picture of a polycrystalline standard, taken by the same camera as the scans."""

    image: str = Field(description="path of a TIFF with the rings")
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
    max_radius: Positive = Field(1.2, description="largest spatial frequency used, 1/A")
    position_sigma: Positive = Field(0.005, description="largest error of a position, 1/A")


class OrientationSettings(Model):
    """Indexing against simulated templates."""

    resolution_deg: Positive = Field(2.0, description="step of the grid of beam directions")
    max_radius: Positive = Field(1.2, description="largest spatial frequency matched, 1/A")
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

    two_theta_range: tuple[float, float] | None = Field(None, description="fitted, degrees")
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
    shape: tuple[int, int] = Field((64, 64), description="rows and columns of positions")
    grains: int = Field(14, ge=2, description="grains in each scan")
    dose: Positive = Field(1e7, description="electrons in a pattern")
    thickness_nm: Range = Field((28.0, 85.0), description="thinnest and thickest grain, nm")


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
    shape: tuple[int, int] = Field((28, 28), description="rows and columns of positions")
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
    title: str = ""
    seed: int = Field(0, ge=0)
    material: Material
    instruments: dict[Name, Instrument] = Field(min_length=1)
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

    def section(self, path: str) -> str:
        """A section, or the value at a dotted path in it, as canonical JSON.

        It is what a rule passes on and Snakemake tracks.
        """
        value = self
        for part in path.split("."):
            value = getattr(value, part)
        content = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
        return json.dumps(content, sort_keys=True)


class ScanRow(Model):
    """A row of the table of scans."""

    scan: Name
    state: Name
    path: str
    kind: Literal["scan", "peaks"] = "scan"
    instrument: Name
    scan_step_nm: Positive | None = None


class LogRow(Model):
    """A row of the table of cycling logs."""

    log: Name
    path: str
    columns: ColumnMap | None = Field(
        None,
        description='for text of another kind, as JSON: {"time": ["column", "unit"], "voltage":'
        ' ..., "current": ...} and, where there is one, "step"',
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
    path: str
    kind: Literal["pattern", "refined"] = "pattern"
    wavelength: Positive | None = Field(None, description="angstrom; a pattern needs it")
    row: str | None = Field(None, description="what the table of refined fractions calls it")

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


def load(*paths: str | Path) -> Experiment:
    """The experiment in a YAML file; of several, each overrides what those before it say.

    Sections are merged key by key, as Snakemake merges its config files; lists are replaced.
    Raises InputError, naming file, field and remedy, for what cannot be right.
    """
    content = {}
    for path in paths:
        content = _merged(content, _read_yaml(Path(path)))
    return parse(content, named(paths))


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


def _read_yaml(path: Path) -> dict:
    if not path.is_file():
        raise InputError(path, "there is no such file", remedy="give the path of a config file")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise InputError(path, "not a text in UTF-8", remedy="save it as UTF-8") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise InputError(
            path,
            "not valid YAML",
            field=f"line {mark.line + 1}" if mark else None,
            remedy="check indentation, colons and quotes there",
        ) from None
    return _mapping(content, path)


def _mapping(content: object, source: str | Path) -> dict:
    if not isinstance(content, dict):
        raise InputError(source, "not a mapping of sections", remedy="start from config/demo.yaml")
    return content


def parse(content: object, source: str | Path, prefix: str = "") -> Experiment:
    """The experiment in an already loaded mapping; `source` and `prefix` are named in errors."""
    return _validated(Experiment, _mapping(content, source), source, prefix)


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
    message = error["msg"][0].lower() + error["msg"][1:]
    return f"{error['input']!r} cannot be used: {message}", "correct the value"


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
