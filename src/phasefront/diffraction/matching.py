"""Matching: patterns against templates at every angle, by azimuthal harmonics, coarse to fine.

A pattern is a sum of spots on radial shells. Correlating it with a template under every rotation in
the plane is a product per azimuthal harmonic: sum over shells first, then one inverse transform per
pair gives the correlation at all angles. For a batch of patterns the sums over shells are matrix
products. A template seen in a mirror, whose harmonics are the complex conjugates, is the crystal
turned by 180 degrees about an axis in the plane: by Friedel's law every reflection at (x, y, z)
then has a mate at (x, -y, z), as strong and as far from the Ewald sphere.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from phasefront.core.threads import share_out
from phasefront.diffraction.correlation import SHARE, Correlator
from phasefront.diffraction.spot_lists import Spots
from phasefront.diffraction.template_library import Library

# Of a pattern; see `template_library.TEMPLATE_POWER`. Fitted again, both: docs/constants.md.
PATTERN_POWER = 0.15


@dataclass(frozen=True)
class Matches:
    """Best matches of every pattern and phase, best first: dimensions (pattern, phase, rank)."""

    rotation: np.ndarray  # (..., 4) quaternions, frame to crystal; NaN where there is none
    score: np.ndarray  # normalised correlation, 0 to 1; NaN where there is none


def match(
    spots: Spots,
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
    device
        Where the matrix products are done: "cpu", on as many threads as numba has, whose results do
        not depend on how many; or "gpu", through CuPy or PyTorch.

    Raises
    ------
    InputError
        There is no GPU, or nothing to use it with.
    """
    amplitude = spots.intensity**PATTERN_POWER
    active = np.flatnonzero(spots.numbers >= min_spots)
    shape = (len(spots.numbers), library.phases, n_best)
    rotation, score = np.full((*shape, 4), np.nan), np.full(shape, np.nan)
    shared = None if device == "cpu" else library.accelerated

    def work(begin: int, end: int) -> None:
        share = active[begin:end]
        correlate = shared or Correlator(library.real, library.imaginary)
        for batch in np.split(share, range(correlate.batch, len(share), correlate.batch)):
            harmonics = library.transform(spots, amplitude, batch, correlate.batch)
            best = correlate(harmonics)
            rotation[batch], score[batch] = library.search(harmonics[: len(batch)], *best, n_best)

    # One BLAS thread each: the patterns are what is shared among the threads.
    with _blas().limit(limits=1, user_api="blas"):
        share_out(work, len(active), share=SHARE)
    return Matches(rotation, np.clip(score, 0.0, 1.0))


@functools.cache
def _blas():
    """The libraries of matrix products that are loaded; to find them takes as long as to match tens
    of patterns."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
