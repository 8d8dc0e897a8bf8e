"""Centres of a scan's patterns, usable pixels and radii, and a sample of its patterns."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import xarray as xr

from phasefront.calibration import beam, descan, friedel, radii
from phasefront.calibration.solution import binned, dataset, error_within, widened
from phasefront.core.errors import InputError
from phasefront.scans.descriptions import sample_rows
from phasefront.spots import detection
from phasefront.spots.afterglow import measure_afterglow
from phasefront.spots.dark import Dark, measure_dark

_SAMPLE_BYTES = 128 * 2**20  # of patterns held at once to fit scale and ellipse; for memory's sake
# Patterns of which a low quantile is taken: a tenth of them is 25, so that no single one decides.
_OVERVIEW = 256
# Of a hidden beam and of one that is seen: chosen on virtual scans with stops and bars, of other
# seeds than those that docs/assumptions.md reports.
_HIDDEN_SPOT = 3.0  # of a spot in pixels, before it is measured
# How far from its start a hidden beam is sought, pixels; again about the surface that was found.
_HIDDEN_REACHES = (6.0, 3.0, 2.0)
_LEAST_CENTRES = 3  # patterns that show it then
_MOST_SCATTER = 0.08  # of their centres about the surface, in spot radii
_SWAY = 10.0  # pixels that descan may move the beam
_LOOSE = 0.5  # pixels that centres of a beam that is seen scatter at most


@dataclass(frozen=True)
class Geometry:
    """What a scan says about beam and camera, without any crystal; lengths in pixels."""

    centres: np.ndarray  # fitted surface (ny, nx, 2)
    residual: np.ndarray
    stderr: float
    probe_radius: float
    spot_radius: float
    beam_radius: float
    mask: np.ndarray
    dark: Dark
    sample: np.ndarray  # patterns spread over the scan
    sample_centres: np.ndarray
    centre_from: str  # in words

    @classmethod
    def measure(cls, scan, wanted: int, *, everywhere: bool = True) -> Geometry:
        """Of a scan, of which `wanted` patterns are kept; or, not `everywhere`, of these alone,
        which does not read the rest."""
        mean, patterns = _overview(scan)
        if mean.max() <= mean.min():
            raise InputError(
                scan.path, f"every pixel of the mean pattern is {mean.max():g}",
                remedy="check the camera's acquisition and export the scan again",
            )  # fmt: skip
        found = beam.find_beam(mean)
        start = (found.row, found.column)
        mask = beam.usable_pixels(mean, start, patterns=patterns, hidden=found.hidden)
        usable = mask & _beyond(found, mask.shape)
        dark = measure_dark(patterns.counts, mean, usable)
        if everywhere:
            dark = dark._replace(afterglow=measure_afterglow(scan, usable))
        if not found.hidden and beam.is_seen_through(mask, found):
            found = beam.covered(mean)
        if found.hidden:
            return cls._of_hidden(scan, found, mean, patterns, dark, wanted, everywhere)
        measured, sample, places = _centres_and_sample(
            scan, lambda _, flat: descan.find_centres(flat, start, radius=found.radius, mask=mask),
            wanted, everywhere,
        )  # fmt: skip
        if not np.isfinite(measured).any():
            measured = np.broadcast_to(np.array(start), measured.shape)
        geometry = cls._of_centres(measured, sample, places, found.radius, mask, dark)
        if geometry.scatter() > _LOOSE:
            # What was followed may be the rim of a stop; pairs of spots agree better then.
            try:
                hidden = beam.covered(mean)
                return cls._of_hidden(scan, hidden, mean, patterns, dark, wanted, everywhere)
            except InputError:
                return geometry
        return geometry

    @classmethod
    def _of_hidden(
        cls, scan, found: beam.Beam, mean, patterns, dark: Dark, wanted: int, everywhere: bool
    ) -> Geometry:
        """Centres from Friedel pairs, on a sample first: the surface through these starts the rest.

        The beam's radius is that of the shadow, and nothing is looked for inside it.
        """
        shape = (*scan.shape[:2], 2)
        sample, places = _sample(scan, wanted)
        mask = beam.usable_pixels(mean, found[:2], patterns=patterns, hidden=True)
        voted = friedel.vote_centres(
            sample, found[:2], spot_radius=_HIDDEN_SPOT, beam_radius=2 * _HIDDEN_SPOT, mask=mask,
            dark=dark,
        )  # fmt: skip
        found = beam.likeliest(mean, np.concatenate([[found[:2]], voted]))
        mask = beam.usable_pixels(mean, found[:2], patterns=patterns, hidden=True)
        start = np.broadcast_to(found[:2], shape)
        for reach in _HIDDEN_REACHES:
            at = start.reshape(-1, 2)[places]
            spot_radius = radii.measure_spot_radius(
                *_few(sample, at), probe_radius=found.radius, mask=mask, dark=dark
            )
            sizes = {
                "spot_radius": spot_radius, "beam_radius": found.radius + spot_radius,
                "mask": mask, "dark": dark,
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
            start = descan.fit_surface(measured.reshape(shape))[0]
        measured, sample, places = _centres_and_sample(
            scan,
            lambda at, flat: friedel.find_centres(
                flat, start.reshape(-1, 2)[at], reach=reach, **sizes
            ),
            wanted,
            everywhere,
        )
        geometry = cls._of_centres(measured, sample, places, found.radius, mask, dark, seen=False)
        if not geometry.scatter() < _MOST_SCATTER * geometry.spot_radius:
            raise InputError(
                scan.path, "the direct beam is hidden, and pairs of spots of different patterns "
                f"disagree on its place by {geometry.scatter():.2g} pixels", field="beam centre",
                remedy="move the beam stop aside, or scan a field with more crystals",
            )  # fmt: skip
        return geometry

    @classmethod
    def _of_centres(
        cls, measured, sample, places, probe_radius, mask, dark: Dark, seen=True
    ) -> Geometry:
        # Centres of single pairs are too few and too rough to be followed one by one.
        centres, residual, stderr = descan.fit_surface(
            measured, radius=probe_radius if seen else math.inf
        )
        at = centres.reshape(-1, 2)[places]
        few, at_few = _few(sample, at)
        spot_radius = radii.measure_spot_radius(
            few, at_few, probe_radius=probe_radius, mask=mask, dark=dark
        )
        beam_radius = radii.measure_beam_radius(
            few, at_few, probe_radius=probe_radius, spot_radius=spot_radius, mask=mask
        )
        return cls(
            centres, residual, stderr, probe_radius, spot_radius, beam_radius, mask, dark,
            sample, at,
            "direct beam" if seen else "Friedel pairs of spots, the beam being hidden",
        )  # fmt: skip

    def nominal(self, name: str, scale: float, method: str, scale_search: float) -> xr.Dataset:
        """CALIBRATION with a scale and ellipse that nothing was measured of."""
        error = error_within(scale_search)
        known = self.dataset(
            affine=scale * np.eye(2), affine_covariance=np.zeros((3, 3)), shift=np.zeros(2),
            residuals=binned(np.empty((0, 2)), np.empty((0, 2)), (2, 2)),
            attributes={
                "scan": name, "method": method, "spots_used": 0, "residual_rms": np.nan,
                "error_kind": f"stated, not measured: {100 * error:g} %, half of scale_search",
            },
        )  # fmt: skip
        return widened(known, error)

    def scatter(self) -> float:
        """Median distance of measured centres from the surface through them, pixels."""
        return float(np.nanmedian(self.residual))

    def dataset(self, *, shift, attributes, shift_variance=0.0, **fitted) -> xr.Dataset:
        return dataset(
            attributes=attributes | {"centre_from": self.centre_from},
            centres=self.centres + shift[::-1], residual=self.residual,
            error=math.sqrt(self.stderr**2 + shift_variance), probe_radius=self.probe_radius,
            spot_radius=self.spot_radius, beam_radius=self.beam_radius, mask=self.mask,
            dark=self.dark, **fitted,
        )  # fmt: skip


def _beyond(found: beam.Beam, shape) -> np.ndarray:
    """Pixels (ky, kx) that the direct beam does not reach, wherever descan takes it."""
    y, x = np.indices(shape)
    return np.hypot(y - found.row, x - found.column) > 2 * found.radius + _SWAY


def _overview(scan) -> tuple[np.ndarray, beam.Overview]:
    """Mean over rows spread evenly over the scan, and patterns spread over these."""
    rows = sample_rows(scan.shape[0])
    pixels = scan.shape[2] * scan.shape[3] * scan.dtype.itemsize
    columns = min(scan.shape[1], max(1, min(_OVERVIEW, _SAMPLE_BYTES // pixels) // len(rows)))
    chosen = np.linspace(0, scan.shape[1] - 1, columns).round().astype(int)
    total, kept = np.zeros(scan.shape[2:]), []
    for row in rows:
        block = scan.read_rows(row, row + 1)
        detection.require_finite(block, slice(row, row + 1), scan.path)
        total += block[0].mean(axis=0, dtype=float)
        kept.append(block[0, chosen])
    return total / len(rows), beam.Overview(np.concatenate(kept))


def _centres_and_sample(scan, find, wanted, everywhere):
    """Centre of every pattern, and up to `wanted` patterns on a regular net with their places.

    `find` gives the centres (n, 2) of positions, counted row by row, with patterns (n, ky, kx).
    Where not `everywhere`, centres of others than the net's are NaN.
    """
    ny, nx, ky, kx = scan.shape
    measured = np.full((ny, nx, 2), np.nan)
    if not everywhere:
        sample, places = _sample(scan, wanted)
        measured.reshape(-1, 2)[places] = find(places, sample)
        return measured, sample, places
    of_net, columns = _net(scan, wanted)
    sample = []
    for rows, block in scan.blocks():
        detection.require_finite(block, rows, scan.path)
        at = slice(rows.start * nx, rows.stop * nx)
        measured.reshape(-1, 2)[at] = find(at, block.reshape(-1, ky, kx))
        sample += [
            block[row - rows.start, columns] for row in of_net if rows.start <= row < rows.stop
        ]
    return measured, np.concatenate(sample), _places(of_net, columns, nx)


def _sample(scan, wanted):
    """The same patterns and places, of which only the rows that hold them are read."""
    of_net, columns = _net(scan, wanted)
    sample = []
    for row in of_net:
        block = scan.read_rows(row, row + 1)
        detection.require_finite(block, slice(row, row + 1), scan.path)
        sample.append(block[0, columns])
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
