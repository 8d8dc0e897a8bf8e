"""Fractions along a virtual operando series: how often intervals hold the truth, and the time.

    python -m benchmarks.powder_series                 # 200 patterns, minutes on one core
    python -m benchmarks.powder_series --patterns 20   # a look

Short patterns of LiFePO4 and FePO4 whose fractions go from one to the other and back
(phasefront.virtual.pattern): cells, widths and zero error differ in each, noise is Poisson's. They
are written as files and fitted in parts as a run does it. Results go to
results/bench/powder_series.json.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import xarray as xr

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "results" / "bench" / "powder_series.json"
PHASES = ("LiFePO4", "FePO4")
IONS, UNITS, WAVELENGTH = (1.0, 0.0), (4, 4), 0.4127
BEGUN = datetime(2025, 3, 3, 8, 0, tzinfo=UTC)
# Chosen: a frame each minute of which half is exposed, as a fast operando measurement has it.
APART_S, EXPOSURE_S = 60.0, 30.0
SHORT = {
    "two_theta_range": (2.5, 12.0), "step": 0.006, "peak_counts": 5000.0, "background_counts": 200.0
}  # fmt: skip


def crystals():
    """Those of the two phases."""
    from phasefront.diffraction.crystals import read_crystal

    return [read_crystal(ROOT / f"config/structures/{name}.cif") for name in PHASES]


def rich_share(patterns: int) -> np.ndarray:
    """Molar fraction of LiFePO4 in each pattern: out of the grains and back, both ends included."""
    return np.abs(np.linspace(1.0, -1.0, patterns))


def write_series(folder: Path, patterns: int, *, first_seed: int = 0) -> list[Path]:
    """Files of a series in `folder`, one each `APART_S` from `BEGUN`."""
    from phasefront.virtual.pattern import simulate_pattern

    phases, paths = crystals(), []
    for number, share in enumerate(rich_share(patterns)):
        paths.append(folder / f"frame_{number}.xye")
        start = BEGUN + timedelta(seconds=APART_S * number)
        simulate_pattern(
            paths[-1], crystals=phases, formula_units=UNITS, molar_fractions=(share, 1 - share),
            seed=first_seed + number, wavelength=WAVELENGTH,
            measured=(start.isoformat(), EXPOSURE_S), **SHORT,
        )  # fmt: skip
    return paths


def fit(paths: list[Path], **settings) -> xr.Dataset:
    """BATCH_FITS data set of files, in parts."""
    from phasefront.experiment.batches import PATTERNS_IN_A_PART
    from phasefront.experiment.settings.powder import PowderSettings
    from phasefront.experiment.settings.powder_series import PatternReading
    from phasefront.powder.series import fit_patterns

    parts = [
        fit_patterns(
            paths[first : first + PATTERNS_IN_A_PART], crystals(), batch="virtual",
            reading=PatternReading(wavelength=WAVELENGTH), settings=PowderSettings(**settings),
            ion_contents=IONS, formula_units=UNITS,
        )
        for first in range(0, len(paths), PATTERNS_IN_A_PART)
    ]  # fmt: skip
    return xr.concat(parts, "pattern")


def judge(fits: xr.Dataset, share: np.ndarray) -> dict:
    """Errors of the molar fraction of LiFePO4 and what share of 95 % intervals hold the truth."""
    found, esd = (fits[f"molar_fraction{end}"].values[:, 0] for end in ("", "_esd"))
    kept = fits["refused"].values == ""
    error, esd, share = (found - share)[kept], esd[kept], share[kept]
    held = np.abs(error) <= 1.96 * esd
    inner = (share > 0.05) & (share < 0.95)
    return {
        "patterns": len(kept),
        "refused": int((~kept).sum()),
        "rms_error": float(np.sqrt(np.mean(error**2))),
        "largest_error": float(np.abs(error).max()),
        "median_esd": float(np.median(esd)),
        "rms_of_error_over_esd": float(np.sqrt(np.mean((error / esd) ** 2))),
        "intervals_that_hold": float(held.mean()),
        "intervals_that_hold_between_5_and_95_percent": float(held[inner].mean()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patterns", type=int, default=200)
    parser.add_argument("--first-seed", type=int, default=0, help="other noise, cells and widths")
    parser.add_argument("--sequential", action="store_true", help="start from the fit before")
    parser.add_argument("--result", type=Path, default=RESULT)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths = write_series(Path(folder), arguments.patterns, first_seed=arguments.first_seed)
        begun = time.perf_counter()
        fits = fit(paths, sequential=arguments.sequential)
        seconds = time.perf_counter() - begun
    judged = judge(fits, rich_share(arguments.patterns))
    judged |= {
        "seconds_per_pattern": seconds / arguments.patterns,
        "sequential": arguments.sequential,
        "first_seed": arguments.first_seed,
    }
    arguments.result.parent.mkdir(parents=True, exist_ok=True)
    arguments.result.write_text(json.dumps(judged, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(judged, indent=1))


if __name__ == "__main__":
    main()
