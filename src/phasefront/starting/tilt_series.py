"""Tilt series among files: which belong together, and what they say of themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from phasefront.core.errors import InputError
from phasefront.diffraction.crystals import Crystal
from phasefront.starting.statement import Statement, to_fill_in

# By the ends of names, capitals aside: XDS gives all its files one name in a folder of each series.
_XDS = ("correct.lp", "integrate.hkl", "xds_ascii.hkl", "gxparm.xds")
# What a folder is searched for, by what each program leaves: the cell with its errors and spots.
# The first that is there names the series; structures that were refined are none.
_SOUGHT = {
    "correct.lp": ("integrate.hkl",),
    ".celllist": (".pts", ".pts2", ".xyz"),
    ".expt": (),
    ".cif_pets": (),
    ".m50": (),
    "gxparm.xds": (),
}


@dataclass(frozen=True)
class FoundSeries:
    """Files of one tilt series, and what they do not say: `phases` are those whose lattice it may
    be of, `errors` whether it has any of its cell."""

    name: str
    paths: list[str]
    wavelength: float | None
    errors: bool
    phases: list[str]


def find_series(given: Sequence[str], crystals: Sequence[Crystal]) -> list[FoundSeries]:
    """Tilt series of files, and of those in folders.

    Files of one folder belong together where XDS made them, or where their names differ in the end
    alone. Raises InputError for a folder without any, for a file that no reader takes, and for
    files of a series that contradict each other.
    """
    groups: dict[tuple[Path, str], list[str]] = {}
    for path in given:
        for one in _in_folder(Path(path)) if Path(path).is_dir() else [path]:
            stem = "" if Path(one).name.lower() in _XDS else Path(one).stem
            groups.setdefault((Path(one).parent, stem), []).append(one)
    stems = [stem for _, stem in groups]
    return [
        _found(stem if stem and stems.count(stem) == 1 else folder.resolve().name, paths, crystals)
        for (folder, stem), paths in groups.items()
    ]


def _in_folder(folder: Path) -> Iterator[str]:
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    for end, beside in _SOUGHT.items():
        firsts = [name for name in names if name.lower().endswith(end)]
        for first in firsts:
            stem = first[: len(first) - len(end)].lower()
            yield str(folder / first)
            yield from (
                str(folder / name) for name in names if name.lower() in [stem + b for b in beside]
            )
        if firsts:
            return
    raise InputError(
        folder, "holds no cell of a tilt series", remedy="name its files, or a folder with"
        f" {', '.join(_SOUGHT)}",
    )  # fmt: skip


def _found(name: str, paths: list[str], crystals: Sequence[Crystal]) -> FoundSeries:
    from phasefront.tomography.files import read_statement
    from phasefront.tomography.statement import join

    statement = join([read_statement(path) for path in paths])
    observed = statement.spots is not None and statement.spots.observed
    stated = statement.cell_esd is not None and bool(np.any(statement.cell_esd))
    return FoundSeries(
        name, paths, statement.wavelength, observed or stated,
        [crystal.name for crystal in crystals if _may_be(statement, crystal)],
    )  # fmt: skip


def cell_row(
    series: FoundSeries,
    name: str,
    states: Sequence[str],
    phases: Sequence[str],
    voltage: float | None,
) -> dict[str, Statement]:
    """A row of the table of cells; `phases` are all there are, `voltage` is in kV if known."""
    known = series.phases or phases
    if len(series.phases) == 1:
        phase = Statement(series.phases[0], "the one with a lattice like it")
    else:
        none = "" if series.phases else "none has a lattice like it; "
        phase = to_fill_in(f"{none}one of {', '.join(known)}")
    if voltage is not None:
        acceleration = Statement(voltage, "kV")
    elif series.wavelength is None:
        acceleration = to_fill_in("kV")
    else:
        acceleration = Statement("")
    return {
        "cell": Statement(name),
        "state": Statement(name) if name in states else to_fill_in(f"one of {', '.join(states)}"),
        "phase": phase,
        "paths": Statement(series.paths[0] if len(series.paths) == 1 else json.dumps(series.paths)),
        "voltage_kv": acceleration,
    }


def cells_section(without: Sequence[str]) -> Statement:
    """Settings of cells where these series have no errors of their own."""
    what = "standard error of a stretch of patterns: of the difference of half axes of what should"
    why = f"be a circle, relative; files of {', '.join(without)} have no errors"
    return Statement({"distortion_error": to_fill_in(f"{what} {why}")})


def _may_be(statement, crystal: Crystal) -> bool:
    """Whether its lattice has axes like the phase's."""
    from phasefront.tomography.program_errors import upright
    from phasefront.tomography.settings import lattice_settings

    try:
        lattice_settings(upright(statement.cell), statement.centring, crystal, statement.path)
    except InputError:
        return False
    return True
