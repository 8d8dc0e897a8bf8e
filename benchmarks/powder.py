"""Refined weight fractions against mixtures that another program made.

    python -m benchmarks.powder            # minutes on one core
    python -m benchmarks.powder --noises 1 # a look

Structure factors are Dans_Diffraction's (powder_lines.py). Lines are Voigt functions with a
Gaussian instrument, a log-normal distribution of crystallite sizes, and Gaussian and Lorentzian
strain: a shape that the refined pseudo-Voigt does not have. Cells differ from the CIFs, the
angles have a zero error, the background is no polynomial, and the noise is Poisson's. Every other
pattern is of plates and needles along c (March's function in a capillary) on a steep background.
Results go to results/bench/powder.json.
"""

from __future__ import annotations

import argparse
import json
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import voigt_profile

from benchmarks.powder_lines import DATA_FILE, ROOT, WAVELENGTH

SYSTEMS = {
    "nvpf": ("Na3V2PO42F3", "Na2V2PO42F3", "NaV2PO42F3"),
    "lfp": ("LiFePO4", "FePO4"),
}
FORMULA_UNITS = {
    "Na3V2PO42F3": 4, "Na2V2PO42F3": 2, "NaV2PO42F3": 4, "LiFePO4": 4, "FePO4": 4
}  # fmt: skip
SHARES = (0.0, 0.02, 0.05, 0.10, 0.25, 0.50, 0.75, 0.98)
TWO_THETA = np.arange(2.5, 18.0, 0.004)  # degrees
RESULT = ROOT / "results" / "bench" / "powder.json"
_SIZES = np.exp(np.linspace(-1.2, 1.2, 7))  # of a crystallite over the median
_REACH = 60.0  # a line is drawn out to this many half widths
MARCH = (0.75, 1.2)  # range of March's r of oriented phases: plates and needles
SLOPE = (-0.1, 0.1)  # range of the slope of a steep background, of its height a degree
FIRST_SEED = 13_000_000  # of patterns that no choice was made on


@dataclass(frozen=True)
class Mixture:
    """A pattern (two_theta, counts, sigma) and what is in it."""

    pattern: pd.DataFrame
    phases: tuple[str, ...]
    weight_fraction: np.ndarray
    cells: np.ndarray


def mixture(
    phases,
    weights,
    *,
    seed: int,
    peak_counts: float = 20000.0,
    background: float = 400.0,
    oriented: bool = False,
) -> Mixture:
    """Poisson counts of a mixture of `phases` with weight fractions `weights`.

    A line of one cell has the intensity |F|^2 / V times Lorentz factor; a phase has as many cells
    as its weight over the mass of a cell. The beam is polarised to 97 % normal to the plane of
    scattering. With `oriented` each phase has preferred orientation, and the background a slope.
    """
    random = np.random.default_rng(seed)
    of_texture = np.random.default_rng([seed, 1])
    lines = pd.read_csv(DATA_FILE)
    weights = np.asarray(weights, float) / np.sum(weights)
    zero = random.uniform(-3e-3, 3e-3)
    signal = np.zeros_like(TWO_THETA)
    cells = []
    for name, weight in zip(phases, weights, strict=True):
        phase = lines[lines["phase"] == name]
        cell = phase[["a", "b", "c"]].to_numpy()[0]
        lengths, index = np.unique(cell, return_inverse=True)
        cell = (lengths * (1 + random.uniform(-1.5e-3, 1.5e-3, len(lengths))))[index]
        cells.append(cell)
        size = random.uniform(60.0, 200.0)  # nm
        strain = random.uniform(1e-4, 6e-4, 2)  # Gaussian, Lorentzian
        inverse_spacing = np.sqrt(((phase[["h", "k", "l"]] / cell) ** 2).sum(axis=1))
        theta = np.arcsin(inverse_spacing.to_numpy() * WAVELENGTH / 2)
        polarisation = 0.97 + 0.03 * np.cos(2 * theta) ** 2
        strength = polarisation / (np.sin(theta) ** 2 * np.cos(theta))
        strength *= phase["intensity"].to_numpy() / np.prod(cell)
        strength *= weight / phase["cell_mass"].iloc[0]
        if oriented:
            along_c = phase["l"].to_numpy() / cell[2] / inverse_spacing.to_numpy()
            strength *= march(along_c**2, of_texture.uniform(*MARCH))
        _draw(signal, theta, zero, strength, size=size, strain=strain)
    level = _background(TWO_THETA, random)
    if oriented:
        slope = of_texture.uniform(*SLOPE)
        level = level + np.abs(slope) * (TWO_THETA - TWO_THETA[0 if slope > 0 else -1]) * np.sign(
            slope
        )
    expected = peak_counts * signal / signal.max() + background * level
    counts = random.poisson(expected).astype(float)
    pattern = pd.DataFrame(
        {"two_theta": TWO_THETA, "intensity": counts, "sigma": np.sqrt(np.maximum(counts, 1))}
    )
    pattern.attrs["file"] = f"mixture {seed}"
    return Mixture(pattern, tuple(phases), weights, np.array(cells))


def march(along: np.ndarray, r: float) -> np.ndarray:
    """March's factor (Dollase, J. Appl. Cryst. 19, 267, 1986) of reflections in a capillary.

    `along` is the squared cosine between a reflection and the axis of the grains, which lies at
    random about the capillary's, at right angles to the scattering vector: the mean over turns.
    """
    turn = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    squared = (1 - along[:, None]) * np.cos(turn) ** 2
    return np.mean((r**2 * squared + (1 - squared) / r) ** -1.5, axis=1)


def _draw(signal, theta, zero: float, strength, *, size: float, strain) -> None:
    """Add Voigt lines, in place. Widths in degrees: Gaussian sigma, Lorentzian half width."""
    gauss = np.hypot(0.0024, np.degrees(strain[0]) * np.tan(theta))
    share = np.exp(-(np.log(_SIZES) ** 2) / 2 / 0.45**2) * _SIZES**3  # by volume
    for ratio, part in zip(_SIZES, share / share.sum(), strict=True):
        lorentz = np.degrees(
            0.9 * WAVELENGTH / (10 * size * ratio * np.cos(theta)) / 2 + strain[1] * np.tan(theta)
        )
        centre = np.degrees(2 * theta) + zero
        reach = _REACH * (gauss + lorentz)
        first = np.searchsorted(TWO_THETA, centre - reach)
        last = np.searchsorted(TWO_THETA, centre + reach)
        for at, sigma, gamma, height, start, stop in zip(
            centre, gauss, lorentz, strength * part, first, last, strict=True
        ):
            signal[start:stop] += height * voigt_profile(TWO_THETA[start:stop] - at, sigma, gamma)


def _background(two_theta, random) -> np.ndarray:
    """Air, the halo of a capillary and of carbon black, and a slope."""
    height = random.uniform(0.7, 1.3, 4)
    air = height[0] * 2.0 / (1.0 + (two_theta / 2.0) ** 2)
    capillary = 0.3 * height[1] / np.cosh((two_theta - 6.1) / 1.5)
    carbon = 0.15 * height[2] * np.exp(-(((two_theta - 6.7) / 0.7) ** 2))
    return air + capillary + carbon + 0.25 * height[3] + 0.003 * two_theta


def refine(mixture: Mixture):
    """The POWDER data set of a mixture, by phasefront."""
    from phasefront.diffraction.crystals import read_crystal
    from phasefront.powder.fits import fit_pattern

    folder = ROOT / "config" / "structures"
    return fit_pattern(
        mixture.pattern,
        [read_crystal(folder / f"{name}.cif") for name in mixture.phases],
        name="mixture",
        wavelength=WAVELENGTH,
        ion_contents=[0.0] * len(mixture.phases),
        formula_units=[FORMULA_UNITS[name] for name in mixture.phases],
    )


def cases(noises: int, first_seed: int):
    """Each system's mixtures: one phase has the share, the others the rest, in turn."""
    for system, phases in SYSTEMS.items():
        for number, share in enumerate(SHARES):
            for noise in range(noises):
                seed = first_seed + 1000 * number + noise + 100000 * (system == "lfp")
                weights = np.full(len(phases), (1 - share) / (len(phases) - 1))
                of = noise // 2 % len(phases)
                weights[of] = share
                yield system, share, phases, weights, of, seed, noise % 2 == 1


def measure(case) -> list[dict]:
    """A row for each phase of one of `cases`."""
    system, share, phases, weights, of, seed, oriented = case
    made = mixture(phases, weights, seed=seed, oriented=oriented)
    started = time.process_time()
    found = refine(made)
    seconds = time.process_time() - started  # of one core
    return [
        {
            "system": system, "seed": seed, "share": share, "phase": name, "oriented": oriented,
            "asked": index == of, "true": made.weight_fraction[index],
            "found": float(found["weight_fraction"][index]),
            "esd": float(found["weight_fraction_esd"][index]),
            "rwp": float(found["rwp"]), "gof": float(found["goodness_of_fit"]),
            "notes": found.attrs["notes"], "seconds": seconds,
        }
        for index, name in enumerate(phases)
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--noises", type=int, default=4, help="patterns a system and a share")
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED, help="other noise and cells")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--result", type=Path, default=RESULT)
    arguments = parser.parse_args()
    rows = []
    with ProcessPoolExecutor(arguments.processes) as pool:
        for of_one in pool.map(measure, cases(arguments.noises, arguments.first_seed)):
            rows += of_one
            print(json.dumps(of_one), flush=True)
    arguments.result.parent.mkdir(parents=True, exist_ok=True)
    arguments.result.write_text(json.dumps(summary(pd.DataFrame(rows)), indent=1))


def summary(table: pd.DataFrame) -> dict:
    """Bias, spread, coverage of 95 % intervals; detection and false presence by 1.96 e.s.d."""
    table = table.assign(error=table["found"] - table["true"])
    table = table.assign(z=table["error"] / table["esd"])

    def told(part: pd.DataFrame) -> dict:
        return {
            "patterns": int(part["seed"].nunique()),
            "fractions": len(part),
            "error_mean": float(part["error"].mean()),
            "error_rms": float(np.sqrt((part["error"] ** 2).mean())),
            "error_largest": float(part["error"].abs().max()),
            "esd_median": float(part["esd"].median()),
            "z_mean": float(part["z"].mean()),
            "z_rms": float(np.sqrt((part["z"] ** 2).mean())),
            "covering": float((part["z"].abs() < 1.96).mean()),
            "present": float((part["found"] > 1.96 * part["esd"]).mean()),
        }

    return {
        system: {
            "all": told(part),
            "plain": told(part[~part["oriented"]]),
            "oriented": told(part[part["oriented"]]),
            "by_share": {
                f"{share:g}": told(rows) for share, rows in part[part["asked"]].groupby("share")
            },
            "goodness_of_fit_median": float(part["gof"].median()),
            "seconds_median": float(part["seconds"].median()),
        }
        for system, part in table.groupby("system")
    }


if __name__ == "__main__":
    main()
