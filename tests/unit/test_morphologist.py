"""Morphologies of made grains, what they are learned from, and how well they are told."""

import json
import sys

import joblib
import numpy as np
import pytest
from projects import ROOT

from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.grains.segmentation import find_grains
from phasefront.interfaces.tracing import trace_interfaces
from phasefront.mechanisms.features import FEATURES, features_of
from phasefront.mechanisms.morphology import MORPHOLOGIES, Morphologist, caught
from phasefront.mechanisms.snapshots import DATA_FILE, SNAPSHOTS
from phasefront.virtual.insertion import cartoons, regimes, seen, table
from phasefront.virtual.insertion import morphology as simulated

sys.path.insert(0, str(ROOT))

from benchmarks import morphology as study
from benchmarks import snapshots

SIDE = 26
CLEAR = seen.Doubt(content=0.06, grain=0.0, mixed=0.0, wrong=0.0, sharpness=20.0)
PARENT = np.array([[1.0, 0.0, 0.0, 0.0]])


@pytest.fixture(scope="module")
def morphologist():
    return Morphologist.read()


@pytest.fixture(scope="module")
def learned():
    return netcdf.read(DATA_FILE, SNAPSHOTS)


def part_of(learned):
    return learned["part"].values[learned["snapshot_regime"].values]


def told(morphologist, rich, inserting=True, seed=3):
    """Posterior by name of a round grain whose columns hold `rich` (y, x) of the rich phase."""
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    inside = np.hypot(y, x) <= 10.5
    phases = snapshots.candidates()
    made = seen.see(
        np.where(inside, rich(y, x), 0.0), np.where(inside, 0, -1), PARENT, phases,
        pair=(0, 1), doubt=CLEAR, rng=np.random.default_rng(seed),
    )  # fmt: skip
    grains = find_grains(made, phases, misorientation_deg=5, min_positions=8, scan_step_nm=10)
    assert grains.sizes["grain"] == 1
    traced = trace_interfaces(made, grains, phases)
    (posterior,) = morphologist.posterior(features_of(traced, grains, inserting))
    return dict(zip(MORPHOLOGIES, posterior, strict=True))


def half(y, x):
    return np.clip(0.9 * x + 0.4 * y + 0.5, 0, 1)


def shell(y, x):
    return np.clip(np.hypot(y, x) - 6.0 + 0.5, 0, 1)


def nucleus(y, x):
    return 1.0 - shell(y, x)


def stripe(y, x):
    return np.clip(4.0 - np.abs(x) + 0.5, 0, 1)


def blobs(y, x):
    return (np.sin(y * 0.9) * np.sin(x * 0.9) > 0).astype(float)


def bent(y, x):
    return np.clip(np.hypot(y, x - 9.0) - 10.0 + 0.5, 0, 1)


def level(share):
    return lambda y, x: np.full(y.shape, share)


@pytest.mark.parametrize(
    ("rich", "inserting", "name"),
    [
        (half, True, "front"), (half, False, "front"), (bent, True, "curved front"),
        (shell, True, "core"), (shell, False, "inner nucleus"), (nucleus, False, "core"),
        (nucleus, True, "inner nucleus"), (blobs, True, "mosaic"),
        (level(0.5), True, "uniform"), (level(0.0), True, "whole"), (level(1.0), True, "whole"),
    ],
)  # fmt: skip
def test_what_plainly_has_a_name_is_told_by_it(morphologist, rich, inserting, name):
    posterior = told(morphologist, rich, inserting)
    assert max(posterior, key=posterior.get) == name, posterior
    assert caught(np.array([list(posterior.values())]))[0] == (name != "whole")


@pytest.mark.parametrize("inserting", [True, False])
def test_a_stripe_is_a_band_or_what_looks_like_one_from_the_side(morphologist, inserting):
    posterior = told(morphologist, stripe, inserting)
    inner = "inner nucleus" if inserting else "core"
    assert posterior["band"] > 0.2
    assert posterior["band"] + posterior[inner] > 0.8


def test_posteriors_are_probabilities_whatever_a_grain_shows(morphologist):
    rng = np.random.default_rng(5)
    features = rng.normal(0, 50, (40, len(FEATURES)))
    features[rng.random(features.shape) < 0.4] = np.nan
    features[0], features[1, :3] = np.nan, [np.inf, -np.inf, 1e300]
    posterior = morphologist.posterior(features)
    assert posterior.shape == (40, len(MORPHOLOGIES))
    assert posterior.sum(axis=1) == pytest.approx(1.0)
    assert (posterior > 0).all()
    assert morphologist.posterior(features[:0]).shape == (0, len(MORPHOLOGIES))
    assert morphologist.prior.sum() == pytest.approx(1.0)


def test_a_grain_is_told_alike_alone_in_any_order_and_on_any_number_of_cores(morphologist, learned):
    features = learned["features"].values[:60]
    posterior = morphologist.posterior(features)
    assert np.array_equal(morphologist.posterior(features[::-1])[::-1], posterior)
    assert np.array_equal(morphologist.posterior(features[7:8]), posterior[7:8])
    with joblib.parallel_config(backend="threading", n_jobs=3):
        assert np.array_equal(morphologist.posterior(features), posterior)


def test_names_are_those_of_the_simulated_grains(learned):
    assert tuple(learned["morphology"].values) == MORPHOLOGIES == simulated.MORPHOLOGIES


def test_training_and_calibration_are_apart_and_the_test_part_is_in_neither(learned):
    grains = netcdf.read(table.DATA_FILE, table.INSERTION)
    assert list(learned["regime"].values) == list(regimes.REGIMES)
    assert [regime.part for regime in regimes.REGIMES.values()] == list(learned["part"].values)
    assert set(part_of(learned)) == {"training", "calibration"}
    own = grains["grain_regime"].values[learned["grain"].values]
    assert np.array_equal(own, learned["snapshot_regime"].values)
    assert DATA_FILE.stat().st_size < 2e6


@pytest.mark.parametrize("part", ["training", "calibration"])
def test_a_field_seen_again_is_the_one_in_the_file(learned, part):
    grains = netcdf.read(table.DATA_FILE, table.INSERTION)
    parts, seeds = snapshots.plan(grains, part, learned.attrs["seed"], snapshots.VIEWS[part])
    first = np.flatnonzero(part_of(learned) == part)[0]
    again = snapshots.see(grains, parts[0], seeds[0])
    kept = learned.isel(snapshot=slice(first, first + len(again.number)))
    assert np.array_equal(kept["grain"].values, again.number)
    assert np.array_equal(kept["state"].values, again.state)
    features = features_of(again.interfaces, again.grains, again.inserting)
    # Last digits of another library may turn a fit here and there.
    near = np.isclose(features, kept["features"].values, rtol=0.01, atol=0.01, equal_nan=True)
    assert near.mean() > 0.98


def test_what_is_drawn_without_a_name_is_none_of_these_or_whole(learned):
    kinds = snapshots.kinds(netcdf.read(table.DATA_FILE, table.INSERTION))
    state = learned["morphology_of_state"].values
    names = kinds[learned["grain"].values]
    unnamed = np.isin(names, cartoons.UNNAMED)
    assert set(names[unnamed]) >= {"slope", "ring"}
    wanted = [MORPHOLOGIES.index(name) for name in ("whole", "none of these")]
    assert np.isin(state[unnamed], wanted).all()
    assert np.mean(state[unnamed] == wanted[1]) > 0.6


def test_errors_of_one_regime_are_alike(morphologist, learned):
    """What posteriors are off the truth, by pairs of caught grains of one regime and of two."""
    part, regime = part_of(learned), learned["snapshot_regime"].values
    rng = np.random.default_rng(2)
    own = rng.permutation(np.flatnonzero(part == "calibration"))[:1500]
    posterior = morphologist.posterior(learned["features"].values[own])
    off = np.eye(len(MORPHOLOGIES))[learned["morphology_of_state"].values[own]] - posterior
    off, regime = off[caught(posterior)], regime[own][caught(posterior)]
    product = off @ off.T
    same = (regime[:, None] == regime) & ~np.eye(len(off), dtype=bool)
    other = regime[:, None] != regime
    assert product[same].mean() > 4 * abs(product[other].mean())
    # The mean over a grain's companions, over grains.
    of_grain = [product[one][same[one]].mean() for one in range(len(off)) if same[one].any()]
    ratio = np.mean(of_grain) / np.diag(product).mean()
    assert morphologist.alike == pytest.approx(ratio, abs=0.03)


def test_detection_is_what_calibration_regimes_show(morphologist, learned):
    here = learned.isel(snapshot=part_of(learned) == "calibration")
    called = caught(morphologist.posterior(here["features"].values))
    whole = here["morphology_of_state"].values == MORPHOLOGIES.index("whole")
    assert morphologist.detection.recall == called[~whole].mean() > 0.8
    assert morphologist.detection.false_alarm == called[whole].mean() < 0.05
    ends = np.isin(here["state"].values, (-1, 5))
    assert called[ends].mean() < 0.005


def test_probabilities_hold_on_regimes_that_they_were_not_learned_from(morphologist, learned):
    here = learned.isel(snapshot=part_of(learned) == "calibration")
    posterior = morphologist.posterior(here["features"].values)
    found = study.of_grains(here, posterior)
    assert found["right"] > 0.5  # one in eight by chance
    assert found["ece"] < 0.1
    assert sum(sum(row.values()) for row in found["confusion"].values()) == found["grains"]


def test_a_file_of_other_features_is_refused(learned, tmp_path):
    path = tmp_path / "other.nc"
    other = learned.assign_coords(feature=np.array([*FEATURES[1:], "colour"], dtype=object))
    netcdf.write(other, path, SNAPSHOTS)
    with pytest.raises(InputError, match="features are not those of this version"):
        Morphologist.read(path)


def test_calibration_error_is_the_mean_gap_between_confidence_and_truth():
    right = np.array([True] * 6 + [False] * 4)
    assert study.reliability(right, np.full(10, 0.6))["ece"] == pytest.approx(0.0)
    off = study.reliability(right, np.full(10, 0.95))
    assert off["ece"] == pytest.approx(0.35)
    assert [one["answers"] for one in off["bins"]] == [10]
    assert study.reliability(right, right * 0.5 + 0.25)["ece"] == pytest.approx(0.25)


@pytest.mark.slow
def test_a_population_of_one_morphology_is_called_by_it(morphologist, learned):
    here = learned["regime"].values[learned["snapshot_regime"].values] == "drawn, others"
    drawn = learned.isel(snapshot=here)
    posterior = morphologist.posterior(drawn["features"].values)
    named = study.populations(drawn)
    found = study.of_populations(drawn, posterior, morphologist, named, 10)
    for kind in ("front", "band", "core", "uniform"):
        of_kind = found["state"]["of_each"][f"drawn, others: {kind}"]
        assert of_kind["answer"] == of_kind["dominant"] == kind
    assert found["populations"] == study.POPULATIONS * len(found["state"]["of_each"])


def test_the_study_counts_every_grain_once_and_can_be_written(morphologist, learned, monkeypatch):
    monkeypatch.setattr(study, "POPULATIONS", 2)
    here = learned.isel(snapshot=part_of(learned) == "calibration")
    found = study.told(here, morphologist)
    between = here["morphology_of_state"].values != MORPHOLOGIES.index("whole")
    of_size = [found["grains"][name]["grains"] for name in study.SIZES]
    assert sum(of_size) == found["grains"]["all"]["grains"] == between.sum()
    of_tilt = [one["grains"] for one in found["grains of 20 by tilt"].values()]
    assert sum(of_tilt) == found["grains"]["200 to 449"]["grains"]
    # From the side a core, a nucleus and a band look alike.
    end_on, side = (found["grains of 20 by tilt"][name] for name in ("0 to 34", "65 to 90"))
    assert end_on["right"] > side["right"] + 0.1
    for name in study.SIZES:
        assert found["caught"][name]["recall"] > 0.7 > 0.1 > found["caught"][name]["false_alarm"]
    assert set(found["none of these"]) == {"ring"}
    assert found["none of these"]["ring"]["populations_called_none"] > 0.5
    assert json.loads(json.dumps(found)) == found
