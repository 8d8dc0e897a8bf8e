"""Shares of columns by the contents of their cells, freed of the contents' errors."""

import numpy as np
import pytest
from stages import build_phases

from phasefront.fractions.columns import weigh_columns
from phasefront.layouts.phases import MIXED

CONTENTS = np.array([3.0, 2.0, 1.0])
ERROR = 0.08


def columns(content, *, scatter=0.75, seed=0, grains=12):
    """PHASES of decided columns of true contents (n,), their shares and grains."""
    rng = np.random.default_rng(seed)
    content = np.asarray(content, "f8").reshape(grains, -1)
    decision = np.abs(content[..., None] - CONTENTS).argmin(axis=-1)
    share = np.eye(3)[decision]
    phases = build_phases(["a", "b", "c"], decision, scan="map", share=share).assign(
        ion_content=(("y", "x"), content + scatter * ERROR * rng.standard_normal(content.shape)),
        ion_content_stderr=(("y", "x"), np.full(content.shape, ERROR)),
    )
    unit = np.arange(grains)[:, None].repeat(content.shape[1], axis=1)
    return phases, share, unit


def test_thin_layers_of_decided_columns_count():
    content = np.full((12, 60), 3.0)
    content[:, :12] = 2.85  # a fifth of the columns with 0.15 of the second phase: decided whole
    phases, share, unit = columns(content)
    found = weigh_columns(phases, share, unit, CONTENTS)
    np.testing.assert_allclose(found.sum(axis=-1), 1)
    assert share[..., 1].mean() == 0
    assert found[..., 1].mean() == pytest.approx(0.03, abs=0.005)


def test_pure_grains_stay_nearly_pure():
    phases, share, unit = columns(np.full((12, 60), 2.0), seed=1)
    found = weigh_columns(phases, share, unit, CONTENTS)
    assert found[..., 1].mean() > 0.993


def test_columns_without_a_content_keep_their_shares():
    phases, share, unit = columns(np.full((12, 60), 2.0))
    phases["ion_content"][:] = np.nan
    np.testing.assert_array_equal(weigh_columns(phases, share, unit, CONTENTS), share)


def test_columns_of_two_lattices_keep_their_shares_where_they_are_mixed():
    phases, share, unit = columns(np.full((12, 60), 2.0))
    phases["decision"][:, 0] = MIXED
    phases["second_phase"][:, 0] = 1
    share[:, 0] = 0.5, 0.5, 0
    found = weigh_columns(phases, share, unit, CONTENTS)
    np.testing.assert_array_equal(found[:, 0], share[:, 0])
