"""Why a position has the answer it has: the rule of `verdict` that settled it, in a sentence.

PHASES holds what the rules asked, but for three things: how far spots lie from their places, the
posterior of a second lattice, and the least number of spots. Where only these are left to stand
against an answer, the sentence says so.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from phasefront.layouts.phases import MIXED, UNDECIDED, UNINDEXED, VACUUM
from phasefront.phases import pairs
from phasefront.phases.lattices import CLEAR

# The order is that of the codes. What stands in braces is filled in by `facts`.
SENTENCES = {
    "vacuum": "There is no crystal: fewer spots than a pattern needs, and a background like that of"
    " the scan's empty places.",
    "few": "There are fewer spots than a pattern needs, on a background that is not that of the"
    " scan's empty places.",
    "unexplained": "Of the spots, {explained} belong to lattices of the candidates; an answer needs"
    " {min_explained}.",
    "chance": "The spots are hardly likelier to be of {phase} than to be strays, of which the best"
    " of all orientations explains as many by chance.",
    "no_cell": "No cell could be refined from the spots.",
    "cell": "The refined cell lies {cell_misfit} standard errors from the candidates' cells and"
    " from all between them; {max_misfit} are allowed.",
    "pair": "Two lattices explain the pattern, too, and whether they do so better than {phase}"
    " alone cannot be told.",
    "posterior": "The likeliest phase, {phase}, has the posterior {posterior}; a decision needs"
    " more than {decide_above}.",
    "foreign": "Regions of this scan that are likeliest {phase} show other cells than its own, and"
    " what the region around shows is likelier one of these.",
    "region": "The mean cell of the region around lies {phase_misfit} standard errors from that of"
    " {phase}; {max_misfit} are allowed.",
    "second_unsure": "A second lattice takes {second_share} of the amplitude, and its phase is not"
    " sure, or the first one's cell lies between two phases, or spots lie farther from their places"
    " than errors allow.",
    "residual": "The spots lie farther from the places that {phase} gives them than errors allow.",
    "two_lattices": "Two lattices lie over each other, {phase} and {second}; the second takes"
    " {second_share} of the amplitude.",
    "between": "The refined cell lies between those of two phases, at {ion_content} ions per"
    " formula unit.",
    "decided": "{phase} has the posterior {posterior}, and a decision needs more than"
    " {decide_above}.",
    "second_same": "Two lattices lie over each other, both {phase}.",
    "second_weak": "{phase} counts alone: a second lattice, {second}, takes {second_share} of the"
    " amplitude, less than the {clear} that make a position mixed.",
    "second_strong": "{second} counts alone: with a second lattice of it, which takes"
    " {second_share} of the amplitude, it has at least the {most} that one phase needs.",
    "of_map": "The map that {map_by} made says so; nothing was decided here.",
}
RULES = tuple(SENTENCES)


def deciding_rules(phases: xr.Dataset) -> np.ndarray:
    """Index (y, x), i1, in `RULES` of what settled each position of PHASES.

    Of several rules that a position fails, it is the first that `verdict` asks.
    """
    decision = phases["decision"].values
    if phases.attrs["map_by"]:
        return np.full(decision.shape, RULES.index("of_map"), dtype="i1")
    posterior = np.nan_to_num(phases["posterior"].values)
    likeliest = posterior.argmax(axis=-1)
    second, second_share = phases["second_phase"].values, phases["second_share"].values
    explained = phases["explained"].values
    limit = phases.attrs["max_misfit"]
    two, weighty = second >= 0, second_share > 1 - CLEAR
    misfit = phases["cell_misfit"].values

    undecided, decided = decision == UNDECIDED, decision >= 0
    unsure = undecided & (posterior.max(axis=-1) <= phases.attrs["decide_above"])
    found = {
        "vacuum": decision == VACUUM,
        "few": (decision == UNINDEXED) & np.isnan(explained),
        "unexplained": decision == UNINDEXED,
        "chance": undecided & (phases["over_strays"].values <= np.log(pairs.ODDS)),
        "no_cell": undecided & ~np.isfinite(misfit),
        "cell": undecided & (misfit > limit),
        "pair": unsure & (second < 0) & pairs.possible(phases["second_probability"].values),
        "posterior": unsure,
        "foreign": undecided & np.isposinf(phases["phase_misfit"].values),
        "region": undecided & ~(phases["phase_misfit"].values <= limit),
        "second_unsure": undecided & two,
        "residual": undecided,
        "two_lattices": (decision == MIXED) & two & weighty,
        "between": decision == MIXED,
        "second_same": decided & two & (second == decision) & (decision == likeliest),
        "second_strong": decided & two & (second == decision),
        "second_weak": decided & two,
        "decided": decided,
    }
    # The last that is written stands.
    rule = np.empty(decision.shape, dtype="i1")
    for name, here in reversed(found.items()):
        rule[here] = RULES.index(name)
    return rule


def sentence(phases: xr.Dataset, row: int, column: int, names: list[str]) -> str:
    """Why the position (row, column) of PHASES has its answer, with phases by their `names`."""
    here = phases.isel(y=[row], x=[column])
    rule = RULES[deciding_rules(here)[0, 0]]
    return SENTENCES[rule].format(**facts(here.isel(y=0, x=0), names))


def facts(here: xr.Dataset, names: list[str]) -> dict[str, str]:
    """What sentences say of one position of PHASES, as text."""
    likeliest = int(np.nan_to_num(here["posterior"].values).argmax())
    decision, second = int(here["decision"]), int(here["second_phase"])
    content, error = float(here["ion_content"]), float(here["ion_content_stderr"])
    return {
        "phase": names[decision if decision >= 0 and decision != second else likeliest],
        "second": names[second] if second >= 0 else "none",
        "posterior": f"{float(here['posterior'][likeliest]):.4f}",
        "decide_above": f"{here.attrs['decide_above']:g}",
        "explained": _percent(here["explained"]),
        "min_explained": _percent(here.attrs["min_explained"]),
        "cell_misfit": f"{float(here['cell_misfit']):.1f}",
        "phase_misfit": f"{float(here['phase_misfit']):.1f}",
        "max_misfit": f"{here.attrs['max_misfit']:g}",
        "second_share": _percent(here["second_share"]),
        "clear": _percent(1 - CLEAR),
        "most": _percent(CLEAR),
        "ion_content": f"{content:.2f} ± {error:.2f}",
        "map_by": str(here.attrs["map_by"]),
    }


def _percent(value: object) -> str:
    return f"{100 * float(value):.0f} %"
