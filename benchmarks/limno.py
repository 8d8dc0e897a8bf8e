"""The real Li-Mn-O particle: py4DSTEM's phase map beside phasefront's probabilities.

    make limno                   # phasefront's results, results/limno
    make bench                   # py4DSTEM's environment, once
    python -m benchmarks.limno

py4DSTEM matches every position with its usual recipe (one orientation plan a phase, 3 degrees, all
else at its defaults, the best correlation wins) into results/bench/limno_py4dstem.npz, in 7 minutes
on one core; what is there already is taken. The numbers of docs/limno.md go to
results/bench/limno.json, its pictures to docs/.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from benchmarks import limno_figures, limno_twins
from benchmarks.systems import PY4DSTEM, ROOT, atoms_of
from phasefront.core import netcdf
from phasefront.diffraction.crystals import Crystal, read_crystals
from phasefront.experiment.config import Experiment
from phasefront.experiment.load import load
from phasefront.layouts.orientations import ORIENTATIONS
from phasefront.layouts.phases import MIXED, PHASES, UNDECIDED, UNINDEXED, VACUUM
from phasefront.layouts.spots import SPOTS
from phasefront.phases import explanations
from phasefront.report.figures import patterns, style
from phasefront.spots.peaks import read_peaks

CONFIG = ROOT / "config" / "limno.yaml"
PEAKS = ROOT / "data" / "limno" / "braggdisks_cali.h5"
RESULTS = ROOT / "results" / "limno"
BENCH = ROOT / "results" / "bench"
DOCS = ROOT / "docs"
RESOLUTION_DEG = 3.0


@dataclass(frozen=True, eq=False)
class Particle:
    """What both programs say of every position (y, x); lists are by phase."""

    spots: xr.Dataset
    phases: xr.Dataset
    orientations: xr.Dataset
    crystals: list[Crystal]
    correlation: np.ndarray  # (y, x, phase), py4DSTEM's

    @property
    def names(self) -> list[str]:
        return [str(name) for name in self.phases["phase"].values]

    @property
    def decision(self) -> np.ndarray:
        decision = self.phases["decision"].values.astype(int)
        return np.where(decision == UNINDEXED, UNDECIDED, decision)

    @property
    def posterior(self) -> np.ndarray:
        return np.nan_to_num(self.phases["posterior"].values)

    @property
    def likeliest(self) -> np.ndarray:
        """Phase of the largest posterior, or VACUUM."""
        return np.where(self.decision == VACUUM, VACUUM, self.posterior.argmax(axis=-1))

    @property
    def theirs(self) -> np.ndarray:
        """Phase of py4DSTEM's best correlation; VACUUM where it has too few spots to match."""
        return _best(self.correlation)

    @property
    def ours_by_correlation(self) -> np.ndarray:
        return _best(np.nan_to_num(self.orientations["score"].values[..., 0]))

    def explain(self, positions: np.ndarray, beside: np.ndarray) -> list:
        return explanations.explain(
            positions, self.spots, self.phases, self.crystals, voltage_kv=300.0,
            precession_deg=0.0, beside=[int(phase) for phase in beside],
        )  # fmt: skip


def _best(score: np.ndarray) -> np.ndarray:
    return np.where(score.max(axis=-1) > 0, score.argmax(axis=-1), VACUUM)


def match_with_py4dstem(config: Experiment, crystals: list[Crystal], answer: Path) -> None:
    """Let py4DSTEM match the scan in its own process; goes on where an earlier run ended."""
    spots = read_peaks(PEAKS, name="particle")
    task = {
        "shape": spots["count"].shape,
        "laue_groups": [crystal.space_group.laue_str() for crystal in crystals],
        "atoms": [atoms_of(crystal) for crystal in crystals],
        "voltage_kv": config.instruments["unknown"].voltage_kv,
        "max_radius": config.orientations.max_radius,
        "resolution_deg": RESOLUTION_DEG,
    }
    task["fingerprint"] = hashlib.sha256(json.dumps(task).encode()).hexdigest()
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder) / "spots.npz"
        np.savez(listed, **{key: spots[key].values for key in ("offset", "qx", "qy", "intensity")})
        file = Path(folder) / "task.json"
        file.write_text(json.dumps(task | {"spots": str(listed), "matches": str(answer)}))
        answer.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            [PY4DSTEM.python, "-m", "benchmarks.match_py4dstem", file], cwd=ROOT, check=True,
            env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )  # fmt: skip


def compare(particle: Particle) -> dict:
    """Shares of the positions, the two maps against each other, and what each phase explains."""
    decision, theirs = particle.decision, particle.theirs
    count = particle.spots["count"].values
    answers = dict(enumerate(particle.names)) | {MIXED: "mixed", UNDECIDED: "undecided"}
    answers[VACUUM] = "vacuum"
    maps = {
        "py4DSTEM": theirs,
        "best correlation": particle.ours_by_correlation,
        "likeliest": particle.likeliest,
        "decision": decision,
    }
    return {
        "positions": decision.size,
        "share": {
            key: {name: round(float((map_ == value).mean()), 4) for value, name in answers.items()}
            for key, map_ in maps.items()
        },
        "against": {
            name: {
                other: int(((decision == value) & (theirs == rival)).sum())
                for rival, other in answers.items()
                if rival not in (MIXED, UNDECIDED)
            }
            for value, name in answers.items()
        },
        "second_lattice": int((particle.phases["second_phase"].values >= 0).sum()),
        "decided_below_8_spots": {
            name: int(((decision == phase) & (count < 8)).sum())
            for phase, name in enumerate(particle.names)
        },
        "groups": [
            _group(particle, state, phase, rival)
            for state in ("decided", "undecided")
            for phase in range(len(particle.names))
            for rival in range(len(particle.names))
        ],
    }


def chosen(particle: Particle, state: str, phase: int, rival: int) -> np.ndarray:
    """Positions (y, x) of one state and likeliest phase where py4DSTEM says `rival`."""
    of_state = particle.decision >= 0 if state == "decided" else particle.decision == UNDECIDED
    return of_state & (particle.likeliest == phase) & (particle.theirs == rival)


def _group(particle: Particle, state: str, phase: int, rival: int) -> dict:
    here = chosen(particle, state, phase, rival)
    names = particle.names
    group = {"state": state, "likeliest": names[phase], "py4DSTEM": names[rival]}
    group["positions"] = int(here.sum())
    if not here.any():
        return group
    group["spots_median"] = float(np.median(particle.spots["count"].values[here]))
    ranked = np.sort(particle.correlation[here], axis=-1)
    group["correlation_lead_median"] = round(float(np.median(1 - ranked[:, -2] / ranked[:, -1])), 3)
    if phase == rival:
        return group
    gain = _gain(particle, phase, rival)[here]
    group["log_evidence_10_50_90"] = np.quantile(gain, [0.1, 0.5, 0.9]).round(1).tolist()
    pairs = particle.explain(np.argwhere(here), np.full(here.sum(), rival))
    explained = np.array([[account.explained for account in pair] for pair in pairs])
    total = sum(pair[0].spots for pair in pairs)
    group["spots_explained"] = (explained.sum(axis=0) / total).round(3).tolist()
    more, fewer = explained[:, 0] > explained[:, 1], explained[:, 0] < explained[:, 1]
    group["positions_where_likeliest_explains_more_fewer"] = [int(more.sum()), int(fewer.sum())]
    group["spots_promised_median"] = [
        float(np.median([0 if one.predicted is None else len(one.predicted[0]) for one in side]))
        for side in zip(*pairs, strict=True)
    ]
    return group


def weigh_twins(particle: Particle, config: Experiment) -> dict:
    """Two layered crystals against one of spinel, where phasefront decides for spinel."""
    axes = {
        phase.name: np.array(phase.parent_axes) @ np.linalg.inv(crystal.reciprocal).T
        for phase, crystal in zip(config.material.phases, particle.crystals, strict=True)
    }
    turns = limno_twins.variants(axes["spinel"], axes["layered"])
    spinel, layered = particle.names.index("spinel"), particle.names.index("layered")
    return {
        f"py4DSTEM {particle.names[rival]}": limno_twins.compare(
            particle, chosen(particle, "decided", spinel, rival), turns
        )
        for rival in (layered, spinel)
    }


def _gain(particle: Particle, phase: int, rival: int) -> np.ndarray:
    evidence = particle.phases["log_evidence"].values
    return evidence[..., phase] - evidence[..., rival]


def choose_patterns(particle: Particle) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Positions (n, 2) where the maps differ, py4DSTEM's phases there, and why these.

    The typical one of each kind, by the median of the difference in log-evidence, and the one of
    the most frequent kind that is nearest to a tie.
    """
    kinds = (
        ("decided", "spinel", "layered", 0.5, "decided"),
        ("decided", "spinel", "layered", 0.0, "decided, barely"),
        ("undecided", "spinel", "layered", 0.5, "undecided"),
        ("decided", "spinel", "Li2MnO3", 0.5, "decided"),
        ("decided", "layered", "spinel", 0.5, "decided"),
        ("decided", "Li2MnO3", "layered", 0.5, "decided"),
    )
    positions, rivals, reasons = [], [], []
    for state, phase, rival, quantile, reason in kinds:
        one, other = particle.names.index(phase), particle.names.index(rival)
        candidates = np.argwhere(chosen(particle, state, one, other))
        if len(candidates):
            gain = _gain(particle, one, other)[tuple(candidates.T)]
            order = np.argsort(gain, kind="stable")
            positions.append(candidates[order[round(quantile * (len(order) - 1))]])
            rivals.append(other)
            reasons.append(reason)
    return np.array(positions), np.array(rivals), reasons


def main() -> None:
    config = load(CONFIG)
    crystals = read_crystals(
        [ROOT / phase.cif for phase in config.material.phases], config.material.names
    )
    answer = BENCH / "limno_py4dstem.npz"
    match_with_py4dstem(config, crystals, answer)
    with np.load(answer) as data:
        correlation = data["correlation"]
    particle = Particle(
        netcdf.read(RESULTS / "spots" / "particle.nc", SPOTS),
        netcdf.read(RESULTS / "phases" / "particle.nc", PHASES),
        netcdf.read(RESULTS / "orientations" / "particle.nc", ORIENTATIONS),
        crystals,
        correlation,
    )
    found = compare(particle)
    found["two_layered_for_one_spinel"] = weigh_twins(particle, config)
    (BENCH / "limno.json").write_text(json.dumps(found, indent=1) + "\n")
    labels = config.material.labels
    style.save(limno_figures.draw_maps(particle, labels), DOCS / "limno.png")
    positions, rivals, reasons = choose_patterns(particle)
    drawn = patterns.draw_patterns(
        None, positions, spots=particle.spots, phases=particle.phases,
        explained=particle.explain(positions, rivals), reasons=reasons, labels=labels,
    )  # fmt: skip
    style.save(drawn, DOCS / "limno_patterns.png")


if __name__ == "__main__":
    main()
