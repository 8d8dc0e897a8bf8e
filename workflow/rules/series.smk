# In situ series: what places and grains went through, and whether charge or beam did it.
#
# in:  grains/, phases/ and times/<scan>.nc of all scans of the series, alignments/<series>.nc,
#      cycling/<log>.nc
# out: series/<series>.nc, series.json, series.csv,
#      figures/series/<series>/filmstrip.png, film.gif, fronts.png, cell.png
#
# config:
#   seed: 1
#   tables: {scans: config/demo/scans.tsv, cycling: config/demo/cycling.tsv}
#   material:
#     two_phase_fields: [{Na3: 3, Na2: 2}]
#     phases: [{name: Na3, label: Na$_3$V, ion_content: 3}]


rule follow_series:
    input:
        alignment=result("alignments/{series}.nc"),
        phases=of_series("phases/{scan}.nc"),
        grains=of_series("grains/{scan}.nc"),
        times=of_series("times/{scan}.nc"),
        cycling=log_of_series,
        code=code("follow_series"),
    output:
        **recorded(series="series/{series}.nc"),
    log:
        logged("follow_series/{series}"),
    conda:
        "../../envs/environment.yaml"
    params:
        names=stated("material.names"),
        ion_contents=stated("material.ion_contents"),
        fields=stated("material.two_phase_fields"),
        seed=stated("seed_of.{series}"),
    shell:
        "python scripts/follow_series.py --alignment {input.alignment} --phases {input.phases}"
        " --grains {input.grains} --times {input.times} --cycling {input.cycling}"
        " --names {params.names:q} --ion-contents {params.ion_contents:q}"
        " --fields {params.fields:q} --seed {params.seed} --series {output.series} > {log} 2>&1"


rule judge_series:
    input:
        alignments=result("alignments/{series}.nc", series=PLAN.series),
        series=result("series/{series}.nc", series=PLAN.series),
        code=code("judge_series"),
    output:
        **recorded(table="series.csv", summary="series.json"),
    log:
        logged("judge_series"),
    conda:
        "../../envs/environment.yaml"
    shell:
        "python scripts/judge_series.py --alignments {input.alignments} --series {input.series}"
        " --table {output.table} --summary {output.summary} > {log} 2>&1"


rule draw_series:
    input:
        series=result("series/{series}.nc"),
        cycling=log_of_series,
        code=code("draw_series"),
    output:
        **pictured(
            "filmstrip",
            "figures/series/{series}/filmstrip.png",
            "filmstrip",
            "Series",
            series="{series}",
        ),
        **pictured(
            "film",
            "figures/series/{series}/film.gif",
            "film",
            "Series",
            series="{series}",
        ),
        **pictured(
            "fronts",
            "figures/series/{series}/fronts.png",
            "fronts",
            "Series",
            series="{series}",
        ),
        **pictured(
            "cell",
            "figures/series/{series}/cell.png",
            "cell",
            "Series",
            series="{series}",
        ),
    log:
        logged("draw_series/{series}"),
    conda:
        "../../envs/environment.yaml"
    params:
        labels=stated("material.labels"),
    shell:
        "python scripts/draw_series.py --series {input.series} --cycling {input.cycling}"
        " --labels {params.labels:q}"
        " --filmstrip {output.filmstrip} --film {output.film} --fronts {output.fronts}"
        " --cell {output.cell} > {log} 2>&1"
