"""What `truth.check_scan` says of several scans, taken together."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from phasefront.core.statistics import NORMAL_95
from phasefront.virtual.zones import axis_order

_INDEX = re.compile(r"-?\d")


def pool_reliability(checks: Mapping[str, dict]) -> dict[str, list[dict]]:
    """The bins of `reliability` of several scans together, by phase.

    Each has in addition `frequency_low` and `frequency_high`, Wilson's 95 % interval (J. Am. Stat.
    Assoc. 22, 209, 1927) as if positions were independent. Those of one grain are not, so it is
    the least that the frequency is uncertain by.
    """
    names = next(iter(checks.values()))["reliability"]
    return {
        name: _with_intervals(_pool_bins([check["reliability"][name] for check in checks.values()]))
        for name in names
    }


def pool_confusion(checks: Mapping[str, dict]) -> dict[str, dict]:
    """`confusion_by_zone` of several scans together, behind an entry "all directions"."""
    whole = {"confusion": _sum_counts([check["confusion"] for check in checks.values()])}
    regions: dict[str, list[dict]] = {}
    for check in checks.values():
        for axis, region in check["confusion_by_zone"].items():
            regions.setdefault(axis, []).append(region)
    pooled = {}
    for axis in sorted(regions, key=lambda a: axis_order([int(i) for i in _INDEX.findall(a)])):
        counts = [
            sum(sum(row.values()) for row in region["confusion"].values())
            for region in regions[axis]
        ]
        pooled[axis] = {
            "angle_deg_mean": float(
                np.average([region["angle_deg_mean"] for region in regions[axis]], weights=counts)
            ),
            "angle_deg_max": max(region["angle_deg_max"] for region in regions[axis]),
            "confusion": _sum_counts([region["confusion"] for region in regions[axis]]),
        }
    return {"all directions": whole, **pooled}


def check_table(checks: Mapping[str, dict]) -> pd.DataFrame:
    """The numbers of `check_scan`, a row a scan, and a last row for all of them together.

    In the last row shares and rms errors are those of all positions together, the calibration error
    is that of all their bins, errors of fractions are the largest; the others are left out.
    """
    numbers = {
        scan: {name: value for name, value in check.items() if not isinstance(value, dict | list)}
        for scan, check in checks.items()
    }
    table = pd.DataFrame.from_dict(numbers, orient="index", dtype=float)
    table.loc["all scans"] = {name: _pooled(name, checks) for name in table}
    return table.rename_axis("scan").reset_index()


def _pooled(name: str, checks: Mapping[str, dict]) -> float:
    values = [check[name] for check in checks.values()]
    if name == "expected_calibration_error":
        bins = _pool_bins([check["confidence"] for check in checks.values()])
        excess = [abs(one["frequency"] - one["posterior"]) for one in bins]
        return float(np.average(excess, weights=[one["count"] for one in bins])) if bins else np.nan
    if name.startswith("fraction_error"):
        return max((value for value in values if value is not None), default=np.nan)
    counts = [check["positions"].get(name, 0) for check in checks.values()]
    if not any(counts):
        return np.nan
    power = 2 if name.endswith("_rms") else 1
    known = [(value, count) for value, count in zip(values, counts, strict=True) if count]
    powers = [value**power for value, _ in known]
    return float(np.average(powers, weights=[count for _, count in known]) ** (1 / power))


def _pool_bins(several: Sequence[list[dict]]) -> list[dict]:
    """Bins with one range, of any number of lists, together."""
    ranges: dict[tuple[float, float], list[dict]] = {}
    for one in itertools.chain.from_iterable(several):
        ranges.setdefault((one["from"], one["to"]), []).append(one)
    pooled = []
    for start, stop in sorted(ranges):
        alike = ranges[start, stop]
        counts = [one["count"] for one in alike]
        pooled.append(
            {
                "from": start,
                "to": stop,
                "count": sum(counts),
                "posterior": float(np.average([one["posterior"] for one in alike], weights=counts)),
                "frequency": float(np.average([one["frequency"] for one in alike], weights=counts)),
            }
        )
    return pooled


def _with_intervals(bins: list[dict]) -> list[dict]:
    out = []
    for one in bins:
        share, count, square = one["frequency"], one["count"], NORMAL_95**2
        middle = (share + square / (2 * count)) / (1 + square / count)
        half = NORMAL_95 * np.sqrt(share * (1 - share) / count + square / (4 * count**2))
        half /= 1 + square / count
        # Rounding must not leave the share outside, or the ends beyond 0 and 1.
        low, high = max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half))
        out.append({**one, "frequency_low": float(low), "frequency_high": float(high)})
    return out


def _sum_counts(several: Sequence[dict]) -> dict:
    """The sum of nested dictionaries of counts with the same keys."""
    return {
        row: {answer: sum(one[row][answer] for one in several) for answer in several[0][row]}
        for row in several[0]
    }
