"""One run in a folder at a time: another one is told what is the matter and what to do."""

import os
import signal
import subprocess
import sys
import time

import pytest


@pytest.mark.slow
def test_a_second_run_and_one_after_a_kill_are_told_what_to_do(fresh_project, tmp_path):
    project = fresh_project.copy(tmp_path / "twice")
    first = subprocess.Popen(
        [sys.executable, "-m", "phasefront", "run", project.config, "--cores", "2"],
        cwd=project.folder, env=project.environment, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        latest = time.monotonic() + 300
        while not list(project.folder.glob(".snakemake/locks/*.output.lock")):
            assert first.poll() is None and time.monotonic() < latest
            time.sleep(0.1)
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
        first.wait()

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
