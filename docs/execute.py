"""Executes notebooks from top to bottom, in place; a cell that fails is an error.

    python docs/execute.py NOTEBOOK...

Needs nbclient and ipykernel (`pip install -e '.[notebook]'`). What differs between two runs without
meaning anything (times, versions, ids) is not kept.
"""

import base64
import io
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

COLOURS = 256
LARGEST = 1000  # pixels


def execute(path, timeout=1200):
    """The notebook at a path, executed with the present interpreter in the notebook's folder."""
    path = Path(path)
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook, timeout=timeout, resources={"metadata": {"path": str(path.parent)}}
    ).execute()
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            _tidied(cell)
        cell["id"] = f"cell-{number}"
        cell.metadata.pop("execution", None)
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return notebook


def _tidied(cell):
    """Drops what a code cell says about the surroundings; keeps its pictures small."""
    cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    for output in cell.outputs:
        if "image/png" in output.get("data", {}):
            output.data["image/png"] = smaller(output.data["image/png"])
            output.metadata = {}


def smaller(png):
    """A PNG (base64) with fewer pixels and colours, so that the repository stays small."""
    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    picture.thumbnail((LARGEST, 10 * LARGEST), Image.Resampling.LANCZOS)
    packed = io.BytesIO()
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(packed, "png", optimize=True)
    return base64.b64encode(packed.getvalue()).decode()


if __name__ == "__main__":
    for path in sys.argv[1:]:
        nbformat.write(execute(path), path)
