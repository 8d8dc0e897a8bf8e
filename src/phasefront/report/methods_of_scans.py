"""Paragraphs on what was done to the scans."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import xarray as xr

from phasefront.audit.explain import listed
from phasefront.diffraction.optics import LENSES_SET_ANEW
from phasefront.experiment.settings.instruments import CameraOfScan
from phasefront.layouts.calibration import CALIBRATION
from phasefront.layouts.fractions import FRACTIONS
from phasefront.layouts.grains import GRAINS
from phasefront.layouts.phases import PHASES
from phasefront.layouts.scans import SCAN
from phasefront.maps import frames
from phasefront.report.jobs import Jobs, moving_ion
from phasefront.report.wording import (
    code,
    first_upper,
    in_words,
    markdown_table,
    number,
    plain,
    with_error,
)

_SURE = 0.95  # a probability; that which a decision needs where the config does not say another


def tell_simulated_scans(jobs: Jobs) -> str:
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
        f"**The data are simulated, not measured.** {first_upper(jobs.counted('4D-STEM scan'))} of"
        f" {jobs('virtual.grains')} grains each, {number(thin)} to {number(thick)} nm thick, with"
        f" dynamical (Bloch-wave) intensities and {jobs('virtual.dose')} electrons per"
        f" pattern{unless}, were made with the noise, descan and distortions of a camera.{others}"
        " The analysis was given none of the truth."
    )


def tell_filmed_series(jobs: Jobs) -> str:
    plans = {step.parameters["plan"]["series"]: step.parameters["plan"] for step in jobs.steps}
    told = []
    for series, plan in sorted(plans.items()):
        asked, scans = plan["asked"], in_words(len(plan["members"]), "scan")
        causes = ["fronts that move with the charge convert grains"] if asked["fronts"] else []
        causes += ["the beam takes out ions"] * (asked["beam"]["flips"] is not None)
        liquid = f", under {number(asked['liquid_nm'])} nm of liquid" if asked["liquid_nm"] else ""
        told.append(
            f" `{series}`: {scans} of one region of {asked['grains']} grains{liquid}, in which"
            f" {listed(causes) or 'nothing converts'}."
        )
    return (
        "**The in situ series are simulated, not measured**, with dynamical (Bloch-wave)"
        " intensities, and the frame drifts, jumps and turns."
        + "".join(told)
        + " The analysis was given none of the truth."
    )


def tell_templates(jobs: Jobs) -> str:
    instruments = [
        f"{name} ({number(step.parameters['instrument']['voltage_kv'])} kV, "
        + (
            f"precession semi-angle {number(angle)}°)"
            if (angle := step.parameters["instrument"]["precession_deg"])
            else "no precession)"
        )
        for name, step in zip(jobs.names, jobs.steps, strict=True)
    ]
    (names,), (contents,) = (
        jobs.values("names"),
        jobs.of("simulate_confusion").values("ion-contents"),
    )
    cifs = [entry["path"] for entry in jobs.steps[0].inputs if entry["role"] == "cifs"]
    phases = [
        f"{name} ({number(content)} {moving_ion(jobs)} per formula unit, {code(cif)})"
        for name, content, cif in zip(names, contents, cifs, strict=True)
    ]
    scans = jobs.of("describe_scan").made(SCAN)
    lists = jobs.of("import_peaks").names
    told = []
    if scans:
        told.append(f"{in_words(len(scans), 'raw 4D-STEM scan')} ({_listed_scans(scans)})")
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


def tell_calibration(jobs: Jobs) -> str:
    (method, *others) = jobs.values("settings.method")
    assert not others, "a run calibrates in one way"
    how = {
        "phases": "Scale and ellipse were refined on each scan itself: up to "
        f"{jobs('settings.patterns')} patterns rich in spots were indexed on a grid of beam"
        f" directions {jobs('settings.resolution_deg')}° apart and fitted jointly against all"
        f" candidate phases, with the scale searched within {jobs('settings.scale_search', 100)} %"
        " of its nominal value.",
        "standard": "Scale and ellipse are those of a polycrystalline standard, fitted to the"
        " rings of its picture. Their errors are joined by"
        f" {100 * LENSES_SET_ANEW:g} % for lenses that were set anew.",
        "nominal": "Scale is nominal and the camera taken as free of distortion: neither was"
        f" refined, and both are taken as sure to {jobs('settings.scale_search', 50)} %.",
    }[method]
    if shared := jobs.of("calibrate_series").names:
        how += (
            f" Scans of a series ({listed(shared)}) share scale and ellipse, which were fitted to"
            " patterns of all of them; each scan's own fit told how far it had drifted, lenses"
            f" drifting by {jobs('settings.series_drift', 100)} % from scan to scan, unless it"
            " disagreed by more than that and its errors."
        )
    calibrations = sorted(jobs.made(CALIBRATION).items())
    rows = [
        [
            name,
            with_error(found["scale"].item(), found["scale_stderr"].item()),
            with_error(found["ellipse_ratio"].item(), found["ellipse_ratio_stderr"].item()),
            number(found["ellipse_angle"].item(), ".1f"),
            number(found["centre_stderr"].item(), ".2g"),
            number(float(found.attrs["residual_rms"]), ".2g"),
        ]
        for name, found in calibrations
    ]
    glows = [
        f"{with_error(found['afterglow'].item(), found['afterglow_stderr'].item())} ({name})"
        for name, found in calibrations
        if found["afterglow"].item() > 0
    ]
    afterglow = (
        " Cameras still show a share of the frame before, which was taken off before spots were"
        f" looked for: {listed(glows)}."
    )
    heads = [
        "scan", "scale (Å⁻¹ per pixel)", "ellipse, long over short axis", "its angle (°)",
        "s.e. of the beam centre (pixel)", "rms residual (Å⁻¹)",
    ]  # fmt: skip
    return (
        f"**Calibration.** {how} The centre of the direct beam at each position is that of a"
        " smooth surface through the centres of all patterns (descan)."
        f"{afterglow if glows else ''} Standard errors, in units of the last digit, are in"
        f" brackets.\n\n{markdown_table(heads, rows)}"
    )


def tell_spots(jobs: Jobs) -> str:
    return (
        "**Bragg spots** were found with a matched Gaussian filter and located to a fraction of a"
        f" pixel, up to {jobs('settings.max_radius')} Å⁻¹, above a threshold that noise alone is"
        f" expected to pass {jobs('settings.false_alarms')} times per pattern."
    )


def tell_orientations(jobs: Jobs) -> str:
    templates = jobs.of("simulate_templates")
    return (
        "**Orientations.** Every pattern was matched with kinematic templates of all phases on a"
        f" grid of beam directions {templates('settings.resolution_deg')}° apart, with reflections"
        f" up to {templates('settings.max_radius')} Å⁻¹; the best {jobs('settings.n_best')}"
        " orientations of each phase were refined on the spots' positions. Patterns of fewer than"
        f" {jobs('settings.min_spots')} spots were not indexed."
    )


def tell_phases(jobs: Jobs) -> str:
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
    counted = f"\n\n{markdown_table(['scan', *_COUNTS, 'grains'], rows)}" if rows else ""
    noted = "".join(
        f" Of scan {name}: {found.attrs['notes']}."
        for name, found, _ in _fractions_and_grains(jobs)
        if found.attrs["notes"]
    )
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
        f" of whose spots no lattice explains; all others were left undecided.{noted}{counted}"
    )


_COUNTS = ("patterns", "decided", "mixed", "undecided", "unindexed", "vacuum")


def _fractions_and_grains(jobs: Jobs) -> Iterable[tuple[str, xr.Dataset, xr.Dataset | None]]:
    grains = jobs.of("find_grains").made(GRAINS)
    for name, found in sorted(jobs.of("count_fractions").made(FRACTIONS).items()):
        yield name, found, grains.get(name)


def tell_imported_maps(jobs: Jobs) -> str:
    """What was taken from other programs, and what these do not say."""
    made = jobs.made(PHASES)
    programs: dict[str, list[str]] = {}
    for name, phases in sorted(made.items()):
        programs.setdefault(phases.attrs["map_by"], []).append(name)
    least = [
        f"{plain(quality)} below {number(limit)}"
        for quality, limit in jobs.values("settings.least")[0].items()
    ]
    undecided = f" Positions of {' or '.join(least)} were left undecided." if least else ""
    told = listed(f"{plain(program)} ({listed(names)})" for program, names in programs.items())
    return (
        f"**Maps of other programs.** Phases and orientations of {in_words(len(made), 'scan')} are"
        f" those of {told}.{undecided} Such maps say neither how probable another phase is nor what"
        " is vacuum, so their fractions were not corrected for wrong decisions."
    )


def tell_grains(jobs: Jobs) -> str:
    return (
        f"**Grains.** Neighbouring positions whose lattices are misoriented by at most"
        f" {jobs('settings.misorientation_deg')}°, symmetry and half a turn about the beam allowed"
        f" for, form a grain, of at least {jobs('settings.min_positions')} positions. Half a turn"
        " about the zone axis, and variants of the lattice that phases share, are told by where"
        " spots lie and how bright they are, at the position or over its grain, each with its"
        " probability; the standard error of an orientation beside that is by the information in"
        " its spots."
        f"{_told_orientations(jobs.made(GRAINS))} Colours of directions and exported orientations"
        " depend on the variant; exported orientations and misorientations on the half turn; traces"
        " of planes, fronts' planes and grains' misorientations on no variant."
    )


def _told_orientations(made: Mapping[str, xr.Dataset]) -> str:
    probability = [
        found["orientation_probability"].values[found["label"].values >= 0]
        for found in made.values()
    ]
    known = np.concatenate([np.zeros(0), *probability])
    known = known[np.isfinite(known)]
    if not known.size:
        return ""
    share = 100 * np.mean(known > _SURE)
    return f" Both are sure (above {_SURE}) at {share:.0f} % of the positions of grains."


def tell_directions(jobs: Jobs) -> str:
    scans: dict[str, list[str]] = {}
    for name, step in zip(jobs.names, jobs.steps, strict=True):
        stated = CameraOfScan.model_validate(step.parameters["camera"]).root
        scans.setdefault(frames.statement(stated), []).append(name)
    told = "; ".join(f"{text} ({listed(names)})" for text, names in scans.items())
    return f"**Directions.** {first_upper(told)}."


def tell_fractions(jobs: Jobs) -> str:
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
        f" grains, from {jobs('settings.draws')} draws of a model in which some grains are"
        " whole and others hold several phases with a spread of their own."
    )


def tell_interfaces(jobs: Jobs) -> str:
    thickness = jobs("settings.thickness_nm")
    tilts = (
        f" Their tilts follow from band widths and a thickness of {thickness} nm."
        if thickness
        else ""
    )
    return (
        "**Interfaces.** In grains of two phases straight, parallel and bent fronts, and ones along"
        " the outline, each with a band where both phases lie over each other, were fitted to the"
        " share of the phase of more ions in each column, by its cell's ion content, else by the"
        f" posterior of the phases, {jobs('settings.outliers')} of the positions being taken for"
        " outliers. Places, directions and widths are means over the likelihood, their errors its"
        " standard deviations; shapes were compared by the Bayesian information criterion."
        f"{tilts}"
    )


def tell_mechanisms(jobs: Jobs) -> str:
    return (
        "**Mechanisms.** The shape of each grain (front, curved front, band, core, inner nucleus,"
        " mosaic, uniform, or none of these) was inferred by boosted trees from what its"
        " interfaces look like, trained on grains of a phase-field model and on drawings and"
        " calibrated on others. Shares of grains caught between both phases have Wilson intervals,"
        " taken back through what is missed; one by one against side by side is a Bayes factor of"
        " 10. Proportions of shapes are a mixture with a Dirichlet prior. Habit planes are the"
        " posterior of one plane for all straight fronts, from their traces in projection, beside"
        " random directions and the grains' own straight edges. What conversion goes with was asked"
        " by logistic regressions within states, with permutations and Holm's correction."
    )
