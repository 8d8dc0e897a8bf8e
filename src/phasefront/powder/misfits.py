"""Whether the fit of a powder pattern is a result, and which lines no phase explains."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.polynomial import chebyshev
from scipy import signal, stats

LARGEST_RWP = 0.3  # a fit that leaves a third of the intensity has another sample
LARGEST_GOODNESS = 100.0  # uncertainties a hundred times too small are no uncertainties
LARGEST_REST = 0.25  # of the chi squared, over its noise, that the background alone leaves
LARGEST_P = 1e-3  # of the phases' being no more than noise
# The limits are chosen: what the tests have of other samples, axes and noise alone is refused.
_NOISE_ALONE = 1.5  # times the noise: what a fit may leave at any R
_MEDIAN_CHI_SQUARED = 0.4549  # of one degree of freedom; scipy.stats.chi2(1).median()
_SIGNIFICANT = 6.0  # standard errors of a line's height
_STRONG = 0.05  # of the strongest line
_UNEXPLAINED = 0.5  # of a line's own height
_FWHM = 2.0 * np.sqrt(2.0 * np.log(2.0))
_NAMED = 5  # lines that a text names, strongest first


def background_residual(pattern: pd.DataFrame, terms: int) -> np.ndarray:
    """Residuals over sigma, (n,), of the best Chebyshev background of so many terms alone."""
    angle = pattern["two_theta"].to_numpy()
    scaled = np.interp(angle, (angle[0], angle[-1]), (-1.0, 1.0))
    sigma = pattern["sigma"].to_numpy()
    design = chebyshev.chebvander(scaled, terms - 1) / sigma[:, None]
    observed = pattern["intensity"].to_numpy() / sigma
    coefficients, *_ = np.linalg.lstsq(design, observed, rcond=None)
    return observed - design @ coefficients


def noise(pattern: pd.DataFrame) -> float:
    """How far neighbouring points scatter, in units of sigma; at most 1.

    From second differences, whose median square lines do not reach. Sigma that is too large, as
    the root of what is no count may be, would let any fit pass for good.
    """
    intensity, variance = pattern["intensity"].to_numpy(), pattern["sigma"].to_numpy() ** 2
    second = intensity[:-2] - 2.0 * intensity[1:-1] + intensity[2:]
    expected = variance[:-2] + 4.0 * variance[1:-1] + variance[2:]
    return min(1.0, float(np.sqrt(np.median(second**2 / expected) / _MEDIAN_CHI_SQUARED)))


def why_poor(rwp: float, goodness_of_fit: float, noise_level: float = 1.0) -> str:
    """Why a fit with these figures of merit is no result; empty where they do not say so.

    Parameters
    ----------
    rwp
        Weighted profile R factor, 0 to 1.
    goodness_of_fit
        Root of reduced chi squared; NaN where not known, then the R factor decides alone.
    noise_level
        From `noise`. Where counts are few, R is large though noise is all that is left
        (Toby, Powder Diffr. 21 (2006) 67), so R counts only where more than noise is left.
    """
    if goodness_of_fit > LARGEST_GOODNESS:
        return (
            f"a goodness of fit of {goodness_of_fit:.3g} is over {LARGEST_GOODNESS:g}: the"
            " uncertainties, or the phases, are not those of this pattern"
        )
    if rwp > LARGEST_RWP and not goodness_of_fit <= _NOISE_ALONE * noise_level:
        return f"R_wp is {rwp:.2f}, over {LARGEST_RWP:g}, and not for noise"
    return ""


def why_no_better(
    residual: np.ndarray, background: np.ndarray, *, parameters: int, noise_level: float
) -> str:
    """Why a fit does not beat a background alone; empty where it does.

    Parameters
    ----------
    residual, background
        Residuals over sigma, (n,), of the fit, and from `background_residual`.
    parameters
        Number that the fit has beyond the background's.
    noise_level
        From `noise`.
    """
    points = len(residual)
    fitted, alone = np.sum(residual**2), np.sum(background**2)
    gain = (alone - fitted) / parameters / (fitted / max(points - parameters, 1))
    if stats.f.sf(max(gain, 0.0), parameters, max(points - parameters, 1)) > LARGEST_P:
        return "the phases fit no better than a background alone"
    expected = points * noise_level**2
    rest = (fitted - expected) / (alone - expected)
    if fitted > _NOISE_ALONE**2 * expected and rest > LARGEST_REST:
        return (
            f"the phases leave {rest:.0%} of the chi squared that a background alone leaves, over"
            f" {LARGEST_REST:.0%}"
        )
    return ""


def unexplained_lines(
    pattern: pd.DataFrame, calculated: np.ndarray, background: np.ndarray, wavelength: float
) -> pd.DataFrame:
    """Lines of a pattern that no phase explains, strongest first.

    A line is a maximum of the residual, matched with a Gaussian of the fitted lines' width, that
    is over 6 standard errors, over 5 % of the strongest line, and over half of what stands above
    the background there.

    Parameters
    ----------
    pattern
        Columns `two_theta` (degree), `intensity` and `sigma`.
    calculated, background
        Of the fit, (n,).
    wavelength
        angstrom.

    Returns
    -------
    Table with `two_theta` (degree), `d` (angstrom) and `height`, a share of the strongest line's.
    """
    angle, observed, sigma = (
        pattern[name].to_numpy() for name in ("two_theta", "intensity", "sigma")
    )
    kernel = _kernel(calculated - background)
    rest = _heights(observed - calculated, kernel)
    above = _heights(observed - background, kernel)
    error = np.sqrt(np.convolve(sigma**2, kernel**2, "same")) / np.sum(kernel**2)
    strongest = above.max()
    enough = np.maximum.reduce(
        [_SIGNIFICANT * error, np.full_like(rest, _STRONG * strongest), _UNEXPLAINED * above]
    )
    peaks, found = signal.find_peaks(rest, height=enough, prominence=0)
    peaks = peaks[found["prominences"] > 0.5 * rest[peaks]]
    peaks = peaks[np.argsort(-rest[peaks])]
    return pd.DataFrame(
        {
            "two_theta": angle[peaks],
            "d": wavelength / (2.0 * np.sin(np.radians(angle[peaks] / 2.0))),
            "height": rest[peaks] / strongest,
        }
    )


def lines_in_words(d, height) -> str:
    """Lines by d (angstrom) and height (share of the strongest), for notes; empty for none."""
    if not len(d):
        return ""
    named = [f"{a:.4g} A ({h:.0%})" for a, h in zip(d[:_NAMED], height[:_NAMED], strict=True)]
    more = f" and {len(d) - _NAMED} more" if len(d) > _NAMED else ""
    return f"no phase explains lines at d = {', '.join(named)}{more}, of the strongest line"


def _kernel(lines: np.ndarray) -> np.ndarray:
    """A Gaussian of the median width of calculated lines, (odd number of points,)."""
    peaks, _ = signal.find_peaks(lines, height=0.02 * max(lines.max(), np.finfo(float).tiny))
    width = np.median(signal.peak_widths(lines, peaks)[0]) if len(peaks) else 5.0
    deviation = float(np.clip(width, 2.0, len(lines) / 20)) / _FWHM
    reach = int(np.ceil(4.0 * deviation))
    return np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)


def _heights(values: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    return np.convolve(values, kernel, "same") / np.sum(kernel**2)
