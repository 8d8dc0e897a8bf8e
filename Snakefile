"""phasefront: from raw scans, cycling logs and powder patterns to phase fractions, compared.

snakemake --configfile config/demo.yaml --workflow-profile workflow/profiles/default
"""

from snakemake.utils import min_version

min_version("9.27")


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/variants.smk"
include: "workflow/rules/virtual.smk"
include: "workflow/rules/scans.smk"
include: "workflow/rules/calibration.smk"
include: "workflow/rules/spots.smk"
include: "workflow/rules/discrimination.smk"
include: "workflow/rules/orientations.smk"
include: "workflow/rules/phases.smk"
include: "workflow/rules/maps.smk"
include: "workflow/rules/grains.smk"
include: "workflow/rules/confusion.smk"
include: "workflow/rules/fractions.smk"
include: "workflow/rules/coverage.smk"
include: "workflow/rules/cycling.smk"
include: "workflow/rules/powder.smk"
include: "workflow/rules/comparison.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/sweep.smk"


rule all:
    default_target: True
    input:
        result("summary.json"),
        result("comparison.csv"),
        result("figures/comparison.png"),
        result("figures/overview.png"),
        result("figures/{scan}/phases.png", scan=PLAN.scans.index),
        result("figures/{scan}/patterns.png", scan=PLAN.scans.index),
        result("figures/{scan}/images.png", scan=PLAN.scans_of_kind("scan")),
        result("figures/drift.png") if PLAN.scans_of_kind("scan") else [],
        result(
            "maps/{scan}.{kind}",
            scan=PLAN.scans.index,
            kind=["h5", "ang", "ctf"],
        ),
        result("figures/cycling/{log}.png", log=PLAN.logs.index),
        result("figures/powder/{pattern}.png", pattern=PLAN.patterns_of_kind("pattern")),
        result("figures/pairs/{instrument}.png", instrument=PLAN.instruments),
        result("pairs/{instrument}.csv", instrument=PLAN.instruments),
        result("notebooks/experiment.ipynb"),
        result("truth_check.csv") if PLAN.experiment.virtual else [],
        result("sweep.csv") if PLAN.sweep.parameters else [],
