"""A proposed experiment as files: a config with comments, and tables; all of them, or none."""

from __future__ import annotations

import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

import yaml

from phasefront.core.errors import InputError, blaming_the_disk
from phasefront.experiment.load import TO_FILL_IN
from phasefront.starting.proposal import Proposal, Row
from phasefront.starting.statement import Statement

_WIDTH = 100  # characters of a line
_HEAD = f"""\
# Begun by `phasefront new` from the files that it was given. {TO_FILL_IN} stands where no file says
# what is true; `phasefront check` names what is left of it.
# Every key and what it means: workflow/schemas/experiment.schema.json
"""


def write(proposal: Proposal) -> list[Path]:
    """Write config and tables, and return their paths.

    Raises InputError where one of them, or another in their place, is there already, or a disk is
    in the way. Nothing is left then.
    """
    config, folder = proposal.config_path, proposal.folder
    for path in (config, folder):
        if path.exists() or path.is_symlink():
            raise InputError(
                path, "is there already, and is not written over",
                remedy="give the experiment another name, or move it away",
            )  # fmt: skip
    tables = {name: proposal.table_path(name) for name in proposal.tables}
    with blaming_the_disk(config):
        config.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".part-", dir=config.parent) as part:
            part_config, part_folder = Path(part) / config.name, Path(part) / folder.name
            part_config.write_text(config_text(proposal.config), encoding="utf-8")
            part_folder.mkdir()
            for name, path in tables.items():
                text = table_text(proposal.tables[name])
                (part_folder / path.name).write_text(text, encoding="utf-8")
            part_folder.rename(folder)
            part_config.rename(config)
    return [config, *tables.values()]


def config_text(config: Statement) -> str:
    """The config as YAML, comments included."""
    return _HEAD + "".join(f"{line}\n" for line in _section(config.value, ""))


def table_text(rows: list[Row]) -> str:
    """Rows separated by tabs, their comments above them; columns without any value left out."""
    columns = [name for name in rows[0] if any(row[name].value != "" for row in rows)]
    notes = dict.fromkeys(
        f"# {name}: {row[name].comment}" for name in columns for row in rows if row[name].comment
    )
    lines = [columns, *([str(row[name].value) for name in columns] for row in rows)]
    return "".join(f"{line}\n" for line in [*notes, *("\t".join(line) for line in lines)])


def _section(parts: dict[str, Statement], indent: str) -> Iterator[str]:
    for key, statement in parts.items():
        value, comment = statement.value, statement.comment
        if not isinstance(value, dict | list):
            yield f"{indent}{key}: {_scalar(value)}" + (f"  # {comment}" if comment else "")
            continue
        if not indent:
            yield ""
        start = f"{indent}# "
        yield from textwrap.wrap(comment, _WIDTH, initial_indent=start, subsequent_indent=start)
        yield f"{indent}{key}:"
        below = f"{indent}  "
        if isinstance(value, dict):
            yield from _section(value, below)
            continue
        for part in value:
            first, *others = _section(part.value, f"{below}  ")
            yield f"{below}- {first.strip()}"
            yield from others


def _scalar(value: object) -> str:
    """One line of YAML."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = yaml.safe_dump(value, allow_unicode=True, default_flow_style=True, width=float("inf"))
    return text.removesuffix("\n").removesuffix("\n...")
