"""What the columns of a powder pattern are: axis, intensity, and its uncertainty or weight."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from phasefront.core.errors import InputError
from phasefront.powder import axis_units

COMMENT = re.compile(r"^\s*(#|!|;|'|%|//|/\*|\*)+")
_ROLES = {
    "computed": re.compile(r"calc|bkg|backg|difference|^diff\b|resid|model"),
    "weight": re.compile(r"^(weight|wt|w)s?\b"),
    "sigma": re.compile(
        r"sigma|^sig\b|σ|esd|e\.s\.d|err|\bunc|uncert|std|^d_?[iy]\b|^[es]$|deviation"
    ),
    "intensity": re.compile(
        r"^(i|y|y_?obs|int|intensity|intensities|counts?|cts|z(ä|ae)hler|iobs|obs|observed)\b"
        r"|intens|count|^i[\s_(\[]|^y[\s_(\[]"
    ),
}
_MARKED_WEIGHT = re.compile(r"\bweights?\b", re.IGNORECASE)
_FEWEST_TO_JUDGE = 10  # points from which the form of a column says something
_WEIGHT_RANK = -0.5  # of correlation with the intensity, below which a column is no uncertainty
_SIGMA_RANK = 0.5  # above which it may be one
_SIGMA_SPREAD = 4.0  # of sigma^2 / intensity, 90th over 10th percentile, for counts times a factor
# An uncertainty as large as this share of most intensities, and so many times what neighbouring
# points scatter by, is a computed intensity, a background or a variance. Chosen.
_LARGE_SHARE, _BEYOND_SCATTER = 0.5, 10.0
_REMEDY_COLUMNS = (
    'say in the table of powder patterns what stands where, e.g. columns {"axis": 0, "intensity":'
    ' 1, "sigma": 2}; "weight" in place of "sigma" is 1/sigma^2'
)


def in_header(path: Path, header: list[str], width: int) -> list[str] | None:
    """Names in the last header line, where it has as many as there are columns; else None.

    Raises InputError where it has another number of them.
    """
    # A number with decimals names no column: it is the value of something.
    if not header or re.search(r"\d[.,]\d", header[-1]):
        return None
    line = COMMENT.sub("", header[-1]).strip()
    glued = re.sub(r"[ \t]+(?=[(\[])", "", line)  # 2theta (deg)
    for separator in (";", ",", "\t", r"\s{2,}", r"\s+"):
        names = [name.strip().strip('"') for name in re.split(separator, glued)]
        if len(names) == width:
            return names
    names = re.split(r"[,;]?\s+", glued.rpartition(":")[2].strip())
    if len(names) == width:
        return names
    named = [name for name in re.split(r"[,;\t]", line) if name.strip()]
    if len(named) > 1 and any(role.search(named[1].strip().lower()) for role in _ROLES.values()):
        raise InputError(
            path, f"{len(named)} names over {width} columns", field="header",
            remedy="export the pattern again with a name for each column",
        )  # fmt: skip
    return None


def places(
    path: Path,
    header: list[str],
    names: list[str] | None,
    width: int,
    columns: Mapping[str, str | int] | None,
) -> dict[str, int]:
    """Positions of `axis`, `intensity` and, where there is one, `sigma` or `weight`.

    `columns` is what the table says, by name or position; without it the names decide, and without
    names the order. Raises InputError where a column is not there or may be something else.
    """
    if columns is None:
        return _usual_places(path, header, names if says_something(names) else None, width)
    found = {role: _place(path, names, width, role, at) for role, at in columns.items()}
    for role in ("axis", "intensity"):
        if role not in found:
            raise InputError(
                path, f"no column is given for {role}", field="columns",
                remedy=f"name it, among {names or list(range(width))}",
            )  # fmt: skip
    return found


def says_something(names: list[str] | None) -> bool:
    """Whether words over the columns are names of an axis, an intensity or its uncertainty."""
    return any(_role(name) or axis_units.of_label(name) for name in names or ())


def _usual_places(path, header, names, width) -> dict[str, int]:
    """Positions of axis, intensity and, where there is one, sigma or weight."""
    roles = [_role(name) for name in names] if names else [None] * width
    axes = [bool(axis_units.of_label(name)) for name in names] if names else []
    # GSAS-II writes x, and q in a later column.
    astray = any(axes) and not axes[0] and names[0].lower() != "x"
    astray |= "intensity" in roles and roles[1] != "intensity"
    if astray or roles[0] or roles[1] in ("sigma", "weight", "computed"):
        raise InputError(
            path, f"the columns are {', '.join(names)}: not axis, intensity and uncertainty",
            field="header", remedy=_REMEDY_COLUMNS,
        )  # fmt: skip
    found = {"axis": 0, "intensity": 1}
    for role in ("sigma", "weight"):
        if roles.count(role) == 1:
            return found | {role: roles.index(role)}
    if width == 2:
        return found
    if names or _MARKED_WEIGHT.search(header[-1] if header else ""):
        named = f" {names[2]!r}" if names else ""
        raise InputError(
            path, f"the third column{named} may be no uncertainty", field="header",
            remedy=_REMEDY_COLUMNS,
        )  # fmt: skip
    return found | {"sigma": 2}


def _place(path, names, width, role, wanted) -> int:
    position = names.index(wanted) if names and names.count(wanted) == 1 else wanted
    if not isinstance(position, int) or not 0 <= position < width:
        raise InputError(
            path, f"there is no column {wanted!r} for {role}", field=str(wanted),
            remedy=f"choose among {names or list(range(width))}",
        )  # fmt: skip
    return position


def _role(name: str) -> str | None:
    return next((role for role, words in _ROLES.items() if words.search(name.lower())), None)


def check_uncertainty(path: Path, picked: dict, *, declared: bool) -> None:
    """Whether a third column can be the uncertainty of the second.

    That of counts times a factor, background taken off or not, rises with the intensity; its
    square is nearly proportional. A weight falls with it. A column that nothing names must show
    the form of an uncertainty; one that is named must not show that of a weight. Neither may be as
    large as the intensity where that scatters much less. Raises InputError.
    """
    if "sigma" not in picked:
        return
    sigma, intensity = picked["sigma"], picked["intensity"]
    if len(sigma) >= _FEWEST_TO_JUDGE:
        typical = np.median(sigma)
        large = typical > _LARGE_SHARE * np.median(np.abs(intensity))
        if large and typical > _BEYOND_SCATTER * scatter(intensity) > 0:
            raise InputError(
                path, "the third column is about as large as the intensity, whose neighbours differ"
                " by far less: it is no uncertainty", field="sigma", remedy=_REMEDY_COLUMNS,
            )  # fmt: skip
    there = (sigma > 0) & (intensity > 0)
    weights = sigmas = False
    if there.sum() >= _FEWEST_TO_JUDGE:
        sigma, intensity = sigma[there], intensity[there]
        rank = 0.0
        if np.ptp(sigma) > 0 and np.ptp(intensity) > 0:
            from scipy import stats

            rank = stats.spearmanr(intensity, sigma).statistic
        low, high = np.percentile(sigma**2 / intensity, [10, 90])
        weights = rank < _WEIGHT_RANK
        sigmas = high < _SIGMA_SPREAD * low and (rank > _SIGMA_RANK or 0.3 < low <= high < 3.0)
    if weights or not (declared or sigmas):
        looks = "falls where the intensity rises, as weights do" if weights else "is not named"
        raise InputError(
            path, f"the third column {looks}", field="sigma", remedy=_REMEDY_COLUMNS
        )  # fmt: skip


def scatter(intensity: np.ndarray) -> float:
    """Standard deviation by which neighbouring intensities (n,) scatter about a straight line.

    By the median of second differences, which peaks hardly change; 0 for fewer than three.
    """
    bent = np.abs(np.diff(intensity, 2))
    # Of a normal distribution: the median of its size, and the variance of a second difference.
    return float(np.median(bent) / (0.6745 * np.sqrt(6.0))) if bent.size else 0.0


def doubt_counts(picked: dict) -> list[str]:
    """A sentence where nothing gives uncertainties, and intensities scatter as no counts do."""
    if {"sigma", "weight"} & set(picked) or len(picked["intensity"]) < _FEWEST_TO_JUDGE:
        return []
    intensity = picked["intensity"]
    found = scatter(intensity)
    root = float(np.sqrt(np.median(np.maximum(intensity, 0.0))))
    if found == 0 or 1 / _BEYOND_SCATTER <= found / root <= _BEYOND_SCATTER if root else True:
        return []
    return [
        f"without uncertainties these are the root of its intensities, {root / found:.2g} times"
        " what neighbouring points scatter by: they are no counts"
    ]


def sigma(path: Path, picked: dict) -> np.ndarray:
    """Uncertainties, (n,): the column's, 1 / sqrt(weight), or the root of counts.

    Raises InputError where one is not positive.
    """
    role = "weight" if "weight" in picked else "sigma"
    if role not in picked:
        intensity = picked["intensity"]
        positive = intensity[intensity > 0]
        return np.sqrt(np.maximum(intensity, positive.min() if len(positive) else 1.0))
    wrong = np.flatnonzero(picked[role] <= 0)
    if wrong.size:
        raise InputError(
            path, f"{wrong.size} uncertainties are not positive, first in row {wrong[0] + 1}",
            field=role, remedy="leave the column out or give each point its uncertainty",
        )  # fmt: skip
    return picked[role] if role == "sigma" else 1.0 / np.sqrt(picked[role])
