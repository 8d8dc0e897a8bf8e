"""The stage `mechanisms` on made grains whose shapes, directions and order are known."""

import json
import sys

import numpy as np
import pytest
from examples import example
from hypothesis import given, settings
from hypothesis import strategies as st
from projects import ROOT
from scipy.spatial.transform import Rotation

from phasefront.core import netcdf, tables
from phasefront.core.errors import InputError
from phasefront.experiment.settings.elasticity import Elasticity
from phasefront.experiment.settings.instruments import StatedCamera
from phasefront.grains.segmentation import find_grains
from phasefront.interfaces.tracing import trace_interfaces
from phasefront.layouts.cycling import CYCLING
from phasefront.layouts.grains import GRAINS
from phasefront.layouts.interfaces import INTERFACES, Found
from phasefront.layouts.mechanisms import MECHANISM_TABLE, MECHANISMS, Counted, Direction
from phasefront.mechanisms import gathering, inference, wording
from phasefront.mechanisms.elastic import energies_of_fields
from phasefront.mechanisms.morphology import Morphologist
from phasefront.mechanisms.population import Detection, power
from phasefront.mechanisms.table import grain_rows
from phasefront.report.figures import mechanisms as figures
from phasefront.report.figures import style
from phasefront.virtual.insertion import seen

sys.path.insert(0, str(ROOT))

from benchmarks import snapshots

CLEAR = seen.Doubt(content=0.06, grain=0.0, mixed=0.0, wrong=0.0, sharpness=20.0)
BOX, ACROSS = 26, 4
CAMERA = StatedCamera(rotation_deg=0, mirrored=False)
PHASES = ["LFP", "FP"]


def made(kinds, seed, radius=9.0, *, thickness=0.0):
    """INTERFACES and GRAINS of LiFePO4 grains, in boxes, of the kinds given.

    A "front" is a plane (100) of its grain, seen as its trace; a "rich" or "poor" one is whole.
    """
    rng = np.random.default_rng(seed)
    side = ACROSS * BOX
    rich, label = np.zeros((side, side)), np.full((side, side), -1)
    parent = Rotation.random(len(kinds), random_state=rng)
    for number, kind in enumerate(kinds):
        y, x = np.mgrid[:BOX, :BOX] - (BOX - 1) / 2
        inside = np.hypot(y, x) <= radius * rng.uniform(0.9, 1.1)
        # Frame to crystal, so the plane's normal in the frame is the first row.
        normal = parent[number].as_matrix()[0]
        flat = normal[:2] / np.hypot(*normal[:2])
        away = x * flat[0] + y * flat[1] - rng.uniform(-2, 2)
        share = {
            "front": np.clip(away + 0.5, 0, 1),
            "core": np.clip(np.hypot(y, x) - 0.62 * radius + 0.5, 0, 1),
            "rich": np.ones_like(x),
            "poor": np.zeros_like(x),
        }[kind]
        row, column = np.array(divmod(number, ACROSS)) * BOX
        rich[row : row + BOX, column : column + BOX] = np.where(inside, share, 0)
        label[row : row + BOX, column : column + BOX] = np.where(inside, number, -1)
    phases = snapshots.candidates()
    quaternion = parent.as_quat(scalar_first=True)
    shown = seen.see(rich, label, quaternion, phases, pair=(0, 1), doubt=CLEAR, rng=rng)
    grains = find_grains(shown, phases, misorientation_deg=3, min_positions=8, scan_step_nm=10)
    return trace_interfaces(shown, grains, phases, camera=CAMERA), grains


def inferred(scans, directions=Direction.IN, states=None, **options):
    """MECHANISMS of scans by name, each (INTERFACES, GRAINS), a state each."""
    states = states or {name: f"at {name}" for name in scans}
    known = {
        "directions": dict.fromkeys(states.values(), directions),
        "phases": PHASES, "fields": [(0, 1)], "parent_point_group": "mmm", "camera_errors": {},
        "seed": 1,
    }  # fmt: skip
    found = inference.infer_mechanisms(
        {name: scan[0] for name, scan in scans.items()},
        {name: scan[1] for name, scan in scans.items()},
        Morphologist.read(),
        states=states, **(known | options),
    )  # fmt: skip
    MECHANISMS.check(found, "made")
    return found


@pytest.fixture(scope="module")
def fronts():
    return inferred({"s": made(["front"] * 12, 3)})


@pytest.fixture(scope="module")
def cascade():
    return inferred({"s": made(["rich"] * 7 + ["poor"] * 8 + ["front"], 4)})


def share_of(found, name):
    at = list(found["morphology"].values).index(name)
    return [float(found[f"proportion{end}"].values[0, at]) for end in ("", "_low", "_high")]


@pytest.mark.slow
def test_fronts_of_one_plane_are_side_by_side_and_their_plane_is_found(fronts):
    assert fronts["verdict"].item() == "concurrent"
    assert fronts["grains"].item() == fronts["caught_grains"].item() == 12
    assert share_of(fronts, "front")[0] > 0.5
    assert fronts["traces"].item() >= 10
    assert np.abs(fronts["normal"].values[0]) == pytest.approx([1, 0, 0], abs=0.06)
    assert np.abs(fronts["normal_indices"].values[0]) == pytest.approx([1, 0, 0], abs=0.06)
    assert fronts["region"].item() < 6
    assert fronts["against_random"].item() <= 0.01
    assert "share a plane near" in fronts.attrs["sentence"]
    assert "side by side" in fronts.attrs["sentence"]


def test_whole_grains_with_hardly_one_between_are_one_by_one(cascade):
    assert cascade["verdict"].item() in ("one by one", "cannot be told")
    assert cascade["log_bayes_factor"].item() > 1
    assert cascade["caught_grains"].item() == 1
    assert cascade["population_converted"].item() == pytest.approx(0.47, abs=0.07)
    counted = cascade["counted"].values == Counted.YES
    assert counted.sum() == 16
    converted = cascade["converted"].values[counted]
    assert ((converted == 0) | (converted == 1)).sum() == 15


def test_where_nothing_can_be_told_it_is_said_what_would_suffice():
    found = inferred({"s": made(["rich"] * 2 + ["poor"] * 2, 4)})
    assert found["verdict"].item() == "cannot be told"
    said = found.attrs["sentence"]
    needed = int(said.split("Were the share so, ")[1].split()[0])
    detection = Detection(found.attrs["recall"], found.attrs["false_alarm"])
    assert power(0.0, needed, detection)["one by one"] >= 0.9
    assert needed > 4


def test_whole_grains_alone_of_both_phases_are_a_population():
    found = inferred({"s": made(["rich"] * 16, 1), "t": made(["poor"] * 16, 2)},
                     states={"s": "half", "t": "half"})  # fmt: skip
    assert found["verdict"].item() == "one by one"
    assert found["caught_share"].item() == 0.0
    assert np.isnan(found["proportion"].values).all()
    assert wording.summary(found)["fields"][0]["proportions"] == {}


@pytest.mark.slow
def test_the_direction_of_charge_parts_cores_from_inner_nuclei():
    scan = made(["core"] * 6, 7, radius=10.0)
    into, out = (inferred({"s": scan}, directions=d) for d in (Direction.IN, Direction.OUT))
    assert share_of(into, "core")[0] > 0.4 > share_of(into, "inner nucleus")[0]
    assert share_of(out, "inner nucleus")[0] > 0.4 > share_of(out, "core")[0]
    either = inferred({"s": scan}, directions=Direction.UNKNOWN)
    own = either["counted"].values == Counted.YES
    names = list(either["morphology"].values)
    for one in ("core", "inner nucleus"):
        assert (either["posterior"].values[own, names.index(one)] < 0.75).all()
    assert any("not known, so a core" in text for text in either.attrs["caveats"].split("\n"))
    assert into["converted"].values[0] == pytest.approx(1 - out["converted"].values[0])


def test_states_beside_a_field_have_no_population():
    found = inferred({"s": made(["rich"] * 9, 5)})
    assert found.sizes["population"] == 0
    assert (found["counted"].values == Counted.NO_POPULATION).all()
    assert "nothing can be told" in found.attrs["sentence"]
    assert wording.summary(found)["fields"] == []


@pytest.mark.slow
def test_near_the_ends_of_a_field_no_verdict_is_given():
    found = inferred({"s": made(["rich"] * 14 + ["poor"], 4)})
    assert found["population_converted"].item() > 0.9
    assert found["verdict"].item() == "cannot be told"
    assert np.isnan(found["caught_share"].item())
    assert "no state between a fifth and four fifths" in found.attrs["sentence"]
    assert wording.summary(found)["fields"][0]["caught_share"] is None


def test_a_state_between_three_phases_is_in_no_field():
    interfaces, grains = made(["front"] * 8, 9)
    interfaces["found"].values[:3] = Found.NO_FIELD
    for name in ("rich", "poor"):
        interfaces[name].values[:3] = -1
    found = inferred({"s": (interfaces, grains)})
    assert found.sizes["population"] == 0
    assert "hold phases that are not the field of their state" in found.attrs["caveats"]


def test_two_grains_are_no_population():
    found = inferred({"s": made(["front", "rich"], 5)})
    assert found.sizes["population"] == 0
    assert found["grains"].item() == 0


def test_grains_cut_by_the_edge_are_counted_out(fronts):
    interfaces, grains = made(["front"] * 8, 9)
    interfaces["cut"].values[:3] = 1
    found = inferred({"s": (interfaces, grains)})
    assert found["grains"].item() == 5
    assert "3 grains cut by the scan's edge are not counted." in found.attrs["caveats"]
    assert "cut" not in fronts.attrs["caveats"]


def test_without_a_shared_lattice_no_plane_is_sought():
    found = inferred({"s": made(["front"] * 8, 9)}, parent_point_group=None)
    assert np.isnan(found["region"].item())
    assert "share no lattice" in found.attrs["caveats"]


def test_a_plane_stands_beside_the_elastic_energy():
    """LiFePO4's softest plane lies 26 degrees from (100), which costs 14 % more."""
    lfp = Elasticity(
        phases=PHASES, misfit=[0.0517, 0.0359, -0.0186],
        stiffness_gpa=[157.4, 175.8, 154, 37.8, 49.05, 51.6, 53.35, 51.2, 32.7],
    )  # fmt: skip
    energies = energies_of_fields(snapshots.candidates(), [(0, 1)], [lfp])
    found = inferred({"s": made(["front"] * 12, 3)}, energies=energies)
    assert found["from_softest"].item() == pytest.approx(26, abs=4)
    energy = energies[0, 1]
    true = energy(np.array([1.0, 0.0, 0.0])) / energy.least
    assert true == pytest.approx(1.14, abs=0.01)
    assert found["energy_over_softest"].item() == pytest.approx(true, abs=0.03)
    low, high = (found[f"energy_over_softest_{end}"].item() for end in ("low", "high"))
    assert low - 0.005 <= true <= high + 0.005
    assert "degrees from the softest plane" in found.attrs["sentence"]
    elastic = wording.summary(found)["fields"][0]["habit_plane"]["elastic"]
    assert elastic["from_softest_deg"] == found["from_softest"].item()


def test_what_goes_first_is_found_where_size_decides():
    """Small grains poor, large grains rich, on discharge: conversion goes with size."""
    kinds = ["poor"] * 8
    small = made(kinds, 1, radius=5.0)
    large = made(["rich"] * 8, 2, radius=11.0)
    found = inferred({"s": small, "t": large}, states={"s": "half", "t": "half"})
    at = list(found["covariate"].values).index("size")
    assert found["effect_p_holm"].values[0, at] < 0.05
    assert found["effect_low"].values[0, at] > 0
    assert found["effect_grains"].values[0, at] == 16
    assert "Conversion goes with size" in found.attrs["sentence"]


def test_the_summary_is_json_by_the_stated_names(fronts, cascade):
    for found in (fronts, cascade):
        told = json.loads(json.dumps(wording.summary(found), allow_nan=False))
        assert told.keys() == {"fields", "grains", "sentence", "caveats"}
        (field,) = told["fields"]
        assert {"phases", "states", "grains", "caught_share", "population", "proportions",
                "habit_plane", "covariates"} <= field.keys()  # fmt: skip
        assert field["phases"] == PHASES
        assert field["caught_share"].keys() == {"value", "low", "high"}
        assert len(told["grains"]) == field["grains"]
        for grain in told["grains"]:
            assert sum(grain["posterior"].values()) == pytest.approx(1)
    assert told["fields"][0]["habit_plane"] is None


def test_the_table_has_a_row_a_grain(fronts, tmp_path):
    rows = grain_rows(fronts)
    tables.write(rows, tmp_path / "mechanisms.csv", MECHANISM_TABLE)
    again = tables.read(tmp_path / "mechanisms.csv", MECHANISM_TABLE)
    assert len(again) == fronts.sizes["grain"]
    assert again["caught"].all() and (again["field"] == "LFP/FP").all()


def test_directions_are_those_of_the_log_or_stated():
    log = example(
        CYCLING, time=[0.0, 1.0, 2.0, 3.0, 4.0], current=[0.0, 0.0, 2.0, -2.0, 0.001],
        step_type=[0, 0, 1, 2, 0], state=["fresh", "a", "b", "rested"],
        state_time=[1.0, 2.0, 3.0, 4.0],
    )  # fmt: skip
    found = gathering.directions_of([log], ["fresh", "a", "b", "rested", "c"], {})
    assert found == {
        "fresh": Direction.UNKNOWN, "a": Direction.OUT, "b": Direction.IN, "rested": Direction.IN,
        "c": Direction.UNKNOWN,
    }  # fmt: skip
    found = gathering.directions_of([log], ["a", "c"], {"a": "discharge", "c": "charge"})
    assert (found["a"], found["c"]) == (Direction.IN, Direction.OUT)


def test_files_of_other_grains_are_refused(fronts):
    one, other = made(["front"] * 4, 1), made(["front"] * 5, 1)
    with pytest.raises(InputError, match="interfaces of s: have 4 grains, and its grains are 5"):
        inferred({"s": (one[0], other[1])})


@given(st.integers(0, 2**32 - 1), st.integers(0, 9))
@settings(max_examples=20, deadline=None)
def test_any_interfaces_have_a_valid_file(seed, count):
    rng = np.random.default_rng(seed)
    pair = rng.integers(0, 2, count)
    interfaces = example(
        INTERFACES, grain=count, segment=0, facet=0, profile_row=0, phase=PHASES,
        found=rng.choice(list(map(int, Found)), count), rich=np.where(pair, 0, -1),
        poor=np.where(pair, 1, -1), rich_share=np.where(pair, rng.uniform(0, 1, count), np.nan),
        cut=rng.integers(0, 2, count), shape=np.full(count, -1),
        model=["uniform", "line", "band", "curve", "outline"],
    )  # fmt: skip
    grains = example(
        GRAINS, grain=count, phase=PHASES, size=rng.integers(1, 90, count),
        phase_count=rng.integers(0, 90, (count, 2)), scan_step_nm=rng.choice([np.nan, 10.0]),
    )  # fmt: skip
    found = inferred({"s": (interfaces, grains)}, parent_point_group=rng.choice(["mmm", "4/mmm"]))
    json.dumps(wording.summary(found), allow_nan=False)
    assert len(grain_rows(found)) == count
    assert np.isfinite(found["posterior"].values).all()


@pytest.mark.slow
def test_an_experiment_of_one_phase_has_a_valid_file(tmp_path):
    found = inferred({"s": made(["rich"] * 4, 1)}, fields=[])
    netcdf.write(found, tmp_path / "mechanisms.nc", MECHANISMS)
    assert netcdf.read(tmp_path / "mechanisms.nc", MECHANISMS).sizes["field"] == 0


def test_pictures_show_what_is_found(fronts, cascade, tmp_path):
    for name, found in (("fronts", fronts), ("cascade", cascade)):
        style.save(figures.draw_populations(found), tmp_path / f"{name}.png")
        style.save(figures.draw_planes(found), tmp_path / f"{name}_planes.png")
    drawn = figures.draw_populations(fronts)
    bars = drawn.axes[2].patches
    widths = [bar.get_width() for bar in bars]
    assert max(widths) == pytest.approx(share_of(fronts, "front")[0])
    texts = [text.get_text() for text in figures.draw_planes(fronts).axes[0].texts]
    assert any("against random" in text for text in texts)
    none = figures.draw_planes(cascade)
    assert "No habit plane" in " ".join(text.get_text() for text in none.texts)
