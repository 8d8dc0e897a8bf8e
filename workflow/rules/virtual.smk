# Raw files of a virtual experiment, and the truth, which only check_against_truth reads.
#
# in:  Bloch-wave intensities that come with the package, the config's virtual section
#      and for draw_truth what check_against_truth found
# out: raw/<scan>.blo, raw/<log>.mpt, raw/<pattern>.xye, truth/*, truth_check.csv, figures/truth/*


if PLAN.experiment.virtual:

    rule simulate_scan:
        input:
            intensities="src/phasefront/virtual/bloch_waves.nc",
            code=code("simulate_scan"),
        output:
            **recorded(scan="raw/{scan}.blo", truth="truth/{scan}.nc"),
        log:
            logged("simulate_scan/{scan}"),
        conda:
            "../../envs/environment.yaml"
        threads: SCAN_THREADS
        params:
            virtual=settings("virtual"),
            material=settings("material"),
            instrument=lambda wildcards: PLAN.instrument_of_scan(wildcards.scan),
            state=lambda wildcards: scan_row(wildcards)["state"],
            step=lambda wildcards: PLAN.step_of(wildcards.scan),
            seed=lambda wildcards: PLAN.seed_of(wildcards.scan),
        shell:
            "python scripts/simulate_scan.py --intensities {input.intensities}"
            " --virtual {params.virtual:q} --material {params.material:q}"
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
            virtual=settings("virtual"),
            material=settings("material"),
            row=lambda wildcards: PLAN.log(wildcards.log),
            seed=lambda wildcards: PLAN.seed_of(wildcards.log),
        shell:
            "python scripts/simulate_log.py --virtual {params.virtual:q}"
            " --material {params.material:q} --row {params.row:q} --seed {params.seed}"
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
            virtual=settings("virtual"),
            material=settings("material"),
            state=lambda wildcards: PLAN.patterns.loc[wildcards.pattern, "state"],
            wavelength=lambda wildcards: PLAN.patterns.loc[
                wildcards.pattern, "wavelength"
            ],
            seed=lambda wildcards: PLAN.seed_of(wildcards.pattern),
        shell:
            "python scripts/simulate_pattern.py --cifs {input.cifs:q}"
            " --virtual {params.virtual:q} --material {params.material:q}"
            " --state {params.state} --wavelength {params.wavelength} --seed {params.seed}"
            " --xye {output.pattern} --truth {output.truth} > {log} 2>&1"

    rule draw_truth:
        input:
            check=result("truth_check.json"),
            code=code("draw_truth"),
        output:
            **recorded(table="truth_check.csv"),
            **pictured(
                "probabilities",
                "figures/truth/probabilities.png",
                "probabilities",
                "Truth",
            ),
            **pictured("confusion", "figures/truth/confusion.png", "confusion", "Truth"),
        log:
            logged("draw_truth"),
        conda:
            "../../envs/environment.yaml"
        params:
            material=settings("material"),
        shell:
            "python scripts/draw_truth.py --check {input.check}"
            " --material {params.material:q} --table {output.table}"
            " --probabilities {output.probabilities} --confusion {output.confusion}"
            " > {log} 2>&1"
