"""docs/coverage.md: do intervals of fractions hold the truth, with the studies' numbers."""

from __future__ import annotations

import json
from pathlib import Path

from phasefront.report.wording import markdown_table

ROOT = Path(__file__).resolve().parents[2]
STUDY = ROOT / "results/demo/coverage.json"
GRAINS = ROOT / "results/bench/electrode.json"
# Rows of the table: group of the study, and what the page calls it.
_ROWS = {
    ("all", "all"): "all phases",
    ("truth", "mixture"): "**both phases of a mixture**",
    ("truth", "pure"): "pure phases",
    ("truth", "absent"): "absent phases",
    ("insertion model", "all-or-none"): "mixtures, the ion-rich phase: whole grains react",
    ("insertion model", "core-shell"): "the same: from the outline inwards",
    ("insertion model", "straight-front"): "the same: behind a straight front",
    ("effective grains", "0 to 6"): "the same: up to 6 effective grains",
    ("effective grains", "6 to 10"): "the same: 6 to 10",
    ("effective grains", "over 10"): "the same: over 10",
}
_BIASED = {
    ("role", "rich"): "the ion-rich one",
    ("truth", "pure"): "a pure one",
    ("fraction of the rich phase", "0 to 0.2"): "the ion-rich one, under 0.2 of a mixture",
    ("fraction of the rich phase", "0.2 to 0.8"): "the same, 0.2 to 0.8",
    ("fraction of the rich phase", "0.8 to 1"): "the same, over 0.8",
    ("thin layers", "all-or-none, up to 0.1"): "whole grains, up to 0.1 of the ion-rich one",
    ("thin layers", "all-or-none, from 0.9"): "whole grains, from 0.9",
    ("thin layers", "core-shell, up to 0.1"): "a core of up to 0.1",
    ("thin layers", "core-shell, from 0.9"): "a core of 0.9 and more, in a thin shell",
    ("thin layers", "straight-front, up to 0.1"): "behind a front, up to 0.1",
    ("thin layers", "straight-front, from 0.9"): "behind a front, from 0.9",
}
_WANTED = (0.92, 0.98)


def page() -> str:
    """The page, from what `make coverage` and `python -m benchmarks.electrode` wrote."""
    study = json.loads(STUDY.read_text(encoding="utf-8"))
    grains = json.loads(GRAINS.read_text(encoding="utf-8"))
    scans = _by_group(study["coverage"])["area", "all", "all"]["scans"]
    return f"""# Do 95 % intervals of fractions hold the truth?

`make docs` writes the numbers of this page from two studies.

- `make coverage`: {scans} small virtual scans, each of a population whose fractions are known, go
  through the run's own steps. It writes `results/demo/coverage.csv` (a row for each scan, kind of
  fraction and phase), `coverage.json` (shares and mean errors by group) and the picture below.
- `python -m benchmarks.electrode`: the intervals alone, on drawn grains, minutes on one core.

![Intervals, how many of them hold the truth, and mean errors](coverage.png)

## The model

Grains are whole (one phase each) or partial, and both kinds have a population of their own
(`src/phasefront/fractions/electrode.py` has the priors and formulas). Draws of the electrode's
fractions are unfolded by draws of the confusion of phases. Tails are not equal: an interval misses
less on the side where its fraction is near 0 or 1. Nothing in it jumps: 12 pure grains give
[0.83, 1], and with three mixed positions in 1200 the same to 0.01; a test moves single
positions and holds all ends to 0.02. It cannot tell a thin shell about every grain from strays in
whole grains, and is wide there.

There are no intervals from square blocks any more. A grain lies in several, which then count as if
they were independent: where whole grains react such intervals held the truth in 0.83 to 0.86, and
no size of block would mend that on scans of a few grains.

## On grains alone

Grains of log-normal area (0.5), three phases of which one is absent, 0.03 to 0.97 of one phase;
{grains["rows"][0]["scans"]} scans in each field, of a seed that nothing was chosen on. Share of
intervals that hold the fractions of the two phases, and mean width:

{_grains(grains["rows"])}

{_outside(grains["rows"])}

## On virtual scans: what is simulated

- **Populations.** A scan of 28 x 28 positions shows 5, 9 or 14 grains. Each grain reacts by itself,
  whatever its size: all of it or nothing, from the outline inwards, or behind a straight front. A
  population holds 0, 3, 10, 30, 50, 70, 90, 97 or 100 % of the ion-rich one of two neighbouring
  phases (of formula units). All of these come equally often and in an order of their own.
- **The truth** is the population's: the share that grains are drawn with. By area it is the same
  where whole grains react. A core is thicker than its shell, so there the area that a share of the
  volume covers is measured on other grains of the same population.
- **Spots**, not camera frames (src/phasefront/virtual/spot_lists.py): Bloch-wave intensities,
  overlapping grains, both phases of a column; spots that are not resolved become one; Poisson and
  read noise at 1e6 to 1e7 electrons a pattern; a detection limit; positions worse for weak spots;
  small errors of scale, ellipse and centre. On the demo's grains these lists have as many spots at
  each position as those found in its camera frames (23.1 against 23.1 of single grains, 34.9
  against 33.1 of overlaps at state x2.0; correlation 0.98 and 0.94). Intensities are those of a
  linear camera, about half as many counts; their signal to noise is 1.7 times better at the median.
- **The level between the spots**, from which thickness is told: that of the camera with its gamma,
  with noise of 3 %.
- **Then the run's own steps**: orientations, phases (without intensities in raw frames, which do
  not exist here), grains, simulated confusion (200 positions of each phase), fractions.

An interval of an absent phase starts at 0 and one of a pure phase ends at 1, so these seldom miss;
phases of a mixture are what tests an interval. Both are shown. Phases of a scan are not
independent, so Wilson intervals of shares count scans. Errors of all phases add up to 0 in each
scan, so a mean over them says nothing: a bias is given for one phase of each scan, against the
scanned area's own fractions.

## On virtual scans: measured

Share of 95 % intervals that hold the population's fraction, and its Wilson interval:

{_coverage(study["coverage"])}

Aimed at is {_WANTED[0]} to {_WANTED[1]} for the phases of a mixture. Rows over it are too wide:
a thin shell about every grain looks like strays in whole grains, as above, and molar fractions
carry what is not known of the thickness.

Mean error of the unfolded fractions against the scanned area:

{_bias(study["bias"])}

Columns of two phases count by the ion content of their cells, which is freed of its error grain by
grain (`src/phasefront/fractions/columns.py`). Counted whole where one phase was decided, thin
layers lost 0.01 to 0.02. What is left was taken apart on 37 more scans of cores in shells, of other
seeds. A core of 0.9 is found 0.0126 ± 0.0015 too large (area). Of that 0.006 comes from columns
without an answer, 3 % of the area: two thirds of them overlap with another grain, and 0.65 of
what they hold is the core's phase where 0.86 of all is. 0.003 comes from columns of one grain,
0.002 from overlaps that were decided, whose cell is the thicker crystal's. A core of 0.97 is
0.0088 ± 0.0028 too large, mostly by such overlaps (0.004), one of 0.1 is 0.0044 ± 0.0012 too
small, all of it by columns of one grain.

## What this does not show

- Spots come from a model of the camera and the finder, and Bloch waves are the only source of
  intensities; phases, cells and calibration are right. [What wrong assumptions do](assumptions.md)
  is another page.
- Grains are drawn independently. Neighbours that react together, or small grains first, make
  intervals too short.
- Scans of one material.
"""


def _by_group(entries: list[dict]) -> dict[tuple[str, str, str], dict]:
    return {(one["kind"], one["by"], one["group"]): one for one in entries}


def _grains(rows: list[dict]) -> str:
    counts = list(dict.fromkeys(row["grains"] for row in rows))
    table = {}
    for row in rows:
        table.setdefault(row["mechanism"], []).append(f"{row['covered']:.3f}, {row['width']:.2f}")
    return markdown_table(
        ["grains are", *(f"{count} grains" for count in counts)],
        [[mechanism, *fields] for mechanism, fields in table.items()],
    )


def _outside(rows: list[dict]) -> str:
    low, high = (end(row["covered"] for row in rows) for end in (min, max))
    inside = sum(_WANTED[0] <= row["covered"] <= _WANTED[1] for row in rows)
    return (
        f"{inside} of {len(rows)} fields lie in {_WANTED[0]} to {_WANTED[1]}, all in {low:.3f} to"
        f" {high:.3f}. Those beside it are too wide, not too short."
        if low >= _WANTED[0]
        else f"{inside} of {len(rows)} fields lie in {_WANTED[0]} to {_WANTED[1]}, all in {low:.3f}"
        f" to {high:.3f}."
    )


def _coverage(entries: list[dict]) -> str:
    found = _by_group(entries)

    def field(one: dict) -> str:
        return f"{one['covered']:.3f} ({one['covered_low']:.3f} to {one['covered_high']:.3f})"

    return markdown_table(
        ["", "scans", "area", "molar", "mean width, molar"],
        [
            [said, str(found["area", *group]["scans"]), field(found["area", *group]),
             field(found["molar", *group]), f"{found['molar', *group]['width']:.3f}"]
            for group, said in _ROWS.items()
            if ("area", *group) in found
        ],
    )  # fmt: skip


def _bias(entries: list[dict]) -> str:
    found = _by_group([one for one in entries if one["estimate"] == "unfolded"])

    def field(one: dict) -> str:
        return f"{one['bias_of_area']:+.4f} ± {one['bias_of_area_stderr'] or 0:.4f}"

    return markdown_table(
        ["one phase of each scan", "scans", "area", "molar"],
        [
            [said, str(found["area", *group]["scans"]), *(field(found[kind, *group])
                                                          for kind in ("area", "molar"))]
            for group, said in _BIASED.items()
            if ("area", *group) in found
        ],
    )  # fmt: skip
