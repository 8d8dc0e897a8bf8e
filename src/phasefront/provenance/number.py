"""Find a number in an output, and the same value in what the output was made of.

That a value stands in two files does not prove that one was copied to the other. So a value that
could recur by chance, a short one or one that is rounded, is followed only where names agree (of
the state, the scan, the phase, the column), and nothing more is said than where it stands.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cached_property
from pathlib import Path

from phasefront.errors import InputError
from phasefront.provenance import chain
from phasefront.provenance.chain import Records
from phasefront.provenance.explain import explain, listed
from phasefront.provenance.record import Record, record_path

HANDFUL = 5  # places that are shown of many
# Significant digits from which an equal value is no chance: of a number in binary, and of a text,
# which every value within half a unit of its last digit reads as.
_TELLING, _TELLING_TEXT = 6, 12
_RECURRING = 3  # with fewer digits (0, 1, 0.5), all names have to agree
_UNSIGNED = r"(?>\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)"
_TYPED = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
# Not x2.5, 4D, 1.2.3 or a=2; the sign is told from a hyphen in `_written`.
_IN_TEXT = re.compile(rf"(?<![\w.=]){_UNSIGNED}(?![A-Za-z_]|\.\d)")
_ERROR = re.compile(r"(?<=\d)\(\d+\)")
_BESIDE = ""  # instead of a role: what the same job wrote
_CONTEXT = 30  # characters of a text shown on both sides of a number

Names = frozenset[str]
Test = Callable  # from an array of numbers to a mask of those that are sought


@dataclass(frozen=True)
class Number:
    """A number as it is written: its last digit says how far it is rounded."""

    written: Decimal

    @classmethod
    def parse(cls, text: str) -> Number:
        """Of `0.49`, `1.2e-3`, `-3`, also with the minus of typesetting. ValueError for others."""
        plain = text.strip().replace("\N{MINUS SIGN}", "-")
        if not _TYPED.fullmatch(plain):
            raise ValueError(f"{text!r} is not a number")
        return cls(Decimal(plain))

    def reads(self, value: float) -> bool:
        """Whether a value, rounded to these digits, is this number; a half goes either way."""
        if not math.isfinite(value):
            return False
        return abs(_decimal(value) - self.written) <= self._half

    @property
    def digits(self) -> int:
        """Significant digits, without zeros in front."""
        return len(self.written.as_tuple().digits)

    @property
    def whole(self) -> bool:
        return self._exponent == 0

    @property
    def _exponent(self) -> int:
        return int(self.written.as_tuple().exponent)

    @property
    def _half(self) -> Decimal:
        return Decimal((0, (5,), self._exponent - 1))

    def read_in(self, array):
        """Mask of the values in an array that read as this number."""
        import numpy as np

        if array.dtype.kind == "f" and array.dtype.itemsize < 8:
            array = array.astype("f8")
        off, half = np.abs(array - float(self.written)), float(self._half)
        mask = off <= half
        blurred = 1e-9 * half + 4 * np.spacing(abs(float(self.written)) + half)
        for at in np.argwhere(np.abs(off - half) <= blurred):
            mask[tuple(at)] = self.reads(array[tuple(at)].item())
        return mask


@dataclass(frozen=True)
class Place:
    """A number in a file.

    `names` are all the names and words that stand with it. Each of `axes` holds the names of a row,
    a coordinate or a file that it has, and those that it could have had. One of many numbers that
    only an index tells apart is `numbered`. `written` is how a text has it, `variable` are the
    words in the name of a netCDF variable, and of `single` precision is what is stored so.
    """

    path: str
    where: str
    value: float
    names: Names = field(compare=False)
    axes: tuple[tuple[Names, Names], ...] = field(default=(), compare=False)
    numbered: bool = False
    written: Number | None = None
    variable: Names = frozenset()
    single: bool = False

    @property
    def sought(self) -> float | Number:
        return self.written or self.value

    @property
    def digits(self) -> int:
        """Significant digits: those of a text as they stand, else as few as give the value."""
        if self.written:
            return self.written.digits
        return len(_decimal(self.value).normalize().as_tuple().digits)

    @property
    def telling(self) -> bool:
        """Whether an equal value elsewhere is no chance."""
        return self.digits >= (_TELLING_TEXT if self.written else _TELLING)


@dataclass(frozen=True)
class Trace:
    """A number in an output, and where the same value stands before it, downstream first.

    `ends` are the places among all these that have none before them; `others` counts the places
    whose names agree less.
    """

    place: Place
    before: tuple[Place, ...]
    ends: tuple[Place, ...]
    others: int


@dataclass(frozen=True)
class Found:
    """What `trace` finds: the records, a few of the places and the number of all of them."""

    number: str
    path: str
    records: Records
    traces: tuple[Trace, ...]
    count: int
    absent: tuple[str, ...]

    @property
    def ends(self) -> list[str]:
        """Outputs in which the number first stands."""
        return list(dict.fromkeys(end.path for trace in self.traces for end in trace.ends))

    def narrowed(self) -> Records:
        """Records of what the number goes back to, and of the outputs that it passes through.

        The latter are left with those inputs only that belong here.
        """
        whole = {path for end in self.ends for path in self.records.ancestors(end).by_path}
        passed = {place.path for trace in self.traces for place in (trace.place, *trace.before)}
        kept: dict[str, Record] = {}
        for path, record in self.records.by_path.items():
            if path in whole:
                kept[path] = record
            elif path in passed:
                inputs = [e for e in record.made.inputs if e.path in whole | passed]
                made = record.made.model_copy(update={"inputs": inputs})
                kept[path] = record.model_copy(update={"made": made})
        # The picture ends at the output that was asked for.
        kept[self.path] = kept.pop(self.path)
        return Records(self.records.root, kept)


def trace(path: str | Path, number: str) -> Found:
    """Find a number in an output and follow its value upstream.

    Parameters
    ----------
    path
        An output with a record.
    number
        As a paper prints it: every value matches that reads so when rounded to its digits.

    Raises
    ------
    InputError
        `number` is none, the file is of no kind that numbers are read from, or does not hold it; a
        record is missing or damaged.
    """
    try:
        sought = Number.parse(number)
    except ValueError:
        raise InputError(
            "--number", f"{number!r} is not a number", remedy="give one such as 0.49 or 1.2e-3"
        ) from None
    root, record = chain.locate(path)
    name = record.made.output.path
    if Path(name).suffix.lower() not in _READERS:
        raise InputError(
            path, "numbers cannot be read from a file of this kind",
            remedy=f"name a file of the kinds {listed(sorted(KINDS))}",
        )  # fmt: skip
    if not (root / name).is_file():
        raise InputError(path, "there is no such file", remedy="make it again")
    found, count = find(root / name, name, sought, exact_first=sought.whole)
    if not found:
        raise InputError(
            path, f"no number in it reads {number}",
            remedy="give the digits that the file shows, or fewer",
        )  # fmt: skip
    search = _Search(chain.collect(path).ancestors(name))
    # What only an index tells apart comes last.
    found.sort(key=lambda place: place.numbered)
    traces = tuple(search.trace(place) for place in found[:HANDFUL])
    return Found(number, name, search.records, traces, count, tuple(search.absent))


def describe(found: Found) -> str:
    """Every place and its chain in words, then the ancestry of what the chains end in."""
    folder = re.match(r"results/[^/]+/", found.path)

    def short(path: str) -> str:
        return path.removeprefix(folder[0]) if folder else path

    lines = []
    for traced in found.traces:
        lines.append(f"{found.path}: {traced.place.where} = {_shown(traced.place)}")
        if traced.place in traced.ends:
            lines[-1] += f", {_made(found, traced.place)}"
        for place in traced.before:
            rounded = place.value != traced.place.value
            sign, value = ("≈", f" = {_shown(place)}") if rounded else ("=", "")
            lines.append(f"  {sign} {short(place.path)}: {place.where}{value}")
            if place in traced.ends:
                lines[-1] += f", {_made(found, place)}"
        if traced.others:
            count = f"{traced.others} other place{'s' * (traced.others > 1)}"
            lines.append(f"  (the value also stands in {count}, whose names agree less)")
        lines.append("")
    if found.count > len(found.traces):
        rest = found.count - len(found.traces)
        lines += [
            f"{rest} more of its numbers read {found.number}: more digits tell them apart.",
            "",
        ]
    lines.append(
        "=: the same value stands there; ≈: the same to the digits shown; made there: it stands"
    )
    lines.append(f"in no input of that step that was searched ({', '.join(sorted(KINDS))}).")
    if found.absent:
        lines.append(f"Not here, and not searched: {listed(found.absent)}.")
    texts = ["\n".join(lines) + "\n"]
    texts += [explain(found.records.ancestors(end)) for end in found.ends]
    return "\n".join(texts)


def _made(found: Found, place: Place) -> str:
    made = found.records.by_path[place.path].made
    said = f"made there by {made.rule}"
    settings = {
        setting.where: setting.where.split(" / ")[-1]
        for setting in _walk(made.parameters, "")
        if setting.value == place.value
    }
    known = [where for where, name in settings.items() if name in place.names]
    return f"{said}, whose settings hold it as {listed(known)}" if known else said


def _shown(place: Place) -> str:
    return str(place.written.written) if place.written else repr(place.value)


class _Search:
    """Follows values from output to output through records."""

    def __init__(self, records: Records):
        self.records = records
        self.absent: dict[str, None] = {}  # files that could not be searched
        self._found: dict[tuple, tuple[list[Place], int]] = {}

    def trace(self, origin: Place) -> Trace:
        before: dict[Place, None] = {}
        ends, others = [], 0
        waiting = [(origin, origin.names)]
        while waiting:
            place, below = waiting.pop()
            sources, rest = self._sources(place, below)
            others += rest
            if not sources:
                ends.append(place)
            for source in sources:
                if source not in before:
                    before[source] = None
                    waiting.append((source, below | source.names))
        order = list(self.records.by_path)
        ordered = sorted(before, key=lambda place: -order.index(place.path))
        return Trace(origin, tuple(ordered), tuple(ends), others)

    def _sources(self, place: Place, below: Names) -> tuple[list[Place], int]:
        """Places before this one that hold its value, and the number of others that do.

        `below` are the names that have stood with it so far.
        """
        record = self.records.by_path[place.path]
        below = self._with_companions(below, record)
        roles = _by_role(record)
        needed = []
        if place.digits < _RECURRING:
            # What names a role has ruled out the other roles already.
            axes = [own for own, every in place.axes if not every & roles.keys()]
            needed = [self._with_companions(own, record) for own in axes]
        if place.written and not place.telling:
            # The job that rounded a number may have written the whole of it, too.
            found = self._among(place, {_BESIDE: self._beside(record)}, below, needed)
            if found[0]:
                return found
        return self._among(place, _roles_named(place, roles), below, needed)

    def _among(
        self, place: Place, roles: dict[str, list[str]], below: Names, needed: list[Names]
    ) -> tuple[list[Place], int]:
        """The places in some files that agree best, a handful, and the number of the others."""
        found, total = [], 0
        for role, paths in roles.items():
            for path in paths:
                places, count = self._find(path, place)
                found += [(role, _in_role(one, role, paths)) for one in places]
                total += count
        if place.digits < _RECURRING:
            # What is a name in any of them has to be one in all that count.
            known = frozenset().union(*(every for _, one in found for _, every in one.axes))
            needed = [*needed, *map(_words, place.names & known)]
        rated: dict[str, list[tuple[tuple, Place]]] = {}
        for role, candidate in found:
            rating = _agreement(candidate, below)
            if rating is None or not _credible(place, candidate, rating[0], needed):
                continue
            # There is nothing that is not zero somewhere.
            if place.value or role == _BESIDE or candidate.variable & below:
                # Of a value that recurs, only those that agree best of all are taken.
                exact = place.telling and candidate.value == place.value
                group = role if place.telling else ""
                rated.setdefault(group, []).append(((exact, *rating), candidate))
        best = []
        for items in rated.values():
            top = max(rating for rating, _ in items)
            best += [candidate for rating, candidate in items if rating == top]
        return best[:HANDFUL], total - min(len(best), HANDFUL)

    def _find(self, path: str, place: Place) -> tuple[list[Place], int]:
        file = self.records.root / path
        if path not in self.records.by_path or file.suffix.lower() not in _READERS:
            return [], 0
        if not file.is_file():
            self.absent[path] = None
            return [], 0
        key = (path, place.sought)
        if key not in self._found:
            self._found[key] = find(file, path, place.sought, exact_first=place.digits < 2)
        return self._found[key]

    def _beside(self, record: Record) -> list[str]:
        """netCDF files that the same job wrote; their records are added to the others."""
        made, found = record.made, []
        inputs = {entry.path for entry in made.inputs}
        for path in made.command:
            file = self.records.root / path
            if path.endswith(".nc") and path not in inputs and record_path(file).is_file():
                added = chain.collect(file).ancestors(path).by_path
                if path in added and added[path].made.command == made.command:
                    self.records = Records(self.records.root, {**added, **self.records.by_path})
                    found.append(path)
        return found

    def _with_companions(self, names: Names, record: Record) -> Names:
        """With the names that settings give together with one of these, and with no other.

        So the name of a state brings its scans, and a phase's name in print the one in files. A
        role of the record's inputs goes together with the name of its one file.
        """
        roles = _by_role(record)
        of_roles = [frozenset((role, Path(f[0]).stem)) for role, f in roles.items() if len(f) == 1]
        added = set(names)
        for groups in (*self._companions, of_roles):
            for name in names:
                of_name = [group for group in groups if name in group]
                if len(of_name) == 1:
                    added |= of_name[0]
        return frozenset(added)

    @cached_property
    def _companions(self) -> list[list[Names]]:
        """Lists of several items in settings, each item as its names."""
        every = self.records.by_path.values()
        lists = [groups for one in every for groups in _lists_of_names(one.made.parameters)]
        return list({tuple(groups): groups for groups in lists}.values())


def _by_role(record: Record) -> dict[str, list[str]]:
    """Paths of a record's inputs."""
    roles: dict[str, list[str]] = {}
    for entry in record.made.inputs:
        roles.setdefault(entry.role, []).append(entry.path)
    return roles


def _lists_of_names(value: object) -> Iterator[list[Names]]:
    if isinstance(value, dict):
        for part in value.values():
            yield from _lists_of_names(part)
    elif isinstance(value, list):
        items = [item for item in value if isinstance(item, dict)]
        if len(items) > 1:
            yield [frozenset(_texts(item.values())) for item in items]
        for part in value:
            yield from _lists_of_names(part)


def _texts(values: Iterable) -> Iterator[str]:
    for value in values:
        if isinstance(value, str) and value:
            yield value
        elif isinstance(value, list):
            yield from _texts(value)


def _roles_named(place: Place, roles: dict[str, list[str]]) -> dict[str, list[str]]:
    """Without the roles that the place's own names rule out: of powder, not of charge."""
    own = frozenset().union(*(own for own, _ in place.axes))
    every = frozenset().union(*(every for _, every in place.axes))
    named = own & roles.keys() or roles.keys() - (every - own)
    return {role: paths for role, paths in roles.items() if role in named}


def _in_role(place: Place, role: str, files: list[str]) -> Place:
    """A place in an input with the names that tell the input from others of its role."""
    own, every = _file_names(place.path), [_file_names(path) for path in files]
    common = frozenset.intersection(*every)
    axis = (own - common, frozenset().union(*every) - common)
    names = place.names.union(_words(role), *map(_words, own))
    return replace(place, names=names, axes=(*place.axes, axis) if own - common else place.axes)


def _file_names(path: str) -> Names:
    """The file's own name, and what it varies of the settings as a sweep's table writes it."""
    file = Path(path)
    varied = [part.replace("__", ".").replace("~", "=") for part in file.parts if "~" in part]
    return frozenset((file.stem, *varied))


def _agreement(place: Place, below: Names) -> tuple[int, int] | None:
    """How many names a place shares with those below, and the fewer other words the better.

    None where it bears another name than one that stands below.
    """
    for own, every in place.axes:
        if every & below and not own & below:
            return None
    lowered = {name.lower() for name in below}
    others = [name for name in place.names if len(_words(name)) == 1 and name not in lowered]
    return len(place.names & below), -len(others)


def _credible(place: Place, before: Place, shared: int, needed: list[Names]) -> bool:
    """Whether an equal value is more than chance; `needed` are names of which it must bear one."""
    if place.telling and not (before.single and before.value != place.value):
        return True
    return shared > 0 and not before.numbered and all(before.names & names for names in needed)


def _words(text: str) -> Names:
    """A name, what blanks part in it, and the words in it without the s of a plural."""
    parts = re.split(r"[^0-9a-z.=]+", text.lower())
    return frozenset({text, *text.split(), *(re.sub("(?<!s)s$", "", p) for p in parts)} - {""})


def _decimal(value: float) -> Decimal:
    return Decimal(value) if isinstance(value, int) else Decimal(repr(float(value)))


def find(
    file: Path, path: str, sought: float | Number, *, exact_first: bool = False
) -> tuple[list[Place], int]:
    """Places in a file that hold a value, or read as a number; and how many there are.

    With `exact_first`, values that are rounded count only where the number itself does not stand.
    Of the values in one variable of a netCDF file the first few are returned.

    Raises InputError where the file cannot be read.
    """
    import numpy as np

    def is_equal(array):
        value = float(sought.written) if isinstance(sought, Number) else sought
        with np.errstate(over="ignore"):
            return array == (array.dtype.type(value) if array.dtype.kind == "f" else value)

    tests = [is_equal] if exact_first or not isinstance(sought, Number) else []
    if isinstance(sought, Number):
        tests.append(sought.read_in)
    for test in tests:
        try:
            found, count = _READERS[file.suffix.lower()](file, path, test)
        except InputError:
            raise
        except (OSError, RuntimeError, ValueError) as error:
            raise InputError(file, f"cannot be read ({error})", remedy="make it again") from error
        if found:
            break
    return found, count


def _among_all(places: Iterable[Place], test: Test) -> tuple[list[Place], int]:
    import numpy as np

    places = list(places)
    mask = test(np.array([place.value for place in places], float))
    found = [place for place, hit in zip(places, mask, strict=True) if hit]
    return found, len(found)


def _in_netcdf(file: Path, path: str, test: Test) -> tuple[list[Place], int]:
    import numpy as np
    import xarray as xr

    found, count = [], 0
    with xr.open_dataset(
        file, engine="netcdf4", decode_times=False, mask_and_scale=False, cache=False
    ) as dataset:
        # The attribute that names the file says what it is of: a scan, a log, a pattern.
        of_file = {key for key, text in dataset.attrs.items() if text == file.stem} | {file.stem}
        for name, value in dataset.attrs.items():
            array = np.asarray(value)
            if array.dtype.kind in "iuf" and array.ndim == 0 and test(array[None])[0]:
                names = _words(name) | of_file
                found.append(Place(path, f"attribute {name}", array.item(), names))
                count += 1
        labels = {
            dim: [str(text) for text in dataset[dim].to_numpy()]
            for dim in dataset.dims
            if dim in dataset.variables and dataset[dim].dtype.kind in "OUT"
        }
        for name in dataset.variables:
            variable = dataset[name]
            if variable.dtype.kind not in "iuf" or not variable.size:
                continue
            array, numbered = variable.to_numpy(), not labels.keys() >= set(variable.dims)
            mask = test(np.atleast_1d(array)).reshape(array.shape)
            count += int(mask.sum())
            for at in np.argwhere(mask)[: HANDFUL if numbered else None]:
                indices = dict(zip(variable.dims, at, strict=True))
                named = {dim: labels[dim][i] for dim, i in indices.items() if dim in labels}
                axes = [(frozenset([text]), frozenset(labels[d])) for d, text in named.items()]
                place = Place(
                    path, _coordinates(dataset, name, indices, named), array[tuple(at)].item(),
                    _words(name).union(of_file, *map(_words, named.values())),
                    tuple(axes), numbered, variable=_words(name), single=array.dtype == np.float32,
                )  # fmt: skip
                found.append(place)
    return found, count


def _coordinates(dataset, name: str, indices: Mapping, named: Mapping[str, str]) -> str:
    """A value of a variable by its coordinates, or by its index where there are none."""
    parts = []
    for dim, index in indices.items():
        label = named.get(dim, index)
        if dim not in named and dim in dataset.variables and dim != name:
            label = f"{dataset[dim].to_numpy()[index]:.9g}"
        parts.append(f"{dim} {label}")
    return f"{name}[{', '.join(parts)}]" if parts else name


def _in_json(file: Path, path: str, test: Test) -> tuple[list[Place], int]:
    import json

    return _among_all(_walk(json.loads(file.read_text(encoding="utf-8")), path), test)


def _walk(value: object, path: str) -> Iterator[Place]:
    """Numbers by the keys above them; items of a list by their name or first text, or counted."""

    def go(value, where: tuple[str, ...], names: Names, axes: tuple, numbered: bool):
        if isinstance(value, dict):
            for key, part in value.items():
                words = _words(key)
                if isinstance(part, list) and len(words) > 1:
                    words -= {key}  # `states` is the name of none of them
                yield from go(part, (*where, key), names | words, axes, numbered)
        elif isinstance(value, list):
            labels = [_label(item) for item in value]
            every = frozenset(label for label in labels if label)
            for index, (item, label) in enumerate(zip(value, labels, strict=True)):
                *above, last = where or ("",)
                place = (*above, f"{last} {index if label is None else label}".strip())
                if label is None:
                    yield from go(item, place, names, axes, True)
                else:
                    axis = (frozenset([label]), every)
                    yield from go(item, place, names | _words(label), (*axes, axis), numbered)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield Place(path, " / ".join(where), value, names, axes, numbered)

    yield from go(value, (), frozenset(), (), False)


def _label(item: object) -> str | None:
    """What an item of a list is called."""
    texts = (item.get("name"), *item.values()) if isinstance(item, Mapping) else ()
    return next((text for text in texts if isinstance(text, str) and text), None)


def _in_csv(file: Path, path: str, test: Test) -> tuple[list[Place], int]:
    import pandas as pd

    return _in_table(pd.read_csv(file, dtype=str, keep_default_na=False), path, test)


def _in_table(table, path: str, test: Test) -> tuple[list[Place], int]:
    """Of a table of texts, in which the columns of words left of a number name its row."""
    import numpy as np

    found, rows = [], []
    for column in table.columns:
        texts = [str(text) for text in table[column]]
        numbers = [(row, *one) for row, text in enumerate(texts) for one in _written(text)]
        if not numbers:
            rows.append((texts, frozenset(texts) - {""}))
            continue
        mask = test(np.array([float(number.written) for _, number, _, _ in numbers]))
        for index in np.flatnonzero(mask):
            row, number, end, _ = numbers[index]
            labels = [(texts[row], every) for texts, every in rows if texts[row]]
            named = [label for label, _ in labels]
            where = f"row {', '.join(named) or row + 1}; column {column}"
            place = Place(
                path, f"{where}, {end} end" if end else where, float(number.written),
                _words(column).union([end] if end else [], *map(_words, named)),
                tuple((frozenset([label]), every) for label, every in labels),
                numbered=not named, written=number,
            )  # fmt: skip
            found.append(place)
    return found, len(found)


def _in_tex(file: Path, path: str, test: Test) -> tuple[list[Place], int]:
    """Of the rows of a tabular, in which a blank at the start repeats what is above."""
    import pandas as pd

    rows = [
        [cell.strip().removesuffix(r"\\").strip() for cell in line.split("&")]
        for line in file.read_text(encoding="utf-8").splitlines()
        if "&" in line and not line.startswith("%")
    ]
    if not rows:
        return [], 0
    head, *body = rows
    columns = [cell or f"column {index + 1}" for index, cell in enumerate(head)]
    if any(len(row) != len(head) for row in body) or len(set(columns)) < len(columns):
        raise InputError(file, "its rows have unequal columns", remedy="make it again")
    table = pd.DataFrame(body, columns=columns)
    table[columns[0]] = table[columns[0]].replace("", None).ffill().fillna("")
    return _in_table(table, path, test)


def _in_text(file: Path, path: str, test: Test) -> tuple[list[Place], int]:
    places = []
    for index, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        for number, end, at in _written(line):
            start, stop = max(0, at - _CONTEXT), at + _CONTEXT
            context = f"{'…' * (start > 0)}{line[start:stop]}{'…' * (stop < len(line))}"
            sentence = line[line.rfind(". ", 0, at) + 1 : (line + ". ").index(". ", at)]
            places.append(
                Place(
                    path, f'line {index}, "{context}"', float(number.written),
                    _words(sentence) | ({end} if end else set()), written=number,
                )
            )  # fmt: skip
    return _among_all(places, test)


def _written(text: str) -> Iterator[tuple[Number, str, int]]:
    """Numbers in a text with the end of an interval that each is (low, high, or none), and where.

    Not digits of names, nor errors in units of the last digit: 2.48(3).
    """
    text = _ERROR.sub(lambda error: " " * len(error[0]), text)
    for match in _IN_TEXT.finditer(text):
        before = text[: match.start()]
        sign = ""
        if before.endswith(("-", "\N{MINUS SIGN}")):
            above = before[:-1][-1:]
            if above.isalpha() or above == "_":
                continue  # the number of a name
            sign = "" if above.isdigit() else "-"
            before = before[:-1]
        end = "low" if before.rstrip().endswith("[") else ""
        end = "high" if not end and text[match.end() :].lstrip().startswith("]") else end
        yield Number(Decimal(sign + match[0])), end, match.start()


_READERS: dict[str, Callable[[Path, str, Test], tuple[list[Place], int]]] = {
    ".nc": _in_netcdf,
    ".json": _in_json,
    ".csv": _in_csv,
    ".tex": _in_tex,
    ".txt": _in_text,
}
KINDS = frozenset(suffix[1:] for suffix in _READERS)
