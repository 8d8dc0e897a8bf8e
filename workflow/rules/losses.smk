# Ratios of elements from energy losses, before the beam changed them where there are repeats.
#
# in:  stacks/<stack>.nc of edges and low losses, cross sections
# out: chemistry/<stack>.nc
#
# config:
#   losses:
#     edges:
#       - {element: V, path: v.csv, beam_kev: 200, collection_mrad: 30, relative_error: 0.1, source: exspy}
#       - {element: Na, path: na.csv, beam_kev: 200, collection_mrad: 30, relative_error: 0.1, source: exspy}
#     ratio: [Na, V]
#     fit_ev: [470, 1300]
#     fine_structure_ev: [[511, 531]]
#   tables: {stacks: config/mine/stacks.tsv}


rule fit_losses:
    input:
        core=lambda wildcards: of_repeats(wildcards, "stack"),
        low=lambda wildcards: of_repeats(wildcards, "low_loss"),
        sections=[one.path for one in PLAN.experiment.losses.edges],
        code=code("fit_losses"),
    output:
        **recorded(chemistry="chemistry/{stack}.nc"),
    log:
        logged("fit_losses/{stack}"),
    wildcard_constraints:
        stack=any_of(PLAN.stacks_of_kind("eels")),
    conda:
        "../../envs/environment.yaml"
    params:
        doses=stated("stack.{stack}.doses"),
        settings=stated("losses"),
    shell:
        "python scripts/fit_losses.py --core {input.core} --low {input.low}"
        " --sections {input.sections:q} --doses {params.doses:q}"
        " --settings {params.settings:q} --chemistry {output.chemistry} > {log} 2>&1"
