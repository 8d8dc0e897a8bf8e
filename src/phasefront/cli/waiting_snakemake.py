"""Stands for `python -m snakemake`: imports it, which takes a second, then waits for what to run.

On its input comes an object of JSON: Snakemake's arguments, and variables for the environment. It
ends where that is empty.
"""

import json
import os
import sys

from snakemake.cli import main

if __name__ == "__main__":
    told = sys.stdin.read()
    if told:
        asked = json.loads(told)
        os.environ.update(asked["environment"])
        sys.argv = ["snakemake", *asked["arguments"]]
        main()
