# Pictures, the executed notebook, and what Snakemake's report shows.
#
# in:  every stage's output
# out: figures/*.png, figures/<scan>/*.png, figures/powder/*.png, notebooks/experiment.ipynb


def pictured(name, path, caption, category, **labels):
    """A picture with its record, shown in the report under a category."""
    outputs = recorded(**{name: path})
    outputs[name] = report(
        outputs[name],
        caption=f"../report/{caption}.rst",
        category=category,
        labels=labels | {"figure": caption.replace("_", " ")},
    )
    return outputs


rule draw_scan:
    input:
        description=result("scans/{scan}.nc"),
        calibration=result("calibration/{scan}.nc"),
        code=code("draw_scan"),
    output:
        **pictured(
            "images", "figures/{scan}/images.png", "images", "Scans", scan="{scan}"
        ),
        **pictured(
            "geometry",
            "figures/{scan}/calibration.png",
            "calibration",
            "Scans",
            scan="{scan}",
        ),
    log:
        result("logs/draw_scan/{scan}.log"),
    wildcard_constraints:
        scan=any_of(PLAN.scans_of_kind("scan")),
    conda:
        "../../envs/environment.yaml"
    shell:
        "{PYTHON} scripts/draw_scan.py --description {input.description}"
        " --calibration {input.calibration} --images {output.images}"
        " --geometry {output.geometry} > {log} 2>&1"


def of_raw_scan(path):
    """An input that only a raw scan has, not a peak list."""

    def find(wildcards):
        if scan_row(wildcards)["kind"] == "peaks":
            return []
        return scan_row(wildcards)["path"] if path == "raw" else result(path)

    return find


rule draw_patterns:
    input:
        scan=of_raw_scan("raw"),
        calibration=of_raw_scan("calibration/{scan}.nc"),
        spots=result("spots/{scan}.nc"),
        orientations=result("orientations/{scan}.nc"),
        phases=result("phases/{scan}.nc"),
        cifs=PLAN.cifs,
        code=code("draw_patterns"),
    output:
        **pictured(
            "patterns",
            "figures/{scan}/patterns.png",
            "patterns",
            "Maps",
            scan="{scan}",
        ),
    log:
        result("logs/draw_patterns/{scan}.log"),
    conda:
        "../../envs/environment.yaml"
    params:
        material=settings("material"),
        instrument=lambda wildcards: PLAN.instrument_of_scan(wildcards.scan),
    shell:
        "{PYTHON} scripts/draw_patterns.py --scan {input.scan} --calibration {input.calibration}"
        " --spots {input.spots} --orientations {input.orientations} --phases {input.phases}"
        " --cifs {input.cifs} --material {params.material:q}"
        " --instrument {params.instrument:q} --patterns {output.patterns} > {log} 2>&1"


rule draw_maps:
    input:
        phases=result("phases/{scan}.nc"),
        orientations=result("orientations/{scan}.nc"),
        grains=result("grains/{scan}.nc"),
        cifs=PLAN.cifs,
        code=code("draw_maps"),
    output:
        **pictured(
            "decision", "figures/{scan}/phases.png", "phases", "Maps", scan="{scan}"
        ),
        **pictured(
            "ipf",
            "figures/{scan}/orientations.png",
            "orientations",
            "Maps",
            scan="{scan}",
        ),
        **pictured(
            "reliability",
            "figures/{scan}/reliability.png",
            "reliability",
            "Maps",
            scan="{scan}",
        ),
    log:
        result("logs/draw_maps/{scan}.log"),
    conda:
        "../../envs/environment.yaml"
    params:
        material=settings("material"),
    shell:
        "{PYTHON} scripts/draw_maps.py --phases {input.phases}"
        " --orientations {input.orientations} --grains {input.grains} --cifs {input.cifs}"
        " --material {params.material:q} --decision {output.decision} --ipf {output.ipf}"
        " --reliability {output.reliability} > {log} 2>&1"


rule draw_powder:
    input:
        powder=result("powder/{pattern}.nc"),
        code=code("draw_powder"),
    output:
        **pictured(
            "fit",
            "figures/powder/{pattern}.png",
            "powder",
            "Powder",
            pattern="{pattern}",
        ),
    log:
        result("logs/draw_powder/{pattern}.log"),
    conda:
        "../../envs/environment.yaml"
    params:
        material=settings("material"),
    shell:
        "{PYTHON} scripts/draw_powder.py --powder {input.powder}"
        " --material {params.material:q} --fit {output.fit} > {log} 2>&1"


rule draw_comparison:
    input:
        comparison=result("comparison.nc"),
        cycling=expand(result("cycling/{log}.nc"), log=PLAN.logs.index),
        phases=expand(result("phases/{scan}.nc"), scan=PLAN.scans.index),
        grains=expand(result("grains/{scan}.nc"), scan=PLAN.scans.index),
        code=code("draw_comparison"),
    output:
        **pictured("comparison", "figures/comparison.png", "comparison", "Comparison"),
        **pictured("overview", "figures/overview.png", "overview", "Comparison"),
    log:
        result("logs/draw_comparison.log"),
    conda:
        "../../envs/environment.yaml"
    params:
        material=settings("material"),
        links=PLAN.links(),
    shell:
        "{PYTHON} scripts/draw_comparison.py --comparison {input.comparison}"
        " --cycling {input.cycling} --phases {input.phases} --grains {input.grains}"
        " --material {params.material:q} --links {params.links:q}"
        " --figure {output.comparison} --overview {output.overview} > {log} 2>&1"


rule execute_notebook:
    input:
        template="notebooks/experiment.ipynb",
        summary=result("summary.json"),
        truth=[result("truth_check.json")] if PLAN.experiment.virtual else [],
        comparison=result("comparison.nc"),
        cycling=expand(result("cycling/{log}.nc"), log=PLAN.logs.index),
        fractions=expand(result("fractions/{scan}.nc"), scan=PLAN.scans.index),
        phases=expand(result("phases/{scan}.nc"), scan=PLAN.scans.index),
        grains=expand(result("grains/{scan}.nc"), scan=PLAN.scans.index),
        cifs=PLAN.cifs,
        code=code("execute_notebook"),
    output:
        **recorded(notebook="notebooks/experiment.ipynb"),
    log:
        result("logs/execute_notebook.log"),
    conda:
        "../../envs/environment.yaml"
    params:
        folder=result(""),
        material=settings("material"),
        links=PLAN.links(),
    shell:
        "{PYTHON} scripts/execute_notebook.py --template {input.template}"
        " --used {input.summary} {input.truth} {input.comparison} {input.cycling}"
        " {input.fractions} {input.phases} {input.grains} {input.cifs}"
        " --folder {params.folder} --material {params.material:q} --links {params.links:q}"
        " --notebook {output.notebook} > {log} 2>&1"
