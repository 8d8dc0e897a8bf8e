"""Correlation of patterns with templates over all azimuths, on the processor or an accelerator."""

from __future__ import annotations

import math

import numpy as np

from phasefront.core.errors import InputError
from phasefront.diffraction.matching_kernels import (
    CHUNK,
    COARSE_ANGLES,
    COARSE_ORDERS,
    largest,
)

BATCH = 16  # patterns in one matrix product; a constant, so that bytes never depend on threads
SHARE = 16 * BATCH  # patterns that a thread takes at a time


class Correlator:
    """Best correlation, over the angle, of patterns with coarse templates.

    `real` and `imaginary` (harmonics, shells, coarse) are factors of the matrix products; see
    `template_library.Library`. One for each thread: it keeps the memory of these products, small
    enough for the cache.
    """

    batch = BATCH

    def __init__(self, real: np.ndarray, imaginary: np.ndarray) -> None:
        self._parts = real, imaginary
        self._room = np.empty((2, len(COARSE_ORDERS) * 2 * BATCH * CHUNK), dtype=np.float32)

    def __call__(self, harmonics: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Scores and angles' indices (2, patterns, coarse), plain templates first, then mirrored.

        `harmonics` (patterns, shells, 2, harmonics). The angle is within half a turn: the other
        half is as good.
        """
        factors = coarse_factors(harmonics)
        shape = (2, len(harmonics), self._parts[0].shape[2])
        score, angle = np.empty(shape, dtype=np.float32), np.empty(shape, dtype=np.int32)
        for first in range(0, shape[2], CHUNK):
            chunk = slice(first, min(first + CHUNK, shape[2]))
            products = [
                self._product(factors, part[..., chunk], room)
                for part, room in zip(self._parts, self._room, strict=True)
            ]
            largest(*products, score[..., chunk], angle[..., chunk])
        return score, angle

    @staticmethod
    def _product(factors: np.ndarray, part: np.ndarray, room: np.ndarray) -> np.ndarray:
        shape = (*factors.shape[:2], part.shape[2])
        return np.matmul(factors, part, out=room[: math.prod(shape)].reshape(shape))


class ArrayCorrelator:
    """`Correlator` in the operations of the array API standard, for any of its namespaces.

    With NumPy's it is the plain form that the kernels are held to; with CuPy's or PyTorch's it
    runs on a GPU.
    """

    batch = SHARE

    def __init__(self, real: np.ndarray, imaginary: np.ndarray, xp, device=None) -> None:
        self._xp, self._device = xp, device
        self._parts = [self._array(part) for part in (real, imaginary)]
        turns = 2 * np.pi / COARSE_ANGLES * np.outer(np.arange(COARSE_ANGLES // 2), COARSE_ORDERS)
        self._cosine, self._sine = (
            self._array(2 * f(turns).astype(np.float32)) for f in (np.cos, np.sin)
        )

    def __call__(self, harmonics: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Correlator.__call__`; for the formula `matching_kernels.largest`."""
        xp, factors = self._xp, self._array(coarse_factors(harmonics))
        products = [
            xp.reshape(xp.matmul(factors, part), (len(COARSE_ORDERS), 2, -1))
            for part in self._parts
        ]
        (a, c), (d, b) = ((both[:, 0, :], both[:, 1, :]) for both in products)
        scores, angles = [], []
        for sign in (1.0, -1.0):
            value = self._cosine @ (a + sign * b) + self._sine @ (sign * d - c)
            scores.append(self._numpy(xp.max(value, axis=0)))
            angles.append(self._numpy(xp.argmax(value, axis=0)))
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
