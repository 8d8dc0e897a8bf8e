"""A run as a Provenance Run Crate (https://w3id.org/ro/wfrun/provenance/0.5).

Every rule is a step of the workflow with a script as its tool, every job an action with the files
it used and made, its parameters and times, ordered by Snakemake.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from phasefront.records.steps import Step

_PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/provenance/0.5": ("Provenance Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}
# Terms that RO-Crate 1.1 does not define, given with the crate so that it reads without a network.
_TERMS = {
    "sha256": "https://w3id.org/ro/terms/workflow-run#sha256",
    "resourceUsage": "https://w3id.org/ro/terms/workflow-run#resourceUsage",
    "environment": "https://w3id.org/ro/terms/workflow-run#environment",
}
_USAGE = {
    "peak_memory_mb": ("peak memory", "https://qudt.org/vocab/unit/MegaBYTE"),
    "wall_seconds": ("wall time", "https://qudt.org/vocab/unit/SEC"),
}
_WORKFLOW = "Snakefile"
_COMPLETED = "http://schema.org/CompletedActionStatus"
_README = "README.md"
_CODE_LICENSE = "https://spdx.org/licenses/GPL-3.0-or-later"
# Of what is in no list it is known that it is bytes.
_BYTES = "application/octet-stream"
_MEDIA_TYPES = dict.fromkeys(
    ("", ".ang", ".chi", ".ctf", ".dat", ".mpt", ".rst", ".smk", ".txt", ".xy", ".xye"),
    "text/plain",
) | {
    ".cff": "application/yaml", ".cif": "chemical/x-cif", ".csv": "text/csv",
    ".h5": "application/x-hdf5", ".html": "text/html", ".ipynb": "application/x-ipynb+json",
    ".json": "application/json", ".md": "text/markdown", ".nc": "application/x-netcdf",
    ".png": "image/png", ".py": "text/x-python", ".svg": "image/svg+xml",
    ".tex": "application/x-tex", ".toml": "application/toml", ".tsv": "text/tab-separated-values",
    ".yaml": "application/yaml",
}  # fmt: skip


def metadata(
    steps: Sequence[Step],
    *,
    files: Mapping[str, dict],
    absent: Mapping[str, dict],
    name: str,
    description: str,
    license: str,
    people: Sequence[dict],
    software: Mapping[str, str],
) -> dict:
    """What ro-crate-metadata.json holds, as JSON-LD.

    Parameters
    ----------
    steps
        The run's jobs in order.
    files
        Size and SHA-256 of each file in the crate, `{"size", "sha256"}` by path.
    absent
        The same of files that jobs used and that are not in the crate, by path, with `identifier`
        (a DOI or URL) where there is one.
    name, description, license
        Of the run; the licence as a URL.
    people
        `{"name", "orcid", "affiliation"}` of those who ran it; the last two may be None.
    software
        Versions of Snakemake and phasefront, by name.
    """
    from rocrate.rocrate import ROCrate

    crate = ROCrate()
    crate.metadata.extra_terms.update(_TERMS)
    add = _Adder(crate)
    ended = max(step.run["ended"] for step in steps)
    started = min(step.run["started"] for step in steps)
    kinds = {step.command[1]: ["File", "SoftwareSourceCode"] for step in steps}
    kinds[_WORKFLOW] = ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"]
    for path, about in sorted(files.items()):
        add.file(path, about, kinds.get(path, "File"))
    for path, about in sorted(absent.items()):
        add.absent(path, about)
    used = {entry["path"] for step in steps for entry in step.inputs}
    for path in sorted(used - set(files) - set(absent)):
        add.folder(path)
    _describe_root(crate, add, name, description, license, ended, people)

    engine = add.entity(
        "#engine", "SoftwareApplication", name="Snakemake", softwareVersion=software["snakemake"],
        url="https://snakemake.readthedocs.io",
    )  # fmt: skip
    rules = list(dict.fromkeys(step.rule for step in steps))
    tools = {rule: add.tool(rule, steps, software["phasefront"]) for rule in rules}
    how = {
        rule: add.entity(
            f"{_WORKFLOW}#{rule}", "HowToStep", name=rule.replace("_", " "), position=str(number),
            workExample=tools[rule],
        )
        for number, rule in enumerate(rules, start=1)
    }  # fmt: skip
    workflow = add.workflow(list(how.values()), list(tools.values()), software)
    agents = [add.person(person) for person in people]
    actions = [add.action(step, tools[step.rule], agents) for step in steps]
    controls = [
        add.entity(
            f"#control/{step.name}", "ControlAction", name=f"run {step.rule}",
            instrument=how[step.rule], object=action,
        )
        for step, action in zip(steps, actions, strict=True)
    ]  # fmt: skip
    made = {output["path"] for step in steps for output in step.outputs}
    run = add.entity(
        "#run", "CreateAction", name=f"Run of {name}", description=description,
        instrument=workflow, startTime=started, endTime=ended, actionStatus=_COMPLETED,
        object=add.references(sorted(used - made)), result=add.references(sorted(made - used)),
        agent=agents,
    )  # fmt: skip
    organised = add.entity(
        "#organise", "OrganizeAction", name="Snakemake orders the jobs", instrument=engine,
        object=controls, result=run, startTime=started, endTime=ended,
    )  # fmt: skip
    crate.root_dataset["mentions"] = [run, organised, *actions, *controls]
    return _sorted(crate.metadata.generate())


def _describe_root(crate, add: _Adder, name, description, license, published, people) -> None:
    crate.name, crate.description = name, description
    crate.datePublished = published
    crate.root_dataset["license"] = add.license(license)
    crate.root_dataset["conformsTo"] = [
        add.entity(url, "CreativeWork", name=title, version=version)
        for url, (title, version) in _PROFILES.items()
    ]
    readme = crate.dereference(_README)
    if readme is not None:
        _set(readme, about=crate.root_dataset)
    crate.metadata["conformsTo"] = [
        {"@id": "https://w3id.org/ro/crate/1.1"},
        {"@id": "https://w3id.org/workflowhub/workflow-ro-crate/1.0"},
    ]
    _set(crate.root_dataset, author=[add.person(person) for person in people])


class _Adder:
    """Adds entities to a crate and knows which it has."""

    def __init__(self, crate):
        self._crate = crate
        self._of_path = {}

    def entity(self, identifier: str, kind: str | list[str], /, **properties):
        from rocrate.model.contextentity import ContextEntity

        found = self._crate.dereference(identifier)
        if found is not None:
            return found
        entity = ContextEntity(self._crate, identifier, properties={"@type": kind})
        self._crate.add(entity)
        _set(entity, **properties)
        return entity

    def file(self, path: str, about: dict, kind: str | list[str]):
        """A file of the crate, which the bag holds."""
        properties = {
            "@type": kind, "name": Path(path).name, "contentSize": str(about["size"]),
            "sha256": about["sha256"],
            "encodingFormat": _MEDIA_TYPES.get(Path(path).suffix, _BYTES),
        }  # fmt: skip
        entity = self._crate.add_file(dest_path=path, properties=properties, validate_url=False)
        self._of_path[path] = entity
        return entity

    def folder(self, path: str) -> None:
        """A folder that was used as one file, whose files the crate holds."""
        properties = {"name": Path(path).name}
        self._of_path[path] = self._crate.add_dataset(dest_path=path, properties=properties)

    def absent(self, path: str, about: dict):
        """A file that was used and is not in the crate: known by its digest."""
        place = about.get("identifier") or ""
        if place.startswith(("doi:", "10.")):
            place = f"https://doi.org/{place.removeprefix('doi:')}"
        self._of_path[path] = self.entity(
            f"#absent/{quote(path)}", "CreativeWork", name=path, sha256=about["sha256"],
            contentSize=str(about["size"]), identifier=place or [],
            encodingFormat=_MEDIA_TYPES.get(Path(path).suffix, _BYTES),
        )  # fmt: skip
        return self._of_path[path]

    def license(self, url: str):
        return self.entity(url, "CreativeWork", name=url.rstrip("/").rpartition("/")[2], url=url)

    def references(self, paths: Iterable[str]) -> list:
        """The entities of files, which the crate holds or knows to be absent."""
        return [self._of_path[path] for path in paths]

    def tool(self, rule: str, steps: Sequence[Step], version: str):
        """The script of a rule, a file of the crate; it needs the modules it imports, and the lock.

        What its jobs were given and made are examples of its parameters, inputs and outputs.
        """
        own = [step for step in steps if step.rule == rule]
        script = own[0].command[1]
        tool = self._of_path[script]
        needed = [*own[0].code, *([own[0].lock] if own[0].lock else [])]
        _set(
            tool,
            version=version,
            license=self.license(_CODE_LICENSE),
            programmingLanguage=self.language("Python", "https://www.python.org"),
            softwareRequirements=self.references(
                sorted(entry["path"] for entry in needed if entry["path"] != script)
            ),
            input=[
                *self._slots(rule, [(e["role"], e["path"]) for s in own for e in s.inputs]),
                *(
                    self._slot(rule, name, "PropertyValue")
                    for name in sorted({name for s in own for name in _given(s)})
                ),
            ],
            output=self._slots(rule, [(e["name"], e["path"]) for s in own for e in s.outputs]),
        )
        return tool

    def _slots(self, rule: str, files: Iterable[tuple[str, str]]) -> list:
        """Inputs or outputs of a rule by name; each file says which it is an example of."""
        slots = {}
        for name, path in files:
            slots[name] = self._slot(rule, name, "File")
            entity = self._of_path[path]
            known = entity.get("exampleOfWork") or []
            known = known if isinstance(known, list) else [known]
            if slots[name] not in known:
                _set(entity, exampleOfWork=[*known, slots[name]])
        return [slots[name] for name in sorted(slots)]

    def _slot(self, rule: str, name: str, kind: str):
        return self.entity(
            f"#slot/{rule}/{name}", "FormalParameter", name=name, additionalType=kind
        )

    def language(self, name: str, url: str):
        return self.entity(f"#language/{name.lower()}", "ComputerLanguage", name=name, url=url)

    def workflow(self, how: list, tools: list, software: Mapping[str, str]):
        workflow = self._of_path[_WORKFLOW]
        _set(
            workflow, name="phasefront", version=software["phasefront"], hasPart=tools, step=how,
            license=self.license(_CODE_LICENSE),
            programmingLanguage=self.language("Snakemake", "https://snakemake.readthedocs.io"),
        )  # fmt: skip
        self._crate.root_dataset["mainEntity"] = workflow
        return workflow

    def action(self, step: Step, tool, agents: list):
        """One job. Parameters are JSON; times are those of its record."""
        parameters = [
            self.entity(
                f"#parameter/{step.name}/{name}", "PropertyValue", name=name,
                value=value if isinstance(value, str) else json.dumps(value, sort_keys=True),
                exampleOfWork=self._slot(step.rule, name, "PropertyValue"),
            )
            for name, value in sorted(_given(step).items())
        ]  # fmt: skip
        usage = [
            self.entity(
                f"#usage/{step.name}/{key}", "PropertyValue", name=name, unitCode=unit,
                propertyID=f"https://w3id.org/ro/terms/workflow-run#{key}",
                value=str(step.run[key]),
            )
            for key, (name, unit) in _USAGE.items()
        ]  # fmt: skip
        return self.entity(
            f"#job/{step.name}", "CreateAction", name=step.rule.replace("_", " "), instrument=tool,
            description=" ".join(step.command[:2]), startTime=step.run["started"],
            endTime=step.run["ended"],
            actionStatus=_COMPLETED,
            object=[*self.references(entry["path"] for entry in step.inputs), *parameters],
            result=self.references(output["path"] for output in step.outputs),
            resourceUsage=usage, agent=agents,
        )  # fmt: skip

    def person(self, person: dict):
        identifier = f"#person/{person['name'].replace(' ', '-')}"
        if person.get("orcid"):
            identifier = f"https://orcid.org/{person['orcid']}"
        affiliation = []
        if person.get("affiliation"):
            name = person["affiliation"]
            affiliation = self.entity(
                f"#organization/{name.replace(' ', '-')}", "Organization", name=name
            )
        return self.entity(identifier, "Person", name=person["name"], affiliation=affiliation)


def _given(step: Step) -> dict:
    """Parameters that a job was given."""
    return {name: value for name, value in step.parameters.items() if value is not None}


def _set(entity, **properties) -> None:
    """Set properties as RO-Crate wants them: one value by itself, several as a list, none not."""
    for key, value in properties.items():
        if value != []:
            entity[key] = value[0] if isinstance(value, list) and len(value) == 1 else value


def _sorted(document: dict) -> dict:
    """The same graph in one order: the crate's own follows when entities were made."""
    graph = sorted(document["@graph"], key=lambda entity: entity["@id"])
    first = [entity for entity in graph if entity["@id"] in ("./", "ro-crate-metadata.json")]
    return document | {"@graph": first + [entity for entity in graph if entity not in first]}
