"""Where the first scan's positions lie in a later scan of the same region.

Grains and dark field together say it: a grain keeps its crystal, whatever phase it turns to, and
bubbles and liquid move the bright field alone. An affine map has six numbers, which are a shift, a
turn, a scale and the drift between the first row and the last: a scan that drifts is sheared along
its slow axis. Least squares on both kinds of image, by Gauss and Newton (Lucas and Kanade 1981;
Baker and Matthews, Int. J. Comput. Vis. 56, 221, 2004), from the best of a search over all shifts
and some turns; its covariance is taken between tiles, as errors of neighbours go together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from phasefront.series import images, turns
from phasefront.series.images import Picture

# Turns that the search tries: samples in a cell turn by a few degrees from scan to scan.
_TURNS_DEG = np.arange(-6.0, 6.1, 2.0)
# Where orientations say that all grains turned by more than this, turns about that are tried.
_FAR_DEG = 4.0
# Side of the images in which it searches; larger scans are thinned to that.
_SEARCHED = 96
# Weight of the dark field beside a grain's own positions, in the search.
_DARK = 0.3
# Widths of the blur, in positions, coarse to fine; steps at each.
_BLURS, _STEPS = (3.0, 1.0), 15
# A step shorter than this, in positions at the edge of the scan, is the last.
_CLOSE = 1e-3
# Side of the tiles between which errors are independent; several times the blur.
_TILE = 8
# Prior standard deviations of scale (the magnification is kept), of the rest of the matrix, and of
# the shift about what the search found, in positions; wide beside what images say.
_SCALE_PRIOR, _SHEAR_PRIOR, _SHIFT_PRIOR = 0.01, 0.1, 10.0
# Edges of grains are known to whole positions, in both scans, and go along with each other further
# than a tile: errors of 75 made pairs (3, 6 and 12 grains) were so many times those between tiles.
_OVERSURE = 2.6
# Fewer covered positions, in parts of the scan, or fewer of them that agree on their grain, is
# no alignment.
_LEAST_COVERED, _LEAST_AGREEING = 0.15, 0.6


@dataclass(frozen=True)
class Alignment:
    """A map from positions (row, column) of the first scan to those of another.

    A position p lies at matrix (p - middle) + shift + middle, of the first scan's middle.
    """

    matrix: np.ndarray  # (2, 2)
    shift: np.ndarray  # (2,)
    covariance: np.ndarray  # (6, 6) of matrix, row by row, and shift
    partner: np.ndarray  # (grain of the first,) grain of the other, -1 none
    agreeing: float  # share of covered positions of a grain that lie in its partner
    covered: float  # share of the first scan's positions that the other covers
    problem: str  # why this is no alignment, else empty

    def places(self, shape: tuple[int, int]) -> np.ndarray:
        """Places (2, y, x) in the other scan of all positions of the first."""
        return _moved(np.concatenate([self.matrix.ravel(), self.shift]), shape)

    def stderr(self, shape: tuple[int, int]) -> float:
        """Standard error of a place along one axis, root mean square over the first scan."""
        design = _design(np.indices(shape).reshape(2, -1).T - _middle(shape))
        variance = np.einsum("nai,ij,naj->na", design, self.covariance, design)
        return float(np.sqrt(variance.mean()))

    def new(self, shape: tuple[int, int], other_shape: tuple[int, int]) -> float:
        """Share of the other scan's positions that lie outside the first."""
        values = np.concatenate([self.matrix.ravel(), self.shift])
        placed = back(values, shape, np.indices(other_shape).reshape(2, -1))
        inside = (placed > -0.5) & (placed < np.array(shape)[:, None] - 0.5)
        return float(1.0 - inside.all(axis=0).mean())

    @property
    def parts(self) -> dict[str, float]:
        """How the other scan lies on the first: its turn (degrees, from rows to columns), its
        scale, and its drift (rows, columns) from one of its rows to the next."""
        back = np.linalg.inv(self.matrix)
        across, along = back.T
        scale, turn = np.hypot(*along), np.arctan2(-along[0], along[1])
        drift = across - scale * np.array([np.cos(turn), np.sin(turn)])
        return {
            "turn": float(np.degrees(turn)), "scale": float(scale),
            "drift_y": float(drift[0]), "drift_x": float(drift[1]),
        }  # fmt: skip


def align(first: Picture, other: Picture, symmetry: np.ndarray) -> Alignment:
    """Align a scan to the first.

    Parameters
    ----------
    first, other
        What both show; shapes may differ.
    symmetry
        Proper rotations (n, 4) of the parent lattice, under which all phases of a grain are one.
    """
    common = turns.common_turn(first, other, symmetry)
    common = common if abs(common) > _FAR_DEG else 0.0
    kin = turns.kin(first.rotation, other.rotation, symmetry, common)
    # Patterns may be mirrored against the scan, so that grains turn either way in it.
    tried = np.unique([*(_TURNS_DEG - common), *(_TURNS_DEG + common)])
    shift, turn, found = _search(first, other, kin, tried)
    if not found:
        return _none(first, "neither its grains nor its dark field are those of the first scan")
    values = np.concatenate([_rotation(turn).ravel(), shift])
    covariance = np.full((6, 6), np.nan)
    for blur in _BLURS:
        values, covariance = _refined(values, first, other, kin, turn, blur)
    partner = _partners(values, first, other, kin)
    agreeing, covered = _agreement(values, first, other, partner)
    problem = ""
    if covered < _LEAST_COVERED:
        problem = f"only {covered:.0%} of the first scan lies in it"
    elif agreeing < _LEAST_AGREEING:
        problem = f"only {agreeing:.0%} of the common positions lie in the same grain"
    return Alignment(
        values[:4].reshape(2, 2), values[4:], covariance, partner, agreeing, covered, problem
    )


def unmoved(first: Picture) -> Alignment:
    """The first scan on itself."""
    return Alignment(
        np.eye(2), np.zeros(2), np.zeros((6, 6)), np.arange(len(first.rotation)), 1.0, 1.0, ""
    )


def _search(
    first: Picture, other: Picture, kin: np.ndarray, tried: np.ndarray
) -> tuple[np.ndarray, float, bool]:
    """The shift and turn under which grains and dark fields overlap best, and whether any do."""
    each = max(1, -(-max(*first.label.shape, *other.label.shape) // _SEARCHED))
    small = _shrunk(other, each)
    best = (0.0, np.zeros(2), 0.0)  # overlap, shift, turn
    size = [a + b for a, b in zip(_shrunk(first, each).label.shape, small.label.shape, strict=True)]
    spectra = {
        grain: np.fft.rfft2(_kin_image(small.label, kin[grain]), size)
        for grain in np.flatnonzero(kin.any(axis=1))
    }
    dark = np.fft.rfft2(_DARK * _standard(small.dark_field), size)
    for turn in tried:
        turned = _shrunk(_turned(first, turn), each)
        total = np.conj(np.fft.rfft2(_DARK * _standard(turned.dark_field), size)) * dark
        for grain, spectrum in spectra.items():
            total = total + np.conj(np.fft.rfft2(turned.label == grain, size)) * spectrum
        overlap = np.fft.irfft2(total, size)
        at = np.unravel_index(overlap.argmax(), overlap.shape)
        if overlap[at] > best[0]:
            # Shifts beyond the other scan's size are those to the other side.
            steps = [
                s - n if s >= m else s for s, n, m in zip(at, size, small.label.shape, strict=True)
            ]
            best = (float(overlap[at]), np.array(steps, "f8") * each, float(turn))
    return best[1], best[2], best[0] > 0


def _turned(first: Picture, turn: float) -> Picture:
    """The first scan as it looks after a turn about its middle."""
    back = _rotation(turn).T
    middle = _middle(first.label.shape)
    moved = {"offset": middle - back @ middle, "order": 0, "mode": "constant"}
    label = ndimage.affine_transform(first.label, back, cval=-1, **moved)
    typical = float(np.median(first.dark_field))
    dark = ndimage.affine_transform(first.dark_field, back, cval=typical, **moved)
    return Picture(label, first.rotation, dark)


def _shrunk(picture: Picture, each: int) -> Picture:
    return Picture(
        picture.label[::each, ::each], picture.rotation, picture.dark_field[::each, ::each]
    )


def _standard(image: np.ndarray) -> np.ndarray:
    """An image about its median, in parts of its own spread, within 2 of them."""
    spread = image.std()
    return np.clip((image - np.median(image)) / spread, -2, 2) if spread > 0 else 0.0 * image


def _kin_image(label: np.ndarray, kin: np.ndarray) -> np.ndarray:
    """How well each position may be of a grain, (y, x)."""
    return np.append(kin, 0.0)[label]


def _partners(values: np.ndarray, first: Picture, other: Picture, kin: np.ndarray) -> np.ndarray:
    """The grain of the other scan that each grain of the first lies on and may be; -1 none."""
    partner = np.full(len(first.rotation), -1)
    if not kin.size:
        return partner
    there, inside = nearest(values, first.label.shape, other.label.shape)
    seen = inside & (first.label >= 0)
    one, two = first.label[seen], other.label[tuple(there[:, seen])]
    common = np.zeros(kin.shape)
    np.add.at(common, (one[two >= 0], two[two >= 0]), 1.0)
    common *= kin
    found = common.max(axis=1) > 0
    partner[found] = common.argmax(axis=1)[found]
    return partner


def _agreement(values, first: Picture, other: Picture, partner: np.ndarray) -> tuple[float, float]:
    """Shares of common positions that lie in the same grain, and of positions that are common."""
    there, inside = nearest(values, first.label.shape, other.label.shape)
    seen = inside & (first.label >= 0)
    two = other.label[tuple(there[:, seen])]
    # Positions without an answer in the other scan say nothing of where it lies.
    agreeing = (partner[first.label[seen]] == two)[two >= 0]
    return float(agreeing.mean()) if agreeing.size else 0.0, float(inside.mean())


def nearest(
    values: np.ndarray, shape: tuple[int, int], other_shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Nearest positions (2, y, x) of another scan to those of the first, and whether it has them.

    `values` are the six of an `Alignment`: its matrix, row by row, and its shift.
    """
    there = np.rint(_moved(values, shape)).astype(int)
    limit = np.array(other_shape)[:, None, None]
    inside = ((there >= 0) & (there < limit)).all(axis=0)
    return np.clip(there, 0, limit - 1), inside


def back(values: np.ndarray, shape: tuple[int, int], positions: np.ndarray) -> np.ndarray:
    """Where positions (2, n) of another scan lie on the first, to parts of a position; see
    `nearest`."""
    middle = _middle(shape)[:, None]
    return np.linalg.solve(values[:4].reshape(2, 2), positions - values[4:, None] - middle) + middle


def _moved(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Places (2, y, x) in the other scan; values are the matrix about the middle, and its shift."""
    middle = _middle(shape)
    grid = np.indices(shape).reshape(2, -1) - middle[:, None]
    moved = values[:4].reshape(2, 2) @ grid + values[4:, None] + middle[:, None]
    return moved.reshape(2, *shape)


def _middle(shape: tuple[int, int]) -> np.ndarray:
    return (np.array(shape) - 1) / 2


def _rotation(turn: float) -> np.ndarray:
    angle = np.radians(turn)
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def _refined(
    values: np.ndarray, first: Picture, other: Picture, kin: np.ndarray, turn: float, blur: float
) -> tuple[np.ndarray, np.ndarray]:
    """Values and covariance after steps of Gauss and Newton on images blurred so."""
    shape = first.label.shape
    places = np.indices(shape).reshape(2, -1).T - _middle(shape)
    design = _design(places)
    corners = _design(places[[0, shape[1] - 1, -shape[1], -1]])
    tile = (np.indices(shape) // _TILE).reshape(2, -1)
    tile = tile[0] * (tile[1].max() + 1) + tile[1]
    prior, expected = _prior(values, turn)
    covariance = np.linalg.inv(prior)
    for _ in range(_STEPS):
        partner = _partners(values, first, other, kin)
        moved = _moved(values, shape)
        normal, gradient = prior.copy(), prior @ (expected - values)
        by_tile = np.zeros((tile.max() + 1, 6))
        for residual, slope, weight in (
            *images.grain_rows(moved, first, other, partner, blur),
            *images.dark_rows(moved, first, other, partner, blur),
        ):
            jacobian = np.einsum("an,nai->ni", slope, design)
            normal += (jacobian * weight[:, None]).T @ jacobian
            each = jacobian * (weight * residual)[:, None]
            gradient += each.sum(axis=0)
            for column in range(6):
                by_tile[:, column] += np.bincount(tile, each[:, column], len(by_tile))
        step = np.linalg.solve(normal, gradient)
        values = values + step
        inverse = np.linalg.inv(normal)
        covariance = inverse @ (_OVERSURE**2 * by_tile.T @ by_tile + prior) @ inverse
        if np.abs(corners @ step).max() < _CLOSE:
            break
    return values, covariance


def _design(places: np.ndarray) -> np.ndarray:
    """How places (n, 2) move with the six numbers, (n, 2, 6)."""
    found = np.zeros((len(places), 2, 6))
    found[:, 0, 0:2] = places
    found[:, 1, 2:4] = places
    found[:, 0, 4] = found[:, 1, 5] = 1.0
    return found


def _prior(values: np.ndarray, turn: float) -> tuple[np.ndarray, np.ndarray]:
    """Normal matrix of the prior, and what it expects: the scale kept, little shear."""
    rotation = _rotation(turn)
    scale = np.zeros(6)
    scale[[1, 3]] = rotation[:, 1]
    normal = np.outer(scale, scale) / _SCALE_PRIOR**2
    normal[range(4), range(4)] += 1 / _SHEAR_PRIOR**2
    normal[[4, 5], [4, 5]] = 1 / _SHIFT_PRIOR**2
    return normal, np.concatenate([rotation.ravel(), values[4:]])


def _none(first: Picture, problem: str) -> Alignment:
    return Alignment(
        np.full((2, 2), np.nan), np.full(2, np.nan), np.full((6, 6), np.nan),
        np.full(len(first.rotation), -1), 0.0, 0.0, problem,
    )  # fmt: skip
