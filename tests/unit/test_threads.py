"""Shares of work: every item once, whatever the number of threads; errors come through."""

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasefront.core.threads import ahead, share_out


@pytest.fixture(scope="module", autouse=True)
def _threads_as_before():
    before = numba.get_num_threads()
    yield
    numba.set_num_threads(before)


@given(
    number=st.integers(0, 300),
    share=st.none() | st.integers(1, 400),
    threads=st.integers(1, min(4, numba.config.NUMBA_NUM_THREADS)),
)
def test_every_item_is_done_once(number, share, threads):
    numba.set_num_threads(threads)
    done = np.zeros(number, int)

    def count(begin, end, amount):
        assert begin < end
        done[begin:end] += amount

    share_out(count, number, 3, share=share)
    np.testing.assert_array_equal(done, 3)


@pytest.mark.parametrize("threads", [1, min(2, numba.config.NUMBA_NUM_THREADS)])
def test_an_error_in_a_share_comes_through(threads):
    numba.set_num_threads(threads)

    def fail(begin, end):
        if begin <= 7 < end:
            raise ValueError("item 7")

    with pytest.raises(ValueError, match="item 7"):
        share_out(fail, 20, share=2)


@pytest.mark.parametrize("threads", [1, min(2, numba.config.NUMBA_NUM_THREADS)])
def test_items_got_ahead_are_the_same_in_order_and_errors_come_in_their_place(threads):
    numba.set_num_threads(threads)

    def items():
        yield from range(3)
        raise ValueError("item 3")

    got = []
    with pytest.raises(ValueError, match="item 3"):
        for item in ahead(items()):
            got.append(item)
    assert got == [0, 1, 2]
    assert list(ahead([])) == []
