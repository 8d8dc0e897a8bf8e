"""The virtual camera: where spots land, how much light they hold, what the file says."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rsciio.blockfile import file_reader
from scipy.spatial.transform import Rotation

from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.layouts.truth import TRUTH
from phasefront.virtual import bloch_waves, camera, film, rendering, specimen
from phasefront.virtual.particles import VirtualPhase

PHASES = [
    VirtualPhase("Na3", "Na3V2PO42F3", 3),
    VirtualPhase("Na2", "Na2V2PO42F3", 2),
    VirtualPhase("Na1", "NaV2PO42F3", 1),
]
SCALE = 0.0175


def simulate(path, threads=1, **changes):
    settings = {
        "scan": "grains", "material": "nvpf", "phases": PHASES, "ion_content": 2.5,
        "insertion_model": "core-shell", "seed": 3, "shape": (14, 12), "grains": 4,
    } | changes  # fmt: skip
    grown = specimen.make_specimen(**settings)
    return camera.simulate_scan(path, grown, scale_nominal=SCALE, threads=threads)


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    path = tmp_path_factory.mktemp("virtual") / "grains.blo"
    truth = simulate(path)
    return path, truth, file_reader(str(path))[0]


@pytest.fixture(scope="module")
def table():
    return netcdf.read(bloch_waves.DATA_FILE, bloch_waves.BLOCH_WAVES)


def one_spot_table(qx, qy, intensity=0.3):
    """A table of one pattern with a single spot, the same at every thickness."""
    steps = len(bloch_waves.THICKNESSES_NM)
    return netcdf.build(
        bloch_waves.BLOCH_WAVES,
        {
            "thickness": bloch_waves.THICKNESSES_NM, "material": ["m"], "phase": ["p"],
            "grain": [0], "formula_volume": [200.0], "rotation": [[1, 0, 0, 0]],
            "direct": np.full((1, steps), 1 - intensity), "offset": [0, 1], "hkl": [[1, 0, 0]],
            "qx": [qx], "qy": [qy], "intensity": np.full((1, steps), intensity),
        },
    )  # fmt: skip


def one_crystal(table, turn=0.0, nm=40.0):
    return specimen.stack_columns(
        table, np.array([[0]]), np.array([turn]), np.full((1, 1, 1), nm), np.ones((1, 1, 1, 1))
    )


def render(table, columns, centre, affine):
    centres = np.array(centre, float).reshape(1, 1, 2)
    return rendering.render_rows(table, columns, centres, affine, slice(0, 1))[0, 0].astype(float)


@pytest.mark.parametrize("turn", [0.0, 0.7, 2.5])
@pytest.mark.parametrize("q", [(0.5, 0.1), (-0.3, 0.62)])
def test_spots_land_where_the_affine_says(turn, q):
    table = one_spot_table(*q)
    affine = camera.affine_of(SCALE, 1.03, 35.0)
    centre = np.array([70.3, 72.8])
    # Without diffuse light to disturb the centroid.
    columns = replace(one_crystal(table, turn), elastic=np.array([1 / (1 - rendering.HALO_SHARE)]))
    image = render(table, columns, centre, affine)
    cosine, sine = np.cos(turn), np.sin(turn)
    wanted = np.array([cosine * q[0] - sine * q[1], sine * q[0] + cosine * q[1]])
    row, column = np.mgrid[: len(image), : len(image)]
    far = np.hypot(row - centre[0], column - centre[1]) > 12
    light = np.where(far, image, 0)
    spot = np.array([(light * column).sum(), (light * row).sum()]) / light.sum()
    assert affine @ (spot - centre[::-1]) == pytest.approx(wanted, abs=0.01 * SCALE)
    assert light.sum() == pytest.approx(0.3, rel=2e-3)


def test_affine_makes_long_rings_along_the_angle_and_keeps_the_area():
    affine = camera.affine_of(SCALE, 1.02, 30.0)
    assert affine == pytest.approx(affine.T)
    assert np.sqrt(np.linalg.det(affine)) == pytest.approx(SCALE)
    radii, axes = np.linalg.eigh(np.linalg.inv(affine))
    assert radii[1] / radii[0] == pytest.approx(1.02)
    assert np.rad2deg(np.arctan2(axes[1, 1], axes[0, 1])) % 180 == pytest.approx(30.0)


@pytest.mark.parametrize("nm", [10.0, 33.0, 90.0])
def test_no_electron_is_lost_or_made(table, nm):
    image = render(table, one_crystal(table, 0.4, nm), (71.5, 71.5), camera.affine_of(SCALE, 1, 0))
    assert image.sum() == pytest.approx(1, abs=0.005)
    assert image.min() > 0


def test_kernel_computes_the_plain_formula(table):
    thickness = np.zeros((2, 1, 3))
    thickness[0, 0, :2] = 22, 47
    thickness[1, 0, 1:] = 63, 30
    shares = np.zeros((2, 2, 1, 3))
    shares[0] = np.where(thickness > 0, [[[0.3, 0.3, 0.3]], [[1, 1, 1]]], 0)
    shares[1] = np.where(thickness > 0, 1 - shares[0], 0)
    columns = specimen.stack_columns(
        table, np.array([[0, 5], [50, 55]]), np.array([0.3, 1.9]), thickness, shares
    )
    centres = np.array([[[71.2, 70.6], [72.9, 70.1], [69.4, 73.3]]])
    affine = camera.affine_of(SCALE, 1.01, 20)
    images = rendering.render_rows(table, columns, centres, affine, slice(0, 1))[0]
    for position, image in enumerate(images):
        plain = rendering.render_plain(table, columns, centres, affine, position)
        assert image == pytest.approx(plain, abs=1e-3 * plain.max(), rel=0.01)


def test_overlapping_grains_share_the_beam(table):
    """Two crystals over each other: each one's spots lose what the other takes out of the beam."""
    thickness = np.full((2, 1, 1), 40.0)
    columns = specimen.stack_columns(
        table, np.array([[0, 1]]), np.zeros(2), thickness, np.ones((1, 2, 1, 1))
    )
    step = list(bloch_waves.THICKNESSES_NM).index(38)
    direct = table["direct"].values[:2, step : step + 2] @ [1 - 2 / 12, 2 / 12]
    assert columns.share == pytest.approx(direct[::-1], rel=1e-6)
    assert columns.direct == pytest.approx([direct.prod()], rel=1e-6)


@pytest.mark.parametrize("level", [2e-9, 1e-6, 2e-5])
def test_film_counts_electrons_with_their_noise(level):
    """A linear camera: mean follows the dose, variance is Poisson's, read noise and rounding."""
    size, dose = rendering.CAMERA_PIXELS, 1e7
    frames = film.expose(
        np.full((20, size, size), level, np.float32),
        dose=dose, gamma=1.0, rng=np.random.default_rng(0),
    )  # fmt: skip
    gain = film.counts_per_electron(dose)
    row = frames[:, -1].astype(float)  # the bottom row has the most glare, so few are cut at 0
    assert row.mean() == pytest.approx(dose * level * gain + 3, abs=0.15)
    if level > 1e-5:
        expected = dose * level * gain**2 + film.READ_NOISE_COUNTS**2 + 1 / 12
        assert row.var() == pytest.approx(expected, rel=0.1)


def test_gamma_compresses_and_the_camera_saturates():
    size = rendering.CAMERA_PIXELS
    bright = np.full((1, size, size), 1e-2, np.float32)
    dim = np.full((1, size, size), 2e-5, np.float32)
    rng = np.random.default_rng(0)
    assert np.all(film.expose(bright, dose=1e7, gamma=0.567, rng=rng) == 255)
    linear = film.expose(dim, dose=1e7, gamma=1.0, rng=rng).astype(float).mean()
    compressed = film.expose(dim, dose=1e7, gamma=0.5, rng=rng).astype(float).mean()
    assert compressed == pytest.approx(np.sqrt(255 * linear), rel=0.03)


def test_file_reads_back_with_its_header(scan):
    path, _, signal = scan
    assert signal["data"].shape == (14, 12, 144, 144)
    assert signal["data"].dtype == np.uint8
    header = signal["original_metadata"]["blockfile_header"]
    assert header["Beam_energy"] == 200000
    assert "Precession angle : 0.8" in header["Note"]
    axes = signal["axes"]
    assert [axis["units"] for axis in axes] == ["nm", "nm", "cm", "cm"]
    assert axes[0]["scale"] == 10.0
    # The header's camera length (0.1 mm) and pixel give the nominal scale.
    nominal = axes[2]["scale"] / (header["Camera_length"] * 0.01) / 0.0250793
    assert nominal == pytest.approx(SCALE, rel=5e-4)
    assert path.stat().st_size == 4096 + 176 + 14 * 12 * (144 * 144 + 6)


def test_direct_beam_is_saturated_and_stands_at_the_true_centre(scan):
    _, truth, signal = scan
    row, column = np.mgrid[:144, :144]
    for y, x in np.ndindex(truth["thickness"].shape):
        pattern = signal["data"][y, x].astype(float)
        centre = float(truth["centre_y"][y, x]), float(truth["centre_x"][y, x])
        near = np.hypot(row - centre[0], column - centre[1]) < 6
        light = np.where(near, pattern, 0)
        found = (light * row).sum() / light.sum(), (light * column).sum() / light.sum()
        assert pattern[near].max() == 255
        assert found == pytest.approx(centre, abs=0.5)
    drift = np.ptp(truth["centre_y"].values), np.ptp(truth["centre_x"].values)
    assert max(drift) == pytest.approx(5.0, abs=1e-4)


@pytest.mark.parametrize(
    ("model", "ion_content", "tolerance"),
    [
        ("core-shell", 2.5, 1e-4),
        ("straight-front", 1.3, 1e-4),
        ("all-or-none", 1.5, 0.15),
        ("all-or-none", 2.0, 1e-6),
    ],
)
def test_truth_holds_the_ion_content_asked_for(tmp_path, model, ion_content, tolerance):
    truth = simulate(tmp_path / "s.blo", insertion_model=model, ion_content=ion_content)
    TRUTH.check(truth, "truth")
    volume = (truth["weight"] * truth["thickness"]).sum(dim=("y", "x")).values
    moles = volume / truth.attrs["phase_formula_volume"]
    mean = moles @ truth.attrs["phase_ion_content"] / moles.sum()
    assert mean == pytest.approx(ion_content, abs=tolerance)
    crystal = (truth["thickness"].values > 0).astype(float)
    assert truth["weight"].sum("phase").values == pytest.approx(crystal)


def test_truth_names_the_second_grain_where_two_overlap(tmp_path):
    truth = simulate(tmp_path / "s.blo", shape=(32, 32), grains=8, seed=2)
    overlap, grain = truth["overlap"].values == 1, truth["grain"].values
    crystal = truth["thickness"].values > 0
    first, second = (truth[name].values for name in ("rotation", "second_rotation"))
    weight, own = truth["weight"].values, truth["second_weight"].values
    assert np.isnan(second[~overlap]).all() and (own[~overlap] == 0).all()
    assert np.isfinite(second[overlap]).all()
    # The thinner grain has half of the thickness at most, and no more of a phase than there is.
    assert (own[overlap].sum(axis=-1) > 0).all() and (own[overlap].sum(axis=-1) <= 0.5 + 1e-6).all()
    assert (own <= weight + 1e-6).all()
    # Each grain has one orientation, known from where it lies alone.
    alone = {
        number: first[crystal & ~overlap & (grain == number)][0]
        for number in range(8)
        if (crystal & ~overlap & (grain == number)).any()
    }
    seen = 0
    for y, x in np.argwhere(overlap):
        both = [first[y, x], second[y, x]]
        names = [[n for n, own in alone.items() if np.allclose(own, r)] for r in both]
        assert all(len(name) == 1 for name in names) and names[0] != names[1]
        assert max(names)[0] <= grain[y, x]  # the topmost of two, or of more
        seen += 1
    assert seen > 5


def test_thickness_of_the_grains_is_that_asked_for(tmp_path):
    thin, thick = (
        simulate(tmp_path / "s.blo", thickness_nm=nm)["thickness"].values
        for nm in ((10, 20), (60, 100))
    )
    # Wedges add up to a third of the half, overlaps double.
    assert thin.max() < 2 * 20 * 1.4 < thick.max()


def test_truth_orientations_explain_the_brightest_spots(tmp_path, table):
    """Reflections placed by the truth's orientation and affine lie on local maxima."""
    path = tmp_path / "s.blo"
    truth = simulate(path, ion_content=3.0, insertion_model="all-or-none")
    frames = file_reader(str(path))[0]["data"]
    crystal = bloch_waves.read_crystal(
        Path(__file__).parents[2] / "config/structures/Na3V2PO42F3.cif"
    )
    to_pixels = np.linalg.inv(truth["affine"].values)
    single = np.argwhere((truth["thickness"].values > 30) & (truth["overlap"].values == 0))
    contrast = []
    for y, x in single[:: max(1, len(single) // 8)]:
        own = Rotation.from_quat(truth["rotation"].values[y, x, 0], scalar_first=True)
        pattern = _same_lattice(table, own)
        offset = table["offset"].values
        spots = slice(offset[pattern], offset[pattern + 1])
        strongest = table["intensity"].values[spots, 5].argsort()[-6:]
        g = own.inv().apply(table["hkl"].values[spots][strongest] @ crystal.reciprocal)
        centre = np.array([truth["centre_x"][y, x], truth["centre_y"][y, x]])
        for column, row in np.rint(centre + g[:, :2] @ to_pixels.T).astype(int):
            window = frames[y, x, row - 6 : row + 7, column - 6 : column + 7].astype(float)
            contrast.append(window[5:8, 5:8].mean() / np.median(window))
    assert np.median(contrast) > 1.5


def _same_lattice(table, rotation):
    """Pattern of the table with this orientation but for the turn in the plane."""
    beam = rotation.apply([0, 0, 1])
    ours = np.flatnonzero(table["phase"].values == "Na3V2PO42F3")
    stored = Rotation.from_quat(table["rotation"].values[ours], scalar_first=True)
    return ours[(stored.apply([0, 0, 1]) @ beam).argmax()]


def test_bytes_depend_on_the_seed_alone(tmp_path, scan):
    path, truth, _ = scan
    again = simulate(tmp_path / "again.blo", threads=2)
    other = simulate(tmp_path / "other.blo", seed=4)
    assert (tmp_path / "again.blo").read_bytes() == path.read_bytes()
    assert again.identical(truth)
    assert (tmp_path / "other.blo").read_bytes() != path.read_bytes()
    assert not other.identical(truth)


def test_truth_can_be_written(tmp_path, scan):
    netcdf.write(scan[1], tmp_path / "truth.nc", TRUTH)
    again = netcdf.read(tmp_path / "truth.nc", TRUTH)
    assert again["weight"].equals(scan[1]["weight"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"material": "lfp"}, "no intensities for 'Na3V2PO42F3' of material 'lfp'"),
        ({"grains": 500}, "orientations for 500 grains"),
        ({"ion_content": 3.5}, "ask for 1 to 3"),
        ({"insertion_model": "mosaic"}, "choose one of"),
    ],
)
def test_impossible_requests_are_refused(tmp_path, changes, message):
    path = tmp_path / "s.blo"
    with pytest.raises(InputError, match=message):
        simulate(path, **changes)
    assert not path.exists()


def test_patterns_look_like_a_genuine_file(tmp_path, shared_data):
    """Diffuse light, saturated centre and noise within a factor of what ASTAR recorded."""
    genuine = file_reader(str(shared_data("scans/astar_3x2.blo")))[0]["data"].reshape(-1, 144, 144)
    truth = simulate(tmp_path / "s.blo", ion_content=3.0, insertion_model="all-or-none")
    frames = file_reader(str(tmp_path / "s.blo"))[0]["data"]
    ours = frames[truth["thickness"].values > 30]
    row, column = np.mgrid[:144, :144]
    radius = np.hypot(row - 72, column - 72)
    for inner, outer in ((12, 16), (30, 36), (60, 70)):
        ring = (radius >= inner) & (radius < outer)
        ratio = np.median(ours[:, ring]) / np.median(genuine[:, ring])
        assert 0.6 < ratio < 1.6
    saturated = (ours == 255).sum(axis=(1, 2))
    assert 25 < np.median(saturated) < 100


@pytest.mark.parametrize("name", film.DETECTORS)
def test_each_detector_renders_by_the_plain_formula_and_keeps_the_light(table, name):
    screen = film.DETECTORS[name].screen
    columns = one_crystal(table, 0.4, 45.0)
    centres, affine = np.array([[[71.2, 70.6]]]), camera.affine_of(SCALE, 1.01, 20)
    image = rendering.render_rows(table, columns, centres, affine, slice(0, 1), screen)[0, 0]
    # The profile is read linearly from a table of steps of a fourteenth of the sharper blur.
    plain = rendering.render_plain(table, columns, centres, affine, 0, screen)
    assert image == pytest.approx(plain, rel=4e-3, abs=1e-7)
    assert image.sum() == pytest.approx(1, abs=0.005)


def test_detectors_differ_in_spread_gain_noise_and_threshold():
    phosphor, fibre = film.DETECTORS["phosphor"], film.DETECTORS["fibre"]
    radius = np.linspace(0, 9, 400)
    widths = []
    for screen in (phosphor.screen, fibre.screen):
        weight = rendering.spot_profile(radius, screen) * radius
        widths.append(np.sqrt((weight * radius**2).sum() / weight.sum() / 2))
    assert widths[0] == pytest.approx(rendering.spot_width(), rel=1e-3)
    assert widths[1] < 0.85 * widths[0]
    dark = np.zeros((40, rendering.CAMERA_PIXELS, rendering.CAMERA_PIXELS))
    for detector in (phosphor, fibre):
        frames = film.expose(
            dark, dose=1e6, gamma=1.0, rng=np.random.default_rng(0), detector=detector
        )
        assert frames[frames > 0].min() >= detector.dark_below
    assert film.counts_per_electron(1e6, fibre) > 1.3 * film.counts_per_electron(1e6, phosphor)


def test_a_scan_by_the_other_detector_has_the_same_truth(scan, tmp_path):
    path, truth, _ = scan
    grown = specimen.make_specimen(
        scan="grains", material="nvpf", phases=PHASES, ion_content=2.5,
        insertion_model="core-shell", seed=3, shape=(14, 12), grains=4,
    )  # fmt: skip
    other = tmp_path / "other.blo"
    told = camera.simulate_scan(other, grown, scale_nominal=SCALE, detector=film.DETECTORS["fibre"])
    assert told.identical(truth)
    assert other.read_bytes() != path.read_bytes()
