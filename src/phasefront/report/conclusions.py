"""What follows from the comparison: a verdict and a sentence a pair, and the summary of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import xarray as xr

from phasefront.comparison.agreement import AGREE, CANNOT_TELL, DISAGREE, SIGNIFICANCE
from phasefront.comparison.sources import registry
from phasefront.core.statistics import NORMAL_95, Interval
from phasefront.report.explorer import PAGE
from phasefront.report.tables import printed


def conclude(
    comparison: xr.Dataset,
    *,
    ion: str = "ion",
    calibrating: Mapping[str, list[str]] | None = None,
) -> dict:
    """The verdict on each pair of sources and on all together, with the numbers that carry it.

    Parameters
    ----------
    comparison
        COMPARISON data set.
    ion
        What a formula unit holds more or less of, for units.
    calibrating
        Phases whose cells were refined from a powder pattern, by pattern.

    Returns
    -------
    `{"verdict", "sentence", "margin", "fraction_margin", "left_out": [pattern], "refused":
    [text], "unexplained": [text], "pairs": [{"pair",
    "verdict", "states", "difference": V, "slope": V, "intercept": V, "p_one_to_one",
    "equivalence_p", "sentence"}]}` with V = `{"value", "low", "high"}`, None where there is none.
    """
    unit = f"{ion} per formula unit"
    pairs = [
        _conclude_pair(comparison.sel(pair=pair), unit) for pair in comparison["pair"].to_numpy()
    ]
    sentences = [
        _on_all(comparison, pairs),
        *_on_left_out(comparison, calibrating or {}),
        *(f"{item} refused: {text}." for item, text in _said(comparison, "refused")),
        *(f"{item} {text}." for item, text in _said(comparison, "unexplained")),
    ]
    return {
        "verdict": str(comparison.attrs["verdict"]),
        "sentence": " ".join(sentences),
        "margin": float(comparison.attrs["margin"]),
        "fraction_margin": float(comparison.attrs["fraction_margin"]),
        "left_out": [name for _, name in _left_out(comparison)],
        "refused": [text for _, text in _said(comparison, "refused")],
        "unexplained": [text for _, text in _said(comparison, "unexplained")],
        "pairs": pairs,
    }


def conclusion_text(conclusions: Mapping) -> str:
    """What `conclude` returns as text: all sources, then a paragraph a pair."""
    paragraphs = [conclusions["sentence"], *(pair["sentence"] for pair in conclusions["pairs"])]
    return "\n\n".join(paragraphs) + "\n"


def summary(
    comparison: xr.Dataset,
    fractions: Mapping[str, xr.Dataset],
    *,
    run: str,
    seconds: Mapping[str, float],
    ion: str = "ion",
    calibrating: Mapping[str, list[str]] | None = None,
) -> dict:
    """What summary.json holds, ready for `json.dumps`.

    Parameters
    ----------
    comparison
        COMPARISON data set.
    fractions
        FRACTIONS of each scan, by scan.
    run
        Name of the run.
    seconds
        Time that each scan's analysis took, s, by scan.
    ion, calibrating
        As in `conclude`.

    Returns
    -------
    `{"run", "explorer", "states": [{"state", "x": {source: V}, "fractions": {source: {phase: V}}}],
    "conclusions", "scans": [{"scan", "patterns", "decided", "mixed", "undecided",
    "unindexed", "vacuum", "seconds", "notes": [text]}]}` with V = `{"value", "low", "high"}`, or
    None where there is no such source, and the conclusions of `conclude`. Fractions are those of
    sources that see phases.
    """
    sources = [str(source) for source in comparison["source"].to_numpy()]
    seeing = [source for source in sources if registry.named(source).sees_phases]

    def by_phase(of_source: xr.Dataset) -> dict | None:
        if np.isnan(of_source["fraction"].to_numpy()).any():
            return None
        names = of_source["phase"].to_numpy()
        return {str(name): _json_value(of_source.sel(phase=name), "fraction") for name in names}

    states = []
    for state in comparison["state"].to_numpy():
        by_source = {source: comparison.sel(state=state, source=source) for source in sources}
        states.append(
            {
                "state": str(state),
                "x": {source: _json_value(by_source[source], "ion_content") for source in sources},
                "fractions": {source: by_phase(by_source[source]) for source in seeing},
            }
        )
    counts = ("patterns", "decided", "mixed", "undecided", "unindexed", "vacuum")
    scans = [
        {
            "scan": scan,
            **{name: int(found[name]) for name in counts},
            "seconds": seconds.get(scan),
            "notes": [found.attrs["notes"]] if found.attrs["notes"] else [],
        }
        for scan, found in fractions.items()
    ]
    conclusions = conclude(comparison, ion=ion, calibrating=calibrating)
    return {
        "run": run, "explorer": PAGE, "states": states, "conclusions": conclusions,
        "scans": scans,
    }  # fmt: skip


def _conclude_pair(pair: xr.Dataset, unit: str) -> dict:
    """Conclusion on one pair; `pair` is COMPARISON at that pair."""
    verdict = str(pair["overall_verdict"].item())
    p_line = pair["line_p"].item()
    return {
        "pair": str(pair["pair"].item()),
        "verdict": verdict,
        "states": int(pair["states_compared"]),
        "difference": _json_value(pair, "mean_difference"),
        "equivalence_p": _json_number(pair["mean_equivalence_p"].item()),
        "slope": _json_line(pair, 1),
        "intercept": _json_line(pair, 0),
        "p_one_to_one": _json_number(p_line),
        "sentence": " ".join(_sentences(pair, verdict, unit)),
    }


def _sentences(pair: xr.Dataset, verdict: str, unit: str) -> Iterator[str]:
    first, second = _source_names(pair)
    count = int(pair["states_compared"])
    names = f"{first} and {second}"
    if count == 0:
        yield f"Whether {names} agree, one cannot tell: no state has an ion content by both."
        return
    margin = f"the margin of {pair.attrs['margin']:g} {unit}"
    places = "in the one state that both know" if count == 1 else f"over {count} states"
    average = "on average " if count > 1 else ""
    mean = "the difference" if count == 1 else "the mean difference"
    apart = f"{mean} of ion content ({first} minus {second}) is {_text(pair, 'mean_difference')}"
    if verdict == AGREE:
        yield (
            f"{_sentence_case(names)} agree {average}{places}: {apart}, which is shown to be within"
            f" {margin} ({_p(pair['mean_equivalence_p'].item())})."
        )
    elif verdict == DISAGREE:
        yield f"{_sentence_case(names)} disagree {places}: {'; '.join(_reasons(pair))}."
        yield f"{_sentence_case(apart)}, and {margin[4:]} is what would not matter."
    else:
        yield (
            f"Whether {names} agree, one cannot tell {places}: {apart}, and"
            f" {_why_untold(pair)} {margin}."
        )
    if count > 1:
        yield from _on_line(pair, first, second)
        yield f"Single states: {_counted(pair['verdict'].to_numpy(), pair['difference'])}."
    told = np.isfinite(pair["fraction_difference"].to_numpy())
    if told.any():
        words = _counted(pair["fraction_verdict"].to_numpy(), pair["fraction_difference"])
        limit = pair.attrs["fraction_margin"]
        yield f"Phase fractions (margin {limit:g}): {words}."


def _reasons(pair: xr.Dataset) -> Iterator[str]:
    """What makes a pair disagree: the questions whose adjusted p says so."""
    p = dict(zip(map(str, pair["question"].to_numpy()), pair["question_p"].to_numpy(), strict=True))
    rejected = {name for name, value in p.items() if value < SIGNIFICANCE}
    if "mean" in rejected:
        yield f"they differ by more than errors and margin allow ({_p(p['mean'])})"
    if "tilt" in rejected:
        yield f"their difference changes with the ion content ({_p(p['tilt'])})"
    if "states" in rejected:
        apart = np.abs(pair["z_score"].to_numpy())
        apart[np.abs(pair["difference"].to_numpy()) <= pair.attrs["margin"]] = np.nan
        state = pair.isel(state=int(np.nanargmax(apart)))
        yield (
            f"{state['state'].item()} differs by {_text(state, 'difference')} ({_p(p['states'])})"
        )
    if "fractions" in rejected:
        apart = np.abs(pair["fraction_z_score"].to_numpy())
        within = np.abs(pair["fraction_difference"].to_numpy()) <= pair.attrs["fraction_margin"]
        apart[within] = np.nan
        i, k = np.unravel_index(np.nanargmax(apart), apart.shape)
        at = pair.isel(state=i, phase=k)
        yield (
            f"the fraction of {at['phase'].item()} in {at['state'].item()} differs by"
            f" {_text(at, 'fraction_difference')} ({_p(p['fractions'])})"
        )


def _why_untold(pair: xr.Dataset) -> str:
    """Why the mean difference decides nothing, up to the name of the margin."""
    value, low, high = _interval(pair, "mean_difference")
    if low <= 0 <= high:
        return "its interval allows both no difference and one beyond"
    if abs(value) <= pair.attrs["margin"]:
        return "though it is not zero, it may or may not exceed"
    return "it is larger than can be shown, given the number of tests, to exceed"


def _on_line(pair: xr.Dataset, first: str, second: str) -> Iterator[str]:
    if not np.isfinite(pair["slope"].item()):
        return
    p = pair["line_p"].item()
    slope, intercept = (printed(_line_parameter(pair, k)) for k in (1, 0))
    word = "differs" if p < SIGNIFICANCE else "does not differ"
    yield (
        f"The line through the states, {first} = {intercept} + {slope} × {second}, {word} from"
        f" 1:1 ({_p(p)})."
    )


def _on_all(comparison: xr.Dataset, pairs: list[dict]) -> str:
    told = [pair for pair in pairs if pair["states"]]
    verdict = str(comparison.attrs["verdict"])
    if not told:
        return "Whether the sources agree, one cannot tell: no state has two of them."
    words = [f"{_pair_names(pair['pair'])} {_VERBS[pair['verdict']]}" for pair in told]
    what = "the two sources" if len(told) == 1 else "the sources taken together"
    verbs = {
        AGREE: f"{_sentence_case(what)} agree",
        DISAGREE: f"{_sentence_case(what)} disagree",
        CANNOT_TELL: f"Whether {what} agree, one cannot tell",
    }
    return f"{verbs[verdict]}: {', '.join(words)}."


_VERBS = {AGREE: "agree", DISAGREE: "disagree", CANNOT_TELL: "remain open"}


def _on_left_out(comparison: xr.Dataset, calibrating: Mapping[str, list[str]]) -> Iterator[str]:
    for item, name in _left_out(comparison):
        phases = calibrating.get(name, [])
        cells = "a cell was" if not phases else f"the cell of {' and '.join(phases)} was"
        yield (
            f"{item} {name} is left out: {cells} refined from it, and what calibrated"
            " cannot also validate."
        )


def _left_out(comparison: xr.Dataset) -> list[tuple[str, str]]:
    return [
        (item, name) for item, text in _said(comparison, "left_out") for name in text.split(", ")
    ]


def _said(comparison: xr.Dataset, name: str) -> list[tuple[str, str]]:
    """What a variable says of sources and states, each after what the source's items are called."""
    return [
        (_sentence_case(registry.named(str(source)).item), str(text))
        for source in comparison["source"].to_numpy()
        for text in comparison[name].sel(source=source).to_numpy()
        if text
    ]


def _counted(verdicts: np.ndarray, apart: xr.DataArray) -> str:
    known = verdicts[np.isfinite(apart.to_numpy())]
    words = [f"{np.sum(known == word)} {_COUNTED[word]}" for word in (AGREE, DISAGREE, CANNOT_TELL)]
    return f"{', '.join(words[:-1])} and {words[-1]}"


_COUNTED = {AGREE: "agree", DISAGREE: "disagree", CANNOT_TELL: "remain open"}


def _source_names(pair: xr.Dataset) -> tuple[str, str]:
    first, second = registry.sources_of(str(pair["pair"].item()))
    return first.phrase, second.phrase


def _pair_names(pair: str) -> str:
    return " and ".join(source.phrase for source in registry.sources_of(pair))


def _sentence_case(text: str) -> str:
    return text[0].upper() + text[1:]


def _text(data: xr.Dataset, name: str) -> str:
    """A difference with its interval, '+0.012 [-0.021, 0.045]'."""
    value, low, high = _interval(data, name)
    half = (high - low) / 2
    digits = max(2, 1 - int(np.floor(np.log10(half)))) if half > 0 else 3
    value, low, high = (round(number, digits) + 0.0 for number in (value, low, high))
    return f"{value:+.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def _p(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def _interval(data: xr.Dataset, name: str) -> Interval:
    return np.array([data[f"{name}{end}"].item() for end in ("", "_low", "_high")])


def _line_parameter(pair: xr.Dataset, k: int) -> Interval:
    value = pair["slope" if k else "intercept"].item()
    half = NORMAL_95 * np.sqrt(pair["line_covariance"].to_numpy()[k, k])
    return np.array([value, value - half, value + half])


def _json_line(pair: xr.Dataset, k: int) -> dict | None:
    return _json_interval(_line_parameter(pair, k))


def _json_value(data: xr.Dataset, name: str) -> dict | None:
    return _json_interval(_interval(data, name))


def _json_interval(values: Interval) -> dict | None:
    if np.isnan(values).any():
        return None
    return dict(zip(("value", "low", "high"), map(float, values), strict=True))


def _json_number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
