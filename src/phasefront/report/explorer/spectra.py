"""Spectra of a map's pixels with their fits, for the positions of the scan that it lies on."""

from __future__ import annotations

import math

import numpy as np
import xarray as xr

from phasefront.layouts.chemistry import SPECTRA
from phasefront.registration.result import pixels_of_scan, placements
from phasefront.report.explorer.packing import COARSE, Packed, pack

# Numbers of one map's spectra, about 2.5 characters of the page each: 1.5 MB. Chosen.
ROOM = 600_000
_BITS = 12  # of densities and counts: 0.01 %, less than any noise


def facts(spectra: xr.Dataset) -> dict:
    """What explorer.js calls the spectra of a map."""
    SPECTRA.check(spectra, "spectra")
    return {
        "quantity": str(spectra.attrs["quantity"]), "unit": str(spectra.attrs["unit"]),
        "note": str(spectra.attrs["note"]), "parts": list(map(str, spectra["part"].to_numpy())),
    }  # fmt: skip


def arrays(
    spectra: xr.Dataset, registration: xr.Dataset, shown: np.ndarray, room: int = ROOM
) -> dict[str, Packed]:
    """Spectra of the pixels that lie, by the likeliest placement, nearest to positions.

    Parameters
    ----------
    spectra, registration
        SPECTRA and REGISTRATION of one map.
    shown
        Positions (y, x) of the scan at which the map's quantity is known.
    room
        How many numbers there may be. Where pixels have more, only every second, third ... row and
        column of the map is there, and positions have the nearest of these.

    `pixel` (y, x) numbers the pixels, -1 where there is none; `pixel_row` and `pixel_column` say
    which they are; `measured` and `measured_stderr` are (pixel, energy), `model` is (pixel, part,
    energy).
    """
    model = spectra["model"].to_numpy()
    fitted = np.isfinite(model).all(axis=(0, 1))
    placement = placements(registration)[0]
    at = pixels_of_scan(placement, shown.shape, float(registration.attrs["scan_step_nm"]))
    each = (model.shape[0] + 2) * model.shape[1]
    # Every `apart`-th row and column has one pixel in its square.
    apart = 1
    while (found := _pixels(at, fitted, shown, apart))[1].shape[0] * each > room:
        apart = max(apart + 1, math.isqrt(found[1].shape[0] * each // room))
    pixel, (row, column) = found[0], found[1].T
    measured, stderr = (
        spectra[name].to_numpy()[:, row, column].T for name in ("measured", "measured_stderr")
    )
    return {
        "pixel": pack(pixel, "i4"), "pixel_row": pack(row, "i4"),
        "pixel_column": pack(column, "i4"), "energy": pack(spectra["energy"].to_numpy(), "f4"),
        "measured": pack(measured, "f4", bits=_BITS),
        "measured_stderr": pack(stderr, "f4", bits=COARSE),
        "model": pack(np.moveaxis(model[:, :, row, column], 2, 0), "f4", bits=_BITS),
    }  # fmt: skip


def _pixels(
    at: np.ndarray, fitted: np.ndarray, shown: np.ndarray, apart: int
) -> tuple[np.ndarray, np.ndarray]:
    """Numbers (y, x) of the nearest kept pixels, -1 where these are not fitted, and the pixels
    (n, 2), sorted."""
    last = np.array(fitted.shape) - 1
    pixel = np.rint(at)
    inside = shown & (pixel >= 0).all(axis=-1) & (pixel <= last).all(axis=-1)
    nearest = np.minimum(np.rint(at / apart).astype(int), last // apart) * apart
    inside[inside] = fitted[tuple(nearest[inside].T)]
    kept, number = np.unique(nearest[inside], axis=0, return_inverse=True)
    pixel = np.full(shown.shape, -1)
    pixel[inside] = number.ravel()
    return pixel, kept.reshape(-1, 2)
