# The plan of the run, and the code and inputs that rules share.
#
# Snakemake tracks files by content only under input. So a rule lists its code, and the lock file,
# as inputs.
#
# config:
#   run: demo
#   instruments: {astar: {voltage_kv: 200}}
#   material: {phases: [{name: Na3, cell_prior: [particle-1]}]}
#   people: [{name: Ada Lovelace, orcid: 0000-0002-1825-0097}]
#   record_host: false

import os
import pathlib
import re

from snakemake.exceptions import WorkflowError

from phasefront.cli.fork_server import prefix_of_jobs
from phasefront.experiment.load import named, read_yaml
from phasefront.core.errors import InputError
from phasefront.experiment.plan import Plan
from phasefront.pairs.foresight import check_pairs
from phasefront.records.code import closure
from phasefront.records.context import Context
from phasefront.records.record import LOCK, describe_files
from phasefront.records.sources import Sources

if not config:
    raise WorkflowError(
        "no experiment; name one: snakemake --configfile config/demo.yaml"
    )

try:
    for path in workflow.configfiles:
        read_yaml(pathlib.Path(path))  # Snakemake takes the last of a key given twice
    PLAN = Plan.parse(config, named(workflow.configfiles))
    PLAN.check_files()
    SOURCES = Sources(pathlib.Path("results") / PLAN.experiment.run)
    if workflow.is_main_process:  # not again in every job
        check_pairs(PLAN)
        SOURCES.refuse_hidden_changes()
except InputError as error:
    raise WorkflowError(str(error))

# Scripts run with the Python that runs Snakemake, or one that `phasefront run` has ready.
shell.prefix(prefix_of_jobs())


onstart:
    # Under a limit of jobs a second, each round of Snakemake's scheduler calls for one more a second
    # later, and so does that one: they pile up while jobs wait for a core. One machine needs none.
    if not workflow.non_local_exec:
        workflow.scheduler.job_rate_limiter = None


# Scans share the machine: many small ones run side by side, a single one gets every core.
SCAN_THREADS = max(
    1, (workflow.resource_settings.cores or 1) // max(1, len(PLAN.scans))
)
# Of what is little faster on every core, so that it need not wait for them nor others for it.
FEW_THREADS = max(1, SCAN_THREADS // 2)


def any_of(names):
    """Regular expression that matches these names only."""
    return "|".join(map(re.escape, names)) or "(?!)"


NAMES = {
    "scan": any_of(PLAN.scans.index),
    "instrument": any_of(PLAN.experiment.instruments),
    "state": any_of(PLAN.scanned_states),
    "log": any_of(PLAN.logs.index),
    "pattern": any_of(PLAN.patterns.index),
    "stack": any_of(PLAN.stacks.index),
    "batch": any_of(PLAN.batches.names),
    "part": r"\d+",
    "series": any_of([*PLAN.series, *PLAN.batches.series]),
    "cell": any_of(PLAN.cells.index),
    "phase": any_of(PLAN.experiment.material.cell_priors),
}


wildcard_constraints:
    **NAMES,


# What records say of the run beside what a job knows by itself: nothing runs again for it.

CONTEXT = Context(
    config=describe_files(workflow.configfiles),
    tables=describe_files(PLAN.tables),
    people=PLAN.experiment.people,
    host=PLAN.experiment.record_host,
    constraints=NAMES | {"variant": "(?:sweep/.*/)?"},
)


def code(script):
    """The script, the project modules it imports, and the lock of everything else."""
    return [os.path.relpath(path) for path in closure(f"scripts/{script}.py")] + [
        str(LOCK)
    ]


def pictured(name, path, caption, category, **labels):
    """A picture with its record, shown in the report under a category."""
    outputs = recorded(**{name: path})
    outputs[name] = report(
        outputs[name],
        caption=f"../report/{caption}.rst",
        category=category,
        labels=labels | {"figure": caption.replace("_", " ")},
    )
    return outputs
