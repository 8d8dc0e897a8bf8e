"""What was done, in words for a methods section, from the records of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from phasefront.provenance.explain import listed
from phasefront.provenance.steps import Step

# Programs whose versions a methods section names, where they took part.
_NAMED = ("numpy", "scipy", "numba", "diffsims", "gemmi", "orix", "rietx", "scikit-image", "xarray")


def paragraph(steps: Sequence[Step], *, software: Mapping[str, str]) -> str:
    """A methods section of one paragraph a stage, with the parameters that the jobs were given.

    Parameters
    ----------
    steps
        The run's jobs in order.
    software
        Versions of Snakemake and phasefront, by name.

    Where jobs of one rule were given different values, all of them are named. Rules that a stage
    does not have leave no sentence.
    """
    of_rule: dict[str, list[Step]] = {}
    for step in steps:
        of_rule.setdefault(step.rule, []).append(step)
    told = [_software(steps, software)]
    for rule, tell in _SENTENCES.items():
        if rule in of_rule:
            told.append(tell(_Values(of_rule[rule])))
    return "\n\n".join(told) + "\n"


class _Values:
    """Parameters of the jobs of one rule, by dotted name."""

    def __init__(self, steps: Sequence[Step]):
        self._steps = steps

    def counted(self, noun: str) -> str:
        """How many jobs there were, of what."""
        return f"one {noun}" if len(self._steps) == 1 else f"{len(self._steps)} {noun}s"

    def __call__(self, name: str, style: str = "{}") -> str:
        """The value as text; several, in order, if jobs differ; n/a where none was given."""
        found = []
        for step in self._steps:
            value = step.parameters
            for part in name.split("."):
                value = value.get(part) if isinstance(value, Mapping) else None
            if value is not None and style.format(_text(value)) not in found:
                found.append(style.format(_text(value)))
        return listed(sorted(found)) if found else "n/a"

    def phases(self) -> str:
        """Names of the candidate phases with their ion contents."""
        material = self._steps[0].parameters["material"]
        named = [f"{p['name']} ({_text(p['ion_content'])} {material['ion']})"
                 for p in material["phases"]]  # fmt: skip
        return listed(named)


def _software(steps: Sequence[Step], software: Mapping[str, str]) -> str:
    packages = {name: version for step in steps for name, version in step.run["packages"].items()}
    used = [f"{name} {packages[name]}" for name in _NAMED if name in packages]
    commits = {step.run["repository"]["commit"] for step in steps if step.run["repository"]}
    with_them = f", with {listed(used)}" if used else ""
    at = f" (commit {listed(sorted(commit[:12] for commit in commits))})" if commits else ""
    return (
        f"Data were analysed with phasefront {software['phasefront']}{at}, a workflow in Snakemake "
        f"{software['snakemake']} for Python {steps[0].run['interpreter']['version']}{with_them}."
    )


def _calibration(value: _Values) -> str:
    return (
        f"Beam centre, scale and ellipse of {value.counted('scan')} were refined (method: "
        f"{value('settings.method')}; scale within {value('settings.scale_search')} of nominal) on "
        f"up to {value('settings.patterns')} patterns each."
    )


def _spots(value: _Values) -> str:
    return (
        f"Bragg spots were located to sub-pixel precision up to {value('settings.max_radius')} "
        f"1/angstrom, with {value('settings.false_alarms')} false spots a pattern expected from "
        "noise."
    )


def _orientations(value: _Values) -> str:
    return (
        f"Candidate phases were {value.phases()}. Every pattern was matched with kinematic "
        f"templates of all phases and its orientation refined on the spots' positions; patterns of "
        f"fewer than {value('settings.min_spots')} spots were not indexed."
    )


def _templates(value: _Values) -> str:
    return (
        f"Templates were simulated for {value('instrument.voltage_kv')} kV and a precession angle "
        f"of {value('instrument.precession_deg')} degree on a grid of beam directions "
        f"{value('settings.resolution_deg')} degree apart, up to {value('settings.max_radius')} "
        "1/angstrom."
    )


def _phases(value: _Values) -> str:
    return (
        "The phase of a position was decided by the evidence of spot positions and intensities "
        "under each candidate with its cell refined, where the posterior probability exceeded "
        f"{value('settings.decide_above')}; positions that no candidate explains (less than "
        f"{value('settings.min_explained')} of the spots, or a cell more than "
        f"{value('settings.max_misfit')} standard errors off) were left undecided."
    )


def _grains(value: _Values) -> str:
    return (
        f"Neighbouring positions misoriented by less than {value('settings.misorientation_deg')} "
        f"degree form a grain, of at least {value('settings.min_positions')} positions."
    )


def _fractions(value: _Values) -> str:
    return (
        "Phase fractions were corrected for wrong decisions, as simulated for the scan's own "
        "orientations; their 95 % intervals come from resampling whole grains "
        f"({value('settings.draws')} draws)."
    )


def _cycling(value: _Values) -> str:
    return (
        f"Ion contents along {value.counted('galvanostatic log')} follow from the charge by "
        f"Faraday's law for an active mass of {value('row.mass_mg')} mg (standard error "
        f"{value('row.mass_error_mg')} mg) and {value('row.irreversible_mah_g')} mA h/g of "
        "irreversible capacity."
    )


def _powder(value: _Values) -> str:
    return (
        f"The phases of {value.counted('powder pattern')} (wavelength {value('row.wavelength')} "
        f"angstrom) were fitted by Rietveld refinement of scale, cell, profile and "
        f"{value('settings.background_terms')} background terms; standard deviations are "
        "multiplied by the goodness of fit."
    )


def _comparison(value: _Values) -> str:
    return (
        "Ion contents and phase fractions by 4D-STEM, charge and powder diffraction were compared "
        "by z-scores and two one-sided tests of equivalence (margins "
        f"{value('settings.margin')} ions per formula unit and {value('settings.fraction_margin')} "
        "of a fraction), by a line with errors on both axes, and by limits of agreement."
    )


_SENTENCES: dict[str, Callable[[_Values], str]] = {
    "calibrate_scan": _calibration,
    "find_spots": _spots,
    "simulate_templates": _templates,
    "find_orientations": _orientations,
    "decide_phases": _phases,
    "find_grains": _grains,
    "count_fractions": _fractions,
    "analyse_log": _cycling,
    "fit_pattern": _powder,
    "compare_sources": _comparison,
}


def _text(value) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
