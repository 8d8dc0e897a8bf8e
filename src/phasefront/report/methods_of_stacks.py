"""Paragraphs on X-ray stacks, energy losses and maps of other programs."""

from __future__ import annotations

from phasefront.audit.explain import listed
from phasefront.layouts.chemistry import CHEMISTRY
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
        f" {density('settings.stray_share', 100)} % of stray light, and what leaving out blocks of"
        f" energies does (jackknife).{content}"
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


def tell_quantities(jobs: Jobs) -> str:
    rows = [step.parameters["row"] for step in jobs.steps]
    taken = [f"{plain(row['quantity'])} ({plain(row['unit'])}, `{row['stack']}`)" for row in rows]
    return (
        f"**Maps of other programs.** {listed(taken)} were taken with the errors stated for them."
    )
