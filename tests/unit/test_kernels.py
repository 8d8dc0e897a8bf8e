"""What compiled code must be for its results not to depend on what was compiled before.

Numba keeps what it compiled for as long as the kernel's own file stays: it does not see changes in
other files. And how it builds one kernel into another depends on which of them were compiled
before, which changes last digits where the compiler may reorder sums or fuse a product with a sum.
"""

import ast
from pathlib import Path

import pytest

import phasefront

SOURCES = sorted(Path(phasefront.__file__).parent.rglob("*.py"))
# Their sums are of whole numbers below 2^24, or of one number and zeros, or they look for the
# largest: exact in any order.
EXACT = {"_count", "_sum_between", "_nonzero"}


def kernels_of(text: str) -> list[tuple[ast.FunctionDef, str]]:
    """Compiled functions of a module, and how they are compiled."""
    return [
        (node, decorator)
        for node in ast.parse(text).body
        if isinstance(node, ast.FunctionDef)
        for decorator in map(ast.unparse, node.decorator_list)
        if "njit" in decorator
    ]


def faults(text: str) -> list[str]:
    imported = {
        alias.asname or alias.name
        for node in ast.parse(text).body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("phasefront")
        for alias in node.names
    }
    found = []
    for kernel, decorator in kernels_of(text):
        names = {n.id for part in kernel.body for n in ast.walk(part) if isinstance(n, ast.Name)}
        found += [f"{kernel.name} uses {name} of another module" for name in names & imported]
        if "fastmath" in decorator and kernel.name not in EXACT:
            found.append(f"{kernel.name} may be reordered")
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_kernels_do_not_depend_on_what_was_compiled_before(path):
    assert faults(path.read_text(encoding="utf-8")) == []


def test_all_that_are_excepted_are_there():
    names = {kernel.name for path in SOURCES for kernel, _ in kernels_of(path.read_text())}
    assert names >= EXACT
    assert len(names) > 50


def test_faults_are_found():
    text = """
from phasefront.other import weight

@njit(cache=True, fastmath=True)
def outer(x):
    return weight * inner(x)

@numba.njit
def inner(x):
    return x
"""
    assert faults(text) == ["outer uses weight of another module", "outer may be reordered"]
