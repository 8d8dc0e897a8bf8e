"""The explorer of a finished run, opened from disk in a real browser, without a network."""

import functools
import http.server
import json
import re
import signal
import struct
import subprocess
import sys
import threading
import urllib.error
import urllib.request

import numpy as np
import pytest
from PIL import Image
from projects import hear_interrupts

from phasefront.core import netcdf
from phasefront.diffraction.candidates import CandidatePhases
from phasefront.experiment.plan import Plan
from phasefront.grains import segmentation
from phasefront.grains.lattices import lattice_orientations, lattices_of
from phasefront.grains.pooling import settled
from phasefront.layouts.grains import GRAINS
from phasefront.layouts.interfaces import INTERFACES
from phasefront.layouts.phases import MIXED, PHASES, VACUUM
from phasefront.layouts.spots import SPOTS
from phasefront.phases import explanations, reasons
from phasefront.records import record
from phasefront.scans import files

SCAN = "grains-x2.5"
CLOSE = {"rtol": 2e-5, "atol": 1e-6}  # what the page rounds numbers to


class Run:
    """The finished run: its page, and what the page has to show."""

    def __init__(self, project):
        self.project = project
        self.page = project.results / "explorer.html"
        self.name = project.results.name

    @functools.cached_property
    def phases(self):
        return netcdf.read(self.project.results / f"phases/{SCAN}.nc", PHASES)

    @functools.cached_property
    def grains(self):
        return netcdf.read(self.project.results / f"grains/{SCAN}.nc", GRAINS)

    @functools.cached_property
    def spots(self):
        return netcdf.read(self.project.results / f"spots/{SCAN}.nc", SPOTS)

    @functools.cached_property
    def material(self):
        return Plan.load(self.project.folder / self.project.config).experiment.material

    @functools.cached_property
    def candidates(self):
        shared = self.material.shared_lattice
        cifs = [self.project.folder / cif for cif in self.material.cifs]
        return CandidatePhases.read(
            cifs, self.material.names, parent_axes=shared.axes,
            parent_point_group=shared.point_group,
        )  # fmt: skip

    def places(self):
        """Ten positions: of every answer that there is, the others evenly."""
        decision = self.phases["decision"].values
        found = [np.argwhere(decision == code)[0] for code in np.unique(decision)]
        found += list(np.argwhere(decision != VACUUM)[:: decision.size // 20])
        return [tuple(map(int, place)) for place in found[:10]]


@pytest.fixture(scope="module")
def run(finished_project, monkeypatch_module):
    monkeypatch_module.chdir(finished_project.folder)
    return Run(finished_project)


@pytest.fixture(scope="module")
def monkeypatch_module():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


def open_page(tab, address, part=""):
    tab.goto(f"{address}{part}")
    tab.wait_for_selector("body[data-ready]", state="attached", timeout=60_000)


def look(tab, y, x, scan=SCAN):
    """Wait until a position is shown."""
    tab.wait_for_selector(f'body[data-shown="{scan}/{y}/{x}"]', state="attached")


def click_position(tab, y, x, shape, side="map-a"):
    box = tab.locator(f"#{side} .bk-Figure .bk-Canvas").first.bounding_box()
    frame = tab.evaluate(
        """name => {
             const view = Bokeh.index.find_one(Bokeh.documents[0].get_model_by_name(name));
             const { left, top, width, height } = view.frame.bbox;
             return [left, top, width, height]; }""",
        side,
    )
    rows, columns = shape
    tab.mouse.click(
        box["x"] + frame[0] + frame[2] * (x + 0.5) / columns,
        box["y"] + frame[1] + frame[3] * (y + 0.5) / rows,
    )
    look(tab, y, x)


def shown(tab):
    return tab.evaluate("phasefront.position()")


def value_of(here):
    return np.array([np.nan if one is None else one for one in here], dtype=float)


def test_ten_positions_show_what_the_files_hold(tab, run):
    open_page(tab, run.page.as_uri(), f"#scan={SCAN}")
    names, shape = run.material.names, run.phases["decision"].shape
    labels = [phase["label"] for phase in json.loads(tab.locator("#run").text_content())["phases"]]
    assert labels == ["Na₃V₂(PO₄)₂F₃", "Na₂V₂(PO₄)₂F₃", "NaV₂(PO₄)₂F₃"]
    tab.locator("#maps").scroll_into_view_if_needed()
    for y, x in run.places():
        click_position(tab, y, x, shape)
        here, there = shown(tab), run.phases.isel(y=y, x=x)
        assert (here["y"], here["x"], here["scan"]) == (y, x, SCAN)
        assert here["code"] == int(there["decision"])
        assert here["grain"] == int(run.grains["label"][y, x])
        for name in ("posterior", "share", "log_evidence"):
            found = value_of([here[name][phase] for phase in names])
            np.testing.assert_allclose(found, there[name].values, **CLOSE)
        np.testing.assert_allclose(value_of(here["cell"]), there["cell"].values, **CLOSE)
        error = np.sqrt(np.diagonal(there["cell_covariance"].values))
        np.testing.assert_allclose(value_of(here["cell_stderr"]), error, rtol=2e-3, atol=1e-6)
        for name in ("ion_content", "ion_content_stderr", "axial_ratio", "explained"):
            np.testing.assert_allclose(value_of([here[name]]), there[name].item(), **CLOSE)
        own = slice(*run.spots["offset"].values[y * shape[1] + x :][:2])
        found = np.array([[spot["qx"], spot["qy"]] for spot in here["spots"]]).reshape(-1, 2)
        expected = np.stack([run.spots[name].values[own] for name in ("qx", "qy")], axis=-1)
        np.testing.assert_allclose(found, expected, **CLOSE)
        assert tab.locator("#reason").inner_text() == reasons.sentence(run.phases, y, x, labels)
        content = there["ion_content"].item()
        if np.isfinite(content):
            written = tab.locator("#facts dd").first.inner_text().split(" ± ")[0]
            assert float(written.replace("−", "-")) == pytest.approx(content, abs=0.06)


def test_predicted_spots_are_those_of_the_analysis(tab, run):
    open_page(tab, run.page.as_uri(), f"#scan={SCAN}")
    two = np.argwhere(run.phases["second_phase"].values >= 0)
    decided = np.argwhere(run.phases["decision"].values >= 0)
    places = [(int(y), int(x)) for y, x in [*two[:3], *decided[:: len(decided) // 6]]]
    optics = Plan.load(run.project.folder / run.project.config).experiment.instruments["astar"]
    compared = 0
    for y, x in places:
        tab.evaluate(f"location.hash = '#scan={SCAN}&y={y}&x={x}'")
        look(tab, y, x)
        here = shown(tab)
        likeliest = here["likeliest"]
        others = [phase for phase in range(3) if phase != likeliest]
        for other in others:
            accounts = explanations.explain(
                np.array([[y, x]]), run.spots, run.phases, run.candidates.crystals,
                voltage_kv=optics.voltage_kv, precession_deg=optics.precession_deg, beside=[other],
            )[0]  # fmt: skip
            for account in accounts:
                found = here["predicted"][run.material.names[account.phase]]
                compared += check_same_spots(found, account.predicted)
            if accounts[0].second is not None:
                compared += check_same_spots(here["second_predicted"], accounts[0].second)
            else:
                assert here["second_predicted"] is None
    assert compared > 500


def check_same_spots(found, expected):
    """Compare spots by indices; such as stand at the limit of weight may miss."""
    if expected is None:
        assert found is None
        return 0
    qx, qy, hkl, weight = expected
    by_index = {tuple(spot["hkl"]): spot for spot in found}
    wanted = {tuple(map(int, h)): k for k, h in enumerate(hkl)}
    clear = [h for h, k in wanted.items() if weight[k] > 1.02e-3]
    assert set(clear) <= set(by_index)
    assert all(spot["weight"] < 1.02e-3 for h, spot in by_index.items() if h not in wanted)
    for index in clear:
        k, spot = wanted[index], by_index[index]
        assert spot["qx"] == pytest.approx(qx[k], abs=1e-4)
        assert spot["qy"] == pytest.approx(qy[k], abs=1e-4)
        assert spot["weight"] == pytest.approx(weight[k], rel=0.02)
    return len(clear)


NOTE_WHAT_IS_READ = """
  const read = [];
  for (const kind of [Node, HTMLScriptElement]) {
    const text = Object.getOwnPropertyDescriptor(kind.prototype, "textContent");
    if (text) Object.defineProperty(kind.prototype, "textContent", { ...text, get() {
      const waits = !performance.getEntriesByName("first picture").length;
      if (this.dataset?.dtype && waits) read.push(this.id);
      return text.get.call(this);
    } });
  }
  window.readForTheFirstPicture = read;
"""


def test_the_first_picture_waits_for_no_array_that_it_does_not_show(tab, run):
    """Two maps of one scan, boundaries, fronts and grains: positions' arrays wait for a click."""
    tab.add_init_script(NOTE_WHAT_IS_READ)
    open_page(tab, run.page.as_uri())
    read = tab.evaluate("window.readForTheFirstPicture")
    assert {"s0-decision", "s0-label"} <= set(read)
    assert len(read) == len(set(read))
    shown = re.compile(r"s0-(decision|label|rule|ion_content|front_\w+|grain_\w+)")
    assert [name for name in read if not shown.fullmatch(name)] == []


def test_the_page_opens_on_the_answer(tab, run):
    open_page(tab, run.page.as_uri())
    conclusion = (run.project.results / "conclusion.txt").read_text().split("\n\n")[0].strip()
    assert tab.locator(".lead").inner_text() == conclusion
    summary = json.loads((run.project.results / "summary.json").read_text())
    rows = tab.locator("table.states tbody tr")
    assert rows.count() == len(summary["states"])
    for number, scan in enumerate(summary["scans"]):
        cells = rows.nth(number).locator("td.number").all_inner_texts()
        assert int(cells[3]) == scan["vacuum"]
    tab.locator("table.states button").nth(1).click()
    tab.wait_for_function(f"document.body.dataset.shown.startsWith('{SCAN}/')")


def test_a_permalink_is_followed_and_kept(tab, run):
    y, x = run.places()[-1]
    part = f"#scan={SCAN}&y={y}&x={x}&layer=ion_content&beside=ipf_y&phase=Na2&from=3,4"
    open_page(tab, run.page.as_uri(), part)
    assert tab.evaluate("document.body.dataset.shown") == f"{SCAN}/{y}/{x}"
    assert tab.locator("#layer-a").input_value() == "ion_content"
    assert tab.locator("#layer-b").input_value() == "ipf_y"
    assert tab.locator("#bars button[aria-pressed=true]").inner_text().startswith("Na₂")
    assert tab.locator("#profile-box").is_visible()
    kept = tab.evaluate("location.hash")
    for name, value in (("scan", SCAN), ("y", y), ("x", x), ("layer", "ion_content")):
        assert re.search(rf"[#&]{name}={value}(&|$)", kept)
    # Another address, by hand.
    tab.evaluate("location.hash = '#scan=grains-x3.0&y=2&x=3'")
    look(tab, 2, 3, "grains-x3.0")


def test_an_address_of_no_scan_says_so(tab, run):
    open_page(tab, run.page.as_uri(), "#scan=elsewhere&y=1&x=1")
    assert "elsewhere" in tab.locator("#link-said").inner_text()


def test_arrow_keys_move_the_cursor(tab, run):
    open_page(tab, run.page.as_uri(), f"#scan={SCAN}&y=11&x=11")
    tab.locator("#maps").focus()
    columns = run.phases.sizes["x"]
    last = columns - 1
    for key, place in (
        ("ArrowRight", (11, 12)), ("ArrowDown", (12, 12)), ("Shift+ArrowRight", (12, 22)),
        ("Shift+ArrowRight", (12, min(32, last))), ("ArrowLeft", (12, min(32, last) - 1)),
        ("Shift+ArrowUp", (2, min(32, last) - 1)), ("Shift+ArrowUp", (0, min(32, last) - 1)),
    ):  # fmt: skip
        tab.keyboard.press(key)
        look(tab, *place)
    assert f"y=0&x={min(32, last) - 1}" in tab.evaluate("location.hash")


def test_every_layer_can_be_drawn_and_says_what_the_files_hold(tab, run):
    open_page(tab, run.page.as_uri(), f"#scan={SCAN}")
    for name in tab.locator("#layer-a option:not([disabled])").evaluate_all(
        "options => options.map(option => option.value)"
    ):
        tab.locator("#layer-a").select_option(name)
        tab.wait_for_function(f"location.hash.includes('layer={name}&')")
    tab.locator("#layer-a").select_option("ion_content")
    drawn = tab.evaluate(
        "Array.from(Bokeh.documents[0].get_model_by_name('map-a-image').data.image[0])"
    )
    expected = run.phases["ion_content"].where(run.phases["decision"].isin([MIXED, 0, 1, 2]))
    np.testing.assert_allclose(value_of(drawn), expected.values.ravel(), **CLOSE)


def test_interfaces_lie_where_the_files_have_them_and_can_be_hidden(tab, run):
    found = netcdf.read(run.project.results / f"interfaces/{SCAN}.nc", INTERFACES)
    step = float(run.grains.attrs["scan_step_nm"])
    grain = int(np.diff(found["segment_offset"].values).argmax())
    y, x = map(int, np.argwhere(run.grains["label"].values == grain)[0])
    open_page(tab, run.page.as_uri(), f"#scan={SCAN}&y={y}&x={x}")
    drawn = tab.evaluate("({...Bokeh.documents[0].get_model_by_name('fronts').data})")
    for end, number in (("0", 0), ("1", 1)):
        for axis in "yx":
            placed = (found[f"end_{axis}"].values[:, number] + 0.5) * step
            np.testing.assert_allclose(value_of(drawn[f"{axis}{end}"]), placed, **CLOSE)
    own = slice(*found["segment_offset"].values[grain : grain + 2].tolist())
    told = shown(tab)["interface"]
    assert len(told) == own.stop - own.start
    for name in ("direction", "length", "width"):
        np.testing.assert_allclose(
            value_of(piece[name] for piece in told), found[name].values[own], rtol=2e-3
        )
    said = tab.locator("#facts").inner_text()
    assert ("none in this grain" in said) == (not told)
    marks = "Bokeh.documents[0].get_model_by_name('map-b-fronts-over').visible"
    assert tab.evaluate(marks)
    tab.locator("#with-fronts").uncheck()
    assert not tab.evaluate(marks)


def test_grains_are_sorted_and_lead_to_the_map_and_back(tab, run):
    open_page(tab, run.page.as_uri(), f"#scan={SCAN}")
    size = run.grains["size"].values
    tab.locator("#grain-head button", has_text="positions").click()
    column = tab.locator("#grain-rows tr td:nth-child(2)").all_inner_texts()
    assert [int(text) for text in column] == sorted(size.tolist(), reverse=True)
    assert tab.locator("#grain-head th").nth(1).get_attribute("aria-sort") == "descending"
    tab.locator("#grain-rows tr").nth(1).locator("button").click()
    grain = int(tab.locator("#grain-rows tr").nth(1).get_attribute("data-grain"))
    tab.wait_for_function(f"phasefront.position().grain === {grain}")
    assert tab.locator("#grain-rows tr[aria-current]").get_attribute("data-grain") == str(grain)
    other = int(run.grains["label"].values.max()) if grain == 0 else 0
    y, x = map(int, np.argwhere(run.grains["label"].values == other)[0])
    tab.evaluate(f"location.hash = '#scan={SCAN}&y={y}&x={x}'")
    look(tab, y, x)
    assert tab.locator("#grain-rows tr[aria-current]").get_attribute("data-grain") == str(other)


def test_misorientation_along_a_line_is_that_of_the_lattices(tab, run):
    lattices = lattices_of(run.candidates)
    rotation, family = lattice_orientations(settled(run.phases, run.grains), lattices)
    columns = run.phases.sizes["x"]
    inside = np.argwhere(family >= 0)
    (y0, x0), (y1, x1) = inside[10].tolist(), inside[-10].tolist()
    open_page(tab, run.page.as_uri(), f"#scan={SCAN}&y={y1}&x={x1}&from={y0},{x0}")
    line = tab.evaluate(
        "(found => [found.row, found.column, found.to_first].map(one => [...one]))"
        "(phasefront.profile())"
    )
    row, column = np.array(line[:2], dtype=int)
    assert (row[0], column[0], row[-1], column[-1]) == (y0, x0, y1, x1)
    at = row * columns + column
    symmetry = lattices[0].symmetry
    expected = segmentation.nearest_either_way(rotation[at], rotation[at[:1]], symmetry)[1]
    expected[family.ravel()[at] < 0] = np.nan
    np.testing.assert_allclose(value_of(line[2]), expected, atol=0.02)


def test_the_view_and_the_position_are_taken_along(tab, run, tmp_path):
    y, x = run.places()[-1]
    open_page(tab, run.page.as_uri(), f"#scan={SCAN}&y={y}&x={x}")
    saved = {}
    for name in ("maps-png", "maps-svg", "pattern-png", "pattern-svg", "position-json"):
        with tab.expect_download() as waiting:
            tab.locator(f"#{name}").click()
        saved[name] = tmp_path / waiting.value.suggested_filename
        waiting.value.save_as(saved[name])
    assert saved["maps-png"].name == f"{run.name}_{SCAN}_y{y}_x{x}_maps.png"
    for what in ("maps", "pattern"):
        colours = np.asarray(Image.open(saved[f"{what}-png"]).convert("RGB"))
        assert min(colours.shape[:2]) > 200
        assert len(np.unique(colours.reshape(-1, 3), axis=0)) > 5
        drawn = saved[f"{what}-svg"].read_text()
        assert drawn.startswith("<svg") and SCAN in drawn and "<image" in drawn
    blue = np.array([0x00, 0x72, 0xB2])  # of the first phase
    colours = np.asarray(Image.open(saved["maps-png"]).convert("RGB")).astype(int)
    assert (np.abs(colours - blue).max(axis=-1) < 3).mean() > 0.01
    height = len(colours)
    tab.locator("#layer-b").select_option("ipf_z")
    tab.wait_for_function("location.hash.includes('beside=ipf_z')")
    for name in ("maps-png", "maps-svg"):
        with tab.expect_download() as waiting:
            tab.locator(f"#{name}").click()
        waiting.value.save_as(tmp_path / name)
    keyed = np.asarray(Image.open(tmp_path / "maps-png").convert("RGB"))
    assert len(keyed) > height + 60  # a colour key instead of a colour bar
    assert "data:image/png" in (tmp_path / "maps-svg").read_text()
    here = json.loads(saved["position-json"].read_text())
    assert (here["scan"], here["y"], here["x"]) == (SCAN, y, x)
    phases = run.project.results / f"phases/{SCAN}.nc"
    assert here["record"] == record.read(record.record_path(phases)).id
    assert here["raw_file"] == f"results/{run.name}/raw/{SCAN}.blo"
    assert here["command"] == f"phasefront explain results/{run.name}/phases/{SCAN}.nc"
    assert f"y={y}&x={x}" in here["permalink"]


def picture(tab):
    """The pattern that is drawn, roots of counts, or None."""
    found = tab.evaluate(
        """() => { const source = Bokeh.documents[0].get_model_by_name('pattern-image');
           const [image] = source.data.image;
           return image ? [image.shape, Array.from(image)] : null; }"""
    )
    return found and np.array(found[1]).reshape(found[0])


def test_an_embedded_pattern_is_that_of_the_raw_file(tab, run):
    open_page(tab, run.page.as_uri(), f"#scan={SCAN}")
    scan = files.open_scan(run.project.results / f"raw/{SCAN}.blo")
    facts = json.loads(tab.locator("#run").text_content())
    frame = next(one["frame"] for one in facts["scans"] if one["scan"] == SCAN)
    for y, x in run.places()[:4]:
        tab.evaluate(f"location.hash = '#scan={SCAN}&y={y}&x={x}'")
        look(tab, y, x)
        raw = scan.read_rows(y, y + 1)[0, x].astype(float)
        side, binning = frame["side"], frame["binning"]
        cut = raw[frame["top"] :, frame["left"] :][:side, :side]
        cut = cut.reshape(side // binning, binning, -1, binning).mean(axis=(1, 3))
        np.testing.assert_allclose(picture(tab), np.sqrt(cut), atol=0.26)


def test_without_room_a_pattern_is_said_to_be_elsewhere_and_a_server_is_asked(tab, run, tmp_path):
    page = draw(run, tmp_path / "explorer.html", patterns_mb=0)
    open_page(tab, page.as_uri(), f"#scan={SCAN}&y=5&x=6")
    assert picture(tab) is None
    said = tab.locator("#pattern-said").inner_text()
    assert "phasefront view" in said and "raw file" in said
    counts = np.arange(12, dtype="<f4").reshape(3, 4)
    asked = []

    class Served(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            content = page.read_bytes() if self.path == "/key/explorer.html" else (
                struct.pack("<II", *counts.shape) + counts.tobytes()
            )  # fmt: skip
            self.send_response(200)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Served)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        address = f"http://127.0.0.1:{server.server_port}/key/explorer.html"
        open_page(tab, address, f"#scan={SCAN}&y=5&x=6")
        np.testing.assert_allclose(picture(tab), np.sqrt(counts), rtol=1e-6)
        assert f"/key/pattern/{SCAN}/5/6" in asked
    finally:
        server.shutdown()
        server.server_close()


def test_phasefront_view_shows_raw_patterns_and_refuses_a_wrong_token(tab, run):
    serving = subprocess.Popen(
        [sys.executable, "-m", "phasefront", "view", f"results/{run.name}"],
        cwd=run.project.folder, env=run.project.environment, stdout=subprocess.PIPE, text=True,
        preexec_fn=hear_interrupts,
    )  # fmt: skip
    try:
        address = serving.stdout.readline().split()[-1]
        y, x = run.places()[3]
        open_page(tab, address, f"#scan={SCAN}&y={y}&x={x}")
        raw = files.open_scan(run.project.results / f"raw/{SCAN}.blo").read_rows(y, y + 1)[0, x]
        np.testing.assert_allclose(picture(tab), np.sqrt(raw.astype(float)), rtol=1e-6)
        assert "raw pattern" in tab.locator("#pattern-said").inner_text()
        wrong = re.sub(r"/[^/]+/explorer", "/" + "x" * 43 + "/explorer", address)
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(wrong)
    finally:
        serving.send_signal(signal.SIGINT)
        serving.communicate(timeout=30)
    assert serving.returncode == 0


def draw(run, path, *, patterns_mb=25, title=None):
    """Draw the page again, by the recorded command, with another setting or title."""
    made = record.read(record.record_path(run.page)).made
    command = list(made.command)
    command[command.index("--settings") + 1] = json.dumps({"patterns_mb": patterns_mb})
    command[command.index("--explorer") + 1] = str(path)
    if title is not None:
        command = [
            part if not part.startswith("--title") else f"--title={title}" for part in command
        ]
    subprocess.run(
        [sys.executable, *command[1:]], check=True, cwd=run.project.folder,
        env=run.project.environment,
    )  # fmt: skip
    return path


def test_text_of_users_is_text(tab, run, tmp_path):
    title = '<script>alert(1)</script> & "x" </title><img src=x onerror=alert(2)>'
    page = draw(run, tmp_path / "explorer.html", patterns_mb=0, title=title)
    tab.on("dialog", lambda dialog: pytest.fail(f"the page ran {dialog.message}"))
    open_page(tab, page.as_uri())
    assert tab.locator("h1").inner_text() == title
    assert tab.title() == title
    assert tab.locator("h1 script, h1 img").count() == 0


def test_the_same_run_gives_the_same_bytes(run, tmp_path):
    again = draw(run, tmp_path / "explorer.html")
    assert again.read_bytes() == run.page.read_bytes()
