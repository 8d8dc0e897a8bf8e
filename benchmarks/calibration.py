"""Are scale and ellipse of a scan as good as their errors say, with few grains and with many?

Virtual scans as lists of spots, of NVPF in one or two phases, are calibrated on themselves. Writes
`results/bench/calibration.json`; docs/calibration.md says what the numbers mean. The constants of
`affine` and `grain_scatter` were set on scans of other seeds.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from phasefront.calibration import ellipse, geometry, indexed_fit
from phasefront.core.errors import InputError
from phasefront.diffraction.crystals import read_crystal
from phasefront.diffraction.templates import simulate_templates
from phasefront.virtual import specimen, spot_lists
from phasefront.virtual.particles import VirtualPhase

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "results" / "bench" / "calibration.json"
NAMES = ("Na3V2PO42F3", "Na2V2PO42F3", "NaV2PO42F3")
GRAINS = (1, 2, 3, 4, 8, 14)
SHAPE, SCALE, DOSE, MAX_RADIUS, SEARCH = (12, 12), 0.0175, 1e7, 1.2, 0.02


def spots_of(seed, grains, scale, dose=DOSE):
    """SPOTS of a scan whose true scale is `scale` of the nominal one, and its true matrix."""
    rng = np.random.default_rng([seed, grains])
    content = rng.choice([3.0, 2.5, 2.0, 1.5, 1.0])
    ratio, direction = 1 + rng.uniform(0, 0.03), rng.uniform(0, np.pi)
    axis = np.array([np.cos(direction), np.sin(direction)])
    stretch = ratio**0.5 * np.eye(2) + (ratio**-0.5 - ratio**0.5) * np.outer(axis, axis)
    grown = specimen.make_specimen(
        scan="s", material="nvpf", ion_content=content, seed=seed, shape=SHAPE,
        phases=[VirtualPhase(n, n, ions) for n, ions in zip(NAMES, (3, 2, 1), strict=True)],
        insertion_model="core-shell" if content % 1 else "all-or-none",
        grains=max(grains, 2), scan_step_nm=50 * (grains / 14) ** 0.5,
    )  # fmt: skip
    spots, truth = spot_lists.simulate_spots(
        grown, scale=SCALE, dose=dose, seed=seed, max_radius=MAX_RADIUS
    )
    centre = np.array([truth["centre_x"].values[0, 0], truth["centre_y"].values[0, 0]])
    q = np.stack([spots["qx"].values, spots["qy"].values], axis=1).astype(float) - centre
    q = np.linalg.solve(scale * stretch, truth["affine"].values @ q.T)
    count = spots["count"].values.ravel()
    # One grain: two, without the positions that hold the second.
    alone = (grown.thickness[1].ravel() == 0) | (grains > 1)
    chosen = np.flatnonzero((count >= 6) & alone)
    keep = np.isin(np.repeat(np.arange(len(count)), count), chosen)
    ones = np.ones(keep.sum())
    return geometry.spots_dataset(
        count[chosen], *q[:, keep], ones, ones, SEARCH / 2
    ), scale * stretch


def calibrated(seed, grains, scale, crystals, templates):
    """Errors of scale and ellipse and their standard errors, or why there is none."""
    spots, true = spots_of(seed, grains, scale)
    try:
        fit = indexed_fit.index_and_fit(spots, crystals, templates, SEARCH)
    except InputError as error:
        return {"grains": grains, "seed": seed, "true": scale, "refused": error.problem}
    row = {"grains": grains, "seed": seed, "true": scale}
    for name, quantity in (("scale", ellipse.scale_of), ("ellipse", ellipse.ratio_of)):
        row[name] = quantity(fit.matrix) / quantity(true) - 1
        row[f"{name}_stderr"] = ellipse.propagate(quantity, fit.matrix, fit.covariance[:3, :3])
    return row


def main(seeds, grains):
    crystals = [read_crystal(ROOT / "config" / "structures" / f"{name}.cif") for name in NAMES]
    templates = simulate_templates(
        crystals, voltage_kv=200.0, precession_deg=0.8, resolution_deg=2.0, max_radius=MAX_RADIUS
    )
    rows = json.loads(OUT.read_text()) if OUT.exists() else []
    done = {(row["grains"], row["seed"], round(row["true"], 3)) for row in rows}
    OUT.parent.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        for number in grains:
            near = 1 + np.random.default_rng([seed, 1]).uniform(-0.015, 0.015)
            for scale in (near, 0.97, 1.03) if seed % 3 == 0 else (near,):
                if (number, seed, round(scale, 3)) not in done:
                    rows.append(calibrated(seed, number, scale, crystals, templates))
                    OUT.write_text(json.dumps(rows, indent=1))
    for number in grains:
        own = [row for row in rows if row["grains"] == number]
        near = [row for row in own if abs(row["true"] - 1) < 0.02]
        pulls = np.array([[row[f"{n}"] / row[f"{n}_stderr"] for n in ("scale", "ellipse")]
                          for row in near if "refused" not in row])  # fmt: skip
        rms, held = np.sqrt(np.mean(pulls**2, axis=0)), np.mean(abs(pulls) < 1.96, axis=0)
        off = [row for row in own if row not in near]
        refused = sum("refused" in row for row in off)
        print(
            f"| {number} | {len(near)} | {len(near) - len(pulls)} | {rms[0]:.2f} | {rms[1]:.2f} "
            f"| {held[0]:.2f} | {held[1]:.2f} | {refused} of {len(off)} |"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=9100)
    parser.add_argument("--scans", type=int, default=12)
    parser.add_argument("--grains", type=int, nargs="+", default=GRAINS)
    told = parser.parse_args()
    main(range(told.first, told.first + told.scans), told.grains)
