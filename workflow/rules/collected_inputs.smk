# Inputs that depend on what is said of a series, or of a stack.
#
# config:
#   tables: {scans: config/insitu/scans.tsv, stacks: config/mine/stacks.tsv}
#   virtual: {material: nvpf, series: {charging: {phases: [Na3, Na2]}}}

from phasefront.experiment.stacks import first_of, laid, mapped, repeats


def of_series(path):
    """Results of all scans of a series."""
    return lambda wildcards: result(path, scan=PLAN.scans_of_series(wildcards.series))(
        wildcards
    )


def calibration_of_series(wildcards):
    """What the scans of a scan's series share, if it is of one."""
    series = scan_row(wildcards)["series"]
    if not isinstance(series, str):
        return []
    return result(f"calibration_of_series/{series}.nc")(wildcards)


def raw_scans_of_series(find):
    """What the paths of a series' raw scans lead to."""

    def found(wildcards):
        scans = PLAN.raw_scans_of_series(wildcards.series)
        made = [find(path) for path in PLAN.scans.loc[scans, "path"]]
        return [
            path for one in made for path in (one if isinstance(one, list) else [one])
        ]

    return found


def pictured_grains(series):
    """The file of simulated grains, for a series in which some are pictured."""
    fronts = PLAN.experiment.virtual.series[series].fronts
    pictured = fronts is not None and fronts.pictured
    return ["src/phasefront/virtual/insertion/grains.nc"] if pictured else []


def of_stack(column):
    """The file that a column of the table of stacks names, if it does."""

    def find(wildcards):
        cell = PLAN.stacks.loc[wildcards.stack, column]
        return cell if isinstance(cell, str) else []

    return find


def of_laid(path):
    """A result of the scan that a stack's map, or that of what it belongs to, is laid on."""

    def find(wildcards):
        first = first_of(PLAN.stacks, wildcards.stack)
        scan = PLAN.stacks.loc[first, "scan"]
        return result(path.format(scan=scan))(wildcards)

    return find


def of_repeats(wildcards, column):
    """Measured stacks that a column names for a stack and its repeats."""
    names = PLAN.stacks.loc[repeats(PLAN.stacks, wildcards.stack), column]
    return result("stacks/{stack}.nc", stack=list(names))(wildcards)
