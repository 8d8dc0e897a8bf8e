"""A sweep: which settings each variant of an analysis changes."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from phasefront.core.errors import InputError
from phasefront.experiment.config import Experiment
from phasefront.experiment.load import parse
from phasefront.experiment.settings.base import Model
from phasefront.experiment.variants import changes_in, column, label

# Settings that nothing which is compared depends on, and mappings, which no folder can name; of
# cells what was measured of the microscope.
_ASIDE = {
    "scans", "interfaces", "mechanisms", "coverage", "report", "supplement", "maps", "cells",
    "stacks", "chemistry", "losses", "registration", "correlation", "pathways",
}  # fmt: skip
# Sections of settings, which have defaults. Everything else says what was measured, or where: that
# is another experiment, with results of its own.
SWEPT = tuple(
    name
    for name, field in Experiment.model_fields.items()
    if isinstance(field.default, Model) and name not in _ASIDE
)


@dataclass(frozen=True)
class Space:
    """The variants of an experiment.

    `variants` holds the values that each variant changes, by dotted path; the first is the run
    itself and changes none.
    """

    experiment: Experiment
    variants: list[dict[str, object]]

    @cached_property
    def parameters(self) -> list[str]:
        """Dotted paths of what is swept, in the order of the analysis."""
        return sorted({path for changes in self.variants for path in changes}, key=_place)

    @cached_property
    def labels(self) -> list[dict[str, str]]:
        """What each variant changes, as names fit for a path: column names and short values."""
        return [
            {column(path): label(value) for path, value in changes.items()}
            for changes in self.variants
        ]

    @cached_property
    def settings(self) -> list[dict[str, object]]:
        """Values of all that is swept, of each variant, by dotted path."""
        own = {path: _value(self.experiment, path) for path in self.parameters}
        return [own | changes for changes in self.variants]

    @cached_property
    def choices(self) -> dict[str, list[str]]:
        """The short values that each swept parameter takes, by column name."""
        return {
            column(path): list(dict.fromkeys(label(c[path]) for c in self.variants if path in c))
            for path in self.parameters
        }

    def experiment_of(self, variant: str) -> Experiment:
        """The experiment as a variant, named by its folder, changes it; the run's own for "".

        Raises InputError for a change that no variant has.
        """
        if variant not in self._experiments:
            self._experiments[variant] = self._changed(changes_in(variant))
        return self._experiments[variant]

    @cached_property
    def _experiments(self) -> dict[str, Experiment]:
        """Experiments of variants that were asked for, by folder: each is asked for often."""
        return {"": self.experiment}

    def _changed(self, changes: Mapping[str, str]) -> Experiment:
        known = {
            (column(path), label(value)): (path, value)
            for differing in self.variants
            for path, value in differing.items()
        }
        for name, value in changes.items():
            if (name, value) not in known:
                raise InputError(
                    f"{name}~{value}",
                    "the sweep has no such variant",
                    remedy="add it to the config's sweep, or delete its results",
                )
        return changed(self.experiment, dict(known[item] for item in changes.items()))


def expand(experiment: Experiment, source: str) -> Space:
    """The variants of an experiment, each checked; only the run itself where there is no sweep.

    Raises InputError for a path that is no setting of the analysis, for a value that cannot be
    used, and for variants that occur twice.
    """
    sweep = experiment.sweep
    if sweep is None:
        return Space(experiment, [{}])
    if sweep.grid:
        wanted = [
            dict(zip(sweep.grid, values, strict=True))
            for values in itertools.product(*sweep.grid.values())
        ]
    else:
        wanted = sweep.combinations
    for path in {path: None for changes in wanted for path in changes}:
        _check_path(experiment, path, source)
    variants, seen = [{}], set()
    for changes in wanted:
        varied = changed(experiment, changes, source)
        used = {path: _value(varied, path) for path in changes}
        # In one order, whatever that of the config's keys: it is the order of a variant's folders.
        differing = {
            path: used[path]
            for path in sorted(used, key=_place)
            if used[path] != _value(experiment, path)
        }
        key = tuple((path, label(value)) for path, value in differing.items())
        if key in seen:
            raise InputError(
                source, f"{changes} occurs twice", field="sweep", remedy="leave one of the two out"
            )
        seen.add(key)
        if differing:
            variants.append(differing)
    if len(variants) == 1:
        raise InputError(
            source, "every variant is the run itself", field="sweep", remedy="give other values"
        )
    return Space(experiment, variants)


def changed(
    experiment: Experiment, changes: Mapping[str, object], source: str = "sweep"
) -> Experiment:
    """The experiment with other values at some dotted paths, and without a sweep.

    Raises InputError for a value that the config could not hold there.
    """
    content = experiment.model_dump(mode="json", exclude={"sweep"})
    for path, value in changes.items():
        *above, name = path.split(".")
        node = content
        for part in above:
            node = node[part]
        node[name] = value
    return parse(content, source, prefix="sweep")


def _place(path: str) -> tuple[int, str]:
    """Sorts settings by the order of their sections."""
    return SWEPT.index(path.partition(".")[0]), path


def _value(experiment: Experiment, path: str) -> object:
    value = experiment
    for part in path.split("."):
        value = getattr(value, part)
    return value


def _check_path(experiment: Experiment, path: str, source: str) -> None:
    """Refuse a path that is not of one setting of the analysis."""
    section = path.partition(".")[0]
    if section in type(experiment).model_fields and section not in SWEPT:
        raise InputError(
            source,
            "a sweep varies settings that results depend on, and this is none",
            field=f"sweep.{path}",
            remedy=f"sweep {', '.join(SWEPT)}, or give that experiment a config of its own",
        )
    node = experiment
    for part in path.split("."):
        names = list(type(node).model_fields) if isinstance(node, Model) else []
        if part not in names:
            names = names if node is not experiment else list(SWEPT)
            close = difflib.get_close_matches(part, names, n=1)
            known = f"known here are {', '.join(names)}" if names else "leave it out"
            raise InputError(
                source,
                f"there is no setting {part!r}",
                field=f"sweep.{path}",
                remedy=f"write {close[0]!r}" if close else known,
            )
        node = getattr(node, part)
    if isinstance(node, Model) or path == "calibration.standard":
        raise InputError(
            source,
            "this is a section, not a setting",
            field=f"sweep.{path}",
            remedy=f"name a setting in it: {path}.NAME",
        )
