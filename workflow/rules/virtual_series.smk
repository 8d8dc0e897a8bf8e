# Virtual in situ series: the truth of each, and its scans as a camera films them.
#
# in:  Bloch-wave intensities and simulated grains that come with the package, the table of scans
# out: raw/<scan>.blo, truth/<scan>.nc, truth/<series>.nc
#
# config:
#   seed: 1
#   tables: {scans: config/insitu/scans.tsv, cycling: config/insitu/cycling.tsv}
#   virtual:
#     material: nvpf
#     series: {charging: {phases: [Na3, Na2], liquid_nm: 150}}
#     logs: {cell: {started: "2025-07-14T09:00:00+02:00", current_ma: 0.02, pulses: 1,
#       pulse_s: 600, pause_s: 300, before_s: 600, after_s: 600}}
#   material: {phases: [{name: Na3, ion_content: 3, formula_units: 4}]}
#   instruments: {astar: {scale: 0.0175}}


if PLAN.experiment.virtual:

    rule simulate_series:
        input:
            intensities="src/phasefront/virtual/bloch_waves.nc",
            grains=lambda wildcards: pictured_grains(wildcards.series),
            code=code("simulate_series"),
        output:
            **recorded(truth="truth/{series}.nc"),
        log:
            logged("simulate_series/{series}"),
        wildcard_constraints:
            series=any_of(PLAN.experiment.virtual.series),
        conda:
            "../../envs/environment.yaml"
        params:
            material=stated("virtual.material"),
            names=stated("material.names"),
            cifs=stated("material.cifs"),
            ion_contents=stated("material.ion_contents"),
            plan=stated("virtual_series.{series}.plan"),
        shell:
            "python scripts/simulate_series.py --intensities {input.intensities}"
            " --grains {input.grains} --material {params.material} --names {params.names:q}"
            " --cifs {params.cifs:q} --ion-contents {params.ion_contents:q}"
            " --plan {params.plan:q} --truth {output.truth} > {log} 2>&1"

    rule film_scan:
        input:
            intensities="src/phasefront/virtual/bloch_waves.nc",
            grains=lambda wildcards: pictured_grains(scan_row(wildcards)["series"]),
            code=code("film_scan"),
        output:
            **recorded(scan="raw/{scan}.blo", truth="truth/{scan}.nc"),
        log:
            logged("film_scan/{scan}"),
        wildcard_constraints:
            scan=any_of(virtual_scans(PLAN)),
        conda:
            "../../envs/environment.yaml"
        threads: SCAN_THREADS
        params:
            material=stated("virtual.material"),
            names=stated("material.names"),
            cifs=stated("material.cifs"),
            ion_contents=stated("material.ion_contents"),
            camera=stated("virtual.camera"),
            detector=stated("virtual.detector"),
            instrument=stated("scan.{scan}.optics"),
            plan=stated("scan.{scan}.virtual_series"),
            seed=stated("seed_of.{scan}"),
        shell:
            "python scripts/film_scan.py --intensities {input.intensities}"
            " --grains {input.grains} --material {params.material} --names {params.names:q}"
            " --cifs {params.cifs:q} --ion-contents {params.ion_contents:q}"
            " --camera {params.camera:q} --detector {params.detector} --instrument {params.instrument:q}"
            " --plan {params.plan:q} --scan {wildcards.scan} --seed {params.seed}"
            " --blo {output.scan} --truth {output.truth} > {log} 2>&1"
