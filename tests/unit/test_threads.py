"""Shares of work: every item once, whatever the number of threads; errors come through."""

from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasefront.core.threads import VARIABLE, ahead, available, share_out


def limited(threads):
    return mock.patch.dict("os.environ", {VARIABLE: str(threads)})


@given(
    number=st.integers(0, 300), share=st.none() | st.integers(1, 400), threads=st.integers(1, 4)
)  # fmt: skip
def test_every_item_is_done_once(number, share, threads):
    done = np.zeros(number, int)

    def count(begin, end, amount):
        assert begin < end
        done[begin:end] += amount

    with limited(threads):
        assert available() == threads
        share_out(count, number, 3, share=share)
    np.testing.assert_array_equal(done, 3)


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_in_a_share_comes_through(threads):
    def fail(begin, end):
        if begin <= 7 < end:
            raise ValueError("item 7")

    with limited(threads), pytest.raises(ValueError, match="item 7"):
        share_out(fail, 20, share=2)


@pytest.mark.parametrize("threads", [1, 2])
def test_items_got_ahead_are_the_same_in_order_and_errors_come_in_their_place(threads):
    def items():
        yield from range(3)
        raise ValueError("item 3")

    got = []
    with limited(threads):
        with pytest.raises(ValueError, match="item 3"):
            for item in ahead(items()):
                got.append(item)
        assert got == [0, 1, 2]
        assert list(ahead([])) == []
