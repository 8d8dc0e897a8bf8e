"""What the analysis of the virtual in situ series found, beside its truth."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from phasefront.report.wording import markdown_table

ROOT = Path(__file__).resolve().parents[2]
RUN = ROOT / "results/insitu"
SUMMARY = RUN / "series.json"
PAGE = ROOT / "docs/virtual_series.md"
_LEAST = 20  # positions of a true grain that one found is to hold, to be taken for it


def page() -> str:
    """The page as it is, with what comes out of a run written again."""
    text = PAGE.read_text(encoding="utf-8")
    head, _, _ = text.partition("## What comes out of it\n")
    series = {one["series"]: one for one in json.loads(SUMMARY.read_text("utf-8"))["series"]}
    checks = json.loads((RUN / "truth_check.json").read_text(encoding="utf-8"))
    charging = series["charging"]
    clock, cause = charging["clock"], charging["cause"]
    added, low, high = clock["to be added (s)"]
    of_series = {name: check for name, check in checks.items() if name.startswith("charging")}
    right, wrong, every = _decided(of_series)
    others = _decided({name: one for name, one in checks.items() if name not in of_series})
    found = pd.read_csv(RUN / "series.csv")
    found = found[(found["series"] == "charging") & found["converts"]]
    truth = xr.load_dataset(RUN / "truth/charging.nc")
    off = truth.attrs["clock_offset_s"] - clock["declared offset (s)"]
    beam = series["control"]["cause"]
    return f"""{head}## What comes out of it

`make insitu`, from raw files through 100 nm of liquid; `make docs` writes this section. Of
{every:,} positions of one phase in the twenty scans of `charging` {right:,} were decided right and
{wrong} wrong; of {others[2]:,} in the other regions {others[0]:,} right and {others[1]} wrong.
{charging["grains"]["converting"]} of {charging["grains"]["seen"]} grains convert.

{_fronts(found, truth)}

Where a grain begins behind another one or outside the scan (`begin_seen` is 0, as in
{(~found["begin_seen"]).sum()} of these), what is found is when the first place that shows converts;
the grain itself began earlier.

The clock is {off:.0f} s off what the table declares; {added:.0f} s ({low:.0f} to {high:.0f}) were
found.

The cause of `charging`: {cause["verdict"]}, for {cause["reason"]}.
Of `control`, in which the beam takes the ions: {beam["verdict"]}, for {beam["reason"]}.
In `static` {series["static"]["cause"]["verdict"]}.
"""


def _decided(checks: dict) -> tuple[int, int, int]:
    """Positions of one phase decided right, decided wrong, and all, of scans' checks."""
    right = wrong = total = 0
    for check in checks.values():
        for true, row in check["confusion"].items():
            right += row[true]
            wrong += sum(row[name] for name in check["confusion"] if name != true)
            total += sum(row.values())
    return right, wrong, total


def _fronts(found: pd.DataFrame, truth: xr.Dataset) -> str:
    """A line a grain that converts: speed, direction and beginning, and what is true."""
    label = xr.load_dataset(RUN / "grains/charging-01.nc")["label"].to_numpy()
    rows = []
    for grain in found.to_dict("records"):
        shown = label == grain["grain"]
        own = truth["label"].to_numpy()[0][shown]
        count = np.bincount(own[own >= 0], minlength=1)
        if count.max() < _LEAST:
            continue
        one = truth.isel(grain=int(count.argmax()))
        straight = str(one["course"].item()) == "straight"
        first = f"{_first_shown(truth, one, shown):.0f}" if straight else "–"
        rows.append(
            [
                f"{grain['grain']}" + ("" if straight else ", simulated"),
                _interval(grain, "speed", 3), _true(one, "speed_under_current", 3),
                _interval(grain, "direction", 1), _true(one, "normal", 1),
                _interval(grain, "begin", 0), first, _true(one, "begins", 0),
            ]
        )  # fmt: skip
    return markdown_table(
        ["grain", "speed, nm/s", "true", "direction, degrees", "true",
         "begins where it shows, s", "true", "the grain itself, true"],
        rows,
    )  # fmt: skip


def _first_shown(truth: xr.Dataset, grain: xr.Dataset, shown: np.ndarray) -> float:
    """When the band of a straight front reaches the first place of a grain that is shown, s."""
    normal = np.radians(grain["normal"].item())
    y, x = (truth[name].to_numpy()[0][shown] for name in ("row", "column"))
    step = truth.attrs["scan_step_nm"]
    ahead = (np.cos(normal) * x + np.sin(normal) * y).min() - grain["origin"].item()
    ahead -= 0.5 * truth.attrs["front_width_nm"] / step
    charge = grain["begins_charge"].item() + max(ahead * step / grain["speed"].item(), 0.0)
    passed, time = (truth[name].to_numpy().ravel() for name in ("charge", "time"))
    order = np.argsort(time)
    passed, time = passed[order], time[order]
    after = np.flatnonzero(passed >= charge)[0]
    return float(np.interp(charge, passed[[after - 1, after]], time[[after - 1, after]]))


def _interval(row: dict, name: str, decimals: int) -> str:
    value, low, high = (row[f"{name}{end}"] for end in ("", "_low", "_high"))
    return f"{value:.{decimals}f} ({low:.{decimals}f} to {high:.{decimals}f})"


def _true(grain: xr.Dataset, name: str, decimals: int) -> str:
    value = grain[name].item()
    return f"{value:.{decimals}f}" if np.isfinite(value) else "not one"
