"""How every script runs: arguments in, outputs and their records out, or one sentence and exit 2.

A script declares its inputs, outputs and settings, and hands `Job.run` a function of the parsed
arguments. Outputs are written under temporary names and renamed only when all of them, and their
records, are complete; inputs and code are hashed before the work and again after it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from phasefront.core.errors import InputError, blaming_the_disk
from phasefront.records import code, digests, record
from phasefront.records.context import FileDigest


class Job:
    """The command line of one script, and the record of what it makes.

    Parameters
    ----------
    description
        First line of the script's docstring is shown by ``--help``.
    """

    def __init__(self, description: str):
        self._parser = argparse.ArgumentParser(description=description.strip().splitlines()[0])
        self._inputs: list[str] = []
        self._outputs: list[str] = []
        self._parameters: list[str] = []
        self._settings: dict[str, TypeAdapter] = {}

    def input(self, name: str, help: str, *, many: bool = False) -> Job:
        """An input file ``--name``; with `many` any number of them, none included."""
        self._parser.add_argument(
            f"--{name}",
            type=Path,
            help=help,
            required=not many,
            **({"nargs": "*", "default": []} if many else {}),
        )
        self._inputs.append(name)
        return self

    def output(self, name: str, help: str) -> Job:
        """An output file ``--name``; the script's function gets a temporary path to write to."""
        self._parser.add_argument(f"--{name}", type=Path, help=help, required=True)
        self._outputs.append(name)
        return self

    def settings(self, name: str, kind: type, *, default: str | None = None) -> Job:
        """The config's ``name``, a section or a part, as JSON text; the function gets it parsed.

        `kind` is a pydantic model, or any type that pydantic can check, such as list[str].
        """
        self._parser.add_argument(
            f"--{name}", help=f"the config's {name.replace('-', ' ')}, as JSON",
            required=default is None, default=default,
        )  # fmt: skip
        self._settings[name] = TypeAdapter(kind)
        return self

    def parameter(self, name: str, help: str, **options) -> Job:
        """A plain value ``--name`` that the record lists by name."""
        self._parser.add_argument(f"--{name}", help=help, **options)
        self._parameters.append(name)
        return self

    def run(self, work: Callable[[argparse.Namespace], None]) -> None:
        """Do the work and leave the process: 0 done, 2 bad input, anything else a bug."""
        arguments = self._parser.parse_args()
        try:
            with blaming_the_disk(vars(arguments)[_key(self._outputs[0])]):
                self._run(work, arguments)
        except InputError as error:
            with suppress(OSError):  # the log may lie on the disk that is full
                print(error, file=sys.stderr)
            sys.exit(2)

    def _run(self, work: Callable[[argparse.Namespace], None], arguments) -> None:
        started = datetime.now(UTC)
        values = vars(arguments)
        inputs = {name: _as_list(values[_key(name)]) for name in self._inputs}
        for name, paths in inputs.items():
            for path in paths:
                if not path.exists():
                    raise InputError(
                        path, "there is no such file", remedy=f"check the path given as {name}"
                    )
        parameters = {name: values[_key(name)] for name in self._parameters}
        for name, adapter in self._settings.items():
            parsed = self._parse_settings(name, adapter, values[_key(name)])
            values[_key(name)] = parsed
            parameters[name] = adapter.dump_python(parsed, mode="json")
        watched = [
            (name, digests.Watch(file))
            for name in sorted(inputs)
            for path in inputs[name]
            for file in digests.with_companions(path)
        ]
        code_before = _describe_code()

        finals = {name: values[_key(name)] for name in self._outputs}
        parts, record_parts = {}, {}
        for name, final in finals.items():
            parts[name] = _prepare(final)
            record_parts[name] = _prepare(record.record_path(final))
            values[_key(name)] = parts[name]
        try:
            before_work = time.perf_counter()
            with blaming_the_disk(finals[self._outputs[0]]):  # while its parts still fill it
                work(arguments)
            work_seconds = time.perf_counter() - before_work
            used = [
                record.describe_input(name, watch.path, watch.finish()) for name, watch in watched
            ]
            if _describe_code() != code_before:
                raise InputError(
                    sys.argv[0], "project code changed while it was running", remedy="run again"
                )
            outputs = [record.describe_output(name, finals[name], parts[name]) for name in finals]
            run = record.describe_run(
                started, script=sys.argv[0], work_seconds=work_seconds, outputs=outputs
            )
            code_used = _with_unforeseen(code_before)
            records = {
                output.name: record.compose(
                    script=sys.argv[0],
                    output=output,
                    outputs={one.name: one.path for one in outputs},
                    inputs=used,
                    code=code_used,
                    command=_command(),
                    parameters=parameters,
                    run=run,
                )
                for output in outputs
            }
            for name in finals:
                record.write(records[name], record_parts[name])
            # The record goes last: an output with a fresh record is complete.
            for name, final in finals.items():
                record.record_path(final).unlink(missing_ok=True)
                parts[name].replace(final)
                record_parts[name].replace(record.record_path(final))
        finally:
            for part in (*parts.values(), *record_parts.values()):
                part.unlink(missing_ok=True)

    @staticmethod
    def _parse_settings(name: str, adapter: TypeAdapter, text: str) -> object:
        try:
            return adapter.validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            raise InputError(
                f"--{name}",
                first["msg"],
                field=".".join(map(str, first["loc"])) or None,
                remedy=f"give the {name} section of a config as JSON",
            ) from None


def _prepare(final: Path) -> Path:
    """The temporary name of a file to write, in a folder that is there and can be written to."""
    final.parent.mkdir(parents=True, exist_ok=True)
    # Found out before hours of work. What is renamed to a device, or a folder, would replace it.
    if final.exists() and not final.is_file():
        raise InputError(final, "is there and is no file", remedy="name another output")
    if not os.access(final.parent, os.W_OK):
        raise InputError(
            final.parent, "cannot be written to", remedy="allow it, or name another folder"
        )
    for left_by_a_kill in final.parent.glob(f".part-*-{final.name}"):
        if left_by_a_kill.is_dir():
            shutil.rmtree(left_by_a_kill)
        else:
            left_by_a_kill.unlink()
    # The suffix stays last: writers choose their format by it.
    return final.with_name(f".part-{os.getpid()}-{final.name}")


def _key(name: str) -> str:
    return name.replace("-", "_")


def _as_list(value) -> list[Path]:
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]


def _describe_code() -> list[FileDigest]:
    return record.describe_files(code.closure(sys.argv[0]))


def _with_unforeseen(foreseen: list[FileDigest]) -> list[FileDigest]:
    """The code with modules that were imported, but that no import of the project's names."""
    known = {entry.path for entry in foreseen}
    more = record.describe_files(code.imported_from_elsewhere())
    return [*foreseen, *(entry for entry in more if entry.path not in known)]


def _command() -> list[str]:
    """The command with paths as the record shows them, so that it reads the same in any folder."""
    return ["python", record.shown(sys.argv[0]), *map(_shown_argument, sys.argv[1:])]


def _shown_argument(text: str) -> str:
    return record.shown(text) if text.startswith("/") else text
