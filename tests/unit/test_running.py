"""What people see of a run: its progress, and the sentence of a job that failed."""

import io
import subprocess
import sys
from base64 import urlsafe_b64encode
from contextlib import chdir, redirect_stderr
from pathlib import Path

import pytest
from projects import ROOT

from phasefront.cli import running
from phasefront.cli.fork_server import forking_python
from phasefront.cli.report import Report
from phasefront.core.errors import DISK_ERRORS, InputError

COPIES = """
rule all:
    input: expand("copies/{{number}}", number=range({many}))

rule copy_number:
    output: "copies/{{number}}"
    log: "logs/{{number}}.log"
    shell: {shell!r}
"""
FORBIDDEN = Path("/sys/kernel")  # nobody may make a file there, not even root


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def run(folder: Path, snakefile: str, shown: io.StringIO | None = None) -> tuple[int, str]:
    """Status of a run of a Snakefile in a folder, and what people saw of it."""
    shown = io.StringIO() if shown is None else shown
    (folder / "Snakefile").write_text(snakefile)
    (folder / "experiment.yaml").write_text("run: r\n")
    with (
        chdir(folder), redirect_stderr(shown), running.waiting_snakemake() as snakemake,
        forking_python() as python, running.only_run(Path("results")) as transcript,
    ):  # fmt: skip
        status = running.run_workflow(
            [Path("experiment.yaml")], snakemake, cores=2, transcript=transcript, python=python
        )
    return status, shown.getvalue()


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> tuple[Path, str]:
    """A folder after a run of 25 steps, and what people saw of it."""
    folder = tmp_path_factory.mktemp("finished")
    status, shown = run(folder, COPIES.format(many=24, shell="echo a job speaks; env > {output}"))
    assert status == 0
    return folder, shown


def test_progress_is_a_plain_line_every_tenth_of_the_way(finished):
    steps = (3, 5, 8, 10, 13, 15, 18, 20, 23, 25)
    assert finished[1].splitlines() == [f"{done} of 25 steps done" for done in steps]


def test_the_transcript_holds_what_was_said_to_people(finished):
    said = (finished[0] / "results/logs/snakemake.log").read_text()
    assert said.count("a job speaks\n") == 24
    for words in ("Job stats:\n", "localrule copy_number:\n", "\n25 of 25 steps (100%) done\n"):
        assert words in said


def test_jobs_do_not_see_where_events_go(finished):
    assert "PHASEFRONT_EVENTS" not in (finished[0] / "copies/0").read_text()


def test_progress_on_a_terminal_is_a_bar(tmp_path, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    shell = "touch {output}; sleep 0.3"
    status, shown = run(tmp_path, COPIES.format(many=2, shell=shell), Terminal())
    assert status == 0
    assert "planning" in shown
    assert "copy number" in shown
    assert "3/3" in shown


def test_refused_input_ends_with_its_sentence_and_status_2(tmp_path):
    shell = "echo 'a.blo: the file is cut short; copy it again.' > {log}; exit 2"
    assert run(tmp_path, COPIES.format(many=1, shell=shell)) == (
        2,
        "a.blo: the file is cut short; copy it again.\n"
        "The run stopped; all that Snakemake said is in results/logs/snakemake.log.\n",
    )


def test_a_bug_beside_refused_input_ends_with_status_1_and_the_words_of_both(tmp_path):
    shell = "echo I am {wildcards.number} > {log}; exit $(( 2 - {wildcards.number} ))"
    status, shown = run(tmp_path, COPIES.format(many=2, shell=shell))
    assert status == 1
    assert sorted(shown.splitlines()[:-1]) == ["I am 0", "I am 1"]


def test_a_job_that_could_not_say_why_is_named(tmp_path):
    status, shown = run(tmp_path, COPIES.format(many=1, shell="touch {log}; kill -9 $$"))
    assert status == 1
    assert shown.startswith("logs/0.log: the job failed without a word; see whether its disk is")


@pytest.mark.parametrize(
    ("snakefile", "words"),
    [
        ("rule all:\n    input: 'absent.txt'\n", "absent.txt"),
        ("rule all\n", "Error: "),  # Snakemake stumbles over this one and tells no event
    ],
)
def test_what_snakemake_itself_refuses_is_shown(tmp_path, snakefile, words):
    status, shown = run(tmp_path, snakefile)
    assert status == 1
    assert words in shown
    assert shown.splitlines()[-1].startswith("The run stopped; ")


def test_a_lock_is_told_with_its_remedy(tmp_path):
    locks = tmp_path / ".snakemake/locks"
    locks.mkdir(parents=True)
    (locks / "0.output.lock").write_text("copies/0\n")
    with pytest.raises(InputError, match=r"with: phasefront unlock experiment\.yaml\.$"):
        run(tmp_path, COPIES.format(many=1, shell="touch {output}"))


@pytest.mark.skipif(not FORBIDDEN.is_dir(), reason="no folder in which not even root may write")
@pytest.mark.parametrize(
    ("link", "target"),
    [
        (".snakemake", FORBIDDEN),
        # Snakemake wraps what happens to its memory in an error of its own.
        (f".snakemake/metadata/{urlsafe_b64encode(b'copies/0').decode()}", FORBIDDEN / "absent"),
    ],
)
def test_a_disk_that_snakemake_cannot_write_to_is_an_error_of_the_system(tmp_path, link, target):
    if target != FORBIDDEN:
        (tmp_path / ".snakemake/incomplete").mkdir(parents=True)
        (tmp_path / ".snakemake/metadata").mkdir()
    (tmp_path / link).symlink_to(target)
    with pytest.raises(OSError) as caught:
        run(tmp_path, COPIES.format(many=1, shell="touch {output}"))
    assert caught.value.errno in DISK_ERRORS
    assert caught.value.filename.startswith(f"{tmp_path}/.snakemake/")


def test_only_one_run_has_the_transcript(tmp_path):
    with running.only_run(tmp_path) as transcript:
        transcript.write(b"the first\n")
        with pytest.raises(InputError, match="another run is going"), running.only_run(tmp_path):
            pass
    with running.only_run(tmp_path):
        assert (tmp_path / "logs/snakemake.log").read_text() == "the first\n"


def test_snakemakes_own_users_are_told_that_the_logger_is_not_for_them(tmp_path):
    (tmp_path / "Snakefile").write_text("rule all:\n")
    command = [*running.snakemake([]), "--cores", "1", "--logger", "phasefront"]
    command.remove("--configfile")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert "is for the command 'phasefront run' alone" in done.stderr


def test_a_run_ends_with_its_explorer_before_its_report(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    results = Path("results/mine")
    results.mkdir(parents=True)
    for name in ("summary.json", "summary.json.prov.json", "report.html"):
        (results / name).touch()
    assert Report([], results).finish() == 0
    after = ["Report: results/mine/report.html", "Summary: results/mine/summary.json"]
    assert capsys.readouterr().out.splitlines() == after
    (results / "explorer.html").touch()
    assert Report([], results).finish() == 0
    first = "Explorer: results/mine/explorer.html (every raw pattern: phasefront view mine)"
    assert capsys.readouterr().out.splitlines() == [first, *after]


@pytest.mark.parametrize("command", [["run", "a.yaml"], ["unlock", "a.yaml"]])
def test_outside_of_a_checkout_a_run_says_so_and_leaves_nothing(tmp_path, command):
    (tmp_path / "a.yaml").write_text("run: a\n")
    done = subprocess.run(
        [sys.executable, "-m", "phasefront", *command], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"{tmp_path}: has no Snakefile, so it is no checkout")
    assert [path.name for path in tmp_path.iterdir()] == ["a.yaml"]


def test_nothing_is_compiled_for_an_experiment_without_a_virtual_section():
    from phasefront.cli.compilation import compile_kernels

    with pytest.raises(InputError, match="it has no virtual section"):
        compile_kernels(ROOT / "config/limno.yaml")
