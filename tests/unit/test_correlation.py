"""Whether maps say the same: against made maps whose relation is known, and a real particle."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.io
from scipy import ndimage

from phasefront.correlation import autocorrelation
from phasefront.correlation.common_grid import CommonGrid, OnGrid, Quantity
from phasefront.correlation.following import Both, compare
from phasefront.correlation.slopes import (
    between_regressions,
    fit_line,
    moments,
    with_registration,
)
from phasefront.correlation.turned import turned
from phasefront.correlation.verdict import Expected, distance_parts, follow, judge
from phasefront.registration.laying import Laid, Status
from phasefront.registration.placement import Placement, similarity
from phasefront.virtual.modalities import Instrument, make_pair

ROUND = np.hypot(*np.mgrid[-20:20, -20:20]) < 18
ONE_GRAIN = np.where(ROUND, 0, -1)


def smooth(rng, length, shape=(40, 40)):
    field = ndimage.gaussian_filter(rng.standard_normal(shape), length, mode="wrap")
    return field / field.std()


def laid_as(placement, spread_nm=0.0, *, status=Status.ACCEPTED, number=40, seed=0):
    """A registration of this placement, whose draws are moved by `spread_nm` along each axis."""
    rng = np.random.default_rng(seed)
    draws = tuple(
        Placement(placement.row_start + rng.normal(0, spread_nm, 2), placement.column_step)
        for _ in range(number)
    )
    return Laid(
        status, "", placement, draws, (), 1.0, 1.0, 1.0, 0.01, 0.0, False, 1.0, 0.1, 1.0
    )  # fmt: skip


def of_pair(pair, chemistry=None):
    fixed, moving = pair.fixed, pair.moving
    chemistry = pair.chemistry if chemistry is None else chemistry
    return (
        Quantity(pair.structure, pair.structure_stderr, fixed.pixel_nm, fixed.resolution_nm),
        Quantity(chemistry, pair.chemistry_stderr, moving.pixel_nm, moving.resolution_nm),
        np.clip(fixed.value, 0, None), pair.label,
    )  # fmt: skip


def grid_of(value, stderr=0.1):
    return OnGrid(np.where(ROUND, value, np.nan), np.where(ROUND, stderr, np.nan))


def test_maps_on_the_common_grid_are_those_of_the_truth_within_their_errors():
    pair = make_pair(5, Instrument(structure_stderr=0.05, chemistry_stderr=0.05))
    structure, chemistry, thick, _ = of_pair(pair)
    grid = CommonGrid(structure.value.shape, structure.pixel_nm, chemistry.pixel_nm)
    seen = grid.of_scan(structure, chemistry, thick)
    laid = grid.of_map(chemistry, pair.placement)
    gap = laid.value - seen.value
    error = np.hypot(laid.stderr, seen.stderr)
    pull = (gap / error)[np.isfinite(gap)]
    assert len(pull) > 100
    assert np.median(np.abs(pull)) / 0.6745 == pytest.approx(1.0, abs=0.25)


def test_errors_of_smoothed_maps_are_those_of_means():
    rng = np.random.default_rng(1)
    noise = rng.standard_normal((200, 200))
    quantity = Quantity(noise, np.ones_like(noise), 10.0, 0.0)
    other = Quantity(noise, np.ones_like(noise), 20.0, 60.0)
    found = CommonGrid(noise.shape, 10.0, 20.0).of_scan(quantity, other)
    inside = np.s_[10:-10, 10:-10]
    assert found.value[inside].std() == pytest.approx(found.stderr[inside].mean(), rel=0.1)
    placed = similarity((200, 200), 10.0, middle=[995, 995], angle_deg=20, scale=1, mirrored=False)
    laid = CommonGrid(noise.shape, 10.0, 10.0).of_map(quantity, placed)
    pull = (laid.value / laid.stderr)[np.isfinite(laid.value)]
    assert pull.std() == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("length", [1.0, 3.0])
def test_the_effective_number_is_that_of_the_scatter_of_correlations(length):
    """Correlations of unrelated maps scatter by 1/sqrt(n - 1): n of many made ones is the truth."""
    rng = np.random.default_rng(2)
    found, numbers = [], []
    for _ in range(150):
        one, other = (np.where(ROUND, smooth(rng, length), np.nan) for _ in range(2))
        a, b = one[ROUND], other[ROUND]
        found.append(np.corrcoef(a, b)[0, 1])
        if len(numbers) < 20:
            fits = [autocorrelation.fit_covariance(image) for image in (one, other)]
            numbers.append(autocorrelation.effective_number(ROUND, *fits))
    true = 1 + 1 / np.var(found)
    assert np.median(numbers) == pytest.approx(true, rel=0.5)


def test_white_maps_have_as_many_points_as_there_are():
    rng = np.random.default_rng(3)
    fits = [
        autocorrelation.fit_covariance(np.where(ROUND, rng.standard_normal((40, 40)), np.nan))
        for _ in range(2)
    ]
    assert autocorrelation.effective_number(ROUND, *fits) > 0.8 * ROUND.sum()


def test_surrogates_have_the_variogram_of_what_they_stand_for():
    rng = np.random.default_rng(4)
    image = np.where(ROUND, smooth(rng, 2.0) + 0.3 * rng.standard_normal((40, 40)), np.nan)
    covariance = autocorrelation.fit_covariance(image)
    made = autocorrelation.surrogates(ROUND, covariance, 60, rng)
    halves = np.mean([autocorrelation.variogram(one)[1][:5] for one in made], axis=0)
    np.testing.assert_allclose(halves, autocorrelation.variogram(image)[1][:5], rtol=0.25)
    assert np.isnan(made[:, ~ROUND]).all()


def test_turned_grains_keep_their_values_and_stay_where_they_are():
    rng = np.random.default_rng(5)
    label = np.where(ROUND, (np.arange(40) >= 20).astype(int), -1)
    values = np.where(ROUND, label * 10.0 + rng.random((40, 40)), np.nan)
    made = turned(values, label, 5, rng)
    assert np.isfinite(made[:, ROUND]).all()
    assert np.isnan(made[:, ~ROUND]).all()
    assert (made[:, label == 1] >= 10).all()
    assert (made[:, label == 0] < 1).all()


def test_a_slope_is_not_flattened_by_errors_of_the_predictor():
    rng = np.random.default_rng(6)
    slopes, plain = [], []
    for _ in range(20):
        true = smooth(rng, 3.0)
        x, y = (
            true + 0.5 * rng.standard_normal((40, 40)),
            2 * true + rng.standard_normal((40, 40)),
        )
        line = fit_line(
            *(np.where(ROUND, image, np.nan) for image in (x, y)), np.full((40, 40), 0.5)
        )
        slopes.append((line.slope, line.variance))
        plain.append(np.polyfit(x[ROUND], y[ROUND], 1)[0])
    slopes = np.array(slopes)
    assert np.mean(plain) < 1.75
    assert slopes[:, 0].mean() == pytest.approx(2.0, abs=0.06)
    pull = (slopes[:, 0] - 2) / np.sqrt(slopes[:, 1])
    assert 0.3 < pull.std() < 1.4


@pytest.mark.slow
def test_thin_edges_that_are_noisier_are_not_taken_for_likeness_of_neighbours():
    """Pixels far apart differ by more than near ones there, and are independent all the same."""
    rng = np.random.default_rng(8)
    noise = np.where(np.hypot(*np.mgrid[-20:20, -20:20]) > 14, 0.6, 0.1)
    pulls, number = [], []
    for _ in range(60):
        x = smooth(rng, 4)
        y = np.where(ROUND, x + noise * rng.standard_normal(x.shape), np.nan)
        seen = np.where(ROUND, x + 0.05 * rng.standard_normal(x.shape), np.nan)
        line = fit_line(seen, y, np.full(x.shape, 0.05), noise)
        pulls.append((line.slope - 1) / np.sqrt(line.variance))
        number.append(line.effective_number)
    assert 0.75 < np.std(pulls) < 1.2
    assert np.median(number) > 0.5 * ROUND.sum()
    blind = fit_line(seen, y, np.full(x.shape, 0.05))
    assert blind.effective_number < 0.5 * number[-1]


def test_a_predictor_of_errors_alone_has_no_slope():
    rng = np.random.default_rng(7)
    x = rng.standard_normal(200)
    assert moments(x, x, np.full(200, 1.0)) is None
    assert moments(np.ones(200), x, np.zeros(200)) is None


def test_without_stated_errors_the_slope_is_bounded_by_what_they_could_be():
    rng = np.random.default_rng(12)
    true = smooth(rng, 2.0)
    for on_x, on_y in ((0.6, 0.01), (0.01, 0.6), (0.4, 0.4)):
        x, y = (
            np.where(ROUND, true + error * rng.standard_normal(true.shape), np.nan)
            for error in (on_x, on_y)
        )
        plain = moments(x[ROUND], y[ROUND], np.zeros(ROUND.sum()))[0]
        correlation = np.corrcoef(x[ROUND], y[ROUND])[0, 1]
        found, _, _ = between_regressions(x, y, np.full(3, plain), np.full(3, correlation))
        assert found[1] <= 1 <= found[2]
        assert found[1] < found[0] < found[2]
    assert between_regressions(x, rng.permuted(x), np.full(3, 0.01), np.full(3, 0.01)) is None


def test_what_misregistration_takes_off_a_slope_is_put_back():
    """Maps that are laid wrong by as much as draws say lose slope; the estimate does not."""
    rng = np.random.default_rng(9)
    found, lost, plain = [], [], []
    for _ in range(20):
        fine = smooth(rng, 1.5, (60, 60))

        def seen(off, fine=fine):
            return ndimage.shift(fine, off, order=3, mode="wrap")[10:50, 10:50]

        wrong = rng.normal(0, 0.9, 2)
        x = grid_of(seen((0, 0)), 1e-3)
        line = fit_line(x.value, grid_of(seen(wrong)).value, x.stderr)
        slopes = []
        for _ in range(30):
            y = grid_of(seen(wrong + rng.normal(0, 0.9, 2))).value
            slopes.append(moments(x.value[ROUND], y[ROUND], x.stderr[ROUND])[0])
        result = with_registration(line, np.array(slopes))
        found.append(result[0])
        lost.append(result[1])
        plain.append(line.slope)
    found = np.array(found)
    assert np.mean(plain) < 0.9
    assert np.mean(lost) > 0.08
    assert abs(found[:, 0].mean() - 1) < abs(np.mean(plain) - 1) / 2
    assert np.mean((found[:, 1] <= 1) & (found[:, 2] >= 1)) >= 0.85


def test_what_thickness_explains_is_not_left_in_the_partial_correlation():
    rng = np.random.default_rng(10)
    thick = smooth(rng, 3.0)
    x, y = (grid_of(thick + 0.5 * smooth(rng, 2.0)) for _ in range(2))
    found = compare(Both(x, y), [], thick, ONE_GRAIN, ROUND, rng)
    assert found.correlation[0] > 0.6
    assert abs(found.partial) < 0.4
    assert found.partial_chance > 0.05
    assert np.isnan(found.slope).all()  # no draws, no slope


def test_too_few_points_say_nothing():
    few = np.zeros_like(ROUND)
    few[20, 18:22] = True
    x = grid_of(np.ones((40, 40)))
    found = compare(Both(x, x), [], np.ones((40, 40)), ONE_GRAIN, few, np.random.default_rng(0))
    assert found.points == 4
    assert np.isnan(found.correlation).all()
    assert np.isnan(found.chance)


@pytest.fixture(scope="module")
def agreeing():
    pair = make_pair(7)
    return pair, follow(*of_pair(pair), laid_as(pair.placement, 4.0), Expected(1.0, 0.1))


def test_chemistry_that_is_the_structures_agrees(agreeing):
    _, verdict = agreeing
    assert verdict.answer == "agree", verdict.why
    assert verdict.whole.effective < verdict.whole.points / 3


def test_chemistry_of_another_field_does_not_agree(agreeing):
    pair, _ = agreeing
    verdict = follow(
        *of_pair(pair, pair.unrelated), laid_as(pair.placement, 4.0), Expected(1.0, 0.1)
    )
    assert verdict.answer != "agree"


@pytest.mark.slow
def test_unrelated_maps_that_both_follow_thickness_are_told_from_related_ones():
    """Fronts of directions drawn anew; thickness is in both, and what it explains is taken off."""
    chances = []
    for seed in range(900, 915):
        pair = make_pair(seed, Instrument(photons=2e4))
        thick = np.nan_to_num(pair.moving.value)
        chemistry = pair.unrelated + 0.5 * thick / thick.std()
        structure, measured, thickness, label = of_pair(pair, chemistry)
        structure = replace(structure, value=structure.value + 0.5 * thickness / thickness.std())
        laid = laid_as(pair.placement, number=3)
        whole = follow(structure, measured, thickness, label, laid, Expected(1.0, 0.1)).whole
        chances.append(max(whole.chance, whole.partial_chance))
    assert np.sum(np.array(chances) < 0.05) <= 2


def test_chemistry_of_half_the_slope_disagrees(agreeing):
    pair, _ = agreeing
    verdict = follow(
        *of_pair(pair, 2 + (pair.chemistry - 2) * 0.4), laid_as(pair.placement, 4.0),
        Expected(1.0, None),
    )  # fmt: skip
    assert verdict.answer == "disagree", verdict.why


def test_chemistry_that_is_off_by_a_constant_disagrees(agreeing):
    pair, _ = agreeing
    verdict = follow(
        *of_pair(pair, pair.chemistry + 0.6), laid_as(pair.placement, 4.0), Expected(1.0, 0.1)
    )
    assert verdict.answer == "disagree"
    assert "on average" in verdict.why


def test_a_map_that_is_not_laid_tells_nothing(agreeing):
    pair, verdict = agreeing
    refused = replace(laid_as(pair.placement), status=Status.UNDECIDED, why="two ways")
    answer, why = judge(verdict.whole, refused, Expected())
    assert answer == "cannot tell"
    assert "two ways" in why


def test_parts_of_a_grain_are_looked_at_by_themselves(agreeing):
    pair, _ = agreeing
    distance = ndimage.distance_transform_edt(pair.content > 2) * 15.0
    parts = distance_parts(np.where(pair.label >= 0, distance, np.nan), (0.0, 1.0, 300.0))
    verdict = follow(*of_pair(pair), laid_as(pair.placement, 4.0), Expected(), parts=parts)
    first, second = verdict.parts.values()
    assert list(verdict.parts) == [
        "0 to 1 nm from the interface", "1 to 300 nm from the interface",
    ]  # fmt: skip
    assert 0 < first.points < verdict.whole.points
    assert first.points + second.points <= verdict.whole.points


@pytest.mark.slow
def test_a_real_particle_follows_the_cells_of_its_phases(shared_data):
    """LiFePO4 beside FePO4 in one platelet, composition by X-rays and strain by electrons: cells
    differ by 5.2 % along a and -1.9 % along c. A few tens of its 15 000 pixels count, and further
    shifts flatten the slope."""
    file = scipy.io.loadmat(shared_data("modalities/lfp_4dstem_xray/LFP50_P2.mat"))
    total = file["LFP"] + file["FP"]  # optical density
    inside = (file["mask"] > 0.5) & (total > 0.1)
    content = np.where(inside, file["LFP"] / np.where(inside, total, 1.0), np.nan)
    grain = np.where(inside, 0, -1)
    error = np.full(content.shape, np.nan)  # the file states none
    predictor = OnGrid(content, error)

    def shifted(off):
        moved = ndimage.shift(np.nan_to_num(content), off, order=1, mode="nearest")
        known = ndimage.shift(inside * 1.0, off, order=1, mode="nearest") > 0.99
        return OnGrid(np.where(known, moved, np.nan), error)

    rng = np.random.default_rng(11)
    thick = file["HAADF"].astype(float)
    for name, expected in (("exx", 0.052), ("eyy", -0.019)):
        response = OnGrid(np.where(inside, file[name], np.nan), error)
        drawn = [Both(shifted(rng.normal(0, 0.3, 2)), response) for _ in range(40)]
        found = compare(Both(predictor, response), drawn, thick, grain, inside, rng)
        assert 4 < found.effective < 60
        assert found.points > 14_000
        assert found.slope[1] <= expected <= found.slope[2], name
        assert found.slope[0] * expected > 0
    response = OnGrid(np.where(inside, file["exx"], np.nan), error)
    slopes = []
    for step in (0, 2, 5, 8):
        along = []
        for way in ((step, 0), (-step, 0), (0, step), (0, -step)):
            laid = shifted(way).value
            known = np.isfinite(laid) & inside
            along.append(moments(laid[known], response.value[known], np.zeros(known.sum()))[0])
        slopes.append(np.mean(along))
    lost = 1 - np.array(slopes[1:]) / slopes[0]
    np.testing.assert_allclose(lost, [0.02, 0.09, 0.18], atol=0.01)


def test_what_the_map_sees_of_an_unknown_neighbour_is_left_out_and_vacuum_is_none():
    """Beside a part of unknown structure the probe mixes it in; beside vacuum there is nothing."""
    value, thick = np.full((60, 60), 2.0), np.zeros((60, 60))
    thick[10:50, 10:50] = 50.0
    value[thick == 0] = np.nan
    value[10:50, 30:50] = np.nan  # a grain over another
    structure = Quantity(value, np.where(np.isfinite(value), 0.1, np.nan), 10.0, 5.0)
    other = Quantity(np.ones((9, 9)), np.ones((9, 9)), 20.0, 40.0)
    found = CommonGrid((60, 60), 10.0, 10.0).of_scan(structure, other, thick).value
    assert np.isfinite(found[20:40, 12]).all()
    assert np.isnan(found[20:40, 28:]).all()
    assert np.isfinite(found[20:40, 24]).all()
