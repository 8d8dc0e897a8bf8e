"""What `phasefront new` writes of someone's files runs, once what no file says is filled in."""

import pytest

from phasefront.experiment.load import TO_FILL_IN

FILLED = {
    "config/mine.yaml": {
        "pristine_molar_mass": "417.79",
        "pristine_ion_content": "3",
        "scale": "0.0175",
        "rest": "1",
    },
    "config/mine/cycling.tsv": {"mass_mg": "3.42", "mass_error_mg": "0.03"},
    "config/mine/powder.tsv": {"state": "grains-x2.5", "wavelength": "0.4127"},
}


def fill_in(path, values):
    """Write each value at its key of YAML, or in its column of a table of one row."""
    lines = path.read_text().splitlines()
    if path.suffix == ".tsv":
        columns, cells = lines[-2].split("\t"), lines[-1].split("\t")
        lines[-1] = "\t".join(
            values[column] if cell == TO_FILL_IN else cell
            for column, cell in zip(columns, cells, strict=True)
        )
    else:
        for key, value in values.items():
            lines = [line.replace(f"{key}: {TO_FILL_IN}", f"{key}: {value}") for line in lines]
    path.write_text("\n".join(lines) + "\n")


@pytest.mark.slow
def test_files_of_a_microscope_a_cycler_and_a_beamline_become_a_run(finished_project, tmp_path):
    project = finished_project.copy(tmp_path / "project")
    raw = "results/small/raw"
    begun = project.command(
        "new", "mine", "--scan", f"{raw}/grains-x2.5.blo",
        "--voltage", "200", "--precession", "0.8",
        "--cif", *(f"config/structures/{name}V2PO42F3.cif" for name in ("Na3", "Na2", "Na")),
        "--log", f"{raw}/charge.mpt", "--powder", f"{raw}/powder-x2.5.xye",
    )  # fmt: skip
    assert begun.returncode == 0, begun.stderr
    for path, values in FILLED.items():
        assert project.command("check", "config/mine.yaml").returncode == 2
        fill_in(project.folder / path, values)
    checked = project.command("check", "config/mine.yaml")
    assert checked.returncode == 0, checked.stderr
    done = project.command("run", "config/mine.yaml", "--cores", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    conclusion = (project.folder / "results/mine/conclusion.txt").read_text()
    assert "4D-STEM" in conclusion
    assert project.command("verify", "results/mine").returncode == 0
