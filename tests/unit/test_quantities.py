"""Maps that other programs made enter with unit and error, or are refused in a sentence."""

import h5py
import numpy as np
import pytest
from skimage.io import imsave
from stack_files import write_losses

from phasefront.chemistry.formats import FoundMap, read_map
from phasefront.chemistry.imported import imported_map
from phasefront.chemistry.maps import ion_content
from phasefront.core.errors import InputError
from phasefront.experiment.settings.stacks import StackRow
from phasefront.layouts.chemistry import CHEMISTRY, Told

VALUES = np.random.default_rng(0).normal(size=(5, 7))


def write_ptychography(path, values):
    with h5py.File(path, "w") as file:
        if path.suffix == ".cxi":
            file["entry_1/image_1/data"] = values
        else:
            file["content/obj/SobjMod/data"] = values[np.newaxis]
            file["content/obj/SobjMod/_psize"] = np.array([5e-9, 6e-9])
    return path


@pytest.mark.parametrize("kind", ["f8", "f4", "i2", "u1"])
@pytest.mark.parametrize("suffix", [".npy", ".tif", ".tiff"])
def test_images_of_any_type_are_read(tmp_path, kind, suffix):
    values = (100 + 20 * VALUES).astype(kind)
    path = tmp_path / f"map{suffix}"
    np.save(path, values) if suffix == ".npy" else imsave(path, values, check_contrast=False)
    np.testing.assert_array_equal(read_map(path).values, values.astype(float))


@pytest.mark.parametrize("suffix", [".cxi", ".ptyr"])
def test_of_ptychography_it_is_the_phase_without_jumps(tmp_path, suffix):
    y, x = np.indices((40, 50))
    phase = 6 * np.exp(-((y - 20) ** 2 + (x - 25) ** 2) / 150)  # thicker: beyond half a turn
    path = write_ptychography(tmp_path / f"a{suffix}", np.exp(-1j * phase))
    found = read_map(path)
    left = found.values - phase
    np.testing.assert_allclose(left, left[0, 0], atol=1e-6)
    if suffix == ".ptyr":
        assert found.pixel_nm == pytest.approx((5, 6))


def test_the_real_object_of_a_ptychography_is_read(shared_data):
    path = shared_data("modalities/stxm_ptycho_cosmic/ptycho-scan-856eV.cxi")
    assert read_map(path).values.shape == (285, 285)


def given(**changes):
    return {
        "name": "m", "source": "m.npy", "quantity": "phase", "unit": "rad", "error": 0.1,
        "systematic_error": 0.02, "thickness": None, "thickness_unit": "1",
        "thickness_error": None, "pixel_nm": 6.0,
    } | changes  # fmt: skip


def test_an_imported_map_has_its_unit_its_errors_and_nothing_where_nothing_is_told():
    values = VALUES.copy()
    values[2, 3] = np.nan
    thick = FoundMap(np.abs(VALUES), (np.nan, np.nan))
    errors = FoundMap(np.full(VALUES.shape, 0.3), (np.nan, np.nan))
    found = imported_map(FoundMap(values, (np.nan, np.nan)), **given(error=errors, thickness=thick))
    CHEMISTRY.check(found, "map")
    assert found["mask"].values.sum() == values.size - 1
    assert found["told"].values[2, 3] == Told.OUTSIDE
    np.testing.assert_array_equal(found["value"].values, values)
    assert found["standard_error"].values[0, 0] == 0.3
    assert np.isnan(found["standard_error"].values[2, 3])
    np.testing.assert_array_equal(found["thickness"].values, np.abs(VALUES))
    assert (found.attrs["unit"], found.attrs["pixel_y_nm"]) == ("rad", 6.0)


@pytest.mark.parametrize(
    ("changes", "pixel_nm", "words"),
    [
        (
            {"error": FoundMap(np.ones((3, 3)), (1.0, 1.0))},
            (6.0, 6.0),
            "5 x 7, that of its error 3",
        ),
        ({"thickness": FoundMap(np.ones((3, 3)), (1.0, 1.0))}, (6.0, 6.0), "that of its thickness"),
        ({"error": FoundMap(-np.ones((5, 7)), (1.0, 1.0))}, (6.0, 6.0), "an error is below 0"),
        ({"error": np.nan}, (6.0, 6.0), "no position has a value with an error"),
        ({"pixel_nm": None}, (np.nan, np.nan), "how large a pixel is"),
        ({"pixel_nm": None}, (0.0, 0.0), "how large a pixel is"),
        ({"pixel_nm": 60.0}, (6.0, 6.0), "its pixels are 6 nm, the table of stacks says 60 nm"),
    ],
)
def test_maps_that_do_not_fit_are_refused(changes, pixel_nm, words):
    with pytest.raises(InputError, match=words):
        imported_map(FoundMap(VALUES, pixel_nm), **given(**changes))


def test_files_that_are_no_map_are_refused(tmp_path):
    np.save(tmp_path / "cube.npy", np.ones((3, 4, 5)))
    np.save(tmp_path / "complex.npy", np.ones((3, 4)) * 1j)
    np.save(tmp_path / "words.npy", np.array([["a", "b"]]))
    (tmp_path / "broken.npy").write_bytes(b"nothing")
    (tmp_path / "broken.tif").write_bytes(b"nothing")
    (tmp_path / "broken.cxi").write_bytes(b"nothing")
    write_ptychography(tmp_path / "real.cxi", np.ones((4, 4)))
    spectra = write_losses(tmp_path, np.arange(9.0), np.ones((9, 2, 3)))
    for path in [*tmp_path.glob("*.*"), tmp_path / "a.xyz", tmp_path / "missing.npy", spectra]:
        with pytest.raises(InputError) as caught:
            read_map(path)
        assert str(path) in str(caught.value)


def test_a_row_of_a_map_says_what_it_is():
    row = {"stack": "m", "state": "s", "path": "m.npy", "kind": "map"}
    whole = row | {"quantity": "phase", "unit": "rad", "error": 0.1}
    assert StackRow.model_validate(whole).error == 0.1
    for wrong, words in (
        (row, "needs quantity, unit and one of error"),
        (whole | {"error_map": "e.npy"}, "one of error and error_map"),
        (whole | {"dark_counts": 3}, "no I0 and no dark counts"),
        (whole | {"kind": "xray"}, "of maps alone"),
        (
            {"stack": "m", "state": "s", "path": "p", "i0": "a", "i0_region": "0:3,0:3"},
            "both given",
        ),
        ({"stack": "m", "state": "s", "path": "p", "i0_region": "3:3,0:3"}, "holds no pixel"),
        ({"stack": "m", "state": "s", "path": "p", "i0_region": "3,0:3"}, "is no region"),
    ):
        with pytest.raises(ValueError, match=words):
            StackRow.model_validate(wrong)
    region = StackRow.model_validate(
        {"stack": "m", "state": "s", "path": "p", "i0_region": "0:10, 5:30"}
    )
    assert region.i0_region == ((0, 10), (5, 30))


def test_ion_content_follows_from_valence_by_the_balance_of_charge():
    valences = imported_map(
        FoundMap(np.full((2, 2), 3.5), (6.0, 6.0)), **given(error=0.05, systematic_error=0.03)
    )
    found = ion_content(valences, constant=9, per_valence=-2, exchange=0.1, exchange_error=0.08)
    CHEMISTRY.check(found, "map")
    assert found["value"].values == pytest.approx(9 - 7 + 0.1)
    assert found["standard_error"].values == pytest.approx(0.1)
    assert found["systematic_error"].values == pytest.approx(0.1)
    assert found.attrs["unit"] == "ions per formula unit"
    assert valences["value"].values == pytest.approx(3.5)
