"""Points that a person found in both images: half of them help to lay the map, half test it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from phasefront.core.errors import InputError
from phasefront.registration.laying import Laid, Status

_COLUMNS = ("row", "column", "y_nm", "x_nm", "error_nm")
# Chance below which so many landmarks outside their regions of 95 % refuse a map; chosen.
_REFUSED_BELOW = 0.01
# Squared distance, in standard errors, within which 95 % of a normal error in two dimensions lies.
_WITHIN_95 = -2 * np.log(0.05)


@dataclass(frozen=True)
class Tested:
    """What landmarks that were left out say of a placement.

    `off_nm` (n,) is how far each lies from where the draws put it on average, `expected_nm` (n,)
    the root mean square of that by the draws and the landmark's own error, `held` (n,) whether the
    region of 95 % holds it.
    """

    off_nm: np.ndarray
    expected_nm: np.ndarray
    held: np.ndarray


def read_landmarks(path: str | Path) -> np.ndarray:
    """Landmarks (n, 5) of a text file with a head: row and column in the map from 0, y and x in nm
    on the scan from its first position, standard error in nm along each axis.

    Raises InputError for a file that is no such table, or has fewer than two landmarks.
    """
    remedy = f"give a table with the columns {', '.join(_COLUMNS)}, a row a landmark"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # of rows longer than the head
            table = pd.read_csv(
                path, sep=r"\s*[,;\t]\s*|\s+", engine="python", comment="#", index_col=False
            )  # fmt: skip
    except (ValueError, pd.errors.ParserWarning) as error:  # no text in UTF-8, nothing, ragged rows
        raise InputError(path, f"not a table ({error})", remedy=remedy) from None
    if missing := [name for name in _COLUMNS if name not in table.columns]:
        raise InputError(path, f"there is no column {missing[0]!r}", remedy=remedy)
    numbers = table[list(_COLUMNS)].apply(pd.to_numeric, errors="coerce").to_numpy("f8")
    if not np.isfinite(numbers).all():
        row = int(np.argwhere(~np.isfinite(numbers).all(axis=1))[0, 0]) + 1
        raise InputError(path, "a cell holds no number", field=f"row {row}", remedy=remedy)
    if len(numbers) < 2:
        raise InputError(
            path, "half of the landmarks lay a map, the others test it, and there are fewer than"
            " two", remedy="add some, far apart, or leave the file out",
        )  # fmt: skip
    return numbers


def settle(laid: Laid, tested: Tested) -> Laid:
    """The same, refused where more of the landmarks that were left out lie outside their regions
    than chance would have."""
    outside = int((~tested.held).sum())
    chance = stats.binom.sf(outside - 1, len(tested.held), 0.05)
    if laid.status != Status.ACCEPTED or not outside or chance >= _REFUSED_BELOW:
        return laid
    why = (
        f"{outside} of {len(tested.held)} landmarks that were left out lie elsewhere, up to"
        f" {tested.off_nm.max():.0f} nm off"
    )
    return replace(laid, status=Status.REFUSED, why=why)


def split(landmarks: np.ndarray, source: str) -> tuple[np.ndarray, np.ndarray]:
    """Landmarks (n, 5) to be used, every other one from the first, and those that test.

    Raises InputError for errors that are not positive, and what is not known.
    """
    given = np.asarray(landmarks, "f8").reshape(-1, 5)
    if not np.isfinite(given).all() or (given[:, 4] <= 0).any():
        raise InputError(
            source, "a landmark lacks a place or has no positive error", field="landmarks",
            remedy="give row and column in the map, y and x in nm on the scan, and an error in nm",
        )  # fmt: skip
    return given[::2], given[1::2]


def examine(laid: Laid, left_out: np.ndarray) -> Tested:
    """How far landmarks (n, 5) that were not used lie from where the map was laid."""
    places = np.array([one.at(left_out[:, :2]) for one in laid.draws])
    mean = places.mean(axis=0)
    spread = places - mean
    covariance = np.einsum("dni,dnj->nij", spread, spread) / (len(places) - 1)
    covariance = covariance + left_out[:, 4, None, None] ** 2 * np.eye(2)
    off = left_out[:, 2:4] - mean
    inverse = np.linalg.inv(covariance)
    distance = np.einsum("ni,nij,nj->n", off, inverse, off)
    return Tested(
        np.hypot(*off.T), np.sqrt(np.trace(covariance, axis1=1, axis2=2)), distance <= _WITHIN_95
    )
