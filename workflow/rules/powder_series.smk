# Operando powder series: when each pattern was measured, on its log, and the phases along it.
#
# in:  patterns, the table of their times where they do not say them, cycling/<log>.nc, CIFs
# out: powder_series/times/<batch>.nc, powder_series/fits/<batch>.<part>.nc;
#      powder_series/<series>.nc, .csv, figures/powder_series/<series>.png
#
# config:
#   tables: {powder: config/demo/powder.tsv, cycling: config/demo/cycling.tsv}
#   powder: {two_theta_range: [3, 30], background_terms: 20, sequential: false}
#   material: {phases: [{name: Na3, label: Na$_3$V, ion_content: 3, formula_units: 4}]}


rule place_patterns:
    input:
        patterns=batch_files,
        stated=lambda wildcards: PLAN.batches.table.loc[wildcards.batch, "times"] or [],
        cycling=lambda wildcards: log_of(PLAN.batches.table.loc[wildcards.batch])(
            wildcards
        ),
        code=code("place_patterns"),
    output:
        **recorded(times="powder_series/times/{batch}.nc"),
    log:
        logged("place_patterns/{batch}"),
    # Before hours of fits, for it refuses what has no time.
    priority: 1
    conda:
        "../../envs/environment.yaml"
    params:
        clock=stated("batch.{batch}.clock"),
    shell:
        "python scripts/place_patterns.py --batch {wildcards.batch}"
        " --patterns {input.patterns:q} --stated {input.stated:q} --cycling {input.cycling}"
        " --clock {params.clock:q} --times {output.times} > {log} 2>&1"


rule fit_batch:
    input:
        patterns=batch_files,
        cifs=CIFS,
        code=code("fit_batch"),
    output:
        **recorded(fits="powder_series/fits/{batch}.{part}.nc"),
    log:
        logged("fit_batch/{batch}.{part}"),
    conda:
        "../../envs/environment.yaml"
    params:
        reading=stated("batch.{batch}.reading"),
        settings=stated("powder"),
        names=stated("material.names"),
        ion_contents=stated("material.ion_contents"),
        formula_units=stated("material.formula_units"),
    shell:
        "python scripts/fit_batch.py --batch {wildcards.batch} --patterns {input.patterns:q}"
        " --reading {params.reading:q} --cifs {input.cifs:q} --names {params.names:q}"
        " --ion-contents {params.ion_contents:q} --formula-units {params.formula_units:q}"
        " --settings {params.settings:q} --fits {output.fits} > {log} 2>&1"


rule gather_powder_series:
    input:
        times=lambda wildcards: result(
            "powder_series/times/{batch}.nc",
            batch=PLAN.batches.of_series(wildcards.series),
        )(wildcards),
        fits=lambda wildcards: result(
            "powder_series/fits/{part}.nc",
            part=[
                f"{batch}.{part}"
                for batch in PLAN.batches.of_series(wildcards.series)
                for part in PLAN.batches.parts_of(batch)
            ],
        )(wildcards),
        code=code("gather_powder_series"),
    output:
        **recorded(
            series="powder_series/{series}.nc", table="powder_series/{series}.csv"
        ),
    log:
        logged("gather_powder_series/{series}"),
    conda:
        "../../envs/environment.yaml"
    shell:
        "python scripts/gather_powder_series.py --times {input.times} --fits {input.fits}"
        " --series {output.series} --table {output.table} > {log} 2>&1"


rule draw_powder_series:
    input:
        series=result("powder_series/{series}.nc"),
        cycling=lambda wildcards: log_of(
            PLAN.batches.table.loc[PLAN.batches.of_series(wildcards.series)[0]]
        )(wildcards),
        code=code("draw_powder_series"),
    output:
        **pictured(
            "figure",
            "figures/powder_series/{series}.png",
            "powder_series",
            "Powder",
            series="{series}",
        ),
    log:
        logged("draw_powder_series/{series}"),
    conda:
        "../../envs/environment.yaml"
    params:
        labels=stated("material.labels"),
    shell:
        "python scripts/draw_powder_series.py --series {input.series} --cycling {input.cycling}"
        " --labels {params.labels:q} --figure {output.figure} > {log} 2>&1"
