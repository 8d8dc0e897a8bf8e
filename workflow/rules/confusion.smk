# How often a scan's phases are taken for each other: patterns of each, simulated and decided.
#
# in:  spots/<scan>.nc, phases/<scan>.nc, grains/<scan>.nc, templates/<instrument>.nc, CIFs
# out: confusion/<scan>.nc
#
# config:
#   seed: 1
#   fractions: {confusion_positions: 1500}
#   orientations: {n_best: 2, min_spots: 5}
#   phases: {decide_above: 0.95}
#   spots: {position_sigma: 0.005}
#   material:
#     parent_point_group: 4/mmm
#     phases: [{name: Na3, ion_content: 3, parent_axes: [[1, 0, 0], [0, 1, 0], [0, 0, 1]]}]


rule simulate_confusion:
    input:
        spots=result("spots/{scan}.nc"),
        phases=result("phases/{scan}.nc"),
        grains=result("grains/{scan}.nc"),
        templates=templates_of,
        cifs=CIFS,
        code=code("simulate_confusion"),
    output:
        **recorded(confusion="confusion/{scan}.nc"),
    log:
        logged("simulate_confusion/{scan}"),
    priority: 1  # most of a run waits for it
    conda:
        "../../envs/environment.yaml"
    threads: FEW_THREADS
    params:
        orientations=stated("orientations"),
        decisions=stated("phases"),
        position_sigma=stated("spots.position_sigma"),
        positions=stated("fractions.confusion_positions"),
        names=stated("material.names"),
        ion_contents=stated("material.ion_contents"),
        shared_lattice=stated("material.shared_lattice"),
        seed=stated("seed_of.{scan}"),
    shell:
        "python scripts/simulate_confusion.py --spots {input.spots} --phases {input.phases}"
        " --grains {input.grains} --templates {input.templates} --cifs {input.cifs:q}"
        " --names {params.names:q} --ion-contents {params.ion_contents:q}"
        " --shared-lattice {params.shared_lattice:q} --orientations {params.orientations:q}"
        " --decisions {params.decisions:q} --position-sigma {params.position_sigma}"
        " --positions {params.positions} --seed {params.seed}"
        " --confusion {output.confusion} > {log} 2>&1"
