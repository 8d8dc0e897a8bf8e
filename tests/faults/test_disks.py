"""Disks that are full, read-only or forbidden end in one sentence, and leave nothing half done."""

import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from phasefront.records.record import record_path

SCRIPT = '''
"""Make as many kilobytes as asked for."""
from phasefront.records.job import Job


def fill(job):
    import netCDF4
    import numpy as np

    numbers = np.arange(128 * int(job.text.read_text()), dtype="f8")
    job.small.write_text("small")
    if job.large.suffix == ".nc":
        with netCDF4.Dataset(job.large, "w") as file:
            file.createDimension("n", numbers.size)
            file.createVariable("n", "f8", ("n",))[:] = numbers
    else:
        job.large.write_bytes(numbers.tobytes())


if __name__ == "__main__":
    job = Job(__doc__).input("text", "how many")
    job.output("small", "a few bytes").output("large", "the others").run(fill)
'''
SPACE = "no space left on device; make room and run again.\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts/fill.py").write_text(SCRIPT.strip())
    (tmp_path / "in").mkdir()
    (tmp_path / "in/text.txt").write_text("1000")
    return tmp_path


def run(folder: Path, large: str = "large.nc") -> subprocess.CompletedProcess:
    return subprocess.run(
        [
            *(sys.executable, "scripts/fill.py", "--text", "in/text.txt"),
            *("--small", "out/small.txt", "--large", f"out/{large}"),
        ],
        cwd=folder, capture_output=True, text=True,
    )  # fmt: skip


@contextmanager
def mounted(folder: Path, *options: str):
    """A file system in a folder for a while; only root may."""
    folder.mkdir(parents=True, exist_ok=True)
    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    done = subprocess.run(["mount", *options, folder], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


@contextmanager
def small_disk(folder: Path, size: str):
    with mounted(folder, "-t", "tmpfs", "-o", f"size={size}", "tmpfs"):
        yield


@contextmanager
def read_only(folder: Path):
    """No permission for most of us; root does not care, so the disk must be read-only."""
    folder.mkdir(exist_ok=True)
    if os.geteuid():
        folder.chmod(0o555)
        yield
        folder.chmod(0o755)
    else:
        with mounted(folder, "--bind", "-o", "ro", folder):
            yield


@pytest.mark.parametrize("large", ["large.nc", "large.bin"])
def test_a_full_disk(folder, large):
    with small_disk(folder / "out", "500k"):
        done = run(folder, large)
        assert (done.returncode, done.stderr) == (2, f"out/small.txt: {SPACE}")
        assert list((folder / "out").iterdir()) == []


def test_a_disk_that_is_full_keeps_what_was_there(folder):
    with small_disk(folder / "out", "500k"):
        (folder / "in/text.txt").write_text("10")
        assert run(folder).returncode == 0
        before = {path: path.read_bytes() for path in (folder / "out").iterdir()}
        assert len(before) == 4
        (folder / "in/text.txt").write_text("1000")
        assert run(folder).returncode == 2
        assert {path: path.read_bytes() for path in (folder / "out").iterdir()} == before


def test_a_disk_without_room_for_the_records(folder):
    (folder / "in/text.txt").write_text("1")
    with small_disk(folder / "out", "20k"):  # five pages: two for `other`, one for each file
        (folder / "out/other").write_bytes(b"0" * 8000)
        done = run(folder, "large.bin")
        assert (done.returncode, done.stderr) == (2, f"out/small.txt: {SPACE}")
        assert [path.name for path in (folder / "out").iterdir()] == ["other"]


def test_an_output_folder_that_is_read_only(folder):
    with read_only(folder / "out"):
        done = run(folder)
        assert done.returncode == 2
        assert done.stderr == "out: cannot be written to; allow it, or name another folder.\n"
    assert list((folder / "out").iterdir()) == []


def test_a_project_that_is_read_only(folder):
    with read_only(folder):
        done = run(folder)
        assert done.returncode == 2
        assert done.stderr.startswith("out: ") and done.stderr.count("\n") == 1
        assert "; " in done.stderr
    assert not (folder / "out").exists()


def test_inputs_may_be_read_only(folder):
    with read_only(folder / "in"):
        done = run(folder)
        assert done.returncode == 0, done.stderr
    assert record_path(folder / "out/large.nc").is_file()


def test_an_input_that_may_not_be_read(folder):
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    (folder / "in/text.txt").chmod(0)
    done = run(folder)
    assert done.returncode == 2
    assert done.stderr == (
        "in/text.txt: permission denied; change its permissions and run again.\n"
    )


@pytest.mark.slow
def test_a_run_on_a_full_disk(fresh_project, tmp_path):
    project = fresh_project.copy(tmp_path / "full")
    with small_disk(project.results, "4m"):  # a virtual scan takes 12
        done = project.run(cores=1)
        assert done.returncode == 2, done.stderr
        # how many steps ran before the disk was full is the scheduler's choice
        lines = done.stderr.splitlines()
        first, *_, last = [line for line in lines if not line.endswith("steps done")]
        assert first.startswith("results/small/raw/grains-x")
        assert first.endswith(f".blo: {SPACE}".strip())
        assert last.startswith("The run stopped; ")
        assert "Traceback" not in done.stderr
        assert not list(project.results.rglob(".part-*"))
        assert not list(project.results.glob("raw/*.blo*"))
        subprocess.run(["mount", "-o", "remount,size=64m", project.results], check=True)
        assert project.planned()["simulate_scan"] == 2  # without a word of a lock


@pytest.mark.slow
def test_a_run_whose_results_cannot_be_written(fresh_project, tmp_path):
    project = fresh_project.copy(tmp_path / "forbidden")
    (project.folder / "results").mkdir()
    with read_only(project.folder / "results"):
        done = project.run()
        assert done.returncode == 2
        assert done.stderr.startswith("results/small") and done.stderr.count("\n") == 1
    assert list((project.folder / "results").iterdir()) == []
