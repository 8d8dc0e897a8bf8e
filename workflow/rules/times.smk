# When and where the positions of an in situ series were taken: on the log, with the dose so far, and
# on its first scan.
#
# in:  scans/ and grains/<scan>.nc of all scans of the series, cycling/<log>.nc
# out: times/<scan>.nc, alignments/<series>.nc
#
# config:
#   tables: {scans: config/demo/scans.tsv, cycling: config/demo/cycling.tsv}
#   material: {parent_point_group: 4/mmm, phases: [{name: Na3, ion_content: 3}]}


rule place_on_log:
    input:
        scans=lambda wildcards: result(
            "scans/{scan}.nc", scan=PLAN.series_of(wildcards.scan)
        )(wildcards),
        cycling=lambda wildcards: result(
            "cycling/{log}.nc", log=[PLAN.scans.loc[wildcards.scan, "log"]]
        )(wildcards),
        code=code("place_on_log"),
    output:
        **recorded(times="times/{scan}.nc"),
    log:
        logged("place_on_log/{scan}"),
    conda:
        "../../envs/environment.yaml"
    params:
        placing=stated("scan.{scan}.placing"),
    shell:
        "python scripts/place_on_log.py --scan {wildcards.scan} --scans {input.scans}"
        " --cycling {input.cycling} --placing {params.placing:q}"
        " --times {output.times} > {log} 2>&1"


rule align_series:
    input:
        scans=of_series("scans/{scan}.nc"),
        grains=of_series("grains/{scan}.nc"),
        code=code("align_series"),
    output:
        **recorded(alignment="alignments/{series}.nc"),
    log:
        logged("align_series/{series}"),
    conda:
        "../../envs/environment.yaml"
    params:
        shared_lattice=stated("material.shared_lattice"),
    shell:
        "python scripts/align_series.py --series {wildcards.series} --scans {input.scans}"
        " --grains {input.grains}"
        " --shared-lattice {params.shared_lattice:q}"
        " --alignment {output.alignment} > {log} 2>&1"
