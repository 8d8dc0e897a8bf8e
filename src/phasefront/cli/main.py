"""phasefront: run an experiment, fetch its public files, check its inputs, verify its records."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from phasefront.cli import running
from phasefront.cli.fork_server import forking_python
from phasefront.cli.report import Report
from phasefront.core.errors import InputError, blaming_the_disk

SCHEMAS = Path("workflow/schemas")


def main() -> None:
    """The command line. Leaves with 0, 2 for bad input, 130 for Ctrl-C, or as a failed run did.

    `view` ends by Ctrl-C, with 0.
    """
    parser = argparse.ArgumentParser(prog="phasefront", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = _command(commands, new, "begin an experiment: a config and tables from your files")
    command.add_argument("run", metavar="NAME", help="its name: writes config/NAME.yaml")
    _add_files(command)
    command.add_argument("--voltage", type=float, metavar="KV", help="acceleration voltage, kV")
    command.add_argument(
        "--precession", type=float, metavar="DEGREES", help="precession semi-angle; 0 for none"
    )
    command.add_argument("--ion", metavar="ELEMENT", help="element that moves, such as Li")
    command = _command(commands, run, "fetch, check, then run an experiment to its report")
    _add_configs(command)
    command.add_argument("--cores", type=int, default=os.cpu_count())
    command = _command(commands, fetch, "download the public files an experiment names")
    _add_configs(command)
    command = _command(commands, check, "check a config, its tables and every file they name")
    _add_configs(command)
    command = _command(commands, unlock, "free the folder after a run was killed")
    _add_configs(command)
    command = _command(
        commands, plan, "say beforehand what so many grains would tell of mechanisms"
    )
    command.add_argument(
        "config", type=Path, nargs="*", help="config files that name the phases; may be left out"
    )
    command.add_argument("--grains", type=int, required=True, metavar="N", help="in each state")
    command.add_argument(
        "--diameter", type=float, required=True, metavar="NM", help="of the grains, nm"
    )
    command.add_argument("--step", type=float, required=True, metavar="NM", help="of the scan, nm")
    command.add_argument(
        "--x", type=float, nargs="+", default=[], help="ion contents of the states"
    )
    command.add_argument(
        "--power", type=float, default=0.9, help="wanted probability of the right verdict"
    )
    command = _command(commands, view, "serve a run's explorer with every raw pattern")
    command.add_argument("run", help="folder of results, or the name of a run")
    command = _command(commands, verify, "hash a run, or an output, again and walk its records")
    command.add_argument("path", type=Path, help="folder of results, or one file in it")
    command = _command(commands, explain, "say what an output was made of, back to raw files")
    command.add_argument("path", type=Path, help="an output, such as a figure or summary.json")
    command.add_argument(
        "--number", metavar="N", help="follow one number of it, as printed (--number=-1.2e-3)"
    )
    command.add_argument("--graph", type=Path, metavar="FILE.svg", help="draw it, too")
    command = _command(commands, diff, "say which outputs of two runs differ, and why first")
    command.add_argument("first", help="folder of results, or the name of a run")
    command.add_argument("second", help="another")
    command = _command(commands, reproduce, "make one output again from its record and compare")
    command.add_argument("path", type=Path, help="an output")
    command = _command(commands, compile, "compile the numerical kernels ahead of the first run")
    command.add_argument("config", type=Path, help="an experiment with a virtual section")
    _command(commands, schema, f"write the JSON schemas of configs and records to {SCHEMAS}")

    arguments = vars(parser.parse_args())
    action = arguments.pop("action")
    try:
        sys.exit(action(**arguments))
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("Stopped; what is complete stays for the next run.", file=sys.stderr)
        sys.exit(130)


def _command(commands, action, help: str) -> argparse.ArgumentParser:
    command = commands.add_parser(action.__name__, help=help, description=help)
    command.set_defaults(action=action)
    return command


def _add_configs(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "config", type=Path, nargs="+", help="config files; later ones override earlier ones"
    )


def _add_files(command: argparse.ArgumentParser) -> None:
    for option, many, help in (
        ("--scan", "scans", "raw 4D-STEM scans, or py4DSTEM's lists of peaks"),
        ("--cif", "cifs", "candidate phases"),
        ("--log", "logs", "galvanostatic logs"),
        ("--powder", "patterns", "powder patterns"),
        ("--tomography", "tilts", "cells of tilt series: files of programs, or folders of them"),
    ):
        command.add_argument(
            option, dest=many, nargs="+", default=[], metavar="FILE", help=help,
            required=many == "cifs", action="extend",
        )  # fmt: skip


def new(**asked) -> int:
    """Write a first config and its tables, and say what of them no file tells."""
    from phasefront.experiment.load import TO_FILL_IN, validated
    from phasefront.starting.proposal import Request, propose
    from phasefront.starting.writing import write

    proposal = propose(validated(Request, asked, "phasefront new"))
    for path in write(proposal):
        print(f"Written: {path}")
    places = list(proposal.places())
    doubtful = [f"  {place}: {one.value:g}, {one.comment}" for place, one in places if one.doubtful]
    left = [f"  {place}: {one.comment}" for place, one in places if one.value == TO_FILL_IN]
    for heading, lines in (
        ("Taken from headers, which may have it wrong:", doubtful),
        (f"Still to fill in, where the files say {TO_FILL_IN}:", left),
    ):
        for line in [heading, *lines] if lines else []:
            print(line)
    print(f"Then: phasefront check {proposal.config_path}")
    return 0


def run(config: list[Path], cores: int) -> int:
    """Fetch, check, run every rule that has work to do, and make the report."""
    running.require_workflow()
    with running.waiting_snakemake() as snakemake:
        fetch(config)
        results = Path("results") / _inspected(config).experiment.run
        report = Report(config, results)
        with (
            forking_python() as python, blaming_the_disk(results),
            running.only_run(results) as transcript,
        ):  # fmt: skip
            report.part.unlink(missing_ok=True)
            status = running.run_workflow(
                config, snakemake, cores=cores, transcript=transcript, python=python,
                report=None if report.is_new() else report.part,
            )  # fmt: skip
            return status or report.finish()


def unlock(config: list[Path]) -> int:
    """Take away the lock that a killed run left; what it finished stays, the rest runs again."""
    from phasefront.experiment.load import load

    running.require_workflow()
    with running.only_run(Path("results") / load(*config).run):
        return subprocess.run(running.snakemake(config, "--unlock", "--quiet", "all")).returncode


def fetch(config: list[Path]) -> int:
    """Download what is missing, and check the SHA-256 of what is there."""
    from phasefront.experiment.load import load

    downloads = load(*config).downloads
    if not downloads:
        return 0
    import pooch

    for item in downloads:
        path = Path(item.path)
        try:
            pooch.retrieve(
                item.url, f"sha256:{item.sha256}", fname=path.name, path=path.parent.resolve()
            )
        except ValueError as error:
            raise InputError(
                path, f"not the file it should be ({error})", remedy="delete it and fetch again"
            ) from None
        except OSError as error:
            raise InputError(
                path,
                f"cannot be fetched from {item.url} ({error})",
                remedy="check the network, or put the file there by hand",
            ) from None
    return 0


def check(config: list[Path]) -> int:
    """Open every file that a config and its tables name, and say in a line what each holds.

    Exit code 2 with a sentence for each file that cannot be used.
    """
    from phasefront.pairs.foresight import check_pairs

    plan = _inspected(config)
    for sentence in check_pairs(plan, thorough=True):
        print(sentence, flush=True)
    cells = f" {len(plan.cells)} cells," if len(plan.cells) else ""
    print(
        f"{plan.source}: {len(plan.cifs)} phases, {len(plan.scans)} scans, {len(plan.logs)} logs,"
        f" {len(plan.patterns)} powder patterns{_in_series(plan)},{cells}"
        f" {len(plan.sweep.variants) - 1} variants, nothing wrong."
    )
    return 0


def _in_series(plan) -> str:
    """Patterns of operando series, where there are any."""
    files = sum(len(plan.batches.files_of(batch)) for batch in plan.batches.names)
    return f", {files} more in {len(plan.batches.series)} series" if files else ""


def _inspected(config: list[Path]):
    """The plan of configs, all of whose files have been opened; prints what each holds."""
    from phasefront.cli.inspection import inspect
    from phasefront.experiment.plan import Plan
    from phasefront.records.sources import Sources

    plan = Plan.load(*config)
    wrong = []
    for found in inspect(plan):
        if isinstance(found, InputError):
            wrong.append(found)
        else:
            print(found, flush=True)
    for error in wrong[:-1]:
        print(error, file=sys.stderr)
    if wrong:
        raise wrong[-1]
    plan.check_files()
    Sources(Path("results") / plan.experiment.run).refuse_hidden_changes()
    return plan


def plan(**asked) -> int:
    """Print what grains yet to be scanned would tell of insertion mechanisms."""
    from phasefront.cli.plan import plan as foresee

    return foresee(**asked)


def view(run: str) -> int:
    """Serve a run's explorer to this machine alone, until Ctrl-C."""
    from phasefront.cli.view import view as serve

    return serve(run)


def verify(path: Path) -> int:
    """Exit code 0 when all records of a folder or an output hold, 1 with what is broken if not."""
    from phasefront.audit.verify import verify as verify_records

    report = verify_records(path)
    for line in report.notes:
        print(line)
    for number, line in enumerate(report.problems):
        print(line if number else f"First broken link: {line}", file=sys.stderr)
    print(f"{report.records} records, {len(report.problems)} problems")
    return 1 if report.problems else 0


def explain(path: Path, number: str | None, graph: Path | None) -> int:
    """Print the ancestry of an output, or of a number in it, in words, and draw its graph."""
    if number is None:
        from phasefront.audit.explain import ancestry
        from phasefront.audit.explain import explain as in_words

        records = ancestry(path)
        text = in_words(records)
    else:
        from phasefront.audit.number import describe, trace

        found = trace(path, number)
        records, text = found.narrowed(), describe(found)
    if graph is not None:
        from phasefront.audit.graph import write_graph

        write_graph(records, graph)
    print(text, end="")
    return 0


def diff(first: str, second: str) -> int:
    """Exit code 0 when all outputs are the same, 1 when not."""
    from phasefront.audit.diff import compare, describe

    comparison = compare(first, second)
    print(describe(comparison), end="")
    same = not (comparison.differences or comparison.only_first or comparison.only_second)
    return 0 if same else 1


def reproduce(path: Path) -> int:
    """Exit code 0 when the same bytes came out, 1 when not."""
    from phasefront.audit.reproduce import reproduce as make_again

    result = make_again(path)
    for sentence in result.sentences:
        print(sentence)
    return 0 if result.same else 1


def compile(config: Path) -> int:
    """Compile once what every run needs."""
    from phasefront.cli.compilation import compile_kernels

    compile_kernels(config)
    return 0


def schema() -> int:
    """Write the JSON schemas of a config and of a record."""
    from phasefront.experiment import config
    from phasefront.records import record

    SCHEMAS.mkdir(parents=True, exist_ok=True)
    for name, content in (("experiment", config.schema()), ("record", record.schema())):
        path = SCHEMAS / f"{name}.schema.json"
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return 0
