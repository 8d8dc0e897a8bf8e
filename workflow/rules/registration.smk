# Where maps of chemistry lie on scans, by images that grow with thickness.
#
# in:  chemistry/<stack>.nc, scans/<scan>.nc, grains/<scan>.nc, landmarks
# out: registrations/<stack>.nc, figures/registrations/<stack>.png
#
# config:
#   seed: 1
#   registration: {channels: [diffuse], probe_nm: 2, unlike: 0.05}
#   tables: {scans: config/mine/scans.tsv, stacks: config/mine/stacks.tsv}


rule register_map:
    input:
        chemistry=result("chemistry/{stack}.nc"),
        description=of_laid("scans/{scan}.nc"),
        grains=of_laid("grains/{scan}.nc"),
        landmarks=of_stack("landmarks"),
        code=code("register_map"),
    output:
        **recorded(registration="registrations/{stack}.nc"),
    log:
        logged("register_map/{stack}"),
    wildcard_constraints:
        stack=any_of(laid(PLAN.stacks)),
    conda:
        "../../envs/environment.yaml"
    params:
        laying=stated("stack.{stack}.laying"),
        settings=stated("registration"),
        seed=stated("seed_of.{stack}"),
    shell:
        "python scripts/register_map.py --chemistry {input.chemistry}"
        " --description {input.description} --grains {input.grains}"
        " --landmarks {input.landmarks:q} --laying {params.laying:q}"
        " --settings {params.settings:q} --seed {params.seed}"
        " --registration {output.registration} > {log} 2>&1"


rule draw_registration:
    input:
        registration=result("registrations/{stack}.nc"),
        grains=of_laid("grains/{scan}.nc"),
        code=code("draw_registration"),
    output:
        **pictured(
            "figure",
            "figures/registrations/{stack}.png",
            "registration",
            "Stacks",
            stack="{stack}",
        ),
    log:
        logged("draw_registration/{stack}"),
    wildcard_constraints:
        stack=any_of(laid(PLAN.stacks)),
    conda:
        "../../envs/environment.yaml"
    shell:
        "python scripts/draw_registration.py --registration {input.registration}"
        " --grains {input.grains} --figure {output.figure} > {log} 2>&1"
