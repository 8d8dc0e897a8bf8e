"""Maps of phases and orientations for other programs: orix's CrystalMap as .h5, .ang and .ctf.

Angles and positions refer to one frame, that of the scan's image (`maps.frames`): x to the
right, along its rows, y down, z into the page. So a reader's correction for microscopes where they
differ stays off (MTEX: ``'EulerCorrection', rotation.id``). Where the config does not state how the
camera stands to the scan, angles refer to the camera's frame instead. Each file says which: a .ang
in its first line, a .ctf in the line of its project, a .h5 in attributes of `crystal_map`.

Phases have the numbers 1, 2, ... of the experiment in every file, whether they occur in it or not;
undecided positions and vacuum are not indexed.

These formats have one phase a position. A mixed position is indexed under its likeliest phase, in
the orientation of its first lattice, so that boundaries between phases are no gaps between grains;
its `share` in the .h5 is below 1, and the second phase is in phasefront's own file only.

Where a cell's angles are not 90 degrees, programs disagree about the crystal's Cartesian axes. A
.h5 or .ang has orix's, e1 along a and e3 along c*; a .ctf has those of Channel 5 and MTEX, e1
along a* and e3 along c, which orix does not undo when it reads one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from phasefront.core.errors import InputError
from phasefront.diffraction.crystals import Crystal
from phasefront.layouts.phases import MIXED
from phasefront.maps import frames

if TYPE_CHECKING:
    from orix.crystal_map import CrystalMap, Phase
    from orix.quaternion import Rotation

    from phasefront.experiment.settings.instruments import StatedCamera

# Numbers of the Laue groups in a .ctf, by orix's names of their rotations.
LAUE_NUMBERS = {
    "1": 1, "211": 2, "121": 2, "112": 2, "222": 3, "4": 4, "422": 5, "3": 6, "321": 7, "312": 7,
    "32": 7, "6": 8, "622": 9, "23": 10, "432": 11,
}  # fmt: skip

_CTF_COLUMNS = "Phase X Y Bands Error Euler1 Euler2 Euler3 MAD BC BS"
_CTF_FORMATS = "%d %.9g %.9g %d %d %.4f %.4f %.4f %.4f %d %d"
_CTF_NO_SOLUTION = 3  # the code of Channel 5 for what was not indexed


def crystal_map(
    phases: xr.Dataset, orientations: xr.Dataset, grains: xr.Dataset,
    crystals: Sequence[Crystal], *, step_nm: float, camera: StatedCamera | None,
) -> CrystalMap:  # fmt: skip
    """The decided phase and its orientation, as grains settle it, at every position, rows first.

    Orientations are in the frame of the scan, or of the patterns where `camera` is None. Mixed
    positions have their likeliest phase. Properties, all 0 where not indexed: of the phase's
    best orientation `score` and `spots` (correlation and number of spots indexed), the
    `orientation_probability` that it is neither half turned nor of another variant, its standard
    error `orientation_stderr` (degrees) if it is neither, `posterior` of the phase, its `share` of
    the crystal there (1 where decided), and `reliability`. Coordinates
    are in nm, or count positions ("px") where `step_nm` is NaN.

    Raises
    ------
    InputError
        The crystals are not the phases of the file.
    """
    from orix.crystal_map import CrystalMap, PhaseList
    from orix.quaternion import Rotation

    names = [crystal.name for crystal in crystals]
    if names != list(phases["phase"].values):
        raise InputError(
            phases.attrs["scan"], f"its phases are {list(phases['phase'].values)}, not {names}",
            field="phase", remedy="give the CIFs of the phases it was decided between, in order",
        )  # fmt: skip
    decision = phases["decision"]
    likeliest = phases["posterior"].fillna(-1).argmax("phase")
    chosen = decision.where(decision != MIXED, likeliest)
    indexed = chosen.values.ravel() >= 0
    number = np.where(indexed, chosen.values.ravel() + 1, -1)
    chosen = chosen.clip(min=0)
    best = orientations[["score", "indexed"]].isel(rank=0)
    properties = {
        "score": best["score"].isel(phase=chosen),
        "spots": best["indexed"].isel(phase=chosen),
        "orientation_probability": grains["orientation_probability"],
        "orientation_stderr": phases["orientation_stderr"],
        "posterior": phases["posterior"].isel(phase=chosen),
        "share": phases["share"].isel(phase=chosen),
        "reliability": phases["reliability"],
    }
    rotation = grains["orientation"].values.reshape(-1, 4).astype("f8")
    rotation = frames.on_scan(rotation, camera)
    known = np.isfinite(step_nm)
    y, x = np.indices(decision.shape).reshape(2, -1) * (float(step_nm) if known else 1.0)
    found = CrystalMap(
        Rotation(np.where(indexed[:, None], rotation, [1.0, 0.0, 0.0, 0.0])),
        phase_id=number,
        x=x,
        y=y,
        scan_unit="nm" if known else "px",
        prop={name: np.where(indexed, v.values.ravel(), 0) for name, v in properties.items()},
    )
    # Set afterwards: the constructor drops phases that do not occur, and numbers would shift.
    named = PhaseList({n: _named_phase(crystal, n) for n, crystal in enumerate(crystals, start=1)})
    named.add_not_indexed()
    found.phases = named
    return found


def write_h5(crystal_map: CrystalMap, path: str | Path, *, camera: StatedCamera | None) -> None:
    """Write orix's own HDF5 file, which `orix.io.load` reads back as it was.

    Attributes of its group `crystal_map` tell `directions`, what they refer to, and of a stated
    `camera` each value that is known, by its name in the config behind `camera_`.
    """
    import h5py
    from orix import io

    io.save(path, crystal_map, overwrite=True)
    known = {} if camera is None else camera.model_dump(exclude_none=True)
    with h5py.File(path, "r+") as file:
        group = file["crystal_map"]
        group.attrs["directions"] = frames.statement(camera)
        for name, value in known.items():
            group.attrs[f"camera_{name}"] = value


def write_ang(crystal_map: CrystalMap, path: str | Path, *, camera: StatedCamera | None) -> None:
    """Write a .ang as EDAX does.

    Score stands as image quality, where ASTAR has its correlation index; the posterior as
    confidence index, -1 where not indexed; reliability in a last column of its own. Positions
    are in the map's unit, nm as ASTAR's. Lattices keep 0.001 angstrom.
    """
    from orix import io

    copy = crystal_map.deepcopy() if crystal_map.size > 3 else _of_four(crystal_map)
    # orix writes a point group's rotations, 2 for mm2; the format means its Laue group's, 222.
    for _, phase in _crystals_of(copy):
        phase.space_group = None
        phase.point_group = phase.point_group.laue_proper_subgroup
    io.save(
        path,
        copy,
        overwrite=True,
        image_quality_prop="score",
        confidence_index_prop="posterior",
        extra_prop="reliability",
    )
    # orix takes a single column for a row, and has had to be given four positions.
    path = Path(path)
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    text = "".join(lines[: len(lines) - copy.size + crystal_map.size])
    columns = crystal_map.size if crystal_map.dy == 0 else len(np.unique(crystal_map.x))
    for name, number in (
        ("COLS_ODD", columns),
        ("COLS_EVEN", columns),
        ("ROWS", crystal_map.size // columns),
    ):
        text = re.sub(rf"N{name}: \d+", f"N{name}: {number}", text)
    path.write_text(f"# {frames.statement(camera)}\n{text}", encoding="utf-8")


def _of_four(crystal_map: CrystalMap) -> CrystalMap:
    """The map, its last position repeated until there are four: orix writes no .ang of fewer."""
    from orix.crystal_map import CrystalMap
    from orix.quaternion import Rotation

    taken = np.minimum(np.arange(4), crystal_map.size - 1)
    along = "y" if crystal_map.dy else "x"
    padded = CrystalMap(
        Rotation(crystal_map.rotations.data[taken]),
        phase_id=crystal_map.phase_id[taken],
        scan_unit=crystal_map.scan_unit,
        prop={name: values[taken] for name, values in crystal_map.prop.items()},
        **{along: np.arange(4) * float(crystal_map.dx or crystal_map.dy or 1)},
    )
    padded.phases = crystal_map.phases.deepcopy()
    return padded


def write_ctf(crystal_map: CrystalMap, path: str | Path, *, camera: StatedCamera | None) -> None:
    """Write a Channel 5 text file (.ctf).

    What orix.io.plugins.ctf and MTEX's loadEBSD_ctf read: micrometres, Bunge angles in degrees
    from the frame to the crystal, Laue groups by number. The space group is 0 where its number
    does not tell the setting, or is not centrosymmetric and so not its Laue group's. Bands are
    the spots indexed; MAD is the score, as EMsoft puts its dot product there; BC and BS are
    posterior and reliability in whole per cent. Not indexed: phase 0, error 3, all else 0.
    """
    indexed = crystal_map.is_indexed
    rotations = crystal_map.rotations
    for number, phase in _crystals_of(crystal_map):
        here = crystal_map.phase_id == number
        rotations[here] = _channel_axes(phase) * rotations[here]
    micrometres = 1e-3 if crystal_map.scan_unit == "nm" else 1.0
    # orix has no coordinates along a direction with a single position.
    x, y = (
        np.zeros(crystal_map.size) if axis is None else micrometres * axis
        for axis in (crystal_map.x, crystal_map.y)
    )
    step = micrometres * (crystal_map.dx or crystal_map.dy)
    lines = [
        "Channel Text File",
        f"Prj\tphasefront; {frames.statement(camera)}",
        "Author\tphasefront",
        "JobMode\tGrid",
        f"XCells\t{len(np.unique(x))}",
        f"YCells\t{len(np.unique(y))}",
        f"XStep\t{step:.9g}",
        f"YStep\t{step:.9g}",
        "AcqE1\t0",
        "AcqE2\t0",
        "AcqE3\t0",
        "Euler angles refer to Sample Coordinate system (CS0)!\tMag\t0\tCoverage\t100\tDevice\t0"
        "\tKV\t0\tTiltAngle\t0\tTiltAxis\t0",
        f"Phases\t{len(_crystals_of(crystal_map))}",
        *(_ctf_phase(phase) for _, phase in _crystals_of(crystal_map)),
        _CTF_COLUMNS.replace(" ", "\t"),
    ]
    table = np.column_stack(
        [
            np.where(indexed, crystal_map.phase_id, 0),
            x,
            y,
            crystal_map.prop["spots"],
            np.where(indexed, 0, _CTF_NO_SOLUTION),
            np.where(indexed[:, None], rotations.to_euler(degrees=True), 0),
            crystal_map.prop["score"],
            np.rint(100 * crystal_map.prop["posterior"]),
            np.rint(100 * crystal_map.prop["reliability"]),
        ]
    )
    formats = _CTF_FORMATS.replace(" ", "\t")
    np.savetxt(path, table, formats, header="\n".join(lines), comments="")


def _named_phase(crystal: Crystal, number: int) -> Phase:
    """orix's phase, with a point group that its name alone brings back from a file."""
    from orix.quaternion.symmetry import _groups, get_point_group

    phase = crystal.orix_phase()
    phase.color = f"C{number - 1}"
    space_group = crystal.space_group
    if not any(phase.point_group is group for group in _groups):
        # 2/m along b, for one: orix's 2/m is along c, but it has 121.
        phase.point_group = phase.point_group.laue_proper_subgroup
    elif (
        space_group
        and space_group.is_reference_setting()
        and get_point_group(space_group.number) == phase.point_group
    ):
        # Else its number would mean other axes: Cmcm for Amam, and 2 along c for 2 along b.
        phase.space_group = space_group.number
    return phase


def _crystals_of(crystal_map: CrystalMap) -> list[tuple[int, Phase]]:
    return [(number, phase) for number, phase in crystal_map.phases if number != -1]


def _channel_axes(phase: Phase) -> Rotation:
    """Rotation from orix's axes of a crystal to those with e1 along a* and e3 along c."""
    from orix.quaternion import Rotation

    _, b, c = phase.structure.lattice.base
    e1 = np.cross(b, c) / np.linalg.norm(np.cross(b, c))
    e3 = c / np.linalg.norm(c)
    return Rotation.from_matrix([e1, np.cross(e3, e1), e3])


def _ctf_phase(phase: Phase) -> str:
    lattice = [f"{value:.5f}" for value in phase.structure.lattice.abcABG()]
    laue = LAUE_NUMBERS[phase.point_group.laue_proper_subgroup.name]
    named = phase.space_group is not None and phase.point_group.contains_inversion
    number = phase.space_group.number if named else 0
    return f"{';'.join(lattice[:3])}\t{';'.join(lattice[3:])}\t{phase.name}\t{laue}\t{number}"
