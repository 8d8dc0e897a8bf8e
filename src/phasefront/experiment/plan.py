"""What a run has to do: the experiment, its tables and their files, checked against each other."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from phasefront.core.errors import InputError
from phasefront.experiment import sweep
from phasefront.experiment.batches import Batches, read_powder_table
from phasefront.experiment.cell_priors import check_priors
from phasefront.experiment.config import Experiment
from phasefront.experiment.load import load, named, parse
from phasefront.experiment.settings.cycling import LogRow
from phasefront.experiment.settings.scans import ScanRow
from phasefront.experiment.settings.stacks import ListedStack
from phasefront.experiment.settings.tomography import CellRow
from phasefront.experiment.stacks import beside_stacks, check_laid, check_stacks, spectra_of
from phasefront.experiment.tables import optional_table, refuse_same_files
from phasefront.experiment.virtual import check_virtual
from phasefront.experiment.virtual_maps import virtual_stacks

if TYPE_CHECKING:
    from phasefront.diffraction.crystals import Crystal


@dataclass(frozen=True)
class Plan:
    """An experiment with its tables (pandas, indexed by their first column).

    Tables are empty where the experiment has none.
    """

    source: str
    experiment: Experiment
    scans: pd.DataFrame
    logs: pd.DataFrame
    patterns: pd.DataFrame
    batches: Batches
    cells: pd.DataFrame
    stacks: pd.DataFrame
    sweep: sweep.Space

    @classmethod
    def load(cls, *paths: str | Path) -> Plan:
        """The plan of config files, later ones overriding earlier ones.

        Raises InputError for what does not fit together.
        """
        return cls._build(load(*paths), named(paths))

    @classmethod
    def parse(cls, content: dict, source: str | Path) -> Plan:
        """The plan of an already loaded config; `source` is named in errors."""
        return cls._build(parse(content, source), str(source))

    @classmethod
    def _build(cls, experiment: Experiment, source: str) -> Plan:
        tables = experiment.tables
        plan = cls(
            source,
            experiment,
            optional_table(tables.scans, ScanRow),
            optional_table(tables.cycling, LogRow),
            *read_powder_table(tables.powder),
            optional_table(tables.cells, CellRow),
            optional_table(tables.stacks, ListedStack),
            sweep.expand(experiment, source),
        )
        plan._check_references()
        return plan

    @property
    def cifs(self) -> list[str]:
        """Paths of the candidate phases' CIFs, in the config's order."""
        return self.experiment.material.cifs

    def cif_of(self, phase: str) -> str:
        """Path of one phase's CIF."""
        return dict(zip(self.experiment.material.names, self.cifs, strict=True))[phase]

    @cached_property
    def crystals(self) -> list[Crystal]:
        """The candidate phases, whose CIFs are read once. Raises InputError as `read_crystal`."""
        from phasefront.diffraction.crystals import read_crystals

        return read_crystals(self.cifs, self.experiment.material.names)

    @property
    def instruments(self) -> list[str]:
        """Instruments that took at least one of the scans that are analysed here."""
        return sorted(set(self.scans.loc[self.analysed_scans, "instrument"]))

    @property
    def analysed_scans(self) -> list[str]:
        """Identifiers of the scans whose patterns or peaks are there, not a map alone."""
        return list(self.scans.index[self.scans["kind"] != "map"])

    @property
    def tables(self) -> list[str]:
        """Paths of the experiment's tables."""
        tables = self.experiment.tables
        named = (tables.scans, tables.cycling, tables.powder, tables.cells, tables.stacks)
        return [path for path in named if path]

    def scans_of_kind(self, kind: str) -> list[str]:
        """Identifiers of the scans that are raw scans, peak lists or maps."""
        return list(self.scans.index[self.scans["kind"] == kind])

    def stacks_of_kind(self, kind: str) -> list[str]:
        """Identifiers of the stacks of X-ray absorption, or of another kind."""
        return list(self.stacks.index[self.stacks["kind"] == kind])

    @property
    def scans_in_series(self) -> list[str]:
        """Identifiers of the scans that are of an in situ series."""
        return list(self.scans.index[self.scans["series"].notna()])

    @property
    def series(self) -> list[str]:
        """Names of the in situ series of scans, in the table's order."""
        return list(dict.fromkeys(self.scans["series"].dropna()))

    def log_of_series(self, series: str) -> str:
        """The log that the scans of a series were taken on."""
        return self.scans.loc[self.scans_of_series(series)[0], "log"]

    def series_of(self, scan: str) -> list[str]:
        """Identifiers of all scans of the same series, this one included."""
        return self.scans_of_series(self.scans.loc[scan, "series"])

    def scans_of_series(self, series: str) -> list[str]:
        """Identifiers of the scans of a series."""
        return list(self.scans.index[self.scans["series"] == series])

    def raw_scans_of_series(self, series: str) -> list[str]:
        """Identifiers of those of them whose patterns are there."""
        of_series = self.scans_of_series(series)
        return [scan for scan in self.scans_of_kind("scan") if scan in of_series]

    def scans_of(self, state: str) -> list[str]:
        """Identifiers of a state's scans."""
        return list(self.scans.index[self.scans["state"] == state])

    @property
    def scanned_states(self) -> list[str]:
        """States that have scans, in the config's order."""
        return [state.name for state in self.experiment.states if self.scans_of(state.name)]

    def step_of(self, scan: str) -> float:
        """Scan step, nm; NaN where the table does not say."""
        step = self.scans.loc[scan, "scan_step_nm"]
        return math.nan if step is None else float(step)

    def patterns_of_kind(self, kind: str) -> list[str]:
        """Identifiers of the powder patterns to fit, or of those refined elsewhere."""
        return list(self.patterns.index[self.patterns["kind"] == kind])

    def pattern_before(self, name: str) -> str | None:
        """The pattern to fit that comes last before this one, at the same wavelength.

        Patterns are in the order of the config's states, those of a state in the table's. None
        without one.
        """
        same = self.patterns[
            (self.patterns["kind"] == "pattern")
            & (self.patterns["wavelength"] == self.patterns.loc[name, "wavelength"])
        ]
        states = [state.name for state in self.experiment.states]
        order = [p for state in states for p in same.index[same["state"] == state]]
        place = order.index(name)
        return order[place - 1] if place else None

    def seed_of(self, identifier: str) -> int:
        """A seed of its own for each file, from the run's seed."""
        text = f"{self.experiment.seed}/{identifier}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")

    def raw_files(self) -> list[str]:
        """Every raw file that the tables name."""
        tables = (self.scans, self.logs, self.patterns, self.stacks)
        alone = [path for t in tables for path in t["path"]]
        of_cells = [path for paths in self.cells["paths"] for path in paths]
        return [*alone, *of_cells, *beside_stacks(self.stacks)]

    def _check_references(self) -> None:
        states = {state.name for state in self.experiment.states}
        tables = self.experiment.tables
        if len(self.scans):
            _check_known(self.scans, "state", states, tables.scans)
            _check_known(self.scans, "instrument", set(self.experiment.instruments), tables.scans)
            for scan in self.scans_in_series:
                self._check_log(self.scans.loc[scan, "log"], tables.scans, f"{scan}.log")
            self._check_cameras()
        if len(self.patterns):
            _check_known(self.patterns, "state", states, tables.powder)
            self._check_refined()
        if len(self.stacks):
            _check_known(self.stacks, "state", states, tables.stacks)
            check_stacks(self.experiment, self.stacks, self.source)
            check_laid(self.experiment, self.stacks, self.scans, self.source)
        self.batches.check_references(self.series, self._check_log)
        if len(self.cells):
            self._check_cells()
        for phase in self.experiment.material.phases:
            for pattern in phase.cell_from:
                if pattern not in self.patterns.index and pattern not in self.cells.index:
                    known = sorted([*self.patterns.index, *self.cells.index])
                    raise InputError(
                        self.source,
                        f"there is no pattern {pattern!r} in the powder table"
                        f"{', nor such a cell' if len(self.cells) else ''}",
                        field=f"material.phases.{phase.name}.cell_from",
                        remedy=f"name one of {known} or leave it out",
                    )
        check_priors(self.experiment.material, self.cells, self.source)
        for state in self.experiment.states:
            if state.log is not None:
                self._check_log(state.log, self.source, f"states.{state.name}.log")
            if state.capacity_mah_g is not None and _lacks(self.logs, state.log, "mass_mg"):
                raise InputError(
                    self.source,
                    f"log {state.log!r} has no mass of active material",
                    field=f"states.{state.name}.capacity_mah_g",
                    remedy="give mass_mg in the cycling table, or say where the state is by time_h,"
                    " voltage_v, fraction or rest",
                )
        check_virtual(self)
        for scan, row in self.scans.iterrows():
            scale = self.experiment.instruments[row["instrument"]].scale
            if row["kind"] == "scan" and scale is None:
                raise InputError(
                    self.source,
                    f"scan {scan!r} needs the camera's nominal scale",
                    field=f"instruments.{row['instrument']}.scale",
                    remedy="give it in 1/angstrom per pixel, to within 2 %",
                )

    def made(self) -> dict[str, str]:
        """Raw files that a virtual run makes, each with the state it is of, None for a log's."""
        if self.experiment.virtual is None:
            return {}
        raw = f"results/{self.experiment.run}/raw"
        scans, patterns = self.scans_of_kind("scan"), self.patterns_of_kind("pattern")
        return (
            {f"{raw}/{scan}.blo": self.scans.loc[scan, "state"] for scan in scans}
            | {f"{raw}/{log}.mpt": None for log in self.logs.index}
            | {f"{raw}/{pattern}.xye": self.patterns.loc[pattern, "state"] for pattern in patterns}
            | virtual_stacks(self)
        )

    def _check_log(self, log: str, source: str, field: str) -> None:
        if log not in self.logs.index:
            raise InputError(
                source,
                f"there is no log {log!r} in the cycling table",
                field=field,
                remedy=f"name one of {sorted(self.logs.index)} or add it to the table",
            )

    def _check_cameras(self) -> None:
        """Scans of a series are of one instrument, whose lenses they share."""
        for series, rows in self.scans.groupby("series", sort=False):
            others = rows.index[rows["instrument"] != rows["instrument"].iloc[0]]
            if len(others):
                raise InputError(
                    self.experiment.tables.scans,
                    f"scans {rows.index[0]!r} and {others[0]!r} of the series {series!r} are of"
                    " two instruments, whose scales have nothing to do with each other",
                    field=f"{others[0]}.instrument",
                    remedy="give each instrument's scans a series of their own",
                )

    def _check_cells(self) -> None:
        """Cells are of the config's states and phases, and have no name of a pattern."""
        source = self.experiment.tables.cells
        _check_known(self.cells, "state", {state.name for state in self.experiment.states}, source)
        _check_known(self.cells, "phase", set(self.experiment.material.names), source)
        if both := sorted(set(self.cells.index) & set(self.patterns.index)):
            raise InputError(
                source,
                f"{both[0]!r} is the name of a powder pattern, too",
                field=both[0],
                remedy="give the cell another name, so that cell_from can tell them apart",
            )

    def _check_refined(self) -> None:
        """Rows of refined fractions need their columns, by the names of the config's phases."""
        columns = self.experiment.powder.refined
        refined = self.patterns_of_kind("refined")
        if refined and columns is None:
            raise InputError(
                self.source,
                f"pattern {refined[0]!r} is refined elsewhere, and its table has no columns here",
                field="powder.refined",
                remedy="say which column of the table holds what",
            )
        unknown = set(columns.phases if columns else ()) - set(self.experiment.material.names)
        if unknown:
            raise InputError(
                self.source,
                f"there is no phase {min(unknown)!r} in the material",
                field="powder.refined.phases",
                remedy=f"name some of {self.experiment.material.names}",
            )

    def check_present(self, path: str) -> None:
        """Raise InputError where a file is missing; one to download has a remedy of its own."""
        if not Path(path).exists():
            known = {item.path for item in self.experiment.downloads}
            remedy = "check the path in the config and its tables"
            if path in known:
                remedy = f"fetch it: phasefront fetch {self.source}"
            raise InputError(path, "there is no such file", remedy=remedy)
        if Path(path).is_dir() and Path(path).suffix.lower() != ".zspy":
            raise InputError(path, "is a folder, not a file", remedy="name the file in it")

    def check_files(self) -> None:
        """Read every CIF, and see that every raw file is there or will be made.

        Raises InputError for a missing or unusable file, for one that stands in two rows of a
        table, for phases with the same structure, and for a material that is not that of the CIFs.
        """
        from phasefront.diffraction.crystals import check_distinct
        from phasefront.experiment import consistency

        made = self.made()
        self.batches.check_files()
        for path in [*self.cifs, *spectra_of(self.experiment), *self.raw_files()]:
            if path not in made:
                self.check_present(path)
        tables = self.experiment.tables
        refuse_same_files(self.scans, tables.scans)
        refuse_same_files(self.patterns[self.patterns["kind"] == "pattern"], tables.powder)
        check_distinct(self.crystals)
        consistency.check_material(self.experiment.material, self.crystals, self.source)


def _lacks(table: pd.DataFrame, name: str, column: str) -> bool:
    """Whether a row's cell is empty; pandas turns those among numbers into NaN."""
    return bool(pd.isna(table.loc[name, column]))


def _check_known(table: pd.DataFrame, column: str, known: set[str], source: str) -> None:
    for identifier, value in table[column].items():
        if value not in known:
            raise InputError(
                source,
                f"{column} {value!r} is not in the config",
                field=f"{identifier}.{column}",
                remedy=f"use one of {sorted(known)} or add it there",
            )
