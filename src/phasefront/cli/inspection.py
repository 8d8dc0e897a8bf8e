"""What each file of an experiment holds, in a line that shows a wrong unit before hours of work."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from phasefront.cli.log_inspection import tell_log
from phasefront.cli.stack_inspection import tell_stack
from phasefront.core.errors import InputError
from phasefront.experiment import values

if TYPE_CHECKING:
    import pandas as pd

    from phasefront.diffraction.crystals import Crystal
    from phasefront.experiment.plan import Plan
    from phasefront.scans.formats.scan import Scan

# Larger peak lists are not read; of raw scans only headers are.
_LARGEST_READ = 2**30


def inspect(plan: Plan) -> Iterator[str | InputError]:
    """Open every file of an experiment, and yield a line on what it holds, or what is wrong.

    Of raw scans headers are read, of everything else all, but for peak lists of more than 1 GB.
    Files that a virtual run makes are named as such.
    """
    for phase in plan.experiment.material.phases:
        yield _told(plan, phase.cif, lambda phase=phase: _crystal(plan, phase))
    standard = plan.experiment.calibration.standard
    if standard is not None:
        yield _told(plan, standard.image, lambda: _standard(standard))
    tables = (plan.scans, plan.logs, plan.patterns, plan.stacks)
    for table, tell in zip(tables, (_scan, tell_log, _pattern, tell_stack), strict=True):
        for name, row in table.iterrows():
            if row["path"] in plan.made():
                yield f"{row['path']}: {name}, made by the run"
            else:
                yield _told(plan, row["path"], lambda tell=tell, name=name: tell(plan, name))
    for name, row in plan.batches.table.iterrows():
        # A path with stars is no file.
        yield _said(
            lambda name=name, row=row: f"{row['times'] or row['path']}: {_batch(plan, name)}"
        )
    for name, row in plan.cells.iterrows():
        yield _told(plan, row["paths"][0], lambda name=name: _cell(plan, name))


def _told(plan: Plan, path: str, tell: Callable[[], str]) -> str | InputError:
    def told() -> str:
        plan.check_present(path)
        return f"{path}: {tell()}"

    return _said(told)


def _said(tell: Callable[[], str]) -> str | InputError:
    try:
        return tell()
    except InputError as error:
        return error


def _crystal(plan: Plan, phase) -> str:
    from phasefront.diffraction.crystals import read_crystal

    _check_label(plan, phase)
    crystal = read_crystal(phase.cif, name=phase.name)
    return f"phase {phase.name}, {describe_crystal(crystal, phase.formula_units)}"


def _check_label(plan: Plan, phase) -> None:
    """Raise InputError where figures cannot show a label: its mathematics is none."""
    if "$" not in phase.label:
        return
    from matplotlib import cbook
    from matplotlib.mathtext import MathTextParser

    for line in filter(cbook.is_math_text, phase.label.splitlines()):
        try:
            MathTextParser("path").parse(line)
        except ValueError:
            raise InputError(
                plan.source, f"what {phase.label!r} has between dollars is no mathematics",
                field=f"material.phases.{phase.name}.label",
                remedy=r"correct it, or write \$ for a dollar",
            ) from None  # fmt: skip


def describe_crystal(crystal: Crystal, formula_units: int) -> str:
    """Content, formula units, space group and cell of a phase, and what its file leaves open."""
    content = " ".join(f"{element}{n:.4g}" for element, n in crystal.formula.items())
    group = crystal.space_group.xhm() if crystal.space_group else "space group without a symbol"
    a, b, c, alpha, beta, gamma = crystal.cell
    words = (
        f"{content} in the cell, as {formula_units} formula units of"
        f" {crystal.cell_mass / formula_units:.5g} g/mol, {group},"
        f" a = {a:.4f}, b = {b:.4f}, c = {c:.4f} angstrom,"
        f" angles {alpha:g}, {beta:g}, {gamma:g} degrees"
    )
    return "; ".join([words, *crystal.notes])


def _scan(plan: Plan, name: str) -> str:
    row = plan.scans.loc[name]
    if row["kind"] == "peaks":
        return _peaks(plan, name)
    if row["kind"] == "map":
        return _map(plan, name)
    from phasefront.experiment.consistency import check_scale
    from phasefront.experiment.settings.scans import ScanLayout
    from phasefront.scans import files

    scan = files.open_scan(
        row["path"], ScanLayout.model_validate(values.value(plan, f"scan.{name}.layout"))
    )
    instrument = plan.experiment.instruments[row["instrument"]]
    files.check_instrument(scan, instrument)
    files.step_of(scan, plan.step_of(name))
    check_scale(
        instrument.scale,
        scan.shape[2:],
        plan.experiment.spots.max_radius,
        source=plan.source,
        field=f"instruments.{row['instrument']}.scale",
        scan=name,
    )
    ny, nx, ky, kx = scan.shape
    step, reach = plan.step_of(name), min(ky, kx) / 2 * instrument.scale
    words = [
        f"scan {name}, {ny} x {nx} positions by {scan.shape_from}",
        f"camera of {ky} x {kx} pixels, {scan.dtype.name}",
        _beside("step", scan.scan_step_nm, step, "nm", "the table"),
        _beside("voltage", files.voltage_of(scan), instrument.voltage_kv, "kV", "the config"),
        f"scale {instrument.scale:g} 1/angstrom per pixel by the config, {reach:.3g} 1/angstrom"
        " from centre to edge",
    ]
    if scan.scale:
        words.append(f"{scan.scale[0]:g} {scan.scale[1]} per pixel in it")
    if name in plan.scans_in_series:
        words.append(_begun(plan, name, scan))
    return ", ".join(words)


def _begun(plan: Plan, name: str, scan: Scan) -> str:
    """When a scan of a series began, and how long it took: to see that on the log's clock."""
    from phasefront.experiment.settings.scans import ScanClock
    from phasefront.scans.timing import position_times

    times = position_times(scan, ScanClock.model_validate(values.value(plan, f"scan.{name}.clock")))
    return (
        f"begun {times.start or 'at an unknown time'} ({times.clock}), its last position"
        f" {times.positions_s[-1, -1]:.6g} s later"
    )


def _beside(what: str, own: float, given: float, unit: str, where: str) -> str:
    """What a file and the config say of one quantity, NaN where nothing."""
    if math.isnan(own) and math.isnan(given):
        return f"{what} unknown"
    if math.isnan(own):
        return f"{what} {given:g} {unit} by {where}"
    if math.isnan(given) or math.isclose(own, given, rel_tol=0.01):
        return f"{what} {own:g} {unit}"
    return f"{what} {own:g} {unit} in it, BUT {given:g} {unit} by {where}, which is used"


def _peaks(plan: Plan, name: str) -> str:
    from phasefront.experiment.consistency import check_reach
    from phasefront.spots.peaks import read_peaks

    path = plan.scans.loc[name, "path"]
    if Path(path).is_file() and Path(path).stat().st_size > _LARGEST_READ:
        return f"peak list {name}, {Path(path).stat().st_size / 1e9:.1f} GB, not read"
    spots = read_peaks(path, name=name, scan_step_nm=plan.step_of(name))
    shape = " x ".join(str(spots.sizes[axis]) for axis in ("y", "x"))
    step = spots.attrs["scan_step_nm"]
    reach = float(np.hypot(spots["qx"].values, spots["qy"].values).max(initial=0.0))
    check_reach(reach, plan.experiment.spots.max_radius, source=str(path))
    return (
        f"peak list {name}, {shape} positions, {spots.sizes['spot']} spots up to {reach:.3g}"
        " 1/angstrom,"
        f" {_beside('step', step, math.nan, 'nm', 'the table')}"
    )


def _map(plan: Plan, name: str) -> str:
    from phasefront.layouts.phases import UNDECIDED, UNINDEXED
    from phasefront.maps.formats import read_map
    from phasefront.maps.imported import import_map

    path, settings = plan.scans.loc[name, "path"], plan.experiment.maps
    found = read_map(path)
    phases = import_map(
        found, plan.crystals, name=name, given=settings.phases, least=settings.least,
        scan_step_nm=plan.step_of(name),
    )  # fmt: skip
    decision = phases["decision"].to_numpy()
    counted = [
        f"{crystal.name} at {(decision == index).sum()}"
        for index, crystal in enumerate(plan.crystals)
    ]
    shape = " x ".join(map(str, decision.shape))
    own, given = found.step_nm[1], plan.step_of(name)
    step = _beside("step", own, given, "nm", "the table")
    return (
        f"map {name} by {found.program}, {shape} positions: {', '.join(counted)}, undecided"
        f" {(decision == UNDECIDED).sum()}, not indexed {(decision == UNINDEXED).sum()};"
        f" {step}; qualities"
        f" {', '.join(found.qualities) or 'none'}" + "".join(f"; {note}" for note in found.notes)
    )


def _pattern(plan: Plan, name: str) -> str:
    from phasefront.experiment.settings.powder import PatternRow

    row = PatternRow.model_validate(values.value(plan, f"pattern.{name}.row"))
    if row.kind == "refined":
        return _fractions(plan, row)
    from phasefront.powder.files import read_pattern

    pattern = read_pattern(
        row.path, wavelength=row.wavelength, axis=row.axis, unit=row.unit, columns=row.columns
    )
    _refuse_without_lines(plan, pattern, row)
    return describe_pattern(pattern, row)


def _refuse_without_lines(plan: Plan, pattern: pd.DataFrame, row) -> None:
    """Raise InputError where no phase can have a reflection in a pattern: all its spacings are
    longer than their cells. Then it is of another wavelength or axis, or of small angles."""
    largest = math.sin(math.radians(pattern["two_theta"].iloc[-1] / 2))
    shortest = row.wavelength / (2 * largest)
    longest = max(max(crystal.cell[:3]) for crystal in plan.crystals)
    if shortest > longest:
        raise InputError(
            row.path, f"its spacings are above {shortest:.4g} angstrom, where no phase has a"
            " reflection", field="wavelength",
            remedy="correct the wavelength or the axis, or name the pattern of larger angles",
        )  # fmt: skip


def describe_pattern(pattern: pd.DataFrame, row) -> str:
    """Points and range of a pattern of `powder_files.read_pattern`, in degrees and as spacings."""
    low, high = pattern["two_theta"].iloc[[0, -1]]
    longest, shortest = (
        row.wavelength / (2 * math.sin(math.radians(angle / 2))) if angle > 0 else math.inf
        for angle in (low, high)
    )
    return (
        f"pattern {row.pattern}, {len(pattern)} points, {low:g} to {high:g} degrees at"
        f" {row.wavelength:g} angstrom, d from {longest:.4g} to {shortest:.4g} angstrom,"
        f" intensity to {pattern['intensity'].max():.4g}"
        + "".join(f"; {note}" for note in pattern.attrs["notes"])
    )


def _batch(plan: Plan, name: str) -> str:
    """Patterns of a batch of a series, all of which are read, and when they were measured."""
    from phasefront.experiment.pattern_times import read_times
    from phasefront.experiment.settings.powder_series import PatternClock, PatternReading
    from phasefront.powder.files import NothingFound, read_pattern
    from phasefront.powder.placing import spans

    plan.batches.check_files()
    files, row = plan.batches.files_of(name), plan.batches.table.loc[name]
    clock = PatternClock.model_validate(values.value(plan, f"batch.{name}.clock"))
    reading = PatternReading.model_validate(values.value(plan, f"batch.{name}.reading"))
    measured = spans(files, clock, read_times(row["times"]) if row["times"] else None)
    angles, empty = [], 0
    for path in files:
        try:
            angles.append(read_pattern(path, **dict(reading))["two_theta"].iloc[[0, -1]])
        except NothingFound:  # refused by the fit, which goes on with the others
            empty += 1
    exposures = [span.exposure_s for span in measured]
    return (
        f"batch {name} of the series {row['series']}, {len(files)} patterns, {empty} of them empty,"
        f" of {min((low for low, _ in angles), default=math.nan):g} to"
        f" {max((high for _, high in angles), default=math.nan):g} degrees at"
        f" {reading.wavelength:g} angstrom, begun {measured[0].start.isoformat()} to"
        f" {measured[-1].start.isoformat()} ({measured[0].start_from}), each for"
        f" {min(exposures):g} to {max(exposures):g} s ({measured[0].exposure_from})"
    )


def _cell(plan: Plan, name: str) -> str:
    from phasefront.diffraction.candidates import CandidatePhases
    from phasefront.experiment.settings.tomography import CellRow
    from phasefront.tomography.reading import read_cell
    from phasefront.tomography.statement import words

    material = plan.experiment.material
    found = read_cell(
        CellRow.model_validate(values.value(plan, f"cell.{name}.row")),
        CandidatePhases(
            plan.crystals, material.shared_lattice.axes, material.ion_contents,
            parent_point_group=material.parent_point_group,
        ),
        plan.experiment.cells,
        calibrating=name in material.cells_from,
    )  # fmt: skip
    content, low, high = (found[f"ion_content{end}"].item() for end in ("", "_low", "_high"))
    told = found.attrs["refused"] or (
        f"{content:.2f} ({low:.2f} to {high:.2f}) {material.ion} per formula unit"
    )
    return (
        f"cell {name} by {found.attrs['program']}, {words(found['cell'].to_numpy())}, {told}"
        + "".join(f"; {note}" for note in filter(None, [found.attrs["notes"]]))
    )


def _fractions(plan: Plan, row) -> str:
    from phasefront.powder.refined_tables import read_fractions

    material = plan.experiment.material
    read = read_fractions(
        row.path,
        plan.crystals,
        plan.experiment.powder.refined,
        name=row.pattern,
        row=row.row,
        wavelength=row.wavelength,
        ion_contents=material.ion_contents,
        formula_units=[phase.formula_units for phase in material.phases],
    )
    shares = zip(read["phase"].values, read["weight_fraction"].values, strict=True)
    return f"refined pattern {row.pattern}, " + ", ".join(f"{p} {w:.3f}" for p, w in shares)


def _standard(standard) -> str:
    from phasefront.calibration.rings import read_picture

    image = read_picture(standard.image)
    reach = math.hypot(*image.shape) / 2 * standard.scale
    inside = [d for d in standard.d_spacings if 1 / d < reach]
    if len(inside) < 2:
        raise InputError(
            standard.image, f"at {standard.scale:g} 1/angstrom per pixel it reaches {reach:.3g}"
            f" 1/angstrom, and {len(inside)} of the rings are inside",
            field="calibration.standard.scale", remedy="give 1/angstrom per pixel",
        )  # fmt: skip
    ky, kx = image.shape
    return (
        f"standard, {ky} x {kx} pixels, {image.dtype.name}, values {image.min():g} to"
        f" {image.max():g}, {len(inside)} of {len(standard.d_spacings)} rings inside at"
        f" {standard.scale:g} 1/angstrom per pixel"
    )
