"""Virtual series as the analysis would have read them, made from the truth without patterns.

Ion contents have errors of two kinds, half of them repeating at a place, whose size is the grain's
own (its zone axis), and are what the truth says otherwise; grains lose some positions, and their
orientations are a tenth of a degree off. So what is measured is the stage `series` alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import xarray as xr
from scipy.spatial.transform import Rotation

from phasefront.core import netcdf
from phasefront.experiment.settings.virtual_series import Pulses, VirtualMember, VirtualSeries
from phasefront.layouts.grains import GRAINS
from phasefront.layouts.phases import PHASES, UNDECIDED, VACUUM
from phasefront.layouts.scans import SCAN
from phasefront.layouts.times import TIMES
from phasefront.virtual.insitu import clock
from phasefront.virtual.insitu.series import Series, make_series, truth_of_series

CONTENTS, VOLUMES = {"Na3": 3.0, "Na2": 2.0}, {"Na3": 220.0, "Na2": 214.0}
# Standard errors of an ion content, by grain; of the demo's they are 0.05 to 0.1.
_STDERR = (0.05, 0.15)
# Of the error's variance, the part that repeats at a place.
_REPEATED = 0.5
# A grain is seen alone where it has more of the thickness than this.
_ALONE = 0.75
# Positions that lose their grain, and error of a grain's orientation in degrees.
_LOST, _ORIENTATION = 0.03, 0.1
PULSES = Pulses(
    started="2025-07-14T09:00:00+02:00", current_ma=0.02, pulses=6, pulse_s=900, pause_s=450,
    before_s=1800, after_s=900,
)  # fmt: skip


@dataclass(frozen=True)
class World:
    """A virtual series as the stage reads it, and its truth."""

    series: Series
    truth: xr.Dataset
    scans: dict[str, xr.Dataset]
    grains: dict[str, xr.Dataset]
    phases: dict[str, xr.Dataset]
    times: dict[str, xr.Dataset]
    cycling: xr.Dataset


def make(
    asked: VirtualSeries, seed: int, *, scans: int = 20, declared_s: float = 30.0,
    error_s: float = 10.0, shape: tuple[int, int] = (64, 64), pulses: Pulses = PULSES,
    margin_s: float = 0.0,
) -> World:  # fmt: skip
    """A series of scans that share the log's time evenly, `margin_s` at both its ends left out."""
    whole = clock.switches(pulses)[0][-1] - 2 * margin_s
    every = (whole - 120.0) / scans
    begin = datetime.fromisoformat(pulses.started) + timedelta(seconds=margin_s + 10.0)
    members = [
        VirtualMember(
            scan=f"s{number:02d}", start=(begin + timedelta(seconds=every * number)).isoformat(),
            dwell_ms=20, row_ms=1e3 * min(4.0, 0.9 * every / shape[0]), scan_step_nm=10,
            electrons_per_position=1e6,
        )
        for number in range(scans)
    ]  # fmt: skip
    series = make_series(
        "virtual", asked, log="cell", pulses=pulses, members=members, shape=shape, seed=seed
    )
    truth = truth_of_series(series, ion_contents=CONTENTS, formula_volumes=VOLUMES)
    rng = np.random.default_rng([seed, 77])
    repeated = _Field(rng, series)
    names = [member.scan for member in series.members]
    rotation = Rotation.random(asked.grains, random_state=seed)
    read = {name: _read(series, at, rotation, repeated, rng) for at, name in enumerate(names)}
    off = asked.clock_offset_s - declared_s
    return World(
        series, truth,
        {name: one[0] for name, one in read.items()}, {name: one[1] for name, one in read.items()},
        {name: one[2] for name, one in read.items()},
        {
            name: _times(truth.isel(scan=at), name, pulses, off, declared_s, error_s)
            for at, name in enumerate(names)
        },
        _log(pulses),
    )  # fmt: skip


class _Field:
    """An error that repeats at each place of the specimen, for each grain in its own units."""

    def __init__(self, rng: np.random.Generator, series: Series):
        self.values = rng.normal(size=(160, 160))
        self.stderr = rng.uniform(*_STDERR, series.asked.grains)

    def at(self, row: np.ndarray, column: np.ndarray) -> np.ndarray:
        y, x = (np.clip(np.rint(one).astype(int) + 48, 0, 159) for one in (row, column))
        return self.values[y, x]


def _read(series: Series, at: int, rotation: Rotation, repeated: _Field, rng):
    """SCAN, GRAINS and PHASES of a scan: of the thicker grain where two lie above each other, and
    of none where the other is not much thinner."""
    seen = series.see(at)
    total = seen.thickness.sum(axis=0)
    thickest = seen.thickness.argmax(axis=0)
    share = np.take_along_axis(seen.thickness, thickest[None], 0)[0] / np.maximum(total, 1e-9)
    label = np.where((total > 0) & (share > _ALONE), thickest, -1)
    shape = label.shape
    rich = np.take_along_axis(seen.rich, thickest[None], 0)[0]
    stderr = np.append(repeated.stderr, 1.0)[label] * rng.uniform(0.8, 1.25, shape)
    error = np.sqrt(1 - _REPEATED) * rng.normal(size=shape)
    error += np.sqrt(_REPEATED) * repeated.at(*seen.places)
    content = 2.0 + rich + stderr * error
    turn = Rotation.from_rotvec(series.tilts.of_scan(at)) * Rotation.from_rotvec(
        [0, 0, float(series.motion.angle[at])]
    )
    noise = Rotation.from_rotvec(rng.normal(0, _ORIENTATION, (len(rotation), 3)), degrees=True)
    turned = (rotation * turn.inv() * noise).as_quat(scalar_first=True)
    kept = np.where(rng.random(shape) < _LOST, -1, label)
    order = rng.permutation(np.unique(kept[kept >= 0]))
    number = np.full(len(rotation) + 1, -1)
    number[order] = np.arange(len(order))
    gain = rng.uniform(0.7, 1.3, len(rotation) + 1)[label]
    dark = total * gain * (1 + 0.05 * rng.normal(size=shape)) + 1.0
    decided = np.where(label < 0, UNDECIDED, np.where(content > 2.5, 0, 1))
    decided = np.where(total > 0, decided, VACUUM)
    return (
        _unknown(SCAN, shape, dark_field=dark, mean_pattern=np.ones((4, 4))),
        _unknown(GRAINS, shape, label=number[kept], rotation=turned[order], grain=len(order)),
        _unknown(
            PHASES, shape, phase=np.array(["Na3", "Na2"], dtype=object), decision=decided,
            ion_content=content, ion_content_stderr=np.where(label < 0, np.nan, stderr),
        ),
    )  # fmt: skip


def _unknown(layout, shape, *, grain: int = 1, **given) -> xr.Dataset:
    """A data set of a layout with what is given; the rest is NaN, 0 or empty, and not read."""
    sizes = {
        "y": shape[0], "x": shape[1], "ky": 4, "kx": 4, "grain": grain, "phase": 2,
        "grain_edge": grain + 1,
    }  # fmt: skip
    values = {}
    for name, declared in layout.variables.items():
        if name in given:
            values[name] = given.pop(name)
            continue
        filled = [sizes.get(dim, 4) for dim in declared.dims]
        if declared.dtype == "str":
            values[name] = np.full(filled, "", dtype=object)
        else:
            values[name] = np.full(filled, np.nan if declared.dtype.startswith("f") else 0)
    attributes = dict.fromkeys(layout.attributes, "") | {"scan_step_nm": 10.0}
    attributes["start"] = "2025-07-14T09:00:00+02:00"
    return netcdf.build(layout, values, {name: attributes[name] for name in layout.attributes})


def _times(one, name, pulses, off, declared_s, error_s) -> xr.Dataset:
    """As the declared offset places it on the log."""
    believed = one["time"].to_numpy() - off
    charge = clock.charge_at(pulses, believed)
    shape = believed.shape
    flows = np.interp(believed, *_flowing(pulses)) * pulses.current_ma
    return netcdf.build(
        TIMES,
        {
            "time": believed, "voltage": np.full(shape, 3.7), "current": flows, "charge": charge,
            "dose": np.full(shape, float(one["dose"].max())),
        },
        {
            "scan": name, "series": "virtual", "log": "cell", "scan_start": "", "log_start": "",
            "clock_offset_s": declared_s, "clock_offset_error_s": error_s,
        },
    )  # fmt: skip


def _flowing(pulses: Pulses) -> tuple[np.ndarray, np.ndarray]:
    time, passed = clock.switches(pulses)
    middle = 0.5 * (time[1:] + time[:-1])
    return middle, (np.diff(passed) > 0).astype("f8")


def _log(pulses: Pulses) -> xr.Dataset:
    time = np.arange(0.0, clock.switches(pulses)[0][-1] + 1.0, 10.0)
    charge = clock.charge_at(pulses, time)
    # Voltage, current and steps are not read.
    unread = np.zeros_like(time)
    records = {"elapsed": time, "time": time, "charge": charge, "voltage": unread,
               "current": unread, "step": unread}  # fmt: skip
    return xr.Dataset(
        {name: ("record", values) for name, values in records.items()}, attrs={"log": "cell"}
    )
