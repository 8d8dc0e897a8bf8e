"""Dry runs that share a start of Snakemake are those of the copy they are asked for."""


def test_a_dry_run_is_of_the_copys_own_package_each_time(fresh_project, tmp_path):
    project = fresh_project.copy(tmp_path / "copy")
    module = project.folder / "src/phasefront/experiment/plan.py"
    before = module.read_text()
    planned = project.planned()
    assert planned["find_spots"] == 2
    module.write_text(before + '\nraise RuntimeError("the copy was edited")\n')
    done = project.dry_run("--dry-run", configs=(project.config,))
    assert done.returncode == 1
    assert "the copy was edited" in done.stdout + done.stderr
    module.write_text(before)
    assert project.planned() == fresh_project.planned() == planned
