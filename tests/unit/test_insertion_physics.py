"""The phase-field model against what is known in closed form."""

from itertools import islice

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq

from phasefront.virtual.insertion import phase_field
from phasefront.virtual.insertion.morphology import WHOLE, morphology_of_state
from phasefront.virtual.insertion.outlines import draw_outlines
from phasefront.virtual.insertion.phase_field import Energy, Grains, simulate
from phasefront.virtual.insertion.regimes import LFP

OMEGA = 3.0
POOR = phase_field.binodal(OMEGA)


def free_energy(content, omega=OMEGA):
    """Per site in kT, above that of the two phases at rest."""

    def homogeneous(c):
        return c * np.log(c) + (1 - c) * np.log(1 - c) + omega * c * (1 - c)

    return homogeneous(content) - homogeneous(phase_field.binodal(omega))


def box(*shape, wetting=0.0, mobility=0.0, rate=1.0):
    """One grain that fills its grid."""
    inside = np.ones((1, *shape), bool)
    return Grains(inside, rate * inside, np.array([wetting]), np.array([0]), mobility)


def rest(grains, energy, start, time, current=0.0):
    moments = simulate(grains, energy, start, current=np.array([current]), longest_step=2.0)
    return next(moment for moment in moments if moment.time >= time)


@pytest.fixture(scope="module")
def planar():
    """A front at rest, far wider than a cell."""
    length, kappa = 160, 60.0
    grains = box(1, length)
    start = np.where(np.arange(length) < length / 2, 1 - POOR, POOR)[None, None]
    return kappa, rest(grains, Energy(OMEGA, kappa), start, 300)


def test_phases_at_rest_have_the_common_tangents_contents(planar):
    _, moment = planar
    line = moment.content[0, 0]
    assert line[:20] == pytest.approx(1 - POOR, abs=1e-5)
    assert line[-20:] == pytest.approx(POOR, abs=1e-5)
    assert moment.potential == pytest.approx(0, abs=1e-6)
    # Tangent: the same slope at both ends, and the chord's.
    slopes = [np.log(c / (1 - c)) + OMEGA * (1 - 2 * c) for c in (POOR, 1 - POOR)]
    assert slopes == pytest.approx([0, 0], abs=1e-9)


def test_width_and_energy_of_a_planar_front_are_cahn_and_hilliards(planar):
    kappa, moment = planar
    line = moment.content[0, 0]
    steepest = np.abs(np.diff(line)).max()
    assert steepest == pytest.approx(np.sqrt(2 * free_energy(0.5) / kappa), rel=0.01)
    energy = free_energy(line).sum() + kappa / 2 * np.sum(np.diff(line) ** 2)
    expected = quad(lambda c: np.sqrt(2 * kappa * max(free_energy(c), 0)), POOR, 1 - POOR)[0]
    assert energy == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("content", [0.5, 0.35, 0.1])
@pytest.mark.parametrize("wave", [1, 3, 6])
@pytest.mark.parametrize("mobility", [0.0, 2.0])
def test_a_small_wave_grows_as_its_dispersion_says(content, wave, mobility):
    length, kappa, rate, amplitude = 60, 4.0, 0.5, 1e-6
    shape = np.cos(np.pi * wave * (np.arange(length) + 0.5) / length)
    squared = 2 - 2 * np.cos(np.pi * wave / length)  # wave number squared on the grid
    slope = 1 / (content * (1 - content)) - 2 * OMEGA + kappa * squared
    expected = -rate * np.sqrt(content * (1 - content)) * slope
    expected -= mobility * content * (1 - content) * squared * slope
    grains = box(1, length, rate=rate, mobility=mobility)
    start = content + amplitude * shape[None, None]
    moments = simulate(grains, Energy(OMEGA, kappa), start, current=np.zeros(1), longest_step=1e-3)
    first, *_, last = islice(moments, 30)
    before, after = (moment.content[0, 0] @ shape for moment in (first, last))
    assert np.log(after / before) / last.time == pytest.approx(expected, rel=2e-3, abs=2e-4)


@pytest.mark.parametrize("wave", [(0, 3), (2, 0), (1, 2), (-3, 1)])
def test_elastic_potential_of_a_wave_is_that_of_its_direction(wave):
    n = 16
    y, x = np.mgrid[:n, :n]
    change = 0.01 * np.cos(2 * np.pi * (wave[0] * y + wave[1] * x) / n + 0.4)
    grains, strain = box(n, n), phase_field.strain_of_waves(LFP.energy, (n, n))
    with_strain, without = (
        phase_field.excess_potential(0.4 + change[None], grains, Energy(OMEGA, 4.0, one))
        for one in (strain, 0.0)
    )
    direction = np.array(wave) / np.linalg.norm(wave)
    assert (with_strain - without)[0] == pytest.approx(LFP.energy(direction) * change, abs=1e-12)


def test_strain_of_waves_is_even_and_leaves_the_whole_grain_free():
    rng = np.random.default_rng(4)
    strain = phase_field.strain_of_waves(LFP.energy, (12, 12))
    assert strain[0, 0] == 0 and strain.ravel()[1:].min() > 3  # kT
    # Real and symmetric: the energy of any field is that of its mirror image through a point.
    field = rng.normal(size=(12, 12))
    field -= field.mean()
    grains = box(12, 12)
    images = [
        phase_field.excess_potential(one[None], grains, Energy(0.0, 0.0, strain))[0]
        for one in (field, field[::-1, ::-1])
    ]
    assert images[1][::-1, ::-1] == pytest.approx(images[0], abs=1e-12)
    assert np.sum(field * images[0]) > 0


def test_a_surface_draws_ions_as_its_energy_says():
    kappa, wetting = 80.0, 3.0
    grains = box(1, 200, wetting=wetting)
    # The faces across the line are the surface, too: a line of a slab, 0 there.
    slab = Grains(np.ones((1, 200), bool), grains.rate[:, 0], grains.wetting, grains.circuit)
    moment = rest(slab, Energy(OMEGA, kappa), np.full((1, 200), POOR), 400)
    content = moment.content[0]
    far = content[100]

    def above(c):  # free energy above the tangent at the middle
        slope = np.log(far / (1 - far)) + OMEGA * (1 - 2 * far)
        return free_energy(c) - free_energy(far) - slope * (c - far)

    # kappa c' = -wetting at the surface and kappa c'^2 / 2 = above(c) everywhere.
    expected = brentq(lambda c: above(c) - wetting**2 / (2 * kappa), far, 0.35)
    at_surface = 1.5 * content[0] - 0.5 * content[1]
    assert at_surface - far == pytest.approx(expected - far, rel=0.05)
    assert at_surface > 1.2 * far


@pytest.mark.parametrize("direction", [1, -1])
def test_the_current_brings_every_ion(direction):
    rng = np.random.default_rng(1)
    inside = draw_outlines(4, 24, rng)
    rate = np.exp(0.5 * rng.standard_normal(inside.shape)) * inside
    grains = Grains(inside, rate, rng.uniform(-0.5, 1, 4), np.array([0, 0, 1, 1]), 0.3)
    strain = 0.2 * phase_field.strain_of_waves(LFP.energy, (24, 24))
    sites = np.bincount(grains.circuit, inside.sum(axis=(1, 2)))
    current = direction * np.array([0.01, 0.03]) * sites
    start = (0.5 + 0.02 * rng.standard_normal(inside.shape)) * inside
    moments = simulate(grains, Energy(OMEGA, 4.0, strain), start, current=current, longest_step=1.0)
    for moment in islice(moments, 12):
        brought = np.bincount(grains.circuit, (moment.content - start).sum(axis=(1, 2)))
        assert brought == pytest.approx(current * moment.time, abs=1e-8)
        assert not moment.content[~inside].any()
    assert moment.content[inside].min() > 0 and moment.content[inside].max() < 1


def test_leaving_is_the_mirror_image_of_entering():
    rng = np.random.default_rng(3)
    inside = draw_outlines(1, 20, rng)
    start = (0.1 + 0.01 * rng.standard_normal(inside.shape)) * inside
    both = []
    for sign, content in ((1, start), (-1, (1 - start) * inside)):
        grains = Grains(inside, 1.0 * inside, sign * np.array([0.6]), np.array([0]), 0.5)
        current = np.array([sign * 2.0])
        moments = simulate(grains, Energy(OMEGA, 4.0), content, current=current, longest_step=1.0)
        both.append(next(islice(moments, 60, None)))
    assert both[1].content[inside] == pytest.approx(1 - both[0].content[inside], abs=1e-9)
    assert both[1].potential == pytest.approx(-both[0].potential, abs=1e-9)


def test_a_front_in_three_dimensions_is_the_one_in_two():
    along = np.where(np.arange(24) < 12, 0.9, 0.1)
    flat = rest(Grains(np.ones((1, 24), bool), np.ones((1, 24)), np.zeros(1), np.zeros(1, int)),
                Energy(OMEGA, 6.0), along[None], 80)  # fmt: skip
    solid = rest(box(3, 4, 24), Energy(OMEGA, 6.0), np.broadcast_to(along, (1, 3, 4, 24)), 80)
    assert solid.content[0, 1, 2] == pytest.approx(flat.content[0], abs=1e-3)


def test_a_full_grain_that_should_take_more_is_refused():
    grains = box(8, 8)
    with pytest.raises(ValueError, match="and the current asks for more"):
        rest(grains, Energy(OMEGA, 4.0), np.full((1, 8, 8), 0.9), 1e9, current=5.0)


@pytest.mark.slow
def test_a_run_that_would_not_end_is_refused():
    # The longest step is so long that no number of short ones comes up to it.
    moments = simulate(
        box(6, 6), Energy(OMEGA, 4.0), np.full((1, 6, 6), 0.5), current=np.zeros(1),
        longest_step=1e9,
    )  # fmt: skip
    with pytest.raises(ValueError, match="steps became too short"):
        for _ in islice(moments, 2500):
            pass


def test_one_phase_has_no_binodal():
    with pytest.raises(ValueError, match="one phase"):
        phase_field.binodal(2.0)


@pytest.mark.parametrize("omega", [2.0001, 2.5, 4.51, 12.0])
def test_binodal_has_no_chemical_potential_and_lies_outside_the_spinodal(omega):
    poor = phase_field.binodal(omega)
    assert np.log(poor / (1 - poor)) + omega * (1 - 2 * poor) == pytest.approx(0, abs=1e-9)
    assert 1 / (poor * (1 - poor)) > 2 * omega


@pytest.mark.slow
def test_a_higher_current_catches_more_grains_on_their_way():
    """24 grains at one potential, half way: one by one at a low current, at once at a high one."""
    rng = np.random.default_rng(7)
    inside = draw_outlines(24, 24, rng)
    rate = np.exp(0.3 * rng.standard_normal((24, 1, 1))) * inside
    grains = Grains(inside, rate, np.zeros(24), np.zeros(24, int))
    start = np.clip(0.05 + 0.01 * rng.standard_normal(inside.shape), 0.02, 0.1)
    caught = []
    for current in (0.002, 0.02, 0.2, 1.0):
        moments = simulate(
            grains, Energy(3.5, 4.0), start, current=np.array([current * inside.sum()]),
            longest_step=0.004 / current,
        )  # fmt: skip
        half = next(m for m in moments if m.content.sum() >= 0.5 * inside.sum())
        looks = [
            morphology_of_state(*one, inserting=True)
            for one in zip(half.content, inside, strict=True)
        ]
        caught.append(np.mean([look != WHOLE for look in looks]))
    assert caught == sorted(caught)
    assert caught[0] <= 0.1 and caught[-1] >= 0.7
