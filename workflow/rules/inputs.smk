# Inputs that depend on what the tables and the config say of a scan or a pattern.


def scan_row(wildcards):
    """The row of the table of scans."""
    return PLAN.scans.loc[wildcards.scan]


def templates_of(wildcards):
    """Templates for the instrument that took the scan."""
    return result(f"templates/{scan_row(wildcards)['instrument']}.nc")(wildcards)


def by_method(method, files):
    """Inputs that only one way of calibrating needs."""

    def find(wildcards):
        if experiment_of(variant_of(wildcards)).calibration.method != method:
            return []
        return files(wildcards) if callable(files) else files

    return find


def of_raw_scan(path):
    """An input that only a raw scan has, not a peak list."""

    def find(wildcards):
        if scan_row(wildcards)["kind"] == "peaks":
            return []
        return scan_row(wildcards)["path"] if path == "raw" else result(path)(wildcards)

    return find


def pattern_path(wildcards):
    """The pattern, or the table of refined fractions."""
    return PLAN.patterns.loc[wildcards.pattern, "path"]


def fit_before(wildcards):
    """The fit that a sequential one starts from."""
    before = PLAN.pattern_before(wildcards.pattern)
    if before is None or not experiment_of(variant_of(wildcards)).powder.sequential:
        return []
    return result(f"powder/{before}.nc")(wildcards)
