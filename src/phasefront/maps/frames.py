"""How the patterns lie to the image of the scan: the one place where the convention stands.

Both frames are right-handed. In the image of the scan x runs along a row (to the right, towards
the next column), y down the rows, z = x cross y; in a pattern the same with the camera's columns
and rows. Electrons travel along -z in both, as in diffsims.

The camera's `rotation_deg` is where the image's x axis points in the pattern, counted from the
pattern's x towards its y: clockwise as both are drawn, rows downwards. Where it is `mirrored`, the
image's y axis points 90 degrees to the other side of that. So a direction u of the image is, in
the pattern,

    turn(rotation_deg) @ diag(1, -1 if mirrored else 1) @ u:    mirrored first, then turned.

Orientations are found in the frame of the patterns, and tied to the scan only where a direction on
the map is used. Nothing is lost by that. A turn of the camera is a rotation about the beam. A
mirror M = diag(1, -1, 1) is no rotation, but -M is one: half a turn about y. A pattern that follows
from the places of the reciprocal lattice's points and from moduli of structure factors is that of
the inverse crystal, too (Friedel's law), so what M makes of a crystal's pattern is the pattern of
the crystal turned by -M, curvature of the Ewald sphere and precession included. No step of the
analysis uses more than these, so mirroring spots before it and turning orientations after it are
the same. What Friedel's law hides stays hidden: a crystal without centre is not told from its
inverse.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from phasefront.diffraction import rotations

if TYPE_CHECKING:
    from phasefront.experiment.settings.instruments import Camera, StatedCamera

_HALF_TURN_ABOUT_Y = np.array([0.0, 0.0, 1.0, 0.0])  # quaternion, scalar first


def plane_matrix(camera: Camera) -> np.ndarray:
    """Matrix (2, 2) that takes a direction (x, y) of the scan's image to that of the pattern."""
    angle = np.deg2rad(camera.rotation_deg)
    cosine, sine = np.cos(angle), np.sin(angle)
    turn = np.array([[cosine, -sine], [sine, cosine]])
    return turn @ np.diag([1.0, -1.0 if camera.mirrored else 1.0])


def on_scan(rotation: np.ndarray, camera: Camera | None) -> np.ndarray:
    """Orientations in the frame of the scan, of those in the frame of the patterns.

    Parameters
    ----------
    rotation
        Unit quaternions (..., 4), pattern to crystal. NaN stays NaN.
    camera
        None where it is not stated: the orientations stay in the frame of the patterns.

    Returns
    -------
    Unit quaternions (..., 4), scan to crystal; where mirrored up to inversion, which the Laue group
    holds (see the module).
    """
    return rotation if camera is None else rotations.multiply(rotation, _to_pattern(camera))


def in_pattern(rotation: np.ndarray, camera: Camera | None) -> np.ndarray:
    """Orientations in the frame of the patterns, of those on the scan; undoes `on_scan`."""
    if camera is None:
        return rotation
    return rotations.multiply(rotation, _to_pattern(camera) * [1.0, -1.0, -1.0, -1.0])


def statement(camera: StatedCamera | None) -> str:
    """What directions on the map refer to, in plain ASCII, for figures, files and methods."""
    if camera is None:
        return "camera rotation not stated: directions on the map are relative to the camera"
    error = camera.rotation_error_deg
    known = "error not stated" if error is None else f"standard error {error:g}"
    return (
        f"camera rotation {camera.rotation_deg:g} degrees ({known}),"
        f" {'mirrored' if camera.mirrored else 'not mirrored'}:"
        " directions on the map are those of the scan"
    )


def _to_pattern(camera: Camera) -> np.ndarray:
    """Quaternion (4,) from the scan's frame to the pattern's, up to inversion if mirrored."""
    half = np.deg2rad(camera.rotation_deg) / 2
    turn = np.array([np.cos(half), 0.0, 0.0, np.sin(half)])
    return rotations.multiply(turn, _HALF_TURN_ABOUT_Y) if camera.mirrored else turn
