"""Structure factors of the phases by Dans_Diffraction, for powder mixtures of known fractions.

They share no code and no tables with the refining program or with phasefront: Dans_Diffraction
reads the CIF, applies its symmetry and has its own form factors and dispersion. Only
`python -m benchmarks.powder_lines` needs it (3.4.0; `pip install Dans-Diffraction`), in a Python
of its own, nothing else does. `powder_lines.csv` was made, in ten seconds, by

    python benchmarks/powder_lines.py
"""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATA_FILE = Path(__file__).with_name("powder_lines.csv")
PHASES = ("Na3V2PO42F3", "Na2V2PO42F3", "NaV2PO42F3", "LiFePO4", "FePO4")
WAVELENGTH = 0.4127  # angstrom
TWO_THETA_MAX = 28.0  # degrees
# Where a CIF has no displacement parameters, phasefront says that it takes this.
U_ISO_ASSUMED = 0.008  # angstrom^2
_ELECTRONVOLT_ANGSTROM = 12398.4198


def compute_lines(cif: Path):
    """Cell (6), mass of the cell (g/mol), and hkl (n, 3), |F|^2 (n) of all reflections in reach.

    Every reflection of the sphere is there, Friedel pairs too, so no multiplicity enters. Cells
    are orthogonal.
    """
    import Dans_Diffraction
    import numpy as np

    crystal = Dans_Diffraction.Crystal(str(cif))
    if not np.any(crystal.Structure.uiso):
        # The whole cell is kept beside its generators.
        crystal.Atoms.uiso[:] = U_ISO_ASSUMED
        crystal.generate_structure()
    lengths = np.array(crystal.Cell.lp()[:3])
    reach = 2 * np.sin(np.radians(TWO_THETA_MAX) / 2) / WAVELENGTH
    limits = (reach * lengths).astype(int)
    hkl = np.stack(np.mgrid[tuple(slice(-n, n + 1) for n in limits)], axis=-1).reshape(-1, 3)
    inverse_spacing = np.sqrt(((hkl / lengths) ** 2).sum(axis=1))
    hkl = hkl[(inverse_spacing > 0) & (inverse_spacing <= reach)]
    crystal.Scatter.setup_scatter(
        scattering_type="xray dispersion",
        energy_kev=_ELECTRONVOLT_ANGSTROM / WAVELENGTH / 1000,
        output=False,
    )
    squared = np.concatenate(
        [
            crystal.Scatter.intensity(part, scattering_type="xray dispersion", int_hkl=True)
            for part in np.array_split(hkl, max(1, len(hkl) // 2000))
        ]
    )
    return lengths, crystal.Properties.weight(), hkl, squared


def main() -> None:
    """Write the table: one row for each set of |h|, |k|, |l|, its |F|^2 summed."""
    import numpy as np

    with DATA_FILE.open("w", encoding="utf-8") as file:
        file.write("phase,a,b,c,cell_mass,h,k,l,intensity\n")
        for name in PHASES:
            lengths, mass, hkl, squared = compute_lines(
                ROOT / "config" / "structures" / f"{name}.cif"
            )
            family, index = np.unique(np.abs(hkl), axis=0, return_inverse=True)
            total = np.bincount(index.ravel(), squared)
            for (h, k, l), intensity in zip(family, total, strict=True):  # noqa: E741
                if intensity > 1e-6 * total.max():
                    cell = ",".join(f"{length:.8g}" for length in lengths)
                    file.write(f"{name},{cell},{mass:.4f},{h},{k},{l},{intensity:.6g}\n")


if __name__ == "__main__":
    main()
