"""Tables (csv): every column is declared, and a file is what its declaration says."""

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings

from phasefront.core import tables
from phasefront.core.errors import InputError
from phasefront.core.tables import Column, Table
from phasefront.layouts.comparison import SWEEP_TABLE
from phasefront.report import columns

SHAPES = Table(
    "shapes/*.csv",
    "Shapes",
    {
        "name": Column("str", "", "name"),
        "area": Column("f8", "m2", "area"),
        "corners": Column("i8", "1", "number of corners"),
        "round": Column("bool", "", "whether it is round"),
        "side *": Column("f8", "m", "length of a side"),
    },
)
FRAME = pd.DataFrame(
    {
        "name": ["1", "two, three", None],
        "area": [0.1 + 0.2, np.nan, 3.0],
        "corners": [0, 3, 4],
        "round": [True, False, False],
        "side a": [np.nan, 1.0, 2.0],
    }
)


@pytest.mark.parametrize("table", columns.TABLES, ids=lambda table: table.file)
def test_every_column_is_declared_with_unit_and_meaning(table):
    assert table.title.endswith(".")
    for name, column in table.columns.items():
        assert column.dtype in ("f8", "i8", "bool", "str"), name
        assert bool(column.units) == (column.dtype in ("f8", "i8")), name
        assert column.meaning and not column.meaning.endswith("."), name


def test_what_is_written_is_read(tmp_path):
    tables.write(FRAME, tmp_path / "a.csv", SHAPES)
    pd.testing.assert_frame_equal(tables.read(tmp_path / "a.csv", SHAPES), FRAME)


@settings(deadline=None)
@given(st.lists(st.floats(allow_infinity=False), min_size=1, max_size=5))
def test_numbers_are_read_to_the_last_digit(tmp_path_factory, numbers):
    path = tmp_path_factory.getbasetemp() / "numbers.csv"
    table = Table("numbers.csv", "Numbers", {"x": Column("f8", "1", "a number"),
                                             "n": Column("i8", "1", "its row")})  # fmt: skip
    frame = pd.DataFrame({"x": numbers, "n": range(len(numbers))})
    tables.write(frame, path, table)
    pd.testing.assert_frame_equal(tables.read(path, table), frame, check_exact=True)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda frame: frame.drop(columns="area"), "columns ['area'] of 'Shapes' are missing"),
        (lambda frame: frame.assign(colour="red"), "columns ['colour'] are not part of 'Shapes'"),
        (lambda frame: frame.assign(corners=0.5), "corners: dtype is float64, i8 expected"),
        (lambda frame: frame.assign(area="large"), "f8 expected"),
        (lambda frame: frame.assign(name=1), "name: dtype is int64, str expected"),
        (lambda frame: frame.assign(**{"side a": "long"}), "f8 expected"),
        (lambda frame: pd.concat([frame, frame[["name"]]], axis=1), "stand twice"),
    ],
)
def test_a_frame_with_a_wrong_column_is_refused(tmp_path, change, said):
    with pytest.raises(InputError) as refused:
        tables.write(change(FRAME), tmp_path / "a.csv", SHAPES)
    assert said in str(refused.value)
    assert not (tmp_path / "a.csv").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not a readable table"),
        (b"\xff\xfe\x00", "not a readable table"),
        (b"name,area,corners,round\na,x,1,True\n", "not a readable table"),
        (b"name,area,corners,round\na,1,1.5,True\n", "not a readable table"),
        (b"name,area\na,1\n", "are missing"),
        (b"name,area,corners,round,colour\na,1,1,True,red\n", "are not part of"),
    ],
)
def test_a_file_that_is_not_as_declared_is_refused(tmp_path, content, said):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(InputError, match=said):
        tables.read(tmp_path / "a.csv", SHAPES)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match="there is no such file"):
        tables.read(tmp_path / "absent.csv", SHAPES)


def test_a_star_in_a_path_is_no_folder():
    assert SHAPES.is_at("shapes/one.csv")
    assert not SHAPES.is_at("shapes/more/one.csv")


def test_a_sweep_has_the_settings_that_were_varied_as_columns_and_nothing_else():
    names = ["variant", "phases.decide_above", "state", "colour", "phases.decide_abov"]
    assert list(SWEEP_TABLE.declared(names)) == [*names[:3], names[4]]  # any, to those who read
    varied = SWEEP_TABLE.naming(["phases.decide_above", "grains.min_positions"])
    assert list(varied.declared(names)) == names[:3]
    assert list(varied.columns)[:4] == [
        "variant", "phases.decide_above", "grains.min_positions", "state"
    ]  # fmt: skip
