"""Drift of calibrations from scan to scan: one that changed is named, the others are not."""

import numpy as np
import pytest
import xarray as xr

from phasefront.calibration import drift
from phasefront.report.figures import scans

SCALE, STDERR = 0.0175, 2e-6


def calibration_of(*, scale=SCALE, stretch=0.001, shear=0.004, stderr=STDERR):
    centre = np.linspace(70.0, 73.0, 20).reshape(4, 5)
    # A ring is long where a pixel is worth little.
    affine = scale * np.array([[1 - stretch, -shear], [-shear, 1 + stretch]])
    small, large = np.linalg.eigvalsh(affine)
    return xr.Dataset(
        {
            "scale": np.sqrt(small * large), "scale_stderr": stderr, "ellipse_ratio": large / small,
            "ellipse_ratio_stderr": 2e-4, "ellipse_angle": 38.0, "centre_stderr": 0.003,
            "affine": (("q_axis", "pixel_axis"), affine),
            "affine_stderr": (("q_axis", "pixel_axis"), np.full((2, 2), stderr)),
            "centre_y": (("y", "x"), centre), "centre_x": (("y", "x"), centre[::-1]),
        }
    )  # fmt: skip


def compared(**changed):
    """Five scans that scatter by their errors, those of `changed` made anew."""
    rng = np.random.default_rng(3)
    found = {f"s{k}": calibration_of(scale=SCALE + rng.normal(0, STDERR)) for k in range(5)}
    found |= {name: calibration_of(**options) for name, options in changed.items()}
    return drift.compare_calibrations(found, dict.fromkeys(found, "astar")).set_index("scan")


def test_scans_that_agree_do_not_deviate():
    table = compared()
    assert not table["deviates"].any()
    assert np.abs(table["scale_z"]).max() < 3
    assert table["ellipse_deviation"].max() < 1e-6
    np.testing.assert_allclose(table["stretch"], 0.001, rtol=1e-3)
    np.testing.assert_allclose(table["shear"], 0.004, rtol=1e-3)
    np.testing.assert_allclose(np.exp(2 * np.hypot(0.001, 0.004)), table["ellipse_ratio"], 1e-5)
    np.testing.assert_allclose(table["centre_drift"], 3 * np.sqrt(2), rtol=1e-6)


@pytest.mark.parametrize(
    "changed", [{"scale": 1.005 * SCALE}, {"stretch": 0.004}, {"shear": 0.001}]
)
def test_a_scan_that_changed_is_named_and_does_not_drag_the_others(changed):
    table = compared(s2=changed)
    assert table.index[table["deviates"]].tolist() == ["s2"]
    assert np.abs(table["scale_z"].drop("s2")).max() < 3
    if "scale" in changed:
        assert table.loc["s2", "scale_deviation"] == pytest.approx(0.005, abs=3e-4)
    else:
        assert table.loc["s2", "ellipse_deviation"] == pytest.approx(0.006, abs=3e-4)


def test_instruments_are_not_compared_and_scans_without_errors_have_no_z():
    found = {"a": calibration_of(), "b": calibration_of(scale=0.01), "c": calibration_of()}
    table = drift.compare_calibrations(found, {"a": "astar", "b": "merlin", "c": "astar"})
    assert np.isnan(table["scale_z"][1])
    assert not table["deviates"].any()
    nominal = {name: calibration_of(stderr=np.nan) for name in "ab"}
    table = drift.compare_calibrations(nominal, dict.fromkeys("ab", "astar"))
    assert table["scale_z"].isna().all()
    assert not table["deviates"].any()
    scans.draw_drift(table.to_dict("list"))


def test_the_figure_names_the_scan_that_deviates():
    table = compared(s2={"scale": 1.005 * SCALE}).reset_index()
    drawn = scans.draw_drift(table.to_dict("list"))
    assert drawn.get_suptitle() == "deviating: s2"
