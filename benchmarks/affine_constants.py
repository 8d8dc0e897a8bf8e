"""The constants of the fit of scale and ellipse, fitted again on scans that strain it.

Lists of spots of NVPF at 1e5 to 1e6 electrons a pattern and with 2 to 8 grains, seeds 82001 and
82002: at high doses every value does. Scores are mean log-densities of the true matrix under the
one found, normal with the covariance that the fit states (xx, xy, yy), in per cent: so both an
error and a wrong standard error cost. A unit is a factor e in the likelihood of one scan. Spots of
a list have no outward shift, so nothing is said of the prior of that.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.stats import multivariate_normal

from benchmarks import calibration
from benchmarks.refit import Constant, refit, set_to
from phasefront.calibration import affine, grain_scatter, spot_mixture
from phasefront.calibration.spot_mixture import JointState, SpotMixture
from phasefront.diffraction import excitation
from phasefront.diffraction.crystals import read_crystals
from phasefront.diffraction.excitation import GaussianRod
from phasefront.diffraction.templates import simulate_templates
from phasefront.orientations.indexing import find_orientations

SEEDS, GRAINS, DOSES = (82001, 82002), (2, 4, 8), (1e5, 3e5, 1e6)
AS_GOOD = 0.1
MICROSCOPE = {"voltage_kv": 200.0, "precession_deg": 0.8}


@dataclass(frozen=True)
class Sample:
    """A list of spots whose scale and ellipse are to be found, and what they are."""

    problem: SpotMixture
    true: np.ndarray  # (2, 2)
    state: JointState  # found with the code's constants

    @classmethod
    def of(cls, seed, grains, dose, crystals, templates) -> Sample:
        spots, true = calibration.spots_of(seed, grains, 1.0, dose)
        oriented = find_orientations(
            spots, templates, crystals, n_best=2, min_spots=6, centre_sigma=0.003
        )
        problem = SpotMixture(spots, oriented, crystals, *MICROSCOPE.values())
        return cls(problem, true, climbed(problem))

    def score(self, state: JointState) -> float:
        fit = affine._summary(self.problem, state)
        part = np.array([0, 0, 1]), np.array([0, 1, 1])
        percent = 100 * (fit.matrix - self.true)[part]
        return float(multivariate_normal(cov=1e4 * fit.covariance[:3, :3]).logpdf(percent))


def climbed(problem: SpotMixture) -> JointState:
    """The maximum of the likelihood next to the nominal scale, which is the true one."""
    start = JointState.start(1.0, problem.rotation)
    return problem.climb(start, spot_mixture.FINE_STEPS)


def of_fit(sample: Sample) -> float:
    return sample.score(climbed(sample.problem))


def of_covariance(sample: Sample) -> float:
    return sample.score(sample.state)


CONSTANTS = (
    Constant(
        "calibration.spot_mixture.OUTLIER_SHARE", spot_mixture.OUTLIER_SHARE,
        (0.01, 0.03, 0.07, 0.12, 0.2),
        set_to(spot_mixture, "OUTLIER_SHARE", of_fit),
    ),
    Constant(
        "diffraction.excitation.AFFINE", excitation.AFFINE.width,
        (0.006, 0.009, 0.012, 0.017, 0.024), set_to(excitation, "AFFINE", of_fit, GaussianRod),
    ),
    Constant(
        "calibration.spot_mixture._START_SIGMA", spot_mixture._START_SIGMA, (0.006, 0.012, 0.024),
        set_to(spot_mixture, "_START_SIGMA", of_fit),
    ),
    Constant(
        "calibration.grain_scatter._SAME_GRAIN_DEG", grain_scatter._SAME_GRAIN_DEG,
        (1.0, 2.0, 3.0, 5.0, 8.0),
        set_to(grain_scatter, "_SAME_GRAIN_DEG", of_covariance),
    ),
    Constant(
        "calibration.affine._MODEL_ERROR", affine._MODEL_ERROR, (0.0, 1e-4, 2e-4, 4e-4),
        set_to(affine, "_MODEL_ERROR", of_covariance),
    ),
    Constant(
        "calibration.affine._MIXTURE_ERROR", affine._MIXTURE_ERROR,
        (0.0, 4e-4, 8e-4, 1.6e-3, 3.2e-3), set_to(affine, "_MIXTURE_ERROR", of_covariance),
    ),
    Constant(
        "calibration.grain_scatter.SHARED_VARIANCE", grain_scatter.SHARED_VARIANCE,
        (0.0, 0.07, 0.15, 0.3, 0.6), set_to(grain_scatter, "SHARED_VARIANCE", of_covariance),
    ),
    Constant(
        "calibration.grain_scatter.PRIOR_GRAINS", grain_scatter.PRIOR_GRAINS, (1, 2, 4, 8, 16),
        set_to(grain_scatter, "PRIOR_GRAINS", of_covariance),
    ),
)  # fmt: skip


def rows(seeds=SEEDS, grains=GRAINS, doses=DOSES) -> list[dict]:
    """A row for each constant."""
    paths = [calibration.ROOT / "config" / "structures" / f"{n}.cif" for n in calibration.NAMES]
    crystals = read_crystals(paths, calibration.NAMES)
    templates = simulate_templates(
        crystals, resolution_deg=2.0, max_radius=calibration.MAX_RADIUS, **MICROSCOPE
    )
    samples = [
        Sample.of(*told, crystals, templates) for told in product(seeds, grains, doses)
    ]  # fmt: skip
    return refit(CONSTANTS, samples, np.ones(len(samples)), AS_GOOD)
