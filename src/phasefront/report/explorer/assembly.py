"""From the data sets of a run to the parts of its page."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path

import xarray as xr

from phasefront.core import netcdf
from phasefront.diffraction.candidates import CandidatePhases
from phasefront.diffraction.crystals import Crystal
from phasefront.diffraction.reflections import LEAST_WEIGHT, WEAKEST
from phasefront.diffraction.spot_lists import observed_window
from phasefront.experiment.settings.instruments import StatedCamera
from phasefront.experiment.settings.report import ExploredScan
from phasefront.grains.lattices import Lattice, lattices_of
from phasefront.layouts.calibration import CALIBRATION
from phasefront.layouts.grains import GRAINS
from phasefront.layouts.interfaces import INTERFACES
from phasefront.layouts.orientations import ORIENTATIONS
from phasefront.layouts.phases import PHASES
from phasefront.layouts.scans import SCAN
from phasefront.layouts.spots import SPOTS
from phasefront.phases.lattices import CLEAR
from phasefront.phases.reasons import SENTENCES
from phasefront.records import record
from phasefront.report.explorer import charts, patterns, payload
from phasefront.report.explorer.laid import LaidMaps
from phasefront.report.explorer.page import Run, ScanPart, count
from phasefront.report.explorer.patterns import Embedded
from phasefront.report.explorer.payload import ShownScan
from phasefront.report.figures import orientation_colours, style
from phasefront.report.wording import first_upper
from phasefront.scans.files import open_scan

_ROUNDING = (
    "Numbers in this page are rounded to 15 bits of their fraction (0.0015 %), those of pictures,"
    " errors, intensities and scores to 9 bits (0.1 %); the netCDF files have them in full."
)


_LAYOUTS = {
    "phases": PHASES, "grains": GRAINS, "interfaces": INTERFACES, "spots": SPOTS,
    "orientations": ORIENTATIONS, "calibration": CALIBRATION, "description": SCAN,
}  # fmt: skip


def read_scans(
    rows: Sequence[ExploredScan], files: Mapping[str, Sequence[Path]],
    cameras: Mapping[str, StatedCamera | None],
) -> dict[str, ShownScan]:  # fmt: skip
    """The data sets of each scan, by scan, from the files of each stage."""
    stages = {
        stage: netcdf.read_all(files[stage], layout, key="scan")
        for stage, layout in _LAYOUTS.items()
    }
    return {
        row.scan: ShownScan(
            **{stage: found.get(row.scan) for stage, found in stages.items()},
            camera=cameras[row.scan],
            instrument=row.instrument,
        )
        for row in rows
    }


def embedded_patterns(
    rows: Sequence[ExploredScan], shown: Mapping[str, ShownScan], files: Sequence[Path],
    room_mb: float,
) -> dict[str, Embedded]:  # fmt: skip
    """Patterns of the raw scans, by scan, that fit in the room; see `patterns`.

    `files` are those of the rows that are raw scans, in that order.
    """
    raw = [row for row in rows if row.kind == "scan"]
    sources = [
        patterns.RawScan(
            open_scan(file, row.layout),
            patterns.ranked(shown[row.scan].phases, shown[row.scan].grains["label"].values),
            shown[row.scan].calibration,
            shown[row.scan].spots,
        )
        for row, file in zip(raw, files, strict=True)
    ]
    found = patterns.embed(sources, room_mb * 1e6)
    return {row.scan: one for row, one in zip(raw, found, strict=True)}


def scan_parts(
    rows: Sequence[ExploredScan], shown: Mapping[str, ShownScan], embedded: Mapping[str, Embedded],
    candidates: CandidatePhases, files: Sequence[Path], run: str, laid: LaidMaps,
    mechanisms: xr.Dataset | None = None,
) -> list[ScanPart]:  # fmt: skip
    """What the page holds of each scan; `files` are the PHASES files of the rows."""
    crystals, lattices = candidates.crystals, lattices_of(candidates)
    parts = []
    for row, path in zip(rows, files, strict=True):
        scan, patterns_of = shown[row.scan], embedded.get(row.scan)
        facts = payload.facts_of_scan(scan) | {
            "state": row.state,
            "path": row.path,
            "record": _record_id(path),
            "command": f"phasefront explain {record.shown(str(path))}",
            "start": payload.first_position(scan),
            "pattern_note": _pattern_note(row, scan, run),
        }
        facts["notes"] = _notes(facts["directions"], scan, patterns_of)
        if patterns_of is not None:
            facts["frame"] = vars(patterns_of.frame)
        arrays = payload.arrays(scan, crystals, lattices)
        if mechanisms is not None:
            arrays |= payload.morphologies(mechanisms, row.scan)
        arrays |= laid.arrays(row.scan)
        parts.append(ScanPart(facts, arrays, count(scan.phases), patterns_of))
    return parts


def whole_run(
    run: str, title: str, ion: str, labels: Mapping[str, str], candidates: CandidatePhases,
    shown: Mapping[str, ShownScan], comparison: xr.Dataset, conclusion: str,
    mechanisms: xr.Dataset | None = None, *, cells: Mapping[str, xr.Dataset],
    laid: LaidMaps,
) -> Run:  # fmt: skip
    """What the page says of the run."""
    crystals = candidates.crystals
    reach = [observed_window(scan.spots)[1] for scan in shown.values() if scan.spots is not None]
    return Run(
        _run_facts(run, ion, candidates.names, labels, lattices_of(candidates))
        | {"morphologies": [] if mechanisms is None else list(mechanisms["morphology"].values)}
        | {"laid": laid.facts()},
        title or run,
        conclusion,
        comparison,
        colour_keys(crystals, labels) if shown else {},
        [payload.reflections(crystal, max(reach)) for crystal in crystals] if reach else [],
        "" if mechanisms is None else mechanisms.attrs["sentence"],
        cells,
    )


def _run_facts(
    run: str, ion: str, names: Sequence[str], labels: Mapping[str, str],
    lattices: Sequence[Lattice],
) -> dict:  # fmt: skip
    """What explorer.js calls the run, without its scans."""
    return {
        "run": run,
        "ion": ion,
        "phases": [
            {"name": name, "label": label, "colour": colour}
            for name, label, colour in zip(
                names, payload.plain_labels(names, labels), cycle(style.PHASE_COLOURS)
            )
        ],
        "colours": {
            "mixed": style.MIXED_COLOUR, "undecided": style.UNDECIDED_COLOUR,
            "unindexed": style.UNINDEXED_COLOUR, "vacuum": style.VACUUM_COLOUR,
        },
        "part_colours": list(style.PHASE_COLOURS),
        "palettes": {name: list(colours) for name, colours in charts.PALETTES.items()},
        "rules": {"names": list(SENTENCES), "sentences": SENTENCES, "clear": CLEAR},
        "weakest": WEAKEST,
        "least_weight": LEAST_WEIGHT,
        "symmetries": payload.symmetries(lattices),
        "note": _ROUNDING,
    }  # fmt: skip


def colour_keys(crystals: Sequence[Crystal], labels: Mapping[str, str]) -> dict[str, bytes]:
    """The colour keys of the orientation maps as one PNG, by the groups' phases in words."""
    groups = {crystal.name: crystal.orix_point_group().laue for crystal in crystals}
    content = io.BytesIO()
    style.save(orientation_colours.draw_colour_keys(groups, labels), content)
    return {", ".join(groups): content.getvalue()}


def _record_id(path: Path) -> str | None:
    beside = record.record_path(path)
    return record.read(beside).id if beside.is_file() else None


def _pattern_note(row: ExploredScan, scan: ShownScan, run: str) -> str:
    """What is said where there is no pattern to show."""
    if row.kind == "map":
        return f"{scan.phases.attrs['map_by']} made this map; there are no patterns and no spots."
    if row.kind == "peaks":
        return "This scan is a list of spots; there are no patterns."
    return f"This pattern is not in the page: phasefront view {run} reads it from the raw file."


def _notes(directions: str, scan: ShownScan, embedded: Embedded | None) -> list[str]:
    notes = [f"{first_upper(directions)}. IPF colours of a crystal and of its half"
             " turn about the beam differ, and a pattern hardly tells these."]  # fmt: skip
    if scan.phases.attrs["notes"]:
        notes.append(f"{first_upper(scan.phases.attrs['notes'])}.")
    if embedded is not None:
        number, total = len(embedded.position), scan.phases["decision"].size
        notes.append(
            f"{number} of {total} patterns are in the page"
            + (" (undecided, mixed and boundary positions first, then evenly)." if number < total
               else ".")
        )  # fmt: skip
    return notes
