"""What half and double of a constant that was chosen, not fitted, does to decisions.

On the virtual scans of `benchmarks.constants`, calibrated on themselves. Constants that numba
compiles in are not among them. Writes `results/bench/sensitivity.json` after each and prints a line
for each value: share of positions whose decision is another than with the code's value; the same
numbers as in docs/decisions.md; and the mean log-probability of the true phase at clear positions.
Names of constants as arguments try these alone, and keep what the file has of others.
"""

from __future__ import annotations

import importlib
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numba.core.dispatcher import Dispatcher

from benchmarks import assumptions
from benchmarks.assumptions import MIN_SPOTS, PHASES, POSITION_SIGMA, Assumed, Decided, Study
from benchmarks.constants import FILMS, GRAINS, SHAPE
from benchmarks.refit import changed
from phasefront.core import errors
from phasefront.diffraction.candidates import CandidatePhases
from phasefront.layouts.phases import UNANSWERED, VACUUM
from phasefront.orientations import indexing
from phasefront.phases import decisions
from phasefront.scans import files

OUT = assumptions.ROOT / "results" / "bench" / "sensitivity.json"
CONSTANTS = (
    "diffraction.optics.LOCAL_SCALE_SIGMA",
    "diffraction.cells.CELL_SIGMA", "diffraction.cells._TILT_SIGMA",
    "diffraction.cells._TURN_SIGMA", "diffraction.template_library.COARSE_DEG",
    "diffraction.template_library._SHELL_STEP", "diffraction.reflections.WEAKEST",
    "diffraction.cells._ROUNDS", "orientations.indexing._SPARE", "orientations.indexing._WORTH",
    "phases.distortion._RICH", "phases.distortion._SURE", "phases.distortion._ROUNDS",
    "phases.distortion._MARGIN", "phases.forced._MOST", "phases.forced._DOUBLE_ODDS",
    "phases.forced._DOUBLE_SHARE", "phases.forced._EXTINCT_ODDS", "phases.forced._UNSEEN_SHARE",
    "phases.lattices._ALIKE_DEG", "phases.distortion._OPEN_ROUNDS", "phases.pairs._AZIMUTHS",
    "phases.pairs.ODDS", "phases.vacuum._CELL", "phases.vacuum._ZONES",
    "phases.vacuum._MARGIN", "phases.vacuum._NOISE", "phases.vacuum._OF_CRYSTALS",
    "phases.vacuum._FEW_CRYSTALS", "phases.vacuum._DRIFT", "phases.vacuum._MOST_SPOTTED",
)  # fmt: skip


@dataclass(frozen=True)
class Scan:
    """A virtual scan up to its spots."""

    path: Path
    made: Decided

    def decided(self) -> np.ndarray:
        """Decision and posterior (positions, 1 + phases), with the constants as they are."""
        made = self.made
        oriented = indexing.find_orientations(
            made.spots, made.templates, made.crystals, min_spots=MIN_SPOTS,
            position_sigma=POSITION_SIGMA,
        )  # fmt: skip
        phases = decisions.decide_phases(
            made.spots, oriented, made.templates,
            CandidatePhases(
                made.crystals, [phase.parent_axes for phase in PHASES],
                [phase.ion_content for phase in PHASES],
            ),
            raw=(files.open_scan(self.path), made.geometry),
            min_spots=MIN_SPOTS, position_sigma=POSITION_SIGMA,
        )  # fmt: skip
        decision = phases["decision"].values.reshape(-1, 1)
        return np.hstack([decision, phases["posterior"].values.reshape(len(decision), -1)])


def compared(scans: list[Scan], usual: list[np.ndarray], found: list[np.ndarray]) -> dict:
    """Numbers of all scans together: see the module."""
    decision, before = (np.concatenate([one[:, 0] for one in many]) for many in (found, usual))
    posterior = np.concatenate([one[:, 1:] for one in found])
    weight = np.concatenate(
        [scan.made.truth["weight"].values.reshape(-1, len(PHASES)) for scan in scans]
    )
    overlap = np.concatenate([scan.made.truth["overlap"].values.ravel() for scan in scans])
    true, crystal = weight.argmax(axis=1), weight.sum(axis=1) > 0
    clear = (weight.max(axis=1) >= assumptions.CLEAR) & (overlap == 0)
    answered = clear & (decision >= 0)
    seen = clear & (decision != VACUUM)
    of_true = posterior[np.arange(len(true)), true][seen]
    return {
        "changed": float(np.mean(decision != before)),
        "right": float(np.mean(decision[answered] == true[answered])),
        "undecided": float(np.isin(decision[crystal], UNANSWERED).mean()),
        "vacuum_wrong": float(np.mean((decision == VACUUM) == crystal)),
        "log_probability": float(np.log(np.maximum(of_true, 1e-12)).mean()),
    }


@contextmanager
def with_constant(name: str, factor: float) -> Iterator[None]:
    """A constant times a factor, wherever it has been imported to.

    Raises ValueError where a kernel is compiled with it, which would not see another value.
    """
    module, own = f"phasefront.{name}".rsplit(".", 1)
    kept = getattr(importlib.import_module(module), own)
    value = type(kept)(max(1, kept * factor)) if isinstance(kept, int) else kept * factor
    # Private ones are imported nowhere: elsewhere the same name is another constant.
    home = module if own.startswith("_") else "phasefront."
    with ExitStack() as stack:
        for key, loaded in list(sys.modules.items()):
            if key.startswith(home) and getattr(loaded, own, None) is kept:
                if any(own in kernel.py_func.__code__.co_names for kernel in _kernels(loaded)):
                    raise ValueError(f"{name} is compiled into kernels of {key}")
                stack.enter_context(changed(loaded, own, value))
        yield


def _kernels(module) -> list[Dispatcher]:
    return [value for value in vars(module).values() if isinstance(value, Dispatcher)]


def main(names: list[str], out: Path = OUT) -> None:
    rows = json.loads(out.read_text()) if out.exists() else {}
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        study = Study(Path(folder), SHAPE, GRAINS)
        scans = [Scan(study.film(film)[0], study.decide(film, Assumed())) for film in FILMS]
        usual = [scan.decided() for scan in scans]
        rows["as it is"] = compared(scans, usual, usual)
        print(f"{'as it is':50} {_told(rows['as it is'])}")
        for name in names or CONSTANTS:
            for factor in (0.5, 2.0):
                try:
                    with with_constant(name, factor):
                        found = [scan.decided() for scan in scans]
                except errors.InputError as refusal:
                    rows[f"{name} x {factor:g}"] = {"refused": str(refusal)}
                    continue
                rows[f"{name} x {factor:g}"] = row = compared(scans, usual, found)
                print(f"{name:44} x {factor:3g} {_told(row)}", flush=True)
            out.write_text(json.dumps(rows, indent=1) + "\n")


def _told(row: dict) -> str:
    return " ".join(f"{key} {value:.4f}" for key, value in row.items())


if __name__ == "__main__":
    main(sys.argv[1:])
