"""The machine that a benchmark ran on, how fast it multiplies matrices, and matching on it."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path

import numpy as np


def describe() -> dict:
    """Processor, cores that may be used, memory, and the load as it is now."""
    return {
        "cpu": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30,
        "load_average": os.getloadavg(),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def sgemm_peak_gflops(threads: int, *, size: int = 2048, repeats: int = 5) -> float:
    """Best of a few float32 products of two `size` by `size` matrices, 2 size^3 operations each."""
    from threadpoolctl import threadpool_limits

    rng = np.random.default_rng(0)
    first, second = rng.random((2, size, size), dtype=np.float32)
    product = np.empty_like(first)
    best = np.inf
    with threadpool_limits(threads, "blas"):
        np.matmul(first, second, out=product)
        for _ in range(repeats):
            start = time.perf_counter()
            np.matmul(first, second, out=product)
            best = min(best, time.perf_counter() - start)
    return 2e-9 * size**3 / best


def matching_gflops(library, *, batches: int = 64, repeats: int = 5) -> float:
    """What the matrix products of matching reach on one thread, angles' maxima included."""
    from threadpoolctl import threadpool_limits

    from phasefront.diffraction.correlation import Correlator

    correlate = Correlator(library.real, library.imaginary)
    shape = (correlate.batch, *library.harmonics.shape[1:])
    harmonics = np.random.default_rng(0).random(shape, dtype=np.float32)
    best = np.inf
    with threadpool_limits(1, "blas"):
        correlate(harmonics)
        for _ in range(repeats):
            start = time.perf_counter()
            for _ in range(batches):
                correlate(harmonics)
            best = min(best, time.perf_counter() - start)
    return 1e-9 * library.operations * correlate.batch * batches / best


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()
