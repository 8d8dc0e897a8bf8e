# Beam centre, ellipse and scale of each raw scan.
#
# in:  the raw scan, CIFs, templates
# out: calibration/<scan>.nc


rule calibrate_scan:
    input:
        scan=lambda wildcards: scan_row(wildcards)["path"],
        templates=templates_of,
        cifs=PLAN.cifs,
        code=code("calibrate_scan"),
    output:
        **recorded(calibration="calibration/{scan}.nc"),
    log:
        result("logs/calibrate_scan/{scan}.log"),
    conda:
        "../../envs/environment.yaml"
    threads: SCAN_THREADS
    params:
        settings=settings("calibration"),
        spots=settings("spots"),
        material=settings("material"),
        instrument=lambda wildcards: PLAN.instrument_of_scan(wildcards.scan),
    shell:
        "python scripts/calibrate_scan.py --scan {input.scan} --name {wildcards.scan}"
        " --templates {input.templates} --cifs {input.cifs} --settings {params.settings:q}"
        " --spots {params.spots:q} --material {params.material:q}"
        " --instrument {params.instrument:q}"
        " --calibration {output.calibration} > {log} 2>&1"
