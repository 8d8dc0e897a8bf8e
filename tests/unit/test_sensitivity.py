"""What the benchmark of chosen constants changes is there, and reaches what uses it."""

import importlib
import sys

import pytest
from projects import ROOT

sys.path.insert(0, str(ROOT))

from benchmarks import pair_sensitivity, sensitivity

CONSTANTS = [*sensitivity.CONSTANTS, *pair_sensitivity.CONSTANTS]


@pytest.mark.parametrize("name", CONSTANTS)
def test_a_constant_has_another_value_inside_and_its_own_after(name):
    module, own = f"phasefront.{name}".rsplit(".", 1)
    module = importlib.import_module(module)
    kept = getattr(module, own)
    with sensitivity.with_constant(name, 2.0):
        assert getattr(module, own) == 2 * kept
    assert getattr(module, own) is kept


def test_a_constant_is_changed_where_it_has_been_imported_to():
    from phasefront.diffraction import reflections
    from phasefront.report.explorer import assembly

    assert assembly.WEAKEST is reflections.WEAKEST
    with sensitivity.with_constant("diffraction.reflections.WEAKEST", 0.5):
        assert assembly.WEAKEST == reflections.WEAKEST == 0.005


def test_a_private_constant_of_the_same_name_and_value_is_left_alone():
    from phasefront.diffraction import cells
    from phasefront.phases import distortion

    assert cells._ROUNDS is distortion._ROUNDS
    with sensitivity.with_constant("diffraction.cells._ROUNDS", 2.0):
        assert (cells._ROUNDS, distortion._ROUNDS) == (6, 3)


def test_a_constant_that_a_kernel_is_compiled_with_is_refused():
    refused = pytest.raises(ValueError, match="compiled into kernels")
    with refused, sensitivity.with_constant("phases.forced._PROMISED", 2.0):
        pass
