"""read_peaks on a real PointListArray and on BraggVectors written as py4DSTEM 0.14 writes them."""

import h5py
import numpy as np
import pytest

from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.layouts.spots import SPOTS
from phasefront.spots.peaks import read_peaks

POINT = np.dtype([("qx", "f8"), ("qy", "f8"), ("intensity", "f8")])


def points(*rows):
    return np.array(list(rows), POINT)


def write_lists(path, lists, group="4DSTEM/peaks", *, calibration=None):
    """Lists of points, one a position, and py4DSTEM's calibration of the same root."""
    with h5py.File(path, "a") as file:
        dataset = file.create_dataset(f"{group}/data", lists.shape, h5py.vlen_dtype(POINT))
        for position in np.ndindex(lists.shape):
            dataset[position] = lists[position]
        if calibration is not None:
            place = file.create_group(f"{group.split('/')[0]}/metadatabundle/calibration")
            for key, value in calibration.items():
                place[key] = value
    return path


def random_lists(shape=(2, 3), seed=0, reach=1.0):
    rng = np.random.default_rng(seed)
    lists = np.empty(shape, object)
    for position in np.ndindex(shape):
        values = rng.uniform(-reach, reach, (rng.integers(1, 9), 3))
        values[:, 2] = np.abs(values[:, 2]) + 1
        lists[position] = points(*map(tuple, values))
    return lists


def refusal(path):
    with pytest.raises(InputError) as caught:
        read_peaks(path, name="s")
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def test_real_point_list_array(shared_data, tmp_path):
    path = shared_data("peaks/limno_particle_80x58.h5")
    spots = read_peaks(path, name="limno", scan_step_nm=2.5)
    netcdf.write(spots, tmp_path / "spots.nc", SPOTS)
    assert spots["count"].shape == (80, 58)
    assert spots.sizes["spot"] == 116750  # of 121390, 4640 of them direct beams
    assert spots.attrs["scan_step_nm"] == 2.5
    assert "Poisson" in spots.attrs["variance_origin"]
    with h5py.File(path) as file:
        raw = file["4DSTEM/braggpeaks_cal_raw/data"][40, 30]
    raw = raw[np.hypot(raw["qx"], raw["qy"]) >= 0.05]
    first, last = spots.offset.values[40 * 58 + 30 : 40 * 58 + 32]
    assert last - first == spots["count"].values[40, 30] == len(raw)
    # py4DSTEM's x is our y.
    np.testing.assert_allclose(spots.qy[first:last], raw["qx"], rtol=1e-6)
    np.testing.assert_allclose(spots.qx[first:last], raw["qy"], rtol=1e-6)
    np.testing.assert_allclose(spots.intensity[first:last], raw["intensity"], rtol=1e-6)
    np.testing.assert_array_equal(spots.variance, spots.intensity)


def test_offsets_and_counts_describe_the_same_spots(tmp_path):
    spots = read_peaks(write_lists(tmp_path / "a.h5", random_lists()), name="s")
    assert spots.offset[0] == 0
    assert spots.offset[-1] == spots.sizes["spot"]
    np.testing.assert_array_equal(np.diff(spots.offset), spots["count"].values.ravel())
    assert np.isnan(spots.attrs["scan_step_nm"])


def test_direct_beam_is_left_out(tmp_path):
    lists = np.empty((1, 2), object)
    lists[0, 0] = points((0.001, 0.002, 50), (0.3, 0.4, 2))
    lists[0, 1] = points((0.06, 0, 40))
    path = write_lists(tmp_path / "a.h5", lists)
    assert read_peaks(path, name="s")["count"].values.tolist() == [[1, 1]]
    wide = read_peaks(path, name="s", direct_beam_radius=0.1)
    assert wide["count"].values.tolist() == [[1, 0]]
    assert wide.attrs["direct_beam_radius"] == 0.1


def bragg_vectors(shape=(2, 3)):
    """Known vectors in 1/angstrom, pixels of them on a camera with descan and an ellipse."""
    truth = random_lists(shape)
    qx0 = 64 + 0.5 * np.arange(shape[0])[:, np.newaxis] + np.zeros(shape)
    qy0 = 60 - 0.3 * np.arange(shape[1]) + np.zeros(shape)
    a, b, theta, size = 1.03, 0.98, 0.4, 0.02
    axis = np.array([np.cos(theta), np.sin(theta)])
    stretch = np.eye(2) + (a / b - 1) * np.outer(axis, axis)
    pixels = np.empty(shape, object)
    for position in np.ndindex(shape):
        pixels[position] = truth[position].copy()
        vectors = np.stack([truth[position]["qx"], truth[position]["qy"]]) / size
        along_x, along_y = stretch @ vectors
        pixels[position]["qx"] = along_x + qx0[position]
        pixels[position]["qy"] = along_y + qy0[position]
    calibration = {
        "qx0": qx0, "qy0": qy0, "a": a, "b": b, "theta": theta, "Q_pixel_size": size,
        "Q_pixel_units": "A^-1", "R_pixel_size": 5, "R_pixel_units": "nm",
        "QR_rotation": 0.2, "QR_flip": True,
    }  # fmt: skip
    return truth, pixels, calibration


def test_bragg_vectors_are_calibrated(tmp_path):
    truth, pixels, calibration = bragg_vectors()
    path = write_lists(
        tmp_path / "a.h5", pixels, "root/braggvectors/_v_uncal", calibration=calibration
    )
    spots = read_peaks(path, name="s", direct_beam_radius=0.0)
    expected = np.concatenate(list(truth.flat))
    np.testing.assert_allclose(spots.qx, expected["qy"], atol=1e-6)
    np.testing.assert_allclose(spots.qy, expected["qx"], atol=1e-6)
    assert spots.attrs["scan_step_nm"] == 5.0


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"qx0": None}, "qx0 is missing"),
        ({"Q_pixel_size": None, "qy0": None}, "Q_pixel_size, qy0 is missing"),
        ({"Q_pixel_units": "pixels"}, "Q_pixel_units is b'pixels'"),
    ],
)
def test_bragg_vectors_without_calibration_are_refused(tmp_path, change, problem):
    _, pixels, calibration = bragg_vectors()
    calibration = {k: v for k, v in {**calibration, **change}.items() if v is not None}
    path = write_lists(
        tmp_path / "a.h5", pixels, "root/braggvectors/_v_uncal", calibration=calibration
    )
    assert problem in refusal(path)


def test_peaks_in_pixels_are_refused(tmp_path):
    path = write_lists(tmp_path / "a.h5", random_lists(reach=120))
    assert "which is no spatial frequency in 1/angstrom" in refusal(path)


@pytest.mark.parametrize("field", ["qx", "qy", "intensity"])
def test_values_that_are_not_finite_are_refused(tmp_path, field):
    lists = random_lists()
    lists[1, 2][field][0] = np.nan
    path = write_lists(tmp_path / "a.h5", lists)
    assert "1 peaks have a NaN or an infinite value, first at y=1, x=2" in refusal(path)


def test_files_without_one_set_of_peaks_are_refused(tmp_path):
    assert "there is no such file" in refusal(tmp_path / "missing.h5")
    text = tmp_path / "text.h5"
    text.write_text("no HDF5")
    assert "cannot be read" in refusal(text)
    with h5py.File(tmp_path / "cube.h5", "w") as file:
        file["data"] = np.zeros((2, 2))
    assert "it holds no Bragg peaks" in refusal(tmp_path / "cube.h5")
    path = write_lists(tmp_path / "two.h5", random_lists())
    write_lists(path, random_lists(), "4DSTEM/again")
    assert "it holds 2 sets of Bragg peaks (4DSTEM/again/data, 4DSTEM/peaks/data)" in refusal(path)


def test_empty_lists_are_refused(tmp_path):
    lists = np.empty((1, 2), object)
    lists[0, 0] = lists[0, 1] = points()
    assert "all its lists of peaks are empty" in refusal(write_lists(tmp_path / "a.h5", lists))
