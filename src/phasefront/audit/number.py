"""Follow one number of an output to where the same value first stands.

Outputs pass values on to the last bit, and a value of six digits or more hardly stands in two
places by chance. Equal values are evidence of where a number is from, no proof.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from phasefront.audit.explain import explain, listed
from phasefront.core.errors import InputError
from phasefront.records import chain
from phasefront.records.chain import Records

if TYPE_CHECKING:
    import numpy as np

    # From an array of numbers to a mask of those that are sought.
    Test = Callable[[np.ndarray], np.ndarray]

KINDS = (".csv", ".json", ".nc")
HANDFUL = 5  # places of one value that are shown
TELLING = 6  # significant digits from which an equal value is no chance
_TYPED = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")


@dataclass(frozen=True)
class Place:
    """A number in an output: the file, where in it, and the value."""

    path: str
    where: str
    value: float

    @property
    def telling(self) -> bool:
        """Whether an equal value elsewhere is no chance."""
        return len(Decimal(repr(self.value)).normalize().as_tuple().digits) >= TELLING


@dataclass(frozen=True)
class Trace:
    """A number in an output, and all places before it, downstream first, where its value stands.

    `ends` are the outputs among them in whose inputs it does not stand.
    """

    place: Place
    before: tuple[Place, ...]
    ends: tuple[str, ...]


@dataclass(frozen=True)
class Found:
    """What `trace` finds: records of the output's ancestry, and the first few of all its places."""

    number: str
    path: str
    records: Records
    traces: tuple[Trace, ...]
    count: int

    @property
    def ends(self) -> list[str]:
        """Outputs in which the number first stands."""
        return list(dict.fromkeys(end for trace in self.traces for end in trace.ends))

    def narrowed(self) -> Records:
        """Records of what the number goes back to, and of the outputs that it passes through.

        The latter are left with those inputs only that belong here.
        """
        whole = {path for end in self.ends for path in self.records.ancestors(end).by_path}
        passed = {place.path for trace in self.traces for place in (trace.place, *trace.before)}
        kept = {}
        for path, record in self.records.by_path.items():
            if path in whole:
                kept[path] = record
            elif path in passed:
                inputs = [e for e in record.made.inputs if e.path in whole | passed]
                made = record.made.model_copy(update={"inputs": inputs})
                kept[path] = record.model_copy(update={"made": made})
        return Records(self.records.root, kept)


def trace(path: str | Path, number: str) -> Found:
    """Find a number in an output, and its value in what the output was made of.

    Parameters
    ----------
    path
        An output with a record: csv, json or netCDF.
    number
        As it is printed: every value matches that reads so when rounded to its digits.

    Raises
    ------
    InputError
        `number` is none, the file is of another kind or does not hold it (a table may print it
        rounded, with its error); a record is missing or damaged.
    """
    reads_so = rounded(number)
    root, record = chain.locate(path)
    name = record.made.output.path
    followed = Path(name).suffix in KINDS
    places = list(find(root / name, name, reads_so)) if followed else []
    if not places:
        raise InputError(
            path,
            f"no number in it reads {number}"
            if followed
            else "numbers are not followed from a file of this kind",
            remedy=_elsewhere(root, record.made.outputs.values(), reads_so),
        )
    # What is the number to the last digit comes first.
    places.sort(key=lambda place: place.value != float(_decimal(number)))
    records = chain.collect(path).ancestors(name)
    traces = tuple(_follow(place, records) for place in places[:HANDFUL])
    return Found(number, name, records, traces, len(places))


def _elsewhere(root: Path, outputs: Iterable[str], reads_so: Test) -> str:
    """What to do about a file without the number: one of its step may hold what it rounds."""
    holding = [
        name
        for name in outputs
        if Path(name).suffix in KINDS
        and (root / name).is_file()
        and next(find(root / name, name, reads_so), None)
    ]
    if holding:
        return f"name {listed(holding, 'or')}, where the same step wrote it in full"
    return f"name a file such as summary.json ({listed(KINDS, 'or')}), with digits that it shows"


def rounded(number: str) -> Test:
    """Test of an array for values that, rounded to the digits of `number`, read so.

    Knows 0.49, 1.2e-3 and the minus of typesetting; a half goes either way. Raises InputError.
    """
    written = _decimal(number)
    half = float(Decimal((0, (5,), written.as_tuple().exponent - 1)))

    def test(array: np.ndarray) -> np.ndarray:
        import numpy as np

        array = np.asarray(array, float)
        # Differences of decimal fractions are off by some units of their last binary digit.
        return np.abs(array - float(written)) <= half + 4 * np.spacing(np.abs(array) + half)

    return test


def _decimal(number: str) -> Decimal:
    plain = number.strip().replace("\N{MINUS SIGN}", "-")
    if not _TYPED.fullmatch(plain):
        raise InputError(
            "--number", f"{number!r} is not a number", remedy="give one such as 0.49 or 1.2e-3"
        )
    return Decimal(plain)


def _follow(origin: Place, records: Records) -> Trace:
    before: dict[Place, None] = {}
    ends: list[str] = []
    waiting = [origin]
    while waiting:
        place = waiting.pop()
        sources = list(_sources(place, records)) if place.telling else []
        if not sources:
            ends.append(place.path)
        waiting += [source for source in sources if source not in before]
        before |= dict.fromkeys(sources)
    order = {path: -index for index, path in enumerate(records.by_path)}
    ordered = sorted(before, key=lambda place: order[place.path])
    return Trace(origin, tuple(ordered), tuple(dict.fromkeys(ends)))


def _sources(place: Place, records: Records) -> Iterator[Place]:
    """Places in the inputs of an output that hold a place's value, a handful of each file."""
    for entry in records.by_path[place.path].made.inputs:
        file = records.root / entry.path
        if entry.path in records.by_path and file.suffix in KINDS and file.is_file():
            # NumPy would round the value to an array of single precision, where many are equal.
            same = find(file, entry.path, lambda array: array.astype(float) == place.value)
            yield from itertools.islice(same, HANDFUL)


def find(file: Path, path: str, test: Test) -> Iterator[Place]:
    """Places in a file whose values pass a test; raises InputError where it cannot be read."""
    reader = {".csv": _in_csv, ".json": _in_json, ".nc": _in_netcdf}[file.suffix]
    try:
        yield from (Place(path, where, value) for where, value in reader(file, test))
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(file, f"cannot be read ({error})", remedy="make it again") from error


def _in_netcdf(file: Path, test: Test) -> Iterator[tuple[str, float]]:
    import numpy as np
    import xarray as xr

    with xr.open_dataset(
        file, engine="netcdf4", decode_times=False, mask_and_scale=False, cache=False
    ) as dataset:
        for name in dataset.variables:
            array = dataset[name].to_numpy()
            if array.dtype.kind not in "iuf":
                continue
            for at in np.argwhere(np.atleast_1d(test(array)))[:, : array.ndim]:
                labels = [
                    f"{dim} {dataset[dim].values[i] if dim in dataset.variables else i}"
                    for dim, i in zip(dataset[name].dims, at, strict=True)
                ]
                where = f"{name}[{', '.join(labels)}]" if labels else name
                yield where, float(array[tuple(at)])


def _in_json(file: Path, test: Test) -> Iterator[tuple[str, float]]:
    import json

    import numpy as np

    for where, value in _numbers(json.loads(file.read_text(encoding="utf-8"))):
        if test(np.array(value, float)):
            yield " / ".join(where), float(value)


def _numbers(value: object, *where: str) -> Iterator[tuple[tuple[str, ...], float]]:
    """Numbers in JSON by the keys above them; an item of a list by its first text, or counted."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _numbers(part, *where, key)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            texts = item.values() if isinstance(item, dict) else ()
            label = next((text for text in texts if isinstance(text, str)), str(index))
            yield from _numbers(item, *where, label)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield where, value


def _in_csv(file: Path, test: Test) -> Iterator[tuple[str, float]]:
    import numpy as np
    import pandas as pd

    table = pd.read_csv(file)
    words = table.select_dtypes(exclude="number")
    for column in table.select_dtypes("number"):
        values = table[column].to_numpy()
        for row in np.flatnonzero(test(values)):
            labels = [str(text) for text in words.iloc[row] if not pd.isna(text)]
            yield f"row {', '.join(labels) or row + 1}; column {column}", float(values[row])


def describe(found: Found) -> str:
    """Every place and its chain in words, then the ancestry of what the chains end in."""
    folder = re.match(r"results/[^/]+/", found.path)
    lines = []
    for traced in found.traces:
        lines.append(f"{found.path}: {traced.place.where} = {traced.place.value!r}")
        for place in traced.before:
            path = place.path.removeprefix(folder[0]) if folder else place.path
            made = found.records.by_path[place.path].made
            first = f", made there by {made.rule}" if place.path in traced.ends else ""
            lines.append(f"  = {path}: {place.where}{first}")
        if not traced.place.telling:
            lines.append(
                "  So short a value stands in many places and is not followed: what comes next is"
                " of this file."
            )
        elif not traced.before:
            lines.append(f"  made there: it stands in no input of the step ({listed(KINDS)}).")
    if found.count > len(found.traces):
        rest = found.count - len(found.traces)
        lines.append(
            f"{rest} more of its numbers read {found.number}: more digits tell them apart."
        )
    texts = ["\n".join(lines) + "\n"]
    texts += [explain(found.records.ancestors(end)) for end in found.ends]
    return "\n".join(texts)
