"""The bundled file of grains, and grains of it in a virtual scan."""

import numpy as np
import pytest
from rsciio.blockfile import file_reader

from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.layouts.truth import TRUTH
from phasefront.virtual import camera, specimen
from phasefront.virtual.insertion import library, placing
from phasefront.virtual.insertion.morphology import MORPHOLOGIES, WHOLE
from phasefront.virtual.insertion.regimes import PARTS, REGIMES, regimes_of
from phasefront.virtual.insertion.table import DATA_FILE, FULL, INSERTION, PLANE
from phasefront.virtual.particles import VirtualPhase

PHASES = [VirtualPhase("LFP", "LiFePO4", 1), VirtualPhase("FP", "FePO4", 0)]


@pytest.fixture(scope="module")
def table():
    return netcdf.read(DATA_FILE, INSERTION)


def grains_of(table, *regimes):
    names = table["regime"].values[table["grain_regime"].values]
    return np.flatnonzero(np.isin(names, regimes))


def names(table, variable, grains):
    return table["morphology"].values[table[variable].values[grains]]


def test_the_file_holds_the_regimes_and_their_parts(table):
    assert dict(zip(table["regime"].values, table["part"].values, strict=True)) == {
        name: regime.part for name, regime in REGIMES.items()
    }
    assert tuple(table["morphology"].values) == MORPHOLOGIES
    assert DATA_FILE.stat().st_size < 3e6
    for part in PARTS:
        grains = grains_of(table, *regimes_of(part))
        assert set(names(table, "label", grains)) >= {"front", "curved front", "core", "mosaic"}


@pytest.mark.parametrize("name", ["near the critical point", "drawn, unseen"])
def test_a_regime_made_again_is_the_one_in_the_file(table, name):
    again = library.make_regime(name, table.attrs["seed"])
    grains = grains_of(table, name)
    for variable in ("label", "appearance", "inside", "inserting"):
        assert np.array_equal(again[variable].values, table[variable].values[grains])
    kept = table["share"].values[grains].astype(int)
    # One count for another order of sums in another library.
    assert np.abs(again["share"].values.astype(int) - kept).max() <= 1


def test_states_are_of_the_shares_they_are_kept_for(table):
    inside = table["inside"].values == 1
    cells = inside.sum(axis=(1, 2))
    assert not table["share"].values[~np.repeat(inside[:, None], 5, axis=1)].any()
    share = table["share"].values.sum(axis=(2, 3)) / FULL / cells[:, None]
    inserting = table["inserting"].values[:, None] == 1
    converted = np.where(inserting, share, 1 - share)
    circuit = table["circuit"].values
    lone = np.bincount(circuit)[circuit] == 1
    drawn = table["family"].values[table["grain_regime"].values] == "drawn"
    near = table["converted"].values
    assert np.abs(converted - near)[drawn].max() < 0.065
    # The lever rule cuts off what grains take up before they separate.
    assert np.abs(converted - near)[lone].mean() < 0.1
    for one in np.unique(circuit[~lone]):
        its = circuit == one
        common = (converted * cells[:, None])[its].sum(axis=0) / cells[its].sum()
        assert np.abs(common - near).max() < 0.12


def test_slow_crowds_convert_one_by_one_and_quick_ones_at_once(table):
    def caught(name):
        return np.mean(names(table, "appearance", grains_of(table, name)) != WHOLE)

    assert caught("crowd, slow") < 0.25 and caught("crowd, slow, LiFePO4") < 0.25
    assert caught("crowd, quick") > 0.5 and caught("crowd, quick, uneven") > 0.5


def test_parts_share_no_grain(table):
    states = table["share"].values.reshape(table.sizes["grain"], -1)
    assert len({grain.tobytes() for grain in states}) == len(states)


ANY = placing.Choice()


def place(share, choice=ANY, count=8, seed=1, **changes):
    from scipy.spatial.transform import Rotation

    given = {
        "shape": (40, 44), "count": count, "scan_step_nm": 10.0, "thickness_nm": (30, 60),
        "rotations": Rotation.random(count, random_state=seed).as_quat(scalar_first=True),
        "rng": np.random.default_rng(seed),
    }  # fmt: skip
    return placing.place_grains(choice, share, **given | changes)


@pytest.mark.parametrize("share", [0.0, 0.25, 0.6, 1.0])
def test_placed_grains_hold_about_the_share(share):
    placed = [place(share, seed=seed) for seed in range(4)]
    volume = sum((one.rich * one.thickness).sum() for one in placed)
    whole = sum(one.thickness.sum() for one in placed)
    assert volume / whole == pytest.approx(share, abs=0.12 if 0 < share < 1 else 1e-12)
    for one in placed:
        assert (
            one.rich.min() >= 0
            and one.rich.max() <= 1
            and not one.rich[~one.thickness.astype(bool)].any()
        )
        assert (one.thickness > 0).any(axis=(1, 2)).all()
        assert one.thickness.max() <= 60


def test_an_upright_grain_is_seen_as_it_was_simulated(table):
    """Beam along the axis of extrusion: rows and columns of the grid, as `PLANE` lays them."""
    from scipy.spatial.transform import Rotation

    upright = Rotation.from_matrix(PLANE.T).as_quat(scalar_first=True)
    rotations = np.tile(upright, (3, 1))
    placed = place(0.5, placing.Choice("training", ("wetted",)), 3, rotations=rotations)
    for grain in range(3):
        kept = table["inside"].values[placed.number[grain]] == 1
        seen = placed.thickness[grain] > 0
        rows, columns = (np.ptp(np.flatnonzero(seen.any(axis=axis))) + 1 for axis in (1, 0))
        own_rows, own_columns = (np.ptp(np.flatnonzero(kept.any(axis=axis))) + 1 for axis in (1, 0))
        cut = seen[[0, -1]].any() or seen[:, [0, -1]].any()
        assert cut or rows / columns == pytest.approx(own_rows / own_columns, abs=0.2)
        assert len(np.unique(placed.thickness[grain][seen])) == 1


def test_grains_at_one_potential_are_taken_at_one_moment(table):
    placed = place(0.5, placing.Choice("test", ("crowd, slow, LiFePO4",)))
    assert len(set(placed.state)) == 1
    lone = place(0.5, placing.Choice("test", ("LiFePO4",)))
    assert len(set(lone.state)) > 1


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (placing.Choice("exam"), "no simulated grains of 'exam'"),
        (placing.Choice("test", ("wetted",)), "'wetted'; choose among"),
        (placing.Choice("test", ("diffusion from the outline",)), "16 simulated grains for 40"),
    ],
)
def test_what_the_file_does_not_hold_is_refused(choice, message):
    with pytest.raises(InputError, match=message):
        place(0.5, choice, count=40)


def test_a_scan_of_simulated_grains_is_rendered_with_its_truth(tmp_path):
    given = {
        "scan": "grains", "material": "lfp", "phases": PHASES, "ion_content": 0.5,
        "insertion_model": "simulated", "seed": 3, "shape": (24, 24), "grains": 4,
        "simulated": placing.Choice("test", ("wetted, wide interface",)),
    }  # fmt: skip
    grown = specimen.make_specimen(**given)
    truth = camera.simulate_scan(tmp_path / "grains.blo", grown, scale_nominal=0.0175)
    netcdf.write(truth, tmp_path / "truth.nc", TRUTH)
    truth = netcdf.read(tmp_path / "truth.nc", TRUTH)
    frames = file_reader(str(tmp_path / "grains.blo"))[0]["data"]
    assert frames.shape[:2] == (24, 24)
    crystal = truth["thickness"].values > 0
    lit = (frames > 20).sum(axis=(2, 3))
    assert lit[crystal].mean() > 1.2 * lit[~crystal].mean()
    weight = truth["weight"].values
    assert weight[crystal].sum(axis=-1) == pytest.approx(1, abs=1e-5)
    mixed = ((weight > 0.05) & (weight < 0.95)).all(axis=-1)
    assert 0.1 < mixed[crystal].mean() < 0.9
    assert truth.attrs["simulated_grain"].tolist() == grown.attributes["simulated_grain"].tolist()
    assert len(truth.attrs["simulated_state"]) == 4
