"""Is the second world's multislice right? Against itself, finer, and against Bloch waves.

- One pattern of the table again, with a larger block, finer pixels, half the slice, twice the
  azimuths and three times the arrangements of atoms: R1, the sum of differences over the sum of
  intensities.
- Silicon along [001] without precession: spots of a family are one, 200 is forbidden, and
  intensities over the thickness are those of Bloch waves (another method, and other code of abTEM).

It runs in abTEM's environment (`make multislice`), some four minutes of one core, and writes
`results/bench/multislice_checks.json`; a test reads the netCDF file itself and holds it against
the kinematic limit.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.multislice import (
    NUMERICS,
    PHASES,
    SEED,
    STRUCTURES,
    THICKNESSES_NM,
    orientations,
    to_box,
)
from benchmarks.multislice_pattern import (
    PRECESSION_DEG,
    VOLTAGE_KV,
    Structure,
    allowed_spots,
    mean_pattern,
    measure,
    read_structure,
)

OUT = Path(__file__).resolve().parent.parent / "results" / "bench" / "multislice_checks.json"
# Chosen as fine as minutes allow. Seeds are others, so the thermal motion differs, too.
FINER = replace(
    NUMERICS, side=77.0, points=432, slice_thickness=1.25, azimuths=2 * NUMERICS.azimuths, phonons=6
)
TESTED = (1, 9)  # number of the phase and of the orientation
SILICON_NM = (5.0, 10.0, 15.0, 20.0, 25.0, 30.0)
SILICON_A, SILICON_SIGMA = 5.431, 0.078  # cell and thermal motion along an axis, angstrom


def intensities(structure, turn, nm, numerics, precession_deg, seed) -> dict:
    """Intensity (thickness,) by Miller indices."""
    rng = np.random.default_rng([SEED, seed])
    pattern = mean_pattern(structure, turn, nm, numerics, rng, precession_deg)
    hkl, g = allowed_spots(structure, turn, precession_deg)
    beside = (hkl != 0).any(axis=1)
    found = measure(pattern, g[beside], numerics)[0][:, :-1].T
    return dict(zip(map(tuple, hkl[beside].tolist()), found, strict=True))


def convergence() -> dict:
    phase = PHASES[TESTED[0]]
    turn = to_box(list(orientations(phase))[TESTED[1]][2])
    structure = read_structure(STRUCTURES / f"{phase.name}.cif")
    nm = THICKNESSES_NM[:4]
    coarse, fine = (
        intensities(structure, turn, nm, numerics, PRECESSION_DEG, seed)
        for seed, numerics in enumerate((NUMERICS, FINER))
    )
    pairs = np.array([(coarse[index], fine[index]) for index in coarse])
    apart = np.abs(pairs[:, 0] - pairs[:, 1]).sum(axis=0) / pairs[:, 1].sum(axis=0)
    return {"phase": phase.name, "thickness_nm": nm, "r1": apart.tolist()}


def silicon() -> dict:
    from abtem import bloch
    from ase.build import bulk

    atoms = bulk("Si", "diamond", a=SILICON_A, cubic=True)
    number = len(atoms)
    structure = Structure(
        np.array(atoms.cell), atoms.numbers, atoms.positions, np.ones(number),
        np.full(number, SILICON_SIGMA),
    )  # fmt: skip
    numerics = replace(NUMERICS, azimuths=8, phonons=8)
    found = intensities(structure, np.eye(3), SILICON_NM, numerics, 0.0, 2)
    factors = bloch.StructureFactor(
        atoms, g_max=4.0, parametrization="kirkland", thermal_sigma=SILICON_SIGMA, centering="F"
    ).build(lazy=False)
    waves = bloch.BlochWaves(factors, energy=1e3 * VOLTAGE_KV, sg_max=0.1, g_max=2.0)
    pattern = waves.calculate_diffraction_patterns([10 * nm for nm in SILICON_NM], lazy=False)
    chosen = np.asarray(factors.hkl)[waves.hkl_mask]
    known = dict(zip(map(tuple, chosen.tolist()), np.asarray(pattern.array).T, strict=True))
    families = {"220": (2, 2), "400": (4, 0), "620": (6, 2), "440": (4, 4)}
    result = {}
    for name, (h, k) in families.items():
        members = {(s * a, t * b, 0) for s in (1, -1) for t in (1, -1) for a, b in ((h, k), (k, h))}
        own = np.array([found[index] for index in members])
        result[name] = {
            "mean": own.mean(axis=0).tolist(), "spread": (own.std(axis=0) / own.mean()).tolist(),
            "bloch_waves": known[h, k, 0].tolist(),
        }  # fmt: skip
    forbidden = max(found[index].max() for index in ((2, 0, 0), (0, -2, 0)))
    return {"thickness_nm": SILICON_NM, "families": result, "forbidden_200": float(forbidden)}


def main() -> None:
    import dask

    dask.config.set(scheduler="synchronous")
    result = {"silicon_001": silicon(), "convergence": convergence()}
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
