"""The comparison as tables: one with a number a row, and one as a paper prints it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
import xarray as xr

from phasefront.comparison.agreement import AGREE, CANNOT_TELL, DISAGREE
from phasefront.comparison.sources import registry
from phasefront.core.statistics import NORMAL_95, Interval, two_sided_p
from phasefront.core.tables import Column, Table

ALL_STATES = "all states"
MARKS = {AGREE: "=", DISAGREE: "!", CANNOT_TELL: "?"}

_COLUMNS = (
    "state", "quantity", "source", "phase", "value", "low", "high", "z_score", "p",
    "equivalence_p", "verdict", "note",
)  # fmt: skip
_LATEX_NOTES = (
    r"% needs \usepackage{booktabs}",
    r"% $x$: ions per formula unit; phases: fraction of the formula units.",
    r"% 1.23(4): standard error of the last digits; 1.2 [1.1, 1.4]: 95 % interval.",
    r"% Differences: = agree, \neq disagree, ? cannot tell, by the margins of the run.",
)
# Signs that LaTeX takes for more than themselves, or prints as others.
_LATEX_SIGNS = {sign: f"\\{sign}" for sign in "&%#$_{}"} | {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "`": r"\textasciigrave{}",
}  # fmt: skip
# Sides of an interval that differ by less are written as one error.
_LOPSIDED = 0.1


# Declared here rather than in layouts, for its columns are those of the sources.
PRINTED_TABLE = Table(
    "comparison_table.csv",
    "The same as a paper prints it (also as `comparison.tex`): in round brackets the standard "
    "error in units of the last digit, in square ones the 95 % interval; a difference is "
    "marked = (agree), ! (disagree) or ? (cannot tell).",
    {
        "state": Column("str", "", "state of charge"),
        "quantity": Column(
            "str", "", "`x`, ions per formula unit, or the name of a phase, its share of the "
            "formula units",
        ),
        **{
            one.name: Column("str", "", f"by {one.phrase}{', in runs with it' * one.optional}")
            for one in registry.SOURCES
        },
        **{registry.pair_name(pair): Column("str", "", "difference") for pair in registry.pairs()},
    },
)  # fmt: skip


def comparison_table(comparison: xr.Dataset) -> pd.DataFrame:
    """COMPARISON as one tidy table.

    A row is a quantity of a state by a source (`ion_content`, or `fraction` of a phase), or its
    difference between a pair, with its 95 % interval. Rows of `all states` are means over states;
    there a pair also has its limits of agreement, and slope and intercept of its line. z_score,
    equivalence_p and verdict stand in the rows of pairs; p of fractions is adjusted for their
    number, that of ion contents is not, and that of the slope is of the line 1:1. Notes name
    what of a source was left out or refused, and what no phase or calibration explains.
    """
    return pd.DataFrame(_rows(comparison), columns=list(_COLUMNS))


def printed_table(comparison: xr.Dataset) -> pd.DataFrame:
    """Ion content and fractions of every state as texts, rounded to their errors.

    A value is followed by its standard error in units of the last digit, or by its 95 % interval
    where that is lopsided. Differences of pairs end in = (agree), ! (disagree) or ? (cannot tell).
    """
    tidy = comparison_table(comparison)
    tidy = tidy[tidy["quantity"].isin(_PRINTED)]
    texts = [
        f"{printed(np.array([row.value, row.low, row.high]))} {_mark(row)}".strip()
        for row in tidy.itertuples()
    ]
    tidy = tidy.assign(text=texts, quantity=tidy["phase"].where(tidy["phase"] != "", "x"))
    table = tidy.pivot_table(
        index=["state", "quantity"], columns="source", values="text", aggfunc="first"
    )
    order = [(str(s), q) for s in _states(comparison) for q in ("x", *_names(comparison, "phase"))]
    columns = [*_names(comparison, "source"), *_names(comparison, "pair")]
    return table.reindex(order)[columns].reset_index().rename_axis(columns=None)


def printed_layout(comparison: xr.Dataset) -> Table:
    """PRINTED_TABLE with the columns of the sources that a comparison has."""
    known = {"state", "quantity", *_names(comparison, "source"), *_names(comparison, "pair")}
    columns = {name: one for name, one in PRINTED_TABLE.columns.items() if name in known}
    return replace(PRINTED_TABLE, columns=columns)


def latex_table(comparison: xr.Dataset, labels: Mapping[str, str] | None = None) -> str:
    """`printed_table` as a LaTeX tabular with the rules of booktabs.

    `labels` maps the names of phases to what is printed, with mathematics between dollars.
    """
    table = printed_table(comparison)
    repeated = table["state"].duplicated()
    table["quantity"] = [
        "$x$" if text == "x" else _latex_text((labels or {}).get(text) or text)
        for text in table["quantity"]
    ]
    table["state"] = [_latex_text(state) for state in table["state"]]
    pairs = _names(comparison, "pair")
    for column in [*_names(comparison, "source"), *pairs]:
        table[column] = [_latex(text) for text in table[column]]
    heads = {column: _latex_head(column) for column in table.columns}
    rule = {
        index: r"\midrule"
        for index, (again, at) in enumerate(zip(repeated, table.index, strict=True))
        if not again and at > 0
    }
    table["state"] = table["state"].where(~repeated, "")
    lines = table.rename(columns=heads).to_latex(index=False, escape=False).splitlines()
    body = lines.index(r"\midrule") + 1
    for index in sorted(rule, reverse=True):
        lines.insert(body + index, rule[index])
    return "\n".join([*_LATEX_NOTES, *lines, ""])


def printed(values: Interval) -> str:
    """A value (value, low, high) with two digits of its error: '2.482(33)' or '1.00 [1.00, 1.39]'.

    In brackets the standard error, in units of the last digit, or the 95 % interval where one side
    is more than a tenth longer than the other. A dash where there is none.
    """
    if np.isnan(values).any():
        return "--"
    value, low, high = values
    below, above = value - low, high - value
    half = (high - low) / 2
    if half <= 0:
        return f"{value:g}"
    if abs(above - below) > _LOPSIDED * half:
        digits = _digits(half)
        return f"{_plain(value, digits)} [{_plain(low, digits)}, {_plain(high, digits)}]"
    error = half / NORMAL_95
    digits = _digits(error)
    scaled = round(error * 10**digits)
    return f"{_plain(value, digits)}({scaled})"


def _rows(comparison: xr.Dataset) -> Iterator[tuple]:
    phases, pairs = _names(comparison, "phase"), _names(comparison, "pair")
    data = {name: comparison[name].to_numpy() for name in comparison.variables}

    def interval(name: str, *at) -> list[float]:
        return [float(data[f"{name}{end}"][at]) for end in ("", "_low", "_high")]

    def tested(prefix: str, *at, p: float) -> tuple:
        return (
            float(data[f"{prefix}z_score"][at]), p, float(data[f"{prefix}equivalence_p"][at]),
        )  # fmt: skip

    none = (np.nan, np.nan, np.nan, "")
    for state, i in [*((s, k) for k, s in enumerate(data["state"])), (ALL_STATES, None)]:
        mean, here = ("mean_", ()) if i is None else ("", (i,))
        for j, source in enumerate(data["source"]):
            note = _note(data, (slice(None) if i is None else [i], j))
            at = (*here, j)
            yield (state, "ion_content", source, "", *interval(f"{mean}ion_content", *at),
                   *none, note)  # fmt: skip
            for k, phase in enumerate(phases):
                values = interval(f"{mean}fraction", *at, k)
                yield (state, "fraction", source, phase, *values, *none, note)
        for j, pair in enumerate(pairs):
            at = (j, *here)
            values = interval(f"{mean}difference", *at)
            tests = tested(mean, *at, p=float(two_sided_p(data[f"{mean}z_score"][at])))
            word = data["overall_verdict" if i is None else "verdict"][at]
            yield (state, "ion_content_difference", pair, "", *values, *tests, word, "")
            for k, phase in enumerate(phases):
                name, place = f"{mean}fraction_", (*at, k)
                values = interval(f"{mean}fraction_difference", *place)
                tests = tested(name, *place, p=float(data[f"{name}p"][place]))
                word = data[f"{name}verdict"][place]
                yield (state, "fraction_difference", pair, phase, *values, *tests, word, "")
            if i is None:
                yield from _rows_of_line(data, j, pair)


def _note(data: Mapping[str, np.ndarray], at: tuple) -> str:
    """What of a source in some states was left out or refused, what no phase explains, and, of
    one state, how many units its mean is of and how they differ."""
    left_out = ", ".join(filter(None, data["left_out"][at]))
    notes = [f"left out: {left_out}"] if left_out else []
    notes += [f"refused: {text}" for text in data["refused"][at] if text]
    notes += filter(None, data["unexplained"][at])
    units, between = (np.atleast_1d(data[name][at]) for name in ("units", "between_units"))
    if len(units) == 1 and units[0]:
        notes.append(
            f"mean of {units[0]}, between which the standard deviation is {between[0]:.2g}"
        )
    return "; ".join(notes)


def _rows_of_line(data: Mapping[str, np.ndarray], j: int, pair: str) -> Iterator[tuple]:
    none = (np.nan, np.nan, np.nan, "", "")
    for k, limit in enumerate(data["limit"]):
        values = [data[f"limit_of_agreement{end}"][j, k] for end in ("", "_low", "_high")]
        yield (ALL_STATES, f"{limit}_limit_of_agreement", pair, "", *values, *none)
    for k, name in enumerate(("intercept", "slope")):
        value, half = data[name][j], NORMAL_95 * np.sqrt(data["line_covariance"][j, k, k])
        p = data["line_p"][j] if name == "slope" else np.nan
        yield (
            ALL_STATES, name, pair, "", value, value - half, value + half, np.nan, p, *none[2:],
        )  # fmt: skip


_PRINTED = ("ion_content", "fraction", "ion_content_difference", "fraction_difference")


def _names(comparison: xr.Dataset, name: str) -> list[str]:
    return [str(value) for value in comparison[name].to_numpy()]


def _states(comparison: xr.Dataset) -> list[str]:
    return [*_names(comparison, "state"), ALL_STATES]


def _digits(error: float) -> int:
    """Decimals that show two digits of an error."""
    digits = max(0, 1 - int(np.floor(np.log10(error))))
    # 0.0997 rounds up to 0.10, which has its two digits one decimal earlier.
    return max(0, 1 - int(np.floor(np.log10(round(error, digits)))))


def _plain(value: float, digits: int) -> str:
    """Without the minus of a rounded zero."""
    return f"{round(value, digits) + 0.0:.{digits}f}"


def _mark(row) -> str:
    return MARKS[row.verdict] if row.verdict and np.isfinite(row.value) else ""


def _latex(text: str) -> str:
    """Numbers in mathematics, for minus signs that are minus signs, and marks raised."""
    if text == "--":
        return text
    for mark, sign in {"=": "=", "!": r"\neq", "?": r"\mathrm{?}"}.items():
        if text.endswith(f" {mark}"):
            return f"${text.removesuffix(mark).rstrip()}^{{{sign}}}$"
    return f"${text}$"


def _latex_text(text: str) -> str:
    """Text in which what stands between two dollars is mathematics, as in figures.

    With an odd number of dollars none of it is, as matplotlib has it.
    """
    parts = re.split(r"(?<!\\)\$", text.replace("\n", " "))
    if len(parts) % 2 == 0:
        return _escaped(text)
    return "$".join(part if number % 2 else _escaped(part) for number, part in enumerate(parts))


def _escaped(text: str) -> str:
    return "".join(_LATEX_SIGNS.get(sign, sign) for sign in text.replace(r"\$", "$"))


def _latex_head(column: str) -> str:
    if registry.BETWEEN in column:
        return " $-$ ".join(source.label for source in registry.sources_of(column))
    if column in ("state", "quantity"):
        return "" if column == "quantity" else column
    return registry.named(column).label
