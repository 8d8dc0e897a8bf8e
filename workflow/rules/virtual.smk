# Raw files of a virtual experiment, and the truth, which only check_against_truth reads.
#
# in:  Bloch-wave intensities that come with the package, the config's virtual section
# out: raw/<scan>.blo, raw/<log>.mpt, raw/<pattern>.xye, truth/*
#
# config:
#   seed: 1
#   virtual:
#     material: nvpf
#     states: {x3.0: {ion_content: 3, insertion_model: core-shell}}
#   material: {pristine_molar_mass: 417.79, phases: [{name: Na3, ion_content: 3, formula_units: 4}]}
#   instruments: {astar: {scale: 0.0175}}

from phasefront.experiment.virtual import virtual_scans

if PLAN.experiment.virtual:

    rule simulate_scan:
        input:
            intensities="src/phasefront/virtual/bloch_waves.nc",
            grains=simulated_grains,
            code=code("simulate_scan"),
        output:
            **recorded(scan="raw/{scan}.blo", truth="truth/{scan}.nc"),
        log:
            logged("simulate_scan/{scan}"),
        wildcard_constraints:
            scan=any_of(set(PLAN.scans.index) - set(virtual_scans(PLAN))),
        conda:
            "../../envs/environment.yaml"
        threads: SCAN_THREADS
        params:
            virtual=stated("virtual.without_maps"),
            names=stated("material.names"),
            cifs=stated("material.cifs"),
            ion_contents=stated("material.ion_contents"),
            instrument=stated("scan.{scan}.optics"),
            state=stated("scan.{scan}.state"),
            step=stated("scan.{scan}.step"),
            seed=stated("seed_of.{scan}"),
        shell:
            "python scripts/simulate_scan.py --intensities {input.intensities}"
            " --grains {input.grains}"
            " --virtual {params.virtual:q} --names {params.names:q} --cifs {params.cifs:q}"
            " --ion-contents {params.ion_contents:q}"
            " --instrument {params.instrument:q} --state {params.state} --scan {wildcards.scan}"
            " --step {params.step} --seed {params.seed}"
            " --blo {output.scan} --truth {output.truth} > {log} 2>&1"

    rule simulate_log:
        input:
            code=code("simulate_log"),
        output:
            **recorded(log="raw/{log}.mpt", truth="truth/{log}.json"),
        log:
            logged("simulate_log/{log}"),
        conda:
            "../../envs/environment.yaml"
        params:
            virtual=stated("virtual.without_maps"),
            formula_mass=stated("material.pristine_molar_mass"),
            row=stated("log.{log}.row"),
            seed=stated("seed_of.{log}"),
        shell:
            "python scripts/simulate_log.py --virtual {params.virtual:q}"
            " --formula-mass {params.formula_mass:q} --row {params.row:q} --seed {params.seed}"
            " --mpt {output.log} --truth {output.truth} > {log} 2>&1"

    rule simulate_pattern:
        input:
            cifs=PLAN.cifs,
            code=code("simulate_pattern"),
        output:
            **recorded(pattern="raw/{pattern}.xye", truth="truth/{pattern}.json"),
        log:
            logged("simulate_pattern/{pattern}"),
        conda:
            "../../envs/environment.yaml"
        params:
            virtual=stated("virtual.without_maps"),
            names=stated("material.names"),
            ion_contents=stated("material.ion_contents"),
            formula_units=stated("material.formula_units"),
            state=stated("pattern.{pattern}.state"),
            wavelength=stated("pattern.{pattern}.wavelength"),
            seed=stated("seed_of.{pattern}"),
        shell:
            "python scripts/simulate_pattern.py --cifs {input.cifs:q}"
            " --virtual {params.virtual:q} --names {params.names:q}"
            " --ion-contents {params.ion_contents:q} --formula-units {params.formula_units:q}"
            " --state {params.state} --wavelength {params.wavelength} --seed {params.seed}"
            " --xye {output.pattern} --truth {output.truth} > {log} 2>&1"
