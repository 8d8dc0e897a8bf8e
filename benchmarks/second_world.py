"""Virtual scans of a second world, filmed from the multislice intensities of `multislice.nc`.

Nothing here is shared with `phasefront.virtual`: faceted particles that overlap, bend and carry an
amorphous skin lie on carbon, contamination grows while the scan runs, and the scan is sheared,
waves, jitters and lags. Layers of a column scatter one after the other. Numbers are chosen, or from
the literature where one is named; no constant of the analysis is fitted on these scans.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.second_camera import PIXELS, SCALE, Camera, affine_of, descan

DATA_FILE = Path(__file__).with_name("multislice.nc")
SCAN_STEP_NM = 8.0
_THINNEST_NM = 6.0  # particles end there, with a step
# Mean free path of plasmon losses at 200 kV, about that of oxides (Iakoubovskii et al., Microsc.
# Res. Tech. 71, 626, 2008).
_PLASMON_NM = 110.0
# Mean free path of all that amorphous layers scatter, about; rings of amorphous carbon and of a
# phosphate glass: place, width (1/angstrom) and share, beside what goes to small angles.
_AMORPHOUS_NM = 140.0
CARBON = ((0.478, 0.06, 0.25), (0.84, 0.08, 0.10), (0.0, 0.16, 0.65))
_GLASS = ((0.29, 0.05, 0.35), (0.62, 0.10, 0.15), (0.0, 0.16, 0.50))
_FILM_NM, _SKIN_NM, _CONTAMINATION_NM = 6.0, 3.0, 25.0  # the last at the scan's end


@dataclass(frozen=True)
class Film:
    """A scan to make: `mixed` is the share of particles in which a front between two phases
    stands; with a `stop`, its shadow lies over the direct beam, which sways by `wobble` pixels."""

    material: str
    seed: int
    dose: float
    stop: bool = False
    wobble: float = 0.4
    shape: tuple[int, int] = (32, 32)
    particles: int = 12
    mixed: float = 0.3
    thickness_nm: tuple[float, float] = (14.0, 48.0)


@dataclass(frozen=True)
class Truth:
    """What a scan shows; phases in the order asked for, quaternions frame to crystal."""

    weight: np.ndarray  # (y, x, phase) share of the thickness
    thickness: np.ndarray  # (y, x) nm, of crystal
    particle: np.ndarray  # (y, x) the thickest, -1 beside all
    second: np.ndarray  # (y, x) the other one of an overlap, -1
    rotation: np.ndarray  # (y, x, phase, 4) of the thickest
    second_rotation: np.ndarray
    second_weight: np.ndarray  # (y, x, phase)
    centre: np.ndarray  # (y, x, 2) row and column of the beam
    affine: np.ndarray  # (2, 2) q = affine (pixel - centre)


@dataclass(frozen=True)
class Layer:
    """A crystal alone in the beam: spots (n, 2) in 1/angstrom, their share of the electrons, that
    of the direct beam, and the diffuse light over the table's radii, angstrom^2."""

    q: np.ndarray
    intensity: np.ndarray
    direct: float
    diffuse: np.ndarray


class Table:
    """The multislice patterns, by structure, lattice and end of the bend."""

    def __init__(self, path: Path = DATA_FILE):
        from scipy.io import netcdf_file

        with netcdf_file(path, mmap=False) as file:
            values = {name: file.variables[name][:].copy() for name in file.variables}
            self.structures = file.phases.decode().split()
            self.voltage_kv = float(file.voltage_kv)
            self.precession_deg = float(file.precession_deg)
        for name, value in values.items():
            setattr(self, name, value.astype(value.dtype.newbyteorder("=")))

    def row(self, structure: str, lattice: int, bend: int) -> int:
        number = self.structures.index(structure)
        own = (self.phase == number) & (self.lattice == lattice) & (self.bend == bend)
        return int(np.flatnonzero(own)[0])

    def lattices(self, structure: str) -> np.ndarray:
        return np.unique(self.lattice[self.phase == self.structures.index(structure)])

    def bends(self, structure: str, lattice: int) -> bool:
        number = self.structures.index(structure)
        return bool(((self.phase == number) & (self.lattice == lattice) & (self.bend == 1)).any())

    def at(self, row: int, nm: float) -> Layer:
        """What a crystal of this thickness does to the beam."""
        spots = slice(self.offset[row], self.offset[row + 1])
        thin = min(1.0, nm / self.thickness[0])  # below the table's first: kinematic
        upper = int(np.clip(np.searchsorted(self.thickness, nm), 1, len(self.thickness) - 1))
        low, high = self.thickness[upper - 1 : upper + 1]
        part = np.clip((nm - low) / (high - low), 0, 1)

        def between(values):
            return (1 - part) * values[..., upper - 1] + part * values[..., upper]

        direct = 1 - thin * (1 - between(self.direct[row]))
        return Layer(
            self.q[spots], thin**2 * between(self.intensity[spots]), direct,
            thin * between(self.diffuse[row].T),
        )  # fmt: skip


class Particle:
    """A convex particle: a plate with facets that slope down, a lattice, and one or two phases."""

    def __init__(self, film: Film, table: Table, structures, centre, lattice: int, size, rng):
        self.centre, self.lattice, self.bent = centre, lattice, table.bends(structures[0], lattice)
        sides = rng.integers(5, 8)
        angle = 2 * np.pi * (np.arange(sides) + rng.uniform(-0.25, 0.25, sides)) / sides
        self.normals = np.column_stack([np.sin(angle), np.cos(angle)])  # of y, x
        self.distance = size * rng.uniform(0.75, 1.15, sides)
        self.plateau = rng.uniform(*film.thickness_nm)
        self.slope = rng.uniform(8, 25)  # nm a position
        self.wave = rng.uniform(0, 2 * np.pi, 2)
        self.turn = rng.uniform(0, 2 * np.pi)
        self.turning = np.deg2rad(rng.normal(0, 0.12, 2))  # bend in the plane, a position
        self.bending = rng.normal(size=2) / (2 * size)
        first = int(rng.integers(len(structures)))
        self.phases = (first, first)
        if rng.uniform() < film.mixed:
            lower = int(rng.integers(len(structures) - 1))  # neighbours in ion content
            self.phases = (lower, lower + 1) if rng.uniform() < 0.5 else (lower + 1, lower)
        direction = rng.uniform(0, 2 * np.pi)
        self.front = np.array([np.sin(direction), np.cos(direction)])
        self.front_at, self.front_width = rng.uniform(-0.4, 0.4) * size, rng.uniform(0.5, 4)

    def see(self, place: np.ndarray) -> dict:
        """Thickness, share of the second phase, turn and bend at places (..., 2) as y, x."""
        apart = place - self.centre
        inside = (self.distance - apart @ self.normals.T).min(axis=-1)
        wavy = 1 + 0.1 * np.sin(0.4 * apart[..., 0] + self.wave[0]) * np.cos(
            0.3 * apart[..., 1] + self.wave[1]
        )
        nm = np.minimum(self.plateau * wavy, self.slope * np.maximum(inside, 0))
        return {
            "nm": np.where(nm >= _THINNEST_NM, nm, 0.0),
            "second": np.clip(
                0.5 + (apart @ self.front - self.front_at) / self.front_width, 0, 1
            ),
            "turn": self.turn + apart @ self.turning,
            "bend": np.clip(0.5 + apart @ self.bending, 0, 1) if self.bent else 0 * nm,
        }  # fmt: skip


def scatter(film: Film, table: Table, structures, rng) -> list[Particle]:
    """Particles strewn over the field, each on a lattice of its own."""
    lattices = rng.permutation(table.lattices(structures[0]))
    if len(lattices) < film.particles:
        lattices = np.concatenate([lattices, rng.permutation(lattices)])
    size = 0.62 * np.sqrt(np.prod(film.shape) / film.particles)
    centres: list[np.ndarray] = []
    for _ in range(film.particles):  # the best of ten candidates keeps overlaps moderate
        tried = rng.uniform(0, film.shape, (10, 2))
        gaps = [min((np.hypot(*(t - c)) for c in centres), default=1.0) for t in tried]
        centres.append(tried[int(np.argmax(gaps))])
    return [
        Particle(film, table, structures, centre, int(lattice), size, rng)
        for centre, lattice in zip(centres, lattices, strict=False)
    ]


def scan_places(shape, rng) -> np.ndarray:
    """Where the beam stood, (y, x, 2): shear, drift, a slow wave, jitter of lines, lag at turns."""
    y, x = np.indices(shape, dtype=float)
    phase = rng.uniform(0, 2 * np.pi, 2)
    jitter = 0.15 * rng.normal(size=(shape[0], 1))
    lag = 1.2 * np.exp(-x / 1.5)
    moved_x = x + 0.05 * y + 0.6 * np.sin(y / 5 + phase[0]) + jitter + lag
    moved_y = y - 0.03 * x + 0.4 * np.sin(y / 7 + phase[1])
    return np.stack([moved_y, moved_x], axis=-1)


@dataclass(frozen=True)
class Seen:
    """One particle at one position: thickness of each phase, orientation as each, layers."""

    index: int
    nm: np.ndarray  # (phase,)
    rotation: np.ndarray  # (phase, 4)
    layers: list[Layer]


def look(index: int, particle: Particle, at: dict, table: Table, structures) -> Seen:
    """A particle at a position; `at` is what `Particle.see` says of it."""
    from scipy.spatial.transform import Rotation, Slerp

    bend, second = at["bend"], at["second"]
    back = Rotation.from_rotvec([0, 0, -at["turn"]])
    cosine, sine = np.cos(at["turn"]), np.sin(at["turn"])
    turn = np.array([[cosine, -sine], [sine, cosine]])
    nm, rotation, layers = np.zeros(len(structures)), [], []
    for phase, structure in enumerate(structures):
        rows = [table.row(structure, particle.lattice, end) for end in range(1 + particle.bent)]
        ends = Rotation.from_quat(table.rotation[rows], scalar_first=True)
        own = Slerp([0, 1], ends)(bend) if particle.bent else ends[0]
        rotation.append((own * back).as_quat(canonical=True, scalar_first=True))
        share = (particle.phases[0] == phase) * (1 - second) + (
            particle.phases[1] == phase
        ) * second
        nm[phase] = share * at["nm"]
        if nm[phase] == 0:
            continue
        parts = (1 - bend, bend) if particle.bent else (1.0,)
        made = [table.at(row, nm[phase]) for row in rows]
        layers.append(
            Layer(
                np.concatenate([layer.q for layer in made]) @ turn.T,
                np.concatenate([p * layer.intensity for p, layer in zip(parts, made, strict=True)]),
                sum(p * layer.direct for p, layer in zip(parts, made, strict=True)),
                sum(p * layer.diffuse for p, layer in zip(parts, made, strict=True)),
            )
        )
    return Seen(index, nm, np.array(rotation), layers)


def pattern(camera: Camera, table: Table, layers, nm: float, amorphous, centre, affine):
    """Share of the electrons expected at each pixel.

    Layers scatter one after the other: what one makes of the beam is weakened by what the others
    take out of it. `amorphous` holds (thickness in nm, rings) of what is not crystalline.
    """
    passed = np.prod([layer.direct for layer in layers])
    kept = np.exp(-sum(thick for thick, _ in amorphous) / _AMORPHOUS_NM)
    q = [np.zeros((1, 2))] + [layer.q for layer in layers]
    amounts = [np.array([passed])] + [
        passed / layer.direct * layer.intensity for layer in layers
    ]  # fmt: skip
    places = (np.concatenate(q) @ np.linalg.inv(affine).T)[:, ::-1]
    image = camera.light(
        places, kept * np.concatenate(amounts), centre, 1 - np.exp(-nm / _PLASMON_NM)
    )
    y, x = np.indices(image.shape)
    offset = np.stack([x - centre[1], y - centre[0]], axis=-1) @ affine.T
    radius = np.hypot(offset[..., 0], offset[..., 1])
    pixel = np.linalg.det(affine)
    for layer in layers:
        thermal = np.interp(radius, table.radius, layer.diffuse)
        image += kept * passed / layer.direct * pixel * thermal
    for thick, rings in amorphous:
        image += (1 - np.exp(-thick / _AMORPHOUS_NM)) * pixel * _halo(radius, rings)
    return image


def _halo(radius: np.ndarray, rings) -> np.ndarray:
    """Rings of unit light in all, angstrom^2."""
    fine = np.linspace(0, 2, 801)
    light = np.zeros_like(radius)
    for place, width, share in rings:
        whole = 2 * np.pi * np.trapezoid(fine * np.exp(-((fine - place) ** 2) / 2 / width**2), fine)
        light += share / whole * np.exp(-((radius - place) ** 2) / 2 / width**2)
    return light


def make_scan(path: Path, film: Film, structures: list[str]) -> Truth:
    """Write a HyperSpy file of the film; `structures` in the order of their ion content."""
    table = Table()
    streams = [np.random.default_rng([film.seed, number]) for number in range(4)]
    places = scan_places(film.shape, streams[0])
    particles = scatter(film, table, structures, streams[1])
    camera = Camera(film.stop, streams[2])
    centres, affine = (
        descan(film.shape, camera.middle, film.wobble, streams[3]),
        affine_of(streams[3]),
    )
    seen = [particle.see(places) for particle in particles]
    frames = np.empty((*film.shape, PIXELS, PIXELS), np.uint16)
    found: dict[tuple[int, int], list[Seen]] = {}
    for number, (y, x) in enumerate(np.ndindex(*film.shape)):
        here = [
            look(index, particle, {name: float(v[y, x]) for name, v in at.items()}, table,
                 structures)
            for index, (particle, at) in enumerate(zip(particles, seen, strict=True))
            if at["nm"][y, x] > 0
        ]  # fmt: skip
        found[y, x] = sorted(here, key=lambda one: -one.nm.sum())
        grown = _FILM_NM + _CONTAMINATION_NM * number / np.prod(film.shape)
        image = pattern(
            camera, table, [layer for one in here for layer in one.layers],
            sum(one.nm.sum() for one in here),
            [(grown, CARBON), (2 * _SKIN_NM * len(here), _GLASS)], centres[y, x], affine,
        )  # fmt: skip
        frames[y, x] = camera.film(image, film.dose)
    write(path, frames, table)
    return _truth(found, film.shape, len(structures), centres, affine)


def _truth(found, shape, number: int, centres, affine) -> Truth:
    weight, second_weight = np.zeros((2, *shape, number))
    rotation, second_rotation = np.full((2, *shape, number, 4), np.nan)
    particle, second = np.full((2, *shape), -1)
    thickness = np.zeros(shape)
    for place, here in found.items():
        if not here:
            continue
        thickness[place] = sum(one.nm.sum() for one in here)
        weight[place] = sum(one.nm for one in here) / thickness[place]
        particle[place], rotation[place] = here[0].index, here[0].rotation
        if len(here) > 1:
            second[place], second_rotation[place] = here[1].index, here[1].rotation
            second_weight[place] = here[1].nm / thickness[place]
    return Truth(
        weight, thickness, particle, second, rotation, second_rotation, second_weight, centres,
        affine,
    )  # fmt: skip


def write(path: Path, frames: np.ndarray, table: Table) -> None:
    from rsciio.hspy import file_writer

    axes = [
        {"name": name, "size": size, "scale": scale, "offset": 0.0, "units": units,
         "navigate": units == "nm", "index_in_array": index, "_type": "UniformDataAxis"}
        for index, (name, size, scale, units) in enumerate(zip(
            ("y", "x", "ky", "kx"), frames.shape, (SCAN_STEP_NM,) * 2 + (SCALE,) * 2,
            ("nm",) * 2 + ("1/\u212b",) * 2, strict=True,
        ))
    ]  # fmt: skip
    file_writer(
        str(path),
        {
            "data": frames, "axes": axes, "original_metadata": {},
            "metadata": {
                "General": {"title": "second world"},
                "Signal": {"signal_type": "electron_diffraction"},
                "Acquisition_instrument": {"TEM": {"beam_energy": table.voltage_kv}},
            },
            "package_info": {"package": "", "package_version": ""},
            "attributes": {"_lazy": False}, "learning_results": {}, "tmp_parameters": {},
            "models": {},
        },
    )  # fmt: skip
