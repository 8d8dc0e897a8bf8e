"""How often intervals of fractions hold the truth."""

from __future__ import annotations

from phasefront.core.tables import Column, Table

COVERAGE_TABLE = Table(
    "coverage.csv",
    "Fractions of many virtual scans of known populations, a row for each scan, kind and phase.",
    {
        "scan": Column("i8", "1", "number of the scan, from 1"),
        "ion_content": Column("f8", "1", "ions per formula unit of the population"),
        "insertion_model": Column("str", "", "how grains take up ions"),
        "grains": Column("i8", "1", "grains that the scan was to hold"),
        "dose": Column("f8", "1", "electrons in a pattern"),
        "seed": Column("i8", "1", "seed of grains and noise"),
        "kind": Column("str", "", "`area`, `thickness` or `molar`, as of fractions.csv"),
        "phase": Column("str", "", "phase"),
        "role": Column("str", "", "`rich` or `poor` in ions, or `absent`"),
        "population": Column("f8", "1", "fraction of the population that the grains are drawn of"),
        "scanned": Column("f8", "1", "fraction of the area that was scanned"),
        "found": Column("f8", "1", "fraction before any correction"),
        "unfolded": Column("f8", "1", "fraction freed of wrong and of missing decisions"),
        "low": Column("f8", "1", "lower end of its 95 % interval"),
        "high": Column("f8", "1", "upper end of its 95 % interval"),
        "undecided": Column("f8", "1", "share of the crystal's positions left undecided"),
        "effective_grains": Column("f8", "1", "equally large grains that the area amounts to"),
    },
)
