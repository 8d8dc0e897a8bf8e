"""Whether what a config says of its material and camera can be true of the CIFs and the scans.

A CIF holds the ions, the formula and the mass of a cell. So ion contents, formula units, the molar
mass and the axes of a shared lattice are said twice, and are held together here.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import gemmi
import numpy as np

from phasefront.core.errors import InputError

if TYPE_CHECKING:
    from phasefront.diffraction.crystals import Crystal
    from phasefront.experiment.settings.material import Material

# Ions per formula unit: diffraction tells a light atom's occupancy no better, and what is weighed
# or titrated differs from the published crystal by as much.
_ION_TOLERANCE = 0.1
# Relative, of the mass of a formula unit without ions: dopants and a neighbouring transition metal
# in its place change it by a few percent, a wrong count of formula units by more.
_HOST_TOLERANCE = 0.1
# Relative, of a molar mass that is a phase's own, computed from the same atomic weights.
_SAME_MASS = 0.002
# Between phases: lengths (relative) and angles (degree) of the lattice they share. Insertion
# strains it by a few percent; a wrong choice of axes changes it by more.
_LENGTH_TOLERANCE, _ANGLE_TOLERANCE = 0.15, 8.0
# Axes of a lattice in those of another are small fractions: halves, thirds, quarters, sixths.
_FRACTION, _FRACTION_TOLERANCE = 12, 1e-3
# From the centre to the edge a camera sees from a third of the largest spot's radius, to which
# there must be spots, up to five times that or 5 1/A, beyond what any camera length shows.
_LEAST_REACH, _MOST_REACH, _FARTHEST = 1 / 3, 5.0, 5.0


def check_material(material: Material, crystals: Sequence[Crystal], source: str) -> None:
    """Hold a material against its phases' CIFs, in the same order.

    Raises InputError, naming `source` and the field, for an ion that is no element or in no CIF, a
    count of ions that is not that of the cell, formula units of different hosts, a molar mass or
    pristine ion content that no phase has, axes of a shared lattice that is not one, a point group
    that it has not, and a two-phase field whose ends are exchanged.
    """
    _check_ion(material, crystals, source)
    _check_ions_in_cells(material, crystals, source)
    hosts = _host_masses(material, crystals)
    _check_hosts(material, crystals, hosts, source)
    _check_pristine(material, hosts, source)
    _check_fields(material, source)
    _check_parent_axes(material, crystals, source)


def _check_ion(material: Material, crystals: Sequence[Crystal], source: str) -> None:
    if (
        not material.ion.isascii()
        or material.ion == "X"
        or gemmi.Element(material.ion).name != material.ion
    ):
        raise InputError(
            source, f"{material.ion!r} is no element", field="material.ion",
            remedy="give its symbol, as Li or Na",
        )  # fmt: skip
    if not any(material.ion in crystal.formula for crystal in crystals):
        elements = sorted({element for crystal in crystals for element in crystal.formula})
        raise InputError(
            source, f"no CIF holds {material.ion}, they hold {', '.join(elements)}",
            field="material.ion", remedy="name the element that moves",
        )  # fmt: skip


def _check_ions_in_cells(material: Material, crystals: Sequence[Crystal], source: str) -> None:
    for phase, crystal in zip(material.phases, crystals, strict=True):
        asked = phase.ion_content * phase.formula_units
        found = crystal.formula.get(material.ion, 0.0)
        if abs(asked - found) > _ION_TOLERANCE * phase.formula_units:
            raise InputError(
                source, f"ion_content {phase.ion_content:g} times formula_units"
                f" {phase.formula_units} are {asked:g} {material.ion} in the cell, but"
                f" {phase.cif} holds {found:.4g}", field=f"material.phases.{phase.name}",
                remedy="correct ion_content, formula_units or the CIF",
            )  # fmt: skip


def _host_masses(material: Material, crystals: Sequence[Crystal]) -> dict[str, float]:
    """g/mol of each phase's formula unit without ions; sites filled over 1 count as full."""
    masses = {}
    for phase, crystal in zip(material.phases, crystals, strict=True):
        host = crystal.atoms[crystal.atoms["element"] != material.ion]
        weights = [gemmi.Element(element).weight for element in host["element"]]
        mass = float(np.dot(weights, host["occupancy"].clip(upper=1.0)))
        masses[phase.name] = mass / phase.formula_units
    return masses


def _check_hosts(
    material: Material, crystals: Sequence[Crystal], masses: Mapping[str, float], source: str
) -> None:
    """Phases of one host must count its formula units alike, or molar fractions mean nothing."""
    proportions = {
        phase.name: host_proportions(crystal, material.ion)
        for phase, crystal in zip(material.phases, crystals, strict=True)
    }
    coexisting = [set(field) for field in material.two_phase_fields]
    for one, other in itertools.combinations(masses, 2):
        alike = same_proportions(proportions[one], proportions[other])
        if not (alike or {one, other} in coexisting):
            continue
        if abs(masses[one] - masses[other]) > _HOST_TOLERANCE * masses[one]:
            raise InputError(
                source, f"without {material.ion} a formula unit of {one} has {masses[one]:.5g}"
                f" g/mol and one of {other} {masses[other]:.5g}, though"
                f" {'both are of one host' if alike else 'the two coexist'}",
                field=f"material.phases.{other}.formula_units",
                remedy="count the formula units of both cells in the same way",
            )  # fmt: skip


def host_proportions(crystal: Crystal, ion: str) -> dict[str, float]:
    """Share of each element in the atoms of a crystal that are not ions."""
    host = {element: n for element, n in crystal.formula.items() if element != ion}
    total = sum(host.values())
    return {element: n / total for element, n in host.items()}


def same_proportions(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    """Whether two are of one host, by what `host_proportions` gives."""
    return all(
        math.isclose(one.get(element, 0), other.get(element, 0), abs_tol=0.02)
        for element in {*one, *other}
    )


def _check_pristine(material: Material, hosts: Mapping[str, float], source: str) -> None:
    ion_mass = gemmi.Element(material.ion).weight
    content, mass = material.pristine_ion_content, material.pristine_molar_mass
    own = {p.name: hosts[p.name] + p.ion_content * ion_mass for p in material.phases}
    contents = material.ion_contents
    slack = _ION_TOLERANCE + 3 * material.pristine_ion_error
    if not min(contents) - slack <= content <= max(contents) + slack:
        raise InputError(
            source, f"{content:g} {material.ion} per formula unit is more or less than any phase"
            f" holds, {min(contents):g} to {max(contents):g}",
            field="material.pristine_ion_content", remedy="correct it or add the phase",
        )  # fmt: skip
    host = mass - content * ion_mass
    nearest = min(hosts, key=lambda name: abs(hosts[name] - host))
    if abs(hosts[nearest] - host) > _HOST_TOLERANCE * hosts[nearest]:
        raise InputError(
            source, f"{mass:g} g/mol with {content:g} {material.ion} fits no phase: with as many"
            f" {nearest} has {hosts[nearest] + content * ion_mass:.5g}",
            field="material.pristine_molar_mass",
            remedy="give g/mol of one formula unit of the compound that was weighed",
        )  # fmt: skip
    same = [p for p in material.phases if abs(own[p.name] / mass - 1) < _SAME_MASS]
    if same and all(abs(p.ion_content - content) > slack for p in same):
        raise InputError(
            source, f"{mass:g} g/mol is the mass of {same[0].name}, which holds"
            f" {same[0].ion_content:g} {material.ion}, and not {content:g}",
            field="material.pristine_ion_content",
            remedy="give molar mass and ion content of the same compound",
        )  # fmt: skip


def _check_fields(material: Material, source: str) -> None:
    """Where two phases coexist, the one that is richer in ions is so there, too."""
    contents = dict(zip(material.names, material.ion_contents, strict=True))
    for field in material.two_phase_fields:
        (one, of_one), (other, of_other) = field.items()
        if (of_one - of_other) * (contents[one] - contents[other]) < 0:
            raise InputError(
                source, f"{one} has {of_one:g} {material.ion} where it coexists with {other} of"
                f" {of_other:g}, but as phases they hold {contents[one]:g} and"
                f" {contents[other]:g}", field="material.two_phase_fields",
                remedy="exchange the two ion contents",
            )  # fmt: skip


def _check_parent_axes(material: Material, crystals: Sequence[Crystal], source: str) -> None:
    shared = {}
    for phase, crystal in zip(material.phases, crystals, strict=True):
        if phase.parent_axes is None:
            continue
        axes, field = np.array(phase.parent_axes), f"material.phases.{phase.name}.parent_axes"
        if np.abs(axes * _FRACTION - np.round(axes * _FRACTION)).max() > _FRACTION_TOLERANCE:
            raise InputError(
                source, "the entries are not whole numbers or halves, thirds, quarters or sixths",
                field=field, remedy="give the shared lattice's axes in this phase's, a row each",
            )  # fmt: skip
        if np.linalg.det(axes) <= 1e-6:
            raise InputError(
                source, f"the axes have the determinant {np.linalg.det(axes):.3g}, so they are not"
                " three independent, right-handed axes", field=field,
                remedy="correct them, or swap two rows",
            )  # fmt: skip
        shared[phase.name] = gemmi.UnitCell(*_lattice(axes, crystal))
    _check_parent_group(material, shared, source)
    names = list(shared)
    for name in names[1:]:
        one, other = (np.array(shared[n].parameters) for n in (names[0], name))
        lengths, angles = other[:3] / one[:3] - 1, other[3:] - one[3:]
        if max(abs(lengths)) > _LENGTH_TOLERANCE or max(abs(angles)) > _ANGLE_TOLERANCE:
            raise InputError(
                source, f"the shared lattice is {_words(other)} by {name}'s axes, but"
                f" {_words(one)} by those of {names[0]}",
                field=f"material.phases.{name}.parent_axes",
                remedy="give the same lattice's axes in each phase",
            )  # fmt: skip


def _check_parent_group(
    material: Material, shared: Mapping[str, gemmi.UnitCell], source: str
) -> None:
    """The group that phases share, whether they have axes or not, must be one, and of lattices
    that its rotations take to themselves, but for the strain that insertion makes.

    Orientations that it makes equivalent, and no lattice does, would be taken for the same.
    """
    from scipy.spatial.transform import Rotation

    from phasefront.diffraction.crystals import laue_rotations

    if material.parent_point_group is None:
        return
    field = "material.parent_point_group"
    try:
        quaternions = laue_rotations(material.parent_point_group)
    except InputError as error:
        raise InputError(source, error.problem, field=field, remedy=error.remedy) from None
    rotations = Rotation.from_quat(quaternions, scalar_first=True).as_matrix()
    for name, cell in shared.items():
        vectors = np.array(cell.orth.mat.tolist())  # columns: a, b, c
        indices = np.linalg.inv(vectors) @ rotations @ vectors
        if np.abs(indices - np.round(indices)).max() > _LENGTH_TOLERANCE:
            raise InputError(
                source, f"{material.parent_point_group} is no symmetry of the shared lattice, which"
                f" is {_words(np.array(cell.parameters))} by {name}'s axes", field=field,
                remedy="name the point group of that lattice, or correct parent_axes",
            )  # fmt: skip


def _lattice(axes: np.ndarray, crystal: Crystal) -> tuple[float, ...]:
    """a, b, c and alpha, beta, gamma (angstrom, degree) of axes (3, 3) in those of a crystal."""
    vectors = axes @ np.linalg.inv(crystal.reciprocal).T
    length = np.linalg.norm(vectors, axis=1)
    cosine = (vectors @ vectors.T) / np.outer(length, length)
    angle = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
    return (*length, angle[1, 2], angle[0, 2], angle[0, 1])


def _words(cell: np.ndarray) -> str:
    a, b, c, alpha, beta, gamma = cell
    return f"{a:.3g}, {b:.3g}, {c:.3g} angstrom, {alpha:.0f}, {beta:.0f}, {gamma:.0f} degrees"


def check_scale(
    scale: float, camera: tuple[int, int], max_radius: float, *, source: str, field: str, scan: str
) -> None:
    """Raise InputError where a camera's nominal scale cannot be right.

    Parameters
    ----------
    scale
        1/angstrom per pixel.
    camera
        Rows and columns of its pixels.
    max_radius
        Largest spatial frequency of a spot, 1/angstrom.
    """
    corner, edge = math.hypot(*camera) / 2 * scale, min(camera) / 2 * scale
    if corner < _LEAST_REACH * max_radius or edge > max(_MOST_REACH * max_radius, _FARTHEST):
        raise InputError(
            source, f"at {scale:g} 1/angstrom per pixel the {camera[0]} x {camera[1]} camera of"
            f" scan {scan!r} sees {edge:.3g} 1/angstrom from its centre to its edge, while spots"
            f" are sought up to {max_radius:g} (spots.max_radius)", field=field,
            remedy="give the scale in 1/angstrom per pixel, of the pixels as they are in the file",
        )  # fmt: skip


def check_reach(reach: float, max_radius: float, *, source: str) -> None:
    """Raise InputError where peaks that end at `reach`, 1/angstrom, are in another unit.

    A camera that shows them sees as far as `check_scale` allows.
    """
    if not _LEAST_REACH * max_radius <= reach <= max(_MOST_REACH * max_radius, _FARTHEST):
        raise InputError(
            source, f"its peaks end at {reach:.3g} 1/angstrom, while spots are sought up to"
            f" {max_radius:g} (spots.max_radius)", field="qx, qy",
            remedy="save the peaks in 1/angstrom, without 2 pi, or set spots.max_radius",
        )  # fmt: skip
