"""The jobs of one rule, as their records tell of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import xarray as xr

from phasefront.audit.explain import listed
from phasefront.core import netcdf
from phasefront.core.netcdf import Layout
from phasefront.records.steps import Step
from phasefront.report.wording import in_words, number


class Jobs:
    """The jobs of one rule: their parameters by dotted name, and what they made."""

    def __init__(self, steps: Sequence[Step], of_rule: Mapping[str, Sequence[Step]]):
        self.steps, self._of_rule = steps, of_rule

    def of(self, rule: str) -> Jobs:
        """The jobs of another rule, none if the run has none."""
        return Jobs(self._of_rule.get(rule, []), self._of_rule)

    def counted(self, noun: str) -> str:
        """How many jobs there were, of what."""
        return in_words(len(self.steps), noun)

    def values(self, name: str) -> list:
        """The values that jobs were given, each once; none where it was left open."""
        found = []
        for step in self.steps:
            value = step.parameters
            for part in name.split("."):
                value = value[part]
            if value is not None and value not in found:
                found.append(value)
        return found

    def __call__(self, name: str, factor: float = 1) -> str:
        """The value as text; several, in order, if jobs differ."""
        found = self.values(name)
        if found and all(isinstance(value, int | float) for value in found):
            found = [number(value * factor) for value in sorted(found)]
        return listed(map(str, found))

    def made(self, layout: Layout) -> dict[str, xr.Dataset]:
        """What each job made, by the name of the file without its suffix.

        Of several netCDF files of a job, the first: folders of maps stand before their details.
        """
        found = {}
        for step in self.steps:
            paths = [Path(one["path"]) for one in step.outputs if one["path"].endswith(".nc")]
            found |= {path.stem: netcdf.read(path, layout) for path in paths[:1]}
        return found

    @property
    def names(self) -> list[str]:
        """What the jobs worked on: the names of their first outputs."""
        return [Path(step.outputs[0]["path"]).stem for step in self.steps]


def moving_ion(jobs: Jobs) -> str:
    """The element that moves."""
    return jobs.of("tabulate_comparison")("ion")
