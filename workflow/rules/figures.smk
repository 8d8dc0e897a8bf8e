# Pictures of each scan.
#
# in:  every stage's output for the scan
# out: figures/<scan>/*.png
#
# config:
#   material: {ion: Na, phases: [{name: Na3, label: Na$_3$V}]}
#   instruments: {astar: {voltage_kv: 200, camera: {rotation_deg: -40, mirrored: true}}}
#   tables: {scans: config/demo/scans.tsv}


rule draw_scan:
    input:
        description=result("scans/{scan}.nc"),
        calibration=result("calibration/{scan}.nc"),
        code=code("draw_scan"),
    output:
        **pictured(
            "images", "figures/{scan}/images.png", "images", "Scans", scan="{scan}"
        ),
        **pictured(
            "geometry",
            "figures/{scan}/calibration.png",
            "calibration",
            "Scans",
            scan="{scan}",
        ),
    log:
        logged("draw_scan/{scan}"),
    wildcard_constraints:
        scan=any_of(PLAN.scans_of_kind("scan")),
    conda:
        "../../envs/environment.yaml"
    shell:
        "python scripts/draw_scan.py --description {input.description}"
        " --calibration {input.calibration} --images {output.images}"
        " --geometry {output.geometry} > {log} 2>&1"


rule draw_patterns:
    input:
        scan=of_raw_scan(raw),
        parts=of_raw_scan(parts),
        calibration=of_raw_scan("calibration/{scan}.nc"),
        spots=result("spots/{scan}.nc"),
        orientations=result("orientations/{scan}.nc"),
        phases=result("phases/{scan}.nc"),
        cifs=CIFS,
        code=code("draw_patterns"),
    output:
        **pictured(
            "patterns",
            "figures/{scan}/patterns.png",
            "patterns",
            "Maps",
            scan="{scan}",
        ),
    log:
        logged("draw_patterns/{scan}"),
    conda:
        "../../envs/environment.yaml"
    params:
        names=stated("material.names"),
        labels=stated("material.labels"),
        layout=stated("scan.{scan}.layout"),
        instrument=stated("scan.{scan}.optics"),
    shell:
        "python scripts/draw_patterns.py --scan {input.scan:q} --calibration {input.calibration}"
        " --spots {input.spots} --orientations {input.orientations} --phases {input.phases}"
        " --cifs {input.cifs:q} --names {params.names:q} --labels {params.labels:q} --layout"
        " {params.layout:q} --instrument {params.instrument:q} --patterns {output.patterns} > {log} 2>&1"


rule draw_maps:
    input:
        phases=result("phases/{scan}.nc"),
        orientations=of_patterns("orientations/{scan}.nc"),
        grains=result("grains/{scan}.nc"),
        cifs=CIFS,
        code=code("draw_maps"),
    output:
        **pictured(
            "decision", "figures/{scan}/phases.png", "phases", "Maps", scan="{scan}"
        ),
        **pictured(
            "ipf",
            "figures/{scan}/orientations.png",
            "orientations",
            "Maps",
            scan="{scan}",
        ),
        **pictured(
            "composition",
            "figures/{scan}/composition.png",
            "composition",
            "Maps",
            scan="{scan}",
        ),
        **pictured(
            "reliability",
            "figures/{scan}/reliability.png",
            "reliability",
            "Maps",
            scan="{scan}",
        ),
    log:
        logged("draw_maps/{scan}"),
    conda:
        "../../envs/environment.yaml"
    params:
        names=stated("material.names"),
        labels=stated("material.labels"),
        ion=stated("material.ion"),
        camera=stated("scan.{scan}.camera"),
    shell:
        "python scripts/draw_maps.py --phases {input.phases} --orientations {input.orientations}"
        " --grains {input.grains} --cifs {input.cifs:q} --names {params.names:q}"
        " --labels {params.labels:q} --ion {params.ion} --camera {params.camera:q}"
        " --decision {output.decision} --ipf {output.ipf}"
        " --composition {output.composition} --reliability {output.reliability} > {log} 2>&1"
