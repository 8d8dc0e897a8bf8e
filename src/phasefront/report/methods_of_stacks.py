"""Paragraphs on X-ray stacks, energy losses and maps of other programs."""

from __future__ import annotations

from phasefront.audit.explain import listed
from phasefront.layouts.chemistry import CHEMISTRY
from phasefront.layouts.correlation import CORRELATION
from phasefront.layouts.pathways import PATHWAYS
from phasefront.layouts.registration import ACCEPTED, REGISTRATION
from phasefront.report.jobs import Jobs
from phasefront.report.wording import number, plain


def tell_valence(jobs: Jobs) -> str:
    density, settings = jobs.of("measure_density"), jobs.steps[0].parameters["settings"]
    references = [
        f"{plain(one['name'])} (valence {number(one['valence'])}; {plain(one['source'])})"
        for one in settings["references"]
    ]
    balance = settings["ion_content"]
    content = (
        f" Ion content is {number(balance['constant'])} + ({number(balance['per_valence'])}) v"
        f" + {number(balance['exchange'])} ± {number(balance['exchange_error'])}."
        if balance
        else ""
    )
    placed = [
        f"`{name}` {number(float(found.attrs['energy_shift_ev']))} ±"
        f" {number(float(found.attrs['shift_error_ev']))} eV"
        for name, found in jobs.made(CHEMISTRY).items()
    ]
    return (
        f"**Valence.** Images of {jobs.counted('X-ray stack')} were laid on each other by fits of"
        " the mean image with a contrast that changes over the frame; optical densities above"
        f" {density('settings.max_density')} were left out. Valence is the weighted mean over the"
        f" amplitudes of reference spectra, {listed(references)}, fitted with a linear background"
        " to each position; references were moved and blurred together, by"
        f" {listed(placed)}. Systematic errors hold that of this place, up to"
        f" {density('settings.stray_share', 100)} % of stray light, thresholds up to 1 eV aside"
        " where references are white lines alone, and how far what the fit leaves of mean spectra"
        f" pulls at the valence, by blocks of energies (Bell and McCaffrey).{content}"
    )


def tell_losses(jobs: Jobs) -> str:
    settings = jobs.steps[0].parameters["settings"]
    edges = [
        f"{plain(one['element'])} ({plain(one['source'])}; ± {number(100 * one['relative_error'])}"
        " %)"
        for one in settings["edges"]
    ]
    notes = [
        f"`{name}`: {plain(found.attrs['warnings'])}"
        for name, found in jobs.made(CHEMISTRY).items()
    ]
    return (
        f"**Energy losses.** {plain('/'.join(settings['ratio']))} of"
        f" {jobs.counted('spectrum image')} is from cross sections of {listed(edges)}, convolved"
        " with the low loss of each position and fitted together with a linear combination of"
        f" power laws from {number(settings['fit_ev'][0])} to {number(settings['fit_ev'][1])} eV;"
        f" thickness is ln(I/I0) inelastic mean free paths. {'; '.join(notes)}."
    )


def tell_simulated_stacks(jobs: Jobs) -> str:
    plans = [step.parameters["plan"] for step in jobs.steps]
    scans = listed(sorted({f"`{plan['scan']}`" for plan in plans}))
    kinds = {"xray": "X-ray stack", "eels": "spectrum image", "low-loss": "low loss"}
    named = listed([f"`{plan['stack']}` ({kinds[plan['kind']]})" for plan in plans])
    return (
        f"**Maps are simulated, not measured.** {named} of the grains of {scans} were made with"
        " another crystal field or other cross sections than those of the fits, a probe, drift, a"
        " place and a scale that the files do not say, and Poisson's noise. The analysis was given"
        " none of the truth."
    )


def tell_quantities(jobs: Jobs) -> str:
    rows = [step.parameters["row"] for step in jobs.steps]
    taken = [f"{plain(row['quantity'])} ({plain(row['unit'])}, `{row['stack']}`)" for row in rows]
    return (
        f"**Maps of other programs.** {listed(taken)} were taken with the errors stated for them."
    )


def tell_registrations(jobs: Jobs) -> str:
    laid = []
    for name, found in jobs.made(REGISTRATION).items():
        said = found.attrs
        words = f"`{name}` on `{said['scan']}` was {said['status']}"
        if said["status"] == ACCEPTED:
            words += (
                f" ({'mirrored' if said['mirrored'] else 'not mirrored'}, turned by"
                f" {number(round(float(said['angle_deg']), 1))} degrees, pixels"
                f" {float(said['scale']):.3f} ± {float(said['scale_stderr']):.3f} of the stated)"
            )
        elif said["why"]:
            words += f": {plain(said['why'])}"
        laid.append(words)
    channels = listed([name.replace("_", " ") for name in jobs.values("settings.channels")[0]])
    return (
        f"**Registration.** Maps of chemistry were laid on scans by images that grow with thickness"
        f" ({channels} of the scan), never by the chemistry: both mirrors, 24 turns and scales"
        " within 5 % were tried, then the map was fitted as a contrast curve of the scan's image"
        " for each grain under the wider probe, with rows that drift as a random walk; 200 draws of"
        f" the posterior carry its error. {'; '.join(laid)}."
    )


def tell_correlations(jobs: Jobs) -> str:
    answers = [
        f"`{name}`: {found.attrs['answer']} ({plain(found.attrs['why'])})"
        for name, found in jobs.made(CORRELATION).items()
    ]
    return (
        "**Chemistry against structure.** Laid maps and the scan's ion content were compared under"
        " one probe at points as far apart as the map's pixels: slopes with errors in variables,"
        " of which draws of the registration put back what misregistration takes off; correlations"
        " with the number of independent points (Dutilleul, Biometrics 49, 305, 1993), against"
        " Gaussian maps of the same variogram and grains turned at random, and given thickness."
        " Systematic errors of the chemistry count in full for the mean, and turn the slope as a"
        " factor or a constant does; those of reference spectra as if they were independent for"
        " poor and rich points. Means may differ by"
        f" {jobs('margin')} ions per formula unit beyond their errors."
        f" {'; '.join(answers)}."
    )


def tell_pathways(jobs: Jobs) -> str:
    answers = [
        f"`{name}`: {plain(found.attrs['answer'])}" for name, found in jobs.made(PATHWAYS).items()
    ]
    return (
        "**Pathways.** Ion contents by structure and by chemistry were joined by their errors, and"
        " the axis along which a grain's content changes is that of its mean gradient tensor, less"
        " what noise adds; draws of noise and registration carry its error. It is held against"
        " Gaussian maps of the same variogram on the same outline, and its angle to the nearest of"
        f" the structure's channels ({plain(str(jobs.values('settings.channels')[0]))} and their"
        f" equivalents) against axes in any direction. {'; '.join(answers)}."
    )
