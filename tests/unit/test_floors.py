"""The library stands on floors: what is on one imports only from those below it."""

import ast
import re

import pytest

FLOORS = (
    ("errors", "object_masks", "plotting", "resampling"),
    ("files", "layers"),
    ("configuration", "file_names"),
    ("acquire", "checkpoints", "scenes", "store"),
    ("context", "models"),
    ("attribution", "datasets"),
    ("analysis", "effect", "quality", "training"),
    ("joined_tables", "swaps", "verification"),
    ("render",),
    ("report",),
)
HEIGHT = {name: height for height, names in enumerate(FLOORS) for name in names}


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


def test_the_architecture_page_shows_these_floors(root):
    page = (root / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line[:3] in {f"| {n}" for n in range(1, 10)}]
    shown = [tuple(re.findall(r"`(\w+)`", row)) for row in rows]
    assert shown == list(FLOORS)
