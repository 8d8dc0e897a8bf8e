"""Scale and ellipse that the scans of an in situ series share, since nobody touches the lenses.

A scan through a liquid, of few grains, may fit another phase at another scale better than its own:
all its positions would then be that phase. All scans of the series together do not.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import xarray as xr

from phasefront.calibration.affine import AffineFit
from phasefront.calibration.centres import Geometry
from phasefront.calibration.geometry import LEAST_PATTERNS, fitted, sampled_spots, spots_dataset
from phasefront.calibration.indexed_fit import index_and_fit, index_and_refine, require_sense
from phasefront.calibration.joint_steps import PARAMETERS
from phasefront.calibration.solution import error_within
from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.layouts.calibration import SERIES_CALIBRATION

# Of each scan at least, so that no long series has scans that say nothing; chosen.
_LEAST_OF_SCAN = 25
# Chi squared of a scan's matrix against its series', three parts: once in 15 000 by chance.
_DISAGREES = 22.0
# Of the beam's place in a scan against that in its series, 1/angstrom: more than centres err by,
# so that each scan has its own. Chosen.
_PLACE = 0.01


def calibrate_series(
    series: str,
    scans: Mapping[str, object],
    *,
    crystals: Sequence,
    templates: xr.Dataset,
    scale_nominal: float,
    scale_search: float,
    patterns: int,
    false_alarms: float,
) -> xr.Dataset:
    """SERIES_CALIBRATION from a sample of the patterns of all scans, fitted jointly.

    Scans whose spots lie no closer to reflections than chance has it are left out. Arguments are
    those of `geometry.calibrate`, as is what it raises and when the scale stays nominal; `scans`
    are by name, and `patterns` are of all of them, but 25 of each at least.
    """
    of_each = max(_LEAST_OF_SCAN, -(-patterns // len(scans)))
    sampled = [
        sampled_spots(
            Geometry.measure(scan, 4 * of_each, everywhere=False), scale_nominal, of_each,
            templates, scale_search=scale_search, false_alarms=false_alarms,
        )
        for scan in scans.values()
    ]  # fmt: skip
    at_nominal = np.array([1.0, 0.0, 1.0, 0.0, 0.0, 0.0])
    telling = [_own_fit(spots, crystals, templates, at_nominal) is not None for spots in sampled]
    if any(telling):  # what is blank, or lies under too much liquid, would spoil the others' fit
        sampled = list(itertools.compress(sampled, telling))
    pooled = pool(sampled).assign_attrs(scan=series)
    method = f"spots of {len(sampled)} of {len(scans)} scans against the candidate phases"
    if pooled["count"].size < LEAST_PATTERNS:
        method = f"nominal scale: {pooled['count'].size} patterns of all scans have enough spots"
        error = _drifted(at_nominal, error_within(scale_search))
        fit = _without_spots(at_nominal, error, len(crystals))
    else:
        fit = index_and_fit(pooled, crystals, templates, scale_search)
        require_sense(fit, series)
    return netcdf.build(
        SERIES_CALIBRATION,
        {"parameter": list(PARAMETERS), "value": fit.parameters, "covariance": fit.covariance},
        {
            "series": series, "method": method,
            "scale_nominal": scale_nominal, "scale_search": scale_search,
            "spots_used": fit.spots_used, "patterns_used": fit.patterns_used,
            "grains_used": fit.grains, "residual_rms": fit.sigma, "evidence": fit.evidence,
        },
    )  # fmt: skip


def pool(sampled: Sequence[xr.Dataset]) -> xr.Dataset:
    """SPOTS of several scans' patterns as if they were of one."""
    columns = {
        name: np.concatenate([spots[name].to_numpy() for spots in sampled])
        for name in ("qx", "qy", "intensity", "variance")
    }
    counts = np.concatenate([spots["count"].to_numpy().ravel() for spots in sampled])
    error = max(float(spots["scale_stderr"]) for spots in sampled)
    return spots_dataset(counts, *columns.values(), error)


def calibrate_scan_of_series(
    scan,
    *,
    name: str,
    series: xr.Dataset,
    crystals: Sequence,
    templates: xr.Dataset,
    patterns: int,
    false_alarms: float,
    drift: float,
) -> xr.Dataset:
    """CALIBRATION of a scan whose scale and ellipse are about those of its series.

    Parameters
    ----------
    series
        SERIES_CALIBRATION data set.
    drift
        Relative standard deviation of scale, stretch and shear from scan to scan.

    The scan's own fit, next to the series' one, tells of the drift; `series_scale_off` says how far
    its own scale is from its series'. Where that is more than drift and its error allow, as where
    its spots say little or nothing, the series counts.

    Raises
    ------
    InputError
        As `geometry.calibrate` does for values that are not finite, or for a hidden beam.
    """
    nominal, search = (float(series.attrs[name]) for name in ("scale_nominal", "scale_search"))
    geometry = Geometry.measure(scan, 4 * patterns)
    spots = sampled_spots(
        geometry, nominal, patterns, templates, scale_search=search, false_alarms=false_alarms
    )
    shared = series["value"].to_numpy()
    known, drifted = series["covariance"].to_numpy(), _drifted(shared, drift)
    own = _own_fit(spots.assign_attrs(scan=name), crystals, templates, shared)
    method = f"spots of the series {series.attrs['series']} against its candidate phases"
    if own is None:
        used = _without_spots(shared, known + drifted, len(crystals))
    elif _disagree(own, shared, drifted):
        nothing = _without_spots(shared, known + drifted, len(crystals))
        used = replace(nothing, q=own.q, residual=own.residual)
    else:
        used, method = _joined(own, shared, known, drifted), f"{method}, and of the scan itself"
    off = np.nan if own is None else _scale(own.parameters) / _scale(shared) - 1
    return fitted(
        geometry, used, nominal,
        {
            "scan": name, "method": method, "scale_search": search, "series_scale_off": off,
            "error_kind": f"scatter of {series.attrs['grains_used']} grain(s) of the series, a"
            f" drift of {drift:.2%} from scan to scan, and the scan's own {used.grains} grain(s)",
        },
    )  # fmt: skip


def _own_fit(spots, crystals, templates, near) -> AffineFit | None:
    """The scan's fit next to the parameters `near`; None where its spots lie on no reflections."""
    if spots["count"].size < LEAST_PATTERNS:
        return None
    try:
        fit = index_and_refine(spots, crystals, templates, near)
    except InputError:  # fewer patterns than that could be indexed
        return None
    return fit if fit.is_on_reflections else None


def _scale(parameters: np.ndarray) -> float:
    xx, xy, yy = parameters[:3]
    return float(np.sqrt(xx * yy - xy**2))


def _drifted(parameters: np.ndarray, drift: float) -> np.ndarray:
    """Covariance (6, 6) of independent changes of scale, stretch and shear, by `drift` each; the
    beam's place is the scan's own, to within its nominal error."""
    shape = np.array([2.0, 1.0, 2.0]) * (drift * _scale(parameters)) ** 2
    return np.diag([*shape, _PLACE**2, _PLACE**2, 0.0])


def _disagree(own: AffineFit, shared: np.ndarray, drifted: np.ndarray) -> bool:
    off = (own.parameters - shared)[:3]
    return off @ np.linalg.solve((own.covariance + drifted)[:3, :3], off) > _DISAGREES


def _joined(
    own: AffineFit, shared: np.ndarray, known: np.ndarray, drifted: np.ndarray
) -> AffineFit:
    """The series' parameters with what of a drift the scan's own fit shows.

    Scan and series show the same grains and err alike by them, so the series' covariance `known`
    stays, and the scan's fit only narrows that of the drift.
    """
    gain = drifted @ np.linalg.inv(drifted + own.covariance)
    parameters = shared + gain @ (own.parameters - shared)
    return _with(own, parameters, known + drifted - gain @ drifted)


def _without_spots(parameters: np.ndarray, covariance: np.ndarray, phases: int) -> AffineFit:
    nothing = AffineFit(
        np.eye(2), covariance, np.zeros(2), 0.0, np.nan, np.empty((0, 2)), np.empty((0, 2)),
        np.nan, 0, 0, 0, np.full(phases, np.nan),
    )  # fmt: skip
    return _with(nothing, parameters, covariance)


def _with(fit: AffineFit, parameters: np.ndarray, covariance: np.ndarray) -> AffineFit:
    xx, xy, yy, *shift, outward = parameters
    return replace(
        fit, matrix=np.array([[xx, xy], [xy, yy]]), shift=np.array(shift), outward=float(outward),
        covariance=covariance,
    )  # fmt: skip
