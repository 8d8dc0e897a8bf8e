# Pictures of the whole experiment, and the notebook that goes through it.
#
# in:  every stage's output
# out: figures/*.png, figures/powder/*.png, notebooks/experiment.ipynb
#
# config:
#   virtual: {material: nvpf}
#   material: {ion: Na, phases: [{name: Na3, label: Na$_3$V}]}
#   states: [{name: x3.0, log: charge, rest: 0}]
#   instruments: {astar: {camera: {rotation_deg: -40, mirrored: true}}}


rule draw_powder:
    input:
        powder=result("powder/{pattern}.nc"),
        code=code("draw_powder"),
    output:
        **pictured(
            "fit",
            "figures/powder/{pattern}.png",
            "powder",
            "Powder",
            pattern="{pattern}",
        ),
    log:
        logged("draw_powder/{pattern}"),
    conda:
        "../../envs/environment.yaml"
    params:
        labels=stated("material.labels"),
    shell:
        "python scripts/draw_powder.py --powder {input.powder}"
        " --labels {params.labels:q} --fit {output.fit} > {log} 2>&1"


rule draw_comparison:
    input:
        comparison=result("comparison.nc"),
        cycling=result("cycling/{log}.nc", log=PLAN.logs.index),
        phases=result("phases/{scan}.nc", scan=PLAN.scans.index),
        grains=result("grains/{scan}.nc", scan=PLAN.scans.index),
        code=code("draw_comparison"),
    output:
        **pictured("comparison", "figures/comparison.png", "comparison", "Comparison"),
        **pictured("overview", "figures/overview.png", "overview", "Comparison"),
    log:
        logged("draw_comparison"),
    conda:
        "../../envs/environment.yaml"
    params:
        labels=stated("material.labels"),
        ion=stated("material.ion"),
        links=stated("links"),
    shell:
        "python scripts/draw_comparison.py --comparison {input.comparison}"
        " --cycling {input.cycling} --phases {input.phases} --grains {input.grains}"
        " --labels {params.labels:q} --ion {params.ion} --links {params.links:q}"
        " --figure {output.comparison} --overview {output.overview} > {log} 2>&1"


rule execute_notebook:
    input:
        template="notebooks/experiment.ipynb",
        summary=result("summary.json"),
        truth=result("truth_check.json") if PLAN.experiment.virtual else [],
        comparison=result("comparison.nc"),
        cycling=result("cycling/{log}.nc", log=PLAN.logs.index),
        fractions=result("fractions/{scan}.nc", scan=PLAN.scans.index),
        states=result("states/{state}.nc", state=PLAN.scanned_states),
        phases=result("phases/{scan}.nc", scan=PLAN.scans.index),
        grains=result("grains/{scan}.nc", scan=PLAN.scans.index),
        cifs=PLAN.cifs,
        code=code("execute_notebook"),
    output:
        **recorded(
            notebook="notebooks/experiment.ipynb", page="notebooks/experiment.html"
        ),
    log:
        logged("execute_notebook"),
    priority: 1  # long, and waits for much: not last
    conda:
        "../../envs/environment.yaml"
    params:
        folder=lambda wildcards, input: os.path.dirname(input.summary),
        names=stated("material.names"),
        labels=stated("material.labels"),
        cifs=stated("material.cifs"),
        ion=stated("material.ion"),
        links=stated("links"),
        cameras=stated("cameras"),
    shell:
        "python scripts/execute_notebook.py --template {input.template}"
        " --used {input.summary} {input.truth} {input.comparison} {input.cycling}"
        " {input.fractions} {input.states} {input.phases} {input.grains} {input.cifs:q}"
        " --folder {params.folder} --names {params.names:q} --labels {params.labels:q}"
        " --cifs {params.cifs:q} --ion {params.ion} --links {params.links:q}"
        " --cameras {params.cameras:q}"
        " --notebook {output.notebook} --page {output.page} > {log} 2>&1"
