"""HyperSpy (.hspy, of old .hdf5, and .zspy)."""

from __future__ import annotations

from pathlib import Path

from phasefront.core.errors import InputError
from phasefront.scans.formats.hdf5 import refuse_unwritten
from phasefront.scans.formats.scan import Scan
from phasefront.scans.formats.signals import choose, from_signal, read_signals


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
    _refuse_lost_chunks(path)
    files = tuple(sorted(p for p in path.rglob("*") if p.is_file())) if path.is_dir() else (path,)
    return from_signal(path, choose(path, read_signals(path, "zspy")), files)


def _refuse_lost_chunks(path: Path) -> None:
    """Zarr gives zeros for a chunk that is not there, as if no electron had been counted."""
    import zarr

    store = zarr.storage.ZipStore(str(path), mode="r") if path.is_file() else str(path)
    for experiment in zarr.open_group(store, mode="r")["Experiments"].values():
        array = experiment.get("data")
        if not isinstance(array, zarr.Array):
            continue
        # zarr's own count takes the folders of nested chunks for chunks.
        names = (key.removeprefix(f"{array.path}/") for key in array.chunk_store)
        written = sum(name[0].isdecimal() for name in names)
        if written < array.nchunks:
            raise InputError(
                path, f"of its {array.nchunks} chunks {written} are there", field=array.name,
                remedy="copy the whole folder again, or save the scan again",
            )  # fmt: skip
