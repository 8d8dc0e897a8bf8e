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

from benchmarks import insitu_fronts, insitu_world, parts
from benchmarks.insitu_world import World
from phasefront.diffraction.crystals import laue_rotations
from phasefront.experiment.settings.virtual_series import Pulses, VirtualBeam, VirtualSeries
from phasefront.series import aligned, histories, tracking
from phasefront.series.attribution import attribute
from phasefront.series.histories import Gaps

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
# Grains of which causes are asked, the side of their scans, how many these are, and what is added
# to the seeds of controls.
_GRAINS, _SIDE, _FEW_SCANS, _ELSEWHERE = 6, 32, 12, 500
# Grains of drawn series, and how many of each kind.
_DRAWN_GRAINS, _DRAWN = (6, 12, 24), 200
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
    """What `insitu_fronts.judged` takes of series of twenty scans."""
    found = {"seconds": [], "registered": [], "rows": [], "populations": []}
    for seed in seeds:
        world = insitu_world.make(CHARGING, seed)
        begun = perf_counter()
        alignment, series = follow(world, seed)
        found["seconds"].append(perf_counter() - begun)
        found["registered"] += insitu_fronts.registration_errors(world, alignment)
        found["rows"] += insitu_fronts.grain_errors(world, series)
        found["populations"].append(series.attrs["population"].split(":")[0])
    return found


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
    told: dict[str, list] = {}
    for seed in seeds:
        for name, asked in (("beam", BEAM), ("charge", CHARGING)):
            own = _conversions(asked, seed)
            other = BEAM if asked is BEAM else STATIC
            control = _conversions(other, seed + _ELSEWHERE)
            control["charge"][:] = 0.0
            control.attrs["flow"] = "none"
            told.setdefault(f"{name}, no control", []).append(attribute("s", {"s": own}))
            both = attribute("s", {"s": own, "c": control})
            told.setdefault(f"{name}, a control", []).append(both)
    rows = [(_GRAINS, name, found) for name, found in told.items()]
    for grains in _DRAWN_GRAINS:
        for name, by_beam in (("beam", 1.0), ("both", 0.5), ("charge", 0.0)):
            rng = np.random.default_rng([seeds[0], grains])
            drawn = [attribute("s", _drawn_series(rng, grains, by_beam)) for _ in range(_DRAWN)]
            rows.append((grains, f"{name}, a control, drawn", drawn))
    return [
        {"grains": grains, "cause": name, "told": Counter(one.verdict for one in found)}
        for grains, name, found in rows
    ]


def _conversions(asked: VirtualSeries, seed: int) -> xr.Dataset:
    """What `attribute` reads of a SERIES, of a made series that is not followed further."""
    asked = asked.model_copy(update={"grains": _GRAINS})
    world = insitu_world.make(asked, seed, shape=(_SIDE, _SIDE), scans=_FEW_SCANS)
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
    # In pieces of some minutes each.
    **{
        name: lambda at=at: fronts(range(SEED + 5 * at, SEED + 5 * at + 5))
        for at, name in enumerate(insitu_fronts.PIECES)
    },
    "sureness": lambda: sureness(range(SEED + 20, SEED + 24)),
    "causes": lambda: causes(range(SEED + 40, SEED + 60)),
    "offsets": lambda: offsets(range(SEED + 60, SEED + 64)),
}


if __name__ == "__main__":
    parts.run(__doc__.splitlines()[0], PARTS, OUT)
