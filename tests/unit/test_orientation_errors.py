"""Standard errors of orientations: as far off as refined ones are."""

from dataclasses import replace

import numpy as np
import pytest
from kinematic import CRYSTALS, quaternion
from scipy.spatial.transform import Rotation

from phasefront.diffraction import rotations
from phasefront.diffraction.likelihood import Refined, promised_reflections, refine
from phasefront.diffraction.optics import Optics
from phasefront.diffraction.orientation_errors import orientation_stderr
from phasefront.diffraction.reflections import reflection_table
from phasefront.diffraction.spot_lists import Spots

MICROSCOPE = Optics(200.0, 0.8, (0.1, 1.15), position_sigma=0.003)
TABLE = reflection_table(CRYSTALS, max_radius=1.15)
PATTERNS = 150
ROTATION = Rotation.from_euler("zyx", [20, 31, 47], degrees=True)
LIES_SO = Refined.placed(quaternion(ROTATION)[None], np.ones(1), np.zeros((1, 2)))


def drawn(phase, rotation, number, seed):
    """Patterns of `number` spots that are drawn as the likelihood takes them to be."""
    random = np.random.default_rng(seed)
    lies_so = Refined.placed(quaternion(rotation)[None], np.ones(1), np.zeros((1, 2)))
    promise = promised_reflections(np.array([phase]), lies_so, TABLE, MICROSCOPE)
    total = PATTERNS * number
    which = random.choice(len(promise.share), total, p=promise.share / promise.share.sum())
    q = promise.q[which] + random.normal(0, MICROSCOPE.position_sigma, (total, 2))
    stray = random.random(total) < MICROSCOPE.stray_share
    inner, outer = MICROSCOPE.window
    radius = np.sqrt(random.uniform(inner**2, outer**2, total))
    angle = random.uniform(0, 2 * np.pi, total)
    q[stray] = (radius * np.array([np.cos(angle), np.sin(angle)])).T[stray]
    # Scale and centre are as uncertain as they are said to be.
    q *= np.repeat(1 + random.normal(0, MICROSCOPE.scale_sigma, PATTERNS), number)[:, None]
    q += np.repeat(random.normal(0, MICROSCOPE.centre_sigma, (PATTERNS, 2)), number, axis=0)
    return Spots(np.arange(0, total + 1, number), *q.T.copy(), np.ones(total))


@pytest.mark.parametrize(("phase", "number"), [(0, 40), (2, 40), (1, 15)])
def test_refined_orientations_are_off_by_their_standard_errors(phase, number):
    rotation = ROTATION
    spots = drawn(phase, rotation, number, seed=phase)
    every, phases = np.arange(PATTERNS), np.full(PATTERNS, phase)
    start = np.tile(quaternion(rotation), (PATTERNS, 1))
    refined = refine(spots, every, phases, start, TABLE, MICROSCOPE, coarse=False)
    stderr = orientation_stderr(spots, every, phases, refined, TABLE, MICROSCOPE)
    angle = rotations.misorientation(refined.rotation, start, CRYSTALS[phase].symmetry)
    assert np.sqrt(np.mean(angle**2)) == pytest.approx(np.sqrt(np.mean(stderr**2)), rel=0.3)


def test_without_a_spot_that_is_its_own_nothing_fixes_an_orientation():
    spots = Spots(np.array([0, 1]), np.array([1.0]), np.array([0.02]), np.ones(1))
    one = np.zeros(1, int)
    assert orientation_stderr(spots, one, one, LIES_SO, TABLE, MICROSCOPE) > 20


@pytest.mark.parametrize("spots", [[], [(0.105, 0.0)]])
def test_a_lattice_that_shows_nothing_fixes_no_orientation(spots):
    qx, qy = np.reshape(spots, (-1, 2)).T.copy()
    narrow = replace(MICROSCOPE, precession_deg=0.0, window=(0.1, 0.11))
    one, pattern = np.zeros(1, int), Spots(np.array([0, len(qx)]), qx, qy, np.ones(len(qx)))
    stderr = orientation_stderr(pattern, one, one, LIES_SO, TABLE, narrow)
    assert stderr == pytest.approx(np.degrees(np.sqrt(3)))
