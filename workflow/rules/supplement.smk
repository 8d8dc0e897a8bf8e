# One file for the journal: results, records, code and config, in a bag.
#
# in:  every output of the run, the project's files
# out: supplement.zip


def project_files():
    """What a reader needs to run the work again."""
    names = "Snakefile Makefile pyproject.toml LICENSE CITATION.cff CHANGELOG.md".split()
    folders = "workflow scripts src envs notebooks".split()
    inside = [path for folder in folders for path in Path(folder).rglob("*")]
    made = ("__pycache__", ".egg-info")
    return names + sorted(
        str(path)
        for path in inside
        if path.is_file() and not any(part.endswith(made) for part in path.parts)
    )


rule pack_supplement:
    input:
        targets=[path for path in flatten(rules.results.input)],
        config=[*workflow.configfiles, *PLAN.tables],
        project=project_files(),
        code=code("pack_supplement"),
    output:
        **recorded(supplement="supplement.zip"),
    log:
        result("logs/pack_supplement.log"),
    conda:
        "../../envs/environment.yaml"
    params:
        run=PLAN.experiment.run,
        title=PLAN.experiment.title,
        raw=list(PLAN.scans["path"]),
        settings=settings("supplement"),
    shell:
        "python scripts/pack_supplement.py --targets {input.targets} --config {input.config}"
        " --project {input.project} --raw {params.raw:q} --name {params.run}"
        " --title {params.title:q} --settings {params.settings:q}"
        " --supplement {output.supplement} > {log} 2>&1"
