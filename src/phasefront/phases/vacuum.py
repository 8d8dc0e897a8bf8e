"""Where a scan shows no crystal: patterns without spots, on the background of its empty places."""

from __future__ import annotations

import functools

import numba
import numpy as np

from phasefront.core.threads import share_out

# All chosen; half and double change no decision (docs/constants.md) of all but _SURE, _TELLING and
# _MORE_OFTEN, which are not measured. Of a pattern without a crystal, the probability of having no
# more spots than are allowed.
_SURE = 0.999
# Pixels across the squares whose mean levels a pattern's median is taken of, in spot radii.
_CELL = 3.0
_ZONES = 4  # rings about the beam, of one level each
_MARGIN = 4.0  # pixels that the beam may move
_NOISE = 4.0  # standard deviations that a level scatters
# Share of what crystals add to the background that may lie over vacuum's level.
_OF_CRYSTALS = 0.2
_FEW_CRYSTALS = 0.01  # of the positions; fewer do not tell what crystals add
_DRIFT = 0.1  # of the level, where no crystals tell
_MOST_SPOTTED = 0.25  # of the positions at vacuum's level may have spots
# Positions that tell how many spots noise makes, at least, and how many times more often than by
# chance there may be several.
_TELLING, _MORE_OFTEN = 30, 2.0
_FEWEST = 3  # positions at vacuum's level in a row that tell where it is there
_LEADING = 8  # rows that tell where the level goes


class Background:
    """Typical counts between the spots of a pattern, in zones around the beam: medians of the
    means over squares.

    Squares are laid out from the beam's own place, lie outside it, and have half of their pixels or
    more usable. Of the median a minority of them, with spots, is no part, however few the electrons
    in a pixel. A liquid's ring shows in its zone.
    """

    def __init__(
        self, mask: np.ndarray, centre: tuple[float, float], beam_radius: float, spot_radius: float
    ):
        self._mask, self._beam_radius = mask, beam_radius
        self._side = max(2, round(_CELL * spot_radius))
        # As far as rings are whole, for what is cut off changes with the beam's place.
        sides = np.array([*centre, *np.subtract(mask.shape, 1) - centre])
        self._reach = max(sides.min() - _MARGIN, min(mask.shape) / 4)
        *_, radius = self._squares(tuple(np.rint(centre).astype(int)))
        self._edges = np.quantile(radius, np.arange(1, _ZONES) / _ZONES)
        self._at = functools.cache(self._squares)

    def _squares(self, centre: tuple[int, int]):
        """Pixels sorted by square; where each square starts, its number of pixels, its radius."""
        y, x = np.indices(self._mask.shape)
        y, x = y - centre[0], x - centre[1]
        radius = np.hypot(y, x)
        used = self._mask & (radius > self._beam_radius) & (radius <= self._reach)
        row, column = y // self._side, x // self._side
        cell = ((row - row.min()) * (np.ptp(column) + 1) + column - column.min())[used]
        whole = 2 * np.bincount(cell)[cell] >= self._side**2
        pixel, cell = np.flatnonzero(used)[whole], cell[whole]
        order = np.argsort(cell, kind="stable")
        pixel = pixel[order]
        start = np.flatnonzero(np.diff(cell[order], prepend=-1))
        number = np.diff(start, append=len(order))
        return pixel, start, number, np.add.reduceat(radius.ravel()[pixel], start) / number

    def levels(self, patterns: np.ndarray, centres: np.ndarray) -> np.ndarray:
        """Counts (n, zones) of patterns (n, ky, kx) with the beam at centres (n, 2), as row and
        column; NaN in a zone without squares."""
        level = np.full((len(patterns), _ZONES), np.nan)
        flat = patterns.reshape(len(patterns), -1)
        whole, own = np.unique(np.rint(centres).astype(int), axis=0, return_inverse=True)
        for k, centre in enumerate(whole):
            here = np.flatnonzero(own.ravel() == k)
            pixel, start, number, radius = self._at(tuple(centre.tolist()))
            means = np.empty((len(here), len(start)))
            share_out(means_of, len(here), flat, here, pixel, start, number, means)
            zone = np.searchsorted(self._edges, radius)
            for z in np.unique(zone):
                level[here, z] = np.median(means[:, zone == z], axis=1)
        return level


@numba.njit(cache=True, nogil=True)
def means_of(begin, end, patterns, chosen, pixel, start, number, means):
    """Fill the mean (n, m) of each of m lists of pixels in each of n chosen patterns, begin to end.

    Parameters
    ----------
    patterns
        (patterns, pixels) counts.
    chosen
        (n,): which of them.
    pixel, start, number
        All lists, one after the other; where each of them starts and how long it is, (m,).
    """
    for i in range(begin, end):
        counts = patterns[chosen[i]]
        for k in range(len(start)):
            total = 0.0
            for at in pixel[start[k] : start[k] + number[k]]:
                total += counts[np.uint32(at)]
            means[i, k] = total / number[k]


def find_vacuum(
    count: np.ndarray, level: np.ndarray, *, false_alarms: float, min_spots: int
) -> np.ndarray:
    """Whether each position (y, x) is vacuum, or a support film that shows no more.

    Parameters
    ----------
    count
        Number of spots, (y, x).
    level
        Background between the spots in each zone, (y, x, zone) (see `Background`).
    false_alarms
        Spots that noise makes in a pattern.
    min_spots
        A position with so many is none.

    Vacuum has no more spots than noise makes, and in each zone a background near the lowest that
    many positions without spots share: within its scatter from neighbour to neighbour, or a fifth
    of what crystals add to it. That level may move from row to row while the scan runs:
    contamination grows on a film, the beam's current drifts. Where a quarter of the positions of
    that background, or more, have spots, or where crystals add nothing to it, it does not tell, and
    nothing is vacuum. Noise may make more spots than were asked for: how many, the positions of
    that background say.
    """
    from scipy import stats

    def most_of(rate: float) -> int:
        return min(int(stats.poisson.ppf(_SURE, rate)), min_spots - 1)

    most = most_of(false_alarms)
    near, tells = _near_vacuum(count, level, most, min_spots)
    more = most_of(_rate(count[near], most, min_spots))
    if more > most:
        most = more
        near, tells = _near_vacuum(count, level, most, min_spots)
    crystals = _crystals(count, most, min_spots)
    known = crystals.mean() >= _FEW_CRYSTALS
    if not tells or (known and (count[near] > most).mean() > _MOST_SPOTTED):
        return np.zeros(count.shape, bool)
    return (count <= most) & near


def _rate(count: np.ndarray, most: int, min_spots: int) -> float:
    """Spots that noise makes in a pattern, by the share of patterns (n,) of vacuum's background
    without any; 0 where more have several than chance gives: crystals with few spots."""
    from scipy import stats

    few = count[count < min_spots]
    if len(few) < _TELLING:
        return 0.0
    rate = -np.log(max(np.mean(few == 0), 1 / len(few)))
    by_chance = stats.poisson.sf(most, rate) - stats.poisson.sf(min_spots - 1, rate)
    return float(rate) if np.mean(few > most) <= _MORE_OFTEN * by_chance else 0.0


def _crystals(count: np.ndarray, most: int, min_spots: int) -> np.ndarray:
    """Positions (y, x) that show a crystal for sure, or spots at least, where these are few."""
    crystal = count >= min_spots
    return crystal if crystal.mean() >= _FEW_CRYSTALS else count > most


def _near_vacuum(
    count: np.ndarray, level: np.ndarray, most: int, min_spots: int
) -> tuple[np.ndarray, bool]:
    """Positions (y, x) of vacuum's background, and whether that tells vacuum from crystals."""
    quiet = count <= most
    if not quiet.any():
        return quiet, False
    crystal = _crystals(count, most, min_spots)
    known = crystal.mean() >= _FEW_CRYSTALS
    near, tells = np.ones(count.shape, bool), not known
    for zone in np.moveaxis(level, -1, 0):
        if not np.isfinite(zone).all():
            continue
        noise = _NOISE * _scatter(zone, quiet)
        vacuum = _along_rows(zone, quiet, _lowest_group(zone[quiet], noise), noise)[:, None]
        added = float(np.median((zone - vacuum)[crystal])) if known else 0.0
        tells |= added > noise
        room = _OF_CRYSTALS * added if known else _DRIFT * np.abs(vacuum)
        near &= zone <= vacuum + np.maximum(noise, room)
    return near, tells


def _scatter(level: np.ndarray, quiet: np.ndarray) -> float:
    """Standard deviation of the level, by the differences of neighbours without spots."""
    steps = [
        np.abs(np.diff(level, axis=axis))[
            np.take(quiet, range(1, quiet.shape[axis]), axis)
            & np.take(quiet, range(quiet.shape[axis] - 1), axis)
        ]
        for axis in (0, 1)
    ]
    steps = np.concatenate(steps)
    return 1.4826 * float(np.median(steps)) / np.sqrt(2) if steps.size else 0.0


def _along_rows(level: np.ndarray, quiet: np.ndarray, lowest: float, most: float) -> np.ndarray:
    """Vacuum's level (y,) in each row, followed from the row where most positions show the lowest.

    A row's is what its positions without spots show within `most` of where the rows before lead,
    or, after rows without such positions, over which a slope leads astray, within `most` of the
    lowest, or else the lowest that many show within `most` for each row since; and just where the
    rows before lead where none do. A level that nowhere is further off than `most` is the lowest.
    """
    shows = quiet & (np.abs(level - lowest) <= most)
    start = int(shows.sum(axis=1).argmax())
    found = np.full(len(level), lowest)
    for rows in (range(start, len(level)), range(start - 1, -1, -1)):
        known = [(start, found[start])]
        for row in rows:
            (first, from_level), (last, to_level) = known[0], known[-1]
            slope = (to_level - from_level) / (last - first) if last != first else 0.0
            expected = to_level + slope * (row - last)
            found[row] = expected
            gap = max(abs(row - last), 1)
            near = ((expected, most), (lowest, most), (expected, gap * most))
            for at, width in near if gap > 1 else near[:1]:
                own = level[row][quiet[row] & (np.abs(level[row] - at) <= width)]
                if width > most and len(own):
                    own = own[np.abs(own - _lowest_group(own, most)) <= most]
                if len(own) >= _FEWEST:
                    found[row] = np.median(own)
                    known = [*known[-_LEADING + 1 :], (row, found[row])]
                    break
    return found if np.abs(found - lowest).max() > most else np.full(len(level), lowest)


def _lowest_group(levels: np.ndarray, width: float) -> float:
    """Level (n,) that many share, from the low end on: mean shift with a flat window.

    Fukunaga and Hostetler, IEEE Trans. Inf. Theory 21, 32, 1975.
    """
    at = float(np.quantile(levels, 0.02))
    for _ in range(50):
        last, at = at, float(np.median(levels[np.abs(levels - at) <= width + 1e-9 * abs(at)]))
        if at == last:
            break
    return at
