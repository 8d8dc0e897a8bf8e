"""Phase fractions and ion content of each state by 4D-STEM, charge and powder, set side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr
from scipy import stats

from phasefront import layouts, netcdf
from phasefront.errors import InputError

SOURCES = ("cycling", "stem", "powder")
PAIRS = (("stem", "cycling"), ("stem", "powder"), ("powder", "cycling"))

AGREE = "agree"
DISAGREE = "disagree"
CANNOT_TELL = "cannot tell"

_NORMAL_95 = stats.norm.ppf(0.975)
_SIGNIFICANCE = 0.05

# A value with the ends of its 95 % interval, each array of one shape, stacked on the first axis.
Interval = np.ndarray


def compare_sources(
    *,
    states: Sequence[str],
    stem: Mapping[str, xr.Dataset],
    cycling: Mapping[str, xr.Dataset],
    powder: Mapping[str, Sequence[xr.Dataset]],
    phases: Sequence[tuple[str, float]],
    lever_fields: Sequence[Mapping[str, float]],
    margin: float,
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
    phases
        Name and ions per formula unit of each phase.
    lever_fields
        Each names the two phases that coexist, with the ion content of each where they do. The
        lever rule turns charge into fractions there, as fractions of these two compositions: of
        the phase at the limit of its solid solution where that is not its own ion content.
        Outside the fields charge says nothing about phases.
    margin
        Difference of ion content that does not matter, ions per formula unit.

    Returns
    -------
    COMPARISON data set. A source that a state lacks is NaN, and its pairs cannot be told.
    For a pair (a, b): `z_score` is the difference a - b over its standard error on the side
    towards zero; `equivalence_p` the larger p of two one-sided normal tests that the difference
    lies beyond -margin or margin (Schuirmann, J. Pharmacokinet. Biopharm. 15, 657, 1987). Standard
    errors are taken from the 95 % intervals, each side for itself, and add in squares (Zou and
    Donner, Stat. Med. 27, 1693, 2008). Sources agree where equivalence_p < 0.05, else disagree
    where |z| > 1.96.

    Raises
    ------
    InputError
        A two-phase field names no phase, or a log does not hold its state.
    """
    shape = (3, len(states), len(SOURCES))
    content = np.full(shape, np.nan)
    fraction = np.full((*shape, len(phases)), np.nan)
    ions = np.array([content for _, content in phases], dtype="f8")
    ends = _field_ends(lever_fields, [name for name, _ in phases])
    readers = {
        "cycling": (cycling, lambda state, data: _from_cycling(data, state, ends, len(ions))),
        "stem": (stem, lambda _, data: _from_stem(data)),
        "powder": (powder, lambda _, data: _from_powder(data)),
    }
    for j, source in enumerate(SOURCES):
        given, reader = readers[source]
        for i, state in enumerate(states):
            if given.get(state):
                content[:, i, j], fraction[:, i, j] = reader(state, given[state])
    first, second = (content[..., [SOURCES.index(pair[side]) for pair in PAIRS]] for side in (0, 1))
    z, p = _tests(difference(first, second), margin)
    return netcdf.build(
        layouts.COMPARISON,
        {
            "phase": [name for name, _ in phases],
            "state": list(states),
            "source": list(SOURCES),
            "pair": [" - ".join(pair) for pair in PAIRS],
            "fraction": fraction[0],
            "fraction_low": fraction[1],
            "fraction_high": fraction[2],
            "ion_content": content[0],
            "ion_content_low": content[1],
            "ion_content_high": content[2],
            "z_score": z,
            "equivalence_p": p,
            "verdict": _verdict(z, p),
        },
        {"margin": float(margin)},
    )


def difference(first: Interval, second: Interval) -> Interval:
    """First minus second, (3, ...), with the interval that the two intervals imply.

    Each end adds in squares the sides of the two intervals that reach there (Zou and Donner, Stat.
    Med. 27, 1693, 2008), so intervals may be lopsided.
    """
    value = first[0] - second[0]
    below = np.hypot(first[0] - first[1], second[2] - second[0])
    above = np.hypot(first[2] - first[0], second[0] - second[1])
    return np.stack([value, value - below, value + above])


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


def comparison_table(comparison: xr.Dataset) -> pd.DataFrame:
    """COMPARISON as one tidy table.

    A row is a quantity of a state by a source (`ion_content`, or `fraction` of a phase), or the
    difference of ion content of a pair, with its 95 % interval; z_score, equivalence_p and verdict
    stand in the rows of pairs.
    """
    data = {name: comparison[name].to_numpy() for name in comparison.variables}
    content, fraction = _triple(data, "ion_content"), _triple(data, "fraction")
    untested = (np.nan, np.nan, "")
    rows = []
    for i, state in enumerate(data["state"]):
        for j, source in enumerate(data["source"]):
            rows.append((state, "ion_content", source, "", *content[:, i, j], *untested))
            for k, phase in enumerate(data["phase"]):
                rows.append((state, "fraction", source, phase, *fraction[:, i, j, k], *untested))
        for j, pair in enumerate(data["pair"]):
            tests = data["z_score"][i, j], data["equivalence_p"][i, j], data["verdict"][i, j]
            apart = _pair_difference(content[:, i], data["source"], pair)
            rows.append((state, "ion_content_difference", pair, "", *apart, *tests))
    columns = ["state", "quantity", "source", "phase", "value", "low", "high"]
    return pd.DataFrame(rows, columns=[*columns, "z_score", "equivalence_p", "verdict"])


def latex_table(comparison: xr.Dataset) -> str:
    """The ion contents with 95 % intervals and the verdicts, one state a line, as LaTeX tabular."""
    sources, pairs = comparison["source"].to_numpy(), comparison["pair"].to_numpy()
    head = ["state", *(f"$x$, {s}" for s in sources), *(p.replace("-", "--") for p in pairs)]
    data = {name: comparison[name].to_numpy() for name in comparison.variables}
    content = _triple(data, "ion_content")
    lines = [
        r"\begin{tabular}{" + "l" * len(head) + "}",
        r"\hline",
        " & ".join(head) + r" \\",
        r"\hline",
    ]
    for i, state in enumerate(data["state"]):
        cells = [_latex_value(content[:, i, j]) for j in range(len(sources))]
        lines.append(" & ".join([str(state), *cells, *data["verdict"][i]]) + r" \\")
    return "\n".join([*lines, r"\hline", r"\end{tabular}", ""])


def summary(
    comparison: xr.Dataset,
    fractions: Mapping[str, xr.Dataset],
    *,
    run: str,
    seconds: Mapping[str, float],
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

    Returns
    -------
    `{"run", "states": [{"state", "x": {source: V}, "fractions": {"stem": {phase: V}, "powder":
    {phase: V}}}], "scans": [{"scan", "patterns", "decided", "mixed", "undecided", "vacuum",
    "seconds"}]}` with V = `{"value", "low", "high"}`, or None where there is no such source.
    """
    data = {name: comparison[name].to_numpy() for name in comparison.variables}
    content, fraction = _triple(data, "ion_content"), _triple(data, "fraction")
    column = {str(source): j for j, source in enumerate(data["source"])}
    phases = [str(phase) for phase in data["phase"]]

    def by_phase(values: np.ndarray) -> dict | None:
        if np.isnan(values[0]).any():
            return None
        return {phase: _json_value(values[:, k]) for k, phase in enumerate(phases)}

    states = [
        {
            "state": str(state),
            "x": {source: _json_value(content[:, i, j]) for source, j in column.items()},
            "fractions": {s: by_phase(fraction[:, i, column[s]]) for s in ("stem", "powder")},
        }
        for i, state in enumerate(data["state"])
    ]
    counts = ("patterns", "decided", "mixed", "undecided", "vacuum")
    scans = [
        {
            "scan": scan,
            **{name: int(found[name]) for name in counts},
            "seconds": seconds.get(scan),
        }
        for scan, found in fractions.items()
    ]
    return {"run": run, "states": states, "scans": scans}


def _from_stem(fractions: xr.Dataset) -> tuple[Interval, Interval]:
    molar = {
        name: fractions[name].sel(kind="molar").to_numpy() for name in ("value", "low", "high")
    }
    content = [fractions[f"ion_content{end}"].item() for end in ("", "_low", "_high")]
    return np.array(content), np.stack(list(molar.values()))


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
    return np.stack([mean, mean - _NORMAL_95 * error, mean + _NORMAL_95 * error])


def _from_cycling(
    cycling: xr.Dataset, state: str, ends: Sequence[tuple], phase_count: int
) -> tuple[Interval, Interval]:
    names = [str(name) for name in cycling["state"].to_numpy()]
    if state not in names:
        raise InputError(
            cycling.attrs["file"], f"its table of states lacks {state!r}", field="state",
            remedy="name the log under that state in the config",
        )  # fmt: skip
    here = names.index(state)
    content, active = (
        np.array([cycling[f"{name}{end}"].to_numpy()[here] for end in ("", "_low", "_high")])
        for name in ("state_ion_content", "state_active_ion_content")
    )
    fraction = _lever_interval(active, ends, phase_count)
    share = float(cycling.attrs["inactive_share"])
    if share > 0:
        # Grains without contact are what they were. That their share is uncertain is in the ion
        # content of the others, where it weighs more.
        left = lever_rule(float(cycling.attrs["initial_ion_content"]), ends, phase_count)
        fraction = (1 - share) * fraction + share * left
    return content, fraction


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


def _tests(apart: Interval, margin: float) -> tuple[np.ndarray, np.ndarray]:
    """z-scores and p-values of the equivalence tests of differences, of the differences' shape."""
    value, low, high = apart
    below, above = (value - low) / _NORMAL_95, (high - value) / _NORMAL_95
    z = _in_errors(value, np.where(value > 0, below, above))
    beyond_low = stats.norm.sf(_in_errors(value + margin, below))
    beyond_high = stats.norm.sf(_in_errors(margin - value, above))
    return z, np.maximum(beyond_low, beyond_high)


def _in_errors(distance: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Distance over standard error; an exact value is infinitely far from all but itself."""
    exact = np.where(distance == 0, 0.0, np.copysign(np.inf, distance))
    exact = np.where(np.isnan(distance), np.nan, exact)
    return np.divide(distance, error, out=exact, where=~(error == 0))


def _verdict(z: np.ndarray, p: np.ndarray) -> np.ndarray:
    words = np.where(np.abs(z) > _NORMAL_95, DISAGREE, CANNOT_TELL)
    return np.where(p < _SIGNIFICANCE, AGREE, words)


def _triple(data: Mapping[str, np.ndarray], name: str) -> Interval:
    return np.stack([data[name], data[f"{name}_low"], data[f"{name}_high"]])


def _pair_difference(content: Interval, sources: np.ndarray, pair: str) -> Interval:
    first, second = (list(sources).index(name) for name in pair.split(" - "))
    return difference(content[:, first], content[:, second])


def _json_value(values: Interval) -> dict | None:
    if np.isnan(values).any():
        return None
    return dict(zip(("value", "low", "high"), map(float, values), strict=True))


def _latex_value(values: Interval) -> str:
    if np.isnan(values).any():
        return "--"
    return "{:.3f} [{:.3f}, {:.3f}]".format(*values)
