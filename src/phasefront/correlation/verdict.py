"""Does chemistry follow structure: agree, disagree or cannot tell, with the numbers."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from phasefront.comparison.agreement import AGREE, CANNOT_TELL, DISAGREE, SIGNIFICANCE
from phasefront.core.statistics import NORMAL_95, Interval
from phasefront.correlation.common_grid import CommonGrid, OnGrid, Quantity
from phasefront.correlation.following import Both, Follows, compare
from phasefront.correlation.slopes import moments
from phasefront.registration.laying import Laid, Status


@dataclass(frozen=True)
class Expected:
    """What agreement means.

    `slope` is that of chemistry against structure, 1 of two ion contents; None where nobody says
    it. Where both are one quantity, `offset` is how far they may differ on average, errors of
    calibration included; None where they are not.
    """

    slope: float | None = 1.0
    offset: float | None = None


@dataclass(frozen=True)
class Shared:
    """Standard errors of the slope and of the mean that all points of the chemistry share: what
    its systematic error makes of them."""

    slope: float = 0.0
    mean: float = 0.0


@dataclass(frozen=True)
class Verdict:
    """`agree`, `disagree` or `cannot tell`, a sentence of why, the numbers of the whole and of its
    parts by name, and the errors that all of these have beside their intervals."""

    answer: str
    why: str
    whole: Follows
    parts: Mapping[str, Follows]
    shared: Shared = Shared()


def follow(
    structure: Quantity, chemistry: Quantity, thickness: np.ndarray, label: np.ndarray,
    laid: Laid, expected: Expected, *, systematic: np.ndarray | None = None,
    parts: Mapping[str, np.ndarray] | None = None, seed: int = 0,
) -> Verdict:  # fmt: skip
    """Whether the chemistry of a map follows the structure that a scan saw.

    Parameters
    ----------
    structure, chemistry
        On the scan's grid, and on the map's.
    thickness
        The scan's thickness channel (y, x), above its background: positions weigh by it under the
        wider probe, and what it explains is taken off in the partial correlation.
    label
        Grains (y, x), -1 none, of which only points count.
    laid
        The map laid on the scan.
    systematic
        Standard error (row, column of the map) of the chemistry by which its pixels are off
        together; none where None.
    parts
        Positions (y, x) of the scan that are also looked at by themselves: a phase, a grain, a
        distance from the interface.

    Where the map's resolution is the finer, its own pixels are taken as they are.
    """
    grid = CommonGrid(structure.value.shape, structure.pixel_nm, chemistry.pixel_nm)
    seen = grid.of_scan(structure, chemistry, thickness)
    best = Both(seen, grid.of_map(chemistry, laid.best))
    drawn = [Both(seen, grid.of_map(chemistry, one)) for one in laid.draws]
    thick = grid.pick(thickness)
    rng = np.random.default_rng(seed)
    grain = grid.pick(label)
    whole = compare(best, drawn, thick, grain, grain >= 0, rng)
    found = {
        name: compare(best, drawn, thick, grain, (grain >= 0) & grid.pick(where), rng)
        for name, where in (parts or {}).items()
    }
    shared = Shared()
    if systematic is not None:
        error = grid.of_map(replace(chemistry, value=systematic), laid.best).value
        shared = _shared(seen, np.where(grain >= 0, error, np.nan))
    return Verdict(*judge(whole, laid, expected, shared), whole, found, shared)


def _shared(predictor: OnGrid, error: np.ndarray) -> Shared:
    """What a systematic error (row, column; NaN not known) makes of slope and mean.

    Nobody knows how it goes with what is measured. The mean is off by all of it, as if it were one
    for all points. The slope is off by as much as if points poor and rich in ions, as many of each,
    were off independently: its root mean square over the predictor's standard deviation and root 2.
    """
    known = np.isfinite(predictor.value) & np.isfinite(error)
    if not known.any():
        return Shared()
    stderr = np.nan_to_num(predictor.stderr[known])
    found = moments(predictor.value[known], error[known], stderr)
    square = float((error[known] ** 2).mean())
    return Shared(
        0.0 if found is None else np.sqrt(square / (2 * found[1])), float(abs(error[known]).mean())
    )


def distance_parts(distance_nm: np.ndarray, edges_nm: tuple[float, ...]) -> dict[str, np.ndarray]:
    """Positions (y, x) by their distance from the interface, nm, between edges; NaN is in none."""
    return {
        f"{low:g} to {high:g} nm from the interface": (distance_nm >= low) & (distance_nm < high)
        for low, high in itertools.pairwise(edges_nm)
    }


def widened(interval: Interval, stderr: float) -> Interval:
    """A value with its 95 % interval, of which a further standard error is independent."""
    value, low, high = interval
    more = NORMAL_95 * stderr
    return np.array(
        [value, value - np.hypot(value - low, more), value + np.hypot(high - value, more)]
    )


def judge(
    whole: Follows, laid: Laid, expected: Expected, shared: Shared = Shared()
) -> tuple[str, str]:
    """The answer and a sentence of why.

    Disagree: the slope's interval leaves out the expected one, or the mean difference is beyond the
    offset by more than its interval, each widened by what all points share. Agree: neither, the
    slope's interval leaves out 0, and chance makes so good a correlation in fewer than 5 % of
    cases, with thickness given and without.
    """
    if laid.status != Status.ACCEPTED:
        return CANNOT_TELL, f"the map is not laid: {laid.why}"
    slope, low, high = widened(whole.slope, shared.slope)
    if not np.isfinite(slope):
        return CANNOT_TELL, "structure varies no more than its errors"
    wanted = "" if expected.slope is None else f", {expected.slope:g} expected"
    said = (
        f"slope {slope:.3g} ({low:.3g} to {high:.3g}{wanted}), correlation"
        f" {whole.correlation[0]:.2f} over {whole.effective:.0f} independent of {whole.points}"
        " points"
    )
    if expected.slope is None:
        return CANNOT_TELL, f"{said}: nobody says what slope to expect"
    gap, least, most = widened(whole.difference, shared.mean)
    if not low <= expected.slope <= high:
        return DISAGREE, said
    if expected.offset is not None and (least > expected.offset or most < -expected.offset):
        return DISAGREE, f"{said}; they differ by {gap:.2f} ({least:.2f} to {most:.2f}) on average"
    if low <= 0 <= high:
        return CANNOT_TELL, f"{said}: the slope may be nothing"
    if whole.chance >= SIGNIFICANCE:
        return CANNOT_TELL, f"{said}: maps as smooth correlate so by chance ({whole.chance:.2g})"
    if whole.partial_chance >= SIGNIFICANCE:
        return CANNOT_TELL, f"{said}: thickness may explain it ({whole.partial_chance:.2g})"
    return AGREE, said
