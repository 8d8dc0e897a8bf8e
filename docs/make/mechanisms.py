"""docs/mechanisms.md: what can be told of insertion mechanisms, with the study's numbers."""

from __future__ import annotations

import json
from pathlib import Path

from phasefront.report.wording import markdown_table

STUDY = Path(__file__).resolve().parents[2] / "results/bench/mechanisms.json"


def page() -> str:
    """The page, from what `make mechanisms` wrote."""
    study = json.loads(STUDY.read_text(encoding="utf-8"))
    snapshots, literature = study["snapshots"], study["literature"]
    lfp = literature["lfp"]
    return f"""# Which way the ions go, and how well that is told

`make docs` writes the numbers of this page from `results/bench/mechanisms.json`, which
`make mechanisms` makes. All are of grains of regimes, and of
seeds, that no constant was chosen on ([simulated grains](simulated_grains.md)).

Three pictures are disputed: a core that shrinks, a wave that runs through a grain, dominoes that
fall one after another. They answer two different questions, so phasefront asks these apart.

- **How does a grain look half way?** Its *morphology*: front, curved front, band, core, inner
  nucleus, mosaic, uniform, none of these. Only grains that hold both phases show one.
- **How many grains are on the way at once?** The *caught share*: about the time that a grain
  takes over the time that the field takes. Dominoes are fast fronts: a snapshot of full and empty
  grains fixes the share and says nothing of what the front looked like.

Neither is a cause. Slow reaction with surface wetting makes a core, and so does slow diffusion;
phasefront names what is seen, and speaks of a cause only where a rate, a time or a dependence on
size is given.

## How

1. **Interfaces** (`interfaces`) are fitted in each grain to the posterior of every position, with
   direction, place, width and their errors; nothing is smoothed. The band of mixed columns along
   a front is as wide as the thickness times the tangent of its tilt: projection is information,
   where the thickness is known.
2. **Morphology** (`src/phasefront/mechanisms/morphology.py`): boosted trees look at domains
   of each phase, contacts with the outline, how much likelier a line, a band, a curve or the
   outline is than one share in all columns, and profiles inwards. They learn from grains of
   physics and from drawings alike: one that learned from drawings alone called curved fronts of
   physics a mosaic, and was sure of it.
3. **Populations** (`population.py`): the Bayes factor of *one by one* (at most 10 % caught)
   against *concurrent* (at least 20 %), from how many grains were called caught and how often
   that call is right. Less than ten to one is *cannot be told*.
4. **Habit plane** (`habit_plane.py`): every trace in projection leaves a great circle of normals;
   their posterior is a density on the sphere under the symmetry of the shared lattice, with a
   share of fronts that follow no plane, and with tilts of both signs. Half a turn about the beam
   reverses a trace and changes nothing. It stands beside random fronts, beside the edges of the
   outlines, and beside the elastic energy (`elastic.py`) where the config gives a stiffness.
5. **Which grains go first** (`order.py`): log odds of conversion for each covariate, tested by
   permutation within states, corrected after Holm, each beside the smallest effect that these
   grains could have shown.

## Measured: one by one or concurrent

A grain between the phases is seen so with a recall of {snapshots["detection"]["recall"]:.2f}, one
of one phase is taken for it with {snapshots["detection"]["false_alarm"]:.3f}; the verdict assumes
{snapshots["detection"]["stated_recall"]:.2f} and
{snapshots["detection"]["stated_false_alarm"]:.3f}, from other regimes. Shares of
{snapshots["verdicts"][0]["repeats"]} drawn populations:

{_verdicts(snapshots["verdicts"])}

Between 10 and 20 % there is no name to be right about; populations near it are often called
something. At least half of the grains of a session should lie between 0.3 and 0.7 of a two-phase
field: nearer to its ends any population has few grains on the way.

## Measured: morphologies

{_morphologies(snapshots["told"])}

## Measured: traces

A straight front through a round grain. Clean: a sharp front, no wrong position, cells or (without
cells) decisions that are sure. Poor: a band of 6 positions, 5 % of the positions say anything,
posteriors are three times less sharp.

{_fronts(study["fronts"])}

Wanted at 20 positions: 1.5° clean, 3.5° poor.

## Measured: habit planes

Fronts in grains of any orientation, a fifth of them on no common plane. Degrees to the true
plane, 90th percentile of {study["habit_planes"][0]["repeats"]} populations, and in brackets the
median angle that holds 95 % of the posterior.

{_habit_planes(study["habit_planes"])}

{_coverage(study["habit_planes"])} The analysis leaves open that true normals scatter by up to 12°
and that half of the fronts follow no plane. Where they do (10 grains, 3°), regions hold the plane
in {study["habit_regions"]["covered"]:.3f} of {study["habit_regions"]["repeats"]}. So regions are
wider than they need be, most where nothing scatters.

Fronts of no common plane are taken for fronts of one (p at most 0.05) in
{study["random_fronts"]["rejected"]:.3f} of {study["random_fronts"]["repeats"]} draws.

## Measured: which grains go first

{_covariates(study["covariates"])}

## The papers' counts, by the same functions

{_papers(literature)}

Robert's sizes and Chueh's are no contradiction: {literature["smallest_shift"]["Robert 2013"]:.3f}
against {literature["smallest_shift"]["Chueh 2013"]:.2f} is what either could have seen. A session
of 30 grains that finds no effect of size says nothing against either.

## "LiFePO4 {{101}}"

{_planes(lfp)}

The coherent minimum lies {lfp["softest_deg_from_a"]["published"]:.0f}° from a towards c
({lfp["softest_deg_from_a"]["another"]:.0f}° with the misfit 5.0, 2.8, -2.5 %;
{lfp["softest_deg_from_a"]["cells"]:.0f}° with that of the cells), near (4 0 1). Miller's (101)
lies at 66° and costs {lfp["planes"]["(101)"]["over_least"]:.2f} times as much: a published
"{{101}}" is a family in another sense, and a plane measured near a is what the energy wants.
{lfp["near_share"]:.0%} of all directions lie within a tenth of the range of energies, so fronts
may scatter widely without costing much. Across a coherent front the lattices turn: not at all on
(100), by {lfp["planes"]["softest"]["turn_deg"]:.1f}° on the softest plane, by
{lfp["turn_of_soft_planes_deg"]["mean"]:.1f}° ({lfp["turn_of_soft_planes_deg"]["low"]:.1f} to
{lfp["turn_of_soft_planes_deg"]["high"]:.1f}) on average over the soft ones. Mu 2016 reports a
mean misorientation of 1.4°, and a normal near a but slightly off: that is what soft inclined
planes predict, and (100) does not. Errors of orientation add to a measured mean, so it is no
proof.

## What cannot be told

- **A core from a nucleus inside**, or either from its opposite, where the direction of charge is
  not known.
- **A core whose shell lies above and below**: each column is mixed, and the grain looks uniform.
  A solid solution and domains finer than the thickness look so, too.
- **How the front moved**, if it is ex situ: interfaces of LiFePO4 move and turn after the current
  stops, and no table records how long a cell and its grains rested.
- **One plane from few grains**: five traces leave a region of tens of degrees. Where a and b are
  not told apart, it takes twice the grains.
- **A plane from an outline that follows it**: facets of a crystal give traces of their own; they
  are the second null.
- **A morphology where none is caught**, however many grains there are.
- **More from one state than from several**: without a second state no grain is seen to convert. A
  grain seen in two states counts in both as if it were two.

`phasefront plan --grains 30 --diameter 100 --step 5 --x 0.5` says it beforehand: power, grains
that suffice, smallest effects, expected region, grains caught in each state.

## Limits

Detection, traces and morphologies are of simulated grains whose columns are known, seen with
errors like those of rendered scans (`src/phasefront/virtual/insertion/seen.py`); overlapping
grains and drift are not in them. The elastic energy is of a thin, fully coherent lamella far from
surfaces, with one stiffness for both phases. Papers are cited from their abstracts."""


def _verdicts(rows: list[dict]) -> str:
    names = {"one by one": "one by one", "concurrent": "concurrent", "cannot be told": "untold"}
    grains = sorted({row["grains"] for row in rows})
    cells = {(row["share"], row["grains"]): row["drawn"] for row in rows}
    return markdown_table(
        ["caught", "is called", *(f"{number} grains" for number in grains)],
        [
            [f"{share:.0%}", said, *(f"{cells[share, n][verdict]:.3f}" for n in grains)]
            for share in sorted({row["share"] for row in rows})
            for verdict, said in names.items()
        ],
    )


def _fronts(rows: list[dict]) -> str:
    return markdown_table(
        ["seen", "positions across", "found", "sd", "stated", "over 15° off", "intervals covering"],
        [
            [row["seen"], str(row["positions"]), f"{row['found']:.2f}", f"{row['sd_deg']:.2f}°",
             f"{row['stated_deg']:.2f}°", f"{row['astray']:.3f}", f"{row['covered']:.3f}"]
            for row in rows
        ],
    )  # fmt: skip


def _habit_planes(rows: list[dict]) -> str:
    grains = sorted({row["grains"] for row in rows})
    cells = {(r["symmetry"], r["tilts"], r["trace_deg"], r["grains"]): r for r in rows}
    kinds = sorted({key[:3] for key in cells}, key=lambda kind: (kind[0] != "mmm", kind[1:]))
    table = [
        [kind[0], "with" if kind[1] else "without", f"{kind[2]:g}°"]
        + [f"{(c := cells[(*kind, n)])['error_deg']:.1f} ({c['region_deg']:.1f})" for n in grains]
        for kind in kinds
    ]
    header = ["symmetry", "tilts", "error of a trace", *(f"{n} grains" for n in grains)]
    return markdown_table(header, table)


def _coverage(rows: list[dict]) -> str:
    kinds = {}
    for row in rows:
        kinds.setdefault((row["symmetry"], row["tilts"]), []).append(row["covered"])
    means = [
        f"{sum(held) / len(held):.3f} ({symmetry}, {'with' if tilts else 'without'} tilts)"
        for (symmetry, tilts), held in kinds.items()
    ]
    return f"Regions of 95 % hold the true plane in {', '.join(means)}."


def _covariates(rows: list[dict]) -> str:
    return markdown_table(
        ["grains", "something found of six that do nothing", "power at the smallest effect stated",
         "intervals covering"],
        [
            [str(row["grains"]), f"{row['found_of_none']:.3f}", f"{row['power']:.2f}",
             f"{row['covered']:.3f}"]
            for row in rows
        ],
    )  # fmt: skip


def _papers(literature: dict) -> str:
    chueh, none = literature["chueh"], literature["none_caught"]
    shift = literature["smallest_shift"]
    return markdown_table(
        ["paper", "counts", "what they say"],
        [
            ["Chueh 2013, Nano Lett.", f"{chueh['caught']} of about {chueh['grains']} intermediate",
             f"caught {chueh['share']:.1%} [{chueh['low']:.1%}, {chueh['high']:.1%}]:"
             f" {chueh['verdict']}; a grain takes 1/{chueh['charge_over_transit']:.0f} of the"
             " charge"],
            ["Delmas 2008, 10.1038/nmat2230", "full and empty particles, none between; their number"
             " is not in the abstract",
             "; ".join(f"of {n}: caught at most {one['high']:.0%}, {one['verdict']}"
                       for n, one in none.items())],
            ["Robert 2013", "64,000 particles, small ones first",
             f"shows a shift of the size AUC of {shift['Robert 2013']:.3f} or more"],
            ["Chueh 2013, Nano Lett.", "about 450 particles, very weak correlation with size",
             f"shows a shift of {shift['Chueh 2013']:.2f} or more"],
            ["–", "a session of 30 grains",
             f"shows a shift of {shift['a session of 30 grains']:.2f} or more"],
        ],
    )  # fmt: skip


def _planes(lfp: dict) -> str:
    return markdown_table(
        ["plane", "energy over the least", "lattices turn by"],
        [
            [name, f"{one['over_least']:.2f}", f"{one['turn_deg']:.2f}°"]
            for name, one in lfp["planes"].items()
        ],
    )  # fmt: skip


def _by_tilt(of_tilt: dict) -> str:
    return ", ".join(f"{one['right']:.2f} ({name} degrees)" for name, one in of_tilt.items())


def _sure(bins: list[dict]) -> tuple[str, str]:
    """Number of answers that are sure, and the share of them that is right."""
    sure = [one for one in bins if one["from"] >= 0.7]
    number = sum(one["answers"] for one in sure)
    right = sum(one["answers"] * one["right"] for one in sure)
    return str(number), f"{right / number:.3f}" if number else "–"


def _morphologies(told: dict) -> str:
    sizes = markdown_table(
        ["positions of the grain", "grains between the phases", "right", "calibration error",
         "recall of caught", "false alarm"],
        [
            [size, str(one["grains"]), f"{one['right']:.3f}", f"{one['ece']:.3f}",
             *(f"{told['caught'][size][what]:.3f}" if size in told["caught"] else "–"
               for what in ("recall", "false_alarm"))]
            for size, one in told["grains"].items()
        ],
    )  # fmt: skip
    confusion = told["grains"]["all"]["confusion"]
    seen = {name: row for name, row in confusion.items() if sum(row.values())}
    table = markdown_table(
        ["is", *confusion],
        [
            [name, *(f"{count / sum(row.values()):.2f}" for count in row.values())]
            for name, row in seen.items()
        ],
    )
    reliability = markdown_table(
        ["posterior of the answer", "grains", "right"],
        [
            [f"{one['confidence']:.2f}", str(one["answers"]), f"{one['right']:.2f}"]
            for one in told["grains"]["all"]["bins"]
        ],
    )
    dominant = markdown_table(
        ["grains of 20 positions across", "populations", "dominant morphology right",
         "calibration error", "answers above 0.7", "of which right"],
        [
            [count, str(one["populations"]), f"{one['state']['right']:.3f}",
             f"{one['state']['ece']:.3f}", *_sure(one["state"]["bins"])]
            for count, one in told["populations"].items()
        ],
    )  # fmt: skip
    return f"""Wanted: the dominant morphology of 10 caught grains right in 0.90, with a calibration
error of at most 0.05. What limits it is projection: seen from the side, a core, a nucleus and a
band look alike. Right among single grains of 20 positions across, by the angle between the beam
and the axis along which a grain is the same: {_by_tilt(told["grains of 20 by tilt"])}.

{dominant}

Grains under one physics are misread alike: what their posteriors are off the truth has a
correlation of {told["alike"]:.2f} in calibration regimes, so n grains count for
n / (1 + (n - 1) {told["alike"]:.2f}).
That errs on the side of doubt: what is sure is right more often than it says.

Single grains, by their size:

{sizes}

What grains between the phases are called (rows: what they are; shares of a row):

{table}

Reliability of single answers:

{reliability}"""
