"""Transports and promises use the public interface of the libraries that they stand on, and nothing else."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import wechatpay

ROOT = Path(wechatpay.__file__).parent
FILES = sorted([*ROOT.glob("transports/*.py"), *ROOT.glob("promise*/*.py"), *ROOT.glob("promise.py")])

#: Whose private attributes are our own: an instance's, or its class's.
OWN = ("self", "cls")

#: Classes of ours that extend a library's: there, even `self._name` may be the library's.
LIBRARIES = {"HTTPAdapter", "HTTPConnection", "HTTPSConnection", "HTTPResponse", "TCPConnector", "RawIOBase"}


def is_private(name):
    """Return whether a name has one leading underscore: `__name__` is the language's."""
    return name.startswith("_") and not name.endswith("__")


def own_names(tree):
    """Give the private names that a module defines itself."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            names |= {node.attr} if isinstance(node.value, ast.Name) and node.value.id == "self" else set()
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return names


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_private_name_of_a_library_is_used(file):
    """Neither as an attribute, nor imported, nor by its text; nor is anything patched in."""
    tree = ast.parse(file.read_text())
    own = own_names(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            assert getattr(node.value, "id", "") in OWN or node.attr in own, ast.unparse(node)
        if isinstance(node, ast.ImportFrom) and not (node.module or "").startswith("wechatpay"):
            assert not any(is_private(alias.name) for alias in node.names), ast.unparse(node)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("getattr", "setattr", "delattr"):
            assert not is_private(getattr(node.args[1], "value", "")), ast.unparse(node)
        if isinstance(node, ast.Attribute) and node.attr == "modules":
            assert not isinstance(node.ctx, ast.Store), ast.unparse(node)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_classes_that_extend_a_librarys_have_no_private_attributes(file):
    """Their names could be the library's, today or in its next release."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ClassDef) and any(
            ast.unparse(base).rpartition(".")[2] in LIBRARIES for base in node.bases
        ):
            private = [
                ast.unparse(inner)
                for inner in ast.walk(node)
                if isinstance(inner, ast.Attribute) and is_private(inner.attr)
            ]
            private += [
                inner.name
                for inner in node.body
                if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef) and is_private(inner.name)
            ]
            assert [] == private


def test_the_transports_are_among_the_files():
    """The test would find nothing in an empty list."""
    assert {"blocking.py", "asynchronous.py"} <= {file.name for file in FILES}
