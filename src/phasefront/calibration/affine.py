"""Scale and ellipse from spots: one affine map brings those of many patterns onto crystals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from phasefront.calibration.affine_kernels import mixture, predict
from phasefront.calibration.grain_scatter import covariance_by_grain
from phasefront.calibration.solution import error_within
from phasefront.core.errors import InputError
from phasefront.diffraction import excitation
from phasefront.diffraction.optics import electron_wavelength

# Chosen, and fitted again by `make constants` on 18 scans of few grains and electrons: no value
# tried is better by three standard errors of the difference (docs/calibration.md).
OUTLIER_SHARE = 0.07  # of spots that belong to no predicted reflection
_START_SIGMA, _LEAST_SIGMA, _MOST_SIGMA = 0.012, 0.001, 0.012  # position error, 1/angstrom
_SAME_GRAIN_DEG = 3.0
_SHARED = 6  # parameters of the joint fit that all patterns share
# 1/angstrom^2, prior of a spot's outward shift times its frequency: of the order of its variance.
_OUTWARD_SIGMA = 5e-4
# Of the affine's parts, relative, that scatter among grains does not show; and more of it where
# phases mix, times the chance that two patterns are of different phases: spots of two phases in one
# column run together. Set on virtual scans, see docs/calibration.md.
_MODEL_ERROR, _MIXTURE_ERROR = 1e-4, 8e-4
_ROUGH_STEPS, _FINE_STEPS = 6, 30
_SCALE_STEP = 0.005  # of the search for the scale, relative
# Scales are also tried this far beyond the allowed range, to see when the right one is there.
_BEYOND = 0.02
# In a part, relative; maxima further apart are different answers. Chosen: ten standard errors of
# most scans, and less than half of what the phases' spacings differ by.
_OTHER_MATRIX = 0.004
# Log-odds of the best matrix against any other, each grain counted as one pattern. 3 would do if
# reflections shone as predicted; dynamical ones do not, and mislead all patterns of a grain alike.
_SURE = 8.0
# 1/variance of (xx, xy, yy, shift x, shift y): ties of a step to where it starts, too weak to be
# seen but where spots say nothing about a parameter, which then stays; and errors, unity, of those.
_STEP_TIES = np.diag([400.0, 400.0, 400.0, 2500.0, 2500.0, 0.0])
_IGNORANCE = np.diag([1.0, 1.0, 1.0, 1.0, 1.0, 0.0])
# Of xx, xy and yy: no camera is so far off, and no matrix within is singular.
_BOUNDS = np.array([[0.7, -0.2, 0.7], [1.3, 0.2, 1.3]])
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
    problem = _AffineProblem(found, orientations, crystals, voltage_kv, precession_deg)
    reach = scale_search + _BEYOND
    steps = max(1, math.ceil(reach / _SCALE_STEP))
    starts = [
        problem.climb(_State.start(scale, problem.rotation), _ROUGH_STEPS)
        for scale in 1 + np.linspace(-reach, reach, 2 * steps + 1)
    ]
    best, rival = problem.best_two(starts)
    fit = problem.summary(best)
    source = found.attrs.get("scan", "")
    _require_known(fit, scale_search, source)
    if rival is not None:
        gain = best.log_likelihood - rival.log_likelihood
        odds = gain * fit.grains / fit.patterns_used
        if odds < _SURE:
            raise InputError(
                source, f"scales {_percent(best)} and {_percent(rival)} off the nominal one, "
                "each with an ellipse of its own, fit the spots about equally well",
                field="scale", remedy=_OTHERWISE,
            )  # fmt: skip
    if abs(best.scale - 1) > scale_search:
        raise InputError(
            source, f"the spots ask for a scale {_percent(best)} off the nominal one, where "
            f"{100 * scale_search:.3g} % are searched", field="scale",
            remedy="correct the instrument's scale, or set a larger calibration: {scale_search}, "
            "if that can be right; else check the candidate phases",
        )  # fmt: skip
    return fit


_OTHERWISE = (
    "take the scale from a picture of a standard, calibration: {method: standard}, "
    "or as it is, calibration: {method: nominal}"
)


def corrected(found: xr.Dataset, fit: AffineFit) -> xr.Dataset:
    """SPOTS in nominal frequencies brought to those that a fit says are true."""
    q = np.stack([found["qx"].values, found["qy"].values], axis=1).astype(float)
    xx, xy, yy = fit.matrix[[0, 0, 1], [0, 1, 1]]
    true = _corrected(q, np.array([xx, xy, yy, *fit.shift, fit.outward]))
    qx, qy = (found[name].copy(data=part) for name, part in zip(("qx", "qy"), true.T, strict=True))
    return found.assign(qx=qx.astype("f4"), qy=qy.astype("f4"))


def _apart(one: _State, other: _State) -> bool:
    return np.abs(one.parameters[:3] - other.parameters[:3]).max() > _OTHER_MATRIX


def _percent(state: _State) -> str:
    return f"{100 * (state.scale - 1):+.2f} %"


def _require_known(fit: AffineFit, scale_search: float, source: str) -> None:
    """Raise InputError where the fit says less than the nominal scale, or chance does as well."""
    error = math.sqrt(max(fit.covariance.diagonal()[:3]))
    if not error < error_within(scale_search):
        raise InputError(
            source, f"{fit.spots_used} spots of {fit.patterns_used} patterns in {fit.grains} "
            "grain(s) do not fix scale and ellipse: the standard error along one axis is "
            f"{100 * error:.2g} %", field="scale", remedy=_OTHERWISE,
        )  # fmt: skip
    if fit.sigma >= _MOST_SIGMA or fit.evidence < _LEAST_EVIDENCE:
        raise InputError(
            source, f"the spots do not lie on reflections of the candidate phases: {fit.sigma:.2g} "
            f"1/angstrom away, with a log-evidence of {fit.evidence:.2g} a spot, where "
            f"{_LEAST_EVIDENCE:g} is the least", field="scale",
            remedy=f"check the candidate phases and the nominal scale, or {_OTHERWISE}",
        )  # fmt: skip


@dataclass(frozen=True)
class _State:
    """Parameters of the joint fit: xx, xy, yy, shift x and y, outward; rotation matrices; width."""

    parameters: np.ndarray
    rotation: np.ndarray  # (patterns, candidates, 3, 3)
    sigma: float
    phase_share: np.ndarray  # of candidates' phases
    log_likelihood: float = -np.inf

    @classmethod
    def start(cls, scale: float, rotation: np.ndarray) -> _State:
        parameters = np.array([scale, 0.0, scale, 0.0, 0.0, 0.0])
        return cls(parameters, rotation, _START_SIGMA, np.empty(0))

    @property
    def scale(self) -> float:
        xx, xy, yy = self.parameters[:3]
        return math.sqrt(max(xx * yy - xy**2, 0.0))


class _AffineProblem:
    """Spots, candidate orientations and reflections in the form that the kernel takes."""

    def __init__(self, found, orientations, crystals, voltage_kv, precession_deg):
        from scipy.spatial.transform import Rotation

        rotation = orientations["rotation"].values
        rotation = rotation.reshape(-1, *rotation.shape[2:]).astype(float)  # pattern, phase, rank
        rank = rotation.shape[2]
        counts = found["count"].values.ravel()
        known = np.isfinite(rotation).all(axis=-1)
        used = np.flatnonzero(known.any(axis=(1, 2)) & (counts > 0))
        if len(used) < 3:
            raise InputError(
                found.attrs.get("scan", ""), f"only {len(used)} patterns could be indexed",
                field="scale",
                remedy=f"check the candidate phases and the nominal scale, or {_OTHERWISE}",
            )  # fmt: skip
        rotation = rotation[used].reshape(len(used), -1, 4)
        known = known[used].reshape(len(used), -1)
        rotation[~known] = [1, 0, 0, 0]
        flat = Rotation.from_quat(rotation.reshape(-1, 4), scalar_first=True)
        self.rotation = flat.inv().as_matrix().reshape(*known.shape, 3, 3)
        self.known = known
        self.phase = np.repeat(np.arange(len(crystals)), rank)
        offset = found["offset"].values
        q = np.stack([found["qx"].values, found["qy"].values], axis=1).astype(float)
        self.offset = np.concatenate([[0], np.cumsum(counts[used])])
        self.q = np.concatenate([q[offset[i] : offset[i] + counts[i]] for i in used])
        radius = np.linalg.norm(self.q, axis=1)
        self.q_range = (max(0.9 * radius.min(), 0.02), radius.max() + 0.02)
        reflections = [c.reflections(1 / (1.03 * self.q_range[1])) for c in crystals]
        self.g = np.concatenate([q for _, q, _ in reflections])
        self.amplitude = np.concatenate(
            [np.sqrt(power / np.mean(power)) for _, _, power in reflections]
        )
        self.g_offset = np.concatenate([[0], np.cumsum([len(q) for _, q, _ in reflections])])
        self.wavelength = electron_wavelength(voltage_kv)
        self.precession = math.radians(precession_deg)
        self.crystals = crystals
        self.first_orientation = rotation[:, 0]
        self.first_known = known[:, 0]

    def evaluate(self, state: _State):
        """Log-likelihood of each candidate, its normal equations, sum of r^2 and of inliers."""
        return mixture(
            self.q, self.offset, state.rotation, self.known, self.phase, self.g, self.amplitude,
            self.g_offset, state.parameters, state.sigma, self.wavelength, self.precession,
            excitation.AFFINE.width, self.q_range[0], self.q_range[1], OUTLIER_SHARE,
        )  # fmt: skip

    def climb(self, state: _State, steps: int) -> _State:
        share = state.phase_share
        if not share.size:
            share = np.full(self.phase.max() + 1, 1 / (self.phase.max() + 1))
        parameters, rotation, sigma = state.parameters, state.rotation, state.sigma
        for _ in range(steps):
            now = _State(parameters, rotation, sigma, share)
            likelihood, normal, gradient, squares, inliers = self.evaluate(now)
            weight, total = self._responsibility(likelihood, share)
            move, turns = _joint_step(normal, gradient, weight, parameters)
            parameters = parameters + move
            parameters[:3] = np.clip(parameters[:3], *_BOUNDS)
            rotation = _turn(rotation, turns)
            sigma = math.sqrt((weight * squares).sum() / max(2 * (weight * inliers).sum(), 1e-9))
            sigma = min(max(sigma, _LEAST_SIGMA), _MOST_SIGMA)
            of_phase = np.bincount(self.phase, weight.sum(axis=0), minlength=len(share))
            share = (of_phase + 1) / (of_phase.sum() + len(share))
        likelihood = self.evaluate(_State(parameters, rotation, sigma, share))[0]
        total = self._responsibility(likelihood, share)[1]
        total -= 0.5 * (parameters[5] / _OUTWARD_SIGMA) ** 2
        return _State(parameters, rotation, sigma, share, float(total))

    def best_two(self, starts: Sequence[_State]) -> tuple[_State, _State | None]:
        """The likeliest state, and the likeliest of another matrix, if there is one."""
        best = self.climb(max(starts, key=lambda state: state.log_likelihood), _FINE_STEPS)
        others = [state for state in starts if _apart(state, best)]
        if not others:
            return best, None
        rival = self.climb(max(others, key=lambda state: state.log_likelihood), _FINE_STEPS)
        best, rival = sorted([best, rival], key=lambda state: -state.log_likelihood)
        return best, rival if _apart(rival, best) else None

    def _responsibility(self, likelihood, share):
        """Posterior of each pattern's candidates, and the log-likelihood of all patterns."""
        joint = likelihood + np.log(share[self.phase])
        joint[~self.known] = -np.inf
        highest = joint.max(axis=1, keepdims=True)
        weight = np.exp(joint - highest)
        total = weight.sum(axis=1, keepdims=True)
        return weight / total, float((highest + np.log(total)).sum())

    def summary(self, state: _State) -> AffineFit:
        likelihood, normal, gradient, _, _ = self.evaluate(state)
        weight, _ = self._responsibility(likelihood, state.phase_share)
        information, score = _trusted(*_profiled(normal, gradient, weight))
        grain = self._grains()
        xx, xy, yy = state.parameters[:3]
        prior = _prior_information() + _IGNORANCE
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
            q=self.q,
            residual=self._residuals(state, weight.argmax(axis=1)),
            evidence=state.log_likelihood / len(self.q) + math.log(math.pi * self._area()),
            patterns_used=len(self.known),
            spots_used=len(self.q),
            grains=int(grain.max() + 1),
            phase_share=state.phase_share,
        )

    def _area(self) -> float:
        """Of the ring of spots, over pi; nominal, 1/angstrom^2."""
        return self.q_range[1] ** 2 - self.q_range[0] ** 2

    def _residuals(self, state: _State, candidate: np.ndarray) -> np.ndarray:
        """Measured minus predicted, 1/angstrom, of spots more likely indexed than stray."""
        residual = np.full(self.q.shape, np.nan)
        for i, k in enumerate(candidate):
            reflections = slice(self.g_offset[self.phase[k]], self.g_offset[self.phase[k] + 1])
            predicted = predict(
                state.rotation[i, k], self.g[reflections], self.amplitude[reflections],
                state.parameters, self.wavelength, self.precession,
                excitation.AFFINE.width, *self.q_range,
            )  # fmt: skip
            of_pattern = slice(self.offset[i], self.offset[i + 1])
            q = _corrected(self.q[of_pattern], state.parameters)
            off = q[:, None] - predicted[:, :2]
            density = predicted[:, 3] * np.exp(-0.5 * np.sum(off**2, axis=-1) / state.sigma**2)
            total = density.sum(axis=1)
            stray = 2 * state.sigma**2 * OUTLIER_SHARE / self._area()
            indexed = total > stray
            mean = np.einsum("sm,smi->si", density[indexed], off[indexed]) / total[indexed, None]
            residual[of_pattern][indexed] = mean
        return residual

    def _grains(self) -> np.ndarray:
        """Number of the grain of each pattern; patterns of one grain share their errors.

        Orientations under the first phase are compared, up to the turns of a cube and the half turn
        about the beam: those which indexing may mistake for each other, and which twins have.
        """
        from orix.quaternion import symmetry
        from scipy.sparse.csgraph import connected_components

        from phasefront.diffraction.rotations import HALF_TURN, misorientation, multiply

        own, cube = self.crystals[0].symmetry, symmetry.O.data
        here = self.first_orientation
        near = np.eye(len(here), dtype=bool)
        for there in (here, multiply(here, HALF_TURN)):
            for group in (own, cube):
                angle = misorientation(here[:, None], there[None], group)
                near |= angle < _SAME_GRAIN_DEG
        near &= self.first_known[:, None] & self.first_known
        np.fill_diagonal(near, True)
        return connected_components(near, directed=False)[1]


def _prior_information() -> np.ndarray:
    prior = np.zeros((_SHARED, _SHARED))
    prior[5, 5] = 1 / _OUTWARD_SIGMA**2
    return prior


def _corrected(q: np.ndarray, parameters: np.ndarray) -> np.ndarray:
    """True frequencies (n, 2) of nominal ones, by the parameters of the joint fit."""
    xx, xy, yy, shift_x, shift_y, outward = parameters
    inwards = q * (1 - outward / np.sum(q**2, axis=1, keepdims=True))
    return inwards @ np.array([[xx, xy], [xy, yy]]) - np.array([shift_x, shift_y])


def _joint_step(normal, gradient, weight, parameters):
    """Gauss-Newton step of the shared parameters, and of each candidate's rotation given it."""
    information, score = _trusted(*_profiled(normal, gradient, weight))
    prior = _prior_information()
    known = information.sum(axis=0) + prior + _STEP_TIES
    move = np.linalg.solve(known, score.sum(axis=0) - prior @ parameters)
    inner = np.linalg.inv(normal[..., _SHARED:, _SHARED:])
    rest = gradient[..., _SHARED:] - normal[..., _SHARED:, :_SHARED] @ move
    turns = np.einsum("pkij,pkj->pki", inner, rest)
    return move, turns


def _profiled(normal, gradient, weight):
    """Information on the shared parameters with rotations eliminated, and score, by pattern."""
    inner = np.linalg.inv(normal[..., _SHARED:, _SHARED:])
    cross = normal[..., :_SHARED, _SHARED:] @ inner
    information = normal[..., :_SHARED, :_SHARED] - cross @ normal[..., _SHARED:, :_SHARED]
    profiled = gradient[..., :_SHARED] - np.einsum("pkij,pkj->pki", cross, gradient[..., _SHARED:])
    return np.einsum("pk,pkij->pij", weight, information), np.einsum("pk,pki->pi", weight, profiled)


def _trusted(information, score):
    """Both weighted by how well each pattern agrees with the shared parameters.

    A pattern of two crystals, or of a phase that is no candidate, pulls in a direction of its own.
    Its pull is measured by score' information^-1 score and cut by Tukey's biweight, which is 0
    where that is nine times what half of the patterns stay below.
    """
    # A pattern whose spots belong to no reflection says nothing.
    size = np.maximum(np.einsum("pii->p", information), 1e-12)
    ridge = 1e-6 * size[:, None, None] * np.eye(_SHARED)
    pull = np.einsum(
        "pi,pi->p", score, np.linalg.solve(information + ridge, score[..., None])[..., 0]
    )
    trust = np.clip(1 - pull / max(9 * np.median(pull), 1e-12), 0, None) ** 2
    return information * trust[:, None, None], score * trust[:, None]


def _turn(rotation, turns):
    from scipy.spatial.transform import Rotation

    small = Rotation.from_rotvec(turns.reshape(-1, 3)).as_matrix().reshape(rotation.shape)
    return small @ rotation
