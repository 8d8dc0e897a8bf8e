"""What the page shows of an in situ series: maps through time behind a slider."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from phasefront.report.explorer.packing import Packed, pack
from phasefront.report.figures import style

# A posterior in the page is so many steps fine; the last value is a place that was not seen.
_STEPS, _UNSEEN = 250, 255


@dataclass(frozen=True)
class SeriesPart:
    """What the page holds of one series."""

    facts: dict  # what explorer.js calls a series
    arrays: Mapping[str, Packed]


def series_parts(
    series: Mapping[str, xr.Dataset], sentences: Mapping[str, str], phases: Sequence[Mapping]
) -> list[SeriesPart]:
    """Of each series (SERIES by name), with a sentence on it; `phases` are those of the page."""
    return [
        SeriesPart(_facts(found, sentences[name], phases), _arrays(found))
        for name, found in series.items()
    ]


def _facts(found: xr.Dataset, sentence: str, phases: Sequence[Mapping]) -> dict:
    named = {phase["name"]: phase for phase in phases}
    rich, poor = named[found.attrs["rich"]], named[found.attrs["poor"]]
    moments = [
        f"{hours:.2f} h, {charge:.4g} mA h, {voltage:.3g} V; converted {100 * share:.0f} %"
        for hours, charge, voltage, share in zip(
            found["mean_time"].values / 3600, found["charge"].values, found["voltage"].values,
            found["converted_share"].values, strict=True,
        )
    ]  # fmt: skip
    return {
        "series": found.attrs["series"],
        "scans": [str(scan) for scan in found["scan"].values],
        "moments": moments,
        "shape": list(found["label"].shape),
        "states": [
            {"label": rich["label"], "colour": rich["colour"]},
            {"label": "mixed", "colour": style.MIXED_COLOUR},
            {"label": poor["label"], "colour": poor["colour"]},
        ],
        "sentence": sentence,
        "steps": _STEPS,
    }


def _arrays(found: xr.Dataset) -> dict[str, Packed]:
    return {
        f"{name}_{state}": pack(_in_steps(found[name].values[..., at]), "u1")
        for name in ("single", "smooth")
        for at, state in ((0, "rich"), (2, "poor"))
    }


def _in_steps(posterior: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(posterior), np.rint(_STEPS * np.nan_to_num(posterior)), _UNSEEN)


def section(parts: Sequence[SeriesPart]) -> str:
    """The part of the page: for each series two maps, a slider and what was then."""
    return "".join(_section(number, part.facts) for number, part in enumerate(parts))


def _section(number: int, facts: Mapping) -> str:
    name = html.escape(facts["series"])
    last = len(facts["scans"]) - 1
    maps = "".join(
        f'<figure><canvas data-series="{number}" data-kind="{kind}" role="img"'
        f' aria-label="{words}"></canvas><figcaption>{words}</figcaption></figure>'
        for kind, words in (("single", "each scan alone"), ("smooth", "with all scans"))
    )
    states = " ".join(
        f'<span><span class="chip" style="background:{one["colour"]}" aria-hidden="true"></span>'
        f"{html.escape(one['label'])}</span>"
        for one in facts["states"]
    )
    return (
        f'<section class="series" aria-labelledby="series-head-{number}">'
        f'<h2 id="series-head-{number}">Series {name}</h2><p>{html.escape(facts["sentence"])}</p>'
        f'<div class="film">{maps}</div><p class="faint">{states}; white was not seen</p>'
        f'<div class="controls"><label>time <input type="range" class="time" min="0" max="{last}"'
        f' value="0" data-series="{number}"></label><output id="moment-{number}"></output>'
        f'<button type="button" class="push" id="to-scan-{number}">look at this scan</button></div>'
        "</section>\n"
    )
