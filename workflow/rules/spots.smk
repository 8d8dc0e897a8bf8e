# Bragg vectors of every pattern: found in a raw scan, or taken from a peak list.
#
# in:  the raw scan and its calibration, or a peak list
# out: spots/<scan>.nc
#
# config:
#   spots: {false_alarms: 0.1, max_radius: 1.2}
#   tables: {scans: config/demo/scans.tsv}
#   instruments: {astar: {scale: 0.0175}}


rule find_spots:
    input:
        scan=of_raw_scan(raw),
        parts=of_raw_scan(parts),
        calibration=result("calibration/{scan}.nc"),
        code=code("find_spots"),
    output:
        **recorded(spots="spots/{scan}.nc"),
    log:
        logged("find_spots/{scan}"),
    wildcard_constraints:
        scan=any_of(PLAN.scans_of_kind("scan")),
    conda:
        "../../envs/environment.yaml"
    threads: SCAN_THREADS
    params:
        settings=stated("spots"),
        layout=stated("scan.{scan}.layout"),
        step=stated("scan.{scan}.step"),
    shell:
        "python scripts/find_spots.py --scan {input.scan:q} --name {wildcards.scan}"
        " --calibration {input.calibration} --settings {params.settings:q}"
        " --layout {params.layout:q}"
        " --step {params.step} --spots {output.spots} > {log} 2>&1"


rule import_peaks:
    input:
        peaks=lambda wildcards: raw(scan_row(wildcards)["path"]),
        code=code("import_peaks"),
    output:
        **recorded(spots="spots/{scan}.nc"),
    log:
        logged("import_peaks/{scan}"),
    wildcard_constraints:
        scan=any_of(PLAN.scans_of_kind("peaks")),
    conda:
        "../../envs/environment.yaml"
    params:
        step=stated("scan.{scan}.step"),
    shell:
        "python scripts/import_peaks.py --peaks {input.peaks:q} --name {wildcards.scan}"
        " --step {params.step} --spots {output.spots} > {log} 2>&1"
