"""Whether tilt series that are a prior of a phase's cell are of this phase."""

from __future__ import annotations

import pandas as pd

from phasefront.core.errors import InputError
from phasefront.experiment.settings.material import Material


def check_priors(material: Material, cells: pd.DataFrame, source: str) -> None:
    """Refuse a prior of a phase's cell that is not of its particles, or counts twice.

    `cells` is the table of cells by their names.
    """
    for phase in material.phases:
        known = list(cells.index[cells["phase"] == phase.name]) if len(cells) else []
        for name in phase.cell_prior:
            if name not in known:
                problem = f"{name!r} is no row of the table of cells for {phase.name}"
            elif name in phase.cell_from:
                problem = f"{name!r} is in cell_from too, so that it would count twice"
            elif phase.cell_prior.count(name) > 1:
                problem = f"{name!r} stands there twice"
            else:
                continue
            raise InputError(
                source, problem, field=f"material.phases.{phase.name}.cell_prior",
                remedy=f"name rows of {sorted(set(known) - set(phase.cell_from))}, each once, or"
                " leave it out",
            )  # fmt: skip
