"""Numbers, counts and tables as print has them."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from phasefront.core.statistics import NORMAL_95
from phasefront.report.tables import printed

# What CommonMark, and mathematics in it, take for more than a sign within a line.
_MARKUP = re.compile(r"[\\`*_\[\]<>&$~|#]")
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def in_words(number: int, noun: str) -> str:
    """A count in words up to ten: `two scans`."""
    words = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    word = words[number] if number < len(words) else str(number)
    return f"{word} {noun}" if number == 1 else f"{word} {noun}s"


def first_upper(text: str) -> str:
    """The text with a capital."""
    return text[:1].upper() + text[1:]


def with_error(value: float, error: float) -> str:
    """A value with its standard error in units of the last digit: 0.49(6)."""
    half = NORMAL_95 * error
    return printed(np.array([value, value - half, value + half])) if error > 0 else number(value)


def number(value: float, style: str = "g") -> str:
    """A number as print has it: 10⁷, not 1e+07; a dash where there is none."""
    if not np.isfinite(value):
        return "–"
    mantissa, _, exponent = f"{value:{style}}".partition("e")
    if not exponent:
        return mantissa
    power = f"10{str(int(exponent)).translate(_SUPERSCRIPTS)}"
    return power if mantissa == "1" else f"{mantissa} × {power}"


def plain(text: str) -> str:
    """Text of people for Markdown: no sign of it is markup, HTML or mathematics."""
    return _MARKUP.sub(r"\\\g<0>", " ".join(text.split()))


def code(text: str) -> str:
    """The text as code in Markdown, as it is, backticks included (CommonMark 0.31, 6.1)."""
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{space}{text}{space}{fence}"


def markdown_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
