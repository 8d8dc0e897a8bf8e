"""Scripts of a page that hold text of people: none of it may end a script, or begin one."""

from __future__ import annotations

import json
import re

_DATA = re.compile(r"<script id=[\"'][\w-]+[\"']>\s*var \w+ = ")


def with_inert_data(page: str) -> str:
    r"""The HTML of Snakemake's report with its data as JSON that no HTML can be found in.

    Snakemake writes `<script id="..."> var name = JSON;`, where a `</script>` in a title or label
    would end the script. JSON may write `<` as `\u003c` in strings, the only place it can stand.
    """
    decoder = json.JSONDecoder()
    parts, done = [], 0
    while found := _DATA.search(page, done):
        start = found.end()
        try:
            _, end = decoder.raw_decode(page, start)
        except ValueError:  # plain JavaScript, of Snakemake's own
            end = start
        parts += [page[done:start], page[start:end].replace("<", r"\u003c")]
        done = end
    return "".join([*parts, page[done:]])
