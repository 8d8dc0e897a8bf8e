"""What the page shows of each scan: arrays by name, from the data sets of the stages."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from phasefront.diffraction.crystals import Crystal
from phasefront.diffraction.excitation import REFINED
from phasefront.diffraction.optics import electron_wavelength
from phasefront.diffraction.spot_lists import observed_window
from phasefront.experiment.settings.instruments import Instrument, StatedCamera
from phasefront.fractions.counting import relative_thickness
from phasefront.grains.lattices import Lattice, lattice_orientations
from phasefront.grains.pooling import settled
from phasefront.maps import frames
from phasefront.phases.reasons import deciding_rules
from phasefront.report.explorer.packing import COARSE, Packed, pack
from phasefront.report.figures import maps
from phasefront.report.figures.orientation_colours import direction_colours

_PER_POSITION = (
    "posterior", "share", "rotation", "scale_factor", "centre", "log_evidence", "forced_evidence",
    "reliability", "explained", "cell", "cell_misfit", "phase_misfit", "axial_ratio",
    "axial_ratio_stderr", "ion_content", "ion_content_stderr", "second_rotation", "second_share",
)  # fmt: skip
_OF_GRAINS = {
    "size": "i4", "phase_count": "i4", "mixed_count": "i4", "undecided_count": "i4",
    "spread": "f4", "centroid_y": "f4", "centroid_x": "f4", "pair_a": "i4", "pair_b": "i4",
    "pair_length": "i4", "pair_misorientation": "f4", "pair_misorientation_turned": "f4",
    "pair_turned_probability": "f4", "half_turn_probability": "f4",
}  # fmt: skip
_OF_FRONTS = ("direction", "direction_stderr", "width", "width_stderr", "tilt", "tilt_stderr")


@dataclass(frozen=True)
class ShownScan:
    """The data sets of one scan; what its kind does not have is None."""

    phases: xr.Dataset
    grains: xr.Dataset
    interfaces: xr.Dataset
    spots: xr.Dataset | None = None
    orientations: xr.Dataset | None = None
    calibration: xr.Dataset | None = None
    description: xr.Dataset | None = None  # SCAN
    camera: StatedCamera | None = None
    instrument: Instrument | None = None

    @property
    def is_own(self) -> bool:
        """Whether the phases were decided here."""
        return maps.is_own(self.phases)


def arrays(
    scan: ShownScan, crystals: Sequence[Crystal], lattices: Sequence[Lattice]
) -> dict[str, Packed]:
    """Arrays of a scan by name; (y, x, ...) but for lists of spots and grains.

    What is known nowhere in the scan is left out, so the page offers no map of it.
    """
    phases = scan.phases
    found = {
        "decision": pack(phases["decision"].values, "i1"),
        "rule": pack(deciding_rules(phases), "i1"),
        "second_phase": pack(phases["second_phase"].values, "i1"),
        "label": pack(scan.grains["label"].values, "i4"),
    }
    found |= {
        name: pack(phases[name].values, "f4")
        for name in _PER_POSITION
        if np.isfinite(phases[name].values).any()
    }
    if "cell" in found:
        variance = np.diagonal(phases["cell_covariance"].values, axis1=2, axis2=3)
        found["cell_stderr"] = pack(np.sqrt(np.maximum(variance, 0)), "f4", bits=COARSE)
    as_settled = settled(phases, scan.grains)
    found |= _orientation_colours(scan, as_settled, crystals)
    rotation, family = lattice_orientations(as_settled, lattices)
    found["lattice_rotation"] = pack(rotation.reshape(*family.shape, 4), "f4")
    found["lattice_family"] = pack(family, "i1")
    sure = scan.grains["orientation_probability"].values
    if np.isfinite(sure).any():
        found["orientation_probability"] = pack(sure, "f4", bits=COARSE)
    found |= {
        f"grain_{name}": pack(scan.grains[name].values, dtype) for name, dtype in _OF_GRAINS.items()
    }
    return found | _fronts(scan.interfaces) | _measured(scan)


def _fronts(interfaces: xr.Dataset) -> dict[str, Packed]:
    """Pieces of the interfaces inside grains: ends (segment, end, y and x), and what is known."""
    ends = np.stack([interfaces["end_y"].values, interfaces["end_x"].values], axis=-1)
    found = {
        "front_offset": pack(interfaces["segment_offset"].values, "i4"),
        "front_ends": pack(ends, "f4"),
    }
    return found | {
        f"front_{name}": pack(interfaces[name].values, "f4", bits=COARSE) for name in _OF_FRONTS
    }


def _measured(scan: ShownScan) -> dict[str, Packed]:
    found = {}
    if scan.orientations is not None:
        best = scan.orientations.isel(rank=0)
        found["score"] = pack(best["score"].values, "f4", bits=COARSE)
    if scan.spots is not None:
        found["spot_offset"] = pack(scan.spots["offset"].values, "i4")
        found |= {f"spot_{name}": pack(scan.spots[name].values, "f4") for name in ("qx", "qy")}
        found["spot_intensity"] = pack(scan.spots["intensity"].values, "f4", bits=COARSE)
    if scan.calibration is not None:
        found |= {
            name: pack(scan.calibration[name].values, "f4") for name in ("centre_y", "centre_x")
        }
    if scan.description is not None:
        found |= {
            name: pack(scan.description[name].values, "f4", bits=COARSE)
            for name in ("bright_field", "dark_field")
        }
        (thickness,) = relative_thickness(
            scan.description["diffuse"].values.astype("f8"), scan.phases["decision"].values,
            np.ones(1),
        )  # fmt: skip
        if np.isfinite(thickness).all():
            found["thickness"] = pack(thickness, "f4", bits=COARSE)
    return found


def _orientation_colours(
    scan: ShownScan, phases: xr.Dataset, crystals: Sequence[Crystal]
) -> dict[str, Packed]:
    """Colours (y, x, 3) of the directions x, y and z of the scan, as the printed maps have them."""
    from orix.vector import Vector3d

    groups = {crystal.name: crystal.orix_point_group().laue for crystal in crystals}
    directions = {"x": Vector3d.xvector(), "y": Vector3d.yvector(), "z": Vector3d.zvector()}
    camera = scan.camera if scan.is_own else None
    return {
        f"ipf_{axis}": pack(
            np.rint(255 * direction_colours(phases, groups, direction, camera=camera)),
            "u1",
        )
        for axis, direction in directions.items()
    }


def morphologies(mechanisms: xr.Dataset, scan: str) -> dict[str, Packed]:
    """Probabilities (grain, morphology) of a scan's grains, given their population if any."""
    own = mechanisms["scan_of_grain"].values == list(mechanisms["scan"].values).index(scan)
    alone = mechanisms["posterior"].values[own]
    given = mechanisms["posterior_in_population"].values[own]
    return {"grain_morphology": pack(np.where(np.isfinite(given), given, alone), "f4", bits=COARSE)}


def reflections(crystal: Crystal, max_radius: float) -> dict[str, Packed]:
    """Reflections of a phase up to a radius (1/angstrom): hkl, g and |F|, for predicted spots."""
    hkl, g, intensity = crystal.reflections(1.0 / max_radius)
    return {
        "hkl": pack(hkl, "i2"),
        "g": pack(g, "f4", bits=23),
        "amplitude": pack(np.sqrt(intensity), "f4", bits=23),
    }


def facts_of_scan(scan: ShownScan) -> dict:
    """What is said of a scan as a whole; numbers that the page computes with."""
    phases = scan.phases
    said = {
        "scan": phases.attrs["scan"],
        "shape": list(phases["decision"].shape),
        "map_by": phases.attrs["map_by"],
        "step_nm": _known(scan.grains.attrs["scan_step_nm"]),
        "decide_above": _known(phases.attrs["decide_above"]),
        "min_explained": _known(phases.attrs["min_explained"]),
        "max_misfit": _known(phases.attrs["max_misfit"]),
        "misorientation_deg": _known(scan.grains.attrs["misorientation_deg"]),
        "directions": frames.statement(scan.camera)
        if scan.is_own
        else f"directions are those of the file that {phases.attrs['map_by']} wrote",
    }
    if scan.is_own:
        said["distortion"] = phases["distortion"].values.tolist()
    if scan.spots is not None:
        said["window"] = list(observed_window(scan.spots))
        said["wavelength"] = electron_wavelength(scan.instrument.voltage_kv)
        said["precession"] = float(np.deg2rad(scan.instrument.precession_deg))
        said["rod_width"] = REFINED.width
    if scan.calibration is not None:
        said["affine"] = scan.calibration["affine"].values.tolist()
        said["scale"] = float(scan.calibration["scale"])
        said["ellipse_ratio"] = float(scan.calibration["ellipse_ratio"])
    return said


def symmetries(lattices: Sequence[Lattice]) -> dict[int, list]:
    """Rotations (n, 4) of the lattices, by family, for misorientations."""
    return {lattice.family: np.round(lattice.symmetry, 9).tolist() for lattice in lattices}


def plain_labels(names: Sequence[str], labels: Mapping[str, str]) -> list[str]:
    """Labels of phases as plain text: LaTeX's indices as subscripts, other marks left out."""
    return [_plain(labels.get(name) or name) for name in names]


_SUBSCRIPTS = str.maketrans("0123456789+-()xyn", "₀₁₂₃₄₅₆₇₈₉₊₋₍₎ₓyₙ")
_SUPERSCRIPTS = str.maketrans("0123456789+-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻")


def _plain(label: str) -> str:
    def raised(found: re.Match) -> str:
        signs = _SUBSCRIPTS if found[1] == "_" else _SUPERSCRIPTS
        return (found[2] or found[3]).translate(signs)

    parts = label.split("$")
    if len(parts) % 2 == 0:  # a lone dollar is a dollar
        return label
    for place in range(1, len(parts), 2):
        parts[place] = re.sub(r"([_^])(?:\{([^}]*)\}|(.))", raised, parts[place])
    return "".join(parts)


def _known(value: float) -> float | None:
    """JSON knows no NaN."""
    return float(value) if np.isfinite(value) else None


def first_position(scan: ShownScan) -> list[int]:
    """Row and column to begin with: of the decided ones, that nearest to the largest grain's
    centroid."""
    decided = np.argwhere(scan.phases["decision"].values >= 0)
    if not len(decided):
        return [0, 0]
    size = scan.grains["size"].values
    middle = np.array(scan.phases["decision"].shape) / 2
    if len(size):
        largest = {"grain": int(size.argmax())}
        middle = np.array([float(scan.grains[f"centroid_{axis}"][largest]) for axis in "yx"])
    return decided[((decided - middle) ** 2).sum(axis=1).argmin()].tolist()
