# The sources side by side, and the summary that others read.
#
# in:  states, cycling, powder, cells, chemistry with registrations and grains
# out: comparison.nc; from it comparison.csv and .tex, comparison_table.csv, conclusion.txt,
#      summary.json
#
# config:
#   run: demo
#   states: [{name: x3.0, log: charge, rest: 0}]
#   comparison: {margin: 0.1, fraction_margin: 0.1}
#   material:
#     ion: Na
#     two_phase_fields: [{Na3: 3, Na2: 2}]
#     phases: [{name: Na3, label: Na$_3$V, ion_content: 3, cell_from: [powder-x3.0]}]


rule compare_sources:
    input:
        stem=result("states/{state}.nc", state=PLAN.scanned_states),
        cycling=result("cycling/{log}.nc", log=PLAN.logs.index),
        powder=result("powder/{pattern}.nc", pattern=PLAN.patterns.index),
        cells=result("cells/{cell}.nc", cell=PLAN.cells.index),
        chemistry=result("chemistry/{stack}.nc", stack=mapped(PLAN.stacks)),
        registrations=result("registrations/{stack}.nc", stack=laid(PLAN.stacks)),
        grains=result(
            "grains/{scan}.nc", scan=sorted(set(PLAN.stacks["scan"].dropna()))
        ),
        code=code("compare_sources"),
    output:
        **recorded(comparison="comparison.nc"),
    log:
        logged("compare_sources"),
    priority: 1  # the notebook waits for it
    conda:
        "../../envs/environment.yaml"
    params:
        links=stated("links"),
        settings=stated("comparison"),
        names=stated("material.names"),
        two_phase_fields=stated("material.two_phase_fields"),
        calibrating_patterns=stated("material.calibrating_patterns"),
    shell:
        "python scripts/compare_sources.py --stem {input.stem}"
        " --cycling {input.cycling} --powder {input.powder} --cells {input.cells}"
        " --chemistry {input.chemistry} --registrations {input.registrations}"
        " --grains {input.grains}"
        " --links {params.links:q} --names {params.names:q}"
        " --two-phase-fields {params.two_phase_fields:q}"
        " --calibrating-patterns {params.calibrating_patterns:q}"
        " --settings {params.settings:q}"
        " --comparison {output.comparison} > {log} 2>&1"


rule tabulate_comparison:
    input:
        comparison=result("comparison.nc"),
        code=code("tabulate_comparison"),
    output:
        **recorded(
            table="comparison.csv",
            printed="comparison_table.csv",
            latex="comparison.tex",
            conclusion="conclusion.txt",
        ),
    log:
        logged("tabulate_comparison"),
    priority: 1  # the explorer waits for it
    conda:
        "../../envs/environment.yaml"
    params:
        ion=stated("material.ion"),
        labels=stated("material.labels"),
        calibrating_patterns=stated("material.calibrating_patterns"),
    shell:
        "python scripts/tabulate_comparison.py --comparison {input.comparison}"
        " --ion {params.ion} --labels {params.labels:q}"
        " --calibrating-patterns {params.calibrating_patterns:q} --table {output.table}"
        " --printed {output.printed} --latex {output.latex}"
        " --conclusion {output.conclusion} > {log} 2>&1"


rule summarise_run:
    input:
        comparison=result("comparison.nc"),
        fractions=result("fractions/{scan}.nc", scan=PLAN.scans.index),
        code=code("summarise_run"),
    output:
        **recorded(summary="summary.json"),
    log:
        logged("summarise_run"),
    priority: 1  # the notebook waits for it
    conda:
        "../../envs/environment.yaml"
    params:
        name=stated("run"),
        ion=stated("material.ion"),
        calibrating_patterns=stated("material.calibrating_patterns"),
    shell:
        "python scripts/summarise_run.py --comparison {input.comparison}"
        " --fractions {input.fractions} --name {params.name} --summary {output.summary}"
        " --ion {params.ion} --calibrating-patterns {params.calibrating_patterns:q} > {log} 2>&1"
