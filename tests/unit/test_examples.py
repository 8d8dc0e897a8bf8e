"""Example data sets are valid ones of every layout, whatever a test says of them."""

import importlib
import pkgutil

import numpy as np
import pytest
from examples import example, example_spots

from phasefront import layouts
from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.layouts.grains import GRAINS
from phasefront.layouts.phases import PHASES

MODULES = [
    importlib.import_module(f"phasefront.layouts.{found.name}")
    for found in pkgutil.iter_modules(layouts.__path__)
]
LAYOUTS = {
    name: layout
    for module in MODULES
    for name, layout in vars(module).items()
    if isinstance(layout, netcdf.Layout)
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_the_example_of_any_layout_is_written_and_read(layout, tmp_path):
    made = example(layout)
    netcdf.write(made, tmp_path / "made.nc", layout)
    again = netcdf.read(tmp_path / "made.nc", layout)
    for name in layout.variables:
        np.testing.assert_array_equal(again[name].values, made[name].values)


def test_an_example_holds_what_is_given_and_fills_the_rest():
    made = example(PHASES, phase=["a", "b", "c"], decision=np.ones((4, 5)), share=0.5, scan="s")
    assert made.sizes["x"] == 5 and made["rotation"].shape == (4, 5, 3, 4)
    assert (made["share"] == 0.5).all() and (made["second_phase"] == -1).all()
    assert np.isnan(made["posterior"]).all()
    assert made.attrs["scan"] == "s"
    assert example(PHASES, y=3)["decision"].shape == (3, 2)


def test_lists_of_grains_and_positions_have_their_ends():
    assert example(GRAINS, size=[3, 2, 1])["outline_offset"].shape == (4,)
    spots = example_spots([[1, 0, 2]], [0.1, 0.2, 0.3], [0.4, 0.5, 0.6])
    assert spots["offset"].values.tolist() == [0, 1, 1, 3]
    assert example_spots(np.zeros((2, 2)), [], [])["offset"].shape == (5,)


def test_what_a_layout_does_not_have_is_refused():
    with pytest.raises(InputError, match="'shares'"):
        example(PHASES, shares=0.5)
    with pytest.raises(ValueError, match="broadcast"):
        example(PHASES, decision=np.zeros((4, 5)), explained=np.zeros((5, 4)))
