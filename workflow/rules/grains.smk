# Grains: contiguous positions of one crystal orientation.
#
# in:  phases/<scan>.nc, CIFs
# out: grains/<scan>.nc
#
# config:
#   grains: {misorientation_deg: 5, min_positions: 10}
#   material:
#     parent_point_group: 4/mmm
#     phases: [{name: Na3, parent_axes: [[1, 0, 0], [0, 1, 0], [0, 0, 1]]}]


rule find_grains:
    input:
        phases=result("phases/{scan}.nc"),
        cifs=CIFS,
        code=code("find_grains"),
    output:
        **recorded(grains="grains/{scan}.nc"),
    log:
        logged("find_grains/{scan}"),
    priority: 1  # most of a run waits for it
    conda:
        "../../envs/environment.yaml"
    params:
        settings=stated("grains"),
        names=stated("material.names"),
        shared_lattice=stated("material.shared_lattice"),
    shell:
        "python scripts/find_grains.py --phases {input.phases} --cifs {input.cifs:q}"
        " --names {params.names:q} --shared-lattice {params.shared_lattice:q}"
        " --settings {params.settings:q} --grains {output.grains} > {log} 2>&1"
