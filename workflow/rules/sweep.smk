# What the settings that a sweep varies do to fractions and conclusions.
#
# in:  comparison.nc and states/<state>.nc, of the run and of each variant
# out: sweep.csv, figures/sweep.png
#
# config:
#   sweep: {grid: {phases.decide_above: [0.9, 0.99]}}
#   states: [{name: x3.0}]
#   material: {ion: Na, phases: [{name: Na3, label: Na$_3$V}]}


rule summarise_sweep:
    input:
        comparisons=lambda wildcards: [
            located("comparison.nc", variant) for variant in VARIANTS
        ],
        states=lambda wildcards: [
            located(f"states/{state}.nc", variant)
            for variant in VARIANTS
            for state in PLAN.scanned_states
        ],
        code=code("summarise_sweep"),
    output:
        **recorded(table="sweep.csv"),
        **pictured("figure", "figures/sweep.png", "sweep", "Sweep"),
    log:
        logged("summarise_sweep"),
    conda:
        "../../envs/environment.yaml"
    params:
        settings=stated("variants"),
        labels=stated("material.labels"),
        ion=stated("material.ion"),
    shell:
        "python scripts/summarise_sweep.py --comparisons {input.comparisons}"
        " --states {input.states} --settings {params.settings:q}"
        " --labels {params.labels:q} --ion {params.ion}"
        " --table {output.table} --figure {output.figure} > {log} 2>&1"


# What records say of parameters: where the experiment states them. Read after all other rules.

for each in workflow.rules:
    CONTEXT.export_parameters(
        each.name,
        {
            name: param.path
            for name, param in each.params.items()
            if isinstance(param, stated)
        },
    )
