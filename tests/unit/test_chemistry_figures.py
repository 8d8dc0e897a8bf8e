"""Pictures of stacks and chemistry: drawn whatever is missing, the same each time."""

import io

import numpy as np
import pytest
from examples import example

from phasefront.layouts.chemistry import CHEMISTRY
from phasefront.layouts.stacks import DENSITY
from phasefront.report.figures import chemistry, style


def picture(figure):
    stream = io.BytesIO()
    style.save(figure, stream)
    return stream.getvalue()


def density(values, **given):
    return example(
        DENSITY, energy=510.0 + np.arange(len(values)), optical_density=values, shift_y=0.1,
        shift_x=-0.2, shift_stderr=0.05, pixel_x_nm=40.0, max_density=2.2, **given,
    )  # fmt: skip


def test_a_stack_is_drawn_where_positions_have_no_density():
    values = np.random.default_rng(0).uniform(0, 2, (9, 12, 14))
    values[:, :2] = np.nan
    values[3] = np.nan
    found = density(values, saturated=values > 1.5)
    assert picture(chemistry.draw_density(found)) == picture(chemistry.draw_density(found))
    nothing = density(np.full((2, 4, 5), np.nan))
    assert len(picture(chemistry.draw_density(nothing))) > 1000


@pytest.mark.parametrize("told", [0.0, 0.5, 1.0])
def test_chemistry_is_drawn_where_nothing_is_told(told):
    rng = np.random.default_rng(0)
    values = np.where(rng.random((12, 14)) < told, rng.normal(2, 0.3, (12, 14)), np.nan)
    found = example(
        CHEMISTRY, value=values, standard_error=np.abs(values), systematic_error=values * 0.1,
        thickness=1.0, quantity="ion content", unit="ions per formula unit", pixel_x_nm=40.0,
        thickness_unit="optical density below the edge",
    )  # fmt: skip
    assert picture(chemistry.draw_chemistry(found)) == picture(chemistry.draw_chemistry(found))
