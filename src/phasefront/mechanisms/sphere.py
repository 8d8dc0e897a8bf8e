"""Plane normals on the sphere: those that a crystal's symmetry tells apart.

Normals are unit vectors in Cartesian axes of the crystal; n and -n are one plane. Operations are
the matrices (operation, 3, 3) of a point group's proper rotations: what inversion adds is the same
planes again.
"""

from __future__ import annotations

import numpy as np


def variants(normals: np.ndarray, operations: np.ndarray) -> np.ndarray:
    """Normals (..., operation, 3) of all planes that symmetry makes of planes (..., 3)."""
    return np.einsum("oij,...j->...oi", operations, normals)


def apart_deg(first: np.ndarray, second: np.ndarray, operations: np.ndarray) -> np.ndarray:
    """Smallest angle (degree) between planes of two kinds, normals (..., 3) each."""
    cosines = np.abs(np.einsum("...oi,...i->...o", variants(first, operations), second))
    return np.rad2deg(np.arccos(np.clip(cosines.max(axis=-1), 0.0, 1.0)))


def planes(spacing_deg: float, operations: np.ndarray) -> np.ndarray:
    """Normals (plane, 3), evenly spread, one of each set that symmetry makes of a plane.

    A Fibonacci lattice on the sphere (Gonzalez 2010, 10.1007/s11004-009-9257-x), cut to the cell of
    Dirichlet about one direction in general position.
    """
    number = round(4.0 * np.pi / np.deg2rad(spacing_deg) ** 2)
    steps = np.arange(number) + 0.5
    z = 1.0 - 2.0 * steps / number
    turn = np.pi * (1.0 + np.sqrt(5.0)) * steps
    ring = np.sqrt(1.0 - z**2)
    points = np.stack([ring * np.cos(turn), ring * np.sin(turn), z], axis=1)
    general = np.array([0.83, 0.29, 0.47]) / np.linalg.norm([0.83, 0.29, 0.47])
    heights = points @ general
    best = np.abs(points @ (operations.transpose(0, 2, 1) @ general).T).max(axis=1)
    return points[heights >= best - 1e-12]
