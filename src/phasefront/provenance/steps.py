"""The jobs of a run, as their records tell them: one step a job, whatever number of outputs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from phasefront.provenance import record


@dataclass(frozen=True)
class Step:
    """One job: what it used, what it made, how and when.

    `inputs` and `outputs` are lists of `{"path", "sha256", ...}`, as records hold them.
    """

    rule: str
    command: list[str]
    parameters: dict
    inputs: list[dict]
    outputs: list[dict]
    code: list[dict]
    run: dict

    @property
    def name(self) -> str:
        """Rule and first output: a name that no other step of the run has."""
        return f"{self.rule}/{self.outputs[0]['path']}"


def steps_of(records: Iterable[dict]) -> list[Step]:
    """The steps that made the outputs of `records`, each after those whose outputs it used.

    Records of one job have the same command, which names all its outputs.
    """
    jobs: dict[bytes, list[dict]] = {}
    for content in records:
        jobs.setdefault(record.canonical(content["made"]["command"]), []).append(content)
    steps = [_step(own) for own in jobs.values()]
    maker = {output["path"]: step for step in steps for output in step.outputs}
    order: dict[str, Step] = {}

    def visit(step: Step) -> None:
        if step.name in order:
            return
        for entry in step.inputs:
            parent = maker.get(entry["path"])
            if parent is not None and parent is not step:
                visit(parent)
        order[step.name] = step

    for step in sorted(steps, key=lambda step: step.name):
        visit(step)
    return list(order.values())


def _step(records: list[dict]) -> Step:
    first = records[0]["made"]
    outputs = sorted((content["made"]["output"] for content in records), key=lambda o: o["path"])
    return Step(
        rule=Path(first["command"][1]).stem,
        command=first["command"],
        parameters=first["parameters"],
        inputs=first["inputs"],
        outputs=outputs,
        code=first["code"],
        run=records[0]["run"],
    )
