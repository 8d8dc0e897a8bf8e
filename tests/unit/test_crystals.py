"""Crystals from CIFs against diffpy, orix and diffsims; what a CIF may not lack."""

import dataclasses

import numpy as np
import pytest
from conftest import ROOT

from phasefront.crystals import check_distinct, laue_rotations, read_crystal
from phasefront.errors import InputError

# diffsims' sources hold such sequences; Python says so when it first compiles them.
pytestmark = pytest.mark.filterwarnings("ignore:invalid escape sequence")

STRUCTURES = ROOT / "config" / "structures"
AMAM, I4MMM, CMC21 = "Na3V2PO42F3", "Na2V2PO42F3", "NaV2PO42F3"

CIF = """data_rocksalt
_cell_length_a 4.2
_cell_length_b 4.2
_cell_length_c 4.2
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_space_group_name_H-M_alt 'F m -3 m'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Mg1 Mg 0 0 0 1
O1 O 0.5 0.5 0.5 1.04
"""


def crystal(stem):
    return read_crystal(STRUCTURES / f"{stem}.cif")


@pytest.mark.parametrize(
    ("stem", "point_group", "proper"), [(AMAM, "mmm", 4), (I4MMM, "4/mmm", 8), (CMC21, "mm2", 4)]
)
def test_point_group_is_that_of_diffpy_and_orix(stem, point_group, proper):
    from diffpy.structure import loadStructure
    from diffpy.structure.parsers import getParser
    from orix.quaternion.symmetry import get_point_group

    found = crystal(stem)
    assert found.point_group == point_group
    assert found.symmetry.shape == (proper, 4)
    parser = getParser("cif")
    parser.parseFile(str(STRUCTURES / f"{stem}.cif"))
    theirs = get_point_group(parser.spacegroup.number)
    assert theirs.name == point_group
    proper_laue = theirs.laue_proper_subgroup.data
    overlap = np.abs(found.symmetry @ proper_laue.T).round(6)
    assert (overlap.max(axis=1) == 1).all()
    assert len(loadStructure(str(STRUCTURES / f"{stem}.cif"))) == len(found.atoms)


def test_monoclinic_axis_is_b(shared_data):
    found = read_crystal(shared_data("structures/Li2MnO3.cif"))
    assert found.point_group == "2/m"
    np.testing.assert_allclose(np.abs(found.symmetry[1]), [0, 0, 1, 0], atol=1e-9)
    orix = found.orix_phase()
    assert orix.point_group.size == 4
    overlap = np.abs(orix.point_group.data @ found.symmetry.T)
    assert (overlap.max(axis=1) > 1 - 1e-9).all()


def test_axes_of_a_non_standard_setting_survive():
    found = crystal(AMAM)
    assert found.cell[:3] == (9.02847, 9.04444, 10.74666)
    assert found.space_group.xhm() == "A m a m"
    phase = found.orix_phase()
    np.testing.assert_allclose(phase.structure.lattice.abcABG()[:3], found.cell[:3])
    np.testing.assert_allclose(phase.structure.lattice.base, np.diag(found.cell[:3]), atol=1e-9)
    np.testing.assert_allclose(found.reciprocal, np.diag(1 / np.array(found.cell[:3])), atol=1e-12)


def test_oblique_axes_follow_orix(shared_data):
    found = read_crystal(shared_data("structures/Li2MnO3.cif"))
    theirs = found.orix_phase().structure.lattice.recbase
    np.testing.assert_allclose(found.reciprocal, theirs.T, atol=1e-6)


@pytest.mark.parametrize(
    ("stem", "absent"),
    [
        (AMAM, lambda h, k, m: (k + m) % 2 == 1),
        (I4MMM, lambda h, k, m: (h + k + m) % 2 == 1),
        (CMC21, lambda h, k, m: (h + k) % 2 == 1),
    ],
)
def test_systematic_absences(stem, absent):
    hkl, q, intensity = crystal(stem).reflections(1.0)
    assert not absent(*hkl.T).any()
    assert (np.linalg.norm(q, axis=1) <= 1.0).all()
    assert (intensity >= 0).all()
    assert {tuple(-index) for index in hkl} == {tuple(index) for index in hkl}


@pytest.mark.parametrize("stem", [AMAM, I4MMM, CMC21])
def test_structure_factors_agree_with_diffsims(stem):
    from diffsims.utils.sim_utils import get_kinematical_intensities

    # diffsims takes one displacement per element, so all atoms get the same here.
    read = crystal(stem)
    found = dataclasses.replace(read, atoms=read.atoms.assign(u_iso=0.01))
    hkl, q, intensity = found.reflections(0.9)
    theirs = get_kinematical_intensities(
        found.orix_phase().structure, hkl, np.linalg.norm(q, axis=1), prefactor=1.0,
        scattering_params="xtables",
        debye_waller_factors=dict.fromkeys(found.formula, 8 * np.pi**2 * 0.01),
    )  # fmt: skip
    strong = theirs > 0.01 * theirs.max()
    ratio = intensity[strong] / theirs[strong]
    np.testing.assert_allclose(ratio / np.median(ratio), 1.0, atol=0.02)


def test_equivalent_reflections_are_equally_strong():
    hkl, _, intensity = crystal(AMAM).reflections(1.0)
    by_index = {tuple(index): value for index, value in zip(hkl, intensity, strict=True)}
    for (h, k, m), value in by_index.items():
        assert by_index[(-h, k, m)] == pytest.approx(value)
        assert by_index[(h, -k, m)] == pytest.approx(value)


def test_contents_of_a_cell():
    found = crystal(AMAM)
    assert found.formula == pytest.approx({"F": 12, "Na": 12, "O": 32, "P": 8, "V": 8})
    assert found.cell_mass / 4 == pytest.approx(417.79, abs=0.01)
    assert found.volume == pytest.approx(np.prod(found.cell[:3]))


def test_symmetry_from_the_symbol_and_occupancy_a_little_over_one(tmp_path):
    path = tmp_path / "mgo.cif"
    path.write_text(CIF)
    found = read_crystal(path, name="MgO")
    assert (found.name, found.point_group) == ("MgO", "m-3m")
    assert found.formula == pytest.approx({"Mg": 4, "O": 4 * 1.04})
    assert any("1.04 of O1" in note for note in found.notes)
    assert any("displacement" in note for note in found.notes)


@pytest.mark.parametrize(
    ("old", "new", "field", "problem"),
    [
        ("_space_group_name_H-M_alt 'F m -3 m'\n", "", "symop", "no symmetry"),
        ("F m -3 m", "F x -3 q", "symop", "no symmetry"),
        ("_cell_length_b 4.2\n", "", "_cell_length_b", "no cell"),
        ("_cell_length_b 4.2", "_cell_length_b ?", "_cell_length_b", "no cell"),
        (" Mg ", " Xx ", "type_symbol", "unknown element"),
        ("1.04", "1.4", "occupancy", "occupancy 1.4"),
        ("Mg1 Mg 0 0 0 1\nO1 O 0.5 0.5 0.5 1.04\n", "", "_atom_site", "no atoms"),
        ("loop_", "loop_\nloop_", "", "not a readable CIF"),
        ("loop_", "loop_\n_space_group_symop_operation_xyz\nx,y,z\nloop_", "symop", "lists 1"),
    ],
)
def test_bad_cif_is_refused_in_one_sentence(tmp_path, old, new, field, problem):
    path = tmp_path / "bad.cif"
    path.write_text(CIF.replace(old, new))
    with pytest.raises(InputError, match=problem) as caught:
        read_crystal(path)
    assert str(path) in str(caught.value)
    assert field in (caught.value.field or "")


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_crystal(tmp_path / "absent.cif")


def test_same_structure_twice_is_refused_even_in_another_setting(tmp_path):
    copy = tmp_path / "copy.cif"
    copy.write_text((STRUCTURES / f"{AMAM}.cif").read_text())
    with pytest.raises(InputError, match=f"same structure as .*{AMAM}.cif") as caught:
        check_distinct([crystal(AMAM), crystal(I4MMM), read_crystal(copy)])
    assert str(copy) in str(caught.value)
    moved = tmp_path / "moved.cif"
    moved.write_text(CIF.replace("F m -3 m", "F d -3 m :1"))
    check_distinct([crystal(AMAM), crystal(I4MMM), crystal(CMC21), read_crystal(moved)])


def test_two_phases_may_not_share_a_name():
    with pytest.raises(InputError, match="called"):
        check_distinct([crystal(AMAM), read_crystal(STRUCTURES / f"{I4MMM}.cif", name=AMAM)])


@pytest.mark.parametrize(
    "point_group", ["mmm", "222", "4/mmm", "4/m", "6/mmm", "-3m", "-43m", "m-3m"]
)
def test_laue_rotations_agree_with_orix(point_group):
    from orix.crystal_map import Phase

    ours = laue_rotations(point_group)
    theirs = Phase(point_group=point_group).point_group.laue_proper_subgroup.data
    assert len(ours) == len(theirs)
    assert (np.abs(ours @ theirs.T) > 1 - 1e-6).any(axis=1).all()


@pytest.mark.parametrize("point_group", [None, "five", "m3m", "Pmmm"])
def test_what_is_no_point_group_is_refused(point_group):
    with pytest.raises(InputError, match=r"parent_point_group: .* is no point group"):
        laue_rotations(point_group)
