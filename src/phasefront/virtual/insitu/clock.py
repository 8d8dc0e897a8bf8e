"""The true clock of a virtual series: moments of positions, and the charge passed until then."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np

from phasefront.experiment.settings.virtual_series import Pulses, VirtualMember

HOUR_S = 3600.0  # by definition


def switches(pulses: Pulses) -> tuple[np.ndarray, np.ndarray]:
    """Times in s at which a log's current goes on or off, its end included, and the charge passed
    until then, mA h; both (2 pulses + 2,), from its beginning."""
    pauses = np.full(pulses.pulses, pulses.pause_s)
    pauses[0] = pulses.before_s
    lasting = np.append(
        np.stack([pauses, np.full(pulses.pulses, pulses.pulse_s)], axis=1), pulses.after_s
    )
    passing = np.append(np.tile([0.0, pulses.pulse_s], pulses.pulses), 0.0)
    time, charged = (np.append(0.0, np.cumsum(parts)) for parts in (lasting, passing))
    return time, pulses.current_ma * charged / HOUR_S


def charge_at(pulses: Pulses, time: np.ndarray) -> np.ndarray:
    """Charge in mA h that has passed until times in s since the log's was zero."""
    return np.interp(time, *switches(pulses))


def time_of_charge(pulses: Pulses, charge: np.ndarray) -> np.ndarray:
    """First moment in s at which a charge between 0 and all, mA h, has passed."""
    time, passed = switches(pulses)
    flows = np.diff(passed) > 0
    begins, ends = np.flatnonzero(flows), np.flatnonzero(flows) + 1
    each = np.clip(np.searchsorted(passed[ends], charge, side="left"), 0, len(ends) - 1)
    first, last = passed[begins[each]], passed[ends[each]]
    part = np.clip((charge - first) / (last - first), 0, 1)
    return time[begins[each]] + part * (time[ends[each]] - time[begins[each]])


def start_on_log(member: VirtualMember, pulses: Pulses, clock_offset_s: float) -> float:
    """True time in s since the log's was zero at which a scan began."""
    start, zero = (datetime.fromisoformat(text) for text in (member.start, pulses.started))
    return (start - zero).total_seconds() + clock_offset_s


def time_in_scan(member: VirtualMember, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Time in s from the start of a scan to its position (y, x)."""
    return 1e-3 * (y * member.row_ms + x * member.dwell_ms)


def lasts(member: VirtualMember, shape: Sequence[int]) -> float:
    """Time in s from the start of a scan to the end of its last row."""
    return 1e-3 * shape[0] * member.row_ms
