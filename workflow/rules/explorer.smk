# One page in which any position of the run can be looked at.
#
# in:  every stage's output, raw scans, CIFs
# out: explorer.html
#
# config:
#   run: demo
#   title: Sodium leaving Na3V2(PO4)2F3
#   report: {explorer: {patterns_mb: 25}}
#   material: {ion: Na, phases: [{name: Na3, label: Na$_3$V}]}
#   tables: {scans: config/demo/scans.tsv}

RAW_SCANS = PLAN.scans_of_kind("scan")
PAGE = "src/phasefront/report/explorer/explorer"


rule draw_explorer:
    input:
        comparison=result("comparison.nc"),
        conclusion=result("conclusion.txt"),
        phases=result("phases/{scan}.nc", scan=PLAN.scans.index),
        grains=result("grains/{scan}.nc", scan=PLAN.scans.index),
        interfaces=result("interfaces/{scan}.nc", scan=PLAN.scans.index),
        mechanisms=result("mechanisms.nc") if len(PLAN.scans) else [],
        cells=result("cells/{cell}.nc", cell=PLAN.cells.index),
        series=result("series/{series}.nc", series=PLAN.series),
        judged=result("series.json") if PLAN.series else [],
        correlations=result("correlations/{stack}.nc", stack=laid(PLAN.stacks)),
        registrations=result("registrations/{stack}.nc", stack=laid(PLAN.stacks)),
        spectra=result(
            "spectra/{stack}.nc",
            stack=[
                one
                for one in laid(PLAN.stacks)
                if PLAN.stacks.loc[one, "kind"] != "map"
            ],
        ),
        spots=result("spots/{scan}.nc", scan=PLAN.analysed_scans),
        orientations=result("orientations/{scan}.nc", scan=PLAN.analysed_scans),
        calibration=result("calibration/{scan}.nc", scan=RAW_SCANS),
        description=result("scans/{scan}.nc", scan=RAW_SCANS),
        raw=[raw(PLAN.scans.loc[scan, "path"]) for scan in RAW_SCANS],
        parts=[parts(PLAN.scans.loc[scan, "path"]) for scan in RAW_SCANS],
        cifs=CIFS,
        program=f"{PAGE}.js",
        style=f"{PAGE}.css",
        code=code("draw_explorer"),
    output:
        **recorded(explorer="explorer.html"),
    log:
        logged("draw_explorer"),
    priority: 1  # long, and waits for much: not last
    conda:
        "../../envs/environment.yaml"
    params:
        scans=stated("explored_scans"),
        cameras=stated("cameras"),
        settings=stated("report.explorer"),
        names=stated("material.names"),
        labels=stated("material.labels"),
        shared_lattice=stated("material.shared_lattice"),
        ion=stated("material.ion"),
        name=stated("run"),
        title=stated("title"),
    shell:
        "python scripts/draw_explorer.py --comparison {input.comparison}"
        " --conclusion {input.conclusion} --phases {input.phases} --grains {input.grains}"
        " --interfaces {input.interfaces} --mechanisms {input.mechanisms} --cells {input.cells}"
        " --series {input.series} --judged {input.judged}"
        " --correlations {input.correlations}"
        " --registrations {input.registrations} --spectra {input.spectra}"
        " --spots {input.spots} --orientations {input.orientations}"
        " --calibration {input.calibration} --description {input.description}"
        " --raw {input.raw:q} --cifs {input.cifs:q} --program {input.program}"
        " --style {input.style} --scans {params.scans:q} --cameras {params.cameras:q}"
        " --settings {params.settings:q} --names {params.names:q} --labels {params.labels:q}"
        " --shared-lattice {params.shared_lattice:q} --ion {params.ion} --name {params.name}"
        " --title={params.title:q} --explorer {output.explorer} > {log} 2>&1"
