"""Stands for `python` in the jobs of a run: has the fork server run a script, or runs Python.

Run without the site module, it takes a hundredth of a second.
"""

import json
import os
import signal
import socket
import sys


def main(server: str, *arguments: str) -> None:
    """Do as `python *arguments` would, by the server at an address where it can."""
    if arguments and arguments[0].endswith(".py"):
        try:
            status = _run(server, arguments)
        except (ConnectionError, FileNotFoundError):  # it has ended, and its jobs with it
            pass
        else:
            if status < 0:
                if -status != signal.SIGKILL:
                    signal.signal(-status, signal.SIG_DFL)
                os.kill(os.getpid(), -status)
            sys.exit(status)
    os.execv(sys.executable, [sys.executable, *arguments])


def _run(server: str, arguments: tuple[str, ...]) -> int:
    """Exit status of a script that has this process's streams; minus the signal it died of."""
    request = {
        "arguments": arguments, "folder": os.getcwd(),  # noqa: PTH109
        "environment": dict(os.environ)
    }  # fmt: skip
    text = json.dumps(request).encode()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(server)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # from a terminal, the job gets it too
        socket.send_fds(connection, [len(text).to_bytes(8, "little")], [0, 1, 2])
        connection.sendall(text)
        signal.signal(signal.SIGTERM, lambda number, _: connection.sendall(bytes([number])))
        status = connection.recv(4, socket.MSG_WAITALL)
    if not status:
        raise ConnectionError
    return int.from_bytes(status, "little", signed=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
