"""Where variants of a sweep find results, told from what results are made of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasefront.experiment.variants import (
    Made,
    changes_in,
    column,
    folder_for,
    folder_of,
    given_upstream,
)

# What each is made with, and what it reads.
FLOW = {
    "raw": Made(),
    "spots": Made(["spots"], ["raw"]),
    "templates": Made(["orientations.resolution_deg"]),
    "orientations": Made(["orientations", "spots.sigma"], ["spots", "templates"]),
    "phases": Made(["phases", "scan.a.layout"], ["orientations", "spots", "raw"]),
    "powder": Made(["powder"]),
    "comparison": Made(["comparison", "material.names"], ["phases", "powder"]),
}


def made(result):
    return FLOW[result]


def found(result, *changes):
    return folder_for(result, folder_of({column(change): "1" for change in changes}), made)


@pytest.mark.parametrize(
    ("result", "changes", "kept"),
    [
        ("raw", ["spots.sigma", "powder.terms"], []),
        ("spots", ["spots.sigma", "phases.above"], ["spots.sigma"]),
        ("templates", ["orientations.n_best"], []),
        ("templates", ["orientations.resolution_deg"], ["orientations.resolution_deg"]),
        ("orientations", ["spots.radius", "orientations.n_best"],
         ["spots.radius", "orientations.n_best"]),
        ("phases", ["powder.terms", "orientations.n_best"], ["orientations.n_best"]),
        ("powder", ["phases.above", "comparison.margin"], []),
        ("comparison", ["spots.sigma", "powder.terms"], ["spots.sigma", "powder.terms"]),
    ],
)  # fmt: skip
def test_a_result_lies_below_the_changes_that_it_or_what_it_reads_is_given(result, changes, kept):
    assert found(result, *changes) == folder_of({column(change): "1" for change in kept})


def test_a_setting_is_not_taken_for_one_whose_name_it_begins_with():
    flow = {"a": Made(["grains"]), "b": Made(["grains.min"])}
    variant = folder_of({"grains_of_salt__min": "1", "grains__min_positions": "2"})
    assert folder_for("a", variant, flow.__getitem__) == "sweep/grains__min_positions~2/"
    assert folder_for("b", variant, flow.__getitem__) == ""


def test_text_of_a_path_that_looks_like_a_change_is_none():
    flow = {"spots~1/grains__min~2": Made(["spots"], ["grains__min~3"]), "grains__min~3": Made()}
    variant = folder_of({"grains__min": "3"})
    assert folder_for("spots~1/grains__min~2", variant, flow.__getitem__) == ""


def test_what_many_results_read_is_looked_up_once_each():
    depth, asked = 40, []
    flow = {str(n): Made([f"s{n}"], [str(n + 1), str(n + 1)]) for n in range(depth)}

    def look_up(result):
        asked.append(result)
        return flow.get(result, Made())

    assert given_upstream("0", look_up) == {f"s{n}" for n in range(depth)}
    assert len(asked) <= 2 * (depth + 1)


NAME = st.from_regex(r"[a-z][a-z0-9]{0,5}__[a-z]{1,6}", fullmatch=True)
# In one order, which is a sweep's own.
CHANGES = st.sets(st.sampled_from(["powder__terms~1", "spots__sigma~1", "spots__sigma~2"])).map(
    lambda parts: changes_in("/".join(sorted(parts)))
)
VALUE = st.from_regex(r"[A-Za-z0-9._+-]{1,8}", fullmatch=True)


@given(st.dictionaries(NAME, VALUE))
def test_a_folder_says_what_its_variant_changes(labels):
    folder = folder_of(labels)
    assert changes_in(folder) == labels
    assert folder == "" or folder.endswith("/")


@given(
    one=CHANGES,
    other=CHANGES,
    result=st.sampled_from(sorted(FLOW)),
)
def test_variants_share_a_result_where_they_agree_on_what_it_is_made_with(one, other, result):
    used = {column(path) for path in given_upstream(result, made)}
    agree = all(
        one.get(name) == other.get(name)
        for name in {*one, *other}
        if any(f"{name}__".startswith(f"{path}__") for path in used)
    )
    same = folder_for(result, folder_of(one), made) == folder_for(result, folder_of(other), made)
    assert same == agree
