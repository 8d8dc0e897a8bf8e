# Interfaces between phases inside grains, facets, and ion content from the outlines.
#
# in:  phases/<scan>.nc, grains/<scan>.nc, CIFs
# out: interfaces/<scan>.nc, figures/<scan>/interfaces.png
#
# config:
#   interfaces: {min_positions: 8, outliers: 0.02, thickness_nm: 60, thickness_error_nm: 10}
#   instruments: {astar: {voltage_kv: 200, camera: {rotation_deg: -40, mirrored: true}}}
#   material:
#     parent_point_group: 4/mmm
#     two_phase_fields: [{Na3: 3, Na2: 2}]
#     phases: [{name: Na3, label: Na$_3$V, ion_content: 3, parent_axes: [[1, 0, 0], [0, 1, 0], [0, 0, 1]]}]


rule trace_interfaces:
    input:
        phases=result("phases/{scan}.nc"),
        grains=result("grains/{scan}.nc"),
        cifs=CIFS,
        code=code("trace_interfaces"),
    output:
        **recorded(interfaces="interfaces/{scan}.nc"),
    log:
        logged("trace_interfaces/{scan}"),
    priority: 1  # most of a run waits for it
    conda:
        "../../envs/environment.yaml"
    params:
        settings=stated("interfaces"),
        names=stated("material.names"),
        ion_contents=stated("material.ion_contents"),
        shared_lattice=stated("material.shared_lattice"),
        fields=stated("material.two_phase_fields"),
        camera=stated("scan.{scan}.camera"),
    shell:
        "python scripts/trace_interfaces.py --phases {input.phases} --grains {input.grains}"
        " --cifs {input.cifs:q} --names {params.names:q} --ion-contents {params.ion_contents:q}"
        " --shared-lattice {params.shared_lattice:q} --fields {params.fields:q}"
        " --camera {params.camera:q} --settings {params.settings:q}"
        " --interfaces {output.interfaces} > {log} 2>&1"


rule draw_interfaces:
    input:
        phases=result("phases/{scan}.nc"),
        grains=result("grains/{scan}.nc"),
        interfaces=result("interfaces/{scan}.nc"),
        code=code("draw_interfaces"),
    output:
        **pictured(
            "figure",
            "figures/{scan}/interfaces.png",
            "interfaces",
            "Maps",
            scan="{scan}",
        ),
    log:
        logged("draw_interfaces/{scan}"),
    conda:
        "../../envs/environment.yaml"
    params:
        labels=stated("material.labels"),
        ion=stated("material.ion"),
    shell:
        "python scripts/draw_interfaces.py --phases {input.phases} --grains {input.grains}"
        " --interfaces {input.interfaces} --labels {params.labels:q} --ion {params.ion}"
        " --figure {output.figure} > {log} 2>&1"
