"""Parts of the comparison on the real particle that need neither its data nor py4DSTEM."""

from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.limno_figures import AGREEMENT, agreement
from benchmarks.limno_twins import variants
from benchmarks.match_py4dstem import SummedPlan, started
from phasefront.layouts.phases import UNDECIDED, VACUUM


@pytest.mark.parametrize("azimuths", [12, 15])
def test_the_sum_over_shells_may_come_before_the_transform(azimuths):
    rng = np.random.default_rng(1)
    plan = np.conj(np.fft.fft(rng.random((5, 4, azimuths))))
    polar = np.fft.fft(rng.random((4, azimuths)))
    for pattern in (polar, np.conj(polar)):
        theirs = np.fft.ifft(plan * pattern[None]).real.sum(axis=1)
        ours = np.fft.ifft(SummedPlan(plan) * pattern[None]).real.sum(axis=1)
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_every_position_has_its_kind_of_agreement():
    particle = SimpleNamespace(
        decision=np.array([[0, 0, UNDECIDED, UNDECIDED, VACUUM, VACUUM]]),
        likeliest=np.array([[0, 0, 1, 1, VACUUM, VACUUM]]),
        theirs=np.array([[0, 1, 1, 0, 2, VACUUM]]),
    )
    assert agreement(particle).tolist() == [list(range(len(AGREEMENT)))]


def test_matching_goes_on_only_with_the_same_settings(tmp_path):
    answer = tmp_path / "answer.npz"
    left = {"settings": "one", "rows_done": 3, "correlation": np.ones((4, 2, 3))}
    np.savez(answer, **left)
    assert started(answer, "one", (4, 2, 3))["rows_done"] == 3
    pytest.importorskip("py4DSTEM", reason="its version goes into a fresh answer")
    assert started(answer, "other", (4, 2, 3))["rows_done"] == 0


def test_four_body_diagonals_take_the_layered_axis():
    cubic, hexagonal = 8.25 / 2 * np.eye(3), np.eye(3)
    # A layered cell whose c axis is the body diagonal of the parent's.
    hexagonal = np.array([[2, 1, 1], [-1, 1, 1], [-1, -2, 1]]) @ np.array(
        [[np.sqrt(3) / 2, -0.5, 0], [0, 1, 0], [0, 0, np.sqrt(6) / 2]]
    )
    hexagonal *= np.linalg.norm(cubic[0]) / np.linalg.norm(hexagonal[0])
    turns = variants(cubic, hexagonal)
    assert turns.shape == (4, 3, 3)
    np.testing.assert_allclose(np.linalg.det(turns), 1)
    np.testing.assert_allclose(np.abs(turns[:, 2]), 1 / np.sqrt(3), atol=1e-6)
    np.testing.assert_allclose(turns[0] @ turns[0].T, np.eye(3), atol=1e-12)
