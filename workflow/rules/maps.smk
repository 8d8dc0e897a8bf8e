# Maps of phases and orientations, from other programs and for them: orix, MTEX and others.
#
# in:  a .ang, .ctf or .h5 file; phases/<scan>.nc, orientations/<scan>.nc,
#      grains/<scan>.nc, CIFs
# out: phases/<scan>.nc; maps/<scan>.h5, maps/<scan>.ang, maps/<scan>.ctf
#
# config:
#   maps: {phases: {FePO4: FP}, least: {reliability: 0.15}}
#   material: {phases: [{name: Na3, cif: config/structures/Na3V2PO42F3.cif}]}
#   instruments: {astar: {camera: {rotation_deg: -40, mirrored: true}}}
#   tables: {scans: config/demo/scans.tsv}


rule export_maps:
    input:
        phases=result("phases/{scan}.nc"),
        orientations=result("orientations/{scan}.nc"),
        grains=result("grains/{scan}.nc"),
        cifs=CIFS,
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
        camera=stated("scan.{scan}.camera"),
    shell:
        "python scripts/export_maps.py --phases {input.phases}"
        " --orientations {input.orientations} --grains {input.grains}"
        " --cifs {input.cifs:q}"
        " --names {params.names:q} --camera {params.camera:q}"
        " --h5 {output.h5} --ang {output.ang} --ctf {output.ctf} > {log} 2>&1"


rule import_map:
    input:
        map=lambda wildcards: raw(scan_row(wildcards)["path"]),
        cifs=CIFS,
        code=code("import_map"),
    output:
        **recorded(phases="phases/{scan}.nc"),
    log:
        logged("import_map/{scan}"),
    wildcard_constraints:
        scan=any_of(PLAN.scans_of_kind("map")),
    conda:
        "../../envs/environment.yaml"
    params:
        settings=stated("maps"),
        names=stated("material.names"),
        step=stated("scan.{scan}.step"),
    shell:
        "python scripts/import_map.py --map {input.map:q} --name {wildcards.scan}"
        " --cifs {input.cifs:q} --names {params.names:q} --settings {params.settings:q}"
        " --step {params.step} --phases {output.phases} > {log} 2>&1"
