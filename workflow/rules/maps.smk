# Maps of phases and orientations for other programs: orix, MTEX and what else reads their files.
#
# in:  phases/<scan>.nc, orientations/<scan>.nc, CIFs
# out: maps/<scan>.h5, maps/<scan>.ang, maps/<scan>.ctf


rule export_maps:
    input:
        phases=result("phases/{scan}.nc"),
        orientations=result("orientations/{scan}.nc"),
        cifs=PLAN.cifs,
        code=code("export_maps"),
    output:
        **recorded(
            h5="maps/{scan}.h5",
            ang="maps/{scan}.ang",
            ctf="maps/{scan}.ctf",
        ),
    log:
        logged("export_maps/{scan}"),
    conda:
        "../../envs/environment.yaml"
    params:
        material=settings("material"),
        step=lambda wildcards: PLAN.step_of(wildcards.scan),
        camera=lambda wildcards: PLAN.camera_of_scan(wildcards.scan),
    shell:
        "python scripts/export_maps.py --phases {input.phases}"
        " --orientations {input.orientations} --cifs {input.cifs:q}"
        " --material {params.material:q} --step {params.step} --camera {params.camera:q}"
        " --h5 {output.h5} --ang {output.ang} --ctf {output.ctf} > {log} 2>&1"
