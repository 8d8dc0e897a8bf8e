# Phase fractions of each scan and of each state, with intervals.
#
# in:  phases/<scan>.nc, grains/<scan>.nc, confusion/<scan>.nc, scans/<scan>.nc of raw scans, CIFs
# out: fractions/<scan>.nc, states/<state>.nc, fractions.csv, figures/fractions.png
#
# config:
#   run: demo
#   seed: 1
#   fractions: {draws: 2000, thickness_exponent: [1, 2]}
#   states: [{name: x3.0}]
#   material: {phases: [{name: Na3, label: Na$_3$V, ion_content: 3, formula_units: 4}]}


rule count_fractions:
    input:
        phases=result("phases/{scan}.nc"),
        grains=result("grains/{scan}.nc"),
        confusion=of_patterns("confusion/{scan}.nc"),
        scan=of_raw_scan("scans/{scan}.nc"),
        cifs=CIFS,
        code=code("count_fractions"),
    output:
        **recorded(fractions="fractions/{scan}.nc"),
    log:
        logged("count_fractions/{scan}"),
    priority: 1  # the notebook waits for it
    conda:
        "../../envs/environment.yaml"
    params:
        settings=stated("fractions"),
        names=stated("material.names"),
        ion_contents=stated("material.ion_contents"),
        formula_units=stated("material.formula_units"),
        seed=stated("seed_of.{scan}"),
    shell:
        "python scripts/count_fractions.py --phases {input.phases} --grains {input.grains}"
        " --confusion {input.confusion} --scan {input.scan:q}"
        " --cifs {input.cifs:q} --names {params.names:q} --ion-contents {params.ion_contents:q}"
        " --formula-units {params.formula_units:q} --settings {params.settings:q}"
        " --seed {params.seed} --fractions {output.fractions} > {log} 2>&1"


rule pool_fractions:
    input:
        fractions=scans_of_state("fractions/{scan}.nc"),
        code=code("pool_fractions"),
    output:
        **recorded(pooled="states/{state}.nc"),
    log:
        logged("pool_fractions/{state}"),
    priority: 1  # the notebook waits for it
    conda:
        "../../envs/environment.yaml"
    params:
        seed=stated("seed_of.pool_fractions"),
    shell:
        "python scripts/pool_fractions.py --fractions {input.fractions}"
        " --name {wildcards.state} --seed {params.seed} --pooled {output.pooled} > {log} 2>&1"


rule tabulate_fractions:
    input:
        fractions=result("fractions/{scan}.nc", scan=PLAN.scans.index),
        states=result("states/{state}.nc", state=PLAN.scanned_states),
        code=code("tabulate_fractions"),
    output:
        **recorded(table="fractions.csv"),
        **pictured("figure", "figures/fractions.png", "fractions", "Comparison"),
    log:
        logged("tabulate_fractions"),
    conda:
        "../../envs/environment.yaml"
    params:
        labels=stated("material.labels"),
        seed=stated("seed_of.pool_fractions"),
        name=stated("run"),
    shell:
        "python scripts/tabulate_fractions.py --fractions {input.fractions}"
        " --states {input.states} --labels {params.labels:q} --seed {params.seed}"
        " --name {params.name} --table {output.table} --figure {output.figure} > {log} 2>&1"
