"""Phase fractions and ion content of each state by every source, set side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from phasefront.comparison import agreement
from phasefront.comparison.sources import registry
from phasefront.comparison.sources.source import Material
from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.core.statistics import Interval
from phasefront.layouts.comparison import COMPARISON
from phasefront.layouts.dimensions import named_ends

# What is asked about a pair over all states.
QUESTIONS = ("mean", "tilt", "states", "fractions")
# What sources say of their data sets beside numbers.
_SAID = ("left_out", "refused", "unexplained")


def compare_sources(
    *,
    states: Sequence[str],
    given: Mapping[str, Mapping[str, Sequence[xr.Dataset]]],
    phases: Sequence[str],
    lever_fields: Sequence[Mapping[str, float]],
    margin: float,
    fraction_margin: float,
    calibrating: Mapping[str, Sequence[str]] | None = None,
) -> xr.Dataset:
    """Put the sources side by side, with tests of their difference and of their equivalence.

    Parameters
    ----------
    states
        Names of the states, in the order wanted.
    given
        Data sets of each state, by name of the source and then by state. What they are, each source
        of `sources.registry` says; one that is not given says nothing of any state, and is left
        out where it is optional.
    phases
        Name of each phase.
    lever_fields
        Each names the two phases that coexist, with the ion content of each where they do. The
        lever rule turns charge into fractions there, as fractions of these two compositions: of
        the phase at the limit of its solid solution where that is not its own ion content.
        Outside the fields charge says nothing about phases.
    margin
        Difference of ion content that does not matter, ions per formula unit.
    fraction_margin
        Difference of a phase fraction that does not matter.
    calibrating
        Phases whose cells were refined from a measurement, by its name: it cannot validate them.

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
        A two-phase field names no phase, a log does not hold its state, or there is no such source.
    """
    for name in given:
        registry.named(name)
    sources = {source.name: source for source in registry.taking_part(given)}
    material = Material(phases, _field_ends(lever_fields, list(phases)), calibrating or {})
    shape = (3, len(states), len(sources))
    content = np.full(shape, np.nan)
    fraction = np.full((*shape, len(phases)), np.nan)
    texts = {name: np.full(shape[1:], "", dtype=object) for name in _SAID}
    units = np.zeros(shape[1:], dtype=int)
    between = np.full(shape[1:], np.nan)
    loading = {}
    for j, (name, source) in enumerate(sources.items()):
        of_states = {state: given.get(name, {}).get(state, ()) for state in states}
        usable = {state: source.usable(data, material) for state, data in of_states.items()}
        loading[name] = source.loading(states, {s: data for s, data in usable.items() if data})
        for i, (state, data) in enumerate(of_states.items()):
            texts["left_out"][i, j] = ", ".join(source.left_out(data, material))
            texts["refused"][i, j] = source.refused(data, material)
            texts["unexplained"][i, j] = source.unexplained(data, material)
            if usable[state]:
                content[:, i, j] = source.ion_content(usable[state], state)
                units[i, j], between[i, j] = source.sampled(usable[state])
                found = source.fractions(usable[state], state, material)
                if found is not None:
                    fraction[:, i, j] = found
    place = {name: j for j, name in enumerate(sources)}
    pairs = registry.pairs(list(sources.values()))
    compared = [
        _compare_pair(
            *(content[..., place[name]] for name in pair),
            *(fraction[:, :, place[name]] for name in pair),
            *(loading[name] for name in pair),
            margin=margin,
            fraction_margin=fraction_margin,
        )
        for pair in pairs
    ]
    stacked = {name: np.stack([found[name] for found in compared]) for name in compared[0]}
    return netcdf.build(
        COMPARISON,
        {
            "phase": list(phases),
            "state": list(states),
            "source": list(sources),
            "pair": [registry.pair_name(pair) for pair in pairs],
            "question": list(QUESTIONS),
            "limit": ["lower", "upper"],
            **named_ends("fraction", fraction),
            **named_ends("ion_content", content),
            **_means(content, fraction, loading),
            **texts,
            "units": units,
            "between_units": between,
            **stacked,
        },
        {
            "margin": float(margin),
            "fraction_margin": float(fraction_margin),
            "verdict": _verdict_of_pairs(stacked["overall_verdict"], stacked["question_p"]),
        },
    )


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
        **named_ends("difference", apart),
        "z_score": z,
        "equivalence_p": equivalence_p,
        "verdict": agreement.verdict(p, equivalence_p),
        **named_ends("fraction_difference", fraction_apart),
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
        **named_ends("mean_difference", mean),
        "mean_z_score": mean_z,
        "mean_equivalence_p": mean_equivalence_p,
        "intercept": line.intercept if line else np.nan,
        "slope": line.slope if line else np.nan,
        "line_covariance": line.covariance if line else np.full((2, 2), np.nan),
        "line_chi_squared": line.chi_squared if line else np.nan,
        "line_p": line.one_to_one_p() if line else np.nan,
        **named_ends("tilt", tilt),
        **named_ends("limit_of_agreement", agreement.limits_of_agreement(apart[0][known])),
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
        **named_ends("mean_fraction_difference", mean),
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
        for j, source in enumerate(loading):
            if common.any() and known[:, j].any():
                take = values[:, common, j], loading[source][:, common]
                average = _mean_fraction if name == "fraction" else agreement.mean_of_states
                means[:, j] = average(*take)
        found |= named_ends(f"mean_{name}", means)
    return found


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
