"""Films of expected patterns: electrons counted, glare, gamma, eight bits."""

from __future__ import annotations

import numpy as np
from numba import njit

from phasefront.virtual.rendering import CAMERA_PIXELS, HALO_SHARE, spot_profile

# These are made up so that frames look like a genuine ASTAR file of 8 bits: its saturated beam, its
# many zeros, its level at each radius, which a test compares.
# The direct beam in vacuum, times what saturates the camera.
_OVEREXPOSURE = 70.0
# Dark level and glare at the top and at the bottom of the frame, and read noise, counts.
_GLARE_COUNTS, READ_NOISE_COUNTS = (0.5, 3.0), 1.1
FULL_SCALE, _COUNT_STEP = 255.0, 1 / 64  # of 8 bits; of the table of what is stored
# Per pixel; above, Poisson numbers are drawn as normal ones. Their skewness is 1 / sqrt(30), 0.18.
_FEW_ELECTRONS = 30.0


def counts_per_electron(dose: float) -> float:
    """The exposure follows the dose: the direct beam is as far over the camera's range at any."""
    brightest = dose * (1 - HALO_SHARE) * spot_profile(np.zeros(1))[0]
    return _OVEREXPOSURE * FULL_SCALE / brightest


def expose(expected: np.ndarray, *, dose: float, gamma: float, rng) -> np.ndarray:
    """Stored 8-bit frames (..., pixel, pixel) from the share of electrons expected per pixel."""
    glare = np.linspace(*_GLARE_COUNTS, CAMERA_PIXELS)
    counts = np.arange(0, FULL_SCALE + _COUNT_STEP, _COUNT_STEP)
    stored = np.rint(FULL_SCALE * (counts / FULL_SCALE) ** gamma)
    # Less than one count is dark; the genuine file has many zeros and nothing between 0 and 11.
    stored[counts < 1] = 0
    frames = np.empty(expected.shape, np.uint8)
    count_electrons(
        frames.reshape(-1, CAMERA_PIXELS, CAMERA_PIXELS),
        expected.reshape(-1, CAMERA_PIXELS, CAMERA_PIXELS),
        dose, counts_per_electron(dose), glare, stored.astype(np.uint8), rng,
    )  # fmt: skip
    return frames


@njit(cache=True, nogil=True)
def count_electrons(frames, expected, dose, counts_per_electron, glare, stored, rng):
    for index in range(len(frames)):
        for row in range(len(glare)):
            for column in range(len(glare)):
                mean = dose * expected[index, row, column]
                if mean < _FEW_ELECTRONS:
                    electrons = float(rng.poisson(mean))
                    noise = READ_NOISE_COUNTS
                else:  # normal to within the camera's steps, and ten times as fast
                    electrons = mean
                    noise = np.sqrt(mean * counts_per_electron**2 + READ_NOISE_COUNTS**2)
                counts = electrons * counts_per_electron + glare[row]
                counts += noise * rng.standard_normal()
                place = int(min(max(counts, 0.0), FULL_SCALE) / _COUNT_STEP)
                frames[index, row, column] = stored[place]
