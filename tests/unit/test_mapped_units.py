"""Grains of a mapped field as a sample: which they are, and whether intervals hold the truth."""

import numpy as np
import pytest
from examples import example

from phasefront.comparison.sources.chemistry import Chemistry
from phasefront.comparison.sources.sample import weighted_mean
from phasefront.comparison.sources.units import mapped_units
from phasefront.layouts.chemistry import CHEMISTRY
from phasefront.layouts.registration import REGISTRATION
from phasefront.registration.placement import similarity

STEP, PIXEL, SHAPE = 10.0, 20.0, (60, 60)
PLACEMENT = similarity(
    SHAPE, PIXEL, middle=np.array([400.0, 400.0]), angle_deg=30, scale=1.02, mirrored=True
)
MATERIAL = None  # maps ask nothing of it


def field(count, *, apart=True):
    """Grains (y, x) of a scan of 80 x 80 positions: squares in rows, apart or side by side."""
    label = np.full((80, 80), -1)
    size = 14 if apart else 18
    for one in range(count):
        row, column = divmod(one, 4)
        label[4 + 18 * row :, 4 + 18 * column :][:size, :size] = one
    return label


def laid_map(label, contents, *, status="accepted", name="m", thick=1.0, shared=0.0):
    """A map of the grains' contents, turned, mirrored and coarser, and where it lies."""
    place = np.rint(PLACEMENT.positions(SHAPE[1]) / STEP).astype(int)
    inside = ((place >= 0) & (place < 80)).all(axis=-1)
    row, column = np.where(inside[..., None], place, 0).transpose(2, 0, 1)
    number = np.where(inside, label[row, column], -1)
    told = number >= 0
    value = np.where(told, np.asarray(contents)[number], np.nan)
    amount = np.where(told, np.broadcast_to(thick, len(contents))[number], 0.0)
    chemistry = example(
        CHEMISTRY, value=value, standard_error=np.where(told, 0.02, np.nan), mask=told,
        systematic_error=np.where(told, shared, np.nan), thickness=amount, map=name,
        pixel_y_nm=PIXEL, pixel_x_nm=PIXEL, quantity="ion content",
    )  # fmt: skip
    registration = example(
        REGISTRATION, row_start=PLACEMENT.row_start, column_step=PLACEMENT.column_step,
        status=status, scan="s", scan_step_nm=STEP,
    )  # fmt: skip
    return chemistry, registration


def content(*maps):
    source = Chemistry()
    assert source.refused(maps, MATERIAL) == ""
    return source.ion_content(source.usable(maps, MATERIAL), "half")


@pytest.mark.parametrize("apart", [True, False])
@pytest.mark.parametrize("count", [1, 3, 8])
def test_grains_of_one_field_are_units_wherever_it_lies(count, apart):
    label, contents = field(count, apart=apart), np.linspace(2.2, 2.8, count)
    chemistry, registration = laid_map(label, contents)
    units = mapped_units(chemistry, registration=registration, label=label)
    assert units["value"].to_numpy() == pytest.approx(contents)
    # Pixels of 400 nm2 (8 % more in truth) of squares.
    area = np.bincount(label[label >= 0]) * STEP**2
    assert units["amount"].to_numpy() * PIXEL**2 == pytest.approx(area / 1.02**2, rel=0.15)
    assert len(set(units["agglomerate"].to_numpy())) == (count if apart else 1)
    if count < 3:
        said = Chemistry().refused([units], MATERIAL)
        assert said == "1 mapped grain, where 3 are needed to tell how they differ"
        return
    value, low, high = content(units)
    assert value == pytest.approx(contents.mean(), abs=0.02)
    freedom = {3: 4.303, 8: 2.365}[count]
    expected = freedom * contents.std(ddof=1) / np.sqrt(count)
    assert (high - low) / 2 == pytest.approx(expected, rel=0.05)


def test_regions_of_a_map_that_lies_on_no_scan_are_units():
    label = field(8)
    chemistry, _ = laid_map(label, np.linspace(2.2, 2.8, 8))
    units = mapped_units(chemistry)
    assert np.sort(units["value"].to_numpy()) == pytest.approx(np.linspace(2.2, 2.8, 8))
    touching, _ = laid_map(field(8, apart=False), np.linspace(2.2, 2.8, 8))
    assert mapped_units(touching).sizes["unit"] == 1


def test_thick_grains_weigh_more_and_hidden_middles_count():
    label, contents = field(3), [2.0, 2.5, 3.0]
    chemistry, registration = laid_map(label, contents, thick=[3.0, 1.0, 1.0])
    middle = mapped_units(chemistry, registration=registration, label=label)
    assert content(middle)[0] == pytest.approx((3 * 2 + 2.5 + 3) / 5, abs=0.02)
    told = chemistry["mask"].to_numpy().copy()
    rows, columns = np.nonzero(chemistry["thickness"].to_numpy() == 3)
    told[rows[::2], columns[::2]] = 0  # too dense to be told, and there all the same
    hidden = chemistry.assign(mask=(("y", "x"), told))
    kept = mapped_units(hidden, registration=registration, label=label)
    assert content(kept)[0] == pytest.approx(content(middle)[0], abs=0.01)


def test_a_grain_of_two_maps_counts_once_and_of_maps_nobody_matched_one_does():
    label, contents = field(4), np.array([2.2, 2.4, 2.6, 2.8])

    def units(status, name, values):
        chemistry, registration = laid_map(label, values, status=status, name=name)
        return mapped_units(chemistry, registration=registration, label=label)

    one, two = units("accepted", "a", contents), units("accepted", "b", contents + 0.1)
    alone, both = content(one), content(one, two)
    assert both[0] == pytest.approx(alone[0] + 0.05)
    assert np.ptp(both[1:]) == pytest.approx(np.ptp(alone[1:]), rel=0.01)
    chemistry, registration = laid_map(label, contents + 0.2, name="e", shared=0.2)
    worse = mapped_units(chemistry, registration=registration, label=label)
    assert content(one, worse) == pytest.approx(alone, abs=0.01)
    refused = units("refused", "c", contents + 0.4)
    assert content(one, refused) == pytest.approx(alone)
    again = units("undecided", "d", contents + 0.8)
    assert content(refused, again) == pytest.approx(content(refused))


def test_specks_and_what_is_said_to_be_one_particle_are_no_grains():
    label = field(3)
    label[70:72, 70:72] = 3
    chemistry, registration = laid_map(label, [2.2, 2.5, 2.8, 9.0])
    units = mapped_units(chemistry, registration=registration, label=label)
    assert units.sizes["unit"] == 3
    whole = mapped_units(chemistry, particle="p", registration=registration, label=label)
    assert Chemistry().refused([whole, whole], MATERIAL).startswith("1 mapped grain,")


def coverage(*, groups, each, between, within, shared, told_shared, grouped, runs=1500):
    """Share of runs whose interval holds the true mean of grains that weigh as they happen to."""
    rng = np.random.default_rng(7)
    held = 0
    group = np.repeat(np.arange(groups), each)
    for _ in range(runs):
        value = 2.5 + rng.normal(0, between, groups)[group] + rng.normal(0, within, len(group))
        value += rng.normal(0, shared) + rng.normal(0, 0.02, len(group))
        _, low, high = weighted_mean(
            value, np.full(len(group), 0.02**2), rng.lognormal(0, 0.6, len(group)),
            group if grouped else None, shared_stderr=told_shared,
        )  # fmt: skip
        held += low <= 2.5 <= high
    return held / runs


@pytest.mark.parametrize("grains", [3, 8])
def test_intervals_of_independent_grains_hold_the_truth(grains):
    held = coverage(
        groups=grains, each=1, between=0.1, within=0, shared=0, told_shared=0, grouped=False
    )
    assert 0.93 < held < 0.985


def test_grains_that_share_an_error_are_not_eight_measurements():
    """Eight grains of one agglomerate, all off by what references make of them."""
    made = {"groups": 1, "each": 8, "between": 0.0, "within": 0.05, "shared": 0.1}
    assert coverage(told_shared=0.0, grouped=False, **made) < 0.7
    assert 0.93 < coverage(told_shared=0.1, grouped=False, **made) < 0.985


def test_agglomerates_whose_grains_are_alike_are_the_sample():
    made = {"groups": 5, "each": 8, "between": 0.1, "within": 0.05, "shared": 0.0}
    assert coverage(told_shared=0.0, grouped=False, **made) < 0.75
    assert 0.93 < coverage(told_shared=0.0, grouped=True, **made) < 0.985


def test_equal_weights_give_students_interval():
    value = np.array([2.1, 2.4, 2.5, 2.9])
    found = weighted_mean(value, np.zeros(4), np.ones(4))
    half = 3.182446 * value.std(ddof=1) / 2
    assert found == pytest.approx([value.mean(), value.mean() - half, value.mean() + half])
