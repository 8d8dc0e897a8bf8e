"""What the mean of a map over an electrode is a sample of: the grains that it shows."""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy import ndimage

from phasefront.layouts.registration import ACCEPTED
from phasefront.registration.placement import Placement

# Fewer told positions may be specks of noise beside a grain. Chosen.
_FEWEST_TOLD = 5
_TOUCHING = np.ones((3, 3))  # by a side or a corner


def mapped_units(
    chemistry: xr.Dataset, *, particle: str | None = None, registration: xr.Dataset | None = None,
    label: np.ndarray | None = None,
) -> xr.Dataset:  # fmt: skip
    """Units (unit,) of a CHEMISTRY data set, each with its mean.

    Parameters
    ----------
    particle
        What the map is of as a whole, where somebody says so: one unit.
    registration, label
        REGISTRATION of the map and grains (y, x) of the scan that it is laid on: its units are
        these grains, if it is laid. Otherwise they are regions whose told positions touch.

    Returns
    -------
    `unit` and `agglomerate`, the name of a unit and of all that touch it; `value`, its mean weighed
    by thickness, with the `variance` by noise and the `systematic` standard error; and `amount`,
    its thickness summed over its positions (told or not), in those of the map's mean thickness.
    Attributes: `field` names what maps of the same units share, `matched` is whether names of units
    are those of other maps, too, and `pixel_area_nm2`.

    Where nothing says how thick positions are, all weigh the same.
    """
    value, noise, shared, thick = (
        chemistry[name].to_numpy()
        for name in ("value", "standard_error", "systematic_error", "thickness")
    )
    told = chemistry["mask"].to_numpy() == 1
    laid = registration is not None and registration.attrs["status"] == ACCEPTED
    field = str(chemistry.attrs["map"] if registration is None else registration.attrs["scan"])
    if particle is not None:
        field, noun = particle, "particle"
        number, touching = np.zeros(value.shape, int), np.zeros(1, int)
    elif laid:
        noun = "grain"
        number, touching = _grains(registration, label, value.shape)
    else:
        # A middle that is too dense to be told is of its region.
        number = ndimage.label(ndimage.binary_fill_holes(told), _TOUCHING)[0] - 1
        noun, touching = "region", np.arange(number.max() + 1)
    weight = _weights(thick, told)
    units, columns = [], []
    for one in range(number.max() + 1):
        own = number == one
        here = own & told
        if here.sum() < _FEWEST_TOLD or not weight[here].sum() > 0:
            continue
        part = weight[here] / weight[here].sum()
        columns.append(
            (
                (part * value[here]).sum(), ((part * noise[here]) ** 2).sum(),
                (part * shared[here]).sum(), weight[own].sum(),
            )
        )  # fmt: skip
        units.append((f"{field} {noun} {one}", f"{field} {touching[one]}"))
    names, agglomerates = zip(*units, strict=True) if units else ((), ())
    return xr.Dataset(
        {
            "unit": ("unit", list(names)), "agglomerate": ("unit", list(agglomerates)),
            **{
                name: ("unit", [float(column[at]) for column in columns])
                for at, name in enumerate(("value", "variance", "systematic", "amount"))
            },
        },
        attrs={
            "field": field, "matched": int(laid or particle is not None),
            "pixel_area_nm2": float(
                chemistry.attrs["pixel_y_nm"] * chemistry.attrs["pixel_x_nm"]
            ),
        },
    )  # fmt: skip


def _grains(
    registration: xr.Dataset, label: np.ndarray, shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Grain of the scan at the pixels of a map (y, x), -1 for none, and of each grain the number of
    the agglomerate that it is of: of grains that touch."""
    best = Placement(*(registration[name].to_numpy() for name in ("row_start", "column_step")))
    place = best.positions(shape[1]) / float(registration.attrs["scan_step_nm"])
    found = ndimage.map_coordinates(
        label, np.moveaxis(place, -1, 0), order=0, mode="constant", cval=-1
    )
    together = ndimage.label(label >= 0, _TOUCHING)[0]
    grains = np.arange(label.max() + 1)
    return found, np.array([together[label == grain].max(initial=0) for grain in grains], int)


def _weights(thick: np.ndarray, told: np.ndarray) -> np.ndarray:
    """Thickness (y, x) in parts of its mean over what is told; 1 where no thickness is known."""
    known = np.clip(np.nan_to_num(thick), 0.0, None)
    mean = known[told].mean() if told.any() else 0.0
    return known / mean if mean > 0 else np.ones(thick.shape)
