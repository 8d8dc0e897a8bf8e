"""The ancestry of an output as a picture: files in columns, each to the right of its sources."""

from __future__ import annotations

import os
from html import escape
from pathlib import Path

from phasefront.core.errors import InputError
from phasefront.records.chain import Records

_CHARACTER, _LINE = 6.6, 14  # px, of the font below
_ROW, _GAP, _MARGIN = 44, 70, 20  # px, by eye
_RAW, _MADE, _LAST = "#f4e3c1", "#dce9f5", "#cfe8cf"


def write_graph(records: Records, path: Path) -> None:
    """`draw_graph` as a file, which is replaced whole or not at all.

    Raises InputError where it cannot be written.
    """
    text = draw_graph(records)
    target = path.resolve()
    # What is there and no file, a terminal or a pipe, is written to and stays what it is.
    part = target if target.exists() and not target.is_file() else None
    part = part or target.with_name(f".part-{os.getpid()}-{target.name}")
    try:
        try:
            part.write_text(text, encoding="utf-8")
            if part != target:
                part.replace(target)
        finally:
            if part != target:
                part.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(
            path, f"the graph cannot be written ({os.strerror(error.errno).lower()})",
            remedy="name a file in a folder that is there and can be written to",
        ) from error  # fmt: skip


def draw_graph(records: Records) -> str:
    """SVG text of a graph; the same records give the same text.

    A box a file: its name and the rule that made it. Full paths and digests show on hovering.
    """
    columns = _columns(records)
    labels = {path: _label(path, records) for column in columns for path in column}
    widths = [
        max(len(line) for path in column for line in labels[path]) * _CHARACTER + 16
        for column in columns
    ]
    tallest = max(map(len, columns))
    boxes: dict[str, tuple[float, float, float]] = {}
    left = float(_MARGIN)
    for column, width in zip(columns, widths, strict=True):
        top = _MARGIN + (tallest - len(column)) * _ROW / 2
        for row, path in enumerate(column):
            boxes[path] = (left, top + row * _ROW, width)
        left += width + _GAP
    total_width, total_height = left - _GAP + _MARGIN, 2 * _MARGIN + tallest * _ROW
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{total_width:.0f}"'
        f' height="{total_height:.0f}" font-family="monospace" font-size="11">',
        '<rect width="100%" height="100%" fill="white"/>',
        *_edges(records, boxes),
        *_boxes(records, boxes, labels),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _columns(records: Records) -> list[list[str]]:
    """Files by how many steps the raw ones are away, each column by rule and name."""
    depth = dict.fromkeys(sorted(records.raw_files()), 0)
    for path, record in records.by_path.items():  # every output comes after its inputs
        depth[path] = 1 + max((depth[entry.path] for entry in record.made.inputs), default=-1)
    columns: list[list[str]] = [[] for _ in range(max(depth.values()) + 1)]
    for path, column in depth.items():
        columns[column].append(path)
    return [sorted(column, key=lambda path: (_rule(path, records), path)) for column in columns]


def _rule(path: str, records: Records) -> str:
    return records.by_path[path].made.rule if path in records.by_path else ""


def _label(path: str, records: Records) -> tuple[str, str]:
    parts = path.split("/")
    name = "/".join(parts[2:]) if parts[0] == "results" and len(parts) > 2 else "/".join(parts[-2:])
    return name, _rule(path, records) or "no step made it"


def _edges(records: Records, boxes: dict[str, tuple[float, float, float]]) -> list[str]:
    lines = []
    for path, record in records.by_path.items():
        for source in sorted({entry.path for entry in record.made.inputs}):
            x, y, width = boxes[source]
            start, end = x + width, boxes[path][0]
            height, middle = y + _LINE + 2, (start + end) / 2
            target = boxes[path][1] + _LINE + 2
            opacity = 0.8 if end - start < 2 * _GAP else 0.25  # long ones run behind other boxes
            lines.append(
                f'<path d="M{start:.1f} {height:.1f} C{middle:.1f} {height:.1f} {middle:.1f}'
                f' {target:.1f} {end:.1f} {target:.1f}" fill="none" stroke="#888"'
                f' stroke-opacity="{opacity}"/>'
            )
    return lines


def _boxes(records: Records, boxes, labels) -> list[str]:
    *_, last = records.by_path
    raw = records.raw_files()
    parts = []
    for path, (x, y, width) in boxes.items():
        colour = _RAW if path in raw else _LAST if path == last else _MADE
        entry = raw[path] if path in raw else records.by_path[path].made.output
        parts.append(
            f"<g><title>{escape(path)}, SHA-256 {entry.sha256}</title>"
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{2 * _LINE + 4}"'
            f' rx="4" fill="{colour}" stroke="#555"/>'
        )
        for line, (text, fill) in enumerate(zip(labels[path], ("black", "#666"), strict=True)):
            parts.append(
                f'<text x="{x + 8:.1f}" y="{y + _LINE * (line + 1) - 1:.1f}" fill="{fill}"'
                f' textLength="{len(text) * _CHARACTER:.1f}">{escape(text)}</text>'
            )
        parts.append("</g>")
    return parts
