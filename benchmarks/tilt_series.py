"""Ion contents by cells of virtual tilt series, beside the truth: errors, intervals, refusals."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from phasefront.core.errors import InputError
from phasefront.diffraction.candidates import CandidatePhases
from phasefront.diffraction.cell_path import Path as CellPath
from phasefront.experiment.settings.tomography import CellRow, CellSettings
from phasefront.report.wording import markdown_table
from phasefront.tomography.reading import read_cell
from phasefront.tomography.strains import FLOOR
from phasefront.virtual.tilt_series import Microscope, cell_at, write_series

STRUCTURES = Path(__file__).resolve().parents[1] / "config/structures"
NAMES, CENTRING = ("Na3", "Na2", "Na1"), "AIC"
OWN = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
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


def phases() -> CandidatePhases:
    """The demo's phases, which share a lattice."""
    return CandidatePhases.read(
        [STRUCTURES / f"{name}V2PO42F3.cif" for name in ("Na3", "Na2", "Na")],
        NAMES,
        parent_axes=[OWN, [[1, 1, 0], [-1, 1, 0], [0, 0, 1]], OWN],
        ion_contents=[3, 2, 1],
        parent_point_group="4/mmm",
    )


def study(
    candidates: CandidatePhases,
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
    """Particles of ion contents from 1 to 3 and each phase's setting in turn.

    Camera lengths are off by 2 % (standard deviation), stretches lie in any direction, and what
    else distorts a series is as large as the errors take it to be.
    """
    random, path = np.random.default_rng(seed), CellPath.of(candidates)
    settings = CellSettings(distortion_error=stated, largest_ion_error=largest)
    found, unsymmetric, uncertain = [], 0, 0
    with tempfile.TemporaryDirectory() as folder:
        for number in range(repeats):
            phase, content = number % 3, random.uniform(1, 3)
            microscope = Microscope(
                stretch=stretch * random.normal(), stretch_deg=random.uniform(0, 180),
                camera_length=0.02 * random.normal(), strain_sigma=FLOOR,
                tilt_range_deg=range_deg,
            )  # fmt: skip
            files = write_series(
                Path(folder), cell_at(path, phase, content), microscope,
                seed=seed * 100_000 + number, spots=spots,
                centring=CENTRING[phase],
            )  # fmt: skip
            row = CellRow(cell="c", state="s", phase=NAMES[phase], paths=files[: 2 + peaks])
            try:
                cell = read_cell(row, candidates, settings)
            except InputError:  # no setting of the axes is near, or spots lie in one plane
                unsymmetric += 1
                continue
            if cell.attrs["refused"]:
                unsymmetric += "symmetry" in cell.attrs["refused"]
                uncertain += "symmetry" not in cell.attrs["refused"]
                continue
            ends = [cell[f"ion_content{end}"].item() - content for end in ("", "_low", "_high")]
            found.append(ends)
    off, low, high = np.reshape(found, (-1, 3)).T
    return {
        "told": len(found) / repeats,
        "off symmetry": unsymmetric / repeats,
        "too uncertain": uncertain / repeats,
        "rms error": float(np.sqrt(np.mean(off**2))),
        "within 0.05": float(np.mean(np.abs(off) < 0.05)),
        "covered": float(np.mean((low <= 0) & (high >= 0))),
        "half width": float(np.median(high - low) / 2),
    }


def main(repeats: int, seed: int) -> None:
    candidates = phases()
    rows = {name: study(candidates, repeats, seed, **changes) for name, changes in ROWS.items()}
    heads = ["series", *next(iter(rows.values()))]
    print(markdown_table(heads, [[n, *(f"{v:.3f}" for v in r.values())] for n, r in rows.items()]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=400, help="particles of each row")
    parser.add_argument("--seed", type=int, default=47, help="of particles and noise")
    main(**vars(parser.parse_args()))
