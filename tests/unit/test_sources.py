"""A source that is registered is everywhere, without another line about it anywhere."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from sources import PHASES, compare, make_cycling, make_fractions, make_powder

from phasefront.comparison.sources import registry
from phasefront.comparison.sources.source import Source
from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.layouts.comparison import COMPARISON
from phasefront.report import conclusions, tables
from phasefront.report.figures.comparison import draw_comparison

STATES = {"full": 3.0, "half": 2.5, "empty": 2.0}


class Tomography(Source):
    """Ion contents of a tomogram, with half widths of their intervals, and no phases."""

    name, label, phrase, item = "tomography", "X-ray CT", "X-ray tomography", "tomogram"
    colour, marker = "#0000FF", "P"
    sees_phases = False

    def ion_content(self, data, state):
        value, half = np.mean([d["x"] for d in data]), float(data[0]["half"])
        return np.array([value, value - half, value + half])

    def usable(self, data, material):
        return [d for d in data if not d.attrs["refused"]]

    def refused(self, data, material):
        return "; ".join(d.attrs["refused"] for d in data if d.attrs["refused"])


@pytest.fixture
def tomography(monkeypatch):
    monkeypatch.setattr(registry, "SOURCES", [*registry.SOURCES, Tomography()])


def tomogram(content, refused=""):
    return xr.Dataset({"x": content, "half": 0.02}, attrs={"refused": refused})


def compared(**more):
    fractions = {
        name: make_fractions(x, 0.03, molar=(x - 2, 3 - x, 0)) for name, x in STATES.items()
    }
    powder = {name: [make_powder((x - 2, 3 - x, 0))] for name, x in STATES.items()}
    return compare(
        states=STATES, stem=fractions, cycling=dict.fromkeys(STATES, make_cycling(STATES)),
        powder=powder, **more,
    )  # fmt: skip


def with_tomography():
    found = {name: [tomogram(x + 0.01)] for name, x in STATES.items()}
    found["empty"] = [tomogram(2.2, refused="blurred")]
    return compared(more={"tomography": found})


def test_pairs_follow_from_the_order_of_the_table():
    assert registry.pairs() == [
        ("stem", "cycling"), ("stem", "powder"), ("stem", "cells"), ("powder", "cycling"),
        ("powder", "cells"), ("cells", "cycling"),
    ]  # fmt: skip
    alone = registry.pairs(registry.taking_part({}))
    assert alone == [("stem", "cycling"), ("stem", "powder"), ("powder", "cycling")]


def test_pairs_of_a_further_source_come_with_it(tomography):
    assert set(registry.pairs(registry.taking_part({}))) == {
        ("stem", "cycling"), ("stem", "powder"), ("stem", "tomography"), ("powder", "cycling"),
        ("powder", "tomography"), ("tomography", "cycling"),
    }  # fmt: skip


def test_a_further_source_changes_no_number_of_the_others(tomography, monkeypatch):
    more = with_tomography()
    # Means are over the states that every source knows, so one that misses a state moves them.
    of_means = [name for name in more.variables if str(name).startswith(("mean_ion", "mean_frac"))]
    monkeypatch.undo()
    alone = compared()
    kept = more.sel(source=alone["source"], pair=alone["pair"]).drop_vars(of_means)
    xr.testing.assert_identical(
        kept.drop_attrs(deep=False), alone.drop_vars(of_means).drop_attrs(deep=False)
    )


def test_a_further_source_is_in_files_tables_and_sentences(tomography, tmp_path):
    found = with_tomography()
    netcdf.write(found, tmp_path / "comparison.nc", COMPARISON)
    of_it = found.sel(source="tomography")
    np.testing.assert_allclose(of_it["ion_content"], [3.01, 2.51, np.nan])
    assert np.isnan(of_it["fraction"]).all()
    pair = found.sel(pair="tomography - cycling")
    np.testing.assert_allclose(pair["mean_difference"], 0.01)
    assert pair["states_compared"] == 2

    table = tables.comparison_table(found)
    row = table.query("state == 'half' and source == 'tomography' and phase == ''").squeeze()
    assert (row["value"], row["low"]) == (pytest.approx(2.51), pytest.approx(2.49))
    notes = table[table["source"] == "tomography"].groupby("state")["note"].first()
    assert notes["empty"] == "refused: blurred" and pd.isna(notes["half"]) | (notes["half"] == "")
    assert {"tomography", "tomography - cycling"} <= set(tables.printed_table(found).columns)
    assert "X-ray CT $-$ charge" in tables.latex_table(found)

    said = conclusions.conclude(found)
    assert "X-ray tomography and charge agree" in said["sentence"]
    assert "Tomogram refused: blurred." in said["sentence"]
    (sentence,) = [p["sentence"] for p in said["pairs"] if p["pair"] == "tomography - cycling"]
    assert "(X-ray tomography minus charge) is +0.010" in sentence
    state = conclusions.summary(found, {}, run="r", seconds={})["states"][1]
    assert state["x"]["tomography"]["value"] == pytest.approx(2.51)
    # It sees no phases.
    assert set(state["fractions"]) == {"stem", "powder"}
    assert set(state["fractions"]["stem"]) == set(PHASES)


def test_a_further_source_is_drawn(tomography):
    figure = draw_comparison([make_cycling(STATES)], with_tomography())
    titles = [ax.get_title(loc="left") + ax.get_title() for ax in figure.axes]
    for pair in ("X-ray CT − charge", "4D-STEM − X-ray CT", "powder XRD − X-ray CT"):
        assert any(pair in title for title in titles), titles
    _, parity, *_ = figure.axes
    drawn = [text.get_text() for text in parity.get_legend().get_texts()]
    assert sorted(drawn) == ["4D-STEM", "X-ray CT", "powder XRD"]
    fractions = [text.get_text() for text in figure.subfigs[-1].legends[0].get_texts()]
    assert sorted(fractions) == ["4D-STEM", "charge", "powder XRD"]


def test_a_source_that_is_not_registered_is_refused_by_name():
    with pytest.raises(InputError, match="there is no source 'tomography'"):
        with_tomography()
