"""HyperSpy (.hspy, of old .hdf5, and .zspy)."""

from __future__ import annotations

from pathlib import Path

from phasefront.formats.hdf5 import refuse_unwritten
from phasefront.formats.scan import Scan
from phasefront.formats.signals import choose, from_signal, read_signals


def open_hspy(path: Path) -> Scan:
    """The one scan in HyperSpy's HDF5."""
    import h5py

    with h5py.File(path) as file:
        for experiment in file.get("Experiments", {}).values():
            if isinstance(array := experiment.get("data"), h5py.Dataset):
                refuse_unwritten(path, array)
    return from_signal(path, choose(path, read_signals(path, "hspy")), (path,))


def open_zspy(path: Path) -> Scan:
    """The one scan in HyperSpy's Zarr, a folder or one file."""
    files = tuple(sorted(p for p in path.rglob("*") if p.is_file())) if path.is_dir() else (path,)
    return from_signal(path, choose(path, read_signals(path, "zspy")), files)
