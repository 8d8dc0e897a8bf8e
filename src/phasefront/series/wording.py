"""What ALIGNMENT and SERIES say as a table of grains, and as JSON with sentences."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from phasefront.series.attribution import Attribution, attribute
from phasefront.series.grain_fronts import STRONG

_WAYS = {
    "front": "by a front straight through", "shell": "from the outline or the middle",
    "at once": "everywhere at once", "cannot be told": "in a way that cannot be told",
}  # fmt: skip
# Counts of a scan go with another power of those of the first, or are so many times these.
_OTHER_EXPONENT, _OTHER_FACTOR = 0.1, 1.3


def grain_rows(series: Mapping[str, xr.Dataset]) -> pd.DataFrame:
    """SERIES_TABLE of all series: a row a grain that says something."""
    rows = [
        {
            "series": name,
            "grain": grain,
            "positions": int(found["size"][grain]),
            "converts": bool(found["converts"][grain]),
            "way": likeliest(found, "way", grain),
            "law": likeliest(found, "law", grain),
            **{
                quantity: float(found[quantity][grain])
                for value in ("begin", "speed", "direction")
                for quantity in (value, f"{value}_low", f"{value}_high")
            },
            "begin_seen": bool(found["begin_seen"][grain]),
            "end": float(found["end"][grain]),
        }
        for name, found in series.items()
        for grain in np.flatnonzero(found["size"].to_numpy() > 0)
    ]
    return pd.DataFrame(rows)


def likeliest(found: xr.Dataset, kind: str, grain: int) -> str:
    """The likeliest way or law of a grain; `cannot be told` where the next is nearly as likely."""
    evidence = found[f"log_evidence_{kind}"].to_numpy()[grain]
    known = np.flatnonzero(np.isfinite(evidence))
    if not known.size:
        return ""
    order = known[np.argsort(evidence[known])[::-1]]
    if known.size > 1 and evidence[order[0]] - evidence[order[1]] < STRONG:
        return "cannot be told"
    return str(found[kind].to_numpy()[order[0]])


def summary(series: Mapping[str, xr.Dataset], alignments: Mapping[str, xr.Dataset]) -> dict:
    """All series as JSON: each with its scans, grains, clock, population, balance and cause."""
    return {
        "series": [
            _summary_of(name, found, alignments[name], attribute(name, series))
            for name, found in series.items()
        ]
    }


def sentences(judged: Sequence[Path]) -> dict[str, str]:
    """What each series says of how grains convert, by which cause, by name.

    `judged` is the file that holds a `summary`; none in a run without series.
    """
    summaries = [json.loads(path.read_text(encoding="utf-8")) for path in judged]
    return {one["series"]: one["sentence"] for found in summaries for one in found["series"]}


def _summary_of(name: str, found: xr.Dataset, aligned: xr.Dataset, cause: Attribution) -> dict:
    converts = found["converts"].to_numpy() == 1
    grains = int((found["size"].to_numpy() > 0).sum())
    return {
        "series": name,
        "log": found.attrs["log"],
        "phases": [found.attrs["rich"], found.attrs["poor"]],
        "ions go": found.attrs["flow"],
        "sentence": _sentence(name, found, cause),
        "scans": [_scan(found, aligned, at) for at in range(found.sizes["scan"])],
        "grains": {"seen": grains, "converting": int(converts.sum())},
        "population": {"sentence": found.attrs["population"], "overlap": _ends(found, "overlap")},
        "balance": {
            "share converted for the charge passed": _ends(found, "balance_slope"),
            "lag behind the charge (s)": _ends(found, "balance_lag"),
        },
        "clock": {
            "declared offset (s)": _number(found.attrs["declared_offset_s"]),
            "its standard error (s)": _number(found.attrs["declared_offset_error_s"]),
            "test": found.attrs["offset_test"],
            "to be added (s)": _ends(found, "offset"),
        },
        "cause": {
            "verdict": cause.verdict,
            "reason": cause.reason,
            "share by the beam": [_number(value) for value in cause.by_beam],
            "correlation of dose and charge": _number(cause.correlation),
            "controls": cause.controls,
        },
    }


def _sentence(name: str, found: xr.Dataset, cause: Attribution) -> str:
    grains = int((found["size"].to_numpy() > 0).sum())
    if cause.verdict == "nothing converts":
        return f"In the series {name} nothing converts in {grains} grains."
    converting = np.flatnonzero(found["converts"].to_numpy() == 1)
    rich, poor = found.attrs["rich"], found.attrs["poor"]
    first, last = found["converted_share"].to_numpy()[[0, -1]]
    told = (
        f"In the series {name}, {poor} holds {first:.2f} of the grains' area in the first scan and"
        f" {last:.2f} in the last; {len(converting)} of {grains} grains convert by more than half"
        f" between {rich} and {poor}; {found.attrs['population']}."
    )
    ways = [likeliest(found, "way", grain) for grain in converting]
    counted = [f"{ways.count(way)} {words}" for way, words in _WAYS.items() if way in ways]
    if counted:
        told += f" Of these, {', '.join(counted)}."
    words = {"charge": "The charge is the cause", "beam": "The beam is the cause"}
    said = words.get(cause.verdict, "Whether charge or beam is the cause cannot be told")
    return f"{told} {said}: {cause.reason}."


def _scan(found: xr.Dataset, aligned: xr.Dataset, at: int) -> dict:
    one = aligned.isel(scan=at)
    exponent, factor = float(one["intensity_exponent"]), float(one["intensity_factor"])
    notes = [str(one["problem"].item())] if str(one["problem"].item()) else []
    if abs(exponent - 1) > _OTHER_EXPONENT or max(factor, 1 / factor) > _OTHER_FACTOR:
        notes.append(
            f"its counts go with the power {exponent:.2f} of those of the first scan and are"
            f" {factor:.3g} times these, so intensities of the two are not compared"
        )
    return {
        "scan": str(one["scan"].item()),
        "time (s)": _number(found["mean_time"][at]),
        "charge (mA h)": _number(found["charge"][at]),
        "dose (1/angstrom^2)": _number(found["dose"][at]),
        "share converted": _ends(found.isel(scan=at), "converted_share"),
        "share of grains caught": _ends(found.isel(scan=at), "caught_share"),
        "of the first scan covered": _number(one["covered"]),
        "of its own outside the first": _number(one["new"]),
        "standard error of a place (positions)": _number(one["stderr"]),
        "turn (degrees)": _number(one["turn"]),
        "notes": notes,
    }


def _ends(found: xr.Dataset, name: str) -> list[float | None]:
    return [_number(found[f"{name}{end}"]) for end in ("", "_low", "_high")]


def _number(value: object) -> float | None:
    number = float(value)
    return number if np.isfinite(number) else None
