"""What raw scans, logs and powder patterns say of themselves, by the readers of a run."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from phasefront.core.errors import InputError
from phasefront.experiment.consistency import check_scale
from phasefront.experiment.settings.instruments import Instrument
from phasefront.experiment.settings.spots import SpotSettings
from phasefront.scans import files
from phasefront.scans.formats.frames import UnknownShape
from phasefront.scans.formats.scan import Scan

_HDF5 = (".h5", ".hdf5")


@dataclass(frozen=True)
class FoundScan:
    """A scan or a list of peaks; numbers are None where neither header nor user says them.

    `scale` is in 1/angstrom per pixel, `scale_in_header` what the header has instead of one.
    """

    path: str
    kind: str
    voltage_kv: float | None
    precession_deg: float | None
    scale: float | None = None
    scale_in_header: str = ""
    has_shape: bool = True


def find_scan(path: str, voltage_kv: float | None, precession_deg: float | None) -> FoundScan:
    """What a file is, and what its header adds to what the user says of the microscope.

    Raises InputError where no reader takes it, or header and user contradict each other.
    """
    try:
        scan = files.open_scan(path)
    except UnknownShape:
        return FoundScan(path, "scan", voltage_kv, precession_deg, has_shape=False)
    except InputError:
        peaks = _find_peaks(path, voltage_kv, precession_deg)
        if peaks is None:
            raise
        return peaks
    if voltage_kv is None:
        voltage_kv = _known(files.voltage_of(scan), "voltage_kv")
    if precession_deg is None:
        precession_deg = _known(files.precession_of(scan), "precession_deg")
    scale = _known(files.reciprocal_scale(scan, voltage_kv or math.nan), "scale")
    if voltage_kv is not None:
        given = Instrument(voltage_kv=voltage_kv, precession_deg=precession_deg or 0)
        files.check_instrument(scan, given)
    words = f"{scan.scale[0]:g} {scan.scale[1]} per pixel" if scan.scale else ""
    if scale is not None and not _can_be(scale, scan):
        scale, words = None, f"{words}, by which it would see {scale * min(scan.shape[2:]) / 2:.2g}"
        words += " 1/angstrom from centre to edge"
    return FoundScan(path, "scan", voltage_kv, precession_deg, scale, words)


def _find_peaks(path: str, *optics: float | None) -> FoundScan | None:
    """The list of peaks that an HDF5 file may hold in place of a scan; None where it does not."""
    from phasefront.spots.peaks import read_peaks

    if Path(path).suffix.lower() not in _HDF5:
        return None
    try:
        read_peaks(path, name="peaks")
    except InputError:
        return None
    return FoundScan(path, "peaks", *optics)


@contextmanager
def _may_be_added() -> Iterator[None]:
    """What a file does not say of itself, a row of its table may: then it is added by hand."""
    try:
        yield
    except InputError as error:
        raise InputError(
            error.source, error.problem, field=error.field,
            remedy=f"{error.remedy}; or leave it out here, and add it to its table afterwards",
        ) from error  # fmt: skip


def _known(number: float, setting: str) -> float | None:
    """A header's number; None where it has none, or one that no instrument can have."""
    rounded = {"voltage_kv": 200, setting: float(f"{number:.6g}")}
    try:
        return getattr(Instrument.model_validate(rounded), setting)
    except ValidationError:
        return None


def _can_be(scale: float, scan: Scan) -> bool:
    """Whether a camera can have this scale: `check` refuses others."""
    try:
        check_scale(
            scale, scan.shape[2:], SpotSettings().max_radius, source=str(scan.path), field="scale",
            scan=scan.title,
        )  # fmt: skip
    except InputError:
        return False
    return True


@dataclass(frozen=True)
class FoundLog:
    """A galvanostatic log: what of it helps to place states on it."""

    path: str
    rests: int
    words: str


def find_log(path: str) -> FoundLog:
    """Read a log. Raises InputError where its reader does."""
    from phasefront.cycling.logs import read_log
    from phasefront.cycling.states import rest_ends

    with _may_be_added():
        log = read_log(path)
    hours = (log["time_s"].iloc[-1] - log["time_s"].iloc[0]) / 3600
    rests = len(rest_ends(log))
    low, high = log["voltage_V"].min(), log["voltage_V"].max()
    words = (
        f"{hours:.4g} h, half cycles 0 to {log['half_cycle'].max()}, {rests} rests,"
        f" {low:.3g} to {high:.3g} V"
    )
    return FoundLog(path, rests, words)


@dataclass(frozen=True)
class FoundPattern:
    """A powder pattern; its wavelength, angstrom, where the header says it."""

    path: str
    wavelength: float | None


def find_pattern(path: str) -> FoundPattern:
    """Read a pattern. Raises InputError where its reader does, but for a wavelength alone."""
    from phasefront.powder.files import read_pattern

    try:
        with _may_be_added():
            return FoundPattern(path, read_pattern(path).attrs["wavelength"])
    except InputError as error:
        if error.field != "wavelength":
            raise
        return FoundPattern(path, None)
