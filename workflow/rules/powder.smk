# Weight and molar fractions from each powder pattern, by Rietveld refinement.
#
# in:  the pattern, CIFs
# out: powder/<pattern>.nc


rule fit_pattern:
    input:
        pattern=lambda wildcards: PLAN.patterns.loc[wildcards.pattern, "path"],
        cifs=PLAN.cifs,
        code=code("fit_pattern"),
    output:
        **recorded(powder="powder/{pattern}.nc"),
    log:
        logged("fit_pattern/{pattern}"),
    conda:
        "../../envs/environment.yaml"
    params:
        row=lambda wildcards: PLAN.pattern(wildcards.pattern),
        settings=settings("powder"),
        material=settings("material"),
    shell:
        "python scripts/fit_pattern.py --pattern {input.pattern} --row {params.row:q}"
        " --cifs {input.cifs} --material {params.material:q} --settings {params.settings:q}"
        " --powder {output.powder} > {log} 2>&1"
