# Ion content along each galvanostatic log, its plateaus, and the states located on it.
#
# in:  the log
# out: cycling/<log>.nc, cycling/<log>.csv, figures/cycling/<log>.png
#
# config:
#   tables: {cycling: config/demo/cycling.tsv}
#   states: [{name: x3.0, log: charge, rest: 0}]
#   material: {ion: Na, pristine_molar_mass: 417.79, pristine_ion_content: 3}


rule analyse_log:
    input:
        log=lambda wildcards: PLAN.logs.loc[wildcards.log, "path"],
        code=code("analyse_log"),
    output:
        **recorded(cycling="cycling/{log}.nc", table="cycling/{log}.csv"),
    log:
        logged("analyse_log/{log}"),
    conda:
        "../../envs/environment.yaml"
    params:
        row=stated("log.{log}.row"),
        states=stated("log.{log}.states"),
        weighed=stated("material.weighed"),
    shell:
        "python scripts/analyse_log.py --log {input.log:q} --row {params.row:q}"
        " --states {params.states:q} --weighed {params.weighed:q}"
        " --cycling {output.cycling} --table {output.table} > {log} 2>&1"


rule draw_log:
    input:
        cycling=result("cycling/{log}.nc"),
        code=code("draw_log"),
    output:
        **pictured(
            "figure", "figures/cycling/{log}.png", "cycling", "Cycling", log="{log}"
        ),
    log:
        logged("draw_log/{log}"),
    conda:
        "../../envs/environment.yaml"
    params:
        ion=stated("material.ion"),
    shell:
        "python scripts/draw_log.py --cycling {input.cycling}"
        " --ion {params.ion} --figure {output.figure} > {log} 2>&1"
