# Along which direction the ion content of grains changes, and channels of the structure there.
#
# in:  correlations/<stack>.nc, grains/<scan>.nc of the scan that it is laid on, CIFs
# out: pathways/<stack>.nc, figures/pathways/<stack>.png
#
# config:
#   seed: 1
#   pathways: {channels: [[1, 0, 0], [0, 1, 0]]}
#   material: {ion: Na, parent_point_group: 4/mmm, phases: [{name: Na3, ion_content: 3}]}
#   instruments: {astar: {camera: {rotation_deg: 90, mirrored: true}}}
#   tables: {scans: config/mine/scans.tsv, stacks: config/mine/stacks.tsv}


rule trace_pathways:
    input:
        correlation=result("correlations/{stack}.nc"),
        grains=of_laid("grains/{scan}.nc"),
        cifs=CIFS,
        code=code("trace_pathways"),
    output:
        **recorded(pathways="pathways/{stack}.nc"),
    log:
        logged("trace_pathways/{stack}"),
    wildcard_constraints:
        stack=any_of(laid(PLAN.stacks)),
    conda:
        "../../envs/environment.yaml"
    params:
        settings=stated("pathways"),
        names=stated("material.names"),
        ion_contents=stated("material.ion_contents"),
        shared_lattice=stated("material.shared_lattice"),
        camera=stated("stack.{stack}.camera"),
        seed=stated("seed_of.{stack}"),
    shell:
        "python scripts/trace_pathways.py --correlation {input.correlation}"
        " --grains {input.grains} --cifs {input.cifs:q} --names {params.names:q}"
        " --ion-contents {params.ion_contents:q} --shared-lattice {params.shared_lattice:q}"
        " --camera {params.camera:q} --settings {params.settings:q} --seed {params.seed}"
        " --pathways {output.pathways} > {log} 2>&1"


rule draw_pathways:
    input:
        pathways=result("pathways/{stack}.nc"),
        grains=of_laid("grains/{scan}.nc"),
        code=code("draw_pathways"),
    output:
        **pictured(
            "figure",
            "figures/pathways/{stack}.png",
            "pathways",
            "Stacks",
            stack="{stack}",
        ),
    log:
        logged("draw_pathways/{stack}"),
    wildcard_constraints:
        stack=any_of(laid(PLAN.stacks)),
    conda:
        "../../envs/environment.yaml"
    params:
        ion=stated("material.ion"),
    shell:
        "python scripts/draw_pathways.py --pathways {input.pathways} --grains {input.grains}"
        " --ion {params.ion} --figure {output.figure} > {log} 2>&1"
