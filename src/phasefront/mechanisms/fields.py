"""What the grains of one two-phase field say together: population, plane, order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from phasefront.diffraction import rotations
from phasefront.diffraction.crystals import laue_rotations
from phasefront.layouts.dimensions import named_ends
from phasefront.mechanisms import fronts, habit_plane, order, population, sphere
from phasefront.mechanisms.elastic import ElasticEnergy
from phasefront.mechanisms.habit_plane import Traces
from phasefront.mechanisms.morphology import MORPHOLOGIES, Morphologist
from phasefront.mechanisms.proportions import proportions

COVARIATES = (
    "size", "beam along c", "touches neighbours", "cracks", "longest facet along c",
    "spread of orientation",
)  # fmt: skip
# Grains with a front from which a plane is sought; two great circles always meet.
_FEWEST_FRONTS = 3
# Distance of planes that are tried: traces are no surer than that.
_SPACING_DEG = 1.0
# Draws of each null: p is known to 0.005.
_DRAWS = 199
_BETWEEN = np.arange(len(MORPHOLOGIES)) != MORPHOLOGIES.index("whole")


@dataclass(frozen=True)
class Grains:
    """The grains of all scans."""

    table: pd.DataFrame  # of `gathering`, with its populations
    posterior: np.ndarray  # (grain, morphology)
    caught: np.ndarray  # (grain,)
    in_middle: np.ndarray  # (grain,) of a population neither just entered nor nearly left
    interfaces: Mapping[str, xr.Dataset]
    grains: Mapping[str, xr.Dataset]
    camera_errors: Mapping[str, float]
    morphologist: Morphologist


@dataclass(frozen=True)
class Field:
    """One field: the variables of MECHANISMS that have a row a field, and what goes with them."""

    variables: dict
    caught: np.ndarray  # indices of the grains between both phases
    members: np.ndarray  # (caught, morphology) posterior given the field's proportions
    traces: Traces
    planes: np.ndarray  # (plane, axis)

    @classmethod
    def of(
        cls, all_grains: Grains, own: np.ndarray, point_group: str | None, seed: int,
        energy: ElasticEnergy | None = None,
    ) -> Field:  # fmt: skip
        """Of the grains whose indices are `own`; `energy` of planes where a stiffness is stated."""
        between = own[all_grains.caught[own]]
        detection = all_grains.morphologist.detection
        shares, members = _proportions(all_grains, between, seed)
        converting = own[all_grains.in_middle[own]]
        number, count = int(all_grains.caught[converting].sum()), len(converting)
        factor = population.log_bayes_factor(np.array([number]), count, detection)[0]
        caught_share = (
            population.caught_share(number, count, detection) if count else np.full(3, np.nan)
        )
        table = all_grains.table.loc[between]
        traces = fronts.traces_of(table, all_grains.interfaces, all_grains.camera_errors)
        planes, of_plane = _plane(all_grains, table, traces, point_group, seed, energy)
        values = {
            "grains": len(own), "caught_grains": len(between), "log_bayes_factor": factor,
            "verdict": population.verdict(factor),
            **named_ends("caught_share", caught_share), **named_ends("proportion", shares),
            **of_plane, **_order(all_grains, own, seed),
        }  # fmt: skip
        return cls(values, between, members, traces, planes)


def _proportions(all_grains: Grains, between: np.ndarray, seed: int):
    """Shares (value, low, high; morphology) of caught grains, and their posteriors given these."""
    shares = np.full((3, len(MORPHOLOGIES)), np.nan)
    members = np.zeros((len(between), len(MORPHOLOGIES)))
    if len(between):
        posterior = all_grains.posterior[between][:, _BETWEEN]
        posterior = posterior / posterior.sum(axis=1, keepdims=True)
        prior = all_grains.morphologist.prior[_BETWEEN]
        found, given = proportions(
            posterior, prior / prior.sum(), alike=all_grains.morphologist.alike, seed=seed
        )
        shares[:, _BETWEEN], members[:, _BETWEEN] = found, given
    return shares, members


def _plane(all_grains, table, traces, point_group, seed, energy) -> tuple[np.ndarray, dict]:
    """Planes (plane, axis) of the parent's symmetry, and the habit plane among them."""
    operations = rotations.matrices(laue_rotations(point_group)) if point_group else np.eye(3)[None]
    planes = sphere.planes(_SPACING_DEG, operations)
    values = {
        "traces": len(traces.grain), "tilts": int(np.isfinite(traces.tilt_deg).sum()),
        "normal": np.full(3, np.nan), "normal_indices": np.full(3, np.nan), "region": np.nan,
        "plane_log_bayes_factor": np.nan, "against_random": np.nan, "against_outlines": np.nan,
        "plane_probability": np.full(len(planes), np.nan), "softest": np.full(3, np.nan),
        **dict.fromkeys(("softest_energy", "near_softest", "from_softest"), np.nan),
        **named_ends("energy_over_softest", np.full(3, np.nan)),
    }  # fmt: skip
    if energy is not None:
        values |= {
            "softest": energy.softest, "softest_energy": energy.least,
            "near_softest": energy.near_share,
        }  # fmt: skip
    if point_group is None or len(set(traces.grain)) < _FEWEST_FRONTS:
        return planes, values
    found = habit_plane.find(traces, operations, spacing_deg=_SPACING_DEG)
    drawn, having = fronts.drawn_from_outlines(
        traces, table, all_grains.interfaces, draws=_DRAWS, seed=seed
    )
    if energy is not None:
        beside = energy.beside(found, operations)
        values |= {"from_softest": beside.from_softest_deg} | named_ends(
            "energy_over_softest", np.array([beside.over_least, beside.low, beside.high])
        )
    scan = table["scan"].iloc[0]
    axes = all_grains.interfaces[scan]["parent_axes"].to_numpy()[table["rich"].iloc[0]]
    indices = axes @ found.normal
    return planes, values | {
        "normal": found.normal, "normal_indices": indices / np.abs(indices).max(),
        "region": found.region_deg, "plane_log_bayes_factor": found.log_bayes_factor,
        "against_random": habit_plane.chance(traces, operations, draws=_DRAWS, seed=seed),
        "against_outlines": habit_plane.chance(traces, operations, drawn, seed=seed)
        if having >= _FEWEST_FRONTS else np.nan,
        "plane_probability": found.probability,
    }  # fmt: skip


def _order(all_grains: Grains, own: np.ndarray, seed: int) -> dict:
    """Effects of covariates, and whether neighbours convert alike."""
    table = all_grains.table.loc[own]
    converted, state = table["converted"].to_numpy(), table["state"].to_numpy()
    unknown = np.full(len(COVARIATES), np.nan)
    names = {
        "effect": "log_odds", "effect_low": "low", "effect_high": "high", "effect_p": "p",
        "effect_p_holm": "p_holm", "smallest_detectable": "smallest_detectable",
    }  # fmt: skip
    values = dict.fromkeys(names, unknown) | {"effect_grains": np.zeros(len(COVARIATES), int)}
    values |= {"neighbours_alike": np.nan, "neighbours_alike_p": np.nan}
    if not len(own):
        return values
    effects = order.effects(converted, table[list(COVARIATES)], state, seed=seed)
    values |= {name: effects[column].to_numpy() for name, column in names.items()}
    values["effect_grains"] = effects["grains"].to_numpy()
    first, second = _touching(all_grains, table)
    alike, chance = order.neighbours_alike(converted, first, second, state, seed=seed)
    return values | {"neighbours_alike": alike, "neighbours_alike_p": chance}


def _touching(all_grains: Grains, table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of grains of a table that touch, as rows of it."""
    row = {place: at for at, place in enumerate(zip(table["scan"], table["number"], strict=True))}
    pairs = []
    for scan in table["scan"].unique():
        grains = all_grains.grains[scan]
        for one, other in zip(
            grains["pair_a"].to_numpy(), grains["pair_b"].to_numpy(), strict=True
        ):
            if (scan, one) in row and (scan, other) in row:
                pairs.append((row[scan, one], row[scan, other]))
    return tuple(np.array(pairs, dtype=int).reshape(-1, 2).T)
