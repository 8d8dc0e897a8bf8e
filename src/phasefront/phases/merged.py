"""Where spots lie if a column holds two phases whose lattices lie alike.

Both phases have a reflection at nearly one place. What the spot finder sees of two such spots is
one, somewhere between both, or both, the less resolved the nearer: the place along the way from the
one to the other tells which of them is brighter. So a pattern of two phases has spots on the way
between the places of both, and one of a single phase has them at the places of that.
"""

from __future__ import annotations

import math

import numba
import numpy as np
from scipy.special import expit, logit, logsumexp

from phasefront.core.threads import share_out
from phasefront.diffraction.likelihood import (
    INTENSITY_POWER,
    Refined,
    promised_reflections,
    spot_weights,
)
from phasefront.diffraction.optics import Optics
from phasefront.diffraction.reflections import LEAST_WEIGHT, ReflectionTable
from phasefront.diffraction.spot_lists import Spots
from phasefront.phases import brightness, pairs

# Of the second phase, any as likely as any other. With 9 shares and 10 parts of the way as many
# columns are found.
_SHARES = np.linspace(0.1, 0.9, 5)
# Where the spot of a reflection lies, as a share of the way, has these log-odds about those of the
# phases' shares: a logistic distribution of this scale. Independent intensities, which are
# exponentially distributed (Wilson, Acta Cryst. 2, 318, 1949), have 1. Of columns of LiFePO4 and
# FePO4 at 2e4 electrons a pattern half finds 0.57, 1 and double 0.62 (seeds of no page).
_SCALE = 1.0
_PARTS = 5  # of the way
_EDGES = np.linspace(0.0, 1.0, _PARTS + 1)
# Columns of what a spot's place has of both lattices: either's whole density, that of either's
# reflections without one of the other nearby, then the parts of the way.
_ONE, _OTHER, _ONLY_ONE, _ONLY_OTHER, _WAY = range(5)
_FAR = 7.0  # errors of a spot's position beyond which no reflection counts for it
_BLOCK = 4096  # pairs in memory at a time, with all that they promise


def gains(
    spots: Spots, position: np.ndarray, phase: np.ndarray, refined: tuple[Refined, Refined],
    table: ReflectionTable, optics: Optics, *, apart: float,
) -> np.ndarray:  # fmt: skip
    """Log-likelihood (n,) of the places of spots under two phases (2, n), over that under the
    likelier one alone; the share is not known, so this is a mean over shares.

    `apart`: distance, 1/angstrom, within which reflections of both may make one spot.
    """
    weight = spot_weights(spots, INTENSITY_POWER)
    blocks = np.split(np.arange(len(position)), range(_BLOCK, len(position), _BLOCK))
    return np.concatenate(
        [
            _of_block(
                spots, weight, position[own], phase[:, own],
                tuple(lattice.taken(own) for lattice in refined), table, optics, apart,
            )
            for own in blocks
        ]
    )  # fmt: skip


def _of_block(spots, weight, position, phase, refined, table, optics, apart) -> np.ndarray:
    number, arguments = len(position), []
    for own, lattice in zip(phase, refined, strict=True):
        promise = promised_reflections(own, lattice, table, optics, faint=LEAST_WEIGHT)
        edge = np.searchsorted(promise.crystal, np.arange(number + 1))
        arguments += [edge, promise.q, promise.share]
    entry, spot = brightness.listed(spots, position)
    density = np.zeros((len(entry), _WAY + _PARTS))
    edge = np.concatenate([[0], np.cumsum(spots.numbers[position])])
    share_out(
        _place_all, number, spots.offset, spots.qx, spots.qy, np.ascontiguousarray(position),
        *arguments, optics.position_sigma, apart, edge, density,
    )  # fmt: skip

    def likelihood(values: np.ndarray) -> np.ndarray:
        return pairs.likelihood_of_places(values, entry, weight[spot], number, optics)

    alone = np.maximum(likelihood(density[:, _ONE]), likelihood(density[:, _OTHER]))
    mixed = density @ np.stack([_mixture(share) for share in _SHARES], axis=1)
    both = [likelihood(values) for values in np.ascontiguousarray(mixed.T)]
    return logsumexp(both, axis=0) - math.log(len(_SHARES)) - alone


def _mixture(share: float) -> np.ndarray:
    """Weights (columns,) of densities where the second phase has this share."""
    inner = expit((logit(_EDGES[1:-1]) - logit(share)) / _SCALE)
    way = np.diff(np.concatenate([[0.0], inner, [1.0]]))
    return np.concatenate([[0.0, 0.0, 1 - share, share], way])


@numba.njit(cache=True, nogil=True)
def _place_all(
    begin, end, offset, qx, qy, position, first, places, share, of_other, other_places,
    other_share, sigma, apart, edge, out,
):  # fmt: skip
    for i in range(begin, end):
        own, others = slice(first[i], first[i + 1]), slice(of_other[i], of_other[i + 1])
        found = slice(offset[position[i]], offset[position[i] + 1])
        # Copies in one piece.
        one_x, one_y = places[own, 0].copy(), places[own, 1].copy()
        other_x, other_y = other_places[others, 0].copy(), other_places[others, 1].copy()
        _place(
            qx[found], qy[found], one_x, one_y, share[own], other_x, other_y, other_share[others],
            sigma, apart, out[edge[i] : edge[i + 1]],
        )  # fmt: skip


@numba.njit(cache=True)
def _place(qx, qy, x, y, share, other_x, other_y, other_share, sigma, apart, out):
    """Add up the densities of the spots of one pattern, of two lattices."""
    far, norm = _FAR * sigma, 1.0 / (2.0 * math.pi * sigma * sigma)
    near = np.empty(max(len(x), len(other_x)) + 1, np.int64)
    squares = np.empty(len(near))
    mate = np.full(len(x), -2)  # -2 until it is asked for
    for spot in range(len(qx)):
        for j in near[: _list_near(qx[spot], qy[spot], x, y, apart + far, squares, near)]:
            if mate[j] == -2:
                mate[j] = _mate(j, x, y, other_x, other_y, apart)
            k = mate[j]
            if k >= 0:
                mean = 0.5 * (share[j] + other_share[k])
                _add_way(
                    qx[spot] - x[j], qy[spot] - y[j], other_x[k] - x[j], other_y[k] - y[j], mean,
                    sigma, out[spot],
                )  # fmt: skip
            if squares[j] < far * far:
                density = share[j] * norm * math.exp(-0.5 * squares[j] / (sigma * sigma))
                out[spot, _ONE] += density
                out[spot, _ONLY_ONE] += density if k < 0 else 0.0
        for k in near[: _list_near(qx[spot], qy[spot], other_x, other_y, far, squares, near)]:
            density = other_share[k] * norm * math.exp(-0.5 * squares[k] / (sigma * sigma))
            out[spot, _OTHER] += density
            if _mate(k, other_x, other_y, x, y, apart) < 0:
                out[spot, _ONLY_OTHER] += density


@numba.njit(cache=True)
def _list_near(at_x, at_y, x, y, reach, squares, near):
    """Fill squares of the distances of places, and which are `near`; returns how many these are."""
    number = 0
    for j in range(len(x)):
        squares[j] = (x[j] - at_x) ** 2 + (y[j] - at_y) ** 2
    # Written always and counted or not, so that the loop needs no branch.
    for j in range(len(x)):
        near[np.uint64(number)] = j
        number += squares[j] < reach * reach
    return number


@numba.njit(cache=True)
def _mate(j, x, y, other_x, other_y, apart):
    """The place of another lattice that is nearest to one's, if that is mutual and within `apart`;
    -1 where there is none."""
    k = _nearest(x[j], y[j], other_x, other_y, apart)
    return k if k >= 0 and _nearest(other_x[k], other_y[k], x, y, apart) == j else -1


@numba.njit(cache=True)
def _nearest(at_x, at_y, x, y, apart):
    least, nearest = apart * apart, -1
    for k in range(len(x)):
        square = (x[k] - at_x) ** 2 + (y[k] - at_y) ** 2
        if square < least:
            least, nearest = square, k
    return nearest


@numba.njit(cache=True)
def _add_way(x, y, end_x, end_y, share, sigma, out):
    """Densities at one place, seen from where a way begins, of spots that lie evenly spread along
    each part of the way to its end."""
    length = math.hypot(end_x, end_y)
    if length > 1e-6 * sigma:
        end_x, end_y = end_x / length, end_y / length
    else:
        end_x, end_y = 1.0, 0.0
    length = max(length, 1e-3 * sigma)  # so that no part is empty
    along, across = x * end_x + y * end_y, x * end_y - y * end_x
    reach = _FAR * sigma
    if abs(across) > reach or along < -reach or along > length + reach:
        return
    step = length / _PARTS
    density = 0.5 * share * math.exp(-0.5 * (across / sigma) ** 2)
    density /= math.sqrt(2.0 * math.pi) * sigma * step
    before = math.erf(along / (math.sqrt(2.0) * sigma))
    for part in range(_PARTS):
        after = math.erf((along - (part + 1) * step) / (math.sqrt(2.0) * sigma))
        out[_WAY + part] += density * (before - after)
        before = after
