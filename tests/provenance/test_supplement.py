"""One zip that holds a run, checked by the programs of those who take it: BagIt, RO-Crate, PROV."""

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import bagit
import pytest
import requests
import rocrate
from prov.model import ProvActivity, ProvDocument, ProvEntity
from requests_cache import CachedSession
from urllib3 import HTTPResponse

from phasefront.errors import InputError
from phasefront.provenance import methods, supplement
from phasefront.provenance.record import record_path
from phasefront.provenance.steps import Step
from phasefront.provenance.verify import verify

FIND = '''
"""Find the spots."""
from phasefront.provenance.job import Job


def find_spots(job):
    job.spots.write_text(job.scan.read_text().upper())


if __name__ == "__main__":
    job = Job(__doc__).input("scan", "a raw scan").parameter("seed", "a seed", type=int, default=1)
    job.output("spots", "its spots").run(find_spots)
'''
COUNT = '''
"""Count the fractions."""
from phasefront.provenance.job import Job


def count_fractions(job):
    job.fractions.write_text(str(len(job.spots.read_text())))
    job.copy.write_text("copy")


if __name__ == "__main__":
    job = Job(__doc__).input("spots", "spots")
    job.output("fractions", "a number").output("copy", "another").run(count_fractions)
'''
CONTEXT = "https://w3id.org/ro/crate/1.1/context"
# The other output of the same job is packed with it.
TARGETS = [Path("results/small/fractions.json")]
COPY = "results/small/copy.txt"
PROJECT = [Path(name) for name in ("Snakefile", "LICENSE", "envs/lock.txt")]


def call(folder, *arguments):
    done = subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A folder with a run of two jobs, which is the working folder."""
    for name, text in {
        "scripts/find_spots.py": FIND.lstrip(), "scripts/count_fractions.py": COUNT.lstrip(),
        "raw/scan.mib": "raw", "raw/scan.hdr": "header", "config/small.yaml": "run: small\n",
        "Snakefile": "rule all:\n", "LICENSE": "GPL\n", "envs/lock.txt": "numpy==2.0\n",
    }.items():  # fmt: skip
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    spots = ("--spots", "results/small/spots.txt")
    call(tmp_path, "scripts/find_spots.py", "--scan", "raw/scan.mib", *spots)
    call(
        tmp_path, "scripts/count_fractions.py", *spots,
        "--fractions", str(TARGETS[0]), "--copy", COPY,
    )  # fmt: skip
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pack(path, **changed):
    arguments = {
        "targets": TARGETS, "project": PROJECT, "config": [Path("config/small.yaml")],
        "raw": ["raw/scan.mib"], "run": "small", "title": "A small run",
        "license": "https://spdx.org/licenses/CC-BY-4.0",
    }  # fmt: skip
    supplement.pack(path, **(arguments | changed))
    return path


@pytest.fixture
def unpacked(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reader")
    with zipfile.ZipFile(pack(run / "supplement.zip")) as packed:
        packed.extractall(folder)
    return folder / "phasefront-small"


def test_it_is_a_valid_bag_and_nothing_else(unpacked):
    bag = bagit.Bag(str(unpacked))
    bag.validate()
    assert bag.info["External-Description"] == "A small run"
    payload = {path for path in bag.entries if path.startswith("data/")}
    assert {
        "data/README.md", "data/METHODS.md", "data/prov.json", "data/ro-crate-metadata.json",
        "data/absent.csv", "data/Snakefile", "data/LICENSE", "data/envs/lock.txt",
        "data/config/small.yaml", "data/scripts/find_spots.py", "data/scripts/count_fractions.py",
        "data/results/small/spots.txt", "data/results/small/fractions.json",
        "data/results/small/copy.txt", "data/results/small/spots.txt.prov.json",
        "data/results/small/fractions.json.prov.json", "data/results/small/copy.txt.prov.json",
    } <= payload  # fmt: skip
    assert "data/raw/scan.mib" not in payload


def test_a_changed_byte_is_found_by_the_bag(unpacked):
    (unpacked / "data/results/small/copy.txt").write_text("C0PY")
    with pytest.raises(bagit.BagValidationError):
        bagit.Bag(str(unpacked)).validate()


class _Shipped(requests.adapters.HTTPAdapter):
    """Answers with the context that comes with rocrate."""

    def send(self, request, **_):
        body = (Path(rocrate.__file__).parent / "data/ro-crate.jsonld").read_bytes()
        answer = HTTPResponse(
            body=io.BytesIO(body), status=200, preload_content=False,
            headers={"Content-Type": "application/ld+json"},
        )  # fmt: skip
        return self.build_response(request, answer)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # rdflib uses what it deprecates
def test_the_crate_is_a_provenance_run_crate(unpacked, tmp_path_factory):
    from rocrate_validator import services
    from rocrate_validator.models import Severity, ValidationSettings

    cache = tmp_path_factory.mktemp("cache") / "http"
    with CachedSession(cache_name=str(cache), backend="sqlite", expire_after=-1) as session:
        session.mount("https://", _Shipped())
        session.get(CONTEXT)
    result = services.validate(
        ValidationSettings(
            rocrate_uri=str(unpacked / "data"), profile_identifier="provenance-run-crate",
            requirement_severity=Severity.REQUIRED, offline=True, cache_path=str(cache),
        )
    )  # fmt: skip
    assert result.passed(), [issue.message for issue in result.get_issues()]


def test_the_crate_tells_every_job_with_its_files_and_times(unpacked):
    graph = json.loads((unpacked / "data/ro-crate-metadata.json").read_text())["@graph"]
    of = {entity["@id"]: entity for entity in graph}
    job = of["#job/find_spots/results/small/spots.txt"]
    assert job["instrument"] == {"@id": "scripts/find_spots.py"}
    assert job["result"] == {"@id": "results/small/spots.txt"}
    assert {"@id": "#absent/raw/scan.mib"} in job["object"]
    record = json.loads((unpacked / "data/results/small/spots.txt.prov.json").read_text())
    assert job["startTime"] == record["run"]["started"]
    parameter = of["#parameter/find_spots/results/small/spots.txt/seed"]
    assert (parameter["name"], parameter["value"]) == ("seed", "1")
    two = of["#job/count_fractions/results/small/copy.txt"]
    assert [made["@id"] for made in two["result"]] == [
        "results/small/copy.txt", "results/small/fractions.json",
    ]  # fmt: skip
    organised = of["#organise"]
    assert len(organised["object"]) == 2
    assert of["./"]["license"] == {"@id": "https://spdx.org/licenses/CC-BY-4.0"}


def test_prov_says_what_was_derived_from_what(unpacked):
    document = ProvDocument.deserialize(unpacked / "data/prov.json", format="json")
    activities = {str(item.identifier) for item in document.get_records(ProvActivity)}
    assert activities == {
        "job:find_spots/results/small/spots.txt",
        "job:count_fractions/results/small/copy.txt",
    }
    entities = {str(item.identifier) for item in document.get_records(ProvEntity)}
    assert {"file:raw/scan.mib", "file:results/small/fractions.json"} <= entities


def test_raw_scans_are_named_by_digest_or_packed_on_request(run, tmp_path):
    with zipfile.ZipFile(pack(tmp_path / "a.zip", raw_identifier="doi:10.1/x")) as packed:
        table = packed.read("phasefront-small/data/absent.csv").decode().splitlines()
        readme = packed.read("phasefront-small/data/README.md").decode()
        assert not [name for name in packed.namelist() if "data/raw" in name]
    header, scan = [line for line in table if "scan." in line]
    assert header.startswith("raw/scan.hdr,6,") and header.endswith(",doi:10.1/x")
    assert scan.startswith("raw/scan.mib,3,") and scan.endswith(",doi:10.1/x")
    assert "Put the raw files" in readme
    with zipfile.ZipFile(pack(tmp_path / "b.zip", include_raw=True)) as packed:
        assert packed.read("phasefront-small/data/raw/scan.mib") == b"raw"
        assert packed.read("phasefront-small/data/raw/scan.hdr") == b"header"
        assert b"scan." not in packed.read("phasefront-small/data/absent.csv")


def test_the_same_run_gives_the_same_bytes(run, tmp_path):
    first, second = pack(tmp_path / "a.zip"), pack(tmp_path / "b.zip")
    assert first.read_bytes() == second.read_bytes()


def test_a_gone_file_and_a_missing_record_are_named(run, tmp_path):
    Path("scripts/find_spots.py").unlink()
    with pytest.raises(InputError, match=r"scripts/find_spots\.py: is gone"):
        pack(tmp_path / "a.zip")
    record_path(TARGETS[0]).unlink()
    with pytest.raises(InputError, match=r"fractions\.json: has no record"):
        pack(tmp_path / "a.zip")
    assert not (tmp_path / "a.zip").exists()


def test_methods_name_the_values_that_jobs_were_given():
    run = {
        "packages": {"numpy": "2.4", "rich": "1"}, "interpreter": {"version": "3.11.7"},
        "repository": {"commit": "ab" * 20},
    }  # fmt: skip
    steps = [
        Step(
            "simulate_templates", ["python"],
            {
                "settings": {"resolution_deg": 2.0, "max_radius": 1.2},
                "instrument": {"voltage_kv": voltage, "precession_deg": 0.8},
            },
            [], [], [], run,
        )
        for voltage in (300.0, 200.0)
    ]  # fmt: skip
    text = methods.paragraph(steps, software={"phasefront": "1", "snakemake": "9"})
    assert "200 and 300 kV" in text
    assert "0.8 degree on a grid of beam directions 2 degree apart" in text
    assert "numpy 2.4." in text and "rich" not in text and "commit abababababab" in text
    assert "Bragg spots" not in text


def test_the_reader_verifies_it_without_the_workflow(unpacked):
    def verified():
        return subprocess.run(
            [sys.executable, "-m", "phasefront", "verify", "results/small"],
            cwd=unpacked / "data", capture_output=True, text=True,
        )  # fmt: skip

    done = verified()
    assert done.returncode == 0, done.stderr
    (unpacked / "data/results/small/spots.txt").write_text("SPOTS")
    done = verified()
    assert done.returncode == 1
    assert "results/small/spots.txt" in done.stderr


@pytest.mark.parametrize("cwd", ["data", "."])
@pytest.mark.parametrize(
    "name",
    [
        "data/METHODS.md", "data/absent.csv", "data/config/small.yaml", "bag-info.txt",
        "manifest-sha256.txt", "data/results/small/copy.txt.prov.json",
    ],
)  # fmt: skip
def test_verify_hashes_all_that_was_packed(unpacked, monkeypatch, name, cwd):
    monkeypatch.chdir(unpacked / cwd)
    path = Path("data/results/small" if cwd == "." else "results/small")
    Path("elsewhere").mkdir()  # a virtual environment, say
    assert verify(path).problems == []
    file = unpacked / name
    content = file.read_bytes()
    file.write_bytes(content.rstrip() + b"\n\n")
    (found,) = verify(path).problems
    assert found.endswith(f"{Path(name).name}: changed since the supplement was packed.")
    file.unlink()
    assert any(f"{Path(name).name}: gone" in problem for problem in verify(path).problems)
