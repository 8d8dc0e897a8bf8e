# Beam centre, ellipse and scale of each raw scan, which scans of an in situ series share.
#
# in:  the raw scan; CIFs, or the picture of a standard
# out: calibration/<scan>.nc, calibration/standard.nc, calibration_of_series/<series>.nc,
#      calibration_drift.csv
#
# config:
#   calibration: {method: phases, patterns: 250, scale_search: 0.02, series_drift: 0.0005}
#   spots: {false_alarms: 0.1, max_radius: 1.2}
#   material:
#     phases: [{name: Na3, cif: config/structures/Na3V2PO42F3.cif}]
#   instruments:
#     astar: {voltage_kv: 200, precession_deg: 0.8, scale: 0.0175}


if PLAN.experiment.calibration.standard:

    rule calibrate_standard:
        input:
            image=PLAN.experiment.calibration.standard.image,
            code=code("calibrate_standard"),
        output:
            **recorded(calibration="calibration/standard.nc"),
        log:
            logged("calibrate_standard"),
        conda:
            "../../envs/environment.yaml"
        params:
            settings=stated("calibration.standard"),
        shell:
            "python scripts/calibrate_standard.py --image {input.image:q}"
            " --settings {params.settings:q} --calibration {output.calibration} > {log} 2>&1"


rule calibrate_series:
    input:
        scans=raw_scans_of_series(raw),
        parts=raw_scans_of_series(parts),
        cifs=CIFS,
        code=code("calibrate_series"),
    output:
        **recorded(calibration="calibration_of_series/{series}.nc"),
    log:
        logged("calibrate_series/{series}"),
    conda:
        "../../envs/environment.yaml"
    params:
        settings=stated("calibration"),
        spots=stated("spots"),
        names=stated("material.names"),
        layouts=stated("series.{series}.layouts"),
        instrument=stated("series.{series}.optics"),
    shell:
        "python scripts/calibrate_series.py --series {wildcards.series} --scans {input.scans:q}"
        " --cifs {input.cifs:q} --settings {params.settings:q} --spots {params.spots:q}"
        " --names {params.names:q} --instrument {params.instrument:q}"
        " --layouts {params.layouts:q} --calibration {output.calibration} > {log} 2>&1"


rule calibrate_scan:
    input:
        scan=of_raw_scan(raw),
        parts=of_raw_scan(parts),
        cifs=by_method("phases", CIFS),
        standard=by_method("standard", result("calibration/standard.nc")),
        series=by_method("phases", calibration_of_series),
        code=code("calibrate_scan"),
    output:
        **recorded(calibration="calibration/{scan}.nc"),
    log:
        logged("calibrate_scan/{scan}"),
    priority: 1  # most of a run waits for it
    conda:
        "../../envs/environment.yaml"
    threads: FEW_THREADS
    params:
        settings=stated("calibration"),
        spots=stated("spots"),
        names=stated("material.names"),
        layout=stated("scan.{scan}.layout"),
        instrument=stated("scan.{scan}.optics"),
    shell:
        "python scripts/calibrate_scan.py --scan {input.scan:q} --name {wildcards.scan}"
        " --cifs {input.cifs:q} --standard {input.standard} --series {input.series}"
        " --settings {params.settings:q}"
        " --spots {params.spots:q} --names {params.names:q}"
        " --instrument {params.instrument:q} --layout {params.layout:q}"
        " --calibration {output.calibration} > {log} 2>&1"


rule compare_calibrations:
    input:
        calibrations=result("calibration/{scan}.nc", scan=PLAN.scans_of_kind("scan")),
        code=code("compare_calibrations"),
    output:
        **recorded(table="calibration_drift.csv"),
        **pictured("figure", "figures/drift.png", "drift", "Scans"),
    log:
        logged("compare_calibrations"),
    conda:
        "../../envs/environment.yaml"
    params:
        instruments=stated("instruments_of_raw_scans"),
    shell:
        "python scripts/compare_calibrations.py --calibrations {input.calibrations}"
        " --instruments {params.instruments:q} --table {output.table}"
        " --figure {output.figure} > {log} 2>&1"
