"""Paragraphs on charge, powder patterns, comparison and sweeps."""

from __future__ import annotations

from phasefront.audit.explain import listed
from phasefront.comparison.sources.chemistry import Chemistry
from phasefront.comparison.sources.tomography import Tomography
from phasefront.layouts.chemistry import CHEMISTRY, ION_CONTENT
from phasefront.layouts.powder import POWDER
from phasefront.layouts.powder_series import POWDER_SERIES
from phasefront.layouts.tomography import CANDIDATE_CELL, CELL
from phasefront.records.steps import Step
from phasefront.report.jobs import Jobs, moving_ion
from phasefront.report.wording import in_words, markdown_table, number, plain


def tell_cycling(jobs: Jobs) -> str:
    return "**Charge.** " + " ".join(_log(step, moving_ion(jobs)) for step in jobs.steps)


def _log(step: Step, ion: str) -> str:
    row, weighed = step.parameters["row"], step.parameters["weighed"]

    if row["mass_mg"] is None:
        return (
            f"The mass of active material of the galvanostatic log `{row['log']}` is not known:"
            " charge is the whole electrode's, and no ion content follows from it."
        )

    def pair(name: str, error: str) -> str:
        return f"{number(row[name])} ± {number(row[error])}"

    start = f"{number(weighed['ion_content'])} ± {number(weighed['ion_error'])}"
    corrections = [
        (row["irreversible_mah_g"] or row["irreversible_error_mah_g"],
         f"{pair('irreversible_mah_g', 'irreversible_error_mah_g')} mA h/g of irreversible"
         " capacity in the first charge"),
        (row["leakage_ma"] or row["leakage_error_ma"],
         f"a leakage current of {pair('leakage_ma', 'leakage_error_ma')} mA"),
        (row["inactive_share"] or row["inactive_error"],
         f"a share of {pair('inactive_share', 'inactive_error')} of the mass without contact"),
    ]  # fmt: skip
    allowed = [text for given, text in corrections if given]
    return (
        f"The ion content along the galvanostatic log `{row['log']}` follows by Faraday's law from"
        f" the charge passed, for {pair('mass_mg', 'mass_error_mg')} mg of active material"
        f" ({number(weighed['molar_mass'])} g/mol) that began with {start} {ion} per"
        f" formula unit, at {number(row['ions_per_electron'])} {ion}"
        f" per electron{'; allowing for ' + listed(allowed) if allowed else ''} (values ± standard"
        " errors)."
    )


def tell_series(jobs: Jobs) -> str:
    of_series: dict[str, list[dict]] = {}
    for step in jobs.steps:
        of_series.setdefault(step.parameters["placing"]["series"], []).append(step.parameters)
    sentences = [
        f"The scans {listed(parameters['scan'] for parameters in each)} of the series `{series}`"
        f" were placed on {listed(f'the log `{log}`' for log in _each(each, 'log'))}, position by"
        " position, by the absolute times of both,"
        f" after an offset of {listed(map(number, _each(each, 'clock_offset_s')))} s of the"
        f" scan's clock {_offset_error(each)}."
        for series, each in of_series.items()
    ]
    return "**In situ series.** " + " ".join(sentences)


def tell_followed(jobs: Jobs) -> str:
    return (
        "Scans of a series were aligned to its first by an affine map, from the orientations of"
        " grains and the dark field together. The state of each place (rich, mixed, poor in ions)"
        " through time is that of a hidden Markov chain on the ion contents from the cells, whose"
        " errors have a part that repeats at a place, and whose changes go as the current allows."
        " Fronts were fitted to the changes by importance sampling, as going with time, its square"
        " root or the charge passed. Charge and beam were told apart by rates of conversion for"
        " each, over all series together, with grains as the units and any threshold of dose."
    )


def _each(parameters: list[dict], name: str) -> list:
    """The values of jobs, each once."""
    return list(dict.fromkeys(one["placing"][name] for one in parameters))


def _offset_error(parameters: list[dict]) -> str:
    errors = _each(parameters, "clock_offset_error_s")
    if None in errors:
        return "whose error is not known"
    return f"(± {listed(map(number, errors))} s)"


def tell_powder(jobs: Jobs) -> str:
    rows = [
        [
            name,
            number(float(found.attrs["wavelength"])),
            f"{number(float(found['two_theta'][0]), '.2f')} to"
            f" {number(float(found['two_theta'][-1]), '.2f')}",
            str(found.sizes["two_theta"]),
            number(100 * found["rwp"].item(), ".2f"),
            number(found["goodness_of_fit"].item(), ".2f"),
            "refused" if found.attrs["refused"] else "yes",
        ]
        for name, found in sorted(jobs.made(POWDER).items())
    ]
    heads = [
        "pattern", "wavelength (Å)", "2θ fitted (°)", "points", "Rwp (%)", "goodness of fit",
        "a result",
    ]  # fmt: skip
    after = (
        " Each fit started from that of the state before."
        if any(entry["role"] == "before" for step in jobs.steps for entry in step.inputs)
        else ""
    )
    return (
        f"**Powder diffraction.** The phases of {jobs.counted('powder pattern')} were fitted by"
        " Rietveld refinement (rietx) of scales, cells within"
        " tolerances, line widths of size and strain, zero error and a background of"
        f" {jobs('settings.background_terms')} Chebyshev terms or half as many again, and preferred"
        " orientation by spherical harmonics, where the evidence asks for them; atoms stay as in"
        f" the CIFs.{after}"
        " Standard uncertainties were multiplied by the goodness of fit, and include what"
        f" another line shape and background do to the fractions.\n\n{markdown_table(heads, rows)}"
    )


def tell_powder_series(jobs: Jobs) -> str:
    fits, clocks = jobs.of("fit_batch"), jobs.of("place_patterns")
    start = (
        "the fit of the pattern before it in its part"
        if fits.values("settings.sequential")[0]
        else "the CIFs"
    )
    sentences = [
        f"{found.sizes['pattern']} powder patterns of the operando series `{name}`"
        f" ({number(float(found.attrs['wavelength']))} Å) were fitted as single patterns are, with"
        f" {fits('settings.background_terms')} Chebyshev terms, each from {start};"
        f" {int((found['refused'] != '').sum())} fits were refused. Each was placed on the log"
        f" `{found.attrs['log']}` by the absolute times of both, {_offsets(clocks, name)}; voltage,"
        " current and charge are means over its exposure"
        f" ({_between(found['exposure'].values)} s)."
        for name, found in sorted(jobs.made(POWDER_SERIES).items())
    ]
    return "**Operando powder diffraction.** " + " ".join(sentences)


def _offsets(clocks: Jobs, series: str) -> str:
    stated = [step.parameters["clock"] for step in clocks.steps]
    own = [clock for clock in stated if clock["series"] == series]
    offsets = dict.fromkeys(clock["clock_offset_s"] for clock in own)
    errors = dict.fromkeys(clock["clock_offset_error_s"] for clock in own)
    how_well = (
        "whose error is not known" if None in errors else f"(± {listed(map(number, errors))} s)"
    )
    return f"after an offset of {listed(map(number, offsets))} s of the patterns' clock {how_well}"


def _between(values) -> str:
    low, high = number(float(values.min())), number(float(values.max()))
    return low if low == high else f"{low} to {high}"


def tell_refined(jobs: Jobs) -> str:
    return (
        f"Weight fractions of {jobs.counted('powder pattern')} ({listed(jobs.names)}) were refined"
        f" elsewhere, with {plain(jobs('settings.refined.program'))}."
    )


def tell_cells(jobs: Jobs) -> str:
    found = jobs.made(CELL)
    again = sum(cell.attrs["spots"] > 0 for cell in found.values())
    refused = [name for name, cell in sorted(found.items()) if cell.attrs["refused"]]
    stated = listed(map(number, jobs.values("settings.distortion_error")))
    size = stated or "1 % or several times that, for nobody stated it,"
    return (
        f"**Cells of particles.** Unit cells by {jobs.counted('measurement')} of electron"
        f" diffraction tomography ({listed(sorted({c.attrs['program'] for c in found.values()}))})"
        f" were read, {again} of them refined again on their spots without symmetry. What the"
        " symmetry of the phase forbids counts as error beside the spots' own, those that programs"
        f" state, 0.1 % of a ratio and a stretch of patterns by {size} (relative standard errors);"
        " how large all of them are was inferred with it, so that intervals are of mixtures of"
        " Student's distributions. Ion contents follow from ratios of lengths alone, on straight"
        " lines between the cells of the phases, and their mean over particles has the error of a"
        " sample (random effects, Paule and Mandel; Hartung and Knapp)."
        f"{f' No ion content has {listed(refused)}.' if refused else ''}"
    )


def tell_candidates(jobs: Jobs) -> str:
    found = jobs.made(CANDIDATE_CELL)
    each = [
        f"{name} ({one.attrs['cells']}; {one['off'].item():.1f} standard errors off its CIF)"
        for name, one in sorted(found.items())
    ]
    return (
        f"**Cells of candidates.** Ratios of lengths of {listed(each)} are the mean of those"
        f" particles' and its CIF's, whose cell is good to {jobs('tolerance', 100)} %, with"
        " volumes of the CIFs. Particles that went into a candidate are left out of the comparison."
    )


def tell_comparison(jobs: Jobs) -> str:
    powder = jobs.of("fit_pattern").steps or jobs.of("import_fractions").steps
    sources = {
        "4D-STEM": jobs.of("count_fractions").steps,
        "charge": jobs.of("analyse_log").steps,
        "powder diffraction": powder,
        Tomography.phrase: jobs.of("read_cell").steps,
        Chemistry.phrase: _maps_of_content(jobs),
    }
    known = [source for source, steps in sources.items() if steps]
    if len(known) < 2:
        return f"**Comparison.** There is nothing to compare {listed(known)} with."
    mapped = (
        " Grains by which maps were laid on scans, or else regions of a map that do not touch, are"
        " a sample of the electrode that weighs by thickness and area: intervals are of how they"
        " scatter (Bell and McCaffrey), and of what all are off by together."
        if known[-1] == Chemistry.phrase
        else ""
    )
    return (
        f"**Comparison.** Ion contents and phase fractions of each state by {listed(known)}"
        " were compared in pairs by z-scores and by two one-sided tests of"
        f" equivalence at 5 % (margins: {jobs('settings.margin')} {moving_ion(jobs)} per formula"
        f" unit, and {jobs('settings.fraction_margin')} of a fraction); over all states by the mean"
        " difference, a line fitted with errors on both axes, and limits of agreement (Bland and"
        " Altman). Errors that states share were not averaged out, and p-values were adjusted for"
        f" the number of tests (Holm).{mapped}"
    )


def _maps_of_content(jobs: Jobs) -> list[str]:
    """Maps of ion content."""
    made = [
        jobs.of(step).made(CHEMISTRY) for step in ("fit_valence", "fit_losses", "import_quantity")
    ]
    return [
        name
        for found in made
        for name, one in found.items()
        if one.attrs["quantity"] == ION_CONTENT
    ]


def tell_sweep(jobs: Jobs) -> str:
    variants = jobs.values("settings")[0]
    named = ", ".join(f"`{name}`" for name in variants[0])
    return (
        f"**Sweep.** The analysis was done with {in_words(len(variants), 'combination')} of"
        f" {named}, the run's own included; `sweep.csv` has the results of each."
    )
