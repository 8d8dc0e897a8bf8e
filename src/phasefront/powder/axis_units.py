"""What the axis of a powder pattern is, and its conversion into degrees of 2theta."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from phasefront.core.errors import InputError

UNITS = {"two_theta": ("degree", "radian"), "q": ("1/A", "1/nm"), "d": ("A", "nm")}
_NAMES = {"two_theta": "2theta", "q": "q", "d": "d"}
_ANGSTROM = {"1/A": 1.0, "1/nm": 0.1, "A": 1.0, "nm": 10.0}  # or its inverse, in each unit
_WAVELENGTH_TOLERANCE = 2e-3  # relative; K alpha 1 against the mean of both is 0.8e-3
_DOUBLET = 0.01  # K alpha 2 is longer by 0.25 % (Cu) to 0.6 % (Mo)
_REMEDY = (
    "say in the table of powder patterns what it is: axis two_theta in degree or radian, q in 1/A"
    " or 1/nm, d in A or nm; other axes convert before export"
)

_TWO_THETA = r"(?:2|two|zwei)[\s_*-]*(?:th|theta)|ttheta|tth"
# In this order: what is found first is what the axis is.
_AXES = {
    "time of flight": re.compile(r"\btof\b|^tof|flight|microsec|[µμ]s|^time\b"),
    "two_theta": re.compile(rf"{_TWO_THETA}|^angle|^winkel|^deg"),
    "theta": re.compile(r"theta|^th\b"),
    "q": re.compile(r"^q(?![a-z])|(?<![a-z])q[-_ ]?space|scattering.vector|momentum"),
    "d*": re.compile(r"^d\*|^1/d\b|reciprocal"),
    "d": re.compile(r"^d(?![a-z])|d[-_ ]?spacing|^spacing"),
    "distance": re.compile(r"^r(?![a-z])|radius|\bmm\b|_mm\b|^position"),
    "pixel": re.compile(r"pixel|channel|^bin\b"),
    "energy": re.compile(r"energy|kev\b|\bev\b"),
}
_INVERSE = r"(?:\^|\*\*)?\s*[({]?\s*(?:-1|⁻¹)"
_LENGTH = r"(?:nm|nanomet\w*|a|å|angstroms?|ångstr\w*)"
_UNITS = (
    ("a part of a degree", re.compile(r"centi|milli|mdeg|cdeg|arc")),
    ("degree", re.compile(r"deg|°")),
    ("radian", re.compile(r"(?<![a-z])rad(?!ius)")),
    ("nm", re.compile(r"(?<![a-zµμ])(?:nm|nanomet\w*)(?![a-z])")),
    ("A", re.compile(r"(?<![a-zµμ])(?:a|å|angstroms?|ångstr\w*)(?![a-z]|\.u)")),
)
# Anywhere in a header, only an axis with its unit is a statement.
_ANYWHERE = re.compile(
    rf"(?<![a-z0-9])(?:{_TWO_THETA})\w*?[\s_,/]*[(\[]?\s*(?:deg|rad|°)\w*"
    rf"|(?<![a-z0-9*])q[\s_,/]*[(\[]?\s*(?:{_LENGTH}\s*{_INVERSE}|1\s*/\s*{_LENGTH}(?![a-z]))"
    rf"|(?<![a-z0-9])(?:tof|time[ -]of[ -]flight)(?![a-z])"
    rf"|(?<![a-z0-9._])(?:r_mm|d_a|d_nm)(?![a-z])"
)
_WAVELENGTH = re.compile(
    r"(?:wave\s*-?\s*length|wellenl(?:ä|ae)nge|\blambda\b|λ)[^0-9\n]{0,24}?"
    r"(\d+[.,]?\d*(?:e[-+]?\d+)?|\.\d+(?:e[-+]?\d+)?)\s*[(\[]?(nm|pm|m|a|å|ang\w*)?(?![a-z])"
)


@dataclass(frozen=True)
class Axis:
    """An axis with its unit, either empty where not known; `said`: by a header or a table."""

    name: str
    unit: str = ""
    said: bool = True

    def __str__(self) -> str:
        unit = f" in {self.unit}" if self.unit else ""
        return f"{_NAMES.get(self.name, self.name)}{unit}"


def of_label(label: str) -> Axis | None:
    """The axis that a column's name or a label says, e.g. `2th_deg` or `q (nm^-1)`; else None."""
    text = label.strip().lower().replace("θ", "theta").replace("ϑ", "theta")
    name = next((name for name, words in _AXES.items() if words.search(text)), None)
    if name is None:
        return None
    rest = (text[1:] if name in ("q", "d") else text).replace("_", " ")
    unit = next((unit for unit, words in _UNITS if words.search(rest)), "")
    if name == "q" and unit in ("A", "nm"):
        unit = f"1/{unit}"
    return Axis(name, unit)


def settle(path: Path, header: list[str], label: str | None, *, axis, unit) -> Axis:
    """The axis by the file and by the table, which must not contradict each other.

    Parameters
    ----------
    label
        Name of the axis's column, where the file has one.
    axis, unit
        What the table says; None where it does not.

    Raises
    ------
    InputError
        A contradiction, or what is no angle, q or d, or lacks its unit.
    """
    found = (of_label(label) if label else None) or _in_header(path, header)
    if (
        axis is None
        and unit is not None
        and (found is None or unit not in UNITS.get(found.name, ()))
    ):
        candidates = [name for name, units in UNITS.items() if unit in units]
        axis = candidates[0] if candidates else None
    if found is None and axis is None:
        _refuse_hint(path, header)
    if found is None:
        found = Axis(axis or "two_theta", unit or "", said=axis is not None)
    for what, here, there in (("axis", found.name, axis), ("unit", found.unit, unit)):
        if there is not None and here and here != there:
            raise InputError(
                path, f"the {what} is {here} by its header, {there} by the table of powder"
                " patterns", field=what, remedy="correct the one that is wrong",
            )  # fmt: skip
    settled = Axis(found.name, found.unit or unit or "", said=found.said)
    if settled.name not in UNITS or (settled.unit and settled.unit not in UNITS[settled.name]):
        raise InputError(
            path, f"the axis is {settled}, which is no angle in degrees, q or d", field="axis",
            remedy="export 2theta in degrees, or q in 1/A or 1/nm",
        )  # fmt: skip
    by_table_alone = settled.unit == "radian" or settled.name == "d"
    if (settled.name != "two_theta" and not settled.unit) or (
        by_table_alone and (unit is None or (settled.name == "d" and axis is None))
    ):
        raise InputError(path, f"the axis is {settled} by its header", field="axis", remedy=_REMEDY)
    return settled


def _in_header(path: Path, header: list[str]) -> Axis | None:
    text = "\n".join(header).lower().replace("θ", "theta")
    found = {of_label(match.group().strip()) for match in _ANYWHERE.finditer(text)} - {None}
    if len(found) > 1:
        raise InputError(
            path, f"the header names several axes: {', '.join(sorted(map(str, found)))}",
            field="axis", remedy=_REMEDY,
        )  # fmt: skip
    if found:
        return found.pop()
    # A last line that begins with the axis's letter, and has more words than there are columns.
    words = re.sub(r"^\W+", "", header[-1]).split() if header else []
    return of_label(words[0]) if words and words[0].lower() in ("q", "d", "tof") else None


def _refuse_hint(path: Path, header: list[str]) -> None:
    """Refuse degrees where a word of the last header line, which has no column, is q or d."""
    words = re.split(r"[\s,;]+", header[-1]) if header else []
    hinted = [word for word in words if (one := of_label(word)) and one.name in ("q", "d", "d*")]
    if hinted:
        raise InputError(
            path, f"its header has the word {hinted[0]!r}, but not in a way that says what the axis"
            " is", field="axis", remedy=_REMEDY,
        )  # fmt: skip


def settle_wavelength(path: Path, header: list[str], given: float | None) -> float | None:
    """The wavelength, angstrom, by the table and the header, which must not contradict each other.

    Raises
    ------
    InputError
        They differ by more than 0.2 %.
    """
    match = _WAVELENGTH.search("\n".join(header).lower())
    if match is None:
        return given
    value, unit = float(match.group(1).replace(",", ".")), (match.group(2) or "")
    factor = {"m": 1e10, "nm": 10.0, "pm": 0.01}.get(unit, 1.0)
    if not unit and value < 1e-6:
        factor = 1e10
    found = value * factor
    if given is not None and abs(found / given - 1.0) > _WAVELENGTH_TOLERANCE:
        raise InputError(
            path, f"the wavelength is {found:.6g} angstrom by its header, {given:.6g} by the table"
            " of powder patterns", field="wavelength", remedy="correct the one that is wrong",
        )  # fmt: skip
    return found if given is None else given


def doubt_wavelength(header: list[str]) -> list[str]:
    """A sentence where a header names two wavelengths beside each other, as of K alpha 1 and 2."""
    text = "\n".join(header).lower()
    match = _WAVELENGTH.search(text)
    second = match and re.match(r"[\s,;/]*(\d+[.,]\d+)", text[match.end(1) :])
    if not second:
        return []
    values = [float(number.replace(",", ".")) for number in (match[1], second[1])]
    if not 0 < abs(values[1] / values[0] - 1) < _DOUBLET:
        return []
    return [
        f"its header names two wavelengths, {values[0]:g} and {values[1]:g}, and the fit has one"
    ]


def as_two_theta(
    path: Path, values: np.ndarray, axis: Axis, wavelength: float | None
) -> tuple[np.ndarray, slice]:
    """Increasing angles in degrees, (n,), and the order of rows that makes them so.

    Angles of which nothing says that they are degrees are refused where they may be radians.

    Raises
    ------
    InputError
        No wavelength for q or d, or one that they exclude; angles that are not monotonic, that
        leave 0 to 180 degrees or may be radians.
    """
    if axis.name == "two_theta":
        angle = np.degrees(values) if axis.unit == "radian" else values
    else:
        angle = _by_bragg(path, values, axis, wavelength)
    step = np.diff(angle)
    order = slice(None, None, -1) if len(step) and (step < 0).all() else slice(None)
    angle = angle[order]
    backwards = np.flatnonzero(np.diff(angle) <= 0)
    if backwards.size:
        raise InputError(
            path, f"the angle does not increase after row {backwards[0] + 1}", field="two_theta",
            remedy="sort by angle and average repeated points",
        )  # fmt: skip
    if angle[0] < 0.0 or angle[-1] > 180.0:
        raise InputError(
            path, f"the angles reach from {angle[0]:g} to {angle[-1]:g} degrees, beyond 0 to 180",
            field="two_theta", remedy=_REMEDY,
        )  # fmt: skip
    if axis.name == "two_theta" and not axis.unit and angle[-1] < np.pi:
        raise InputError(
            path, f"the axis ends at {angle[-1]:g}, which may be degrees, radians, q or else",
            field="axis", remedy=_REMEDY,
        )  # fmt: skip
    return angle, order


def _by_bragg(path: Path, values: np.ndarray, axis: Axis, wavelength: float | None) -> np.ndarray:
    if wavelength is None:
        raise InputError(
            path, f"the axis is {axis}, and there is no wavelength", field="wavelength",
            remedy="give it in the table of powder patterns",
        )  # fmt: skip
    length = values * _ANGSTROM[axis.unit]
    if axis.name == "d" and (length <= 0).any():
        raise InputError(path, "d is not positive", field="axis", remedy="check the axis")
    q = length if axis.name == "q" else 2.0 * np.pi / length
    sine = q * wavelength / (4.0 * np.pi)
    if (np.abs(sine) > 1.0).any():
        raise InputError(
            path, f"{axis} reaches beyond what {wavelength:g} angstrom can measure",
            field="wavelength", remedy="check the wavelength and the unit",
        )  # fmt: skip
    return np.degrees(2.0 * np.arcsin(sine))
