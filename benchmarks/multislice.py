"""Intensities by multislice with frozen phonons: what the second virtual world is made of.

It runs in an environment of its own (`make multislice`, abTEM) and shares no code with phasefront:
structures are read by ase, potentials and waves are abTEM's, and `benchmarks/multislice.nc` is a
plain netCDF 3 file. The first world's intensities are Bloch waves of a mean crystal; here atoms are
moved one by one, partly occupied sites are full or empty, a narrow probe enters a block of crystal
that is cut as the beam sees it, and what thermal motion scatters is kept as a diffuse profile.

Intensities are fitted to the mean pattern: the probe's profile at the places where the lattice
allows a spot, on a diffuse profile that depends on the radius. A pattern takes about 20 s of one
core; those in the folder `parts` are not made again.

    python -m benchmarks.multislice benchmarks/multislice.nc --parts results/bench/multislice
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.multislice_pattern import (
    MAX_RADIUS,
    PRECESSION_DEG,
    RADII,
    VOLTAGE_KV,
    Numerics,
    allowed_spots,
    mean_pattern,
    measure,
    read_structure,
)

ROOT = Path(__file__).resolve().parent.parent
STRUCTURES = ROOT / "config" / "structures"
SEED = 40410
THICKNESSES_NM = (4.0, 10.0, 20.0, 30.0, 40.0, 50.0)
NUMERICS = Numerics()
BEND_DEG = 0.8  # between the two ends of a bent lattice
LEAST_INTENSITY = 2e-5  # of a spot that is kept, share of the beam


@dataclass(frozen=True)
class Phase:
    """A structure, the turn of its axes about c against the first of its material, degrees, and
    how many lattices of it are computed: flat, and bent (these count twice)."""

    material: str
    name: str
    turn_deg: float
    flat: int
    bent: int


PHASES = (
    Phase("nvpf", "Na3V2PO42F3", 0.0, 8, 6),
    # Its a is (a - b) / 2 of the common cell: what lies along that a lies along its a + b.
    Phase("nvpf", "Na2V2PO42F3", 45.0, 8, 6),
    Phase("nvpf", "NaV2PO42F3", 0.0, 8, 6),
    Phase("lfp", "LiFePO4", 0.0, 8, 6),
    Phase("lfp", "FePO4", 0.0, 8, 6),
)


def orientations(phase: Phase, seed: int = SEED):
    """(lattice, bend, rotation) of each pattern: rotations turn the frame of the pattern (x along
    columns, y along rows, the beam along -z) to the crystal."""
    from scipy.spatial.transform import Rotation

    number = phase.flat + phase.bent
    stream = [seed, *phase.material.encode()]
    lattices = Rotation.random(number, random_state=np.random.default_rng(stream))
    axis = np.random.default_rng([*stream, 1]).uniform(0, 2 * np.pi, number)
    own = Rotation.from_euler("z", phase.turn_deg, degrees=True)
    for lattice in range(number):
        ends = (0.0, BEND_DEG) if lattice >= phase.flat else (0.0,)
        for bend, angle in enumerate(ends):
            about = np.array([np.cos(axis[lattice]), np.sin(axis[lattice]), 0.0])
            tilt = Rotation.from_rotvec(np.deg2rad(angle) * about)
            yield lattice, bend, own * lattices[lattice] * tilt


def to_box(rotation) -> np.ndarray:
    """Crystal to abTEM's box, whose beam goes along +z: half a turn about x from our frame."""
    return np.diag([1.0, -1.0, -1.0]) @ rotation.inv().as_matrix()


def compute_pattern(phase: Phase, number: int, rotation, n: Numerics = NUMERICS) -> dict:
    structure = read_structure(STRUCTURES / f"{phase.name}.cif")
    turn = to_box(rotation)
    rng = np.random.default_rng([SEED, *phase.name.encode(), number])
    pattern = mean_pattern(structure, turn, THICKNESSES_NM, n, rng, PRECESSION_DEG)
    hkl, g = allowed_spots(structure, turn, PRECESSION_DEG)
    origin = (hkl == 0).all(axis=1)
    hkl, g = hkl[~origin], g[~origin]
    intensity, diffuse = measure(pattern, g, n)
    spots = intensity[:, :-1].T
    kept = (spots.max(axis=1) > LEAST_INTENSITY) & (np.hypot(g[:, 0], g[:, 1]) <= MAX_RADIUS)
    return {
        "hkl": hkl[kept], "q": g[kept][:, :2] * [1, -1], "intensity": spots[kept],
        "direct": intensity[:, -1], "diffuse": diffuse, "quaternion": scalar_first(rotation),
    }  # fmt: skip


def scalar_first(rotation) -> np.ndarray:
    return np.roll(rotation.as_quat(canonical=True), 1)


def main() -> None:
    import abtem
    import dask

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--parts", type=Path, required=True, help="folder of single patterns")
    given = parser.parse_args()
    given.parts.mkdir(parents=True, exist_ok=True)
    dask.config.set(scheduler="synchronous")
    rows = []
    for phase in PHASES:
        for number, (lattice, bend, rotation) in enumerate(orientations(phase)):
            part, begin = given.parts / f"{phase.name}-{number:02d}.npz", time.monotonic()
            if not part.exists():
                made = compute_pattern(phase, number, rotation)
                np.savez(part.with_suffix(".tmp.npz"), **made)
                part.with_suffix(".tmp.npz").rename(part)
                print(f"{part.stem}: {len(made['hkl'])} spots, {time.monotonic() - begin:.0f} s")
                sys.stdout.flush()
            rows.append((phase, lattice, bend, dict(np.load(part))))
    write(given.out, rows, f"abTEM {abtem.__version__}, multislice")


def write(path: Path, rows: list, computed_with: str) -> None:
    """All patterns in one netCDF 3 file."""
    from scipy.io import netcdf_file

    patterns = [row[3] for row in rows]
    offset = np.concatenate([[0], np.cumsum([len(one["hkl"]) for one in patterns])])
    columns = {
        "thickness": (("thickness",), np.array(THICKNESSES_NM, "f4"), "nm"),
        "radius": (("radius",), RADII.astype("f4"), "angstrom-1"),
        "phase": (("pattern",), np.array([PHASES.index(row[0]) for row in rows], "i4"), "1"),
        "lattice": (("pattern",), np.array([row[1] for row in rows], "i4"), "1"),
        "bend": (("pattern",), np.array([row[2] for row in rows], "i4"), "1"),
        "rotation": (("pattern", "quaternion"), _stack(patterns, "quaternion", "f8"), "1"),
        "direct": (("pattern", "thickness"), _stack(patterns, "direct", "f4"), "1"),
        "diffuse": (
            ("pattern", "thickness", "radius"), _stack(patterns, "diffuse", "f4"), "angstrom2"
        ),
        "offset": (("edge",), offset.astype("i4"), "1"),
        "hkl": (("spot", "index"), _join(patterns, "hkl", "i2"), "1"),
        "q": (("spot", "plane"), _join(patterns, "q", "f4"), "angstrom-1"),
        "intensity": (("spot", "thickness"), _join(patterns, "intensity", "f4"), "1"),
    }  # fmt: skip
    with netcdf_file(path, "w") as file:
        file.title = "Spots of single crystals under precession, by multislice with frozen phonons"
        file.phases = " ".join(phase.name for phase in PHASES)
        file.computed_with = computed_with
        file.numerics = str(NUMERICS)
        file.voltage_kv, file.precession_deg, file.bend_deg = VOLTAGE_KV, PRECESSION_DEG, BEND_DEG
        for name, (dimensions, values, units) in columns.items():
            for dimension, size in zip(dimensions, values.shape, strict=True):
                if dimension not in file.dimensions:
                    file.createDimension(dimension, size)
            variable = file.createVariable(name, values.dtype, dimensions)
            variable[:] = values
            variable.units = units


def _stack(patterns, name, kind):
    return np.stack([one[name] for one in patterns]).astype(kind)


def _join(patterns, name, kind):
    return np.concatenate([one[name] for one in patterns]).astype(kind)


if __name__ == "__main__":
    main()
