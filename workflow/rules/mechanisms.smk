# How the grains of all scans convert: morphologies, populations, habit planes, order of reaction.
#
# in:  interfaces/<scan>.nc, grains/<scan>.nc, cycling/<log>.nc
# out: mechanisms.nc; from it mechanisms.json, mechanisms.csv, figures/populations.png,
#      figures/planes.png, figures/<scan>/morphologies.png
#
# config:
#   seed: 1
#   mechanisms:
#     direction: {x2.5: charge}
#     elasticity: [{phases: [Na3, Na2], stiffness_gpa: [150, 0.25]}]
#   states: [{name: x2.5, log: charge, rest: 1}]
#   instruments: {astar: {camera: {rotation_deg: -40, mirrored: true, rotation_error_deg: 0.5}}}
#   material:
#     parent_point_group: 4/mmm
#     two_phase_fields: [{Na3: 3, Na2: 2}]
#     phases: [{name: Na3, label: Na$_3$V, ion_content: 3}]


rule infer_mechanisms:
    input:
        interfaces=result("interfaces/{scan}.nc", scan=PLAN.scans.index),
        grains=result("grains/{scan}.nc", scan=PLAN.scans.index),
        cycling=result("cycling/{log}.nc", log=PLAN.logs.index),
        cifs=CIFS,
        snapshots="src/phasefront/mechanisms/snapshots.nc",
        code=code("infer_mechanisms"),
    output:
        **recorded(mechanisms="mechanisms.nc"),
    log:
        logged("infer_mechanisms"),
    priority: 1  # most of a run waits for it
    conda:
        "../../envs/environment.yaml"
    params:
        links=stated("links"),
        cameras=stated("cameras"),
        names=stated("material.names"),
        ion_contents=stated("material.ion_contents"),
        fields=stated("material.two_phase_fields"),
        shared_lattice=stated("material.shared_lattice"),
        settings=stated("mechanisms"),
        seed=stated("seed_of.infer_mechanisms"),
    shell:
        "python scripts/infer_mechanisms.py --interfaces {input.interfaces}"
        " --grains {input.grains} --cycling {input.cycling} --cifs {input.cifs:q}"
        " --snapshots {input.snapshots} --links {params.links:q} --cameras {params.cameras:q} --names {params.names:q}"
        " --ion-contents {params.ion_contents:q} --fields {params.fields:q}"
        " --shared-lattice {params.shared_lattice:q} --settings {params.settings:q}"
        " --seed {params.seed} --mechanisms {output.mechanisms} > {log} 2>&1"


rule tabulate_mechanisms:
    input:
        mechanisms=result("mechanisms.nc"),
        judged=result("series.json") if PLAN.series else [],
        code=code("tabulate_mechanisms"),
    output:
        **recorded(table="mechanisms.csv", summary="mechanisms.json"),
        **pictured(
            "populations", "figures/populations.png", "populations", "Mechanisms"
        ),
        **pictured("planes", "figures/planes.png", "planes", "Mechanisms"),
    log:
        logged("tabulate_mechanisms"),
    conda:
        "../../envs/environment.yaml"
    params:
        labels=stated("material.labels"),
    shell:
        "python scripts/tabulate_mechanisms.py --mechanisms {input.mechanisms}"
        " --judged {input.judged} --labels {params.labels:q} --table {output.table} --summary {output.summary}"
        " --populations {output.populations} --planes {output.planes} > {log} 2>&1"


rule draw_morphologies:
    input:
        phases=result("phases/{scan}.nc"),
        grains=result("grains/{scan}.nc"),
        interfaces=result("interfaces/{scan}.nc"),
        mechanisms=result("mechanisms.nc"),
        code=code("draw_morphologies"),
    output:
        **pictured(
            "figure",
            "figures/{scan}/morphologies.png",
            "morphologies",
            "Maps",
            scan="{scan}",
        ),
    log:
        logged("draw_morphologies/{scan}"),
    conda:
        "../../envs/environment.yaml"
    params:
        labels=stated("material.labels"),
    shell:
        "python scripts/draw_morphologies.py --phases {input.phases} --grains {input.grains}"
        " --interfaces {input.interfaces} --mechanisms {input.mechanisms}"
        " --labels {params.labels:q} --figure {output.figure} > {log} 2>&1"
