"""A run on a SLURM cluster: a real slurmctld and slurmd on this machine, stopped in the end."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from projects import ROOT

from phasefront.cli import running

pytestmark = pytest.mark.slow

# Jobs of a cluster find it by this file alone: Snakemake's plugin hands on no SLURM variables.
CONF = Path("/etc/slurm/slurm.conf")
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "sinfo")
SUBMITTED = re.compile(r"has been submitted with SLURM jobid \d+ \(log: \S*/slurm_logs/(\w+)")


def _settings(folder: Path) -> str:
    host = socket.gethostname().split(".")[0]
    ports = []
    for _ in range(2):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            ports.append(free.getsockname()[1])
    return f"""ClusterName=phasefront
SlurmctldHost={host}(127.0.0.1)
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
SlurmUser=root
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
ReturnToService=2
MinJobAge=3600
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
NodeName={host} NodeAddr=127.0.0.1 CPUs=8 RealMemory=16000 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


@pytest.fixture(scope="module")
def cluster():
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        pytest.skip(f"no SLURM here: {', '.join(missing)} not installed")
    if os.geteuid() or CONF.exists():
        pytest.skip("a cluster is made where root may, and no other is set up")
    # munge trusts no folder that others may write to, as those of pytest lie in.
    folder = Path("/run/phasefront-slurm")
    folder.mkdir(mode=0o755)
    for part in ("state", "spool", "munge"):
        (folder / part).mkdir(mode=0o700)
    key = folder / "munge/key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o600)
    plugin = folder / "plugin"
    installed = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes",
         "--requirement", ROOT / "envs/slurm.txt", "--target", plugin], capture_output=True,
    )  # fmt: skip
    if installed.returncode:
        shutil.rmtree(folder)
        pytest.skip("Snakemake's plugin for SLURM cannot be installed here")
    try:
        CONF.write_text(_settings(folder))
        munge = folder / "munge"
        subprocess.run(
            ["munged", "--force", f"--key-file={key}", f"--socket={folder}/munge.sock",
             f"--pid-file={folder}/munged.pid", f"--log-file={munge}/log",
             f"--seed-file={munge}/seed"], check=True,
        )  # fmt: skip
        subprocess.run(["slurmctld"], check=True)
        subprocess.run(["slurmd"], check=True)
        _wait_for_node()
        yield plugin
    finally:
        CONF.unlink(missing_ok=True)
        for name in ("slurmd", "slurmctld", "munged"):
            pid = folder / f"{name}.pid"
            if pid.exists():
                _stop(int(pid.read_text()))
        shutil.rmtree(folder)


def _stop(pid: int) -> None:
    """End a daemon, which saves its state first."""
    os.kill(pid, signal.SIGTERM)
    for _ in range(60):
        if not Path(f"/proc/{pid}").exists():
            return
        time.sleep(0.5)
    os.kill(pid, signal.SIGKILL)


def _wait_for_node() -> None:
    for _ in range(60):
        state = subprocess.run(
            ["sinfo", "--noheader", "--format=%T"], capture_output=True, text=True
        )
        if state.stdout.strip() == "idle":
            return
        time.sleep(0.5)
    raise AssertionError(f"the node is {state.stdout or state.stderr}")


def test_a_scan_is_one_job_of_a_cluster_and_results_are_those_of_one_machine(
    cluster, fresh_project, finished_project, tmp_path
):
    project = fresh_project.copy(tmp_path / "project")
    command = running.snakemake(
        [project.config], "--workflow-profile", "slurm", "--latency-wait", "10",
        # Without accounting, squeue knows what became of jobs.
        "--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "5",
    )  # fmt: skip
    path = f"{project.environment['PYTHONPATH']}:{cluster}"
    done = subprocess.run(
        command, cwd=project.folder, env=project.environment | {"PYTHONPATH": path},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    groups = [name.split("_")[1] for name in SUBMITTED.findall(done.stderr) if "group_" in name]
    assert sorted(groups) == ["description", "end", "powder", "scan", "scan"]
    assert project.contents() == finished_project.contents()
