"""The sources side by side."""

from __future__ import annotations

from phasefront.core.netcdf import Layout, Variable
from phasefront.core.tables import Column, Table
from phasefront.layouts.dimensions import PHASE_NAME, with_ends

_STATE_SOURCE = ("state", "source")
_PAIR_STATE = ("pair", "state")
_PAIR_STATE_PHASE = ("pair", "state", "phase")


COMPARISON = Layout(
    "Sources side by side, per state and over all states",
    {
        "phase": PHASE_NAME,
        "state": Variable(("state",), "str", "", "state of charge"),
        "source": Variable(("source",), "str", "", "name of the source"),
        "pair": Variable(("pair",), "str", "", "two sources, the first minus the second"),
        "question": Variable(
            ("question",),
            "str",
            "",
            "what may differ: the mean, the tilt of the line, a state, a fraction in a state",
        ),
        "limit": Variable(("limit",), "str", "", "lower or upper limit of agreement"),
        **with_ends("fraction", ("state", "source", "phase"), "molar phase fraction"),
        **with_ends("ion_content", ("state", "source"), "ions per formula unit"),
        **with_ends(
            "mean_fraction",
            ("source", "phase"),
            "mean molar phase fraction over the states that all sources know",
        ),
        **with_ends(
            "mean_ion_content",
            ("source",),
            "mean ions per formula unit over the states that all sources know",
        ),
        "left_out": Variable(
            _STATE_SOURCE, "str", "", "measurements left out, because a cell was refined from them"
        ),
        "refused": Variable(
            _STATE_SOURCE, "str", "", "measurements that are no result, each with the reason"
        ),
        "unexplained": Variable(
            _STATE_SOURCE,
            "str",
            "",
            "what measurements show that phases or calibration do not explain",
        ),
        "units": Variable(
            _STATE_SOURCE,
            "i4",
            "1",
            "particles or grains that the ion content is a mean of; 0 where it is of no sample",
        ),
        "between_units": Variable(
            _STATE_SOURCE,
            "f8",
            "1",
            "standard deviation of ions per formula unit between them, beyond their errors",
        ),
        **with_ends("difference", _PAIR_STATE, "difference of ions per formula unit"),
        "z_score": Variable(_PAIR_STATE, "f8", "1", "difference of ion content over its s.e."),
        "equivalence_p": Variable(
            _PAIR_STATE, "f8", "1", "two one-sided tests: p of a difference beyond the margin"
        ),
        "verdict": Variable(_PAIR_STATE, "str", "", "agree, disagree or cannot tell"),
        **with_ends("fraction_difference", _PAIR_STATE_PHASE, "difference of phase fraction"),
        "fraction_z_score": Variable(
            _PAIR_STATE_PHASE, "f8", "1", "difference of the fraction over its s.e."
        ),
        "fraction_p": Variable(
            _PAIR_STATE_PHASE,
            "f8",
            "1",
            "p of no difference, adjusted for the number of phases (Holm); 1 within the margin",
        ),
        "fraction_equivalence_p": Variable(
            _PAIR_STATE_PHASE, "f8", "1", "p of a difference of the fraction beyond its margin"
        ),
        "fraction_verdict": Variable(
            _PAIR_STATE_PHASE, "str", "", "agree, disagree or cannot tell"
        ),
        "states_compared": Variable(("pair",), "i4", "1", "states that both sources know"),
        **with_ends(
            "mean_difference", ("pair",), "mean difference of ions per formula unit over states"
        ),
        "mean_z_score": Variable(("pair",), "f8", "1", "mean difference over its s.e."),
        "mean_equivalence_p": Variable(
            ("pair",), "f8", "1", "p of a mean difference beyond the margin"
        ),
        **with_ends(
            "mean_fraction_difference",
            ("pair", "phase"),
            "mean difference of the phase fraction over states",
        ),
        "mean_fraction_z_score": Variable(
            ("pair", "phase"), "f8", "1", "mean difference of the fraction over its s.e."
        ),
        "mean_fraction_p": Variable(
            ("pair", "phase"),
            "f8",
            "1",
            "p of no mean difference, adjusted for the number of phases (Holm); 1 within margin",
        ),
        "mean_fraction_equivalence_p": Variable(
            ("pair", "phase"), "f8", "1", "p of a mean difference beyond the fraction's margin"
        ),
        "mean_fraction_verdict": Variable(
            ("pair", "phase"), "str", "", "agree, disagree or cannot tell"
        ),
        "intercept": Variable(("pair",), "f8", "1", "total least squares: first = a + b second"),
        "slope": Variable(("pair",), "f8", "1", "total least squares: b of first = a + b second"),
        "line_covariance": Variable(
            ("pair", "line_parameter", "other_parameter"),
            "f8",
            "1",
            "covariance of intercept and slope, shared errors included",
        ),
        "line_chi_squared": Variable(
            ("pair",), "f8", "1", "squared distances from the line in independent errors"
        ),
        "line_p": Variable(("pair",), "f8", "1", "p of the line 1:1"),
        **with_ends(
            "tilt",
            ("pair",),
            "change of the line's difference from the middle to the upper end of the range",
        ),
        **with_ends(
            "limit_of_agreement",
            ("pair", "limit"),
            "limits that 95 % of the states' differences keep",
        ),
        "question_p": Variable(
            ("pair", "question"),
            "f8",
            "1",
            "p of no disagreement, adjusted for tests within and among questions (Holm)",
        ),
        "overall_verdict": Variable(("pair",), "str", "", "agree, disagree or cannot tell"),
    },
    # Margins in ions per formula unit and in fractions; the verdict on all pairs together.
    ("margin", "fraction_margin", "verdict"),
)

COMPARISON_TABLE = Table(
    "comparison.csv",
    "Ion contents and phase fractions by every source, and their differences.",
    {
        "state": Column("str", "", "state of charge; `all states` are means over states"),
        "quantity": Column(
            "str", "", "`ion_content` (ions per formula unit), `fraction` (share of the formula "
            "units, 0 to 1), `_difference` of either between two sources; over all states also the "
            "limits of agreement (ions per formula unit), and `intercept` (ions per formula unit) "
            "and `slope` of the line through the states",
        ),
        "source": Column(
            "str", "", "what tells it; `a - b`: a minus b; of a line: a = intercept + slope b"
        ),
        "phase": Column("str", "", "phase that a fraction is of"),
        "value": Column("f8", "1", "the quantity"),
        "low": Column("f8", "1", "lower end of its 95 % interval"),
        "high": Column("f8", "1", "upper end of its 95 % interval"),
        "z_score": Column("f8", "1", "difference over its standard error"),
        "p": Column(
            "f8", "1", "p-value of no difference; of fractions adjusted for the number of phases "
            "(Holm), of the slope that of the line 1:1",
        ),
        "equivalence_p": Column(
            "f8", "1", "p-value of a difference beyond the margin (two one-sided tests)"
        ),
        "verdict": Column("str", "", "agree, disagree or cannot tell"),
        "note": Column(
            "str", "", "what was left out, because a cell was refined from it; what is no result, "
            "with the reason; what no phase explains, such as a powder pattern's lines; how many "
            "particles or grains a mean is of, and the standard deviation between them",
        ),
    },
)  # fmt: skip

SWEEP_TABLE = Table(
    "sweep.csv",
    "`comparison.csv` for each variant of the analysis; `quantity` may also be `undecided`, the "
    "share of the crystal's positions left undecided.",
    {
        "variant": Column(
            "str", "", "what differs from the run's own settings; `run` is the run itself"
        ),
        "*.*": Column("str", "", "a setting that was varied, headed by its path in the config"),
        **COMPARISON_TABLE.columns,
    },
)  # fmt: skip
