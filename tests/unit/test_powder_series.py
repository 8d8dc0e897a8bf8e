"""Operando powder series: patterns on their log, fits of many, and both together."""

import json
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from examples import example
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import powder_series as virtual
from phasefront.core import netcdf, tables
from phasefront.core.errors import InputError
from phasefront.experiment.pattern_times import read_times
from phasefront.experiment.settings.powder import PowderSettings
from phasefront.experiment.settings.powder_series import PatternClock, PatternReading
from phasefront.layouts.cycling import CYCLING
from phasefront.layouts.powder_series import (
    BATCH_FITS,
    BATCH_TIMES,
    POWDER_SERIES,
    POWDER_SERIES_TABLE,
)
from phasefront.powder.files import read_pattern
from phasefront.powder.fits import fit_pattern
from phasefront.powder.placing import place_patterns, spans
from phasefront.powder.series import fit_patterns, gather, rows
from phasefront.report.figures.powder_series import draw_powder_series
from phasefront.series.course import Course

ROOT = Path(__file__).resolve().parents[2]
ZERO = datetime.fromisoformat("2025-03-30T01:00:00+01:00")  # an hour before clocks are changed
CLOCK = PatternClock(series="charging")
few = settings(deadline=None, max_examples=60)


def make_log(time=None, **given):
    """A log of a record each 10 s over 1000 s, whose voltage and charge are straight in time."""
    time = 10.0 * np.arange(101) if time is None else np.asarray(time, float)
    straight = {"voltage": 3 + 1e-3 * time, "charge": 2e-3 * time, "current": np.ones(len(time))}
    return example(
        CYCLING, log="cell", file="cell.mpt", time=time, elapsed=given.pop("elapsed", time),
        **straight | {"step": np.zeros(len(time), int), "started": ZERO.isoformat()} | given,
    )  # fmt: skip


def write_pattern(path, *header):
    path.write_text("\n".join([*header, "5.0 10", "5.1 11", "5.2 12"]) + "\n")
    return path


def frames(folder, begins, *, exposure="exposure: 10 s", zone=ZERO.tzinfo):
    """Files of patterns that began so many seconds after the log."""
    return [
        write_pattern(
            folder / f"f{number}.xy",
            f"# start: {(ZERO + timedelta(seconds=begin)).astimezone(zone).isoformat()}",
            f"# {exposure}",
        )
        for number, begin in enumerate(begins)
    ]


# --- the log ---------------------------------------------------------------------------------


@given(
    seed=st.integers(0, 1000), first=st.floats(0, 90), length=st.floats(1e-3, 10),
    together=st.booleans(),
)  # fmt: skip
@few
def test_a_mean_is_that_of_the_moments_between(seed, first, length, together):
    random = np.random.default_rng(seed)
    time = np.sort(np.concatenate([[0, 100], random.uniform(0, 100, 12)]))
    if together:  # two records of one moment, as cyclers write where a step ends
        time[6] = time[5]
    step = np.cumsum(random.random(len(time)) < 0.2)
    voltage, current, charge = random.normal(size=(3, len(time)))
    log = make_log(time, voltage=voltage, current=current, charge=charge, step=step)
    course = Course.of(log)
    found = course.mean(np.array([first]), np.array([first + length]))
    # The middle of many equal parts: right of all straight ones.
    moments = first + length * (np.arange(40000) + 0.5) / 40000
    for name, values in course.at(moments).items():
        assert found[name][0] == pytest.approx(values.mean(), abs=2e-3), name


def test_a_mean_over_the_whole_log_ends_with_it():
    course = Course.of(make_log())
    found = course.mean(np.array([0.0]), np.array([1000.0]))
    assert found["charge"][0] == pytest.approx(1.0)
    assert course.why_not(np.array([0.0]), np.array([1000.0])) == ""
    unknown = Course.of(make_log(elapsed=np.full(101, np.nan)))
    assert unknown.why_not(np.array([0.0]), np.array([1.0])) == "has no records of known time"


# --- times -----------------------------------------------------------------------------------


@given(
    begins=st.lists(st.integers(0, 95), min_size=1, max_size=8, unique=True),
    zone=st.sampled_from(["UTC", "Asia/Kathmandu"]), offset=st.floats(-5, 5), order=st.randoms(),
)  # fmt: skip
@few
def test_a_pattern_has_what_the_log_says_of_its_exposure(
    tmp_path_factory, begins, zone, offset, order
):
    begins = [10.0 * begin + 10 for begin in begins]
    files = frames(tmp_path_factory.mktemp("f"), begins)
    order.shuffle(files)
    clock = PatternClock(series="charging", clock_offset_s=offset)
    started = ZERO.astimezone(ZoneInfo(zone)).isoformat()
    placed = place_patterns(spans(files, clock), make_log(started=started), clock, batch="b")
    time = np.sort(begins) + offset
    np.testing.assert_allclose(placed["time"], time)
    np.testing.assert_allclose(placed["charge"], 2e-3 * (time + 5))
    np.testing.assert_allclose(placed["voltage"], 3 + 1e-3 * (time + 5))
    np.testing.assert_allclose(placed["exposure"], 10)
    assert placed.attrs["clock_test"].startswith("not identifiable")


def test_local_times_are_of_the_zone_that_the_table_states(tmp_path):
    path = write_pattern(tmp_path / "f.xy", "#D Sun Mar 30 03:10:00 2025", "#T 10 (Seconds)")
    (span,) = spans([path], PatternClock(series="s", timezone="Europe/Paris"))
    assert (span.start - ZERO).total_seconds() == 4200
    with pytest.raises(
        InputError, match=r"2025-03-30T03:10:00 by #D in its header, is of an unknow"
    ):
        spans([path], CLOCK)
    write_pattern(path, "#D Sun Mar 30 02:10:00 2025", "#T 10 (Seconds)")
    with pytest.raises(InputError, match="does not exist in Europe/Paris"):
        spans([path], PatternClock(series="s", timezone="Europe/Paris"))


def test_a_table_of_times_stands_in_place_of_headers(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.xy", "b.xy"):
        write_pattern(Path(name), "# start: 1999-01-01T00:00:00Z", "# exposure: 1 s")
    Path("t.csv").write_text(
        "path,start,exposure_s\n./b.xy,2025-03-30T01:00:00+01:00,2.5\na.xy,2025-03-30 03:10:00,\n"
    )
    clock = PatternClock(series="s", timezone="Europe/Paris", exposure_s=7)
    times = read_times("t.csv")
    with pytest.raises(
        InputError, match=r"is 2\.5 s by the table of times, 7 s by the table of powd"
    ):
        spans(["b.xy"], clock, times)
    (span,) = spans(["a.xy"], clock, times)
    assert ((span.start - ZERO).total_seconds(), span.exposure_s) == (4200, 7)
    clock = PatternClock(series="s", timezone="Europe/Paris")
    with pytest.raises(
        InputError, match=r"a\.xy: exposure_s: it is not known how long .* no expos"
    ):
        spans(["a.xy", "b.xy"], clock, times)


REFUSED = {
    "no time": (["# Date: 2025-03-30T01:00:00Z"], "start: it is not known when the pattern"),
    "no exposure": (["# start: 2025-03-30T01:00:00Z"], "exposure_s: it is not known how long"),
    "day or month": (
        ["# start: 01/10/2024 10:00:00", "# exposure: 1 s"], "may be 2024-01-10 or 2024-10-01"
    ),
    "ends before it starts": (
        ["# start: 2025-03-30T01:00:00Z", "# end: 2025-03-30T00:59:00Z"], "the exposure is -60 s by"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_pattern_of_unknown_time_is_refused(tmp_path, name):
    header, words = REFUSED[name]
    with pytest.raises(InputError) as caught:
        spans([write_pattern(tmp_path / "f.xy", *header)], CLOCK)
    assert words in str(caught.value)


def test_two_patterns_at_one_time_are_refused(tmp_path):
    for begins in ([100, 100], [100, 108.5], [200, 100, 105]):
        with pytest.raises(InputError, match=r"while .*, for 10 s from 2025-03-30T01:01:40"):
            spans(frames(tmp_path, begins), CLOCK)
    # Headers of whole seconds.
    assert len(spans(frames(tmp_path, [100, 109, 119.5]), CLOCK)) == 3


@pytest.mark.parametrize(
    ("begin", "words"),
    [(-1, "from -1 to 9 s of the log 'cell', which has records of 0 to 1000 s"),
     (991, "from 991 to 1001 s of the log"), (500, "which was paused from 500 to 4110 s")],
)  # fmt: skip
def test_a_pattern_that_the_log_has_no_records_of_is_refused(tmp_path, begin, words):
    time = 10.0 * np.arange(101)
    paused = begin == 500
    log = make_log(elapsed=time + np.where(time > 500, 3600.0, 0.0) if paused else time)
    measured = spans(frames(tmp_path, [100, begin] if begin >= 0 else [begin]), CLOCK)
    with pytest.raises(InputError) as caught:
        place_patterns(measured, log, CLOCK, batch="b")
    assert words in str(caught.value) and "leave the pattern out" in str(caught.value)


# --- fits ------------------------------------------------------------------------------------


def fit(paths, **changes):
    return fit_patterns(
        paths, virtual.crystals(), batch="frames",
        reading=PatternReading(wavelength=virtual.WAVELENGTH), settings=PowderSettings(**changes),
        ion_contents=virtual.IONS, formula_units=virtual.UNITS,
    )  # fmt: skip


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Five patterns, in the second of which is nothing but noise."""
    folder = tmp_path_factory.mktemp("series")
    paths = virtual.write_series(folder, 5)
    lines = paths[1].read_text().splitlines()
    random = np.random.default_rng(0)
    for at in range(4, len(lines)):
        counts = random.poisson(200)
        lines[at] = f"{lines[at].split()[0]} {counts} {np.sqrt(counts):.4f}"
    paths[1].write_text("\n".join(lines) + "\n")
    return paths


@pytest.fixture(scope="module")
def fitted(measured):
    return fit(measured)


@pytest.mark.slow
def test_each_fit_is_that_of_the_pattern_alone(measured, fitted):
    alone = fit_pattern(
        read_pattern(measured[3], wavelength=virtual.WAVELENGTH), virtual.crystals(), name="x",
        wavelength=virtual.WAVELENGTH, ion_contents=virtual.IONS, formula_units=virtual.UNITS,
    )  # fmt: skip
    for name in ("weight_fraction", "molar_fraction_esd", "cell", "rwp", "ion_content"):
        np.testing.assert_array_equal(fitted[name].values[3], alone[name].values, name)
    others = fit([measured[4], measured[3]])
    for name in ("weight_fraction", "cell", "ion_content_esd"):
        np.testing.assert_array_equal(others[name].values, fitted[name].values[[4, 3]], name)


def test_a_sequential_fit_starts_from_the_pattern_before_it(measured, fitted):
    after = fit(measured[2:4], sequential=True)
    np.testing.assert_array_equal(after["cell"].values[0], fitted["cell"].values[2])
    assert (after["weight_fraction"].values[1] != fitted["weight_fraction"].values[3]).any()
    np.testing.assert_allclose(
        after["molar_fraction"].values[1], fitted["molar_fraction"].values[3], atol=2e-3
    )


def test_a_pattern_without_a_phase_is_refused_and_the_others_stay(fitted):
    refused = fitted["refused"].values
    assert refused[1] and not any(refused[[0, 2, 3, 4]])
    assert np.isnan(fitted["weight_fraction"].values[1]).all()
    truth = virtual.rich_share(5)
    found, esd = (fitted[f"molar_fraction{end}"].values[:, 0] for end in ("", "_esd"))
    for at in (0, 2, 3, 4):
        assert abs(found[at] - truth[at]) < 5 * esd[at], at


@pytest.mark.parametrize(
    ("row", "why"),
    [("200 14.1", "none of the phases was found"), ("0 1", "every intensity is zero"),
     ("0 0", "every intensity is zero")],
)  # fmt: skip
def test_a_frame_without_a_beam_is_no_result(tmp_path, row, why):
    (path,) = virtual.write_series(tmp_path, 1)
    lines = path.read_text().splitlines()
    flat = [f"{line.split()[0]} {row}" for line in lines[4:]]
    path.write_text("\n".join([*lines[:4], *flat]) + "\n")
    found = fit([path, path], sequential=True)
    assert list(found["refused"].values) == [why, why]
    assert np.isnan(found["molar_fraction"]).all()


@pytest.mark.slow
def test_intervals_hold_the_truth_of_a_virtual_series(tmp_path):
    # Of 200 patterns, seen once after nothing was chosen on them, 197 intervals hold the truth.
    found = virtual.judge(fit(virtual.write_series(tmp_path, 24, first_seed=5000)),
                          virtual.rich_share(24))  # fmt: skip
    assert found["refused"] == 0
    assert found["intervals_that_hold"] >= 0.83  # 20 of 24; under 95 % in 3 of 100 such series
    assert found["rms_error"] < 0.004


# --- both together ---------------------------------------------------------------------------


def times_of(names, begins, batch="b", **given):
    start = [(ZERO + timedelta(seconds=begin)).isoformat() for begin in begins]
    return example(
        BATCH_TIMES, pattern=names, start=start, time=begins, exposure=10.0, voltage=3.0,
        current=np.where(np.asarray(begins) < 200, 1.0, -1.0), charge=0.1, batch=batch,
        **{"series": "charging", "log": "cell"} | given,
    )  # fmt: skip


def fits_of(names, share, **given):
    share = np.stack([share, 1 - np.asarray(share)], axis=1)
    return example(
        BATCH_FITS, pattern=names, phase=["rich", "poor"], weight_fraction=share,
        weight_fraction_esd=0.02, molar_fraction=share, molar_fraction_esd=0.02,
        ion_content=share[:, 0], ion_content_esd=0.02, wavelength=0.4,
        **{"refused": "", "notes": ""} | given,
    )  # fmt: skip


def test_a_series_is_in_the_order_of_time_with_the_fits_of_each():
    times = [times_of(["a", "b"], [300, 100]), times_of(["c"], [200], batch="other")]
    fits = [fits_of(["c", "b"], [0.3, 0.99]), fits_of(["a"], [0.5])]
    found = gather(times, fits)
    assert list(found["pattern"].values) == ["b", "c", "a"]
    assert list(found["batch"].values) == ["b", "other", "b"]
    np.testing.assert_allclose(found["molar_fraction"].values[:, 0], [0.99, 0.3, 0.5])
    half = 0.02 * 1.959964
    np.testing.assert_allclose(
        found["molar_fraction_low"].values[:, 0], np.array([0.99, 0.3, 0.5]) - half
    )
    np.testing.assert_allclose(
        found["molar_fraction_high"].values[:, 0], [1, 0.3 + half, 0.5 + half]
    )
    assert found["ion_content_high"].values[0] > 1
    for order in ([1, 0], [0, 1]):
        again = gather([times[at] for at in order], [fits[at] for at in order])
        assert again.drop_attrs().identical(found.drop_attrs())


def test_patterns_of_two_batches_at_one_time_are_refused():
    times = [times_of(["a"], [100]), times_of(["b"], [105], batch="other")]
    with pytest.raises(
        InputError, match=r"^b: start: it was measured from .*, while a was, for 10"
    ):
        gather(times, [fits_of(["a", "b"], [0.1, 0.2])])


def test_times_and_fits_are_of_the_same_patterns():
    with pytest.raises(InputError, match="times and fits are not of the same patterns"):
        gather([times_of(["a", "b"], [100, 200])], [fits_of(["a"], [0.1])])


def gathered():
    names = [f"f{n}" for n in range(4)]
    fits = fits_of(names, [1, 0.5, np.nan, 0.2], refused=np.array(["", "", "none", ""], object))
    return gather([times_of(names, [100, 150, 250, 300])], [fits])


def test_a_table_has_a_row_for_each_pattern_and_phase(tmp_path):
    found = gathered()
    tables.write(rows(found), tmp_path / "s.csv", POWDER_SERIES_TABLE)
    read = tables.read(tmp_path / "s.csv", POWDER_SERIES_TABLE)
    assert len(read) == 8
    poor = read[read["phase"] == "poor"]
    np.testing.assert_allclose(poor["molar_fraction"], [0, 0.5, np.nan, 0.8])
    assert list(poor["refused"].fillna("")) == ["", "", "none", ""]


def test_a_figure_marks_refused_patterns_and_breaks_where_the_current_turns():
    figure = draw_powder_series(gathered(), make_log(), labels={"rich": "LiFePO$_4$"})
    _, charge, time = figure.axes
    assert {"LiFePO$_4$", "poor", "refused"} <= set(charge.get_legend_handles_labels()[1])
    lines = [len(line.get_xdata()) for line in charge.lines if line.get_linestyle() == "-"]
    assert lines == [2, 2, 2, 2]
    assert [len(line.get_xdata()) for line in time.lines if line.get_linestyle() == "-"] == [4, 4]


# --- the scripts -----------------------------------------------------------------------------


def script(name, *arguments):
    command = [sys.executable, f"scripts/{name}.py", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_the_scripts_place_and_gather_or_refuse_in_a_sentence(tmp_path):
    files = frames(tmp_path, [100, 200])
    netcdf.write(make_log(), tmp_path / "cell.nc", CYCLING)
    out = tmp_path / "out"
    place = [
        "place_patterns", "--batch", "b", "--cycling", tmp_path / "cell.nc", "--clock",
        json.dumps({"series": "charging"}), "--times", out / "times.nc", "--patterns",
    ]  # fmt: skip
    done = script(*place, *files)
    assert (done.returncode, done.stderr) == (0, "")
    netcdf.write(fits_of([str(path) for path in files], [1, 0.5]), tmp_path / "f.nc", BATCH_FITS)
    done = script(
        "gather_powder_series", "--times", out / "times.nc", "--fits", tmp_path / "f.nc",
        "--series", out / "s.nc", "--table", out / "s.csv",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert list(netcdf.read(out / "s.nc", POWDER_SERIES)["time"].values) == [100, 200]

    (out / "times.nc").unlink()
    done = script(*place, *frames(tmp_path, [100, 100]))
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "f1.xy: start: it was measured from 2025-03-30T01:01:40+01:00, while" in done.stderr
    assert not (out / "times.nc").exists()
