"""What the engine stands on: it knows no network, and nothing of what is built on it."""

import ast
import subprocess
import sys
from pathlib import Path

import lcrp.attribution

FLOOR = {
    "lcrp.errors",
    "lcrp.layers",
    "lcrp.object_masks",
    "lcrp.models.base",
    "lcrp.models.predictions",
}


def imported(path):
    """Names of the modules that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_the_engine_imports_nothing_that_is_built_on_it():
    files = list(Path(lcrp.attribution.__file__).parent.rglob("*.py"))
    assert len(files) > 20
    own = {name for file in files for name in imported(file) if name.startswith("lcrp")}
    assert {name for name in own if not name.startswith("lcrp.attribution")} <= FLOOR


def test_the_engine_loads_without_torchvision():
    code = "import sys, lcrp.attribution; sys.exit('torchvision' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
