"""NanoMegas TopSpin (.app5)."""

from __future__ import annotations

import math
from contextlib import suppress
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from phasefront.core.errors import InputError
from phasefront.core.moments import Stamp, month_first
from phasefront.scans.formats.hdf5 import refuse_unwritten
from phasefront.scans.formats.scan import Axis, Scan, build_scan, the_only
from phasefront.scans.formats.timing import Timing


def open_topspin(path: Path) -> Scan:
    """TopSpin: one HDF5 group a position, read one by one; rosettasciio reads them all at once."""
    import h5py

    with h5py.File(path) as file:
        groups = [item for item in file.values() if isinstance(item, h5py.Group)]
        groups += [
            item for group in groups if "0" not in group
            for item in group.values() if isinstance(item, h5py.Group)
        ]  # fmt: skip
        name = the_only(path, [group.name for group in groups if "0/Data" in group])
        group = file[name]
        axes = [*_topspin_positions(path, group), *_topspin_camera(group)]
        refuse_unwritten(path, group["0/Data"])
        dtype = group["0/Data"].dtype
        header = _leaves(_xml(group.parent["Metadata"]))
    nx, *camera = (axis.size for axis in axes[1:])

    def read(start: int, stop: int) -> np.ndarray:
        block = np.empty((stop - start, nx, *camera), dtype)
        with h5py.File(path) as file:
            for i, pattern in enumerate(block.reshape(-1, *camera), start * nx):
                refuse_unwritten(path, stored := file[f"{name}/{i}/Data"])
                stored.read_direct(pattern)
        return block

    return build_scan(
        path, (path,), axes, dtype, _microscope(header), header, read,
        timing=lambda: _timing(header),
    )  # fmt: skip


def _timing(header: dict) -> Timing:
    """Start and end of the whole scan, local and to the second; frames have no times.

    .NET writes them with the month first, whatever the computer's language.
    """
    flyback = 0.0
    with suppress(KeyError, ValueError):
        flyback = max(0.0, float(header["FlybackWaitTime"]))
    start, end = (
        month_first(*header.get(name, " ").split(" ", 1), name) if " " in header.get(name, "")
        else Stamp(None, f"the file has no {name}")
        for name in ("StartDateTime", "EndDateTime")
    )  # fmt: skip
    return Timing(start, end, flyback_s=flyback)


def _microscope(header: dict) -> dict:
    """Voltage, kV, and precession, degrees, in rosettasciio's common terms and one of ours."""
    found = {}
    with suppress(KeyError, ValueError):
        found["beam_energy"] = float(header["GunHighVoltage"]) / 1e3
    with suppress(KeyError, ValueError):
        if header["IsPrecessionEnabled"] == "True":
            found["precession_deg"] = math.degrees(
                float(header["PrecessionHardwarePrecessionAngle"])
            )
    return {"Acquisition_instrument": {"TEM": found}} if found else {}


def _topspin_positions(path: Path, group) -> list[Axis]:
    """Rows and columns of the scan from the beam positions of the first row and the next."""

    def position(frame: int) -> tuple[float, float]:
        items = _xml(group[f"{frame}/Metadata"]).iter("Item")
        beam = next(i for i in items if i.findtext("Name") == "RequestedBeamPosition").find("Value")
        return float(beam.findtext("Y")) * 1e9, float(beam.findtext("X")) * 1e9

    frames = len(group)
    origin = position(0)
    nx = 1
    while nx < frames and position(nx)[0] == origin[0]:
        nx += 1
    starts = {nx * row for row in range(1, frames // nx)} & {nx, frames - nx}
    if frames % nx or any(position(start)[1] != origin[1] for start in starts):
        raise InputError(
            path, f"its {frames} patterns do not make full lines of {nx}", field=group.name,
            remedy="export the scan from TopSpin again, complete",
        )  # fmt: skip
    step_y = abs(position(nx)[0] - origin[0]) if frames > nx else 0
    step_x = abs(position(1)[1] - origin[1]) if nx > 1 else 0
    # Positions are given to 15 digits of a metre: the steps are good to far below 1e-6 nm.
    return [
        Axis("y", frames // nx, round(step_y, 6), "nm"),
        Axis("x", nx, round(step_x, 6), "nm"),
    ]


def _topspin_camera(group) -> list[Axis]:
    """Rows and columns of the camera, with the scale of the first pattern where it is an angle."""
    calibration = _xml(group["0/Metadata"]).find("Calibration")
    axes = []
    for name, tag, size in zip(("ky", "kx"), "YX", group["0/Data"].shape, strict=True):
        angle = calibration.findtext(f"{tag}/Type/Text") == "Angle"
        scale = float(calibration.findtext(f"{tag}/Scale")) if angle else 0
        axes.append(Axis(name, size, scale, "rad" if angle else ""))
    return axes


def _xml(dataset) -> ElementTree.Element:
    """Root of TopSpin's XML; it is UTF-8 whatever encoding it declares."""
    return ElementTree.fromstring(dataset[()].decode())


def _leaves(document: ElementTree.Element) -> dict:
    """Texts of TopSpin's metadata: plain children, and named items under their names."""
    texts = {child.tag: child.text for child in document if len(child) == 0 and child.text}
    texts.pop("Output", None)  # the acquisition's log
    for item in document.iter("Item"):
        if item.findtext("Value"):
            texts[item.findtext("Name")] = item.findtext("Value")
    return {name: text.strip() for name, text in texts.items() if text.strip()}
