"""A state of several scans has one estimate, whichever output one reads."""

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml

STATE = "x2.5"
ENDS = ("value", "low", "high")


@pytest.mark.slow
def test_outputs_agree_to_the_last_digit_on_a_state_of_two_scans(finished_project, tmp_path):
    project = finished_project.copy(tmp_path / "two")
    table = project.folder / "config/small/scans.tsv"
    (row,) = [line for line in table.read_text().splitlines() if line.startswith("grains-x2.5\t")]
    with table.open("a") as file:
        file.write(row.replace("grains-x2.5", "more-x2.5") + "\n")
    sweep = project.folder / "config/sweep.yaml"
    sweep.write_text(yaml.safe_dump({"sweep": {"grid": {"comparison.margin": [0.2]}}}))
    done = project.run("config/sweep.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    results = project.results
    pooled = xr.load_dataset(results / f"states/{STATE}.nc")
    assert pooled.attrs["scan"] == "grains-x2.5, more-x2.5"
    molar = pooled.sel(kind="molar")
    content = [pooled[f"ion_content{end}"].item() for end in ("", "_low", "_high")]

    counted = pd.read_csv(results / "fractions.csv")
    compared = pd.read_csv(results / "comparison.csv")
    swept = pd.read_csv(results / "sweep.csv")
    (summary,) = [
        state
        for state in json.loads((results / "summary.json").read_text())["states"]
        if state["state"] == STATE
    ]
    comparison = xr.load_dataset(results / "comparison.nc").sel(state=STATE, source="stem")
    of_state = counted[(counted["level"] == "state") & (counted["kind"] == "molar")]
    of_state = of_state[of_state["name"] == STATE].set_index("phase")
    tables = [compared, swept[swept["variant"] == "run"], swept[swept["variant"] != "run"]]
    for phase in map(str, pooled["phase"].values):
        expected = [molar[end].sel(phase=phase).item() for end in ENDS]
        assert np.isfinite(expected).all() and expected[1] < expected[2]
        assert list(of_state.loc[phase, list(ENDS)]) == expected
        found = comparison.sel(phase=phase)
        assert [found[f"fraction{end}"].item() for end in ("", "_low", "_high")] == expected
        assert [summary["fractions"]["stem"][phase][end] for end in ENDS] == expected
        for table in tables:
            assert of_stem(table, "fraction", phase) == expected
    assert [summary["x"]["stem"][end] for end in ENDS] == content
    for table in tables:
        assert of_stem(table, "ion_content") == content


def of_stem(table, quantity, phase=None):
    """Value and interval of the state by 4D-STEM, in a table of the comparison."""
    rows = table[(table["state"] == STATE) & (table["source"] == "stem")]
    rows = rows[rows["quantity"] == quantity]
    (row,) = rows[rows["phase"].isna() if phase is None else rows["phase"] == phase].to_dict(
        "records"
    )
    return [row[end] for end in ENDS]
