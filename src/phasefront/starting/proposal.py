"""An experiment as its files propose it: sections of a config, and rows of its tables."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, model_validator

from phasefront.cycling.states import LOCATORS
from phasefront.diffraction.crystals import check_distinct, read_crystals
from phasefront.experiment.consistency import check_material
from phasefront.experiment.settings.base import FilePath, Model, Name
from phasefront.experiment.settings.material import Material
from phasefront.starting.files import (
    FoundLog,
    FoundPattern,
    FoundScan,
    find_log,
    find_pattern,
    find_scan,
)
from phasefront.starting.phases import ProposedPhase, moving_ion, propose_phases
from phasefront.starting.statement import Statement, is_open, leaves, to_fill_in
from phasefront.starting.tilt_series import cell_row, cells_section, find_series

# Signs that a cell of a table cannot hold: what follows # is a comment, and quotes join cells.
_NOT_IN_A_CELL = '#"'


class Request(Model):
    """What someone has: files, and how the microscope was set where they know it."""

    run: Name
    scans: list[FilePath]
    cifs: list[FilePath] = Field(min_length=1)
    logs: list[FilePath]
    patterns: list[FilePath]
    tilts: list[FilePath]
    voltage: float | None = Field(ge=30, le=3000)
    precession: float | None = Field(ge=0, lt=5)
    ion: str | None

    @model_validator(mode="after")
    def _files_are_apart(self) -> Request:
        measured = [*self.scans, *self.logs, *self.patterns, *self.tilts]
        if not measured:
            raise ValueError(
                "no file that was measured; name one by --scan, --log, --powder or --tomography"
            )
        paths = [os.path.realpath(path) for path in (*measured, *self.cifs)]
        for given, path in zip((*measured, *self.cifs), paths, strict=True):
            if paths.count(path) > 1:
                raise ValueError(f"{given!r} is named twice; leave one of them out")
        for path in measured:
            if set(path) & set(_NOT_IN_A_CELL):
                raise ValueError(f'{path!r} has # or ", which no table takes; rename the file')
        return self


# Where on a log a state may be; of all ways to say it these two need no more.
_PLACES = {
    "rest": "number, from 0, of the rest at whose end it was",
    "time_h": "hours since the start of the log",
}

Row = dict[str, Statement]


@dataclass(frozen=True)
class Proposal:
    """A config, and the rows of its tables by their names in the config."""

    run: str
    config: Statement
    tables: dict[str, list[Row]]

    def places(self) -> Iterator[tuple[str, Statement]]:
        """Every value with where it stands, in which file."""
        for path, leaf in leaves(self.config):
            yield f"{self.config_path}: {path}", leaf
        for table, rows in self.tables.items():
            for row in rows:
                identifier = next(iter(row.values())).value
                for column, cell in row.items():
                    yield f"{self.table_path(table)}: {identifier}.{column}", cell

    @property
    def config_path(self) -> Path:
        return Path("config") / f"{self.run}.yaml"

    @property
    def folder(self) -> Path:
        """Where the tables are."""
        return Path("config") / self.run

    def table_path(self, table: str) -> Path:
        return self.folder / f"{table}.tsv"


def propose(request: Request) -> Proposal:
    """Read all files, and say what they say; what they do not say is to be filled in.

    Each scan is a state of its own, named after its file, for nothing says how they belong
    together. Raises InputError for a file that cannot be read, phases that are the same, and an
    ion that is not clear.
    """
    names = names_of(request.cifs)
    crystals = read_crystals(request.cifs, names)
    check_distinct(crystals)
    phases = propose_phases(crystals, moving_ion(crystals, request.ion))
    scans = [find_scan(path, request.voltage, request.precession) for path in request.scans]
    logs = [find_log(path) for path in request.logs]
    patterns = [find_pattern(path) for path in request.patterns]
    series = find_series(request.tilts, crystals)

    material = _material(phases, named_by_user=request.ion is not None, with_log=bool(logs))
    if not is_open(material):
        known = Material.model_validate(_plain(material))
        check_material(known, crystals, "phasefront new")
    instruments, used = _instruments(scans, request)
    scan_names, log_names = names_of(request.scans), names_of(request.logs)
    pattern_names = names_of(request.patterns)
    series_names = names_of([one.name for one in series])
    states = scan_names or pattern_names or log_names or series_names
    tables = {
        "scans": _scan_rows(scans, scan_names, used),
        "cycling": [_log_row(*of) for of in zip(logs, log_names, strict=True)],
        "powder": [_pattern_row(*of, states) for of in zip(patterns, pattern_names, strict=True)],
        "cells": [
            cell_row(*of, states, names, request.voltage)
            for of in zip(series, series_names, strict=True)
        ],
    }
    tables = {table: rows for table, rows in tables.items() if rows}
    unsure = [name for one, name in zip(series, series_names, strict=True) if not one.errors]
    config = {
        "run": Statement(request.run),
        "title": Statement("", "a line that says what the experiment is"),
        "seed": Statement(1),
        "material": material,
        **({"instruments": instruments} if scans else {}),
        "tables": Statement(
            {name: Statement(f"config/{request.run}/{name}.tsv") for name in tables}
        ),
        **({"cells": cells_section(unsure)} if unsure else {}),
        "states": _states(states, logs, log_names),
    }
    return Proposal(request.run, Statement(config), tables)


def names_of(paths: Iterable[str]) -> list[str]:
    """Names for files: their stems in the signs that names have, numbered where two are alike."""
    names: list[str] = []
    for number, path in enumerate(paths, start=1):
        stem = re.sub(r"[^A-Za-z0-9_.+-]+", "-", Path(path).stem)[:80].strip("-_.+")
        name = stem = stem or f"file-{number}"
        while name.casefold() in {other.casefold() for other in names}:
            number += 1
            name = f"{stem}-{number}"
        names.append(name)
    return names


def _material(phases: Sequence[ProposedPhase], *, named_by_user: bool, with_log: bool) -> Statement:
    ion = phases[0].ion
    counted = [phase for phase in phases if phase.formula_units is not None]
    richest = max(counted, key=lambda phase: phase.ion_content, default=None)
    if richest is not None and not richest.ion_content:
        richest = None
    values = (richest.molar_mass, richest.ion_content) if richest else (None, None)
    whose = f"if {richest.crystal.name} was weighed" if richest else "of what was weighed"
    needed = "g/mol of the compound that was weighed", f"{ion} per formula unit of it at the start"
    if with_log or richest is None:  # charge counts from there, and no CIF says what it was
        weighed = [
            to_fill_in(f"{what}; {value:.5g} {whose}" if richest else what)
            for what, value in zip(needed, values, strict=True)
        ]
    else:
        weighed = [
            Statement(float(f"{value:.5g}"), f"{what}, {whose}: nothing hangs on it without a log")
            for what, value in zip(needed, values, strict=True)
        ]
    return Statement(
        {
            "ion": Statement(ion, "as asked for" if named_by_user else "by the CIFs"),
            "pristine_molar_mass": weighed[0],
            "pristine_ion_content": weighed[1],
            "phases": Statement(
                [_phase(phase) for phase in phases],
                "Where phases share a lattice, or coexist, give parent_axes and two_phase_fields as"
                " config/demo.yaml does.",
            ),
        }
    )


def _phase(phase: ProposedPhase) -> Statement:
    if phase.formula_units is None:
        units = to_fill_in(f"formula units in the cell: {phase.reason}")
        content = to_fill_in(f"{phase.ion} per formula unit")
    else:
        units = Statement(phase.formula_units, phase.reason)
        held = phase.crystal.formula.get(phase.ion, 0.0)
        content = Statement(phase.ion_content, f"{held:.4g} {phase.ion} in the cell by its sites")
    return Statement(
        {
            "name": Statement(phase.crystal.name),
            "cif": Statement(phase.crystal.path),
            "ion_content": content,
            "formula_units": units,
        }
    )


def _instruments(scans: Sequence[FoundScan], request: Request) -> tuple[Statement, list[str]]:
    """Instruments by name, one for each setting that headers tell apart; and that of each scan."""
    settings: dict[tuple, list[FoundScan]] = {}
    for scan in scans:
        settings.setdefault((scan.voltage_kv, scan.precession_deg, scan.scale), []).append(scan)
    names = [f"microscope-{number}" for number in range(1, len(settings) + 1)]
    if len(names) == 1:
        names = ["microscope"]
    sections = {
        name: _instrument(of, request)
        for name, of in zip(names, settings.values(), strict=True)
    }  # fmt: skip
    used = {
        scan.path: name for name, of in zip(names, settings.values(), strict=True) for scan in of
    }
    return Statement(sections), [used[scan.path] for scan in scans]


def _instrument(scans: Sequence[FoundScan], request: Request) -> Statement:
    scan = next((one for one in scans if one.kind == "scan"), scans[0])
    header = f"the header of {Path(scan.path).name}"

    def setting(value: float | None, asked: float | None, what: str) -> Statement:
        if value is None:
            return to_fill_in(what)
        return Statement(value, what if asked is not None else f"{what}, by {header}")

    section = {
        "voltage_kv": setting(scan.voltage_kv, request.voltage, "kV"),
        "precession_deg": setting(
            scan.precession_deg, request.precession, "degrees; 0 without precession"
        ),
    }
    if scan.kind == "scan":
        unit = "camera's scale, 1/angstrom per pixel, to within 2 %"
        if scan.scale is None:
            has = f"; {header} says {scan.scale_in_header}" if scan.scale_in_header else ""
            section["scale"] = to_fill_in(f"{unit}{has}")
        else:
            section["scale"] = Statement(scan.scale, f"{unit}; by {header}", doubtful=True)
    return Statement(section)


def _states(states: Sequence[str], logs: Sequence[FoundLog], log_names: list[str]) -> Statement:
    comment = "One state for each file, named after it: join those that are of one state."
    for log, name in zip(logs, log_names, strict=True):
        comment += f" The log {name}: {log.words}."
    return Statement([_state(name, logs, log_names) for name in states], comment)


def _state(name: str, logs: Sequence[FoundLog], log_names: list[str]) -> Statement:
    content = {"name": Statement(name)}
    if len(logs) == 1:
        content["log"] = Statement(log_names[0])
    elif logs:
        content["log"] = to_fill_in(f"one of {', '.join(log_names)}")
    if logs:
        place = "rest" if all(log.rests for log in logs) else "time_h"
        others = ", ".join(other for other in LOCATORS if other != place)
        content[place] = to_fill_in(f"{_PLACES[place]}; or one of {others}")
    return Statement(content)


def _scan_rows(scans: Sequence[FoundScan], names: list[str], instruments: list[str]) -> list[Row]:
    rows = []
    for scan, name, instrument in zip(scans, names, instruments, strict=True):
        rows.append(
            {
                "scan": Statement(name),
                "state": Statement(name),
                "path": Statement(scan.path),
                "kind": Statement(scan.kind),
                "instrument": Statement(instrument),
                "scan_shape": Statement("")
                if scan.has_shape
                else to_fill_in("rows x columns of positions, such as 4 x 6"),
            }
        )
    return rows


def _log_row(log: FoundLog, name: str) -> Row:
    return {
        "log": Statement(name),
        "path": Statement(log.path),
        "mass_mg": to_fill_in("mg of active material; empty where it is not known"),
        "mass_error_mg": to_fill_in("its standard uncertainty, mg"),
    }


def _pattern_row(pattern: FoundPattern, name: str, states: Sequence[str]) -> Row:
    return {
        "pattern": Statement(name),
        "state": Statement(name) if name in states else to_fill_in(f"one of {', '.join(states)}"),
        "path": Statement(pattern.path),
        "wavelength": Statement(float(f"{pattern.wavelength:.8g}"), "by its header")
        if pattern.wavelength
        else to_fill_in("angstrom"),
    }


def _plain(statement: Statement) -> object:
    value = statement.value
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list) else value
