"""One run in a folder at a time, others are told what to do; and one that is asked to stop."""

import os
import signal
import subprocess
import sys
import time

import pytest
from projects import hear_interrupts


def begin(project, until: str) -> subprocess.Popen:
    """Start a run, and wait for the first file of a pattern."""
    process = subprocess.Popen(
        [sys.executable, "-m", "phasefront", "run", project.config, "--cores", "2"],
        cwd=project.folder, env=project.environment, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        preexec_fn=hear_interrupts,
    )  # fmt: skip
    latest = time.monotonic() + 300
    while not list(project.folder.glob(until)):
        assert process.poll() is None and time.monotonic() < latest
        time.sleep(0.1)
    return process


@pytest.mark.slow
def test_a_second_run_and_one_after_a_kill_are_told_what_to_do(fresh_project, tmp_path):
    project = fresh_project.copy(tmp_path / "twice")
    first = begin(project, ".snakemake/locks/*.output.lock")
    try:
        transcript = project.results / "logs/snakemake.log"
        before = transcript.read_text()
        for done in (project.run(), project.command("unlock", project.config)):
            assert done.returncode == 2
            assert done.stderr == (
                "results/small: another run is going there; wait until it has ended.\n"
            )
        assert before and transcript.read_text().startswith(before)
        assert list(project.folder.glob(".snakemake/locks/*.output.lock"))
    finally:
        os.killpg(first.pid, signal.SIGKILL)
        first.communicate()

    done = project.run()
    assert done.returncode == 2
    assert done.stderr == (
        f"{project.folder}: another run is going in this folder, or one was killed; wait until"
        " it has ended; if it was killed, free the folder with: phasefront unlock"
        " config/small.yaml.\n"
    )
    unlocked = project.command("unlock", project.config)
    assert unlocked.returncode == 0, unlocked.stderr
    assert not list(project.folder.glob(".snakemake/locks/*"))


@pytest.mark.slow
def test_a_run_that_is_asked_to_stop_leaves_nothing_behind(fresh_project, tmp_path):
    project = fresh_project.copy(tmp_path / "stopped")
    process = begin(project, "results/small/raw/.part-*")
    os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does
    said = process.communicate()[1]
    assert process.returncode == 130
    assert said.splitlines()[-1] == "Stopped; what is complete stays for the next run."
    assert "Traceback" not in said
    assert not list(project.folder.glob(".snakemake/locks/*"))
    assert not list(project.results.rglob(".part-*"))
