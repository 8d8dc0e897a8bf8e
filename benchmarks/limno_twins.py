"""Could two layered crystals pass for one of spinel? A rival that neither program weighs.

On the oxygen sublattice that the phases share, the layered c axis may lie along any of four body
diagonals. Each pair of these variants, both at equal shares, is set against a single spinel crystal
by phasefront's likelihood: the mixture of all predicted spots, weighted by |F| and visibility.
"""

from __future__ import annotations

import itertools

import numpy as np

from phasefront.diffraction.likelihood import assign, refine
from phasefront.diffraction.likelihood_kernels import matrix_of
from phasefront.diffraction.optics import Optics
from phasefront.diffraction.reflections import predict_spots, reflection_table
from phasefront.diffraction.spot_lists import Spots, observed_window

# Positions looked at of each group, evenly spread.
_SAMPLE = 200


def variants(spinel_axes: np.ndarray, layered_axes: np.ndarray) -> np.ndarray:
    """Matrices (4, 3, 3) from the spinel's axes to the layered crystal's, one a body diagonal.

    `..._axes` (3, 3): the parent's a, b and c, as rows, in the crystal's Cartesian axes.
    """
    from scipy.spatial.transform import Rotation

    # Nearest rotation that takes one set to the other (Kabsch, Acta Cryst. A32 (1976) 922).
    left, _, right = np.linalg.svd(layered_axes.T @ spinel_axes)
    onto = left @ np.diag([1, 1, np.linalg.det(left @ right)]) @ right
    found = {}
    for operation in Rotation.create_group("O").as_matrix():
        matrix = onto @ operation
        found.setdefault(tuple(np.round(matrix[2] * np.sign(matrix[2, 2]), 2)), matrix)
    return np.array(list(found.values()))


def compare(particle, here: np.ndarray, layered_from_spinel: np.ndarray) -> dict:
    """Spots explained, spots promised and log-likelihood of spinel and of the best layered pair.

    `here` (y, x): positions to look at, of which some are taken.
    """
    optics = Optics(
        voltage_kv=300.0, precession_deg=0.0, window=observed_window(particle.spots),
        position_sigma=particle.phases["position_sigma"].item(),
    )  # fmt: skip
    freed = Spots.of(particle.spots).undistorted(particle.phases["distortion"].values)
    table = reflection_table(particle.crystals, max_radius=optics.window[1])
    spinel, layered = particle.names.index("spinel"), particle.names.index("layered")
    rows = []
    for row, column in np.argwhere(here)[:: max(1, here.sum() // _SAMPLE)]:
        place = row * particle.spots.sizes["x"] + column
        spots = freed.at(place)

        def lattice(phase, rotation, spots=spots):
            zero = np.zeros(1, dtype=int)
            refined = refine(spots, zero, zero + phase, rotation[None], table, optics, coarse=False)
            spots_of = assign(spots, zero, zero + phase, refined, table, optics).spot
            x, y, _, weight = predict_spots(particle.crystals[phase], refined.rotation[0], optics)
            x, y = refined.scale_factor[0] * np.stack([x, y]) + refined.centre[0][:, None]
            return refined.rotation[0], set(spots_of.tolist()), (x, y, weight)

        rotation = particle.phases["rotation"].values[row, column, spinel].astype(float)
        rotation, by_spinel, promised = lattice(spinel, rotation)
        frame = matrix_of(rotation)
        alone = [lattice(layered, _quaternion(turn @ frame)) for turn in layered_from_spinel]
        pairs = []
        for (_, one, its), (_, other, others) in itertools.combinations(alone, 2):
            x, y, weight = np.concatenate([its, others], axis=1)
            gain = _log_likelihood(spots, x, y, weight / 2, optics)
            pairs.append((gain, len(one | other), len(x)))
        best = max(pairs)
        rows.append(
            (
                len(spots.qx), len(by_spinel), max(len(one) for _, one, _ in alone), best[1],
                len(promised[0]), best[2],
                best[0] - _log_likelihood(spots, *promised, optics),
            )
        )  # fmt: skip
    found = np.array(rows)
    return {
        "positions": len(found),
        "spots_explained_spinel_one_layered_two": (found[:, 1:4].sum(0) / found[:, 0].sum())
        .round(3)
        .tolist(),
        "spots_promised_median_spinel_two_layered": np.median(found[:, 4:6], axis=0).tolist(),
        "log_likelihood_two_layered_over_spinel_10_50_90": np.quantile(found[:, 6], [0.1, 0.5, 0.9])
        .round(1)
        .tolist(),
        "share_where_two_layered_are_likelier": round(float((found[:, 6] > 0).mean()), 3),
    }


def _quaternion(matrix: np.ndarray) -> np.ndarray:
    from scipy.spatial.transform import Rotation

    return Rotation.from_matrix(matrix).as_quat(scalar_first=True)


def _log_likelihood(spots, x, y, weight, optics: Optics) -> float:
    """Of the spots under a mixture of predicted ones and strays; see `phasefront.refinement`."""
    qx, qy, intensity = spots[1:]
    sigma, stray = optics.position_sigma, optics.stray_share
    squared = (qx[:, None] - x) ** 2 + (qy[:, None] - y) ** 2
    blur = np.exp(-0.5 * squared / sigma**2) / (2 * np.pi * sigma**2)
    low, high = optics.window
    density = (1 - stray) * blur @ weight + stray / (np.pi * (high**2 - low**2))
    counts = np.maximum(intensity, 1e-6) ** 0.25
    return float((counts / counts.mean()) @ np.log(density))
