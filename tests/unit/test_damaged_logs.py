"""Logs that were cut short, renamed or dated by a clock that was changed."""

import logging
import shutil
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from phasefront.core.errors import InputError
from phasefront.cycling.logs import read_log

DATED = {"time": ("t", "date"), "voltage": ("E", "V"), "current": ("I", "mA")}


def dated_log(path, start, *, zone, step_s=600):
    """Two hours of 1 mA, half of them discharge, by a clock on a wall of the zone."""
    moment = (
        datetime.fromisoformat(start).replace(tzinfo=ZoneInfo(zone)).astimezone(ZoneInfo("UTC"))
    )
    rows = []
    for record in range(13):
        local = (moment + timedelta(seconds=record * step_s)).astimezone(ZoneInfo(zone))
        volts = 3 + 0.2 * min(record, 12 - record)
        rows.append(f"{local:%Y-%m-%d %H:%M:%S},{volts:.1f},{1 if record <= 6 else -1}")
    path.write_text("\n".join(["t,E,I", *rows]) + "\n")
    return path


def test_an_hour_that_clocks_were_put_forward_is_named(tmp_path):
    path = dated_log(tmp_path / "log.txt", "2024-03-31 01:00:00", zone="Europe/Berlin")
    right = read_log(path, columns=DATED, timezone="Europe/Berlin")
    assert right["time_s"].iloc[-1] == 7200
    assert right.attrs["warnings"] == []
    doubtful = read_log(path, columns=DATED)
    assert doubtful["time_s"].iloc[-1] == 10800
    (sentence,) = doubtful.attrs["warnings"]
    assert "Between records 6 and 7 an hour more passes" in sentence
    assert "timezone" in sentence


@pytest.mark.parametrize("start", ["2024-10-27 01:30:00", "2024-10-27 02:00:00"])
def test_dates_do_not_start_again(tmp_path, start):
    """A log that began within the hour before clocks were put back looks like a clock's restart."""
    path = dated_log(tmp_path / "log.txt", start, zone="Europe/Berlin")
    with pytest.raises(InputError, match="dates run backwards, from 2024-10-27 02:50:00 to"):
        read_log(path, columns=DATED)


def test_a_gamry_table_with_fewer_records_than_it_announces_is_refused(tmp_path, shared_data):
    whole = shared_data("cycling/gamry_charge.DTA").read_bytes()
    path = tmp_path / "cut.DTA"
    for kept in (0.3, 0.5, 0.9):
        path.write_bytes(whole[: int(kept * len(whole))])
        with pytest.raises(InputError, match="66 records are announced"):
            read_log(path)


@pytest.mark.parametrize(
    ("unit", "other", "field"), [("\tA\t", "\tmA\t", "Im"), ("\ts\t", "\tmin\t", "T")]
)
def test_units_of_a_gamry_table_are_read(tmp_path, shared_data, unit, other, field):
    text = shared_data("cycling/gamry_charge.DTA").read_text(encoding="latin-1")
    path = tmp_path / "log.DTA"
    path.write_text(text.replace(unit, other), encoding="latin-1")
    with pytest.raises(InputError, match=f"{field}: its unit is '{other.strip()}'"):
        read_log(path)


def test_an_ec_lab_text_that_ends_before_its_loops_is_refused(tmp_path, shared_data):
    lines = shared_data("cycling/eclab_gcpl.mpt").read_bytes().splitlines(keepends=True)
    path = tmp_path / "cut.mpt"
    path.write_bytes(b"".join(lines[:-2]))
    with pytest.raises(InputError, match="its loops reach to record 132, the file to 130"):
        read_log(path)


@pytest.mark.parametrize("name", ["neware.nda", "neware.ndax", "gamry_charge.DTA"])
def test_endings_in_capitals_and_names_with_blanks(tmp_path, shared_data, name):
    source = shared_data(f"cycling/{name}")
    path = tmp_path / f"Zelle grün 1{source.suffix.upper()}"
    shutil.copy(source, path)
    read, expected = read_log(path), read_log(source)
    assert read.equals(expected)
    assert read.attrs["started"] == expected.attrs["started"]


@pytest.mark.parametrize("name", ["lfp_half_cell_c10.mpr", "arbin.res", "neware.nda"])
def test_what_a_parser_says_of_a_damaged_file_is_one_line(tmp_path, shared_data, name, caplog):
    content = shared_data(f"cycling/{name}").read_bytes()
    path = tmp_path / f"cut.{name.rpartition('.')[2]}"
    path.write_bytes(content[: len(content) // 3])
    with caplog.at_level(logging.WARNING), pytest.raises(InputError) as refused:
        read_log(path)
    assert "\n" not in str(refused.value)
    assert not caplog.records


@pytest.mark.parametrize("records", [1, 2, 100, 400])
def test_a_neware_log_that_was_cut_between_records_is_refused(tmp_path, shared_data, records):
    content = shared_data("cycling/neware.nda").read_bytes()
    path = tmp_path / "cut.nda"
    path.write_bytes(content[: -86 * records])
    size = len(content)
    text = f"reach to byte {size} by its header, the file to {size - 86 * records}; copy"
    with pytest.raises(InputError, match=text):
        read_log(path)


def test_a_neware_log_whose_header_has_no_length_is_read(tmp_path, shared_data):
    content = bytearray(shared_data("cycling/neware.nda").read_bytes()[:-86])
    content[68:72] = bytes(4)
    path = tmp_path / "open.nda"
    path.write_bytes(content)
    assert len(read_log(path)) == 438


def test_a_csv_of_another_program_asks_for_a_column_map(tmp_path):
    """Its first lines are no header, so that the table has more columns than these."""
    path = tmp_path / "export.csv"
    path.write_text("Cell 7\nLi|LFP\nTime,Voltage,Current\n0,3.4,0.1\n10,3.5,0.1\n")
    with pytest.raises(InputError, match="of the Battery Data Format are missing; give a column"):
        read_log(path)


def test_a_damaged_cell_is_quoted_in_short(tmp_path):
    path = tmp_path / "log.csv"
    text = "Test Time / s,Voltage / V,Current / A\n0,3.4,0.1\n10,3.5,0.1\n"
    path.write_text(text + "\0" * 500)
    with pytest.raises(InputError, match="is no number") as refused:
        read_log(path)
    assert len(str(refused.value)) < 400 + len(str(path))
