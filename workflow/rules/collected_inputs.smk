# Inputs that depend on what is said of a series, of a stack, or of the phases' cells.
#
# config:
#   tables: {scans: config/insitu/scans.tsv, stacks: config/mine/stacks.tsv}
#   virtual: {material: nvpf, series: {charging: {phases: [Na3, Na2]}}}
#   material:
#     phases: [{name: Na3, cif: config/structures/Na3V2PO42F3.cif, cell_prior: [particle-1]}]

from phasefront.experiment.stacks import first_of, laid, mapped, repeats


def of_series(path):
    """Results of all scans of a series."""
    return lambda wildcards: result(path, scan=PLAN.scans_of_series(wildcards.series))(
        wildcards
    )


def log_of_series(wildcards):
    """The log that the scans of a series were taken on."""
    return result("cycling/{log}.nc", log=[PLAN.log_of_series(wildcards.series)])(
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


def candidate_cifs(wildcards):
    """CIFs of the phases, in order; of one whose cell has a prior, the CIF with the cell of both."""
    priors = PLAN.experiment.material.cell_priors
    return [
        result(f"candidates/{name}.cif")(wildcards) if name in priors else cif
        for name, cif in zip(PLAN.experiment.material.names, PLAN.cifs)
    ]


CIFS = candidate_cifs if PLAN.experiment.material.cell_priors else PLAN.cifs


def cifs_of_cell(wildcards):
    """Those that a tilt series is set against: one that is a prior of them knows none but the
    phases' own."""
    priors = flat(PLAN.experiment.material.cell_priors.values())
    return PLAN.cifs if wildcards.cell in priors else candidate_cifs(wildcards)
