"""Ion contents by cells of virtual tilt series, beside the truth: errors, intervals, refusals.

    python -m benchmarks.tilt_series --repeats 320    # ten minutes on one core

Results go to results/bench/tilt_series.json, of which `make docs` writes the table.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from phasefront.comparison.sources.sample import FEWEST, mean_of_sample
from phasefront.core.errors import InputError
from phasefront.core.statistics import NORMAL_95
from phasefront.diffraction.candidates import CandidatePhases
from phasefront.diffraction.cell_path import Path as CellPath
from phasefront.experiment.settings.tomography import CellRow, CellSettings
from phasefront.report.wording import markdown_table
from phasefront.tomography.reading import read_cell
from phasefront.tomography.strains import FLOOR
from phasefront.virtual.tilt_series import Microscope, cell_at, write_series

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "results/bench/tilt_series.json"
OWN = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]


@dataclass(frozen=True)
class Material:
    """Phases that share a lattice, by CIF, with the letters of their lattices."""

    files: tuple[str, ...]
    names: tuple[str, ...]
    centring: str
    parent_axes: tuple
    ion_contents: tuple[float, ...]
    point_group: str

    def phases(self) -> CandidatePhases:
        return CandidatePhases.read(
            [ROOT / f"config/structures/{name}.cif" for name in self.files], self.names,
            parent_axes=self.parent_axes, ion_contents=self.ion_contents,
            parent_point_group=self.point_group,
        )  # fmt: skip


MATERIALS = {
    "NVPF": Material(
        ("Na3V2PO42F3", "Na2V2PO42F3", "NaV2PO42F3"), ("Na3", "Na2", "Na1"), "AIC",
        (OWN, [[1, 1, 0], [-1, 1, 0], [0, 0, 1]], OWN), (3, 2, 1), "4/mmm",
    ),
    "LFP": Material(("LiFePO4", "FePO4"), ("LFP", "FP"), "PP", (OWN, OWN), (1, 0), "mmm"),
}  # fmt: skip
# What a row changes: spots, standard deviation of the stretch and its stated error, whether peaks
# are given, and the largest standard error that is a result.
FEW = {"spots": 60, "range_deg": 50.0}
ROWS = {
    "no stretch, not stated": {"stretch": 0.0, "stated": None},
    "stretch 0.3 %, stated": {"stretch": 0.003, "stated": 0.003},
    "stretch 1 %, stated": {},
    "the same, cell without peaks": {"peaks": False},
    "the same, errors up to 0.05 told": {"largest": 0.05},
    "the same, all told": {"largest": 9.0},
    "the same, few zones": FEW,
    "few zones, all told": {**FEW, "largest": 9.0},
    "stretch 1 %, not stated": {"stated": None},
    "the same, errors up to 0.05 told, not stated": {"stated": None, "largest": 0.05},
    "the same, all told, not stated": {"stated": None, "largest": 9.0},
    "few zones, not stated": {**FEW, "stated": None},
    "stretch 2 %, not stated": {"stretch": 0.02, "stated": None},
}
# Particles of one state, and how far their ion contents scatter (standard deviation).
PARTICLES, SCATTER = 8, 0.05


def study(
    material: str,
    repeats: int,
    seed: int,
    *,
    stretch: float = 0.01,
    stated: float | None = 0.01,
    spots: int = 300,
    range_deg: float = 110.0,
    peaks: bool = True,
    largest: float = 0.1,
) -> dict[str, float]:
    """Particles of states of charge, PARTICLES of each, in each phase's setting in turn.

    States lie anywhere between the phases, and particles scatter about theirs. Camera lengths are
    off by 2 % (standard deviation), stretches lie in any direction, and what else distorts a series
    is as large as the errors take it to be.
    """
    of, random = MATERIALS[material], np.random.default_rng(seed)
    candidates = of.phases()
    path = CellPath.of(candidates)
    settings = CellSettings(distortion_error=stated, largest_ion_error=largest)
    least, most = min(of.ion_contents), max(of.ion_contents)
    found, means, unsymmetric, uncertain = [], [], 0, 0
    with tempfile.TemporaryDirectory() as folder:
        for number in range(repeats):
            if number % PARTICLES == 0:
                mean, sample = random.uniform(least, most), []
            scatter = min(SCATTER, (mean - least) / 3, (most - mean) / 3)
            content = np.clip(random.normal(mean, scatter), least, most)
            phase = number % len(of.names)
            microscope = Microscope(
                stretch=stretch * random.normal(), stretch_deg=random.uniform(0, 180),
                camera_length=0.02 * random.normal(), strain_sigma=FLOOR,
                tilt_range_deg=range_deg,
            )  # fmt: skip
            files = write_series(
                Path(folder), cell_at(path, phase, content), microscope,
                seed=seed * 100_000 + number, spots=spots, centring=of.centring[phase],
            )  # fmt: skip
            row = CellRow(cell="c", state="s", phase=of.names[phase], paths=files[: 2 + peaks])
            told = _told(row, candidates, settings)
            if isinstance(told, str):
                unsymmetric += told == "symmetry"
                uncertain += told == "error"
            else:
                found.append(told - content)
                sample.append(told)
            if number % PARTICLES == PARTICLES - 1 and len(sample) >= FEWEST:
                means.append(_mean(np.array(sample)) - mean)
    return {
        "told": len(found) / repeats,
        "off symmetry": unsymmetric / repeats,
        "too uncertain": uncertain / repeats,
        **_scores(found, ""),
        **_scores(means, f"mean of {PARTICLES}: "),
    }


def _told(row: CellRow, candidates: CandidatePhases, settings: CellSettings) -> np.ndarray | str:
    """Ion content (3,) with the ends of its interval, or what it is refused for."""
    try:
        cell = read_cell(row, candidates, settings)
    except InputError:  # no setting of the axes is near, or spots lie in one plane
        return "symmetry"
    if refused := cell.attrs["refused"]:
        return "symmetry" if "symmetry" in refused else "error"
    return np.array([cell[f"ion_content{end}"].item() for end in ("", "_low", "_high")])


def _mean(contents: np.ndarray) -> np.ndarray:
    """Of a state's particles (n, 3), as the comparison of sources takes it, (3,)."""
    errors = (contents[:, 2] - contents[:, 1]) / (2 * NORMAL_95)
    return mean_of_sample(contents[:, 0], errors**2)


def _scores(off: list[np.ndarray], prefix: str) -> dict[str, float]:
    """Of values and ends of intervals, less the truth, each (3,)."""
    value, low, high = np.reshape(off, (-1, 3)).T
    return {
        f"{prefix}rms error": float(np.sqrt(np.mean(value**2))),
        f"{prefix}within 0.05": float(np.mean(np.abs(value) < 0.05)),
        f"{prefix}covered": float(np.mean((low <= 0) & (high >= 0))),
        f"{prefix}half width": float(np.median(high - low) / 2),
    }


def main(repeats: int, seed: int) -> None:
    result = {
        material: {name: study(material, repeats, seed, **row) for name, row in ROWS.items()}
        for material in MATERIALS
    }
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(
        json.dumps({"repeats": repeats, "seed": seed, "rows": result}, indent=1) + "\n",
        encoding="utf-8",
    )
    for material, rows in result.items():
        print(table(material, rows))


def table(material: str, rows: dict[str, dict[str, float]]) -> str:
    """A line a row of ROWS, in markdown."""
    return markdown_table(
        [material, *next(iter(rows.values()))],
        [[name, *(f"{value:.3f}" for value in row.values())] for name, row in rows.items()],
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=400, help="particles of each row")
    parser.add_argument("--seed", type=int, default=47, help="of particles and noise")
    main(**vars(parser.parse_args()))
