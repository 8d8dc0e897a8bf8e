# Phase fractions of each scan, with intervals.
#
# in:  phases/<scan>.nc, grains/<scan>.nc, confusion/<scan>.nc, scans/<scan>.nc of raw scans, CIFs
# out: fractions/<scan>.nc, fractions.csv, figures/fractions.png
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
        cifs=PLAN.cifs,
        code=code("count_fractions"),
    output:
        **recorded(fractions="fractions/{scan}.nc"),
    log:
        logged("count_fractions/{scan}"),
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


rule tabulate_fractions:
    input:
        fractions=result("fractions/{scan}.nc", scan=PLAN.scans.index),
        code=code("tabulate_fractions"),
    output:
        **recorded(table="fractions.csv"),
        **pictured("figure", "figures/fractions.png", "fractions", "Comparison"),
    log:
        logged("tabulate_fractions"),
    conda:
        "../../envs/environment.yaml"
    params:
        links=stated("links"),
        labels=stated("material.labels"),
        seed=stated("seed_of.tabulate_fractions"),
        name=stated("run"),
    shell:
        "python scripts/tabulate_fractions.py --fractions {input.fractions}"
        " --links {params.links:q} --labels {params.labels:q} --seed {params.seed}"
        " --name {params.name} --table {output.table} --figure {output.figure} > {log} 2>&1"
