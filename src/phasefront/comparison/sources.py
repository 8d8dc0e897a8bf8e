"""Phase fractions and ion content of each state by 4D-STEM, charge and powder, set side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import xarray as xr

from phasefront.comparison import agreement
from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.core.statistics import NORMAL_95, Interval
from phasefront.layouts.comparison import COMPARISON
from phasefront.powder import misfits

SOURCES = ("cycling", "stem", "powder")
PAIRS = (("stem", "cycling"), ("stem", "powder"), ("powder", "cycling"))
# What is asked about a pair over all states.
QUESTIONS = ("mean", "tilt", "states", "fractions")


def compare_sources(
    *,
    states: Sequence[str],
    stem: Mapping[str, xr.Dataset],
    cycling: Mapping[str, xr.Dataset],
    powder: Mapping[str, Sequence[xr.Dataset]],
    phases: Sequence[tuple[str, float]],
    lever_fields: Sequence[Mapping[str, float]],
    margin: float,
    fraction_margin: float,
    left_out: Mapping[str, Sequence[str]] | None = None,
) -> xr.Dataset:
    """Put the sources side by side, with tests of their difference and of their equivalence.

    Parameters
    ----------
    states
        Names of the states, in the order wanted.
    stem
        FRACTIONS of a state, by state (`fractions.pool_fractions` pools its scans).
    cycling
        CYCLING data set of a state's log, by state.
    powder
        POWDER data sets of a state, by state. Several are averaged by inverse variance, with the
        Birge ratio where they scatter more than their e.s.d. say (Birge, Phys. Rev. 40, 207, 1932).
        Those whose fit was refused are named and do not count.
    phases
        Name and ions per formula unit of each phase.
    lever_fields
        Each names the two phases that coexist, with the ion content of each where they do. The
        lever rule turns charge into fractions there, as fractions of these two compositions: of
        the phase at the limit of its solid solution where that is not its own ion content.
        Outside the fields charge says nothing about phases.
    margin
        Difference of ion content that does not matter, ions per formula unit.
    fraction_margin
        Difference of a phase fraction that does not matter.
    left_out
        Names of a state's powder patterns that calibrated something and are not among `powder`.

    Returns
    -------
    COMPARISON data set. A source that a state lacks is NaN, and its pairs cannot be told.

    A single difference `agree`s where two one-sided tests at 5 % show it to be smaller than the
    margin, and `disagree`s where it is larger than the margin and not zero at 5 %. Fractions of one
    state are several tests of one question, so their p-values are adjusted (Holm).

    Over states, a pair is asked four questions: is there a mean difference (`mean`), does the
    difference change along the range of ion content (`tilt`, of a line fitted with errors on both
    axes), does a state stand out (`states`), does a phase fraction in some state (`fractions`).
    The last two are several tests each and count with the smallest p after Holm; the four then are
    adjusted among each other, so that sources that do not differ are called to disagree in at most
    5 % of runs. The pair agrees where the mean difference is shown to be within the margin and no
    question is answered by disagreement. The `verdict` of all pairs together is `agree` where every
    pair that can be compared agrees, and `disagree` where the smallest p over pairs does after
    Holm.

    Errors that states share, the ion content at the start and the charge per ion of a log (mass and
    losses), count in full in means and lines (see `agreement`). In means of fractions they are
    taken to point the same way in all states, which is never too narrow. Whatever else states may
    share (the calibration of a microscope, a wrong model of a phase) is in no interval.

    Raises
    ------
    InputError
        A two-phase field names no phase, or a log does not hold its state.
    """
    names = [name for name, _ in phases]
    shape = (3, len(states), len(SOURCES))
    content = np.full(shape, np.nan)
    fraction = np.full((*shape, len(phases)), np.nan)
    ends = _field_ends(lever_fields, names)
    results = {
        state: [found for found in patterns if not found.attrs["refused"]]
        for state, patterns in powder.items()
    }
    readers = {
        "cycling": (cycling, lambda state, data: _from_cycling(data, state, ends, len(phases))),
        "stem": (stem, lambda _, data: _from_stem(data)),
        "powder": (results, lambda _, data: _from_powder(data)),
    }
    for j, source in enumerate(SOURCES):
        given, reader = readers[source]
        for i, state in enumerate(states):
            if given.get(state):
                content[:, i, j], fraction[:, i, j] = reader(state, given[state])
    loading = dict.fromkeys(SOURCES, np.zeros((1, len(states))))
    loading["cycling"] = _shared_by_logs(states, cycling)
    compared = [
        _compare_pair(
            *(content[..., SOURCES.index(name)] for name in pair),
            *(fraction[:, :, SOURCES.index(name)] for name in pair),
            *(loading[name] for name in pair),
            margin=margin,
            fraction_margin=fraction_margin,
        )
        for pair in PAIRS
    ]
    stacked = {name: np.stack([found[name] for found in compared]) for name in compared[0]}
    return netcdf.build(
        COMPARISON,
        {
            "phase": names,
            "state": list(states),
            "source": list(SOURCES),
            "pair": [" - ".join(pair) for pair in PAIRS],
            "question": list(QUESTIONS),
            "limit": ["lower", "upper"],
            **_ends("fraction", fraction),
            **_ends("ion_content", content),
            **_means(content, fraction, loading),
            "left_out": [", ".join((left_out or {}).get(state, ())) for state in states],
            "refused": [_said(powder.get(state, ()), _refusal) for state in states],
            "unexplained": [_said(powder.get(state, ()), _unexplained) for state in states],
            **stacked,
        },
        {
            "margin": float(margin),
            "fraction_margin": float(fraction_margin),
            "verdict": _verdict_of_pairs(stacked["overall_verdict"], stacked["question_p"]),
        },
    )


def lever_rule(content: float, ends: Sequence[tuple], phase_count: int) -> np.ndarray:
    """Molar fraction of each phase, (phase,), at a mean ion content; NaN outside all fields.

    `ends` holds for each two-phase field ((ion content, phase index), (ion content, phase index)),
    poorer phase first.
    """
    for (poor, poor_phase), (rich, rich_phase) in ends:
        if poor <= content <= rich:
            fraction = np.zeros(phase_count)
            fraction[rich_phase] = (content - poor) / (rich - poor)
            fraction[poor_phase] = 1 - fraction[rich_phase]
            return fraction
    return np.full(phase_count, np.nan)


def _compare_pair(
    first: Interval,
    second: Interval,
    first_fraction: Interval,
    second_fraction: Interval,
    first_loading: np.ndarray,
    second_loading: np.ndarray,
    *,
    margin: float,
    fraction_margin: float,
) -> dict[str, np.ndarray]:
    """Everything that COMPARISON says about one pair.

    Ion contents (3, state), fractions (3, state, phase), loadings (cause, state).
    """
    apart = agreement.difference(first, second)
    z, equivalence_p = agreement.z_and_equivalence(apart, margin)
    p = agreement.material_p(apart, z, margin)
    fraction_apart = agreement.difference(first_fraction, second_fraction)
    fraction_z, fraction_equivalence_p = agreement.z_and_equivalence(
        fraction_apart, fraction_margin
    )
    fraction_p = agreement.material_p(fraction_apart, fraction_z, fraction_margin)
    adjusted_p = agreement.holm(fraction_p)
    found = {
        **_ends("difference", apart),
        "z_score": z,
        "equivalence_p": equivalence_p,
        "verdict": agreement.verdict(p, equivalence_p),
        **_ends("fraction_difference", fraction_apart),
        "fraction_z_score": fraction_z,
        "fraction_p": adjusted_p,
        "fraction_equivalence_p": fraction_equivalence_p,
        "fraction_verdict": agreement.verdict(adjusted_p, fraction_equivalence_p),
    }
    known = np.isfinite(apart[0])
    loadings = first_loading[:, known], second_loading[:, known]
    found |= _mean_fractions(
        first_fraction, second_fraction, first_loading, second_loading, fraction_margin
    )
    mean, line = np.full(3, np.nan), None
    if known.any():
        mean = agreement.difference(
            *map(agreement.mean_of_states, (first[:, known], second[:, known]), loadings)
        )
        # The line's x axis is the second source: 4D-STEM against charge.
        line = agreement.fit_line(second[:, known], first[:, known], *loadings[::-1])
    mean_z, mean_equivalence_p = agreement.z_and_equivalence(mean, margin)
    tilt = line.tilt() if line else np.full(3, np.nan)
    tilt_z, _ = agreement.z_and_equivalence(tilt, margin)
    smallest = [
        agreement.material_p(mean, mean_z, margin),
        agreement.material_p(tilt, tilt_z, margin),
        # One state answers this question by its mean difference.
        _smallest(agreement.holm(p)) if known.sum() > 1 else np.nan,
        _smallest(agreement.holm(fraction_p.ravel())),
    ]
    question_p = agreement.holm(np.array(smallest, dtype="f8"))
    return found | {
        "states_compared": known.sum(),
        **_ends("mean_difference", mean),
        "mean_z_score": mean_z,
        "mean_equivalence_p": mean_equivalence_p,
        "intercept": line.intercept if line else np.nan,
        "slope": line.slope if line else np.nan,
        "line_covariance": line.covariance if line else np.full((2, 2), np.nan),
        "line_chi_squared": line.chi_squared if line else np.nan,
        "line_p": line.one_to_one_p() if line else np.nan,
        **_ends("tilt", tilt),
        **_ends("limit_of_agreement", agreement.limits_of_agreement(apart[0][known])),
        "question_p": question_p,
        "overall_verdict": agreement.verdict(_smallest(question_p), mean_equivalence_p),
    }


def _mean_fractions(
    first: Interval,
    second: Interval,
    first_loading: np.ndarray,
    second_loading: np.ndarray,
    margin: float,
) -> dict[str, np.ndarray]:
    """Mean differences of fractions (3, state, phase) over the states that both sources know."""
    known = np.isfinite(first[0] - second[0]).all(axis=1)
    mean = np.full((3, first.shape[2]), np.nan)
    if known.any():
        mean = agreement.difference(
            _mean_fraction(first[:, known], first_loading[:, known]),
            _mean_fraction(second[:, known], second_loading[:, known]),
        )
    z, equivalence_p = agreement.z_and_equivalence(mean, margin)
    p = agreement.holm(agreement.material_p(mean, z, margin))
    return {
        **_ends("mean_fraction_difference", mean),
        "mean_fraction_z_score": z,
        "mean_fraction_p": p,
        "mean_fraction_equivalence_p": equivalence_p,
        "mean_fraction_verdict": agreement.verdict(p, equivalence_p),
    }


def _mean_fraction(fraction: Interval, loading: np.ndarray) -> Interval:
    """Mean over states, (3, phase), of fractions (3, state, phase)."""
    # How a shared error moves a fraction depends on the two-phase field; its size does not.
    together = np.sqrt(np.sum(loading**2, axis=0, keepdims=True))
    columns = [
        agreement.mean_of_states(fraction[..., k], together) for k in range(fraction.shape[2])
    ]
    return np.clip(np.stack(columns, axis=1), 0.0, 1.0)


def _means(
    content: Interval, fraction: Interval, loading: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Means over the states that every source knows, of those sources that know any."""
    found = {}
    for name, values in (("ion_content", content), ("fraction", fraction)):
        known = np.isfinite(values[0]).reshape(*values.shape[1:3], -1).all(axis=2)
        common = known[:, known.any(axis=0)].all(axis=1)
        means = np.full((3, *values.shape[2:]), np.nan)
        for j, source in enumerate(SOURCES):
            if common.any() and known[:, j].any():
                take = values[:, common, j], loading[source][:, common]
                average = _mean_fraction if name == "fraction" else agreement.mean_of_states
                means[:, j] = average(*take)
        found |= _ends(f"mean_{name}", means)
    return found


def _shared_by_logs(states: Sequence[str], cycling: Mapping[str, xr.Dataset]) -> np.ndarray:
    """Loading (cause, state) of charge: ion content at the start, then each log's own cause.

    The error at the first record is that of the ion content at the start, one for all logs. What
    an error has grown by since then is the mass and the losses, in proportion to charge.
    """
    logs = list(dict.fromkeys(log.attrs["log"] for log in cycling.values()))
    loading = np.zeros((1 + len(logs), len(states)))
    for i, state in enumerate(states):
        if not cycling.get(state):
            continue
        log = cycling[state]
        content, _, high = _state_of_log(log, state)
        error = (high - content) / NORMAL_95
        start = log["ion_content"].values[0]
        start_error = (log["ion_content_high"].values[0] - start) / NORMAL_95
        share = min(start_error / error, 1.0) if error > 0 else 0.0
        loading[0, i] = share
        passed = 1.0 if content <= start else -1.0
        if error > 0:
            loading[1 + logs.index(log.attrs["log"]), i] = passed * np.sqrt(1 - share**2)
    return loading


def _verdict_of_pairs(verdicts: np.ndarray, question_p: np.ndarray) -> str:
    """The verdict on all pairs (pair,) together from their p-values (pair, question)."""
    p = np.array([_smallest(of_pair) for of_pair in question_p])
    told = verdicts[np.isfinite(p)]
    if (agreement.holm(p) < agreement.SIGNIFICANCE).any():
        return agreement.DISAGREE
    if len(told) and (told == agreement.AGREE).all():
        return agreement.AGREE
    return agreement.CANNOT_TELL


def _smallest(p: np.ndarray) -> float:
    """The smallest p of the tests that could be made; NaN without any."""
    known = p[np.isfinite(p)]
    return float(known.min()) if known.size else np.nan


def _ends(name: str, values: Interval) -> dict[str, np.ndarray]:
    return {f"{name}{end}": values[k] for k, end in enumerate(("", "_low", "_high"))}


def _from_stem(fractions: xr.Dataset) -> tuple[Interval, Interval]:
    molar = {
        name: fractions[name].sel(kind="molar").to_numpy() for name in ("value", "low", "high")
    }
    content = [fractions[f"ion_content{end}"].item() for end in ("", "_low", "_high")]
    return np.array(content), np.stack(list(molar.values()))


def _said(patterns: Sequence[xr.Dataset], about: Callable[[xr.Dataset], str]) -> str:
    """What there is to say about some of a state's patterns, each after its name."""
    texts = {str(found.attrs["pattern"]): about(found) for found in patterns}
    return "; ".join(f"{name}: {text}" for name, text in texts.items() if text)


def _refusal(pattern: xr.Dataset) -> str:
    return str(pattern.attrs["refused"])


def _unexplained(pattern: xr.Dataset) -> str:
    return misfits.lines_in_words(
        pattern["unexplained_d"].to_numpy(), pattern["unexplained_height"].to_numpy()
    )


def _from_powder(patterns: Sequence[xr.Dataset]) -> tuple[Interval, Interval]:
    content = _average(
        np.array([p["ion_content"].to_numpy() for p in patterns]),
        np.array([p["ion_content_esd"].to_numpy() for p in patterns]),
    )
    fraction = _average(
        np.array([p["molar_fraction"].to_numpy() for p in patterns]),
        np.array([p["molar_fraction_esd"].to_numpy() for p in patterns]),
    )
    return content, np.clip(fraction, 0.0, 1.0)


def _average(value: np.ndarray, esd: np.ndarray) -> Interval:
    """Mean over the first axis by inverse variance, with its 95 % interval."""
    if len(value) == 1:
        mean, error = value[0], esd[0]
    else:
        # An e.s.d. of zero (a phase fixed at its bound) must not outweigh all others.
        weight = 1 / np.maximum(esd, 1e-6) ** 2
        mean = np.sum(weight * value, axis=0) / np.sum(weight, axis=0)
        chi_squared = np.sum(weight * (value - mean) ** 2, axis=0) / (len(value) - 1)
        error = np.sqrt(np.maximum(chi_squared, 1.0) / np.sum(weight, axis=0))
    return np.stack([mean, mean - NORMAL_95 * error, mean + NORMAL_95 * error])


def _from_cycling(
    cycling: xr.Dataset, state: str, ends: Sequence[tuple], phase_count: int
) -> tuple[Interval, Interval]:
    content = _state_of_log(cycling, state)
    active = _state_of_log(cycling, state, "state_active_ion_content")
    fraction = _lever_interval(active, ends, phase_count)
    share = float(cycling.attrs["inactive_share"])
    if share > 0:
        # Grains without contact are what they were. That their share is uncertain is in the ion
        # content of the others, where it weighs more.
        left = lever_rule(float(cycling.attrs["initial_ion_content"]), ends, phase_count)
        fraction = (1 - share) * fraction + share * left
    return content, fraction


def _state_of_log(cycling: xr.Dataset, state: str, name: str = "state_ion_content") -> Interval:
    """Ion content of a state by its log, (3,)."""
    names = [str(name) for name in cycling["state"].to_numpy()]
    if state not in names:
        raise InputError(
            cycling.attrs["file"], f"its table of states lacks {state!r}", field="state",
            remedy="name the log under that state in the config",
        )  # fmt: skip
    here = names.index(state)
    return np.array([cycling[f"{name}{end}"].to_numpy()[here] for end in ("", "_low", "_high")])


def _lever_interval(content: Interval, ends: Sequence[tuple], phase_count: int) -> Interval:
    """Fractions (3, phase) at an ion content with its interval.

    A content just beyond a field counts as the field's end if its interval reaches there.
    """
    value, low, high = content
    borders = np.array([border for field in ends for border, _ in field])
    reached = borders[(borders >= low) & (borders <= high)]
    fraction = lever_rule(value, ends, phase_count)
    if np.isnan(fraction[0]) and len(reached):
        fraction = lever_rule(reached[np.argmin(np.abs(reached - value))], ends, phase_count)
    if np.isnan(fraction[0]):
        return np.full((3, phase_count), np.nan)
    # Fractions are straight lines between the borders of fields.
    within = [lever_rule(x, ends, phase_count) for x in (low, high, *reached)]
    candidates = np.stack([fraction, *within])
    return np.stack([fraction, np.nanmin(candidates, axis=0), np.nanmax(candidates, axis=0)])


def _field_ends(fields: Sequence[Mapping[str, float]], phases: list[str]) -> list[tuple]:
    """Ends ((ion content, phase index), ...) of each field, the poorer in ions first."""
    for name in {name for field in fields for name in field} - set(phases):
        raise InputError(
            "material", f"there is no phase {name!r}", field="two_phase_fields",
            remedy=f"name two of {', '.join(phases)} in each field",
        )  # fmt: skip
    return [
        tuple(sorted((content, phases.index(name)) for name, content in field.items()))
        for field in fields
    ]
