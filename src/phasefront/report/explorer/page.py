"""The explorer as one HTML file: skeleton, texts, plots, arrays and patterns."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files

import numpy as np
import xarray as xr

from phasefront.comparison.sources import registry
from phasefront.layouts.phases import MIXED, UNANSWERED, VACUUM
from phasefront.report.explorer import charts, series
from phasefront.report.explorer.packing import Packed, encoded, pack
from phasefront.report.explorer.particles import particles
from phasefront.report.explorer.patterns import Embedded, in_page
from phasefront.report.explorer.series import SeriesPart
from phasefront.report.explorer.sources import comparison
from phasefront.report.tables import printed


@dataclass(frozen=True)
class ScanPart:
    """What the page holds of one scan."""

    facts: dict  # what explorer.js calls a scan
    arrays: Mapping[str, Packed]
    counts: Mapping[str, int]  # positions: decided, mixed, no answer, vacuum
    patterns: Embedded | None = None


@dataclass(frozen=True)
class Run:
    """What the page says of the run."""

    facts: dict  # what explorer.js calls the run, without its scans
    title: str
    conclusion: str
    comparison: xr.Dataset
    keys: Mapping[str, bytes]  # caption -> PNG of colours
    reflections: Sequence[Mapping[str, Packed]]  # of each phase; none where there are no spots
    mechanisms: str = ""  # how grains convert, in words
    cells: Mapping[str, xr.Dataset] = field(default_factory=dict)  # of particles, by name


def compose(
    run: Run, scans: Sequence[ScanPart], followed: Sequence[SeriesPart], script: str, style: str
) -> Iterable[str]:
    """The page, part by part; `script` and `style` are the texts of its two own files."""
    roots = [*charts.maps_of_scan(), charts.pattern(), charts.profile()] if scans else []
    places = ["map-a", "map-b", "pattern", "profile"] if scans else []
    if scans and any(one["spectrum"] for one in run.facts["laid"]):
        roots.append(charts.spectrum())
        places.append("spectrum")
    compared = comparison(
        run.comparison, [phase["label"] for phase in run.facts["phases"]], run.facts["ion"]
    )
    compared += particles(
        run.cells, {phase["name"]: phase["colour"] for phase in run.facts["phases"]},
        list(map(str, run.comparison["state"].values)), run.facts["ion"],
    )  # fmt: skip
    roots += compared
    places += [f"compared-{number}" for number in range(len(compared))]
    document, ids = charts.document(roots)
    facts = run.facts | {
        "scans": [scan.facts for scan in scans], "series": [part.facts for part in followed],
    }  # fmt: skip
    yield _HEAD.format(title=html.escape(run.title), run=html.escape(run.facts["run"]), style=style)
    yield _answer(run, scans, len(compared))
    yield series.section(followed)
    yield _LOOK.format(keys=_keys(run.keys)) if scans else _NO_SCANS
    yield _FOOT.format(note=html.escape(run.facts["note"]))
    yield _json("run", facts)
    yield _json("plots", {"json": document, "roots": dict(zip(ids, places, strict=True))})
    for number, scan in enumerate(scans):
        yield from _arrays(f"s{number}", scan.arrays)
        if scan.patterns is not None:
            yield from _patterns(f"s{number}", scan.patterns)
    for number, part in enumerate(followed):
        yield from _arrays(f"t{number}", part.arrays)
    for number, arrays in enumerate(run.reflections):
        yield from _arrays(f"p{number}", arrays)
    bokeh = files("bokeh").joinpath("server/static/js/bokeh.min.js").read_text(encoding="utf-8")
    yield f"<script>{_closed(bokeh)}</script>\n<script>{_closed(script)}</script>\n</body></html>\n"


def count(phases: xr.Dataset) -> dict[str, int]:
    """Positions of a scan by their answers."""
    decision = phases["decision"].values
    return {
        "decided": int((decision >= 0).sum()),
        "mixed": int((decision == MIXED).sum()),
        "no answer": int(np.isin(decision, UNANSWERED).sum()),
        "vacuum": int((decision == VACUUM).sum()),
    }


def _closed(script: str) -> str:
    """A script that cannot end its element early."""
    return script.replace("</script", "<\\/script")


def _json(name: str, content: object) -> str:
    """JSON in the page; no text in it can end its element or begin another."""
    # In its own order: what Bokeh refers to stands before.
    text = json.dumps(content, ensure_ascii=False, allow_nan=False)
    safe = text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    return f'<script type="application/json" id="{name}">{safe}</script>\n'


def _arrays(owner: str, arrays: Mapping[str, Packed]) -> Iterable[str]:
    for name, one in arrays.items():
        shape = " ".join(map(str, one.shape))
        yield (
            f'<script type="text/plain" id="{owner}-{name}" data-dtype="{one.dtype}"'
            f' data-shape="{shape}">{one.text}</script>\n'
        )


def _patterns(owner: str, patterns: Embedded) -> Iterable[str]:
    start = np.concatenate([[0], np.cumsum([in_page(one) for one in patterns.content])])
    lists = {
        "pattern_position": pack(patterns.position, "i4"),
        "pattern_start": pack(start, "i4"),
        "pattern_step": pack(patterns.step, "f4"),
    }
    yield from _arrays(owner, lists)
    yield f'<script type="text/plain" id="{owner}-patterns">'
    yield from map(encoded, patterns.content)
    yield "</script>\n"


def _answer(run: Run, scans: Sequence[ScanPart], plots: int) -> str:
    lead, *others = [html.escape(part) for part in run.conclusion.strip().split("\n\n")]
    more = "".join(f"<p>{part}</p>" for part in others)
    pairs = f"<details><summary>Pair by pair, in numbers</summary>{more}</details>" if more else ""
    if run.mechanisms:
        pairs += f'<p class="mechanisms">{html.escape(run.mechanisms)}</p>'
    places = "".join(f'<div id="compared-{number}"></div>' for number in range(plots))
    plots_box = f'<div class="plots" role="group" aria-label="comparison of the sources">{places}'
    hint = (
        '<p class="faint">Bars are 95 % intervals. Point at a mark for its numbers; a click in a'
        " legend hides a source in all plots.</p>"
    )
    return (
        f'<section id="answer" aria-labelledby="answer-head"><h2 id="answer-head" class="unseen">'
        f'Answer</h2><div class="answer"><div class="conclusion"><p class="lead">{lead}</p>{pairs}'
        f"</div><div>{plots_box}</div>{hint if plots else ''}</div></div>"
        f"{_states(run, scans)}</section>\n"
    )


def _states(run: Run, scans: Sequence[ScanPart]) -> str:
    """The table of states: small maps, ion contents, fractions and counts."""
    data, phases = run.comparison, run.facts["phases"]
    sources = [registry.named(str(name)) for name in data["source"].values]
    seeing = _seeing(data)
    heads = ["state", *(["maps"] if scans else []), *(f"x, {one.label}" for one in sources)]
    heads += [f"molar fractions, {seeing[1].label}"] if seeing else []
    heads += ["decided", "mixed", "no answer", "vacuum"] if scans else []
    numbers = 4 if scans else 0
    kinds = [*[""] * (len(heads) - numbers), *[' class="number"'] * numbers]
    head = "".join(
        f'<th scope="col"{kind}>{html.escape(text)}</th>'
        for text, kind in zip(heads, kinds, strict=True)
    )
    rows = []
    for at, state in enumerate(map(str, data["state"].values)):
        own = [(k, scan) for k, scan in enumerate(scans) if scan.facts["state"] == state]
        cells = [f'<th scope="row">{html.escape(state)}</th>']
        if scans:
            cells.append(f"<td>{''.join(_small_map(k, scan) for k, scan in own)}</td>")
        for number in range(len(sources)):
            ends = [data[f"ion_content{end}"].values[at, number] for end in ("", "_low", "_high")]
            cells.append(f"<td>{html.escape(printed(np.array(ends)))}</td>")
        if seeing:
            cells.append(f"<td>{_shares(data['fraction'].values[at, seeing[0]], phases)}</td>")
        if scans:
            cells += [
                f'<td class="number">{sum(scan.counts[kind] for _, scan in own)}</td>'
                for kind in ("decided", "mixed", "no answer", "vacuum")
            ]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    caption = f"States; x in {run.facts['ion']} per formula unit, with its standard error in units"
    return (
        f'<table class="states"><caption class="unseen">{html.escape(caption)} of the last digit'
        f" or its 95 % interval</caption><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}"
        "</tbody></table>"
    )


def _seeing(data: xr.Dataset) -> tuple[int, object] | None:
    """The first source that sees phases and has fractions."""
    for number, name in enumerate(data["source"].values):
        source = registry.named(str(name))
        if source.sees_phases and np.isfinite(data["fraction"].values[:, number]).any():
            return number, source
    return None


def _small_map(number: int, scan: ScanPart) -> str:
    name = html.escape(scan.facts["scan"], quote=True)
    return (
        f'<button type="button" class="small" aria-label="look at {name}" title="look at {name}">'
        f'<canvas data-scan="{number}"></canvas></button>'
    )


def _shares(fractions: np.ndarray, phases: Sequence[Mapping]) -> str:
    if not np.isfinite(fractions).all():
        return "–"
    told = [
        f"{html.escape(phase['label'])} {100 * value:.0f} %"
        for phase, value in zip(phases, fractions, strict=True)
    ]
    parts = "".join(
        f'<span style="width:{100 * max(value, 0):.2f}%;background:{phase["colour"]}"></span>'
        for phase, value in zip(phases, fractions, strict=True)
    )
    words = ", ".join(told)
    return (
        f'<span class="share" aria-hidden="true">{parts}</span>'
        f'<span class="bar-text">{words}</span>'
    )


def _keys(keys: Mapping[str, bytes]) -> str:
    return "".join(
        f'<figure><img src="data:image/png;base64,{encoded(content)}"'
        f' alt="colours of directions: {html.escape(caption, quote=True)}"></figure>'
        for caption, content in keys.items()
    )


_HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,"><title>{title}</title>
<style>
{style}</style></head><body>
<header><h1>{title}</h1><p>explorer of the run {run}</p></header>
<p id="failed" role="alert"></p>
"""
_NO_SCANS = """<section id="look"><h2>Maps</h2>
<p>This run has no scans, so there are no maps and no patterns.</p></section>
"""
_LOOK = """<section id="look" aria-labelledby="look-head">
<h2 id="look-head">Maps and patterns</h2>
<div class="controls">
<label>scan<select id="scan"></select></label>
<label>left<select id="layer-a"></select></label>
<label>right<select id="layer-b"></select></label>
<button type="button" class="push" id="whole">whole scan</button>
<label><input type="checkbox" id="with-fronts" checked> interfaces</label>
<button type="button" class="push" id="line-start" aria-pressed="false"
 title="then go to its other end, by click or arrow keys">line from here</button>
<span class="faint">Click a position, or focus a map and use the arrow keys (shift: ten).
Wheel: zoom.</span></div>
<p id="link-said" role="status"></p>
<div class="bench"><div>
<div id="maps" tabindex="0" role="application"
 aria-label="Two maps of the scan with one cursor. Arrow keys move it, with shift by ten."
 aria-describedby="spoken"><div id="map-a"></div><div id="map-b"></div></div>
<p id="under">&nbsp;</p>
<fieldset id="legend"></fieldset>
<div id="keys" hidden>{keys}</div>
<ul id="of-scan"></ul>
<p id="spoken" class="unseen" aria-live="polite"></p>
<div id="profile-box" hidden><h3>Misorientation along the line</h3><div id="profile"></div>
<p class="faint" id="profile-said"></p></div>
<h3>Grains <span class="faint" id="grain-count"></span></h3>
<div id="grain-table" tabindex="0" role="region" aria-label="grains of the scan"><table>
<thead><tr id="grain-head"></tr></thead><tbody id="grain-rows"></tbody></table></div>
</div>
<div class="side">
<p id="position"></p><p id="reason"></p>
<div id="bars" role="group" aria-label="posterior of each candidate; press one for its spots"></div>
<p class="faint" id="pattern-said"></p>
<div id="pattern-box"><div class="controls">
<button type="button" class="push" id="likeliest">likeliest</button>
<label><input type="checkbox" id="with-second" checked> second lattice</label>
<label><input type="checkbox" id="with-indices" checked> indices</label>
<label>brighter <input type="range" id="contrast" min="-1" max="4" step="0.5" value="0"></label>
</div>
<div id="pattern"></div>
<p class="faint">Circles: spots found; ×: predicted, in the colour of the phase; +: second lattice.
Point at one for its indices.</p></div>
<div id="spectrum-box" hidden><h3>Spectrum <span class="faint" id="spectrum-said"></span></h3>
<div id="spectrum"></div><p class="faint" id="spectrum-parts"></p></div>
<h3>Refined cell <span class="faint" id="no-cell"></span></h3><dl id="cell"></dl>
<h3>Found</h3><dl id="facts"></dl>
<h3>Goes back to</h3><dl id="origin"></dl>
<h3>Take along</h3><div class="controls">
<a id="permalink" href="#">link to this position</a>
<button type="button" class="push" id="copy-link">copy link</button>
<button type="button" class="push" id="maps-png">maps PNG</button>
<button type="button" class="push" id="maps-svg">maps SVG</button>
<button type="button" class="push" id="pattern-png">pattern PNG</button>
<button type="button" class="push" id="pattern-svg">pattern SVG</button>
<button type="button" class="push" id="position-json">position JSON</button></div>
</div></div></section>
"""
_FOOT = """<footer><p>{note}</p></footer>
"""
