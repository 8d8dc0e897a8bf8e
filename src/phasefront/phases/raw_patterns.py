"""What the raw patterns of a scan show beyond its spots: forced intensities, and the background."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from phasefront.core.threads import ahead
from phasefront.diffraction.optics import Optics
from phasefront.diffraction.reflections import ReflectionTable
from phasefront.diffraction.spot_lists import Spots
from phasefront.phases import apertures, forced, vacuum
from phasefront.phases.alternatives import Alternatives
from phasefront.phases.evidence import Evidence
from phasefront.spots.afterglow import without_afterglow

_FALSE_ALARMS = 0.1  # of noise in a pattern, where the spots do not say: the default of `spots`


@dataclass(frozen=True)
class RawPatterns:
    """What was measured in the patterns."""

    # Log-likelihoods of intensities, best is 0: (positions, answers) of each question.
    forced_evidence: tuple[np.ndarray, ...]
    level: np.ndarray | None  # (y, x, zone) counts between the spots, see `vacuum.Background`

    @classmethod
    def measure(
        cls, raw: tuple | None, freed: Spots, questions: Sequence[Evidence | Alternatives],
        table: ReflectionTable, optics: Optics, distortion: np.ndarray,
    ) -> RawPatterns:  # fmt: skip
        """Intensities where answers differ (see `forced`) and the level between the spots.

        Parameters
        ----------
        raw
            The scan (see `scans.files.open_scan`) and its CALIBRATION; None for a list of peaks,
            which tells neither.
        questions
            Which phase it is, which of its orientations: each with its candidates.
        freed
            Spots of the scan without the distortion (2, 2) that it has beyond its calibration.
        """
        if raw is None:
            return cls(tuple(np.zeros(one.best.shape) for one in questions), None)
        scan, calibration = raw
        radius, afterglow = (calibration[name].item() for name in ("spot_radius", "afterglow"))
        places = [
            forced.find_places(
                freed, one.phase, one.refined, one.best, table, optics,
                spot_radius=radius * calibration["scale"].item(),
            )
            for one in questions
        ]  # fmt: skip
        to_pixels = np.linalg.inv(calibration["affine"].values) @ distortion
        centres = np.stack([calibration[f"centre_{axis}"].values.ravel() for axis in "xy"], 1)
        pixels = [one.q @ to_pixels.T + centres[one.position] for one in places]
        measured = [np.empty((len(one.position), 2)) for one in places]
        mask, columns = calibration["mask"].values, scan.shape[1]
        background = vacuum.Background(
            mask.astype(bool), centres[:, ::-1].mean(axis=0), calibration["beam_radius"].item(),
            radius,
        )  # fmt: skip
        level = []
        for rows, block in ahead(scan.blocks()):
            of_block = slice(rows.start * columns, rows.stop * columns)
            block = without_afterglow(block, afterglow)
            patterns = block.reshape(-1, *block.shape[2:])
            level.append(background.levels(patterns, centres[of_block, ::-1]))
            for one, pixel, values in zip(places, pixels, measured, strict=True):
                own = slice(*np.searchsorted(one.position, [of_block.start, of_block.stop]))
                values[own] = apertures.measure(
                    patterns, one.position[own] - of_block.start, *pixel[own].T, radius, mask
                )
        level = np.concatenate(level).reshape(*scan.shape[:2], -1)
        weighed = (
            forced.weigh(one, values, len(freed.numbers))
            for one, values in zip(places, measured, strict=True)
        )
        return cls(tuple(weighed), level)

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
