"""How well morphologies are told, of grains of physics and drawings that training never saw.

`python -m benchmarks.morphology` writes `results/bench/mechanisms_morphology.json` in some minutes.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import xarray as xr

from benchmarks import snapshots
from phasefront.core import netcdf
from phasefront.mechanisms import proportions
from phasefront.mechanisms.morphology import MORPHOLOGIES, Morphologist, caught
from phasefront.virtual.insertion import cartoons, table

OUT = Path(__file__).resolve().parents[1] / "results" / "bench" / "mechanisms_morphology.json"
# Positions of grains; those of the third class are about 20 across.
SIZES = {"below 100": (0, 100), "100 to 199": (100, 200), "200 to 449": (200, 450),
         "from 450": (450, 10_000)}  # fmt: skip
_TWENTY = "200 to 449"
# Angle of the beam with the axis along which a grain is the same: from near end on to the side.
TILTS = {"0 to 34": (0.0, 35.0), "35 to 64": (35.0, 65.0), "65 to 90": (65.0, 90.1)}
GRAINS, POPULATIONS = (10, 20, 30), 40  # of each regime, direction and kind
_WHOLE, _NONE = MORPHOLOGIES.index("whole"), MORPHOLOGIES.index("none of these")
_BINS = 10
# Most of the grains bear the name of a population whose dominant morphology is clear.
_CLEAR = 0.5


def study() -> dict:
    """What is told right and how sure, on the test part: grains, grains caught, populations."""
    seen = snapshots.snapshots({"test": snapshots.VIEWS["test"]}, snapshots.SEED)
    return told(seen, Morphologist.read())


def told(seen: xr.Dataset, morphologist: Morphologist) -> dict:
    """The same, of SNAPSHOTS of any part."""
    posterior = morphologist.posterior(seen["features"].values)
    size = seen["positions"].values
    within = {name: (size >= low) & (size < high) for name, (low, high) in SIZES.items()}
    tilt, twenty = seen["tilt"].values, within[_TWENTY]
    of_tilt = {name: twenty & (tilt >= low) & (tilt < high) for name, (low, high) in TILTS.items()}
    named = populations(seen)
    return {
        "alike": morphologist.alike,
        "grains": {
            name: of_grains(seen.isel(snapshot=here), posterior[here])
            for name, here in {"all": np.full(len(size), True), **within}.items()
        },
        "grains of 20 by tilt": {
            name: of_grains(seen.isel(snapshot=here), posterior[here])
            for name, here in of_tilt.items()
        },
        "caught": {
            "stated": vars(morphologist.detection),
            **{
                name: of_caught(seen.isel(snapshot=here), posterior[here])
                for name, here in within.items()
            },
        },
        "populations": {
            str(count): of_populations(seen, posterior, morphologist, named, count)
            for count in GRAINS
        },
        "none of these": of_unnamed(seen, posterior, morphologist, named),
    }


def of_grains(seen: xr.Dataset, posterior: np.ndarray) -> dict:
    """Of grains that are between the phases: confusion, right answers, reliability."""
    between = seen["morphology_of_state"].values != _WHOLE
    posterior = posterior[between]
    state = seen["morphology_of_state"].values[between]
    history = seen["morphology_of_history"].values[between]
    answer = posterior.argmax(axis=1)
    confusion = np.zeros((len(MORPHOLOGIES),) * 2, int)
    np.add.at(confusion, (state, answer), 1)
    return {
        "grains": len(state), "right": float(np.mean(answer == state)),
        "right_by_history": float(np.mean(answer == history)),
        "history_is_of_state": float(np.mean(state == history)),
        **reliability(answer == state, posterior.max(axis=1)),
        "confusion": {
            one: dict(zip(MORPHOLOGIES, row.tolist(), strict=True))
            for one, row in zip(MORPHOLOGIES, confusion, strict=True)
        },
    }  # fmt: skip


def of_caught(seen: xr.Dataset, posterior: np.ndarray) -> dict[str, float]:
    """Recall of grains between the phases, and false alarms of whole ones: all, and pure ends."""
    called, state = caught(posterior), seen["state"].values
    whole = seen["morphology_of_state"].values == _WHOLE
    end = (state < 0) | (state == state.max())
    return {
        "recall": float(called[~whole].mean()), "false_alarm": float(called[whole].mean()),
        "false_alarm_of_ends": float(called[whole & end].mean()),
    }  # fmt: skip


def reliability(right: np.ndarray, confidence: np.ndarray) -> dict:
    """Expected calibration error over ten bins of confidence, and the bins."""
    place = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    bins = [
        {
            "from": number / _BINS, "answers": int((place == number).sum()),
            "confidence": float(confidence[place == number].mean()),
            "right": float(right[place == number].mean()),
        }
        for number in range(_BINS) if (place == number).any()
    ]  # fmt: skip
    error = sum(one["answers"] * abs(one["confidence"] - one["right"]) for one in bins)
    return {"ece": error / max(len(right), 1), "bins": bins}


def populations(seen: xr.Dataset) -> np.ndarray:
    """Which population each snapshot is of: a regime and direction, or a kind of drawings."""
    made = netcdf.read(table.DATA_FILE, table.INSERTION)
    kinds = snapshots.kinds(made)
    number = seen["grain"].values
    regime = made["regime"].values[made["grain_regime"].values[number]]
    way = np.where(made["inserting"].values[number] == 1, "ions enter", "ions leave")
    return np.array(
        [
            f"{one}: {kind or direction}"
            for one, kind, direction in zip(regime, kinds[number], way, strict=True)
        ]
    )


def of_populations(seen, posterior, morphologist, named, count: int) -> dict:
    """How often the dominant morphology of so many grains called caught is told, by what it is:
    the commonest of the states drawn, and of the histories of their grains."""
    rows = list(_drawn(seen, posterior, morphologist, named, count))
    chances, states, histories, names = map(np.array, zip(*rows, strict=True))
    answer, confidence = chances.argmax(axis=1), chances.max(axis=1)
    each = np.arange(len(answer))
    result: dict = {"populations": len(answer)}
    for what, truth in (("state", states), ("history", histories)):
        right = truth[each, answer] == truth.max(axis=1)
        clear = truth.max(axis=1) > _CLEAR
        result[what] = {
            "right": float(right.mean()), **reliability(right, confidence),
            "clear": float(clear.mean()), "right_where_clear": float(right[clear].mean()),
            "ece_where_clear": reliability(right[clear], confidence[clear])["ece"],
            "of_each": {
                str(name): {
                    "right": float(right[names == name].mean()),
                    "share": float(truth.max(axis=1)[names == name].mean()),
                    "dominant": MORPHOLOGIES[truth[names == name].mean(axis=0).argmax()],
                    "answer": MORPHOLOGIES[chances[names == name].mean(axis=0).argmax()],
                }
                for name in np.unique(names)
            },
        }  # fmt: skip
    return result


def _drawn(seen, posterior, morphologist, named, count: int):
    """Probabilities to be dominant, true shares by state and by history, and the name, of
    populations of different snapshots; grains come again only after all others."""
    rng = np.random.default_rng([snapshots.SEED, count])
    size, grain = seen["positions"].values, seen["grain"].values
    usable = caught(posterior) & (size >= SIZES[_TWENTY][0]) & (size < SIZES[_TWENTY][1])
    for name in np.unique(named):
        place = np.flatnonzero(usable & (named == name))
        if len(place) < count:
            continue
        for _ in range(POPULATIONS):
            mixed = rng.permutation(place)
            turn = np.zeros(len(mixed), int)
            for one in np.unique(grain[mixed]):
                turn[grain[mixed] == one] = np.arange((grain[mixed] == one).sum())
            chosen = mixed[np.argsort(turn, kind="stable")[:count]]
            shares = [
                np.bincount(seen[what].values[chosen], minlength=len(MORPHOLOGIES)) / count
                for what in ("morphology_of_state", "morphology_of_history")
            ]
            chance = proportions.dominant(
                posterior[chosen], morphologist.prior, alike=morphologist.alike,
                seed=int(rng.integers(2**31)), draws=400,
            )  # fmt: skip
            yield chance, *shares, name


def of_unnamed(seen, posterior, morphologist, named) -> dict:
    """Grains drawn as no morphology: how often they, and populations of 10, are called none."""
    size, name = seen["positions"].values, np.array([one.split(": ")[1] for one in named])
    here = (size >= SIZES[_TWENTY][0]) & (size < SIZES[_TWENTY][1]) & caught(posterior)
    drawn = np.array(["drawn" in one for one in named])
    kinds = [kind for kind in np.unique(name[drawn]) if kind in cartoons.UNNAMED]
    result = {}
    for kind in kinds:
        own = named[name == kind]
        chances = [
            chance for chance, _, _, _ in _drawn(
                seen.isel(snapshot=name == kind), posterior[name == kind], morphologist, own, 10
            )
        ]  # fmt: skip
        called = posterior[here & (name == kind)]
        result[str(kind)] = {
            "grains": len(called), "called_none": float((called.argmax(axis=1) == _NONE).mean()),
            "mean_posterior": dict(
                zip(MORPHOLOGIES, called.mean(axis=0).round(3).tolist(), strict=True)
            ),
            "populations_called_none": float(np.mean([c.argmax() == _NONE for c in chances])),
        }  # fmt: skip
    return result


if __name__ == "__main__":
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(study(), indent=1) + "\n")
    print(OUT)
