# What the settings that a sweep varies do to fractions and conclusions.
#
# in:  comparison.nc and states/<state>.nc, of the run and of each variant
# out: sweep.csv, figures/sweep.png


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
        settings=as_it_is(PLAN.sweep.as_json()),
        material=settings("material"),
    shell:
        "python scripts/summarise_sweep.py --comparisons {input.comparisons}"
        " --states {input.states} --settings {params.settings:q}"
        " --material {params.material:q}"
        " --table {output.table} --figure {output.figure} > {log} 2>&1"
