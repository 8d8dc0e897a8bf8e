"""What the stage `series` tells of virtual in situ series, against their truth.

`python -m benchmarks.insitu` writes `results/bench/insitu.json`; `make docs` then writes
docs/series.md. Series differ in grains, fronts, motions and clocks by their seeds; no constant was
chosen on these.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import numpy as np
import xarray as xr
from scipy.ndimage import map_coordinates

from benchmarks import insitu_world, parts
from benchmarks.insitu_world import PULSES, World
from phasefront.diffraction.crystals import laue_rotations
from phasefront.experiment.settings.virtual_series import Pulses, VirtualBeam, VirtualSeries
from phasefront.series import aligned, histories, tracking
from phasefront.series.attribution import attribute
from phasefront.series.histories import Gaps
from phasefront.series.wording import likeliest
from phasefront.virtual.insitu.clock import time_of_charge
from phasefront.virtual.insitu.fronts import Straight

OUT = Path(__file__).resolve().parents[1] / "results" / "bench" / "insitu.json"
SEED = 20261129
SYMMETRY = laue_rotations("4/mmm")
_PHASES = {"phases": ("Na3", "Na2"), "clock_offset_s": 37}
CHARGING = VirtualSeries(**_PHASES)
STATIC = VirtualSeries(**_PHASES, fronts=None)
# A dose that a tenth of the series gives, so that the beam converts most of the places.
BEAM = VirtualSeries(**_PHASES, fronts=None, beam=VirtualBeam(flips=800))
# The log begins long before the scans and ends long after, so that other offsets are possible.
LONG = Pulses(
    started="2025-07-14T09:00:00+02:00", current_ma=0.02, pulses=6, pulse_s=900, pause_s=450,
    before_s=5400, after_s=5400,
)  # fmt: skip
# Grains of which causes are asked and the side of their scans, which have a few positions each, how
# many these are, and what is added to the seeds of controls.
_POPULATIONS, _FEW_SCANS, _ELSEWHERE = {6: 32, 12: 45, 24: 64}, 12, 500
# Drawn series of each kind.
_DRAWN = 200
# What a beginning may be off by: a scan's row takes 4 s, and the clocks err by 10 s.
ALLOWED_S = 14.0
# Of the log, before the first scan and after the last, s.
_MARGIN_S = 4200.0


def follow(world: World, seed: int) -> tuple[xr.Dataset, xr.Dataset]:
    """ALIGNMENT and SERIES of a made series."""
    found = aligned.align_series("virtual", world.scans, world.grains, SYMMETRY)
    return found, tracking.follow_series(
        found,
        world.phases,
        world.grains,
        world.times,
        world.cycling,
        fields={(0, 1): (3.0, 2.0)},
        seed=seed,
    )


def fronts(seeds: range) -> dict:
    """Fronts, nucleation and registration of series of twenty scans."""
    rows, registered, seconds, overlaps = [], [], [], []
    for seed in seeds:
        world = insitu_world.make(CHARGING, seed)
        begun = perf_counter()
        alignment, found = follow(world, seed)
        seconds.append(perf_counter() - begun)
        registered += registration_errors(world, alignment)
        rows += grain_errors(world, found)
        overlaps.append(found.attrs["population"].split(":")[0])
    straight = [row for row in rows if row["course"] == "straight" and row["direction"] is not None]
    still = [row for row in rows if row["course"] == "still"]
    return {
        "series": len(seeds), "seconds": round(float(np.median(seconds)), 1),
        "straight": len(straight), "still": len(still),
        "missed": sum(row["course"] != "still" and not row["converts"] for row in rows),
        "still_converts": sum(row["converts"] for row in still),
        "registration_px": _spread(registered),
        "speed": _judged(straight, "speed"), "direction": _judged(straight, "direction"),
        "begin": _judged(straight, "begin"), "nucleation": _nucleation(straight),
        "populations": overlaps,
        "laws": Counter(row["law"] for row in straight),
        "ways": Counter(row["way"] for row in straight), "rows": rows,
    }  # fmt: skip


def registration_errors(world: World, alignment: xr.Dataset) -> list[float]:
    """Root mean square error (positions) of where each later scan lies on the first."""
    truth, shape = world.truth, world.truth["row"].shape[1:]
    middle = (np.array(shape)[:, None] - 1) / 2
    grid = np.indices(shape).reshape(2, -1)
    first = [truth[name].to_numpy()[0] for name in ("row", "column")]
    errors = []
    for at in range(1, alignment.sizes["scan"]):
        one = alignment.isel(scan=at)
        back = np.linalg.inv(one["matrix"].to_numpy())
        place = back @ (grid - middle - one["shift"].to_numpy()[:, None]) + middle
        seen = [map_coordinates(map_, place, order=1, cval=np.nan) for map_ in first]
        true = [truth[name].to_numpy()[at].ravel() for name in ("row", "column")]
        errors.append(float(np.sqrt(np.nanmean((np.array(seen) - np.array(true)) ** 2))))
    return errors


def grain_errors(world: World, found: xr.Dataset) -> list[dict]:
    """Of each grain: what was found beside what is true, with intervals.

    `begin` stands beside when the front's band reaches the first place of the grain that is shown,
    `nucleation` is the same time beside when it reaches the grain itself, seen or not.
    """
    truth, label = world.truth, found["label"].to_numpy()
    of_first = np.where(label >= 0, world.truth["label"].to_numpy()[0], -1)
    rows = []
    for grain in range(found.sizes["grain"]):
        own = of_first[(label == grain) & (of_first >= 0)]
        if own.size < 20:
            continue
        number = int(np.bincount(own).argmax())
        true = truth.isel(grain=number)
        row = {
            "course": str(true["course"].item()), "converts": bool(found["converts"][grain]),
            "law": likeliest(found, "law", grain), "way": likeliest(found, "way", grain),
            "positions": int(found["size"][grain]), "seen": bool(found["begin_seen"][grain]),
        }  # fmt: skip
        shown, whole = _begins(world, number, label == grain)
        for name, of, value in (
            ("speed", "speed", true["speed_under_current"]),
            ("direction", "direction", true["normal"]),
            ("begin", "begin", shown), ("nucleation", "begin", whole),
        ):  # fmt: skip
            told = [float(found[f"{of}{end}"][grain]) for end in ("", "_low", "_high")]
            known = np.isfinite([*told, float(value)]).all()
            row[name] = [*told, float(value)] if known else None
        rows.append(row)
    return rows


def _begins(world: World, number: int, shown: np.ndarray) -> tuple[float, float]:
    """When the band of a straight front reaches the first of the places that the first scan shows
    of its grain, and the first of the grain's own; s, NaN for another front."""
    front = world.series.region.fronts[number]
    if not isinstance(front, Straight):
        return np.nan, np.nan
    places = np.array([world.truth[name].to_numpy()[0][shown] for name in ("row", "column")])
    first = np.array([front.coordinate(*places).min(), front.coordinate(*front.entered)])
    charge = front.begins + (first - 0.5 * front.width - front.origin) / front.speed
    shown_at, whole = time_of_charge(world.series.pulses, np.maximum(charge, front.begins))
    return float(shown_at), float(whole)


def _nucleation(straight: list[dict]) -> dict:
    """How well beginnings are told where they are seen, and whether hidden ones are said to be."""
    seen = [row for row in straight if row["seen"]]
    hidden = [row for row in straight if not row["seen"]]
    before = sum(row["nucleation"][3] <= row["nucleation"][2] for row in hidden)
    off = np.abs([row["begin"][0] - row["begin"][3] for row in straight])
    widths = np.array([row["begin"][2] - row["begin"][1] for row in straight])
    return {
        "allowed_s": ALLOWED_S, "within_allowed": float((off <= ALLOWED_S).mean()),
        "within_twice": float((off <= 2 * ALLOWED_S).mean()),
        "with_a_rest": int((widths > PULSES.pause_s).sum()),
        "seen": len(seen), "hidden": len(hidden), "hidden_before": before,
        "of_seen": _judged(seen, "nucleation"),
    }  # fmt: skip


def _judged(rows: list[dict], name: str) -> dict:
    values = np.array([row[name] for row in rows])
    off = values[:, :3] - values[:, 3:]
    if name == "direction":
        off = (off + 180) % 360 - 180
    if name == "speed":
        off = off / values[:, 3:]
    inside = (off[:, 1] <= 0) & (off[:, 2] >= 0)
    error = np.abs(off[:, 0])
    return {
        "median": float(np.median(error)), "rms": float(np.sqrt((error**2).mean())),
        "90th": float(np.quantile(error, 0.9)), "bias": float(np.median(off[:, 0])),
        "coverage": float(inside.mean()), "width": float(np.median(off[:, 2] - off[:, 1])),
    }  # fmt: skip


def _spread(values: list[float]) -> dict:
    return {
        "rms": float(np.sqrt(np.mean(np.square(values)))), "worst": float(np.max(values)),
        "scans": len(values),
    }  # fmt: skip


def sureness(seeds: range) -> dict:
    """How often what is sure is wrong, and what changes in a control in which nothing does."""
    wrong, sure, alone, right, changes, places = 0, 0, 0, 0, 0, 0
    for seed in seeds:
        world = insitu_world.make(CHARGING, seed)
        _, found = follow(world, seed)
        for at in range(found.sizes["scan"]):
            states, single = found["smooth"].to_numpy()[at], found["single"].to_numpy()[at]
            share = _true_share(world, found, at)
            known = np.isfinite(states[..., 0]) & np.isfinite(share)
            true = np.where(share > 0.95, 0, np.where(share < 0.05, 2, 1))
            is_sure = known & (states.max(axis=-1) > 0.99)
            sure += int(is_sure.sum())
            wrong += int((is_sure & (states.argmax(axis=-1) != true)).sum())
            right += int((known & (states.argmax(axis=-1) == true)).sum())
            shown = known & np.isfinite(single[..., 0])
            alone += int((shown & (single.argmax(axis=-1) == true)).sum())
            places += int(known.sum())
        static = insitu_world.make(STATIC, seed)
        _, still = follow(static, seed)
        told = np.isfinite(still["smooth"].to_numpy()[0, ..., 0])
        poor = still["smooth"].to_numpy()[..., 2][:, told]
        changes += int((poor.max(axis=0) - poor.min(axis=0) > 0.95).sum())
    return {
        "sure_and_wrong": wrong / sure, "sure": sure / places, "right_smoothed": right / places,
        "right_alone": alone / places,
        "false_changes": changes / (len(seeds) * int(told.sum())), "series": len(seeds),
    }  # fmt: skip


def _true_share(world: World, found: xr.Dataset, at: int) -> np.ndarray:
    """True share of the rich phase, at the time of the scan, of the places of the first scan."""
    content = world.series.region
    charge = np.interp(
        found["time"].to_numpy()[at] + world.series.asked.clock_offset_s
        - found.attrs["declared_offset_s"],
        world.cycling["elapsed"], world.cycling["charge"],
    )  # fmt: skip
    first = [world.truth[one].to_numpy()[0] for one in ("row", "column")]
    rich = content.rich(*first, np.nan_to_num(charge))
    thickness = content.thickness(*first)
    thickest = thickness.argmax(axis=0)
    share = np.take_along_axis(rich, thickest[None], 0)[0]
    return np.where(np.isfinite(found["time"].to_numpy()[at]), share, np.nan)


def causes(seeds: range) -> list[dict]:
    """Verdicts of series that the beam made or the charge, with and without a control.

    Controls are other regions of as many grains, scanned as often without current. Beside them, of
    series that are drawn: grains convert wholly, at random doses, one after another.
    """
    rows = []
    for grains, side in _POPULATIONS.items():
        told: dict[str, list[str]] = {}
        for seed in seeds:
            for name, asked in (("beam", BEAM), ("charge", CHARGING)):
                own = _conversions(asked, seed, grains, side)
                other = BEAM if asked is BEAM else STATIC
                control = _conversions(other, seed + _ELSEWHERE, grains, side)
                control["charge"][:] = 0.0
                control.attrs["flow"] = "none"
                told.setdefault(f"{name}, no control", []).append(attribute("s", {"s": own}))
                both = attribute("s", {"s": own, "c": control})
                told.setdefault(f"{name}, a control", []).append(both)
        for name, by_beam in (("beam", 1.0), ("both", 0.5), ("charge", 0.0)):
            rng = np.random.default_rng([seeds[0], grains])
            told[f"{name}, a control, drawn"] = [
                attribute("s", _drawn_series(rng, grains, by_beam)) for _ in range(_DRAWN)
            ]
        rows += [
            {"grains": grains, "cause": name, "told": Counter(one.verdict for one in found)}
            for name, found in told.items()
        ]
    return rows


def _conversions(asked: VirtualSeries, seed: int, grains: int, side: int) -> xr.Dataset:
    """What `attribute` reads of a SERIES, of a made series that is not followed further."""
    asked = asked.model_copy(update={"grains": grains})
    world = insitu_world.make(asked, seed, shape=(side, side), scans=_FEW_SCANS)
    alignment = aligned.align_series("virtual", world.scans, world.grains, SYMMETRY)
    seen = aligned.see(alignment, world.phases, world.grains, world.times, (0, 1))
    free = Gaps.open(_FEW_SCANS - 1)
    chain = histories.fit(seen.content, seen.stderr, free, (3.0, 2.0))
    unguided = histories.histories(chain, seen.content, seen.stderr, free)
    found = tracking.conversions(seen, unguided, int(seen.grain.max()) + 1)
    of_scan = {
        name: ("scan", np.array([float(times[name].mean()) for times in world.times.values()]))
        for name in ("charge", "dose")
    }
    by_grain = {name: (("gap", "grain"), values) for name, values in found.items()}
    return xr.Dataset(by_grain | of_scan, attrs={"flow": "out"})


def _drawn_series(rng: np.random.Generator, grains: int, by_beam: float) -> dict[str, xr.Dataset]:
    """A series and its control, whose grains each convert at a random dose: two conversions a grain
    over the series, were each as if it were alone, of which the beam does so many."""
    dose = np.arange(_FEW_SCANS, dtype="f8")
    rates = {"s": 2.0, "c": 2.0 * by_beam}
    made = {}
    for name, rate in rates.items():
        at = rng.exponential(dose[-1] / max(rate, 1e-9), grains)
        moved = (np.ceil(at) == dose[1:, None]).astype("f8")
        left = 1.0 - np.cumsum(moved, axis=0) + moved
        charge = dose if name == "s" else np.zeros_like(dose)
        made[name] = xr.Dataset(
            {
                "moved": (("gap", "grain"), moved), "at_risk": (("gap", "grain"), left),
                "charge": ("scan", charge), "dose": ("scan", dose),
            },
            attrs={"flow": "out" if name == "s" else "none"},
        )  # fmt: skip
    return made


def offsets(seeds: range) -> dict:
    """Clock offsets found where the log has pulses, and the same with a steady current."""
    found = {"pulses": [], "steady": []}
    steady = LONG.model_copy(update={"pulses": 1, "pulse_s": 6 * 900 + 5 * 450.0})
    for seed in seeds:
        for name, pulses in (("pulses", LONG), ("steady", steady)):
            for wrong in (0.0, 600.0):
                world = insitu_world.make(
                    CHARGING, seed, pulses=pulses, declared_s=37.0 - wrong, margin_s=_MARGIN_S
                )
                series = follow(world, seed)[1]
                told = [float(series[f"offset{end}"]) for end in ("", "_low", "_high")]
                scan = float(np.median(np.diff(series["mean_time"].to_numpy())))
                found[name].append([*told, wrong, scan])
    return {name: _of_offsets(np.array(rows)) for name, rows in found.items()}


def _of_offsets(rows: np.ndarray) -> dict:
    told = np.isfinite(rows[:, 0])
    off = rows[told, 0] - rows[told, 3]
    return {
        "series": len(rows), "told": int(told.sum()),
        "within_a_scan": int((np.abs(off) <= rows[told, 4]).sum()),
        "covered": int(((rows[told, 1] <= rows[told, 3]) & (rows[told, 2] >= rows[told, 3])).sum()),
        "worst_s": float(np.abs(off).max()) if told.any() else None,
    }  # fmt: skip


PARTS: dict[str, Callable[[], object]] = {
    "fronts": lambda: fronts(range(SEED, SEED + 20)),
    "sureness": lambda: sureness(range(SEED + 20, SEED + 24)),
    "causes": lambda: causes(range(SEED + 40, SEED + 60)),
    "offsets": lambda: offsets(range(SEED + 60, SEED + 64)),
}


if __name__ == "__main__":
    parts.run(__doc__.splitlines()[0], PARTS, OUT)
