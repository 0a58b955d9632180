"""The public face has types, and they hold together."""

import inspect
import subprocess
import sys
from importlib import import_module

import pytest

PUBLIC = ("lcrp.attribution", "lcrp.configuration", "lcrp.context", "lcrp.datasets", "lcrp.models")
PUBLIC += ("lcrp.joined_tables", "lcrp.report", "lcrp.store")


def functions(package):
    """(name, function) of what a package exports, methods of classes included."""
    module = import_module(package)
    for name in module.__all__:
        exported = getattr(module, name)
        if inspect.isclass(exported):
            for method, function in vars(exported).items():
                # The default of a field is a function of another name.
                own = inspect.isfunction(function) and function.__name__ == method
                if own and not method.startswith("_"):
                    yield f"{name}.{method}", function
        elif inspect.isfunction(exported):
            yield name, exported


@pytest.mark.parametrize("package", PUBLIC)
def test_public_functions_have_types(package):
    bare = []
    for name, function in functions(package):
        signature = inspect.signature(function)
        given = [p.annotation for p in signature.parameters.values() if p.name != "self"]
        if signature.empty in (*given, signature.return_annotation):
            bare.append(name)
    assert bare == []


def test_the_types_hold_together(root):
    pytest.importorskip("mypy", reason="pip install -e '.[test]'")
    command = [sys.executable, "-m", "mypy"]
    process = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert process.returncode == 0, process.stdout
