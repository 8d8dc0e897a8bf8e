# What a run ends with; the supplement packs it with all that it was made of.
#
# config:
#   tables: {scans: config/demo/scans.tsv, cycling: config/demo/cycling.tsv}
#   virtual: {material: nvpf}
#   sweep: {grid: {phases.decide_above: [0.9, 0.99]}}

TARGETS = [
    result("summary.json"),
    result("comparison.csv"),
    result("figures/comparison.png"),
    *map(
        result,
        (
            ["fractions.csv", "figures/fractions.png", "figures/overview.png"]
            if len(PLAN.scans)
            else []
        ),
    ),
    result("figures/{scan}/phases.png", scan=PLAN.scans.index),
    result("figures/{scan}/interfaces.png", scan=PLAN.scans.index),
    result("figures/{scan}/morphologies.png", scan=PLAN.scans.index),
    result("mechanisms.json") if len(PLAN.scans) else [],
    result("figures/{scan}/patterns.png", scan=PLAN.analysed_scans),
    result("figures/{scan}/images.png", scan=PLAN.scans_of_kind("scan")),
    result("figures/drift.png") if PLAN.scans_of_kind("scan") else [],
    result(
        "maps/{scan}.{kind}",
        scan=PLAN.analysed_scans,
        kind=["h5", "ang", "ctf"],
    ),
    result("figures/cycling/{log}.png", log=PLAN.logs.index),
    result("series.json") if PLAN.series else [],
    result(
        "figures/series/{series}/{picture}",
        series=PLAN.series,
        picture=["filmstrip.png", "film.gif", "fronts.png", "cell.png"],
    ),
    result("figures/powder/{pattern}.png", pattern=PLAN.patterns_of_kind("pattern")),
    result("figures/chemistry/{stack}.png", stack=mapped(PLAN.stacks)),
    result(
        "figures/{picture}/{stack}.png",
        picture=["registrations", "correlations", "pathways"],
        stack=laid(PLAN.stacks),
    ),
    result("correlations.csv") if laid(PLAN.stacks) else [],
    result("figures/stacks/{stack}.png", stack=PLAN.stacks_of_kind("xray")),
    result("powder_series/{series}.csv", series=PLAN.batches.series),
    result("figures/powder_series/{series}.png", series=PLAN.batches.series),
    *map(result, ["cells.csv", "figures/cells.png"] if len(PLAN.cells) else []),
    result("figures/pairs/{instrument}.png", instrument=PLAN.instruments),
    result("pairs/{instrument}.csv", instrument=PLAN.instruments),
    result("notebooks/experiment.ipynb"),
    result("explorer.html"),
    result("truth_check.csv") if PLAN.experiment.virtual else [],
    (
        result("truth/{series}.nc", series=list(PLAN.experiment.virtual.series))
        if PLAN.experiment.virtual
        else []
    ),
    (
        result("maps_check.csv")
        if PLAN.experiment.virtual and PLAN.experiment.virtual.maps
        else []
    ),
    result("sweep.csv") if PLAN.sweep.parameters else [],
]


def targets(wildcards):
    """Their paths."""
    return flat(target(wildcards) for target in TARGETS if target)


def project_files():
    """What a reader needs to run the work again."""
    names = "Snakefile pyproject.toml LICENSE CITATION.cff CHANGELOG.md".split()
    names += ["envs/lock.txt", "envs/environment.yaml"]
    folders = "profiles workflow scripts src notebooks".split()
    inside = [path for folder in folders for path in pathlib.Path(folder).rglob("*")]
    made = ("__pycache__", ".egg-info")
    return names + sorted(
        str(path)
        for path in inside
        if path.is_file() and not any(part.endswith(made) for part in path.parts)
    )
