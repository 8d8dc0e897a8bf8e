"""Virtual maps of chemistry: true to what they are made of, as their readers find them, and asked
for in full."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from examples import example

from phasefront.core.errors import InputError
from phasefront.experiment import values
from phasefront.experiment.plan import Plan
from phasefront.experiment.settings.virtual_maps import VirtualMap, VirtualStackPlan
from phasefront.experiment.stacks import electrons_before, first_of
from phasefront.layouts.chemistry import CHEMISTRY
from phasefront.layouts.correlation import CORRELATION
from phasefront.layouts.map_truth import MAP_CHECK_TABLE
from phasefront.layouts.registration import REGISTRATION
from phasefront.layouts.truth import TRUTH
from phasefront.registration.placement import similarity
from phasefront.stacks.columns import columns_of
from phasefront.stacks.files import read_stack
from phasefront.virtual import loss_stack, mapping, xray_stack
from phasefront.virtual.map_checks import check_maps

ROOT = Path(__file__).resolve().parents[2]
CONFIG = "config/multimodal.yaml"
ASKED = VirtualMap(
    shape=(24, 20), pixel_nm=20, scale=1.02, angle_deg=15, mirrored=True, drift_nm=1, light=1e5
)


@pytest.fixture
def multimodal(monkeypatch):
    monkeypatch.chdir(ROOT)
    return yaml.safe_load(Path(CONFIG).read_text())


def square(content=2.5, thick=60.0):
    """A square grain of 200 nm in the middle of a scan of 400 nm."""
    thickness = np.zeros((40, 40))
    thickness[10:30, 10:30] = thick
    return mapping.Specimen(thickness, np.where(thickness > 0, content, 0.0), 10.0)


def sight(asked=ASKED, probe_nm=30.0, seed=3):
    return mapping.sight_of(asked, probe_nm, (40, 40), 10.0, seed)


def references():
    return [columns_of(ROOT / f"config/references/V{v}.csv", "") for v in (3, 4)]


def test_a_column_holds_the_ions_of_its_formula_units():
    truth = example(
        TRUTH, weight=[[[0.5, 0.5], [0.0, 0.0]]], thickness=[[50.0, 0.0]], scan_step_nm=10.0,
        phase_ion_content=[3.0, 2.0], phase_formula_volume=[200.0, 100.0],
    )  # fmt: skip
    found = mapping.specimen_of(truth)
    # As much volume of either is twice as many formula units of the smaller.
    np.testing.assert_allclose(found.ion_content, [[(3 + 2 * 2) / 3, 0.0]])


def test_a_probe_smears_and_loses_nothing():
    specimen, seen = square(), sight()
    thick, content = seen.content(specimen)
    assert thick.max() == pytest.approx(60, rel=1e-3)
    area = thick.sum() * (20 * 1.02) ** 2
    assert area == pytest.approx(60 * 200**2, rel=0.02)
    np.testing.assert_allclose(content[thick > 1e-6], 2.5)
    assert seen.placement.mirrored()


def test_grains_at_the_margin_go_on_beyond_it():
    everywhere = mapping.Specimen(np.full((40, 40), 50.0), np.full((40, 40), 2.0), 10.0)
    thick, _ = sight(ASKED.model_copy(update={"shape": (60, 60)})).content(everywhere)
    at = sight(ASKED.model_copy(update={"shape": (60, 60)})).placement.positions(60)
    inside = ((at >= 0) & (at <= 390)).all(axis=-1)
    np.testing.assert_allclose(thick[inside], 50, rtol=0.01)
    far = ((at < -150) | (at > 540)).any(axis=-1)
    assert far.any()
    np.testing.assert_allclose(thick[far], 0, atol=1e-9)


def test_counts_of_x_rays_follow_beer_and_lambert():
    seen, given = sight(), {"light": 1e6, "stray_share": 0.0, "dark_counts": 5.0, "seed": 1}
    counts = xray_stack.xray_counts(square(), seen, references(), **given)
    thick, _ = seen.content(square())
    beside, inside = thick < 1e-6, thick > 59.9
    i0 = counts[:, beside].mean(axis=1) - 5
    density = -np.log((counts[:, inside].mean(axis=1) - 5) / i0)
    assert density[0] == pytest.approx(60 * 1.1e-3, rel=0.03)  # of 100 nm 0.11, before the edge
    own = xray_stack.spectra(references())
    # x of 2.5 is V of 3.25 on average.
    expected = 60 * (0.75 * own[:, 0] + 0.25 * own[:, 1])
    below = 60 * 1.1e-3 * (1 - 8e-3 * (xray_stack.ENERGIES_EV - 506))
    np.testing.assert_allclose(density, expected + below, atol=4e-3)
    np.testing.assert_array_equal(
        counts, xray_stack.xray_counts(square(), seen, references(), **given)
    )


def test_stray_light_hides_what_is_dense():
    thick = mapping.Specimen(np.full((40, 40), 5000.0), np.full((40, 40), 2.5), 10.0)
    counts = xray_stack.xray_counts(
        thick, sight(), references(), light=1e5, stray_share=0.02, dark_counts=0.0, seed=1
    )
    assert np.median(counts[60]) == pytest.approx(2000, rel=0.05)


def test_losses_hold_as_many_ions_as_the_beam_left():
    asked = ASKED.model_copy(update={"shape": (8, 8), "pixel_nm": 20.0})
    specimen = mapping.Specimen(np.full((40, 40), 60.0), np.full((40, 40), 2.5), 10.0)
    seen = sight(asked)
    counts = [
        loss_stack.loss_counts(
            specimen, seen, low=False, electrons=3e13, ions_left=left, shift_seed=2, seed=1
        )
        for left in (1.0, 0.5, 0.0)
    ]
    window = (loss_stack.CORE_EV > 1085) & (loss_stack.CORE_EV < 1120)
    whole, half, none = (one[window].sum() for one in counts)
    assert (half - none) / (whole - none) == pytest.approx(0.5, abs=0.03)
    before = (loss_stack.CORE_EV > 900) & (loss_stack.CORE_EV < 1000)
    assert counts[0][before].sum() == pytest.approx(counts[2][before].sum(), rel=1e-3)


def test_the_low_loss_says_how_thick_it_is():
    seen = sight(ASKED.model_copy(update={"shape": (8, 8)}))
    thick = mapping.Specimen(np.full((40, 40), 65.0), np.full((40, 40), 2.0), 10.0)
    counts = loss_stack.loss_counts(
        thick, seen, low=True, electrons=1e11, ions_left=1, shift_seed=2, seed=1
    )
    zero = np.abs(loss_stack.LOW_EV) < 3
    assert -np.log(counts[zero].sum() / counts.sum()) == pytest.approx(0.5, abs=0.05)


def test_files_are_what_the_readers_of_beamlines_and_microscopes_find(tmp_path):
    counts = np.random.default_rng(0).poisson(500, (9, 6, 8)).astype("f4")
    energy = 506 + 0.2 * np.arange(9)
    xray_stack.write_hermes(tmp_path / "a.hdf5", energy, counts, 20.0)
    found = read_stack(tmp_path / "a.hdf5")
    np.testing.assert_array_equal(found.counts, counts)
    np.testing.assert_allclose(found.pixel_nm, 20)
    loss_stack.write_losses(tmp_path / "a.hspy", energy, counts, pixel_nm=15.0, beam_kev=200.0)
    found = read_stack(tmp_path / "a.hspy")
    np.testing.assert_array_equal(found.counts, counts)
    np.testing.assert_allclose(found.energy, energy)
    assert (found.beam_kev, found.collection_mrad) == (200, 30)
    for suffix, write in (
        ("hdf5", lambda path: xray_stack.write_hermes(path, energy, counts, 20.0)),
        ("hspy", lambda path: loss_stack.write_losses(
            path, energy, counts, pixel_nm=15.0, beam_kev=200.0)),
    ):  # fmt: skip
        write(tmp_path / f"b.{suffix}")
        assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()


def test_checks_are_those_of_a_map_whose_errors_are_known():
    lies = similarity((12, 10), 20.0, middle=[200, 200], angle_deg=0, scale=1.02, mirrored=False)
    rng = np.random.default_rng(0)
    off = np.array([3.0, 4.0])
    draws = rng.normal(0, 4.0, (50, 2))
    truth = mapping.truth_of_map(mapping.Sight(lies, 10, 30.0, 10.0), square(), stack="s", scan="a")
    inside = np.isfinite(truth["ion_content"].to_numpy())
    value = np.where(inside, truth["ion_content"].to_numpy() + 0.1, np.nan)
    chemistry = example(
        CHEMISTRY, value=value, mask=inside, standard_error=0.03, systematic_error=0.04
    )
    registration = example(
        REGISTRATION, row_start=lies.row_start + off, column_step=lies.column_step,
        draw_row_start=[lies.row_start + off + one for one in draws],
        draw_column_step=[lies.column_step] * 50, map_pixel_nm=20.0, status="accepted", scale=1.02,
        scale_stderr=0.01, mirrored=0,
    )  # fmt: skip
    correlation = example(CORRELATION, slope=1.0, slope_low=0.9, slope_high=1.1, answer="agree")
    found = check_maps({"s": truth}, {"s": chemistry}, {"s": registration}, {"s": correlation})
    (row,) = found.to_dict("records")
    assert row["off_nm"] == pytest.approx(5.0)
    assert row["stated_nm"] == pytest.approx(4 * math.sqrt(2), rel=0.2)
    assert row["regions_hold"] == 1
    assert row["bias"] == row["rms"] == pytest.approx(0.1)
    assert row["within_95"] == 0  # 0.1 is two standard errors of 0.05
    assert row["mirror_right"] and row["scale_true"] == pytest.approx(1.02)
    assert row["told"] == inside.sum()
    MAP_CHECK_TABLE.check(found, "check")


def test_the_plan_of_the_config_knows_all_files_and_doses(multimodal):
    plan = Plan.load(CONFIG)
    folder = "results/multimodal/raw/"
    assert set(plan.made()) == {
        folder + name
        for name in ("grains.blo", "stxm.hdf5", "eels.hspy", "low.hspy", "eels2.hspy", "low2.hspy")
    }
    assert [first_of(plan.stacks, name) for name in plan.stacks.index] == [
        "stxm", "eels", "eels", "eels", "eels"
    ]  # fmt: skip
    assert [electrons_before(plan.stacks, name) for name in plan.stacks.index] == [
        0, 0, 200, 0, 600
    ]  # fmt: skip
    plans = {
        name: VirtualStackPlan.model_validate(values.value(plan, f"stack.{name}.virtual"))
        for name in plan.stacks.index
    }
    assert len({one.seed for one in plans.values()}) == 5
    assert plans["eels"].shift_seed == plans["low"].shift_seed != plans["low2"].shift_seed
    assert {one.scan for one in plans.values()} == {"grains"}
    assert plans["low2"].map_seed == plans["eels"].map_seed
    assert plans["stxm"].resolution_nm == 30


def changed(tmp_path, multimodal, **cells):
    """The config with cells of its table of stacks changed; `cells` maps stacks to changes."""
    frame = pd.read_csv(multimodal["tables"]["stacks"], sep="\t", dtype=str, keep_default_na=False)
    for stack, changes in cells.items():
        for column, value in changes.items():
            frame.loc[frame["stack"] == stack, column] = value
    path = tmp_path / "stacks.tsv"
    frame.to_csv(path, sep="\t", index=False)
    multimodal["tables"]["stacks"] = str(path)
    return multimodal


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ({"stxm": {"path": "results/multimodal/raw/x.hdf5"}}, "is not what the virtual run makes"),
        ({"eels2": {"path": "results/multimodal/raw/x.hspy"}}, "is not what the virtual run makes"),
        (
            {"stxm": {"scan": "", "resolution_nm": ""}},
            "no stack 'stxm' of X-rays or losses is laid",
        ),
        ({"low": {"beam_kev": ""}}, "does not know its beam"),
    ],
)
def test_virtual_maps_that_cannot_be_made_are_refused(tmp_path, multimodal, cells, words):
    with pytest.raises(InputError, match=words):
        Plan.parse(changed(tmp_path, multimodal, **cells), "multimodal.yaml")


def test_a_stack_that_nothing_is_said_of_is_not_looked_for_among_virtual_files(multimodal):
    del multimodal["virtual"]["maps"]["stxm"]
    with pytest.raises(InputError, match=r"say under virtual.maps what is true of it"):
        Plan.parse(multimodal, "multimodal.yaml")
