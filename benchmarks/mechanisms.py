"""What insertion mechanisms can be told, on grains of physics that training never saw."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import xarray as xr
from scipy.spatial.transform import Rotation

from phasefront.core import netcdf
from phasefront.diffraction.candidates import CandidatePhases
from phasefront.grains.segmentation import find_grains
from phasefront.interfaces.tracing import trace_interfaces
from phasefront.mechanisms.features import FEATURES, features_of
from phasefront.virtual.insertion import placing, seen
from phasefront.virtual.insertion.table import DATA_FILE, INSERTION

STRUCTURES = Path(__file__).resolve().parents[1] / "config" / "structures"
# Grains on a square of boxes, each in the middle of its own.
_ACROSS, _BOX = 8, 26
_AREA, _THICKNESS = (40.0, 420.0), (2.0, 12.0)  # positions; steps of the scan


def candidates() -> CandidatePhases:
    axes = np.eye(3).tolist()
    return CandidatePhases.read(
        [STRUCTURES / "LiFePO4.cif", STRUCTURES / "FePO4.cif"], ["LFP", "FP"],
        ion_contents=[1.0, 0.0], parent_axes=[axes, axes], parent_point_group="mmm",
    )  # fmt: skip


def snapshots(table: xr.Dataset, part: str, views: int, seed: int):
    """Features, labels and what else is known of snapshots of the grains of a part.

    Each state of each grain is seen `views` times, in fields of grains of one doubt each.
    """
    rng = np.random.default_rng([seed, sum(map(ord, part))])
    regimes = np.flatnonzero(table["part"].values == part)
    grains = np.flatnonzero(np.isin(table["grain_regime"].values, regimes))
    states = np.arange(-1, table.sizes["state"] + 1)
    wanted = np.array([(g, s) for g in grains for s in states for _ in range(views)])
    wanted = wanted[rng.permutation(len(wanted))]
    field = _ACROSS**2
    for first in range(0, len(wanted), field):
        yield from _seen(table, wanted[first : first + field], rng)


def _seen(table: xr.Dataset, wanted: np.ndarray, rng: np.random.Generator):
    side = _ACROSS * _BOX
    rich, label = np.zeros((side, side)), np.full((side, side), -1)
    rotation = Rotation.random(len(wanted), random_state=rng).as_quat(scalar_first=True)
    for number, (grain, state) in enumerate(wanted):
        share, thickness = placing.view(
            table, grain, state, rotation[number], shape=(_BOX, _BOX),
            area=np.exp(rng.uniform(*np.log(_AREA))), thickness=rng.uniform(*_THICKNESS),
        )  # fmt: skip
        y, x = np.array(divmod(number, _ACROSS)) * _BOX
        rich[y : y + _BOX, x : x + _BOX] = share
        label[y : y + _BOX, x : x + _BOX] = np.where(thickness > 0, number, -1)
    phases = candidates()
    doubt = seen.Doubt.draw(rng)
    made = seen.see(rich, label, rotation, phases, pair=(0, 1), doubt=doubt, rng=rng)
    grains = find_grains(made, phases, misorientation_deg=5.0, min_positions=8, scan_step_nm=10.0)
    traced = trace_interfaces(made, grains, phases)
    inside = grains["label"].values
    owner = np.array(
        [
            np.bincount(label[(inside == g) & (label >= 0)]).argmax()
            for g in range(grains.sizes["grain"])
        ]
    )
    inserting = table["inserting"].values[wanted[owner, 0]] == 1
    rows = features_of(traced, grains, inserting)
    for number, row in zip(owner, rows, strict=True):
        grain, state = wanted[number]
        morphology = _morphology(table, grain, state)
        yield row, morphology, grain, state, rich[label == number].mean()


def _morphology(table: xr.Dataset, grain: int, state: int) -> int:
    """Of a snapshot: whole where it is, else that of the grain's history."""
    names = list(table["morphology"].values)
    if not 0 <= state < table.sizes["state"]:
        return names.index("whole")
    look = table["appearance"].values[grain, state]
    return int(look if names[look] == "whole" else table["label"].values[grain])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    (
        parser.add_argument("out"),
        parser.add_argument("--views", type=int, default=1),
    )
    given = parser.parse_args()
    table = netcdf.read(DATA_FILE, INSERTION)
    for part in ("training", "calibration", "test"):
        rows = list(snapshots(table, part, given.views, 7))
        x, y, g, s, f = zip(*rows, strict=True)
        np.savez(
            f"{given.out}_{part}.npz",
            x=np.array(x),
            y=np.array(y),
            g=np.array(g),
            s=np.array(s),
            f=np.array(f),
        )
        print(part, len(y), np.bincount(y, minlength=9), flush=True)
