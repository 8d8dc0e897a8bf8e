"""One file that a journal or an archive takes: a run with all that it takes to check it.

The zip holds one BagIt bag (RFC 8493). Its payload is a folder as the run was made in, with the
project's code, the experiment's config and the results at the same paths, so that records hold
there as they are; beside them lie an RO-Crate, PROV-JSON and a methods section. Raw scans stay out
unless asked for, and are known by their digests.
"""

from __future__ import annotations

import json
import os
import shlex
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path

import phasefront
from phasefront.archive import crate, prov_document
from phasefront.archive.bag import Bag
from phasefront.audit import absent as absent_files
from phasefront.core.errors import InputError
from phasefront.records import record
from phasefront.records.chain import collect
from phasefront.records.digests import digest, size, with_companions
from phasefront.records.record import Record
from phasefront.records.steps import Step, steps_of
from phasefront.report import columns, methods
from phasefront.report.wording import plain

_README = """# {title}

The results of a phasefront run (`{run}`), with everything that it takes to check them and to make
them again. This folder is the payload of a BagIt bag; paths are relative to it.

| what | where |
|---|---|
| what was done, for the methods section of a paper | `METHODS.md` |
| what was found: states and scans, with 95 % intervals | `{results}/summary.json` |
| whether the sources agree, in words | `{results}/conclusion.txt` |
| tables, and what is in them and in the summary | `{results}/*.csv`, `COLUMNS.md` |
| figures; a notebook that goes through the results | `{results}/figures`, `{results}/notebooks` |
| every stage's data (netCDF, see `ncdump -h`) | `{results}/<stage>` |
| how each file was made | `<file>.prov.json` beside it |
| experiment, tables of its files, structures | `config` |
| code and environment | `Snakefile`, `profiles`, `workflow`, `scripts`, `src`, `envs/lock.txt` |
| the run for machines | `ro-crate-metadata.json` (RO-Crate), `prov.json` (W3C PROV) |
| files that were used and are not in here | `{absent}`: size, SHA-256, where they lie |

## Check it

That no byte was changed since it was packed: with any program for BagIt, or with this, in the
folder above this one:

    sha256sum --quiet --check manifest-sha256.txt

That each result was made from what its record says: that takes Python 3.11 and the packages as
they were. They go beside the bag, for nothing may be added to it. In this folder:

    python3.11 -m venv ../../environment
    ../../environment/bin/pip install --require-hashes --requirement envs/lock.txt
    export PYTHONPATH=src PYTHONDONTWRITEBYTECODE=1
    ../../environment/bin/python -m phasefront verify {results}

It ends with `0 problems`, and names the files that are not in here.

## Run it again

{raw}In a copy without the results:

    cp -r . ../../again
    cd ../../again
    rm -r results
    export PYTHONPATH=src
    ../environment/bin/python -m phasefront run {config}
    ../environment/bin/python -m phasefront diff {results} {packed}/{results}

It says `0 of them differ`, for any number of cores: all files have the same bytes, but for the
seconds that jobs took in `summary.json`. The new run's `supplement.zip` is not in this one. Another
kind of processor may round last digits otherwise.

- Made with: Python {python}, {machine}, {minutes:.0f} minutes of all jobs together
- By: {people}
- Licence of the data: {license}
- Licence of the code: GPL-3.0-or-later (`LICENSE`); to cite it: `CITATION.cff`
"""
_RAW_MADE = "The raw files of this virtual experiment are made anew. "
_RAW_FETCHED = "Files of `{absent}` whose URL the config knows are fetched by the run. "
_RAW_NEEDED = (
    "After the third command, put the files that `{absent}` names at their paths in the copy, not"
    " here. {where} Should one not be the file that was used, `diff` says so. "
)
_RAW_AT = "They lie at {identifier}."
_RAW_UNKNOWN = "Ask the authors where they lie."
_OUTSIDE = (
    "Paths that begin with `/` or `..` lie outside this folder, where they were when it was made. "
)


def pack(
    path: str | Path,
    *,
    targets: Iterable[Path],
    project: Iterable[Path],
    config: Sequence[Path],
    tables: Sequence[Path],
    raw: Iterable[str],
    downloads: Mapping[str, str],
    run: str,
    title: str,
    license: str,
    raw_identifier: str | None = None,
    include_raw: bool = False,
) -> None:
    """Write the supplement of a finished run.

    Parameters
    ----------
    path
        Zip file to write.
    targets
        Outputs of the run; all that they were made from comes along, by their records.
    project
        Files of the project: code, workflow, environment, licence.
    config, tables
        The experiment's config files, later ones over earlier ones, and the tables they name.
    raw
        Paths of the raw scans.
    downloads
        URLs of the files that the run fetches, by path.
    run, title
        Name of the run, and a line that says what it is.
    license
        Of the data, as a URL.
    raw_identifier, include_raw
        DOI or URL where the raw scans lie; whether they are packed too.

    Raises
    ------
    InputError
        A target has no record, or a file that a record names is gone.
    """
    title = title or run
    records = _records(targets, Path("results") / run)
    steps = steps_of(records.values())
    named = {
        entry["path"]: entry["sha256"]
        for step in steps
        for entry in (*step.inputs, *step.outputs, *step.code)
    }
    named |= {record.shown(file): digest(file) for file in (*config, *tables)}
    # Several jobs name the same people; a dictionary keeps each once, in order.
    people = list({str(person): person for step in steps for person in step.run["people"]}.values())
    scans = {record.shown(file) for scan in raw for file in with_companions(Path(scan))}
    absent = {
        name: {"size": size(Path(name)), "sha256": named[name]}
        for name in sorted(named)
        if _is_outside(name) or (name in scans and not include_raw)
    }
    for name, about in absent.items():
        about["identifier"] = downloads.get(name, raw_identifier if name in scans else None)
    beside = [record.record_path(path) for path in records]
    paths = _payload(set(named) - set(absent), [*beside, *project])
    software = {"phasefront": phasefront.__version__, "snakemake": metadata.version("snakemake")}
    results = f"results/{run}"
    texts = {
        "README.md": _readme(
            steps, absent, downloads, raw_identifier, people,
            title=plain(title), run=run, config=shlex.join(map(record.shown, config)),
            license=plain(license),
        ),
        "METHODS.md": methods.section(steps, title=title, software=software),
        "COLUMNS.md": columns.explain({os.path.relpath(path, results) for path in paths}),
        "prov.json": prov_document.document(steps, people=people, software=software),
        absent_files.TABLE: absent_files.table(absent),
    }  # fmt: skip
    with zipfile.ZipFile(path, "w") as packed:
        bag = Bag(packed, _top(run))
        files = {name: bag.add_file(name, Path(name)) for name in paths}
        files |= {name: bag.add_text(name, text) for name, text in texts.items()}
        described = crate.metadata(
            steps, files=files, absent=absent, name=run, description=title,
            license=license, people=people, software=software,
        )  # fmt: skip
        bag.add_text("ro-crate-metadata.json", json.dumps(described, indent=1) + "\n")
        bag.finish(title, max(step.run["ended"] for step in steps)[:10])


def _records(targets: Iterable[Path], folder: Path) -> dict[str, Record]:
    """Records of the targets, of all they were made from, and of what the same jobs made too."""
    every = collect(folder)
    commands = set()
    for target in map(record.shown, targets):
        if target not in every.by_path:
            raise InputError(target, "has no record", remedy="run the workflow again")
        of_target = every.ancestors(target).by_path.values()
        commands |= {tuple(one.made.command) for one in of_target}
    return {path: one for path, one in every.by_path.items() if tuple(one.made.command) in commands}


def _is_outside(path: str) -> bool:
    """Whether it lies outside the project's folder, and so has no place in the bag."""
    return Path(path).is_absolute() or ".." in Path(path).parts


def _payload(named: set[str], more: Iterable[Path]) -> list[str]:
    """Paths of all files to pack, sorted: those that records name, and more."""
    paths = named | {record.shown(path) for path in more}
    for path in sorted(paths):
        if not Path(path).exists():
            raise InputError(path, "is gone", remedy="run the workflow again")
    files = set()
    for place in map(Path, paths):
        inside = place.rglob("*") if place.is_dir() else [place]
        files |= {file.as_posix() for file in inside if file.is_file()}
    return sorted(files)


def _top(run: str) -> str:
    """Name of the bag's folder in the zip."""
    return f"phasefront-{run}"


def _readme(
    steps: Sequence[Step], absent: Mapping[str, dict], downloads: Mapping[str, str],
    raw_identifier: str | None, people: Sequence[dict], *, run: str, **texts: str,
) -> str:  # fmt: skip
    (machine, *_) = dict.fromkeys(
        f"{step.run['machine']['platform']} ({step.run['machine']['processor']})" for step in steps
    )
    (python, *_) = dict.fromkeys(step.run["interpreter"]["version"] for step in steps)
    named = [
        ", ".join(filter(None, (person["name"], person["affiliation"], person["orcid"])))
        for person in people
    ]
    return _README.format(
        people="; ".join(map(plain, named)) or "the config names nobody",
        run=run, results=f"results/{run}", packed=f"../{_top(run)}/data", absent=absent_files.TABLE,
        raw=where_raw_comes_from(absent, downloads, steps, raw_identifier), machine=machine,
        python=python, minutes=sum(step.run["wall_seconds"] for step in steps) / 60, **texts,
    )  # fmt: skip


def where_raw_comes_from(
    absent: Mapping[str, dict], downloads: Mapping[str, str], steps: Sequence[Step],
    raw_identifier: str | None,
) -> str:  # fmt: skip
    """What a reader has to do to have the absent files, by path, in their places."""
    made = {output["path"] for step in steps for output in step.outputs}
    needed = set(absent) - made - set(downloads)
    at = _RAW_AT.format(identifier=plain(raw_identifier)) if raw_identifier else _RAW_UNKNOWN
    sentences = {
        _RAW_MADE: bool(set(absent) & made),
        _RAW_FETCHED: bool(set(absent) & set(downloads)),
        _RAW_NEEDED: bool(needed),
        _OUTSIDE: any(map(_is_outside, absent)),
    }
    told = [sentence for sentence, holds in sentences.items() if holds]
    return "".join(told).format(absent=absent_files.TABLE, where=at)
