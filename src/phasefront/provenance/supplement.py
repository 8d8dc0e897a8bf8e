"""One file that a journal or an archive takes: a run with all that it takes to check it.

The zip holds one BagIt bag (RFC 8493). Its payload is a folder as the run was made in, with the
project's code, the experiment's config and the results at the same paths, so that records hold
there as they are; beside them lie an RO-Crate, PROV-JSON and a methods section. Raw scans stay out
unless asked for, and are known by their digests.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path

from phasefront.errors import InputError
from phasefront.provenance import absent as absent_files
from phasefront.provenance import crate, methods, prov_document, record
from phasefront.provenance.chain import collect
from phasefront.provenance.digests import digest, size, with_companions
from phasefront.provenance.record import Record
from phasefront.provenance.steps import Step, steps_of

# A zip can hold no earlier time; files in it bear no other, lest bytes depend on it.
_NO_TIME = (1980, 1, 1, 0, 0, 0)

_README = """# {title}

The results of a phasefront run (`{run}`), with everything that it takes to check them.

| what | where |
|---|---|
| summary, tables and figures | `{results}/summary.json`, `{results}/*.csv`, `{results}/figures` |
| every stage's data (netCDF) | `{results}/<stage>` |
| how each file was made | `<file>.prov.json` beside it |
| methods, for a paper | `METHODS.md` |
| experiment, tables, structures | `config` |
| code and environment | `Snakefile`, `profiles`, `workflow`, `scripts`, `src`, `envs/lock.txt` |
| the run for machines | `ro-crate-metadata.json` (RO-Crate), `prov.json` (W3C PROV) |
| raw files that are not in here | `{absent}`: size, SHA-256{identifier} |

## Check it

That no byte was changed since it was packed, with any program for BagIt, or from the folder above
this one with `sha256sum --check manifest-sha256.txt`.

That each result was made from what its record says, in this folder:

    python3.11 -m venv .venv
    .venv/bin/pip install --require-hashes --requirement envs/lock.txt
    PYTHONPATH=src .venv/bin/python -m phasefront verify {results}

## Run it again

{raw}Then, in a copy of this folder without `results`:

    PYTHONPATH=src .venv/bin/python -m phasefront run {config}
    PYTHONPATH=src .venv/bin/python -m phasefront diff {results} path/to/these/{results}

Licence of the data: {license}. Licence of the code: GPL-3.0-or-later (`LICENSE`).
"""
_RAW_MADE = "The raw files of this virtual experiment are made anew.\n"
_RAW_NEEDED = "Put the raw files that `{absent}` names in their places.\n"


def pack(
    path: str | Path,
    *,
    targets: Iterable[Path],
    project: Iterable[Path],
    config: Sequence[Path],
    raw: Iterable[str],
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
    config
        The experiment's config file first, then its tables.
    raw
        Paths of the raw scans.
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
    records = _records(targets, Path("results") / run)
    steps = steps_of(records.values())
    named = {
        entry["path"]: entry["sha256"]
        for step in steps
        for entry in (*step.inputs, *step.outputs, *step.code)
    }
    # Several jobs name the same people; a dictionary keeps each once, in order.
    people = list({str(person): person for step in steps for person in step.run["people"]}.values())
    scans = {record.shown(file) for path in raw for file in with_companions(Path(path))}
    left_out = _outside(steps) | (set() if include_raw else scans)
    absent = _describe_absent(named, left_out)
    for name in scans & set(absent):
        absent[name]["identifier"] = raw_identifier
    beside = [record.record_path(path) for path in records]
    paths = _payload(set(named) - set(absent), [*beside, *project, *config])
    software = {name: metadata.version(name) for name in ("phasefront", "snakemake")}
    results = f"results/{run}"
    texts = {
        "README.md": _README.format(
            title=title or run, run=run, results=results, config=config[0],
            license=license, absent=absent_files.TABLE,
            identifier=" and where they lie" if raw_identifier else "",
            raw=_where_raw_comes_from(absent, steps),
        ),
        "METHODS.md": methods.paragraph(steps, software=software),
        "prov.json": prov_document.document(steps, people=people, software=software),
    }  # fmt: skip
    path = Path(path)
    # The name by which the next job clears it away, should this one be killed.
    with tempfile.TemporaryDirectory(
        dir=path.parent, prefix=".part-", suffix=f"-{path.name}"
    ) as folder:
        bag = Path(folder)
        for name in paths:
            _place(Path(name), bag / name)
        for name, text in texts.items():
            (bag / name).write_text(text, encoding="utf-8")
        absent_files.write(absent, bag)
        files = {
            name: {"size": (bag / name).stat().st_size, "sha256": digest(bag / name)}
            for name in [*paths, *texts, absent_files.TABLE]
        }
        described = crate.metadata(
            steps, files=files, absent=absent, name=run, description=title or run,
            license=license, people=people, software=software,
        )  # fmt: skip
        (bag / "ro-crate-metadata.json").write_text(
            json.dumps(described, indent=1) + "\n", encoding="utf-8"
        )
        _make_bag(bag, title or run, max(step.run["ended"] for step in steps)[:10])
        _zip(bag, path, f"phasefront-{run}")


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


def _outside(steps: Sequence[Step]) -> set[str]:
    """What was used from outside the project's folder, which has no place in the bag."""
    paths = {entry["path"] for step in steps for entry in (*step.inputs, *step.code)}
    return {path for path in paths if Path(path).is_absolute() or ".." in Path(path).parts}


def _describe_absent(named: Mapping[str, str], left_out: set[str]) -> dict[str, dict]:
    """Size and digest of the files left out, by path; `named` has the digests that records give."""
    return {
        path: {"size": size(path), "sha256": named[path]} for path in sorted(left_out & set(named))
    }


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


def _where_raw_comes_from(absent: Mapping[str, dict], steps: Sequence[Step]) -> str:
    made = {output["path"] for step in steps for output in step.outputs}
    if set(absent) <= made:
        return _RAW_MADE if absent else ""
    return _RAW_NEEDED.format(absent=absent_files.TABLE)


def _place(source: Path, goal: Path) -> None:
    """Link where the file system allows it: raw scans are large."""
    goal.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, goal)
    except OSError:
        shutil.copyfile(source, goal)


def _make_bag(folder: Path, title: str, date: str) -> None:
    import bagit

    bagit.make_bag(
        str(folder), {"External-Description": title, "Bagging-Date": date}, checksums=["sha256"]
    )


def _zip(folder: Path, path: Path, top: str) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for file in sorted(p for p in folder.rglob("*") if p.is_file()):
            entry = zipfile.ZipInfo(f"{top}/{file.relative_to(folder).as_posix()}", _NO_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            with file.open("rb") as stream, packed.open(entry, "w", force_zip64=True) as goal:
                shutil.copyfileobj(stream, goal, 1 << 22)
