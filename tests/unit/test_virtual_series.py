"""The truth of a virtual in situ series: fronts, frames, clocks, doses."""

from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.experiment.settings.virtual_series import (
    Pulses,
    VirtualBeam,
    VirtualFronts,
    VirtualMember,
    VirtualMotion,
    VirtualSeries,
)
from phasefront.layouts.truth import SERIES_TRUTH
from phasefront.virtual.insertion import placing
from phasefront.virtual.insitu import clock
from phasefront.virtual.insitu.fronts import Pictured, Still, shows_fronts, straight_through
from phasefront.virtual.insitu.motion import Motion
from phasefront.virtual.insitu.series import make_series, truth_of_series

# Nine o'clock in Paris, in summer.
PULSES = Pulses(
    started="2025-07-14T09:00:00+02:00", current_ma=0.02, pulses=3, pulse_s=600, pause_s=300,
    before_s=900, after_s=600,
)  # fmt: skip
CONTENTS, VOLUMES = {"rich": 3.0, "poor": 2.0}, {"rich": 220.0, "poor": 214.0}
ASKED = VirtualSeries(phases=("rich", "poor"), clock_offset_s=37)
STILL = VirtualMotion(drift_px=0, jump_px=0, rotation_deg=0, tilt_deg=0)


def members(count=8, first="2025-07-14T08:05:00+01:00", every=450, **changes):
    begin = datetime.fromisoformat(first)
    given = {"dwell_ms": 30, "row_ms": 2000, "scan_step_nm": 10, "electrons_per_position": 1e6}
    return [
        VirtualMember(
            scan=f"s{number:02d}", start=(begin + timedelta(seconds=every * number)).isoformat(),
            **given | changes,
        )
        for number in range(count)
    ]  # fmt: skip


def make(asked=ASKED, scans=None, **changes):
    given = {"log": "cell", "pulses": PULSES, "shape": (32, 32), "seed": 3} | changes
    return make_series("charging", asked, members=scans or members(), **given)


def told(series):
    return truth_of_series(series, ion_contents=CONTENTS, formula_volumes=VOLUMES)


@pytest.fixture(scope="module")
def series():
    return make()


@pytest.fixture(scope="module")
def truth(series):
    found = told(series)
    SERIES_TRUTH.check(found, "truth")
    return found


def test_the_truth_can_be_written_and_read(truth, tmp_path):
    netcdf.write(truth, tmp_path / "charging.nc", SERIES_TRUTH)
    again = netcdf.read(tmp_path / "charging.nc", SERIES_TRUTH)
    np.testing.assert_array_equal(again["rich"], truth["rich"])


def test_a_straight_front_lies_where_its_speed_times_the_charge_has_brought_it(series, truth):
    """Told from the file alone: half of a column is converted where the middle of the band is."""
    width = truth.attrs["front_width_nm"] / truth.attrs["scan_step_nm"]
    step = truth.attrs["scan_step_nm"]
    straight = np.flatnonzero(truth["course"] == "straight")
    assert len(straight) == 4
    label, rich, charge = (truth[name].values for name in ("label", "rich", "charge"))
    overlap = np.stack([(series.see(scan).thickness > 0).sum(axis=0) > 1 for scan in range(8)])
    tried = 0
    for grain in straight:
        angle = np.radians(float(truth["normal"][grain]))
        along = np.cos(angle) * truth["column"].values + np.sin(angle) * truth["row"].values
        passed = charge - float(truth["begins_charge"][grain])
        way = float(truth["speed"][grain]) / step * np.maximum(passed, 0)
        place = float(truth["origin"][grain]) + way
        ahead = (along - place) / width
        alone = (label == grain) & ~overlap
        np.testing.assert_allclose(rich[alone], np.clip(ahead + 0.5, 0, 1)[alone], atol=1e-5)
        tried += (alone & (np.abs(ahead) < 0.4)).sum()
        entered = [float(truth[f"entry_{name}"][grain]) for name in ("row", "column")]
        along_entry = np.cos(angle) * entered[1] + np.sin(angle) * entered[0]
        assert along_entry == pytest.approx(float(truth["origin"][grain]) + width / 2 + 1)
    assert tried > 50


def test_nothing_moves_while_no_current_flows():
    """Two looks at one region in the same pause, and one after more charge."""
    resting = members(2, first="2025-07-14T08:25:00+01:00", every=70)
    later = members(1, first="2025-07-14T08:32:00+01:00")[0].model_copy(update={"scan": "s99"})
    asked = ASKED.model_copy(
        update={"motion": STILL, "fronts": VirtualFronts(charge=(0.01, 0.99), overlap=0.9)}
    )
    found = told(make(asked, [*resting, later]))
    first, second, third = found["rich"].values
    np.testing.assert_array_equal(first, second)
    assert np.nanmean(third) < np.nanmean(second) - 0.05
    assert found["time"].values[1].min() > found["time"].values[0].max()


def test_rows_that_are_scanned_later_have_converted_further():
    """Phases are those of the moment at which the beam is there."""
    slow = members(1, first="2025-07-14T08:15:00+01:00", row_ms=10000)
    asked = ASKED.model_copy(update={"motion": STILL, "clock_offset_s": 30.0})
    found = make(asked, slow)
    seen = found.see(0)
    assert seen.charge[0, 0] < seen.charge[-1, -1]
    for grain, front in enumerate(found.region.fronts):
        own = front.rich(*seen.places, seen.charge) * (seen.thickness[grain] > 0)
        np.testing.assert_array_equal(seen.rich[grain], own)
    early = found.region.rich(*seen.places, seen.charge.min())
    assert (early - found.region.rich(*seen.places, seen.charge)).max() > 0.3


def test_grains_begin_one_after_another_and_all_end_at_the_charge_asked_for(truth):
    begins, ends = (
        np.sort(truth[name].dropna("grain")) for name in ("begins_charge", "ends_charge")
    )
    whole = clock.switches(PULSES)[1][-1]
    assert begins[0] == pytest.approx(0.05 * whole)
    assert ends.max() == pytest.approx(0.95 * whole)
    assert (np.diff(begins) > 0).all()
    assert (begins[1:] < ends[:-1]).all()


def test_one_grain_never_converts_and_one_is_pictured(series, truth):
    assert sorted(truth["course"].values) == ["pictured"] + ["still"] + ["straight"] * 4
    still = int(np.flatnonzero(truth["course"] == "still")[0])
    assert truth["cause"].values[still] == "none"
    assert np.isnan(truth["begins"].values[still])
    assert isinstance(series.region.fronts[still], Still)
    last = truth.isel(scan=-1)
    alone = (series.see(7).thickness > 0).sum(axis=0) == 1
    here = alone & (last["label"].values == still)
    assert here.any()
    assert (last["rich"].values[here] == 1).all()


@pytest.mark.parametrize("seed", range(12))
def test_each_grain_is_whole_before_its_front_and_after_it(seed):
    region = make(seed=seed).region
    y, x = np.mgrid[-2:34:0.37, -2:34:0.37]
    inside = region.thickness(y, x) > 0
    for grain, front in enumerate(region.fronts):
        here = y[inside[grain]], x[inside[grain]]
        if not isinstance(front, Still):
            assert (front.rich(*here, front.begins) == 1).all()
            assert (front.rich(*here, front.ends) == 0).all()
            # No front reaches a grain late, or leaves it early.
            part = 0.25 * (front.ends - front.begins)
            assert front.rich(*here, front.begins + part).min() < 0.5
            assert front.rich(*here, front.ends - part).max() > 0.5


def test_speeds_under_current_are_those_per_charge(truth):
    speed = truth["speed"].values * PULSES.current_ma / 3600
    np.testing.assert_allclose(truth["speed_under_current"], speed)
    straight = truth["course"].values == "straight"
    # Time from beginning to end, without the pauses between.
    charge = truth["ends_charge"].values - truth["begins_charge"].values
    moving = charge / PULSES.current_ma * 3600
    way = speed * moving
    assert (way[straight] > truth.attrs["front_width_nm"]).all()
    lasted = truth["ends"].values - truth["begins"].values
    assert (lasted[straight] >= moving[straight] - 1e-6).all()


@settings(deadline=None)
@given(
    normal=st.floats(0, 6.3), width=st.floats(0.5, 5), begins=st.floats(0, 1),
    takes=st.floats(0.1, 3),
)  # fmt: skip
def test_a_front_begins_and_ends_as_asked(normal, width, begins, takes):
    y, x = np.mgrid[5:25:0.5, 8:20:0.5].reshape(2, -1)
    front = straight_through(y, x, normal=normal, width=width, begins=begins, ends=begins + takes)
    assert (front.rich(y, x, begins) > 1 - 1e-9).all()
    assert (front.rich(y, x, begins + takes) < 1e-9).all()
    first, last = (front.rich(y, x, begins + part * takes) for part in (0.3, 0.6))
    assert (last <= first).all()
    assert last.sum() < first.sum()


@pytest.mark.parametrize("number", [2, 5, 11])
def test_pictures_go_from_rich_to_poor_and_pass_the_stored_ones(number):
    from phasefront.virtual.insertion.table import FULL, INSERTION

    table = netcdf.read(placing.DATA_FILE, INSERTION)
    grain = [n for n in range(table.sizes["grain"]) if shows_fronts(table, n)][number]
    inside = table["inside"].values[grain] == 1
    front = Pictured.of(
        table, grain, area=float(inside.sum()), turn=0.0, middle=(0.0, 0.0), width=0.5, begins=1.0,
        ends=2.0,
    )  # fmt: skip
    assert front.cell == pytest.approx(1)
    centre = (np.array(inside.shape) - 1) / 2
    y, x = (np.argwhere(inside) - centre).T
    shares = [front.rich(y, x, charge) for charge in np.linspace(0.9, 2.1, 30)]
    assert (shares[0] == 1).all()
    assert (shares[-1] == 0).all()
    assert (np.diff(shares, axis=0) <= 1e-9).all()
    pictures = table["share"].values[grain][:, inside] / FULL
    areas = 1 - (pictures > 0.5).mean(axis=1)
    assert len(front.converted) >= 5
    for converted in front.converted[1:-1]:
        stored = pictures[np.abs(areas - converted).argmin()]
        drawn = front.rich(y, x, 1 + converted) > 0.5
        assert (drawn == (stored > 0.5)).mean() > 0.9
    assert (front.depth_at(y, x) > 0).all()


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 999), drift=st.floats(0, 2), jump=st.floats(0, 3), angle=st.floats(0, 10)
)
def test_a_scan_sees_places_where_it_has_them(seed, drift, jump, angle):
    asked = VirtualMotion(drift_px=drift, jump_px=jump, rotation_deg=angle)
    motion = Motion.draw(asked, 6, (24, 30), np.random.default_rng(seed))
    y, x = np.indices((24, 30), dtype=float)

    def part(y, x):
        return (y + x / 31) / 24

    for scan in range(6):
        places = motion.places(scan, part(y, x))
        back = motion.positions(scan, places, part)
        assert np.abs(back - np.stack([y, x])).max() < 1e-3
    assert np.abs(np.degrees(motion.angle)).max() == pytest.approx(angle)
    np.testing.assert_allclose(np.hypot(*motion.drift.T), drift)
    assert motion.offset[0] == pytest.approx(0)
    np.testing.assert_allclose(motion.places(0, np.zeros((24, 30))), [y, x], atol=1e-9)


def test_the_map_turns_from_x_towards_y_and_shears_by_the_drift():
    motion = Motion(
        (21, 21), offset=np.array([[0, 0], [2.0, -1.0]]), drift=np.array([[0, 0], [0.6, 0.4]]),
        angle=np.array([0, np.pi / 2]),
    )  # fmt: skip
    seen = motion.positions(1, np.array([10.0, 14.0]), lambda y, x: np.zeros(()))
    # Four to the right of the middle, it is now four below it, and moved.
    np.testing.assert_allclose(seen, [14 + 2, 10 - 1], atol=1e-9)
    late = motion.positions(1, np.array([10.0, 14.0]), lambda y, x: np.ones(()))
    np.testing.assert_allclose(late - seen, [0.6, 0.4])


def test_the_drawn_map_moves_with_the_frame(series, truth):
    """A grain's middle in each scan, brought back by the frame's motion, stays where it was."""
    motion = series.motion
    assert np.abs(truth["rotation"]).max() == pytest.approx(3)
    # A grain that is whole within the field of every scan.
    label = truth["label"].values
    whole = [
        grain
        for grain in range(6)
        if not any((label[:, side] == grain).any() for side in (0, -1))
        and not (label[:, :, [0, -1]] == grain).any()
    ]
    assert whole
    for grain in whole:
        middles = []
        for scan in range(8):
            here = label[scan] == grain
            y, x = np.argwhere(here).mean(axis=0)
            part = clock.time_in_scan(series.members[scan], y, x) / clock.lasts(
                series.members[scan], (32, 32)
            )
            moved = np.array([y, x]) - 15.5 - motion.offset[scan] - part * motion.drift[scan]
            cosine, sine = np.cos(motion.angle[scan]), np.sin(motion.angle[scan])
            middles.append(
                [cosine * moved[0] - sine * moved[1], cosine * moved[1] + sine * moved[0]]
            )
        assert np.ptp(middles, axis=0).max() < 0.35
    assert np.abs(motion.offset).max() > 1


def test_the_true_clock_is_that_of_zones_and_of_the_offset(truth):
    # Five past eight at UTC+1 is five past nine in Paris, in summer.
    assert truth["time"].values[0, 0, 0] == pytest.approx(300 + 37)
    assert truth["time"].values[2, 5, 7] == pytest.approx(300 + 37 + 900 + 5 * 2 + 7 * 0.03)
    assert truth.attrs["clock_offset_s"] == 37
    on = (truth["time"] - 900).clip(0, 600) + (truth["time"] - 1800).clip(0, 600)
    on = on + (truth["time"] - 2700).clip(0, 600)
    np.testing.assert_allclose(truth["charge"], 0.02 * on / 3600)


@given(part=st.floats(0.001, 0.999))
def test_the_moment_of_a_charge_is_the_first_at_which_it_has_passed(part):
    charge = part * clock.switches(PULSES)[1][-1]
    time = clock.time_of_charge(PULSES, np.array([charge]))
    assert clock.charge_at(PULSES, time)[0] == pytest.approx(charge, rel=1e-9)
    assert clock.charge_at(PULSES, time - 1e-3)[0] < charge


def test_the_beam_flips_a_share_that_grows_with_dose():
    asked = ASKED.model_copy(update={"fronts": None, "beam": VirtualBeam(flips=300.0), "grains": 8})
    resting = members(4, first="2025-07-14T08:00:00+01:00", every=140)
    found = told(make(asked, resting, shape=(64, 64)))
    assert float(found["charge"].max()) == 0
    shares = []
    for scan in range(4):
        inside = found["thickness"].values[scan] > 0
        dose = found["dose"].values[scan]
        assert dose.max() == pytest.approx(100 * (scan + 1))
        full = inside & (dose == dose.max())
        flipped = found["rich"].values[scan][full] == 0
        expected = 1 - np.exp(-(scan + 1) / 3)
        assert flipped.mean() == pytest.approx(
            expected, abs=4 * np.sqrt(expected * (1 - expected) / full.sum())
        )
        shares.append(flipped.mean())
    assert np.all(np.diff(shares) > 0.1)
    assert set(found["cause"].values) == {"beam"}


def test_without_beam_and_fronts_a_region_stays_as_it_is():
    asked = ASKED.model_copy(update={"fronts": None})
    found = told(make(asked))
    inside = found["thickness"].values > 0
    assert (found["rich"].values[inside] == 1).all()
    assert np.allclose(found["ion_content"].values[inside], 3)
    assert np.isnan(found["rich"].values[~inside]).all()
    assert set(found["cause"].values) == {"none"}


def test_places_that_come_into_the_field_later_got_less():
    asked = ASKED.model_copy(update={"motion": VirtualMotion(drift_px=0.5, jump_px=3)})
    found = told(make(asked))
    dose = found["dose"].values
    np.testing.assert_allclose(dose[0], 100)
    assert dose[-1].max() == pytest.approx(800)
    assert dose[-1].min() < 700
    assert set(np.round(dose.ravel() / 100, 6)) <= set(range(1, 9))


def test_the_same_seed_gives_the_same_truth_and_another_one_another(truth):
    again, other = told(make()), told(make(seed=4))
    for name in truth.variables:
        np.testing.assert_array_equal(truth[name], again[name])
    assert (other["label"].values != truth["label"].values).any()
    assert not np.array_equal(other["offset_row"], truth["offset_row"])


def test_what_happens_does_not_move_the_frame(truth):
    """Sizes are asked for one by one; each has draws of its own."""
    other = told(make(ASKED.model_copy(update={"fronts": None, "gamma_spread": 0.05})))
    for name in ("offset_row", "offset_column", "rotation", "tilt_axis", "row"):
        np.testing.assert_array_equal(truth[name], other[name])
    assert np.ptp(other["gamma"].values) > 0
    assert np.ptp(truth["gamma"].values) == 0


@pytest.mark.parametrize(
    ("shape", "scans", "fronts"),
    [
        ((1, 1), 1, VirtualFronts()),
        ((3, 40), 2, VirtualFronts(overlap=1, never=0, pictured=6)),
        ((9, 8), 3, VirtualFronts(overlap=0, never=6, pictured=0)),
    ],
)
def test_odd_series_can_be_made(shape, scans, fronts):
    asked = ASKED.model_copy(update={"fronts": fronts})
    found = told(make(asked, members(scans), shape=shape))
    assert found["rich"].shape == (scans, *shape)
    inside = found["thickness"].values > 0
    assert inside.any()
    assert ((found["rich"].values[inside] >= 0) & (found["rich"].values[inside] <= 1)).all()
    moving = int((found["cause"] == "charge").sum())
    assert moving == 6 - fronts.never


REFUSED = {
    "before the log": (
        {"scans": members(first="2025-07-14T07:50:00+01:00")},
        r"s00.start: it is taken from -563 to -499 s of a log of 0 to 3900 s",
    ),
    "after the log": ({"scans": members(9, every=460)}, "s08.start: it is taken from 4017 to 4081"),
    "at the same time": ({"scans": members(every=60)}, "s01.start: it begins before the last one"),
    "quick rows": (
        {"scans": members(row_ms=500)}, "s00.row_ms: 32 positions of 30 ms do not fit into a row",
    ),
    "steps": (
        {"scans": [*members(7), members(8, scan_step_nm=12)[7]]}, "s07.scan_step_nm: its step",
    ),
    "no such regime": (
        {"simulated": placing.Choice(regimes=("made of cheese",))}, "no simulated grains of",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "problem"), REFUSED.values(), ids=REFUSED)
def test_impossible_series_are_refused(changes, problem):
    with pytest.raises(InputError, match=problem):
        make(**changes)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"phases": ["Na3", "Na3"]}, "both phases are the same"),
        ({"phases": ["Na3", "Na2"], "grains": 3, "fronts": {"never": 2, "pictured": 2}},
         "2 grains that never convert and 2 pictured ones are more than 3"),
        ({"phases": ["Na3", "Na2"], "fronts": {"charge": [0.7, 0.2]}}, "exchange them"),
    ],
)  # fmt: skip
def test_impossible_settings_are_refused(settings, problem):
    with pytest.raises(ValidationError, match=problem):
        VirtualSeries(**settings)
