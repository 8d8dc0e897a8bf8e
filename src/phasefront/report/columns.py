"""What the columns of a run's tables are, with their units, for who has nothing else."""

from __future__ import annotations

from phasefront.comparison.sources import registry
from phasefront.layouts.calibration import DRIFT_TABLE
from phasefront.layouts.comparison import COMPARISON_TABLE, SWEEP_TABLE
from phasefront.layouts.correlation import CORRELATION_TABLE
from phasefront.layouts.coverage import COVERAGE_TABLE
from phasefront.layouts.cycling import CYCLING_TABLE
from phasefront.layouts.fractions import FRACTION_TABLE
from phasefront.layouts.map_truth import MAP_CHECK_TABLE
from phasefront.layouts.mechanisms import MECHANISM_TABLE
from phasefront.layouts.pairs import PAIRS_TABLE
from phasefront.layouts.powder_series import POWDER_SERIES_TABLE
from phasefront.layouts.series import SERIES_TABLE
from phasefront.layouts.tomography import CELL_TABLE
from phasefront.layouts.truth import TRUTH_TABLE
from phasefront.report.tables import PRINTED_TABLE
from phasefront.report.wording import markdown_table

TABLES = (
    COMPARISON_TABLE, PRINTED_TABLE, FRACTION_TABLE, DRIFT_TABLE, CYCLING_TABLE, PAIRS_TABLE,
    TRUTH_TABLE, SWEEP_TABLE, COVERAGE_TABLE, MECHANISM_TABLE, POWDER_SERIES_TABLE, SERIES_TABLE,
    CELL_TABLE, CORRELATION_TABLE, MAP_CHECK_TABLE,
)  # fmt: skip

_SOURCES = ", ".join(f"`{source.name}` ({source.phrase})" for source in registry.SOURCES)
_HEAD = f"""# Columns of the tables

An empty cell means that there is no such value.

## summary.json

`explorer` is the page beside it in which any position can be seen. `x` is the ion content, ions per
formula unit, and `fractions` are shares of the formula units, 0 to 1, of each state by source:
{_SOURCES}. Each has its
`value` between `low` and `high`, the ends of its 95 % interval. `conclusions` has for each pair of
sources the mean `difference` of ion content (first minus second), `intercept` and `slope` of the
line through the states, p-values, and a sentence. `scans` counts the positions of each scan as
`fractions.csv` does; `seconds` is how long its analysis took; `notes` say where its grains
contradicted its calibration."""


def explain(files: set[str]) -> str:
    """COLUMNS.md: the columns of those of the tables, by paths in the results, that are there.

    A star in a path stands for the name of a log or an instrument, one in a column's for any.
    """
    parts = [_HEAD]
    for table in TABLES:
        if any(map(table.is_at, files)):
            rows = [(f"`{name}`", one.units, one.meaning) for name, one in table.columns.items()]
            listed = markdown_table(("column", "unit", "meaning"), rows)
            parts.append(f"## {table.file}\n\n{table.title}\n\n{listed}")
    return "\n\n".join(parts) + "\n"
