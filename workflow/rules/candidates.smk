# Candidates: the phases' CIFs, or, of phases with a cell_prior, CIFs with the cell of both.
#
# in:  CIFs, cells/<cell>.nc
# out: candidates/<phase>.nc and candidates/<phase>.cif
#
# config:
#   phases: {cell_tolerance: 0.002}
#   material:
#     phases: [{name: Na3, cif: config/structures/Na3V2PO42F3.cif, cell_prior: [particle-1]}]


def candidate_cifs(wildcards):
    """CIFs of the phases, in order; of one whose cell has a prior, the CIF with the cell of both."""
    priors = PLAN.experiment.material.cell_priors
    return [
        result(f"candidates/{name}.cif")(wildcards) if name in priors else cif
        for name, cif in zip(PLAN.experiment.material.names, PLAN.cifs)
    ]


CIFS = candidate_cifs if PLAN.experiment.material.cell_priors else PLAN.cifs


def cifs_of_cell(wildcards):
    """Those that a tilt series is set against: one that is a prior of them knows none but the
    phases' own."""
    priors = flat(PLAN.experiment.material.cell_priors.values())
    return (
        PLAN.cifs if wildcards.cell in priors or CIFS is PLAN.cifs else CIFS(wildcards)
    )


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
