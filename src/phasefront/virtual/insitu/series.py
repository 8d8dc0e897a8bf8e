"""A whole virtual series without its patterns: what each scan's positions see, and when.

Phases are those of the moment at which the beam is at a position. How the patterns look is the
business of `filming`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.experiment.settings.virtual_series import (
    Pulses,
    SeriesPlan,
    VirtualMember,
    VirtualSeries,
)
from phasefront.layouts.truth import SERIES_TRUTH
from phasefront.virtual.insertion import placing
from phasefront.virtual.insitu import clock
from phasefront.virtual.insitu.fronts import Pictured, Straight
from phasefront.virtual.insitu.motion import Motion
from phasefront.virtual.insitu.region import Region, draw_region

# Gamma of a scan whose camera's does not spread; that of `camera.simulate_scan`.
_GAMMA = 0.567
_ANGSTROM_PER_NM = 10.0  # by definition


@dataclass(frozen=True)
class Tilts:
    """Each grain tilts once, about an axis in the plane of the first scan."""

    angle: float  # radian
    axis: np.ndarray  # (grain,) radian from x towards y
    before: np.ndarray  # (grain,) first scan after it

    def of_scan(self, scan: int) -> np.ndarray:
        """Rotation vectors (grain, 3) by which grains are tilted in a scan."""
        angle = self.angle * (scan >= self.before)
        return np.stack(
            [angle * np.cos(self.axis), angle * np.sin(self.axis), np.zeros(len(angle))], axis=1
        )


@dataclass(frozen=True)
class Seen:
    """What a scan's positions see; arrays begin with the grain where they are of each."""

    time: np.ndarray  # (ny, nx) s on the log's clock
    charge: np.ndarray  # (ny, nx) mA h
    places: np.ndarray  # (2, ny, nx) row and column in the frame of the first scan
    thickness: np.ndarray  # (grain, ny, nx) nm
    rich: np.ndarray  # (grain, ny, nx) share of the ion-rich phase of a grain's thickness
    dose: np.ndarray  # (ny, nx) electrons per square angstrom


@dataclass(frozen=True)
class Series:
    """A virtual series; scans are numbered in the order of time."""

    name: str
    log: str
    asked: VirtualSeries
    pulses: Pulses
    members: tuple[VirtualMember, ...]
    region: Region
    motion: Motion
    tilts: Tilts
    gammas: np.ndarray  # (scan,)
    resistance: np.ndarray  # (row, column) of places: dose at which the beam flips it, over `flips`
    corner: np.ndarray  # (2,) place of its first
    seed: int

    def see(self, scan: int) -> Seen:
        """What the positions of a scan see."""
        member, shape = self.members[scan], self.motion.shape
        passed = clock.time_in_scan(member, *np.indices(shape, dtype=float))
        places = self.motion.places(scan, passed / clock.lasts(member, shape))
        start = clock.start_on_log(member, self.pulses, self.asked.clock_offset_s)
        charge = clock.charge_at(self.pulses, start + passed)
        dose = self.dose(scan, places)
        rich = self.region.rich(*places, charge)
        if self.asked.beam.flips is not None:
            rich = np.where(dose > self.asked.beam.flips * self._resistance(places), 0.0, rich)
        thickness = self.region.thickness(*places)
        return Seen(start + passed, charge, places, thickness, rich * (thickness > 0), dose)

    def dose(self, scan: int, places: np.ndarray) -> np.ndarray:
        """Electrons per square angstrom that places (2, ...) got by a scan's beam, and before.

        A place got the dose of those earlier scans whose field it was in.
        """
        dose = np.full(places.shape[1:], _dose(self.members[scan]))
        limits = np.array(self.motion.shape).reshape(2, *[1] * (places.ndim - 1)) - 0.5
        for before in range(scan):
            member = self.members[before]
            whole = clock.lasts(member, self.motion.shape)

            def part(y, x, member=member, whole=whole):
                return clock.time_in_scan(member, y, x) / whole

            at = self.motion.positions(before, places, part)
            dose += _dose(member) * ((at >= -0.5) & (at < limits)).all(axis=0)
        return dose

    def _resistance(self, places: np.ndarray) -> np.ndarray:
        last = np.array(self.resistance.shape).reshape(2, 1, 1) - 1
        row, column = np.clip(np.rint(places - self.corner.reshape(2, 1, 1)), 0, last).astype(int)
        return self.resistance[row, column]


def planned_series(plan: SeriesPlan, grains: str | Path = placing.DATA_FILE) -> Series:
    """The series that a config and its tables plan, with a file of simulated grains."""
    chosen = placing.Choice(plan.simulated.part, tuple(plan.simulated.regimes), grains)
    return make_series(
        plan.series, plan.asked, log=plan.log, pulses=plan.pulses, members=plan.members,
        shape=plan.shape, simulated=chosen, seed=plan.seed,
    )  # fmt: skip


def make_series(
    name: str,
    asked: VirtualSeries,
    *,
    log: str,
    pulses: Pulses,
    members: Sequence[VirtualMember],
    shape: tuple[int, int] = (64, 64),
    simulated: placing.Choice = placing.Choice(),  # noqa: B008 - frozen
    seed: int,
) -> Series:
    """A virtual series of scans of one region.

    Parameters
    ----------
    asked, pulses
        What happens to the region, and the log meanwhile.
    members
        Its scans in any order, as the table of scans places them.
    shape
        Rows and columns of positions of every scan.
    simulated
        Which grains of the file of simulated ones are pictured.
    seed
        Of grains, fronts and motions.

    Raises
    ------
    InputError
        A scan is beyond the log, or begins before another one has ended; rows are too short for
        their positions; steps of scans differ.
    """
    members = sorted(members, key=lambda member: clock.start_on_log(member, pulses, 0.0))
    _check(name, members, shape, pulses, asked.clock_offset_s)
    step = members[0].scan_step_nm
    streams = np.random.default_rng([seed, 0]).spawn(5)
    charge = float(clock.switches(pulses)[1][-1])
    region = draw_region(
        asked, shape=shape, scan_step_nm=step, charge=charge, simulated=simulated, rng=streams[0]
    )
    motion = Motion.draw(asked.motion, len(members), shape, streams[1])
    axis = streams[2].uniform(0, 2 * np.pi, asked.grains)
    before = streams[2].integers(1, max(2, len(members)), asked.grains)
    # Places that any scan sees: its corners turn and shift no farther.
    reach = int(np.hypot(*shape) / 2 + np.abs(motion.offset).max() + np.abs(motion.drift).max()) + 2
    corner = np.array([(side - 1) // 2 - reach for side in shape])
    return Series(
        name=name, log=log, asked=asked, pulses=pulses, members=tuple(members), region=region,
        motion=motion, tilts=Tilts(np.deg2rad(asked.motion.tilt_deg), axis, before),
        gammas=_GAMMA * (1 + asked.gamma_spread * streams[3].standard_normal(len(members))),
        # Each place flips at a random dose, so that the share that has not falls e-fold.
        resistance=streams[4].exponential(size=(2 * reach + 2, 2 * reach + 2)), corner=corner,
        seed=seed,
    )  # fmt: skip


def truth_of_series(
    series: Series, *, ion_contents: Mapping[str, float], formula_volumes: Mapping[str, float]
) -> xr.Dataset:
    """SERIES_TRUTH of a series.

    `ion_contents` and `formula_volumes` (angstrom^3) are those of its two phases by name: the ion
    content of a column is the mean over its formula units.
    """
    seen = [series.see(number) for number in range(len(series.members))]
    whole = {
        name: np.stack([getattr(one, name) for one in seen]) for name in ("time", "charge", "dose")
    }
    thickness = np.stack([one.thickness for one in seen])
    total = thickness.sum(axis=1)
    with np.errstate(invalid="ignore"):
        rich = np.stack([(one.rich * one.thickness).sum(axis=0) for one in seen]) / total
    names = series.asked.phases
    units = np.stack([rich / formula_volumes[names[0]], (1 - rich) / formula_volumes[names[1]]])
    contents = np.array([ion_contents[name] for name in names])
    order = np.arange(thickness.shape[1])[:, None, None]
    motion, step = series.motion, series.members[0].scan_step_nm
    fronts = series.asked.fronts
    return netcdf.build(
        SERIES_TRUTH,
        whole | _of_grains(series) | {
            "scan": [member.scan for member in series.members],
            "row": [one.places[0] for one in seen], "column": [one.places[1] for one in seen],
            "label": np.where(thickness > 0, order, -1).max(axis=1),
            "thickness": total, "rich": rich,
            "ion_content": np.tensordot(contents, units, axes=1) / units.sum(axis=0),
            "offset_row": motion.offset[:, 0], "offset_column": motion.offset[:, 1],
            "drift_row": motion.drift[:, 0], "drift_column": motion.drift[:, 1],
            "rotation": np.degrees(motion.angle), "gamma": series.gammas,
        },
        {
            "series": series.name, "log": series.log, "log_start": series.pulses.started,
            "clock_offset_s": series.asked.clock_offset_s, "rich_phase": names[0],
            "poor_phase": names[1], "scan_step_nm": step,
            "front_width_nm": fronts.width_nm if fronts else np.nan, "seed": series.seed,
        },
    )  # fmt: skip


def _of_grains(series: Series) -> dict[str, np.ndarray]:
    pulses, step, tilts = series.pulses, series.members[0].scan_step_nm, series.tilts
    told = []
    for front in series.region.fronts:
        one = dict.fromkeys(
            ("begins", "ends", "begins_charge", "ends_charge", "normal", "speed",
             "speed_under_current", "origin", "entry_row", "entry_column"), np.nan,
        )  # fmt: skip
        if isinstance(front, Straight | Pictured):
            when = np.array([front.begins, front.ends])
            one |= dict(zip(("begins_charge", "ends_charge"), when, strict=True))
            times = clock.time_of_charge(pulses, when)
            one |= dict(zip(("begins", "ends"), times, strict=True))
        if isinstance(front, Straight):
            speed = front.speed * step
            row, column = front.entered
            one |= {
                "normal": np.degrees(front.normal), "speed": speed, "origin": front.origin,
                "speed_under_current": speed * pulses.current_ma / clock.HOUR_S,
                "entry_row": row, "entry_column": column,
            }  # fmt: skip
        beam, moves = series.asked.beam.flips is not None, isinstance(front, Straight | Pictured)
        cause = {(True, True): "both", (True, False): "charge", (False, True): "beam"}
        one["cause"] = cause.get((moves, beam), "none")
        one["course"] = type(front).__name__.lower()
        told.append(one)
    return {name: np.array([one[name] for one in told]) for name in told[0]} | {
        "area": series.region.area, "tilt": np.full(len(told), np.degrees(tilts.angle)),
        "tilt_axis": np.degrees(tilts.axis), "tilt_before": tilts.before,
    }  # fmt: skip


def _dose(member: VirtualMember) -> float:
    return member.electrons_per_position / (_ANGSTROM_PER_NM * member.scan_step_nm) ** 2


def _check(name, members, shape, pulses, offset_s) -> None:
    ends = clock.switches(pulses)[0][-1]
    before = None
    for member in members:
        if shape[1] * member.dwell_ms > member.row_ms:
            raise _refused(
                name, f"{shape[1]} positions of {member.dwell_ms:g} ms do not fit into a row of"
                f" {member.row_ms:g} ms", member, "row_ms", "give row_ms with the flyback"
            )  # fmt: skip
        first = clock.start_on_log(member, pulses, offset_s)
        last = first + clock.lasts(member, shape)
        if first < 0 or last > ends:
            raise _refused(
                name, f"it is taken from {first:g} to {last:g} s of a log of 0 to {ends:g} s",
                member, "start", "correct start, or the log's lengths in virtual.logs",
            )  # fmt: skip
        if member.scan_step_nm != members[0].scan_step_nm:
            raise _refused(
                name, "its step differs from that of other scans of the series", member,
                "scan_step_nm", "give all of them one",
            )  # fmt: skip
        if before is not None and first < before:
            raise _refused(
                name, "it begins before the last one has ended", member, "start",
                "give the scans of a series times of their own",
            )  # fmt: skip
        before = last


def _refused(name: str, problem: str, member: VirtualMember, field: str, remedy: str) -> InputError:
    return InputError(
        f"virtual series {name}", problem, field=f"{member.scan}.{field}", remedy=remedy
    )
