"""One zip that holds a run, checked by the programs of those who take it: BagIt, RO-Crate, PROV."""

import dataclasses
import io
import json
import os
import platform
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import bagit
import numpy as np
import pytest
import requests
import rocrate
import xarray as xr
from examples import example
from prov.model import (
    ProvActivity,
    ProvAgent,
    ProvDocument,
    ProvEntity,
    ProvGeneration,
    ProvRelation,
    ProvUsage,
)
from requests_cache import CachedSession
from urllib3 import HTTPResponse

from phasefront.archive import supplement
from phasefront.audit.verify import verify
from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.layouts.chemistry import ION_CONTENT
from phasefront.layouts.fractions import FRACTIONS
from phasefront.layouts.grains import GRAINS
from phasefront.records.digests import signature
from phasefront.records.record import record_path
from phasefront.records.steps import Step
from phasefront.report import methods, wording
from phasefront.report.jobs import Jobs
from phasefront.report.methods_of_scans import tell_phases
from phasefront.report.methods_of_sources import tell_comparison

FIND = '''
"""Read the words."""
from phasefront.records.job import Job


def read_words(job):
    scan = job.scan / "0/chunk" if job.scan.is_dir() else job.scan
    job.spots.write_text(scan.read_text().upper())


if __name__ == "__main__":
    job = Job(__doc__).input("scan", "a raw scan").parameter("seed", "a seed", type=int, default=1)
    job.output("spots", "its spots").run(read_words)
'''
COUNT = '''
"""Count the letters."""
from phasefront.records.job import Job


def count_letters(job):
    job.fractions.write_text(str(len(job.spots.read_text())))
    job.copy.write_text("copy")


if __name__ == "__main__":
    job = Job(__doc__).input("spots", "spots")
    job.output("fractions", "a number").output("copy", "another").run(count_letters)
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
        "scripts/read_words.py": FIND.lstrip(), "scripts/count_letters.py": COUNT.lstrip(),
        "raw/scan.mib": "raw", "raw/scan.hdr": "header", "config/small.yaml": "run: small\n",
        "Snakefile": "rule all:\n", "LICENSE": "GPL\n", "envs/lock.txt": "numpy==2.0\n",
    }.items():  # fmt: skip
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    spots = ("--spots", "results/small/spots.txt")
    call(tmp_path, "scripts/read_words.py", "--scan", "raw/scan.mib", *spots)
    call(
        tmp_path, "scripts/count_letters.py", *spots,
        "--fractions", str(TARGETS[0]), "--copy", COPY,
    )  # fmt: skip
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pack(path, **changed):
    arguments = {
        "targets": TARGETS, "project": PROJECT, "config": [Path("config/small.yaml")],
        "tables": [], "raw": ["raw/scan.mib"], "downloads": {}, "run": "small",
        "title": "A small run",
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
    assert (unpacked / "bagit.txt").read_text().startswith("BagIt-Version: 1.0\n")
    tags = (unpacked / "tagmanifest-sha256.txt").read_text()
    named = {line.split()[1] for line in tags.splitlines()}
    assert named == {"bag-info.txt", "bagit.txt", "manifest-sha256.txt"}
    assert bag.info["External-Description"] == "A small run"
    payload = {path for path in bag.entries if path.startswith("data/")}
    assert {
        "data/README.md", "data/METHODS.md", "data/prov.json", "data/ro-crate-metadata.json",
        "data/COLUMNS.md", "data/absent.csv", "data/Snakefile", "data/LICENSE",
        "data/envs/lock.txt",
        "data/config/small.yaml", "data/scripts/read_words.py", "data/scripts/count_letters.py",
        "data/results/small/spots.txt", "data/results/small/fractions.json",
        "data/results/small/copy.txt", "data/results/small/spots.txt.prov.json",
        "data/results/small/fractions.json.prov.json", "data/results/small/copy.txt.prov.json",
    } <= payload  # fmt: skip
    assert "data/raw/scan.mib" not in payload


def test_a_changed_byte_is_found_by_the_bag_and_by_the_readmes_command(unpacked):
    readme = (unpacked / "data/README.md").read_text()
    (command,) = [line.split() for line in readme.splitlines() if line.startswith("    sha256sum")]
    assert subprocess.run(command, cwd=unpacked).returncode == 0
    (unpacked / "data/results/small/copy.txt").write_text("C0PY")
    assert subprocess.run(command, cwd=unpacked).returncode == 1
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
    job = of["#job/read_words/results/small/spots.txt"]
    assert job["instrument"] == {"@id": "scripts/read_words.py"}
    assert job["result"] == {"@id": "results/small/spots.txt"}
    assert {"@id": "#absent/raw/scan.mib"} in job["object"]
    record = json.loads((unpacked / "data/results/small/spots.txt.prov.json").read_text())
    assert job["startTime"] == record["run"]["started"]
    parameter = of["#parameter/read_words/results/small/spots.txt/seed"]
    assert (parameter["name"], parameter["value"]) == ("seed", "1")
    two = of["#job/count_letters/results/small/copy.txt"]
    assert [made["@id"] for made in two["result"]] == [
        "results/small/copy.txt", "results/small/fractions.json",
    ]  # fmt: skip
    slot = of["#slot/read_words/scan"]
    assert slot["@type"] == "FormalParameter"
    assert of["#absent/raw/scan.mib"]["exampleOfWork"] == {"@id": slot["@id"]}
    assert parameter["exampleOfWork"] == {"@id": "#slot/read_words/seed"}
    assert {"@id": slot["@id"]} in of["scripts/read_words.py"]["input"]
    assert {"@id": "envs/lock.txt"} in of["scripts/read_words.py"]["softwareRequirements"]
    organised = of["#organise"]
    assert len(organised["object"]) == 2
    assert of["./"]["license"] == {"@id": "https://spdx.org/licenses/CC-BY-4.0"}


def test_prov_says_what_was_derived_from_what(unpacked):
    document = ProvDocument.deserialize(unpacked / "data/prov.json", format="json")
    activities = {str(item.identifier) for item in document.get_records(ProvActivity)}
    assert activities == {
        "job:read_words/results/small/spots.txt",
        "job:count_letters/results/small/copy.txt",
    }
    entities = {str(item.identifier) for item in document.get_records(ProvEntity)}
    assert {"file:raw/scan.mib", "file:results/small/fractions.json"} <= entities


def test_the_prov_graph_is_closed_and_says_all_that_records_say(unpacked):
    document = ProvDocument.deserialize(unpacked / "data/prov.json", format="json")
    known = {str(r.identifier) for kind in (ProvActivity, ProvEntity, ProvAgent)
             for r in document.get_records(kind)}  # fmt: skip
    relations = list(document.get_records(ProvRelation))
    assert {str(name) for r in relations for name in r.args if name is not None} <= known
    assert all(r.get_startTime() and r.get_endTime() for r in document.get_records(ProvActivity))
    found = {kind: {tuple(map(str, r.args[:2])) for r in relations if isinstance(r, kind)}
             for kind in (ProvUsage, ProvGeneration)}  # fmt: skip
    used, made = set(), set()
    names = {"read_words": "results/small/spots.txt", "count_letters": "results/small/copy.txt"}
    for file in (unpacked / "data/results").rglob("*.prov.json"):
        record = json.loads(file.read_text())["made"]
        job = f"job:{record['rule']}/{names[record['rule']]}"
        files = [*record["inputs"], *record["code"], record["lock"]]
        used |= {(job, f"file:{entry['path']}") for entry in files}
        made.add((f"file:{record['output']['path']}", job))
    assert found == {ProvUsage: used, ProvGeneration: made}


def test_raw_scans_are_named_by_digest_or_packed_on_request(run, tmp_path):
    with zipfile.ZipFile(pack(tmp_path / "a.zip", raw_identifier="doi:10.1/x")) as packed:
        table = packed.read("phasefront-small/data/absent.csv").decode().splitlines()
        readme = packed.read("phasefront-small/data/README.md").decode()
        assert not [name for name in packed.namelist() if "data/raw" in name]
    header, scan = [line for line in table if "scan." in line]
    assert header.startswith("raw/scan.hdr,6,") and header.endswith(",doi:10.1/x")
    assert scan.startswith("raw/scan.mib,3,") and scan.endswith(",doi:10.1/x")
    assert "put the files that `absent.csv` names" in readme
    assert "They lie at doi:10.1/x." in readme
    with zipfile.ZipFile(pack(tmp_path / "b.zip", include_raw=True)) as packed:
        assert packed.read("phasefront-small/data/raw/scan.mib") == b"raw"
        assert packed.read("phasefront-small/data/raw/scan.hdr") == b"header"
        assert b"scan." not in packed.read("phasefront-small/data/absent.csv")


def text_of(path, name):
    with zipfile.ZipFile(path) as packed:
        return packed.read(f"phasefront-small/data/{name}").decode()


def test_the_readme_runs_all_config_files_and_tells_who_and_where(run, tmp_path):
    Path("config/sweep.yaml").write_text("sweep: {}\n")
    config = [Path("config/small.yaml"), Path("config/sweep.yaml")]
    readme = text_of(pack(tmp_path / "a.zip", config=config), "README.md")
    assert "phasefront run config/small.yaml config/sweep.yaml\n" in readme
    assert "diff results/small ../phasefront-small/data/results/small\n" in readme
    assert "Ask the authors where they lie." in readme
    assert f"Python {platform.python_version()}" in readme


def test_files_that_the_run_fetches_are_told_by_their_url(run, tmp_path):
    url = "https://example.org/scan.mib"
    fetched = {"raw/scan.mib": url, "raw/scan.hdr": url}
    path = pack(tmp_path / "a.zip", downloads=fetched)
    assert text_of(path, "absent.csv").count(f",{url}\n") == 2


@pytest.mark.parametrize(
    ("absent", "downloads", "said"),
    [
        ([], [], ""),
        (["results/small/raw/a.blo"], [], "are made anew. "),
        (["data/a.blo"], ["data/a.blo"], "are fetched by the run. "),
        (
            ["data/a.blo"],
            [],
            "They lie at doi:10.1/x. Should one not be the file that was used, `diff` says so. ",
        ),
        (["/home/a.blo"], [], "where they were when it was made. "),
    ],
)
def test_the_readme_says_what_to_do_for_absent_files(absent, downloads, said):
    steps = [made_by("simulate_scan", "raw/a.blo")]
    text = supplement.where_raw_comes_from(
        {path: {} for path in absent}, dict.fromkeys(downloads, "url"), steps, "doi:10.1/x"
    )
    assert text.endswith(said) and bool(text) == bool(said)
    needed = set(absent) - set(downloads) - {"results/small/raw/a.blo"}
    assert ("put the files" in text) == bool(needed)


def test_a_config_outside_the_folder_is_named_and_not_written_there(run, tmp_path, monkeypatch):
    (run / "project").mkdir()
    for name in ("scripts", "raw", "results", "Snakefile", "LICENSE", "envs"):
        (run / name).rename(run / "project" / name)
    monkeypatch.chdir(run / "project")
    path = pack(tmp_path / "a.zip", config=[Path("../config/small.yaml")])
    assert "../config/small.yaml,11," in text_of(path, "absent.csv")
    assert "lie outside this folder" in text_of(path, "README.md")
    with zipfile.ZipFile(path) as packed:
        assert not any(".." in name for name in packed.namelist())


@pytest.mark.parametrize("include_raw", [False, True])
def test_a_scan_may_be_a_folder_with_any_name(run, tmp_path, include_raw):
    scan = Path("raw/grain #1, x = 2.5.zspy")
    (scan / "0").mkdir(parents=True)
    (scan / "0/chunk").write_text("words")
    spots = ("--spots", "results/small/spots.txt")
    call(run, "scripts/read_words.py", "--scan", str(scan), *spots)
    call(
        run, "scripts/count_letters.py", *spots, "--fractions", str(TARGETS[0]), "--copy", COPY
    )  # fmt: skip
    path = pack(tmp_path / "a.zip", raw=[str(scan)], include_raw=include_raw)
    graph = json.loads(text_of(path, "ro-crate-metadata.json"))["@graph"]
    of = {entity["@id"]: entity for entity in graph}
    job = of["#job/read_words/results/small/spots.txt"]
    (used,) = [e["@id"] for e in job["object"] if "grain" in e["@id"]]
    assert " " not in used and of[used]["name"].endswith("grain #1, x = 2.5.zspy")
    assert of[used]["@type"] == ("Dataset" if include_raw else "CreativeWork")
    if not include_raw:
        assert of[used]["contentSize"] == "5"
    with zipfile.ZipFile(path) as packed:
        assert any(name.endswith("0/chunk") for name in packed.namelist()) == include_raw


def test_packing_needs_no_installed_phasefront(run, tmp_path, monkeypatch):
    """A reader of a supplement has the packages of the lock, and phasefront as a folder."""
    version = metadata.version

    def of_packages(name):
        assert name != "phasefront"
        return version(name)

    monkeypatch.setattr(metadata, "version", of_packages)
    assert pack(tmp_path / "a.zip").exists()


def test_people_are_authors_with_their_orcid(run, tmp_path):
    orcid = "0000-0002-1825-0097"
    ada = {"name": "Ada Example", "orcid": orcid, "affiliation": "Some Institute"}
    variable = json.dumps({"people": [ada]})
    command = [sys.executable, "scripts/count_letters.py", "--spots", "results/small/spots.txt",
               "--fractions", str(TARGETS[0]), "--copy", COPY]  # fmt: skip
    subprocess.run(command, env=os.environ | {"PHASEFRONT_RUN": variable}, check=True)
    path = pack(tmp_path / "a.zip")
    graph = json.loads(text_of(path, "ro-crate-metadata.json"))["@graph"]
    of = {entity["@id"]: entity for entity in graph}
    assert of["./"]["author"] == {"@id": f"https://orcid.org/{orcid}"}
    assert of[f"https://orcid.org/{orcid}"]["@type"] == "Person"
    assert f"By: Ada Example, Some Institute, {orcid}" in text_of(path, "README.md")


def test_the_same_run_gives_the_same_bytes(run, tmp_path):
    first, second = pack(tmp_path / "a.zip"), pack(tmp_path / "b.zip")
    assert first.read_bytes() == second.read_bytes()


def test_packing_leaves_no_trace_on_what_it_packs(run, tmp_path):
    before = {path: signature(path) for path in run.rglob("*") if path.is_file()}
    pack(tmp_path / "elsewhere.zip", include_raw=True)
    assert {path: signature(path) for path in before} == before


def test_a_title_of_several_lines_leaves_a_valid_bag(run, tmp_path):
    with zipfile.ZipFile(pack(tmp_path / "a.zip", title="Two\nlines: ä $x")) as packed:
        packed.extractall(tmp_path / "reader")
    bag = bagit.Bag(str(tmp_path / "reader/phasefront-small"))
    assert bag.is_valid()
    assert bag.info["External-Description"] == "Two lines: ä $x"


def test_a_gone_file_and_a_missing_record_are_named(run, tmp_path):
    Path("scripts/read_words.py").unlink()
    with pytest.raises(InputError, match=r"scripts/read_words\.py: is gone"):
        pack(tmp_path / "a.zip")
    record_path(TARGETS[0]).unlink()
    with pytest.raises(InputError, match=r"fractions\.json: has no record"):
        pack(tmp_path / "a.zip")
    assert not (tmp_path / "a.zip").exists()


RUN = {
    "packages": {"numpy": "2.4", "rich": "1"}, "interpreter": {"version": "3.11.7"},
    "repository": {"commit": "ab" * 20, "dirty": True, "diff_sha256": "cd" * 32},
}  # fmt: skip
SOFTWARE = {"phasefront": "1", "snakemake": "9"}


def made_by(rule, output, **parameters):
    return Step(rule, ["python"], parameters, [], [{"path": f"results/small/{output}"}], [], RUN)


def templates(name, voltage, precession, **more):
    step = made_by(
        "simulate_templates", f"templates/{name}.nc", names=["Na3"],
        instrument={"voltage_kv": voltage, "precession_deg": precession},
        settings={"resolution_deg": 2.0, "max_radius": 1.2}, **more,
    )  # fmt: skip
    return dataclasses.replace(step, inputs=[{"role": "cifs", "path": "Na3.cif"}])


def test_methods_name_the_values_that_jobs_were_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    label = np.zeros((2, 5), int)
    sure = np.where(np.arange(10).reshape(2, 5) < 8, 0.99, 0.6)
    grains = example(GRAINS, label=label, orientation_probability=sure, scan="a")
    path = Path("results/small/grains/a.nc")
    path.parent.mkdir(parents=True)
    netcdf.write(grains, path, GRAINS)
    log = {"log": "charge", "mass_mg": 3.42, "mass_error_mg": 0.03, "irreversible_mah_g": 0.0,
           "irreversible_error_mah_g": 0.0, "leakage_ma": 0.001, "leakage_error_ma": 0.0005,
           "inactive_share": 0.0, "inactive_error": 0.0, "ions_per_electron": 1.0}  # fmt: skip
    weighed = {"molar_mass": 417.79, "ion_content": 3.0, "ion_error": 0.01}
    steps = [
        templates("one", 200.0, 0.8),
        templates("two", 300.0, 0.0),
        made_by("import_peaks", "spots/a.nc"),
        made_by("analyse_log", "cycling/charge.nc", row=log, weighed=weighed),
        made_by("simulate_confusion", "confusion/a.nc", **{"ion-contents": [3.0]}),
        made_by("tabulate_comparison", "comparison.csv", ion="Na"),
        made_by(
            "find_grains", "grains/a.nc", settings={"misorientation_deg": 5, "min_positions": 9}
        ),
        made_by(
            "find_grains", "sweep/grains.min_positions~7/grains/a.nc",
            settings={"misorientation_deg": 5, "min_positions": 7},
        ),
        made_by(
            "trace_interfaces", "interfaces/a.nc",
            settings={"outliers": 0.02, "thickness_nm": 60.0, "thickness_error_nm": 5.0},
        ),
        made_by("compare_calibrations", "drift.csv", seed=12345),
    ]  # fmt: skip
    text = methods.section(steps, title="A title", software=SOFTWARE)
    assert text.startswith("# Methods: A title\n")
    assert "one (200 kV, precession semi-angle 0.8°) and two (300 kV, no precession)" in text
    assert "Na3 (3 Na per formula unit, `Na3.cif`)" in text
    assert (
        "The analysis began with Bragg vectors of a that were found elsewhere; instrument" in text
    )
    assert "3.42 ± 0.03 mg of active material (417.79 g/mol)" in text
    assert "leakage current of 0.001 ± 0.0005 mA" in text and "irreversible" not in text
    assert "of at least 9 positions" in text  # the variant's are not the run's
    assert "Both are sure (above 0.95) at 80 % of the positions of grains." in text
    assert "0.02 of the positions being taken for outliers" in text
    assert "a thickness of 60 nm" in text
    assert "- numpy 2.4: Harris" in text and "rich" not in text and "- snakemake 9: " in text
    assert "commit abababababab, with changes whose diff has the SHA-256 cdcdcdcdcdcd" in text
    assert "compare_calibrations 12345" in text
    assert "simulated, not measured" not in text and "**Bragg spots**" not in text


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ([], "There is nothing to compare 4D-STEM with."),
        (["import_fractions"], "of each state by 4D-STEM and powder diffraction were compared"),
    ],
)
@pytest.mark.parametrize(("weight", "thickness"), [("area", False), ("thickness", True)])
def test_methods_claim_only_what_was_there(monkeypatch, rules, said, weight, thickness):
    made = xr.Dataset(attrs={"molar_weight": weight})
    monkeypatch.setattr(netcdf, "read", lambda *_: made)
    fractions = {"draws": 2000, "thickness_exponent": [1.0, 2.0]}
    compared = {"margin": 0.1, "fraction_margin": 0.2}
    refined = {"refined": {"program": "GSAS-II 5"}}
    steps = [
        made_by("count_fractions", "s1.nc", settings=fractions),
        *(made_by(rule, "p.nc", settings=refined) for rule in rules),
        made_by("compare_sources", "c.nc", settings=compared),
        made_by("tabulate_comparison", "c.csv", ion="Na"),
    ]
    text = methods.section(steps, title="", software=SOFTWARE)
    assert said in text
    assert ("of the volume (thickness being taken" in text) == thickness
    assert ("taken as constant" in text) != thickness
    assert ("GSAS-II 5" in text) == bool(rules)


def test_methods_name_scans_whose_calibration_gave_way(monkeypatch):
    made = {
        "s1": example(FRACTIONS, scan="s1", notes="its grains agree on a scale"),
        "s2": example(FRACTIONS, scan="s2"),
    }
    monkeypatch.setattr(netcdf, "read", lambda path, _: made[Path(path).stem])
    limits = {"decide_above": 0.95, "min_explained": 0.5, "max_residual": 1.1, "max_misfit": 4.0,
              "cell_tolerance": 0.002, "mixed_prior": 0.2, "min_spots": 5}  # fmt: skip
    steps = {
        "decide_phases": [made_by("decide_phases", "phases/s1.nc", settings=limits)],
        "count_fractions": [made_by("count_fractions", f"fractions/{one}.nc") for one in made],
    }
    text = tell_phases(Jobs(steps["decide_phases"], steps))
    assert " Of scan s1: its grains agree on a scale." in text and "Of scan s2" not in text


@pytest.mark.parametrize("quantity", [ION_CONTENT, "mean valence"])
def test_methods_compare_maps_of_ion_content_grain_by_grain(monkeypatch, quantity):
    made = xr.Dataset(attrs={"quantity": quantity})
    monkeypatch.setattr(netcdf, "read", lambda *_: made)
    compared = {"margin": 0.1, "fraction_margin": 0.2}
    steps = {
        "count_fractions": [made_by("count_fractions", "s1.nc")],
        "fit_valence": [made_by("fit_valence", "chemistry/v.nc")],
        "compare_sources": [made_by("compare_sources", "c.nc", settings=compared)],
        "tabulate_comparison": [made_by("tabulate_comparison", "c.csv", ion="Na")],
    }
    text = tell_comparison(Jobs(steps["compare_sources"], steps))
    of_content = quantity == ION_CONTENT
    assert ("by 4D-STEM and chemistry of mapped grains were compared" in text) == of_content
    assert ("Grains by which maps were laid on scans" in text) == of_content


def test_methods_say_that_virtual_data_are_simulated():
    virtual = {"grains": 14, "dose": 1e7, "thickness_nm": [28.0, 85.0],
               "states": {"half": {"dose": None, "thickness_nm": None}}}  # fmt: skip
    steps = [made_by("simulate_scan", "raw/a.blo", virtual=virtual, state="half", seed=3)]
    text = methods.section(steps, title="", software=SOFTWARE)
    assert "**The data are simulated, not measured.** One 4D-STEM scan of 14 grains" in text
    assert "28 to 85 nm thick" in text and "10⁷ electrons per pattern, were" in text
    virtual["states"]["half"]["dose"] = 1e6
    text = methods.section(steps, title="", software=SOFTWARE)
    assert "where the config gives a state no other" in text


def test_methods_say_what_directions_refer_to():
    turned = {"rotation_deg": 30.0, "mirrored": True, "rotation_error_deg": 0.5}
    cameras = {"a": None, "b": turned, "c": turned}
    steps = [
        made_by("export_maps", f"maps/{scan}.h5", camera=camera) for scan, camera in cameras.items()
    ]
    text = methods.section(steps, title="", software=SOFTWARE)
    assert (
        "**Directions.** Camera rotation not stated: directions on the map are relative to the"
        " camera (a); camera rotation 30 degrees (standard error 0.5), mirrored: directions on the"
        " map are those of the scan (b and c).\n"
    ) in text


@pytest.mark.parametrize(
    ("value", "text"),
    [(1e7, "10⁷"), (2.5e-7, "2.5 × 10⁻⁷"), (0.01, "0.01"), (3.0, "3"), (float("nan"), "–")],
)
def test_numbers_are_as_print_has_them(value, text):
    assert wording.number(value) == text


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


def test_methods_tell_of_series_and_of_a_mass_that_is_not_known():
    placing = {"series": "s", "log": "cell", "clock_offset_s": 1.5, "clock_offset_error_s": 0.5}
    steps = [
        made_by("analyse_log", "cycling/cell.nc", row={"log": "cell", "mass_mg": None}, weighed={}),
        made_by("place_on_log", "times/a.nc", scan="a", placing=placing),
        made_by(
            "place_on_log", "times/b.nc", scan="b", placing=placing | {"clock_offset_error_s": None}
        ),
    ]
    text = methods.section(steps, title="A title", software=SOFTWARE)
    assert "mass of active material of the galvanostatic log `cell` is not known" in text
    assert "The scans a and b of the series `s` were placed on the log `cell`" in text
    assert "an offset of 1.5 s of the scan's clock whose error is not known." in text
