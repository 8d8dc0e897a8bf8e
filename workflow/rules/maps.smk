# Maps of phases and orientations for other programs: orix, MTEX and what else reads their files.
#
# in:  phases/<scan>.nc, orientations/<scan>.nc, CIFs
# out: maps/<scan>.h5, maps/<scan>.ang, maps/<scan>.ctf
#
# config:
#   material: {phases: [{name: Na3, cif: config/structures/Na3V2PO42F3.cif}]}
#   instruments: {astar: {camera: {rotation_deg: -40, mirrored: true}}}
#   tables: {scans: config/demo/scans.tsv}


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
        names=stated("material.names"),
        step=stated("scan.{scan}.step"),
        camera=stated("scan.{scan}.camera"),
    shell:
        "python scripts/export_maps.py --phases {input.phases}"
        " --orientations {input.orientations} --cifs {input.cifs:q}"
        " --names {params.names:q} --step {params.step} --camera {params.camera:q}"
        " --h5 {output.h5} --ang {output.ang} --ctf {output.ctf} > {log} 2>&1"
