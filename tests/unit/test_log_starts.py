"""When the time of a log was zero, and how long it took with its pauses."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phasefront.core.errors import InputError
from phasefront.cycling.logs import read_log

few = settings(deadline=None, max_examples=40)

# file: its start, and a part of what it is read from or why it is not known
REAL = {
    "cycling/lfp_half_cell_c10.mpr": ("2024-07-02T10:18:08.932000", "the log module"),
    "cycling/eclab_gcpl.mpt": ("", "may be 2024-01-10 or 2024-10-01"),
    "cycling/gamry_charge.DTA": ("", "may be 2015-11-12 or 2015-12-11"),
    "cycling/arbin.res": ("2023-07-24T18:50:00", "Start_DateTime"),
    "cycling/neware.nda": ("2020-03-25T11:16:50", "absolute times"),
    "cycling/neware.ndax": ("2024-02-01T20:24:23+00:00", "absolute times"),
    "cycling/arbin_example.bdf.csv": ("", "no start"),
    "insitu/protochips/protochips_electrical.csv": ("2014-10-08T16:26:51.738000", "of its notes"),
}


@pytest.mark.parametrize("name", REAL)
def test_real_logs_say_when_they_began(shared_data, name):
    start, source = REAL[name]
    log = read_log(shared_data(name))
    assert log.attrs["started"].text == start
    assert source in log.attrs["started"].source
    np.testing.assert_array_equal(log["elapsed_s"], log["time_s"])


def test_the_time_of_eclab_counts_from_the_acquisition_and_not_the_technique(shared_data):
    log = read_log(shared_data("cycling/eclab_gcpl.mpt"))
    assert log["time_s"].iloc[0] == pytest.approx(30.153, abs=1e-3)


# --- EC-Lab and Gamry ------------------------------------------------------------------------


def write_mpt(path, *dated):
    body = ["time/s\tEwe/V\tI/mA", "0\t3.1\t1", "60\t3.2\t1", "120\t3.3\t1"]
    header = [*dated, body[0]]
    lines = ["EC-Lab ASCII FILE", f"Nb header lines : {len(header) + 2}", *header, *body[1:]]
    path.write_text("\n".join(lines) + "\n")
    return path


STARTED, TECHNIQUE = "Acquisition started on : ", "Technique started on : "
HEADERS = {
    "month above 12": ([STARTED + "13/10/2024 11:02:29.886"], "2024-10-13T11:02:29.886000"),
    "day above 12": ([STARTED + "10/13/2024 11:02:29.886"], "2024-10-13T11:02:29.886000"),
    "both the same": ([STARTED + "03/03/2024 11:02:29"], "2024-03-03T11:02:29"),
    "ambiguous": ([STARTED + "01/10/2024 11:02:29"], ""),
    "by the technique": (
        [STARTED + "01/10/2024 23:59:59", TECHNIQUE + "01/13/2024 00:00:29"], "2024-01-10T23:59:59",
    ),
    "by the technique, day first": (
        [STARTED + "01/10/2024 23:59:59", TECHNIQUE + "13/10/2024 00:00:29"], "2024-10-01T23:59:59",
    ),
    "decimal comma": ([STARTED + "2024-10-13 11:02:29,5"], "2024-10-13T11:02:29.500000"),
    "technique alone": ([TECHNIQUE + "10/13/2024 11:02:29"], ""),
    "none": ([], ""),
    "damaged": ([STARTED + "45/45/2024 11:02:29"], ""),
}  # fmt: skip


@pytest.mark.parametrize("name", HEADERS)
def test_eclab_headers(tmp_path, name):
    lines, start = HEADERS[name]
    assert read_log(write_mpt(tmp_path / "a.mpt", *lines)).attrs["started"].text == start


def test_gamry_tables_after_the_first_have_no_known_time(shared_data, tmp_path):
    text = shared_data("cycling/gamry_charge.DTA").read_text("latin-1")
    table = text[text.index("CURVE\tTABLE") :].rstrip("\n")
    text = text.rstrip("\n").replace("11/12/2015", "11/30/2015")
    (tmp_path / "two.DTA").write_text(f"{text}\n{table}\n", "latin-1")
    log = read_log(tmp_path / "two.DTA")
    assert log.attrs["started"].text == "2015-11-30T11:16:43"
    known = np.isfinite(log["elapsed_s"])
    assert known.sum() == len(log) // 2 and known[: len(log) // 2].all()


# --- pauses ----------------------------------------------------------------------------------


def write_bdf(path, time, **more):
    columns = {"Test Time / s": time, "Voltage / V": 3 + 0.001 * np.arange(len(time))}
    pd.DataFrame(columns | {"Current / A": 1e-3} | more).to_csv(path, index=False)
    return path


@given(
    pauses=st.lists(st.floats(100, 1e5), min_size=0, max_size=4), drift=st.floats(-5e-5, 5e-5),
    start=st.floats(0, 100),
)  # fmt: skip
@few
def test_pauses_are_in_the_absolute_times(tmp_path_factory, pauses, drift, start):
    time = start + 10.0 * np.arange(60)
    pause = np.zeros(60)
    for number, length in enumerate(pauses):
        pause[10 * (number + 1) :] += length
    absolute = 1.7e9 + (1 + drift) * time + pause
    path = write_bdf(
        tmp_path_factory.mktemp("log") / "a.csv", time, **{"Unix Time / s": absolute.round(3)}
    )
    log = read_log(path)
    assert log.attrs["started"].moment.timestamp() == pytest.approx(1.7e9, abs=0.1)
    np.testing.assert_allclose(log["elapsed_s"], time + pause, atol=0.1)
    assert ("it was paused" in " ".join(log.attrs["warnings"])) == bool(pauses)


def test_absolute_times_that_run_backwards_end_what_is_known(tmp_path):
    time = 10.0 * np.arange(20)
    absolute = 1.7e9 + time - np.where(time > 100, 3600, 0)
    log = read_log(write_bdf(tmp_path / "a.csv", time, **{"Unix Time / s": absolute}))
    assert np.isfinite(log["elapsed_s"]).sum() == 11
    assert "run backwards at record 12" in " ".join(log.attrs["warnings"])


def test_after_a_restart_nothing_says_when_records_were_taken(tmp_path):
    time = np.concatenate([10.0 * np.arange(10), 10.0 * np.arange(10)])
    log = read_log(write_bdf(tmp_path / "a.csv", time))
    assert np.isfinite(log["elapsed_s"]).tolist() == [True] * 10 + [False] * 10


def test_a_local_clock_that_jumps_does_not_say_how_long_a_pause_was():
    from phasefront.cycling.logs.clock import until_apart

    time = 60.0 * np.arange(10)
    for jump in (3600, -3600, 20):
        known = until_apart(time, 1e6 + 1.00001 * time + np.where(time >= 300, jump, 0))
        np.testing.assert_array_equal(known, np.where(time < 300, time, np.nan))
    np.testing.assert_array_equal(until_apart(time, 1e6 + 1.00001 * time), time)


# --- dates in text ---------------------------------------------------------------------------

DATED = {"time": ("when", "date"), "voltage": ("E", "V"), "current": ("I", "mA")}


def write_dated(path, moments):
    rows = [f"{moment};{3 + number / 100};1" for number, moment in enumerate(moments)]
    path.write_text("\n".join(["when;E;I", *rows]) + "\n")
    return path


@pytest.mark.parametrize(
    ("month", "hours"), [("2024-03-31", [0.5, 1.5, 3.5, 4.5]), ("2024-10-27", [0.5, 1.5, 3.5, 4.5])]
)
def test_an_hour_that_clocks_were_changed_is_none_that_passed(tmp_path, month, hours):
    moments = [f"{month} {int(hour):02d}:30:00" for hour in hours]
    path = write_dated(tmp_path / "a.txt", moments)
    plain = read_log(path, columns=DATED)
    assert np.diff(plain["time_s"]).tolist() == [3600, 7200, 3600]
    local = read_log(path, columns=DATED, timezone="Europe/Paris")
    between = 3600 if month == "2024-03-31" else 3 * 3600
    assert np.diff(local["time_s"]).tolist() == [3600, between, 3600]
    assert plain.attrs["started"].text == local.attrs["started"].text == f"{month}T00:30:00"


def test_an_hour_that_is_twice_is_told_by_the_order_of_records(tmp_path):
    moments = [f"2024-10-27 {clock}" for clock in ("01:40", "02:20", "02:40", "02:20", "03:00")]
    path = write_dated(tmp_path / "a.txt", [f"{moment}:00" for moment in moments])
    local = read_log(path, columns=DATED, timezone="Europe/Paris")
    assert np.diff(local["time_s"]).tolist() == [2400, 1200, 2400, 2400]


@pytest.mark.parametrize("hour", ["2024-03-31 02:30:00", "2024-10-27 02:30:00"])
def test_dates_that_are_no_or_two_moments_of_the_zone_are_refused(tmp_path, hour):
    day = hour.split()[0]
    path = write_dated(tmp_path / "a.txt", [f"{day} 00:30:00", hour, f"{day} 04:30:00"])
    with pytest.raises(InputError, match=r"when: not a clock of Europe/Paris.*with their offset"):
        read_log(path, columns=DATED, timezone="Europe/Paris")


def test_dates_with_their_offset_need_no_zone(tmp_path):
    moments = [
        "2024-10-27T02:30:00+02:00",
        "2024-10-27T02:30:00+01:00",
        "2024-10-27T03:30:00+01:00",
    ]
    path = write_dated(tmp_path / "a.txt", moments)
    log = read_log(path, columns=DATED, timezone="Asia/Tokyo")
    assert np.diff(log["time_s"]).tolist() == [3600, 3600]
    assert log.attrs["started"].text == moments[0]


# --- Protochips ------------------------------------------------------------------------------

HEAD = "Time, Notes, Channel A Current, Channel A Voltage, Channel B Current, Channel B Voltage"
NOTES = [
    "Date (yyyy.mm.dd) = 2014.10.08", "Time (hh:mm:ss.ms) = 16:26:51.738",
    "Time units = Milliseconds", "Current units = Amps", "Voltage units = Volts",
]  # fmt: skip


def write_protochips(path, rows, *, notes=NOTES, head=HEAD):
    lines = [head, *(f"0, {note}, 0, 0, 0, 0" for note in notes), *rows]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_protochips_keeps_its_uneven_clock(shared_data):
    log = read_log(shared_data("insitu/protochips/protochips_electrical.csv"))
    assert log["time_s"].tolist()[:5] == pytest.approx([0, 0.147, 0.196, 0.296, 0.396])
    assert log["current_mA"].iloc[1] == pytest.approx(17.9983)
    assert log["voltage_V"].iloc[1] == pytest.approx(40.0917)


ROWS = ["0, , 0, 3.0, 0, 0", "147, , 1e-6, 3.1, 0, 0", "301, a note = said, 1e-6, 3.2, 0, 0"]
REFUSED = {
    "two channels": (
        [*ROWS, "400, , 1e-6, 3.3, 1e-6, 1"], {}, "flows through the channels A and B",
    ),
    "no current": ([row.replace("1e-6", "0") for row in ROWS], {}, "no current flows"),
    "no unit": (ROWS, {"notes": NOTES[:3]}, "Current units: its notes say 'nothing'"),
    "another unit": (
        ROWS, {"notes": [*NOTES[:3], "Current units = Furlongs", NOTES[4]]}, "'Furlongs'",
    ),
    "no voltage": (
        ROWS, {"head": HEAD.replace("Channel A Voltage", "Else")}, "Channel A Voltage: the column",
    ),
    "no record": ([], {}, "no current flows"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_protochips_files_that_hold_no_log_of_one_cell(tmp_path, name):
    rows, options, message = REFUSED[name]
    with pytest.raises(InputError, match=message):
        read_log(write_protochips(tmp_path / "a.csv", rows, **options))


def test_a_note_amid_the_records_costs_none_of_them(tmp_path):
    log = read_log(write_protochips(tmp_path / "a.csv", ROWS))
    assert log["time_s"].tolist() == pytest.approx([0, 0.147, 0.301])
    assert log["current_mA"].tolist() == pytest.approx([0, 1e-3, 1e-3])
    assert log.attrs["started"].text == "2014-10-08T16:26:51.738000"
    without = read_log(write_protochips(tmp_path / "a.csv", ROWS, notes=NOTES[2:]))
    assert without.attrs["started"].text == ""


@pytest.mark.parametrize("timestamp", [None, "2024-07-02T10:18:08.931999"])
def test_an_mpr_without_its_log_module_has_no_start(shared_data, monkeypatch, timestamp):
    from datetime import datetime

    from galvani import BioLogic

    class File(BioLogic.MPRfile):
        def __init__(self, stream):
            super().__init__(stream)
            del self.timestamp
            if timestamp is not None:
                self.timestamp = datetime.fromisoformat(timestamp)

    monkeypatch.setattr(BioLogic, "MPRfile", File)
    started = read_log(shared_data("cycling/lfp_half_cell_c10.mpr")).attrs["started"]
    assert started.text == ("" if timestamp is None else "2024-07-02T10:18:08.932000")
    assert ("has no log module" in started.source) == (timestamp is None)
