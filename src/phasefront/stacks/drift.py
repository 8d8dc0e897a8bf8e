"""How the images of a stack drift against each other, with its error, and how to take it out."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse import linalg
from threadpoolctl import threadpool_limits

from phasefront.core.errors import InputError

# Images that are first laid on each other lie so many apart: over long lags errors do not add up.
_LAGS = (1, 2, 4, 8)
_UPSAMPLING = 10  # of the first try, 0.1 pixel: the fit starts from it
_ROUNDS, _STEPS = 2, 4  # of making the mean image anew, and of Gauss's and Newton's method in each
_MOST_DRIFT = 0.5  # of the frame: beyond, less than half of the images has anything in common
_LEAST_KNOWN = 1.0  # pixel: an image whose place is not known to this is not laid anywhere
_SEEN = 5.0  # standard errors by which the mean image must be seen in an image
# Pixels over which contrast may change: more than an outline's width, which tells the shift, and
# less than chemistry changes over, which would pass for a shift. Chosen on four virtual stacks, of
# other seeds than those reported. Into how many parts at most, for speed. And how firmly contrast
# is held to the mean, in shares of the best known.
_CELL, _MOST_CELLS, _HELD = 4, 40, 1e-3
# Share of what tells a shift that must be left once contrast is free; rounding leaves 1e-16.
_LEAST_LEFT = 1e-10
_SMOOTHING = 1.0  # pixel, of the first try: noise is not to be followed
# Of splines that move images, and pixels beyond which their weights are below 1e-9.
_ORDER, _REACH = 3, 16


class Drift(NamedTuple):
    """Shift of each image against the mean one (energy, (y, x)), pixel, and its standard error.

    What is at (y, x) in the mean image is at (y, x) + shift in the image.
    """

    shift: np.ndarray
    stderr: np.ndarray


def measure_drift(images: np.ndarray, source: str | Path, energy: np.ndarray) -> Drift:
    """The drift of images whose contrast changes but whose outlines do not.

    Images are first laid on each other in pairs by cross-correlation (Guizar-Sicairos et al., Opt.
    Lett. 33, 156, 2008, as in scikit-image), then each is fitted by the mean image of the others,
    shifted, with a smooth contrast and an offset (Lucas and Kanade, IJCAI 1981). The error of the
    shift is that of this fit, whose residuals hold noise and what the mean image does not show.

    Parameters
    ----------
    images
        (energy, y, x), finite.
    source, energy
        What errors name: the stack, and the energies, eV.

    Raises
    ------
    InputError
        The images drift by more than half of the frame, or one shows nothing to lay it by.
    """
    number, *frame = images.shape
    if number == 1:
        return Drift(np.zeros((1, 2)), np.zeros(1))
    if min(frame) < 8:  # pixels: no outline is in less
        raise InputError(
            source, f"images of {frame[0]} x {frame[1]} pixels are too small to be aligned",
            remedy="set stacks.align to false",
        )  # fmt: skip
    blank = images.std(axis=(1, 2)) == 0
    if blank.any():
        raise _unplaced(source, energy[blank][0], np.inf)
    with threadpool_limits(1, user_api="blas"):  # sums in one order, whatever the cores
        shift, stderr = _placed(images, source)
    _refuse_large(shift, frame, source)
    if not (stderr < _LEAST_KNOWN).all():
        worst = int(np.argmax(np.nan_to_num(stderr, nan=np.inf)))
        raise _unplaced(source, energy[worst], stderr[worst])
    return Drift(shift, stderr)


def _placed(images: np.ndarray, source: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Shifts (energy, 2) with the mean 0, and their standard errors, infinite where untold."""
    number, *frame = images.shape
    shift = _by_pairs(images)
    stderr = np.zeros(number)
    for _ in range(_ROUNDS):
        _refuse_large(shift, frame, source)
        placed = np.stack([laid(one, move) for one, move in zip(images, shift, strict=True)])
        total = placed.sum(axis=0)
        for at in range(number):
            # Of the others: with itself among them, an image would lie where it lay, by its noise.
            others = (total - placed[at]) / (number - 1)
            shift[at], stderr[at] = _fit(images[at], others, shift[at])
        shift -= np.average(shift, axis=0)
    return shift, stderr


def _unplaced(source: str | Path, energy: float, stderr: float) -> InputError:
    return InputError(
        source, f"the image at {energy:g} eV shows nothing that tells where it lies (to"
        f" {stderr:.2g} pixel)", field="drift",
        remedy="leave it out, or set stacks.align to false where the images do not drift",
    )  # fmt: skip


def _refuse_large(shift: np.ndarray, frame: list[int], source: str | Path) -> None:
    span = np.ptp(shift, axis=0)
    if not np.isfinite(shift).all() or (span > _MOST_DRIFT * np.array(frame)).any():
        raise InputError(
            source, f"its images drift by {span[0]:.0f} x {span[1]:.0f} pixels, more than half of"
            f" the frame of {frame[0]} x {frame[1]}", field="drift",
            remedy="lay the images on each other by hand and set stacks.align to false",
        )  # fmt: skip


def _by_pairs(images: np.ndarray) -> np.ndarray:
    """Shifts (energy, 2) with the mean 0, by least squares from pairs of images."""
    from skimage.registration import phase_cross_correlation

    smooth = ndimage.gaussian_filter(images, (0, _SMOOTHING, _SMOOTHING))
    smooth = smooth - smooth.mean(axis=(1, 2), keepdims=True)
    rows, measured = [], []
    for lag in _LAGS:
        for at in range(len(images) - lag):
            found = phase_cross_correlation(
                smooth[at], smooth[at + lag], upsample_factor=_UPSAMPLING, normalization=None
            )[0]
            row = np.zeros(len(images))
            row[at], row[at + lag] = 1, -1
            rows.append(row)
            measured.append(found)
    rows, measured = np.array(rows), np.array(measured)
    shift = np.linalg.lstsq(rows, measured, rcond=None)[0]
    # Once more without the pairs that contradict the others: one false match moves many images.
    left = np.hypot(*(measured - rows @ shift).T)
    kept = left <= max(3 * np.median(left), 1.0)
    shift = np.linalg.lstsq(rows[kept], measured[kept], rcond=None)[0]
    return shift - shift.mean(axis=0)


def _fit(image: np.ndarray, mean: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, float]:
    """Shift of an image against the mean one, and its standard error, pixel.

    The image is the mean one, moved, times a contrast that changes smoothly over the frame. With
    one contrast for all, a grain whose ends absorb at other energies would seem to move from one
    energy to the next: towards the end that absorbs more. Contrast has as many unknowns as there
    are cells, and is eliminated (Schur's complement) before the three others are solved for.
    """
    shift = start.copy()
    margin = [
        min(int(np.ceil(abs(m))) + 2, size // 3) for m, size in zip(shift, image.shape, strict=True)
    ]
    inside = tuple(slice(m, -m) for m in margin)
    values = image[inside].ravel()
    hats = _hats(image[inside].shape)
    contrast = None
    for _ in range(_STEPS):
        model = ndimage.shift(mean, shift, order=3, mode="nearest")
        slope = [-one[inside].ravel() for one in np.gradient(model)]
        model = model[inside].ravel()
        whole, seen = _scaled(values, model)
        if not seen:
            return shift, np.inf
        contrast = np.full(len(values), whole) if contrast is None else contrast
        few = np.stack([np.ones(len(values)), *(contrast * one for one in slope)], axis=1)
        weighed = hats.multiply(model[:, None]).tocsc()
        normal = (weighed.T @ weighed).tocsc()
        # Where there is no sample the contrast is that of the whole image.
        held = _HELD * normal.diagonal().max()
        solver = linalg.splu(normal + held * sparse.eye_array(normal.shape[0], format="csc"))
        off = values - whole * model
        of_few = weighed.T @ few
        eliminated = solver.solve(np.column_stack([of_few, weighed.T @ off]))
        plain = few.T @ few
        left_of = plain - of_few.T @ eliminated[:, :-1]
        size = np.sqrt(plain.diagonal())
        if not (size > 0).all() or _least(left_of / np.outer(size, size)) < _LEAST_LEFT:
            return shift, np.inf  # no outlines at all
        solved = np.linalg.solve(left_of, few.T @ off - of_few.T @ eliminated[:, -1])
        parts = eliminated[:, -1] - eliminated[:, :-1] @ solved
        contrast = whole + hats @ parts
        shift = shift + np.clip(solved[1:], -1, 1)
    left = off - weighed @ parts - few @ solved
    freedom = left.size - hats.shape[1] - len(solved)
    covariance = left @ left / freedom * np.linalg.inv(left_of)
    return shift, float(np.sqrt(covariance[1:, 1:].trace() / 2))


def _least(matrix: np.ndarray) -> float:
    return float(np.linalg.eigvalsh(matrix)[0])


def _scaled(values: np.ndarray, model: np.ndarray) -> tuple[float, bool]:
    """Scale of a model in values, beside a constant, and whether it stands out of what is left."""
    centred = model - model.mean()
    power = centred @ centred
    if not power > 0:
        return 0.0, False
    scale = centred @ values / power
    left = values - values.mean() - scale * centred
    return float(scale), bool(scale > _SEEN * np.sqrt(left @ left / (left.size - 2) / power))


def _hats(shape: tuple[int, int]) -> sparse.csr_array:
    """Piecewise linear functions (pixel, function) on a coarse grid over a frame, adding to 1."""
    axes = []
    for size in shape:
        cells = int(np.clip(size // _CELL, 1, _MOST_CELLS))
        place = np.linspace(0, cells, size)[:, None]
        axes.append(sparse.csr_array(np.clip(1 - np.abs(place - np.arange(cells + 1)), 0, None)))
    return sparse.kron(*axes, format="csr")


def laid(image: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """An image moved back by its shift, by cubic splines; values at the edge continue."""
    return ndimage.shift(image, -shift, order=_ORDER, mode="nearest")


def lay_counts(counts: np.ndarray, shift: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Images moved back by their shifts, and what this does to the variance of counts.

    By cubic splines: linear interpolation blurs each image by another part of a pixel, which
    changes spectra at outlines. Each pixel is a weighted sum of pixels whose counts are
    independent, so that variances take the weights' squares. Neighbours share counts afterwards.

    Returns counts (energy, y, x), NaN beyond the frame, and the sum of weights' squares at each
    energy, 1 without a shift and about 1/2 half way between four pixels.
    """
    moved = np.stack(
        [
            ndimage.shift(one, -move, order=_ORDER, mode="constant", cval=np.nan)
            for one, move in zip(counts, shift, strict=True)
        ]
    )
    one = np.zeros(2 * _REACH + 1)
    one[_REACH] = 1.0
    squares = [
        [(ndimage.shift(one, -part, order=_ORDER) ** 2).sum() for part in move]
        for move in shift - np.round(shift)
    ]
    return moved, np.prod(squares, axis=1)
