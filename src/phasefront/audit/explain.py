"""Say in words what an output was made of: raw files, steps, settings, code, and where."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable
from pathlib import Path

from phasefront.records import chain
from phasefront.records.chain import Records
from phasefront.records.record import Record

_WIDTH = 100  # characters of a line


def ancestry(path: str | Path) -> Records:
    """Records of an output and of all it was made of, the raw files' side first.

    Raises InputError where one of them is missing or damaged.
    """
    _, found = chain.locate(path)
    return chain.collect(path).ancestors(found.made.output.path)


def explain(records: Records) -> str:
    """The ancestry of an output, the last of `records`, in words."""
    *_, last = records.by_path.values()
    made, run = last.made, last.run
    lines = [
        made.output.path,
        f"  {_bytes(made.output.size)}, SHA-256 {_short(made.output.sha256)}, record"
        f" {_short(last.id)}",
        f"  made by {made.rule}, {run.started[:16].replace('T', ' ')} UTC,"
        f" in {run.wall_seconds:.1f} s",
        "",
        *_raw_files(records),
        "",
        *_steps(records),
        "",
        *_settings(records),
        "",
        *_circumstances(records),
    ]
    return "\n".join(lines) + "\n"


def _raw_files(records: Records) -> list[str]:
    files = sorted(records.raw_files().values(), key=lambda entry: entry.path)
    if not files:
        return ["It goes back to no file; it was made from settings alone."]
    lines = [f"It goes back to {_count(len(files), 'file')} that no step made:"]
    for entry in files:
        said = f"{entry.path} ({entry.role}), {_bytes(entry.size)}, SHA-256 {_short(entry.sha256)}"
        lines.append(f"  {said}")
    return lines


def _steps(records: Records) -> list[str]:
    """A sentence a rule: how often, for what, from what."""
    groups: dict[str, list[Record]] = {}
    for record in records.by_path.values():
        groups.setdefault(record.made.rule, []).append(record)
    lines = [f"through {_count(len(groups), 'step')}:"]
    for number, (rule, members) in enumerate(groups.items(), start=1):
        # In order of the wildcards, so that the first seed is that of the first scan.
        members.sort(key=lambda record: sorted(record.run.wildcards.items()))
        jobs = {tuple(record.made.command): record for record in members}
        times = f", {len(jobs)} times" if len(jobs) > 1 else ""
        wildcards = [
            f"{name} {listed(values)}"
            for name, values in _values(record.run.wildcards for record in jobs.values()).items()
            if any(values)
        ]
        of = f" ({'; '.join(wildcards)})" if wildcards else ""
        sources = _sources(records, jobs.values())
        plain = _values(
            {k: v for k, v in record.made.parameters.items() if not isinstance(v, dict | list)}
            for record in jobs.values()
        )
        given = [f"{name} {listed(map(str, values))}" for name, values in plain.items()]
        seconds = sum(record.run.wall_seconds for record in jobs.values())
        sentence = f"{number}. {rule}{times}{of}: from {'; '.join(sources) or 'settings alone'}"
        sentence += f"; with {', '.join(given)}" if given else ""
        lines += _wrapped(f"{sentence}; {seconds:.1f} s.", "  ", "     ")
    return lines


def _sources(records: Records, jobs: Iterable[Record]) -> list[str]:
    """Where the inputs of a rule come from: names of raw files, and rules before it."""
    found: dict[str, dict[str, None]] = {}
    for record in jobs:
        for entry in record.made.inputs:
            before = records.by_path.get(entry.path)
            source = Path(entry.path).name if before is None else f"of {before.made.rule}"
            found.setdefault(entry.role, {})[source] = None
    return [f"{role} {listed(sources)}" for role, sources in found.items()]


def _settings(records: Records) -> list[str]:
    """Every distinct section of settings once, with the rules that were given it."""
    found: dict[tuple[str, str], dict[str, None]] = {}
    for record in records.by_path.values():
        for name, value in record.made.parameters.items():
            if isinstance(value, dict | list):
                text = json.dumps(value, sort_keys=True, ensure_ascii=False)
                found.setdefault((name, text), {})[record.made.rule] = None
    if not found:
        return ["It depends on no settings."]
    lines = ["Settings:"]
    for (name, text), rules in found.items():
        lines += _wrapped(f"{name} of {listed(rules)}: {text}", "  ", "     ")
    return lines


def _circumstances(records: Records) -> list[str]:
    """Code, versions, machine and people."""
    every = list(records.by_path.values())
    code = {(entry.path, entry.sha256) for record in every for entry in record.made.code}
    paths = {path for path, _ in code}
    lines = [f"Code: {_count(len(paths), 'file')} of the project"]
    if len(code) > len(paths):
        lines[0] += f", {len(code) - len(paths)} of them changed between steps"
    commits = {}
    for record in every:
        state = record.run.repository
        commits[
            "no known commit"
            if state is None
            else f"commit {state.commit[:12]}"
            + (f" with changes {_short(state.diff_sha256)}" if state.dirty else "")
        ] = None
    lines[0] += f"; {listed(commits)}."
    locks = {record.made.lock.sha256 for record in every if record.made.lock}
    lines.append(f"Lock file: {listed(map(_short, sorted(locks))) or 'none'}.")
    pythons = {
        f"{record.run.interpreter.implementation} {record.run.interpreter.version}"
        for record in every
    }
    versions = {item for record in every for item in record.run.packages.items()}
    shown = [f"{name} {version}" for name, version in sorted(versions, key=_by_name)]
    lines += _wrapped(f"Run by {listed(sorted(pythons))} with {', '.join(shown)}.", "", "  ")
    machines = {
        " ".join(filter(None, (record.run.machine.host, record.run.machine.platform)))
        for record in every
    }
    lines += _wrapped(f"On {listed(sorted(machines))}.", "", "  ")
    people = {
        person.name + (f" (ORCID {person.orcid})" if person.orcid else "")
        for record in every
        for person in record.run.people
    }
    if people:
        lines.append(f"By {listed(sorted(people))}.")
    return lines


def _values(mappings: Iterable[dict]) -> dict[str, list]:
    """Distinct values of each key, in order."""
    found: dict[str, dict] = {}
    for mapping in mappings:
        for name, value in mapping.items():
            found.setdefault(name, {})[value] = None
    return {name: list(values) for name, values in found.items()}


def _by_name(item: tuple[str, str]) -> tuple[str, str]:
    return item[0].lower(), item[1]


def _wrapped(text: str, first: str, others: str) -> list[str]:
    return textwrap.wrap(
        text, _WIDTH, initial_indent=first, subsequent_indent=others, break_on_hyphens=False,
        break_long_words=False,
    )  # fmt: skip


def listed(items: Iterable[str], word: str = "and") -> str:
    """One, several: `a`, `a and b`, `a, b and c`."""
    *most, last = list(items) or [""]
    return f"{', '.join(most)} {word} {last}" if most else last


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _bytes(size: int) -> str:
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} GB"


def _short(digest: str) -> str:
    return digest[:12]
