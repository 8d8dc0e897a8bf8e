"""What the grains of all scans say of how ions go, together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from phasefront.core import netcdf
from phasefront.layouts.dimensions import named_ends
from phasefront.layouts.mechanisms import MECHANISMS, Direction
from phasefront.mechanisms import gathering, population, wording
from phasefront.mechanisms.elastic import ElasticEnergy
from phasefront.mechanisms.features import features_of
from phasefront.mechanisms.fields import COVARIATES, Field, Grains
from phasefront.mechanisms.morphology import MORPHOLOGIES, Morphologist, caught


def infer_mechanisms(
    interfaces: Mapping[str, xr.Dataset],
    grains: Mapping[str, xr.Dataset],
    morphologist: Morphologist,
    *,
    states: Mapping[str, str],
    directions: Mapping[str, Direction],
    phases: Sequence[str],
    fields: Sequence[tuple[int, int]],
    parent_point_group: str | None,
    camera_errors: Mapping[str, float],
    seed: int,
    energies: Mapping[tuple[int, int], ElasticEnergy] | None = None,
) -> xr.Dataset:
    """MECHANISMS of an experiment.

    Parameters
    ----------
    interfaces, grains
        INTERFACES and GRAINS of each scan.
    morphologist
        What tells the grains' morphologies.
    states
        State of each scan.
    directions
        Where ions went before each state, as far as it is known.
    phases
        Names of the phases, to which `fields` (rich, poor) are indices.
    parent_point_group
        Of the lattice that phases share; None where there is none, and then no plane.
    camera_errors
        Standard error of the camera's rotation of each scan, degrees, where known.
    seed
        Of draws.
    energies
        Elastic energy of planes of the fields (rich, poor) whose stiffness is stated.

    Raises
    ------
    InputError
        Files of a scan are not of the same grains.
    """
    table = gathering.grain_table(interfaces, grains, states, directions)
    known = gathering.populations(table, fields)
    posterior = _posteriors(morphologist, table, interfaces, grains)
    middle = known.index[known["converted"].between(*gathering.MIDDLE)]
    own = Grains(
        table, posterior, caught(posterior), table["population"].isin(middle).to_numpy(),
        interfaces, grains, camera_errors, morphologist,
    )  # fmt: skip
    inferred = [
        Field.of(
            own, np.flatnonzero(table["population"].isin(known.index[known["field"] == field])),
            parent_point_group, seed + field, (energies or {}).get(pair),
        )
        for field, pair in enumerate(fields)
    ]  # fmt: skip
    in_population = np.full_like(posterior, np.nan)
    for field in inferred:
        in_population[field.caught] = field.members
    names, scans = list(dict.fromkeys(states.values())), list(interfaces)
    found = netcdf.build(
        MECHANISMS,
        {
            "phase": list(phases), "scan": scans, "state": names,
            "state_direction": [directions.get(name, Direction.UNKNOWN) for name in names],
            "morphology": list(MORPHOLOGIES),
            "scan_of_grain": [scans.index(scan) for scan in table["scan"]],
            "state_of_grain": [names.index(state) for state in table["state"]],
            "number": table["number"], "size": table["positions"],
            "population_of_grain": table["population"], "counted": table["counted"],
            "converted": table["converted"], "caught": own.caught, "posterior": posterior,
            "posterior_in_population": in_population, "covariate": list(COVARIATES),
            "rich": [rich for rich, _ in fields], "poor": [poor for _, poor in fields],
            **_of_populations(known, table, own.caught, names, morphologist.detection),
            **_of_fields(inferred, Field.of(own, np.zeros(0, int), parent_point_group, seed)),
        },
        {
            "recall": morphologist.detection.recall,
            "false_alarm": morphologist.detection.false_alarm,
            "parent_point_group": parent_point_group or "", "sentence": "", "caveats": "",
        },
    )  # fmt: skip
    found.attrs["sentence"] = wording.sentence(found)
    found.attrs["caveats"] = "\n".join(wording.caveats(found))
    return found


def _posteriors(
    morphologist: Morphologist, table: pd.DataFrame, interfaces: Mapping[str, xr.Dataset],
    grains: Mapping[str, xr.Dataset],
) -> np.ndarray:  # fmt: skip
    """Posterior (grain, morphology); the mean of both directions where it is not known."""
    found = np.zeros((len(table), len(MORPHOLOGIES)))
    for scan, own in table.groupby("scan", sort=False):
        ways = {Direction.IN: [True], Direction.OUT: [False]}.get(
            own["direction"].iloc[0], [True, False]
        )
        for way in ways:
            features = features_of(interfaces[scan], grains[scan], way)
            found[own.index] += morphologist.posterior(features) / len(ways)
    return found


def _of_populations(
    known: pd.DataFrame, table: pd.DataFrame, between: np.ndarray, names: Sequence[str],
    detection: population.Detection,
) -> dict:  # fmt: skip
    """The variables of MECHANISMS that have a row a population."""
    count = [(table["population"] == one).sum() for one in known.index]
    number = [between[(table["population"] == one).to_numpy()].sum() for one in known.index]
    share = np.array(
        [population.caught_share(k, n, detection) for k, n in zip(number, count, strict=True)]
    ).reshape(-1, 3)
    factors = [
        population.log_bayes_factor(np.array([k]), n, detection)[0]
        for k, n in zip(number, count, strict=True)
    ]
    return {
        "population_field": known["field"], "population_grains": count,
        "population_state": [names.index(state) for state in known["state"]],
        "population_caught": number, "population_converted": known["converted"],
        "population_log_bayes_factor": factors,
        **named_ends("population_caught_share", share.T),
    }  # fmt: skip


def _of_fields(inferred: Sequence[Field], empty: Field) -> dict:
    """The variables of MECHANISMS that have a row a field, and all traces in one list.

    An empty field says how many numbers each variable has where there is no field at all.
    """
    every = [*inferred, empty]
    values = {
        name: np.array([field.variables[name] for field in every])[:-1] for name in empty.variables
    }
    traces = [field.traces for field in every]
    return values | {
        "plane": empty.planes,
        "trace": np.concatenate([one.trace for one in traces]),
        "trace_beam": np.concatenate([one.beam for one in traces]),
        "trace_stderr": np.concatenate([one.error_deg for one in traces]),
        "trace_grain": np.concatenate([one.grain for one in traces]),
        "trace_field": np.repeat(np.arange(len(traces)), [len(one.grain) for one in traces]),
    }
