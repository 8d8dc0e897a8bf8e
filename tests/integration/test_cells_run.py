"""Tilt series beside the other sources: what runs when they come, become a prior, and go."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from phasefront.diffraction.candidates import CandidatePhases
from phasefront.diffraction.cell_path import Path as CellPath
from phasefront.virtual.tilt_series import Microscope, cell_at, write_series

OWN = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
# Phase by its number, ion content and state of four particles each.
PARTICLES = [(0, 3.0, "x3.0"), (0, 2.5, "x2.5")]


def write_cells(project):
    """Tilt series in the project, and their table; two more of the phase Na2, as a prior."""
    structures = project.folder / "config/structures"
    candidates = CandidatePhases.read(
        [structures / f"{name}V2PO42F3.cif" for name in ("Na3", "Na2", "Na")],
        ["Na3", "Na2", "Na1"],
        parent_axes=[OWN, [[1, 1, 0], [-1, 1, 0], [0, 0, 1]], OWN],
        ion_contents=[3, 2, 1],
    )
    path, rows = CellPath.of(candidates), ["cell\tstate\tphase\tpaths"]
    wanted = [one for one in PARTICLES for _ in range(4)] + [(1, 2.0, "x2.5")] * 2
    for number, (phase, content, state) in enumerate(wanted):
        name = f"p{number}"
        files = write_series(
            project.folder / "tilts" / name, cell_at(path, phase, content), Microscope(),
            seed=number, spots=300, centring="AI"[phase],
        )  # fmt: skip
        paths = [str(Path(file).relative_to(project.folder)) for file in files]
        rows.append(f"{name}\t{state}\t{candidates.names[phase]}\t{json.dumps(paths)}")
    (project.folder / "config/small/cells.tsv").write_text("\n".join(rows) + "\n")


def change(project, **sections):
    """Write sections into the config."""
    path = project.folder / project.config
    content = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump(content | sections))
    return content


@pytest.mark.slow
def test_cells_come_into_a_finished_run_become_a_prior_and_go(finished_project, tmp_path):
    project = finished_project.copy(tmp_path / "cells")
    before = project.contents()
    write_cells(project)
    content = yaml.safe_load((project.folder / project.config).read_text())
    tables = content["tables"]
    change(
        project, tables=tables | {"cells": "config/small/cells.tsv"},
        cells={"distortion_error": 0.001},
    )  # fmt: skip
    ran = set(project.planned())
    assert {"read_cell", "tabulate_cells", "compare_sources", "draw_explorer"} <= ran
    # What knows nothing of cells stays as it is.
    assert not ran & {"decide_phases", "simulate_templates", "fit_pattern", "count_fractions"}
    done = project.run()
    assert done.returncode == 0, done.stdout + done.stderr

    results = project.results
    found = pd.read_csv(results / "cells.csv").set_index("cell")
    assert len(found) == 10 and found["refused"].isna().all()
    compared = pd.read_csv(results / "comparison.csv")
    of_cells = (compared["source"] == "cells") & (compared["quantity"] == "ion_content")
    cells = compared[of_cells].set_index("state")
    for _, content_of, state in PARTICLES:
        # Four particles do not fix how much particles differ: the interval is a Student's t.
        low, value, high = cells.loc[state, ["low", "value", "high"]]
        assert low < value <= high and low - 0.05 < content_of < high + 0.05
    summary = json.loads((results / "summary.json").read_text())
    assert all(np.isfinite(state["x"]["cells"]["value"]) for state in summary["states"])
    assert "particles" in (results / "explorer.html").read_text()
    with zipfile.ZipFile(results / "supplement.zip") as packed:
        names = packed.namelist()
        (methods,) = (name for name in names if name.endswith("/METHODS.md"))
        assert "**Cells of particles.**" in packed.read(methods).decode()
    assert sum(name.endswith(".nc") and "/cells/p" in name for name in names) == 10
    assert project.planned() == {}
    assert project.command("verify", "results/small").returncode == 0

    # As a prior of Na2 two of them are in all that knows its cell, and no longer in the comparison.
    phases = [
        phase | ({"cell_prior": ["p8", "p9"]} if phase["name"] == "Na2" else {})
        for phase in content["material"]["phases"]
    ]
    change(project, material=content["material"] | {"phases": phases})
    ran = set(project.planned())
    assert {"refine_candidate", "simulate_templates", "decide_phases", "fit_pattern"} <= ran
    assert not ran & {"simulate_scan", "analyse_log", "describe_scan"}

    # Without them the run is what it was.
    change(project, material=content["material"], tables=tables, cells={})
    done = project.run()
    assert done.returncode == 0, done.stdout + done.stderr
    after = project.contents()
    left = {name for name in after if name.startswith(("cells", "candidates", "figures/cells"))}
    assert {name: after[name] for name in set(after) - left} == before
