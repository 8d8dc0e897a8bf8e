"""Raw scans as their files have them: opened by format, checked against what the table says."""

from __future__ import annotations

import math
from pathlib import Path

from phasefront.core.errors import InputError
from phasefront.experiment.settings.instruments import Instrument
from phasefront.experiment.settings.scans import ScanLayout
from phasefront.scans.formats import OPENERS, STREAMS
from phasefront.scans.formats.headers import NANOMETRES
from phasefront.scans.formats.scan import Scan, blamed_on, times

# Relative difference of voltages, and ratio of steps, that headers and config may have. Chosen.
_SAME_VOLTAGE = 0.02
_SAME_STEP = 1.5  # the ratio
# Nominal scales of headers are off by tens of per cent: only another unit or length is refused.
_SAME_SCALE = 2.0  # chosen
_RADIANS = {"rad": 1.0, "mrad": 1e-3}  # in one of each unit


def open_scan(path: str | Path, layout: ScanLayout | None = None) -> Scan:
    """Open a scan without reading its patterns.

    Reads .blo (NanoMegas ASTAR), .app5 (NanoMegas TopSpin), .dm3 and .dm4 (Gatan), .mib with its
    .hdr (Merlin), .tvips (TVIPS), .hspy and .zspy (HyperSpy), .h5, .hdf5 and .emd (py4DSTEM, NCEM
    and Velox EMD). A stack of patterns without a second scan axis is a line scan, ny = 1.

    Parameters
    ----------
    layout
        The scan's shape, frames before it and after each row, by the table of scans; without, by
        the file alone.

    Raises
    ------
    InputError
        If there is no such file, its suffix is unknown, it is damaged or truncated, or it holds
        no scan, or several, or patterns that are not real numbers. If nothing says the shape, or
        file and `layout` contradict each other.
    """
    path, layout = Path(path), layout or ScanLayout()
    suffix = path.suffix.lower()
    if suffix not in OPENERS | STREAMS:
        raise InputError(
            path, f"scans with the suffix {path.suffix!r} cannot be read",
            remedy=f"use one of {', '.join(OPENERS | STREAMS)}",
        )  # fmt: skip
    if not path.exists() or (path.is_dir() and suffix != ".zspy"):
        raise InputError(path, "there is no such file", remedy="correct the path of the scan")
    with blamed_on(path):
        if suffix in STREAMS:
            return STREAMS[suffix](path, layout)
        scan = OPENERS[suffix](path)
    _refuse_other_layout(scan, layout)
    return scan


def _refuse_other_layout(scan: Scan, layout: ScanLayout) -> None:
    """A format that stores the shape needs no other, and has none but positions."""
    found = scan.shape[:2]
    if layout.scan_shape not in (None, found) or layout.skip or layout.flyback:
        asked = times(layout.scan_shape or found)
        raise InputError(
            scan.path, f"the table of scans says {asked} positions, {layout.skip} frames before "
            f"them and {layout.flyback} after each row, the file itself {times(found)} positions",
            field="scan_shape", remedy="leave out scan_shape, skip and flyback for this file",
        )  # fmt: skip


def check_instrument(scan: Scan, instrument: Instrument) -> None:
    """Hold voltage, precession and scale in a scan's header against the config.

    Raises
    ------
    InputError
        If the header gives a voltage that is off by more than 2 %, a precession angle that is off
        by more than a tenth and 0.05 degrees, or a scale in 1/length or as an angle that is off by
        more than a factor of 2.
    """
    given = voltage_of(scan)
    if not math.isnan(given) and not math.isclose(
        given, instrument.voltage_kv, rel_tol=_SAME_VOLTAGE
    ):
        raise InputError(
            scan.path, f"its header says {given:g} kV, the config {instrument.voltage_kv:g} kV",
            field="voltage", remedy="correct voltage_kv of its instrument, or name the right file",
        )  # fmt: skip
    degrees = precession_of(scan)
    if not math.isnan(degrees) and not math.isclose(
        degrees, instrument.precession_deg, rel_tol=0.1, abs_tol=0.05
    ):
        raise InputError(
            scan.path, f"its header says a precession of {degrees:g} degrees, the config "
            f"{instrument.precession_deg:g}", field="precession",
            remedy="correct precession_deg of its instrument, or name the right file",
        )  # fmt: skip
    scale = reciprocal_scale(scan, instrument.voltage_kv)
    nominal = instrument.scale
    if nominal and max(scale / nominal, nominal / scale) > _SAME_SCALE:
        raise InputError(
            scan.path, f"its header says {scale:.3g} 1/angstrom per pixel, the config "
            f"{nominal:g}", field="scale",
            remedy="correct scale of its instrument, or name the right file",
        )  # fmt: skip


def reciprocal_scale(scan: Scan, voltage_kv: float) -> float:
    """Camera's scale in the header, 1/angstrom per pixel; NaN where it is none, or a length."""
    from diffsims.utils.sim_utils import get_electron_wavelength

    scale, unit = scan.scale or (math.nan, "")
    if unit.startswith("1/") and unit[2:] in NANOMETRES:
        return scale / (10 * NANOMETRES[unit[2:]])
    if unit in _RADIANS:
        return scale * _RADIANS[unit] / get_electron_wavelength(voltage_kv)
    return math.nan


def precession_of(scan: Scan) -> float:
    """Precession semi-angle in the header, degrees; NaN where it has none."""
    given = _number(scan.header["metadata"], "Acquisition_instrument", "TEM", "precession_deg")
    return given if given >= 0 else math.nan


def voltage_of(scan: Scan) -> float:
    """Acceleration voltage in the header, kV; NaN where it has none."""
    given = _number(scan.header["metadata"], "Acquisition_instrument", "TEM", "beam_energy")
    return given if given > 0 else math.nan


def step_of(scan: Scan, table_nm: float) -> float:
    """Scan step, nm: the table's, which may calibrate the header's but not contradict it.

    Parameters
    ----------
    table_nm
        What the table of scans says; NaN takes the header's.

    Raises
    ------
    InputError
        If the two differ by more than a factor of 1.5, as another magnification or unit does, or
        if by the header rows are so much further apart than columns, or less.
    """
    rows, columns = scan.steps_nm
    if min(rows, columns) > 0 and max(rows / columns, columns / rows) > _SAME_STEP:
        raise InputError(
            scan.path, f"its header says a step of {columns:g} nm along rows and of {rows:g} nm"
            " from row to row, and positions of a map have to be square", field="scan_step_nm",
            remedy="correct the header if it is wrong, or save the scan with one step both ways",
        )  # fmt: skip
    header_nm = scan.scan_step_nm
    if math.isnan(table_nm) or math.isnan(header_nm):
        return header_nm if math.isnan(table_nm) else table_nm
    if max(table_nm / header_nm, header_nm / table_nm) > _SAME_STEP:
        raise InputError(
            scan.path, f"its header says a step of {header_nm:g} nm, the table of scans "
            f"{table_nm:g} nm", field="scan_step_nm",
            remedy="correct scan_step_nm in the table, or leave it out",
        )  # fmt: skip
    return table_nm


def _number(content: dict, *keys: str) -> float:
    """A number of a header; NaN where there is none."""
    value: object = content
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return float(value) if isinstance(value, (int, float)) else math.nan
