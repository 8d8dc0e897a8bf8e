"""Films of expected patterns: electrons counted, glare, gamma, eight bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numba import njit

from phasefront.virtual.rendering import CAMERA_PIXELS, FIBRE, PHOSPHOR, Screen, spot_profile


@dataclass(frozen=True)
class Detector:
    """A camera of 8 bits and its screen."""

    screen: Screen
    overexposure: float  # the direct beam in vacuum, times what saturates the camera
    glare_counts: tuple[float, float]  # with the dark level, at top and bottom of the frame
    read_noise_counts: float
    dark_below: float  # counts under which zero is stored


READ_NOISE_COUNTS = 1.1  # of a phosphor's camera
# Made up so that frames look like a genuine ASTAR file: its saturated beam, its many zeros, and
# nothing between 0 and 11, its level at each radius, which a test compares; and made up to differ
# from that in all of it.
DETECTORS: dict[Literal["phosphor", "fibre"], Detector] = {
    "phosphor": Detector(PHOSPHOR, 70.0, (0.5, 3.0), READ_NOISE_COUNTS, 1.0),
    "fibre": Detector(FIBRE, 200.0, (1.0, 1.5), 0.6, 2.0),
}
_OF_ASTAR = DETECTORS["phosphor"]
FULL_SCALE, _COUNT_STEP = 255.0, 1 / 64  # of 8 bits; of the table of what is stored
# Per pixel; above, Poisson numbers are drawn as normal ones. Their skewness is 1 / sqrt(30), 0.18.
_FEW_ELECTRONS = 30.0


def counts_per_electron(dose: float, detector: Detector = _OF_ASTAR) -> float:
    """The exposure follows the dose: the direct beam is as far over the camera's range at any."""
    brightest = dose * (1 - detector.screen.halo_share)
    brightest *= spot_profile(np.zeros(1), detector.screen)[0]
    return detector.overexposure * FULL_SCALE / brightest


def expose(
    expected: np.ndarray, *, dose: float, gamma: float, rng, detector: Detector = _OF_ASTAR
) -> np.ndarray:
    """Stored 8-bit frames (..., pixel, pixel) from the share of electrons expected per pixel."""
    glare = np.linspace(*detector.glare_counts, CAMERA_PIXELS)
    counts = np.arange(0, FULL_SCALE + _COUNT_STEP, _COUNT_STEP)
    stored = np.rint(FULL_SCALE * (counts / FULL_SCALE) ** gamma)
    stored[counts < detector.dark_below] = 0
    frames = np.empty(expected.shape, np.uint8)
    count_electrons(
        frames.reshape(-1, CAMERA_PIXELS, CAMERA_PIXELS),
        expected.reshape(-1, CAMERA_PIXELS, CAMERA_PIXELS),
        dose, counts_per_electron(dose, detector), glare, detector.read_noise_counts,
        stored.astype(np.uint8), rng,
    )  # fmt: skip
    return frames


@njit(cache=True, nogil=True)
def count_electrons(frames, expected, dose, counts_per_electron, glare, read_noise, stored, rng):
    for index in range(len(frames)):
        for row in range(len(glare)):
            for column in range(len(glare)):
                mean = dose * expected[index, row, column]
                if mean < _FEW_ELECTRONS:
                    electrons = float(rng.poisson(mean))
                    noise = read_noise
                else:  # normal to within the camera's steps, and ten times as fast
                    electrons = mean
                    noise = np.sqrt(mean * counts_per_electron**2 + read_noise**2)
                counts = electrons * counts_per_electron + glare[row]
                counts += noise * rng.standard_normal()
                place = int(min(max(counts, 0.0), FULL_SCALE) / _COUNT_STEP)
                frames[index, row, column] = stored[place]
