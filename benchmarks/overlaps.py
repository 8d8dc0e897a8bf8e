"""Two lattices in one pattern, 1:9 to 1:1: is the stronger one the first, the other the second?

Patterns of the second world (`second_world`): two crystals of any two phases and lattices over each
other, whose spots carry the stated shares of the scattered electrons, and crystals alone. Scale and
ellipse are the true ones. A lattice is found where it is right within 3 degrees, half a turn about
the beam and the variants of the lattice that phases share left open (see `orientation_errors`).
Writes `results/bench/overlaps.json`.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks import second_world, worlds
from benchmarks.second_camera import Camera
from phasefront.diffraction import rotations
from phasefront.scans import files
from phasefront.virtual.orientation_errors import SAME_LATTICE_DEG, lattice_symmetries

OUT = worlds.ROOT / "results" / "bench" / "overlaps.json"
SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)  # of the weaker crystal in what is scattered into spots
PAIRS, SEED, DOSE, NM = 60, 91302, 3e6, 30.0
EMPTY = 4  # columns of the scan without a crystal, by which the analysis knows vacuum
# Share of the electrons that both crystals scatter into spots together: about the table's median.
SCATTERED = 0.12


def crystals_of(table, rng):
    """Two crystals: phase, orientation under every phase, and layer, of each."""
    from scipy.spatial.transform import Rotation

    names = [Path(phase.cif).stem for phase in worlds.experiment_of("nvpf").material.phases]
    lattices = rng.choice(table.lattices(names[0]), 2, replace=False)
    for lattice in lattices:
        phase, turn = int(rng.integers(len(names))), rng.uniform(0, 2 * np.pi)
        rows = [table.row(name, int(lattice), 0) for name in names]
        back = Rotation.from_rotvec([0, 0, -turn])
        own = Rotation.from_quat(table.rotation[rows], scalar_first=True) * back
        layer = table.at(rows[phase], NM)
        cosine, sine = np.cos(turn), np.sin(turn)
        moved = layer.q @ np.array([[cosine, sine], [-sine, cosine]])
        scale = SCATTERED / layer.intensity.sum()
        yield (
            phase, own.as_quat(canonical=True, scalar_first=True),
            replace(layer, q=moved, intensity=scale * layer.intensity, direct=1.0),
        )  # fmt: skip


def film(path: Path):
    """Write the scan; phases (pair, crystal) and orientations (pair, crystal, phase, 4)."""
    table, rng = second_world.Table(), np.random.default_rng(SEED)
    camera = Camera(stop=False, rng=rng)
    affine = second_world.affine_of(rng)
    pairs = [list(crystals_of(table, rng)) for _ in range(PAIRS)]
    frames = []
    for pair in pairs:
        for share in (*SHARES, *[None] * EMPTY):
            weights = () if share is None else (1 - share, share)
            layers = [
                replace(layer, intensity=w * layer.intensity, diffuse=w * layer.diffuse)
                for w, (_, _, layer) in zip(weights, pair, strict=bool(weights))
            ] if weights else []  # fmt: skip
            image = second_world.pattern(
                camera, table, layers, NM if weights else 0.0, [(10.0, second_world.CARBON)],
                camera.middle, affine,
            )  # fmt: skip
            frames.append(camera.film(image, DOSE))
    shape = (PAIRS, len(SHARES) + EMPTY)
    second_world.write(path, np.array(frames).reshape(*shape, *frames[0].shape), table)
    phases = np.array([[phase for phase, _, _ in pair] for pair in pairs])
    return phases, np.array([[own for _, own, _ in pair] for pair in pairs]), affine


def apart(true, found, phase, symmetries) -> np.ndarray:
    """Angle between lattices (n, 3 phases, 4) and those found under a phase, degrees."""
    angle = np.full(len(phase), np.inf)
    for number, symmetry in enumerate(symmetries):
        own = phase == number
        here = rotations.unit(found[own].astype(float))
        either = np.stack([here, rotations.multiply(here, rotations.HALF_TURN)])
        angle[own] = rotations.misorientation(true[own, number], either, symmetry).min(axis=0)
    return angle


def main() -> None:
    material = worlds.experiment_of("nvpf").material
    candidates = worlds.candidates_of("nvpf")
    symmetries = lattice_symmetries(
        candidates.crystals, candidates.parent_axes, material.parent_point_group
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "overlaps.hspy"
        phases, orientation, affine = film(path)
        scan = files.open_scan(path)
        answer = worlds.decide(scan, worlds.calibrated_by_standard(scan, affine), "nvpf")
    likeliest = answer["posterior"].fillna(-1).argmax("phase").values
    first = np.take_along_axis(answer["rotation"].values, likeliest[..., None, None], 2)[:, :, 0]
    second, second_phase = answer["second_rotation"].values, answer["second_phase"].values
    result = {}
    for column, share in enumerate(SHARES):
        right = {}
        for name, found, phase in (
            ("first", first[:, column], likeliest[:, column]),
            ("second", second[:, column], second_phase[:, column]),
        ):
            for crystal, which in enumerate(("strong", "weak")):
                angle = apart(orientation[:, crystal], found, phase, symmetries)
                right[f"{name} is {which}"] = float((angle <= SAME_LATTICE_DEG).mean())
        right["no second"] = float((second_phase[:, column] < 0).mean())
        strong = (likeliest[:, column] == phases[:, 0]) & (
            apart(orientation[:, 0], first[:, column], likeliest[:, column], symmetries)
            <= SAME_LATTICE_DEG
        )
        right["phase of the strong one, if first"] = float(strong.mean())
        result[f"{share:g}"] = right
        print(share, right, flush=True)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
