"""What grains are simulated and drawn under: regimes, and which of them train, calibrate or test.

A regime belongs to one part, so what is reported on the test part comes from physics (and from
drawings) that training never saw. Lengths are in cells of the grid, energies in kT per site,
currents in shares of a grain's sites at unit time, where the mean rate constant is 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phasefront.diffraction import elasticity
from phasefront.virtual.insertion.table import PLANE

PARTS = ("training", "calibration", "test")

_BOLTZMANN_298 = 4.1164e-21  # J


@dataclass(frozen=True)
class Coherency:
    """What it costs that two lattices run through their interface."""

    stiffness: np.ndarray  # (6, 6) GPa
    misfit: np.ndarray  # (3, 3)
    sites: float  # of the ion, 1/m^3

    def energy(self, directions: np.ndarray) -> np.ndarray:
        """B(n) in kT per site from directions (..., 2) along rows and columns of the grid."""
        normals = directions[..., ::-1] @ PLANE[:2]
        pascal = 1e9 * elasticity.coherency_energy(self.stiffness, self.misfit, normals)
        return pascal / (self.sites * _BOLTZMANN_298)


# LiFePO4: the constants of its published phase-field models (Cogswell and Bazant, ACS Nano 6 (2012)
# 2215): stiffness between those of both phases, misfit to FePO4, density of lithium sites.
LFP = Coherency(
    elasticity.orthorhombic(157.4, 175.8, 154, 37.8, 49.05, 51.6, 53.35, 51.2, 32.7),
    np.diag([0.0517, 0.0359, -0.0186]),
    1.3793e28,
)
# Na3V2(PO4)2F3 to Na2V2(PO4)2F3: the misfit is that of the cells; nobody gave the stiffness, so an
# isotropic one is taken as a model.
NVPF = Coherency(
    elasticity.isotropic(150, 0.25),
    np.diag([8.910 / 9.036 - 1, 8.910 / 9.036 - 1, 10.85 / 10.747 - 1]),
    4.56e27,
)


@dataclass(frozen=True)
class Physics:
    """A regime of the phase-field model; a range is drawn from for each grain."""

    part: str
    grains: int = 20
    circuit: int = 1  # grains that share a potential
    size: int = 40  # cells of a grid's side
    omega: float = 3.5
    kappa: float = 5.0
    coherent: Coherency | None = None
    coherency: float = 0.0  # share of the elastic energy that is left
    current: tuple[float, float] = (0.002, 0.004)
    wetting: tuple[float, float] = (0.0, 0.0)
    unevenness: float = 0.1  # rms of ln k,
    patch: float = 3.0  # over patches of this radius
    lean: float = 0.0  # change of ln k from one side of a grain to the other,
    bow: tuple[float, float] = (0.0, 0.0)  # and from its middle line to both sides
    mobility: float = 0.0
    through_outline: bool = False  # ions come through the outline alone


@dataclass(frozen=True)
class Drawn:
    """A regime of drawings: so many grains of each kind (see `cartoons.KINDS`)."""

    part: str
    kinds: tuple[str, ...]
    grains: int = 8
    size: int = 40

    @property
    def kind_of_grain(self) -> tuple[str, ...]:
        """The kind of each of its grains, in their order."""
        return tuple(kind for kind in self.kinds for _ in range(self.grains))


REGIMES: dict[str, Physics | Drawn] = {
    "elastic plane": Physics(
        "training", omega=4.0, coherent=LFP, coherency=0.2
    ),
    "wetted": Physics("training", wetting=(0.9, 1.5), current=(0.002, 0.006)),
    "half wetted": Physics("training", wetting=(0.2, 0.7)),
    "uneven": Physics("training", unevenness=0.8, patch=8.0),
    "patchy": Physics(
        "training", omega=4.0, kappa=3.0, unevenness=1.0, patch=2.5, current=(0.06, 0.1)
    ),
    "fast": Physics("training", current=(0.4, 0.8), unevenness=0.1),
    "bowed": Physics(
        "training", omega=4.0, coherent=LFP, coherency=0.2, bow=(-2.0, -1.0)
    ),
    "crowd, slow": Physics(
        "training", grains=24, circuit=24, coherent=LFP, coherency=0.15, current=(0.004, 0.004)
    ),
    "crowd, quick": Physics(
        "training", grains=24, circuit=24, unevenness=0.5, patch=6.0, current=(0.3, 0.3)
    ),
    "elastic plane, soft": Physics(
        "calibration", coherent=NVPF, coherency=0.8, unevenness=0.3, patch=6.0
    ),
    "wetted, uneven": Physics(
        "calibration", omega=3.0, wetting=(0.9, 1.4), unevenness=0.5, patch=6.0
    ),
    "mildly uneven": Physics("calibration", omega=3.2, unevenness=0.5, patch=5.0),
    "dewetted, deep": Physics("calibration", omega=4.0, wetting=(-1.1, -0.7)),
    "islands": Physics(
        "calibration", kappa=3.0, unevenness=1.2, patch=2.0, current=(0.1, 0.14)
    ),
    "faster": Physics("calibration", omega=3.0, current=(0.3, 0.5), unevenness=0.2),
    "from both ends": Physics(
        "calibration", coherent=NVPF, coherency=0.6, bow=(1.5, 2.5)
    ),
    "crowd, wetted": Physics(
        "calibration", grains=24, circuit=24, omega=3.2, wetting=(0.5, 1.2), current=(0.02, 0.02)
    ),
    "LiFePO4": Physics(
        "test", omega=4.51, kappa=4.0, coherent=LFP, coherency=0.35, current=(0.003, 0.006)
    ),
    "diffusion from the outline": Physics(
        "test", grains=16, size=30, omega=3.0, kappa=3.0, wetting=(0.2, 0.6), mobility=4.0,
        through_outline=True, current=(0.001, 0.002),
    ),
    "diffusion, partly coherent": Physics(
        "test", grains=16, size=30, omega=3.0, kappa=3.0, wetting=(0.2, 0.6), mobility=4.0,
        through_outline=True, coherent=LFP, coherency=0.1, current=(0.001, 0.002),
    ),
    "broken stripes": Physics(
        "test", omega=4.0, kappa=3.0, coherent=LFP, coherency=0.25, unevenness=0.8, patch=2.5,
        current=(0.05, 0.08),
    ),
    "stripes": Physics(
        "test", omega=4.51, kappa=2.5, coherent=LFP, coherency=0.8, unevenness=0.5,
        current=(0.01, 0.02),
    ),
    "from one side": Physics("test", omega=3.8, lean=2.0, current=(0.004, 0.01)),
    "from the middle": Physics(
        "test", omega=3.6, coherent=NVPF, coherency=1.0, bow=(-3.0, -1.5)
    ),
    "wetted, wide interface": Physics(
        "test", omega=2.7, kappa=6.0, wetting=(0.5, 1.0), current=(0.002, 0.01)
    ),
    "dewetted, uneven": Physics(
        "test", omega=3.2, wetting=(-0.9, -0.6), unevenness=0.3, patch=5.0
    ),
    "near the critical point": Physics(
        "test", omega=2.2, kappa=6.0, current=(0.05, 0.2), unevenness=0.3
    ),
    "crowd, slow, LiFePO4": Physics(
        "test", grains=24, circuit=24, omega=4.51, kappa=4.0, coherent=LFP, coherency=0.3,
        unevenness=0.3, current=(0.003, 0.003),
    ),
    "crowd, quick, uneven": Physics(
        "test", grains=24, circuit=24, omega=3.2, unevenness=0.7, patch=4.0, current=(0.15, 0.15)
    ),
    "drawn": Drawn(
        "training",
        ("front", "curved front", "band", "core", "inner nucleus", "mosaic", "uniform", "slope"),
    ),
    "drawn, others": Drawn(
        "calibration",
        ("front", "curved front", "band", "core", "inner nucleus", "mosaic", "uniform", "ring"),
    ),
    "drawn, unseen": Drawn(
        "test",
        ("front", "curved front", "band", "core", "inner nucleus", "mosaic", "finger", "star"),
    ),
    "drawn, strange": Drawn("training", ("zigzag", "chevron", "spiral", "crescent"), grains=12),
    "quick, wide interface": Physics(
        "training", grains=24, omega=2.7, current=(0.12, 0.3), unevenness=0.3, patch=5.0
    ),
    "plates": Physics(
        "training", grains=24, omega=4.2, coherent=LFP, coherency=0.5, unevenness=0.4, patch=4.0,
        current=(0.005, 0.015),
    ),
    "broadly uneven": Physics("training", grains=24, omega=3.3, unevenness=0.5, patch=12.0),
    "wetted, coherent": Physics(
        "training", grains=24, omega=3.3, wetting=(0.6, 1.3), coherent=NVPF, coherency=0.6
    ),
}  # fmt: skip


def regimes_of(part: str) -> tuple[str, ...]:
    """Names of the regimes of a part."""
    return tuple(name for name, regime in REGIMES.items() if regime.part == part)
