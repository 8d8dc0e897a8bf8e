"""Stacks of images over energy, as measured and as optical density."""

from __future__ import annotations

from phasefront.core.netcdf import Layout, Variable

_IMAGES = ("energy", "y", "x")
_ENERGY = Variable(("energy",), "f8", "eV", "photon energy, or energy loss")

STACK = Layout(
    "Images over energy, as measured",
    {
        "energy": _ENERGY,
        "counts": Variable(_IMAGES, "f4", "count", "counts in each pixel"),
        "i0": Variable(("energy",), "f8", "count", "counts without a sample, NaN where not known"),
        "i0_variance": Variable(("energy",), "f8", "count2", "its variance, 0 of what is given"),
        "dark": Variable(("energy",), "f8", "count", "counts without light"),
        "dwell": Variable(("energy",), "f8", "s", "time per pixel, NaN where not known"),
    },
    # kind is X-ray absorption, energy loss or X-ray emission. Of electrons: NaN where not known,
    # and for X-rays. i0_from says what I0 is from; pixels are distances of rows and of columns.
    # noise_factor is the variance of counts over that of Poisson's law, by empty pixels; 1 where
    # there are none.
    (
        "stack", "file", "kind", "instrument", "pixel_y_nm", "pixel_x_nm", "beam_kev",
        "convergence_mrad", "collection_mrad", "i0_from", "noise_factor", "notes",
    ),
)  # fmt: skip

DENSITY = Layout(
    "Optical density over energy, images laid on each other",
    {
        "energy": _ENERGY,
        "optical_density": Variable(
            _IMAGES, "f4", "1", "-ln of the transmission, NaN where none was measured"
        ),
        "variance": Variable(_IMAGES, "f4", "1", "of the optical density"),
        "saturated": Variable(
            _IMAGES, "i1", "1", "1 where the optical density is too high to be believed"
        ),
        "shift_y": Variable(("energy",), "f8", "pixel", "drift of an image along the rows' order"),
        "shift_x": Variable(("energy",), "f8", "pixel", "drift of an image along its rows"),
        "shift_stderr": Variable(("energy",), "f8", "pixel", "standard error of each of the two"),
    },
    # stray_share is the part of the light that no sample takes away, at most.
    (
        "stack", "pixel_y_nm", "pixel_x_nm", "instrument", "noise_factor", "max_density",
        "stray_share", "aligned",
    ),
)  # fmt: skip
