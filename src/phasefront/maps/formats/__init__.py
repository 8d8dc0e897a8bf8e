"""Orientation and phase maps that other programs made.

Orientations take directions of the frame that the file means to directions of the crystal
(v_crystal = O v_frame), as everywhere here (`phasefront.layouts`) and as Bunge's angles do. The
crystal's axes are phasefront's own, e1 along a and e3 along c*, whatever the format's are.

The frame is left as the file has it, since none of these formats tells how it lies to the map's
rows and columns, x along the rows and y down. MTEX leaves it to the user, too: half a turn about z
by default in a .ctf; about x + y, x - y, x or y in a .ang, by the setting of OIM
(mtex-toolbox.github.io/EBSDReferenceFrame.html), and about x + y for ASTAR, if asked for. So
whoever uses directions of a map whose `directions` are None has to be told. What phasefront exports
is in the frame of its scan or camera (`phasefront.frames`), and `directions` says so.
"""

from __future__ import annotations

from pathlib import Path

from phasefront.core.errors import InputError
from phasefront.maps.formats import ang, ctf, lines, orix_h5
from phasefront.maps.formats.map import MapPhase, OrientationMap, Quality
from phasefront.maps.formats.matching import PhaseMatch, match_phases, relabelled

__all__ = [
    "MapPhase", "OrientationMap", "PhaseMatch", "Quality", "match_phases", "read_map", "relabelled",
]  # fmt: skip

_HDF5 = b"\x89HDF\r\n\x1a\n"
# What people have instead of a map that can be read, and what to do about it.
_REMEDIES = {
    ".osc": "export it from OIM as .ang",
    ".res": "export it from ASTAR's MapViewer as .ang",
    ".cpr": "export the project as a Channel text file (.ctf)",
    ".crc": "export the project as a Channel text file (.ctf)",
}
_REMEDY = "give a .ang, a Channel text file (.ctf) or an .h5 of orix"


def read_map(path: str | Path) -> OrientationMap:
    """Map of a .ang (ASTAR, EDAX, EMsoft, orix), a .ctf or orix's own .h5, told by its content.

    Raises
    ------
    InputError
        No such file, none of these formats, broken off, no complete rectangle of positions, or
        ambiguous in its phases, angles, columns or axes.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(path, "there is no such file", remedy="correct the path of the map")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(
            path, f"cannot be read ({error.strerror})", remedy="check its permissions"
        ) from error
    if content.startswith(_HDF5):
        return orix_h5.read(path)
    text = lines.split(content)
    for reader in (ctf, ang):
        if reader.wrote(text):
            lines.refuse_open_end(path, text)
            return reader.read(path, text)
    raise InputError(
        path, "its content is that of no format of maps which is known here",
        remedy=_REMEDIES.get(path.suffix.lower(), _REMEDY),
    )  # fmt: skip
