# Do 95 % intervals of fractions hold the truth in 95 of 100 scans? Many small virtual scans, as lists
# of spots, 20 in a job. Takes long and is no part of `all`: ask for study_coverage.
#
# in:  Bloch-wave intensities that come with the package, templates/<instrument>.nc, CIFs
# out: coverage/<part>.csv; coverage.csv, coverage.json, figures/coverage.png
#
# config:
#   seed: 1
#   coverage: {scans: 240, shape: [28, 28], dose: [1.0e+6, 1.0e+7]}
#   virtual: {material: nvpf}
#   spots: {max_radius: 1.2}
#   orientations: {n_best: 2}
#   phases: {decide_above: 0.95}
#   grains: {min_positions: 10}
#   fractions: {draws: 2000}
#   material: {phases: [{name: Na3, ion_content: 3, formula_units: 4}]}


if PLAN.experiment.virtual:

    rule simulate_coverage:
        input:
            intensities="src/phasefront/virtual/bloch_waves.nc",
            cifs=PLAN.cifs,
            templates=result(f"templates/{PLAN.instruments[0]}.nc"),
            code=code("simulate_coverage"),
        output:
            **recorded(table="coverage/{part}.csv"),
        log:
            logged("simulate_coverage/{part}"),
        conda:
            "../../envs/environment.yaml"
        params:
            virtual=stated("virtual"),
            material=stated("material.candidates"),
            instrument=stated(f"instrument.{PLAN.instruments[0]}.optics"),
            spots=stated("spots"),
            orientations=stated("orientations"),
            phases=stated("phases"),
            grains=stated("grains"),
            fractions=stated("fractions"),
            coverage=stated("coverage"),
            seed=stated("seed_of.coverage"),
        shell:
            "python scripts/simulate_coverage.py --intensities {input.intensities}"
            " --cifs {input.cifs:q} --templates {input.templates}"
            " --virtual {params.virtual:q} --material {params.material:q}"
            " --instrument {params.instrument:q} --spots {params.spots:q}"
            " --orientations {params.orientations:q} --phases {params.phases:q}"
            " --grains {params.grains:q} --fractions {params.fractions:q}"
            " --coverage {params.coverage:q} --part {wildcards.part}"
            " --seed {params.seed}"
            " --table {output.table} > {log} 2>&1"

    rule study_coverage:
        input:
            parts=result("coverage/{part}.csv", part=PLAN.experiment.coverage.parts),
            code=code("study_coverage"),
        output:
            **recorded(table="coverage.csv", summary="coverage.json"),
            **pictured("figure", "figures/coverage.png", "coverage", "Truth"),
        log:
            logged("study_coverage"),
        conda:
            "../../envs/environment.yaml"
        shell:
            "python scripts/study_coverage.py --parts {input.parts:q}"
            " --table {output.table} --summary {output.summary}"
            " --figure {output.figure} > {log} 2>&1"
