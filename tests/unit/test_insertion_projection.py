"""Columns through simulated grains: geometry, amounts and band widths."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from phasefront.virtual.insertion.outlines import draw_outlines
from phasefront.virtual.insertion.projection import band_width, project

SIZE = 40


def disk(radius=17.0):
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    return np.hypot(y, x) < radius


def half(inside, normal=(1.0, 0.0)):
    """The rich phase behind a sharp straight front across `normal` (column, row)."""
    y, x = np.mgrid[: inside.shape[0], : inside.shape[1]] - (SIZE - 1) / 2
    return ((normal[0] * x + normal[1] * y) > 0) * 1.0 * inside


def test_a_grain_seen_along_its_axis_is_its_own_picture():
    inside = draw_outlines(1, SIZE, np.random.default_rng(5))[0]
    share = np.random.default_rng(1).random(inside.shape) * inside
    column, thickness = project(share, inside, np.eye(3), thickness=8, shape=(SIZE, SIZE))
    assert column == pytest.approx(share)
    assert thickness == pytest.approx(8.0 * inside)


def test_frame_and_grid_agree_on_rows_and_columns():
    inside = np.zeros((SIZE, SIZE), bool)
    inside[10:30, 3:35] = True
    share = np.zeros(inside.shape)
    share[10:14, 3:20] = 1.0  # the rich phase in one corner
    turn = Rotation.from_rotvec([0, 0, np.pi / 2]).as_matrix()  # frame's x to the grid's row
    column, thickness = project(share, inside, turn, thickness=8, shape=(SIZE, SIZE))
    # The picture's columns are the grid's rows, its rows the grid's columns backwards: no mirror.
    assert thickness == pytest.approx(8.0 * inside.T[::-1])
    assert column == pytest.approx(share.T[::-1])


@settings(max_examples=20, deadline=None)
@given(
    tilt=st.floats(0.05, 0.8),
    azimuth=st.floats(0, 2 * np.pi),
    thickness=st.floats(4, 14),
)
def test_a_tilted_front_has_the_band_of_its_plane(tilt, azimuth, thickness):
    """Shares change linearly over thickness times the tangent of the plane's inclination."""
    tilting = Rotation.from_rotvec(tilt * np.array([np.cos(azimuth), np.sin(azimuth), 0]))
    to_grid = tilting.as_matrix()
    normal = to_grid.T @ [1.0, 0.0, 0.0]  # of the front, in the frame
    trace = np.array([normal[0], normal[1]]) / np.hypot(normal[0], normal[1])
    inside = disk(19.0)
    column, _ = project(
        half(inside), inside, to_grid, thickness=thickness, shape=(81, 81), step=0.1
    )
    y, x = (np.mgrid[:81, :81] - 40) * 0.1
    along = trace[0] * x + trace[1] * y
    width = band_width(thickness, normal)
    expected = np.clip(along / max(width, 1e-9) + 0.5, 0, 1)
    near = np.hypot(y, x) < 4
    # The grid's interface itself is one cell wide, and ends half way between two cells.
    assert np.abs(column - expected)[near].max() < 0.6 / max(width, 1.0) + 0.03
    assert np.abs(np.mean((column - expected)[near])) < 0.03


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), tilt=st.floats(0, 0.9))
def test_columns_hold_what_the_grain_holds(seed, tilt):
    rng = np.random.default_rng(seed)
    inside = draw_outlines(1, SIZE, rng)[0]
    share = half(inside, (np.cos(seed), np.sin(seed)))
    axis = rng.normal(size=2)
    to_grid = Rotation.from_rotvec(tilt * np.array([*axis, 0]) / np.linalg.norm(axis)).as_matrix()
    column, thickness = project(share, inside, to_grid, thickness=10, shape=(110, 110))
    assert np.all((column >= 0) & (column <= 1)) and not column[thickness == 0].any()
    # An oblique section of a prism has the area of the straight one over the cosine of the tilt.
    assert thickness.sum() == pytest.approx(10 * inside.sum() / np.cos(tilt), rel=0.03)
    mean = (column * thickness).sum() / thickness.sum()
    assert mean == pytest.approx(share[inside].mean(), abs=0.02)


def test_a_core_that_lies_in_the_beam_leaves_every_column_mixed():
    inside = disk(18.0)
    share = disk(10.0) * 1.0
    lying = Rotation.from_rotvec([np.pi / 2, 0, 0]).as_matrix()
    column, thickness = project(share, inside, lying, thickness=100, shape=(31, 31))
    middle = column[12:19, 8:23][:, 3:-3]
    assert np.all((middle > 0.2) & (middle < 0.8))
    assert thickness[15, 15] == pytest.approx(36, abs=1.5)
    short = {"thickness": 100, "shape": (31, 31), "length": 12.0}
    assert (project(share, inside, lying, **short)[1][:, 15] > 0).sum() == pytest.approx(12, abs=1)


def test_a_sphere_is_thickest_in_the_middle_and_turns_unseen():
    layer, row, column = np.mgrid[:24, :24, :24] - 11.5
    inside = np.sqrt(layer**2 + row**2 + column**2) < 9.5
    share = (row > 0) * 1.0
    seen = []
    for turn in (np.eye(3), Rotation.from_rotvec([0, 0, 0.7]).as_matrix()):
        part, thickness = project(share * inside, inside, turn, thickness=24, shape=(24, 24))
        assert thickness[12, 12] == pytest.approx(19, abs=1)
        assert thickness.sum() == pytest.approx(inside.sum(), rel=0.03)
        seen.append((part * thickness).sum() / thickness.sum())
    assert seen == pytest.approx([0.5, 0.5], abs=0.03)


def test_a_plane_across_the_beam_has_no_band():
    with pytest.raises(ValueError, match="across the beam"):
        band_width(30.0, np.array([0.0, 0.0, 1.0]))
