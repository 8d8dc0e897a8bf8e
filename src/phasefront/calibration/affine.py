"""Scale and ellipse from spots: one affine map brings those of many patterns onto crystals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from phasefront.calibration.grain_scatter import covariance_by_grain, grains_of_patterns
from phasefront.calibration.joint_steps import IGNORANCE, information_and_score, prior_information
from phasefront.calibration.solution import error_within
from phasefront.calibration.spot_mixture import (
    FINE_STEPS,
    MOST_SIGMA,
    OTHERWISE,
    JointState,
    SpotMixture,
    true_frequencies,
)
from phasefront.core.errors import InputError

# Of the affine's parts, relative, that scatter among grains does not show; and more of it where
# phases mix, times the chance that two patterns are of different phases: spots of two phases in one
# column run together. Set on virtual scans, see docs/calibration.md.
_MODEL_ERROR, _MIXTURE_ERROR = 1e-4, 8e-4
_SCALE_STEP = 0.005  # of the search for the scale, relative; chosen, for what it finds is refined
# Scales are also tried this far beyond the allowed range, to see when the right one is there.
# Chosen.
_BEYOND = 0.02
# Log-odds of the best matrix against any other, each grain counted as one pattern. 3 would do if
# reflections shone as predicted; dynamical ones do not, and mislead all patterns of a grain alike.
_SURE = 8.0
# Log-likelihood of a spot over that of one that belongs to no reflection. Chosen: tests have spots
# of nothing, at one place and on a line, which must be refused.
_LEAST_EVIDENCE = 1.5


@dataclass(frozen=True)
class AffineFit:
    """What must be done to nominal frequencies: q_true = matrix (q - outward q / |q|^2) - shift.

    `covariance` is that of (xx, xy, yy, shift x, shift y, outward) with grains as independent
    units; `phase_share` belongs to the phases. `evidence` is the log-likelihood of a spot, in the
    mean, over that of spots that belong to no reflection. `residual` (spots, 2) is what the fit
    leaves of each of the spots `q` (spots, 2), nominal; NaN for one that belongs to no reflection.
    """

    matrix: np.ndarray
    covariance: np.ndarray
    shift: np.ndarray
    outward: float
    sigma: float
    q: np.ndarray
    residual: np.ndarray
    evidence: float
    patterns_used: int
    spots_used: int
    grains: int
    phase_share: np.ndarray

    @property
    def parameters(self) -> np.ndarray:
        """Those of `joint_steps.PARAMETERS` (6,)."""
        return np.array([*self.matrix[[0, 0, 1], [0, 1, 1]], *self.shift, self.outward])

    @property
    def is_on_reflections(self) -> bool:
        """Whether spots lie on the candidates' reflections better than chance has it."""
        return self.sigma < MOST_SIGMA and self.evidence >= _LEAST_EVIDENCE


def fit_affine(
    found: xr.Dataset,
    orientations: xr.Dataset,
    crystals: Sequence,
    *,
    voltage_kv: float,
    precession_deg: float,
    scale_search: float = 0.02,
) -> AffineFit:
    """Symmetric 2x2 matrix and shift that bring nominal spots onto the candidate crystals.

    Parameters
    ----------
    found
        SPOTS dataset in nominal 1/angstrom.
    orientations
        ORIENTATIONS dataset of the same positions, right to a degree or two, whatever the scale.
    crystals
        Candidate phases in the order of `orientations`; each pattern may be any of them.
    scale_search
        Relative half width of the search for the scale.

    Every spot belongs to one of a pattern's predicted reflections, with a weight proportional to
    abs(F) and to how well it is excited, or to a uniform background; every pattern to one of its
    candidate orientations. The likelihood of this mixture is climbed by expectation and
    maximisation with Gauss-Newton steps (Dempster et al., J. R. Stat. Soc. B 39, 1, 1977) from
    several scales, for phases a few per cent apart mistake each other's scale. A phase that
    predicts many reflections pays for those that are not there.

    Where the diffuse background falls outwards, a camera whose response is not linear amplifies
    the outer flank of a spot more than the inner one, and its maximum moves outwards: by its
    variance times the slope of the response's logarithm, which under counts^gamma on a background
    radius^-p is (1 - gamma) p / radius. So an outward shift in proportion to 1 / |q| is fitted
    beside scale and ellipse. Ignored, it reads as a scale 0.03 to 0.05 % too small in the virtual
    scans of a camera with a gamma of 0.57, and as none with 1.

    Standard errors come from the scatter of grains, see `grain_scatter`, plus a model error, as
    virtual scans show it. They leave out an error of the candidates' own cells, which all scans
    share.

    Raises
    ------
    InputError
        If there are fewer than three patterns with enough spots and an orientation; if the spots
        leave scale or ellipse open, fit another scale nearly as well, lie no closer to reflections
        than chance has it, or ask for a scale outside of `scale_search`.
    """
    problem = SpotMixture(found, orientations, crystals, voltage_kv, precession_deg)
    reach = scale_search + _BEYOND
    steps = max(1, math.ceil(reach / _SCALE_STEP))
    starts = problem.explore(1 + np.linspace(-reach, reach, 2 * steps + 1))
    best, rival = problem.best_two(starts)
    fit = _summary(problem, best)
    source = found.attrs.get("scan", "")
    _require_known(fit, scale_search, source)
    if rival is not None:
        gain = best.log_likelihood - rival.log_likelihood
        odds = gain * fit.grains / fit.patterns_used
        if odds < _SURE:
            raise InputError(
                source, f"scales {_percent(best)} and {_percent(rival)} off the nominal one, "
                "each with an ellipse of its own, fit the spots about equally well",
                field="scale", remedy=OTHERWISE,
            )  # fmt: skip
    if abs(best.scale - 1) > scale_search:
        raise InputError(
            source, f"the spots ask for a scale {_percent(best)} off the nominal one, where "
            f"{100 * scale_search:.3g} % are searched", field="scale",
            remedy="correct the instrument's scale, or set a larger calibration: {scale_search}, "
            "if that can be right; else check the candidate phases",
        )  # fmt: skip
    return fit


def refine_affine(
    found: xr.Dataset,
    orientations: xr.Dataset,
    crystals: Sequence,
    parameters: np.ndarray,
    *,
    voltage_kv: float,
    precession_deg: float,
) -> AffineFit:
    """The fit of `fit_affine` that lies next to `parameters` (6,), which may be no good one.

    Raises InputError if there are fewer than three patterns with enough spots and an orientation.
    """
    problem = SpotMixture(found, orientations, crystals, voltage_kv, precession_deg)
    start = replace(JointState.start(1.0, problem.rotation), parameters=parameters)
    return _summary(problem, problem.climb(start, FINE_STEPS))


def _summary(problem: SpotMixture, state: JointState) -> AffineFit:
    likelihood, normal, gradient, _, _ = problem.evaluate(state)
    weight, _ = problem.responsibility(likelihood, state.phase_share)
    information, score = information_and_score(normal, gradient, weight)
    grain = grains_of_patterns(
        problem.first_orientation,
        problem.first_known,
        problem.crystals[0].symmetry,
        problem.q,
        problem.offset,
    )
    xx, xy, yy = state.parameters[:3]
    prior = prior_information() + IGNORANCE
    covariance = covariance_by_grain(information, score, grain, prior)
    mixed = 1 - np.sum(state.phase_share**2)
    model = math.hypot(_MODEL_ERROR, _MIXTURE_ERROR * mixed)
    covariance[:3, :3] += np.diag([1.0, 0.5, 1.0]) * model**2 * (xx * yy - xy**2)
    return AffineFit(
        matrix=np.array([[xx, xy], [xy, yy]]),
        covariance=covariance,
        shift=state.parameters[3:5],
        outward=float(state.parameters[5]),
        sigma=state.sigma,
        q=problem.q,
        residual=problem.residuals(state, weight.argmax(axis=1)),
        evidence=state.log_likelihood / len(problem.q) + math.log(math.pi * problem.area),
        patterns_used=len(problem.known),
        spots_used=len(problem.q),
        grains=int(grain.max() + 1),
        phase_share=state.phase_share,
    )


def corrected(found: xr.Dataset, parameters: np.ndarray) -> xr.Dataset:
    """SPOTS in nominal frequencies brought to those that a fit's `parameters` say are true."""
    q = np.stack([found["qx"].values, found["qy"].values], axis=1).astype(float)
    true = true_frequencies(q, parameters)
    qx, qy = (found[name].copy(data=part) for name, part in zip(("qx", "qy"), true.T, strict=True))
    return found.assign(qx=qx.astype("f4"), qy=qy.astype("f4"))


def _percent(state: JointState) -> str:
    return f"{100 * (state.scale - 1):+.2f} %"


def _require_known(fit: AffineFit, scale_search: float, source: str) -> None:
    """Raise InputError where the fit says less than the nominal scale, or chance does as well."""
    error = math.sqrt(max(fit.covariance.diagonal()[:3]))
    if not error < error_within(scale_search):
        raise InputError(
            source, f"{fit.spots_used} spots of {fit.patterns_used} patterns in {fit.grains} "
            "grain(s) do not fix scale and ellipse: the standard error along one axis is "
            f"{100 * error:.2g} %", field="scale", remedy=OTHERWISE,
        )  # fmt: skip
    if not fit.is_on_reflections:
        raise InputError(
            source, f"the spots do not lie on reflections of the candidate phases: {fit.sigma:.2g} "
            f"1/angstrom away, with a log-evidence of {fit.evidence:.2g} a spot, where "
            f"{_LEAST_EVIDENCE:g} is the least", field="scale",
            remedy=f"check the candidate phases and the nominal scale, or {OTHERWISE}",
        )  # fmt: skip
