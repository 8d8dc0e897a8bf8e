"""What the scripts of all systems share: the task they are given, a stopwatch, their answer.

Standard library and NumPy only: py4DSTEM's environment has little else in common with ours.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import numpy as np


class Task:
    """One system's work on one scan; the fields of `settings` are listed in `systems.task_of`."""

    def __init__(self, path: str | Path):
        self.settings = json.loads(Path(path).read_text())
        self.counted: dict[str, float] = {}
        self.apart: dict[str, float] = {}

    def __getattr__(self, name):
        return self.settings[name]

    @contextmanager
    def step(self, name: str):
        """Time that counts: from raw patterns to orientations."""
        with _timed(self.counted, name):
            yield

    @contextmanager
    def aside(self, name: str):
        """Time that is reported and not counted: libraries, compilation."""
        with _timed(self.apart, name):
            yield

    def answer(self, phase, rotation, *, templates: int, packages: str, name: str = "") -> None:
        """Write the answer for the steps so far.

        Parameters
        ----------
        phase
            Index of the phase of each pattern, -1 for none, (n,).
        rotation
            Orientation as that phase, frame to crystal as in `phasefront.layouts`, (n, 4).
        templates
            How many the library has, all phases together.
        packages
            Names of the distributions that did the work.
        name
            Tells several answers of one process apart.
        """
        record = {
            "seconds": dict(self.counted),
            "seconds_apart": dict(self.apart),
            "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "templates": templates,
            "versions": {package: version(package) for package in packages.split()},
        }
        np.savez(
            f"{self.settings['answer']}{name}.npz",
            phase=np.asarray(phase, dtype=np.int64), rotation=np.asarray(rotation, dtype=float),
            record=json.dumps(record),
        )  # fmt: skip


@contextmanager
def _timed(seconds: dict[str, float], name: str):
    start = time.perf_counter()
    yield
    seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - start


def given() -> Task:
    """The task named on the command line."""
    return Task(sys.argv[1])
