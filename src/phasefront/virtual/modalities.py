"""Virtual pairs: a scan and a map of another instrument, of one grain, whose placement is known.

A cluster of grains with a thickness and an ion content at every point is seen twice. The scan sees
a signal that saturates with thickness, at another rate in each grain and with bend contours, and
an ion content from the structure. The map counts photons through the specimen under a wide probe:
optical density before an edge, and an ion content from chemistry. It is turned, perhaps turned
over, its pixel is not what it is said to be, and its rows drift.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from phasefront.registration.channels import FWHM_OVER_SIGMA, Channel
from phasefront.registration.placement import Placement, interpolated, similarity

_FINE_NM = 5.0  # pixel of the specimen
_FIELD_NM = 2400.0  # its side
_SCAN_NM, _SCAN_ROWS = 15.0, 120  # step and size of the scan, in the middle of the specimen
_SCAN_PROBE_NM = 5.0
_RICH, _POOR = 3.0, 1.0  # ions per formula unit at the ends, as of Na3V2(PO4)2F3
# Optical density of a nanometre: 0.11 in 100 nm before the V L edge, of tables of xraydb.
_DENSITY = 1.1e-3


@dataclass(frozen=True)
class Instrument:
    """What a virtual map is made with; lengths in nm. Defaults are those of a good STXM."""

    pixel_nm: float = 40.0
    probe_nm: float = 50.0  # full width at half maximum
    photons: float = 2e4  # of a pixel without specimen
    drift_walk_nm: float = 3.0
    scale_spread: float = 0.02  # standard deviation of true over stated pixel
    bend: float = 0.02  # relative, of the scan's signal
    chemistry_stderr: float = 0.1  # ions per formula unit where the specimen is thickest
    structure_stderr: float = 0.1


@dataclass(frozen=True)
class VirtualPair:
    """A scan's images and a map's, and the truth.

    `label` (y, x) of the scan names grains. `structure` is on the scan's grid, `chemistry` on the
    map's; both are ion contents, with standard errors. `unrelated` is a chemistry of another field,
    with the errors of the first. `content` (y, x) is the true ion content at
    the scan's positions, `placement` where the map's pixels truly lie.
    """

    fixed: Channel
    moving: Channel
    label: np.ndarray
    structure: np.ndarray
    structure_stderr: np.ndarray
    chemistry: np.ndarray
    chemistry_stderr: np.ndarray
    unrelated: np.ndarray
    content: np.ndarray
    placement: Placement
    mirrored: bool


def make_pair(seed: int, instrument: Instrument = Instrument()) -> VirtualPair:
    """A pair of random shape, thickness, ion content and placement."""
    rng = np.random.default_rng(seed)
    label, thickness = _specimen(rng)
    content = _content(rng, label)
    step = _SCAN_NM / _FINE_NM
    first = (_FIELD_NM - _SCAN_NM * (_SCAN_ROWS - 1)) / 2
    rows = np.arange(_SCAN_ROWS) * step + first / _FINE_NM
    at = np.stack(np.meshgrid(rows, rows, indexing="ij"), axis=-1)
    rate = rng.uniform(0.7, 1.3, label.max() + 2) / 400.0  # per nm: thicker grains saturate
    signal = 1 - np.exp(-thickness * rate[label])
    signal = signal * (1 + instrument.bend * _smooth_noise(rng, label.shape, 120.0))
    signal = interpolated(_probed(signal, _SCAN_PROBE_NM), at)
    noise = rng.uniform(0.01, 0.03) * signal.max()
    fixed = Channel(
        "virtual scan", signal + noise * rng.standard_normal(signal.shape),
        np.full(signal.shape, noise), _SCAN_NM, _SCAN_PROBE_NM,
    )  # fmt: skip
    on_scan = label[tuple(np.rint(np.moveaxis(at, -1, 0)).astype(int))]
    true = interpolated(_probed(content, _SCAN_PROBE_NM), at)
    crystal = on_scan >= 0
    structure = np.where(
        crystal, true + instrument.structure_stderr * rng.standard_normal(true.shape), np.nan
    )
    moving, placement, mirrored = _map(rng, instrument, thickness)
    chemistry, error = _chemistry(rng, instrument, thickness, content, placement, moving)
    unrelated, _ = _chemistry(rng, instrument, thickness, _content(rng, label), placement, moving)
    start = placement.row_start - first
    return VirtualPair(
        fixed, moving, on_scan, structure,
        np.where(crystal, instrument.structure_stderr, np.nan), chemistry, error,
        unrelated,
        np.where(crystal, true, np.nan), Placement(start, placement.column_step), mirrored,
    )  # fmt: skip


def _specimen(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Grains' numbers, -1 none, and thickness in nm, on the fine grid."""
    side = int(_FIELD_NM / _FINE_NM)
    y, x = (np.mgrid[:side, :side] + 0.5) * _FINE_NM - _FIELD_NM / 2
    angle, radius = np.arctan2(y, x), np.hypot(y, x)
    outline = np.full(y.shape, rng.uniform(450.0, 700.0))
    for order in range(1, 7):
        part = rng.normal(0.0, 0.25 / order) * np.cos(order * angle + rng.uniform(0, 2 * np.pi))
        outline = outline * (1 + part)
    inside = radius < np.clip(outline, 200.0, 850.0)
    inside = ndimage.binary_opening(inside, iterations=4)
    seeds = rng.uniform(-500.0, 500.0, (rng.integers(1, 6), 2))
    nearest = np.argmin([np.hypot(y - one[0], x - one[1]) for one in seeds], axis=0)
    label = np.where(inside, nearest, -1)
    depth = ndimage.distance_transform_edt(inside) * _FINE_NM
    slope = rng.normal(0.0, 0.25, 2) / 600.0
    thickness = rng.uniform(120.0, 300.0) * (1 + slope[0] * y + slope[1] * x)
    thickness = thickness * (1 + 0.15 * _smooth_noise(rng, y.shape, 150.0))
    thickness = thickness * rng.uniform(0.8, 1.2, len(seeds))[nearest]
    facet = rng.uniform(20.0, 150.0)
    thickness = np.clip(thickness, 20.0, None) * np.clip(depth / facet, 0.0, 1.0)
    return label, np.where(inside, thickness, 0.0)


def _content(rng: np.random.Generator, label: np.ndarray) -> np.ndarray:
    """Ion content: fronts in some grains, slow changes in others; nothing where there is none."""
    side = label.shape[0]
    y, x = (np.mgrid[:side, :side] + 0.5) * _FINE_NM - _FIELD_NM / 2
    found = np.zeros(label.shape)
    for grain in range(label.max() + 1):
        own = label == grain
        if not own.any():
            continue
        turn = rng.uniform(0, 2 * np.pi)
        along = y * np.sin(turn) + x * np.cos(turn)
        along = along - np.quantile(along[own], rng.uniform(0.25, 0.75))
        wavy = along + 60.0 * _smooth_noise(rng, label.shape, 150.0)
        width = rng.choice([25.0, 60.0, 250.0])
        found[own] = (_POOR + (_RICH - _POOR) / (1 + np.exp(-wavy / width)))[own]
    return found


def _smooth_noise(rng: np.random.Generator, shape: tuple[int, ...], length: float) -> np.ndarray:
    """A field of standard deviation 1 whose values are alike over `length` nm."""
    field = ndimage.gaussian_filter(rng.standard_normal(shape), length / _FINE_NM, mode="wrap")
    return field / field.std()


def _probed(image: np.ndarray, width_nm: float) -> np.ndarray:
    return ndimage.gaussian_filter(image, width_nm / FWHM_OVER_SIGMA / _FINE_NM, mode="nearest")


def _map(
    rng: np.random.Generator, instrument: Instrument, thickness: np.ndarray
) -> tuple[Channel, Placement, bool]:
    """Thickness channel, placement on the fine grid in nm, and whether it is turned over."""
    size = int(rng.uniform(1900.0, 2300.0) / instrument.pixel_nm)
    shape = (size, int(size * rng.uniform(0.85, 1.0)))
    walk = rng.normal(0.0, instrument.drift_walk_nm, (shape[0], 2)).cumsum(axis=0)
    mirrored = bool(rng.random() < 0.5)
    scale = float(np.clip(rng.normal(1.0, instrument.scale_spread), 0.96, 1.04))
    placement = similarity(
        shape, instrument.pixel_nm, middle=_FIELD_NM / 2 + rng.uniform(-150.0, 150.0, 2),
        angle_deg=rng.uniform(0.0, 360.0), scale=scale, mirrored=mirrored,
        drift=walk - walk.mean(axis=0),
    )  # fmt: skip
    at = placement.positions(shape[1]) / _FINE_NM
    shone = interpolated(_probed(np.exp(-_DENSITY * thickness), instrument.probe_nm), at)
    counts = rng.poisson(instrument.photons * np.where(np.isfinite(shone), shone, 1.0))
    density = np.log(instrument.photons / np.maximum(counts, 1))
    moving = Channel(
        "virtual map", density, 1 / np.sqrt(np.maximum(counts, 1)), instrument.pixel_nm,
        instrument.probe_nm,
    )  # fmt: skip
    return moving, placement, mirrored


def _chemistry(
    rng: np.random.Generator, instrument: Instrument, thickness: np.ndarray, content: np.ndarray,
    placement: Placement, moving: Channel,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """The map's ion content and its standard error, NaN where there is little to measure."""
    at = placement.positions(moving.value.shape[1]) / _FINE_NM
    weight = _probed(thickness, instrument.probe_nm)
    mean = _probed(thickness * content, instrument.probe_nm) / np.maximum(weight, 1e-9)
    mean, seen = interpolated(mean, at), np.nan_to_num(interpolated(weight, at))
    there = seen > 0.2 * thickness.max()
    error = instrument.chemistry_stderr * thickness.max() / np.maximum(seen, 1.0)
    chemistry = np.where(there, mean + error * rng.standard_normal(error.shape), np.nan)
    return chemistry, np.where(there, error, np.nan)
