"""How near valences of virtual X-ray stacks come to their truth, without drift and with it.

`python -m benchmarks.valence` writes results/bench/valence.json, in ten minutes on one core.
Grains lie on a grid four times as fine as the images' pixels and are seen through a probe, so that
nothing that moves images is right by construction. Seeds 1 to 34 served to choose constants, and
which sum tells what references leave.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy import ndimage, special

from benchmarks import parts
from benchmarks.virtual_stacks import grains, truth_spectra
from phasefront.chemistry.references import References, read_references
from phasefront.chemistry.valence import fit_valence
from phasefront.core import netcdf
from phasefront.layouts.chemistry import Told
from phasefront.layouts.stacks import STACK
from phasefront.stacks.density import measure_density
from phasefront.stacks.formats.stack import XRAY
from phasefront.virtual.xray_stack import ENERGIES_EV

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "results" / "bench" / "valence.json"
SEEDS, DRAWN_SEEDS = range(101, 113), range(201, 241)
# Truths: lines so many times as far apart as the references', blurred by so many eV, moved by so
# many eV; share of stray light; highest density; counts without a sample.
CASES = {
    "the references' lines": {},
    "broader lines": {"blur": 0.25},
    "lines 5 % wider apart": {"stretch": 1.05, "blur": 0.25, "stray": 0.01, "moved": -0.3},
    "lines 3 % closer": {"stretch": 0.97, "blur": 0.25, "stray": 0.02, "moved": 0.2},
    "highest density 0.8, 3000 counts": {"peak": 0.8, "photons": 3000, "stray": 0.01},
}
# All made up. Pixels of an image; parts of a pixel; full width of the probe, pixels; step by which
# images walk from energy to energy, pixels; pixels over which valence changes, from 3 + 1/8 to
# 3 + 7/8 V; width in pixels of a front between 3.1 and 4.
_SHAPE, _FINE, _PROBE, _WALK = (64, 72), 4, 1.25, 0.3
_FIELD, _SPREAD, _FRONT = 5.0, 0.75, 1.0
_THRESHOLDS = ((517.0, 2.0), (524.2, 1.0))  # as the fit has them; the truth's are half an eV below
_TRUE_EV = (516.5, 523.5)  # of `virtual_stacks.truth_spectra`


def references() -> References:
    """V3+, V4+ and V5+ of the project."""
    names = ("V3", "V4", "V5")
    return read_references(
        [ROOT / "config/references" / f"{name}.csv" for name in names], names, (3.0, 4.0, 5.0),
        thresholds=_THRESHOLDS,
    )  # fmt: skip


def stack_of(
    known: References, seed: int, *, walk: float, front: bool = False, peak: float = 1.5,
    photons: float = 1e4, stretch: float = 1.0, blur: float = 0.15, moved: float = 0.0,
    stray: float = 0.0,
):  # fmt: skip
    """STACK, true valence (y, x) as the probe weighs it by thickness, and shifts (energy, 2)."""
    rng = np.random.default_rng(seed)
    fine = tuple(_FINE * size for size in _SHAPE)
    thick = grains(_SHAPE, rng, fine=_FINE)
    valence = _front(rng, fine) if front else _field(rng, fine)
    shares = np.stack([4 - valence, valence - 3])
    amounts = np.concatenate([shares * thick, thick[None]])
    spectra = _spectra(known, stretch=stretch, blur=blur, moved=moved)
    amounts *= peak / (spectra @ amounts.reshape(3, -1)).max()
    shift = rng.normal(0, walk, (len(ENERGIES_EV), 2)).cumsum(axis=0)
    shift -= shift.mean(axis=0)
    sigma = _PROBE * _FINE / np.sqrt(8 * np.log(2))
    grid = np.indices(_SHAPE)
    counts = np.empty((len(ENERGIES_EV), *_SHAPE))
    for at, parts_ in enumerate(spectra):
        light = np.exp(-np.einsum("k,kyx->yx", parts_, amounts))
        light = ndimage.gaussian_filter(light, sigma, mode="nearest")
        place = _FINE * (grid - shift[at][:, None, None])
        seen = ndimage.map_coordinates(light, place, order=3, mode="nearest")
        counts[at] = rng.poisson(photons * ((1 - stray) * seen + stray))
    weight, both = (ndimage.gaussian_filter(one, sigma) for one in (thick, thick * valence))
    stack = netcdf.build(
        STACK,
        {
            "energy": ENERGIES_EV, "counts": counts, "i0": np.full(len(counts), photons),
            "i0_variance": np.zeros(len(counts)), "dark": np.zeros(len(counts)),
            "dwell": np.full(len(counts), np.nan),
        },
        dict.fromkeys(STACK.attributes, "")
        | {"stack": "virtual", "kind": XRAY, "noise_factor": 1.0, "pixel_y_nm": 40.0,
           "pixel_x_nm": 40.0},
    )  # fmt: skip
    return stack, (both / np.maximum(weight, 1e-9))[::_FINE, ::_FINE], shift


def _field(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    field = ndimage.gaussian_filter(rng.normal(size=shape), _FIELD * _FINE)
    return 3.5 + 0.5 * _SPREAD * field / np.abs(field).max()


def _front(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    turn = rng.uniform(0, 2 * np.pi)
    y, x = np.indices(shape) / _FINE - np.array(_SHAPE)[:, None, None] / 2
    along = y * np.sin(turn) + x * np.cos(turn)
    return 3.1 + 0.9 * special.expit(along / _FRONT)


def _spectra(known: References, *, stretch: float, blur: float, moved: float) -> np.ndarray:
    """Of V3+, V4+ and what every atom absorbs beside V's edge (energy, 3)."""
    read = list(zip(known.energy, known.absorption, strict=True))[:2]
    lines, _ = truth_spectra(read, ENERGIES_EV - moved, stretch=stretch, blur=blur)
    return np.column_stack([lines, 0.25 - 0.002 * (ENERGIES_EV - moved - ENERGIES_EV[0])])


def drawn_case(seed: int) -> tuple[dict, References]:
    """A truth that is drawn from what the fit allows for, and references whose thresholds are
    believed up to an eV aside."""
    rng = np.random.default_rng([seed, 77])
    case = {
        "stretch": rng.uniform(0.95, 1.05), "blur": rng.uniform(0.1, 0.25),
        "moved": rng.uniform(-0.3, 0.3), "stray": rng.uniform(0, 0.02),
        "peak": rng.uniform(0.8, 1.5), "photons": np.exp(rng.uniform(*np.log([3000, 10000]))),
    }  # fmt: skip
    aside = rng.uniform(-1, 1)
    heights = (height for _, height in _THRESHOLDS)
    thresholds = tuple(zip(np.array(_TRUE_EV) + aside, heights, strict=True))
    return case, replace(references(), thresholds=thresholds)


def study(
    seeds: Iterable[int], walk: float, case_of: Callable[[int], tuple[dict, References]]
) -> dict:
    """Errors of told positions, of all seeds together, and of the frames' shifts.

    `within_95` is the share of positions that their whole errors hold, `of_noise` that which noise
    alone holds once each stack's own mean error is taken off, and `mean_over_stated` the root mean
    square over stacks of that mean over the systematic error.
    """
    off, total, shifts, stated, noise, means = [], [], [], [], [], []
    for seed in seeds:
        case, known = case_of(seed)
        stack, valence, shift = stack_of(known, seed, walk=walk, **case)
        density = measure_density(stack, align=walk > 0, max_density=2.2, stray_share=0.02)
        found = fit_valence(
            density, known, fit_ev=(509.0, 528.5), max_shift_ev=1.0, max_error=0.5
        )  # fmt: skip
        told = found.told == Told.TOLD
        error, by_noise, shared = (
            values[told]
            for values in (found.value - valence, found.standard_error, found.systematic_error)
        )
        off.append(error)
        total.append(np.hypot(by_noise, shared))
        noise.append((error - error.mean()) / by_noise)
        means.append(error.mean() / np.sqrt((shared**2).mean()))
        moved = np.column_stack([density["shift_y"], density["shift_x"]]) - shift
        shifts.append(moved - moved.mean(axis=0))
        stated.append(density["shift_stderr"].values)
    error, limit = np.concatenate(off), 1.96 * np.concatenate(total)
    return {
        "seeds": len(off), "positions": len(error),
        "rms": float(np.sqrt((error**2).mean())), "median": float(np.median(np.abs(error))),
        "worst_stack": max(float(np.sqrt((one**2).mean())) for one in off),
        "within_95": float((np.abs(error) <= limit).mean()),
        "of_noise": float((np.abs(np.concatenate(noise)) <= 1.96).mean()),
        "mean_over_stated": float(np.sqrt(np.square(means).mean())),
        "shift_rms": float(np.sqrt(np.square(shifts).mean())),
        "shift_most": float(np.abs(shifts).max()), "shift_stated": float(np.mean(stated)),
    }  # fmt: skip


def _of_cases(walk: float) -> dict:
    known = references()
    return {
        name: study(SEEDS, walk, lambda seed, case=case: (case, known))
        for name, case in CASES.items()
    }


PARTS = {
    "still": lambda: _of_cases(0.0),
    "drifting": lambda: _of_cases(_WALK),
    "fronts": lambda: study(SEEDS, _WALK, lambda seed: ({"front": True}, references())),
    "drawn": lambda: study(DRAWN_SEEDS, _WALK, drawn_case),
}


if __name__ == "__main__":
    parts.run(__doc__.splitlines()[0], PARTS, OUT)
