# How often a scan's phases are taken for each other: patterns of each, simulated and decided.
#
# in:  spots/<scan>.nc, phases/<scan>.nc, grains/<scan>.nc, templates/<instrument>.nc, CIFs
# out: confusion/<scan>.nc


rule simulate_confusion:
    input:
        spots=result("spots/{scan}.nc"),
        phases=result("phases/{scan}.nc"),
        grains=result("grains/{scan}.nc"),
        templates=templates_of,
        cifs=PLAN.cifs,
        code=code("simulate_confusion"),
    output:
        **recorded(confusion="confusion/{scan}.nc"),
    log:
        logged("simulate_confusion/{scan}"),
    conda:
        "../../envs/environment.yaml"
    threads: SCAN_THREADS
    params:
        orientations=settings("orientations"),
        decisions=settings("phases"),
        position_sigma=settings("spots.position_sigma"),
        positions=settings("fractions.confusion_positions"),
        material=settings("material"),
        seed=lambda wildcards: PLAN.seed_of(wildcards.scan),
    shell:
        "python scripts/simulate_confusion.py --spots {input.spots} --phases {input.phases}"
        " --grains {input.grains} --templates {input.templates} --cifs {input.cifs:q}"
        " --material {params.material:q} --orientations {params.orientations:q}"
        " --decisions {params.decisions:q} --position-sigma {params.position_sigma}"
        " --positions {params.positions} --seed {params.seed}"
        " --confusion {output.confusion} > {log} 2>&1"
