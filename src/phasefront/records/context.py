"""What a run tells each of its jobs for their records, beside the command.

It goes through the environment: nothing that Snakemake tracks, so it makes no rule run again, and a
script that is run by hand simply does not know it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

VARIABLE = "PHASEFRONT_RUN"
_WILDCARD = re.compile(r"\{(\w+)\}")

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$", description="SHA-256 of the bytes")]
FilePath = Annotated[
    str,
    Field(min_length=1, description="relative to the project's folder if inside, else as given"),
]


class FileDigest(BaseModel):
    """A file of the project and its SHA-256."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: FilePath
    sha256: Sha256


class Person(BaseModel):
    """Who does the work."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="as it should stand in a paper")
    orcid: str | None = Field(
        None, pattern=r"^\d{4}-\d{4}-\d{4}-\d{3}[\dX]$", description="such as 0000-0002-1825-0097"
    )
    affiliation: str | None = Field(None, description="where the person works")


class Context(BaseModel):
    """The experiment's files as they were when the run was planned, and who runs it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    config: list[FileDigest] = []
    tables: list[FileDigest] = []
    people: list[Person] = []
    host: bool = False
    outputs: list[str] = []
    constraints: dict[str, str] = {}
    # Of each rule, where the experiment states its parameters: wildcards may stand in the paths.
    parameters: dict[str, dict[str, str]] = {}

    @classmethod
    def of_environment(cls) -> Context:
        """The context that `export_outputs` left; an empty one where there is none."""
        return cls.model_validate_json(os.environ.get(VARIABLE, "{}"))

    def export_outputs(self, patterns: Iterable[str]) -> None:
        """Add patterns of outputs, and leave the context for the processes that this one starts."""
        self.outputs.extend(patterns)
        self._export()

    def export_parameters(self, rule: str, paths: Mapping[str, str]) -> None:
        """Add the paths of a rule's parameters, by the names that its script has for them."""
        self.parameters[rule] = {name.replace("_", "-"): path for name, path in paths.items()}
        self._export()

    def _export(self) -> None:
        os.environ[VARIABLE] = self.model_dump_json()

    def wildcards(self, path: str) -> dict[str, str]:
        """The wildcards of the output pattern that a path fits, of several the most literal."""
        found = [
            (len(_WILDCARD.sub("", pattern)), match.groupdict())
            for pattern in self.outputs
            if (match := re.fullmatch(self._expression(pattern), path))
        ]
        return max(found, key=lambda item: item[0], default=(0, {}))[1]

    def stated(self, rule: str, wildcards: Mapping[str, str]) -> dict[str, str]:
        """Where a rule's parameters stand in the experiment, by name.

        A script that is run by hand, on files that are none of the run's, knows no wildcards: what
        depends on them is left out.
        """
        return {
            name: path.format(**wildcards)
            for name, path in self.parameters.get(rule, {}).items()
            if set(_WILDCARD.findall(path)) <= wildcards.keys()
        }

    def _expression(self, pattern: str) -> str:
        """Regular expression of a pattern; a wildcard stays within a folder unless constrained."""
        parts = _WILDCARD.split(pattern)
        expression, seen = re.escape(parts[0]), set()
        for name, text in zip(parts[1::2], parts[2::2], strict=True):
            allowed = self.constraints.get(name, "[^/]+")
            expression += f"(?P={name})" if name in seen else f"(?P<{name}>{allowed})"
            expression += re.escape(text)
            seen.add(name)
        return expression
