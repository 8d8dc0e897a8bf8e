"""A run that is killed again and again ends as one that was left alone, on fewer cores."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from base64 import urlsafe_b64decode
from pathlib import Path

import pytest

from phasefront.records.record import SUFFIX, output_path

KILLS = int(os.environ.get("PHASEFRONT_KILLS", "3"))
AT_MOST_S = 900  # for one run on a busy machine
CORES = 8  # the finished run has a core for each of its two scans


def records(project) -> list[Path]:
    return list(project.results.rglob(f"*{SUFFIX}"))


def complete(project) -> dict[Path, tuple[int, str]]:
    """Time stamp and start of the job, by output, of what a run need not make again.

    Snakemake takes for incomplete what has a marker: it is made again, though it may be whole.
    """
    markers = (project.folder / ".snakemake/incomplete").rglob("*")
    marked = {urlsafe_b64decode(path.name).decode() for path in markers}
    found = {}
    for path in records(project):
        output = output_path(path)
        if output.relative_to(project.folder).as_posix() not in marked:
            started = json.loads(path.read_text())["run"]["started"]
            found[output] = (output.stat().st_mtime_ns, started)
    return found


def at_work_in(folder: Path) -> list[str]:
    """Processes whose working folder is in this one."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").resolve(strict=True).is_relative_to(folder):
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:  # it ended meanwhile, or is somebody else's
            continue
    return found


def kill_after(project, outputs: int, seconds: float) -> bool:
    """Start a run and kill it, children and all, so long after so many outputs are there.

    False where it ended before.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "phasefront", "run", project.config, "--cores", str(CORES)],
        cwd=project.folder, env=project.environment, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    latest = time.monotonic() + AT_MOST_S
    while process.poll() is None and len(records(project)) < outputs:
        assert time.monotonic() < latest, "the run does not go on"
        time.sleep(0.05)
    time.sleep(seconds)
    alive = process.poll() is None
    if alive:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    # A notebook's kernel has a process group of its own, and leaves when it sees it is alone.
    latest = time.monotonic() + 30
    while (left := at_work_in(project.folder)) and time.monotonic() < latest:
        time.sleep(0.1)
    assert left == []
    return alive


@pytest.mark.slow
def test_runs_killed_elsewhere_on_more_cores_go_on_to_the_same_bytes(
    fresh_project, finished_project, tmp_path, capsys
):
    project = fresh_project.copy(tmp_path / "killed")
    rng = random.Random(20)
    moments = sorted(rng.randrange(len(records(finished_project))) for _ in range(KILLS))
    kills, planning, outputs, half_made, before = 0, 0, 0, 0, {}
    for moment in moments:
        there = len(records(project))
        if not kill_after(project, moment, rng.uniform(0, 4)):
            continue
        kills += 1
        planning += len(records(project)) == there
        half_made += len(list(project.results.rglob(".part-*")))
        now = complete(project)
        assert before.items() <= now.items(), "something complete was made again"
        before = now
        outputs = len(now)
        unlocked = project.command("unlock", project.config)
        assert unlocked.returncode == 0, unlocked.stderr
    done = project.run(cores=CORES)
    assert done.returncode == 0, done.stdout + done.stderr

    assert before.items() <= complete(project).items(), "something complete was made again"
    assert not list(project.results.rglob(".part-*"))
    assert project.planned() == {}
    expected, found = finished_project.contents(), project.contents()
    assert found.keys() == expected.keys()
    assert len(found) > 100
    assert {name for name in expected if found[name] != expected[name]} == set()
    verified = project.command("verify", "results/small")
    assert verified.returncode == 0, verified.stderr
    with capsys.disabled():
        print(
            f"\n{kills} kills, {kills} recovered; {half_made} half-made files were cleared away;"
            f" {outputs} of {len(records(project))} outputs were complete at the last kill and"
            f" stayed; {planning} kills fell before a run made anything"
        )
    assert kills > KILLS / 2
