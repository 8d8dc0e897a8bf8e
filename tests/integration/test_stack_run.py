"""An X-ray stack and another program's map through their rules; what runs again after an edit."""

import json

import numpy as np
import pytest
import xarray as xr
import yaml
from scipy import ndimage
from stack_files import write_sdf

from benchmarks.virtual_stacks import VANADIUM_EV, grains, measured, truth_spectra
from phasefront.cli import running
from phasefront.records.record import SUFFIX
from phasefront.stacks.columns import columns_of

TARGETS = [
    f"results/small/figures/{name}.png" for name in ("chemistry/v", "chemistry/m", "stacks/v")
]
BALANCE = {"constant": 9, "per_valence": -2, "exchange_error": 0.1}


def chemistry():
    """The config's section, with the references of the project."""
    references = [
        {"name": f"V{v}", "valence": v, "path": f"config/references/V{v}.csv", "source": "edrixs"}
        for v in (3, 4, 5)
    ]
    return {
        "references": references, "thresholds": [[517, 2], [524, 1]], "fit_ev": [509, 528.5],
        "ion_content": BALANCE,
    }  # fmt: skip


def write_stack(folder):
    """A stack of grains of V3.5+ as SDF; rows 0 to 3 are without a sample."""
    tables = [columns_of(folder / one["path"], "") for one in chemistry()["references"]]
    spectra, below = truth_spectra([table.T for table in tables], VANADIUM_EV)
    thick = ndimage.shift(grains((36, 40), 3), (3, 0))
    thick[:4] = 0
    density = (spectra @ [0.5, 0.5, 0] + below / 2)[:, None, None] * thick
    counts, _ = measured(1.4 * density / density.max(), photons=8000, seed=3)
    return write_sdf(folder / "raw", VANADIUM_EV, counts, step_um=(0.04, 0.04))


def run(project, *options):
    return project.call(running.snakemake([project.config], "--cores", "2", *options, *TARGETS))


def planned(project):
    """Rules that Snakemake would run for the targets now."""
    options = ("--dry-run", "--quiet", "rules", "--")
    done = project.dry_run(*options, *TARGETS, configs=(project.config,))
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    return {words[0] for words in lines if len(words) == 2 and words[1].isdigit()} - {"total"}


@pytest.mark.slow
def test_a_stack_and_a_map_become_chemistry_and_an_edit_of_one_image_is_seen(
    fresh_project, tmp_path
):
    project = fresh_project.copy(tmp_path / "stacks")
    (project.folder / "raw").mkdir()
    path = write_stack(project.folder)
    np.save(project.folder / "raw/m.npy", np.ones((5, 6)))
    (project.folder / "config/small/stacks.tsv").write_text(
        "stack\tstate\tpath\tkind\tpixel_nm\ti0_region\tquantity\tunit\terror\n"
        f"v\tx2.5\traw/{path.name}\txray\t\t0:4,0:40\t\t\t\n"
        "m\tx2.5\traw/m.npy\tmap\t6\t\tphase\trad\t0.1\n"
    )
    config = project.folder / project.config
    content = yaml.safe_load(config.read_text())
    content["tables"]["stacks"] = "config/small/stacks.tsv"
    config.write_text(yaml.safe_dump(content | {"chemistry": chemistry()}))
    done = run(project)
    assert done.returncode == 0, done.stdout + done.stderr

    found = xr.load_dataset(project.results / "chemistry/v.nc")
    assert found.attrs["quantity"] == "ion content"
    error = (found["value"].values - 2)[found["mask"].values == 1]
    assert error.size > 100
    assert np.sqrt(np.mean(error**2)) < 0.2
    record = json.loads((project.results / f"stacks/v.nc{SUFFIX}").read_text())
    read = {entry["path"] for entry in record["made"]["inputs"]}
    assert {"raw/s.hdr", "raw/s_a000.xim", f"raw/s_a{len(VANADIUM_EV) - 1:03d}.xim"} <= read

    assert planned(project) == set()
    image = project.folder / "raw/s_a007.xim"
    image.write_text(image.read_text().replace("8", "7", 1))
    rules = {"read_stack", "measure_density", "fit_valence", "draw_density", "draw_chemistry"}
    assert planned(project) == rules
