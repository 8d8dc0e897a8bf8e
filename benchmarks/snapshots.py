"""Snapshots of simulated and drawn grains as scans see them, of which morphologies are learned.

`python -m benchmarks.snapshots` makes `snapshots.nc` of the package again, from the training and
calibration parts of the simulated grains, in some minutes of two cores. What is reported of
the morphologist is of the test part, which that file does not hold.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr
from scipy.spatial.transform import Rotation

from phasefront.core import netcdf
from phasefront.diffraction.candidates import CandidatePhases
from phasefront.grains.segmentation import find_grains
from phasefront.interfaces.tracing import trace_interfaces
from phasefront.mechanisms.features import FEATURES, features_of
from phasefront.mechanisms.snapshots import DATA_FILE, SNAPSHOTS
from phasefront.virtual.insertion import cartoons, placing, seen, table
from phasefront.virtual.insertion.morphology import MORPHOLOGIES, NONE, WHOLE
from phasefront.virtual.insertion.regimes import PARTS, REGIMES, Drawn

STRUCTURES = Path(__file__).resolve().parents[1] / "config" / "structures"
SEED = 20261129
# How often each state of a grain is seen; whole grains of either end are seen once.
VIEWS = {"training": 4, "calibration": 4, "test": 3}
# Grains on a square of boxes, each in the middle of its own.
_ACROSS, _BOX = 8, 32
# Positions of a grain, and thickness of the cut in steps of the scan; evenly in the logarithm.
_AREA, _THICKNESS = (40.0, 640.0), (2.0, 12.0)


class Seen(NamedTuple):
    """One field of grains."""

    interfaces: xr.Dataset
    grains: xr.Dataset
    # Of each grain found: number and state in the table, whether ions enter, and the angle (degree)
    # between the beam and the axis along which the grain is the same.
    number: np.ndarray
    state: np.ndarray
    inserting: np.ndarray
    tilt: np.ndarray


def candidates() -> CandidatePhases:
    """The phases that all grains are taken to be of."""
    axes = np.eye(3).tolist()
    return CandidatePhases.read(
        [STRUCTURES / "LiFePO4.cif", STRUCTURES / "FePO4.cif"], ["LFP", "FP"],
        ion_contents=[1.0, 0.0], parent_axes=[axes, axes], parent_point_group="mmm",
    )  # fmt: skip


def fields(part: str, seed: int, views: int) -> Iterator[Seen]:
    """Fields of grains of a part, each under a doubt of its own; on all cores, in order."""
    made = netcdf.read(table.DATA_FILE, table.INSERTION)
    with ProcessPoolExecutor() as pool:
        yield from pool.map(partial(see, made), *plan(made, part, seed, views))


def plan(
    made: xr.Dataset, part: str, seed: int, views: int
) -> tuple[list[np.ndarray], list[np.random.SeedSequence]]:
    """What each field shows, (grain, 2) number and state in the table, and its seed."""
    regimes = np.flatnonzero(made["part"].values == part)
    grains = np.flatnonzero(np.isin(made["grain_regime"].values, regimes))
    middle = np.array([(g, s) for g in grains for s in range(made.sizes["state"])])
    ends = np.array([(g, s) for g in grains for s in (-1, made.sizes["state"])])
    wanted = np.concatenate([*[middle] * views, ends])
    key = [seed, PARTS.index(part)]
    wanted = wanted[np.random.default_rng(key).permutation(len(wanted))]
    field = _ACROSS**2
    parts = [wanted[first : first + field] for first in range(0, len(wanted), field)]
    return parts, np.random.SeedSequence(key).spawn(len(parts))


def see(made: xr.Dataset, wanted: np.ndarray, seed: np.random.SeedSequence) -> Seen:
    """One field of the grains `wanted` of the table, as `plan` says them."""
    rng = np.random.default_rng(seed)
    side = _ACROSS * _BOX
    rich, label = np.zeros((side, side)), np.full((side, side), -1)
    rotation = Rotation.random(len(wanted), random_state=rng).as_quat(scalar_first=True)
    for number, (grain, state) in enumerate(wanted):
        share, thickness = placing.view(
            made, grain, state, rotation[number], shape=(_BOX, _BOX),
            area=np.exp(rng.uniform(*np.log(_AREA))),
            thickness=np.exp(rng.uniform(*np.log(_THICKNESS))),
        )  # fmt: skip
        y, x = np.array(divmod(number, _ACROSS)) * _BOX
        rich[y : y + _BOX, x : x + _BOX] = share
        label[y : y + _BOX, x : x + _BOX] = np.where(thickness > 0, number, -1)
    phases = candidates()
    doubt = seen.Doubt.draw(rng)
    made_of = seen.see(rich, label, rotation, phases, pair=(0, 1), doubt=doubt, rng=rng)
    found = find_grains(made_of, phases, misorientation_deg=5.0, min_positions=8, scan_step_nm=10.0)
    place = found["label"].values
    owner = np.array([label[place == grain].max() for grain in range(found.sizes["grain"])], int)
    number, state = wanted[owner].T
    beam = Rotation.from_quat(rotation[owner], scalar_first=True).apply([0.0, 0.0, 1.0])
    tilt = np.degrees(np.arccos(np.clip(np.abs(beam @ table.PLANE[2]), 0.0, 1.0)))
    return Seen(
        trace_interfaces(made_of, found, phases), found, number, state,
        made["inserting"].values[number] == 1, tilt,
    )  # fmt: skip


def snapshots(parts: dict[str, int], seed: int) -> xr.Dataset:
    """SNAPSHOTS of parts of the simulated grains, by how often each state is seen."""
    made = netcdf.read(table.DATA_FILE, table.INSERTION)
    rows: list[tuple] = []
    for part, views in parts.items():
        for field in fields(part, seed, views):
            features = features_of(field.interfaces, field.grains, field.inserting)
            rows += zip(
                features, field.number, field.state, field.grains["size"].values, field.tilt,
                strict=True,
            )  # fmt: skip
    features, number, state, size, tilt = map(np.array, zip(*rows, strict=True))
    inside = (state >= 0) & (state < made.sizes["state"])
    whole, none = MORPHOLOGIES.index(WHOLE), MORPHOLOGIES.index(NONE)
    shown = made["appearance"].values[number, np.where(inside, state, 0)]
    shown = np.where(inside, shown, whole)
    without_name = np.isin(kinds(made)[number], cartoons.UNNAMED)
    return netcdf.build(
        SNAPSHOTS,
        {
            "feature": list(FEATURES), "morphology": list(MORPHOLOGIES),
            "regime": made["regime"].values, "part": made["part"].values, "features": features,
            "morphology_of_state": np.where((shown != whole) & without_name, none, shown),
            "morphology_of_history": np.where(shown == whole, whole, made["label"].values[number]),
            "grain": number, "state": state, "positions": size, "tilt": tilt,
            "snapshot_regime": made["grain_regime"].values[number],
        },
        {"seed": seed},
    )  # fmt: skip


def kinds(made: xr.Dataset) -> np.ndarray:
    """What each grain (grain,) of the table was drawn as; an empty name where it was simulated."""
    found = np.full(made.sizes["grain"], "", dtype=object)
    for number, name in enumerate(made["regime"].values):
        if isinstance(regime := REGIMES[name], Drawn):
            found[made["grain_regime"].values == number] = regime.kind_of_grain
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", nargs="?", default=DATA_FILE, help="%(default)s")
    parser.add_argument("--parts", nargs="+", default=PARTS[:2], choices=PARTS)
    given = parser.parse_args()
    made = snapshots({part: VIEWS[part] for part in given.parts}, SEED)
    netcdf.write(made, given.out, SNAPSHOTS)
