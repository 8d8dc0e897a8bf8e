"""Models of the excitation error, beside each other and beside the kernels that write them out."""

import numpy as np
import pytest

from phasefront.calibration import affine_kernels
from phasefront.diffraction import excitation, likelihood_kernels
from phasefront.diffraction.optics import Optics

ERROR = np.linspace(-0.05, 0.05, 2001)
MODELS = {"refined": excitation.REFINED, "template": excitation.TEMPLATE,
          "affine": excitation.AFFINE}  # fmt: skip
SWINGS = [(0.0, 0.5), (0.8, 0.3), (0.8, 1.0)]  # precession in degrees, radius


def share_within(model, reach, radius, precession_deg):
    """Of what a reflection shows over all excitation errors, what it shows within `reach`."""
    shown = model.visibility(ERROR, np.full(ERROR.shape, radius), np.deg2rad(precession_deg))
    return shown[np.abs(ERROR) <= reach].sum() / shown.sum()


@pytest.mark.parametrize(("precession_deg", "radius"), SWINGS)
def test_all_models_agree_on_which_reflections_are_excited(precession_deg, radius):
    swing = radius * np.deg2rad(precession_deg)
    shares = {
        name: share_within(model, swing + 0.01, radius, precession_deg)
        for name, model in MODELS.items()
    }
    # Half and more of what is seen of a reflection is seen where the narrowest model has it.
    assert min(shares.values()) > 0.5
    assert shares["template"] < shares["refined"]


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize(("precession_deg", "radius"), SWINGS)
def test_both_sides_of_the_sphere_are_alike_and_precession_spreads(model, precession_deg, radius):
    at = np.full(ERROR.shape, radius)
    shown = model.visibility(ERROR, at, np.deg2rad(precession_deg))
    np.testing.assert_allclose(shown, shown[::-1], rtol=1e-9)
    assert (shown > 0).all()
    still = share_within(model, 0.01, radius, 0.0)
    assert share_within(model, 0.01, radius, precession_deg) <= still


def test_without_precession_the_lorentzian_falls_to_half_at_a_third_of_its_width():
    for model in (excitation.REFINED, excitation.TEMPLATE):
        top, half = model.visibility(np.array([0.0, model.width / np.pi]), np.ones(2), 0.0)
        assert half / top == pytest.approx(0.5)


@pytest.mark.parametrize(("precession_deg", "radius"), SWINGS)
def test_the_likelihood_s_kernel_has_the_model_of_refined_orientations(precession_deg, radius):
    terms = Optics(200.0, precession_deg, (0.1, 1.1)).terms()
    ours = np.array([likelihood_kernels.visibility_of(e, radius, terms)[0] for e in ERROR[::50]])
    model = excitation.REFINED.visibility(ERROR[::50], radius, np.deg2rad(precession_deg))
    np.testing.assert_allclose(ours / ours.max(), model / model.max(), rtol=1e-9)


@pytest.mark.parametrize("precession_deg", [0.0, 0.8])
def test_the_kernel_of_the_affine_fit_has_its_model_and_slope(precession_deg):
    rng = np.random.default_rng(3)
    g = rng.uniform(-0.8, 0.8, (4000, 3)) * [1, 1, 0.05]
    precession, wavelength = np.deg2rad(precession_deg), 0.0251
    parameters = np.array([1.0, 0.0, 1.0, 0.0, 0.0, 0.0])
    width = excitation.AFFINE.width
    rows = np.arange(len(g), dtype=np.int32)
    predicted = affine_kernels.predict(
        np.eye(3), g, np.ones(len(g)), rows, parameters, wavelength, precession, width, 0.05, 1.2
    )
    assert len(predicted) > 300

    def weight(shift):
        place = predicted[:, :3] + [0, 0, shift]
        length = np.linalg.norm(predicted[:, :3], axis=1)
        return excitation.AFFINE.visibility(
            place[:, 2] - 0.5 * wavelength * length**2, length, precession
        )

    np.testing.assert_allclose(predicted[:, 3], weight(0) / weight(0).sum(), rtol=1e-9)
    slope = np.log(weight(1e-6) / weight(-1e-6)) / 2e-6
    np.testing.assert_allclose(predicted[:, 4], slope, rtol=1e-5, atol=1e-4)
