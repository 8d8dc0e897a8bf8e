"""Scale and ellipse that the scans of a series share, and a scan's own beside them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasefront.calibration import ellipse, series
from phasefront.calibration.affine import AffineFit
from phasefront.calibration.geometry import spots_dataset
from phasefront.core.errors import InputError
from phasefront.diffraction.crystals import read_crystal
from phasefront.diffraction.templates import simulate_templates
from phasefront.scans import files
from phasefront.virtual import camera, specimen
from phasefront.virtual.particles import VirtualPhase

STRUCTURES = {"Na3V2PO42F3": 3, "Na2V2PO42F3": 2}
SHARED = np.array([1.004, 0.001, 0.996, 0.0, 0.0, 0.0])
TIGHT = np.diag([1e-8, 1e-8, 1e-8, 1e-8, 1e-8, 1e-12])


def own(parameters, covariance=TIGHT):
    xx, xy, yy, *shift, outward = parameters
    return AffineFit(
        np.array([[xx, xy], [xy, yy]]), covariance, np.array(shift), outward, 0.004,
        np.zeros((3, 2)), np.zeros((3, 2)), 3.0, 10, 3, 4, np.array([0.5, 0.5]),
    )  # fmt: skip


# -------------------------------------------------------------------- a scan beside its series


@given(
    off=st.lists(st.floats(-1e-3, 1e-3), min_size=6, max_size=6),
    errors=st.tuples(*[st.floats(1e-5, 1e-3)] * 3),
)
def test_a_scans_fit_narrows_its_drift_and_not_what_it_shares_with_its_series(off, errors):
    of_scan, of_series, drift = (error**2 * np.eye(6) for error in errors)
    joined = series._joined(own(SHARED + off, of_scan), SHARED, of_series, drift)
    weight = errors[2] ** 2 / (errors[0] ** 2 + errors[2] ** 2)
    np.testing.assert_allclose(joined.parameters, SHARED + weight * np.array(off), atol=1e-12)
    expected = errors[1] ** 2 + 1 / (1 / errors[0] ** 2 + 1 / errors[2] ** 2)
    np.testing.assert_allclose(joined.covariance, expected * np.eye(6), rtol=1e-6, atol=1e-18)


def test_a_drift_has_scale_stretch_and_shear_alike():
    parts = np.random.default_rng(0).normal(0, 0.01, (200_000, 3))
    scale, stretch, shear = parts.T
    made = np.cov([scale + stretch, shear, scale - stretch])
    round_one = np.array([1.0, 0, 1.0, 0, 0, 0])
    np.testing.assert_allclose(series._drifted(round_one, 0.01)[:3, :3], made, atol=2e-6)


def test_a_scale_that_lenses_left_alone_cannot_have_disagrees():
    drifted = series._drifted(SHARED, 5e-4)
    assert series._disagree(own(SHARED * 1.012), SHARED, drifted)
    assert not series._disagree(own(SHARED * 1.0008), SHARED, drifted)


# ---------------------------------------------------------------------------- virtual scans


@pytest.fixture(scope="module")
def candidates(request):
    folder = request.config.rootpath / "config" / "structures"
    crystals = [read_crystal(folder / f"{name}.cif") for name in STRUCTURES]
    templates = simulate_templates(crystals, voltage_kv=200, precession_deg=0.8, resolution_deg=4.0)
    return {"crystals": crystals, "templates": templates}


@pytest.fixture(scope="module")
def scans(request, tmp_path_factory):
    """Three scans by one camera, and the matrix that it has: of many grains, of two, and one
    in which next to no electrons arrive."""
    folder = tmp_path_factory.mktemp("scans")
    structures = request.config.rootpath / "config" / "structures"
    phases = [
        VirtualPhase.of_cif(name, structures / f"{name}.cif", ions)
        for name, ions in STRUCTURES.items()
    ]
    for name, grains, dose in (("many", 12, 1e7), ("few", 2, 1e7), ("dark", 12, 300)):
        grown = specimen.make_specimen(
            scan=name, material="nvpf", phases=phases, ion_content=2.5,
            insertion_model="all-or-none", seed=11, shape=(8, 8), scan_step_nm=25.0,
            grains=grains,
        )  # fmt: skip
        truth = camera.simulate_scan(
            folder / f"{name}.blo", grown, scale_nominal=0.0175, scale_error=0.006,
            ellipse_ratio=1.012, ellipse_angle_deg=50.0, threads=2,
            dose=dose,
        )  # fmt: skip
    opened = {name: files.open_scan(folder / f"{name}.blo") for name in ("many", "few", "dark")}
    return opened, truth["affine"].to_numpy()


@pytest.fixture(scope="module")
def shared(scans, candidates):
    return series.calibrate_series(
        "charging", scans[0], scale_nominal=0.0175, scale_search=0.02, patterns=75,
        false_alarms=0.1, **candidates,
    )  # fmt: skip


def of_series(scans, shared, candidates, name, drift=5e-4):
    return series.calibrate_scan_of_series(
        scans[0][name], name=name, series=shared, patterns=25, false_alarms=0.1, drift=drift,
        **candidates,
    )  # fmt: skip


def test_scans_share_the_camera_that_took_them(scans, shared):
    xx, xy, yy = shared["value"].to_numpy()[:3]
    found = ellipse.shape_of(0.0175 * np.array([[xx, xy], [xy, yy]]))
    scale, ratio, angle = ellipse.shape_of(scans[1])
    assert found[0] == pytest.approx(scale, rel=1e-3)
    assert found[1] == pytest.approx(ratio, rel=2e-3)
    assert found[2] == pytest.approx(angle, abs=6)
    assert shared.attrs["method"].startswith("spots of 2 of 3 scans")


@pytest.mark.parametrize("name", ["many", "few", "dark"])
def test_each_scan_of_a_series_has_its_scale(scans, shared, candidates, name):
    found = of_series(scans, shared, candidates, name)
    scale = ellipse.scale_of(scans[1])
    assert float(found["scale"]) == pytest.approx(scale, rel=1.5e-3)
    # It is known no better than the series', and no worse than that with its drift.
    affine = 0.0175 * np.array(shared["value"])[[0, 1, 1, 2]].reshape(2, 2)
    its_series = ellipse.propagate(
        ellipse.scale_of, affine, 0.0175**2 * shared["covariance"].to_numpy()[:3, :3]
    )
    with_drift = np.hypot(its_series, 5e-4 * scale)
    assert 0.99 * its_series < float(found["scale_stderr"]) < 1.01 * with_drift
    assert found["centre_y"].shape == (8, 8)


def test_a_scan_without_spots_is_calibrated_by_its_series_alone(scans, shared, candidates):
    found = of_series(scans, shared, candidates, "dark")
    assert found.attrs["spots_used"] == 0
    assert "scan itself" not in found.attrs["method"]
    assert np.isnan(found.attrs["series_scale_off"])


def test_a_scan_whose_spots_ask_for_another_scale_keeps_its_series(scans, shared, candidates):
    other = shared.copy()
    other["value"] = shared["value"] * np.array([1.004, 1.004, 1.004, 1, 1, 1])
    found = of_series(scans, other, candidates, "many", drift=1e-4)
    assert found.attrs["series_scale_off"] == pytest.approx(-0.004, abs=0.001)
    assert "scan itself" not in found.attrs["method"]
    assert float(found["scale"]) == pytest.approx(1.004 * ellipse.scale_of(scans[1]), rel=1.5e-3)


def test_a_series_whose_spots_lie_anywhere_is_refused(scans, candidates, monkeypatch):
    def anywhere(*_, **__):
        places = np.random.default_rng(1).uniform(-1, 1, (2, 400))
        return spots_dataset(np.full(20, 20), *places, *np.ones((2, 400)), 0.01)

    monkeypatch.setattr(series, "sampled_spots", anywhere)
    with pytest.raises(InputError, match="charging"):
        series.calibrate_series(
            "charging", {"dark": scans[0]["dark"]}, scale_nominal=0.0175, scale_search=0.02,
            patterns=25, false_alarms=0.1, **candidates,
        )  # fmt: skip


def test_a_series_of_dark_scans_has_its_nominal_scale(scans, candidates):
    shared = series.calibrate_series(
        "empty", {"dark": scans[0]["dark"]}, scale_nominal=0.0175, scale_search=0.02, patterns=25,
        false_alarms=0.1, **candidates,
    )  # fmt: skip
    assert shared.attrs["method"].startswith("nominal scale: 0 patterns")
    found = of_series(scans, shared, candidates, "few")
    assert float(found["scale"]) == pytest.approx(0.0175)
    assert float(found["scale_stderr"]) == pytest.approx(0.01 * 0.0175, rel=0.01)
