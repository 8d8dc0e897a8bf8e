"""Calibration of a scan: beam centre per position, ellipse and scale, with standard errors.

The scale and the ellipse come from the scan itself: spots of many patterns, whose orientations are
already known roughly, are fitted jointly against every candidate crystal; or from a standard.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from phasefront import beam, friedel, layouts, netcdf, spots
from phasefront.affine import (
    AffineFit,
    corrected,
    fit_affine,
    propagate,
    ratio_of,
    scale_of,
    shape_of,
)
from phasefront.errors import InputError
from phasefront.scans import sample_rows

_SAMPLE_BYTES = 128 * 2**20  # of patterns held at once to fit scale and ellipse
_OVERVIEW = 256  # patterns of which a low quantile is taken
_HIDDEN_SPOT = 3.0  # of a spot in pixels, before it is measured
# How far from its start a hidden beam is sought, pixels; again about the surface that was found.
_HIDDEN_REACHES = (6.0, 3.0, 2.0)
_LEAST_CENTRES = 3  # patterns that show it then
_MOST_SCATTER = 0.08  # of their centres about the surface, in spot radii
_LOOSE = 0.5  # pixels that centres of a beam that is seen scatter at most
_SECTOR_DEG, _EMPTY = 15, 0.1  # width of a sector; spots in an empty one, of the mean
_BINS = 12  # a side of the map of residuals over the camera
_LEAST_IN_BIN = 15
_INDEXED_SCALES = 0.03  # relative; further apart than this, indexing fails in between
_INDEXINGS = 4  # of the sample, at most
_SETTLED = 0.001  # relative; a scale that moves less from one indexing to the next is the answer
_LEAST_PATTERNS = 3  # with spots; fewer say nothing that the nominal scale does not


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

    Where fewer than three patterns have six spots, the scale stays nominal, without an error.
    """
    geometry = _Geometry.measure(scan, 4 * patterns)
    found = spots.find_pixel_spots(
        geometry.sample, geometry.sample_centres, spot_radius=geometry.spot_radius,
        beam_radius=geometry.beam_radius, mask=geometry.mask, false_alarms=false_alarms,
    )  # fmt: skip
    nominal = _nominal_spots(
        found,
        geometry.sample_centres,
        scale_nominal,
        patterns,
        float(templates.attrs["max_radius"]),
    )
    if nominal["count"].size < _LEAST_PATTERNS:
        found = f"{nominal['count'].size} of {len(geometry.sample)} patterns"
        return geometry.nominal(name, scale_nominal, f"nominal scale: {found} have enough spots")
    fit = index_and_fit(nominal.assign_attrs(scan=name), crystals, templates, scale_search)
    _require_sense(fit, name)
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
        attributes={
            "scan": name, "method": "spots of the scan against its candidate phases",
            "spots_used": fit.spots_used, "residual_rms": fit.sigma,
            "patterns_used": fit.patterns_used, "grains_used": fit.grains,
            "phase_share": fit.phase_share, "evidence": fit.evidence,
            "scale_nominal": scale_nominal, "scale_search": scale_search,
            "error_kind": f"scatter of {fit.grains} grain(s), with what virtual scans tell of few",
        },
    )  # fmt: skip


def calibrate_centres(scan, *, name: str, scale_nominal: float) -> xr.Dataset:
    """Centres, radii and usable pixels of a scan whose phases are not known; the scale is nominal.

    Like `calibrate`, but affine is `scale_nominal` times the identity and its errors are NaN.
    """
    return _Geometry.measure(scan, 64).nominal(name, scale_nominal, "nominal scale")


def calibrate_with_standard(scan, *, name: str, standard: xr.Dataset) -> xr.Dataset:
    """Centres, radii and usable pixels from the scan; scale and ellipse from a standard.

    `standard` is a CALIBRATION dataset of the same camera, such as `rings.calibrate_rings` gives.
    """
    found = calibrate_centres(scan, name=name, scale_nominal=standard["scale"].item())
    of_camera = ("affine", "affine_stderr", "scale", "scale_stderr")
    of_ellipse = ("ellipse_ratio", "ellipse_ratio_stderr", "ellipse_angle")
    of_residuals = ("residual_y", "residual_x", "residual_count")
    return (
        found.drop_vars(["bin_y", "bin_x"])
        .assign(
            {variable: standard[variable] for variable in of_camera + of_ellipse + of_residuals}
        )
        .assign_attrs(method=standard.attrs["method"], residual_rms=standard.attrs["residual_rms"])
    )


@dataclass(frozen=True)
class _Geometry:
    """What a scan says about beam and camera, without any crystal; lengths in pixels."""

    centres: np.ndarray  # fitted surface (ny, nx, 2)
    residual: np.ndarray
    stderr: float
    probe_radius: float
    spot_radius: float
    beam_radius: float
    mask: np.ndarray
    sample: np.ndarray  # patterns spread over the scan
    sample_centres: np.ndarray
    centre_from: str  # in words

    @classmethod
    def measure(cls, scan, wanted: int) -> _Geometry:
        mean, low = _overview(scan)
        if mean.max() <= mean.min():
            raise InputError(
                scan.path, f"every pixel of the mean pattern is {mean.max():g}",
                remedy="check the camera's acquisition and export the scan again",
            )  # fmt: skip
        found = beam.find_beam(mean)
        start = (found.row, found.column)
        mask = beam.usable_pixels(mean, start, low_pattern=low, hidden=found.hidden)
        if not found.hidden and beam.is_seen_through(mask, found):
            found = beam.covered(mean)
        if found.hidden:
            return cls._of_hidden(scan, found, mean, low, wanted)
        measured, sample, places = _centres_and_sample(
            scan, lambda _, flat: beam.find_centres(flat, start, radius=found.radius, mask=mask),
            wanted,
        )  # fmt: skip
        if not np.isfinite(measured).any():
            measured = np.broadcast_to(np.array(start), measured.shape)
        geometry = cls._of_centres(measured, sample, places, found.radius, mask)
        if geometry.scatter() > _LOOSE:
            # What was followed may be the rim of a stop; pairs of spots agree better then.
            try:
                return cls._of_hidden(scan, beam.covered(mean), mean, low, wanted)
            except InputError:
                return geometry
        return geometry

    @classmethod
    def _of_hidden(cls, scan, found: beam.Beam, mean, low, wanted: int) -> _Geometry:
        """Centres from Friedel pairs, on a sample first: the surface through these starts the rest.

        The beam's radius is that of the shadow, and nothing is looked for inside it.
        """
        shape = (*scan.shape[:2], 2)
        sample, places = _sample(scan, wanted)
        mask = beam.usable_pixels(mean, found[:2], low_pattern=low, hidden=True)
        voted = friedel.vote_centres(
            sample, found[:2], spot_radius=_HIDDEN_SPOT, beam_radius=2 * _HIDDEN_SPOT, mask=mask
        )
        found = beam.likeliest(mean, np.concatenate([[found[:2]], voted]))
        mask = beam.usable_pixels(mean, found[:2], low_pattern=low, hidden=True)
        start = np.broadcast_to(found[:2], shape)
        for reach in _HIDDEN_REACHES:
            at = start.reshape(-1, 2)[places]
            spot_radius = beam.measure_spot_radius(
                *_few(sample, at), probe_radius=found.radius, mask=mask
            )
            sizes = {
                "spot_radius": spot_radius, "beam_radius": found.radius + spot_radius, "mask": mask
            }  # fmt: skip
            measured = np.full((scan.shape[0] * scan.shape[1], 2), np.nan)
            measured[places] = friedel.find_centres(sample, at, reach=reach, **sizes)
            known = int(np.isfinite(measured).all(axis=1).sum())
            if known < _LEAST_CENTRES:
                raise InputError(
                    scan.path, "the direct beam is hidden, and only "
                    f"{known} of {len(sample)} patterns show three pairs of spots about one centre",
                    field="beam centre",
                    remedy="move the beam stop aside, or record crystals that show both sides",
                )  # fmt: skip
            start = beam.fit_surface(measured.reshape(shape))[0]
        measured, sample, places = _centres_and_sample(
            scan,
            lambda rows, flat: friedel.find_centres(
                flat, start[rows].reshape(-1, 2), reach=reach, **sizes
            ),
            wanted,
        )
        geometry = cls._of_centres(measured, sample, places, found.radius, mask, seen=False)
        if not geometry.scatter() < _MOST_SCATTER * geometry.spot_radius:
            raise InputError(
                scan.path, "the direct beam is hidden, and pairs of spots of different patterns "
                f"disagree on its place by {geometry.scatter():.2g} pixels", field="beam centre",
                remedy="move the beam stop aside, or scan a field with more crystals",
            )  # fmt: skip
        return geometry

    @classmethod
    def _of_centres(cls, measured, sample, places, probe_radius, mask, seen=True) -> _Geometry:
        # Centres of single pairs are too few and too rough to be followed one by one.
        centres, residual, stderr = beam.fit_surface(
            measured, radius=probe_radius if seen else math.inf
        )
        at = centres.reshape(-1, 2)[places]
        few, at_few = _few(sample, at)
        spot_radius = beam.measure_spot_radius(few, at_few, probe_radius=probe_radius, mask=mask)
        beam_radius = beam.measure_beam_radius(
            few, at_few, probe_radius=probe_radius, spot_radius=spot_radius, mask=mask
        )
        return cls(
            centres, residual, stderr, probe_radius, spot_radius, beam_radius, mask, sample, at,
            "direct beam" if seen else "Friedel pairs of spots, the beam being hidden",
        )  # fmt: skip

    def nominal(self, name: str, scale: float, method: str) -> xr.Dataset:
        """CALIBRATION with a scale and ellipse that nothing was measured of."""
        return self.dataset(
            affine=scale * np.eye(2), affine_covariance=np.full((3, 3), np.nan), shift=np.zeros(2),
            residuals=binned(np.empty((0, 2)), np.empty((0, 2)), (2, 2)),
            attributes={"scan": name, "method": method, "spots_used": 0, "residual_rms": np.nan},
        )  # fmt: skip

    def scatter(self) -> float:
        """Median distance of measured centres from the surface through them, pixels."""
        return float(np.nanmedian(self.residual))

    def dataset(self, *, shift, attributes, shift_variance=0.0, **fitted) -> xr.Dataset:
        return dataset(
            attributes=attributes | {"centre_from": self.centre_from},
            centres=self.centres + shift[::-1], residual=self.residual,
            error=math.sqrt(self.stderr**2 + shift_variance), probe_radius=self.probe_radius,
            spot_radius=self.spot_radius, beam_radius=self.beam_radius, mask=self.mask, **fitted,
        )  # fmt: skip


def index_and_fit(
    found: xr.Dataset, crystals: Sequence, templates: xr.Dataset, scale_search: float
) -> AffineFit:
    """Orientations of nominal spots by template matching, then `fit_affine` on them.

    They are indexed at several scales around the nominal one, as orientations found at a wrong
    scale may hold the fit there, and then again as the fit corrects them, until that leaves the
    scale where it was.

    Raises
    ------
    InputError
        As `fit_affine` does, or if the scale does not settle.
    """
    number = math.ceil(scale_search / _INDEXED_SCALES)
    offsets = _INDEXED_SCALES * np.arange(-number, number + 1)
    seen = [found.assign(qx=(1 + s) * found["qx"], qy=(1 + s) * found["qy"]) for s in offsets]
    scales = []
    for _ in range(_INDEXINGS):
        fit = _index_and_fit(found, seen, crystals, templates, scale_search)
        scales.append(scale_of(fit.matrix))
        if len(scales) > 1 and abs(scales[-1] - scales[-2]) < _SETTLED:
            return fit
        seen = [corrected(found, fit)]
    raise InputError(
        found.attrs["scan"],
        f"the scale does not settle, at {100 * (scales[-2] - 1):+.2f} % and then "
        f"{100 * (scales[-1] - 1):+.2f} % off the nominal one",
        field="scale", remedy="check the candidate phases and the nominal scale, or take "
        "calibration: {method: standard} or {method: nominal}",
    )  # fmt: skip


def _index_and_fit(found, seen, crystals, templates, scale_search) -> AffineFit:
    """Fit of the spots `found` to what indexing makes of them as each of `seen`."""
    from phasefront.orientations import find_orientations

    indexed = [
        find_orientations(spots, templates, crystals, n_best=2, min_spots=6,
            scale_sigma=scale_search / 2, centre_sigma=0.003,
        )["rotation"]
        for spots in seen
    ]  # fmt: skip
    orientations = xr.concat(indexed, dim="rank").to_dataset()
    return fit_affine(
        found, orientations, crystals, scale_search=scale_search,
        voltage_kv=float(templates.attrs["voltage_kv"]),
        precession_deg=float(templates.attrs["precession_deg"]),
    )  # fmt: skip


def _require_sense(fit: AffineFit, name: str) -> None:
    """Refuse a fit whose spots lie on one side."""
    angle = np.degrees(np.arctan2(*fit.q[np.isfinite(fit.residual).all(axis=1)].T[::-1])) % 360
    share = np.bincount((angle // _SECTOR_DEG).astype(int), minlength=360 // _SECTOR_DEG)
    empty = share < _EMPTY * share.mean()
    run = longest = 0
    for one in np.concatenate([empty, empty]):
        run = run + 1 if one else 0
        longest = max(longest, run)
    if min(longest, empty.size) * _SECTOR_DEG >= 180:
        raise InputError(
            name, "all spots lie on one side of the beam's centre, where scale, ellipse and centre "
            "cannot be told apart", field="calibration",
            remedy="centre the pattern on the camera, or give a standard",
        )  # fmt: skip


def _overview(scan) -> tuple[np.ndarray, np.ndarray]:
    """Mean over rows spread evenly over the scan, and the 10 % quantile of patterns spread over
    these: what all of them have, without the spots of some."""
    rows = sample_rows(scan.shape[0])
    pixels = scan.shape[2] * scan.shape[3] * scan.dtype.itemsize
    columns = min(scan.shape[1], max(1, min(_OVERVIEW, _SAMPLE_BYTES // pixels) // len(rows)))
    chosen = np.linspace(0, scan.shape[1] - 1, columns).round().astype(int)
    total, kept = np.zeros(scan.shape[2:]), []
    for row in rows:
        block = scan.read_rows(row, row + 1)
        spots.require_finite(block, slice(row, row + 1), scan.path)
        total += block[0].mean(axis=0, dtype=float)
        kept.append(block[0, chosen])
    kept = np.concatenate(kept)
    place = len(kept) // 10
    return total / len(rows), np.partition(kept, place, axis=0)[place].astype(float)


def _centres_and_sample(scan, find, wanted):
    """Centre of every pattern, and up to `wanted` patterns on a regular net with their places.

    `find` gives the centres (n, 2) of a slice of rows and its patterns (n, ky, kx).
    """
    ny, nx, ky, kx = scan.shape
    of_net, columns = _net(scan, wanted)
    measured = np.empty((ny, nx, 2))
    sample = []
    for rows, block in scan.blocks():
        spots.require_finite(block, rows, scan.path)
        measured[rows] = find(rows, block.reshape(-1, ky, kx)).reshape(-1, nx, 2)
        sample += [
            block[row - rows.start, columns] for row in of_net if rows.start <= row < rows.stop
        ]
    return measured, np.concatenate(sample), _places(of_net, columns, nx)


def _sample(scan, wanted):
    """The same patterns and places, of which only the rows that hold them are read."""
    of_net, columns = _net(scan, wanted)
    sample = [scan.read_rows(row, row + 1)[0, columns] for row in of_net]
    return np.concatenate(sample), _places(of_net, columns, scan.shape[1])


def _net(scan, wanted) -> tuple[list[int], np.ndarray]:
    """Rows and columns of a regular net of `wanted` positions, or as many as memory holds."""
    ny, nx, ky, kx = scan.shape
    affordable = max(1, _SAMPLE_BYTES // (ky * kx * scan.dtype.itemsize))
    net = max(1, math.ceil(math.sqrt(ny * nx / min(wanted, affordable))))
    rows = [row for row in range(ny) if row % net == net // 2 or ny <= net]
    return rows, np.arange(min(net // 2, nx - 1), nx, net)


def _places(rows: list[int], columns: np.ndarray, nx: int) -> np.ndarray:
    return (np.array(rows)[:, None] * nx + columns).ravel()


def _few(*values: np.ndarray) -> tuple[np.ndarray, ...]:
    """Some 64 of each, spread evenly."""
    return tuple(array[:: max(1, len(array) // 64)] for array in values)


def _nominal_spots(found, centres, scale, patterns, max_radius) -> xr.Dataset:
    """Spots in nominal 1/angstrom of the patterns, spread evenly, that have enough of them."""
    of = np.repeat(np.arange(len(centres)), np.diff(found.offset))
    qx = scale * (found.x - centres[of, 1])
    qy = scale * (found.y - centres[of, 0])
    near = np.hypot(qx, qy) <= max_radius
    count = np.bincount(of[near], minlength=len(centres))
    chosen = _spread(np.flatnonzero(count >= 6), patterns)
    keep = near & np.isin(of, chosen)
    return _spots_dataset(
        count[chosen], qx[keep], qy[keep], found.intensity[keep], found.variance[keep]
    )


def _spread(places: np.ndarray, wanted: int) -> np.ndarray:
    if len(places) <= wanted:
        return places
    return places[np.linspace(0, len(places) - 1, wanted).round().astype(int)]


def _spots_dataset(count, qx, qy, intensity, variance) -> xr.Dataset:
    return netcdf.build(
        layouts.SPOTS,
        {
            "count": np.asarray(count)[None],
            "offset": np.concatenate([[0], np.cumsum(count)]),
            "qx": qx,
            "qy": qy,
            "intensity": intensity,
            "variance": variance,
        },
        {"scan": "", "scan_step_nm": np.nan},
    )


def binned(place, residual, camera: tuple[int, int], weight=None) -> dict:
    """Mean residual over squares of the camera around the beam; NaN where few of them lie.

    Places and residuals (n, 2) as x, y in pixels, the places from the beam; residuals may be NaN.
    """
    weight = np.ones(len(place)) if weight is None else weight
    edges = np.linspace(-0.5, 0.5, _BINS + 1) * max(camera)
    middles = (edges[1:] + edges[:-1]) / 2
    known = np.isfinite(residual).all(axis=1)
    place, residual, weight = place[known, ::-1], residual[known], weight[known]

    def summed(values):
        return np.histogramdd(place, [edges, edges], weights=values)[0]

    count = summed(np.ones(len(place)))
    total = np.where(count >= _LEAST_IN_BIN, summed(weight), np.nan)
    x, y = (summed(weight * part) / total for part in residual.T)
    return {
        "bin_y": middles, "bin_x": middles, "residual_y": y, "residual_x": x,
        "residual_count": count,
    }  # fmt: skip


def dataset(
    *, affine, affine_covariance, centres, residual, error, probe_radius, spot_radius, beam_radius,
    mask, attributes, residuals, outward=0.0, outward_stderr=math.nan,
) -> xr.Dataset:  # fmt: skip
    """CALIBRATION of an affine map (2, 2), the covariance of its xx, xy and yy, and the rest.

    `residuals` as `binned` gives them; `error` is that of a centre, pixels.
    """
    scale, ratio, angle = shape_of(affine)
    xx, xy, yy = np.sqrt(np.diag(affine_covariance))
    return netcdf.build(
        layouts.CALIBRATION,
        {
            "centre_y": centres[..., 0],
            "centre_x": centres[..., 1],
            "centre_residual": residual,
            "centre_stderr": error,
            "affine": affine,
            "affine_stderr": [[xx, xy], [xy, yy]],
            "scale": scale,
            "scale_stderr": propagate(scale_of, affine, affine_covariance),
            "ellipse_ratio": ratio,
            "ellipse_ratio_stderr": propagate(ratio_of, affine, affine_covariance),
            "ellipse_angle": angle,
            "probe_radius": probe_radius,
            "spot_radius": spot_radius,
            "beam_radius": beam_radius,
            "mask": mask,
            "outward_shift": outward,
            "outward_shift_stderr": outward_stderr,
            **residuals,
        },
        attributes,
    )
