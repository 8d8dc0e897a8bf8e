# Inputs that depend on what the tables and the config say of a scan or a pattern.
#
# config:
#   tables: {scans: config/demo/scans.tsv, powder: config/demo/powder.tsv}
#   calibration: {method: phases}
#   powder: {sequential: false}
#   virtual:
#     material: nvpf
#     states: {x3.0: {ion_content: 3, insertion_model: core-shell}}

from phasefront.records import digests


def scan_row(wildcards):
    """The row of the table of scans."""
    return PLAN.scans.loc[wildcards.scan]


def templates_of(wildcards):
    """Templates for the instrument that took the scan."""
    return result(f"templates/{scan_row(wildcards)['instrument']}.nc")(wildcards)


def scans_of_state(path):
    """A result of each scan of a state."""

    def find(wildcards):
        return result(path, scan=PLAN.scans_of(wildcards.state))(wildcards)

    return find


def by_method(method, files):
    """Inputs that only one way of calibrating needs."""

    def find(wildcards):
        if PLAN.sweep.experiment_of(variant_of(wildcards)).calibration.method != method:
            return []
        return files(wildcards) if callable(files) else files

    return find


def of_kinds(*kinds):
    """What makes an input of scans of these kinds alone: a result, or what their path leads to."""

    def as_input(find):
        def found(wildcards):
            row = scan_row(wildcards)
            if row["kind"] not in kinds:
                return []
            return find(row["path"]) if callable(find) else result(find)(wildcards)

        return found

    return as_input


of_raw_scan = of_kinds("scan")
of_patterns = of_kinds("scan", "peaks")  # analysed here, not maps of other programs


def raw(path):
    """The file, or the folder, which Snakemake knows by its time, so its parts stand for it."""
    return ancient(path) if os.path.isdir(path) else unless_touched(path)


def parts(path):
    """What is read along with it: a change in it counts as one in the scan."""
    return [unless_touched(str(part)) for part in digests.parts(pathlib.Path(path))]


def unless_touched(path):
    """The file, without its time where that is all that is new. A job asks for nothing again."""
    planning = workflow.is_main_process
    touched = planning and SOURCES.only_touched(pathlib.Path(path))
    return ancient(path) if touched else path


def pattern_path(wildcards):
    """The pattern, or the table of refined fractions."""
    return PLAN.patterns.loc[wildcards.pattern, "path"]


def log_of(row):
    """The log that a row of a table names."""
    return result("cycling/{log}.nc", log=[row["log"]])


def batch_files(wildcards):
    """Patterns of a batch of a series, or of the part of it that one job fits."""
    part = wildcards.get("part")
    files = PLAN.batches.files_of(wildcards.batch)
    if part is not None:
        files = PLAN.batches.parts_of(wildcards.batch)[part]
    return [unless_touched(path) for path in files]


def fit_before(wildcards):
    """The fit that a sequential one starts from."""
    before = PLAN.pattern_before(wildcards.pattern)
    if (
        before is None
        or not PLAN.sweep.experiment_of(variant_of(wildcards)).powder.sequential
    ):
        return []
    return result(f"powder/{before}.nc")(wildcards)


def simulated_grains(wildcards):
    """The file of simulated grains, for a scan of a state that takes them."""
    state = PLAN.scans.at[wildcards.scan, "state"]
    simulated = PLAN.experiment.virtual.states[state].insertion_model == "simulated"
    return ["src/phasefront/virtual/insertion/grains.nc"] if simulated else []
