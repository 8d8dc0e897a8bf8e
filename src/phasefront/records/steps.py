"""The jobs of a run, as their records tell them: one step a job, whatever number of outputs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from phasefront.records.record import Record, canonical


@dataclass(frozen=True)
class Step:
    """One job: what it used, what it made, how and when.

    All parts are as records hold them: `inputs`, `outputs` and `code` as `{"path", "sha256", ...}`,
    and so is `lock`, if there was one.
    """

    rule: str
    command: list[str]
    parameters: dict
    inputs: list[dict]
    outputs: list[dict]
    code: list[dict]
    run: dict
    lock: dict | None = None

    @property
    def name(self) -> str:
        """Rule and first output: a name that no other step of the run has."""
        return f"{self.rule}/{self.outputs[0]['path']}"


def steps_of(records: Iterable[Record]) -> list[Step]:
    """The steps that made the outputs of `records`, each after those whose outputs it used.

    Records come with every output after what it was made of, as in `chain.Records`. Those of one
    job have the same command, which names all its outputs.
    """
    jobs: dict[bytes, list[Record]] = {}
    for record in records:
        jobs.setdefault(canonical(record.made.command), []).append(record)
    return [_step(own) for own in jobs.values()]


def _step(records: list[Record]) -> Step:
    first = records[0].model_dump()
    made = first["made"]
    outputs = [record.made.output.model_dump() for record in records]
    return Step(
        rule=made["rule"],
        command=made["command"],
        parameters=made["parameters"],
        inputs=made["inputs"],
        outputs=sorted(outputs, key=lambda output: output["path"]),
        code=made["code"],
        run=first["run"],
        lock=made["lock"],
    )
