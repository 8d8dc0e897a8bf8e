"""Candidate phases: cell, symmetry, atoms and kinematic structure factors, read from CIFs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import gemmi
import numpy as np
import pandas as pd

from phasefront.core.errors import InputError
from phasefront.diffraction import cif_statements, cif_symmetry, cifs

# Images of an atom closer than this are one atom on a special position, angstrom.
_SAME_SITE = 0.05
# Blur, 1/angstrom, and relative error of the scale, with which phases are compared at first.
_BLURRED, _SCALE_REACH = 0.005, 0.01


@dataclass(frozen=True, eq=False)
class Crystal:
    """One candidate phase, in the axes and setting of its file.

    Cartesian axes: e1 along a, e3 along c*. Spatial frequencies are 1/d, without 2 pi.
    """

    name: str
    path: str
    cell: tuple[float, float, float, float, float, float]  # angstrom, degree
    reciprocal: np.ndarray  # (3, 3): q_cartesian = hkl @ reciprocal, 1/angstrom
    space_group: gemmi.SpaceGroup | None  # None where gemmi's table lacks the setting
    operations: gemmi.GroupOps
    symmetry: np.ndarray  # (n, 4): proper rotations of the Laue group, quaternions (w, x, y, z)
    atoms: pd.DataFrame  # label, element, x, y, z, occupancy, u_iso of the whole cell
    formula: dict[str, float]  # element -> atoms per cell
    cell_mass: float  # g/mol of cells
    volume: float  # angstrom^3
    notes: tuple[str, ...] = field(default=())  # what was assumed or tolerated in the file

    def reflections(self, d_min: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Every reflection allowed by the space group with spacing of at least `d_min` (angstrom).

        Returns
        -------
        hkl (n, 3) int64, q (n, 3) in 1/angstrom, and |F|^2 (n,) in angstrom^2: kinematic electron
        structure factors from the scattering factors of the International Tables (vol. C, 4.3.2.2)
        with isotropic displacement. Friedel mates are both listed, 000 is not.
        """
        hkl = _indices_within(self.cell, self.reciprocal, 1.0 / d_min)
        hkl = hkl[~self.operations.systematic_absences(hkl.astype(np.int32))]
        unique, of_unique = np.unique(self._representatives(hkl), axis=0, return_inverse=True)
        model = self._all_atoms_model()
        calculator = gemmi.StructureFactorCalculatorE(model.cell)
        factors = [
            calculator.calculate_sf_from_small_structure(model, list(map(int, index)))
            for index in unique
        ]
        intensity = np.abs(np.array(factors, dtype=complex)) ** 2
        return hkl, hkl @ self.reciprocal, intensity[of_unique.ravel()]

    @property
    def point_group(self) -> str:
        """orix's name of the point group."""
        return self.orix_point_group().name

    def orix_point_group(self):
        """orix's own group where it has this setting of the axes, else one of these elements."""
        from orix.quaternion import Symmetry, symmetry

        rotations = _cartesian_rotations(self.operations, self.reciprocal)
        quaternions, improper = _proper_parts(rotations)
        for group in symmetry._groups:
            if len(group.data) == len(quaternions) and _same_elements(group, quaternions, improper):
                return group
        own = Symmetry(quaternions)
        own.improper = improper
        own.name = _point_group_symbol(self.operations)
        return own

    def orix_phase(self):
        """The same phase as `orix.crystal_map.Phase`, with this file's axes and point group."""
        from diffpy.structure import Atom, Lattice, Structure
        from orix.crystal_map import Phase

        atoms = [
            Atom(row.element, [row.x, row.y, row.z], row.label, row.occupancy, Uisoequiv=row.u_iso)
            for row in self.atoms.itertuples()
        ]
        structure = Structure(atoms, Lattice(*self.cell), title=self.name)
        return Phase(name=self.name, point_group=self.orix_point_group(), structure=structure)

    def _representatives(self, hkl: np.ndarray) -> np.ndarray:
        """One index triple (n, 3) that stands for all that the Laue group makes equivalent."""
        key = np.array([1 << 40, 1 << 20, 1])
        best, best_key = hkl.copy(), hkl @ key
        for matrix in _index_rotations(self.operations):
            for image in (hkl @ matrix, -(hkl @ matrix)):
                image_key = image @ key
                larger = image_key > best_key
                best[larger], best_key[larger] = image[larger], image_key[larger]
        return best

    def _all_atoms_model(self) -> gemmi.SmallStructure:
        model = gemmi.SmallStructure()
        model.cell = gemmi.UnitCell(*self.cell)
        for row in self.atoms.itertuples():
            site = gemmi.SmallStructure.Site()
            site.label, site.element = row.label, gemmi.Element(row.element)
            site.fract = gemmi.Fractional(row.x, row.y, row.z)
            site.occ, site.u_iso = row.occupancy, row.u_iso
            model.add_site(site)
        return model


def read_crystals(paths: Sequence[str | Path], names: Sequence[str]) -> list[Crystal]:
    """`read_crystal` of each path, with the name at the same place."""
    return [read_crystal(path, name=name) for path, name in zip(paths, names, strict=True)]


def read_crystal(path: str | Path, *, name: str | None = None) -> Crystal:
    """Read a CIF; the name is the file's stem unless given.

    Symmetry comes from the explicit operators where the file lists them, else from its Hall or
    Hermann-Mauguin symbol; axes are never permuted to a standard setting.

    Raises
    ------
    InputError
        No such file, not a CIF, no or several structures, no cell, no symmetry or one that is not
        clear, an element that is not clear, occupancies outside 0 to 1.05 or of more than one atom
        on a site, and a volume, formula, Z, weight or density that is not that of the cell.
    """
    block = cifs.structure_block(path)
    structure = cifs.small_structure(block, path)
    cell = structure.cell
    notes = cifs.check_cell(block, cell, path)
    operations, of_symmetry = cif_symmetry.operations(structure, path)
    cif_symmetry.check_metric(operations, cell, path)
    sites, of_sites = cifs.checked_sites(structure, block, path)
    atoms = _fill_cell(sites, operations, cell)
    cifs.check_no_site_is_overfull(atoms, np.array(cell.orth.mat.tolist()), path)
    amounts = atoms.groupby("element", sort=True)["occupancy"].sum()
    notes += of_symmetry + of_sites
    notes += cif_statements.check_statements(block, amounts.to_dict(), cell.volume, path)
    reciprocal = np.array(cell.frac.mat.tolist())
    return Crystal(
        name=name or Path(path).stem,
        path=str(path),
        cell=tuple(float(value) for value in cell.parameters),
        reciprocal=reciprocal,
        space_group=gemmi.find_spacegroup_by_ops(operations),
        operations=operations,
        symmetry=_laue_rotations(operations, reciprocal),
        atoms=atoms,
        formula={str(element): float(amount) for element, amount in amounts.items()},
        cell_mass=float(sum(gemmi.Element(e).weight * n for e, n in amounts.items())),
        volume=float(cell.volume),
        notes=notes,
    )


def laue_rotations(point_group: str | None) -> np.ndarray:
    """Proper rotations (n, 4) of the Laue group of a point group such as '4/mmm', '-3m' or 'm-3m'.

    Conventional axes: hexagonal ones for trigonal and hexagonal groups, orthogonal for all others.
    Raises InputError for None and for what is no point group.
    """
    named = point_group is not None and point_group.isascii()
    names = [f"P{point_group}", f"P{point_group}1"] if named else []
    groups = [group for name in names if (group := gemmi.find_spacegroup_by_name(name))]
    if not groups or groups[0].point_group_hm() != point_group:
        raise InputError(
            "phases", f"{point_group!r} is no point group", field="parent_point_group",
            remedy="name that of the lattice they share as 4/mmm or m-3m are named",
        )  # fmt: skip
    group = groups[0]
    hexagonal = group.crystal_system_str() in ("trigonal", "hexagonal")
    cell = gemmi.UnitCell(1, 1, 1, 90, 90, 120 if hexagonal else 90)
    return _laue_rotations(group.operations(), np.array(cell.frac.mat.tolist()))


def check_distinct(crystals: Sequence[Crystal]) -> None:
    """Raise InputError, naming both files, if two phases have the same structure or name.

    Two structures are the same when their powder profiles (|F|^2 on 1/d, to 1/angstrom) agree:
    that holds in any setting of the axes, and also where diffraction cannot tell them apart.
    """
    profiles = [_profile(*_lines(crystal), 0.002) for crystal in crystals]
    for second, crystal in enumerate(crystals):
        for first in range(second):
            other = crystals[first]
            if crystal.name == other.name:
                raise InputError(
                    crystal.path, f"the phase of {other.path} is called {other.name!r} too",
                    remedy="give each phase a name of its own",
                )  # fmt: skip
            if profiles[first] @ profiles[second] > 0.999:
                raise InputError(
                    crystal.path, f"has the same structure as {other.path}",
                    remedy="leave one of the two phases out",
                )  # fmt: skip


def resemblance(first: Crystal, second: Crystal) -> float:
    """Correlation, 0 to 1, of two phases' powder profiles as an uncertain microscope sees them.

    Amplitudes instead of intensities, which dynamical scattering changes; lines 0.005 1/angstrom
    wide; and the best of scales up to 1 % from the calibrated one. Phases that no pattern tells
    apart come near 1; near 1 does not yet mean that no pattern does.
    """
    (fixed, first_intensity), (radius, intensity) = _lines(first), _lines(second)
    profile = _profile(fixed, np.sqrt(first_intensity), _BLURRED)
    scales = np.linspace(1 - _SCALE_REACH, 1 + _SCALE_REACH, 11)
    return max(
        float(profile @ _profile(scale * radius, np.sqrt(intensity), _BLURRED)) for scale in scales
    )


def _lines(crystal: Crystal) -> tuple[np.ndarray, np.ndarray]:
    """1/d (1/angstrom) and intensity of all reflections to 1/angstrom."""
    _, q, intensity = crystal.reflections(1.0)
    return np.linalg.norm(q, axis=1), intensity


def _profile(radius: np.ndarray, intensity: np.ndarray, width: float) -> np.ndarray:
    """Unit vector over 1/d in steps of 0.001 1/angstrom, lines blurred by `width`."""
    step = 0.001
    grid = np.arange(0.0, 1.0 + 5 * width, step)
    counts, _ = np.histogram(
        radius, np.append(grid, grid[-1] + step) - step / 2, weights=intensity / radius**2
    )
    kernel = np.exp(-0.5 * (np.arange(-5 * width, 5 * width + step / 2, step) / width) ** 2)
    profile = np.convolve(counts, kernel, mode="same")
    return profile / np.linalg.norm(profile)


def _fill_cell(
    sites: list[gemmi.SmallStructure.Site], operations: gemmi.GroupOps, cell: gemmi.UnitCell
) -> pd.DataFrame:
    """Every atom of the cell; images that coincide on a special position are one atom."""
    orthogonal = np.array(cell.orth.mat.tolist())
    rows = []
    for site in sites:
        images = np.array([op.apply_to_xyz(site.fract.tolist()) for op in operations])
        images = (images + 1e-6) % 1.0 - 1e-6
        distance = np.linalg.norm(_nearest(images[:, None] - images) @ orthogonal.T, axis=2)
        first = ~np.any(np.tril(distance < _SAME_SITE, -1), axis=1)
        rows += [
            (site.label, site.element.name, *position, site.occ, site.u_iso)
            for position in images[first]
        ]
    columns = ["label", "element", "x", "y", "z", "occupancy", "u_iso"]
    return pd.DataFrame(rows, columns=columns)


def _nearest(difference: np.ndarray) -> np.ndarray:
    return difference - np.round(difference)


def _indices_within(cell: tuple, reciprocal: np.ndarray, radius: float) -> np.ndarray:
    # |h| <= |a| |q|, and so for k and l.
    limits = [int(np.floor(length * radius + 1e-9)) for length in cell[:3]]
    axes = [np.arange(-limit, limit + 1) for limit in limits]
    hkl = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    length = np.linalg.norm(hkl @ reciprocal, axis=1)
    return hkl[(length > 0) & (length <= radius)]


def _index_rotations(operations: gemmi.GroupOps) -> list[np.ndarray]:
    """Matrices R with hkl' = hkl @ R, one for each operation without its translation."""
    return [np.array(op.rot) // gemmi.Op.DEN for op in operations.sym_ops]


def _cartesian_rotations(operations: gemmi.GroupOps, reciprocal: np.ndarray) -> np.ndarray:
    """Point group as matrices (n, 3, 3) that act on Cartesian vectors of the crystal."""
    orthogonal = np.linalg.inv(reciprocal)
    return np.array(
        [orthogonal @ rotation @ reciprocal for rotation in _index_rotations(operations)]
    )


def _proper_parts(rotations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Quaternions (n, 4) of rotations times their determinant, and whether it is negative."""
    from scipy.spatial.transform import Rotation

    improper = np.linalg.det(rotations) < 0
    proper = np.where(improper[:, None, None], -rotations, rotations)
    quaternions = Rotation.from_matrix(proper).as_quat(canonical=True, scalar_first=True)
    return quaternions, improper


def _laue_rotations(operations: gemmi.GroupOps, reciprocal: np.ndarray) -> np.ndarray:
    quaternions, _ = _proper_parts(_cartesian_rotations(operations, reciprocal))
    kept: list[np.ndarray] = []
    for quaternion in quaternions:
        if all(abs(quaternion @ other) < 1 - 1e-4 for other in kept):
            kept.append(quaternion)
    return np.array(kept)


def _point_group_symbol(operations: gemmi.GroupOps) -> str:
    symmorphic = operations.derive_symmorphic()
    symmorphic.cen_ops = [[0, 0, 0]]
    return gemmi.find_spacegroup_by_ops(symmorphic).point_group_hm()


def _same_elements(group, quaternions: np.ndarray, improper: np.ndarray) -> bool:
    overlap = np.abs(group.data @ quaternions.T) > 1 - 1e-4
    same_kind = np.asarray(group.improper, dtype=bool)[:, None] == improper
    return bool((overlap & same_kind).any(axis=1).all())
