"""What was done, in words for a methods section, from the records of a run and what they are of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from phasefront.audit.explain import listed
from phasefront.core import netcdf
from phasefront.core.netcdf import Layout
from phasefront.core.statistics import NORMAL_95
from phasefront.experiment.settings.instruments import CameraOfScan
from phasefront.layouts.calibration import CALIBRATION
from phasefront.layouts.fractions import FRACTIONS
from phasefront.layouts.grains import GRAINS
from phasefront.layouts.powder import POWDER
from phasefront.layouts.scans import SCAN
from phasefront.maps import frames
from phasefront.records.steps import Step
from phasefront.report.citations import CITATIONS
from phasefront.report.tables import printed

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def section(steps: Sequence[Step], *, title: str, software: Mapping[str, str]) -> str:
    """A methods section in Markdown: a paragraph a stage, with the values that its jobs were given.

    Parameters
    ----------
    steps
        The run's jobs in order. Those of a sweep's variants are told in one sentence.
    title
        What the run is.
    software
        Versions of Snakemake and phasefront, by name.

    Where jobs of one rule were given different values, all of them are named. Rules that a stage
    does not have leave no sentence. Numbers that were measured are read from the outputs that the
    records are of, whose paths start in the working folder, and carry their standard errors in
    units of the last digit.
    """
    of_rule: dict[str, list[Step]] = {}
    for step in steps:
        if not _is_variant(step):
            of_rule.setdefault(step.rule, []).append(step)
    of_rule |= {step.rule: [step] for step in steps if step.rule == "summarise_sweep"}
    told = [
        tell(_Jobs(of_rule[rule], of_rule)) for rule, tell in _SENTENCES.items() if rule in of_rule
    ]
    return "\n\n".join([f"# Methods: {title}", *told, *_software(steps, software)]) + "\n"


def _is_variant(step: Step) -> bool:
    return all(Path(output["path"]).parts[2:3] == ("sweep",) for output in step.outputs)


class _Jobs:
    """The jobs of one rule: their parameters by dotted name, and what they made."""

    def __init__(self, steps: Sequence[Step], of_rule: Mapping[str, Sequence[Step]]):
        self.steps, self._of_rule = steps, of_rule

    def of(self, rule: str) -> _Jobs:
        """The jobs of another rule, none if the run has none."""
        return _Jobs(self._of_rule.get(rule, []), self._of_rule)

    def counted(self, noun: str) -> str:
        """How many jobs there were, of what."""
        return _counted(len(self.steps), noun)

    def values(self, name: str) -> list:
        """The values that jobs were given, each once; none where it was left open."""
        found = []
        for step in self.steps:
            value = step.parameters
            for part in name.split("."):
                value = value[part]
            if value is not None and value not in found:
                found.append(value)
        return found

    def __call__(self, name: str, factor: float = 1) -> str:
        """The value as text; several, in order, if jobs differ."""
        found = self.values(name)
        if found and all(isinstance(value, int | float) for value in found):
            found = [number(value * factor) for value in sorted(found)]
        return listed(map(str, found))

    def made(self, layout: Layout) -> dict[str, xr.Dataset]:
        """What each job made, by the name of the file without its suffix."""
        paths = [Path(o["path"]) for step in self.steps for o in step.outputs]
        return {path.stem: netcdf.read(path, layout) for path in paths if path.suffix == ".nc"}

    @property
    def names(self) -> list[str]:
        """What the jobs worked on: the names of their first outputs."""
        return [Path(step.outputs[0]["path"]).stem for step in self.steps]


def _software(steps: Sequence[Step], software: Mapping[str, str]) -> list[str]:
    packages = {name: version for step in steps for name, version in step.run["packages"].items()}
    packages |= {"snakemake": software["snakemake"]}
    used = [f"- {n} {packages[n]}: {cited}" for n, cited in CITATIONS.items() if n in packages]
    python = sorted({step.run["interpreter"]["version"] for step in steps})
    states = [step.run["repository"] for step in steps if step.run["repository"]]
    commits = sorted({state["commit"][:12] for state in states})
    at = f" (commit {listed(commits)}{_changed(states)})" if commits else ""
    seeds = "; ".join(
        f"{rule} {listed(map(str, sorted(values)))}" for rule, values in _seeds(steps).items()
    )
    sown = (
        " Random numbers come from NumPy's generator; seeds follow from that of the config and the"
        f" name of the scan, log or pattern: {seeds}."
    )
    return [
        f"Everything was done with phasefront {software['phasefront']}{at} in Python"
        f" {listed(python)}; every file has a record of the code, inputs, parameters and packages"
        f" that it was made with.{sown if seeds else ''} Software to cite, beside phasefront"
        " (`CITATION.cff`):",
        "\n".join(used),
    ]


def _changed(states: Sequence[Mapping]) -> str:
    changed = sorted({state["diff_sha256"][:12] for state in states if state["dirty"]})
    return f", with changes whose diff has the SHA-256 {listed(changed)}" if changed else ""


def _seeds(steps: Sequence[Step]) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {}
    for step in steps:
        if not _is_variant(step) and "seed" in step.parameters:
            found.setdefault(step.rule, set()).add(step.parameters["seed"])
    return found


def _simulated_scans(jobs: _Jobs) -> str:
    thin, thick = jobs.values("virtual.thickness_nm")[0]
    also = jobs.of("simulate_log").steps or jobs.of("simulate_pattern").steps
    others = " The cycling log and the powder patterns are simulated, too." if also else ""
    own = any(
        state["dose"] is not None or state["thickness_nm"] is not None
        for step in jobs.steps
        for state in [step.parameters["virtual"]["states"][step.parameters["state"]]]
    )
    unless = ", where the config gives a state no other" if own else ""
    return (
        f"**The data are simulated, not measured.** {_first_upper(jobs.counted('4D-STEM scan'))} of"
        f" {jobs('virtual.grains')} grains each, {number(thin)} to {number(thick)} nm thick, with"
        f" dynamical (Bloch-wave) intensities and {jobs('virtual.dose')} electrons per"
        f" pattern{unless}, were made with the noise, descan and distortions of a camera.{others}"
        " The analysis was given none of the truth."
    )


def _templates(jobs: _Jobs) -> str:
    instruments = [
        f"{name} ({number(step.parameters['instrument']['voltage_kv'])} kV, "
        + (
            f"precession semi-angle {number(angle)}°)"
            if (angle := step.parameters["instrument"]["precession_deg"])
            else "no precession)"
        )
        for name, step in zip(jobs.names, jobs.steps, strict=True)
    ]
    (names,), (contents,) = jobs.values("names"), jobs.of("compare_sources").values("ion-contents")
    cifs = [entry["path"] for entry in jobs.steps[0].inputs if entry["role"] == "cifs"]
    phases = [
        f"{name} ({number(content)} {_ion(jobs)} per formula unit, `{cif}`)"
        for name, content, cif in zip(names, contents, cifs, strict=True)
    ]
    scans = jobs.of("describe_scan").made(SCAN)
    lists = jobs.of("import_peaks").names
    told = []
    if scans:
        told.append(f"{_counted(len(scans), 'raw 4D-STEM scan')} ({_listed_scans(scans)})")
    if lists:
        told.append(f"Bragg vectors of {listed(lists)} that were found elsewhere")
    return (
        f"**Data.** The analysis began with {listed(told)}; instrument: {listed(instruments)}."
        f" Candidate phases were {listed(phases)}."
    )


def _listed_scans(scans: Mapping[str, xr.Dataset]) -> str:
    """Names of scans of one size together."""
    names: dict[str, list[str]] = {}
    for name, scan in sorted(scans.items()):
        rows, columns = (scan.sizes[side] for side in ("y", "x"))
        step = float(scan.attrs["scan_step_nm"])
        size = f"{rows} × {columns} positions"
        size += f" {number(step)} nm apart" if np.isfinite(step) else ", step unknown"
        camera = f"{scan.sizes['ky']} × {scan.sizes['kx']} pixels of {scan.attrs['dtype']}"
        names.setdefault(f"{size}, patterns of {camera}", []).append(name)
    return "; ".join(f"{listed(found)}: {size}" for size, found in names.items())


def _calibration(jobs: _Jobs) -> str:
    (method, *others) = jobs.values("settings.method")
    assert not others, "a run calibrates in one way"
    how = {
        "phases": "Scale and ellipse were refined on each scan itself: up to "
        f"{jobs('settings.patterns')} patterns rich in spots were indexed on a grid of beam"
        f" directions {jobs('settings.resolution_deg')}° apart and fitted jointly against all"
        f" candidate phases, with the scale searched within {jobs('settings.scale_search', 100)} %"
        " of its nominal value.",
        "standard": "Scale and ellipse are those of a polycrystalline standard, fitted to the"
        " rings of its picture.",
        "nominal": "Scale is nominal and the camera taken as free of distortion: neither was"
        " refined.",
    }[method]
    rows = [
        [
            name,
            _with_error(found["scale"].item(), found["scale_stderr"].item()),
            _with_error(found["ellipse_ratio"].item(), found["ellipse_ratio_stderr"].item()),
            number(found["ellipse_angle"].item(), ".1f"),
            number(found["centre_stderr"].item(), ".2g"),
            number(float(found.attrs["residual_rms"]), ".2g"),
        ]
        for name, found in sorted(jobs.made(CALIBRATION).items())
    ]
    heads = [
        "scan", "scale (Å⁻¹ per pixel)", "ellipse, long over short axis", "its angle (°)",
        "s.e. of the beam centre (pixel)", "rms residual (Å⁻¹)",
    ]  # fmt: skip
    return (
        f"**Calibration.** {how} The centre of the direct beam at each position is that of a"
        " smooth surface through the centres of all patterns (descan). Standard errors, in units"
        f" of the last digit, are in brackets.\n\n{_table(heads, rows)}"
    )


def _spots(jobs: _Jobs) -> str:
    return (
        "**Bragg spots** were found with a matched Gaussian filter and located to a fraction of a"
        f" pixel, up to {jobs('settings.max_radius')} Å⁻¹, above a threshold that noise alone is"
        f" expected to pass {jobs('settings.false_alarms')} times per pattern."
    )


def _orientations(jobs: _Jobs) -> str:
    templates = jobs.of("simulate_templates")
    return (
        "**Orientations.** Every pattern was matched with kinematic templates of all phases on a"
        f" grid of beam directions {templates('settings.resolution_deg')}° apart, with reflections"
        f" up to {templates('settings.max_radius')} Å⁻¹; the best {jobs('settings.n_best')}"
        " orientations of each phase were refined on the spots' positions. Patterns of fewer than"
        f" {jobs('settings.min_spots')} spots were not indexed."
    )


def _phases(jobs: _Jobs) -> str:
    from phasefront.phases import evidence

    raw = any(entry["role"] == "scan" for step in jobs.steps for entry in step.inputs)
    intensities = (
        " and that of the intensities in the raw patterns where phases differ (weighted by"
        f" {evidence.FORCED_TEMPERATURE:g})"
    )
    rows = [
        [
            name,
            *(str(int(found[count])) for count in _COUNTS),
            str(int(np.sum(grains["size"] > 0))) if grains is not None else "–",
        ]
        for name, found, grains in _fractions_and_grains(jobs)
    ]
    counted = f"\n\n{_table(['scan', *_COUNTS, 'grains'], rows)}" if rows else ""
    return (
        "**Phases.** Under each candidate, orientation, scale and centre of a pattern were refined"
        " again; its log-evidence is the log-likelihood of the measured spots under all reflections"
        f" that the phase should show there (weighted by {evidence.TEMPERATURE:g})"
        f"{intensities if raw else ''}; such weights, found on simulations, keep posteriors"
        " cautious. With equal prior probabilities, a position was given the phase whose"
        f" posterior exceeded {jobs('settings.decide_above')}, if one or two lattices index at"
        f" least {jobs('settings.min_explained', 100)} % of the spots with an rms distance of at"
        f" most {jobs('settings.max_residual')} times that expected, and the refined cell is within"
        f" {jobs('settings.max_misfit')} standard errors of the phase's (the cells of the CIFs"
        f" being known to {jobs('settings.cell_tolerance', 100)} %). Positions whose cell lies"
        " between those of two phases, or that show a second lattice of another phase, count as"
        f" mixed (prior share {jobs('settings.mixed_prior')}), with a share for each; those of"
        f" fewer than {jobs('settings.min_spots')} spots as vacuum where the raw pattern's level"
        " between the spots is that of the scan's empty places, else as unindexed, like those most"
        f" of whose spots no lattice explains; all others were left undecided.{counted}"
    )


_COUNTS = ("patterns", "decided", "mixed", "undecided", "unindexed", "vacuum")


def _fractions_and_grains(jobs: _Jobs) -> Iterable[tuple[str, xr.Dataset, xr.Dataset | None]]:
    grains = jobs.of("find_grains").made(GRAINS)
    for name, found in sorted(jobs.of("count_fractions").made(FRACTIONS).items()):
        yield name, found, grains.get(name)


def _grains(jobs: _Jobs) -> str:
    return (
        f"**Grains.** Neighbouring positions whose lattices are misoriented by at most"
        f" {jobs('settings.misorientation_deg')}°, symmetry and half a turn about the beam allowed"
        f" for, form a grain, of at least {jobs('settings.min_positions')} positions."
    )


def _directions(jobs: _Jobs) -> str:
    scans: dict[str, list[str]] = {}
    for name, step in zip(jobs.names, jobs.steps, strict=True):
        stated = CameraOfScan.model_validate(step.parameters["camera"]).root
        scans.setdefault(frames.statement(stated), []).append(name)
    told = "; ".join(f"{text} ({listed(names)})" for text, names in scans.items())
    return f"**Directions.** {_first_upper(told)}."


def _fractions(jobs: _Jobs) -> str:
    confusion = jobs.of("simulate_confusion")
    unfolded = (
        " They were corrected for wrong and missing decisions, as found in simulated patterns of"
        f" each phase (up to {confusion('positions')} positions) in the scan's own orientations."
    )
    low, high = jobs.values("settings.thickness_exponent")[0]
    weights = {found.attrs["molar_weight"] for found in jobs.made(FRACTIONS).values()}
    where = " of scans with vacuum" if len(weights) > 1 else ""
    thickness = (
        f", of the volume (thickness{where} being taken as the diffuse intensity over vacuum to a"
        f" power between {number(low)} and {number(high)})"
    )
    volume = "" if weights == {"area"} else thickness
    return (
        f"**Phase fractions** are shares of the area{volume} and of formula units (molar"
        f"{'' if volume else ', thickness being unknown and taken as constant'})."
        f"{unfolded if confusion.steps else ''} Their 95 % intervals are for the population of"
        f" grains, from {jobs('settings.draws')} draws of a Bayesian bootstrap over whole grains;"
        " others from square blocks of the scan stand beside them."
    )


def _cycling(jobs: _Jobs) -> str:
    return "**Charge.** " + " ".join(_log(step, _ion(jobs)) for step in jobs.steps)


def _ion(jobs: _Jobs) -> str:
    """The element that moves."""
    return jobs.of("tabulate_comparison")("ion")


def _log(step: Step, ion: str) -> str:
    row, weighed = step.parameters["row"], step.parameters["weighed"]

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


def _powder(jobs: _Jobs) -> str:
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
        f" {jobs('settings.background_terms')} Chebyshev terms; atoms stay as in the CIFs.{after}"
        " Standard uncertainties were multiplied by the goodness of fit, and include what"
        f" another line shape does to the fractions.\n\n{_table(heads, rows)}"
    )


def _refined(jobs: _Jobs) -> str:
    return (
        f"Weight fractions of {jobs.counted('powder pattern')} ({listed(jobs.names)}) were refined"
        f" elsewhere, with {jobs('settings.refined.program')}."
    )


def _comparison(jobs: _Jobs) -> str:
    powder = jobs.of("fit_pattern").steps or jobs.of("import_fractions").steps
    sources = {
        "4D-STEM": jobs.of("count_fractions").steps,
        "charge": jobs.of("analyse_log").steps,
        "powder diffraction": powder,
    }
    known = [source for source, steps in sources.items() if steps]
    if len(known) < 2:
        return f"**Comparison.** There is nothing to compare {listed(known)} with."
    return (
        f"**Comparison.** Ion contents and phase fractions of each state by {listed(known)}"
        " were compared in pairs by z-scores and by two one-sided tests of"
        f" equivalence at 5 % (margins: {jobs('settings.margin')} {_ion(jobs)} per formula unit,"
        f" and {jobs('settings.fraction_margin')} of a fraction); over all states by the mean"
        " difference, a line fitted with errors on both axes, and limits of agreement (Bland and"
        " Altman). Errors that states share were not averaged out, and p-values were adjusted for"
        " the number of tests (Holm)."
    )


def _sweep(jobs: _Jobs) -> str:
    variants = jobs.values("settings")[0]
    named = ", ".join(f"`{name}`" for name in variants[0])
    return (
        f"**Sweep.** The analysis was done with {_counted(len(variants), 'combination')} of"
        f" {named}, the run's own included; `sweep.csv` has the results of each."
    )


_SENTENCES: dict[str, Callable[[_Jobs], str]] = {
    "simulate_scan": _simulated_scans,
    "simulate_templates": _templates,
    "calibrate_scan": _calibration,
    "find_spots": _spots,
    "find_orientations": _orientations,
    "decide_phases": _phases,
    "find_grains": _grains,
    "export_maps": _directions,
    "count_fractions": _fractions,
    "analyse_log": _cycling,
    "fit_pattern": _powder,
    "import_fractions": _refined,
    "compare_sources": _comparison,
    "summarise_sweep": _sweep,
}


def _counted(number: int, noun: str) -> str:
    words = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    word = words[number] if number < len(words) else str(number)
    return f"{word} {noun}" if number == 1 else f"{word} {noun}s"


def _first_upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _with_error(value: float, error: float) -> str:
    half = NORMAL_95 * error
    return printed(np.array([value, value - half, value + half])) if error > 0 else number(value)


def number(value: float, style: str = "g") -> str:
    """A number as print has it: 10⁷, not 1e+07; a dash where there is none."""
    if not np.isfinite(value):
        return "–"
    mantissa, _, exponent = f"{value:{style}}".partition("e")
    if not exponent:
        return mantissa
    power = f"10{str(int(exponent)).translate(_SUPERSCRIPTS)}"
    return power if mantissa == "1" else f"{mantissa} × {power}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
