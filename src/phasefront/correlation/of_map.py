"""A map of chemistry against what a scan saw, from their data sets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from phasefront.correlation import result
from phasefront.correlation.common_grid import Quantity
from phasefront.correlation.following import nothing
from phasefront.correlation.structure import interface_distance, ion_content_of, phase_parts
from phasefront.correlation.verdict import Expected, Verdict, distance_parts, follow, judge
from phasefront.layouts.chemistry import ION_CONTENT
from phasefront.registration.laying import Status
from phasefront.registration.result import laid_of


def correlate_map(
    chemistry: xr.Dataset, registration: xr.Dataset, phases: xr.Dataset, grains: xr.Dataset,
    interfaces: xr.Dataset, *, ion_contents: Sequence[float], resolution_nm: float,
    probe_nm: float | None, per_ion: float | None, margin: float, distances_nm: Sequence[float],
    seed: int,
) -> xr.Dataset:  # fmt: skip
    """CORRELATION of a CHEMISTRY data set with the scan that a REGISTRATION lays it on.

    Parameters
    ----------
    phases, grains, interfaces
        PHASES, GRAINS and INTERFACES of the scan.
    ion_contents
        Of its phases.
    resolution_nm, probe_nm
        Full widths at half maximum of both probes; a scan step where None.
    per_ion
        What a quantity that is no ion content changes by for one ion more; None where nobody says.
    margin
        Ions per formula unit by which both may differ beyond their errors.
    distances_nm
        Edges of the parts by distance from the interface.

    A map that is not laid has no numbers, and its verdict says why.
    """
    laid, label = laid_of(registration), grains["label"].to_numpy()
    step = float(registration.attrs["scan_step_nm"])
    probe = step if probe_nm is None else probe_nm
    structure = Quantity(*ion_content_of(phases, ion_contents), step, probe)
    told = chemistry["mask"].to_numpy() == 1
    value, stderr, systematic = (
        np.where(told, chemistry[name].to_numpy(), np.nan)
        for name in ("value", "standard_error", "systematic_error")
    )
    pixel = float(registration.attrs["map_pixel_nm"])
    measured = Quantity(value, stderr, pixel, resolution_nm)
    expected = Expected(per_ion, None)
    if str(chemistry.attrs["quantity"]) == ION_CONTENT:
        expected = Expected(1.0, margin)
    thickness = registration["scan_thickness"].to_numpy()
    distance = interface_distance(interfaces, label, step)
    if laid.status == Status.ACCEPTED:
        verdict = follow(
            structure, measured, thickness, label, laid, expected, systematic=systematic, seed=seed,
            parts=phase_parts(phases) | distance_parts(distance, tuple(distances_nm)),
        )  # fmt: skip
    else:
        verdict = Verdict(*judge(nothing(0), laid, expected), nothing(0), {})
    return result.as_dataset(
        structure, measured, systematic, thickness, laid, verdict, expected, distance_nm=distance,
        attributes={
            "scan": str(registration.attrs["scan"]), "map": str(chemistry.attrs["map"]),
            "quantity": str(chemistry.attrs["quantity"]), "unit": str(chemistry.attrs["unit"]),
        },
    )  # fmt: skip
