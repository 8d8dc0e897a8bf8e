# Where results lie, and what they are made with: for the run, and for each variant of its sweep.
#
# A variant's results lie below results/<run>/sweep/<parameter>~<value>/. Only those parameters
# stand in a result's path that its rule, or a rule upstream of it, gets as settings, and that
# differ from the run's own. So variants share what they agree on, with each other and the run.
#
# Snakemake tracks only builtin values among params, so settings reach scripts as JSON text.

from functools import cache

import pandas as pd
from snakemake.iocontainers import Wildcards
from snakemake.utils import Paramspace

from phasefront.records.record import SUFFIX
from phasefront.experiment.sweep import column

RUN = f"results/{PLAN.experiment.run}/"
# Without a sweep there is nothing to tell apart, and no wildcard.
RUN_OR_VARIANT = RUN + ("{variant}" if PLAN.sweep.parameters else "")


def paramspace(labels):
    """The changes of a variant as Snakemake's own parameter space."""
    return Paramspace(pd.DataFrame([labels]), single_wildcard="variant")


def folder_of(labels):
    """Folder of a variant below that of the run; empty for the run itself."""
    return f"sweep/{next(paramspace(labels).instance_patterns)}/" if labels else ""


VARIANTS = [folder_of(labels) for labels in PLAN.sweep.labels]


wildcard_constraints:
    variant="(?:sweep/{})?".format(
        "".join(
            f"(?:{name}~(?:{any_of(values)})/)?"
            for name, values in PLAN.sweep.choices.items()
        )
    ),


def variant_of(wildcards):
    """The variant that a job works for."""
    return wildcards.get("variant", "")


def changes_in(variant):
    """What a variant's folder says that it changes."""
    return dict(part.split("~") for part in variant.split("/")[1:-1])


@cache
def experiment_of(variant):
    """The experiment as a variant changes it."""
    if not variant:
        return PLAN.experiment
    instance = variant.removeprefix("sweep/").removesuffix("/")
    space = paramspace(changes_in(variant))
    return PLAN.sweep.experiment_of(space.instance({"variant": instance}))


class settings:
    """A section of the config, or one value in it, as JSON: that of the job's variant."""

    def __init__(self, path):
        self.path = path

    def __call__(self, wildcards):
        return experiment_of(variant_of(wildcards)).section(self.path)

    def hold(self, name):
        """Whether a parameter is among them."""
        return f"{name}__".startswith(f"{column(self.path)}__")


@cache
def located(path, variant):
    """Where a variant finds a result: below those of its changes that the result depends on."""
    if not variant:
        return RUN + path
    producer = next(r for r in workflow.rules if r.is_producer(RUN + path))
    own = producer.get_wildcards(RUN + path)
    wildcards = Wildcards(fromdict=own | {"variant": variant})
    upstream = str([find(wildcards) for find in producer.input if callable(find)])
    given = [param for param in producer.params if isinstance(param, settings)]
    kept = {
        name: value
        for name, value in changes_in(variant).items()
        if f"{name}~" in upstream or any(param.hold(name) for param in given)
    }
    return RUN + folder_of(kept) + path


def result(path, **values):
    """Input: a result, or one for each of the values, of the variant that the job works for."""
    paths = expand(path, **values, allow_missing=True)

    def find(wildcards):
        found = [
            located(path.format(**wildcards), variant_of(wildcards)) for path in paths
        ]
        return found if values else found[0]

    return find


def recorded(**outputs):
    """Outputs of a rule, each with its record beside it."""
    paths = {name: RUN_OR_VARIANT + path for name, path in outputs.items()}
    CONTEXT.export_outputs(paths.values())
    return paths | {f"{name}_record": path + SUFFIX for name, path in paths.items()}


def logged(job):
    """Where a job says what it did, and why it failed."""
    return f"{RUN_OR_VARIANT}logs/{job}.log"
