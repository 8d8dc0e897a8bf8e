# The phase of every position, or undecided, or vacuum.
#
# in:  raw scan and calibration/<scan>.nc (peak lists have none), spots/<scan>.nc,
#      orientations/<scan>.nc, templates/<instrument>.nc, CIFs
# out: phases/<scan>.nc
#
# config:
#   phases: {decide_above: 0.95, min_spots: 5, mixed_prior: 0.2}
#   spots: {position_sigma: 0.005}
#   material:
#     phases: [{name: Na3, ion_content: 3, parent_axes: [[1, 0, 0], [0, 1, 0], [0, 0, 1]]}]


rule decide_phases:
    input:
        scan=of_raw_scan(raw),
        parts=of_raw_scan(parts),
        calibration=of_raw_scan("calibration/{scan}.nc"),
        spots=result("spots/{scan}.nc"),
        orientations=result("orientations/{scan}.nc"),
        templates=templates_of,
        cifs=CIFS,
        candidates=result(
            "candidates/{phase}.nc", phase=list(PLAN.experiment.material.cell_priors)
        ),
        code=code("decide_phases"),
    output:
        **recorded(phases="phases/{scan}.nc"),
    log:
        logged("decide_phases/{scan}"),
    wildcard_constraints:
        scan=any_of(PLAN.analysed_scans),
    conda:
        "../../envs/environment.yaml"
    threads: SCAN_THREADS
    params:
        settings=stated("phases"),
        position_sigma=stated("spots.position_sigma"),
        layout=stated("scan.{scan}.layout"),
        names=stated("material.names"),
        ion_contents=stated("material.ion_contents"),
        parent_axes=stated("material.shared_lattice.axes"),
    shell:
        "python scripts/decide_phases.py --scan {input.scan:q} --calibration {input.calibration}"
        " --spots {input.spots} --orientations {input.orientations}"
        " --templates {input.templates} --cifs {input.cifs:q} --candidates {input.candidates}"
        " --names {params.names:q} --ion-contents {params.ion_contents:q}"
        " --parent-axes {params.parent_axes:q} --settings {params.settings:q}"
        " --layout {params.layout:q}"
        " --position-sigma {params.position_sigma} --phases {output.phases} > {log} 2>&1"
