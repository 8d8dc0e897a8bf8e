# Grains: contiguous positions of one crystal orientation.
#
# in:  phases/<scan>.nc, CIFs
# out: grains/<scan>.nc


rule find_grains:
    input:
        phases=result("phases/{scan}.nc"),
        cifs=PLAN.cifs,
        code=code("find_grains"),
    output:
        **recorded(grains="grains/{scan}.nc"),
    log:
        logged("find_grains/{scan}"),
    conda:
        "../../envs/environment.yaml"
    params:
        settings=settings("grains"),
        material=settings("material"),
        step=lambda wildcards: PLAN.step_of(wildcards.scan),
    shell:
        "python scripts/find_grains.py --phases {input.phases} --cifs {input.cifs:q}"
        " --material {params.material:q} --settings {params.settings:q} --step {params.step}"
        " --grains {output.grains} > {log} 2>&1"
