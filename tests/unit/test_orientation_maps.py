"""Maps of other programs: what each format means, and what is refused as broken or ambiguous."""

import re

import h5py
import numpy as np
import pytest
from cifs_of_two_atoms import cif_text
from diffpy.structure import Lattice, Structure
from examples import example
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from orix import io
from orix.crystal_map import CrystalMap, Phase, PhaseList
from orix.quaternion import Rotation
from projects import ROOT
from scipy.spatial.transform import Rotation as ScipyRotation
from stages import build_grains, build_phases

from phasefront.core.errors import InputError
from phasefront.diffraction import rotations
from phasefront.diffraction.crystals import read_crystal
from phasefront.experiment.settings.instruments import StatedCamera
from phasefront.layouts.orientations import ORIENTATIONS
from phasefront.layouts.phases import VACUUM
from phasefront.maps import export
from phasefront.maps.formats import match_phases, read_map, relabelled
from phasefront.maps.formats.map import basis

# diffsims' sources hold such sequences; Python says so when it first compiles them.
pytestmark = pytest.mark.filterwarnings("ignore:invalid escape sequence")

CELLS = {
    "cubic": (8.2, 8.2, 8.2, 90, 90, 90, "F d -3 m:1"),
    "tetragonal": (5.1, 5.1, 7.3, 90, 90, 90, "P 4/m m m"),
    "orthorhombic": (9.028, 9.044, 10.747, 90, 90, 90, "F m m m"),
    "hexagonal": (5, 5, 14, 90, 90, 120, "P 63/m m c"),
    "monoclinic": (5, 8.5, 5.1, 90, 109.4, 90, "C 1 2/m 1"),
    "triclinic": (5, 6, 7, 80, 95, 100, "P -1"),
}
NAMES = list(CELLS)
SUFFIXES = ("h5", "ang", "ctf")
SEEDS = st.integers(0, 2**32 - 1)
SIDES = st.integers(1, 6)
FEW = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def crystals(tmp_path_factory):
    """By name, one of each kind of cell."""
    folder = tmp_path_factory.mktemp("cifs")
    return {name: make_crystal(folder, name, CELLS[name]) for name in NAMES}


def make_crystal(folder, name, cell):
    path = folder / f"{name}.cif"
    # On a special position: a file of orix holds a dataset for each property of each atom.
    path.write_text(cif_text(name, cell[:6], cell[6], "W", oxygen="0.5 0 0 1"))
    return read_crystal(path, name=name)


def random_rotations(rng, count):
    return ScipyRotation.random(count, rng).as_quat(scalar_first=True).reshape(count, 4)


def exported(folder, crystals, *, shape, seed, step_nm, camera=None):
    """Paths of phasefront's own files by suffix, and phase (y, x) and rotation that they hold."""
    rng, names = np.random.default_rng(seed), [crystal.name for crystal in crystals]
    decision = rng.integers(-1, len(names), shape)
    decision[rng.random(shape) < 0.1] = VACUUM
    rotation = random_rotations(rng, decision.size * len(names)).reshape(*shape, len(names), 4)
    orientations = example(
        ORIENTATIONS, phase=names, rotation=rotation[:, :, :, None], scan="s",
        score=rng.random((*shape, len(names), 1)),
        indexed=rng.integers(5, 40, (*shape, len(names), 1)),
    )  # fmt: skip
    phases = build_phases(
        names, decision, scan="s", rotation=rotation, reliability=rng.random(shape)
    )
    crystal_map = export.crystal_map(
        phases, orientations, build_grains(phases), crystals, step_nm=step_nm, camera=camera
    )
    paths = {suffix: folder / f"own.{suffix}" for suffix in SUFFIXES}
    for suffix, path in paths.items():
        getattr(export, f"write_{suffix}")(crystal_map, path, camera=camera)
    phase = np.where(decision < 0, -1, decision)
    return paths, phase, crystal_map.rotations.data.reshape(*shape, 4)


def assert_holds(found, phase, rotation, *, within_deg=0.01):
    """Positions, phases and, without any symmetry, orientations."""
    assert found.shape == phase.shape
    np.testing.assert_array_equal(found.phase, phase)
    indexed = phase >= 0
    assert np.isnan(found.rotation[~indexed]).all()
    overlap = np.abs(np.sum(found.rotation[indexed] * rotation[indexed], axis=-1))
    assert (overlap >= np.cos(np.deg2rad(within_deg) / 2)).all()


def same(first, second):
    """Whether two maps are the same but for the path."""
    return (
        first.phases == second.phases
        and first.program == second.program
        and np.array_equal(first.phase, second.phase)
        and np.array_equal(first.rotation, second.rotation, equal_nan=True)
        and np.array_equal(first.step_nm, second.step_nm, equal_nan=True)
        and first.qualities.keys() == second.qualities.keys()
        and all(
            np.array_equal(quality.values, second.qualities[name].values)
            for name, quality in first.qualities.items()
        )
    )


# What phasefront and orix write


@pytest.mark.slow
@FEW
@given(ny=SIDES, nx=SIDES, seed=SEEDS, count=st.integers(1, 6), step=st.floats(0.5, 50))
def test_what_phasefront_exports_comes_back(tmp_path, crystals, ny, nx, seed, count, step):
    assume(abs(step - 1) > 1e-5)  # stands for an unknown one
    used = list(crystals.values())[:count]
    paths, phase, rotation = exported(tmp_path, used, shape=(ny, nx), seed=seed, step_nm=step)
    for suffix, path in paths.items():
        found = read_map(path)
        assert found.program == "phasefront"
        assert_holds(found, *in_order(found, phase, rotation, used))
        along = [size > 1 for size in (ny, nx)]
        np.testing.assert_allclose(np.array(found.step_nm)[along], step, rtol=1e-5, atol=1e-6)
        assert sorted(p.name for p in found.phases) == sorted(c.name for c in used)
        for described in found.phases:
            np.testing.assert_allclose(described.cell, crystals[described.name].cell, atol=6e-4)
        matched = relabelled(found, match_phases(found, [c.name for c in used], used))
        np.testing.assert_array_equal(matched[0], phase), suffix


def in_order(found, phase, rotation, crystals):
    """Phases of an export by their place in the file, which may be another."""
    places = {phase.name: place for place, phase in enumerate(found.phases)}
    order = np.array([places[crystal.name] for crystal in crystals])
    return np.where(phase < 0, -1, order[phase]), rotation


def test_an_unknown_step_stays_unknown(tmp_path, crystals):
    paths, phase, _ = exported(
        tmp_path, list(crystals.values()), shape=(3, 4), seed=1, step_nm=np.nan
    )
    for path in paths.values():
        found = read_map(path)
        assert np.isnan(found.step_nm).all()
        assert found.shape == phase.shape


def test_what_directions_refer_to_is_read_where_phasefront_says_it(tmp_path, crystals):
    camera = StatedCamera(rotation_deg=-12.5, mirrored=True, rotation_error_deg=1.5)
    for given_camera, told in [(camera, "camera rotation -12.5 degrees"), (None, "not stated")]:
        paths, *_ = exported(
            tmp_path, [crystals["cubic"]], shape=(2, 3), seed=3, step_nm=2.0, camera=given_camera
        )
        for path in paths.values():
            assert told in read_map(path).directions


def test_qualities_of_phasefronts_files_say_what_they_are(tmp_path, crystals):
    paths, phase, _ = exported(tmp_path, [crystals["cubic"]], shape=(4, 5), seed=4, step_nm=2.0)
    found = {suffix: read_map(path).qualities for suffix, path in paths.items()}
    reliability = found["h5"]["reliability"].values
    assert (reliability[phase >= 0] > 0).all()
    np.testing.assert_allclose(found["ang"]["reliability"].values, reliability, atol=1e-5)
    np.testing.assert_allclose(found["ctf"]["BS"].values, 100 * reliability, atol=0.5)
    assert found["ctf"]["BS"].meaning == "reliability, per cent"
    assert "posterior" in found["ang"]["confidence index"].meaning


def orix_map(rng, shape, count, *, step=0.25, unit="nm"):
    """Any map of orix, with a property, and some positions not indexed where it has phases."""
    number = rng.integers(-1, count, shape)
    number[number >= 0] *= 3  # numbers need not be consecutive
    y, x = step * np.indices(shape).reshape(2, -1)
    known = {
        3 * n: Phase(
            name=f"phase {n}", point_group="mmm",
            structure=Structure(lattice=Lattice(4 + n, 5, 6, 90, 90, 90)),
        )
        for n in range(count)
    }  # fmt: skip
    rotation = random_rotations(rng, number.size)
    made = CrystalMap(
        Rotation(rotation), phase_id=number.ravel(), x=x, y=y, scan_unit=unit,
        prop={"scores": rng.random(number.size)},
    )  # fmt: skip
    listed_phases = PhaseList(known)
    listed_phases.add_not_indexed()
    made.phases = listed_phases
    place = np.where(number < 0, -1, number // 3)
    return made, place, rotation.reshape(*shape, 4)


@FEW
@given(ny=SIDES, nx=SIDES, seed=SEEDS, count=st.integers(1, 4))
def test_an_h5_that_orix_saves_is_read(tmp_path, ny, nx, seed, count):
    made, place, rotation = orix_map(np.random.default_rng(seed), (ny, nx), count)
    io.save(tmp_path / "any.h5", made, overwrite=True)
    found = read_map(tmp_path / "any.h5")
    assert_holds(found, place, rotation)
    assert [phase.number for phase in found.phases] == [3 * n for n in range(count)]
    assert {phase.point_group for phase in found.phases} == {"mmm"}
    assert (found.program, found.directions) == ("orix", None)
    np.testing.assert_allclose(np.array(found.step_nm)[[ny > 1, nx > 1]], 0.25)
    np.testing.assert_array_equal(found.qualities["scores"].values.ravel(), made.prop["scores"])


@FEW
@given(ny=st.integers(2, 6), nx=st.integers(2, 6), seed=SEEDS, count=st.integers(1, 4))
def test_an_ang_that_orix_saves_is_read_and_its_step_is_not_known(tmp_path, ny, nx, seed, count):
    made, place, rotation = orix_map(np.random.default_rng(seed), (ny, nx), count)
    io.save(tmp_path / "any.ang", made, overwrite=True, extra_prop="scores")
    found = read_map(tmp_path / "any.ang")
    # orix lists the phases backwards, under numbers of its own.
    assert [phase.name for phase in found.phases] == [f"phase {n}" for n in range(count)][::-1]
    assert_holds(found, np.where(place < 0, -1, count - 1 - place), rotation)
    assert np.isnan(found.step_nm).all()
    assert found.program == "orix"
    np.testing.assert_allclose(
        found.qualities["scores"].values[place >= 0],
        made.prop["scores"].reshape(ny, nx)[place >= 0], atol=1e-5,
    )  # fmt: skip


def test_a_column_that_orix_saves_as_ang_has_no_positions_and_is_refused(tmp_path):
    made, *_ = orix_map(np.random.default_rng(5), (6, 1), 2)
    io.save(tmp_path / "column.ang", made)
    with pytest.raises(InputError, match="no step between them"):
        read_map(tmp_path / "column.ang")


@pytest.mark.parametrize(("unit", "nm"), [("um", 1000), ("nm", 1), ("px", np.nan), ("?", np.nan)])
def test_units_of_an_h5(tmp_path, unit, nm):
    made, *_ = orix_map(np.random.default_rng(6), (3, 3), 1, step=0.5, unit=unit)
    io.save(tmp_path / "any.h5", made)
    np.testing.assert_allclose(read_map(tmp_path / "any.h5").step_nm, [0.5 * nm] * 2)


def test_what_was_not_selected_in_orix_is_not_indexed(tmp_path):
    made, place, rotation = orix_map(np.random.default_rng(7), (4, 5), 2)
    io.save(tmp_path / "part.h5", made[1:3, 1:4])
    found = read_map(tmp_path / "part.h5")
    inside = np.zeros((4, 5), bool)
    inside[1:3, 1:4] = True
    assert_holds(found, np.where(inside, place, -1), rotation)
    assert any("14 positions were left out" in note for note in found.notes)


# What others write

ANGLES = [[4.485496, 0.952426, 0.791507], [1.343904, 0.276111, 0.825890]]
PHASE_1 = """\
# Phase {number}
# MaterialName  \t{name}
# Formula     \tMn2O4
# Info
# Symmetry              {symmetry}
# LatticeConstants      {cell}
# NumberFamilies        1
# hklFamilies   \t 3  0  0 1 100.000000 1
"""
CUBIC, HEXAGONAL = "8.200 8.200 8.200  90.000  90.000  90.000", "5 5 14 90 90 120"


def described(number, name="cubic", symmetry=43, cell=CUBIC):
    return PHASE_1.format(number=number, name=name, symmetry=symmetry, cell=cell)


def edax(rows, *, phases=None, shape=(2, 3), extra="", grid="SqrGrid", step=0.1):
    """A .ang as OIM writes it; `rows` are what follows x and y."""
    head = (
        "# TEM_PIXperUM          1.000000\n# x-star                0.413900\n#\n"
        f"{phases or described(1)}#\n# GRID: {grid}\n# XSTEP: {step:.6f}\n# YSTEP: {step:.6f}\n"
        f"# NCOLS_ODD: {shape[1]}\n# NCOLS_EVEN: {shape[1]}\n# NROWS: {shape[0]}\n#\n"
        f"# OPERATOR:     sem\n#\n{extra}"
    )
    return head + table(rows, shape, step)


def astar(rows, *, phases=None, shape=(2, 3), step=2.86):
    """A .ang as ASTAR writes it: no counts, no numbers of a single phase, one break missing."""
    block = described(1).partition("\n")[2] if phases is None else phases
    return (
        f"# File created from ACOM RES results\n# grain.res\n#\n#\n{block}#\n# GRID: SqrGrid#\n"
        + table(rows, shape, step, decimals=3)
    )


def table(rows, shape, step, *, decimals=5, angles=ANGLES):
    y, x = step * np.indices(shape).reshape(2, -1)
    return "".join(
        f"{' '.join(f'{a:9.6f}' for a in angles[i % len(angles)])}"
        f"  {x[i]:.{decimals}f}  {y[i]:.{decimals}f}  {rows[i % len(rows)]}\n"
        for i in range(len(x))
    )


EDAX_ROW = "1234.5  0.600  0  120  1.250"
ASTAR_ROW = "22.2  0.060  1       6"


def written(folder, text, name="map.ang", encoding="utf-8", newline="\n"):
    path = folder / name
    path.write_bytes(text.replace("\n", newline).encode(encoding))
    return path


def test_a_map_of_astar(tmp_path):
    found = read_map(written(tmp_path, astar([ASTAR_ROW])))
    assert (found.program, found.shape, found.directions) == ("ASTAR", (2, 3), None)
    np.testing.assert_allclose(found.step_nm, [2.86, 2.86])
    phase = found.phases[0]
    assert (phase.number, phase.name, phase.formula, phase.point_group) == (
        1, "cubic", "Mn2O4", "m-3m",
    )  # fmt: skip
    assert phase.cell == (8.2, 8.2, 8.2, 90, 90, 90)
    assert (found.qualities["correlation index"].values == 22.2).all()
    assert (found.qualities["reliability"].values == 0.06).all()
    assert any("no number of rows" in note for note in found.notes)


def test_angles_are_bunges_from_the_frame_to_the_crystal(tmp_path):
    found = read_map(written(tmp_path, astar([ASTAR_ROW])))
    for at, angles in [((0, 0), ANGLES[0]), ((0, 1), ANGLES[1]), ((1, 0), ANGLES[1])]:
        # The crystal is turned by phi1 about z, Phi about the new x, phi2 about the new z.
        turned = ScipyRotation.from_euler("ZXZ", angles)
        ours = ScipyRotation.from_quat(found.rotation[at], scalar_first=True)
        assert np.rad2deg((turned * ours).magnitude()) < 1e-6


def test_a_map_of_edax(tmp_path):
    found = read_map(written(tmp_path, edax([EDAX_ROW])))
    assert (found.program, found.shape) == ("EDAX", (2, 3))
    np.testing.assert_allclose(found.step_nm, [100, 100])
    # A single phase is number 0 in the rows, whatever the header calls it.
    assert (found.phase == 0).all()
    assert found.phases[0].number == 1
    values = {name: quality.values[0, 0] for name, quality in found.qualities.items()}
    assert values == {
        "image quality": 1234.5, "confidence index": 0.6, "detector signal": 120, "fit": 1.25
    }  # fmt: skip


@pytest.mark.parametrize(
    ("units", "nm"),
    [("microns, microns", 100), ("nm, nm", 0.1), ("pixels, pixels", np.nan), ("nm, um", np.nan)],
)
def test_units_that_edaxs_newer_headers_name(tmp_path, units, nm):
    named = "phi1, PHI, phi2, x, y, IQ, CI, Phase index, SEM, Fit, PRIAS Bottom Strip"
    extra = (
        "# VERSION 7\n# NOTES: Start\n# Phase index: 0 for single phase, starting at 1 for"
        "multiphase\n# Version 5: phi1, PHI, phi2, x, y\n# NOTES: End\n# COLUMN_COUNT: 11\n"
        f"# COLUMN_HEADERS: {named}\n# COLUMN_UNITS: radians, radians, radians, {units}, , , ,\n"
    )
    found = read_map(written(tmp_path, edax([f"{EDAX_ROW}  17"], extra=extra)))
    np.testing.assert_allclose(found.step_nm, [nm, nm])
    assert (found.qualities["PRIAS Bottom Strip"].values == 17).all()


def test_a_map_of_emsoft(tmp_path):
    phases = described(1).replace("# Info", "# Info   patterns indexed using EMsoft::EMEBSDDI")
    found = read_map(written(tmp_path, edax(["30.5 0.812 1"], phases=phases)))
    assert found.program == "EMsoft"
    np.testing.assert_allclose(found.step_nm, [100, 100])
    assert (found.qualities["dot product"].values == 0.812).all()


TWO = described(1) + described(2, "hexagonal", 62, HEXAGONAL)
BLANK = ANGLES[:1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (edax(["9 0.5 1 1 1", "9 0.5 2 1 1", "9 0.5 0 1 1"], phases=TWO), [0, 1, -1]),
        (edax(["9 0.5 1 1 1", "9 -1 2 1 1", "9 0 2 1 1"], phases=TWO), [0, -1, 1]),
        (edax(["9 0.5 0 1 1", "9 -1 0 1 1", "9 0.5 -1 1 1"]), [0, -1, -1]),
        (edax(["9 0.5 1 1 1", "9 -1 0 1 1", "9 0.5 -1 1 1"]), [0, -1, -1]),
        (astar(["9 0.5 1 50", "9 0.0 1 0", "0 0.0 1 0"]), [0, 0, -1]),
        (astar(["9 0.5 1 50", "9 0.5 2 50", "9 0.5 0 50"], phases=TWO), [0, 1, -1]),
        (astar(["9 0.5 0 50"]), [0, 0, 0]),
    ],
    ids=["0 of two", "confidence", "0 of one", "its number", "no match", "0 of ASTAR", "from 0"],
)
def test_what_counts_as_not_indexed_in_an_ang(tmp_path, text, expected):
    found = read_map(written(tmp_path, text))
    np.testing.assert_array_equal(found.phase[0], expected)
    np.testing.assert_array_equal(np.isnan(found.rotation).all(axis=-1), found.phase < 0)


def test_angles_of_4_pi_are_none(tmp_path):
    text = edax(["9 0.5 0 1 1"], shape=(1, 2))
    unset = " ".join(["12.56637"] * 3)
    text = text.replace(" ".join(f"{a:9.6f}" for a in ANGLES[1]), unset)
    np.testing.assert_array_equal(read_map(written(tmp_path, text)).phase, [[0, -1]])


CTF = """\
Channel Text File
Prj\t{project}
Author\t{author}
JobMode\tGrid
XCells\t{nx}
YCells\t{ny}
XStep\t{step}
YStep\t{step}
AcqE1\t0.0000
AcqE2\t0.0000
AcqE3\t0.0000
Euler angles refer to Sample Coordinate system (CS0)!\tMag\t180.0000\tCoverage\t97\tDevice\t0
Phases\t{count}
{phases}
Phase\tX\tY\tBands\tError\tEuler1\tEuler2\tEuler3\tMAD\tBC\tBS
"""
CTF_CUBIC = "8.200;8.200;8.200\t90.000;90.000;90.000\tcubic\t11\t227\t\t\tSome reference"
CTF_HEXAGONAL = "5.000;5.000;14.000\t90.000;90.000;120.000\thexagonal\t9\t194"
DEGREES = np.rad2deg(ANGLES)


def channel(
    phases=(CTF_CUBIC,), *, shape=(2, 3), step=0.00192, author="", project="grain", ids=(1,),
    angles=DEGREES,
):  # fmt: skip
    """A .ctf; positions have 4 decimals, as ASTAR's, and steps all of theirs."""
    y, x = step * np.indices(shape).reshape(2, -1)
    head = CTF.format(
        project=project, author=author, nx=shape[1], ny=shape[0], step=step, count=len(phases),
        phases="\n".join(phases),
    )  # fmt: skip
    return head + "".join(
        f"{ids[i % len(ids)]}\t{x[i]:.4f}\t{y[i]:.4f}\t6\t0"
        + "".join(f"\t{a:.4f}" for a in angles[i % len(angles)])
        + "\t0.7\t120\t255\n"
        for i in range(len(x))
    )


def test_a_channel_text_file(tmp_path):
    text = channel((CTF_CUBIC, CTF_HEXAGONAL), ids=(1, 0, 2))
    found = read_map(written(tmp_path, text, "map.ctf"))
    assert (found.program, found.shape) == ("Channel 5", (2, 3))
    np.testing.assert_array_equal(found.phase, [[0, -1, 1]] * 2)
    np.testing.assert_allclose(found.step_nm, [1.92, 1.92])
    assert [(p.number, p.name, p.point_group) for p in found.phases] == [
        (1, "cubic", "m-3m"), (2, "hexagonal", "6/mmm"),
    ]  # fmt: skip
    assert (found.qualities["BC"].values == 120).all()
    assert "band contrast" in found.qualities["BC"].meaning


def test_axes_of_a_hexagonal_phase_in_a_ctf_are_a_star_and_c(tmp_path):
    """Unturned, the crystal's e1 lies along x of the frame: a* in a .ctf, a in a .ang."""
    unturned = [[0, 0, 0]]
    text = channel((CTF_HEXAGONAL,), angles=unturned)
    in_ctf = read_map(written(tmp_path, text, "map.ctf"))
    phases = described(1, "hexagonal", 62, HEXAGONAL)
    head, rows = edax([EDAX_ROW], phases=phases).split("#\n# OPERATOR")[0], [EDAX_ROW]
    in_ang = read_map(written(tmp_path, f"{head}#\n{table(rows, (2, 3), 0.1, angles=unturned)}"))
    vectors = basis(in_ctf.phases[0].cell)
    for found, along_x in [(in_ang, vectors[:, 0]), (in_ctf, np.linalg.inv(vectors)[0])]:
        to_crystal = rotations.matrices(found.rotation[0, 0])
        np.testing.assert_allclose(
            to_crystal.T @ along_x / np.linalg.norm(along_x), [1, 0, 0], atol=1e-9
        )
        np.testing.assert_allclose(to_crystal.T @ [0, 0, 1], [0, 0, 1], atol=1e-9)


# How text is written


SAMPLES = {
    "edax": edax([EDAX_ROW]), "astar": astar([ASTAR_ROW]),
    "ctf": channel((CTF_CUBIC, CTF_HEXAGONAL), ids=(1, 2, 0)),
}  # fmt: skip


@pytest.mark.parametrize("sample", SAMPLES)
@given(
    newline=st.sampled_from(["\n", "\r\n", "\r"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "latin-1"]),
    blanks=st.lists(st.sampled_from(["", " ", "\t "]), max_size=3),
    open_end=st.booleans(),
)
@FEW
def test_line_ends_encodings_and_blank_lines_do_not_matter(
    tmp_path, sample, newline, encoding, blanks, open_end
):
    plain = SAMPLES[sample].replace("cubic", "kubisch, weiß").replace("grain", "Korn für")
    expected = read_map(written(tmp_path, plain, "plain"))
    assert expected.phases[0].name == "kubisch, weiß"
    text = plain + "\n".join(blanks) + ("" if open_end or not blanks else "\n")
    assert same(read_map(written(tmp_path, text, "other", encoding, newline)), expected)


@pytest.mark.parametrize("sample", SAMPLES)
def test_decimal_commas_are_read_in_header_and_table(tmp_path, sample):
    """Bruker writes them in the header alone."""
    plain = SAMPLES[sample]
    expected = read_map(written(tmp_path, plain, "plain"))
    with_commas = re.sub(r"(?<=\d)\.(?=\d)", ",", plain)
    lines = zip(plain.splitlines(), with_commas.splitlines(), strict=True)
    start = max(i for i, line in enumerate(plain.splitlines()) if line[0] in "#P")
    header_only = [comma if i <= start else dot for i, (dot, comma) in enumerate(lines)]
    for text in (with_commas, "\n".join(header_only) + "\n"):
        assert "8,200" in text
        assert same(read_map(written(tmp_path, text, "commas")), expected)


def test_commas_beside_points_are_refused(tmp_path):
    text = SAMPLES["edax"].replace("1234.5", "1,234.5")
    with pytest.raises(InputError, match="both commas and points"):
        read_map(written(tmp_path, text))


@pytest.mark.parametrize("sample", ["edax", "ctf"])
@given(data=st.data())
@FEW
def test_a_text_cut_off_anywhere_is_refused(tmp_path, sample, data):
    content = SAMPLES[sample].encode()
    size = data.draw(st.integers(0, len(content) - 1))
    path = tmp_path / "cut"
    path.write_bytes(content[:size])
    with pytest.raises(InputError):
        read_map(path)


@given(data=st.data())
@FEW
def test_a_file_of_astar_cut_off_within_a_row_of_positions_is_refused(tmp_path, data):
    """It does not say how many rows it has; that this could not be checked is a note."""
    text = astar([ASTAR_ROW], shape=(4, 3))
    lines = text.splitlines(keepends=True)
    whole = {len("".join(lines[: len(lines) - 3 * row])) for row in range(4)}
    size = data.draw(st.integers(0, len(text) - 1).filter(lambda size: size not in whole))
    path = tmp_path / "cut"
    path.write_bytes(text.encode()[:size])
    try:
        found = read_map(path)
    except InputError:
        return
    # Less than its first row is a map of one row.
    assert found.shape[0] == 1
    assert any("no number of rows" in note for note in found.notes)


@pytest.mark.parametrize("suffix", SUFFIXES)
@given(share=st.floats(0, 1, exclude_max=True))
@FEW
def test_an_export_cut_off_anywhere_is_refused(tmp_path, crystals, suffix, share):
    path = tmp_path / f"own.{suffix}"
    if not path.exists():
        exported(tmp_path, list(crystals.values()), shape=(4, 5), seed=8, step_nm=2.0)
    content = path.read_bytes()
    cut = tmp_path / f"cut.{suffix}"
    cut.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError):
        read_map(cut)


# What is refused


def changed(text, old, new):
    assert old in text
    return text.replace(old, new)


REFUSED = {
    "hexagonal grid": (edax([EDAX_ROW], grid="HexGrid"), "grid of the kind 'HexGrid'"),
    "rows of two lengths": (
        changed(SAMPLES["edax"], "NCOLS_EVEN: 3", "NCOLS_EVEN: 2"), "one number of rows",
    ),
    "more rows said": (
        changed(SAMPLES["edax"], "NROWS: 2", "NROWS: 3"), "6 positions, but its header says 3",
    ),
    "a row left out": (
        SAMPLES["astar"].rsplit("\n", 2)[0] + "\n", "5 positions, but rows of the first",
    ),
    "another step": (changed(SAMPLES["edax"], "XSTEP: 0.1", "XSTEP: 0.2"), "square grid with a"),
    "NaN angle": (changed(SAMPLES["edax"], " 0.952426", "      nan"), "NaN or infinite"),
    "degrees": (
        edax([EDAX_ROW]).replace(" 4.485496", "257.000000"), "3 of its orientations are none",
    ),
    "Phi above pi": (changed(SAMPLES["edax"], " 0.952426", " 3.952426"), "are none"),
    "unknown phase": (edax(["9 0.5 3 1 1"], phases=TWO), "phase 3, but its header has only 1, 2"),
    "phase 1.5": (edax(["9 0.5 1.5 1 1"], phases=TWO), "no number of a phase"),
    "one number twice": (
        edax(["9 0.5 1 1 1"], phases=described(1) * 2), "1 is the number of two phases",
    ),
    "no numbers": (
        astar([ASTAR_ROW], phases=re.sub("# Phase .\n", "", TWO)), "does not number each",
    ),
    "0 and 1 of one": (edax(["9 0.5 0 1 1", "9 0.5 1 1 1"]), "phase 0 and of phase 1"),
    "no cell": (
        edax([EDAX_ROW], phases=described(1, cell="8.2 8.2 8.2")), "3 lattice parameters",
    ),
    "a flat cell": (edax([EDAX_ROW], phases=described(1, cell="1 1 1 90 90 180")), "no cell"),
    "a word in the cell": (edax([EDAX_ROW], phases=described(1, cell="a 1 1 90 90 90")), "'a' is"),
    "oblique": (
        edax([EDAX_ROW], phases=described(1, "monoclinic", 20, "5 8.5 5.1 90 109.4 90")),
        "is oblique, and where EDAX lays its axes",
    ),
    "7 columns": (edax(["9 0.5"]), "has 7 columns"),
    "8 columns of ASTAR": (astar(["9 0.5 1"]), "has 8 columns"),
    "other order": (
        edax([EDAX_ROW], extra="# COLUMN_HEADERS: phi1, PHI, phi2, x, y, IQ, CI, Fit, a, Phase\n"),
        "not those of a .ang of EDAX",
    ),
    "a name for a phase": (edax(["9 0.5 cubic 1 1"]), "'cubic' is no number"),
    "ragged": (SAMPLES["edax"][:-1] + " 1\n", "has 11 values instead of 10"),
    "some program": (
        changed(SAMPLES["edax"], "# TEM_PIXperUM          1.000000\n", ""), "which program",
    ),
    "no positions": (SAMPLES["edax"].partition(f"{ANGLES[0][0]:9.6f}")[0], "no positions below"),
    "no phase": (edax([EDAX_ROW], phases="# MaterialNames\n"), "names no phase"),
    "ctf in radian": (channel(angles=ANGLES), "seem to be in radian"),
    "ctf, one cell more": (changed(channel(), "XCells\t3", "XCells\t4"), "its header says 4"),
    "ctf, no cells": (changed(channel(), "XCells\t3\n", ""), "is not in its header"),
    "ctf, words for cells": (changed(channel(), "XCells\t3", "XCells\tmany"), "is no count"),
    "ctf, unknown phase": (channel(ids=(1, 2)), "phase 2, but its header has only 1"),
    "ctf, phases left out": (changed(channel(), "Phases\t1", "Phases\t2"), "says 2 and describes"),
    "ctf, no grid": (changed(channel(), "JobMode\tGrid", "JobMode\tInteractive"), "Interactive"),
    "ctf, other columns": (changed(channel(), "\tEuler3", "\tE3"), "no line that names"),
    "ctf of ASTAR, hexagonal": (
        channel((CTF_HEXAGONAL,), author="File created from ACOM RES results"),
        "not orthogonal, and where ASTAR",
    ),
    "another text": ("a,b\n1,2\n", "no format of maps"),
    "nothing": ("", "no format of maps"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_broken_and_ambiguous_maps_are_refused(tmp_path, case):
    text, says = REFUSED[case]
    with pytest.raises(InputError, match=says) as refusal:
        read_map(written(tmp_path, text))
    assert str(refusal.value).startswith(str(tmp_path / "map.ang"))
    assert "\n" not in str(refusal.value)


def test_other_files_are_refused_by_what_they_are(tmp_path):
    with pytest.raises(InputError, match="there is no such file"):
        read_map(tmp_path / "absent.ang")
    for suffix, remedy in [("osc", "export it from OIM"), ("res", "MapViewer"), ("x", "give a")]:
        path = tmp_path / f"map.{suffix}"
        path.write_bytes(bytes(range(256)) * 10)
        with pytest.raises(InputError, match=remedy):
            read_map(path)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["Scan 1/EBSD/Data/CI"] = [1.0]
    with pytest.raises(InputError, match="is HDF5 with Scan 1, and no map of orix"):
        read_map(tmp_path / "other.h5")


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("data/phi1", None, "is missing, or no numbers"),
        ("data/phi1", np.zeros(5), "differ in number"),
        ("data/phi1", np.full(12, 7.0), r"of its orientations are none: the first would be \(7, "),
        ("data/phase_id", np.full(12, 9), "phase 9, but its header has only 0, 3"),
        ("data/x", np.zeros(12), "no step between them"),
        ("data/y", np.arange(12.0) % 5, "a square grid"),
        ("header/grid_type", b"hexagonal", "grid of the kind 'hexagonal'"),
        ("header/phases", None, "is missing"),
        ("header/phases/0/structure/lattice/abcABG", np.zeros(6), "no cell"),
    ],
)
def test_an_h5_with_a_part_that_is_wrong_is_refused(tmp_path, key, value, says):
    made, *_ = orix_map(np.random.default_rng(9), (3, 4), 2)
    io.save(tmp_path / "any.h5", made)
    with h5py.File(tmp_path / "any.h5", "r+") as file:
        del file[f"crystal_map/{key}"]
        if value is not None:
            file[f"crystal_map/{key}"] = np.atleast_1d(value)
    with pytest.raises(InputError, match=says):
        read_map(tmp_path / "any.h5")


# Whose phase is whose


def in_file(folder, *phases):
    """A map of EDAX with each of the phases (name, cell) in turn."""
    text = "".join(described(n, name, 22, cell) for n, (name, cell) in enumerate(phases, start=1))
    rows = [f"9 0.5 {n if len(phases) > 1 else 0} 1 1" for n in range(1, len(phases) + 1)]
    return read_map(written(folder, edax(rows, phases=text)))


def listed(cell):
    return " ".join(f"{value:.3f}" for value in cell[:6])


def test_phases_are_matched_by_name_or_as_the_config_says(tmp_path, crystals):
    names = ["tetragonal", "cubic", "orthorhombic"]
    three = [crystals[name] for name in names]
    cells = {name: listed(CELLS[name]) for name in names}
    found = in_file(
        tmp_path, ("CUBIC", cells["cubic"]), ("other", cells["orthorhombic"]),
        ("Tetragonal", cells["tetragonal"]),
    )  # fmt: skip
    for given_names in ({"other": "orthorhombic"}, {"2": "orthorhombic"}):
        matches = match_phases(found, names, three, given_names)
        assert [match.phase for match in matches] == [1, 2, 0]
        phase, rotation = relabelled(found, matches)
        np.testing.assert_array_equal(phase, [[1, 2, 0]] * 2)
        np.testing.assert_allclose(rotation, found.rotation, atol=1e-12)
    with pytest.raises(InputError) as refusal:
        match_phases(found, names, three)
    for told in ("'other' (number 2)", "none of tetragonal, cubic, orthorhombic", "'CUBIC'"):
        assert told in str(refusal.value)


@pytest.mark.parametrize(
    ("given_names", "says"),
    [
        ({"absent": "cubic"}, "'absent' names none of its phases"),
        ({"3": "cubic"}, "'3' names none of its phases"),
        ({"spinel": "absent"}, "'absent' is no phase of the experiment, which has cubic, tetra"),
        ({"spinel": "cubic", "1": "cubic"}, "'1' is a phase that has been named before"),
        ({"spinel": "tetragonal"}, "8.2, 8.2, 8.2, 90, 90, 90, is not that of .*within 3%"),
        ({"spinel": "cubic"}, "'spinel' .* and 'cubic' .* would be one"),
    ],
)
def test_names_that_do_not_fit_are_refused(tmp_path, crystals, given_names, says):
    found = in_file(tmp_path, ("spinel", CUBIC), ("cubic", CUBIC))
    names = ["cubic", "tetragonal"]
    with pytest.raises(InputError, match=says):
        match_phases(found, names, [crystals[name] for name in names], given_names)


def test_two_phases_of_the_file_may_be_one_where_the_config_says_so(tmp_path, crystals):
    found = in_file(tmp_path, ("spinel", CUBIC), ("cubic", CUBIC))
    matches = match_phases(
        found, ["cubic"], [crystals["cubic"]], {"spinel": "cubic", "cubic": "cubic"}
    )
    assert [match.phase for match in matches] == [0, 0]


def test_a_phase_that_occurs_nowhere_needs_no_match(tmp_path, crystals):
    text = edax(["9 0.5 1 1 1"], phases=described(1) + described(2, "never", 43, "3 3 3 90 90 90"))
    found = read_map(written(tmp_path, text))
    matches = match_phases(found, ["cubic"], [crystals["cubic"]])
    assert [match.phase for match in matches] == [0, -1]


@pytest.mark.parametrize("stretch", [0.98, 1.02])
def test_a_cell_may_differ_by_3_per_cent(tmp_path, crystals, stretch):
    cell = (*(stretch * length for length in CELLS["cubic"][:3]), 90, 90, 90)
    found = in_file(tmp_path, ("cubic", listed(cell)))
    assert match_phases(found, ["cubic"], [crystals["cubic"]])[0].axes == "abc"
    far = (*(1.035 * length for length in CELLS["cubic"][:3]), 90, 90, 90)
    with pytest.raises(InputError, match="is not that of"):
        match_phases(in_file(tmp_path, ("cubic", listed(far))), ["cubic"], [crystals["cubic"]])


ORDERS = ["abc", "acb", "bac", "bca", "cab", "cba"]


@pytest.mark.parametrize("axes", ORDERS)
@pytest.mark.parametrize("name", ["orthorhombic", "triclinic"])
def test_orientations_are_turned_where_the_files_axes_have_another_order(
    tmp_path, crystals, name, axes
):
    """A reflection lies at the same place of the pattern in either description."""
    crystal, order = crystals[name], ["abc".index(axis) for axis in axes]
    cell = (*np.array(crystal.cell)[order], *np.array(crystal.cell)[3:][order])
    made = CrystalMap(
        Rotation(random_rotations(np.random.default_rng(10), 4)), x=np.arange(4) % 2,
        y=np.arange(4) // 2, phase_id=np.zeros(4, int), scan_unit="nm",
        phase_list=PhaseList(Phase(
            name=name, point_group="-1", structure=Structure(lattice=Lattice(*cell)),
        )),
    )  # fmt: skip
    io.save(tmp_path / "axes.h5", made)
    found = read_map(tmp_path / "axes.h5")
    match = match_phases(found, [name], [crystal])[0]
    assert match.axes == axes
    _, rotation = relabelled(found, [match])
    hkl = np.array([[1, 2, 3], [-2, 0, 1], [1, 1, 0]])
    in_the_files = hkl[:, order] @ np.linalg.inv(basis(found.phases[0].cell))
    for at in np.ndindex(found.shape):
        theirs = in_the_files @ rotations.matrices(found.rotation[at])
        ours = hkl @ crystal.reciprocal @ rotations.matrices(rotation[at])
        # Friedel mates are not told apart, and a reversed order of the axes reverses them all.
        np.testing.assert_allclose(theirs * np.sign(np.sum(theirs * ours)), ours, atol=1e-9)


def test_an_order_of_axes_that_is_not_clear_is_refused(tmp_path, crystals):
    """Two axes within 3 % of each other, in a cell that is not known to the last decimal."""
    crystal = crystals["orthorhombic"]
    found = in_file(tmp_path, ("orthorhombic", "10.80 9.06 9.07 90 90 90"))
    with pytest.raises(InputError, match="in more than one order"):
        match_phases(found, ["orthorhombic"], [crystal])
    clear = in_file(tmp_path, ("orthorhombic", "10.747 9.028 9.044 90 90 90"))
    assert match_phases(clear, ["orthorhombic"], [crystal])[0].axes == "cab"
    swapped = in_file(tmp_path, ("orthorhombic", "9.044 9.028 10.747 90 90 90"))
    assert match_phases(swapped, ["orthorhombic"], [crystal])[0].axes == "bac"


def test_an_order_of_axes_that_symmetry_makes_equal_is_taken(tmp_path, crystals):
    found = in_file(tmp_path, ("tetragonal", "7.4 5.15 5.15 90 90 90"))
    match = match_phases(found, ["tetragonal"], [crystals["tetragonal"]])[0]
    assert match.axes[0] == "c"


def test_the_projects_own_phases_match_their_exports(tmp_path):
    stems = ("Na3V2PO42F3", "Na2V2PO42F3", "NaV2PO42F3")
    ours = [read_crystal(ROOT / f"config/structures/{stem}.cif") for stem in stems]
    paths, phase, _ = exported(tmp_path, ours, shape=(4, 5), seed=11, step_nm=5.0)
    for path in paths.values():
        found = read_map(path)
        matches = match_phases(found, stems, ours)
        assert {match.axes for match in matches} == {"abc"}
        np.testing.assert_array_equal(relabelled(found, matches)[0], phase)
