# One file for the journal: results, records, code and config, in a bag.
#
# in:  every output of the run, the project's files
# out: supplement.zip
#
# config:
#   run: demo
#   title: Sodium leaving Na3V2(PO4)2F3
#   supplement: {include_raw: false, license: https://spdx.org/licenses/CC-BY-4.0}
#   downloads: []


rule pack_supplement:
    input:
        targets=targets,
        config=[os.path.relpath(path) for path in workflow.configfiles],
        tables=PLAN.tables,
        project=project_files(),
        code=code("pack_supplement"),
    output:
        **recorded(supplement="supplement.zip"),
    log:
        logged("pack_supplement"),
    conda:
        "../../envs/environment.yaml"
    params:
        name=stated("run"),
        title=stated("title"),
        raw=stated("raw_paths"),
        settings=stated("supplement"),
        fetched=stated("fetched"),
    shell:
        "python scripts/pack_supplement.py --targets {input.targets} --config {input.config:q}"
        " --tables {input.tables:q} --project {input.project} --raw {params.raw:q}"
        " --name {params.name}"
        " --title={params.title:q} --settings {params.settings:q}"
        " --fetched {params.fetched:q} --supplement {output.supplement} > {log} 2>&1"
