"""Readers of stacks: any shape, type and order of axes, and a sentence for what is no stack."""

import itertools

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stack_files import (
    write_hermes,
    write_losses,
    write_mantis,
    write_ncb,
    write_nxstxm,
    write_sdf,
)

from phasefront.core.errors import InputError
from phasefront.layouts.stacks import STACK
from phasefront.records import digests
from phasefront.stacks.files import read_i0, read_stack
from phasefront.stacks.measured import measured_stack

ENERGY = np.array([510.0, 515.0, 518.5, 521.0])
WRITERS = {
    "sdf": write_sdf, "hermes": write_hermes, "nxstxm": write_nxstxm, "mantis": write_mantis,
    "ncb": write_ncb,
}  # fmt: skip


def images(shape=(4, 5, 6), seed=0):
    return np.random.default_rng(seed).poisson(900, shape).astype(float)


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_every_format_gives_the_same_stack(tmp_path, write):
    stack = read_stack(write(tmp_path, ENERGY, images()))
    np.testing.assert_allclose(stack.energy, ENERGY)
    np.testing.assert_allclose(stack.counts, images())
    assert stack.pixel_nm == pytest.approx((50, 40))
    assert stack.kind == "X-ray absorption"


@settings(max_examples=20, deadline=None)
@given(
    shape=st.tuples(st.integers(2, 5), st.integers(2, 6), st.integers(2, 7)),
    order=st.permutations([0, 1, 2]), kind=st.sampled_from(["u1", "u2", "i4", "f4", "f8"]),
    named=st.booleans(),
)  # fmt: skip
def test_axes_in_any_order_and_counts_of_any_type_are_read(
    tmp_path_factory, shape, order, kind, named
):
    counts = np.random.default_rng(1).integers(1, 100, shape).astype(kind)
    energy = 500.0 + np.arange(shape[0])
    path = write_nxstxm(tmp_path_factory.mktemp("n"), energy, counts, order=order, axes=named)
    np.testing.assert_array_equal(read_stack(path).counts, counts.astype(float))


@settings(max_examples=12, deadline=None)
@given(
    shape=st.tuples(st.integers(2, 5), st.integers(2, 6), st.integers(2, 7)),
    name=st.sampled_from(sorted(WRITERS)),
)
def test_whatever_its_shape_a_stack_is_read_as_it_was_written(tmp_path_factory, shape, name):
    energy = 500.0 + 0.5 * np.arange(shape[0])
    counts = images(shape, seed=sum(shape))
    stack = read_stack(WRITERS[name](tmp_path_factory.mktemp("w"), energy, counts))
    np.testing.assert_allclose(stack.counts, counts)
    assert stack.pixel_nm == pytest.approx((50, 40))


def test_without_names_lengths_tell_the_axes_and_where_they_cannot_it_is_refused(tmp_path):
    counts = images((4, 5, 6))
    for order in itertools.permutations(range(3)):
        path = write_nxstxm(tmp_path, ENERGY, counts, order=order)
        with h5py.File(path, "a") as file:
            del file["entry1/counter0"].attrs["axes"]
        np.testing.assert_array_equal(read_stack(path).counts, counts)
    path = write_nxstxm(tmp_path, ENERGY, images((4, 5, 5)), order=(1, 2, 0))
    with h5py.File(path, "a") as file:
        del file["entry1/counter0"].attrs["axes"]
    with pytest.raises(InputError, match="nothing says which axis is which"):
        read_stack(path)


def test_axes_that_lie_about_the_array_are_refused(tmp_path):
    path = write_nxstxm(tmp_path, ENERGY, images((4, 5, 6)), order=(0, 1, 2))
    with h5py.File(path, "a") as file:
        file["entry1/counter0"].attrs["axes"] = ["sample_x", "sample_y", "energy"]
    with pytest.raises(InputError, match=r"axes sample_x, sample_y, energy do not fit.*4 x 5 x 6"):
        read_stack(path)
    path = write_hermes(tmp_path, ENERGY[:3], images((4, 5, 6)))
    with pytest.raises(InputError, match="do not fit"):
        read_stack(path)


def test_a_stack_taken_downwards_is_turned_and_says_so(tmp_path):
    counts, monitor = images(), np.arange(4) + 100.0
    path = write_nxstxm(tmp_path, ENERGY[::-1], counts, monitor=monitor)
    stack = read_stack(path)
    np.testing.assert_array_equal(stack.energy, ENERGY)
    np.testing.assert_array_equal(stack.counts, counts[::-1])
    np.testing.assert_array_equal(stack.i0, monitor[::-1])
    assert "high energies down" in stack.notes[0]


@pytest.mark.parametrize(
    ("energy", "words"),
    [
        ([510, 515, 512, 520], "do not run one way: 515 eV is followed by 512 eV"),
        ([510, 515, 515, 520], "do not run one way"),
        ([510, 515, np.nan, 520], "no finite number"),
        ([0.51, 0.515, 0.518, 0.52], "no photons'"),
    ],
)
@pytest.mark.parametrize("write", [write_hermes, write_ncb, write_mantis])
def test_energies_that_cannot_be_are_refused(tmp_path, write, energy, words):
    with pytest.raises(InputError, match=words):
        read_stack(write(tmp_path, np.array(energy, dtype=float), images()))


def test_energies_in_kev_are_turned_and_in_another_unit_refused(tmp_path):
    path = write_nxstxm(tmp_path, ENERGY / 1000, images(), energy_unit="keV")
    np.testing.assert_allclose(read_stack(path).energy, ENERGY)
    with pytest.raises(InputError, match="energies are in 'nm'"):
        read_stack(write_nxstxm(tmp_path, ENERGY, images(), energy_unit="nm"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.__setitem__((1, 2, 3), -1), "1 counts are negative"),
        (lambda c: c.__setitem__((1, 2, 3), np.nan), "1 counts are NaN.*515 eV, y=2, x=3"),
        (lambda c: np.minimum(c, np.median(c), out=c), "the detector was full"),
    ],
)
@pytest.mark.parametrize("write", [write_hermes, write_nxstxm, write_ncb])
def test_counts_that_cannot_be_are_refused(tmp_path, write, change, words):
    counts = images()
    change(counts)
    with pytest.raises(InputError, match=words):
        read_stack(write(tmp_path, ENERGY, counts))


def test_the_pixel_size_is_the_files_or_the_tables_and_neither_contradicts(tmp_path):
    path = write_nxstxm(tmp_path, ENERGY, images(), unit=None)
    with pytest.raises(InputError, match="does not say how large a pixel is; give pixel_nm"):
        read_stack(path)
    assert read_stack(path, pixel_nm=40).pixel_nm == (40, 40)
    path = write_hermes(tmp_path, ENERGY, images())
    with pytest.raises(InputError, match="its pixels are 50 nm, the table of stacks says 500"):
        read_stack(path, pixel_nm=500)
    for write in (write_hermes, write_nxstxm, write_ncb, write_sdf, write_mantis):
        with pytest.raises(InputError, match="pixel size is zero"):
            read_stack(write(tmp_path, ENERGY, images(), step_um=(0.05, 0.0)))


def test_positions_that_jump_are_refused(tmp_path):
    path = write_hermes(tmp_path, ENERGY, images())
    with h5py.File(path, "a") as file:
        file["entry1/Counter0/sample_x"][3] = 9.0
    with pytest.raises(InputError, match="not evenly spaced"):
        read_stack(path)


def test_a_monitor_is_i0_and_one_of_another_length_refused(tmp_path):
    path = write_nxstxm(tmp_path, ENERGY, images(), monitor=np.full((4, 5, 6), 7.0))
    np.testing.assert_array_equal(read_stack(path).i0, 7.0)
    path = write_mantis(tmp_path, ENERGY, images(), white=np.arange(4.0))
    np.testing.assert_array_equal(read_stack(path).i0, np.arange(4.0))
    with pytest.raises(InputError, match="3 values for 4 energies"):
        read_stack(write_nxstxm(tmp_path, ENERGY, images(), monitor=np.ones(3)))
    with pytest.raises(InputError, match="3 values for 4 energies"):
        read_stack(write_mantis(tmp_path, ENERGY, images(), white=np.ones(3)))


def test_sdf_images_must_be_there_and_of_one_shape(tmp_path):
    path = write_sdf(tmp_path, ENERGY, images())
    image = tmp_path / "s_a002.xim"
    text = image.read_text()
    image.write_text("\n".join(text.splitlines()[:-1]))
    with pytest.raises(InputError, match=r"s_a002.xim: its image is 4 x 6, the header says 5 x 6"):
        read_stack(path)
    image.write_text(text.replace("\t", " ").split()[0])
    with pytest.raises(InputError, match=r"its image is 1 x 1"):
        read_stack(path)
    image.unlink()
    with pytest.raises(InputError, match="4 energies, and 3 images lie beside it"):
        read_stack(path)


def test_rates_of_sdf_become_counts_by_the_dwell_time(tmp_path):
    path = write_sdf(tmp_path, ENERGY, images() * 1e3, unit="Hz", dwell_ms=2.0)
    stack = read_stack(path)
    np.testing.assert_allclose(stack.counts, images() * 2)
    assert stack.dwell_s[0] == pytest.approx(2e-3)


def test_a_header_that_promises_other_points_is_refused(tmp_path):
    path = write_sdf(tmp_path, ENERGY, images())
    path.write_text(path.read_text().replace("Points = (4,", "Points = (5,"))
    with pytest.raises(InputError, match="promises 5 points and has 4"):
        read_stack(path)


def test_axis2000_scales_whole_numbers_and_refuses_another_size(tmp_path):
    path = write_ncb(tmp_path, ENERGY, images(), scale=10.0)
    np.testing.assert_allclose(read_stack(path).counts, images())
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(InputError, match="238 bytes, and 4 images of 5 x 6 int16 have 240"):
        read_stack(path)
    (tmp_path / "s.dat").write_text("word\n")
    with pytest.raises(InputError, match="no header of aXis2000"):
        read_stack(path)
    (tmp_path / "s.dat").unlink()
    with pytest.raises(InputError, match=r"s.dat: there is no such file"):
        read_stack(path)


def test_spectrum_images_are_read_with_their_microscope(tmp_path):
    counts = images((40, 3, 4))
    stack = read_stack(write_losses(tmp_path, 500 + np.arange(40.0), counts))
    np.testing.assert_array_equal(stack.counts, counts)
    assert (stack.kind, stack.pixel_nm, stack.beam_kev) == ("energy loss", (2, 2), 200)
    assert (stack.convergence_mrad, stack.collection_mrad) == (10, 30)
    with pytest.raises(InputError, match="pixel size is zero"):
        read_stack(write_losses(tmp_path, 500 + np.arange(40.0), counts, step_nm=0.0, name="z"))


@pytest.mark.parametrize("name", ["a.hdf5", "a.nxs", "a.hdr", "a.ncb", "a.dm4", "a.hspy", "a.xyz"])
def test_a_file_that_is_no_stack_is_refused_in_a_sentence(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"no stack at all\n" * 9)
    with pytest.raises(InputError) as caught:
        read_stack(path)
    assert str(path.with_suffix("")) in str(caught.value)
    with pytest.raises(InputError, match=r"no such file|cannot be read"):
        read_stack(tmp_path / f"missing-{name}")


def test_hdf5_without_a_stack_or_with_two_regions_is_refused(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["entry1/data"] = np.ones(3)
    with pytest.raises(InputError, match="no images over energy"):
        read_stack(path)
    path = write_nxstxm(tmp_path, ENERGY, images())
    with h5py.File(path, "a") as file:
        file.copy("entry1", "entry2")
    with pytest.raises(InputError, match="several regions: /entry1, /entry2"):
        read_stack(path)


def test_i0_is_interpolated_and_must_reach_over_the_stack(tmp_path):
    path = tmp_path / "i0.xsp"
    path.write_text("energy counts\n500 100\n530 400\n")
    np.testing.assert_allclose(read_i0(path, ENERGY), 100 + 10 * (ENERGY - 500))
    path.write_text("515 100\n530 400\n")
    with pytest.raises(InputError, match="I0 reaches from 515 to 530 eV, the stack from 510"):
        read_i0(path, ENERGY)
    for text, words in (
        ("500 0\n530 1\n", "not above 0"), ("500 1 2\n530 1 2\n", "two columns"),
        ("530 1\n500 1\n", "do not ascend"), ("words\n", "two columns"),
        ("500 1\nfive 6\n", "no row of numbers"),
    ):  # fmt: skip
        path.write_text(text)
        with pytest.raises(InputError, match=words):
            read_i0(path, ENERGY)


def test_i0_is_of_the_table_or_else_of_the_file_and_never_made_up(tmp_path):
    rng = np.random.default_rng(0)
    counts = rng.poisson(500, (4, 20, 30)).astype(float)
    stack = read_stack(write_nxstxm(tmp_path, ENERGY, counts, monitor=np.full(4, 7.0)))
    with pytest.raises(
        InputError, match=r"comes through it is .* times I0 from the file's own mon"
    ):
        measured_stack(stack, name="s")  # 7 of whatever, where images have 500 counts
    whole = read_stack(write_nxstxm(tmp_path, ENERGY, counts, monitor=np.full(4, 520.0)))
    assert measured_stack(whole, name="s")["i0"].values.tolist() == [520.0] * 4
    with pytest.raises(InputError, match="another unit or another sample"):
        table = tmp_path / "rates.txt"
        table.write_text("500 600000\n530 600000\n")
        measured_stack(stack, name="s", i0_path=str(table))
    region = measured_stack(stack, name="s", i0_region=((0, 10), (5, 30)), dark_counts=2.0)
    np.testing.assert_allclose(region["i0"], counts[:, :10, 5:].mean(axis=(1, 2)) - 2)
    assert region.attrs["i0_from"].startswith("pixels without a sample, rows 0 to 9")
    assert region.attrs["noise_factor"] == pytest.approx(1, rel=0.15)
    table = tmp_path / "i0.txt"
    table.write_text("500 600\n530 600\n")
    of_file = measured_stack(stack, name="s", i0_path=str(table))
    np.testing.assert_allclose(of_file["i0"], 600)
    STACK.check(of_file, "stack")
    with pytest.raises(InputError, match="images are 20 x 30 pixels, and i0_region reaches to 21"):
        measured_stack(stack, name="s", i0_region=((0, 21), (5, 30)))
    with pytest.raises(InputError, match="is not above the dark counts at 510 eV"):
        measured_stack(stack, name="s", i0_region=((0, 10), (5, 30)), dark_counts=700)
    none = read_stack(write_sdf(tmp_path, ENERGY, counts))
    with pytest.raises(InputError, match="how much light there was without a sample; give i0"):
        measured_stack(none, name="s")


REAL = {
    "stxm/Hermes_HDF5_small_OK.hdf5": ((2, 2, 2), None),
    "stxm/small_diamond_nxs.nxs": ((8, 7, 6), 66.7),
    "stxm/max_iv.hdr": ((2, 10, 10), None),
    "stxm_fe2p_als/71214078.hdr": ((123, 125, 125), None),
    "stxm_ptycho_cosmic/stxm-scan.hdr": ((2, 120, 120), None),
    "eels/LSMO_linescan.hspy": ((586, 1, 40), None),
    "eels/EELS_SI.dm4": ((2048, 2, 2), None),
    "eels/test_TEM.bcf": ((2048, 64, 64), None),
}


@pytest.mark.parametrize(("name", "expected"), REAL.items(), ids=REAL)
def test_reads_real_files(shared_data, name, expected):
    shape, pixel_nm = expected
    stack = read_stack(shared_data(f"modalities/{name}"), pixel_nm=pixel_nm)
    assert stack.counts.shape == shape
    assert all(size > 0 for size in stack.pixel_nm)


def test_real_files_that_are_no_stack_are_refused(shared_data):
    for name in ("eels/test-EELS_spectrum.dm3", "stxm_ptycho_cosmic/NS_181111148.hdr"):
        with pytest.raises(InputError):
            read_stack(shared_data(f"modalities/{name}"))


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_what_is_read_along_with_a_stack_counts_as_part_of_it(tmp_path, write):
    path = write(tmp_path, ENERGY, images())
    assert set(digests.with_companions(path)) == set(read_stack(path).files)
