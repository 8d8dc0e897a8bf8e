"""Fronts and alignments of virtual in situ series against their truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import xarray as xr
from scipy.ndimage import map_coordinates

from benchmarks.insitu_world import PULSES, World
from phasefront.series.wording import likeliest
from phasefront.virtual.insitu.clock import time_of_charge
from phasefront.virtual.insitu.fronts import Straight

# Parts of the study that are of fronts.
PIECES = ("fronts-1", "fronts-2", "fronts-3", "fronts-4")
# What a beginning may be off by: a scan's row takes 4 s, and the clocks err by 10 s.
ALLOWED_S = 14.0


def judged(pieces: Sequence[dict]) -> dict:
    """Numbers of all series of the pieces together: fronts, nucleation and registration."""
    seconds, registered, rows = (
        [one for piece in pieces for one in piece[name]]
        for name in ("seconds", "registered", "rows")
    )
    straight = [row for row in rows if row["course"] == "straight" and row["direction"] is not None]
    still = [row for row in rows if row["course"] == "still"]
    return {
        "series": len(seconds), "seconds": round(float(np.median(seconds)), 1),
        "straight": len(straight), "still": len(still),
        "missed": sum(row["course"] != "still" and not row["converts"] for row in rows),
        "still_converts": sum(row["converts"] for row in still),
        "registration_px": _spread(registered),
        "speed": _judged(straight, "speed"), "direction": _judged(straight, "direction"),
        "begin": _judged(straight, "begin"), "nucleation": _nucleation(straight),
        "laws": Counter(row["law"] for row in straight),
        "ways": Counter(row["way"] for row in straight),
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

    `begin` stands beside when the front's band reaches the grain itself where it is said to be seen
    to begin, and elsewhere the first place of it that is shown; `nucleation` is the same time
    beside when it reaches the grain itself, seen or not.
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
            ("begin", "begin", whole if row["seen"] else shown), ("nucleation", "begin", whole),
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
