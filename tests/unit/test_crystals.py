"""Crystals from CIFs against diffpy, orix and diffsims; what a CIF may not lack."""

import dataclasses

import numpy as np
import pytest
from cifs_of_two_atoms import cif_text
from projects import ROOT

from phasefront.core.errors import InputError
from phasefront.diffraction.crystals import check_distinct, laue_rotations, read_crystal

# diffsims' sources hold such sequences; Python says so when it first compiles them.
pytestmark = pytest.mark.filterwarnings("ignore:invalid escape sequence")

STRUCTURES = ROOT / "config" / "structures"
AMAM, I4MMM, CMC21 = "Na3V2PO42F3", "Na2V2PO42F3", "NaV2PO42F3"

CIF = cif_text("rocksalt", (4.2, 4.2, 4.2, 90, 90, 90), "F m -3 m", "Mg", oxygen="0.5 0.5 0.5 1.04")


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


# ------------------------------------------------------------------------ ambiguous or at odds

SPINEL = """data_spinel
_chemical_formula_sum 'Li Mn2 O4'
_cell_formula_units_Z 8
_cell_length_a 8.245
_cell_length_b 8.245
_cell_length_c 8.245
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_cell_volume 560.5
_space_group_name_H-M_alt 'F d -3 m :2'
_space_group_IT_number 227
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
_atom_site_U_iso_or_equiv
Li1 Li1+ 0.125 0.125 0.125 1 0.006
Mn1 Mn3.5+ 0.5 0.5 0.5 1 0.004
O1 O2- 0.2632 0.2632 0.2632 1 0.005
"""


def written(folder, *changes, text=SPINEL):
    """The spinel's CIF with texts replaced."""
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = folder / "spinel.cif"
    path.write_text(text, encoding="utf-8")
    return path


def refused(path):
    with pytest.raises(InputError) as caught:
        read_crystal(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


FORMULA, Z = "_chemical_formula_sum 'Li Mn2 O4'\n", "_cell_formula_units_Z 8\n"


@pytest.mark.parametrize(
    "changes",
    [
        [],
        [(FORMULA, "")],
        [(Z, "")],
        [("'Li Mn2 O4'", "'Li1.0 Mn2.0 O4.0'")],
        [("'Li Mn2 O4'", "'Li0.96 Mn2 O4'")],  # occupancies are refined, formulas analysed
        [("'Li Mn2 O4'", "'Li Mn2 O4, x(H2 O)'")],  # nothing that can be held against sites
        [("Li1+", "Li"), ("Mn3.5+", "Mn+3.5"), ("O2-", "O-2")],
        [("Li1+", "LI"), ("Mn3.5+", "MN")],
        [("data_spinel", "\ufeffdata_spinel")],
        [("data_spinel", "data_global\n_publ_author 'J\u00f6rg'\ndata_spinel")],
        [("'F d -3 m :2'", "'F d -3 m Z'\n_space_group_name_Hall '-F 4vw 2vw 3'")],
    ],
)  # fmt: skip
def test_a_cif_that_agrees_with_itself_is_read(tmp_path, changes):
    found = read_crystal(written(tmp_path, *changes))
    assert found.formula == pytest.approx({"Li": 8, "Mn": 16, "O": 32})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ([(":2", ":1")], "are within"),  # oxygens meet at the other origin
        ([(" :2", ""), (Z, "")], "'F d -3 m' has two origins, and the file does not say which"),
        ([("Mn2", "Mn3")], "states Li8 Mn24 O32 in the cell, but sites and symmetry give Li8 Mn16"),
        ([("Mn2", "Mn3"), (Z, "")], "but sites and symmetry give"),
        ([("Li Mn2", "Na Mn2")], "states Mn16 Na8 O32 in the cell"),
        ([("Z 8", "Z 4")], "states Li4 Mn8 O16 in the cell"),
        ([("Z 8", "Z 0")], "0 formula units in the cell"),
        ([("formula_sum 'Li Mn2", "formula_moiety 'Li1 Mn1")], "_chemical_formula_moiety: states"),
        ([("Li1 Li1+ 0.125 0.125 0.125", "Li1 Li1+ 0 0 0"), ("Mn1 Mn3.5+ 0.5 0.5 0.5",
          "Mn1 Mn3.5+ 0.125 0.125 0.125")], "sites and symmetry give Li16 Mn8 O32"),
        ([(FORMULA, "_chemical_formula_weight 90.4\n")], "_chemical_formula_weight: states 723"),
        ([(FORMULA + Z, "_exptl_crystal_density_diffrn 2.1\n")], "states 2.1 g/cm^3, but"),
        ([("560.5", "280.2")], "_cell_volume: states 280.2 angstrom^3, but"),
        ([("number 227", "number 225")], "225 is another space group than 'F d -3 m:2'"),
        ([("'F d -3 m :2'", "'F 41/d -3 2/m'")], "no symmetry"),
        ([("'F d -3 m :2'", "'F 41/d -3 2/m'\nloop_\n_symmetry_equiv_pos_as_xyz\nx,y,z"),
          ("_space_group_IT_number 227\n", "")],
         "the space group 'F 41/d -3 2/m' is not known"),
        ([("'F d -3 m :2'", "'P -1'\nloop_\n_symmetry_equiv_pos_as_xyz\nx,y,z\n-x,y,-z")],
         "is another space group"),
        ([("'F d -3 m :2'", "?\nloop_\n_symmetry_equiv_pos_as_xyz\nx,y,z\n-x,-y,z\nx,-y,-z")],
         "lists 3 symmetry operators, which make 4 when combined"),
        ([("1 0.006", "1.02 0.006\nNa1 Na1+ 0.125 0.125 0.125 0.3 0.006")],
         "1.32 atoms (Li1, Na1)"),
        ([("0.125 0.125 0.125 1", "0.125 0.125 0.125 full")], "full is no occupancy"),
        ([("1 0.004", "1 4.0")], "atom 'Mn1' has a displacement of 4 angstrom^2"),
        ([("8.245\n", "82.45\n"), ("560.5", "?")], "g/cm^3"),
        ([("8.245\n", "0.8245\n"), ("560.5", "?")], "are within"),
        ([("gamma 90", "gamma 179"), ("alpha 90", "alpha 20")], "have no volume"),
    ],
)  # fmt: skip
def test_a_cif_that_is_at_odds_with_itself_is_refused(tmp_path, changes, words):
    assert words in refused(written(tmp_path, *changes))


@pytest.mark.parametrize(
    "symbol",
    [
        "NH4",
        "H2O",
        "'Fe,Mn'",
        "FeMn",
        "Fe/Mn",
        "OH",
        "CO",
        "NI",
        "X",
        "M1",
        "Wat",
        "Fe3",
        "?",
        "D2O",
    ],
)
def test_a_type_symbol_is_one_element_or_refused(tmp_path, symbol):
    path = written(tmp_path, ("Mn3.5+", symbol), (FORMULA + Z, ""))
    assert "_atom_site_type_symbol: " in refused(path)


@pytest.mark.parametrize(
    ("label", "element"),
    [("Fe1", "Fe"), ("FE2", "Fe"), ("O1A", "O"), ("Na1_a", "Na"), ("N", "N"), ("P(1)", "P"),
     ("OW1", None), ("H2O", None), ("M1", None), ("FeMn", None), ("Fe,Mn1", None), ("Wat1", None)],
)  # fmt: skip
def test_a_label_names_its_element_where_there_is_no_type(tmp_path, label, element):
    untyped = [line.split() for line in CIF.splitlines()]
    rows = [row[:1] + row[2:] if row[:1] in (["Mg1"], ["O1"]) else row for row in untyped]
    text = "\n".join(" ".join(row) for row in rows if row != ["_atom_site_type_symbol"]) + "\n"
    path = written(tmp_path, ("Mg1", label), text=text)
    if element is None:
        refused(path)
    else:
        assert read_crystal(path).formula == pytest.approx(
            {element: 4} | {"O": 4.16} if element != "O" else {"O": 8.16}
        )


def test_displacements_of_drawing_programs_are_taken_as_unknown_and_said(tmp_path):
    lines = [line.rsplit(" ", 1)[0] + " 1.0" if " 0.00" in line else line
             for line in SPINEL.splitlines()]  # fmt: skip
    found = read_crystal(written(tmp_path, text="\n".join(lines)))
    assert set(found.atoms["u_iso"]) == {0.008}
    assert any("as drawing programs write it" in note for note in found.notes)
    _, _, intensity = found.reflections(0.9)
    assert (intensity > 1).any()


def test_hydrogen_without_a_site_is_said_and_not_refused(tmp_path):
    found = read_crystal(written(tmp_path, ("'Li Mn2 O4'", "'H0.5 Li Mn2 O4'")))
    assert found.notes == ("the formula holds H, the sites do not",)


def test_an_edited_cell_keeps_its_old_volume_and_that_is_said(tmp_path):
    found = read_crystal(written(tmp_path, ("560.5", "580.5")))
    assert found.notes == (
        "states 580.5 angstrom^3, but lengths and angles give 560.5, which is used",
    )


def test_one_structure_of_two_is_not_chosen(tmp_path):
    text = SPINEL + SPINEL.replace("data_spinel", "data_other")
    assert "holds 2 structures (spinel, other)" in refused(written(tmp_path, text=text))


CASES = {
    "cif-unknown-symbol/nacl.cif": None,
    "cif-two/two_blocks.cif": None,
    "cif-element/symbol_NH4.cif": None,
    "cif-element/symbol_H2O.cif": None,
    "cif-element/symbol_Fe_Mn.cif": None,
    "cif-element/symbol_FeMn.cif": None,
    "cif-element/site_over.cif": None,
    "cif-bom/bom.cif": {"Li": 8, "Mn": 16, "O": 32},
    "cif-displacement/fcc.cif": {"Fe": 4},
    "cif-displacement/th6mn23.cif": {"Mn": 24, "Ni": 64, "Si": 28},
}


@pytest.mark.parametrize(("name", "formula"), CASES.items(), ids=CASES)
def test_cases_that_went_wrong_are_read_or_refused(shared_data, name, formula):
    path = shared_data(f"cases/{name}")
    if formula is None:
        refused(path)
        return
    found = read_crystal(path)
    assert found.formula == pytest.approx(formula)
    assert len(found.reflections(0.9)[0])


@pytest.mark.parametrize(
    "name",
    ["LCO", "Li2MnO3", "LiFePO4_COD4001848", "LiMn2O4", "FePO4_heterosite_lab_cell",
     "heterosite_AMCSD", "Na3V2PO42F3_P42mnm_model"],
)  # fmt: skip
def test_published_cifs_are_read(shared_data, name):
    assert read_crystal(shared_data(f"structures/{name}.cif")).cell_mass > 100


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ((("_cell_angle_gamma 90", "_cell_angle_gamma 95"),), "has not the symmetry"),
        ((("_cell_length_b 8.245", "_cell_length_b 8.45"),), "has not the symmetry"),
        (
            (("_cell_angle_alpha 90", "_cell_angle_alpha 0"),),
            "_cell_angle_alpha: the cell is none",
        ),
        ((("0.125 0.125 0.125", "12.5 0.125 0.125"),), "which are no fractions"),
    ],
)
def test_cells_and_places_that_no_crystal_has_are_refused(tmp_path, changes, words):
    with pytest.raises(InputError, match=words):
        read_crystal(written(tmp_path, *changes))


def test_operators_whose_translations_make_no_group_are_refused(tmp_path, shared_data):
    """Rotations alone are a group, so that gemmi takes them; the wrong one makes two atoms more."""
    text = shared_data("structures/FePO4_heterosite_lab_cell.cif").read_text()
    path = tmp_path / "wrong.cif"
    path.write_text(text.replace("'x,-y+1/2,z'", "'x,-y+1/3,z'"))
    with pytest.raises(InputError, match="symmetry operators are no group"):
        read_crystal(path)
