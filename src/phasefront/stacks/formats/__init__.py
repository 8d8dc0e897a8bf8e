"""File formats of stacks: a module each, with a `read` that gives one `Stack`."""

from __future__ import annotations

from pathlib import Path

from phasefront.stacks.formats import axis2000, nexus, sdf, spectra

READERS = {
    ".hdr": sdf.read,
    ".ncb": axis2000.read,
    **dict.fromkeys((".hdf5", ".h5", ".hdf", ".nxs", ".stxm"), nexus.read),
    **dict.fromkeys(spectra.PLUGINS, spectra.read),
}


def companions(path: Path) -> list[Path]:
    """Files that are read along with a stack's: SDF's images, the header of aXis2000."""
    suffix = path.suffix.lower()
    if suffix == ".hdr":
        return sdf.images_of(path)
    header = axis2000.header_of(path)
    return [header] if suffix == ".ncb" and header.is_file() else []
