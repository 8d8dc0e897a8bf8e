"""The synthetic scan that all systems index: one crystal a position, nothing else unknown.

Intensities are dynamical (the Bloch waves of `phasefront.virtual.bloch_waves`, made with abTEM), so
no system's own model made them. Positions are independent draws: any first rows are a fair sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

# Wide enough for a fair block, narrow enough that slow systems can do a few rows.
COLUMNS = 16
SCALE = 0.0175  # 1/angstrom per pixel
THICKNESS_NM = (28.0, 85.0)


@dataclass(frozen=True)
class Truth:
    """Per pattern, rows first: phase as an index and orientation, frame to crystal."""

    phase: np.ndarray  # (n,)
    rotation: np.ndarray  # (n, 4)


def make_scan(
    path: str | Path, *, material: str, phases: list[str], rows: int, seed: int, threads: int = 1
) -> Truth:
    """Write `rows` by COLUMNS patterns as an ASTAR block file.

    Each has a phase of `material` at random, one of the table's lattice orientations, any turn in
    the plane, and a uniform thickness within THICKNESS_NM.
    """
    from phasefront.core import netcdf
    from phasefront.virtual import bloch_waves, camera

    table = netcdf.read(bloch_waves.DATA_FILE, bloch_waves.BLOCH_WAVES)
    members = [
        np.flatnonzero((table["material"].values == material) & (table["phase"].values == phase))
        for phase in phases
    ]
    # A row at a time: fewer rows are the same first rows.
    streams = [np.random.default_rng([seed, 1, row]) for row in range(rows)]
    phase = np.array([rng.integers(len(phases), size=COLUMNS) for rng in streams])
    grain = np.array([rng.integers(len(members[0]), size=COLUMNS) for rng in streams])
    rotation = camera.film_crystals(
        path,
        table,
        pattern=np.array(members)[phase, grain],
        turn=np.array([rng.uniform(0, 2 * np.pi, COLUMNS) for rng in streams]),
        thickness_nm=np.array([rng.uniform(*THICKNESS_NM, COLUMNS) for rng in streams]),
        scale=SCALE,
        seed=seed,
        threads=threads,
    )
    return Truth(phase.ravel(), rotation.reshape(-1, 4))
