"""What compiled code must be for its results not to depend on what was compiled before.

Numba keeps a kernel that it compiled for as long as the kernel's own file stays. It does not see
other files; and a kernel that it builds of kept parts is optimised otherwise than one built whole,
which changes last digits where sums may be reordered.
"""

import ast
from pathlib import Path

import pytest

import phasefront

SOURCES = sorted(Path(phasefront.__file__).parent.rglob("*.py"))


class Kernel:
    """A compiled function of a module: how it is compiled, and what it names."""

    def __init__(self, function: ast.FunctionDef, decorator: str):
        self.name = function.name
        self.kept, self.fast = "cache=True" in decorator, "fastmath" in decorator
        self.names = {
            node.id
            for statement in function.body
            for node in ast.walk(statement)
            if isinstance(node, ast.Name)
        }

    def tree(self, kernels: dict[str, "Kernel"]) -> set[str]:
        """Names of all kernels that are compiled into this one."""
        found, waiting = set(), {self.name}
        while waiting:
            name = waiting.pop()
            inner = (self if name == self.name else kernels[name]).names & kernels.keys()
            waiting |= inner - found
            found |= inner
        return found


def kernels_of(text: str) -> tuple[dict[str, Kernel], set[str]]:
    """Kernels of a module by name, and what it imports from the package."""
    kernels, imported = {}, set()
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef):
            for decorator in map(ast.unparse, node.decorator_list):
                if "njit" in decorator:
                    kernels[node.name] = Kernel(node, decorator)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("phasefront"):
            imported |= {alias.asname or alias.name for alias in node.names}
    return kernels, imported


def faults(text: str) -> list[str]:
    kernels, imported = kernels_of(text)
    found = [
        f"{kernel.name} uses {name} of another module"
        for kernel in kernels.values()
        for name in sorted(kernel.names & imported)
    ]
    for kernel in kernels.values():
        tree = kernel.tree(kernels)
        if kernel.fast or any(kernels[name].fast for name in tree):
            found += [
                f"{name} is kept, and is part of {kernel.name}"
                for name in sorted(tree)
                if kernels[name].kept
            ]
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_kernels_do_not_depend_on_what_was_compiled_before(path):
    assert faults(path.read_text(encoding="utf-8")) == []


def test_the_package_has_kernels_with_reordered_sums_to_look_at():
    assert any(k.fast for path in SOURCES for k in kernels_of(path.read_text())[0].values())


def test_faults_are_found():
    text = """
from phasefront.other import weight

@njit(cache=True, fastmath={"reassoc"})
def outer(x):
    return middle(x) + weight

@njit(cache=True)
def middle(x):
    return inner(x)

@njit
def inner(x):
    return x
"""
    assert faults(text) == [
        "outer uses weight of another module", "middle is kept, and is part of outer"
    ]  # fmt: skip
    assert faults(text.replace(', fastmath={"reassoc"}', "").replace("+ weight", "")) == []
