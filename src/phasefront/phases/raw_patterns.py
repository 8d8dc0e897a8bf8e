"""What the raw patterns of a scan show beyond its spots: forced intensities, and the background."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from phasefront.core.threads import ahead
from phasefront.diffraction.optics import Optics
from phasefront.diffraction.reflections import ReflectionTable
from phasefront.diffraction.spot_lists import Spots
from phasefront.phases import apertures, forced, vacuum
from phasefront.phases.evidence import Evidence

_FALSE_ALARMS = 0.1  # of noise in a pattern, where the spots do not say: the default of `spots`


@dataclass(frozen=True)
class RawPatterns:
    """What was measured in the patterns."""

    forced_evidence: np.ndarray  # (positions, phases) log-likelihood of intensities, best is 0
    level: np.ndarray | None  # (y, x, zone) counts between the spots, see `vacuum.Background`

    @classmethod
    def measure(
        cls, raw: tuple | None, freed: Spots, evidence: Evidence,
        table: ReflectionTable, optics: Optics, distortion: np.ndarray,
    ) -> RawPatterns:  # fmt: skip
        """Intensities where phases differ (see `forced`) and the level between the spots.

        Parameters
        ----------
        raw
            The scan (see `scans.files.open_scan`) and its CALIBRATION; None for a list of peaks,
            which tells neither.
        freed
            Spots of the scan without the distortion (2, 2) that it has beyond its calibration.
        """
        if raw is None:
            return cls(np.zeros(evidence.log_evidence.shape), None)
        scan, calibration = raw
        radius = calibration["spot_radius"].item()
        places = forced.find_places(
            freed, evidence.refined, evidence.best, table, optics,
            spot_radius=radius * calibration["scale"].item(),
        )  # fmt: skip
        pixel = places.q @ (np.linalg.inv(calibration["affine"].values) @ distortion).T
        x = pixel[:, 0] + calibration["centre_x"].values.ravel()[places.position]
        y = pixel[:, 1] + calibration["centre_y"].values.ravel()[places.position]
        mask = calibration["mask"].values
        measured = np.empty((len(x), 2))
        columns = scan.shape[1]
        centres = np.stack([calibration[f"centre_{axis}"].values.ravel() for axis in "yx"], 1)
        background = vacuum.Background(
            mask.astype(bool), centres.mean(axis=0), calibration["beam_radius"].item(), radius
        )
        level = []
        for rows, block in ahead(scan.blocks()):
            of_block = slice(rows.start * columns, rows.stop * columns)
            own = slice(*np.searchsorted(places.position, [of_block.start, of_block.stop]))
            patterns = block.reshape(-1, *block.shape[2:])
            level.append(background.levels(patterns, centres[of_block]))
            measured[own] = apertures.measure(
                patterns, places.position[own] - of_block.start, x[own], y[own], radius, mask
            )
        level = np.concatenate(level).reshape(*scan.shape[:2], -1)
        return cls(forced.weigh(places, measured, len(freed.numbers)), level)

    def find_vacuum(self, spots: xr.Dataset, min_spots: int) -> np.ndarray:
        """Whether each position (y, x) of SPOTS is vacuum (see `vacuum.find_vacuum`).

        A list of peaks tells no background: there, all positions with few spots are.
        """
        count = spots["count"].values
        if self.level is None:
            return count < min_spots
        return vacuum.find_vacuum(
            count, self.level, min_spots=min_spots,
            false_alarms=spots.attrs.get("false_alarms", _FALSE_ALARMS),
        )  # fmt: skip
