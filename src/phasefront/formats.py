"""File formats of raw scans: an opener for each, all giving one `Scan`.

rosettasciio reads the headers, and the patterns wherever it does so block by block. py4DSTEM names
the axes of a scan Rx, Ry, Qx, Qy: its x runs along rows, so its order is ours.
"""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from phasefront.errors import InputError

BLOCK_BYTES = 32 * 2**20
# Blocks grow up to this factor so that no chunk of a compressed file is unpacked twice.
_LARGEST_BLOCK = 4 * BLOCK_BYTES
# Longer lists in a header are colour tables and the like.
_LONGEST_HEADER_LIST = 64
# Lengths in nm of the units that files give.
NANOMETRES = {"pm": 1e-3, "Å": 0.1, "A": 0.1, "nm": 1.0, "µm": 1e3, "um": 1e3, "m": 1e9}
_BLO_START = b"IMGBLO\x02\x01"
_BLO_HEADER = 4096
_BLO_FRAME_HEADER = 6
_TVIPS_HEADER = np.dtype(
    [
        (name, "<u4")
        for name in (
            "size", "version", "dimx", "dimy", "bitsperpixel", "offsetx", "offsety", "binx",
            "biny", "pixelsize", "ht", "magtotal", "frameheaderbytes",
        )
    ]
)  # fmt: skip
_TVIPS_ROTATOR_OFFSET = 48
_COMPLETE = "copy the file again from the microscope and check that it is complete"


@dataclass(frozen=True)
class Axis:
    """One axis of a scan as its file describes it; scale per position or pixel, in `unit`."""

    name: str
    size: int
    scale: float
    unit: str


@dataclass(frozen=True)
class Scan:
    """A raw scan on disk, read in blocks of rows.

    Attributes
    ----------
    path, files
        The file that was named, and all files that the patterns and header are read from.
    axes
        The four axes: rows and columns of positions, rows and columns of the camera.
    dtype
        dtype of the blocks, in native byte order.
    header
        What the file says about itself: `metadata` (rosettasciio's common terms) and `original`;
        plain values that `json.dumps` takes.
    title
        The file's own title, or its stem.
    rows_together
        Rows that the file stores together; blocks of a multiple of it are fastest.
    """

    path: Path
    files: tuple[Path, ...]
    axes: tuple[Axis, Axis, Axis, Axis]
    dtype: np.dtype
    header: dict
    title: str
    rows_together: int
    _read: Callable[[int, int], np.ndarray] = field(repr=False, compare=False)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(ny, nx, ky, kx): rows, columns of positions, rows, columns of the camera."""
        return tuple(axis.size for axis in self.axes)

    @property
    def scan_step_nm(self) -> float:
        """Distance of neighbouring positions in nm; NaN where the file gives none, or two."""
        rows, columns = (axis.scale * NANOMETRES.get(axis.unit, math.nan) for axis in self.axes[:2])
        if self.shape[0] == 1:
            rows = columns
        if not (columns > 0 and math.isclose(rows, columns, rel_tol=0.01)):
            return math.nan
        return columns

    @property
    def scale(self) -> tuple[float, str] | None:
        """Size of a camera pixel along x as the file gives it, with its unit; None without."""
        axis = self.axes[3]
        known = axis.unit not in ("", "pixel", "pixels", "px") and axis.scale > 0
        return (axis.scale, axis.unit) if known else None

    def blocks(self, rows: int | None = None) -> Iterator[tuple[slice, np.ndarray]]:
        """Stream the scan once: (slice of rows, its patterns).

        Parameters
        ----------
        rows
            Rows of positions a block; by default as many as fit 32 MB, at least one.

        Yields
        ------
        slice, array
            Rows of the block, and a C-contiguous writable array (rows, nx, ky, kx) of `dtype`.

        Raises
        ------
        InputError
            If the file cannot be read there.
        """
        rows = self.block_rows if rows is None else rows
        for start in range(0, self.shape[0], rows):
            stop = min(start + rows, self.shape[0])
            yield slice(start, stop), self.read_rows(start, stop)

    def read_rows(self, start: int, stop: int) -> np.ndarray:
        """Patterns of the rows from `start` up to `stop`, see `blocks`."""
        with blamed_on(self.path, f"rows {start} to {stop - 1} of positions"):
            return np.require(self._read(start, stop), self.dtype, ["C", "O", "W"])

    @property
    def block_rows(self) -> int:
        """Rows of a block of about 32 MB, a multiple of what the file stores together."""
        row_bytes = math.prod(self.shape[1:]) * self.dtype.itemsize
        fitting = max(1, BLOCK_BYTES // row_bytes)
        together = self.rows_together
        if together <= fitting:
            fitting -= fitting % together
        elif together * row_bytes <= _LARGEST_BLOCK:
            fitting = together
        return min(fitting, self.shape[0])


def _open_blo(path: Path) -> Scan:
    """ASTAR block file: 6 bytes and a uint8 pattern for each position."""
    with path.open("rb") as file:
        start = file.read(_BLO_HEADER)
    if not start.startswith(_BLO_START):
        raise InputError(path, "it is no ASTAR block file", remedy="check its suffix")
    if len(start) < _BLO_HEADER:
        raise InputError(path, "the file is truncated within its header", remedy=_COMPLETE)
    signal = _map_signals(path, "blockfile")[0]
    header = signal["original_metadata"]["blockfile_header"]
    ny, nx, size = int(header["NY"]), int(header["NX"]), int(header["DP_SZ"])
    frame = _BLO_FRAME_HEADER + size**2
    present = max(0, path.stat().st_size - int(header["Data_offset_2"])) // frame
    # rosettasciio would pad the missing patterns with zeros, or fail while streaming.
    if present < ny * nx:
        raise InputError(
            path, f"the file is truncated: its header promises {ny * nx} patterns of {size}x{size} "
            f"pixels, {present} are there", remedy=_COMPLETE,
        )  # fmt: skip
    return _from_signal(path, signal, (path,), rows_together=1)


def _open_dm(path: Path) -> Scan:
    signal = _choose(path, _map_signals(path, "digitalmicrograph"))
    return _from_signal(path, signal, (path,), rows_together=1)


def _open_mib(path: Path) -> Scan:
    """Merlin; the .hdr beside it says how many frames there are, time stamps how many a line."""
    signal = _map_signals(path, "quantumdetector")[0]
    properties = signal["original_metadata"]["mib_properties"]
    frames = math.prod(signal["data"].shape[:-2])
    promised = signal["original_metadata"].get("hdr_file", {}).get("Frames in Acquisition (Number)")
    # rosettasciio leaves out an unfinished line without a word.
    expected = int(promised or 0) or int(properties["frame_number_in_file"])
    if frames != expected:
        raise InputError(
            path, f"{expected} frames are expected, {properties['frame_number_in_file']} are there "
            f"and {frames} of them make full lines",
            remedy=f"{_COMPLETE}, or correct 'Frames in Acquisition' of its .hdr",
        )  # fmt: skip
    header_file = path.with_suffix(".hdr")
    files = (path, header_file) if header_file.exists() else (path,)
    # The path differs between machines and is no property of the scan.
    signal["original_metadata"]["mib_properties"] = {**properties, "path": path.name}
    return _from_signal(path, signal, files, rows_together=1)


@dataclass(frozen=True)
class _TvipsPart:
    """One file of a TVIPS stream: `count` records from `offset` on, frames from `first` on."""

    path: Path
    record: np.dtype
    offset: int
    first: int

    @property
    def count(self) -> int:
        data_bytes = self.path.stat().st_size - self.offset
        if data_bytes % self.record.itemsize:
            raise InputError(self.path, "the file ends within a frame", remedy=_COMPLETE)
        return data_bytes // self.record.itemsize

    def map(self, start: int, stop: int) -> np.memmap:
        """Records of the file from `start` up to `stop`, and no more, mapped to memory."""
        offset = self.offset + start * self.record.itemsize
        return np.memmap(self.path, self.record, "r", offset, (stop - start,))

    def rotators(self) -> np.ndarray:
        """Scan index of each frame."""
        step = max(1, BLOCK_BYTES // self.record.itemsize)
        starts = range(0, self.count, step)
        return np.concatenate(
            [np.array(self.map(i, min(i + step, self.count))["rotator"]) for i in starts]
        )


def _open_tvips(path: Path) -> Scan:
    """TVIPS stream: frames in name_000.tvips, name_001.tvips, ... with a scan index each.

    Read by its own structure, because rosettasciio reads all frames to open it. The header's pixel
    size is the camera's own, no calibration, and no scan step is stored.
    """
    if not path.stem.endswith("_000"):
        raise InputError(
            path, "it is not the first file of a TVIPS stream", remedy="name the one ending in _000"
        )
    header = np.fromfile(path, _TVIPS_HEADER, 1)[0]
    if header["version"] != 2:
        raise InputError(
            path, f"TVIPS streams of version {header['version']} cannot be read",
            remedy="convert it to .hspy with TVIPS's or HyperSpy's converter",
        )  # fmt: skip
    camera = (int(header["dimy"]), int(header["dimx"]))
    pixel = np.dtype(f"<u{int(header['bitsperpixel']) // 8}")
    start = int(header["frameheaderbytes"])
    record = np.dtype(
        {
            "names": ["rotator", "pattern"],
            "formats": ["<u4", (pixel, camera)],
            "offsets": [_TVIPS_ROTATOR_OFFSET, start],
            "itemsize": start + math.prod(camera) * pixel.itemsize,
        }
    )
    parts = [_TvipsPart(path, record, int(header["size"]), 0)]
    while (file := path.with_name(f"{path.stem[:-3]}{len(parts):03d}{path.suffix}")).exists():
        parts.append(_TvipsPart(file, record, 0, parts[-1].first + parts[-1].count))
    rotators = np.concatenate([part.rotators() for part in parts])
    frames = scan_index(rotators)
    side = math.isqrt(frames.size)
    if side < 2 or side**2 != frames.size:
        raise InputError(
            path, f"{frames.size} scan positions in {rotators.size} frames make no square scan, "
            "and a TVIPS stream does not store the scan's shape",
            remedy="load it with HyperSpy, giving scan_shape, and save it as .hspy",
        )  # fmt: skip
    frames = frames.reshape(side, side)

    def read(start: int, stop: int) -> np.ndarray:
        wanted = frames[start:stop]
        block = np.empty((*wanted.shape, *camera), pixel)
        for part in parts:
            here = (wanted >= part.first) & (wanted < part.first + part.count)
            if here.any():
                chosen = wanted[here] - part.first
                first = chosen.min()
                block[here] = part.map(first, chosen.max() + 1)["pattern"][chosen - first]
        return block

    sizes = zip(("y", "x", "ky", "kx"), (side, side, *camera), strict=True)
    axes = [Axis(name, size, 0, "") for name, size in sizes]
    original = {"tvips_header": {key: header[key] for key in header.dtype.names}}
    return _scan(path, tuple(part.path for part in parts), axes, pixel, {}, original, read)


def scan_index(rotator: np.ndarray) -> np.ndarray:
    """Frame of each scan position from TVIPS's running scan index (0 outside the scan).

    A frame that repeats the index stands for the next position if that is skipped; a position
    that no frame is left for takes the frame before it.
    """
    order = np.flatnonzero(rotator > 0)
    if order.size == 0:
        return order
    index, first = np.unique(rotator[order].astype(np.int64), return_index=True)
    following = np.append(index[1:], index[-1] + 1)
    which = np.searchsorted(index, rotator[order])
    position = index[which] + np.arange(order.size) - first[which]
    used = (position >= index[which]) & (position < following[which])
    frames = np.full(index[-1], order[0])
    frames[position[used] - 1] = order[used]
    return np.maximum.accumulate(frames)


def _open_topspin(path: Path) -> Scan:
    """TopSpin: one HDF5 group a position, read one by one; rosettasciio reads them all at once."""
    import h5py

    with h5py.File(path) as file:
        groups = [item for item in file.values() if isinstance(item, h5py.Group)]
        groups += [
            item for group in groups if "0" not in group
            for item in group.values() if isinstance(item, h5py.Group)
        ]  # fmt: skip
        name = _the_only(path, [group.name for group in groups if "0/Data" in group])
        group = file[name]
        axes = [*_topspin_positions(path, group), *_topspin_camera(group)]
        dtype = group["0/Data"].dtype
        header = _leaves(_xml(group.parent["Metadata"]))
    nx, *camera = (axis.size for axis in axes[1:])

    def read(start: int, stop: int) -> np.ndarray:
        block = np.empty((stop - start, nx, *camera), dtype)
        with h5py.File(path) as file:
            for i, pattern in enumerate(block.reshape(-1, *camera), start * nx):
                file[f"{name}/{i}/Data"].read_direct(pattern)
        return block

    return _scan(path, (path,), axes, dtype, {}, header, read)


def _topspin_positions(path: Path, group) -> list[Axis]:
    """Rows and columns of the scan from the beam positions of the first row and the next."""

    def position(frame: int) -> tuple[float, float]:
        items = _xml(group[f"{frame}/Metadata"]).iter("Item")
        beam = next(i for i in items if i.findtext("Name") == "RequestedBeamPosition").find("Value")
        return float(beam.findtext("Y")) * 1e9, float(beam.findtext("X")) * 1e9

    frames = len(group)
    origin = position(0)
    nx = 1
    while nx < frames and position(nx)[0] == origin[0]:
        nx += 1
    if frames % nx or (frames > nx and position(nx)[1] != origin[1]):
        raise InputError(
            path, f"its {frames} patterns do not make full lines of {nx}", field=group.name,
            remedy="export the scan from TopSpin again, complete",
        )  # fmt: skip
    step_y = abs(position(nx)[0] - origin[0]) if frames > nx else 0
    step_x = abs(position(1)[1] - origin[1]) if nx > 1 else 0
    # Positions are given to 15 digits of a metre: the steps are good to far below 1e-6 nm.
    return [
        Axis("y", frames // nx, round(step_y, 6), "nm"),
        Axis("x", nx, round(step_x, 6), "nm"),
    ]


def _topspin_camera(group) -> list[Axis]:
    """Rows and columns of the camera, with the scale of the first pattern where it is an angle."""
    calibration = _xml(group["0/Metadata"]).find("Calibration")
    axes = []
    for name, tag, size in zip(("ky", "kx"), "YX", group["0/Data"].shape, strict=True):
        angle = calibration.findtext(f"{tag}/Type/Text") == "Angle"
        scale = float(calibration.findtext(f"{tag}/Scale")) if angle else 0
        axes.append(Axis(name, size, scale, "rad" if angle else ""))
    return axes


def _xml(dataset) -> ElementTree.Element:
    """Root of TopSpin's XML; it is UTF-8 whatever encoding it declares."""
    return ElementTree.fromstring(dataset[()].decode())


def _leaves(document: ElementTree.Element) -> dict:
    """Texts of TopSpin's metadata: plain children, and named items under their names."""
    texts = {child.tag: child.text for child in document if len(child) == 0 and child.text}
    texts.pop("Output", None)  # the acquisition's log
    for item in document.iter("Item"):
        if item.findtext("Value"):
            texts[item.findtext("Name")] = item.findtext("Value")
    return {name: text.strip() for name, text in texts.items() if text.strip()}


def _open_hspy(path: Path) -> Scan:
    return _from_signal(path, _choose(path, _read_signals(path, "hspy")), (path,))


def _open_zspy(path: Path) -> Scan:
    files = tuple(sorted(p for p in path.rglob("*") if p.is_file())) if path.is_dir() else (path,)
    return _from_signal(path, _choose(path, _read_signals(path, "zspy")), files)


def _open_hdf5(path: Path) -> Scan:
    """NCEM EMD, py4DSTEM (all its versions) or Velox EMD.

    NCEM and py4DSTEM files hold the data beside their dimension vectors, dim0 or dim1 onwards.
    Data are stored (y, x, ky, kx), and by HyperSpy in reverse; names and units of the vectors tell.
    """
    import h5py

    with h5py.File(path) as file:
        if "Data/Image" in file and "Version" in file:
            images = _read_signals(path, "emd", select_type="images")
            return _from_signal(path, _choose(path, images), (path,))
        items = []
        file.visititems(lambda _, item: items.append(item))
        arrays = [a for a in items if isinstance(a, h5py.Dataset) and a.dtype.kind in "iuf"]
        candidates = [a for a in arrays if a.ndim == 4] or [a for a in arrays if a.ndim == 3]
        name = _the_only(path, [array.name for array in candidates])
        dataset = file[name]
        vectors = [v for n in range(5) if (v := dataset.parent.get(f"dim{n}")) is not None]
        axes = [_hdf5_axis(*pair) for pair in zip(vectors, dataset.shape, strict=False)]
        reverse = _stored_in_reverse(path, name, axes)
        line = dataset.ndim == 3
        rows = dataset.chunks[-1 if reverse else 0] if dataset.chunks and not line else 1
        dtype = dataset.dtype
        roots = [group for group in file.values() if isinstance(group, h5py.Group)]
        header = {
            "dataset": name,
            "attributes": {group.name: dict(group.attrs) for group in [file, *roots]},
            "calibration": [
                {key: value[()] for key, value in group.items() if isinstance(value, h5py.Dataset)}
                for root in roots
                if (group := root.get("metadatabundle/calibration")) is not None
            ],
        }

    def read(start: int, stop: int) -> np.ndarray:
        rows = slice(None) if line else slice(start, stop)
        with h5py.File(path) as file:
            block = file[name][..., rows].T if reverse else file[name][rows]
        return block[np.newaxis] if line else block

    if reverse:
        axes.reverse()
    return _scan(path, (path,), axes, dtype, {}, header, read, rows_together=rows)


def _stored_in_reverse(path: Path, name: str, axes: list[Axis]) -> bool:
    """Whether the axes of an EMD data set are (kx, ky, x, y) instead of (y, x, ky, kx)."""
    camera = [_looks_reciprocal(axis) for axis in axes]
    scan_axes = len(axes) - 2
    if camera == [False] * scan_axes + [True] * 2:
        return False
    if camera == [True] * 2 + [False] * scan_axes:
        return True
    raise InputError(
        path, "the names and units of its dimensions do not tell which are the camera's",
        field=name, remedy="name them x, y, qx, qy or give them units (nm, 1/nm)",
    )  # fmt: skip


def _hdf5_axis(vector, size: int) -> Axis:
    """Axis from an EMD dimension vector, of which two entries are enough."""
    name, unit = (_text(vector.attrs.get(key, "")) for key in ("name", "units"))
    regular = vector.ndim == 1 and vector.size > 1 and vector.dtype.kind in "iuf"
    scale = float(np.diff(vector[:2])[0]) if regular else 0.0
    return Axis(name, size, scale, unit)


def _looks_reciprocal(axis: Axis) -> bool:
    """Whether an axis of an EMD file belongs to the camera, by its unit, else by its name."""
    unit = _unit(axis.unit)
    if unit in NANOMETRES:
        return False
    return "1/" in unit or "rad" in unit or axis.name.lower().startswith(("q", "k"))


def _read_signals(path: Path, plugin: str, **options) -> list[dict]:
    """What rosettasciio reads from a file, lazily."""
    reader = import_module(f"rsciio.{plugin}").file_reader
    log = logging.getLogger("rsciio")
    level = log.level
    # Its warnings are about metadata that could not be parsed, a missing .hdr and sizes that do
    # not fit the header. The first do not matter here and sizes are checked by each opener.
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return reader(str(path), lazy=True, **options)
    finally:
        log.setLevel(level)


def _map_signals(path: Path, plugin: str) -> list[dict]:
    """The same for a plain file that rosettasciio maps to memory.

    As one chunk the file is mapped anew for each block, and only the block is copied from it.
    Many small chunks would cut the patterns.
    """
    return _read_signals(path, plugin, chunks=-1)


def _choose(path: Path, signals: list[dict]) -> dict:
    """The one scan of patterns among the signals of a file: 4D before 3D."""
    scans = [signal for signal in signals if signal["data"].ndim == 4]
    scans = scans or [signal for signal in signals if signal["data"].ndim == 3]
    if not scans:
        shapes = [_times(signal["data"].shape) for signal in signals]
        raise InputError(
            path, f"it holds no scan of diffraction patterns but {_one_or_many(shapes)}",
            remedy="name the file with the scan itself",
        )  # fmt: skip
    if len(scans) > 1:
        _the_only(path, [_title(path, signal["metadata"]) for signal in scans])
    return scans[0]


def _times(sizes) -> str:
    return " x ".join(map(str, sizes))


def _one_or_many(shapes: list[str]) -> str:
    if not shapes:
        return "nothing"
    return f"one image of {shapes[0]}" if len(shapes) == 1 else f"arrays of {', '.join(shapes)}"


def _the_only(path: Path, names: list[str]) -> str:
    if len(names) == 1:
        return names[0]
    problem = f"it holds {len(names)} scans ({', '.join(names)})" if names else "it holds no scan"
    raise InputError(
        path, f"{problem} of diffraction patterns", remedy="save one scan alone in a file"
    )


def _from_signal(
    path: Path, signal: dict, files: tuple[Path, ...], *, rows_together: int | None = None
) -> Scan:
    """Scan of rosettasciio's lazy signal, in the order (y, x, ky, kx).

    Gatan's software can store the camera's axes before the scan's; their units tell.
    `rows_together` is by default what the signal's chunks hold.
    """
    # HyperSpy from 2.0 on does not store the index: axes without it stand in the array's order.
    described = sorted(signal["axes"], key=lambda axis: axis.get("index_in_array", 0))
    axes = [
        Axis(str(axis["name"] or ""), size, float(axis["scale"]), str(axis["units"] or ""))
        for axis, size in zip(described, signal["data"].shape, strict=True)
    ]
    order = list(range(len(axes)))
    reciprocal = ["1/" in _unit(axis.unit) or "rad" in axis.unit for axis in axes]
    if len(axes) == 4 and reciprocal == [True, True, False, False]:
        order = [2, 3, 0, 1]
    elif sum(not axis["navigate"] for axis in described) != 2:
        raise InputError(
            path, f"its array of {_times(axis.size for axis in axes)} has no two camera axes",
            remedy="set the signal dimension to 2 in HyperSpy and save it again",
        )  # fmt: skip
    axes = [axes[i] for i in order]
    if _unit(axes[-1].unit) in NANOMETRES:
        raise InputError(
            path, f"it holds images, not diffraction patterns: their pixels are in {axes[-1].unit}",
            remedy="name the file with the diffraction patterns",
        )  # fmt: skip
    data = signal["data"].transpose(order)
    if data.ndim == 3:
        data = data[np.newaxis]

    def read(start: int, stop: int) -> np.ndarray:
        # One thread: the order and number of threads stay the caller's business.
        return data[start:stop].compute(scheduler="synchronous")

    return _scan(
        path, files, axes, data.dtype, _common_terms(signal), signal["original_metadata"], read,
        rows_together=rows_together or data.chunks[0][0],
    )  # fmt: skip


def _scan(
    path: Path, files: tuple[Path, ...], axes: list[Axis], dtype: np.dtype, metadata: dict,
    original: dict, read: Callable[[int, int], np.ndarray], *, rows_together: int = 1,
) -> Scan:  # fmt: skip
    """Scan after the checks that all formats share; a single scan axis becomes the columns."""
    if np.dtype(dtype).kind not in "iuf":
        raise InputError(
            path, f"its values are {dtype}, not real numbers",
            remedy="save the measured intensities as integers or floats",
        )  # fmt: skip
    if len(axes) == 3:
        axes = [Axis("y", 1, math.nan, ""), *axes]
    axes = tuple(Axis(axis.name, axis.size, axis.scale, _unit(axis.unit)) for axis in axes)
    shape = tuple(axis.size for axis in axes)
    if 0 in shape:
        raise InputError(
            path, f"its scan is empty: {_times(shape)}", remedy="name the file with the scan itself"
        )
    metadata = {key: value for key, value in metadata.items() if key != "_HyperSpy"}
    metadata.get("General", {}).pop("FileIO", None)  # when it was read, by which version
    return Scan(
        path=path, files=files, axes=axes, dtype=_native(dtype),
        header={"metadata": _plain(metadata), "original": _plain(original)},
        title=_title(path, metadata), rows_together=rows_together, _read=read,
    )  # fmt: skip


def _native(dtype: np.dtype) -> np.dtype:
    """Native byte order; half precision, which Numba cannot read, becomes single."""
    dtype = np.dtype(dtype).newbyteorder("=")
    return np.dtype(np.float32) if dtype == np.float16 else dtype


def _title(path: Path, metadata: dict) -> str:
    return str(metadata.get("General", {}).get("title") or path.stem)


def _common_terms(signal: dict) -> dict:
    """rosettasciio's metadata, with what its mapping finds in the file's own header."""
    metadata = dict(signal["metadata"])
    for source, (target, convert) in signal.get("mapping", {}).items():
        value = signal["original_metadata"]
        for key in source.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        if value is None or target is None:
            continue
        place = metadata
        *parents, last = target.split(".")
        for key in parents:
            place = place.setdefault(key, {})
        # A value of the header that cannot be converted is left out.
        with suppress(TypeError, ValueError, KeyError, AttributeError):
            place[last] = convert(value) if convert else value
    return metadata


def _plain(value):
    """Values that JSON can hold: no NumPy, no bytes, no NaN, no long tables."""
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, np.ndarray):
        value = value.tolist() if value.size <= _LONGEST_HEADER_LIST else range(value.size)
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, (list, tuple, range)):
        if len(value) > _LONGEST_HEADER_LIST:
            return f"{len(value)} values"
        return [_plain(entry) for entry in value]
    if isinstance(value, bytes):
        return _text(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def _text(value) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _unit(unit: str) -> str:
    """One spelling of a unit: 'A^-1' and '1 / Å' become '1/Å'."""
    unit = unit.replace(" ", "").replace("[", "").replace("]", "").replace("_", "")
    for exponent in ("^-1", "⁻¹", "-1"):
        if unit.endswith(exponent):
            unit = "1/" + unit.removesuffix(exponent)
    spellings = {"A": "Å", "1/A": "1/Å", "angstrom": "Å", "1/angstrom": "1/Å", "μm": "µm"}
    return spellings.get(unit, unit)


@contextmanager
def blamed_on(path: Path, place: str | None = None):
    """Turn whatever a reader raises on a damaged file into one sentence about the file."""
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception as error:
        lines = str(error).strip().splitlines()
        reason = lines[0] if lines else type(error).__name__
        raise InputError(
            path, f"cannot be read ({reason})", field=place, remedy=_COMPLETE
        ) from error


OPENERS = {
    ".blo": _open_blo,
    ".app5": _open_topspin,
    ".dm3": _open_dm,
    ".dm4": _open_dm,
    ".mib": _open_mib,
    ".tvips": _open_tvips,
    ".hspy": _open_hspy,
    ".zspy": _open_zspy,
    ".h5": _open_hdf5,
    ".hdf5": _open_hdf5,
    ".emd": _open_hdf5,
}
