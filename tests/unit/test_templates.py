"""Templates against diffsims, and their grid against the sphere."""

import numpy as np
import pytest
from kinematic import CRYSTALS, OPTICS
from scipy.spatial.transform import Rotation

from phasefront.diffraction import excitation, rotations
from phasefront.diffraction import templates as templates_
from phasefront.diffraction.spot_lists import Spots
from phasefront.diffraction.templates import simulate_templates

# diffsims' sources hold such sequences; Python says so when it first compiles them.
pytestmark = pytest.mark.filterwarnings("ignore:invalid escape sequence")


@pytest.fixture(scope="module")
def templates():
    return simulate_templates(CRYSTALS, resolution_deg=3.0, **OPTICS)


def test_template_spots_are_those_of_diffsims(templates):
    from diffsims.generators.simulation_generator import SimulationGenerator
    from orix.quaternion import Rotation as OrixRotation

    offset, qx, qy, intensity = Spots.of(templates)
    generator = SimulationGenerator(200, precession_angle=0.8)
    for phase, crystal in enumerate(CRYSTALS):
        chosen = np.flatnonzero(templates["phase_index"].values == phase)[17]
        simulated = generator.calculate_diffraction2d(
            crystal.orix_phase(), OrixRotation(templates["rotation"].values[chosen]),
            reciprocal_radius=1.2, with_direct_beam=False,
            max_excitation_error=excitation.TEMPLATE.width,
        )  # fmt: skip
        theirs, strength = simulated.coordinates.data[:, :2], simulated.coordinates.intensity
        ours = slice(offset[chosen], offset[chosen + 1])
        strong = np.argsort(-strength)[:30]
        strong = strong[np.linalg.norm(theirs[strong], axis=1) > 0.1]
        distance = np.hypot(theirs[strong, 0, None] - qx[ours], theirs[strong, 1, None] - qy[ours])
        assert distance.min(axis=1).max() < 1e-5
        nearest = distance.argmin(axis=1)
        # They know no displacement of the atoms unless told: a smooth factor over the radius.
        radius = np.linalg.norm(theirs[strong], axis=1)
        ratio = np.log(intensity[ours][nearest] / strength[strong])
        slope, constant = np.polyfit(radius**2, ratio, 1)
        assert np.std(ratio - slope * radius**2 - constant) < 0.25


@pytest.mark.parametrize("phase", range(3))
def test_templates_cover_every_direction(templates, phase):
    crystal = CRYSTALS[phase]
    own = templates["phase_index"].values == phase
    grid = rotations.matrices(templates["rotation"].values[own])[:, :, 2]
    operators = rotations.matrices(crystal.symmetry)
    images = np.einsum("sij,nj->nsi", np.concatenate([operators, -operators]), grid).reshape(-1, 3)
    directions = Rotation.random(300, random_state=1).apply([0, 0, 1])
    nearest = np.degrees(np.arccos(np.clip((directions @ images.T).max(axis=1), -1, 1)))
    assert nearest.max() < 0.75 * 3.0
    # One of each orbit, but for the sector's boundary.
    share = 1 / (2 * len(operators))
    whole = len(templates_.beam_directions(CRYSTALS[0], 3.0)) * 8
    assert share * whole <= own.sum() < 1.25 * share * whole
