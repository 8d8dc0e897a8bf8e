# Whether the chemistry of a map follows the structure that a scan saw.
#
# in:  chemistry/<stack>.nc, registrations/<stack>.nc, phases/, grains/ and interfaces/<scan>.nc
# out: correlations/<stack>.nc, correlations/<stack>.json, correlations.csv,
#      figures/correlations/<stack>.png
#
# config:
#   seed: 1
#   registration: {probe_nm: 2}
#   correlation: {distances_nm: [0, 60, 120]}
#   comparison: {margin: 0.1}
#   material: {ion: Na, phases: [{name: Na3, ion_content: 3}]}
#   tables: {scans: config/mine/scans.tsv, stacks: config/mine/stacks.tsv}


rule correlate_map:
    input:
        chemistry=result("chemistry/{stack}.nc"),
        registration=result("registrations/{stack}.nc"),
        phases=of_laid("phases/{scan}.nc"),
        grains=of_laid("grains/{scan}.nc"),
        interfaces=of_laid("interfaces/{scan}.nc"),
        code=code("correlate_map"),
    output:
        **recorded(
            correlation="correlations/{stack}.nc", summary="correlations/{stack}.json"
        ),
    log:
        logged("correlate_map/{stack}"),
    wildcard_constraints:
        stack=any_of(laid(PLAN.stacks)),
    conda:
        "../../envs/environment.yaml"
    params:
        laying=stated("stack.{stack}.laying"),
        settings=stated("correlation"),
        ion_contents=stated("material.ion_contents"),
        probe=stated("registration.probe_nm"),
        margin=stated("comparison.margin"),
        seed=stated("seed_of.{stack}"),
    shell:
        "python scripts/correlate_map.py --chemistry {input.chemistry}"
        " --registration {input.registration} --phases {input.phases} --grains {input.grains}"
        " --interfaces {input.interfaces} --laying {params.laying:q}"
        " --settings {params.settings:q} --ion-contents {params.ion_contents:q}"
        " --probe {params.probe} --margin {params.margin} --seed {params.seed}"
        " --correlation {output.correlation} --summary {output.summary} > {log} 2>&1"


rule draw_correlation:
    input:
        correlation=result("correlations/{stack}.nc"),
        grains=of_laid("grains/{scan}.nc"),
        code=code("draw_correlation"),
    output:
        **pictured(
            "figure",
            "figures/correlations/{stack}.png",
            "correlation",
            "Stacks",
            stack="{stack}",
        ),
    log:
        logged("draw_correlation/{stack}"),
    wildcard_constraints:
        stack=any_of(laid(PLAN.stacks)),
    conda:
        "../../envs/environment.yaml"
    params:
        ion=stated("material.ion"),
    shell:
        "python scripts/draw_correlation.py --correlation {input.correlation}"
        " --grains {input.grains} --ion {params.ion} --figure {output.figure} > {log} 2>&1"


rule tabulate_correlations:
    input:
        correlations=result("correlations/{stack}.nc", stack=laid(PLAN.stacks)),
        code=code("tabulate_correlations"),
    output:
        **recorded(table="correlations.csv"),
    log:
        logged("tabulate_correlations"),
    conda:
        "../../envs/environment.yaml"
    shell:
        "python scripts/tabulate_correlations.py --correlations {input.correlations}"
        " --table {output.table} > {log} 2>&1"
