"""The config of the virtual in situ series: what its rules are given, and what is refused."""

import itertools
from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest
import yaml

from phasefront.core.errors import InputError
from phasefront.core.moments import in_zone
from phasefront.experiment import values
from phasefront.experiment.plan import Plan
from phasefront.experiment.settings.virtual_series import SeriesPlan
from phasefront.virtual.insitu import clock
from phasefront.virtual.insitu.series import planned_series

ROOT = Path(__file__).resolve().parents[2]
CONFIG = "config/insitu.yaml"


@pytest.fixture
def insitu():
    return yaml.safe_load((ROOT / CONFIG).read_text())


@pytest.fixture(scope="module")
def plan():
    return Plan.load(CONFIG)


def planned(plan, series):
    return SeriesPlan.model_validate(values.value(plan, f"virtual_series.{series}.plan"))


def with_table(tmp_path, insitu, name, change):
    """The config with a changed copy of one of its tables."""
    frame = pd.read_csv(ROOT / insitu["tables"][name], sep="\t", dtype=str, keep_default_na=False)
    path = tmp_path / f"{name}.tsv"
    change(frame).to_csv(path, sep="\t", index=False)
    insitu["tables"][name] = str(path)
    return insitu


def test_all_scans_of_a_series_are_given_one_plan(plan):
    assert [len(planned(plan, name).members) for name in ("charging", "control", "static")] == [
        20, 4, 3,
    ]  # fmt: skip
    of_scan = values.value(plan, "scan.charging-07.virtual_series")
    assert of_scan == values.value(plan, "virtual_series.charging.plan")
    seeds = {planned(plan, name).seed for name in ("charging", "control", "static")}
    assert len(seeds) == 3


@pytest.mark.parametrize("name", ["charging", "control", "static"])
def test_the_series_of_the_config_can_be_made(plan, name):
    series = planned_series(planned(plan, name))
    members, pulses = series.members, series.pulses
    assert series.motion.shape == (64, 64)
    first, last = series.see(0), series.see(len(members) - 1)
    if name == "charging":
        # Two scans before the current, one after it.
        assert series.see(1).charge.max() == 0 < series.see(2).charge.max()
        assert last.charge.min() == clock.switches(pulses)[1][-1]
        assert last.rich.sum() < 0.35 * first.rich.sum()
    else:
        assert last.charge.max() == 0
    converted = 1 - last.rich.sum() / (last.thickness > 0).sum()
    if name == "control":
        assert 0.3 < converted < 0.7
    if name == "static":
        assert converted == 0


def test_one_microscope_takes_one_scan_at_a_time(plan):
    ends = []
    for name in ("charging", "control", "static"):
        for member in planned(plan, name).members:
            begins = datetime.fromisoformat(member.start).timestamp()
            ends.append((begins, begins + clock.lasts(member, (64, 64))))
    ends.sort()
    assert all(last <= following for (_, last), (following, _) in itertools.pairwise(ends))


def test_the_declared_offset_is_not_the_true_one_and_holds_it(plan):
    row = plan.scans.loc["charging-01"]
    true = plan.experiment.virtual.series["charging"].clock_offset_s
    declared, error = float(row["clock_offset_s"]), float(row["clock_offset_error_s"])
    assert 0 < abs(true - declared) < error
    # By the log's local time and the zone in its table the hour of summer time is there.
    started = datetime.fromisoformat(plan.experiment.virtual.logs["cell"].started)
    zone = plan.logs.loc["cell", "timezone"]
    local = in_zone(started.replace(tzinfo=None), zone, "cell.mpt", "timezone")
    assert local == started


def set_cell(scan, column, cell):
    def change(frame):
        frame.loc[frame.iloc[:, 0] == scan, column] = cell
        return frame

    return change


REFUSED_TABLES = {
    "no dwell time": (
        "scans", set_cell("charging-03", "dwell_ms", ""),
        "charging-03.dwell_ms: the virtual series 'charging' does not know dwell_ms of a scan;"
        " state it for each of its scans.",
    ),
    "no electrons": (
        "scans", set_cell("static-02", "electrons_per_position", ""),
        "static-02.electrons_per_position: the virtual series 'static' does not know",
    ),
    "weighed": (
        "cycling", lambda frame: frame.assign(mass_mg="3"),
        "cell.mass_mg: a virtual log of pulses is of an electrode whose mass is not known; leave it"
        " out.",
    ),
    "no scan": (
        "scans", lambda frame: frame[frame["series"] != "static"],
        "virtual.series.static: no scan is of the series 'static'; name it in the column series of"
        " the table of scans.",
    ),
    "a scan of that name": (
        "scans", lambda frame: frame.replace("static-01", "static").replace(
            "results/insitu/raw/static-01.blo", "results/insitu/raw/static.blo"),
        "virtual.series.static: a scan has the name of the series 'static'; give one of them",
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("table", "change", "problem"), REFUSED_TABLES.values(), ids=REFUSED_TABLES
)
def test_tables_that_do_not_fit_are_refused(insitu, tmp_path, table, change, problem):
    with pytest.raises(InputError) as caught:
        Plan.parse(with_table(tmp_path, insitu, table, change), "insitu.yaml")
    assert problem in str(caught.value)


REFUSED = {
    "phase": (
        ("series", "charging", "phases"), ["Na3", "Na7"],
        "virtual.series.charging.phases: there is no phase 'Na7' in the material; name two of",
    ),
    "log": (
        ("logs",), {},
        "insitu.yaml: virtual.logs: the scans of the virtual series 'charging' are on cell; put",
    ),
    "another log": (
        ("logs", "other"), None,
        "virtual.logs.other: no log 'other' of the cycling table is made by the virtual run; add",
    ),
    "state": (
        ("states",), {"half": {"ion_content": 2.5}},
        "virtual.states: the state 'half' is not in both, states and virtual.states; name some of",
    ),
    "start without a zone": (
        ("logs", "cell", "started"), "2025-07-14T09:00:00", "virtual.logs.cell.started",
    ),
    "drift": (("series", "charging", "motion"), {"drift_px": -1}, "motion.drift_px"),
}  # fmt: skip


@pytest.mark.parametrize(("path", "value", "problem"), REFUSED.values(), ids=REFUSED)
def test_settings_that_do_not_fit_are_refused(insitu, tmp_path, path, value, problem):
    section = insitu["virtual"]
    for key in path[:-1]:
        section = section[key]
    section[path[-1]] = section["cell"] if value is None else value
    if path == ("logs",):  # else its mass is asked for first
        set_mass = lambda frame: frame.assign(mass_mg="3")  # noqa: E731
        insitu = with_table(tmp_path, insitu, "cycling", set_mass)
    with pytest.raises(InputError) as caught:
        Plan.parse(insitu, "insitu.yaml")
    assert problem in str(caught.value)
