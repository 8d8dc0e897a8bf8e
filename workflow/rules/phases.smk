# The phase of every position, or undecided, or vacuum.
#
# in:  spots/<scan>.nc, orientations/<scan>.nc, CIFs
# out: phases/<scan>.nc


rule decide_phases:
    input:
        spots=result("spots/{scan}.nc"),
        orientations=result("orientations/{scan}.nc"),
        cifs=PLAN.cifs,
        code=code("decide_phases"),
    output:
        **recorded(phases="phases/{scan}.nc"),
    log:
        result("logs/decide_phases/{scan}.log"),
    conda:
        "../../envs/environment.yaml"
    threads: SCAN_THREADS
    params:
        settings=settings("phases"),
        position_sigma=PLAN.experiment.spots.position_sigma,
        material=settings("material"),
        instrument=lambda wildcards: PLAN.instrument_of_scan(wildcards.scan),
    shell:
        "python scripts/decide_phases.py --spots {input.spots}"
        " --orientations {input.orientations} --cifs {input.cifs}"
        " --material {params.material:q} --instrument {params.instrument:q}"
        " --settings {params.settings:q} --position-sigma {params.position_sigma}"
        " --phases {output.phases} > {log} 2>&1"
