"""What another instrument's map sees of a virtual scan's specimen: its place and its probe."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy import ndimage

from phasefront.core import netcdf
from phasefront.experiment.settings.virtual_maps import VirtualMap
from phasefront.layouts.map_truth import MAP_TRUTH
from phasefront.registration.channels import FWHM_OVER_SIGMA
from phasefront.registration.placement import Placement, interpolated, similarity

# Positions by which grains at the margin of a scan go on beyond it: more than a probe sees. Chosen.
_BEYOND = 6


@dataclass(frozen=True)
class Specimen:
    """Thickness in nm and ions per formula unit (y, x) at a scan's positions, `step_nm` apart."""

    thickness: np.ndarray
    ion_content: np.ndarray
    step_nm: float


def specimen_of(truth: xr.Dataset) -> Specimen:
    """Of a TRUTH data set: a column's ion content weighs phases by their formula units in it."""
    weight = truth["weight"].to_numpy().astype("f8") / np.array(truth.attrs["phase_formula_volume"])
    total = weight.sum(axis=-1)
    content = (weight * np.array(truth.attrs["phase_ion_content"])).sum(axis=-1)
    return Specimen(
        truth["thickness"].to_numpy().astype("f8"),
        np.where(total > 0, content / np.where(total > 0, total, 1), 0.0),
        float(truth.attrs["scan_step_nm"]),
    )


@dataclass(frozen=True)
class Sight:
    """Where the pixels of a map lie on a scan, and the full width of its probe, nm."""

    placement: Placement
    columns: int
    probe_nm: float
    step_nm: float

    def of(self, image: np.ndarray, *, beside: float = 0.0, shift_nm=(0.0, 0.0)) -> np.ndarray:
        """An image (y, x) of the scan's positions as the map's pixels see it (row, column).

        Grains go on a little beyond the scan as they end there; `beside` lies beyond these.
        `shift_nm` (y, x) is how far the specimen moved.
        """
        sigma = self.probe_nm / FWHM_OVER_SIGMA / self.step_nm
        wider = np.pad(image - beside, _BEYOND, mode="edge")
        smooth = ndimage.gaussian_filter(wider, sigma, mode="constant")
        at = (
            self.placement.positions(self.columns) - np.asarray(shift_nm)
        ) / self.step_nm + _BEYOND
        return np.nan_to_num(interpolated(smooth, at)) + beside

    def content(self, specimen: Specimen) -> tuple[np.ndarray, np.ndarray]:
        """Thickness (row, column) in nm, and ions per formula unit, which weigh by thickness."""
        thick = self.of(specimen.thickness)
        ions = self.of(specimen.thickness * specimen.ion_content)
        return thick, np.where(thick > 0, ions / np.where(thick > 0, thick, 1), 0.0)


def sight_of(
    asked: VirtualMap, probe_nm: float, shape: tuple[int, int], step_nm: float, seed: int
) -> Sight:
    """A map about the middle of a scan of `shape` positions, whose rows drift at random."""
    rng = np.random.default_rng([seed, 0])
    walk = rng.normal(0.0, asked.drift_nm, (asked.shape[0], 2)).cumsum(axis=0)
    middle = (np.array(shape) - 1) / 2 * step_nm + rng.uniform(-3, 3, 2) * asked.pixel_nm
    placement = similarity(
        asked.shape, asked.pixel_nm, middle=middle, angle_deg=asked.angle_deg, scale=asked.scale,
        mirrored=asked.mirrored, drift=walk - walk.mean(axis=0),
    )  # fmt: skip
    return Sight(placement, asked.shape[1], probe_nm, step_nm)


def truth_of_map(sight: Sight, specimen: Specimen, *, stack: str, scan: str) -> xr.Dataset:
    """MAP_TRUTH of what a map sees before its detector and the beam's harm."""
    thick, content = sight.content(specimen)
    return netcdf.build(
        MAP_TRUTH,
        {
            "row_start": sight.placement.row_start, "column_step": sight.placement.column_step,
            "thickness": thick, "ion_content": np.where(thick > 0, content, np.nan),
        },
        {"stack": stack, "scan": scan, "mirrored": int(sight.placement.mirrored())},
    )  # fmt: skip
