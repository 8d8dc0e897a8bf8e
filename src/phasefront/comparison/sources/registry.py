"""The table of all sources, and the pairs of them that are compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import xarray as xr

from phasefront.comparison.sources.charge import Charge
from phasefront.comparison.sources.chemistry import Chemistry
from phasefront.comparison.sources.powder import Powder
from phasefront.comparison.sources.source import Source
from phasefront.comparison.sources.stem import Stem
from phasefront.comparison.sources.tomography import Tomography
from phasefront.core.errors import InputError

# The first is the reference that figures set the others against. A source that is added here is in
# comparisons, tables, figures and sentences.
SOURCES: list[Source] = [Charge(), Stem(), Powder(), Tomography(), Chemistry()]
BETWEEN = " - "


def named(name: str) -> Source:
    """The source of that name; raises InputError for one that is not registered."""
    for source in SOURCES:
        if source.name == name:
            return source
    raise InputError(
        "comparison", f"there is no source {name!r}", field="source",
        remedy="make the comparison again with this version of phasefront",
    )  # fmt: skip


def reference() -> Source:
    """The source that the others are set against."""
    return SOURCES[0]


def taking_part(given: Mapping[str, Mapping[str, Sequence[xr.Dataset]]]) -> list[Source]:
    """Sources of a comparison of these data sets, by source and state."""
    return [
        source
        for source in SOURCES
        if not source.optional or any(given.get(source.name, {}).values())
    ]


def pairs(sources: Sequence[Source] | None = None) -> list[tuple[str, str]]:
    """Names of the sources of each pair, of which the first minus the second is compared.

    Each source but the reference comes first with the reference, and with all that follow it. Of
    all sources, or of these, in the order of the table.
    """
    first, *others = [source.name for source in (SOURCES if sources is None else sources)]
    return [(a, b) for i, a in enumerate(others) for b in (first, *others[i + 1 :])]


def pair_name(pair: tuple[str, str]) -> str:
    """What files call a pair."""
    return BETWEEN.join(pair)


def sources_of(pair: str) -> tuple[Source, Source]:
    """Both sources of a pair by its name."""
    first, second = pair.split(BETWEEN)
    return named(first), named(second)
