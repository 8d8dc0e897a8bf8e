"""The three sources side by side: known fractions, known differences, and the words they earn."""

import json

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sources import CONTENTS, HALF, compare, make_cycling, make_fractions, make_powder

from phasefront.comparison.agreement import difference
from phasefront.comparison.side_by_side import compare_sources
from phasefront.comparison.sources.charge import lever_rule
from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.layouts.comparison import COMPARISON
from phasefront.report.conclusions import summary

ENDS = [((2, 1), (3, 0)), ((1, 2), (2, 1))]


def pair(comparison, name, state="half"):
    where = list(comparison["pair"].values).index(name)
    return comparison.sel(state=state).isel(pair=where)


def source(comparison, name, state="half"):
    where = list(comparison["source"].values).index(name)
    return comparison.sel(state=state).isel(source=where)


@pytest.mark.parametrize(
    ("content", "expected"),
    [(2.25, [0.25, 0.75, 0]), (1.9, [0, 0.9, 0.1]), (2, [0, 1, 0]), (3, [1, 0, 0])],
)
def test_lever_rule(content, expected):
    np.testing.assert_allclose(lever_rule(content, ENDS, 3), expected, atol=1e-12)


@pytest.mark.parametrize("content", [0.9, 3.1])
def test_lever_rule_is_silent_outside_two_phase_fields(content):
    assert np.isnan(lever_rule(content, ENDS, 3)).all()


@given(content=st.floats(1, 3))
def test_lever_rule_keeps_ions(content):
    assert lever_rule(content, ENDS, 3) @ CONTENTS == pytest.approx(content)


def test_charge_gives_fractions_with_intervals_inside_fields():
    cycling = {"half": make_cycling({"half": 2.5}, error=0.02)}
    found = source(compare(cycling=cycling), "cycling")
    np.testing.assert_allclose(found["fraction"], [0.5, 0.5, 0])
    np.testing.assert_allclose(found["fraction_low"], [0.5 - 0.0392, 0.5 - 0.0392, 0], atol=1e-5)
    np.testing.assert_allclose(found["fraction_high"], [0.5 + 0.0392, 0.5 + 0.0392, 0], atol=1e-5)


def test_interval_across_a_border_holds_the_pure_phase():
    cycling = {"half": make_cycling({"half": 2.01}, error=0.02)}
    found = source(compare(cycling=cycling), "cycling")
    np.testing.assert_allclose(found["fraction_high"], [0.0492, 1, 0.0292], atol=1e-4)
    np.testing.assert_allclose(found["fraction_low"], [0, 1 - 0.0492, 0], atol=1e-4)


@pytest.mark.parametrize(
    ("content", "expected"),
    [(2.6, [0.6, 0.4, 0]), (1.8, [0.2, 0.4, 0.4]), (1.4, [0.2, 0, 0.8]), (1.2, None)],
)
def test_grains_without_contact_stay_as_they_were(content, expected):
    """A fifth of them. In the first field that makes no difference; 1.2 is beyond all fields."""
    cycling = {"half": make_cycling({"half": content}, error=0.0, inactive=0.2)}
    found = source(compare(cycling=cycling), "cycling")
    np.testing.assert_allclose(found["fraction"], expected or [np.nan] * 3, atol=1e-9)
    if expected:
        assert found["fraction"].values @ CONTENTS == pytest.approx(content)


@pytest.mark.parametrize(("content", "known"), [(3.02, True), (3.08, False), (1.5, False)])
def test_charge_is_silent_in_single_phase_fields(content, known):
    """3.02 +- 0.04 reaches the field that ends at 3, 3.08 does not; 1.5 lies in no field."""
    cycling = {"half": make_cycling({"half": content}, error=0.02)}
    found = source(compare(cycling=cycling, fields=[{"Na2": 2, "Na3": 3}]), "cycling")
    assert np.isfinite(found["fraction"]).all() == known
    if known:
        np.testing.assert_allclose(found["fraction"], [1, 0, 0])
    assert found["ion_content"] == content


def test_z_score_and_equivalence_of_symmetric_intervals():
    found = compare(
        stem={"half": make_fractions(2.52, 0.03)},
        cycling={"half": make_cycling({"half": 2.45}, 0.04)},
    )
    tested = pair(found, "stem - cycling")
    np.testing.assert_allclose(tested["z_score"], 0.07 / 0.05, rtol=1e-5)
    np.testing.assert_allclose(
        tested["equivalence_p"], stats.norm.sf((0.1 - 0.07) / 0.05), rtol=1e-4
    )
    assert tested["verdict"] == "cannot tell"


@pytest.mark.parametrize(
    ("stem", "error", "verdict"),
    [
        (2.51, 0.02, "agree"),
        (2.9, 0.05, "disagree"),
        (2.52, 0.3, "cannot tell"),
        # Apart beyond doubt, but by less than matters.
        (2.53, 0.005, "agree"),
    ],
)
def test_verdicts(stem, error, verdict):
    found = compare(
        stem={"half": make_fractions(stem, error)},
        cycling={"half": make_cycling({"half": 2.5}, 0.005)},
    )
    assert pair(found, "stem - cycling")["verdict"] == verdict


def test_the_side_towards_the_other_source_counts():
    fractions = make_fractions(3.0, 0.1)
    fractions["ion_content_high"] = 3.0
    below = compare(stem={"half": fractions}, cycling={"half": make_cycling({"half": 2.9}, 1e-6)})
    np.testing.assert_allclose(pair(below, "stem - cycling")["z_score"], 1, rtol=1e-3)
    above = compare(stem={"half": fractions}, cycling={"half": make_cycling({"half": 3.1}, 0.02)})
    np.testing.assert_allclose(pair(above, "stem - cycling")["z_score"], -5, rtol=1e-3)


values = st.floats(-5, 5)
sides = st.floats(0, 2)


@given(values, sides, sides, values, sides, sides)
def test_difference_is_antisymmetric_and_ordered(a, down_a, up_a, b, down_b, up_b):
    first, second = np.array([a, a - down_a, a + up_a]), np.array([b, b - down_b, b + up_b])
    forth, back = difference(first, second), difference(second, first)
    np.testing.assert_allclose(forth, -back[[0, 2, 1]], atol=1e-12)
    assert forth[1] <= forth[0] <= forth[2]


def test_exact_values_agree_only_within_the_margin():
    for stem, verdict in ((2.5, "agree"), (2.59, "agree"), (2.61, "disagree")):
        found = compare(
            stem={"half": make_fractions(stem, 0)},
            cycling={"half": make_cycling({"half": 2.5}, 0)},
        )
        assert pair(found, "stem - cycling")["verdict"] == verdict


def test_repeated_powder_patterns_are_averaged():
    powder = [make_powder([0.5, 0.5, 0], 0.01), make_powder([0.52, 0.48, 0], 0.01)]
    found = source(compare(powder={"half": powder}), "powder")
    np.testing.assert_allclose(found["fraction"], [0.51, 0.49, 0])
    # Two e.s.d. apart: the scatter is sqrt(2) of what is expected, the mean sqrt(1/2) as sure.
    half = (found["fraction_high"] - found["fraction_low"]).values[0] / 2
    np.testing.assert_allclose(half, HALF * 0.01, rtol=1e-5)
    scattered = [make_powder([0.4, 0.6, 0], 0.01), make_powder([0.6, 0.4, 0], 0.01)]
    found = source(compare(powder={"half": scattered}), "powder")
    half = (found["fraction_high"] - found["fraction_low"]).values[0] / 2
    np.testing.assert_allclose(half, HALF * 0.1, rtol=1e-5)
    np.testing.assert_allclose(found["fraction_low"].values[2], 0)


def test_missing_sources_stay_missing():
    found = compare(stem={"half": make_fractions()}, states=["half", "full"])
    assert np.isfinite(source(found, "stem")["ion_content"])
    assert np.isnan(source(found, "powder")["ion_content"])
    assert np.isnan(source(found, "stem", "full")["fraction"]).all()
    assert (found["verdict"] == "cannot tell").all()


def three_sources():
    return compare(
        stem={"half": make_fractions(2.52, 0.03)},
        cycling={"half": make_cycling({"half": 2.5})},
        powder={"half": [make_powder([0.5, 0.5, 0])]},
        states=["half", "full"],
    )


def test_summary_is_the_agreed_json():
    found = summary(three_sources(), {"s1": make_fractions()}, run="demo", seconds={"s1": 12.5})
    found = json.loads(json.dumps(found, allow_nan=False))
    half, full = found["states"]
    assert found["run"] == "demo"
    assert half["state"] == "half"
    assert half["x"]["stem"]["value"] == pytest.approx(2.52)
    assert set(half["x"]) == {"cycling", "stem", "powder"}
    assert set(half["fractions"]) == {"stem", "powder"}
    assert half["fractions"]["powder"]["Na2"]["value"] == pytest.approx(0.5)
    assert full["x"] == {"cycling": None, "stem": None, "powder": None}
    assert full["fractions"] == {"stem": None, "powder": None}
    assert found["scans"] == [
        {"scan": "s1", "patterns": 100, "decided": 65, "mixed": 5, "undecided": 16, "unindexed": 4,
         "vacuum": 10, "seconds": 12.5, "notes": []}
    ]  # fmt: skip


def test_comparison_is_written_and_read_back(tmp_path):
    netcdf.write(three_sources(), tmp_path / "comparison.nc", COMPARISON)
    again = netcdf.read(tmp_path / "comparison.nc", COMPARISON)
    assert (again["verdict"].sel(state="full") == "cannot tell").all()


def test_field_without_its_phase_is_refused():
    with pytest.raises(InputError, match="two_phase_fields: there is no phase 'Na9'"):
        compare(fields=[{"Na3": 3, "Na9": 1.5}])


@pytest.mark.parametrize(
    ("content", "expected"),
    [(1.9, [0, 0.5, 0.5]), (1.15, [0.5, 0, 0.5]), (1.8, [0, 0, 1]), (1.5, None), (1.31, None)],
)
def test_fields_may_end_where_a_solid_solution_does(content, expected):
    """Between 1.8 and 1.3 one phase slides: charge gives an ion content and no fractions."""
    phases = ["Na1", "Na2", "slide"]
    cycling = {"half": make_cycling({"half": content}, error=0.001)}
    compared = compare_sources(
        states=["half"], given={"cycling": {"half": [cycling["half"]]}}, phases=phases, margin=0.1,
        fraction_margin=0.1,
        lever_fields=[{"Na2": 2, "slide": 1.8}, {"slide": 1.3, "Na1": 1}],
    )  # fmt: skip
    found = source(compared, "cycling")
    assert found["ion_content"] == content
    expected = expected or [np.nan] * 3
    np.testing.assert_allclose(found["fraction"], expected, atol=1e-9)


def test_log_without_the_state_is_refused():
    with pytest.raises(InputError, match="half"):
        compare(cycling={"half": make_cycling({"full": 1.0})})


def test_a_log_of_an_electrode_of_unknown_mass_says_nothing_of_ion_contents():
    log = make_cycling({"half": 2.5})
    for name in log.data_vars:
        if "ion_content" in name:
            log[name] = log[name] * np.nan
    compared = compare(stem={"half": make_fractions()}, cycling={"half": log})
    alone = compare(stem={"half": make_fractions()})
    xr.testing.assert_equal(compared, alone)
    assert compared.attrs["verdict"] == alone.attrs["verdict"] == "cannot tell"
