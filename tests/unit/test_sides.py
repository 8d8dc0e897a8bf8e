"""A map of chemistry and a scan as images that one is laid on the other by; landmarks in files."""

import io

import numpy as np
import pytest
from examples import example

from phasefront.core.errors import InputError
from phasefront.layouts.chemistry import CHEMISTRY
from phasefront.layouts.grains import GRAINS
from phasefront.layouts.scans import SCAN
from phasefront.registration import landmarks, result
from phasefront.registration.channels import Channel
from phasefront.registration.laying import Laid, Optimum, Status
from phasefront.registration.placement import similarity
from phasefront.registration.sides import noise_of, side_of_map, sides_of_scan, thickness_signal
from phasefront.report.figures import registration as pictures
from phasefront.report.figures import style


def laid(status=Status.ACCEPTED, why="", *, number=20, spread_nm=5.0):
    """A map of 12 x 10 pixels of 40 nm in the middle of a scan of 20 x 30 positions of 20 nm."""
    rng = np.random.default_rng(0)
    places = [
        similarity(
            (12, 10), 40.0, middle=np.array([190.0, 290.0]) + spread_nm * move, angle_deg=8.0,
            scale=1.01, mirrored=True,
        )
        for move in [np.zeros(2), *rng.standard_normal((number, 2))]
    ]  # fmt: skip
    return Laid(
        status, why, places[0], tuple(places[1:]), (Optimum(True, 8.0, 1.01, 1.1, 0.0),), 1.1, 1.0,
        1.01, 0.002, 8.0, True, 1.02, 3.0, 0.9,
    )  # fmt: skip


def sides():
    rng = np.random.default_rng(1)
    label = np.full((20, 30), -1)
    label[5:15, 8:16], label[5:15, 16:22] = 0, 1
    moving = Channel("s1", rng.random((12, 10)), np.full((12, 10), 0.1), 40.0, 50.0)
    signal = (label >= 0) * 3.0 + 0.1 * rng.random(label.shape)
    return moving, Channel("a (diffuse)", signal, np.full(label.shape, 0.1), 20.0, 20.0), label


def chemistry(**given):
    rng = np.random.default_rng(2)
    told = {
        "thickness": rng.random((12, 14)), "thickness_stderr": np.full((12, 14), 0.02),
        "pixel_y_nm": 40.0, "pixel_x_nm": 40.1, "map": "s1",
    }  # fmt: skip
    return example(CHEMISTRY, **told | given)


def test_a_map_is_laid_by_its_thickness_and_not_by_its_chemistry():
    found = side_of_map(chemistry(value=np.full((12, 14), 7.0)), 50.0)
    np.testing.assert_array_equal(found.value, chemistry()["thickness"])
    assert (found.pixel_nm, found.resolution_nm) == (pytest.approx(40.05), 50.0)
    unlike = side_of_map(chemistry(), 50.0, unlike=0.1)
    thickest = np.unravel_index(found.value.argmax(), found.value.shape)
    assert unlike.stderr[thickest] == pytest.approx(
        np.hypot(0.02, 0.1 * found.value.max()), rel=0.1
    )
    assert unlike.stderr.min() == pytest.approx(0.02)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pixel_x_nm": 50.0}, "pixels are 40 x 50 nm"),
        ({"thickness_stderr": np.full((12, 14), np.nan)}, "in 0% of the pixels"),
        ({"thickness": np.ones((12, 14))}, "the same everywhere"),
    ],
)
def test_a_map_without_square_pixels_or_a_thickness_is_refused(changes, words):
    with pytest.raises(InputError, match=words):
        side_of_map(chemistry(**changes), 50.0)


def test_noise_of_an_image_is_told_from_what_it_shows():
    rng = np.random.default_rng(3)
    y, x = np.indices((80, 90))
    shown = 4.0 * np.sin(x / 15) + (y > 40) * 10.0
    inside = np.hypot(y - 40, x - 45) < 30
    assert noise_of(shown + rng.normal(0, 0.3, shown.shape), inside) == pytest.approx(0.3, rel=0.1)
    assert noise_of(np.ones((8, 8)), np.ones((8, 8), bool)) > 0
    assert noise_of(np.arange(9.0).reshape(3, 3), np.ones((3, 3), bool)) > 0


def test_a_scan_shows_its_channels_with_their_noise_a_step_wide():
    _, fixed, label = sides()
    scan = example(SCAN, diffuse=fixed.value, dark_field=2 * fixed.value, scan="a")
    grains = example(GRAINS, label=label, scan_step_nm=20.0)
    one, other = sides_of_scan(scan, grains, ["diffuse", "dark_field"])
    assert (one.name, one.pixel_nm, one.resolution_nm) == ("a (diffuse)", 20.0, 20.0)
    assert other.stderr[0, 0] == pytest.approx(2 * one.stderr[0, 0], rel=1e-4)
    (sharp,) = sides_of_scan(scan, grains, ["diffuse"], 2.0)
    assert sharp.resolution_nm == 2.0
    signal = thickness_signal(one, label)
    assert signal.min() == 0
    assert signal[label >= 0].mean() == pytest.approx(3.0, abs=0.1)
    with pytest.raises(InputError, match="its step is not known"):
        sides_of_scan(scan, example(GRAINS, label=label, scan_step_nm=np.nan), ["diffuse"])


def test_what_was_laid_is_read_again_as_it_was():
    moving, fixed, label = sides()
    made = laid(Status.REFUSED, "chi squared is 3")
    again = result.laid_of(result.as_dataset(made, moving, fixed, label, scan="a"))
    for name in ("status", "why", "optima", "scale", "mirrored", "shown", "drift_walk_nm"):
        assert getattr(again, name) == getattr(made, name)
    np.testing.assert_array_equal(again.draws[3].row_start, made.draws[3].row_start)


def marks(folder, rows, *, head="row,column,y_nm,x_nm,error_nm"):
    path = folder / "marks.csv"
    path.write_text("\n".join([head, *rows]) + "\n")
    return path


def test_landmarks_are_read_whatever_separates_them(tmp_path):
    expected = [[1, 2, 30, 40, 5], [3, 4, 50, 60, 5]]
    commas = marks(tmp_path, ["1,2,30,40,5", "3,4,50,60,5"])
    np.testing.assert_array_equal(landmarks.read_landmarks(commas), expected)
    tabs = marks(
        tmp_path, ["# seen by two", "5\t1\t2\t30\t40", "5\t3\t4\t50\t60"],
        head="error_nm\trow\tcolumn\ty_nm\tx_nm",
    )  # fmt: skip
    np.testing.assert_array_equal(landmarks.read_landmarks(tabs), expected)


@pytest.mark.parametrize(
    ("rows", "head", "words"),
    [
        (["1,2,30,40,5"], "row,column,y_nm,x_nm,error_nm", "fewer than two"),
        (["1,2,30,40,5"] * 2, "row,column,y,x_nm,error_nm", "no column 'y_nm'"),
        (["1,2,30,40,5", "1,2,a,40,5"], "row,column,y_nm,x_nm,error_nm", "row 2: a cell holds no"),
        (["1,2,30,40,5", "1,2,,40,5"], "row,column,y_nm,x_nm,error_nm", "row 2: a cell holds no"),
        (["1,2,30,40,5,6"] * 2, "row,column,y_nm,x_nm,error_nm", "not a table"),
        (["1,2,30,40"] * 2, "row,column,y_nm,x_nm,error_nm", "a cell holds no number"),
        ([], "", "not a table"),
    ],
)
def test_a_file_that_holds_no_landmarks_is_refused_in_a_sentence(tmp_path, rows, head, words):
    with pytest.raises(InputError, match=words):
        landmarks.read_landmarks(marks(tmp_path, rows, head=head))


def test_a_map_is_refused_where_left_out_landmarks_lie_elsewhere():
    def tested(*held):
        return landmarks.Tested(np.full(len(held), 80.0), np.full(len(held), 10.0), np.array(held))

    assert landmarks.settle(laid(), tested(True, True, True)).status == Status.ACCEPTED
    assert landmarks.settle(laid(), tested(True, True, False)).status == Status.ACCEPTED
    found = landmarks.settle(laid(), tested(True, False, False))
    assert found.status == Status.REFUSED
    assert found.why == "2 of 3 landmarks that were left out lie elsewhere, up to 80 nm off"
    undecided = laid(Status.UNDECIDED, "it may as well lie otherwise")
    assert landmarks.settle(undecided, tested(False, False)) == undecided


@pytest.mark.parametrize("status", list(Status))
def test_a_registration_is_drawn_whatever_it_came_to(status):
    moving, fixed, label = sides()
    made = result.as_dataset(laid(status, "why"), moving, fixed, label, scan="a")
    if status == Status.REFUSED:
        made["map_thickness"][:] = np.nan  # the map lies beside the scan
    grains = example(GRAINS, label=label)
    streams = [io.BytesIO(), io.BytesIO()]
    for stream in streams:
        style.save(pictures.draw_registration(made, grains), stream)
    assert streams[0].getvalue() == streams[1].getvalue()
    assert len(streams[0].getvalue()) > 10_000
