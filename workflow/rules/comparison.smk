# The three sources side by side, the summary that others read, and the check against the truth.
#
# in:  states, cycling, powder; for virtual runs truth, phases
# out: comparison.nc, .csv and .tex, comparison_table.csv, conclusion.txt, summary.json,
#      truth_check.json


rule compare_sources:
    input:
        stem=result("states/{state}.nc", state=PLAN.scanned_states),
        cycling=result("cycling/{log}.nc", log=PLAN.logs.index),
        powder=result("powder/{pattern}.nc", pattern=PLAN.patterns.index),
        code=code("compare_sources"),
    output:
        **recorded(
            comparison="comparison.nc",
            table="comparison.csv",
            printed="comparison_table.csv",
            latex="comparison.tex",
            conclusion="conclusion.txt",
        ),
    log:
        logged("compare_sources"),
    conda:
        "../../envs/environment.yaml"
    params:
        links=PLAN.links(),
        settings=settings("comparison"),
        material=settings("material"),
    shell:
        "python scripts/compare_sources.py --stem {input.stem}"
        " --cycling {input.cycling} --powder {input.powder}"
        " --links {params.links:q} --material {params.material:q}"
        " --settings {params.settings:q} --comparison {output.comparison}"
        " --table {output.table} --printed {output.printed}"
        " --latex {output.latex} --conclusion {output.conclusion} > {log} 2>&1"


rule summarise_run:
    input:
        comparison=result("comparison.nc"),
        fractions=result("fractions/{scan}.nc", scan=PLAN.scans.index),
        code=code("summarise_run"),
    output:
        **recorded(summary="summary.json"),
    log:
        logged("summarise_run"),
    conda:
        "../../envs/environment.yaml"
    params:
        run=PLAN.experiment.run,
        material=settings("material"),
    shell:
        "python scripts/summarise_run.py --comparison {input.comparison}"
        " --fractions {input.fractions} --name {params.run} --summary {output.summary}"
        " --material {params.material:q} > {log} 2>&1"


if PLAN.experiment.virtual:

    rule check_against_truth:
        input:
            truth=result("truth/{scan}.nc", scan=PLAN.scans.index),
            phases=result("phases/{scan}.nc", scan=PLAN.scans.index),
            fractions=result("fractions/{scan}.nc", scan=PLAN.scans.index),
            cifs=PLAN.cifs,
            code=code("check_against_truth"),
        output:
            **recorded(check="truth_check.json"),
        log:
            logged("check_against_truth"),
        conda:
            "../../envs/environment.yaml"
        params:
            material=settings("material"),
        shell:
            "python scripts/check_against_truth.py --truth {input.truth}"
            " --phases {input.phases} --fractions {input.fractions} --cifs {input.cifs:q}"
            " --material {params.material:q} --check {output.check} > {log} 2>&1"
