# Virtual maps of chemistry of virtual scans' grains, and how near the analysis comes to their truth.
#
# in:  truth/<scan>.nc, white lines of V3+ and V4+, the table of stacks
# out: raw/<stack>.hdf5, raw/<stack>.hspy, truth/<stack>.nc, maps_check.csv
#
# config:
#   seed: 1
#   tables: {scans: config/multimodal/scans.tsv, stacks: config/multimodal/stacks.tsv}
#   virtual:
#     material: nvpf
#     states: {x2.5: {ion_content: 2.5}}
#     maps: {stxm: {shape: [40, 40], pixel_nm: 20, light: 100000, mirrored: true}}

if PLAN.experiment.virtual and PLAN.experiment.virtual.maps:

    rule simulate_xray_stack:
        input:
            specimen=of_laid("truth/{scan}.nc"),
            references=["config/references/V3.csv", "config/references/V4.csv"],
            code=code("simulate_xray_stack"),
        output:
            **recorded(stack="raw/{stack}.hdf5", truth="truth/{stack}.nc"),
        log:
            logged("simulate_xray_stack/{stack}"),
        wildcard_constraints:
            stack=any_of(PLAN.stacks_of_kind("xray")),
        conda:
            "../../envs/environment.yaml"
        params:
            plan=stated("stack.{stack}.virtual"),
        shell:
            "python scripts/simulate_xray_stack.py --specimen {input.specimen}"
            " --references {input.references} --plan {params.plan:q}"
            " --hdf5 {output.stack} --truth {output.truth} > {log} 2>&1"

    rule simulate_losses:
        input:
            specimen=of_laid("truth/{scan}.nc"),
            code=code("simulate_losses"),
        output:
            **recorded(stack="raw/{stack}.hspy", truth="truth/{stack}.nc"),
        log:
            logged("simulate_losses/{stack}"),
        wildcard_constraints:
            stack=any_of(PLAN.stacks_of_kind("eels") + PLAN.stacks_of_kind("low-loss")),
        conda:
            "../../envs/environment.yaml"
        params:
            plan=stated("stack.{stack}.virtual"),
        shell:
            "python scripts/simulate_losses.py --specimen {input.specimen}"
            " --plan {params.plan:q} --hspy {output.stack} --truth {output.truth} > {log} 2>&1"

    rule check_maps:
        input:
            truth=result("truth/{stack}.nc", stack=list(PLAN.experiment.virtual.maps)),
            chemistry=result(
                "chemistry/{stack}.nc", stack=list(PLAN.experiment.virtual.maps)
            ),
            registrations=result(
                "registrations/{stack}.nc", stack=list(PLAN.experiment.virtual.maps)
            ),
            correlations=result(
                "correlations/{stack}.nc", stack=list(PLAN.experiment.virtual.maps)
            ),
            code=code("check_maps"),
        output:
            **recorded(table="maps_check.csv"),
        log:
            logged("check_maps"),
        conda:
            "../../envs/environment.yaml"
        shell:
            "python scripts/check_maps.py --truth {input.truth} --chemistry {input.chemistry}"
            " --registrations {input.registrations} --correlations {input.correlations}"
            " --table {output.table} > {log} 2>&1"
