# Where results lie, and what they are made with: for the run, and for each variant of its sweep.
#
# A variant's results lie below results/<run>/sweep/<parameter>~<value>/. Only those parameters
# stand in a result's path that its rule, or a rule upstream of it, is given, and that differ from
# the run's own. So variants share what they agree on, with each other and the run.
#
# Snakemake tracks only builtin values among params, so values reach scripts as text.
#
# config:
#   run: demo
#   sweep:
#     grid: {phases.decide_above: [0.9, 0.99]}

from functools import cache

from snakemake.iocontainers import Wildcards

from phasefront.experiment import values
from phasefront.experiment.variants import Made, folder_for, folder_of
from phasefront.records.record import SUFFIX

RUN = f"results/{PLAN.experiment.run}/"
# Without a sweep there is nothing to tell apart, and no wildcard.
RUN_OR_VARIANT = RUN + ("{variant}" if PLAN.sweep.parameters else "")


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


class stated:
    """A parameter: what the experiment says at a path, in which wildcards may stand.

    It is that of the job's variant, as text. In a shell command empty text is no argument, and
    text may begin with -: write --key={params.x:q}.
    """

    def __init__(self, path):
        self.path = path

    def __call__(self, wildcards):
        path = self.path.format(**wildcards)
        return values.text(values.value(PLAN, path, variant_of(wildcards)))


def flat(found):
    """Paths, of which some come in lists."""
    return [
        p for paths in found for p in ([paths] if isinstance(paths, str) else paths)
    ]


@cache
def made(path):
    """What a result of the run is made of, by the rule that makes it."""
    producer = next((r for r in workflow.rules if r.is_producer(RUN + path)), None)
    if producer is None:
        return Made()
    wildcards = Wildcards(fromdict=producer.get_wildcards(RUN + path))
    read = flat(find(wildcards) for find in producer.input if callable(find))
    return Made(
        given=[param.path for param in producer.params if isinstance(param, stated)],
        read=[path.removeprefix(RUN) for path in read if path.startswith(RUN)],
    )


@cache
def located(path, variant):
    """Where a variant finds a result."""
    return RUN + (folder_for(path, variant, made) if variant else "") + path


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
