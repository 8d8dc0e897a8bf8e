# Ion content along each galvanostatic log, and the states located on it.
#
# in:  the log
# out: cycling/<log>.nc


rule analyse_log:
    input:
        log=lambda wildcards: PLAN.logs.loc[wildcards.log, "path"],
        code=code("analyse_log"),
    output:
        **recorded(cycling="cycling/{log}.nc"),
    log:
        logged("analyse_log/{log}"),
    conda:
        "../../envs/environment.yaml"
    params:
        row=lambda wildcards: PLAN.log(wildcards.log),
        states=lambda wildcards: PLAN.states_on_log(wildcards.log),
        material=settings("material"),
    shell:
        "python scripts/analyse_log.py --log {input.log} --row {params.row:q}"
        " --states {params.states:q} --material {params.material:q}"
        " --cycling {output.cycling} > {log} 2>&1"
