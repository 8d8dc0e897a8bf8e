# Chemistry of maps: valence, or ion content, from X-ray stacks.
#
# in:  densities/<stack>.nc, reference spectra
# out: chemistry/<stack>.nc, figures/stacks/<stack>.png, figures/chemistry/<stack>.png
#
# config:
#   chemistry:
#     references:
#       - {name: V3, valence: 3, path: config/references/V3.csv, source: multiplets by edrixs}
#       - {name: V4, valence: 4, path: config/references/V4.csv, source: multiplets by edrixs}
#     thresholds: [[517, 2], [524, 1]]
#     fit_ev: [509, 528.5]
#     ion_content: {constant: 9, per_valence: -2, exchange: 0, exchange_error: 0.1}
#   tables: {stacks: config/mine/stacks.tsv}


rule fit_valence:
    input:
        density=result("densities/{stack}.nc"),
        references=[one.path for one in PLAN.experiment.chemistry.references],
        code=code("fit_valence"),
    output:
        **recorded(chemistry="chemistry/{stack}.nc"),
    log:
        logged("fit_valence/{stack}"),
    wildcard_constraints:
        stack=any_of(PLAN.stacks_of_kind("xray")),
    conda:
        "../../envs/environment.yaml"
    params:
        settings=stated("chemistry"),
    shell:
        "python scripts/fit_valence.py --density {input.density}"
        " --references {input.references:q} --settings {params.settings:q}"
        " --chemistry {output.chemistry} > {log} 2>&1"


rule draw_chemistry:
    input:
        density=result("densities/{stack}.nc"),
        chemistry=result("chemistry/{stack}.nc"),
        code=code("draw_chemistry"),
    output:
        **pictured(
            "stack", "figures/stacks/{stack}.png", "stack", "Stacks", stack="{stack}"
        ),
        **pictured(
            "map",
            "figures/chemistry/{stack}.png",
            "chemistry",
            "Stacks",
            stack="{stack}",
        ),
    log:
        logged("draw_chemistry/{stack}"),
    conda:
        "../../envs/environment.yaml"
    shell:
        "python scripts/draw_chemistry.py --density {input.density}"
        " --chemistry {input.chemistry} --stack {output.stack} --map {output.map} > {log} 2>&1"
