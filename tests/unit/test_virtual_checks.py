"""Checks of several scans together, against counts made by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from phasefront.virtual.checks import check_table, pool_confusion, pool_reliability


def one_bin(count, posterior, frequency, start=0.9, stop=1.0):
    return {
        "from": start, "to": stop, "count": count, "posterior": posterior, "frequency": frequency,
    }  # fmt: skip


def confusion(*counts):
    """Rows of A and of B, by A, B and undecided."""
    answers = ("A", "B", "undecided")
    return {
        row: dict(zip(answers, values, strict=True))
        for row, values in zip("AB", counts, strict=True)
    }


def make_checks():
    first = {
        "undecided": 0.1, "orientation_error_deg_median": 0.2, "fraction_error_max": 0.02,
        "phase_accuracy_mixed": None, "share_error_rms": 0.3, "expected_calibration_error": 0.02,
        "confusion": confusion([8, 1, 1], [0, 5, 0]),
        "confusion_by_zone": {
            "[111]": {"angle_deg_mean": 10.0, "angle_deg_max": 12.0,
                      "confusion": confusion([8, 1, 1], [0, 5, 0])},
        },
        "reliability": {"A": [one_bin(10, 0.92, 0.9)], "B": []},
        "confidence": [one_bin(15, 0.95, 0.93)],
        "positions": {"undecided": 30, "share_error_rms": 1},
    }  # fmt: skip
    second = first | {
        "undecided": 0.4, "fraction_error_max": 0.01, "share_error_rms": 0.1,
        "confusion": confusion([3, 0, 2], [1, 0, 0]),
        "confusion_by_zone": {
            "[100]": {"angle_deg_mean": 1.0, "angle_deg_max": 2.0,
                      "confusion": confusion([1, 0, 0], [0, 0, 0])},
            "[111]": {"angle_deg_mean": 16.0, "angle_deg_max": 20.0,
                      "confusion": confusion([2, 0, 2], [1, 0, 0])},
        },
        "reliability": {"A": [one_bin(30, 0.96, 1.0), one_bin(4, 0.2, 0.25, 0.1, 0.2)], "B": []},
        "confidence": [one_bin(5, 0.55, 0.75, 0.5, 0.6), one_bin(5, 0.95, 0.99)],
        "positions": {"undecided": 10, "share_error_rms": 3},
    }  # fmt: skip
    return {"one": first, "two": second}


def test_bins_are_pooled_by_their_counts():
    pooled = pool_reliability(make_checks())
    assert pooled["B"] == []
    low, high = pooled["A"]
    assert (low["from"], low["count"], low["frequency"]) == (0.1, 4, 0.25)
    assert high["count"] == 40
    assert high["posterior"] == pytest.approx((10 * 0.92 + 30 * 0.96) / 40)
    assert high["frequency"] == pytest.approx(39 / 40)


def test_intervals_are_wilsons():
    low, high = pool_reliability(make_checks())["A"]
    for found, right in ((low, 1), (high, 39)):
        wanted = stats.binomtest(right, found["count"]).proportion_ci(method="wilson")
        assert found["frequency_low"] == pytest.approx(wanted.low, abs=1e-6)
        assert found["frequency_high"] == pytest.approx(wanted.high, abs=1e-6)


@given(st.integers(1, 10**6).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))))
def test_intervals_hold_the_share_and_stay_within_0_and_1(counts):
    count, right = counts
    checks = {"s": {"reliability": {"A": [one_bin(count, 0.9, right / count)]}}}
    (found,) = pool_reliability(checks)["A"]
    assert 0 <= found["frequency_low"] <= found["frequency"] <= found["frequency_high"] <= 1


def test_regions_are_added_up_short_axes_first():
    pooled = pool_confusion(make_checks())
    assert list(pooled) == ["all directions", "[100]", "[111]"]
    assert pooled["all directions"]["confusion"] == confusion([11, 1, 3], [1, 5, 0])
    assert pooled["[111]"]["confusion"] == confusion([10, 1, 3], [1, 5, 0])
    # 15 positions at 10 degrees, 5 at 16.
    assert pooled["[111]"]["angle_deg_mean"] == pytest.approx(11.5)
    assert pooled["[111]"]["angle_deg_max"] == 20


def test_table_has_a_row_a_scan_and_one_for_all():
    table = check_table(make_checks()).set_index("scan")
    assert list(table.index) == ["one", "two", "all scans"]
    assert not {"confusion", "reliability", "confidence", "positions"} & set(table)
    assert table.loc["two", "undecided"] == 0.4
    whole = table.loc["all scans"]
    assert whole["undecided"] == pytest.approx((30 * 0.1 + 10 * 0.4) / 40)
    assert whole["fraction_error_max"] == 0.02
    assert whole["share_error_rms"] == pytest.approx(np.sqrt((0.09 + 3 * 0.01) / 4))
    # Bins of 20 and of 5 positions: 0.935 where 0.945 right, 0.55 where 0.75.
    high = (15 * 0.93 + 5 * 0.99) / 20
    assert whole["expected_calibration_error"] == pytest.approx(
        (20 * abs(0.95 - high) + 5 * 0.2) / 25
    )
    assert np.isnan(whole["phase_accuracy_mixed"])
    assert np.isnan(whole["orientation_error_deg_median"])
