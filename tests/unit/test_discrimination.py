"""Electrons that tell phases apart, on phases whose differences are known beforehand."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.core.threads import VARIABLE
from phasefront.diffraction import rotations
from phasefront.diffraction.crystals import read_crystal, resemblance
from phasefront.experiment.load import load
from phasefront.experiment.plan import Plan
from phasefront.layouts.pairs import PAIRS
from phasefront.pairs import rating, search
from phasefront.pairs import table as table_
from phasefront.pairs.foresight import check_pairs
from phasefront.pairs.patterns import Assumptions
from phasefront.pairs.rating import rate_pairs
from phasefront.pairs.zone_axes import lowest_zone_axes

# diffsims' sources hold such sequences; Python says so when it first compiles them.
pytestmark = pytest.mark.filterwarnings("ignore:invalid escape sequence")

ROOT = Path(__file__).resolve().parents[2]
STRUCTURES = ROOT / "config/structures"
OPTICS = {"voltage_kv": 200.0, "precession_deg": 0.8}
COARSE = {"step_deg": 15.0, "zone_axes": 0} | OPTICS


def crystal(name):
    return read_crystal(STRUCTURES / f"{name}.cif")


AMAM, I4MMM, CMC21 = map(crystal, ("Na3V2PO42F3", "Na2V2PO42F3", "NaV2PO42F3"))
LFP, FP = map(crystal, ("LiFePO4", "FePO4"))


def stretched(crystal, factors, name="copy"):
    """The crystal, of orthogonal axes, with each of them longer."""
    factors = np.broadcast_to(factors, 3)
    cell = (*(np.array(crystal.cell[:3]) * factors), *crystal.cell[3:])
    return replace(crystal, name=name, cell=cell, reciprocal=crystal.reciprocal / factors[:, None])


def electrons(rated, true=0, rival=1):
    pair = (rated["true_phase"].values == true) & (rated["rival"].values == rival)
    return rated["electrons"].values[rated["pair_index"].values == np.flatnonzero(pair)[0]]


@pytest.fixture(scope="module")
def sodium():
    return rate_pairs([AMAM, I4MMM], step_deg=15.0, zone_axes=8, **OPTICS)


@pytest.fixture(scope="module")
def lithium():
    return rate_pairs([LFP, FP], **COARSE)


def kinds_along(rated, uvw):
    """Reflections listed for phase 0 against 1 along a zone axis: kind, hkl."""
    at = (rated["zone_axis"].values == uvw).all(axis=1) & (rated["pair_index"].values == 0)
    of_axis = rated["direction_index"].values == np.flatnonzero(at)[0]
    return rated["kind"].values[of_axis], rated["hkl"].values[of_axis]


@pytest.mark.parametrize("uvw", [(0, 0, 1), (1, 0, 0)])
def test_amam_shows_what_i4mmm_forbids_along_these_axes(sodium, uvw):
    kind, hkl = kinds_along(sodium, uvw)
    own = hkl[kind == "only A"]
    mixed = own[np.ptp(own % 2, axis=1) > 0]
    assert len(mixed) > 0
    # Amam (A-centred): k + l even.
    assert np.all((mixed[:, 1] + mixed[:, 2]) % 2 == 0)
    assert np.all(mixed @ uvw == 0)


def test_along_010_only_the_metrics_tell_amam_from_i4mmm(sodium):
    kind, _ = kinds_along(sodium, (0, 1, 0))
    assert set(kind) == {"shifted"}


def test_sodium_phases_can_be_told_apart_and_need_more_electrons_than_lithium_ones(sodium, lithium):
    for pair in ((0, 1), (1, 0)):
        assert np.isfinite(electrons(sodium, *pair)).all()
        assert electrons(lithium, *pair).max() < 0.3 * electrons(sodium, *pair).max()
    # Where finding five spots is not what needs most.
    evidence_alone = [
        np.median(electrons(rate_pairs(pair, min_spots=1, **COARSE)))
        for pair in ([LFP, FP], [AMAM, I4MMM], [I4MMM, AMAM])
    ]
    assert evidence_alone[0] < 0.5 * min(evidence_alone[1:])


@pytest.mark.parametrize("factors", [1.0001, 1.003, (1, 1, 1.002)])
def test_a_copy_within_the_errors_cannot_be_told_apart_in_any_direction(factors):
    rated = rate_pairs([AMAM, stretched(AMAM, factors)], **COARSE)
    assert np.isinf(rated["electrons"].values).all()
    assert (rated["evidence_limit"].values < rated.attrs["evidence_needed"]).all()


def test_a_copy_five_per_cent_larger_is_easily_told_apart():
    rated = rate_pairs([AMAM, stretched(AMAM, 1.05)], **COARSE)
    assert rated["electrons"].values.max() < 1e4


def test_a_scale_that_is_not_known_absorbs_the_size_of_the_cell():
    pair = [AMAM, stretched(AMAM, 1.01)]
    # Along one direction two reflections enter the window with the larger cell: enough for 0.95.
    sure = COARSE | {"decide_above": 0.99}
    assert np.isfinite(rate_pairs(pair, **sure)["electrons"]).any()
    free = rate_pairs(pair, assumptions=Assumptions(scale_sigma=0.5), **sure)
    assert np.isinf(free["electrons"].values).all()


def test_an_ellipse_that_is_not_known_makes_telling_apart_harder(sodium):
    loose = rate_pairs(
        [AMAM, I4MMM], step_deg=15.0, zone_axes=8,
        assumptions=Assumptions(ellipse_sigma=0.05), **OPTICS,
    )  # fmt: skip
    assert np.all(loose["evidence_limit"].values <= sodium["evidence_limit"].values + 1e-6)


def test_larger_errors_and_surer_decisions_need_more_electrons(lithium):
    coarse = rate_pairs([LFP, FP], position_sigma=0.015, **COARSE)
    assert np.median(coarse["electrons"]) > np.median(lithium["electrons"])
    sure = rate_pairs([LFP, FP], decide_above=0.999, **COARSE)
    assert np.all(sure["electrons"].values >= lithium["electrons"].values)


def test_evidence_never_falls_with_the_dose_and_tends_to_its_limit(monkeypatch):
    explanations = []
    keep = search.electrons_needed

    def kept(found, *arguments):
        explanations.extend(found)
        return keep(found, *arguments)

    monkeypatch.setattr(search, "electrons_needed", kept)
    rate_pairs([AMAM, I4MMM], step_deg=30.0, zone_axes=0, **OPTICS)
    dose = np.logspace(-3, 15, 73)
    assert len(explanations) > 10
    for one in explanations:
        evidence = one.evidence(dose)
        assert np.all(np.diff(evidence) >= -1e-9)
        assert evidence[0] < 0.01
        assert evidence[-1] == pytest.approx(evidence[-5], rel=0.02)


def test_equivalent_directions_need_the_same_electrons(monkeypatch):
    beam = np.array([0.4, 0.25, np.sqrt(1 - 0.4**2 - 0.25**2)])
    images = rotations.matrices(AMAM.symmetry) @ beam
    monkeypatch.setattr(rating, "beam_directions", lambda *_: np.vstack([images, -images]))
    found = electrons(rate_pairs([AMAM, CMC21], **COARSE))
    assert len(found) == 8
    assert found == pytest.approx(found[0], rel=0.02)


def test_electrons_are_where_the_evidence_reaches_what_is_needed(monkeypatch):
    calls = []
    keep = search.electrons_needed

    def kept(found, needed, min_spots):
        result = keep(found, needed, min_spots)
        calls.append((found, needed, min_spots, result[0]))
        return result

    monkeypatch.setattr(search, "electrons_needed", kept)
    rate_pairs([I4MMM, CMC21], step_deg=30.0, zone_axes=0, **OPTICS)
    for found, needed, min_spots, dose in calls:
        evidence = min(one.evidence(np.array([dose]))[0] for one in found)
        spots = found[0].found(np.array([[dose]])).sum()
        # Between two doses of the grid evidence is taken for a power of the dose.
        assert evidence > 0.85 * needed
        assert spots > 0.9 * min_spots
        assert evidence < 1.15 * needed or spots < 1.1 * min_spots


def test_lowest_zone_axes_are_one_of_each_orbit():
    uvw, axes = lowest_zone_axes(I4MMM, 6)
    expected = [(1, 0, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (1, 1, 1), (2, 1, 0)]
    assert uvw.tolist() == [list(row) for row in expected]
    direct = np.linalg.inv(I4MMM.reciprocal).T
    along = uvw @ direct
    assert axes == pytest.approx(along / np.linalg.norm(along, axis=1)[:, None])


def test_the_table_has_every_pair_and_zone_axis(sodium):
    table = table_.tabulate(sodium)
    pairs = table[["phase", "rival"]].drop_duplicates().to_numpy().tolist()
    assert pairs == [[AMAM.name, I4MMM.name], [I4MMM.name, AMAM.name]]
    for _, of_pair in table.groupby(["phase", "rival"]):
        assert of_pair["zone_axis"].nunique() == 1 + 8
        assert of_pair["zone_axis"].iloc[0] == "all"
        assert of_pair["share_impossible"].iloc[0] == 0


def test_a_single_phase_has_no_pairs(tmp_path):
    rated = rate_pairs([AMAM], **OPTICS)
    netcdf.write(rated, tmp_path / "p.nc", PAIRS)
    assert netcdf.read(tmp_path / "p.nc", PAIRS).sizes["pair"] == 0
    assert len(table_.tabulate(rated)) == 0


def with_copy(tmp_path, factor):
    """The demo's plan with a fourth phase: the first, its c axis longer."""
    text = (STRUCTURES / "Na3V2PO42F3.cif").read_text()
    old = next(line for line in text.splitlines() if line.startswith("_cell_length_c"))
    value = float(old.split()[1].partition("(")[0])
    path = tmp_path / "copy.cif"
    path.write_text(text.replace(old, f"_cell_length_c {value * factor:.5f}"))
    demo = yaml.safe_load((ROOT / "config/demo.yaml").read_text())
    phases = demo["material"]["phases"]
    demo["material"]["phases"] = [phases[0], phases[0] | {"name": "copy", "cif": str(path)}]
    demo["material"]["two_phase_fields"] = []
    return Plan.parse(demo, "demo.yaml"), path


@pytest.fixture
def _in_root(monkeypatch):
    monkeypatch.chdir(ROOT)


@pytest.mark.usefixtures("_in_root")
def test_a_pair_that_no_pattern_tells_apart_is_refused_before_a_run(tmp_path):
    plan, path = with_copy(tmp_path, 1.004)
    plan.check_files()
    with pytest.raises(InputError) as caught:
        check_pairs(plan)
    sentence = str(caught.value)
    assert sentence.startswith(f"{path}: cannot be told apart from config/structures/Na3V2PO42F3")
    assert "0.005 1/angstrom" in sentence
    assert sentence.endswith("leave one of the two phases out.")


@pytest.mark.usefixtures("_in_root")
def test_a_pair_that_some_directions_tell_apart_is_reported(tmp_path):
    plan, _ = with_copy(tmp_path, 1.01)
    one, other = check_pairs(plan, thorough=True)
    assert one.startswith("Na3 cannot be told from copy along ")
    assert other.startswith("copy cannot be told from Na3 along ")
    assert "instrument astar" in one


@pytest.mark.usefixtures("_in_root")
def test_the_demo_has_nothing_to_report():
    plan = Plan.load("config/demo.yaml")
    assert check_pairs(plan) == check_pairs(plan, thorough=True) == []


def test_resemblance_does_not_depend_on_the_order_or_a_small_scale():
    assert resemblance(AMAM, AMAM) == pytest.approx(1)
    assert resemblance(AMAM, stretched(AMAM, 1.008)) > 0.99
    assert resemblance(AMAM, CMC21) == pytest.approx(resemblance(CMC21, AMAM), abs=0.02)
    assert resemblance(LFP, FP) < 0.9


def test_threads_change_nothing(lithium, monkeypatch):
    monkeypatch.setenv(VARIABLE, "1")
    assert rate_pairs([LFP, FP], **COARSE).identical(lithium)


def test_scripts_write_table_and_picture(tmp_path):
    demo = load(ROOT / "config/demo.yaml")
    material = demo.material.model_copy(
        update={"phases": demo.material.phases[1:], "two_phase_fields": []}
    )
    cifs = [ROOT / phase.cif for phase in material.phases]
    common = ["--cifs", *cifs, "--names", json.dumps(material.names)]
    rate = [
        "rate_pairs", *common,
        "--instrument", demo.instruments["astar"].model_dump_json(exclude={"camera"}),
        "--spots", demo.section("spots"), "--phases", demo.section("phases"),
        "--pairs", tmp_path / "p.nc", "--table", tmp_path / "p.csv",
    ]  # fmt: skip
    draw = [
        "draw_pairs", *common, "--labels", json.dumps(material.labels),
        "--pairs", tmp_path / "p.nc", "--figure", tmp_path / "p.png",
    ]  # fmt: skip
    for script, *arguments in (rate, draw):
        done = subprocess.run(
            [sys.executable, f"scripts/{script}.py", *map(str, arguments)], cwd=ROOT,
            capture_output=True, text=True, timeout=240,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stderr == done.stdout == ""
    text = (tmp_path / "p.csv").read_text()
    assert all(kind in text for kind in ("shifted", "only A", "only B"))
    for name in ("p.nc", "p.csv", "p.png"):
        assert (tmp_path / f"{name}.prov.json").is_file()
    rated = netcdf.read(tmp_path / "p.nc", PAIRS)
    assert rated["phase"].values.tolist() == ["Na2", "Na1"]
