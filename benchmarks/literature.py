"""What published counts say of mechanisms, by the functions that scans are read with.

Counts are those of abstracts; a grain counts as seen for what it is.
"""

from __future__ import annotations

import numpy as np

from benchmarks.snapshots import candidates
from phasefront.mechanisms import elastic, order, population
from phasefront.mechanisms.elastic import ElasticEnergy
from phasefront.mechanisms.population import Detection
from phasefront.mechanisms.sphere import planes
from phasefront.virtual.insertion.regimes import LFP

_COUNTED = Detection()
# Chueh 2013: about 450 particles, 2 % of them intermediate.
CHUEH = (9, 450)
# Robert 2013: 64,000 particles; and what single-grain studies see.
SIZES = {"Robert 2013": 64_000, "Chueh 2013": 450, "a session of 30 grains": 30}


def table() -> dict:
    """Numbers from the papers' counts, and what the cells and stiffness of LiFePO4 predict."""
    caught, grains = CHUEH
    share, low, high = population.caught_share(caught, grains, _COUNTED)
    (factor,) = population.log_bayes_factor(caught, grains, _COUNTED)
    none_of = {str(n): _none_caught(n) for n in (20, 50, 100)}
    return {
        "chueh": {
            "caught": caught, "grains": grains, "share": float(share), "low": float(low),
            "high": float(high), "log_bayes_factor": float(factor),
            "verdict": population.verdict(factor), "charge_over_transit": grains / caught,
        },
        "none_caught": none_of,
        "smallest_shift": {name: order.smallest_shift(n, 0.5) for name, n in SIZES.items()},
        "lfp": _lfp(),
    }  # fmt: skip


def _none_caught(grains: int) -> dict:
    """What it says that every grain is full or empty (Delmas 2008)."""
    _, low, high = population.caught_share(0, grains, _COUNTED)
    (factor,) = population.log_bayes_factor(0, grains, _COUNTED)
    return {"low": float(low), "high": float(high), "verdict": population.verdict(factor)}


def _lfp() -> dict:
    """Planes of LiFePO4 and FePO4: energy over the least, and how lattices turn across them."""
    energy = ElasticEnergy(LFP.stiffness, LFP.misfit)
    own = elastic.misfit(candidates(), 0, 1)
    a, _, c = 10.3244, 6.0064, 4.6901
    of = {
        "softest": energy.softest, "(100)": np.array([1.0, 0.0, 0.0]),
        "(101)": np.array([1.0 / a, 0.0, 1.0 / c]), "(010)": np.array([0.0, 1.0, 0.0]),
    }  # fmt: skip
    spread = planes(1.0, np.eye(3)[None])
    soft = spread[energy(spread) <= energy.least + 0.1 * (energy.most - energy.least)]
    turns = energy.rotation_deg(soft)
    return {
        "least_gpa": energy.least, "near_share": energy.near_share,
        "misfit_published": np.diag(energy.misfit).tolist(),
        "misfit_of_cells": np.diag(own).tolist(),
        "softest_deg_from_a": {
            name: _from_a(ElasticEnergy(LFP.stiffness, misfit).softest)
            for name, misfit in {
                "published": LFP.misfit, "another": np.diag([0.05, 0.028, -0.025]), "cells": own,
            }.items()
        },
        "planes": {
            name: {
                "over_least": float(energy(normal) / energy.least),
                "turn_deg": float(energy.rotation_deg(normal)),
            }
            for name, normal in of.items()
        },
        "turn_of_soft_planes_deg": {
            "mean": float(turns.mean()), "low": float(np.quantile(turns, 0.025)),
            "high": float(np.quantile(turns, 0.975)),
        },
    }  # fmt: skip


def _from_a(normal: np.ndarray) -> float:
    return float(np.degrees(np.arctan2(abs(normal[2]), abs(normal[0]))))
