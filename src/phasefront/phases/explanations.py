"""How the candidates explain single patterns: what each predicts, and how many spots that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from phasefront.diffraction.crystals import Crystal
from phasefront.diffraction.likelihood import Refined, assign
from phasefront.diffraction.optics import Optics
from phasefront.diffraction.reflections import predict_spots, reflection_table
from phasefront.diffraction.spot_lists import Spots, observed_window

# qx and qy (n,) in 1/angstrom, hkl (n, 3) and weight (n,).
Predicted = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Explanation:
    """One phase's account of one pattern; of a second lattice, too, where that was found."""

    phase: int
    predicted: Predicted | None  # in the frame of the spots; None where it has no orientation
    spots: int  # found in the pattern
    explained: int  # of these, within three standard errors of a predicted one
    log_evidence: float  # less that of the likeliest phase
    forced_evidence: float  # the same for intensities in the raw pattern
    second_phase: int = -1
    second: Predicted | None = None
    explained_by_both: int = 0


def explain(
    positions: np.ndarray,
    spots: xr.Dataset,
    phases: xr.Dataset,
    crystals: Sequence[Crystal],
    *,
    voltage_kv: float,
    precession_deg: float,
    beside: Sequence[int] | None = None,
) -> list[list[Explanation]]:
    """The likeliest phase's explanation of each pattern, and that of the phase `beside` it.

    Parameters
    ----------
    positions
        (n, 2) rows and columns.
    spots, phases
        SPOTS and PHASES datasets of the scan.
    crystals
        The phases, in that order.
    beside
        (n,) other phases than the likeliest; the runners-up where None.

    Each phase is taken with the cell of its CIF in its best orientation, distorted as PHASES says
    the scan is, with the scale and centre found there. A second lattice goes with the
    likeliest phase; it has the same scale and centre.
    """
    optics = Optics(
        voltage_kv=voltage_kv,
        precession_deg=precession_deg,
        window=observed_window(spots),
        position_sigma=phases["position_sigma"].item(),
    )
    distortion = phases["distortion"].values
    freed = Spots.of(spots).undistorted(distortion)
    table = reflection_table(crystals, max_radius=optics.window[1])

    def explained_of(row: int, column: int, rival: int | None) -> list[Explanation]:
        pattern = freed.at(row * spots.sizes["x"] + column)
        posterior = np.nan_to_num(phases["posterior"].values[row, column])
        order = np.argsort(-posterior, kind="stable")
        shown = order[:2] if rival is None else (order[0], rival)
        return [
            _explain(
                pattern, phases.isel(y=row, x=column), int(phase), int(order[0]), crystals, table,
                optics, distortion,
            )
            for phase in shown
        ]  # fmt: skip

    rivals = [None] * len(positions) if beside is None else beside
    return [
        explained_of(int(row), int(column), rival)
        for (row, column), rival in zip(positions, rivals, strict=True)
    ]


def _explain(
    pattern: Spots, here: xr.Dataset, phase: int, likeliest: int, crystals, table,
    optics: Optics, distortion: np.ndarray,
) -> Explanation:  # fmt: skip
    evidence, forced = (
        here[name].values.astype(float) for name in ("log_evidence", "forced_evidence")
    )
    out = Explanation(
        phase=phase, predicted=None, spots=len(pattern.qx), explained=0,
        log_evidence=float(evidence[phase] - evidence[likeliest]),
        forced_evidence=float(forced[phase] - forced[likeliest]),
    )  # fmt: skip
    first = Refined.placed(
        *(here[name].values[phase].astype(float)[None]
          for name in ("rotation", "scale_factor", "centre"))
    )  # fmt: skip
    if not np.isfinite(first.rotation).all():
        return out
    by_first = _assigned(pattern, phase, first, table, optics)
    out = replace(
        out, explained=len(by_first),
        predicted=_predicted(crystals[phase], first, optics, distortion),
    )  # fmt: skip
    second_phase = int(here["second_phase"])
    if phase != likeliest or second_phase < 0:
        return out
    second = replace(first, rotation=here["second_rotation"].values.astype(float)[None])
    by_second = _assigned(pattern, second_phase, second, table, optics)
    return replace(
        out, second_phase=second_phase,
        second=_predicted(crystals[second_phase], second, optics, distortion),
        explained_by_both=len(np.union1d(by_first, by_second)),
    )  # fmt: skip


def _assigned(pattern: Spots, phase: int, refined: Refined, table, optics) -> np.ndarray:
    """Spots that belong to a reflection of the lattice."""
    return assign(pattern, np.zeros(1, dtype=int), np.array([phase]), refined, table, optics).spot


def _predicted(
    crystal: Crystal, refined: Refined, optics: Optics, distortion: np.ndarray
) -> Predicted:
    qx, qy, hkl, weight = predict_spots(crystal, refined.rotation[0], optics)
    placed = refined.scale_factor[0] * np.stack([qx, qy]) + refined.centre[0][:, None]
    return (*(distortion @ placed), hkl, weight)
