"""Whole runs of scans as large as real ones, as small as can be, and of nothing to decide.

The configs are the least that a user writes: no title, no labels, no step, no log, no parent
lattice.
"""

import json

import numpy as np
import pytest
import xarray as xr
import yaml

from benchmarks.block_files import cropped, rearrange, tiled

pytestmark = pytest.mark.slow
SCAN = "raw/grains-x2.5.blo"


@pytest.fixture
def project(finished_project, tmp_path):
    return finished_project.copy(tmp_path / "project")


def write_config(project, name: str, scans: dict[str, np.ndarray]) -> str:
    """An experiment of patterns of a virtual scan at other places; returns the config's path."""
    small = yaml.safe_load((project.folder / project.config).read_text())
    known = ("name", "cif", "ion_content", "formula_units")
    phases = [{key: phase[key] for key in known} for phase in small["material"]["phases"]]
    material = {
        key: small["material"][key]
        for key in ("ion", "pristine_molar_mass", "pristine_ion_content")
    }
    rows = ["scan\tstate\tpath\tinstrument"]
    for scan, places in scans.items():
        path = rearrange(project.results / SCAN, project.folder / f"data/{scan}.blo", places)
        rows.append(f"{scan}\tonly\t{path.relative_to(project.folder)}\tastar")
    (project.folder / f"config/{name}.tsv").write_text("\n".join(rows) + "\n")
    config = {
        "run": name, "material": material | {"phases": phases},
        "instruments": small["instruments"], "tables": {"scans": f"config/{name}.tsv"},
        "states": [{"name": "only"}],
    }  # fmt: skip
    path = f"config/{name}.yaml"
    (project.folder / path).write_text(yaml.safe_dump(config))
    return path


def ended_well(project, config: str, name: str) -> dict:
    """The summary of a run that ended, holds, and has nothing left to do."""
    done = project.command("run", config, "--cores", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    done = project.command("verify", f"results/{name}")
    assert done.stdout.endswith(" 0 problems\n"), done.stdout + done.stderr
    assert (project.folder / f"results/{name}/supplement.zip").is_file()
    again = project.command("run", config, "--cores", "2")
    assert (again.returncode, again.stderr) == (0, "")
    return json.loads((project.folder / f"results/{name}/summary.json").read_text())


def true_places(project) -> tuple[np.ndarray, np.ndarray]:
    """Share of each phase (positions, phases), and the grain, of the virtual scan's positions."""
    truth = xr.open_dataset(project.results / "truth/grains-x2.5.nc")
    weight = truth["weight"].values.reshape(-1, truth.sizes["phase"])
    total = weight.sum(axis=1, keepdims=True)
    share = np.divide(weight, total, out=np.zeros_like(weight), where=total > 0)
    return share, truth["grain"].values.ravel()


def test_a_scan_of_256_by_256_positions_ends_and_ends_right(project):
    source = project.results / SCAN
    places = tiled(source, (256, 256))
    config = write_config(project, "large", {"large": places})
    summary = ended_well(project, config, "large")
    (scan,) = summary["scans"]
    assert scan["patterns"] == 256 * 256
    share, _ = true_places(project)
    share = share[places]
    decision = xr.open_dataset(project.folder / "results/large/phases/large.nc")["decision"].values
    clear = share.max(axis=-1) > 0.99
    decided = clear & (decision >= 0)
    assert decided.sum() > 0.9 * clear.sum()
    right = share.argmax(axis=-1) == decision
    assert right[decided].mean() > 0.99
    vacuum = share.sum(axis=-1) == 0
    assert (decision[vacuum] == -2).mean() > 0.99


def test_scans_of_one_position_one_row_one_grain_and_no_vacuum_end(project):
    source = project.results / SCAN
    share, grain = true_places(project)
    crystal = np.flatnonzero(share.sum(axis=1) > 0)
    largest = np.flatnonzero(grain == np.bincount(grain[grain >= 0]).argmax())
    scans = {
        "one": largest[:1].reshape(1, 1),
        "row": cropped(source, slice(12, 13), slice(None)),
        "grain": largest[: len(largest) // 5 * 5].reshape(5, -1),
        "full": crystal[:200].reshape(10, 20),
    }
    summary = ended_well(project, write_config(project, "odd", scans), "odd")
    counted = {scan["scan"]: scan for scan in summary["scans"]}
    for name, places in scans.items():
        assert counted[name]["patterns"] == places.size
    assert counted["full"]["vacuum"] == 0
    for name in ("grain", "full"):
        found = xr.open_dataset(project.folder / f"results/odd/phases/{name}.nc")
        decision = found["decision"].values
        clear = (share[scans[name]].max(axis=-1) > 0.99) & (decision >= 0)
        assert clear.mean() > 0.3
        assert (share[scans[name]].argmax(axis=-1) == decision)[clear].mean() > 0.99


def test_a_scan_of_nothing_ends_without_an_answer(project):
    share, _ = true_places(project)
    vacuum = np.flatnonzero(share.sum(axis=1) == 0)[:49].reshape(7, 7)
    summary = ended_well(project, write_config(project, "empty", {"empty": vacuum}), "empty")
    (scan,) = summary["scans"]
    assert (scan["vacuum"], scan["decided"]) == (49, 0)
    (state,) = summary["states"]
    assert state["x"] == {"cycling": None, "stem": None, "powder": None}
    assert state["fractions"] == {"stem": None, "powder": None}


def test_a_log_and_a_powder_pattern_without_a_scan_are_a_run(project):
    small = yaml.safe_load((project.folder / project.config).read_text())
    for name in ("charge.mpt", "powder-x2.5.xye"):
        path = project.folder / "data" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes((project.results / "raw" / name).read_bytes())
    folder = project.folder / "config"
    (folder / "logs.tsv").write_text(
        "log\tpath\tmass_mg\tirreversible_mah_g\ncharge\tdata/charge.mpt\t3.42\t4\n"
    )
    (folder / "patterns.tsv").write_text(
        "pattern\tstate\tpath\twavelength\np\thalf\tdata/powder-x2.5.xye\t0.4127\n"
    )
    config = {
        "run": "noscans", "material": small["material"],
        "tables": {"cycling": "config/logs.tsv", "powder": "config/patterns.tsv"},
        "states": [{"name": "half", "log": "charge", "rest": 1}],
    }  # fmt: skip
    (folder / "noscans.yaml").write_text(yaml.safe_dump(config))
    summary = ended_well(project, "config/noscans.yaml", "noscans")
    assert summary["scans"] == []
    (state,) = summary["states"]
    assert state["x"]["stem"] is None
    assert state["x"]["cycling"]["value"] == pytest.approx(2.5, abs=0.05)
    assert state["x"]["powder"]["value"] == pytest.approx(2.5, abs=0.05)
