"""A run in W3C PROV: files are entities, jobs are activities, people and programs are agents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from urllib.parse import quote

from phasefront.records.steps import Step

_NAMESPACE = "urn:phasefront:"


def document(steps: Sequence[Step], *, people: Sequence[dict], software: Mapping[str, str]) -> str:
    """PROV-JSON (https://www.w3.org/submissions/prov-json) of a run's steps.

    Parameters
    ----------
    steps
        The run's jobs in order.
    people
        `{"name", "orcid"}` of those who ran it; the identifier may be missing.
    software
        Versions of the programs that ran it, by name.
    """
    from prov.model import PROV_TYPE, ProvDocument

    built = ProvDocument()
    for prefix in ("file", "job", "agent", "phasefront"):
        built.add_namespace(prefix, f"{_NAMESPACE}{prefix}/")

    def entity(about: Mapping) -> str:
        name = f"file:{quote(about['path'])}"
        if not built.get_record(name):
            built.entity(name, {"phasefront:sha256": about["sha256"]})
        return name

    agents = []
    for name, version in sorted(software.items()):
        agents.append(f"agent:{name}")
        built.agent(agents[-1], {PROV_TYPE: "prov:SoftwareAgent", "phasefront:version": version})
    for person in people:
        agents.append(f"agent:{quote(person['name'].replace(' ', '-'))}")
        about = {PROV_TYPE: "prov:Person", "phasefront:name": person["name"]}
        if person.get("orcid"):
            about["phasefront:orcid"] = person["orcid"]
        built.agent(agents[-1], about)
    for step in steps:
        job = f"job:{quote(step.name)}"
        built.activity(
            job, *(datetime.fromisoformat(step.run[end]) for end in ("started", "ended")),
            {"phasefront:rule": step.rule, "phasefront:command": " ".join(step.command)},
        )  # fmt: skip
        for agent in agents:
            built.wasAssociatedWith(job, agent)
        lock = [step.lock] if step.lock else []
        used = [entity(about) for about in (*step.inputs, *step.code, *lock)]
        for name in dict.fromkeys(used):
            built.used(job, name)
        for output in step.outputs:
            made = entity(output)
            built.wasGeneratedBy(made, job)
            for name in dict.fromkeys(entity(about) for about in step.inputs):
                built.wasDerivedFrom(made, name, activity=job)
    return built.serialize(format="json", indent=1)
