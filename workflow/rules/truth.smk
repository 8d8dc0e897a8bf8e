# What a virtual run found, checked against the truth.
#
# in:  truth/<scan>.nc, phases/<scan>.nc, fractions/<scan>.nc, CIFs
# out: truth_check.json, truth_check.csv, figures/truth/*
#
# config:
#   virtual: {material: nvpf}
#   material:
#     parent_point_group: 4/mmm
#     phases: [{name: Na3, label: Na$_3$V, parent_axes: [[1, 0, 0], [0, 1, 0], [0, 0, 1]]}]


if PLAN.experiment.virtual:

    rule check_against_truth:
        input:
            truth=result("truth/{scan}.nc", scan=PLAN.scans.index),
            phases=result("phases/{scan}.nc", scan=PLAN.scans.index),
            grains=result("grains/{scan}.nc", scan=PLAN.scans.index),
            fractions=result("fractions/{scan}.nc", scan=PLAN.scans.index),
            cifs=PLAN.cifs,
            code=code("check_against_truth"),
        output:
            **recorded(check="truth_check.json"),
        log:
            logged("check_against_truth"),
        conda:
            "../../envs/environment.yaml"
        params:
            names=stated("material.names"),
            shared_lattice=stated("material.shared_lattice"),
        shell:
            "python scripts/check_against_truth.py --truth {input.truth}"
            " --phases {input.phases} --grains {input.grains}"
            " --fractions {input.fractions} --cifs {input.cifs:q}"
            " --names {params.names:q} --shared-lattice {params.shared_lattice:q}"
            " --check {output.check} > {log} 2>&1"

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
            labels=stated("material.labels"),
        shell:
            "python scripts/draw_truth.py --check {input.check}"
            " --labels {params.labels:q} --table {output.table}"
            " --probabilities {output.probabilities} --confusion {output.confusion}"
            " > {log} 2>&1"
