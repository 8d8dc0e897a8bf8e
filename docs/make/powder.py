"""docs/powder.md: the tables of what was measured, written again."""

from __future__ import annotations

import json
from pathlib import Path

from docs.make.tables import renewed
from phasefront.report.wording import markdown_table

ROOT = Path(__file__).resolve().parents[2]
STUDY = ROOT / "results/bench/powder.json"
PAGE = ROOT / "docs/powder.md"
_SYSTEMS = {"nvpf": "NVPF, three phases", "lfp": "LiFePO4, FePO4"}
_KINDS = {"plain": "grains at random", "oriented": "plates and needles, steep background"}


def page() -> str:
    """The page as it is, with both tables of its measurements."""
    study = json.loads(STUDY.read_text(encoding="utf-8"))
    return renewed(PAGE, {"|  | patterns": _errors(study), "| share of the one": _shares(study)})


def _errors(study: dict) -> str:
    return markdown_table(
        ["", "patterns", "rms error, wt%", "largest", "median e.s.d.", "rms of error over e.s.d.",
         "95 % intervals that cover"],
        [
            [f"{said}: {kind_said}", str(one["patterns"]), f"{100 * one['error_rms']:.2f}",
             f"{100 * one['error_largest']:.2f}", f"{100 * one['esd_median']:.2f}",
             f"{one['z_rms']:.2f}", f"{one['covering']:.2f} of {one['fractions']}"]
            for system, said in _SYSTEMS.items()
            for kind, kind_said in _KINDS.items()
            if (one := study[system][kind])
        ],
    )  # fmt: skip


def _shares(study: dict) -> str:
    shares = list(study["nvpf"]["by_share"])
    return markdown_table(
        ["share of the one phase, wt%", *(f"{100 * float(share):g}" for share in shares)],
        [
            [f"{said.split(',')[0]}: {what} error, wt%",
             *(f"{100 * study[system]['by_share'][share][f'error_{what}']:.2f}"
               for share in shares)]
            for system, said in _SYSTEMS.items()
            for what in ("mean", "rms")
        ],
    )  # fmt: skip
