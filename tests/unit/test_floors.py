"""The library stands on floors: what is on one imports only from those below it."""

import ast
import re
from graphlib import TopologicalSorter

import pytest

FLOORS = (
    ("errors", "object_masks", "plotting", "resampling"),
    ("distance_bands", "file_names", "files", "layers"),
    ("configuration",),
    ("acquire", "checkpoints", "scenes", "store"),
    ("context", "models"),
    ("attribution", "datasets"),
    ("analysis", "effect", "quality", "training"),
    ("joined_tables", "swaps", "verification"),
    ("render",),
    ("report",),
)
HEIGHT = {name: height for height, names in enumerate(FLOORS) for name in names}
# Imports inside functions, each for the sake of what loads without torch or as little as it can.
LATE = {
    ("lcrp.configuration.model", "lcrp.configuration.architectures"),
    ("lcrp.datasets.masks", "lcrp.models.class_names"),
}


def imported(path):
    """The parts of the library that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
            if node.module == "lcrp":
                names = [f"lcrp.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name.split(".")[1] for name in names if name.startswith("lcrp."))


@pytest.fixture(scope="module")
def library(root):
    return root / "workflow" / "lcrp"


def test_every_part_of_the_library_has_a_floor(library):
    parts = {path.stem for path in library.glob("*.py")} - {"__init__"}
    parts |= {path.parent.name for path in library.glob("*/__init__.py")}
    assert parts == set(HEIGHT)


@pytest.mark.parametrize("part", HEIGHT)
def test_imports_lead_downwards(library, part):
    files = [library / f"{part}.py", *(library / part).rglob("*.py")]
    for path in (file for file in files if file.is_file()):
        for other in set(imported(path)) - {part}:
            place = path.relative_to(library)
            assert HEIGHT[other] < HEIGHT[part], f"{place} imports lcrp.{other}"


@pytest.fixture(scope="module")
def modules(library):
    """{name of a module: its syntax tree}."""
    found = {}
    for path in library.rglob("*.py"):
        parts = path.relative_to(library.parent).with_suffix("").parts
        name = ".".join(parts).removesuffix(".__init__")
        found[name] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def modules_imported(tree, modules):
    """The modules of the library that a piece of code imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            below = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in modules else node.module for name in below]
        else:
            continue
        yield from (name for name in names if name in modules)


def test_no_imports_run_in_a_circle(modules):
    order = {name: set(modules_imported(tree, modules)) for name, tree in modules.items()}
    tuple(TopologicalSorter(order).static_order())  # a circle is an error that shows it


def test_no_import_hides_in_a_function(modules):
    hidden = {
        (name, other)
        for name, tree in modules.items()
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for other in modules_imported(function, modules)
    }
    assert hidden == LATE


def test_the_architecture_page_shows_these_floors(root):
    page = (root / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line[:3] in {f"| {n}" for n in range(1, 10)}]
    shown = [tuple(re.findall(r"`(\w+)`", row)) for row in rows]
    assert shown == list(FLOORS)
