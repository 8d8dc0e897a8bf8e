"""What was done, in words for a methods section, from the records of a run and what they are of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from phasefront.audit.explain import listed
from phasefront.records.steps import Step
from phasefront.report.citations import CITATIONS
from phasefront.report.jobs import Jobs
from phasefront.report.methods_of_scans import (
    tell_calibration,
    tell_directions,
    tell_filmed_series,
    tell_fractions,
    tell_grains,
    tell_imported_maps,
    tell_interfaces,
    tell_mechanisms,
    tell_orientations,
    tell_phases,
    tell_simulated_scans,
    tell_spots,
    tell_templates,
)
from phasefront.report.methods_of_sources import (
    tell_candidates,
    tell_cells,
    tell_comparison,
    tell_cycling,
    tell_followed,
    tell_powder,
    tell_powder_series,
    tell_refined,
    tell_series,
    tell_sweep,
)
from phasefront.report.methods_of_stacks import (
    tell_correlations,
    tell_losses,
    tell_pathways,
    tell_quantities,
    tell_registrations,
    tell_simulated_stacks,
    tell_valence,
)
from phasefront.report.wording import plain


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
        tell(Jobs(of_rule[rule], of_rule)) for rule, tell in _SENTENCES.items() if rule in of_rule
    ]
    return "\n\n".join([f"# Methods: {plain(title)}", *told, *_software(steps, software)]) + "\n"


def _is_variant(step: Step) -> bool:
    return all(Path(output["path"]).parts[2:3] == ("sweep",) for output in step.outputs)


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


_SENTENCES: dict[str, Callable[[Jobs], str]] = {
    "simulate_scan": tell_simulated_scans,
    "film_scan": tell_filmed_series,
    "simulate_xray_stack": tell_simulated_stacks,
    "simulate_losses": tell_simulated_stacks,
    "simulate_templates": tell_templates,
    "calibrate_scan": tell_calibration,
    "find_spots": tell_spots,
    "find_orientations": tell_orientations,
    "decide_phases": tell_phases,
    "import_map": tell_imported_maps,
    "find_grains": tell_grains,
    "export_maps": tell_directions,
    "count_fractions": tell_fractions,
    "trace_interfaces": tell_interfaces,
    "infer_mechanisms": tell_mechanisms,
    "analyse_log": tell_cycling,
    "place_on_log": tell_series,
    "follow_series": tell_followed,
    "fit_pattern": tell_powder,
    "gather_powder_series": tell_powder_series,
    "import_fractions": tell_refined,
    "read_cell": tell_cells,
    "refine_candidate": tell_candidates,
    "fit_valence": tell_valence,
    "fit_losses": tell_losses,
    "import_quantity": tell_quantities,
    "register_map": tell_registrations,
    "correlate_map": tell_correlations,
    "trace_pathways": tell_pathways,
    "compare_sources": tell_comparison,
    "summarise_sweep": tell_sweep,
}
