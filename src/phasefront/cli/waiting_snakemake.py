"""Stands for `python -m snakemake`: imports it, which takes a second, then waits for what to run.

On its input comes an object of JSON: Snakemake's arguments, and variables for the environment. It
ends where that is empty.
"""

import importlib
import json
import os
import sys

from snakemake.cli import get_argument_parser, main

# What Snakemake, and the rules' plan, import later only.
_LATER = (
    "phasefront.experiment.plan", "phasefront.pairs.foresight", "phasefront.records.sources",
    "scipy.spatial.transform", "smart_open",
)  # fmt: skip

if __name__ == "__main__":
    get_argument_parser()  # imports Snakemake's plugins
    for module in _LATER:
        importlib.import_module(module)
    told = sys.stdin.read()
    if told:
        asked = json.loads(told)
        os.environ.update(asked["environment"])
        sys.argv = ["snakemake", *asked["arguments"]]
        main()
