"""File formats of stacks: a module each, with a `read` that gives one `Stack`."""

from __future__ import annotations

from phasefront.stacks.formats import axis2000, nexus, sdf, spectra

READERS = {
    ".hdr": sdf.read,
    ".ncb": axis2000.read,
    **dict.fromkeys((".hdf5", ".h5", ".hdf", ".nxs", ".stxm"), nexus.read),
    **dict.fromkeys(spectra.PLUGINS, spectra.read),
}
