"""Calibration of a scan: beam centre per position, ellipse and scale, with standard errors.

The scale and the ellipse come from the scan itself: spots of many patterns, whose orientations are
already known roughly, are fitted jointly against every candidate crystal; or from a standard.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import xarray as xr

from phasefront.calibration import solution
from phasefront.calibration.affine import AffineFit
from phasefront.calibration.centres import Geometry
from phasefront.calibration.indexed_fit import index_and_fit, require_sense
from phasefront.calibration.solution import binned
from phasefront.core import netcdf
from phasefront.diffraction.optics import LENSES_SET_ANEW
from phasefront.layouts.spots import DISTORTION_ERRORS, SPOTS
from phasefront.spots import detection

LEAST_PATTERNS = 3  # with spots; chosen: fewer say nothing that the nominal scale does not


def calibrate(
    scan,
    *,
    name: str,
    crystals: Sequence,
    templates: xr.Dataset,
    scale_nominal: float,
    scale_search: float = 0.02,
    patterns: int = 250,
    false_alarms: float = 0.1,
) -> xr.Dataset:
    """Calibrate a raw scan from itself: one pass over the file, and a few rows before.

    Parameters
    ----------
    scan
        `scans.Scan`.
    name
        Identifier of the scan.
    crystals, templates
        Candidate phases and their TEMPLATES dataset.
    scale_nominal
        1/angstrom per pixel, right to within `scale_search`.
    patterns
        Number of patterns, spread over the scan, that scale and ellipse are fitted on.

    Returns
    -------
    CALIBRATION dataset.

    Raises
    ------
    InputError
        Values that are not finite, a hidden beam whose place pairs of spots do not tell, too few
        patterns that can be indexed, spots on one side only, or a fit that `fit_affine` refuses.

    Where fewer than three patterns have six spots, the scale stays nominal, as in
    `calibrate_centres`.
    """
    geometry = Geometry.measure(scan, 4 * patterns)
    sampled = {"false_alarms": false_alarms, "scale_search": scale_search}
    nominal = sampled_spots(geometry, scale_nominal, patterns, templates, **sampled)
    if nominal["count"].size < LEAST_PATTERNS:
        found = f"{nominal['count'].size} of {len(geometry.sample)} patterns"
        return geometry.nominal(
            name, scale_nominal, f"nominal scale: {found} have enough spots", scale_search
        )
    fit = index_and_fit(nominal.assign_attrs(scan=name), crystals, templates, scale_search)
    require_sense(fit, name)
    return fitted(
        geometry, fit, scale_nominal,
        {
            "scan": name, "method": "spots of the scan against its candidate phases",
            "scale_search": scale_search,
            "error_kind": f"scatter of {fit.grains} grain(s), with what virtual scans tell of few",
        },
    )  # fmt: skip


def fitted(
    geometry: Geometry, fit: AffineFit, scale_nominal: float, attributes: dict
) -> xr.Dataset:
    """CALIBRATION of a scan by a fit to nominal spots; `attributes` go beside those of the fit."""
    affine = scale_nominal * fit.matrix
    return geometry.dataset(
        affine=affine,
        affine_covariance=scale_nominal**2 * fit.covariance[:3, :3],
        shift=np.linalg.solve(affine, fit.shift),
        shift_variance=np.trace(fit.covariance[3:5, 3:5]) / 2 / scale_nominal**2,
        outward=fit.outward / scale_nominal**2,
        outward_stderr=math.sqrt(fit.covariance[5, 5]) / scale_nominal**2,
        residuals=binned(
            fit.q / scale_nominal, np.linalg.solve(affine, fit.residual.T).T, geometry.mask.shape
        ),
        attributes=attributes | {
            "spots_used": fit.spots_used, "residual_rms": fit.sigma,
            "patterns_used": fit.patterns_used, "grains_used": fit.grains,
            "phase_share": fit.phase_share, "evidence": fit.evidence,
            "scale_nominal": scale_nominal,
        },
    )  # fmt: skip


def calibrate_centres(
    scan, *, name: str, scale_nominal: float, scale_search: float = 0.02
) -> xr.Dataset:
    """Centres, radii and usable pixels of a scan whose phases are not known; the scale is nominal.

    Like `calibrate`, but affine is `scale_nominal` times the identity. Its errors say that scale
    and both parts of the ellipse are known to within `scale_search` and no better.
    """
    return Geometry.measure(scan, 64).nominal(name, scale_nominal, "nominal scale", scale_search)


def calibrate_with_standard(scan, *, name: str, standard: xr.Dataset) -> xr.Dataset:
    """Centres, radii and usable pixels from the scan; scale and ellipse from a standard.

    `standard` is a CALIBRATION dataset of the same camera, such as `rings.calibrate_rings` gives.
    Its errors are joined by what lenses that are set anew change (`optics.LENSES_SET_ANEW`).
    """
    found = calibrate_centres(scan, name=name, scale_nominal=standard["scale"].item())
    of_camera = ("affine", "affine_stderr", "scale", "scale_stderr")
    of_ellipse = ("ellipse_ratio", "ellipse_ratio_stderr", "ellipse_angle")
    of_residuals = ("residual_y", "residual_x", "residual_count")
    return solution.widened(
        found.drop_vars(["bin_y", "bin_x"])
        .assign(
            {variable: standard[variable] for variable in of_camera + of_ellipse + of_residuals}
        )
        .assign_attrs(
            method=standard.attrs["method"], residual_rms=standard.attrs["residual_rms"],
            error_kind=f"{standard.attrs['error_kind']}, and {100 * LENSES_SET_ANEW:g} % for "
            "lenses set anew",
        ),
        LENSES_SET_ANEW,
    )  # fmt: skip


def sampled_spots(
    geometry: Geometry, scale: float, patterns: int, templates: xr.Dataset, *,
    scale_search: float, false_alarms: float,
) -> xr.Dataset:  # fmt: skip
    """Spots in nominal 1/angstrom of the sample's patterns, spread evenly, that have enough.

    `scale` is the nominal one; no more than `patterns` are taken.
    """
    found = detection.find_pixel_spots(
        geometry.sample, geometry.sample_centres, spot_radius=geometry.spot_radius,
        beam_radius=geometry.beam_radius, mask=geometry.mask, false_alarms=false_alarms,
        dark=geometry.dark,
    )  # fmt: skip
    centres = geometry.sample_centres
    of = np.repeat(np.arange(len(centres)), np.diff(found.offset))
    qx = scale * (found.x - centres[of, 1])
    qy = scale * (found.y - centres[of, 0])
    near = np.hypot(qx, qy) <= float(templates.attrs["max_radius"])
    count = np.bincount(of[near], minlength=len(centres))
    chosen = spread(np.flatnonzero(count >= 6), patterns)
    keep = near & np.isin(of, chosen)
    return spots_dataset(
        count[chosen], qx[keep], qy[keep], found.intensity[keep], found.variance[keep],
        solution.error_within(scale_search),
    )  # fmt: skip


def spread(places: np.ndarray, wanted: int) -> np.ndarray:
    if len(places) <= wanted:
        return places
    return places[np.linspace(0, len(places) - 1, wanted).round().astype(int)]


def spots_dataset(count, qx, qy, intensity, variance, error) -> xr.Dataset:
    return netcdf.build(
        SPOTS,
        {
            "count": np.asarray(count)[None],
            "offset": np.concatenate([[0], np.cumsum(count)]),
            "qx": qx,
            "qy": qy,
            "intensity": intensity,
            "variance": variance,
            **dict.fromkeys(DISTORTION_ERRORS, error),
        },
        {"scan": "", "scan_step_nm": np.nan},
    )
