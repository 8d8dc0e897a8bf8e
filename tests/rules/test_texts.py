"""Text of a config reaches the scripts as it is: any signs, and none at all."""

import json
import re
import runpy
import shlex
import shutil
import sys
import zipfile
from html.parser import HTMLParser
from types import SimpleNamespace
from xml.etree import ElementTree

import docutils.core
import jinja2
import pytest
import yaml
from docutils.nodes import strong
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from projects import ROOT

from phasefront.records.job import Job
from phasefront.report.figures import style
from phasefront.report.scripts_in_pages import with_inert_data
from phasefront.report.tables import _latex_text
from phasefront.report.wording import code, plain

URL = "https://x.org/$a&b='{c}\"-%20"
COMMAND = re.compile(r"python (scripts/\w+\.py) ([^\n]*?) > \S+ 2>&1")
TEXTS = {
    "left out": None,
    "empty": "",
    "spaces and quotes": "two  words, \"three\" 'four' `five`",
    "a shell's signs": "$HOME $(id) ; rm * & # | > x \\ ~ !",
    "braces": "{scan} {input.scan} {{x}} {0} Na$_{3}$",
    "lines": "first\nsecond\tthird",
    "umlauts": "Größe, Ångström, 電池",
    "an option": "--settings",
}


def with_text(content: dict, text: str | None) -> dict:
    """The experiment with each optional text left out or set to this one."""
    phases = content["material"]["phases"]
    places = [
        (content, "title"), *((phase, "label") for phase in phases),
        (content["supplement"], "license"), (content["supplement"], "raw_identifier"),
        (content["people"][0], "affiliation"),
    ]  # fmt: skip
    for place, key in places:
        if text is None:
            place.pop(key, None)
        else:
            place[key] = text
    return content


@pytest.fixture(scope="module")
def parsed_jobs(fresh_project, tmp_path_factory):
    """The arguments that the scripts of a whole run parse, by script, with a text everywhere."""
    project = fresh_project.copy(tmp_path_factory.mktemp("texts") / "project")
    original = yaml.safe_load((project.folder / project.config).read_text())
    path = project.folder / project.config

    def parse(text):
        sections = {
            "supplement": {}, "people": [{"name": "A"}],
            "downloads": [{"path": "a.dat", "url": URL, "sha256": "0" * 64}],
        }  # fmt: skip
        content = with_text(json.loads(json.dumps(original)) | sections, text)
        path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
        printing = ("--dry-run", "--printshellcmds", "--forceall")
        done = project.dry_run(*printing, configs=(project.config,))
        assert done.returncode == 0, done.stdout + done.stderr
        return [
            (script, arguments_of(script, shlex.split(arguments)))
            for script, arguments in COMMAND.findall(done.stdout + done.stderr)
        ]

    return parse


def arguments_of(script: str, arguments: list[str]):
    """What a script's own parser makes of them, settings as their models."""
    found = []

    def only_parse(job, work):
        values = vars(job._parser.parse_args())
        for name, model in job._settings.items():
            key = name.replace("-", "_")
            values[key] = job._parse_settings(name, model, values[key])
        found.append(values)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Job, "run", only_parse)
        patch.setattr(sys, "argv", [script, *arguments])
        runpy.run_path(str(ROOT / script), run_name="__main__")
    return found[0]


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_every_script_gets_the_text_of_a_config(parsed_jobs, text):
    jobs = parsed_jobs(text)
    assert len(jobs) > 30
    (supplement,) = [values for script, values in jobs if script == "scripts/pack_supplement.py"]
    assert supplement["title"] == " ".join((text or "").split())
    assert supplement["fetched"] == {"a.dat": URL}
    if text is not None:
        assert supplement["settings"].license == supplement["settings"].raw_identifier == text
    labels = [values["labels"] for _, values in jobs if "labels" in values]
    assert len(labels) > 8
    for label in labels:
        assert label == {name: text or name for name in ("Na3", "Na2", "Na1")}


# ------------------------------------------------------------------------ text is text everywhere

HOSTILE = "</script><script>alert(1)</script> $x$ *a* `b <javascript:alert(1)>`_ _c_ &lt; ${d}"
UGLY = "alert(1) $x$ *a* `b` _c_ &lt; #d 'e' \"f\" [g](javascript:alert) ~h~ \\"
LINES = st.text(st.characters(exclude_categories=("C", "Zl", "Zp")), min_size=1)


class Words(HTMLParser):
    """What a reader sees of a page; its tags beside."""

    def __init__(self, page: str):
        super().__init__()
        self.text, self.tags = "", []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


@given(LINES)
@example(HOSTILE)
@example("a\\")
@example("# 1. b")
def test_markdown_shows_a_text_as_it_is(text):
    shown = MarkdownIt().enable(["table", "strikethrough"]).render(f"- By: {plain(text)}")
    words = Words(shown)
    assert words.text.split() == f"By: {text}".split()
    assert [tag for tag, _ in words.tags] == ["ul", "li"]


@given(LINES.filter(lambda text: text.strip("` ")))
@example("a`b")
@example("`a``")
def test_markdown_shows_code_as_it_is(text):
    words = Words(MarkdownIt().render(f"x {code(text)}"))
    assert words.text.split() == ["x", *text.split()]
    assert [tag for tag, _ in words.tags] == ["p", "code"]


@given(LINES)
@example(HOSTILE)
@example("**")
def test_the_reports_first_page_shows_a_title_as_it_is(title):
    described = SimpleNamespace(
        config={"title": title, "run": "small", "material": {"ion": "Na"}}
    )  # fmt: skip
    text = (ROOT / "workflow/report/workflow.rst").read_text()
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)  # as Snakemake's
    rendered = environment.from_string(text).render(snakemake=described)
    page = docutils.core.publish_doctree(rendered, settings_overrides={"report_level": 5})
    first = page.next_node(strong)
    assert first.astext().split() == (" ".join(title.split()) or "small").split()
    assert len(first.children) == 1


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("Na$_3$V", "Na$_3$V"),
        ("a_b & 5 %", r"a\_b \& 5 \%"),
        ("one $ alone", r"one \$ alone"),
        (r"\$5 and $x_1$", r"\$5 and $x_1$"),
        ("<b~c>", r"\textless{}b\textasciitilde{}c\textgreater{}"),
        ("`c`", r"\textasciigrave{}c\textasciigrave{}"),
    ],
)  # fmt: skip
def test_latex_prints_a_label_as_figures_draw_it(text, printed):
    assert _latex_text(text) == printed


@pytest.mark.parametrize("label", [HOSTILE, "one $ alone", r"\$5", "a $\nb $", "_^{}\\\\"])
def test_figures_draw_a_label_beside_others_as_it_is(label):
    (written, other) = style.labels(["a", "b"], {"a": label, "b": "Na$_3$V"})
    figure = style.page(30, 4)
    ax = figure.subplots()
    style.title(ax, "a", f"{written}, {other}, {written}")
    figure.draw_without_rendering()
    drawn = ax.get_title(loc="left")
    for line in drawn.split("\n"):
        assert len(re.findall(r"(?<!\\)\$", line)) % 2 == 0
    assert label.replace(r"\$", "$") in drawn.replace(r"\$", "$")


@given(st.dictionaries(LINES, LINES | st.floats(allow_nan=False)))
@example({HOSTILE: HOSTILE})
@example({"a": '<script id="results">\n    var x = {}'})
def test_data_of_a_page_stay_what_they_are_and_hold_no_tag(data):
    start = '<b>1 < 2</b><script id="results">\n    var results = '
    end = ';\n</script><script id="x">\nvar y = f(1 < 2);</script>'
    page = with_inert_data(start + json.dumps(data) + end)
    assert page.startswith(start)
    assert page.endswith(end)
    inside = page[len(start) : -len(end)]
    assert "<" not in inside
    assert json.loads(inside) == data


@pytest.fixture(scope="module")
def hostile_run(fresh_project, tmp_path_factory):
    """A run of one scan whose config says the same wherever people may say what they like."""
    project = fresh_project.copy(tmp_path_factory.mktemp("texts") / "hostile")
    path = project.folder / project.config
    content = yaml.safe_load(path.read_text())
    content["tables"] = {"scans": content["tables"]["scans"]}
    content["states"] = [{"name": "x2.5"}]
    content["virtual"]["states"] = {"x2.5": content["virtual"]["states"]["x2.5"]}
    table = project.folder / content["tables"]["scans"]
    rows = [line for line in table.read_text().splitlines() if "x3.0" not in line]
    table.write_text("\n".join(rows) + "\n")
    content |= {"supplement": {}, "people": [{"name": HOSTILE}]}
    with_text(content, HOSTILE)
    plain = project.folder / content["material"]["phases"][0]["cif"]
    cif = project.folder / "config" / UGLY / plain.name  # a virtual phase goes by the CIF's name
    cif.parent.mkdir()
    shutil.copy(plain, cif)
    content["material"]["phases"][0]["cif"] = cif.relative_to(project.folder).as_posix()
    path.write_text(yaml.safe_dump(content))
    done = project.run()
    assert done.returncode == 0, done.stdout + done.stderr
    return project


@pytest.mark.slow
def test_no_page_of_a_run_takes_a_text_for_markup(hostile_run):
    pages = list(hostile_run.results.rglob("*.html"))
    assert {"report.html", "experiment.html"} <= {page.name for page in pages}
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert "<script>alert" not in text, page.name
        assert not any("alert(1)" in act for act in acts(Words(text))), page.name
    report = (hostile_run.results / "report.html").read_text(encoding="utf-8")
    described = Words(json.loads(re.search(r"var workflow_desc = (.*);", report)[1]))
    assert " ".join(HOSTILE.split()) in described.text
    assert not any("alert(1)" in act for act in acts(described))


def acts(words: Words) -> list[str]:
    """What a browser would follow, load or run of the tags of a page."""
    return [
        value or ""
        for _, attributes in words.tags
        for name, value in attributes.items()
        if name in ("href", "src", "srcdoc", "action", "formaction") or name.startswith("on")
    ]


@pytest.mark.slow
def test_what_a_supplement_says_shows_a_text_as_it_is(hostile_run):
    wanted = " ".join(HOSTILE.split())
    with zipfile.ZipFile(hostile_run.results / "supplement.zip") as packed:
        for name in ("README.md", "METHODS.md"):
            text = packed.read(f"phasefront-small/data/{name}").decode()
            words = Words(MarkdownIt().render(text))
            assert wanted in words.text
            assert not {"script", "em"} & {tag for tag, _ in words.tags}
            assert not any("javascript" in (a.get("href") or "") for _, a in words.tags)
        crate = json.loads(packed.read("phasefront-small/data/ro-crate-metadata.json"))
    root = next(entity for entity in crate["@graph"] if entity["@id"] == "./")
    assert wanted in (root["name"], root["description"])


@pytest.mark.slow
def test_the_graph_of_a_run_is_a_drawing_whatever_files_are_called(hostile_run, tmp_path):
    drawn = tmp_path / "graph.svg"
    done = hostile_run.command(
        "explain", "results/small/summary.json", "--graph", str(drawn)
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    parts = ElementTree.parse(drawn).getroot().iter()
    assert not any(part.tag.endswith("script") for part in parts)
    assert "alert(1)" in drawn.read_text()
