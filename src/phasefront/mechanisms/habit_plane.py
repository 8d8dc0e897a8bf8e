"""The plane that fronts follow in the crystal, from their traces in projection and from tilts.

A front that follows the plane with unit normal n shows, along the beam b, as a line perpendicular
to n's projection: n lies on the great circle perpendicular to the trace. Where the band of mixed
columns and the thickness are known, so is the plane's tilt to the beam, whose sign is not. A half
turn about the beam reverses the trace and so changes nothing; tilts of both signs are kept. Which
of the equivalent planes a grain took is not known either: each counts with its visibility, since a
plane near flat leaves no trace (sine of the angle between normal and beam; traces on projections,
so not the length on a section as in `calcGBPD` of MTEX).

Traces have von Mises errors on the doubled angle (an axis has no sign), and a share of them follows
no plane at all. What normals scatter by and how large that share is are integrated over.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import i0e, logsumexp

from phasefront.mechanisms import sphere

# How far true normals scatter about the common one: a grid with equal weights, chosen. Wider
# scatters than 12 degrees are no plane.
SCATTER_DEG = np.array([0.0, 1.5, 3.0, 6.0, 12.0])
# Shares of fronts that follow no plane, of all sizes that leave most of them to follow one.
SHARES_ASTRAY = np.array([0.02, 0.1, 0.2, 0.35, 0.5])
_AT_ONCE = 400  # planes: what is computed of so many stays in a core's cache


class Traces(NamedTuple):
    """Fronts as they are seen, one row a front, in Cartesian axes of the parent crystal."""

    # Unit vectors (front, 3) along the trace and along the beam, at right angles.
    trace: np.ndarray
    beam: np.ndarray
    # Standard error of the trace's direction in degrees.
    error_deg: np.ndarray
    # Angle between the plane and the beam in degrees, 0 edge on, and its standard error; NaN where
    # band or thickness is not known.
    tilt_deg: np.ndarray
    tilt_error_deg: np.ndarray
    # Which grain it is in: fronts of one grain count together as one.
    grain: np.ndarray


@dataclass(frozen=True)
class HabitPlane:
    """Posterior of the common plane, and how it stands beside no common plane."""

    # Unit vector (3,), the likeliest.
    normal: np.ndarray
    # Angle about it, in degrees, that holds 95 % of the posterior.
    region_deg: float
    # Unit vectors (plane, 3), one of each equivalent set, and their share of the posterior.
    planes: np.ndarray
    probability: np.ndarray
    # Natural logarithm of the Bayes factor of one plane against every grain its own.
    log_bayes_factor: float
    grains: int

    @property
    def region(self) -> np.ndarray:
        """Which planes (bool) are in the smallest set that holds 95 % of the posterior."""
        return region_of(self.probability)


def region_of(probability: np.ndarray) -> np.ndarray:
    """Which planes (bool) are in the smallest set that holds 95 % of a posterior (plane,)."""
    order = np.argsort(-probability, kind="stable")
    before = np.cumsum(probability[order]) - probability[order]
    region = np.zeros(len(order), bool)
    region[order] = before < 0.95
    return region


def find(traces: Traces, operations: np.ndarray, *, spacing_deg: float = 0.5) -> HabitPlane:
    """The plane that most fronts follow.

    Parameters
    ----------
    traces
        At least one front.
    operations
        Matrices (operation, 3, 3) of the proper rotations of the parent's point group; of its
        lattice's where orientations do not tell its axes apart (422 if a is nearly b).
    spacing_deg
        Distance of the planes that are tried.
    """
    planes = sphere.planes(spacing_deg, operations)
    spread = np.hypot(traces.error_deg, spacing_deg / 2.0)
    resolved = traces._replace(error_deg=spread)
    log_likelihood = np.concatenate(
        [
            next(_log_likelihoods(some, resolved, operations, traces.trace[None]))
            for some in np.array_split(planes, 1 + len(planes) // _AT_ONCE)
        ]
    )
    total = logsumexp(log_likelihood)
    probability = np.exp(log_likelihood - total)
    normal = planes[np.argmax(probability)]
    angles = sphere.apart_deg(planes, normal, operations)
    order = np.argsort(angles, kind="stable")
    within = np.searchsorted(np.cumsum(probability[order]), 0.95)
    return HabitPlane(
        normal=normal,
        region_deg=max(float(angles[order][min(within, len(order) - 1)]), spacing_deg / 2.0),
        planes=planes,
        probability=probability,
        log_bayes_factor=float(total - np.log(len(planes)) - _log_astray(traces).sum()),
        grains=len(np.unique(traces.grain)),
    )


def chance(
    traces: Traces,
    operations: np.ndarray,
    drawn: np.ndarray | None = None,
    *,
    draws: int = 199,
    seed: int,
    spacing_deg: float = 2.0,
) -> float:
    """How often fronts of no common plane point to one as these do (Monte Carlo p-value).

    Parameters
    ----------
    traces, operations
        As for `find`.
    drawn
        Traces (draw, front, 3) to draw from in place of random ones, such as edges of each grain's
        outline; None for random directions about the beam.
    draws
        Number of random draws where none are given.
    seed
        Of the random directions.
    spacing_deg
        Distance of the planes that are tried, for the fronts and for each draw.

    Returns
    -------
    (1 + draws that point as well) / (1 + draws), by the Bayes factor.
    """
    if drawn is None:
        angle = np.random.default_rng(seed).uniform(0.0, np.pi, (draws, len(traces.trace), 1))
        across = np.cross(traces.beam, traces.trace)
        drawn = np.cos(angle) * traces.trace + np.sin(angle) * across
    planes = sphere.planes(spacing_deg, operations)
    resolved = traces._replace(error_deg=np.hypot(traces.error_deg, spacing_deg / 2.0))
    both = np.concatenate([traces.trace[None], drawn])
    evidence = [logsumexp(e) for e in _log_likelihoods(planes, resolved, operations, both)]
    return (1 + np.sum(np.array(evidence[1:]) >= evidence[0])) / (1 + len(drawn))


def _log_likelihoods(
    planes: np.ndarray, traces: Traces, operations: np.ndarray, drawn: np.ndarray
) -> Iterator[np.ndarray]:
    """Of each plane (plane,) for each set of traces (draw, front, 3) in place of the fronts' own.

    Integrated over scatter and share astray.
    """
    among = sphere.variants(planes, operations)
    over = np.cross(traces.beam, traces.trace)
    along = np.einsum("pvi,fi->pfv", among, traces.trace)
    across = np.einsum("pvi,fi->pfv", among, over)
    squared = np.maximum(along**2 + across**2, 1e-12)
    seen = np.sqrt(squared)
    # Cosine and sine of twice the angle from the front's trace to the plane's own.
    cosine, sine = (across**2 - along**2) / squared, -2.0 * along * across / squared
    tilt = np.rad2deg(np.arccos(np.clip(seen, 0.0, 1.0)))
    visible = seen / seen.sum(axis=2, keepdims=True)

    terms = []
    for scatter in SCATTER_DEG:
        error = np.hypot(traces.error_deg[:, None], scatter / np.maximum(seen, 0.05))
        concentration = 1.0 / (2.0 * np.deg2rad(error)) ** 2
        weight = visible * _tilt_density(tilt, traces, scatter)
        terms.append((concentration, weight / (2.0 * np.pi * i0e(concentration))))
    astray = np.exp(_log_astray(traces))
    share = _fronts_of_grains(traces.grain)

    for trace in drawn:
        turned = 2.0 * np.arctan2((trace * over).sum(axis=1), (trace * traces.trace).sum(axis=1))
        off = (np.cos(turned)[:, None] * cosine + np.sin(turned)[:, None] * sine) - 1.0
        likelihoods = []
        for concentration, weight in terms:
            follows = (weight * np.exp(concentration * off)).sum(axis=2)
            likelihoods += [np.log((1.0 - a) * follows + a * astray) @ share for a in SHARES_ASTRAY]
        yield logsumexp(likelihoods, axis=0) - np.log(len(likelihoods))


def _tilt_density(tilt: np.ndarray, traces: Traces, scatter: float) -> np.ndarray:
    """Density (per degree) of each front's tilt under each plane; 1 where there is none."""
    error = np.hypot(traces.tilt_error_deg, scatter)
    with np.errstate(invalid="ignore"):
        deviation = (traces.tilt_deg[:, None] - tilt) / error[:, None]
        mirrored = (traces.tilt_deg[:, None] + tilt) / error[:, None]
        # A tilt has no sign: what falls below 0 counts at its mirror image.
        density = np.exp(-(deviation**2) / 2.0) + np.exp(-(mirrored**2) / 2.0)
        density /= np.sqrt(2.0 * np.pi) * error[:, None]
    return np.where(np.isfinite(density), density, 1.0)


def _log_astray(traces: Traces) -> np.ndarray:
    """Log density (front,) of a front that follows no plane: any trace, any visible tilt."""
    density = np.full(len(traces.trace), 1.0 / (2.0 * np.pi))
    tilted = np.isfinite(traces.tilt_deg)
    # Normals are even on the sphere (cos) and seen by the cosine of the tilt.
    visible = np.cos(np.deg2rad(np.clip(traces.tilt_deg[tilted], 0.0, 89.0))) ** 2
    density[tilted] *= visible * 4.0 / np.pi * np.pi / 180.0
    return np.log(density)


def _fronts_of_grains(grain: np.ndarray) -> np.ndarray:
    """Weight (front,) that makes the fronts of a grain count as one."""
    _, index, number = np.unique(grain, return_inverse=True, return_counts=True)
    return 1.0 / number[index]
