"""The stage `series` on made series whose truth is known, and its parts on cases one can count."""

import base64
import json
import re
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from benchmarks import insitu, insitu_fronts, insitu_world
from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.core.tables import write as write_table
from phasefront.experiment.settings.virtual_series import VirtualSeries
from phasefront.layouts.series import ALIGNMENT, SERIES, SERIES_TABLE
from phasefront.report.explorer.series import section, series_parts
from phasefront.report.figures import series as pictures
from phasefront.series import aligned, changes, offset, population, wording
from phasefront.series.attribution import attribute
from phasefront.series.course import Course
from phasefront.series.fronts import Courses

SMALL = VirtualSeries(
    phases=("Na3", "Na2"), clock_offset_s=37, grains=3,
    fronts={"never": 1, "pictured": 0}, motion={"jump_px": 0.5},
)  # fmt: skip


@pytest.fixture(scope="module")
def world():
    return insitu_world.make(SMALL, 5, scans=10, shape=(32, 32))


@pytest.fixture(scope="module")
def followed(world):
    return insitu.follow(world, 1)


def test_both_files_can_be_written_and_read(followed, tmp_path):
    for found, layout in zip(followed, (ALIGNMENT, SERIES), strict=True):
        netcdf.write(found, tmp_path / "found.nc", layout)
        netcdf.read(tmp_path / "found.nc", layout)


def test_scans_lie_where_they_lie(world, followed):
    assert max(insitu_fronts.registration_errors(world, followed[0])) < 0.3
    assert (followed[0]["problem"] == "").all()
    np.testing.assert_allclose(
        followed[0]["turn"], world.truth["rotation"] - world.truth["rotation"][0], atol=1.0
    )


def test_grains_convert_when_and_as_they_do(world, followed):
    rows = insitu_fronts.grain_errors(world, followed[1])
    assert [row["converts"] for row in rows] == [row["course"] != "still" for row in rows]
    for row in rows:
        if row["course"] == "still":
            continue
        assert row["way"] == "front"
        assert row["speed"][0] == pytest.approx(row["speed"][3], rel=0.25)
        assert abs((row["direction"][0] - row["direction"][3] + 180) % 360 - 180) < 10


def test_unsmoothed_stands_beside_smoothed(followed):
    found = followed[1]
    for name in ("single", "smooth"):
        states = found[name].to_numpy()
        known = np.isfinite(states[..., 0])
        assert known.any()
        np.testing.assert_allclose(states[known].sum(axis=-1), 1.0, atol=1e-5)
    rich = found["smooth"].to_numpy()[..., 0]
    assert (np.diff(rich, axis=0)[:, np.isfinite(rich[0])] <= 1e-6).all()


def test_what_is_lost_is_masked_and_said(world, followed):
    alignment, found = followed
    assert ((alignment["covered"] < 1) == (alignment["new"] > 0)).to_numpy()[1:].all()
    unseen = np.isnan(found["time"].to_numpy())
    np.testing.assert_array_equal(np.isnan(found["ion_content"].to_numpy()), unseen)
    assert unseen[1:].mean() > unseen[0].mean() - 0.1


def test_the_table_and_the_summary_say_the_same(followed, tmp_path):
    series = {"virtual": followed[1]}
    rows = wording.grain_rows(series)
    write_table(rows, tmp_path / "series.csv", SERIES_TABLE)
    summary = wording.summary(series, {"virtual": followed[0]})
    json.dumps(summary, allow_nan=False)
    (told,) = summary["series"]
    assert told["grains"] == {"seen": len(rows), "converting": int(rows["converts"].sum())}
    assert len(told["scans"]) == 10
    assert "cannot be told" in told["cause"]["verdict"]
    (tmp_path / "series.json").write_text(json.dumps(summary))
    assert wording.sentences([tmp_path / "series.json"]) == {"virtual": told["sentence"]}
    assert wording.sentences([]) == {}


def test_pictures_are_drawn_and_the_film_has_a_frame_a_scan(world, followed, tmp_path):
    found = followed[1]
    assert len(pictures.draw_filmstrip(found).axes) == 20
    pictures.write_film(found, tmp_path / "film.gif")
    with Image.open(tmp_path / "film.gif") as film:
        assert film.n_frames == 10
    once = (tmp_path / "film.gif").read_bytes()
    pictures.write_film(found, tmp_path / "again.gif")
    assert (tmp_path / "again.gif").read_bytes() == once
    course = Course.of(world.cycling)
    assert pictures.draw_fronts(found, course).axes
    assert len(pictures.draw_cell(found, course).axes) == 4


def test_the_page_holds_the_posteriors_of_a_film(followed):
    phases = [
        {"name": name, "label": f"{name} <i>", "colour": "#0072B2"} for name in ("Na3", "Na2")
    ]
    (part,) = series_parts({"virtual": followed[1]}, {"virtual": "It converts <b>."}, phases)
    smooth = unpacked(part.arrays["smooth_poor"])
    expected = followed[1]["smooth"].to_numpy()[..., 2]
    np.testing.assert_allclose(
        np.where(smooth == 255, np.nan, smooth / 250.0), expected, atol=0.0021
    )
    text = section([part])
    assert 'max="9"' in text and "&lt;b&gt;" in text and "<b>" not in text
    assert text.count("<canvas") == 2


def unpacked(packed):
    """A u1 array as the browser reads it."""
    return np.frombuffer(zlib.decompress(base64.b64decode(packed.text)), "u1").reshape(packed.shape)


def test_a_static_control_changes_nothing():
    still = SMALL.model_copy(update={"fronts": None})
    found = insitu.follow(insitu_world.make(still, 6, scans=8, shape=(32, 32)), 1)[1]
    poor = found["smooth"].to_numpy()[..., 2]
    assert np.nanmax(poor) < 0.95
    assert not found["converts"].any()
    assert attribute("s", {"s": found}).verdict == "nothing converts"


def test_a_single_scan_is_no_series(world):
    with pytest.raises(InputError, match="one scan"):
        aligned.in_order("charging", {"s00": world.scans["s00"]})


def test_a_series_without_grains_is_refused(world):
    none = {
        name: one.assign(label=one["label"] * 0 - 1).isel(grain=slice(0))
        for name, one in world.grains.items()
    }
    with pytest.raises(InputError, match="no grain was found in 's00'"):
        aligned.align_series("charging", world.scans, none, insitu.SYMMETRY)


def test_counts_that_a_writer_scaled_are_noticed(world):
    rng = np.random.default_rng(0)
    pattern = rng.gamma(1.0, 50.0, (64, 64))
    scaled = {"s00": pattern, "s01": 3.0 * pattern**0.4}
    scans = {
        name: one.drop_vars(["mean_pattern", "max_pattern"]).assign(
            mean_pattern=(("ky", "kx"), scaled.get(name, pattern))
        )
        for name, one in list(world.scans.items())[:3]
    }
    found = aligned.align_series("s", scans, world.grains, insitu.SYMMETRY)
    np.testing.assert_allclose(found["intensity_exponent"], [1.0, 0.4, 1.0], atol=0.01)
    median = np.median(pattern[pattern >= np.median(pattern)])
    assert float(found["intensity_factor"][1]) == pytest.approx(3 * median**-0.6, rel=0.05)


def test_the_time_of_a_change_is_that_between_scans():
    move = np.array([[0.0, 1.0, 0.0], [0.5, 0.5, 0.0], [0.0, 0.2, 0.0]])
    time = np.array([[0.0, 10, 20, 30]] * 3)
    found = changes.change_times(move, time)
    np.testing.assert_allclose(found[:, 0], [15, 10.25, 19.75])
    np.testing.assert_allclose(found[:, 1], [10, 0.5, 19.5])
    assert np.isnan(found[:, 2]).all()


def test_grains_one_after_another_do_not_overlap_and_all_at_once_do():
    begin = np.arange(6.0)
    one_by_one = population.overlap(begin, begin + 1)
    assert one_by_one == pytest.approx([0, 0, 0], abs=1e-12)
    together = population.overlap(np.zeros(6), np.ones(6))
    assert together == pytest.approx([1, 1, 1])
    assert np.isnan(population.overlap(begin[:2], begin[:2] + 1)).all()
    half = population.overlap(begin, begin + 2)
    assert 0 < half[0] < 0.5


@given(st.integers(0, 2**32 - 1), st.integers(3, 12))
@settings(max_examples=40, deadline=None)
def test_overlaps_lie_between_none_and_all(seed, grains):
    rng = np.random.default_rng(seed)
    begin = rng.uniform(0, 10, grains)
    value, low, high = population.overlap(begin, begin + rng.uniform(0, 5, grains))
    assert 0 <= low <= high <= 1 and -1e-9 <= value <= 1 + 1e-9


def test_swept_area_follows_the_charge_with_its_lag():
    log_time = np.linspace(0, 1000, 1001)
    log_charge = np.clip((log_time - 200) / 600, 0, 1)
    time = np.linspace(0, 1000, 41)
    area = 0.8 * np.interp(time - 100, log_time, log_charge)
    slope, lag = population.balance(
        np.repeat(area[:, None], 4, axis=1), np.ones(4), time, log_time, log_charge, seed=1
    )
    assert slope[0] == pytest.approx(0.8, rel=1e-3) and lag[0] == pytest.approx(100, abs=1e-6)


IRREGULAR = np.array([0.0, 1400.0, 3100.0, 4700.0, 6900.0])


def pulsed(offset_s, *, pulses=True, alike=False):
    """Fronts through two grains that go as charge flows, of which each scan sees exactly what has
    changed, and the log; scans' times are `offset_s` too early."""
    log_time = np.arange(0.0, 20000.0, 10.0)
    flows = (log_time > 6000) & (log_time < 14000)
    if pulses:
        begins = 6000.0 + (1800.0 * np.arange(5) if alike else IRREGULAR)
        since = log_time[:, None] - begins
        flows &= ((since >= 0) & (since < 900)).any(axis=1)
    passed = np.cumsum(flows) / flows.sum()
    scans = np.arange(6000.0, 14000.0, 400.0)
    y, x = (axis.ravel() for axis in np.mgrid[0:6, 0:6])
    grains = []
    for begin, speed, turn in ((0.1, 0.05, 0.3), (0.3, 0.04, 2.0)):
        changes_at = begin + speed * (y * np.sin(turn) + x * np.cos(turn))
        time = scans + 6.0 * y[:, None]
        has = np.interp(time, log_time, passed) >= changes_at[:, None]
        gap = has.argmax(axis=1)  # 0 where it changed before the first scan, or never
        never = ~has.any(axis=1)
        ends = np.concatenate([np.full((36, 1), -np.inf), time, np.full((36, 1), np.inf)], axis=1)
        gap[never] = len(scans)
        at = np.arange(36), gap
        of_one = (np.zeros(36), ends[at] - offset_s, ends[at[0], gap + 1] - offset_s)
        grains.append((Courses(*(values[:, None] for values in of_one)), np.stack([y, x], axis=1)))
    return grains, scans - offset_s, log_time, passed


@pytest.mark.slow
@pytest.mark.parametrize("wrong", [0.0, 600.0, 3600.0])
def test_pulses_tell_a_wrong_offset(wrong):
    found = offset.ask_offset(*pulsed(wrong))
    assert found.interval[1] <= wrong <= found.interval[2]
    assert abs(found.interval[0] - wrong) < 400
    agrees = "agrees with it" in found.sentence
    assert agrees == (wrong == 0.0)


def test_a_fit_of_an_offset_goes_down_its_own_slope():
    """Where readings lie beside their places, too."""
    grains, _, log_time, passed = pulsed(0.0)
    rng = np.random.default_rng(4)
    found, place = grains[0]
    aside = [rng.uniform(-0.5, 0.5, (36, 1, 2)) for _ in range(2)]
    grain = offset._Grain.of(found._replace(after_aside=aside[0], before_aside=aside[1]), place)
    low, high = (np.interp(ends, log_time, passed) for ends in (grain.after, grain.before))
    low, high = np.where(grain.after < 0, -np.inf, low), np.where(grain.before > 1e9, np.inf, high)
    at = np.array([0.2, 0.08, 0.05, np.log(0.05)])
    value, slope = grain._against(at, low, high)
    numeric = [
        (grain._against(at + step, low, high)[0] - grain._against(at - step, low, high)[0]) / 2e-6
        for step in 1e-6 * np.eye(4)
    ]
    assert np.isfinite(value) and slope == pytest.approx(numeric, rel=1e-4, abs=1e-4)


def test_pulses_that_are_alike_leave_a_whole_period_open():
    found = offset.ask_offset(*pulsed(0.0, alike=True))
    assert found.interval[1] <= 0 <= found.interval[2]
    other = re.search(r"\(or (\S+) s.*pulses are alike", found.sentence)[1]
    assert float(other) == pytest.approx(1800, abs=80)  # a step of those that are tried


def test_a_steady_current_does_not():
    found = offset.ask_offset(*pulsed(0.0, pulses=False))
    assert np.isnan(found.interval).all() and "not identifiable" in found.sentence


def made(moved, charge, dose, *, flow="out"):
    """A SERIES of what attribution reads."""
    import xarray as xr

    moved = np.asarray(moved, "f8")
    done = np.concatenate([np.zeros((1, moved.shape[1])), moved.cumsum(axis=0)])[:-1]
    return xr.Dataset(
        {
            "moved": (("gap", "grain"), moved), "at_risk": (("gap", "grain"), 1 - done),
            "charge": ("scan", np.asarray(charge, "f8")), "dose": ("scan", np.asarray(dose, "f8")),
        },
        attrs={"flow": flow},
    )  # fmt: skip


def one_by_one(grains, gaps):
    """Each grain converts in a gap of its own."""
    return np.eye(gaps)[:, np.arange(grains) % gaps]


DOSE = 100.0 * np.arange(1, 22)


def test_charge_and_dose_that_grow_together_tell_no_cause():
    found = attribute("s", {"s": made(one_by_one(12, 20), np.arange(21), DOSE)})
    assert found.verdict == "cannot be told" and found.correlation > 0.999
    assert found.by_beam[1] < 0.05 and found.by_beam[2] > 0.95


def test_a_control_in_which_nothing_happens_leaves_the_charge():
    series = made(one_by_one(12, 20), np.arange(21), DOSE)
    control = made(np.zeros((20, 12)), np.zeros(21), DOSE, flow="none")
    found = attribute("s", {"s": series, "c": control})
    assert found.verdict == "charge" and found.controls == ["c"]


def test_a_control_that_converts_as_well_leaves_the_beam():
    series = made(one_by_one(40, 20), np.arange(21), DOSE)
    control = made(one_by_one(40, 20), np.zeros(21), DOSE, flow="none")
    assert attribute("s", {"s": series, "c": control}).verdict == "beam"
    assert attribute("c", {"s": series, "c": control}).verdict == "beam"


@pytest.mark.parametrize("converting", [3, 6])
def test_where_controls_convert_as_the_series_does_charge_is_not_the_cause(converting):
    moved = one_by_one(6, 20) * (np.arange(6) < converting)
    series = made(moved, np.arange(21), DOSE)
    control = made(moved[::-1], np.zeros(21), DOSE, flow="none")
    assert attribute("s", {"s": series, "c": control}).verdict in ("cannot be told", "beam")


@given(seed=st.integers(0, 2**32 - 1), grains=st.integers(4, 12))
@settings(max_examples=25, deadline=None)
def test_a_control_that_converts_more_never_leaves_more_to_the_charge(seed, grains):
    rng = np.random.default_rng(seed)
    series = made(one_by_one(grains, 20), np.arange(21), DOSE)
    moved = one_by_one(grains, 20)[rng.permutation(20)]
    some, more = (moved * (np.arange(grains) < n) for n in sorted(rng.integers(0, grains + 1, 2)))
    parts = [
        attribute("s", {"s": series, "c": made(one, np.zeros(21), DOSE, flow="none")}).by_beam
        for one in (some, more)
    ]
    assert (parts[0] <= parts[1] + 1e-9).all()


def test_a_control_of_two_grains_or_of_little_dose_is_too_little():
    series = made(one_by_one(12, 20), np.arange(21), DOSE)
    few = made(np.zeros((20, 2)), np.zeros(21), DOSE, flow="none")
    short = made(np.zeros((2, 12)), np.zeros(3), DOSE[:3], flow="none")
    for control in (few, short):
        assert attribute("s", {"s": series, "c": control}).verdict == "cannot be told"


def test_controls_that_disagree_tell_no_cause():
    series = made(one_by_one(40, 20), np.arange(21), DOSE)
    converts = made(one_by_one(40, 20), np.zeros(21), DOSE, flow="none")
    still = made(np.zeros((20, 40)), np.zeros(21), DOSE, flow="none")
    found = attribute("s", {"s": series, "a": converts, "b": still})
    assert found.verdict == "cannot be told" and "do not agree" in found.reason


def test_a_dose_that_is_not_stated_tells_no_cause():
    series = made(one_by_one(12, 20), np.arange(21), np.full(21, np.nan))
    found = attribute("s", {"s": series})
    assert found.verdict == "cannot be told" and "not stated" in found.reason
