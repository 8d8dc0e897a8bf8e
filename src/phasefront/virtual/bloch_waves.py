"""Dynamical spot intensities under precession, for the virtual experiment.

The intensities come from Bloch waves (abTEM), not from the kinematic model that the analysis
matches with, so a virtual scan tests the analysis against something it did not assume. They are
computed once and kept in `bloch_waves.nc` beside this file; only `python -m
phasefront.virtual.bloch_waves` needs abTEM (1.0.11; `pip install abtem`), nothing else does.
`bloch_waves.nc` was made, in five minutes on one core, by

    python -m phasefront.virtual.bloch_waves bloch_waves.nc \\
        --crystal nvpf Na3V2PO42F3.cif 4 a,b,c \\
        --crystal nvpf Na2V2PO42F3.cif 2 a/2-b/2,a/2+b/2,c \\
        --crystal nvpf NaV2PO42F3.cif 4 a,b,c \\
        --crystal lfp LiFePO4.cif 4 a,b,c \\
        --crystal lfp FePO4.cif 4 a,b,c
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from phasefront.core import netcdf
from phasefront.core.netcdf import Layout, Variable
from phasefront.diffraction.crystals import Crystal, read_crystal

DATA_FILE = Path(__file__).with_name("bloch_waves.nc")

BLOCH_WAVES = Layout(
    "Dynamical spot intensities of single crystals under precession",
    {
        "thickness": Variable(("thickness",), "f4", "nm", "thickness along the beam"),
        "material": Variable(("pattern",), "str", "", "material that the phase belongs to"),
        "phase": Variable(("pattern",), "str", "", "phase"),
        "grain": Variable(
            ("pattern",), "i4", "1", "lattice orientation, shared by the phases of a material"
        ),
        "formula_volume": Variable(("pattern",), "f8", "angstrom3", "volume of a formula unit"),
        "rotation": Variable(("pattern", "quaternion"), "f8", "1", "orientation, frame to crystal"),
        "direct": Variable(("pattern", "thickness"), "f4", "1", "share left in the direct beam"),
        "offset": Variable(("edge",), "i8", "1", "first spot of each pattern"),
        "hkl": Variable(("spot", "index"), "i2", "1", "Miller indices"),
        "qx": Variable(("spot",), "f4", "angstrom-1", "spatial frequency along x"),
        "qy": Variable(("spot",), "f4", "angstrom-1", "spatial frequency along y"),
        "intensity": Variable(("spot", "thickness"), "f4", "1", "share scattered into the spot"),
    },
    ("voltage_kv", "precession_deg", "tilts", "max_radius", "seed", "computed_with"),
    optional=("mosaic_deg", "blocks"),
)  # fmt: skip

THICKNESSES_NM = (5.0, 10.0, 15.0, 20.0, 28.0, 38.0, 50.0, 65.0, 82.0, 100.0)  # of the table


@dataclass(frozen=True)
class BlochCrystal:
    """One phase to compute: its CIF, formula units per cell, and how its axes lie.

    `axes` gives a, b, c of the phase by the axes of the material's first phase, such as
    `a/2-b/2,a/2+b/2,c`; the lengths follow each phase's own cell.
    """

    material: str
    path: Path
    formula_units: int
    axes: str

    @property
    def phase(self) -> str:
        return self.path.stem


def compute(
    crystals: list[BlochCrystal],
    *,
    grains: int = 48,
    voltage_kv: float = 200.0,
    precession_deg: float = 0.8,
    tilts: int = 60,
    max_radius: float = 1.2,
    max_excitation_error: float = 0.035,
    least_intensity: float = 2e-5,
    mosaic_deg: float = 0.0,
    blocks: int = 1,
    seed: int = 20150304,
    report=lambda message: None,
) -> xr.Dataset:
    """Spot intensities of all crystals at `grains` random lattice orientations.

    The beam circles on a cone of half angle `precession_deg` about -z in `tilts` steps; the
    de-scan puts each reflection at the position that it has for the untilted beam, so
    intensities add per reflection. Beams within `max_excitation_error` and 1.1 `max_radius`
    (1/angstrom) take part; spots within `max_radius` are kept if any thickness gives them more
    than `least_intensity`. Scattering factors: Lobato & Van Dyck, Acta Cryst. A70 (2014) 636.
    Absorption is left to the camera's diffuse background.

    With `blocks` above one a crystal is that many blocks of equal volume beside each other, tilted
    about axes in the plane of the pattern by `mosaic_deg` rms about each; their spots follow one
    another. A turn about the beam moves spots only: it is left to who films.

    Returns a BLOCH_WAVES dataset. `report` gets a line per crystal.
    """
    from importlib.metadata import version

    from scipy.spatial.transform import Rotation

    cone = precession_cone(precession_deg, tilts)
    beam_radius = 1.1 * max_radius
    columns: dict[str, list] = {name: [] for name in BLOCH_WAVES.variables}
    offset = [0]
    for material in dict.fromkeys(crystal.material for crystal in crystals):
        members = [crystal for crystal in crystals if crystal.material == material]
        lattices = Rotation.random(grains, random_state=seed)
        tilts_of = mosaic(grains, blocks, mosaic_deg, seed)
        structures = [read_crystal(crystal.path) for crystal in members]
        for crystal, structure in zip(members, structures, strict=True):
            factors = _structure_factors(structure, 2 * beam_radius)
            own = axes_rotation(structures[0], structure, crystal.axes)
            volume = structure.volume / crystal.formula_units
            for grain in range(grains):
                rotation = own * lattices[grain]
                parts = [
                    _precessed_spots(
                        factors, rotation * tilt, cone, voltage_kv, beam_radius,
                        max_excitation_error,
                    )
                    for tilt in tilts_of[grain]
                ]  # fmt: skip
                hkl, q, intensity = (np.concatenate([part[k] for part in parts]) for k in range(3))
                intensity /= blocks
                direct = np.mean([part[3] for part in parts], axis=0)
                keep = (intensity.max(axis=1) > least_intensity) & (
                    np.linalg.norm(q, axis=1) <= max_radius
                )
                offset.append(offset[-1] + int(keep.sum()))
                for name, value in (
                    ("material", material), ("phase", crystal.phase), ("grain", grain),
                    ("formula_volume", volume), ("rotation", _quaternion(rotation)),
                    ("direct", direct), ("hkl", hkl[keep]), ("qx", q[keep, 0]),
                    ("qy", q[keep, 1]), ("intensity", intensity[keep]),
                ):  # fmt: skip
                    columns[name].append(value)
            report(f"{material} {crystal.phase}: {grains} orientations")
    for name in ("hkl", "qx", "qy", "intensity"):
        columns[name] = np.concatenate(columns[name])
    columns["thickness"] = THICKNESSES_NM
    columns["offset"] = offset
    return netcdf.build(
        BLOCH_WAVES, columns,
        {
            "voltage_kv": voltage_kv, "precession_deg": precession_deg, "tilts": tilts,
            "max_radius": max_radius, "seed": seed,
            "computed_with": f"abTEM {version('abtem')}, Bloch waves within "
            f"{max_excitation_error} 1/angstrom of the Ewald sphere",
            **({"mosaic_deg": mosaic_deg, "blocks": blocks} if blocks > 1 else {}),
        },
    )  # fmt: skip


def mosaic(grains: int, blocks: int, mosaic_deg: float, seed: int) -> list:
    """Tilts of the blocks of each grain about x and y, with mean 0 and this rms about each axis."""
    from scipy.spatial.transform import Rotation

    if blocks == 1:
        return [Rotation.identity(1)] * grains
    tilts = np.random.default_rng([seed, 1]).normal(size=(grains, blocks, 3)) * [1, 1, 0]
    tilts -= tilts.mean(axis=1, keepdims=True)
    rms = np.sqrt(np.mean(tilts[..., :2] ** 2, axis=1, keepdims=True))
    tilts[..., :2] *= np.deg2rad(mosaic_deg) / rms
    return [Rotation.from_rotvec(own) for own in tilts]


def precession_cone(precession_deg: float, tilts: int):
    """Rotations of the crystal for each step of the circling beam, in a frame with it along z."""
    from scipy.spatial.transform import Rotation

    azimuth = 2 * np.pi * np.arange(tilts) / tilts
    axes = np.stack([np.cos(azimuth), np.sin(azimuth), np.zeros(tilts)], axis=1)
    return Rotation.from_rotvec(np.deg2rad(precession_deg) * axes)


def _structure_factors(crystal: Crystal, max_radius: float):
    """Structure factors within `max_radius` (1/angstrom), partial occupancies included."""
    import abtem.bloch
    from ase import Atoms

    sites = crystal.atoms
    atoms = Atoms(
        list(sites.element),
        scaled_positions=sites[["x", "y", "z"]].to_numpy(),
        cell=_cell_vectors(crystal),
        pbc=True,
    )
    factors = abtem.bloch.StructureFactor(
        atoms,
        g_max=max_radius,
        parametrization="lobato",
        thermal_sigma=list(np.sqrt(sites.u_iso)),
        occupancy=list(sites.occupancy),
        centering="P",
    )
    return factors.build(lazy=False)


def _cell_vectors(crystal: Crystal) -> np.ndarray:
    """Rows a, b, c in angstrom, Cartesian axes as in Crystal."""
    return np.linalg.inv(crystal.reciprocal).T


def axes_rotation(first: Crystal, crystal: Crystal, axes: str):
    """Rotation from the first phase's frame to this phase's, by the stated relation of the axes."""
    import gemmi
    from scipy.spatial.transform import Rotation

    wanted = np.array(gemmi.Op(axes).rot) / gemmi.Op.DEN @ _cell_vectors(first)
    own = _cell_vectors(crystal)
    rotation, _ = Rotation.align_vectors(
        own / np.linalg.norm(own, axis=1, keepdims=True),
        wanted / np.linalg.norm(wanted, axis=1, keepdims=True),
    )
    return rotation


def _precessed_spots(factors, rotation, cone, voltage_kv, max_radius, max_excitation_error):
    """Miller indices, positions (n, 2), intensities (n, thickness) and the direct beam's share."""
    import abtem.bloch
    from scipy.spatial.transform import Rotation

    # abTEM sends the beam along +z, we along -z: turn the frame by 180 degrees about x.
    into_beam = Rotation.from_rotvec([np.pi, 0, 0])
    total = np.zeros((len(factors.hkl), len(THICKNESSES_NM)))
    for tilt in cone:
        waves = abtem.bloch.BlochWaves(
            factors,
            energy=1e3 * voltage_kv,
            sg_max=max_excitation_error,
            g_max=max_radius,
            orientation_matrix=(tilt * into_beam * rotation.inv()).as_matrix(),
        )
        thicknesses = [10 * thickness for thickness in THICKNESSES_NM]
        pattern = waves.calculate_diffraction_patterns(thicknesses, lazy=False)
        total[waves.hkl_mask] += np.asarray(pattern.array).T / len(cone)
    excited = total.any(axis=1)
    hkl, intensity = np.asarray(factors.hkl)[excited], total[excited]
    origin = (hkl == 0).all(axis=1)
    g_crystal = hkl @ np.linalg.inv(np.array(factors.cell)).T
    q = rotation.inv().apply(g_crystal)[:, :2]
    return hkl[~origin], q[~origin], intensity[~origin], intensity[origin][0]


def _quaternion(rotation) -> np.ndarray:
    """Quaternion with the scalar first, not negative."""
    return np.roll(rotation.as_quat(canonical=True), 1)


def main(arguments: list[str] | None = None) -> None:
    """Compute the file named on the command line."""
    import argparse
    import inspect

    parser = argparse.ArgumentParser(
        prog="phasefront.virtual.bloch_waves",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("out", help="netCDF file to write")
    parser.add_argument(
        "--crystal", nargs=4, action="append", required=True,
        metavar=("MATERIAL", "CIF", "FORMULA_UNITS", "AXES"),
        help="a phase, named as its CIF; AXES: its a,b,c by the axes of the material's first phase",
    )  # fmt: skip
    defaults = inspect.signature(compute).parameters
    for name in ("grains", "mosaic_deg", "blocks", "seed"):
        default = defaults[name].default
        parser.add_argument(
            f"--{name.replace('_', '-')}", type=type(default), default=default, help="%(default)s"
        )
    given = parser.parse_args(arguments)
    crystals = [
        BlochCrystal(material, Path(path), int(units), axes)
        for material, path, units, axes in given.crystal
    ]
    table = compute(
        crystals, grains=given.grains, mosaic_deg=given.mosaic_deg, blocks=given.blocks,
        seed=given.seed, report=print,
    )  # fmt: skip
    netcdf.write(table, given.out, BLOCH_WAVES)


if __name__ == "__main__":
    main()
