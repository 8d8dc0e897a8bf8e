"""A cubic metal's twin over its neighbour: all of the twin's spots lie on the neighbour's.

Silver near [101], and its twin, 60 degrees about [111], near [114]: within a degree, under any turn
in the plane. Spots are kinematic, amplitudes off by SCATTER, as dynamical scattering under
precession puts them (`phases.brightness`), places by PLACE. And single crystals in any orientation,
in which no second lattice may be found. Writes `results/bench/twins.json`; docs/decisions.md shows
it. Constants of `phases.excess` were chosen on such patterns of seed 90401; these are of another.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import xarray as xr
from scipy.spatial.transform import Rotation

from benchmarks import worlds
from phasefront.core import netcdf
from phasefront.diffraction import rotations
from phasefront.diffraction.candidates import CandidatePhases
from phasefront.diffraction.crystals import Crystal, read_crystal
from phasefront.diffraction.optics import Optics
from phasefront.diffraction.reflections import predict_spots
from phasefront.diffraction.templates import simulate_templates
from phasefront.layouts.spots import DISTORTION_ERRORS, SPOTS
from phasefront.orientations.indexing import find_orientations
from phasefront.phases import decisions, pairs

OUT = worlds.ROOT / "results" / "bench" / "twins.json"
OPTICS = Optics(200.0, 0.8, (0.1, 1.15))
SHARES = (0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.88, 0.95)  # of the twin in the intensity
NUMBER, SINGLE, SEED = 40, 400, 91402  # patterns of each share, of single crystals
SCATTER, PLACE, COUNTS = 0.35, 0.0015, 1e5  # of a log amplitude; 1/angstrom; of a pattern
WEAKEST = 0.05  # of spots' amplitudes that are seen, of the strongest
IN_ZONE = 6  # spots of the twin in its own zone, its strongest
SAME_DEG = 3.0  # a lattice is the right one within this, half a turn left open
SILVER = """data_Ag
_cell_length_a 4.0862
_cell_length_b 4.0862
_cell_length_c 4.0862
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_space_group_name_H-M_alt 'F m -3 m'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_B_iso_or_equiv
Ag Ag 0 0 0 0.6
"""


def film(
    silver: Crystal, lattices: list[tuple[Rotation, float, int | None]], rng,
    scatter: float = SCATTER,
) -> np.ndarray:  # fmt: skip
    """Spots (3, n): x, y and intensity, of lattices, their shares of the intensity and how many of
    their strongest spots there are at most; what is nearer than two spots can be told apart falls
    together."""
    spots = np.zeros((3, 0))
    for rotation, share, number in lattices:
        quaternion = rotation.as_quat(canonical=True, scalar_first=True)
        qx, qy, _, weight = predict_spots(silver, quaternion, OPTICS)
        kept = np.argsort(-weight)[:number]
        kept = kept[weight[kept] > WEAKEST * weight.max()]
        bright = weight[kept] ** 2 * np.exp(2 * scatter * rng.standard_normal(len(kept)))
        bright *= COUNTS * share / bright.sum()
        for x, y, counts in zip(qx[kept], qy[kept], bright, strict=True):
            near = np.flatnonzero(np.hypot(spots[0] - x, spots[1] - y) < 0.01)
            if len(near):
                spots[2, near[0]] += counts
            else:
                spots = np.append(spots, [[x], [y], [counts]], axis=1)
    spots[:2] += PLACE * rng.standard_normal(spots[:2].shape)
    return spots


def spots_of(patterns: list[np.ndarray]) -> xr.Dataset:
    count = np.array([[pattern.shape[1] for pattern in patterns]])
    qx, qy, intensity = np.concatenate(patterns, axis=1)
    return netcdf.build(
        SPOTS,
        {
            "count": count, "offset": np.concatenate([[0], np.cumsum(count)]), "qx": qx, "qy": qy,
            "intensity": intensity, "variance": intensity,
            **dict.fromkeys(DISTORTION_ERRORS, worlds.STANDARD_ERROR),
        },
        {"scan": "twins", "scan_step_nm": 1.0, "file": "", "false_alarms": 0.1},
    )  # fmt: skip


def off(silver: Crystal, found: np.ndarray, true: list[Rotation]) -> np.ndarray:
    """Whether lattices (n, 4) are the true ones, (n,)."""
    true = np.array([one.as_quat(canonical=True, scalar_first=True) for one in true])
    either = np.stack([found, rotations.multiply(found, rotations.HALF_TURN)])
    return rotations.misorientation(true, either, silver.symmetry).min(axis=0) <= SAME_DEG


def main() -> None:
    rng = np.random.default_rng(SEED)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "Ag.cif"
        path.write_text(SILVER, encoding="utf-8")
        silver = read_crystal(path)
    along, _ = Rotation.align_vectors([[0.5**0.5, 0, 0.5**0.5], [0, 1, 0]], [[0, 0, 1], [0, 1, 0]])
    twinned = Rotation.from_rotvec(np.pi * np.ones(3) / 3**0.5)
    kinds = []
    for share in SHARES:
        for _ in range(NUMBER):
            tilt = Rotation.from_rotvec(np.deg2rad([*rng.uniform(-0.7, 0.7, 2), 0]))
            turn = Rotation.from_rotvec([0, 0, rng.uniform(0, 2 * np.pi)])
            neighbour = along * tilt * turn
            twin = twinned * neighbour, share, IN_ZONE
            kinds.append([(neighbour, 1 - share, None), twin])
    kinds += [[(one, 1.0, None)] for one in Rotation.random(SINGLE, rng=rng)]
    spots = spots_of([film(silver, kind, rng) for kind in kinds])
    templates = simulate_templates(
        [silver], voltage_kv=OPTICS.voltage_kv, precession_deg=OPTICS.precession_deg,
        resolution_deg=2.0, max_radius=1.2,
    )  # fmt: skip
    found = find_orientations(spots, templates, [silver])
    answer = decisions.decide_phases(spots, found, templates, CandidatePhases([silver]))
    probability = answer["second_probability"].values[0]
    two, unsure = answer["second_phase"].values[0] >= 0, pairs.possible(probability)
    first = answer["rotation"].values[0, :, 0].astype(float)
    second = answer["second_rotation"].values[0].astype(float)
    result = {}
    for number, share in enumerate(SHARES):
        own = np.arange(number * NUMBER, (number + 1) * NUMBER)
        bright, dark = ([kinds[i][k][0] for i in own] for k in (1, 0))
        bright_first = off(silver, first[own], bright) & off(silver, second[own], dark)
        dark_first = off(silver, first[own], dark) & off(silver, second[own], bright)
        result[f"{share:g}"] = {
            "twin is the first": float((two[own] & bright_first).mean()),
            "twin is the second": float((two[own] & dark_first).mean()),
            "another pair": float((two[own] & ~bright_first & ~dark_first).mean()),
            "cannot tell": float((~two & unsure)[own].mean()),
            "one lattice": float((~two & ~unsure)[own].mean()),
        }
        print(share, result[f"{share:g}"], flush=True)
    own = slice(len(SHARES) * NUMBER, None)
    result["single crystals"] = {
        "another pair": float(two[own].mean()), "cannot tell": float((~two & unsure)[own].mean()),
        "one lattice": float((~two & ~unsure)[own].mean()),
    }  # fmt: skip
    print("single crystals", result["single crystals"])
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
