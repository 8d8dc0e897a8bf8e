"""phasefront: from raw scans, cycling logs and powder patterns to phase fractions, compared.
snakemake --configfile config/demo.yaml
"""

from snakemake.utils import min_version

min_version("9.27")


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/variants.smk"
include: "workflow/rules/inputs.smk"
include: "workflow/rules/collected_inputs.smk"
include: "workflow/rules/candidates.smk"
include: "workflow/rules/virtual.smk"
include: "workflow/rules/virtual_series.smk"
include: "workflow/rules/virtual_maps.smk"
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
include: "workflow/rules/interfaces.smk"
include: "workflow/rules/mechanisms.smk"
include: "workflow/rules/coverage.smk"
include: "workflow/rules/cycling.smk"
include: "workflow/rules/times.smk"
include: "workflow/rules/series.smk"
include: "workflow/rules/powder.smk"
include: "workflow/rules/stacks.smk"
include: "workflow/rules/chemistry.smk"
include: "workflow/rules/registration.smk"
include: "workflow/rules/correlation.smk"
include: "workflow/rules/pathways.smk"
include: "workflow/rules/powder_series.smk"
include: "workflow/rules/tomography.smk"
include: "workflow/rules/comparison.smk"
include: "workflow/rules/truth.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/explorer.smk"
include: "workflow/rules/targets.smk"
include: "workflow/rules/supplement.smk"
include: "workflow/rules/sweep.smk"


rule all:
    default_target: True
    input:
        targets,
        result("supplement.zip"),
