"""Power before the session: what is foreseen is what populations drawn so show; bad input."""

import sys

import numpy as np
import pytest
from scipy.special import expit

from phasefront.cli.main import main
from phasefront.diffraction import rotations
from phasefront.diffraction.crystals import laue_rotations
from phasefront.mechanisms import order, planning, sphere

MMM = rotations.matrices(laue_rotations("mmm"))


@pytest.mark.parametrize("share", [0.02, 0.2, 0.5, 0.9])
def test_grains_caught_are_those_of_a_population_that_begins_evenly(share):
    rng = np.random.default_rng(1)
    lasts = share / (1.0 + share)
    begin = rng.uniform(0.0, 1.0 - lasts, 200_000)
    for place in (0.05, 0.3, 0.5, 0.9, 1.0):
        caught = np.mean((begin < place) & (place < begin + lasts))
        assert planning.caught_at(place, share) == pytest.approx(caught, abs=0.005)
    assert planning.caught_at(0.5, share) == pytest.approx(share)
    assert (planning.caught_at(np.array([-0.1, 1.2]), share) == 0.0).all()


@pytest.mark.parametrize("seen", ["clean", "poor"])
def test_errors_of_traces_fall_with_size(seen):
    sizes = np.array([8, 10, 12, 16, 20, 25, 30])
    errors = [planning.trace_error_deg(size, seen) for size in sizes]
    assert (np.diff(errors) < 0.0).all()
    assert planning.trace_error_deg(300, seen) == errors[-1]
    assert np.isnan(planning.trace_error_deg(7.9, seen))


def test_scans_of_poor_columns_are_less_sure():
    for size in (8, 15, 30):
        assert planning.trace_error_deg(size, "poor") > planning.trace_error_deg(size, "clean")


def test_drawn_fronts_lie_in_their_plane():
    rng = np.random.default_rng(2)
    normal, traces = planning.drawn(rng, 40, 0.0, MMM, astray=0.0, tilt_error_deg=0.0)
    assert np.linalg.norm(traces.trace, axis=1) == pytest.approx(1.0)
    assert (traces.trace * traces.beam).sum(axis=1) == pytest.approx(0.0, abs=1e-12)
    in_plane = np.abs(np.einsum("fi,vi->fv", traces.trace, sphere.variants(normal, MMM)))
    assert in_plane.min(axis=1) == pytest.approx(0.0, abs=1e-9)
    variant = sphere.variants(normal, MMM)[in_plane.argmin(axis=1)]
    tilt = np.degrees(np.arcsin(np.abs((variant * traces.beam).sum(axis=1))))
    assert traces.tilt_deg == pytest.approx(tilt, abs=1e-5)


def test_an_expected_plane_is_nearer_with_more_grains():
    few, many = (
        planning.expected_plane(number, 2.0, MMM, tilts=False, seed=1, repeats=20)
        for number in (5, 15)
    )
    assert many.error_deg < few.error_deg
    assert many.region_deg < few.region_deg


def test_the_smallest_log_odds_shows_as_often_as_it_says():
    """A score test of one covariate among whole grains, half of them converted."""
    rng = np.random.default_rng(3)
    log_odds = order.smallest_log_odds(60, 0.5, tests=1)
    shown = 0
    for _ in range(600):
        covariate = rng.normal(size=60)
        covariate = (covariate - covariate.mean()) / covariate.std()
        converted = (rng.random(60) < expit(log_odds * covariate)).astype(float)
        rest = converted - converted.mean()
        shown += abs(covariate @ rest) > 1.96 * rest.std() * np.sqrt(60)
    assert 0.7 < shown / 600 < 0.88
    assert order.smallest_log_odds(60, 0.5, tests=6) > log_odds


# The command


def asked(monkeypatch, *arguments):
    """Exit code of `phasefront plan` with arguments."""
    monkeypatch.setattr(sys, "argv", ["phasefront", "plan", *arguments])
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as left:
        main()
    return left.value.code


GRAINS = ["--grains", "8", "--diameter", "100", "--step", "5"]


@pytest.mark.slow
def test_a_plan_says_what_so_many_grains_tell(monkeypatch, capsys):
    assert asked(monkeypatch, *GRAINS, "--grains", "12", "--x", "0.5", "0.95") == 0
    said = capsys.readouterr().out
    assert "12 grains in each state, 100 nm or 20 positions across" in said
    assert "0.95" in said and "between 0.3 and 0.7 of the field" in said
    for words in ("one by one", "concurrent", "log odds", "Habit plane"):
        assert words in said


def test_states_outside_of_every_field_tell_nothing(monkeypatch, capsys):
    config = "config/demo.yaml"
    assert asked(monkeypatch, config, *GRAINS, "--x", "2.05") == 0
    said = capsys.readouterr().out
    assert said.count("No state lies in it") == 1
    assert "choose x between 2.3 and 2.7" in said
    assert "Habit plane" not in said


def test_too_few_grains_for_any_effect_are_told_so(monkeypatch, capsys):
    assert asked(monkeypatch, "--grains", "4", "--diameter", "100", "--step", "5") == 0
    said = capsys.readouterr().out
    assert "covariates never, however strong" in said
    assert "inf" not in said.replace("information", "")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (["--grains", "2"], "--grains: 2 grains tell nothing of a population; give at least 3"),
        (["--step", "20"], "--step: grains of 5.0 positions across show no front; scan in steps"),
        (["--step", "-1"], "--step: -1 nm is no length"),
        (["--step", "nan"], "--step: nan nm is no length"),
        (["--diameter", "inf"], "--diameter: inf nm is no length"),
        (["--power", "1"], "--power: 1 is no power"),
        (["--x", "nan"], "--x: an ion content is not finite"),
        (["--grains", "99999999"], "no session sees"),
    ],
)
def test_a_session_that_cannot_be_is_refused_in_a_sentence(monkeypatch, capsys, changed, said):
    assert asked(monkeypatch, *GRAINS, *changed) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in captured.err and captured.err.count("\n") == 1


def test_a_config_that_is_none_is_refused(monkeypatch, capsys, tmp_path):
    assert asked(monkeypatch, str(tmp_path / "none.yaml"), *GRAINS) == 2
    assert "none.yaml" in capsys.readouterr().err
