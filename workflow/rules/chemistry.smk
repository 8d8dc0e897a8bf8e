# Chemistry of maps: valence, or ion content, from X-ray stacks; ratios of elements from energy
# losses, before the beam changed them where there are repeats; quantities from other programs.
#
# in:  densities/<stack>.nc, reference spectra; stacks/<stack>.nc of edges and low losses, cross
#      sections; maps of other programs
# out: chemistry/<stack>.nc, spectra/<stack>.nc, figures/chemistry/<stack>.png
#
# config:
#   chemistry:
#     references:
#       - {name: V3, valence: 3, path: config/references/V3.csv, source: multiplets by edrixs}
#       - {name: V4, valence: 4, path: config/references/V4.csv, source: multiplets by edrixs}
#     thresholds: [[517, 2], [524, 1]]
#     fit_ev: [509, 528.5]
#     ion_content: {constant: 9, per_valence: -2, exchange: 0, exchange_error: 0.1}
#   losses:
#     edges:
#       - {element: V, path: v.csv, beam_kev: 200, collection_mrad: 30, relative_error: 0.1, source: exspy}
#       - {element: Na, path: na.csv, beam_kev: 200, collection_mrad: 30, relative_error: 0.1, source: exspy}
#     ratio: [Na, V]
#     fit_ev: [470, 1300]
#     fine_structure_ev: [[511, 531]]
#   tables: {stacks: config/mine/stacks.tsv}


rule fit_valence:
    input:
        density=result("densities/{stack}.nc"),
        references=[one.path for one in PLAN.experiment.chemistry.references],
        code=code("fit_valence"),
    output:
        **recorded(chemistry="chemistry/{stack}.nc", spectra="spectra/{stack}.nc"),
    log:
        logged("fit_valence/{stack}"),
    wildcard_constraints:
        stack=any_of(PLAN.stacks_of_kind("xray")),
    conda:
        "../../envs/environment.yaml"
    params:
        settings=stated("chemistry"),
    shell:
        "python scripts/fit_valence.py --density {input.density}"
        " --references {input.references:q} --settings {params.settings:q}"
        " --chemistry {output.chemistry} --spectra {output.spectra} > {log} 2>&1"


rule fit_losses:
    input:
        core=lambda wildcards: of_repeats(wildcards, "stack"),
        low=lambda wildcards: of_repeats(wildcards, "low_loss"),
        sections=[one.path for one in PLAN.experiment.losses.edges],
        code=code("fit_losses"),
    output:
        **recorded(chemistry="chemistry/{stack}.nc", spectra="spectra/{stack}.nc"),
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
        " --settings {params.settings:q} --chemistry {output.chemistry}"
        " --spectra {output.spectra} > {log} 2>&1"


rule import_quantity:
    input:
        map=of_stack("path"),
        error=of_stack("error_map"),
        thickness=of_stack("thickness_map"),
        code=code("import_quantity"),
    output:
        **recorded(chemistry="chemistry/{stack}.nc"),
    log:
        logged("import_quantity/{stack}"),
    wildcard_constraints:
        stack=any_of(PLAN.stacks_of_kind("map")),
    conda:
        "../../envs/environment.yaml"
    params:
        row=stated("stack.{stack}.row"),
    shell:
        "python scripts/import_quantity.py --map {input.map:q} --error {input.error:q}"
        " --thickness {input.thickness:q} --row {params.row:q}"
        " --chemistry {output.chemistry} > {log} 2>&1"


rule draw_chemistry:
    input:
        chemistry=result("chemistry/{stack}.nc"),
        code=code("draw_chemistry"),
    output:
        **pictured(
            "figure",
            "figures/chemistry/{stack}.png",
            "chemistry",
            "Stacks",
            stack="{stack}",
        ),
    log:
        logged("draw_chemistry/{stack}"),
    conda:
        "../../envs/environment.yaml"
    shell:
        "python scripts/draw_chemistry.py --chemistry {input.chemistry}"
        " --figure {output.figure} > {log} 2>&1"
