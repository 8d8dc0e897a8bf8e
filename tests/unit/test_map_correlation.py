"""Chemistry of a map against a scan, from data sets: what each registration lets be said."""

import io
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from examples import example

from phasefront.core import netcdf, tables
from phasefront.correlation import result
from phasefront.correlation.of_map import correlate_map
from phasefront.correlation.structure import interface_distance, ion_content_of, phase_parts
from phasefront.layouts.chemistry import CHEMISTRY
from phasefront.layouts.correlation import CORRELATION, CORRELATION_TABLE
from phasefront.layouts.grains import GRAINS
from phasefront.layouts.interfaces import INTERFACES
from phasefront.layouts.phases import MIXED, PHASES, UNDECIDED, UNINDEXED, VACUUM
from phasefront.layouts.registration import REGISTRATION
from phasefront.registration.laying import Laid, Optimum, Status
from phasefront.registration.placement import Placement
from phasefront.registration.result import as_dataset
from phasefront.report.figures import correlation as pictures
from phasefront.report.figures import style
from phasefront.report.figures.registration import draw_registration
from phasefront.report.jobs import Jobs
from phasefront.report.methods_of_stacks import tell_correlations, tell_registrations
from phasefront.virtual.modalities import make_pair

SEED = 5


@pytest.fixture(scope="module")
def pair():
    return make_pair(SEED)


def laid_as_it_truly_lies(pair, status=Status.ACCEPTED, why="", *, number=24):
    rng = np.random.default_rng(0)
    draws = tuple(
        Placement(pair.placement.row_start + rng.normal(0, 4.0, 2), pair.placement.column_step)
        for _ in range(number)
    )
    return Laid(
        status, why, pair.placement, draws, (Optimum(pair.mirrored, 0.0, 1.0, 1.0, 0.0),), 1.0, 1.0,
        1.0, 0.01, 0.0, pair.mirrored, 1.0, 3.0, 1.0,
    )  # fmt: skip


def scanned(pair):
    """PHASES, GRAINS and INTERFACES of a pair's scan, with an interface through the middle."""
    rich = pair.structure > 2
    decision = np.where(pair.label < 0, VACUUM, np.where(rich, 0, 1))
    phases = example(
        PHASES, phase=["Na3", "Na1"], decision=decision, ion_content=pair.structure,
        ion_content_stderr=pair.structure_stderr,
    )  # fmt: skip
    grains = example(GRAINS, label=pair.label, grain=int(pair.label.max()) + 1)
    count = int(pair.label.max()) + 1
    middle = np.argwhere(pair.label == 0).mean(axis=0)
    interfaces = example(
        INTERFACES, grain=count, grain_edge=count + 1,
        segment_offset=np.r_[0, np.ones(count, int)],
        end_y=[[middle[0] - 5, middle[0] + 5]], end_x=[[middle[1], middle[1]]],
    )  # fmt: skip
    return phases, grains, interfaces


def found(pair, laid, *, value=None, systematic=0.0, **given):
    value = pair.chemistry if value is None else value
    told = np.isfinite(value)
    chemistry = example(
        CHEMISTRY, value=value, standard_error=pair.chemistry_stderr, mask=told,
        systematic_error=np.where(told, systematic, np.nan),
        **{"quantity": "ion content", "unit": "ions per formula unit", "map": "s1", "method": ""}
        | {name: given.pop(name) for name in ("quantity", "unit", "method") if name in given},
    )  # fmt: skip
    registration = as_dataset(laid, pair.moving, pair.fixed, pair.label, scan="a")
    options = {
        "ion_contents": [3.0, 1.0], "resolution_nm": pair.moving.resolution_nm, "probe_nm": 5.0,
        "per_ion": None, "margin": 0.1, "distances_nm": [0, 60, 200], "seed": 1,
    } | given  # fmt: skip
    made = correlate_map(chemistry, registration, *scanned(pair), **options)
    CORRELATION.check(made, "example")
    return made, result.summary(made, registration)


@pytest.fixture(scope="module")
def agreeing(pair):
    return found(pair, laid_as_it_truly_lies(pair))


def test_chemistry_that_is_the_structures_agrees_with_numbers_on_the_scans_grid(pair, agreeing):
    made, said = agreeing
    assert said["answer"] == made.attrs["answer"] == "agree", said["why"]
    assert made["chemistry"].shape == pair.label.shape
    assert made.sizes["draw"] == 6
    known = np.isfinite(made["chemistry"].to_numpy()) & (pair.label >= 0)
    off = (made["chemistry"].to_numpy() - pair.content)[known]
    assert np.median(np.abs(off)) < 0.15
    told = np.isfinite(made["registration_stderr"].to_numpy())
    assert (made["registration_stderr"].to_numpy()[told] >= 0).all()
    whole = said["parts"]["whole"]
    assert whole["slope"]["low"] <= 1 <= whole["slope"]["high"]
    assert whole["effective"] < whole["points"]
    assert list(said["parts"]) == [
        "whole", "Na3", "Na1", "0 to 60 nm from the interface", "60 to 200 nm from the interface"
    ]  # fmt: skip


@pytest.mark.parametrize("status", [Status.REFUSED, Status.UNDECIDED])
def test_a_map_that_is_not_laid_has_no_number_and_says_why(pair, status):
    made, said = found(pair, laid_as_it_truly_lies(pair, status, "two ways to lie"))
    assert said["answer"] == "cannot tell"
    assert said["why"] == "the map is not laid: two ways to lie"
    assert said["registration"] == {
        "status": status.name.lower(), "why": "two ways to lie", "chi_squared": 1.0
    }  # fmt: skip
    assert "parts" not in said
    numbers = set(CORRELATION.variables) - {"part", "points", "interface_distance"}
    assert all(np.isnan(made[name]).all() for name in numbers)
    assert made.sizes["draw"] == 0
    assert made["points"].to_numpy().tolist() == [0]
    assert len(drawn(pair, made)) > 1000


def test_a_map_that_was_not_fitted_is_told_drawn_and_written_without_a_chi_squared(pair, tmp_path):
    laid = laid_as_it_truly_lies(pair, Status.REFUSED, "no part of it looks like g1")
    laid = replace(laid, chi_squared=np.nan, scale_stderr=np.nan, optima=())
    _, said = found(pair, laid)
    assert json.loads(json.dumps(said, allow_nan=False))["registration"]["chi_squared"] is None
    registration = as_dataset(laid, pair.moving, pair.fixed, pair.label, scan="g1")
    grains = example(GRAINS, label=pair.label, scan_step_nm=15.0)
    figure = draw_registration(registration, grains)
    assert "no part of it looks like g1" in figure.get_suptitle()
    assert "nan" not in figure.get_suptitle()


def test_what_all_pixels_are_off_by_together_is_no_disagreement(pair):
    raised = pair.chemistry + 0.5
    alone, _ = found(pair, laid_as_it_truly_lies(pair), value=raised)
    shared, _ = found(pair, laid_as_it_truly_lies(pair), value=raised, systematic=0.3)
    assert alone.attrs["answer"] == "disagree"
    assert alone.attrs["slope_systematic"] == alone.attrs["mean_systematic"] == 0
    assert shared.attrs["answer"] == "agree", shared.attrs["why"]
    assert shared.attrs["mean_systematic"] == pytest.approx(0.3)
    assert shared.attrs["slope_systematic"] == pytest.approx(0, abs=1e-9)


def test_the_slope_may_be_off_by_what_both_ends_are_off_by_apart(pair):
    """Poor and rich points, at 1 and 3, with errors of references of 0.1 that know nothing of
    each other: the slope is off by root 2 times 0.1 over 2."""
    two = np.where(pair.structure > 2, 3.0, 1.0)
    ends = replace(pair, structure=np.where(pair.label >= 0, two, np.nan))
    made, _ = found(ends, laid_as_it_truly_lies(pair), systematic=0.1, method="X-ray absorption")
    seen = made["structure"].to_numpy()[pair.label >= 0]
    spread = np.sqrt(np.nanvar(seen) - np.nanmean(made["structure_stderr"].to_numpy() ** 2))
    assert made.attrs["slope_systematic"] == pytest.approx(0.1 / np.sqrt(2) / spread, rel=0.05)
    assert made.attrs["slope_systematic"] == pytest.approx(np.sqrt(2) * 0.1 / 2, rel=0.3)


def test_an_error_in_proportion_is_one_of_the_slope(pair):
    low = 0.7 * pair.chemistry
    alone, _ = found(pair, laid_as_it_truly_lies(pair), value=low)
    shared, _ = found(pair, laid_as_it_truly_lies(pair), value=low, systematic=0.25 * low)
    assert alone.attrs["answer"] == "disagree"
    assert shared.attrs["slope_systematic"] == pytest.approx(0.25 * 0.7, rel=0.15)
    assert shared.attrs["answer"] != "disagree", shared.attrs["why"]


def test_a_valence_has_the_slope_that_the_table_says_or_none(pair):
    valence = (9 - pair.chemistry) / 2
    given = {"value": valence, "quantity": "mean valence", "unit": "1"}
    made, said = found(pair, laid_as_it_truly_lies(pair), per_ion=-0.5, **given)
    assert said["answer"] == "agree", said["why"]
    assert said["offset"] is None
    nobody, told = found(pair, laid_as_it_truly_lies(pair), **given)
    assert told["answer"] == "cannot tell"
    assert told["why"].endswith("nobody says what slope to expect")
    assert told["expected_slope"] is None
    assert told["parts"]["whole"]["slope"]["value"] == pytest.approx(-0.5, abs=0.1)
    for one in (made, nobody):
        assert len(drawn(pair, one)) > 10_000


def drawn(pair, made):
    stream = io.BytesIO()
    style.save(pictures.draw_correlation(made, scanned(pair)[1], ion="Na"), stream)
    return stream.getvalue()


def test_it_is_drawn_the_same_each_time(pair, agreeing):
    assert drawn(pair, agreeing[0]) == drawn(pair, agreeing[0])


def test_it_is_written_and_tabulated(pair, agreeing, tmp_path):
    made, said = agreeing
    netcdf.write(made, tmp_path / "c.nc", CORRELATION)
    again = netcdf.read(tmp_path / "c.nc", CORRELATION)
    table = pd.concat([result.tabulated(again)] * 2, ignore_index=True)
    tables.write(table, tmp_path / "t.csv", CORRELATION_TABLE)
    read = pd.read_csv(tmp_path / "t.csv")
    assert list(read["part"][:2]) == ["whole", "Na3"]
    assert read["slope"][0] == pytest.approx(said["parts"]["whole"]["slope"]["value"])
    assert json.loads(json.dumps(said, allow_nan=False)) == said


def test_structure_is_by_cells_or_else_by_phases():
    decision = np.array([[0, 1, MIXED, UNDECIDED, VACUUM, UNINDEXED, 0]])
    content = np.array([[2.9, 1.1, 2.0, 1.5, 2.0, 2.0, 2.9]])
    by_cells = example(
        PHASES, phase=["Na3", "Na1"], decision=decision, ion_content=content,
        ion_content_stderr=[[0.1, 0.1, 0.1, 0.0, 0.1, 0.1, 0.1]],
        second_phase=[[-1, -1, -1, -1, -1, -1, 1]],
    )  # fmt: skip
    value, stderr = ion_content_of(by_cells, [3, 1])
    np.testing.assert_allclose(value, [[2.9, 1.1, 2.0, *[np.nan] * 4]], rtol=1e-6)
    assert np.isfinite(stderr).tolist() == np.isfinite(value).tolist()
    by_phases = example(
        PHASES, phase=["LFP", "FP"], decision=decision[:, :6],
        share=[[[1, 0], [0, 1], [0.25, 0.75], [np.nan, np.nan], [np.nan] * 2, [np.nan] * 2]],
        posterior=[[[1, 0], [0.1, 0.9], [0.5, 0.5], [0.5, 0.5], [np.nan] * 2, [np.nan] * 2]],
    )  # fmt: skip
    value, stderr = ion_content_of(by_phases, [1.0, 0.0])
    np.testing.assert_allclose(value, [[1, 0, 0.25, np.nan, np.nan, np.nan]])
    np.testing.assert_allclose(stderr[0, :3], [0, 0.3, 0.5], atol=1e-6)
    assert list(phase_parts(by_phases)) == ["LFP", "FP"]
    assert phase_parts(by_phases)["FP"].tolist() == [[False, True, False, False, False, False]]


def test_distance_is_from_the_interface_of_the_own_grain():
    label = np.full((20, 30), -1)
    label[:, 2:15], label[:, 15:28] = 0, 1
    interfaces = example(
        INTERFACES, grain=2, segment_offset=[0, 1, 1], end_y=[[-3.0, 25.0]], end_x=[[6.0, 6.0]]
    )  # beyond the scan at both ends
    found = interface_distance(interfaces, label, 5.0)
    assert found[10, 6] == 0
    assert found[10, 10] == 20.0
    assert np.isnan(found[:, 15:]).all()
    assert np.isnan(found[:, :2]).all()


def test_methods_say_where_maps_lie_and_what_they_answer(pair, agreeing, tmp_path):
    def jobs(layout, **made):
        steps = []
        for name, dataset in made.items():
            netcdf.write(dataset, tmp_path / f"{name}.nc", layout)
            parameters = {"settings": {"channels": ["diffuse", "dark_field"]}, "margin": 0.1}
            outputs = [{"path": str(tmp_path / f"{name}.nc")}]
            steps.append(SimpleNamespace(parameters=parameters, outputs=outputs))
        return Jobs(steps, {})

    laid = as_dataset(laid_as_it_truly_lies(pair), pair.moving, pair.fixed, pair.label, scan="a")
    refused = as_dataset(
        laid_as_it_truly_lies(pair, Status.REFUSED, "chi squared is 3"), pair.moving, pair.fixed,
        pair.label, scan="b",
    )  # fmt: skip
    told = tell_registrations(jobs(REGISTRATION, s1=laid, s2=refused))
    assert "(diffuse and dark field of the scan)" in told
    assert "`s1` on `a` was accepted" in told and "1.000 ± 0.010 of the stated" in told
    assert "`s2` on `b` was refused: chi squared is 3" in told
    told = tell_correlations(jobs(CORRELATION, s1=agreeing[0]))
    assert "`s1`: agree (slope" in told
    assert "by 0.1 ions per formula unit" in told
