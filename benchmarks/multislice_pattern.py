"""One diffraction pattern by multislice: a block of crystal with moved atoms, waves, spots.

Structures are read by ase, potentials and waves are abTEM's; nothing of phasefront is used. The
beam goes along +z of the block and stays; the propagator is tilted through the steps of the
precession, so that the pattern is de-scanned, as a precession unit does it.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

VOLTAGE_KV, PRECESSION_DEG = 200.0, 0.8  # as the first world
MAX_RADIUS = 1.2  # 1/angstrom, of the spots kept
# Displacement where a CIF gives none, angstrom^2: about that of the other phosphates.
U_ISO = 0.008
# A reflection within this of the Ewald sphere, beyond the reach of the precession, gets a spot: the
# half width of the rod of the thinnest crystal, 1/angstrom.
ROD = 0.025
RADII = np.linspace(0.0, 1.4, 36)  # of the diffuse profile, 1/angstrom
NEAR_SPOT = 0.05  # pixels nearer to a spot than this tell nothing of the background, 1/angstrom


@dataclass(frozen=True)
class Numerics:
    """How finely a pattern is computed; lengths in angstrom."""

    side: float = 56.0  # of the block across the beam
    points: int = 256  # a side
    slice_thickness: float = 2.5
    azimuths: int = 24
    phonons: int = 2  # arrangements of the atoms, over which the azimuths are dealt
    probe: float = 8.0  # width of the probe's amplitude, exp(-r^2 / 2 width^2)


@dataclass(frozen=True)
class Structure:
    """Cell vectors as rows (angstrom) and the atoms of a cell."""

    cell: np.ndarray
    numbers: np.ndarray
    positions: np.ndarray  # (n, 3) angstrom
    occupancy: np.ndarray
    sigma: np.ndarray  # rms displacement along an axis, angstrom


def read_structure(path: Path) -> Structure:
    """All atoms of the cell, by ase; occupancies above one count as one."""
    from ase.io.cif import parse_cif

    block = next(iter(parse_cif(str(path))))
    with warnings.catch_warnings():  # on settings, which the operators in the files make clear
        warnings.simplefilter("ignore", UserWarning)
        atoms = block.get_atoms(primitive_cell=False, fractional_occupancies=True)
    kinds = atoms.arrays["spacegroup_kinds"]
    b_iso, u_iso = block.get("_atom_site_b_iso_or_equiv"), block.get("_atom_site_u_iso_or_equiv")
    if b_iso is not None:
        u_iso = np.array(b_iso, float) / (8 * np.pi**2)
    square = np.full(kinds.max() + 1, U_ISO) if u_iso is None else np.array(u_iso, float)
    shares = [sum(atoms.info["occupancy"][str(kind)].values()) for kind in range(kinds.max() + 1)]
    return Structure(
        np.array(atoms.cell), atoms.numbers, atoms.positions,
        np.minimum(1.0, np.array(shares))[kinds], np.sqrt(square)[kinds],
    )  # fmt: skip


def block_of(structure: Structure, rotation: np.ndarray, depth: float, n: Numerics, rng):
    """A box of crystal as ase's Atoms, the beam along z; `rotation` turns crystal to box."""
    from ase import Atoms

    box = np.array([n.side, n.side, depth])
    reach = 0.5 * np.linalg.norm(box) + np.linalg.norm(structure.cell.sum(axis=0))
    count = np.ceil(reach * np.linalg.norm(np.linalg.inv(structure.cell), axis=0)).astype(int)
    cells = np.stack(np.meshgrid(*[np.arange(-m, m + 1) for m in count], indexing="ij"), axis=-1)
    origins = cells.reshape(-1, 3) @ structure.cell @ rotation.T
    origins = origins[(np.abs(origins) < 0.5 * box + np.linalg.norm(structure.cell)).all(axis=1)]
    # The block is cut anywhere in a cell.
    origins = origins + rng.uniform(size=3) @ structure.cell @ rotation.T
    positions = (origins[:, None] + structure.positions @ rotation.T).reshape(-1, 3)
    sigma = np.tile(structure.sigma, len(origins))[:, None]
    positions += sigma * rng.normal(size=positions.shape)
    there = rng.uniform(size=len(positions)) < np.tile(structure.occupancy, len(origins))
    there &= (np.abs(positions) < 0.5 * box).all(axis=1)
    numbers = np.tile(structure.numbers, len(origins))[there]
    return Atoms(numbers, positions=positions[there] + 0.5 * box, cell=box, pbc=True)


def probe_wave(n: Numerics) -> np.ndarray:
    along = (np.arange(n.points) - n.points / 2) * n.side / n.points
    wave = np.exp(-(along[:, None] ** 2 + along**2) / (2 * n.probe**2))
    return (wave / np.sqrt(np.sum(wave**2))).astype(np.complex64)


def mean_pattern(structure, rotation, thicknesses_nm, n: Numerics, rng, precession_deg):
    """Intensity over (thickness, kx, ky), summing to the share of the electrons kept."""
    import abtem

    slices = [round(10 * t / n.slice_thickness) for t in thicknesses_nm]
    depth = slices[-1] * n.slice_thickness
    tilt_mrad = 1e3 * np.deg2rad(precession_deg)
    azimuth = 2 * np.pi * np.arange(n.azimuths) / n.azimuths
    total = np.zeros((len(slices), n.points, n.points))
    for phonon in range(n.phonons):
        potential = abtem.Potential(
            block_of(structure, rotation, depth, n, rng),
            gpts=n.points, slice_thickness=n.slice_thickness, parametrization="kirkland",
            projection="infinite", exit_planes=tuple(number - 1 for number in slices),
        ).build(lazy=False)  # fmt: skip
        sharpen(potential.array, n)
        for angle in azimuth[phonon :: n.phonons]:
            wave = abtem.Waves(
                probe_wave(n), energy=1e3 * VOLTAGE_KV, extent=(n.side, n.side),
                metadata={
                    "base_tilt_x": tilt_mrad * np.cos(angle),
                    "base_tilt_y": tilt_mrad * np.sin(angle),
                },
            )  # fmt: skip
            left = wave.multislice(potential).compute(progress_bar=False)
            spectrum = np.fft.fft2(left.array, norm="ortho")
            # Of one plane abTEM drops the axis; of several it may put the entrance first.
            planes = (np.abs(spectrum) ** 2).reshape(-1, n.points, n.points)
            total += planes[-len(slices) :]
    return total / n.azimuths


def sharpen(potential: np.ndarray, n: Numerics) -> None:
    """Take out, in place, what abTEM's linear placing of atoms between pixels blurs.

    It multiplies the potential's spectrum by sinc^2 along each axis, and abTEM 1.0.11 divides by
    sin(k) / k of the radius, k = frequency times pixel, which makes up for a part only: without
    this a reflection at 1.1 1/angstrom would have 0.7 of its intensity.
    """
    cycles = np.fft.fftfreq(n.points)
    radius = np.hypot(cycles[:, None], cycles)
    divided = np.sinc(radius / np.pi)
    blur = np.sinc(cycles) ** 2
    factor = (divided / (blur[:, None] * blur)).astype(np.float32)[:, : n.points // 2 + 1]
    for image in potential:
        image[:] = np.fft.irfft2(np.fft.rfft2(image) * factor, s=image.shape)


def wavelength() -> float:
    """Of the electrons, angstrom."""
    from ase import units

    energy = 1e3 * VOLTAGE_KV
    momentum = np.sqrt(2 * units._me * units._e * energy + (units._e * energy / units._c) ** 2)
    return 1e10 * units._hplanck / momentum


def allowed_spots(structure: Structure, rotation: np.ndarray, precession_deg: float):
    """Miller indices (n, 3) and g in the box (n, 3), 1/angstrom, of all that may be excited."""
    reach = 1.05 * MAX_RADIUS
    count = np.ceil(reach * np.linalg.norm(structure.cell, axis=1)).astype(int)
    hkl = np.stack(np.meshgrid(*[np.arange(-m, m + 1) for m in count], indexing="ij"), axis=-1)
    hkl = hkl.reshape(-1, 3)
    g = hkl @ np.linalg.inv(structure.cell).T @ rotation.T
    radius = np.hypot(g[:, 0], g[:, 1])
    # |k + g| = |k| for a beam along +z.
    excitation = -g[:, 2] - 0.5 * wavelength() * np.sum(g**2, axis=1)
    near = np.abs(excitation) < ROD + np.deg2rad(precession_deg) * radius
    near &= (radius <= reach) & extinct_free(structure, hkl)
    return hkl[near], g[near]


def extinct_free(structure: Structure, hkl: np.ndarray) -> np.ndarray:
    """Whether the lattice's centring allows a reflection; glides and screws may be lit doubly."""
    scaled = structure.positions @ np.linalg.inv(structure.cell)
    allowed = np.ones(len(hkl), bool)
    for shift in ((0, 0.5, 0.5), (0.5, 0, 0.5), (0.5, 0.5, 0), (0.5, 0.5, 0.5)):
        apart = scaled[:, None] + shift - scaled
        apart -= np.round(apart)
        same = (np.abs(apart) < 1e-3).all(axis=2) & (
            structure.numbers[:, None] == structure.numbers
        )
        if same.any(axis=1).all():
            allowed &= np.rint(2 * hkl @ shift).astype(int) % 2 == 0
    return allowed


def measure(pattern: np.ndarray, g: np.ndarray, n: Numerics):
    """Intensities (thickness, spots + 1), the direct beam last, and the diffuse profile.

    The profile of the probe at all places at once, none negative (Lawson and Hanson), so that
    neighbours that overlap are told apart.
    """
    from scipy.optimize import nnls
    from scipy.spatial import cKDTree

    k = np.fft.fftfreq(n.points, n.side / n.points)
    kx, ky = np.meshgrid(k, k, indexing="ij")
    radius = np.hypot(kx, ky)
    inside = radius < RADII[-1]
    places = np.vstack([g[:, :2], np.zeros((1, 2))])
    pixels = np.column_stack([kx[inside], ky[inside]])
    far = cKDTree(places).query(pixels)[0] > NEAR_SPOT
    width = 1 / (2 * np.sqrt(2) * np.pi * n.probe)  # of the probe's intensity over k
    step = 1 / n.side
    lower = np.digitize(radius[inside], RADII) - 1
    columns = np.exp(
        -np.sum((pixels[:, None] - places) ** 2, axis=2) / (2 * width**2)
    ) * step**2 / (2 * np.pi * width**2)  # fmt: skip
    orthogonal, triangle = np.linalg.qr(columns)
    intensity, diffuse = [], []
    for image in pattern:
        values = image[inside]
        profile = np.full(len(RADII) - 1, np.nan)
        for ring in range(len(profile)):
            here = far & (lower == ring)
            if here.sum() >= 8:  # below, the neighbours tell
                profile[ring] = np.median(values[here])
        middle = 0.5 * (RADII[1:] + RADII[:-1])
        known = np.isfinite(profile)
        background = np.interp(radius[inside], middle[known], profile[known])
        intensity.append(nnls(triangle, orthogonal.T @ (values - background))[0])
        diffuse.append(np.interp(RADII, middle[known], profile[known]) / step**2)
    return np.array(intensity), np.array(diffuse)
