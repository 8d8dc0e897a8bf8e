"""How well maps are laid on scans, how sure that is, and what correlations make of it.

`python -m benchmarks.registration` writes results/bench/registration.json, in ten minutes on two
cores: pairs, and more of them where they truly lie, whose maps are unrelated, for a share of 5 %
is not seen in 48. Seeds from 100 on served to choose constants, and none of the study's did.
"""

from __future__ import annotations

import json
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from benchmarks.machine import describe
from phasefront.correlation.common_grid import Quantity
from phasefront.correlation.verdict import Expected, Verdict, follow
from phasefront.registration.laying import Laid, Status, lay
from phasefront.virtual.map_checks import WITHIN_95, place_errors
from phasefront.virtual.modalities import Instrument, VirtualPair, make_pair

FIRST, PAIRS = 20261129, 48
FIRST_UNRELATED, UNRELATED = 20270101, 180
# Ions per formula unit that two calibrations may differ by, and that unrelated maps both change by
# for a standard deviation of thickness, when they follow it.
_OFFSET, _OF_THICKNESS = 0.1, 0.5


def drawn_instrument(seed: int) -> Instrument:
    """Photons, drift, bend contours and scale as they may be, poor ones included."""
    rng = np.random.default_rng([seed, 1])
    return Instrument(
        photons=float(10 ** rng.uniform(3.5, 5)), drift_walk_nm=float(rng.uniform(1, 5)),
        bend=float(rng.uniform(0, 0.03)), scale_spread=0.04,
    )  # fmt: skip


def study(first: int, pairs: int, processes: int = 2) -> list[dict]:
    """A row for each virtual pair."""
    with ProcessPoolExecutor(processes) as pool:
        return list(pool.map(_row, range(first, first + pairs)))


def unrelated_study(first: int, pairs: int, processes: int = 2) -> dict:
    """Share of unrelated maps, laid as they truly lie, that correlate with a chance below 5 %; and
    where both follow thickness, with thickness given and without."""
    with ProcessPoolExecutor(processes) as pool:
        chances = np.array(list(pool.map(_chances, range(first, first + pairs))))
    return {
        "pairs": pairs, "correlated": _share(chances[:, 0] < 0.05),
        "of_thickness_correlated": _share(chances[:, 1:].max(axis=1) < 0.05),
    }  # fmt: skip


def _chances(seed: int) -> tuple[float, float, float]:
    pair = make_pair(seed, drawn_instrument(seed))
    laid = Laid(
        Status.ACCEPTED, "", pair.placement, (pair.placement,) * 2, (), 1.0, 1.0, 1.0, 0.0, 0.0,
        pair.mirrored, 1.0, 0.0, 1.0,
    )  # fmt: skip
    plain = _verdict(pair, laid, pair.unrelated).whole
    thick = _verdict(pair, laid, pair.unrelated, of_thickness=_OF_THICKNESS).whole
    return plain.chance, thick.chance, thick.partial_chance


def _row(seed: int) -> dict:
    pair = make_pair(seed, drawn_instrument(seed))
    begun = time.perf_counter()
    laid = lay(pair.moving, pair.fixed, pair.label)
    return row_of(seed, pair, laid, time.perf_counter() - begun)


def row_of(seed: int, pair: VirtualPair, laid: Laid, seconds: float) -> dict:
    """What a pair's registration is worth, and what correlations make of it."""
    off, held, pull = _errors(pair, laid)
    same, other = (_verdict(pair, laid, one) for one in (pair.chemistry, pair.unrelated))
    thick = _verdict(pair, laid, pair.unrelated, of_thickness=_OF_THICKNESS)
    slope = same.whole.slope
    return {
        "seed": seed, "status": laid.status.name.lower(), "mirror": laid.mirrored == pair.mirrored,
        "off_nm": off, "held": held, "pull": pull, "seconds": seconds,
        "chi_squared": laid.chi_squared,
        "answer": same.answer, "slope": list(map(float, slope)),
        "slope_held": bool(slope[1] <= 1 <= slope[2]), "lost": same.whole.lost,
        "effective": same.whole.effective, "points": same.whole.points,
        "other_answer": other.answer, "other_chance": other.whole.chance,
        "other_partial_chance": other.whole.partial_chance,
        "thick_chance": thick.whole.chance, "thick_partial_chance": thick.whole.partial_chance,
        "thick_answer": thick.answer,
    }  # fmt: skip


def _errors(pair: VirtualPair, laid: Laid) -> tuple[float, float, float]:
    """Root mean square error in nm of the crystal's pixels, share of them whose 95 % region holds
    the truth, and root mean square of the error over the stated one."""
    off, _, distance = place_errors(
        pair.placement, laid.best, laid.draws, pair.moving.value.shape[1],
        np.isfinite(pair.chemistry),
    )  # fmt: skip
    return (
        float(np.sqrt((off**2).mean())), float(np.mean(distance <= WITHIN_95)),
        float(np.sqrt(distance.mean() / 2)),
    )  # fmt: skip


def _verdict(
    pair: VirtualPair, laid: Laid, chemistry: np.ndarray, *, of_thickness: float = 0.0
) -> Verdict:
    """`of_thickness` is what both change by, in ions, for a standard deviation of thickness."""
    fixed, moving = pair.fixed, pair.moving
    chemistry = chemistry + of_thickness * moving.value / np.nanstd(moving.value)
    structure = pair.structure + of_thickness * fixed.value / np.nanstd(fixed.value)
    return follow(
        Quantity(structure, pair.structure_stderr, fixed.pixel_nm, fixed.resolution_nm),
        Quantity(chemistry, pair.chemistry_stderr, moving.pixel_nm, moving.resolution_nm),
        np.clip(fixed.value, 0, None), pair.label, laid, Expected(1.0, _OFFSET),
    )  # fmt: skip


def summary(rows: list[dict]) -> dict:
    """What the rows come to; errors and intervals are those of accepted pairs."""
    accepted = [row for row in rows if row["status"] == Status.ACCEPTED.name.lower()]
    off = np.array([row["off_nm"] for row in accepted])
    return {
        "pairs": len(rows), "accepted": len(accepted),
        "mirror_right_or_not_accepted": _share(
            row["mirror"] or row["status"] != "accepted" for row in rows
        ),
        "mirror_right": _share(row["mirror"] for row in rows),
        "off_nm_median": float(np.median(off)), "off_nm_90": float(np.quantile(off, 0.9)),
        "off_below_20_nm": _share(off < 20), "regions_hold": _share(r["held"] for r in accepted),
        "slopes_hold": _share(row["slope_held"] for row in accepted),
        "slope_half_width": float(
            np.median([(row["slope"][2] - row["slope"][1]) / 2 for row in accepted])
        ),
        "agree": _share(row["answer"] == "agree" for row in accepted),
        "disagree": _share(row["answer"] == "disagree" for row in accepted),
        "unrelated_correlated": _share(row["other_chance"] < 0.05 for row in accepted),
        "unrelated_of_thickness_correlated": _share(
            max(row["thick_chance"], row["thick_partial_chance"]) < 0.05 for row in accepted
        ),
        "unrelated_of_thickness_agree": _share(row["thick_answer"] == "agree" for row in accepted),
        "unrelated_agree": _share(row["other_answer"] == "agree" for row in accepted),
        "unrelated_disagree": _share(row["other_answer"] == "disagree" for row in accepted),
        "seconds_most": max(row["seconds"] for row in rows),
    }  # fmt: skip


def _share(values) -> float:
    return float(np.mean(list(values)))


if __name__ == "__main__":
    rows = study(FIRST, PAIRS)
    unrelated = unrelated_study(FIRST_UNRELATED, UNRELATED)
    found = {
        "machine": describe(), "summary": summary(rows), "unrelated": unrelated, "rows": rows,
    }  # fmt: skip
    path = Path("results/bench/registration.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps({"pairs": found["summary"], "unrelated": unrelated}, indent=1))
