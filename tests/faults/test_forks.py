"""The Python that forks for the jobs of a run: to a script it is Python, only sooner ready."""

import json
import os
import shlex
import signal
import subprocess
import sys
import textwrap
import time

import pytest
from jupyter_client.manager import start_new_kernel

from phasefront.cli.fork_server import PYTHON_OF_JOBS, forking_python

TELL = """
    import json, os, sys
    import numpy, threadpoolctl
    told = {
        "arguments": sys.argv, "folder": os.getcwd(), "environment": dict(os.environ),
        "input": sys.stdin.read(), "name": __name__, "path": sys.path,
        "streams": os.listdir("/proc/self/fd"),
        "ours": [name for name, module in sys.modules.items()
                 if "phasefront" in str(getattr(module, "__file__", None))],
        "threads": max(one["num_threads"] for one in threadpoolctl.threadpool_info()),
        "signals": [str(signal.getsignal(one)) for one in signal.valid_signals()],
    }
    print(json.dumps(told))
    print("words", file=sys.stderr)
    sys.exit(3)
"""
WAIT = """
    import os, pathlib, sys, time
    pathlib.Path(sys.argv[1]).write_text(str(os.getpid()))
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def python():
    with forking_python() as variables:
        yield shlex.split(variables[PYTHON_OF_JOBS])


def script(folder, text: str):
    path = folder / "script.py"
    path.write_text("import signal\n" + textwrap.dedent(text))
    return path


def begun(command, folder) -> tuple[subprocess.Popen, int]:
    """A client whose script waits, and the process that is the script."""
    told = folder / "process"
    client = subprocess.Popen([*command, script(folder, WAIT), told], stderr=subprocess.DEVNULL)
    while not told.exists() or not told.read_text():
        assert client.poll() is None
        time.sleep(0.01)
    return client, int(told.read_text())


def ended(process: int, seconds: float = 10.0) -> bool:
    latest = time.monotonic() + seconds
    while time.monotonic() < latest:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize("threads", ["1", "2"])
def test_a_script_cannot_tell_it_from_python(python, tmp_path, threads):
    path = script(tmp_path, TELL)
    environment = os.environ | {
        "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads, "WORD": "m\u00fcde\udcff {x}",
    }  # fmt: skip
    told = []
    for command in (python, [sys.executable]):
        done = subprocess.run(
            [*command, path.name, "--some", "a b", ""],
            cwd=tmp_path, env=environment, input="said", capture_output=True, text=True,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (3, "words\n")
        told.append(json.loads(done.stdout))
        told[-1]["environment"].pop("KMP_DUPLICATE_LIB_OK", None)  # threadpoolctl sets it
    assert told[0] == told[1]
    assert told[0]["ours"] == [] and told[0]["threads"] == int(threads)


@pytest.mark.parametrize("arguments", [["-c", "print(6 * 7)"], ["-m", "calendar", "2026", "1"]])
def test_what_is_no_script_python_runs(python, arguments):
    ours, plain = (
        subprocess.run([*command, *arguments], capture_output=True, text=True, check=True).stdout
        for command in (python, [sys.executable])
    )
    assert ours == plain


def test_a_fault_of_a_script_is_told(python, tmp_path):
    done = subprocess.run(
        [*python, script(tmp_path, "1 / 0")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.endswith("ZeroDivisionError: division by zero\n")


def test_a_script_that_is_killed_is_told(python, tmp_path):
    client, process = begun(python, tmp_path)
    os.kill(process, signal.SIGKILL)
    assert client.wait(10) == -signal.SIGKILL


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_script_does_not_outlive_its_client(python, tmp_path, number):
    client, process = begun(python, tmp_path)
    client.send_signal(number)
    assert client.wait(10) == -number
    assert ended(process)


def test_many_at_once(python, tmp_path):
    path = script(tmp_path, "import sys, time; time.sleep(0.2); sys.exit(int(sys.argv[1]))")
    clients = [subprocess.Popen([*python, path, str(number)]) for number in range(30)]
    assert [client.wait(60) for client in clients] == list(range(30))


@pytest.mark.parametrize("status", (None, 0, 3, "a sentence"))
def test_what_a_script_leaves_to_its_end_is_done(tmp_path, status):
    text = f"""
        import atexit, sys, threading, time
        atexit.register(print, "at exit", end="")
        threading.Thread(target=lambda: [time.sleep(0.3), print("thread", end=", ")]).start()
        sys.exit({status!r})
    """
    with forking_python() as variables:
        done = subprocess.run(
            [*shlex.split(variables[PYTHON_OF_JOBS]), script(tmp_path, text)],
            capture_output=True, text=True,
        )  # fmt: skip
    assert done.stdout == "thread, at exit"
    wanted = (1, f"{status}\n") if isinstance(status, str) else (status or 0, "")
    assert (done.returncode, done.stderr) == wanted


def test_a_long_name_of_the_temporary_folder_does_no_harm(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / ("long" * 40)))
    (tmp_path / ("long" * 40)).mkdir()
    with forking_python() as variables:
        done = subprocess.run(
            [*shlex.split(variables[PYTHON_OF_JOBS]), script(tmp_path, "print(6 * 7)")],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    assert done.stdout == "42\n"


def test_without_its_server_python_runs_a_script(tmp_path):
    with forking_python() as variables:
        command = shlex.split(variables[PYTHON_OF_JOBS])
        client, process = begun(command, tmp_path)
    assert ended(process)  # with its server; its client runs it again
    client.terminate()
    client.wait(10)
    done = subprocess.run(
        [*command, script(tmp_path, "print(signal.SIGINT.value)")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "2\n"


def test_a_run_that_is_killed_leaves_no_folder(tmp_path):
    text = """
        import time
        from phasefront.cli.fork_server import forking_python
        with forking_python():
            print("ready", flush=True)
            time.sleep(600)
    """
    run = subprocess.Popen(
        [sys.executable, script(tmp_path, text)], stdout=subprocess.PIPE,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )  # fmt: skip
    run.stdout.readline()
    assert len(list(tmp_path.glob("phasefront-*"))) == 1
    run.kill()
    run.communicate()
    latest = time.monotonic() + 60  # the server imports its libraries first
    while list(tmp_path.glob("phasefront-*")) and time.monotonic() < latest:
        time.sleep(0.01)
    assert not list(tmp_path.glob("phasefront-*"))


def test_a_kernel_of_jupyter_is_forked_and_ends_with_its_notebook(tmp_path, monkeypatch):
    with forking_python() as variables:
        monkeypatch.setenv("JUPYTER_PATH", variables["JUPYTER_PATH"])
        manager, client = start_new_kernel(kernel_name="python3", cwd=str(tmp_path))
        told = []
        client.execute_interactive(
            "import os, sys; print(os.getpid(), 'netCDF4' in sys.modules, os.getcwd())",
            output_hook=lambda message: told.append(message["content"].get("text", "")),
        )
        process, imported, folder = "".join(told).split()
        client.stop_channels()
        manager.shutdown_kernel()
        assert (imported, folder) == ("True", str(tmp_path))
        assert ended(int(process))
