"""docs/limno.md: the tables of the real particle, written again."""

from __future__ import annotations

import json
from pathlib import Path

from docs.make.tables import renewed
from phasefront.report.wording import markdown_table

ROOT = Path(__file__).resolve().parents[2]
STUDY = ROOT / "results/bench/limno.json"
PAGE = ROOT / "docs/limno.md"
_MAPS = {
    "py4DSTEM": "py4DSTEM: best correlation of three plans",
    "best correlation": "phasefront: best correlation (step *orientations*)",
    "likeliest": "phasefront: likeliest phase, no threshold",
    "decision": "phasefront: decided at a posterior above 0.95",
}
_FEWEST = 5  # positions of a kind that has a line


def page() -> str:
    """The page as it is, with the tables of `benchmarks.limno`."""
    study = json.loads(STUDY.read_text(encoding="utf-8"))
    return renewed(
        PAGE,
        {
            "| share of all": _shares(study["share"]),
            "| phasefront's decision": _against(study["against"]),
            "| likeliest, py4DSTEM's": _groups(study["groups"]),
            "| decided spinel, by": _twins(study["two_layered_for_one_spinel"]),
        },
    )


def _shares(maps: dict) -> str:
    answers = list(maps["decision"])
    return markdown_table(
        ["share of all", *answers],
        [[said, *(f"{maps[key][one]:.3f}" for one in answers)] for key, said in _MAPS.items()],
    )


def _against(decisions: dict) -> str:
    rivals = list(next(iter(decisions.values())))
    return markdown_table(
        ["phasefront's decision", *(f"py4DSTEM {rival}" for rival in rivals)],
        [[name, *(str(row[rival]) for rival in rivals)] for name, row in decisions.items()],
    )


def _groups(groups: list) -> str:
    rows = []
    for one in groups:
        if one["positions"] < _FEWEST:
            continue
        explained = lead = "–"
        if "spots_explained" in one:
            explained = " / ".join(f"{share:.2f}" for share in one["spots_explained"])
            lead = " / ".join(f"{gain:.0f}" for gain in one["log_evidence_10_50_90"])
        rows.append(
            [f"{one['state']} {one['likeliest']}, {one['py4DSTEM']}", str(one["positions"]),
             f"{one['spots_median']:.0f}", f"{one['correlation_lead_median']:.3f}", explained, lead]
        )  # fmt: skip
    return markdown_table(
        ["likeliest, py4DSTEM's", "positions", "spots a pattern, median",
         "lead of py4DSTEM's best correlation over its next, median",
         "spots explained, likeliest / py4DSTEM's phase",
         "difference in log-evidence, 10 / 50 / 90 %"],
        rows,
    )  # fmt: skip


def _twins(found: dict) -> str:
    keys = (
        ("spots_explained_spinel_one_layered_two", ".2f"),
        ("spots_promised_median_spinel_two_layered", ".0f"),
        ("log_likelihood_two_layered_over_spinel_10_50_90", "+.0f"),
    )
    return markdown_table(
        ["decided spinel, by py4DSTEM's phase", "positions",
         "spots explained: spinel / one layered / two layered",
         "spots promised: spinel / two layered",
         "log-likelihood of two layered over spinel, 10 / 50 / 90 %", "two layered likelier"],
        [
            [name, str(one["positions"]),
             *(" / ".join(f"{value:{form}}" for value in one[key]) for key, form in keys),
             f"{one['share_where_two_layered_are_likelier']:.2f}"]
            for name, one in found.items()
        ],
    )  # fmt: skip
