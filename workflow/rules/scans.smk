# What each raw scan is.
#
# in:  the raw scan
# out: scans/<scan>.nc
#
# config:
#   scans: {bright_field_radius_px: 8}
#   tables: {scans: config/demo/scans.tsv}
#   instruments: {astar: {voltage_kv: 200}}


rule describe_scan:
    input:
        scan=of_raw_scan(raw),
        parts=of_raw_scan(parts),
        code=code("describe_scan"),
    output:
        **recorded(description="scans/{scan}.nc"),
    log:
        logged("describe_scan/{scan}"),
    conda:
        "../../envs/environment.yaml"
    threads: FEW_THREADS
    params:
        settings=stated("scans"),
        layout=stated("scan.{scan}.layout"),
        clock=stated("scan.{scan}.clock"),
        step=stated("scan.{scan}.step"),
    shell:
        "python scripts/describe_scan.py --scan {input.scan:q} --name {wildcards.scan}"
        " --settings {params.settings:q} --layout {params.layout:q} --step {params.step}"
        " --clock {params.clock:q} --description {output.description} > {log} 2>&1"
