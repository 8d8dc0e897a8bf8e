"""Fractions of several scans together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from phasefront.core.errors import InputError
from phasefront.fractions.estimation import COUNTS, estimate
from phasefront.layouts.fractions import STATE_FRACTIONS

_BETWEEN_SCANS = ", "


def pool_fractions(scans: Sequence[xr.Dataset], *, seed: int = 0) -> xr.Dataset:
    """Fractions of several scans together, as of one population of grains.

    Positions count by their area, the square of the scan step in units of the first scan's; equally
    where a step is unknown. Thickness is relative to each scan's mean, because scans need not be
    exposed alike; it is unknown if it is in one of them. The simulated grains are pooled too, each
    phase's with the weight of what the scans found of it.

    Parameters
    ----------
    scans
        FRACTIONS data sets, at least one, with the same phases and settings.
    seed
        Seed of the generator.

    Returns
    -------
    FRACTIONS data set with as many draws as the first has; `scan` names all of them. A single scan
    is returned as it is.

    Raises
    ------
    InputError
        The scans have different phases, or were counted or decided with different settings.
    """
    first = scans[0]
    if len(scans) == 1:
        return first
    for scan in scans:
        if list(scan["phase"].to_numpy()) != list(first["phase"].to_numpy()):
            raise InputError(
                scan.attrs["scan"], f"its phases differ from those of {first.attrs['scan']}",
                remedy="analyse all scans with the same phases",
            )  # fmt: skip
        if not all(scan[name].equals(first[name]) for name in ("exponent", "threshold")):
            raise InputError(
                scan.attrs["scan"], f"its settings differ from those of {first.attrs['scan']}",
                remedy="decide and count all scans with the same settings",
            )  # fmt: skip
    area = np.array([scan.attrs["scan_step_nm"] for scan in scans]) ** 2
    weight = area / area[0] if np.all(np.isfinite(area)) else np.ones(len(scans))

    def weighted(name: str) -> list[np.ndarray]:
        return [w * scan[name].to_numpy() for w, scan in zip(weight, scans, strict=True)]

    summed = ("swept_area", "swept_undecided", "unknown_amount")
    return estimate(
        first["phase"].to_numpy(),
        {
            **{name: sum(int(scan[name]) for scan in scans) for name in COUNTS},
            **{name: sum(weighted(name)) for name in summed},
            **{
                name: first[name].to_numpy()
                for name in ("threshold", "exponent", "formula_volume", "phase_ion_content")
            },
            "unit_amount": np.concatenate(weighted("unit_amount"), axis=1),
            "simulated_weight": np.concatenate(weighted("simulated_weight")),
            **{
                name: np.concatenate([scan[name].to_numpy() for scan in scans])
                for name in ("simulated_decided", "simulated")
            },
        },
        draws=first.sizes["draw"],
        seed=seed,
        attributes={
            "scan": _BETWEEN_SCANS.join(scan.attrs["scan"] for scan in scans),
            "scan_step_nm": float(first.attrs["scan_step_nm"]),
            "decide_above": float(first.attrs["decide_above"]),
            "notes": _notes(scans),
        },
    )


def scans_of(fractions: xr.Dataset) -> list[str]:
    """Names of the scans that FRACTIONS were pooled from."""
    return str(fractions.attrs["scan"]).split(_BETWEEN_SCANS)


def pool_state(state: str, scans: Sequence[xr.Dataset], *, seed: int) -> xr.Dataset:
    """STATE_FRACTIONS of a state from the FRACTIONS of its scans; see `pool_fractions`."""
    pooled = pool_fractions(scans, seed=seed)
    return pooled.assign_attrs(title=STATE_FRACTIONS.title, state=state, notes=_notes(scans))


def _notes(scans: Sequence[xr.Dataset]) -> str:
    """Those of scans, each after its name."""
    noted = [scan for scan in scans if scan.attrs["notes"]]
    return "; ".join(f"{scan.attrs['scan']}: {scan.attrs['notes']}" for scan in noted)
