"""How chemistry is compared with structure on a scan."""

from __future__ import annotations

import itertools
from typing import Annotated

from pydantic import AfterValidator, Field

from phasefront.experiment.settings.base import Model


def _rising(edges: list[float]) -> list[float]:
    if any(low >= high for low, high in itertools.pairwise(edges)):
        raise ValueError("the distances do not rise; write each once, from the smallest on")
    return edges


class CorrelationSettings(Model):
    """Chemistry against structure, as a whole and by parts."""

    distances_nm: Annotated[
        list[Annotated[float, Field(ge=0)]], AfterValidator(_rising)
    ] = Field(
        [0, 60, 120, 240],
        description="distances from the interface of two phases, between which positions are also"
        " compared by themselves",
    )  # fmt: skip
