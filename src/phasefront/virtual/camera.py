"""A virtual scan: dynamical spots of virtual grains, filmed as ASTAR films them, in a `.blo` file.

ASTAR's camera looks at a phosphor screen: spots are blurred, the beam in the middle is far over
the range of its 8 bits, a diffuse halo lies under everything, and the stored values are
compressed by the camera's gamma. The constants below were set by eye against a genuine file.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from phasefront.maps.frames import in_pattern, plane_matrix
from phasefront.virtual.conditions import Conditions
from phasefront.virtual.specimen import DIFFUSE_PATH_NM, Columns, Specimen, at_thickness, turned

if TYPE_CHECKING:
    from phasefront.experiment.settings.instruments import Camera

from phasefront.virtual.block_file import write_block_file
from phasefront.virtual.film import DETECTORS, FULL_SCALE, Detector, expose
from phasefront.virtual.rendering import CAMERA_PIXELS, diffuse_profile, render_rows


def simulate_scan(
    path: str | Path,
    grown: Specimen,
    *,
    scale_nominal: float,
    scale_error: float = 0.005,
    ellipse_ratio: float = 1.01,
    ellipse_angle_deg: float = 35.0,
    descan_px: float = 2.5,
    dose: float = 1e7,
    gamma: float = 0.567,
    camera: Camera | None = None,
    conditions: Conditions = Conditions(),  # noqa: B008 - frozen
    detector: Detector = DETECTORS["phosphor"],
    threads: int = 1,
) -> xr.Dataset:
    """Write a scan over virtual grains as an ASTAR block file and return its truth.

    A column's patterns add by their share of the thickness. Where two grains overlap, each one's
    spots are weakened by what the other takes out of the beam. Patterns are made and written a few
    rows at a time, so memory does not grow with the scan.

    Parameters
    ----------
    grown
        The grains; noise and drift follow from their seed, too.
    scale_nominal, scale_error
        1/angstrom per pixel as the header says it; the truth is `scale_nominal (1 + scale_error)`.
    ellipse_ratio, ellipse_angle_deg
        Long over short axis of a ring on the camera; direction of the long one, from x towards y.
    descan_px
        How far the beam's centre drifts to each side over the scan, pixels.
    dose
        Electrons per pattern.
    gamma
        Stored value = 255 (counts / 255)^gamma; 1 for a linear camera.
    camera
        How the patterns lie to the image of the scan; as it where None.
    conditions
        Beam stop, liquid and bad pixels.
    detector
        What the camera makes of the light.
    threads
        Rows rendered at the same time; the bytes do not depend on it.

    Returns
    -------
    TRUTH dataset, with orientations in the frame of the patterns. Beyond the layout its attributes
    hold the arguments that shape the scan, and phase_ion_content and phase_formula_volume
    (angstrom^3), one value a phase.
    """
    seed, shape = grown.attributes["seed"], grown.thickness.shape[1:]
    scale = scale_nominal * (1 + scale_error)
    affine = affine_of(scale, ellipse_ratio, ellipse_angle_deg)
    to_scan = np.eye(2) if camera is None else plane_matrix(camera).T
    # A stream of its own: a change of the camera leaves the grains as they are.
    centres = _descan(shape, descan_px, np.random.default_rng([seed, 1]))

    def frames_of(rows: slice) -> np.ndarray:
        light = render_rows(
            grown.table, grown.columns, centres, to_scan @ affine, rows, detector.screen
        )
        seen = conditions.dim(
            light.reshape(-1, *light.shape[2:]), centres[rows].reshape(-1, 2), scale,
            lambda radius: diffuse_profile(radius, detector.screen),
        ).reshape(light.shape)  # fmt: skip
        rng = np.random.default_rng([seed, 2, rows.start])
        frames = expose(seen, dose=dose, gamma=gamma, rng=rng, detector=detector)
        return conditions.spoil(frames, int(FULL_SCALE))

    write_block_file(
        path, frames_of,
        columns=grown.columns, shape=shape, scan_step_nm=grown.attributes["scan_step_nm"],
        scale_nominal=scale_nominal, table=grown.table, gamma=gamma, threads=threads,
    )  # fmt: skip
    truth = grown.truth(centres, affine)
    for name in ("rotation", "second_rotation"):
        seen = in_pattern(truth[name].values.astype("f8"), camera)
        truth[name] = truth[name].copy(data=seen.astype("f4"))
    return truth.assign_attrs(
        {
            "scale_error": scale_error, "ellipse_ratio": ellipse_ratio,
            "ellipse_angle_deg": ellipse_angle_deg, "dose": dose, "gamma": gamma,
        }
    )  # fmt: skip


def film_crystals(
    path: str | Path,
    table: xr.Dataset,
    *,
    pattern: np.ndarray,
    turn: np.ndarray,
    thickness_nm: np.ndarray,
    scale: float,
    seed: int,
    dose: float = 1e7,
    threads: int = 1,
) -> np.ndarray:
    """Write a scan of one single crystal a position, seen by a linear camera without distortion.

    Parameters
    ----------
    table
        BLOCH_WAVES dataset.
    pattern, turn, thickness_nm
        What is at each position, (ny, nx): row of the table, turn in the plane from x towards y
        (radian), thickness.
    scale
        1/angstrom per pixel; the beam's centre is the middle of the frame.
    dose
        Electrons per pattern.

    Returns the orientations, frame to crystal, as quaternions (ny, nx, 4).
    """
    shape, nm = pattern.shape, thickness_nm.ravel()
    lower, upper_weight, direct = at_thickness(table, pattern.ravel(), nm)
    columns = Columns(
        offset=np.arange(pattern.size + 1), pattern=pattern.ravel(), cosine=np.cos(turn.ravel()),
        sine=np.sin(turn.ravel()), lower=lower, upper_weight=upper_weight,
        share=np.ones(pattern.size), direct=direct, elastic=np.exp(-nm / DIFFUSE_PATH_NM),
    )  # fmt: skip
    centres, affine = np.full((*shape, 2), (CAMERA_PIXELS - 1) / 2), scale * np.eye(2)
    write_block_file(
        path,
        lambda rows: expose(
            render_rows(table, columns, centres, affine, rows),
            dose=dose, gamma=1.0, rng=np.random.default_rng([seed, rows.start]),
        ),
        columns=columns, shape=shape, scan_step_nm=10.0, scale_nominal=scale, table=table,
        gamma=1.0, threads=threads,
    )  # fmt: skip
    own = table["rotation"].values[pattern.ravel()]
    return turned(own[None], turn.ravel())[0].reshape(*shape, 4)


def affine_of(scale: float, ratio: float, angle_deg: float) -> np.ndarray:
    """q = affine (pixel - centre): rings are long by `ratio` along the angle, area kept."""
    angle = np.deg2rad(angle_deg)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return scale * turn @ np.diag([ratio**-0.5, ratio**0.5]) @ turn.T


def _descan(shape, reach_px: float, rng) -> np.ndarray:
    """Centres (y, x, 2) as row and column: a smooth second-order drift around the middle."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    terms = np.stack([y, x, 0.3 * y * x, 0.3 * y**2, 0.3 * x**2], axis=-1)
    drift = terms @ rng.normal(size=(5, 2))
    drift -= (drift.max(axis=(0, 1)) + drift.min(axis=(0, 1))) / 2
    largest = np.abs(drift).max()
    middle = (CAMERA_PIXELS - 1) / 2 + rng.uniform(-1, 1, 2)
    return middle + drift * (reach_px / largest if largest > 0 else 0)
