"""Text of a config reaches the scripts as it is: any signs, and none at all."""

import json
import re
import runpy
import shlex
import sys

import pytest
import yaml
from conftest import ROOT

from phasefront.cli import running
from phasefront.records.job import Job

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
        dry = running.snakemake([project.config], "--dry-run", "--printshellcmds", "--forceall")
        done = project.call(dry)
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


@pytest.mark.slow
def test_a_run_without_any_optional_text_ends(fresh_project, tmp_path):
    project = fresh_project.copy(tmp_path / "bare")
    path = project.folder / project.config
    content = yaml.safe_load(path.read_text())
    del content["title"]
    for phase in content["material"]["phases"]:
        del phase["label"]
    path.write_text(yaml.safe_dump(content))
    done = project.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert (project.results / "supplement.zip").exists()
    assert project.command("verify", "results/small").returncode == 0
