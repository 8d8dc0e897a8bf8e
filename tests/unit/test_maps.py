"""Maps for other programs, read back by orix and, by hand, as their formats define them."""

import subprocess
import sys

import h5py
import numpy as np
import pytest
from cifs_of_two_atoms import cif_text
from examples import example
from orix import io
from orix.quaternion import Orientation, Rotation, symmetry
from projects import ROOT
from scipy.spatial.transform import Rotation as ScipyRotation
from stages import build_grains, build_phases

from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.diffraction.crystals import read_crystal
from phasefront.experiment.load import load
from phasefront.experiment.settings.instruments import StatedCamera
from phasefront.layouts.grains import GRAINS
from phasefront.layouts.orientations import ORIENTATIONS
from phasefront.layouts.phases import MIXED, PHASES, UNDECIDED, VACUUM
from phasefront.maps import export, frames

# diffsims' sources hold such sequences; Python says so when it first compiles them.
pytestmark = pytest.mark.filterwarnings("ignore:invalid escape sequence")

STEMS = {"Na3": "Na3V2PO42F3", "Na2": "Na2V2PO42F3", "Na1": "NaV2PO42F3"}
CIFS = {name: ROOT / f"config/structures/{stem}.cif" for name, stem in STEMS.items()}
SHAPE = (5, 7)
SUFFIXES = ("h5", "ang", "ctf")
UNSTATED = "camera rotation not stated: directions on the map are relative to the camera"

CELLS = {
    "cubic": ((8.2, 8.2, 8.2, 90, 90, 90), "F d -3 m:1"),
    "monoclinic": ((5, 8.5, 5.1, 90, 109.4, 90), "C 1 2/m 1"),
    "hexagonal": ((5, 5, 14, 90, 90, 120), "P 63/m m c"),
}


@pytest.fixture(scope="module")
def sodium():
    return [read_crystal(path, name=name) for name, path in CIFS.items()]


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cifs")
    for name, (cell, group) in CELLS.items():
        (folder / f"{name}.cif").write_text(cif_text(name, cell, group, "Mn"))
    return [read_crystal(folder / f"{name}.cif") for name in CELLS]


def mapped(phases, orientations, crystals, *, step_nm):
    grains = build_grains(phases)
    return export.crystal_map(phases, orientations, grains, crystals, step_nm=step_nm, camera=None)


def stages(names, *, shape=SHAPE, absent=()):
    """PHASES and ORIENTATIONS of random rotations; a fifth each undecided and vacuum."""
    rng = np.random.default_rng(2)
    present = [i for i, name in enumerate(names) if name not in absent]
    decision = rng.choice([UNDECIDED, VACUUM, *present, *present, *present], shape)
    rotation = ScipyRotation.random(decision.size * len(names) * 2, rng)
    rotation = rotation.as_quat(scalar_first=True).reshape(*shape, len(names), 2, 4)
    # As in real files, vacuum has no orientation.
    rotation[decision == VACUUM] = np.nan
    per_rank = (*shape, len(names), 2)
    orientations = example(
        ORIENTATIONS, phase=names, rotation=rotation, score=rng.random(per_rank), scan="s",
        indexed=rng.integers(5, 40, per_rank),
    )  # fmt: skip
    phases = build_phases(
        names, decision, scan="s", rotation=rotation[..., 0, :], reliability=rng.random(shape),
        posterior=rng.random((*shape, len(names))),
    )  # fmt: skip
    return phases, orientations


def made(crystals, *, step_nm=2.345, **options):
    """A map with the PHASES and ORIENTATIONS it is made of."""
    phases, orientations = stages([crystal.name for crystal in crystals], **options)
    found = export.crystal_map(
        phases, orientations, build_grains(phases), crystals, step_nm=step_nm, camera=None
    )
    return found, phases, orientations


def written(found, folder, camera=None):
    """Path of each format after writing the map."""
    paths = {suffix: folder / f"map.{suffix}" for suffix in SUFFIXES}
    for suffix, path in paths.items():
        getattr(export, f"write_{suffix}")(found, path, camera=camera)
    return paths


def assert_same_map(read, found, crystals):
    """Shape, numbers of phases, groups, lattices and, under symmetry, orientations."""
    assert read.shape == found.shape
    np.testing.assert_array_equal(read.phase_id, found.phase_id)
    for number in read.phases_in_data.ids:
        if number == -1:
            continue
        theirs, crystal = read.phases[number], crystals[number - 1]
        assert theirs.name == crystal.name
        rotations = theirs.point_group.laue_proper_subgroup
        overlap = np.abs(rotations.data @ crystal.symmetry.T).max(axis=1)
        assert rotations.size == len(crystal.symmetry)
        np.testing.assert_allclose(overlap, 1, atol=1e-6)
        np.testing.assert_allclose(theirs.structure.lattice.abcABG(), crystal.cell, atol=6e-4)
        here = found.phase_id == number
        ours = Orientation(found.rotations[here], rotations)
        apart = ours.angle_with(Orientation(read.rotations[here], rotations), degrees=True)
        assert apart.max() < 0.01


def by_position(array, found):
    return np.where(found.is_indexed, np.asarray(array).ravel(), 0)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("absent", [(), ("Na3",), ("Na2", "Na1")], ids=len)
def test_orix_reads_back_what_was_written(tmp_path, sodium, suffix, absent):
    found, _, _ = made(sodium, absent=absent)
    read = io.load(written(found, tmp_path)[suffix])
    assert_same_map(read, found, sodium)
    assert 2 < (~read.is_indexed).sum() < 25


def test_mixed_positions_are_indexed_as_their_likeliest_phase(tmp_path, sodium):
    phases, orientations = stages([crystal.name for crystal in sodium])
    places = np.argwhere(phases["decision"].values >= 0)[:4]
    for row, column in places:
        phases["decision"][row, column] = MIXED
        phases["share"][row, column] = [0.25, 0.75, 0]
    found = export.crystal_map(
        phases, orientations, build_grains(phases), sodium, step_nm=2.0, camera=None
    )
    read = io.load(written(found, tmp_path)["h5"])
    for row, column in places:
        at = row * SHAPE[1] + column
        likeliest = int(phases["posterior"].values[row, column].argmax())
        assert read.phase_id[at] == likeliest + 1
        assert read.prop["share"][at] == [0.25, 0.75, 0][likeliest]
        rotation = Rotation(phases["rotation"].values[row, column, likeliest].astype(float))
        assert read.rotations[int(at)].angle_with(rotation, degrees=True)[0] < 0.01
    decided = (phases["decision"].values >= 0).ravel()
    assert (read.prop["share"][decided] == 1).all()


def test_values_are_those_of_the_decided_phase(tmp_path, sodium):
    found, phases, orientations = made(sodium)
    decision = phases["decision"].values
    np.testing.assert_array_equal(found.phase_id, np.where(decision < 0, -1, decision + 1).ravel())
    y, x = np.indices(SHAPE)
    chosen = (y, x, decision.clip(0))
    score = by_position(orientations["score"].values[..., 0][chosen], found)
    spots = by_position(orientations["indexed"].values[..., 0][chosen], found)
    posterior = by_position(phases["posterior"].values[chosen], found)
    reliability = by_position(phases["reliability"], found)

    paths = written(found, tmp_path)
    h5, ang, ctf = (io.load(paths[suffix]) for suffix in SUFFIXES)
    for name, expected in [
        ("score", score), ("spots", spots), ("posterior", posterior), ("reliability", reliability)
    ]:  # fmt: skip
        np.testing.assert_array_equal(h5.prop[name], expected)
    assert [h5.phases[i].point_group.name for i in (1, 2, 3)] == ["mmm", "4/mmm", "mm2"]
    # The number 63 would say Cmcm, and the file is in Amam.
    assert [h5.phases[i].space_group and h5.phases[i].space_group.number for i in (1, 2, 3)] == [
        None, 139, 36,
    ]  # fmt: skip
    assert (h5.dx, h5.dy, h5.scan_unit) == (2.345, 2.345, "nm")

    np.testing.assert_allclose(ang.prop["iq"], score, atol=1e-5)
    np.testing.assert_allclose(
        ang.prop["ci"][ang.is_indexed], posterior[found.is_indexed], atol=1e-5
    )
    np.testing.assert_allclose(ang.prop["reliability"], reliability, atol=1e-5)
    assert (ang.dx, ang.dy) == pytest.approx((2.345, 2.345))

    np.testing.assert_allclose(ctf.prop["MAD"], score, atol=1e-4)
    np.testing.assert_array_equal(ctf.prop["bands"], spots)
    np.testing.assert_allclose(ctf.prop["BC"], 100 * posterior, atol=0.5)
    np.testing.assert_allclose(ctf.prop["BS"], 100 * reliability, atol=0.5)
    np.testing.assert_array_equal(ctf.prop["error"], np.where(found.is_indexed, 0, 3))
    assert (ctf.dx, ctf.dy, ctf.scan_unit) == (pytest.approx(0.002345), 0.002345, "um")


def ctf_rows(path):
    """Lines of the header, and the table (position, column)."""
    lines = path.read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("Phase\t")) + 1
    return lines[:start], np.array([line.split("\t") for line in lines[start:]], dtype=float)


def test_angles_are_bunges(tmp_path, sodium):
    found, phases, _ = made(sodium)
    paths = written(found, tmp_path)
    _, table = ctf_rows(paths["ctf"])
    in_degrees = table[:, 5:8]
    in_radians = np.loadtxt(paths["ang"])[:, :3]
    decision = phases["decision"].values.ravel()
    rotation = phases["rotation"].values.reshape(decision.size, -1, 4)
    for position in np.flatnonzero(decision >= 0):
        ours = ScipyRotation.from_quat(rotation[position, decision[position]], scalar_first=True)
        for angles in (np.deg2rad(in_degrees[position]), in_radians[position]):
            (c1, c, c2), (s1, s, s2) = np.cos(angles), np.sin(angles)
            # Bunge, Texture Analysis in Materials Science (1982), eq. 2.50: sample to crystal.
            bunge = [
                [c1 * c2 - s1 * s2 * c, s1 * c2 + c1 * s2 * c, s2 * s],
                [-c1 * s2 - s1 * c2 * c, -s1 * s2 + c1 * c2 * c, c2 * s],
                [s1 * s, -c1 * s, c],
            ]
            np.testing.assert_allclose(bunge, ours.as_matrix(), atol=3e-5)
            # The crystal is turned by phi1 about z, Phi about the new x, phi2 about the new z.
            turned = ScipyRotation.from_euler("ZXZ", angles)
            assert np.rad2deg((turned * ours).magnitude()) < 0.01
    np.testing.assert_array_equal(in_degrees[decision < 0], 0)


def test_a_reflection_lies_where_the_rotation_says(tmp_path, sodium):
    """[010] along x of the frame, [001] along y: the crystal's b axis points along the columns."""
    crystal = sodium[0]
    phases, orientations = stages(["Na3"], shape=(2, 3))
    to_crystal = ScipyRotation.from_matrix([[0, 0, 1], [1, 0, 0], [0, 1, 0]])
    phases["decision"][:] = 0
    phases["rotation"][:] = to_crystal.as_quat(scalar_first=True)
    found = export.crystal_map(
        phases, orientations, build_grains(phases), [crystal], step_nm=1, camera=None
    )
    for path in written(found, tmp_path).values():
        read = io.load(path)
        for hkl, direction in [((0, 4, 0), (1, 0, 0)), ((0, 0, 2), (0, 1, 0))]:
            g = np.array(hkl) @ crystal.reciprocal
            in_frame = ScipyRotation.from_matrix(read.rotations.to_matrix()[0]).inv().apply(g)
            np.testing.assert_allclose(in_frame / np.linalg.norm(g), direction, atol=1e-4)


def test_laue_groups_of_a_ctf(tmp_path, sodium, others):
    found = made([*sodium, *others], shape=(9, 9))[0]
    path = written(found, tmp_path)["ctf"]
    header, table = ctf_rows(path)
    assert "Phases\t6" in header
    described = [line.split("\t") for line in header[-7:-1]]
    assert [(name, int(laue)) for _, _, name, laue, _ in described] == [
        ("Na3", 3), ("Na2", 5), ("Na1", 3), ("cubic", 11), ("monoclinic", 2), ("hexagonal", 9),
    ]  # fmt: skip
    assert described[0][:2] == ["9.02847;9.04444;10.74666", "90.00000;90.00000;90.00000"]
    assert set(table[:, 0]) == {0, 1, 2, 3, 4, 5, 6}
    groups = [phase.point_group.name for number, phase in io.load(path).phases if number > 0]
    assert groups == ["mmm", "4/mmm", "mmm", "m-3m", "2/m", "6/mmm"]


@pytest.mark.parametrize(
    ("name", "number"),
    [("1", "-1"), ("121", "2/m"), ("222", "mmm"), ("4", "4/m"), ("422", "4/mmm"), ("3", "-3"),
     ("32", "-3m"), ("6", "6/m"), ("622", "6/mmm"), ("23", "m-3"), ("432", "m-3m")],
)  # fmt: skip
def test_laue_numbers_follow_channel_5(name, number):
    order = ["-1", "2/m", "mmm", "4/m", "4/mmm", "-3", "-3m", "6/m", "6/mmm", "m-3", "m-3m"]
    assert export.LAUE_NUMBERS[name] == order.index(number) + 1


def test_every_group_of_orix_has_a_laue_number():
    for group in symmetry._groups:
        assert group.laue_proper_subgroup.name in export.LAUE_NUMBERS


def test_oblique_cells_in_each_formats_axes(tmp_path, others):
    found, _, _ = made(others)
    paths = written(found, tmp_path)
    for suffix in ("h5", "ang"):
        assert_same_map(io.load(paths[suffix]), found, others)
    # A .ctf has e1 along a* and e3 along c: two reflections and an axis tell it.
    _, table = ctf_rows(paths["ctf"])
    ours = found.rotations.to_matrix()
    theirs = Rotation.from_euler(np.deg2rad(table[:, 5:8])).to_matrix()
    for position in np.flatnonzero(found.is_indexed):
        crystal = others[found.phase_id[position] - 1]
        a_star = crystal.reciprocal[0] / np.linalg.norm(crystal.reciprocal[0])
        c = np.linalg.inv(crystal.reciprocal)[:, 2] / crystal.cell[2]
        for direction, axis in [(a_star, [1, 0, 0]), (c, [0, 0, 1])]:
            in_frame = direction @ ours[position]
            np.testing.assert_allclose(theirs[position] @ in_frame, axis, atol=1e-4)


def test_a_single_row(tmp_path, sodium):
    found, _, _ = made(sodium, shape=(1, 9))
    for path in written(found, tmp_path).values():
        np.testing.assert_array_equal(io.load(path).phase_id, found.phase_id)


def test_nothing_decided_and_no_step(tmp_path, sodium):
    phases, orientations = stages(list(STEMS))
    phases["decision"][:] = UNDECIDED
    found = export.crystal_map(
        phases, orientations, build_grains(phases), sodium, step_nm=np.nan, camera=None
    )
    assert (found.dx, found.dy, found.scan_unit) == (1, 1, "px")
    for path in written(found, tmp_path).values():
        read = io.load(path)
        assert not read.is_indexed.any()
        assert (read.dx, read.dy, read.shape) == (1, 1, SHAPE)


def test_other_phases_than_decided_between(sodium):
    phases, orientations = stages(list(STEMS))
    with pytest.raises(InputError, match=r"s: phase: its phases are .*give the CIFs"):
        export.crystal_map(
            phases, orientations, build_grains(phases), sodium[::-1], step_nm=1, camera=None
        )


def test_script_writes_the_same_bytes_as_another_process(tmp_path, sodium):
    phases, orientations = stages(list(STEMS))
    netcdf.write(phases, tmp_path / "phases.nc", PHASES)
    netcdf.write(orientations, tmp_path / "orientations.nc", ORIENTATIONS)
    grains = build_grains(phases).assign_attrs(scan_step_nm=10.0)
    netcdf.write(grains, tmp_path / "grains.nc", GRAINS)
    command = [
        sys.executable, "scripts/export_maps.py", "--phases", tmp_path / "phases.nc",
        "--orientations", tmp_path / "orientations.nc", "--grains", tmp_path / "grains.nc",
        "--cifs", *CIFS.values(),
        "--names", load(ROOT / "config/demo.yaml").section("material.names"),
        "--camera", "null",
    ]  # fmt: skip
    for suffix in SUFFIXES:
        command += [f"--{suffix}", tmp_path / "out" / f"map.{suffix}"]
    done = subprocess.run(
        list(map(str, command)), cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == done.stdout == ""
    again = export.crystal_map(phases, orientations, grains, sodium, step_nm=10, camera=None)
    for path in written(again, tmp_path).values():
        assert path.read_bytes() == (tmp_path / "out" / path.name).read_bytes()
        assert (tmp_path / "out" / f"{path.name}.prov.json").is_file()


@pytest.mark.parametrize("first", range(2))
@pytest.mark.parametrize(("ny", "nx"), [(1, 1), (1, 2), (3, 1), (1, 3), (2, 2)])
def test_maps_of_few_positions_are_written_too(sodium, tmp_path, ny, nx, first):
    phases, orientations = stages(list(CIFS))
    at = {"y": slice(first, first + ny), "x": slice(0, nx)}
    part = phases.isel(at)
    found = mapped(part, orientations.isel(at), sodium, step_nm=10.0)
    paths = written(found, tmp_path)
    assert np.loadtxt(paths["ang"], ndmin=2).shape[0] == ny * nx
    for suffix in ("ang", "h5") if ny * nx > 1 else ():  # orix reads no map of one position
        read = io.load(paths[suffix])
        assert read.size == ny * nx
        np.testing.assert_array_equal(read.is_indexed, found.is_indexed)
        indexed = found.is_indexed
        np.testing.assert_array_equal(read.phase_id[indexed], found.phase_id[indexed])
        turned = (~found.rotations * read.rotations).angle[indexed]
        np.testing.assert_allclose(np.degrees(turned), 0, atol=0.02)
    header, _, table = paths["ctf"].read_text().partition("\nPhase\t")
    assert f"XCells\t{nx}\nYCells\t{ny}" in header
    assert len(table.splitlines()) == 1 + ny * nx
    ang = paths["ang"].read_text()
    assert f"NCOLS_ODD: {nx}" in ang
    assert f"NROWS: {ny}" in ang


@pytest.mark.parametrize(
    ("camera", "told"),
    [
        (None, UNSTATED),
        (
            StatedCamera(rotation_deg=-12.5, mirrored=True, rotation_error_deg=1.5),
            "camera rotation -12.5 degrees (standard error 1.5), mirrored:"
            " directions on the map are those of the scan",
        ),
        (
            StatedCamera(rotation_deg=0, mirrored=False),
            "camera rotation 0 degrees (error not stated), not mirrored:"
            " directions on the map are those of the scan",
        ),
    ],
    ids=["unstated", "stated", "error unknown"],
)
def test_every_export_says_what_its_directions_refer_to(tmp_path, sodium, camera, told):
    assert frames.statement(camera) == told
    written(made(sodium)[0], tmp_path, camera)
    assert (tmp_path / "map.ang").read_text().splitlines()[0] == f"# {told}"
    assert (tmp_path / "map.ctf").read_text().splitlines()[1] == f"Prj\tphasefront; {told}"
    with h5py.File(tmp_path / "map.h5") as file:
        attributes = dict(file["crystal_map"].attrs)
    assert attributes.pop("directions") == told
    known = {} if camera is None else camera.model_dump(exclude_none=True)
    assert attributes == {f"camera_{name}": value for name, value in known.items()}
