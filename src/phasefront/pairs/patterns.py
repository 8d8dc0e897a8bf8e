"""Ideal patterns of a crystal, with double diffraction, and what is assumed of the camera."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np

from phasefront.diffraction import excitation, rotations
from phasefront.diffraction.crystals import Crystal
from phasefront.diffraction.optics import LENSES_SET_ANEW, Optics
from phasefront.diffraction.templates import MIN_RADIUS

# All chosen; what half and double do, but of OUTSIDE: docs/constants.md. Shares of the strongest
# spot's: a spot that counts for evidence, and one that may explain another.
COUNTED, KEPT = 1e-3, 1e-6
OUTSIDE = 1.1  # times the largest radius at which spots count: the rival is known up to there
_REACH = 5.0  # widths of a rel-rod, beyond the cone of precession, that are looked at
_DOUBLE = 30  # strongest spots, between which double diffraction is looked for


@dataclass(frozen=True)
class Assumptions:
    """What is said of a pattern before it is measured; lengths in 1/angstrom.

    All chosen by hand and not measured, but for the scale's error.
    """

    diffracted: float = 0.3  # share of the beam that is in the Bragg spots together
    diffuse: float = 0.3  # share that lies under them, spread evenly over the radii used
    width: float = 0.02  # rms width of a spot
    found_above: float = 5.0  # standard deviations above the background: what counts as a spot
    tilt_deg: float = 0.5  # by which an orientation may be wrong
    double: float = 0.3  # share of diffracted electrons that are diffracted once more
    trust: float = 10.0  # factor by which kinematic intensities may be wrong
    # Of the calibrated scale, relative. No scan is there yet: that of a standard, which every
    # camera can have; a scan's own depends on its grains.
    scale_sigma: float = LENSES_SET_ANEW
    # Of a pattern's ellipse: grains in many orientations share a scan's, which fixes it better.
    ellipse_sigma: float = 0.001
    centre_sigma: float = 0.001

    @property
    def radius(self) -> float:
        """Two spots nearer than this are seen as one."""
        return 2.0 * self.width

    def background(self, max_radius: float) -> float:
        """Share of the beam under one spot, whose area counts as 4 pi width^2."""
        return self.diffuse * 4.0 * (self.width / max_radius) ** 2


@dataclass(frozen=True)
class IdealSpots:
    """What one crystal shows in one orientation; shares are of all that it diffracts."""

    place: np.ndarray  # (n, 2), 1/angstrom
    share: np.ndarray  # (n,), in the window they sum to one
    most: np.ndarray  # (n,) the largest and the smallest share within the tilt not known
    least: np.ndarray  # (n,)
    row: np.ndarray  # (n,), among the crystal's reflections

    def above(self, weakest: float, optics: Optics) -> IdealSpots:
        """Spots in the window that are stronger than a share of the strongest."""
        inside = np.hypot(*self.place.T) < optics.window[1]
        return self.only(inside & (self.share > weakest * self.share.max()))

    def only(self, kept: np.ndarray) -> IdealSpots:
        return IdealSpots(*(getattr(self, field.name)[kept] for field in fields(self)))

    def double(self, place: np.ndarray, radius: float) -> np.ndarray:
        """Share that reaches places (m, 2) if every electron is diffracted twice.

        The pattern convolved with itself: double diffraction reaches what is the sum of two
        reflections shown, and the more, the stronger these are.
        """
        sums, weight = self._sums
        return (distances(place, sums) < radius) @ weight

    @cached_property
    def _sums(self) -> tuple[np.ndarray, np.ndarray]:
        """Sums of any two of the strongest spots' places, and the product of their shares."""
        strong = np.argsort(-self.share, kind="stable")[:_DOUBLE]
        first, second = np.triu_indices(len(strong))
        sums = self.place[strong[first]] + self.place[strong[second]]
        weight = self.share[strong[first]] * self.share[strong[second]]
        return sums, weight * np.where(first < second, 2.0, 1.0)


@dataclass(frozen=True)
class Reflections:
    """Of one crystal, up to a radius and a little beyond."""

    hkl: np.ndarray
    g: np.ndarray
    strength: np.ndarray

    @classmethod
    def of(cls, crystal: Crystal, max_radius: float) -> Reflections:
        # Some outside the window explain spots just inside it.
        hkl, g, strength = crystal.reflections(1.0 / (OUTSIDE * max_radius))
        kept = strength > KEPT * strength.max()
        return cls(hkl[kept], g[kept], strength[kept])

    def shown(self, rotation: np.ndarray, optics: Optics, assumptions: Assumptions) -> IdealSpots:
        """Kinematic spots under precession (see `excitation.LorentzianRod`).

        A tilt by t moves a reflection at radius q by up to q t towards the Ewald sphere or from it.
        """
        q = self.g @ rotations.matrices(rotation)
        radius = np.hypot(q[:, 0], q[:, 1])
        sphere = 1 / optics.wavelength
        error = np.abs(sphere - np.sqrt(sphere**2 - radius**2) - q[:, 2])
        swing = np.deg2rad(optics.precession_deg)
        slack = radius * np.deg2rad(assumptions.tilt_deg)
        near = np.flatnonzero(
            (error < _REACH * excitation.REFINED.width + radius * swing + slack)
            & (radius > MIN_RADIUS)
        )
        radius, error, slack = radius[near], error[near], slack[near]
        share, most, least = (
            self.strength[near] * excitation.REFINED.visibility(e, radius, swing)
            for e in (error, np.maximum(error - slack, 0.0), error + slack)
        )
        # Under precession visibility is highest where the cone touches the sphere, not in between.
        most, least = np.maximum(share, most), np.minimum(share, least)
        total = share[radius < optics.window[1]].sum()
        spots = IdealSpots(q[near, :2], share / total, most / total, least / total, near)
        return spots.only(spots.most > KEPT * spots.share.max())


def distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    x, y = (np.subtract.outer(first[:, axis], second[:, axis]) for axis in (0, 1))
    x *= x
    y *= y
    x += y
    return np.sqrt(x, out=x)
