"""Correlation of patterns with templates over all azimuths, on the processor or an accelerator."""

from __future__ import annotations

import math

import numpy as np

from phasefront.core.errors import InputError
from phasefront.diffraction.matching_kernels import COARSE_ANGLES, largest

# The coarse search takes the lower harmonics, and treats odd and even ones apart: half a turn
# changes the sign of odd ones only.
_ODD_ORDERS, _EVEN_ORDERS = np.arange(1, 13, 2), np.arange(2, 13, 2)
COARSE_ORDERS = np.concatenate([_ODD_ORDERS, _EVEN_ORDERS])
# Rows of all matrix products: real and imaginary part of each harmonic, the odd ones first.
ROWS, _ODD_ROWS = 2 * len(COARSE_ORDERS), 2 * len(_ODD_ORDERS)
BATCH = 16  # patterns in one matrix product; a constant, so that bytes never depend on threads
SHARE = 16 * BATCH  # patterns that a thread takes at a time
_CHUNK = 128  # templates in one matrix product: what comes out stays in the core's cache


class Correlator:
    """Best correlation, over the angle, of patterns with coarse templates.

    `real` and `imaginary` (harmonics, shells, coarse) are factors of the matrix products; see
    `template_library.Library`. One for each thread: it keeps the memory of these products, small
    enough for the cache.
    """

    batch = BATCH

    def __init__(self, real: np.ndarray, imaginary: np.ndarray) -> None:
        size = 2 * BATCH * _CHUNK
        self._real, self._imaginary = real, imaginary
        self._product = np.empty(len(COARSE_ORDERS) * size, dtype=np.float32)
        self._sums = np.empty((2, 2, COARSE_ANGLES // 2 * size // 2), dtype=np.float32)

    def __call__(self, harmonics: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Scores and angles' indices (2, patterns, coarse), plain templates first, then mirrored.

        `harmonics` (patterns, shells, 2, harmonics).
        """
        factors = coarse_factors(harmonics)
        shape = (2, len(harmonics), self._real.shape[2])
        score, angle = np.empty(shape, dtype=np.float32), np.empty(shape, dtype=np.int32)
        for first in range(0, shape[2], _CHUNK):
            chunk = slice(first, min(first + _CHUNK, shape[2]))
            of_real = self._synthesise(factors, self._real[..., chunk], _OF_REAL, 0)
            of_imaginary = self._synthesise(factors, self._imaginary[..., chunk], _OF_IMAGINARY, 1)
            largest(*of_real, *of_imaginary, score[..., chunk], angle[..., chunk])
        return score, angle

    def _synthesise(self, factors, part, synthesis, which: int) -> list[np.ndarray]:
        """Sums (angles, patterns times templates) of the odd and of the even harmonics."""
        shape = (*factors.shape[:2], part.shape[2])
        product = self._product[: math.prod(shape)].reshape(shape)
        np.matmul(factors, part, out=product)
        rows, sums = product.reshape(ROWS, -1), []
        for parity, own in enumerate((rows[:_ODD_ROWS], rows[_ODD_ROWS:])):
            out = self._sums[which, parity, : COARSE_ANGLES // 2 * rows.shape[1]]
            sums.append(np.matmul(synthesis[parity], own, out=out.reshape(-1, rows.shape[1])))
        return sums


class ArrayCorrelator:
    """`Correlator` in the operations of the array API standard, for any of its namespaces.

    With NumPy's it is the plain form that the kernels are held to; with CuPy's or PyTorch's it
    runs on a GPU.
    """

    batch = SHARE

    def __init__(self, real: np.ndarray, imaginary: np.ndarray, xp, device=None) -> None:
        self._xp, self._device = xp, device
        self._parts = [
            (self._array(part), [self._array(rows) for rows in synthesis])
            for part, synthesis in (
                (real, _OF_REAL), (imaginary, _OF_IMAGINARY)
            )
        ]  # fmt: skip

    def __call__(self, harmonics: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Correlator.__call__`."""
        xp, factors, half = self._xp, self._array(coarse_factors(harmonics)), COARSE_ANGLES // 2
        sums = []
        for part, (of_odd, of_even) in self._parts:
            product = xp.reshape(xp.matmul(factors, part), (ROWS, -1))
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


def coarse_factors(harmonics: np.ndarray) -> np.ndarray:
    """(harmonics, real then imaginary part of each pattern, shells) of the coarse search."""
    factors = harmonics[..., COARSE_ORDERS - 1].transpose(3, 2, 0, 1)
    return np.ascontiguousarray(factors).reshape(len(COARSE_ORDERS), -1, factors.shape[3])


def find_accelerator() -> tuple:
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


def synthesis(orders: np.ndarray, *, of_real: bool) -> np.ndarray:
    """Rows: angles of half a turn; columns: real and imaginary part of a pattern's harmonics.

    With P of a pattern and T of a template, the correlation at an angle is 2 Re sum P conj(T)
    exp(i k angle), with T in place of conj(T) where the template is mirrored: 2 sum
    (Pr Tr cos - Pi Tr sin) +- (Pi Ti cos + Pr Ti sin).
    """
    angles = 2 * np.pi / COARSE_ANGLES * np.arange(COARSE_ANGLES // 2)
    cosine, sine = np.cos(np.outer(angles, orders)), np.sin(np.outer(angles, orders))
    columns = np.stack([cosine, -sine] if of_real else [sine, cosine], axis=2)
    return 2 * columns.reshape(len(angles), -1).astype(np.float32)


_OF_REAL, _OF_IMAGINARY = (
    tuple(synthesis(orders, of_real=of_real) for orders in (_ODD_ORDERS, _EVEN_ORDERS))
    for of_real in (True, False)
)
