"""Spectra of maps laid on a scan, in a page of one small scan, opened in a real browser."""

import json
from pathlib import Path

import numpy as np
import pytest
from examples import example

from phasefront.grains.lattices import Lattice
from phasefront.layouts.chemistry import SPECTRA
from phasefront.layouts.comparison import COMPARISON
from phasefront.layouts.correlation import CORRELATION
from phasefront.layouts.grains import GRAINS
from phasefront.layouts.interfaces import INTERFACES
from phasefront.layouts.phases import PHASES, UNDECIDED
from phasefront.layouts.registration import ACCEPTED, REGISTRATION
from phasefront.report.explorer import charts, page, payload
from phasefront.report.explorer.laid import LaidMaps
from phasefront.report.explorer.payload import ShownScan

FOLDER = Path(page.__file__).parent
SHAPE, STEP = (8, 10), 20.0
PARTS = ("V3+", "<b>V4+</b>", "background")


def laid_maps():
    """Two maps on the scan: one by a stack, turned over and without a fit in one row, and one of
    another program."""
    rng = np.random.default_rng(4)
    energy = np.linspace(510.0, 530.0, 12)
    model = rng.uniform(0.1, 1.0, (3, 12, *SHAPE))
    model[:, :, 5] = np.nan
    stderr = np.full((12, *SHAPE), 0.05)
    stderr[3] = np.nan  # left out: too dense
    measured = np.nan_to_num(model.sum(axis=0)) + 0.05 * rng.standard_normal((12, *SHAPE))
    said = {"scan": "a", "status": ACCEPTED}
    of_map = {
        name: example(
            CORRELATION, chemistry=np.full(SHAPE, 2.5), chemistry_stderr=0.03,
            chemistry_systematic=0.04, registration_stderr=0.12, quantity="ion content", unit="1",
            map=name, **said,
        )
        for name in ("other", "stxm")
    }  # fmt: skip
    start = np.stack([STEP * np.arange(8), np.full(8, STEP * 9)], axis=1)
    where = example(
        REGISTRATION, position_stderr=np.full(SHAPE, 6.0), row_start=start, draw=2,
        column_step=[0.0, -STEP], scan_step_nm=STEP, map="stxm", **said,
    )  # fmt: skip
    spectra = example(
        SPECTRA, energy=energy, measured=measured, measured_stderr=stderr, part=list(PARTS),
        model=model, map="stxm", quantity="optical density", unit="1", note="a <i>note</i>",
    )  # fmt: skip
    return LaidMaps(of_map, {"other": where, "stxm": where}, {"stxm": spectra})


@pytest.fixture(scope="module")
def laid():
    return laid_maps()


@pytest.fixture(scope="module")
def address(laid, tmp_path_factory):
    """A page of one scan with these maps."""
    phases = example(
        PHASES, phase=["A", "B"], decision=np.full(SHAPE, UNDECIDED), scan="a", map_by="a test",
        posterior=0.5, decide_above=0.95, min_explained=0.5, max_misfit=4.0,
    )  # fmt: skip
    grains = example(
        GRAINS, label=np.zeros(SHAPE, int), size=[80], phase=2, pair=0, centroid_y=3.0,
        centroid_x=4.0, scan_step_nm=STEP,
    )  # fmt: skip
    scan = ShownScan(phases, grains, example(INTERFACES, segment=0, grain=1))
    arrays = payload.arrays(scan, [], [Lattice(0, np.eye(4)[0], np.eye(4)[:1])] * 2)
    facts = payload.facts_of_scan(scan) | {
        "state": "a", "path": "a.nc", "record": None, "command": "", "start": [1, 2],
        "pattern_note": "none", "notes": [],
    }  # fmt: skip
    of_run = {
        "run": "r", "ion": "Na", "note": "n", "symmetries": {}, "morphologies": [],
        "phases": [{"name": n, "label": n, "colour": "#0072B2"} for n in "AB"],
        "colours": dict.fromkeys(("mixed", "undecided", "unindexed", "vacuum"), "#EFEFEF"),
        "palettes": {name: list(colours) for name, colours in charts.PALETTES.items()},
        "rules": {"names": ["map"] * 20, "sentences": {"map": "As the map says."}, "clear": 0.1},
        "weakest": 0.0, "least_weight": 0.0, "laid": laid.facts(),
        "part_colours": ["#0072B2", "#E69F00"],
    }  # fmt: skip
    run = page.Run(
        of_run,
        "t",
        "c",
        example(COMPARISON, source=["stem"], state=["a"], phase=["A", "B"]),
        {},
        [],
    )
    part = page.ScanPart(facts, arrays | laid.arrays("a"), page.count(phases))
    texts = [(FOLDER / f"explorer.{end}").read_text() for end in ("js", "css")]
    path = tmp_path_factory.mktemp("page") / "explorer.html"
    path.write_text("".join(page.compose(run, [part], [], *texts)), encoding="utf-8")
    return path.as_uri()


def look(tab, address, y, x, layer="phase"):
    tab.goto("about:blank")
    tab.goto(f"{address}#scan=a&y={y}&x={x}&layer={layer}")
    tab.wait_for_selector("body[data-ready]", state="attached", timeout=60_000)
    tab.wait_for_selector(f'body[data-shown="a/{y}/{x}"]', state="attached")


def drawn(tab, name):
    """A data source's columns; numbers that are none are NaN."""
    text = tab.evaluate(
        """name => JSON.stringify(Object.fromEntries(Object.entries(
             Bokeh.documents[0].get_model_by_name(name).data).map(([key, column]) =>
               [key, Array.from(column, one => one?.length === undefined || one.big ? one
                 : typeof one === "string" ? one : Array.from(one))])))""",
        f"spectrum-{name}",
    )
    return json.loads(text)


def test_the_spectrum_under_the_cursor_is_that_of_the_file_with_its_parts(tab, laid, address):
    spectra = laid.spectra["stxm"]
    for y, x in ((1, 2), (6, 9)):
        look(tab, address, y, x)
        assert tab.locator("#spectrum-box").is_visible()
        there = spectra.isel(y=y, x=9 - x)  # turned over
        assert f"row {y}, column {9 - x}" in tab.locator("#spectrum-said").inner_text()
        points, fit, parts = (drawn(tab, name) for name in ("measured", "fit", "parts"))
        np.testing.assert_allclose(points["energy"], there["energy"], rtol=1e-4)
        np.testing.assert_allclose(points["value"], there["measured"], rtol=1e-3)
        reach = np.nan_to_num(1.96 * there["measured_stderr"].values)
        np.testing.assert_allclose(np.subtract(points["high"], points["low"]) / 2, reach, rtol=3e-3)
        assert points["filled"] == [0 if k == 3 else 1 for k in range(12)]
        np.testing.assert_allclose(parts["value"], there["model"], rtol=1e-3)
        np.testing.assert_allclose(fit["value"], there["model"].sum("part"), rtol=1e-3)
    told = tab.locator("#spectrum-parts").inner_text()
    for words in (*PARTS, "a <i>note</i>"):
        assert words in told  # as text
    here = tab.evaluate("phasefront.position().spectrum")
    assert (here["stack"], here["row"], here["column"]) == ("stxm", 6, 0)
    assert list(here["parts"]) == list(PARTS)


def test_where_nothing_was_fitted_it_says_so_and_draws_nothing(tab, address):
    look(tab, address, 5, 3)
    assert "none here" in tab.locator("#spectrum-said").inner_text()
    assert drawn(tab, "measured")["energy"] == []
    assert tab.evaluate("phasefront.position().spectrum") is None


def test_a_map_without_spectra_leaves_the_panel_to_one_that_has_them(tab, address):
    look(tab, address, 1, 2, layer="laid_other")
    assert "stxm" in tab.locator("#spectrum-said").inner_text()
