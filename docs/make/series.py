"""docs/series.md: how in situ series are followed, with the study's numbers."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks import insitu_fronts
from phasefront.report.wording import markdown_table

STUDY = Path(__file__).resolve().parents[2] / "results/bench/insitu.json"
_ROWS = (
    ("speed", "speed, relative", 100, "%"), ("direction", "direction", 1, "degrees"),
    ("begin", "beginning", 1, "s"),
)  # fmt: skip


def page() -> str:
    """The page, from what `make series` wrote."""
    study = json.loads(STUDY.read_text(encoding="utf-8"))
    fronts = insitu_fronts.judged([study[name] for name in insitu_fronts.PIECES if name in study])
    sure, offsets = study["sureness"], study["offsets"]
    registered, born = fronts["registration_px"], fronts["nucleation"]
    return f"""# In situ series: the same grains, scan after scan

Scans of one region that share a `series` in the table of scans, taken while a log was recorded,
are followed together ([times](times.md) says how clocks meet). `make series` measures what this
page says; [`make insitu`](virtual_series.md) runs all of it from raw files.

| file | what it holds |
|---|---|
| `alignments/<series>.nc` | where scans lie on the first, with covariance; turns of grains |
| `series/<series>.nc` | posteriors through time, alone and smoothed; changes; fronts |
| `series.json`, `series.csv` | of all series: scans, grains, population, clock, cause |
| `figures/series/<series>/` | `filmstrip.png`, `film.gif` for a talk, `fronts.png`, `cell.png` |

`mechanisms.json` and the explorer (maps behind a slider of time) take them up.

## How

1. **Alignment** (`src/phasefront/series/alignment.py`): an affine map from the first scan to each
   other one, by least squares on images that stand for the grains and on the dark field, whose
   level and contrast are each grain's own. Grains are the same if their orientations under the
   parent's symmetry agree within 8 degrees: a bright field would follow bubbles. The map's six
   numbers are a shift, a turn, a scale and the drift from row to row. A common turn of the grains,
   up to 30 degrees, is found from their orientations first (`turns.py`). A scan that turned
   further, covers too little, or whose grains are others, is left out and `problem` says why; what
   is lost, and what is new, is masked and told.
2. **Histories** (`histories.py`): each place is rich, mixed or poor. Its ion content from the cell
   has a standard error, of which a part is new in each scan and a part repeats at the place, since
   zone axis and thickness do; both parts are fitted, best on scans before any current. Between
   scans a place goes only where the current sends it, both ways at rest, nowhere before the first
   charge. What a scan says alone always stands beside.
3. **Fronts** (`fronts.py`, `bands.py`, `grain_fronts.py`): the likelihood of every course of
   every place, at its own time, under fronts of any direction and speed, going with time, its
   square root, or the charge passed (stop and go). The same evidence weighs a straight front
   against one from the outline (or the middle) and against all at once. A speed that goes with
   charge is told while current flows. Where it begins, how fast and which way it goes is then
   refined by the contents of the band of mixed columns at it, which tell its place to a part of a
   step. Each content counts where its scan really read it: the positions of a scan that lies turned
   by a degree or two are up to half a step beside those of the first, along a whole grain to the
   same side, and rounded to these they bend fronts by degrees. Each scan may lie a little beside,
   by as much as the scans show; directions are told in the first scan's frame, which may lean as
   far as others do by their drift. The offset of the clocks is one of the numbers fitted, within
   its stated error: it moves scans under current and none at rest, so that two scans on both sides
   of one would tell a wrong speed. It begins when the leading
   edge of the band reaches the first position that is seen of the grain, in the charge where it
   goes with that. `begin_seen` says whether it comes from bare support there: then the grain's own
   edge lies anywhere in the step before, and it begins there. Where another grain, or the scan's
   edge, hides what lies before, it began then or earlier. Laws that are not told apart all lie in
   the interval.
4. **Population**: 0 where grains convert one by one, 1 where all at once, from the times at which
   each begins and ends; area converted against charge with a free slope and lag, since the charge
   is the whole electrode's.
5. **Charge or beam?** (`attribution.py`): under one monotonic charge both explain the same:
   *cannot be told*. Needed is a control (another series): a region scanned as much without current.
   What its grains convert at a dose is what the beam does, by whatever law; expected over observed
   is the beam's part. Grains are the units, four or more of each. `charge` and `beam` are said
   where the 95 % interval of the beam's part lies below, or above, one half. Without a control,
   gaps in which charge rests under the beam are weighed by two rates, one for the charge and one
   for the dose above a threshold that nobody knows, for every threshold that is possible. The cause
   is judged once, in `series.json`.
6. **Clock** (`offset.py`): under each offset a straight front is fitted to each grain that
   converts, as the charge passes; under the right one no position changes through a rest. The
   courses of positions do not know the current. Pulses that are alike leave a whole period open,
   which is said; without pulses, or where several scans' times would do, it says that it is not
   identifiable. A reaction that lags looks like a wrong clock.

Counts of scans are compared by their quantiles: where a writer scaled them by a power or a factor,
`notes` of the scan say so. Nothing compares intensities between scans: alignment lets each grain
have its own. In a liquid the diffuse level is no thickness: `fractions: {{molar_weight: area}}`
leaves it out of the fractions.

## Measured

On virtual series whose patterns were not made (`benchmarks/insitu_world.py`): ion contents have
standard errors of 0.05 to 0.15, half of the variance repeats at a place, three of a hundred
positions are lost, grains tilt and turn, clocks are 7 s off what is declared (10 s). No constant
was chosen on these seeds.

**Fronts**: {fronts["series"]} series of 20 scans, {fronts["straight"]} grains with straight fronts;
{fronts["missed"]} grains that convert were missed, {fronts["still_converts"]} of {fronts["still"]}
still grains were said to convert. Where scans lie on the first: {registered["rms"]:.3f} positions
rms (worst scan {registered["worst"]:.2f}) over {registered["scans"]} scans. Laws:
{_counts(fronts["laws"])} (true: with charge; where another is told, its speed is wrong, too).
Ways: {_counts(fronts["ways"])} (true: front). A series takes
{fronts["seconds"]:.0f} s of one core or two.

{_errors(fronts)}

The beginning is when the band reaches the grain where that is seen, and else the first position
that is seen of it. A row takes 4 s and the clocks err by 10 s:
{100 * born["within_allowed"]:.0f} % are within {born["allowed_s"]:.0f} s,
{100 * born["within_twice"]:.0f} % within twice that; scans are some 510 s apart and the front takes
some 40 s from a position to the next. Where it begins close to a rest, the interval holds the rest
({born["with_a_rest"]} grains): no scan tells on which side of it. {born["seen"]} grains are seen to
begin: nucleation is told to {born["of_seen"]["median"]:.0f} s in the median, with a bias of
{born["of_seen"]["bias"]:.0f} s, and {100 * born["of_seen"]["coverage"]:.0f} % of intervals hold it.
Places of the truth are a quarter of a step apart, which takes 10 s, so that its grains begin late
by half of that. Of the {born["hidden"]} that are said
to come out of hiding, {born["hidden_before"]} began before. How far scans lie beside each other, to
begin with, was chosen on six series of other seeds. That clocks are fitted, and that few
readings do not count, was found on two of these series, where speeds were off by 7 % and more.

**Histories**, {sure["series"]} series: of what is sure (posterior above 0.99,
{100 * sure["sure"]:.0f} % of places and scans) {100 * sure["sure_and_wrong"]:.2f} % is wrong;
right alone {100 * sure["right_alone"]:.1f} %, smoothed {100 * sure["right_smoothed"]:.1f} %. In
static controls {100 * sure["false_changes"]:.3f} % of places are said to change.

**Causes**, series of 12 scans, controls of as many grains and the same dose. In the drawn ones
grains convert wholly, at random doses: by the beam, by both alike, by the charge.

{_causes(study["causes"])}

**Clock**, with offsets of 0 and 600 s: pulses: {_offsets(offsets["pulses"])}; one long pulse:
{_offsets(offsets["steady"])}.
"""


def _causes(rows: list[dict]) -> str:
    verdicts = ("charge", "beam", "cannot be told", "nothing converts")
    told = [row["told"] for row in rows]
    shown = [one for one in verdicts if any(row.get(one) for row in told)]
    return markdown_table(
        ["true cause", "grains", *(f"told: {one}" for one in shown)],
        [
            [row["cause"], str(row["grains"]), *(str(row["told"].get(one, 0)) for one in shown)]
            for row in sorted(rows, key=lambda row: row["cause"])
        ],
    )


def _errors(fronts: dict) -> str:
    rows = [
        [
            words, *(f"{factor * fronts[name][key]:.2f} {unit}" for key in ("median", "90th")),
            f"{factor * fronts[name]['bias']:.2f} {unit}", f"{fronts[name]['coverage']:.2f}",
        ]
        for name, words, factor, unit in _ROWS
    ]  # fmt: skip
    return markdown_table(
        ["", "median error", "90th percentile", "median bias", "95 % intervals cover"], rows
    )


def _counts(told: dict[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in sorted(told.items()))


def _offsets(told: dict) -> str:
    if not told["told"]:
        return f"not identifiable in all {told['series']}"
    return (
        f"told in {told['told']} of {told['series']}, within a scan {told['within_a_scan']},"
        f" intervals hold {told['covered']}, worst {told['worst_s']:.0f} s"
    )
