"""What the beam of a virtual scan meets: grains with their phases, and the spots of every column.

A grain takes a lattice orientation of the table of Bloch waves and a turn in the plane; phases of
one grain share its lattice. How its patterns are seen is another module's business.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.layouts.truth import TRUTH
from phasefront.virtual import bloch_waves, particles
from phasefront.virtual.insertion import placing
from phasefront.virtual.particles import VirtualPhase

# Mean free path for diffuse scattering: made up; 10 to 100 nm leave 0.85 to 0.19 of the beam.
DIFFUSE_PATH_NM = 60.0


@dataclass(frozen=True)
class Columns:
    """What the beam meets at each position: a ragged list of single crystals.

    A crystal's spots are those of `pattern` of the Bloch-wave table, turned in the plane by an
    angle, at a thickness between two of the table (`lower` and `upper_weight`), times `share`.
    """

    offset: np.ndarray
    pattern: np.ndarray
    cosine: np.ndarray
    sine: np.ndarray
    lower: np.ndarray
    upper_weight: np.ndarray
    share: np.ndarray
    direct: np.ndarray  # per position: left in the direct beam
    elastic: np.ndarray  # per position: not scattered diffusely


@dataclass(frozen=True)
class Specimen:
    """Grains of a virtual scan over (ny, nx) positions, as phases of the table of Bloch waves."""

    table: xr.Dataset  # BLOCH_WAVES
    phases: list[VirtualPhase]
    thickness: np.ndarray  # (grain, ny, nx) nm
    shares: np.ndarray  # (phase, grain, ny, nx) of a grain's thickness there
    rotations: np.ndarray  # (phase, grain, 4) frame to crystal
    columns: Columns
    rich: int  # the ion-rich one of the two phases,
    poor: int  # and the other one
    rich_share: float  # volume share of the ion-rich phase that was asked for
    attributes: dict  # of its TRUTH

    def truth(self, centres: np.ndarray, affine: np.ndarray) -> xr.Dataset:
        """TRUTH of a scan with beam centres (ny, nx, 2) in pixels and an affine map (2, 2)."""
        return _truth(
            self.phases, self.thickness, self.shares, self.rotations, centres, affine
        ).assign_attrs(self.attributes)


def make_specimen(
    *,
    scan: str,
    material: str,
    phases: list[VirtualPhase],
    ion_content: float,
    insertion_model: str,
    seed: int,
    shape: tuple[int, int] = (64, 64),
    scan_step_nm: float = 10.0,
    grains: int = 14,
    thickness_nm: tuple[float, float] = (28.0, 85.0),
    front_normal: tuple[float, float, float] = (1.0, 0.0, 0.0),
    independent: bool = False,
    simulated: placing.Choice = placing.Choice(),  # noqa: B008 - frozen
    intensities: str | Path = bloch_waves.DATA_FILE,
) -> Specimen:
    """Grains in the middle of a field, each with its share of the two phases around a state.

    Each takes a lattice orientation of the table at random and a random turn in the plane. Phases
    of one grain share its lattice.

    Parameters
    ----------
    material, phases
        Of the Bloch-wave table `intensities`.
    ion_content
        Mean, ions per formula unit; the lever rule between the two phases around it gives molar
        fractions.
    independent
        Whether the mean is that of the population that grains are drawn from one by one, instead
        of the mean over the grains of this scan (see `particles.draw_shares`).
    insertion_model, front_normal
        See `particles.react`; the normal of a straight front is in the Cartesian axes of the first
        phase's crystal. In the model `simulated` grains and their fronts come from a file.
    simulated
        Which grains of the file; see `insertion.placing.place_grains`.

    Raises
    ------
    InputError
        Unknown material, phase or insertion model; an ion content outside the phases' range; more
        grains than the table has orientations, or than the choice of simulated ones has.
    """
    table = netcdf.read(intensities, bloch_waves.BLOCH_WAVES)
    patterns = patterns_of(table, material, phases, grains, intensities)
    rng = np.random.default_rng([seed, 0])
    shapes = particles.make_grains(
        shape, count=grains, scan_step_nm=scan_step_nm, thickness_nm=thickness_nm, rng=rng
    )
    patterns = patterns[:, rng.permutation(patterns.shape[1])[:grains]]
    turns = rng.uniform(0, 2 * np.pi, grains)
    rotations = turned(table["rotation"].values[patterns], turns)
    formula_volumes = table["formula_volume"].values[patterns[:, 0]]
    poor, rich, fraction = particles.neighbouring_phases(
        [phase.ion_content for phase in phases], ion_content
    )
    rich_share = particles.volume_share(
        fraction, formula_volume=formula_volumes[rich], other=formula_volumes[poor]
    )
    attributes = {}
    if insertion_model == placing.MODEL:
        placed = placing.place_grains(
            simulated, rich_share, shape=shape, count=grains, scan_step_nm=scan_step_nm,
            thickness_nm=thickness_nm, rotations=rotations[0], rng=rng,
        )  # fmt: skip
        thickness, of_rich = placed.thickness, placed.rich
        attributes = {"simulated_grain": placed.number, "simulated_state": placed.state}
    else:
        thickness = shapes.thickness
        fronts = _front_directions(rotations[0], front_normal, rng)
        of_rich = particles.react(
            shapes,
            particles.draw_shares(
                shapes.volumes, rich_share, model=insertion_model, independent=independent, rng=rng
            ),
            model=insertion_model,
            front_directions=fronts,
            scan_step_nm=scan_step_nm,
        )
    shares = np.zeros((len(phases), *thickness.shape))
    shares[poor] += (1 - of_rich) * (thickness > 0)
    shares[rich] += of_rich
    return Specimen(
        table=table, phases=phases, thickness=thickness, shares=shares, rotations=rotations,
        columns=stack_columns(table, patterns, turns, thickness, shares),
        rich=rich, poor=poor, rich_share=rich_share,
        attributes={
            "scan": scan, "seed": seed, "insertion_model": insertion_model,
            "ion_content": ion_content, "phase_ion_content": [p.ion_content for p in phases],
            "phase_formula_volume": list(formula_volumes), "scan_step_nm": scan_step_nm,
            **attributes,
        },
    )  # fmt: skip


def patterns_of(table, material, phases, grains, source) -> np.ndarray:
    """Rows of the table by (phase, lattice orientation).

    Raises InputError for an unknown material or phase, and for more grains than orientations.
    """
    rows = []
    for phase in phases:
        wanted = (table["material"].values == material) & (table["phase"].values == phase.structure)
        if not wanted.any():
            known = sorted(set(zip(table["material"].values, table["phase"].values, strict=True)))
            raise InputError(
                source, f"no intensities for {phase.structure!r} of material {material!r}",
                remedy=f"choose among {known}, or compute them (phasefront.virtual.bloch_waves)",
            )  # fmt: skip
        rows.append(np.flatnonzero(wanted)[table["grain"].values[wanted].argsort()])
    if len(rows[0]) < grains:
        raise InputError(
            source, f"{len(rows[0])} orientations for {grains} grains", field="grain",
            remedy="ask for fewer grains or compute more orientations",
        )  # fmt: skip
    return np.array(rows)


def formula_volumes(
    table: xr.Dataset, material: str, phases: list[VirtualPhase], source: str | Path
) -> dict[str, float]:
    """Volume of a formula unit of each phase, angstrom^3, by its name."""
    rows = patterns_of(table, material, phases, 1, source)[:, 0]
    volumes = table["formula_volume"].values[rows]
    return {phase.name: float(volume) for phase, volume in zip(phases, volumes, strict=True)}


def turned(rotations: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """Orientations (phase, grain, 4) of crystals turned in the plane, from x towards y."""
    from scipy.spatial.transform import Rotation

    back = Rotation.from_rotvec(-turns[:, None] * np.array([0.0, 0.0, 1.0]))
    return np.stack(
        [
            (Rotation.from_quat(own, scalar_first=True) * back).as_quat(
                canonical=True, scalar_first=True
            )
            for own in rotations
        ]
    )


def _front_directions(rotations, normal, rng) -> np.ndarray:
    """The crystal direction `normal` in the frame, for each grain with either sign."""
    from scipy.spatial.transform import Rotation

    unit = np.array(normal) / np.linalg.norm(normal)
    sign = rng.choice([-1.0, 1.0], size=len(rotations))
    return Rotation.from_quat(rotations, scalar_first=True).inv().apply(sign[:, None] * unit)


def stack_columns(table, patterns, turns, thickness, shares) -> Columns:
    """List the crystals of every position from thickness (grain, y, x) and share of each phase."""
    y, x, grain, phase = np.nonzero(shares.transpose(2, 3, 1, 0) > 0)
    pattern = patterns[phase, grain]
    lower, upper_weight, entry_direct = at_thickness(table, pattern, thickness[grain, y, x])
    share = shares[phase, grain, y, x]

    through = np.zeros(thickness.shape)
    np.add.at(through, (grain, y, x), share * entry_direct)
    through[thickness == 0] = 1.0
    through_all = through.prod(axis=0)
    share = share * through_all[y, x] / through[grain, y, x]
    count = np.bincount(y * thickness.shape[2] + x, minlength=through_all.size)
    return Columns(
        offset=np.concatenate([[0], np.cumsum(count)]),
        pattern=pattern,
        cosine=np.cos(turns)[grain],
        sine=np.sin(turns)[grain],
        lower=lower,
        upper_weight=upper_weight,
        share=share,
        direct=through_all.ravel(),
        elastic=np.exp(-thickness.sum(axis=0) / DIFFUSE_PATH_NM).ravel(),
    )


def at_thickness(table, pattern, nm) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Thickness of the table below, weight of the one above it, and the direct beam's share."""
    steps = table["thickness"].values.astype(float)
    lower = np.clip(np.searchsorted(steps, nm) - 1, 0, len(steps) - 2)
    upper_weight = np.clip((nm - steps[lower]) / (steps[lower + 1] - steps[lower]), 0, 1)
    direct = table["direct"].values
    through = (1 - upper_weight) * direct[pattern, lower]
    through += upper_weight * direct[pattern, lower + 1]
    return lower, upper_weight, through


def _truth(phases, thickness, shares, rotations, centres, affine) -> xr.Dataset:
    """TRUTH from thickness (grain, y, x), shares (phase, grain, y, x) and orientations."""
    total = thickness.sum(axis=0)
    weight = shares * thickness / np.where(total > 0, total, 1)
    order = np.arange(len(thickness))[:, None, None]
    # Thickest first; of equal ones the first.
    ranked = np.argsort(-thickness, axis=0, kind="stable")

    def of_rank(rank: int) -> tuple[np.ndarray, np.ndarray]:
        grain = ranked[rank]
        here = np.take_along_axis(thickness, grain[None], axis=0)[0] > 0
        rotation = np.moveaxis(rotations[:, grain], 0, 2)
        own = np.take_along_axis(weight, grain[None, None], axis=1)[:, 0]
        return np.where(here[..., None, None], rotation, np.nan), np.moveaxis(own, 0, -1)

    second_rotation, second_weight = of_rank(1)
    return netcdf.build(
        TRUTH,
        {
            "phase": [phase.name for phase in phases],
            "weight": np.moveaxis(weight.sum(axis=1), 0, -1), "thickness": total,
            "grain": np.where(thickness > 0, order, -1).max(axis=0),
            "overlap": (thickness > 0).sum(axis=0) > 1, "rotation": of_rank(0)[0],
            "second_rotation": second_rotation, "second_weight": second_weight,
            "centre_y": centres[..., 0], "centre_x": centres[..., 1], "affine": affine,
        },
    )  # fmt: skip
