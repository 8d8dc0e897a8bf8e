"""A run's explorer over 127.0.0.1: every raw pattern to who has the token, and nothing else."""

import os
import shutil
import signal
import struct
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection

import numpy as np
import pytest
from projects import hear_interrupts
from test_scan_shapes import write_merlin
from test_scans import patterns

from phasefront.cli.view import Explorer
from phasefront.core.errors import InputError
from phasefront.experiment.settings.scans import ScanLayout
from phasefront.records.digests import signature
from phasefront.scans.files import open_scan

# A job that makes the record of spots without looking for any.
FIND_SPOTS = '''
"""Stand in for the search for spots."""

from phasefront.experiment.settings.scans import ScanLayout
from phasefront.records.job import Job


def find_spots(job):
    import netCDF4

    netCDF4.Dataset(job.spots, "w").close()


if __name__ == "__main__":
    job = Job(__doc__).input("scan", "raw scan").settings("layout", ScanLayout)
    job.output("spots", "netCDF file").run(find_spots)
'''
PAGE = "<!doctype html><title>stands in for the page</title>"
LAYOUTS = {"stated": ScanLayout(), "a+b": ScanLayout(scan_shape=(3, 2), skip=6)}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run with two raw scans, one whose shape the table says, and a page; copied, not changed."""
    folder = tmp_path_factory.mktemp("view") / "project"
    (folder / "raw").mkdir(parents=True)
    (folder / "scripts").mkdir()
    (folder / "scripts/find_spots.py").write_text(FIND_SPOTS.lstrip())
    data = patterns((12, 6, 4), "uint16")
    write_merlin(folder / "raw/stated.mib", data, {"ScanX": 4, "ScanY": 3})
    write_merlin(folder / "raw/a+b.mib", data[::-1])
    for name, layout in LAYOUTS.items():
        done = subprocess.run(
            [sys.executable, "scripts/find_spots.py", "--scan", f"raw/{name}.mib", "--layout",
             layout.model_dump_json(), "--spots", f"results/mini/spots/{name}.nc"],
            cwd=folder, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    (folder / "results/mini/explorer.html").write_text(PAGE)
    (folder / "results/mini/summary.json").write_text("{}")
    return folder


@pytest.fixture
def project(made, tmp_path, monkeypatch):
    """A copy to change, and the working folder."""
    folder = tmp_path / "project"
    shutil.copytree(made, folder)
    monkeypatch.chdir(folder)
    return folder


@contextmanager
def served(folder):
    with Explorer(folder / "results/mini") as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def get(server, place):
    """Status and content of a place beside the page."""
    try:
        with urllib.request.urlopen(server.address.replace("explorer.html", place)) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def ask(server, target, method="GET", **headers):
    """Status and content of a request that no well-behaved client makes."""
    connection = HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    connection.putrequest(method, target, skip_host=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    status, content = answer.status, answer.read()
    connection.close()
    return status, content


def decoded(content):
    rows, columns = struct.unpack("<II", content[:8])
    return np.frombuffer(content[8:], "<f4").reshape(rows, columns)


# ------------------------------------------------------------------------ what is served


def test_the_page_is_served_as_it_is(project):
    with served(project) as server:
        assert server.address.startswith("http://127.0.0.1:")
        assert get(server, "explorer.html") == (200, PAGE.encode())
        status, content = ask(
            server, f"/{server.token}/explorer.html", method="HEAD", Host=server.host
        )
        assert (status, content) == (200, b"")


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_pattern_is_that_of_the_reader(project, name):
    scan = open_scan(project / f"raw/{name}.mib", LAYOUTS[name])
    (_, whole), *_ = scan.blocks()
    ny, nx = scan.shape[:2]
    with served(project) as server:
        for y, x in np.ndindex(ny, nx):
            status, content = get(server, f"pattern/{name.replace('+', '%2B')}/{y}/{x}")
            assert status == 200
            np.testing.assert_array_equal(decoded(content), whole[y, x].astype("<f4"))
        for y, x in ((ny, 0), (0, nx), (999_999, 999_999)):
            status, said = get(server, f"pattern/{name}/{y}/{x}")
            assert status == 404
            assert said == f"The scan has {ny} x {nx} positions, none at y = {y}, x = {x}.\n"


def test_many_may_ask_at_once(project):
    scan = open_scan(project / "raw/stated.mib")
    (_, whole), *_ = scan.blocks()
    places = [*np.ndindex(3, 4)] * 10
    with served(project) as server, ThreadPoolExecutor(16) as pool:
        answers = pool.map(lambda at: get(server, f"pattern/stated/{at[0]}/{at[1]}"), places)
        for (y, x), (status, content) in zip(places, answers, strict=True):
            assert status == 200
            np.testing.assert_array_equal(decoded(content), whole[y, x])


# ------------------------------------------------------------------------ what is not


@pytest.mark.parametrize(
    "place",
    [
        "", "summary.json", "explorer.html.prov.json", "spots/stated.nc", "../explorer.html",
        "..%2F..%2Fraw%2Fstated.mib", "%2e%2e/summary.json", "pattern/", "pattern/stated/0",
        "pattern/absent/0/0", "pattern/stated/0/-1", "pattern/stated/0/1/2", "pattern/stated/0/1.0",
        "pattern/stated/0/%C2%B2", "pattern/..%2F..%2Fraw%2Fstated.mib/0/0",
        "pattern/stated/0/99999999999999999999", "/etc/passwd", "explorer.html/",
    ],
)  # fmt: skip
def test_nothing_else_is_there(project, place):
    with served(project) as server:
        status, said = ask(server, f"/{server.token}/{place}", Host=server.host)
        assert status == 404
        assert said == b"The run has no such page and no such raw scan.\n"


def test_without_the_token_nothing_is_served(project):
    with served(project) as server:
        token = server.token
        assert len(token) >= 43  # 256 random bits
        for target in (
            "/", "/explorer.html", "/x/explorer.html", f"/{token[:-1]}/explorer.html",
            f"/{token}x/explorer.html", f"/{token.swapcase()}/pattern/stated/0/0",
            f"/x/../{token}/explorer.html", "*",
            f"http://{server.host}/{token}/explorer.html", "/%E9/explorer.html",
        ):  # fmt: skip
            status, said = ask(server, target, Host=server.host)
            assert status == 403, target
            assert said == b"Open the address that `phasefront view` printed.\n"
    with served(project) as again:
        assert again.token != token


def test_a_page_of_another_name_is_not_let_in(project):
    """A name of an attacker's that comes to lead to 127.0.0.1 is told by the Host header."""
    with served(project) as server:
        target = f"/{server.token}/explorer.html"
        port = server.server_port
        for host in ("evil.example", f"evil.example:{port}", "127.0.0.1", f"localhost:{port}"):
            assert ask(server, target, Host=host) == (
                403,
                f"This is {server.host} alone.\n".encode(),
            )
        assert ask(server, target)[0] == 403
        assert ask(server, target, Host=server.host)[0] == 200


def test_no_page_elsewhere_may_read_or_show_it(project):
    with served(project) as server, urllib.request.urlopen(server.address) as answer:
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Access-Control-Allow-Origin"] is None


def test_nothing_can_be_sent(project):
    with served(project) as server:
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            target = f"/{server.token}/explorer.html"
            assert ask(server, target, method=method, Host=server.host)[0] == 501


# ------------------------------------------------------------------------ raw files that changed


def other_bytes(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def same_stamp(path):
    """Other bytes, and the modification time of those before."""
    stat = path.stat()
    other_bytes(path)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def shorter(path):
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize("change", [other_bytes, same_stamp, shorter])
@pytest.mark.parametrize("name", ["stated.mib", "stated.hdr"])
def test_a_raw_file_that_changed_is_refused_until_it_is_put_back(project, change, name):
    path = project / "raw" / name
    shutil.copy2(path, "kept")
    with served(project) as server:
        assert get(server, "pattern/stated/0/0")[0] == 200
        before = signature(path)
        change(path)
        assert signature(path) != before
        status, said = get(server, "pattern/stated/0/0")
        assert status == 409
        assert said == (
            f"raw/{name} is not what the run was made of: put back the file with the bytes that"
            " its record names, or run again.\n"
        )
        assert get(server, "pattern/a%2Bb/0/0")[0] == 200
        shutil.copy2("kept", path)
        assert get(server, "pattern/stated/0/0")[0] == 200


def test_a_header_that_the_run_did_not_have_is_refused(project):
    (project / "raw/a+b.hdr").write_text("HDR,\t\nScanX:\t2\nEnd\t")
    with served(project) as server:
        status, said = get(server, "pattern/a%2Bb/0/0")
        assert status == 409
        assert said.startswith("raw/a+b.hdr is not what the run was made of")


def test_a_raw_file_that_is_gone_is_named(project):
    (project / "raw/stated.mib").unlink()
    with served(project) as server:
        assert get(server, "pattern/stated/0/0") == (
            404, "raw/stated.mib is not there: put it in its place.\n"
        )  # fmt: skip


def test_a_touch_is_no_change(project):
    with served(project) as server:
        assert get(server, "pattern/stated/0/0")[0] == 200
        (project / "raw/stated.mib").touch()
        assert get(server, "pattern/stated/0/0")[0] == 200


# ------------------------------------------------------------------------ the command


def test_a_run_without_a_page_is_refused(project):
    (project / "results/mini/explorer.html").unlink()
    with pytest.raises(InputError, match="there is no such file; run the experiment first"):
        Explorer(project / "results/mini")


@pytest.mark.parametrize("run", ["mini", "results/mini"])
def test_the_command_serves_until_it_is_interrupted(project, run):
    command = [sys.executable, "-m", "phasefront", "view", run]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=hear_interrupts,
    ) as process:  # fmt: skip
        address = process.stdout.readline().removeprefix("Explorer: ").strip()
        assert process.stdout.readline() == "Ctrl-C ends it.\n"
        with urllib.request.urlopen(address) as answer:
            assert answer.read() == PAGE.encode()
        with urllib.request.urlopen(
            address.replace("explorer.html", "pattern/stated/2/3")
        ) as answer:
            assert decoded(answer.read()).shape == (6, 4)
        process.send_signal(signal.SIGINT)
        said, wrong = process.communicate(timeout=20)
    assert (process.returncode, wrong) == (0, "")
    assert said == "results/mini is served no more.\n"
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(address)


def test_the_command_names_a_run_that_is_not_there(project):
    done = subprocess.run(
        [sys.executable, "-m", "phasefront", "view", "other"], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "other: is no folder; name the results of a run.\n"
