"""What MECHANISMS says in words and as JSON. A cause is never named: morphology is not cause."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import xarray as xr

from phasefront.layouts.mechanisms import Counted, Direction
from phasefront.mechanisms.population import CONCURRENT, ONE_BY_ONE, Detection, grains_needed

# Probability with which so many grains would tell.
_SURE = 0.9
# A plane, an effect or a likeness of neighbours is told where chance makes it rarer than this.
_RARE = 0.05
_VERDICTS = {
    "one by one": "grains convert one by one: each is fast beside the whole",
    "concurrent": "grains convert side by side",
    "cannot be told": "one by one or side by side cannot be told",
}


def sentence(found: xr.Dataset) -> str:
    """One paragraph on all fields."""
    fields = [_on_field(found, field) for field in range(found.sizes["field"])]
    told = " ".join(text for text in fields if text)
    return told or (
        "No state lies between two phases of a field with three whole grains or more, so nothing"
        " can be told of how grains convert; scans at a third to two thirds of a field would tell."
    )


def _on_field(found: xr.Dataset, field: int) -> str:
    one = found.isel(field=field)
    count, caught = int(one["grains"]), int(one["caught_grains"])
    if not count:
        return ""
    parts = [f"{field_name(found, field)}: {caught} of {count} grains are between both phases"]
    if np.isfinite(one["caught_share"]):
        verdict = str(one["verdict"].item())
        parts[0] += f", {_with_interval(one, 'caught_share')} of all, so {_VERDICTS[verdict]}."
        if verdict == "cannot be told":
            parts.append(_what_would_tell(float(one["caught_share"]), found))
    else:
        parts[0] += (
            "; no state between a fifth and four fifths of the field was seen, so one by one or"
            " side by side cannot be told."
        )
    if caught:
        commonest = int(np.nanargmax(one["proportion"].values))
        name = str(found["morphology"].values[commonest])
        share = _with_interval(one.isel(morphology=commonest), "proportion")
        parts.append(f"Of those caught the commonest shape is {name} ({share}).")
    return " ".join([*parts, _on_plane(one), _on_order(one)]).replace("  ", " ").strip()


def _what_would_tell(share: float, found: xr.Dataset) -> str:
    """How many grains would give a verdict, were the share caught as found."""
    detection = Detection(found.attrs["recall"], found.attrs["false_alarm"])
    names = ((ONE_BY_ONE, "one by one"), (CONCURRENT, "concurrent"))
    name = next((name for (low, high), name in names if low <= share <= high), None)
    needed = name and grains_needed(share, name, _SURE, detection)
    return (
        f"Were the share so, {needed} grains would tell in nine of ten cases."
        if needed
        else "Shares between 0.1 and 0.2 go by neither name, however many grains there are."
        if name is None
        else "So near to that limit even a thousand grains would not tell."
    )


def _on_plane(one: xr.Dataset) -> str:
    fronts = int(one["traces"])
    if not np.isfinite(one["region"]):
        return "No plane of fronts can be told." if int(one["caught_grains"]) else ""
    chance = float(one["against_random"])
    if chance > _RARE:
        return f"Their {fronts} straight fronts share no plane (p = {chance:.2f})."
    plane = " ".join(f"{index:.2f}" for index in one["normal_indices"].values)
    told = (
        f"Their {fronts} straight fronts share a plane near ({plane}) of the parent, within"
        f" {float(one['region']):.0f} degrees (p = {chance:.3f} against random directions)"
    )
    outlines = float(one["against_outlines"])
    if np.isfinite(outlines) and outlines > _RARE:
        told += f", no better than the grains' own edges do (p = {outlines:.2f})"
    if np.isfinite(one["from_softest"]):
        told += (
            f"; it is {float(one['from_softest']):.0f} degrees from the softest plane of a coherent"
            f" front and costs {_with_interval(one, 'energy_over_softest')} times as much"
        )
    return f"{told}."


def _on_order(one: xr.Dataset) -> str:
    known = np.isfinite(one["effect_p_holm"].values)
    if not known.any():
        return ""
    said = [
        f"{name} (log odds {_with_interval(one.isel(covariate=at), 'effect')})"
        for at, name in enumerate(one["covariate"].values)
        if known[at] and one["effect_p_holm"].values[at] < _RARE
    ]
    if said:
        return f"Conversion goes with {' and '.join(said)}."
    smallest = one["smallest_detectable"].values[known]
    smallest = smallest[np.isfinite(smallest)]
    return (
        f"Conversion goes with none of {known.sum()} covariates; log odds of"
        f" {smallest.max():.1f} for a standard deviation of any would have shown."
        if len(smallest) == known.sum()
        else f"Conversion goes with none of {known.sum()} covariates."
    )


def caveats(found: xr.Dataset) -> list[str]:
    """What limits these answers, and what would suffice."""
    return list(_caveats(found))


def _caveats(found: xr.Dataset) -> Iterator[str]:
    states = found["state"].values
    unknown = states[found["state_direction"].values == Direction.UNKNOWN]
    if len(unknown) and found.sizes["grain"]:
        yield (
            f"Where ions went before {', '.join(map(str, unknown))} is not known, so a core and an"
            " inner nucleus are not told apart there; state it under mechanisms.direction."
        )
    counted = found["counted"].values
    for why, told in (
        (Counted.CUT, "cut by the scan's edge are not counted"),
        (Counted.FEW, "have too few positions to tell"),
        (Counted.NO_FIELD, "hold phases that are not the field of their state"),
        (Counted.NO_POPULATION, "are of states that lie in no field"),
    ):
        if number := int((counted == why).sum()):
            yield f"{number} grain{'' if number == 1 else 's'} {told}."
    if found.sizes["population"] == 1:
        yield "One state was caught in a field: how the share caught goes with charge is not known."
    if (counted == Counted.YES).any():
        yield (
            "Interfaces may have moved after the charge stopped: how long cells and grains rested"
            " is not recorded here. A grain seen in two states is counted twice."
        )
        if found["caught_grains"].values.any():
            yield (
                "Shapes of grains seen from the side are alike: of single grains under physics that"
                " was not trained on a half were told right, and grains of one population are"
                " misread alike, so proportions narrow slowly (docs/mechanisms.md)."
            )
        if not found["tilts"].values.any():
            yield (
                "Planes are from traces alone: with the crystals' thickness"
                " (interfaces.thickness_nm) the bands of mixed columns would tell their tilts."
            )
    if not found.attrs["parent_point_group"]:
        yield "The phases share no lattice, so no plane is sought."
    elif not found.sizes["trace"] and found["caught"].values.any():
        yield (
            "No front's direction is known in its crystal: fronts are not straight, or the camera's"
            " rotation is not stated."
        )


def summary(found: xr.Dataset) -> dict:
    """What mechanisms.json holds, ready for `json.dumps`.

    `{"fields": [{"phases": [rich, poor], "states": [state], "grains", "caught_share": V,
    "population": {"verdict", "log_bayes_factor"}, "proportions": {morphology: V}, "habit_plane":
    {"normal": [h, k, l], "region_deg", "against_random_p", "against_outlines_p", "elastic":
    {"energy_over_softest": V, "from_softest_deg"} or None} or None,
    "covariates": [{"name", "effect": V, "p_holm", "smallest_detectable", "grains"}],
    "neighbours_alike": {"moran_i", "p"}}], "grains": [{"scan", "grain", "state", "posterior":
    {morphology: probability}}], "sentence", "caveats": [text]}` with V = `{"value", "low",
    "high"}`; None is what is not known. Fields without a population are left out, and grains that
    are not counted.
    """
    return {
        "fields": [
            _json_of_field(found, field)
            for field in range(found.sizes["field"])
            if int(found["grains"].values[field])
        ],
        "grains": [
            {
                "scan": str(found["scan"].values[found["scan_of_grain"].values[grain]]),
                "grain": int(found["number"].values[grain]),
                "state": str(found["state"].values[found["state_of_grain"].values[grain]]),
                "posterior": {
                    str(name): float(value)
                    for name, value in zip(
                        found["morphology"].values, found["posterior"].values[grain], strict=True
                    )
                },
            }
            for grain in np.flatnonzero(found["counted"].values == Counted.YES)
        ],
        "sentence": found.attrs["sentence"],
        "caveats": found.attrs["caveats"].split("\n") if found.attrs["caveats"] else [],
    }


def _json_of_field(found: xr.Dataset, field: int) -> dict:
    one = found.isel(field=field)
    own = found["population_field"].values == field
    states = found["state"].values[found["population_state"].values[own]]
    plane = {
        "normal": one["normal_indices"].values.tolist(),
        "region_deg": float(one["region"]),
        "against_random_p": _number(one["against_random"]),
        "against_outlines_p": _number(one["against_outlines"]),
        "elastic": {
            "energy_over_softest": _value(one, "energy_over_softest"),
            "from_softest_deg": float(one["from_softest"]),
        }
        if np.isfinite(one["from_softest"])
        else None,
    }
    return {
        "phases": list(_phases(found, field)),
        "states": [str(state) for state in states],
        "grains": int(one["grains"]),
        "caught_share": _value(one, "caught_share"),
        "population": {
            "verdict": str(one["verdict"].item()),
            "log_bayes_factor": float(one["log_bayes_factor"]),
        },
        "proportions": {
            str(name): _value(one.isel(morphology=at), "proportion")
            for at, name in enumerate(found["morphology"].values)
            if np.isfinite(one["proportion"].values[at])
        },
        "habit_plane": plane if np.isfinite(one["region"]) else None,
        "covariates": [
            {
                "name": str(name), "effect": _value(one.isel(covariate=at), "effect"),
                "p_holm": _number(one["effect_p_holm"][at]),
                "smallest_detectable": _number(one["smallest_detectable"][at]),
                "grains": int(one["effect_grains"].values[at]),
            }
            for at, name in enumerate(found["covariate"].values)
        ],
        "neighbours_alike": {
            "moran_i": _number(one["neighbours_alike"]),
            "p": _number(one["neighbours_alike_p"]),
        },
    }  # fmt: skip


def field_name(found: xr.Dataset, field: int) -> str:
    """A field as people write it."""
    return "/".join(_phases(found, field))


def _phases(found: xr.Dataset, field: int) -> tuple[str, str]:
    names = found["phase"].values
    return str(names[found["rich"].values[field]]), str(names[found["poor"].values[field]])


def _with_interval(one: xr.Dataset, name: str) -> str:
    value, low, high = (float(one[f"{name}{end}"]) for end in ("", "_low", "_high"))
    return f"{value:.2f} [{low:.2f}, {high:.2f}]"


def _value(one: xr.Dataset, name: str) -> dict | None:
    ends = {key: float(one[f"{name}{end}"]) for key, end in
            (("value", ""), ("low", "_low"), ("high", "_high"))}  # fmt: skip
    return ends if np.isfinite(list(ends.values())).all() else None


def _number(value: xr.DataArray) -> float | None:
    return float(value) if np.isfinite(value) else None
