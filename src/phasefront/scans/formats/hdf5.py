"""What HDF5 files promise, held against what is written in them."""

from __future__ import annotations

import math
from pathlib import Path

from phasefront.core.errors import InputError
from phasefront.scans.formats.headers import LONGEST_HEADER_LIST


def refuse_unwritten(path: Path, dataset) -> None:
    """Refuse an h5py dataset of which parts are not in the file.

    HDF5 gives zeros in their place: a recording that broke off would look complete. And so memory
    is bounded by the file, apart from what compression saves.
    """
    if dataset.is_virtual or dataset.external:
        raise InputError(
            path, "its values lie in other files", field=dataset.name,
            remedy="save the array itself in one file, for example with h5repack",
        )  # fmt: skip
    if dataset.chunks:
        pairs = zip(dataset.shape, dataset.chunks, strict=True)
        promised = math.prod(math.ceil(size / chunk) for size, chunk in pairs)
        written, unit = dataset.id.get_num_chunks(), "chunks"
    else:
        promised = dataset.size * dataset.id.get_type().get_size()
        written, unit = dataset.id.get_storage_size(), "bytes"
    if written < promised:
        raise InputError(
            path, f"of its {promised} {unit} {written} are written: the recording broke off",
            field=dataset.name, remedy="save the scan again, complete",
        )  # fmt: skip


def brief(dataset) -> object:
    """Value of a small h5py dataset; of a longer one, which may be as large as a scan, its size."""
    if dataset.size is not None and dataset.size > LONGEST_HEADER_LIST:
        return f"{dataset.size} values"
    return dataset[()]
