# Stacks of images over energy, and their optical density.
#
# in:  a stack (SDF, HDF5, aXis2000), I0
# out: stacks/<stack>.nc, densities/<stack>.nc, figures/stacks/<stack>.png
#
# config:
#   stacks: {align: true, max_density: 2.2, stray_share: 0.02}
#   tables: {stacks: config/mine/stacks.tsv}


rule read_stack:
    input:
        stack=lambda wildcards: raw(of_stack("path")(wildcards)),
        parts=lambda wildcards: parts(of_stack("path")(wildcards)),
        i0=of_stack("i0"),
        code=code("read_stack"),
    output:
        **recorded(measured="stacks/{stack}.nc"),
    log:
        logged("read_stack/{stack}"),
    conda:
        "../../envs/environment.yaml"
    params:
        row=stated("stack.{stack}.row"),
    shell:
        "python scripts/read_stack.py --stack {input.stack:q} --row {params.row:q}"
        " --i0 {input.i0:q} --measured {output.measured} > {log} 2>&1"


rule measure_density:
    input:
        measured=result("stacks/{stack}.nc"),
        code=code("measure_density"),
    output:
        **recorded(density="densities/{stack}.nc"),
    log:
        logged("measure_density/{stack}"),
    wildcard_constraints:
        stack=any_of(PLAN.stacks_of_kind("xray")),
    conda:
        "../../envs/environment.yaml"
    params:
        settings=stated("stacks"),
    shell:
        "python scripts/measure_density.py --measured {input.measured}"
        " --settings {params.settings:q} --density {output.density} > {log} 2>&1"


rule draw_density:
    input:
        density=result("densities/{stack}.nc"),
        code=code("draw_density"),
    output:
        **pictured(
            "figure", "figures/stacks/{stack}.png", "stack", "Stacks", stack="{stack}"
        ),
    log:
        logged("draw_density/{stack}"),
    conda:
        "../../envs/environment.yaml"
    shell:
        "python scripts/draw_density.py --density {input.density}"
        " --figure {output.figure} > {log} 2>&1"
