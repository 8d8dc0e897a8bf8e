"""Virtual scans as genuine ASTAR block files."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import numpy as np

from phasefront.virtual.film import FULL_SCALE
from phasefront.virtual.rendering import CAMERA_PIXELS

# Pixel of the header of a genuine file: 62.26 pixels per cm.
_PIXELS_PER_CM = 62.26
# Rows of the scan rendered at once.
_ROWS = 4


def write_block_file(
    path, frames_of, *, columns, shape, scan_step_nm, scale_nominal, table, gamma, threads
) -> None:
    """Write frames as an ASTAR block file; `frames_of(rows)` gives (rows, nx, pixel, pixel)."""
    import dask
    import dask.array
    from rsciio.blockfile import file_writer

    rows = dask.array.arange(shape[0], chunks=_ROWS)
    frames = dask.array.map_blocks(
        lambda numbers: frames_of(slice(int(numbers[0]), int(numbers[-1]) + 1)),
        rows, dtype=np.uint8, new_axis=[1, 2, 3], meta=np.empty((0, 0, 0, 0), np.uint8),
        chunks=(rows.chunks[0], (shape[1],), (CAMERA_PIXELS,), (CAMERA_PIXELS,)),
    )  # fmt: skip
    signal = {
        "data": frames,
        "axes": _axes(shape, scan_step_nm),
        "metadata": {},
        "original_metadata": {"blockfile_header": _header(table, scale_nominal, gamma)},
        "attributes": {"_lazy": True},
    }
    bright_field = np.rint(FULL_SCALE * columns.direct * columns.elastic).reshape(shape)
    # The writer maps the file into memory: a disk that gets full then would kill the process.
    if shutil.disk_usage(Path(path).parent).free < frames.nbytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    with dask.config.set(scheduler="threads", num_workers=threads):
        file_writer(
            str(path), signal, navigator=bright_field.astype(np.uint8), show_progressbar=False
        )


def _axes(shape, scan_step_nm: float) -> list[dict]:
    pixel = (CAMERA_PIXELS, 1 / _PIXELS_PER_CM, "cm", False)
    sizes = [(shape[0], scan_step_nm, "nm", True), (shape[1], scan_step_nm, "nm", True)]
    names = ("y", "x", "dy", "dx")
    return [
        {
            "name": name, "index_in_array": index, "size": size, "scale": scale, "offset": 0.0,
            "units": units, "navigate": navigate,
        }
        for index, (name, (size, scale, units, navigate)) in enumerate(
            zip(names, [*sizes, pixel, pixel], strict=True)
        )
    ]  # fmt: skip


def _header(table, scale_nominal: float, gamma: float) -> dict:
    """Fields of the header that the axes do not give, as a genuine file fills them."""
    from scipy import constants

    volts = 1e3 * table.attrs["voltage_kv"]
    rest_energy = constants.m_e * constants.c**2
    energy = constants.e * volts
    wavelength = constants.h * constants.c / np.sqrt(energy * (energy + 2 * rest_energy))
    # A pixel of width p at camera length L is p / (L wavelength) in spatial frequency.
    length_m = 0.01 / _PIXELS_PER_CM / (1e10 * wavelength * scale_nominal)
    return {
        "UNKNOWN1": 131135,
        "Beam_energy": round(volts),
        "Camera_length": round(1e4 * length_m),
        "Acquisition_time": 45000.5,  # days since 1899-12-30; fixed, so that bytes repeat
        "Note": f"Precession angle : {table.attrs['precession_deg']:g}\r\n"
        f"Precession Frequency : 100\r\nCamera gamma : {'off' if gamma == 1 else 'on'}",
    }
