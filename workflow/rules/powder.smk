# Weight and molar fractions of each powder pattern: by Rietveld refinement, or from the table of
# a program that refined it.
#
# in:  the pattern, CIFs, the fit of the state before; or the table
# out: powder/<pattern>.nc
#
# config:
#   powder: {two_theta_range: [3, 30], background_terms: 20, sequential: false}
#   tables: {powder: config/demo/powder.tsv}
#   material: {phases: [{name: Na3, ion_content: 3, formula_units: 4}]}


rule fit_pattern:
    input:
        pattern=pattern_path,
        before=fit_before,
        cifs=CIFS,
        code=code("fit_pattern"),
    output:
        **recorded(powder="powder/{pattern}.nc"),
    log:
        logged("fit_pattern/{pattern}"),
    wildcard_constraints:
        pattern=any_of(PLAN.patterns_of_kind("pattern")),
    conda:
        "../../envs/environment.yaml"
    params:
        row=stated("pattern.{pattern}.row"),
        settings=stated("powder"),
        names=stated("material.names"),
        ion_contents=stated("material.ion_contents"),
        formula_units=stated("material.formula_units"),
    shell:
        "python scripts/fit_pattern.py --pattern {input.pattern:q} --row {params.row:q}"
        " --before {input.before} --cifs {input.cifs:q} --names {params.names:q}"
        " --ion-contents {params.ion_contents:q} --formula-units {params.formula_units:q}"
        " --settings {params.settings:q} --powder {output.powder} > {log} 2>&1"


rule import_fractions:
    input:
        table=pattern_path,
        cifs=CIFS,
        code=code("import_fractions"),
    output:
        **recorded(powder="powder/{pattern}.nc"),
    log:
        logged("import_fractions/{pattern}"),
    wildcard_constraints:
        pattern=any_of(PLAN.patterns_of_kind("refined")),
    conda:
        "../../envs/environment.yaml"
    params:
        row=stated("pattern.{pattern}.row"),
        settings=stated("powder"),
        names=stated("material.names"),
        ion_contents=stated("material.ion_contents"),
        formula_units=stated("material.formula_units"),
    shell:
        "python scripts/import_fractions.py --table {input.table:q} --row {params.row:q}"
        " --cifs {input.cifs:q} --names {params.names:q} --ion-contents {params.ion_contents:q}"
        " --formula-units {params.formula_units:q}"
        " --settings {params.settings:q} --powder {output.powder} > {log} 2>&1"
