"""Snakemake's dry runs, each in a child of one process that has imported what they need.

Half of a dry run is imports. The project's own package is none of them: a child imports that of the
copy in which it runs.
"""

import atexit
import functools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path


def dry_run(arguments: list[str], folder: Path, environment: dict) -> subprocess.CompletedProcess:
    """`python -m snakemake ARGUMENTS` in a project's folder, whose package comes first."""
    server = _server()
    with tempfile.TemporaryDirectory() as told:
        request = {
            "arguments": arguments, "folder": str(folder), "told": told,
            "environment": dict(environment),
        }  # fmt: skip
        server.stdin.write(json.dumps(request) + "\n")
        server.stdin.flush()
        status = int(server.stdout.readline())
        words = [Path(told, name).read_text(encoding="utf-8") for name in ("out", "err")]
    return subprocess.CompletedProcess(arguments, status, *words)


@functools.cache
def _server() -> subprocess.Popen:
    server = subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    atexit.register(server.communicate)
    return server


def _serve() -> None:
    import gemmi  # noqa: F401
    import netCDF4  # noqa: F401
    import pandas  # noqa: F401
    import pydantic  # noqa: F401
    import scipy.special  # noqa: F401
    import snakemake.cli
    import xarray  # noqa: F401

    assert "phasefront" not in sys.modules
    for line in sys.stdin:
        request = json.loads(line)
        if child := os.fork():
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
            continue
        os.chdir(request["folder"])
        os.environ.clear()
        os.environ.update(request["environment"])
        own = os.environ["PYTHONPATH"].split(os.pathsep)
        sys.path[:] = [request["folder"], *own, *(path for path in sys.path[1:] if path not in own)]
        for number, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(Path(request["told"], name), os.O_WRONLY | os.O_CREAT), number)
        snakemake.cli.main(request["arguments"])
        sys.exit()


if __name__ == "__main__":
    _serve()
