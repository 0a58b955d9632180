"""Executes notebooks from top to bottom, in place; a cell that fails is an error.

    python docs/execute.py NOTEBOOK...

Needs nbclient and ipykernel (`pip install -e '.[docs]'`). What differs between two runs without
meaning anything (times, versions, ids) is not kept.
"""

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient


def execute(path, timeout=600):
    """The notebook at a path, executed with the present interpreter in the notebook's folder."""
    path = Path(path)
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook, timeout=timeout, resources={"metadata": {"path": str(path.parent)}}
    ).execute()
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
        cell.metadata.pop("execution", None)
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return notebook


if __name__ == "__main__":
    for path in sys.argv[1:]:
        nbformat.write(execute(path), path)
