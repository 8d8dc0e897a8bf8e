"""A source that is registered is everywhere, without another line about it anywhere."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from examples import example
from sources import PHASES, compare, make_cycling, make_fractions, make_powder

from phasefront.comparison.sources import registry
from phasefront.comparison.sources.source import Source
from phasefront.comparison.sources.units import mapped_units
from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.layouts.chemistry import CHEMISTRY
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

    def sampled(self, data):
        return 5, 0.25

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
        ("stem", "cycling"), ("stem", "powder"), ("stem", "cells"), ("stem", "chemistry"),
        ("powder", "cycling"), ("powder", "cells"), ("powder", "chemistry"), ("cells", "cycling"),
        ("cells", "chemistry"), ("chemistry", "cycling"),
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
    assert notes["empty"] == "refused: blurred"
    assert notes["half"] == "mean of 5, between which the standard deviation is 0.25"
    assert pd.isna(notes["all states"]) | (notes["all states"] == "refused: blurred")
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


def mapped(content, *, particle, shared=0.0, thick=1.0, told=1):
    content = np.broadcast_to(content, (3, 4))
    made = example(
        CHEMISTRY, value=content, standard_error=0.05, systematic_error=shared, mask=told,
        thickness=thick, quantity="ion content",
    )  # fmt: skip
    return mapped_units(made, particle=particle)


def said_by_maps(*maps):
    found = compared(more={"chemistry": {"half": list(maps)}})
    of_it = found.sel(source="chemistry", state="half")
    names = ("ion_content", "ion_content_low", "ion_content_high", "refused")
    return [of_it[name].item() for name in names]


def test_maps_are_a_sample_of_particles_and_few_say_nothing_of_a_state():
    value, low, high, refused = said_by_maps(
        *(mapped(2.5 + off, particle=f"p{off}") for off in (-0.1, 0.0, 0.1))
    )
    assert (value, refused) == (pytest.approx(2.5), "")
    # Student's t of two degrees of freedom times the spread over the root of three.
    assert (high - low) / 2 == pytest.approx(4.303 * 0.1 / np.sqrt(3), rel=0.1)
    value, *_, refused = said_by_maps(mapped(2.4, particle="a"), mapped(2.6, particle="b"))
    assert np.isnan(value)
    assert refused == "2 mapped grains, where 3 are needed to tell how they differ"
    *_, refused = said_by_maps(*(mapped(2.5, particle="one") for _ in range(5)))
    assert refused.startswith("1 mapped grain, where")


def test_what_all_maps_are_off_by_together_is_in_the_interval():
    alone, shared = (
        said_by_maps(*(mapped(2.5, particle=name, shared=error) for name in "abc"))
        for error in (0.0, 0.1)
    )
    assert shared[0] == alone[0] == pytest.approx(2.5)
    assert (shared[2] - shared[1]) / 2 == pytest.approx(1.96 * 0.1, rel=0.02)
    assert alone[2] - alone[1] < (shared[2] - shared[1]) / 3


def test_thick_positions_of_a_map_weigh_more():
    thick = np.array([[3.0], [1.0], [0.0]])
    content = np.array([[2.0], [3.0], [9.0]])
    for weight, expected in ((thick, 2.25), (np.nan, 14 / 3)):
        maps = [mapped(content, particle=name, thick=np.broadcast_to(weight, (3, 4)))
                for name in "abc"]  # fmt: skip
        assert said_by_maps(*maps)[0] == pytest.approx(expected)


def test_maps_without_a_told_position_are_no_particles():
    blank = mapped(2.5, particle="c", told=0)
    *_, refused = said_by_maps(mapped(2.5, particle="a"), mapped(2.5, particle="b"), blank)
    assert refused.startswith("2 mapped grains")
