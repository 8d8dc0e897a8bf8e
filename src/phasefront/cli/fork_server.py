"""A Python that has imported its libraries already, and forks for each job of a run.

The start of a job takes a second of a processor, nine tenths of it imports of libraries; a run has
dozens of jobs, many of them shorter than that. Nothing of the project is imported ahead: a job
imports it from the files as they are when it begins, and its record lists them.

`fork_client` is what the jobs of a run call as `python`. The server is this file, run as a program,
so that no job has it among its modules.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import importlib.util
import json
import os
import runpy
import selectors
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# What several jobs of every run import; xarray itself looks for dask and pint.
_LIBRARIES = (
    "dask.array", "diffsims.utils.sim_utils", "matplotlib.pyplot", "mpl_toolkits.axes_grid1",
    "netCDF4", "numba", "orix.crystal_map", "orix.quaternion.symmetry", "pandas", "pint",
    "pydantic.dataclasses", "scipy.ndimage", "scipy.optimize", "scipy.signal", "scipy.stats",
    "threadpoolctl", "xarray",
)  # fmt: skip
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)
# Environment variable with the command that is `python` to jobs.
PYTHON_OF_JOBS = "PHASEFRONT_PYTHON"
_ended: list[int] = []  # status of the script that this process ran, once that has come to its end


def prefix_of_jobs() -> str:
    """What Snakemake is to set before the commands of rules, so that they run the right `python`.

    That is the one that runs Snakemake, unless the environment names one that forks.
    """
    prefix = f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH; "
    if forking := os.environ.get(PYTHON_OF_JOBS):
        prefix += f'python() {{ {forking} "$@"; }}; '
    return prefix.replace("{", "{{").replace("}", "}}")  # Snakemake fills braces in


@contextmanager
def forking_python() -> Iterator[dict[str, str]]:
    """Environment variables by which jobs, and notebooks of theirs, get a Python that forks.

    It imports its libraries while the caller goes on. Where a command of a job is no script, or the
    server has died, it is the Python of this process; so it is everywhere where the folder for
    temporary files has too long a name for a socket.
    """
    with tempfile.TemporaryDirectory(prefix="phasefront-") as folder:
        address = f"{folder}/forks"
        with socket.socket(socket.AF_UNIX) as listening:
            try:
                listening.bind(address)
            except OSError:
                yield {PYTHON_OF_JOBS: shlex.quote(sys.executable)}
                return
            listening.listen()
            descriptor = listening.fileno()
            server = subprocess.Popen(
                [sys.executable, __file__, str(descriptor)],
                stdin=subprocess.PIPE,
                pass_fds=[descriptor],
            )
        client = str(Path(__file__).with_name("fork_client.py"))
        python = [sys.executable, "-IS", client, address]
        with server:
            try:
                kernels = _kernels(Path(folder), python)
                yield {PYTHON_OF_JOBS: shlex.join(python), "JUPYTER_PATH": kernels}
            finally:
                server.kill()  # no job is left, but it may be importing still


def _kernels(folder: Path, python: list[str]) -> str:
    """Where Jupyter is to look for kernels, that of Python being one that forks."""
    launcher = importlib.util.find_spec("ipykernel_launcher").origin
    argv = [*python, launcher, "-f", "{connection_file}"]
    named = {"argv": argv, "display_name": "Python 3", "language": "python"}
    own = folder / "kernels/python3"
    own.mkdir(parents=True)
    (own / "kernel.json").write_text(json.dumps(named))
    elsewhere = os.environ.get("JUPYTER_PATH")
    return os.pathsep.join([str(folder), *([elsewhere] if elsewhere else [])])


class _Server:
    """Forks for clients that connect to `listening`, while nobody closes `alive` elsewhere."""

    def __init__(self, listening: socket.socket, alive: int):
        self._listening, self._alive = listening, alive
        self._clients: dict[int, socket.socket] = {}  # by the process that was forked for it
        self._woken, self._waking = os.pipe()
        os.set_blocking(self._waking, False)
        signal.set_wakeup_fd(self._waking, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # jobs get it from the terminal themselves
        self._waiting = selectors.DefaultSelector()
        for one in (listening, alive, self._woken):
            self._waiting.register(one, selectors.EVENT_READ)

    def serve(self) -> dict:
        """Returns in forked processes only: what a client asks for, of which it now is the job."""
        while True:
            for key, _ in self._waiting.select():
                if key.fileobj == self._alive:
                    # Whoever was to delete the folder of the socket was killed.
                    shutil.rmtree(Path(self._listening.getsockname()).parent, ignore_errors=True)
                    sys.exit()
                elif key.fileobj == self._woken:
                    os.read(self._woken, 1 << 12)
                    self._tell_ends()
                elif key.fileobj == self._listening:
                    if request := self._fork():
                        return request
                elif key.data in self._clients:
                    self._pass_signals(key.data)

    def _fork(self) -> dict | None:
        client, _ = self._listening.accept()
        size, streams, _, _ = socket.recv_fds(client, 8, 3)
        with client.makefile("rb") as sent:
            text = sent.read(int.from_bytes(size, "little"))
        if not text:  # it was killed meanwhile
            client.close()
            return None
        child = os.fork()
        if not child:
            signal.set_wakeup_fd(-1)
            for mine in (*self._clients.values(), client, self._listening, self._waiting):
                mine.close()
            for mine in (self._woken, self._waking):
                os.close(mine)
            request = json.loads(text)
            _become(request, streams)
            return request
        for stream in streams:
            os.close(stream)
        self._clients[child] = client
        self._waiting.register(client, selectors.EVENT_READ, child)
        return None

    def _tell_ends(self) -> None:
        """Each client whose job has ended gets its exit status, or minus the signal it died of."""
        while self._clients:
            child, status = os.waitpid(-1, os.WNOHANG)
            if not child:
                return
            with self._clients.pop(child) as client, suppress(KeyError, OSError):
                self._waiting.unregister(client)
                ended = os.waitstatus_to_exitcode(status)
                client.sendall(ended.to_bytes(4, "little", signed=True))

    def _pass_signals(self, child: int) -> None:
        """A job gets the signals of its client, and does not outlive it."""
        numbers = self._clients[child].recv(1 << 4)
        if not numbers:
            self._waiting.unregister(self._clients[child])
        for number in numbers or [signal.SIGKILL]:
            os.kill(child, number)


def _become(request: dict, streams: list[int]) -> None:
    """Make this process what Python would be that a client had started itself."""
    with suppress(AttributeError):  # on Linux only
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for standard, stream in enumerate(streams):
        os.dup2(stream, standard)
        os.close(stream)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    sys.argv = request["arguments"]
    sys.modules.pop("__mp_main__", None)  # by this name multiprocessing knows the server
    sys.path[0] = str(Path(sys.argv[0]).resolve().parent)
    _limit_threads()


def _import_libraries() -> None:
    for library in _LIBRARIES:
        importlib.import_module(library)
    # A first compilation makes numba learn all that it can compile, which takes a job 0.2 s.
    importlib.import_module("numba").njit(lambda value: value)(1)


def _limit_threads() -> None:
    """Have BLAS see the variable that it read when it was imported."""
    from threadpoolctl import threadpool_limits

    if threads := os.environ.get("OMP_NUM_THREADS"):
        threadpool_limits(int(threads))


def _do(script: str) -> None:
    """Run a script as Python does, but for the end: to take all modules apart takes longer than
    many a job, and is of no use."""
    try:
        runpy.run_path(script, run_name="__main__")
        _ended.append(0)
    except SystemExit as asked:
        if isinstance(asked.code, int):
            _ended.append(asked.code)
        raise


def _leave() -> None:
    if _ended:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(*_ended)


if __name__ == "__main__":
    atexit.register(_leave)  # before all others, so it is called after them
    server = _Server(socket.socket(fileno=int(sys.argv[1])), sys.stdin.fileno())
    _import_libraries()
    gc.freeze()  # its pages stay shared
    _do(server.serve()["arguments"][0])
