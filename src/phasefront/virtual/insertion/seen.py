"""What the analysis would find at positions of grains whose columns are known, without patterns.

Thousands of grains are needed to learn what morphologies look like, and to say how well they are
told; rendering and indexing them all is out of reach. So ion contents, posteriors and decisions are
drawn about the truth: with the error that the analysis states, with positions that are wrong
altogether, with one error that all positions of a grain share (its zone axis), and with one of
columns that hold both phases. How much of each, a scan draws for itself; ranges are wider than
those that rendered scans show beside their truth (`Doubt`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy.special import expit, logit

from phasefront.core import netcdf
from phasefront.diffraction.candidates import CandidatePhases
from phasefront.layouts.phases import MIXED, PHASES, UNDECIDED, VACUUM


@dataclass(frozen=True)
class Doubt:
    """How the positions of a scan err.

    Rendered scans of two states of the demo, 28 grains, show: `content` 0.05 to 0.10 and always
    measured; `grain` 0.02; `mixed` 0 to 0.13 beyond it; `wrong` below 0.005; `sharpness` above 16.
    """

    content: float  # standard error of the rich phase's share from the cell; inf if not measured
    grain: float  # standard error that a grain's positions share, of the same
    mixed: float  # standard error that a column of half each has beyond that
    wrong: float  # share of positions that say anything
    sharpness: float  # of posteriors: log odds between a column of one phase and one of half each

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Doubt:
        """One scan's."""
        return cls(
            content=rng.choice([np.inf, *np.exp(rng.uniform(np.log(0.04), np.log(0.22), 3))]),
            grain=rng.uniform(0.0, 0.06),
            mixed=rng.uniform(0.0, 0.15),
            wrong=rng.choice([0.0, 0.01, 0.02, 0.05]),
            sharpness=np.exp(rng.uniform(np.log(4.0), np.log(40.0))),
        )


def see(
    rich: np.ndarray,
    label: np.ndarray,
    parent: np.ndarray,
    candidates: CandidatePhases,
    *,
    pair: tuple[int, int],
    doubt: Doubt,
    rng: np.random.Generator,
) -> xr.Dataset:
    """PHASES of a field of grains.

    Parameters
    ----------
    rich
        Share (y, x) of the rich phase in every column.
    label
        Grain (y, x) of every column, -1 in vacuum.
    parent
        Orientations (grain, 4), frame to crystal, under every phase.
    candidates
        The phases, whose axes are those of the lattice that they share; `pair` are the indices of
        the rich and of the poor one.
    """
    shape, count = rich.shape, len(candidates.names)
    crystal = label >= 0
    offset = np.append(rng.normal(0.0, doubt.grain, len(parent)), 0.0)[label]
    wrong = crystal & (rng.random(shape) < doubt.wrong)
    between = 4.0 * doubt.mixed * rich * (1.0 - rich) * rng.normal(size=shape)
    share = np.where(wrong, rng.uniform(0.0, 1.0, shape), rich + offset + between)
    one = 2.0 * doubt.sharpness * (share - 0.5) + rng.logistic(0.0, 1.0, shape)
    posterior = np.zeros((*shape, count))
    posterior[..., pair[0]] = expit(one)
    posterior[..., pair[1]] = 1.0 - posterior[..., pair[0]]
    decided = posterior.argmax(axis=-1)
    sure = np.abs(one) > logit(0.95)
    decision = np.where(sure, decided, np.where(rng.random(shape) < 0.5, MIXED, UNDECIDED))
    decision = np.where(crystal, decision, VACUUM)
    shares = np.full((*shape, count), np.nan)
    shares[decision >= 0] = np.eye(count)[decision[decision >= 0]]
    mixed = decision == MIXED
    shares[mixed] = 0.0
    shares[mixed, pair[0]] = np.clip(share + rng.normal(0.0, 0.15, shape), 0.05, 0.95)[mixed]
    shares[mixed, pair[1]] = 1.0 - shares[mixed, pair[0]]
    content = {}
    if np.isfinite(doubt.content):
        contents = candidates.ion_contents
        width = contents[pair[0]] - contents[pair[1]]
        error = doubt.content * np.exp(rng.normal(0.0, 0.3, shape))
        seen = contents[pair[1]] + width * (share + error * rng.normal(size=shape))
        content["ion_content"] = np.where(crystal, seen, np.nan)
        content["ion_content_stderr"] = np.where(crystal, width * error, np.nan)
    rotation = np.where(crystal[..., None], parent[label], np.nan)
    posterior[~crystal] = np.nan
    known = {
        "phase": list(candidates.names), "posterior": posterior, "decision": decision,
        "rotation": np.repeat(rotation[..., None, :], count, axis=2), "share": shares,
        "distortion": np.eye(2), "second_phase": np.full(shape, -1),
    }  # fmt: skip
    sizes = {
        "y": shape[0], "x": shape[1], "phase": count, "quaternion": 4, "q_axis": 2,
        "other_q_axis": 2, "cell_parameter": 6, "other_parameter": 6, "alternative": 1,
    }  # fmt: skip
    return netcdf.build(
        PHASES,
        netcdf.unknown(PHASES, sizes) | known | content,
        {
            "scan": "seen", "scan_step_nm": np.nan, "map_by": "", "decide_above": 0.95,
            "min_explained": 0.5, "max_misfit": 4.0, "notes": "",
        },
    )  # fmt: skip
