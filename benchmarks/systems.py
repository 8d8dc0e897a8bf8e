"""The systems that are compared: how each is started, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from phasefront.diffraction.crystals import Crystal

ROOT = Path(__file__).resolve().parent.parent
VOLTAGE_KV, PRECESSION_DEG, MAX_RADIUS = 200.0, 0.8, 1.2
# What phasefront's calibration measures on such a scan, pixels; given to all who want to know.
PROBE_RADIUS, SPOT_RADIUS, BEAM_RADIUS = 4.65, 2.7, 7.4


@dataclass(frozen=True, eq=False)
class System:
    """A name for the tables, its script, what this is told beside the task, and its Python."""

    name: str
    script: str
    options: dict
    python: Path = Path(sys.executable)


@dataclass(frozen=True)
class Answer:
    """What a system's process left: phases (n,), orientations (n, 4), and its own record."""

    phase: np.ndarray
    rotation: np.ndarray
    record: dict

    @property
    def patterns_per_s(self) -> float:
        return len(self.phase) / sum(self.record["seconds"].values())


PHASEFRONT = System("phasefront", "index_phasefront", {})
# Each with the gamma, of 0.3 to 1, at which it finds the most phases on another such scan.
PYXEM = System("pyxem, frac_keep 0.1", "index_pyxem", {"frac_keep": 0.1, "gamma": 0.7})
PYXEM_ALL = System("pyxem, frac_keep 1.0", "index_pyxem", {"frac_keep": 1.0, "gamma": 0.5})
PY4DSTEM = System(
    "py4DSTEM", "index_py4dstem", {}, ROOT / ".venv-py4dstem" / "bin" / "python"
)  # fmt: skip


class FailedError(RuntimeError):
    """A system could not be run; the message says why."""


def run(
    system: System,
    scan: Path,
    *,
    rows: int,
    crystals: Sequence[Crystal],
    scale: float,
    camera: tuple[int, int],
    resolution_deg: float,
    threads: int,
    folder: Path,
) -> dict[str, Answer]:
    """Index the first rows of a scan; answers by the name of the system or of its variant.

    Raises FailedError where its Python is not there or the script fails.
    """
    if not system.python.exists():
        raise FailedError(f"its environment {system.python.parents[1].name} is not there")
    task = task_of(
        scan, rows=rows, crystals=crystals, scale=scale, camera=camera,
        resolution_deg=resolution_deg, answer=folder / "answer",
    )  # fmt: skip
    file = folder / "task.json"
    file.write_text(json.dumps(task | system.options))
    for old in folder.glob("answer*.npz"):
        old.unlink()
    done = subprocess.run(
        [system.python, "-m", f"benchmarks.{system.script}", file], env=_environment(threads),
        cwd=ROOT, capture_output=True, text=True, preexec_fn=lambda: _keep_to_cores(threads),
    )  # fmt: skip
    if done.returncode:
        raise FailedError(done.stderr.strip().splitlines()[-1])
    return {
        system.name + path.stem.removeprefix("answer").replace("-", ", "): _read(path)
        for path in sorted(folder.glob("answer*.npz"), key=lambda path: len(path.stem))
    }


def task_of(
    scan: Path, *, rows: int, crystals: Sequence[Crystal], scale: float, camera: tuple[int, int],
    resolution_deg: float, answer: Path,
) -> dict:  # fmt: skip
    """What every script is told: scan, true geometry, phases, grid. Lengths in pixels, 1/angstrom.

    `atoms` are those of the cell as phasefront reads them from the CIF, for py4DSTEM, which would
    need pymatgen to read it.
    """
    return {
        "scan": str(scan), "rows": rows, "answer": str(answer),
        "cifs": [crystal.path for crystal in crystals],
        "phases": [crystal.name for crystal in crystals],
        "laue_groups": [crystal.space_group.laue_str() for crystal in crystals],
        "atoms": [atoms_of(crystal) for crystal in crystals],
        "voltage_kv": VOLTAGE_KV, "precession_deg": PRECESSION_DEG, "max_radius": MAX_RADIUS,
        "resolution_deg": resolution_deg, "scale": scale, "camera": camera,
        "centre": [(pixels - 1) / 2 for pixels in camera],
        "probe_radius": PROBE_RADIUS, "spot_radius": SPOT_RADIUS, "beam_radius": BEAM_RADIUS,
    }  # fmt: skip


def atoms_of(crystal: Crystal) -> dict:
    import gemmi

    return {
        "cell": crystal.cell,
        "positions": crystal.atoms[["x", "y", "z"]].to_numpy().tolist(),
        "numbers": [gemmi.Element(name).atomic_number for name in crystal.atoms["element"]],
        "occupancy": crystal.atoms["occupancy"].tolist(),
    }


def _environment(threads: int) -> dict[str, str]:
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return os.environ | dict.fromkeys(names, str(threads))


def _keep_to_cores(threads: int) -> None:
    """dask and others take every core that they are let."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def _read(path: Path) -> Answer:
    with np.load(path) as data:
        return Answer(data["phase"], data["rotation"], json.loads(str(data["record"])))
