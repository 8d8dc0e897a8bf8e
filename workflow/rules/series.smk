# When each position of a scan was taken, in an in situ series: on the log, and the dose so far.
#
# in:  scans/<scan>.nc of all scans of the series, cycling/<log>.nc
# out: times/<scan>.nc
#
# config:
#   tables: {scans: config/demo/scans.tsv, cycling: config/demo/cycling.tsv}


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
