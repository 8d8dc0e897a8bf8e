"""Interfaces between phases inside the grains of a scan, with errors.

In each grain that holds two phases of a two-phase field, shapes of interfaces are fitted to what
the positions say of the share of the ion-rich phase: from the cell's ion content with its error,
else from the posterior, else from the decision (see `columns`). Nothing is smoothed and no label is
taken for sure, so neither does an interface follow the staircase of positions. The shapes are
compared by their likelihoods (BIC); an interface that none of them explains, or that runs along the
outline, is cut into straight pieces, each fitted by itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.diffraction.candidates import CandidatePhases
from phasefront.experiment.settings.instruments import StatedCamera
from phasefront.grains.lattices import Lattice, lattices_of
from phasefront.interfaces import axes, segments, shapes
from phasefront.interfaces.columns import (
    DECISION,
    MEASURED,
    POSTERIOR,
    SHARES,
    Columns,
    columns_of,
    lattice_of_grain,
)
from phasefront.interfaces.facets import Facet, facets_of
from phasefront.interfaces.fields import contents_of_fields
from phasefront.interfaces.joining import joined
from phasefront.interfaces.profiles import depth_profile
from phasefront.interfaces.shapes import CURVATURE, FIRST, Fit
from phasefront.interfaces.surroundings import Outline, Surroundings, nearest_sides
from phasefront.interfaces.topology import topology_of
from phasefront.layouts.interfaces import INTERFACES, Found, Shape
from phasefront.maps import frames

MODELS = ("uniform", "line", "band", "curve", "outline")
_PARAMETERS = (1, 3, 4, 4, 2)  # of each shape, counted by the evidence
# Log-evidence that an interface must be likelier by than one phase, or one share, in all columns.
_SURE = 3.0
# A position that is e^4 less likely under a shape than under its own best share is not explained
# by it. Outliers are not, and a few by chance; where they are more by three standard errors of a
# share, the shape does not fit.
_UNEXPLAINED, _BY_CHANCE = 4.0, 0.005
# Less of a phase in all columns is not told from one phase with more wrong positions than expected.
_LEAST_SHARE = 0.1
# Fewer positions of a phase are no second phase in a grain.
_FEWEST = 2


def trace_interfaces(
    phases: xr.Dataset,
    grains: xr.Dataset,
    candidates: CandidatePhases,
    *,
    two_phase_fields: Sequence[Mapping[str, float]] = (),
    camera: StatedCamera | None = None,
    min_positions: int = 8,
    outliers: float = 0.02,
    thickness_nm: float | None = None,
    thickness_error_nm: float | None = None,
) -> xr.Dataset:
    """Interfaces, facets and profiles of the grains of a scan.

    Parameters
    ----------
    phases, grains
        PHASES and GRAINS of one scan.
    candidates
        The phases, in the order of `phases`, with their ion contents and the lattice they share.
    two_phase_fields
        Pairs of phases that coexist, by name, each with its ion content where they do. Without any,
        phases of neighbouring ion contents.
    camera
        How patterns lie to the scan; None where it is not known. A map of another program has its
        own frame, so it counts as not known.
    min_positions
        Fewer positions that say something show no interface.
    outliers
        Share of positions that say nothing true.
    thickness_nm, thickness_error_nm
        Thickness of the crystals, and its standard error; None where not known.

    Returns an INTERFACES dataset, with no grain where there is none.

    Raises
    ------
    InputError
        Datasets of two scans or of other phases, a field that names other phases, axes of the
        shared lattice that are none.
    """
    names = [str(name) for name in phases["phase"].values]
    _check(phases, grains, candidates, two_phase_fields, names)
    camera = None if phases.attrs["map_by"] else camera
    fields = contents_of_fields(names, candidates.ion_contents, two_phase_fields)
    lattices = lattices_of(candidates)
    surroundings = Surroundings.of(phases, grains)
    own_lattice = lattice_of_grain(
        phases, candidates.crystals, float(grains.attrs["misorientation_deg"])
    )
    step = float(grains.attrs["scan_step_nm"])
    read = _Reader(
        phases, grains, surroundings, own_lattice, fields, lattices, min_positions, outliers
    )
    traced = [read.grain(number) for number in range(grains.sizes["grain"])]
    rotation = grains["rotation"].values.astype("f8")
    data = joined(traced, len(MODELS))
    of_segment = np.repeat(np.arange(len(traced)), np.diff(data["segment_offset"]))
    of_facet = np.repeat(np.arange(len(traced)), np.diff(data["facet_offset"]))
    tilt, tilt_error = _tilts(
        data["width"] * step, data["width_stderr"] * step, thickness_nm, thickness_error_nm
    )
    return netcdf.build(
        INTERFACES,
        {
            **data,
            "phase": names,
            "parent_axes": axes.parent_axes(candidates),
            "model": MODELS,
            "beam": axes.beams(rotation) if len(traced) else np.zeros((0, 3)),
            "tilt": tilt,
            "tilt_stderr": tilt_error,
            "trace": axes.traces(data["direction"], rotation[of_segment], camera),
            "facet_trace": axes.traces(data["facet_direction"], rotation[of_facet], camera),
        },
        {
            "scan": phases.attrs["scan"],
            "scan_step_nm": step,
            "map_by": phases.attrs["map_by"],
            "outliers": float(outliers),
            "thickness_nm": math.nan if thickness_nm is None else float(thickness_nm),
            "directions": _said_of_directions(phases, camera),
            "tilts": _said_of_tilts(step, thickness_nm),
        },
    )


class _Reader:
    """Reads one grain after another."""

    def __init__(
        self, phases: xr.Dataset, grains: xr.Dataset, surroundings: Surroundings,
        own_lattice: np.ndarray, fields: Mapping[tuple[int, int], tuple[float, float]],
        lattices: Sequence[Lattice], min_positions: int, outliers: float,
    ):  # fmt: skip
        self.phases, self.grains, self.surroundings = phases, grains, surroundings
        self.own_lattice, self.fields, self.lattices = own_lattice, fields, lattices
        self.min_positions, self.outliers = min_positions, outliers
        self.amount = _amounts(phases, grains)
        # (y, x), and their errors, where the position was decided.
        decided = phases["share"].notnull().all("phase").values
        self.content = np.where(decided, phases["ion_content"].values.astype("f8"), np.nan)
        self.content_error = phases["ion_content_stderr"].values.astype("f8")

    def grain(self, number: int) -> dict:
        """What INTERFACES says of a grain, and its lists of segments, facets and rows."""
        inside = self.surroundings.label == number
        outline = Outline.of(self.grains, number)
        beyond, others = outline.beyond(self.surroundings, number)
        facets = facets_of(outline, beyond, others, inside, self.outliers)
        depth, side = nearest_sides(inside, outline, beyond)
        found, pair = self._pair(number)
        row = {
            "cut": _is_cut(inside), "found": found, "rich": -1, "poor": -1,
            "facets": facets, "rows": self._profile(inside, depth, side), "segments": [],
        }  # fmt: skip
        if pair is None:
            return row
        rich, poor = pair
        columns = columns_of(
            self.phases, inside, rich=rich, poor=poor, contents=self.fields[pair],
            own_lattice=self.own_lattice, outliers=self.outliers,
        )  # fmt: skip
        mean = np.clip(columns.share, 0, 1).mean() if len(columns.y) else np.nan
        row |= {
            "rich": rich, "poor": poor, "rich_share": mean, "noise": columns.noise,
            "other_count": columns.others,
            **{
                name: int((columns.origin == origin).sum())
                for name, origin in (
                    ("measured_count", MEASURED), ("posterior_count", POSTERIOR),
                    ("decision_count", DECISION),
                )
            },
        }  # fmt: skip
        if len(columns.y) < self.min_positions:
            return row | {"found": Found.TOO_FEW}
        return row | self._interface(number, inside, outline, columns, depth, facets, pair)

    def _pair(self, number: int) -> tuple[Found, tuple[int, int] | None]:
        """The rich and poor phase of the field of the two phases that fill most of it, if any.

        An interface with a third phase, rarer than both, would be drawn through what is neither.
        """
        amount = self.amount[number]
        present = np.flatnonzero(amount >= _FEWEST)
        if len(present) < 2:
            return Found.ONE_PHASE, None
        most = set(present[np.argsort(-amount[present], kind="stable")[:2]])
        pair = next((pair for pair in self.fields if set(pair) == most), None)
        return (Found.NO_FIELD if pair is None else Found.INTERFACE), pair

    def _interface(
        self, number: int, inside: np.ndarray, outline: Outline, columns: Columns,
        depth: np.ndarray, facets: list[Facet], pair: tuple[int, int],
    ) -> dict:  # fmt: skip
        own_depth = np.full(inside.shape, np.nan)
        own_depth[inside] = depth
        topology = topology_of(columns, inside, outline)
        at_depth = own_depth[columns.y, columns.x]
        fits, gain = _fitted(columns, at_depth)
        best, _ = _likeliest(gain, columns)
        worth = columns.independence(_predicted(columns, best, fits, at_depth))
        best, evidence = _likeliest(gain * worth, columns)
        unexplained = _unexplained(columns, _predicted(columns, best, fits, at_depth))
        found = Found.INTERFACE
        if evidence[1 + best] < _SURE + max(evidence[0], 0.0):
            share = SHARES[columns.table.sum(axis=0).argmax()]
            mixed = evidence[0] >= _SURE and _LEAST_SHARE <= share <= 1 - _LEAST_SHARE
            found = Found.UNIFORM if mixed else Found.NOT_SURE
        row = {
            "found": found, "log_evidence": evidence, "specks": topology.specks,
            "label_error": topology.label_error,
        }  # fmt: skip
        if found != Found.INTERFACE:
            return row
        expected = self.outliers + _BY_CHANCE
        most = expected + 3 * math.sqrt(expected * (1 - expected) / len(columns.y))
        fits_well = unexplained <= most
        if fits_well and best in (Shape.LINE, Shape.BAND):
            fit = shapes.again(fits[best], columns.worth(worth))
            pieces = segments.through(fit, columns, number, self.surroundings)
        else:
            pieces = segments.along_contour(columns, topology.label, number, self.surroundings)
        turn, turn_error, turn_axis = axes.across_interface(
            self.phases, (columns.y, columns.x), columns.gain > 0, pair,
            self.grains["rotation"].values[number].astype("f8"), self.lattices,
        )  # fmt: skip
        bent = fits[Shape.CURVE]
        shell = fits.get(Shape.OUTLINE)
        return row | {
            "shape": best if fits_well else Shape.NONE,
            "misfit_share": unexplained,
            "curvature": bent.parameters[CURVATURE],
            "curvature_stderr": bent.stderr[CURVATURE] / math.sqrt(worth),
            "depth": abs(shell.parameters[FIRST]) if shell else np.nan,
            "depth_stderr": shell.stderr[FIRST] / math.sqrt(worth) if shell else np.nan,
            "rich_domains": topology.rich_domains, "poor_domains": topology.poor_domains,
            "contacts": topology.contacts,
            "misorientation": turn, "misorientation_stderr": turn_error,
            "misorientation_axis": turn_axis, "segments": pieces,
        }  # fmt: skip

    def _profile(self, inside: np.ndarray, depth: np.ndarray, side: np.ndarray) -> list[tuple]:
        return depth_profile(depth, side, self.content[inside], self.content_error[inside])


def _fitted(columns: Columns, depth: np.ndarray) -> tuple[dict[Shape, Fit], np.ndarray]:
    """Fits of the shapes, and highest log-likelihoods (model,) of MODELS over that of the likelier
    whole phase."""
    whole = max(columns.table[:, 0].sum(), columns.table[:, -1].sum())
    straight = shapes.line(columns)
    fits = {
        Shape.LINE: straight, Shape.BAND: shapes.band(columns),
        Shape.CURVE: shapes.curve(columns, straight),
    }  # fmt: skip
    if np.isfinite(depth).all():
        fits[Shape.OUTLINE] = shapes.along_outline(columns, depth)
    highest = [columns.table.sum(axis=0).max()]  # one share in all
    highest += [fits[one].log_likelihood if one in fits else np.nan for one in list(Shape)[1:]]
    return fits, np.array(highest) - whole


def _likeliest(gain: np.ndarray, columns: Columns) -> tuple[Shape, np.ndarray]:
    """The likeliest shape, and log-evidences (model,) from log-likelihoods over one phase's."""
    evidence = gain - 0.5 * np.log(len(columns.y)) * np.array(_PARAMETERS)
    return Shape(int(np.nanargmax(evidence[1:]))), evidence


def _predicted(
    columns: Columns, shape: Shape, fits: dict[Shape, Fit], depth: np.ndarray
) -> np.ndarray:
    """Share of the rich phase (n,) that a shape has in the columns."""
    if shape == Shape.OUTLINE:
        return fits[shape].share(np.zeros(len(depth)), depth)
    return fits[shape].share(columns.y, columns.x)


def _unexplained(columns: Columns, share: np.ndarray) -> float:
    """Share of positions far less likely under the shares predicted than under their best one."""
    last = columns.table.shape[1] - 1
    place = np.clip(np.round(share * last), 0, last).astype(int)
    here = columns.table[np.arange(len(place)), place]
    return float(np.mean(columns.table.max(axis=1) - here > _UNEXPLAINED))


def _amounts(phases: xr.Dataset, grains: xr.Dataset) -> np.ndarray:
    """Positions of each phase in each grain (grain, phase), mixed ones by their shares."""
    label, share = grains["label"].values, phases["share"].values.astype("f8")
    known = (label >= 0) & np.isfinite(share).all(axis=-1)
    amount = np.zeros((grains.sizes["grain"], share.shape[-1]))
    np.add.at(amount, label[known], share[known])
    return amount


def _is_cut(inside: np.ndarray) -> bool:
    return bool(inside[[0, -1]].any() or inside[:, [0, -1]].any())


def _check(phases, grains, candidates, fields, names) -> None:
    if phases.attrs["scan"] != grains.attrs["scan"] or (
        phases["decision"].shape != grains["label"].shape
    ):
        raise InputError(
            grains.attrs["scan"], f"its grains are not those of the phases of"
            f" {phases.attrs['scan']}", remedy="give data sets of one scan",
        )  # fmt: skip
    if names != candidates.names:
        raise InputError(
            phases.attrs["scan"], f"its phases are {names}, not {candidates.names}",
            field="phase", remedy="give the candidates that it was decided with",
        )  # fmt: skip
    for field in fields:
        if len(field) != 2 or not set(field) <= set(names):
            raise InputError(
                phases.attrs["scan"], f"the two-phase field {dict(field)} does not name two of"
                f" {names}", field="two_phase_fields", remedy="correct the names",
            )  # fmt: skip


def _tilts(width, error, thickness, thickness_error) -> tuple[np.ndarray, np.ndarray]:
    """Angle of planes with the beam and standard error, degrees: tan(tilt) = width / thickness."""
    if thickness is None:
        return np.full(len(width), np.nan), np.full(len(width), np.nan)
    tangent = width / thickness
    spread = np.hypot(error / thickness, tangent * thickness_error / thickness)
    return np.degrees(np.arctan(tangent)), np.degrees(spread / (1 + tangent**2))


def _said_of_directions(phases: xr.Dataset, camera: StatedCamera | None) -> str:
    if phases.attrs["map_by"]:
        return f"none in crystals: a map by {phases.attrs['map_by']} has a frame of its own"
    if camera is None:
        return "none in crystals: camera rotation not stated"
    return frames.statement(camera)


def _said_of_tilts(step: float, thickness: float | None) -> str:
    missing = [
        what
        for what, absent in (("scan step", not np.isfinite(step)), ("thickness", thickness is None))
        if absent
    ]
    return (
        f"none: {' and '.join(missing)} not known" if missing else "from band width and thickness"
    )
