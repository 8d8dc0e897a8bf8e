"""Indexing: templates on a grid of beam directions, matching by azimuthal harmonics, refinement.

A pattern is a sum of spots on radial shells. Correlating it with a template under every rotation in
the plane is a product per azimuthal harmonic: sum over shells first, then one inverse transform per
pair gives the correlation at all angles. For a batch of patterns the sums over shells are matrix
products. A template seen in a mirror, whose harmonics are the complex conjugates, is the crystal
turned by 180 degrees about an axis in the plane: by Friedel's law every reflection at (x, y, z)
then has a mate at (x, -y, z), as strong and as far from the Ewald sphere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numba
import numpy as np
import xarray as xr

from phasefront import layouts, netcdf
from phasefront.crystals import Crystal
from phasefront.refinement import (
    Experiment,
    Refined,
    electron_wavelength,
    observed_window,
    quaternion_of,
    refine,
    reflection_table,
    spot_arrays,
)

# Excitation error at which a template's reflection has faded, 1/angstrom: wider than a crystal's,
# because the nearest direction of the grid is off by up to half a step.
TEMPLATE_WIDTH = 0.02
# Spots count by these powers of their intensity. Dynamical intensities follow the kinematic ones
# loosely: high powers let a few spots decide. Fitted on Bloch-wave patterns.
TEMPLATE_POWER = 0.25
PATTERN_POWER = 0.15
# Harmonics 1 to 31; the mean of each ring, harmonic 0, is taken off. The coarse search takes the
# lower ones, and treats odd and even ones apart.
_ORDERS = np.arange(1, 32)
_ODD_ORDERS, _EVEN_ORDERS = np.arange(1, 21, 2), np.arange(2, 21, 2)
_COARSE_ORDERS = np.concatenate([_ODD_ORDERS, _EVEN_ORDERS])
_SHELL_STEP = 0.04  # 1/angstrom, half width of a shell's triangular weight
_AZIMUTHAL_SIGMA = 0.03  # blur along the ring, 1/angstrom
_MIN_RADIUS = 0.1
_BLOCK = 8192  # positions in memory at a time
_BATCH = 16  # patterns in one matrix product; a constant, so that bytes never depend on threads
_ANGLES = 128  # of the fine search, over a full turn
_COARSE_ANGLES = 42
_KEPT = 16  # coarse candidates per phase that are searched finely
_COSINE, _SINE = (
    np.ascontiguousarray(f(2 * np.pi / _ANGLES * np.outer(np.arange(_ANGLES), _ORDERS)), dtype="f4")
    for f in (np.cos, np.sin)
)
_FAST = {"reassoc", "contract", "arcp", "nsz"}


def simulate_templates(
    crystals: Sequence[Crystal],
    *,
    voltage_kv: float,
    precession_deg: float,
    resolution_deg: float,
    max_radius: float = 1.2,
) -> xr.Dataset:
    """Kinematic spots of each phase for beam directions `resolution_deg` apart.

    Directions cover one sector of the sphere under the phase's Laue group (with inversion); the
    rotation of a template takes the frame's z to its direction by the shortest way, the angle in
    the plane is left to the matching. Visibility under precession is diffsims' Lorentzian.

    Returns a TEMPLATES dataset; spots within 0.1 and `max_radius` (1/angstrom).
    """
    spots: dict[str, list] = {"qx": [], "qy": [], "intensity": []}
    phase_index, rotations, counts = [], [], []
    for index, crystal in enumerate(crystals):
        directions = _beam_directions(crystal, resolution_deg)
        quaternions = _shortest_rotations(directions)
        _, g, strength = crystal.reflections(1.0 / max_radius)
        for quaternion in quaternions:
            qx, qy, intensity = _visible_spots(
                g @ _matrices(quaternion), strength, electron_wavelength(voltage_kv), precession_deg
            )
            for name, values in (("qx", qx), ("qy", qy), ("intensity", intensity)):
                spots[name].append(values)
            counts.append(len(qx))
        phase_index += [index] * len(quaternions)
        rotations.append(quaternions)
    return netcdf.build(
        layouts.TEMPLATES,
        {
            "phase": [crystal.name for crystal in crystals],
            "phase_index": phase_index,
            "rotation": np.concatenate(rotations),
            "offset": np.concatenate([[0], np.cumsum(counts)]),
            **{name: np.concatenate(values) for name, values in spots.items()},
        },
        {
            "voltage_kv": float(voltage_kv), "precession_deg": float(precession_deg),
            "resolution_deg": float(resolution_deg), "max_radius": float(max_radius),
        },
    )  # fmt: skip


def _beam_directions(crystal: Crystal, resolution_deg: float) -> np.ndarray:
    """Unit vectors (n, 3) in the crystal's axes, one for each orbit of the Laue group.

    The sector is the set of directions nearer to a general direction than any of their
    equivalents are: a fundamental domain of any group in any setting of its axes.
    """
    from orix.sampling import sample_S2

    sphere = sample_S2(resolution_deg, method="spherified_cube_edge").data
    inside = np.array([0.36, 0.48, 0.8])
    images = _matrices(crystal.symmetry) @ inside
    images = np.concatenate([images, -images])
    return sphere[sphere @ inside >= (sphere @ images.T).max(axis=1) - 1e-9]


def _shortest_rotations(directions: np.ndarray) -> np.ndarray:
    """Quaternions (n, 4) that take z to the directions; about x where the direction is -z."""
    x, y, z = directions.T
    quaternions = np.stack([1 + z, -y, x, np.zeros_like(z)], axis=1)
    quaternions[z < -1 + 1e-12] = (0, 1, 0, 0)
    return quaternions / np.linalg.norm(quaternions, axis=1, keepdims=True)


def _visible_spots(
    g: np.ndarray, strength: np.ndarray, wavelength: float, precession_deg: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    from diffsims.utils.shape_factor_models import lorentzian_precession

    radius = np.hypot(g[:, 0], g[:, 1])
    # The beam runs along -z, so the Ewald sphere's centre lies at +z.
    error = 1 / wavelength - np.sqrt(wavelength**-2 - radius**2) - g[:, 2]
    near = (np.abs(error) < 2 * TEMPLATE_WIDTH + radius * np.deg2rad(precession_deg)) & (
        radius > _MIN_RADIUS
    )
    visible = lorentzian_precession(
        error[near], TEMPLATE_WIDTH, radius[near], np.deg2rad(precession_deg)
    )
    intensity = strength[near] * visible
    seen = intensity > 1e-4 * intensity.max(initial=0.0)
    return g[near, 0][seen], g[near, 1][seen], intensity[seen]


def _matrices(quaternions: np.ndarray) -> np.ndarray:
    from scipy.spatial.transform import Rotation

    return Rotation.from_quat(quaternions, scalar_first=True).as_matrix()


@dataclass(frozen=True)
class Matches:
    """Best matches of every pattern and phase, best first: dimensions (pattern, phase, rank)."""

    rotation: np.ndarray  # (..., 4) quaternions, frame to crystal; NaN where there is none
    score: np.ndarray  # normalised correlation, 0 to 1; NaN where there is none


def match(
    spots: xr.Dataset,
    templates: xr.Dataset,
    *,
    n_best: int = 3,
    min_spots: int = 5,
    coarse_deg: float = 4.0,
) -> Matches:
    """Correlate every pattern with every phase's templates, a coarse grid of directions first.

    Each phase keeps its own best coarse directions, so none is pruned by another; the full grid is
    searched about these, and the angle in the plane interpolated. Orientations of one phase are
    more than a step of the grid apart. Patterns are flattened, rows first; those of fewer than
    `min_spots` spots are left out.

    `coarse_deg`: spacing of the directions searched first, in degrees. The work is shared among
    as many threads as numba has; neither scores nor their order depend on how many.
    """
    arrays = spot_arrays(spots)
    library = _Library.prepare(templates, coarse_deg)
    return _match(arrays, library, np.arange(len(arrays[0]) - 1), n_best, min_spots)


def find_orientations(
    spots: xr.Dataset,
    templates: xr.Dataset,
    crystals: Sequence[Crystal],
    *,
    n_best: int = 2,
    min_spots: int = 5,
    position_sigma: float = 0.005,
    scale_sigma: float = 0.003,
    centre_sigma: float = 0.001,
    distinct_deg: float = 5.0,
    coarse_deg: float = 4.0,
) -> xr.Dataset:
    """Best distinct orientations of every phase at every position, refined on its spots.

    Parameters
    ----------
    spots, templates
        SPOTS and TEMPLATES datasets.
    crystals
        The phases, in the templates' order.
    n_best
        Orientations kept per phase, by likelihood, best first. They differ by more than
        `distinct_deg` under the crystal's symmetry.
    min_spots
        Positions with fewer spots get NaN.
    position_sigma, centre_sigma
        Standard errors of a spot's position and of the pattern's centre, 1/angstrom.
    scale_sigma
        Relative standard error of the calibrated scale.

    Returns an ORIENTATIONS dataset.
    """
    arrays = spot_arrays(spots)
    library = _Library.prepare(templates, coarse_deg)
    experiment = Experiment(
        voltage_kv=templates.attrs["voltage_kv"],
        precession_deg=templates.attrs["precession_deg"],
        window=observed_window(spots),
        position_sigma=position_sigma,
        scale_sigma=scale_sigma,
        centre_sigma=centre_sigma,
    )
    table = reflection_table(crystals, max_radius=experiment.window[1])
    ny, nx = spots["count"].shape
    shape = (ny * nx, len(crystals), n_best)
    found = {
        "rotation": np.full((*shape, 4), np.nan, dtype="f4"),
        "score": np.full(shape, np.nan, dtype="f4"),
        "scale_factor": np.full(shape, np.nan, dtype="f4"),
        "residual": np.full(shape, np.nan, dtype="f4"),
        "indexed": np.zeros(shape, dtype="i2"),
    }
    for start in range(0, ny * nx, _BLOCK):
        block = np.arange(start, min(start + _BLOCK, ny * nx))
        matches = _match(arrays, library, block, n_best + 1, min_spots)
        position, phase, candidate = np.nonzero(np.isfinite(matches.score))
        refined = refine(
            arrays, block[position], phase, matches.rotation[position, phase, candidate], table,
            experiment,
        )  # fmt: skip
        group = position * len(crystals) + phase
        rank = _rank(group, phase, refined, crystals, distinct_deg, n_best)
        kept = rank >= 0
        at = (block[position[kept]], phase[kept], rank[kept])
        for name, values in found.items():
            values[at] = getattr(refined, name)[kept]
    return netcdf.build(
        layouts.ORIENTATIONS,
        {
            "phase": [crystal.name for crystal in crystals],
            **{name: values.reshape(ny, nx, *values.shape[1:]) for name, values in found.items()},
        },
        {"scan": spots.attrs["scan"]},
    )


def _rank(
    group: np.ndarray, phase: np.ndarray, refined: Refined, crystals: Sequence[Crystal],
    distinct_deg: float, n_best: int,
) -> np.ndarray:  # fmt: skip
    """Rank (n,) of each candidate among those of its group by likelihood; -1 for what is left out.

    Left out are orientations near a better one, and those past `n_best`. A group (position and
    phase) lies in one run of equal numbers.
    """
    symmetry = np.concatenate([crystal.symmetry for crystal in crystals])
    edge = np.cumsum([0] + [len(crystal.symmetry) for crystal in crystals])
    rank = np.full(len(group), -1)
    cosine = np.cos(np.deg2rad(distinct_deg) / 2)
    _rank_distinct(
        group, phase, refined.rotation, refined.log_likelihood, symmetry, edge, cosine, n_best, rank
    )
    return rank


@numba.njit(cache=True)
def _rank_distinct(
    group, phase, rotation, likelihood, symmetry, edge, cosine, n_best, rank
):  # fmt: skip
    start = 0
    while start < len(group):
        stop = start + 1
        while stop < len(group) and group[stop] == group[start]:
            stop += 1
        operators = symmetry[edge[phase[start]] : edge[phase[start] + 1]]
        kept = 0
        for index in start + np.argsort(-likelihood[start:stop]):
            new = kept < n_best
            for other in range(start, stop):
                if rank[other] >= 0:
                    nearest = _cosine_half_angle(rotation[index], rotation[other], operators)
                    new = new and nearest < cosine
            if new:
                rank[index] = kept
                kept += 1
        start = stop


@numba.njit(cache=True)
def _cosine_half_angle(first, second, operators):
    """Cosine of half the smallest angle between two orientations that symmetry allows."""
    # Scalar part of s first second^-1 is s . conj(first second^-1), up to the sign.
    a, b, c, d = first
    w, x, y, z = second
    product = np.array(
        [
            a * w + b * x + c * y + d * z,
            a * x - b * w + c * z - d * y,
            a * y - b * z - c * w + d * x,
            a * z + b * y - c * x - d * w,
        ]
    )
    return np.max(np.abs(operators @ product))


def _match(
    arrays: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    library: _Library,
    positions: np.ndarray,
    n_best: int,
    min_spots: int,
) -> Matches:
    from threadpoolctl import threadpool_limits

    offset, qx, qy, intensity = arrays
    amplitude = intensity**PATTERN_POWER
    active = np.flatnonzero(np.diff(offset)[positions] >= min_spots)
    shape = (len(positions), library.phases, n_best)
    rotation, score = np.full((*shape, 4), np.nan), np.full(shape, np.nan)

    def work(start: int) -> None:
        batch = active[start : start + _BATCH]
        harmonics = np.zeros((len(batch), 2, len(_ORDERS), len(library.shells)), dtype=np.float32)
        _transform(offset, qx, qy, amplitude, positions[batch], library.shells, harmonics)
        best_score, best_angle = library.correlate(harmonics)
        rotation[batch], score[batch] = library.search(harmonics, best_score, best_angle, n_best)

    # One BLAS thread each: the batches are what is shared among the threads.
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(numba.get_num_threads()) as pool:
        for _ in pool.map(work, range(0, len(active), _BATCH)):
            pass
    return Matches(rotation, np.clip(score, 0.0, 1.0))


@dataclass(frozen=True)
class _Library:
    """Templates made ready for matching."""

    matrices: np.ndarray  # (templates, 3, 3), frame to crystal
    harmonics: np.ndarray  # (templates, 2, harmonics, shells) f4: real and imaginary parts
    shells: np.ndarray  # radii, 1/angstrom
    apart: float  # radian: closer orientations are one match
    coarse: np.ndarray  # templates searched first, phase by phase
    coarse_edge: np.ndarray  # (phases + 1,): first coarse template of a phase
    near: np.ndarray  # templates about each coarse one, itself included
    near_edge: np.ndarray  # (coarse + 1,)
    stacked: np.ndarray  # (harmonics, 2 shells, coarse) f4: factors of the matrix products

    @classmethod
    def prepare(cls, templates: xr.Dataset, coarse_deg: float) -> _Library:
        offset, qx, qy, intensity = spot_arrays(templates)
        shells = np.arange(_MIN_RADIUS, templates.attrs["max_radius"] + _SHELL_STEP, _SHELL_STEP)
        number = len(offset) - 1
        harmonics = np.zeros((number, 2, len(_ORDERS), len(shells)), dtype=np.float32)
        _transform(offset, qx, qy, intensity**TEMPLATE_POWER, np.arange(number), shells, harmonics)
        matrices = _matrices(templates["rotation"].values)
        resolution = np.deg2rad(templates.attrs["resolution_deg"])
        # Circles of this radius about the points of a grid of spacing 1 cover the plane.
        cover = max(np.deg2rad(coarse_deg) / np.sqrt(2), 1e-6)
        coarse, coarse_edge, near, near_edge = [], [0], [], [0]
        for phase in range(len(templates["phase"])):
            own = np.flatnonzero(templates["phase_index"].values == phase)
            directions = matrices[own, :, 2]
            for chosen in _cover(directions, cover):
                angle = _angles_to(directions, directions[chosen])
                near.append(own[angle <= cover])
                near_edge.append(near_edge[-1] + len(near[-1]))
                coarse.append(own[chosen])
            coarse_edge.append(len(coarse))
        # (coarse, 2, harmonics, shells) -> (harmonics, 2 shells, coarse)
        lower = harmonics[coarse][:, :, _COARSE_ORDERS - 1]
        stacked = lower.transpose(2, 1, 3, 0).reshape(len(_COARSE_ORDERS), -1, len(coarse))
        return cls(
            matrices, harmonics, shells, 1.5 * resolution, np.array(coarse), np.array(coarse_edge),
            np.concatenate(near), np.array(near_edge), np.ascontiguousarray(stacked),
        )  # fmt: skip

    @property
    def phases(self) -> int:
        return len(self.coarse_edge) - 1

    def correlate(self, harmonics: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Best correlation over the angle with each coarse template, and that angle's index.

        `harmonics` (patterns, 2, harmonics, shells); both results (2, patterns, coarse), plain
        templates first, then mirrored ones.
        """
        patterns, number = len(harmonics), len(self.coarse)
        real, imaginary = harmonics[:, :, _COARSE_ORDERS - 1].swapaxes(0, 1)
        # Real and imaginary part of P conj(T), then of P T, with [Tr, Ti] stacked over the shells.
        factors = np.stack(
            [
                np.concatenate(pair, axis=2)
                for pair in (
                    (real, imaginary), (imaginary, -real), (real, -imaginary), (imaginary, real)
                )
            ]
        ).reshape(2, 2 * patterns, len(_COARSE_ORDERS), -1)  # fmt: skip
        score = np.empty((2, patterns, number), dtype=np.float32)
        angle = np.empty((2, patterns, number), dtype=np.int8)
        product = np.empty((len(_COARSE_ORDERS), 2 * patterns, number), dtype=np.float32)
        of_odd = product[: len(_ODD_ORDERS)].reshape(2 * len(_ODD_ORDERS), -1)
        of_even = product[len(_ODD_ORDERS) :].reshape(2 * len(_EVEN_ORDERS), -1)
        # Odd harmonics change sign by half a turn, even ones do not: half the angles are enough.
        for mirrored in range(2):
            for k in range(len(_COARSE_ORDERS)):
                np.matmul(factors[mirrored, :, k], self.stacked[k], out=product[k])
            odd = _synthesis(_ODD_ORDERS) @ of_odd
            even = _synthesis(_EVEN_ORDERS) @ of_even
            _largest(even, odd, score[mirrored].reshape(-1), angle[mirrored].reshape(-1))
        return score, angle

    def search(
        self, harmonics: np.ndarray, score: np.ndarray, angle: np.ndarray, n_best: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Quaternions (patterns, phases, n_best, 4) and scores from the grid about the best."""
        shape = (len(harmonics), self.phases, n_best)
        quaternions, scores = np.full((*shape, 4), np.nan), np.full(shape, np.nan)
        _search(
            harmonics, score, angle, self.matrices, self.harmonics, self.coarse_edge, self.near,
            self.near_edge, self.apart, quaternions, scores,
        )  # fmt: skip
        return quaternions, scores


def _synthesis(orders: np.ndarray) -> np.ndarray:
    """Rows: angles of half a turn; columns: what real and imaginary part of each order add."""
    angles = 2 * np.pi / _COARSE_ANGLES * np.arange(_COARSE_ANGLES // 2)
    phase = np.outer(angles, orders)
    columns = np.stack([2 * np.cos(phase), -2 * np.sin(phase)], axis=2)
    return columns.reshape(len(angles), -1).astype(np.float32)


def _angles_to(directions: np.ndarray, direction: np.ndarray) -> np.ndarray:
    return np.arccos(np.clip(directions @ direction, -1.0, 1.0))


def _cover(directions: np.ndarray, radius: float) -> Iterator[int]:
    """Indices of directions such that each direction lies within `radius` of a chosen one."""
    covered = np.zeros(len(directions), dtype=bool)
    for index, direction in enumerate(directions):
        if not covered[index]:
            covered |= _angles_to(directions, direction) <= radius
            yield index


@numba.njit(cache=True, nogil=True, fastmath=_FAST)
def _transform(offset, qx, qy, amplitude, chosen, shells, out):
    """Normalised harmonics (chosen, 2, harmonics, shells) of lists of spots.

    H_k(shell) = sum of amplitude * triangle(radius - shell) * blur(k) * exp(-i k azimuth), with
    2 sum |H|^2 = 1.
    """
    step = shells[1] - shells[0]
    for row in range(len(chosen)):
        for spot in range(offset[chosen[row]], offset[chosen[row] + 1]):
            radius = np.hypot(qx[spot], qy[spot])
            position = (radius - shells[0]) / step
            low = int(np.floor(position))
            if low < 0 or low >= len(shells) - 1:
                continue
            azimuth = np.arctan2(qy[spot], qx[spot])
            for k in range(len(_ORDERS)):
                order = _ORDERS[k]
                blur = np.exp(-0.5 * (order * _AZIMUTHAL_SIGMA / radius) ** 2)
                real = amplitude[spot] * blur * np.cos(order * azimuth)
                imaginary = -amplitude[spot] * blur * np.sin(order * azimuth)
                share = position - low
                out[row, 0, k, low] += (1.0 - share) * real
                out[row, 1, k, low] += (1.0 - share) * imaginary
                out[row, 0, k, low + 1] += share * real
                out[row, 1, k, low + 1] += share * imaginary
        total = 0.0
        for value in out[row].flat:
            total += value * value
        if total > 0.0:
            out[row] /= np.float32(np.sqrt(2.0 * total))


@numba.njit(cache=True, nogil=True)
def _largest(even, odd, score, angle):
    """Largest even +- odd over the angles (rows), and which: half a turn on where it is minus."""
    half = len(even)
    score[:] = -np.inf
    for row in range(half):
        for i in range(len(score)):
            value = even[row, i] + abs(odd[row, i])
            if value > score[i]:
                score[i] = value
                angle[i] = row if odd[row, i] >= 0 else row + half


@numba.njit(cache=True, nogil=True, fastmath=_FAST)
def _search(
    harmonics, score, angle, matrices, templates, coarse_edge, near, near_edge, apart, quaternions,
    scores,
):  # fmt: skip
    """Full grid about each pattern's and phase's best coarse templates; fills the last two."""
    n_best = scores.shape[2]
    value, chosen = np.empty(_KEPT), np.empty((2, _KEPT), dtype=np.int64)
    found, found_value = np.empty((_KEPT, 3, 3)), np.empty(_KEPT)
    for pattern in range(len(harmonics)):
        for phase in range(len(coarse_edge) - 1):
            kept = _best_coarse(
                score[:, pattern], coarse_edge[phase], coarse_edge[phase + 1], value, chosen
            )
            for rank in range(kept):
                mirrored, coarse = chosen[0, rank], chosen[1, rank]
                start = round(angle[mirrored, pattern, coarse] * _ANGLES / _COARSE_ANGLES)
                best, best_angle, best_template = -2.0, 0.0, -1
                for index in range(near_edge[coarse], near_edge[coarse + 1]):
                    here, at = _best_near(
                        harmonics[pattern], templates[near[index]], mirrored, start
                    )
                    if here > best:
                        best, best_angle, best_template = here, at, near[index]
                found_value[rank] = best
                found[rank] = _oriented(matrices[best_template], mirrored, best_angle)
            order = np.argsort(-found_value[:kept])
            taken = 0
            for index in order:
                if taken == n_best:
                    break
                new = True
                for other in order:
                    if other == index:
                        break
                    # Among better ones, taken or not: near a better one is no maximum.
                    cosine = 0.5 * (np.sum(found[index] * found[other]) - 1.0)
                    if cosine > np.cos(apart):
                        new = False
                        break
                if new:
                    quaternions[pattern, phase, taken] = quaternion_of(found[index])
                    scores[pattern, phase, taken] = found_value[index]
                    taken += 1


@numba.njit(cache=True, nogil=True)
def _best_coarse(score, low, high, value, chosen):
    """Fill value and chosen (mirrored, coarse) with the largest scores, best first; how many."""
    kept = 0
    for mirrored in range(2):
        for coarse in range(low, high):
            new = score[mirrored, coarse]
            if kept < _KEPT:
                kept += 1
            elif new <= value[kept - 1]:
                continue
            place = kept - 1
            while place > 0 and value[place - 1] < new:
                value[place] = value[place - 1]
                chosen[:, place] = chosen[:, place - 1]
                place -= 1
            value[place] = new
            chosen[0, place], chosen[1, place] = mirrored, coarse
    return kept


@numba.njit(cache=True, nogil=True, fastmath=_FAST)
def _best_near(pattern, template, mirrored, start):
    """Largest correlation within a few steps of the angle `start`, and the angle in radian."""
    orders, shells = pattern.shape[1:]
    real, imaginary = np.empty(orders, dtype=np.float32), np.empty(orders, dtype=np.float32)
    for k in range(orders):
        rr = ii = ri = ir = np.float32(0.0)
        for s in range(shells):
            rr += pattern[0, k, s] * template[0, k, s]
            ii += pattern[1, k, s] * template[1, k, s]
            ri += pattern[0, k, s] * template[1, k, s]
            ir += pattern[1, k, s] * template[0, k, s]
        real[k] = rr - ii if mirrored else rr + ii
        imaginary[k] = ir + ri if mirrored else ir - ri
    around = np.empty(9)
    for j in range(9):
        row = (start + j - 4) % _ANGLES
        total = np.float32(0.0)
        for k in range(orders):
            total += real[k] * _COSINE[row, k] - imaginary[k] * _SINE[row, k]
        around[j] = 2.0 * total
    j = 1 + np.argmax(around[1:8])
    left, middle, right = around[j - 1], around[j], around[j + 1]
    bend = left - 2.0 * middle + right
    shift = 0.0
    if bend < 0.0:
        shift = min(max(0.5 * (left - right) / bend, -0.5), 0.5)
    value = middle - 0.25 * (left - right) * shift
    return value, (start + j - 4 + shift) * 2.0 * np.pi / _ANGLES


@numba.njit(cache=True, nogil=True)
def _oriented(matrix, mirrored, angle):
    """Orientation whose pattern is the template's, mirrored in x if so, then turned by `angle`."""
    out = np.empty((3, 3))
    # A crystal turned by 180 degrees about y shows (x, -y): with Friedel's law the mirror image.
    flip = -1.0 if mirrored else 1.0
    cosine, sine = np.cos(angle), np.sin(angle)
    for row in range(3):
        x, y = flip * matrix[row, 0], matrix[row, 1]
        out[row, 0] = cosine * x - sine * y
        out[row, 1] = sine * x + cosine * y
        out[row, 2] = flip * matrix[row, 2]
    return out
