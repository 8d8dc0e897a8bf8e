"""Virtual scans as spot lists: where spots are, how many are seen, what the truth says."""

import numpy as np
import pytest

from phasefront.diffraction.crystals import read_crystal
from phasefront.diffraction.rotations import matrices
from phasefront.layouts.spots import SPOTS
from phasefront.layouts.truth import TRUTH
from phasefront.virtual import rendering, specimen, spot_lists
from phasefront.virtual.particles import VirtualPhase

STRUCTURES = ("Na3V2PO42F3", "Na2V2PO42F3", "NaV2PO42F3")
PHASES = [
    VirtualPhase(name, name, content) for name, content in zip(STRUCTURES, (3, 2, 1), strict=True)
]
SCALE = 0.0175


def grow(**changes):
    settings = {
        "scan": "small", "material": "nvpf", "phases": PHASES, "ion_content": 2.5,
        "insertion_model": "core-shell", "seed": 3, "shape": (20, 22), "grains": 6,
        "independent": True,
    } | changes  # fmt: skip
    return specimen.make_specimen(**settings)


def simulate(grown, **changes):
    return spot_lists.simulate_spots(grown, **({"scale": SCALE, "dose": 1e7, "seed": 1} | changes))


def vectors(spots, position):
    own = slice(*spots["offset"].values[position : position + 2])
    return np.stack([spots["qx"].values[own], spots["qy"].values[own]], axis=1).astype(float)


@pytest.fixture(scope="module")
def mixed():
    grown = grow()
    return grown, *simulate(grown)


def test_data_sets_have_their_layouts_and_shares_add_up(mixed):
    _, spots, truth = mixed
    SPOTS.check(spots, "spots")
    TRUTH.check(truth, "truth")
    crystal = (truth["thickness"].values > 0).astype(float)
    assert 0.2 < crystal.mean() < 0.9
    assert truth["weight"].sum("phase").values == pytest.approx(crystal, abs=1e-6)
    assert spots["offset"].values[-1] == spots["count"].sum() == spots.sizes["spot"]
    assert (
        spots["count"].values[crystal == 0].mean()
        < 0.2
        < 10
        < np.median(spots["count"].values[crystal == 1])
    )
    assert (spots["intensity"] > 0).all() and (spots["variance"] > 0).all()
    radius = np.hypot(spots["qx"].values, spots["qy"].values)
    assert radius.min() > 0.1 and radius.max() < 1.21


def test_spots_of_one_crystal_lie_where_its_lattice_has_reflections(shared_structures):
    """The lattice of the CIF in the orientation of the truth, not the table's own positions."""
    grown = grow(ion_content=3.0)
    spots, truth = simulate(grown)
    crystal = read_crystal(shared_structures / f"{STRUCTURES[0]}.cif")
    alone = np.flatnonzero((truth["overlap"].values == 0) & (truth["thickness"].values > 0))
    rotation = truth["rotation"].values.reshape(-1, 3, 4)[:, 0]
    index = np.stack(np.meshgrid(*[np.arange(-14, 15)] * 3, indexing="ij"), -1).reshape(-1, 3)
    centre = np.array([truth["centre_x"].values.flat[0], truth["centre_y"].values.flat[0]])
    distances, intensities = [], []
    for position in alone[::7]:
        to_crystal = matrices(rotation[position][None])[0]
        g = index @ crystal.reciprocal.T @ to_crystal
        g = g[(np.abs(g[:, 2]) < 0.04) & (np.hypot(g[:, 0], g[:, 1]) < 1.3)]
        found = (vectors(spots, position) - centre) @ truth["affine"].values.T
        away = np.linalg.norm(found[:, None] - g[None, :, :2], axis=2).min(axis=1)
        distances.append(away)
        own = slice(*spots["offset"].values[position : position + 2])
        intensities.append(spots["intensity"].values[own])
    distances, intensities = np.concatenate(distances), np.concatenate(intensities)
    assert len(distances) > 300
    order = np.argsort(intensities)
    strong, weak = order[-len(order) // 4 :], order[: len(order) // 4]
    assert np.median(distances[strong]) < 0.03 * SCALE
    assert np.quantile(distances, 0.97) < 0.7 * SCALE
    assert np.median(distances[weak]) > 3 * np.median(distances[strong])


@pytest.fixture(scope="module")
def shared_structures(request):
    return request.config.rootpath / "config" / "structures"


def test_more_electrons_show_more_spots(mixed):
    grown = mixed[0]
    counts = [int(simulate(grown, dose=dose)[0]["count"].sum()) for dose in (1e4, 1e5, 1e6, 1e7)]
    assert counts == sorted(counts) and counts[0] < 0.7 * counts[-1]


def test_same_seed_same_spots(mixed):
    grown, spots, _ = mixed
    assert spots.identical(simulate(grown)[0])
    assert not spots.equals(simulate(grown, seed=2)[0])


def test_level_between_the_spots_grows_with_the_thickness(mixed):
    """As on the virtual camera's scans: 27 counts in vacuum, 18 to 19 more through 50 nm."""
    grown, _, truth = mixed
    level, thickness = spot_lists.simulate_diffuse(grown, seed=1), truth["thickness"].values
    assert np.median(level[thickness == 0]) == pytest.approx(27, abs=0.5)
    assert np.corrcoef(level[thickness > 0], thickness[thickness > 0])[0, 1] > 0.95
    near = np.abs(thickness - 50) < 5
    assert near.sum() > 10
    assert level[near].mean() - 27 == pytest.approx(18.5, abs=1)
    assert np.array_equal(level, spot_lists.simulate_diffuse(grown, seed=1))


def test_maxima_are_those_of_the_summed_spots(mixed):
    """The image of all spots, filtered, on a fine grid: its maxima are found and no others."""
    from skimage.feature import peak_local_max

    grown = mixed[0]
    offset, x, y, height = spot_lists.expected_spots(grown, scale=SCALE, dose=1e7, max_radius=1.2)
    columns, table = grown.columns, grown.table
    crystals = np.diff(columns.offset)
    step, width = 0.25, np.sqrt(2) * rendering.spot_width()
    axis = np.arange(-40, 40 + step, step)
    edges = table["offset"].values
    compared = 0
    for position in np.flatnonzero(crystals > 1)[::15]:
        image = np.zeros((len(axis), len(axis)))
        for k in range(columns.offset[position], columns.offset[position + 1]):
            own = slice(edges[columns.pattern[k]], edges[columns.pattern[k] + 1])
            low, weight = columns.lower[k], columns.upper_weight[k]
            part = table["intensity"].values[own]
            part = (1 - weight) * part[:, low] + weight * part[:, low + 1]
            part = (
                1e7
                * (1 - rendering.HALO_SHARE)
                * columns.elastic[position]
                * (columns.share[k] * part)
            )
            qx, qy = (table[name].values[own] / SCALE for name in ("qx", "qy"))
            px = columns.cosine[k] * qx - columns.sine[k] * qy
            py = columns.sine[k] * qx + columns.cosine[k] * qy
            across, down = (
                np.exp(-((axis[None] - place[:, None]) ** 2) / (2 * width**2)) for place in (px, py)
            )
            image += np.einsum("n,ni,nj->ij", part, down, across)
        at = axis[peak_local_max(image, min_distance=1, threshold_abs=1400, exclude_border=True)]
        at = at[(np.hypot(*at.T) > 8.5) & (np.abs(at).max(axis=1) < 36.5)]
        own = slice(offset[position], offset[position + 1])
        found = np.stack([y[own], x[own]], axis=1)
        away = np.linalg.norm(at[:, None] - found[None], axis=2)
        assert away.min(axis=1).max() < step
        clear = (height[own] > 1500) & (np.hypot(*found.T) > 9) & (np.abs(found).max(axis=1) < 36)
        assert away.min(axis=0)[clear].max() < step
        near = away.argmin(axis=1)
        rows, cols = (np.searchsorted(axis, at[:, k]) for k in (0, 1))
        assert height[own][near] == pytest.approx(image[rows, cols], rel=0.02)
        compared += len(at)
    assert compared > 50
