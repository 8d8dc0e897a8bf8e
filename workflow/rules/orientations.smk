# Indexing: every phase's best orientations at every position.
#
# in:  CIFs, spots/<scan>.nc
# out: templates/<instrument>.nc, orientations/<scan>.nc
#
# config:
#   orientations: {resolution_deg: 2, max_radius: 1.2, n_best: 2, min_spots: 5, device: cpu}
#   spots: {position_sigma: 0.005}
#   material: {phases: [{name: Na3, cif: config/structures/Na3V2PO42F3.cif}]}
#   instruments: {astar: {voltage_kv: 200, precession_deg: 0.8}}


rule simulate_templates:
    input:
        cifs=CIFS,
        code=code("simulate_templates"),
    output:
        **recorded(templates="templates/{instrument}.nc"),
    log:
        logged("simulate_templates/{instrument}"),
    conda:
        "../../envs/environment.yaml"
    params:
        settings=stated("orientations"),
        names=stated("material.names"),
        instrument=stated("instrument.{instrument}.optics"),
    shell:
        "python scripts/simulate_templates.py --cifs {input.cifs:q}"
        " --names {params.names:q} --settings {params.settings:q}"
        " --instrument {params.instrument:q} --templates {output.templates} > {log} 2>&1"


rule find_orientations:
    input:
        spots=result("spots/{scan}.nc"),
        templates=templates_of,
        cifs=CIFS,
        code=code("find_orientations"),
    output:
        **recorded(orientations="orientations/{scan}.nc"),
    log:
        logged("find_orientations/{scan}"),
    conda:
        "../../envs/environment.yaml"
    threads: SCAN_THREADS
    params:
        settings=stated("orientations"),
        names=stated("material.names"),
        position_sigma=stated("spots.position_sigma"),
    shell:
        "python scripts/find_orientations.py --spots {input.spots}"
        " --templates {input.templates} --cifs {input.cifs:q} --names {params.names:q}"
        " --settings {params.settings:q} --position-sigma {params.position_sigma}"
        " --orientations {output.orientations} > {log} 2>&1"
