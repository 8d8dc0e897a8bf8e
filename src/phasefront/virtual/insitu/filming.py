"""What the beam meets in a scan of a virtual series, as the camera films it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr
from scipy.spatial.transform import Rotation

from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.virtual import bloch_waves
from phasefront.virtual.insitu.series import Seen, Series
from phasefront.virtual.insitu.tilting import reciprocal_of, tilt
from phasefront.virtual.particles import VirtualPhase
from phasefront.virtual.specimen import Specimen, patterns_of, stack_columns, turned

# Insertion model, in the truth of a scan of a series.
MODEL = "series"


def specimen_of(
    series: Series,
    number: int,
    *,
    material: str,
    phases: list[VirtualPhase],
    seed: int,
    intensities: str | Path = bloch_waves.DATA_FILE,
) -> Specimen:
    """The specimen of a scan of a series, by its number in the order of time.

    Grains take lattice orientations of the table at random, the same ones in all scans; they turn
    with the frame and tilt as `series` says. Spots fade with the mean dose of the field,
    proportionally to their radius: the dose that a feature bears is proportional to its size
    (Howells et al., J. Electron Spectrosc. 170, 4, 2009).

    Parameters
    ----------
    material, phases
        Of the Bloch-wave table `intensities`; those of the series are among the phases, by name.
    seed
        Of the scan's noise.

    Raises
    ------
    InputError
        Unknown material or phase; more grains than the table has orientations; the scan sees none
        of them.
    """
    table = netcdf.read(intensities, bloch_waves.BLOCH_WAVES)
    grains = len(series.region.fronts)
    rng = np.random.default_rng([series.seed, 1])
    patterns = patterns_of(table, material, phases, grains, intensities)
    patterns = patterns[:, rng.permutation(patterns.shape[1])[:grains]]
    turns = rng.uniform(0, 2 * np.pi, grains)
    seen = series.see(number)
    if not seen.thickness.any():
        raise InputError(
            f"virtual series {series.name}", "it sees no grain: the frame has moved too far",
            field=series.members[number].scan, remedy="ask for smaller motions of the frame",
        )  # fmt: skip
    tilts = Rotation.from_rotvec(series.tilts.of_scan(number))
    angle = series.motion.angle[number]
    names = [phase.name for phase in phases]
    rich, poor = (names.index(name) for name in series.asked.phases)
    shares = np.zeros((len(phases), *seen.thickness.shape))
    shares[poor] += (seen.thickness > 0) - seen.rich
    shares[rich] += seen.rich
    table = _faded(_tilted(table, patterns, turns, tilts), _fading(series, seen))
    rotations = turned(table["rotation"].values[patterns], turns)
    rotations = np.stack([_after(own, tilts, angle) for own in rotations])
    return Specimen(
        table=table, phases=phases, thickness=seen.thickness, shares=shares, rotations=rotations,
        columns=stack_columns(table, patterns, turns + angle, seen.thickness, shares),
        rich=rich, poor=poor,
        rich_share=float((seen.rich * seen.thickness).sum() / seen.thickness.sum()),
        attributes={
            "scan": series.members[number].scan, "seed": seed, "insertion_model": MODEL,
            "phase_ion_content": [phase.ion_content for phase in phases],
            "phase_formula_volume": list(table["formula_volume"].values[patterns[:, 0]]),
            "scan_step_nm": series.members[number].scan_step_nm,
        },
    )  # fmt: skip


def _after(rotations: np.ndarray, tilts: Rotation, angle: float) -> np.ndarray:
    """Orientations (grain, 4) of crystals that tilt, and then turn with the frame."""
    moved = Rotation.from_rotvec([0, 0, angle]) * tilts
    own = Rotation.from_quat(rotations, scalar_first=True)
    return (own * moved.inv()).as_quat(canonical=True, scalar_first=True)


def _tilted(table, patterns: np.ndarray, turns: np.ndarray, tilts: Rotation) -> xr.Dataset:
    """The table with the grains' patterns tilted, before they are turned in the plane."""
    own = np.stack(
        [Rotation.from_rotvec([0, 0, -turn]).apply(vector) for turn, vector in
         zip(turns, tilts.as_rotvec(), strict=True)]
    )  # fmt: skip
    moving = np.flatnonzero(tilts.magnitude() > 0)
    for of_phase in patterns:
        if moving.size:
            vectors = {int(of_phase[grain]): own[grain] for grain in moving}
            table = tilt(table, vectors, reciprocal_of(table, of_phase))
    return table


def _fading(series: Series, seen: Seen) -> float:
    """Share of a logarithm by which spots at 1/angstrom have faded."""
    if series.asked.beam.fading is None:
        return 0.0
    return float(seen.dose.mean()) / series.asked.beam.fading


def _faded(table: xr.Dataset, rate: float) -> xr.Dataset:
    if rate == 0:
        return table
    radius = np.hypot(table["qx"].values, table["qy"].values)
    faded = table["intensity"].values * np.exp(-rate * radius)[:, None]
    return table.assign(intensity=table["intensity"].copy(data=faded.astype("f4")))
