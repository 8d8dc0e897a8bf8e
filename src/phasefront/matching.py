"""Matching: patterns against templates at every angle, by azimuthal harmonics, coarse to fine.

A pattern is a sum of spots on radial shells. Correlating it with a template under every rotation in
the plane is a product per azimuthal harmonic: sum over shells first, then one inverse transform per
pair gives the correlation at all angles. For a batch of patterns the sums over shells are matrix
products. A template seen in a mirror, whose harmonics are the complex conjugates, is the crystal
turned by 180 degrees about an axis in the plane: by Friedel's law every reflection at (x, y, z)
then has a mate at (x, -y, z), as strong and as far from the Ewald sphere.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numba
import numpy as np
import xarray as xr

from phasefront import rotations
from phasefront.crystals import Crystal
from phasefront.errors import InputError
from phasefront.refinement import spot_arrays
from phasefront.templates import MIN_RADIUS

# Spots count by these powers of their intensity. Dynamical intensities follow the kinematic ones
# loosely: high powers let a few spots decide. Fitted on Bloch-wave patterns.
TEMPLATE_POWER = 0.25
PATTERN_POWER = 0.15
# Harmonics 1 to 32; the mean of each ring, harmonic 0, is taken off. The coarse search takes the
# lower ones, and treats odd and even ones apart: half a turn changes the sign of odd ones only.
_ORDERS = np.arange(1, 33)
_ODD_ORDERS, _EVEN_ORDERS = np.arange(1, 13, 2), np.arange(2, 13, 2)
_COARSE_ORDERS = np.concatenate([_ODD_ORDERS, _EVEN_ORDERS])
_SHELL_STEP = 0.04  # 1/angstrom, half width of a shell's triangular weight
_AZIMUTHAL_SIGMA = 0.03  # blur along the ring, 1/angstrom
_BATCH = 16  # patterns in one matrix product; a constant, so that bytes never depend on threads
_SHARE = 16 * _BATCH  # patterns that a thread takes at a time
_CHUNK = 128  # templates in one matrix product: what comes out stays in the core's cache
_ANGLES = 128  # of the fine search, over a full turn
_COARSE_ANGLES = 32
_KEPT = 8  # coarse candidates per phase that are searched finely
_WINDOW = 16  # angles about the coarse one that the fine search looks at
# (harmonics, angles), past a full turn, so that every window is in one piece.
_COSINE, _SINE = (
    f(2 * np.pi / _ANGLES * np.outer(_ORDERS, np.arange(_ANGLES + _WINDOW))).astype("f4")
    for f in (np.cos, np.sin)
)
# Rows of all matrix products: real and imaginary part of each harmonic, the odd ones first.
_ROWS, _ODD_ROWS = 2 * len(_COARSE_ORDERS), 2 * len(_ODD_ORDERS)


@dataclass(frozen=True)
class Matches:
    """Best matches of every pattern and phase, best first: dimensions (pattern, phase, rank)."""

    rotation: np.ndarray  # (..., 4) quaternions, frame to crystal; NaN where there is none
    score: np.ndarray  # normalised correlation, 0 to 1; NaN where there is none


def match(
    spots: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    library: Library,
    *,
    n_best: int = 2,
    min_spots: int = 5,
    device: str = "cpu",
) -> Matches:
    """Correlate every pattern with every phase's templates, a coarse grid of directions first.

    Each phase keeps its own best coarse directions, so none is pruned by another; the full grid is
    searched about these, and the angle in the plane interpolated. Orientations of one phase are
    more than a step of the grid apart, under its symmetry. Patterns of fewer than `min_spots` spots
    are left out.

    Parameters
    ----------
    spots
        offset (patterns + 1,), qx, qy and intensity (spots,).
    device
        Where the matrix products are done: "cpu", on as many threads as numba has, whose results do
        not depend on how many; or "gpu", through CuPy or PyTorch.

    Raises
    ------
    InputError
        There is no GPU, or nothing to use it with.
    """
    from threadpoolctl import threadpool_limits

    offset, qx, qy, intensity = spots
    amplitude = intensity**PATTERN_POWER
    active = np.flatnonzero(np.diff(offset) >= min_spots)
    shape = (len(offset) - 1, library.phases, n_best)
    rotation, score = np.full((*shape, 4), np.nan), np.full(shape, np.nan)
    shared = None if device == "cpu" else library.accelerated

    def work(share: np.ndarray) -> None:
        correlate = shared or Correlator(library)
        for batch in np.split(share, range(correlate.batch, len(share), correlate.batch)):
            harmonics = library.transform(offset, qx, qy, amplitude, batch, correlate.batch)
            best = correlate(harmonics)
            rotation[batch], score[batch] = library.search(harmonics[: len(batch)], *best, n_best)

    # One BLAS thread each: the patterns are what is shared among the threads.
    with threadpool_limits(1, "blas"):
        _share_out(work, active)
    return Matches(rotation, np.clip(score, 0.0, 1.0))


def _share_out(work: Callable[[np.ndarray], None], indices: np.ndarray) -> None:
    """Call `work` with one share of the indices after the other, on all of numba's threads."""
    with ThreadPoolExecutor(numba.get_num_threads()) as pool:
        for _ in pool.map(work, np.split(indices, range(_SHARE, len(indices), _SHARE))):
            pass


@dataclass(frozen=True)
class Library:
    """Templates made ready for matching, those nearest to one coarse template after the other."""

    rotation: np.ndarray  # (templates, 4), frame to crystal
    harmonics: np.ndarray  # (templates, shells, 2, harmonics) f4: real and imaginary parts
    shells: np.ndarray  # radii, 1/angstrom
    apart: float  # cosine of half the angle within which orientations are one match
    symmetry: np.ndarray  # (operations, 4), phase by phase
    symmetry_edge: np.ndarray  # (phases + 1,)
    coarse_edge: np.ndarray  # (phases + 1,): first coarse template of a phase
    near_edge: np.ndarray  # (coarse + 1,): first template of those nearest to a coarse one
    real: np.ndarray  # (harmonics, shells, coarse) f4: factors of the matrix products
    imaginary: np.ndarray

    @classmethod
    def prepare(
        cls, templates: xr.Dataset, crystals: Sequence[Crystal], coarse_deg: float
    ) -> Library:
        offset, qx, qy, intensity = spot_arrays(templates)
        shells = np.arange(MIN_RADIUS, templates.attrs["max_radius"] + _SHELL_STEP, _SHELL_STEP)
        number = len(offset) - 1
        harmonics = np.zeros((number, len(shells), 2, len(_ORDERS)), dtype=np.float32)
        amplitude = intensity**TEMPLATE_POWER

        def work(own: np.ndarray) -> None:
            _transform(offset, qx, qy, amplitude, own, shells, harmonics[own[0] : own[-1] + 1])

        _share_out(work, np.arange(number))
        rotation = templates["rotation"].values.astype(float)
        directions = rotations.matrices(rotation)[:, :, 2]
        # Circles of this radius about the points of a grid of spacing 1 cover the plane.
        cover = max(np.deg2rad(coarse_deg) / np.sqrt(2), 1e-6)
        coarse, coarse_edge, near, count = [], [0], [], []
        for phase in range(len(crystals)):
            own = np.flatnonzero(templates["phase_index"].values == phase)
            chosen = list(_cover(directions[own], cover))
            nearest = (directions[own] @ directions[own[chosen]].T).argmax(axis=1)
            near.append(own[np.argsort(nearest, kind="stable")])
            count.append(np.bincount(nearest, minlength=len(chosen)))
            coarse.append(own[chosen])
            coarse_edge.append(coarse_edge[-1] + len(chosen))
        lower = harmonics[np.concatenate(coarse)][..., _COARSE_ORDERS - 1]
        near = np.concatenate(near)
        real, imaginary = np.ascontiguousarray(lower.transpose(2, 3, 1, 0))
        step = np.deg2rad(templates.attrs["resolution_deg"])
        operations = [crystal.symmetry for crystal in crystals]
        return cls(
            rotation[near], harmonics[near], shells, np.cos(0.75 * step),
            np.concatenate(operations), np.cumsum([0, *map(len, operations)]),
            np.array(coarse_edge), np.cumsum([0, *np.concatenate(count)]), real, imaginary,
        )  # fmt: skip

    @property
    def phases(self) -> int:
        return len(self.coarse_edge) - 1

    @cached_property
    def accelerated(self) -> ArrayCorrelator:
        """The correlator of a GPU, to which the templates are copied once for all of a scan."""
        return ArrayCorrelator(self, *_find_accelerator())

    @property
    def operations(self) -> int:
        """Floating-point operations of the matrix products for one pattern."""
        sums = _ROWS * (len(self.shells) + _COARSE_ANGLES // 2)
        return 2 * 2 * sums * int(self.coarse_edge[-1])

    def transform(
        self,
        offset: np.ndarray,
        qx: np.ndarray,
        qy: np.ndarray,
        amplitude: np.ndarray,
        chosen: np.ndarray,
        size: int,
    ) -> np.ndarray:
        """Normalised harmonics (size, shells, 2, harmonics) of the chosen patterns, then zeros.

        All batches have one size: what BLAS makes of one pattern may depend on it.
        """
        harmonics = np.zeros((size, len(self.shells), 2, len(_ORDERS)), dtype=np.float32)
        _transform(offset, qx, qy, amplitude, chosen, self.shells, harmonics)
        return harmonics

    def search(
        self, harmonics: np.ndarray, score: np.ndarray, angle: np.ndarray, n_best: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Quaternions (patterns, phases, n_best, 4) and scores from the grid about the best."""
        shape = (len(harmonics), self.phases, n_best)
        quaternions, scores = np.full((*shape, 4), np.nan), np.full(shape, np.nan)
        _search(
            harmonics, score, angle, self.rotation, self.harmonics, self.coarse_edge,
            self.near_edge, self.symmetry, self.symmetry_edge, self.apart, quaternions, scores,
        )  # fmt: skip
        return quaternions, scores


class Correlator:
    """Best correlation, over the angle, of patterns with a library's coarse templates.

    One for each thread: it keeps the memory of its matrix products, small enough for the cache.
    """

    batch = _BATCH

    def __init__(self, library: Library) -> None:
        size = 2 * _BATCH * _CHUNK
        self._library = library
        self._product = np.empty(len(_COARSE_ORDERS) * size, dtype=np.float32)
        self._sums = np.empty((2, 2, _COARSE_ANGLES // 2 * size // 2), dtype=np.float32)

    def __call__(self, harmonics: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Scores and angles' indices (2, patterns, coarse), plain templates first, then mirrored.

        `harmonics` (patterns, shells, 2, harmonics).
        """
        library, factors = self._library, _factors(harmonics)
        shape = (2, len(harmonics), library.real.shape[2])
        score, angle = np.empty(shape, dtype=np.float32), np.empty(shape, dtype=np.int32)
        for first in range(0, shape[2], _CHUNK):
            chunk = slice(first, min(first + _CHUNK, shape[2]))
            of_real = self._synthesise(factors, library.real[..., chunk], _OF_REAL, 0)
            of_imaginary = self._synthesise(
                factors, library.imaginary[..., chunk], _OF_IMAGINARY, 1
            )
            _largest(*of_real, *of_imaginary, score[..., chunk], angle[..., chunk])
        return score, angle

    def _synthesise(self, factors, part, synthesis, which: int) -> list[np.ndarray]:
        """Sums (angles, patterns times templates) of the odd and of the even harmonics."""
        shape = (*factors.shape[:2], part.shape[2])
        product = self._product[: math.prod(shape)].reshape(shape)
        np.matmul(factors, part, out=product)
        sums = []
        for parity, rows in enumerate(np.split(product.reshape(_ROWS, -1), [_ODD_ROWS])):
            out = self._sums[which, parity, : _COARSE_ANGLES // 2 * rows.shape[1]]
            sums.append(np.matmul(synthesis[parity], rows, out=out.reshape(-1, rows.shape[1])))
        return sums


class ArrayCorrelator:
    """`Correlator` in the operations of the array API standard, for any of its namespaces.

    With NumPy's it is the plain form that the kernels are held to; with CuPy's or PyTorch's it
    runs on a GPU.
    """

    batch = _SHARE

    def __init__(self, library: Library, xp, device=None) -> None:
        self._xp, self._device = xp, device
        self._parts = [
            (self._array(part), [self._array(rows) for rows in synthesis])
            for part, synthesis in (
                (library.real, _OF_REAL), (library.imaginary, _OF_IMAGINARY)
            )
        ]  # fmt: skip

    def __call__(self, harmonics: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Correlator.__call__`."""
        xp, factors, half = self._xp, self._array(_factors(harmonics)), _COARSE_ANGLES // 2
        sums = []
        for part, (of_odd, of_even) in self._parts:
            product = xp.reshape(xp.matmul(factors, part), (_ROWS, -1))
            sums += [of_odd @ product[:_ODD_ROWS, :], of_even @ product[_ODD_ROWS:, :]]
        odd_real, even_real, odd_imaginary, even_imaginary = sums
        scores, angles = [], []
        for sign in (1.0, -1.0):
            odd = odd_real + sign * odd_imaginary
            value = even_real + sign * even_imaginary + xp.abs(odd)
            row = xp.argmax(value, axis=0)
            here = xp.take_along_axis(odd, row[None, :], axis=0)[0, :]
            scores.append(self._numpy(xp.max(value, axis=0)))
            angles.append(self._numpy(xp.where(here >= 0, row, row + half)))
        shape = (2, len(harmonics), -1)
        return (
            np.stack(scores).reshape(shape).astype(np.float32),
            np.stack(angles).reshape(shape).astype(np.int32),
        )

    def _array(self, array: np.ndarray):
        return self._xp.asarray(array, device=self._device)

    def _numpy(self, array) -> np.ndarray:
        from array_api_compat import to_device

        return np.asarray(to_device(array, "cpu"))


def _factors(harmonics: np.ndarray) -> np.ndarray:
    """(harmonics, real then imaginary part of each pattern, shells) of the coarse search."""
    factors = harmonics[..., _COARSE_ORDERS - 1].transpose(3, 2, 0, 1)
    return np.ascontiguousarray(factors).reshape(len(_COARSE_ORDERS), -1, factors.shape[3])


def _find_accelerator() -> tuple:
    """The array namespace and the device of a GPU."""
    try:
        import cupy

        if cupy.cuda.runtime.getDeviceCount():
            import array_api_compat.cupy

            return array_api_compat.cupy, None
    except (ImportError, RuntimeError):  # CuPy's own errors are RuntimeErrors
        pass
    try:
        import torch

        if torch.cuda.is_available():
            import array_api_compat.torch

            return array_api_compat.torch, "cuda"
    except ImportError:
        pass
    raise InputError(
        "orientations", "neither CuPy nor PyTorch finds a GPU", field="device",
        remedy="install one of them for this machine's GPU, or set device: cpu",
    )  # fmt: skip


def _synthesis(orders: np.ndarray, *, of_real: bool) -> np.ndarray:
    """Rows: angles of half a turn; columns: real and imaginary part of a pattern's harmonics.

    With P of a pattern and T of a template, the correlation at an angle is 2 Re sum P conj(T)
    exp(i k angle), with T in place of conj(T) where the template is mirrored: 2 sum
    (Pr Tr cos - Pi Tr sin) +- (Pi Ti cos + Pr Ti sin).
    """
    angles = 2 * np.pi / _COARSE_ANGLES * np.arange(_COARSE_ANGLES // 2)
    cosine, sine = np.cos(np.outer(angles, orders)), np.sin(np.outer(angles, orders))
    columns = np.stack([cosine, -sine] if of_real else [sine, cosine], axis=2)
    return 2 * columns.reshape(len(angles), -1).astype(np.float32)


_OF_REAL, _OF_IMAGINARY = (
    tuple(_synthesis(orders, of_real=of_real) for orders in (_ODD_ORDERS, _EVEN_ORDERS))
    for of_real in (True, False)
)


def _angles_to(directions: np.ndarray, direction: np.ndarray) -> np.ndarray:
    return np.arccos(np.clip(directions @ direction, -1.0, 1.0))


def _cover(directions: np.ndarray, radius: float) -> Iterator[int]:
    """Indices of directions such that each direction lies within `radius` of a chosen one."""
    covered = np.zeros(len(directions), dtype=bool)
    for index, direction in enumerate(directions):
        if not covered[index]:
            covered |= _angles_to(directions, direction) <= radius
            yield index


@numba.njit(cache=True, nogil=True)
def _transform(offset, qx, qy, amplitude, chosen, shells, out):
    """Normalised harmonics (chosen, shells, 2, harmonics) of lists of spots.

    H_k(shell) = sum of amplitude * triangle(radius - shell) * blur(k) * exp(-i k azimuth), with
    2 sum |H|^2 = 1.
    """
    step = shells[1] - shells[0]
    orders = out.shape[3]
    for row in range(len(chosen)):
        for spot in range(offset[chosen[row]], offset[chosen[row] + 1]):
            radius = math.sqrt(qx[spot] ** 2 + qy[spot] ** 2)
            position = (radius - shells[0]) / step
            low = math.floor(position)
            if low < 0 or low >= len(shells) - 1:
                continue
            upper = amplitude[spot] * (position - low)
            lower = amplitude[spot] - upper
            cosine, sine = qx[spot] / radius, qy[spot] / radius
            # exp(-k^2 w) from one order to the next: its ratio falls by exp(-2 w) each time.
            width = 0.5 * (_AZIMUTHAL_SIGMA / radius) ** 2
            blur, fall = math.exp(-width), math.exp(-2.0 * width)
            ratio = blur * fall
            real, imaginary = blur * cosine, -blur * sine
            for k in range(orders):
                out[row, low, 0, k] += lower * real
                out[row, low, 1, k] += lower * imaginary
                out[row, low + 1, 0, k] += upper * real
                out[row, low + 1, 1, k] += upper * imaginary
                real, imaginary = (
                    ratio * (real * cosine + imaginary * sine),
                    ratio * (imaginary * cosine - real * sine),
                )
                ratio *= fall
        total = np.float32(0.0)
        for value in out[row].flat:
            total += value * value
        if total > 0.0:
            out[row] /= np.float32(np.sqrt(2.0 * total))


@numba.njit(cache=True, nogil=True)
def _largest(odd_real, even_real, odd_imaginary, even_imaginary, score, angle):
    """Fill the largest correlation over the angles (rows), and which: half a turn on where less.

    Half a turn turns the sign of the odd harmonics, a mirror that of the parts with Ti.
    """
    half, patterns, templates = len(odd_real), score.shape[1], score.shape[2]
    best, at = np.empty(templates, dtype=np.float32), np.empty(templates, dtype=np.int32)
    for pattern in range(patterns):
        own = slice(pattern * templates, (pattern + 1) * templates)
        for mirrored in range(2):
            sign = np.float32(1 - 2 * mirrored)
            best[:] = -np.inf
            for row in range(half):
                plus, minus = np.int32(row), np.int32(row + half)
                odd_r, even_r = odd_real[row, own], even_real[row, own]
                odd_i, even_i = odd_imaginary[row, own], even_imaginary[row, own]
                for i in range(templates):
                    odd = odd_r[i] + sign * odd_i[i]
                    value = even_r[i] + sign * even_i[i] + abs(odd)
                    here = plus if odd >= np.float32(0.0) else minus
                    larger = value > best[i]
                    at[i] = here if larger else at[i]
                    best[i] = value if larger else best[i]
            score[mirrored, pattern] = best
            angle[mirrored, pattern] = at


@numba.njit(cache=True, nogil=True)
def _search(
    harmonics, score, angle, rotation, templates, coarse_edge, near_edge, symmetry, symmetry_edge,
    apart, quaternions, scores,
):  # fmt: skip
    """Full grid about each pattern's and phase's best coarse templates; fills the last two."""
    n_best = scores.shape[2]
    value, chosen = np.empty(_KEPT), np.empty((2, _KEPT), dtype=np.int64)
    found, found_value = np.empty((_KEPT, 4)), np.empty(_KEPT)
    room = np.empty((3, len(_ORDERS)), dtype=np.float32)
    for pattern in range(len(harmonics)):
        for phase in range(len(coarse_edge) - 1):
            kept = _best_coarse(
                score[:, pattern], coarse_edge[phase], coarse_edge[phase + 1], value, chosen
            )
            for rank in range(kept):
                mirrored, coarse = chosen[0, rank], chosen[1, rank]
                start = round(angle[mirrored, pattern, coarse] * _ANGLES / _COARSE_ANGLES)
                best, best_angle, best_template = -2.0, 0.0, -1
                for near in range(near_edge[coarse], near_edge[coarse + 1]):
                    here, at = _best_near(
                        harmonics[pattern], templates[near], mirrored, start, room
                    )
                    if here > best:
                        best, best_angle, best_template = here, at, near
                found_value[rank] = best
                _orient(rotation[best_template], mirrored, best_angle, found[rank])
            operators = symmetry[symmetry_edge[phase] : symmetry_edge[phase + 1]]
            order = np.argsort(-found_value[:kept])
            taken = 0
            for place in range(kept):
                if taken == n_best:
                    break
                index = order[place]
                new = True
                # Among better ones, taken or not: near a better one is no maximum.
                for other in order[:place]:
                    new = new and _cosine_half_angle(found[index], found[other], operators) < apart
                if new:
                    quaternions[pattern, phase, taken] = found[index]
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
                chosen[0, place], chosen[1, place] = chosen[0, place - 1], chosen[1, place - 1]
                place -= 1
            value[place] = new
            chosen[0, place], chosen[1, place] = mirrored, coarse
    return kept


@numba.njit(cache=True, nogil=True)
def _best_near(pattern, template, mirrored, start, room):
    """Largest correlation within a few steps of the angle `start`, and the angle in radian."""
    sign = np.float32(-1.0 if mirrored else 1.0)
    real, imaginary, around = room[0], room[1], room[2]
    room[:] = 0.0
    # Harmonics innermost, and few arrays a loop: so the compiler makes vectors of them.
    for s in range(len(pattern)):
        pr, pi, tr, ti = pattern[s, 0], pattern[s, 1], template[s, 0], template[s, 1]
        for k in range(len(_ORDERS)):
            real[k] += pr[k] * tr[k] + sign * pi[k] * ti[k]
        for k in range(len(_ORDERS)):
            imaginary[k] += pi[k] * tr[k] - sign * pr[k] * ti[k]
    first = (start - _WINDOW // 2) % _ANGLES
    for k in range(len(_ORDERS)):
        cosine, sine = _COSINE[k, first : first + _WINDOW], _SINE[k, first : first + _WINDOW]
        for j in range(_WINDOW):
            around[j] += real[k] * cosine[j] - imaginary[k] * sine[j]
    j = 1 + np.argmax(around[1 : _WINDOW - 1])
    left, middle, right = around[j - 1], around[j], around[j + 1]
    bend = left - 2.0 * middle + right
    shift = 0.0
    if bend < 0.0:
        shift = min(max(0.5 * (left - right) / bend, -0.5), 0.5)
    value = 2.0 * (middle - 0.25 * (left - right) * shift)
    return value, (first + j + shift) * 2.0 * np.pi / _ANGLES


@numba.njit(cache=True, nogil=True)
def _orient(rotation, mirrored, angle, out):
    """Fill the orientation whose pattern is the template's, mirrored in x if so, then turned."""
    w, x, y, z = rotation
    # A crystal turned by 180 degrees about y shows (x, -y): with Friedel's law the mirror image.
    if mirrored:
        w, x, y, z = -y, -z, w, x
    # The pattern turns by `angle`, the orientation, frame to crystal, by its inverse on the right.
    cosine, sine = math.cos(0.5 * angle), -math.sin(0.5 * angle)
    out[0], out[3] = w * cosine - z * sine, z * cosine + w * sine
    out[1], out[2] = x * cosine + y * sine, y * cosine - x * sine


@numba.njit(cache=True, nogil=True)
def _cosine_half_angle(first, second, operators):
    """Cosine of half the smallest angle between two orientations that symmetry allows."""
    a, b, c, d = first
    w, x, y, z = second
    # Scalar part of s first second^-1 is s . conj(first second^-1), up to the sign.
    p0, p1 = a * w + b * x + c * y + d * z, a * x - b * w + c * z - d * y
    p2, p3 = a * y - b * z - c * w + d * x, a * z + b * y - c * x - d * w
    largest = 0.0
    for s in range(len(operators)):
        scalar = (
            operators[s, 0] * p0
            + operators[s, 1] * p1
            + operators[s, 2] * p2
            + operators[s, 3] * p3
        )
        largest = max(largest, abs(scalar))
    return largest


@numba.njit(cache=True)
def rank_distinct(
    group, phase, rotation, likelihood, symmetry, edge, cosine, n_best, rank
):  # fmt: skip
    """Fill the ranks of orientations that differ from all better ones of their group, others stay.

    Groups are contiguous; `edge`: where each phase's operators begin in `symmetry`; `cosine`: of
    half the angle from which two orientations differ.
    """
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
