"""CIFs of two atoms, for tests of cells and groups."""

_CIF = """data_{name}
_cell_length_a {a}
_cell_length_b {b}
_cell_length_c {c}
_cell_angle_alpha {alpha}
_cell_angle_beta {beta}
_cell_angle_gamma {gamma}
_space_group_name_H-M_alt '{group}'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
{metal}1 {metal} 0 0 0 1
O1 O {oxygen}
"""


def cif_text(name, cell, group, metal, oxygen="0.21 0.13 0.34 0.1"):
    """A metal at the origin and oxygen (place and occupancy) beside it.

    `cell` in angstrom and degrees.
    """
    sides = dict(zip(("a", "b", "c", "alpha", "beta", "gamma"), cell, strict=True))
    return _CIF.format(name=name, group=group, metal=metal, oxygen=oxygen, **sides)
