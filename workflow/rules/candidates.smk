# Candidates: the phases' CIFs, or, of phases with a cell_prior, CIFs with the cell of both.
#
# in:  CIFs, cells/<cell>.nc
# out: candidates/<phase>.nc and candidates/<phase>.cif
#
# config:
#   phases: {cell_tolerance: 0.002}
#   material:
#     phases: [{name: Na3, cif: config/structures/Na3V2PO42F3.cif, cell_prior: [particle-1]}]


rule refine_candidate:
    input:
        cells=lambda wildcards: result(
            "cells/{cell}.nc",
            cell=PLAN.experiment.material.cell_priors[wildcards.phase],
        )(wildcards),
        cif=lambda wildcards: PLAN.cif_of(wildcards.phase),
        code=code("refine_candidate"),
    output:
        **recorded(
            candidate="candidates/{phase}.nc", candidate_cif="candidates/{phase}.cif"
        ),
    log:
        logged("refine_candidate/{phase}"),
    conda:
        "../../envs/environment.yaml"
    params:
        tolerance=stated("phases.cell_tolerance"),
    shell:
        "python scripts/refine_candidate.py --cells {input.cells} --cif {input.cif:q}"
        " --phase {wildcards.phase:q} --tolerance {params.tolerance}"
        " --candidate {output.candidate} --candidate-cif {output.candidate_cif} > {log} 2>&1"
