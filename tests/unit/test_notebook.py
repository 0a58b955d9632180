"""The notebook of the documentation runs as it stands, and shows what it says."""

import json

import pytest


@pytest.mark.proof
def test_the_notebook_runs_from_top_to_bottom(root, tmp_path, monkeypatch):
    pytest.importorskip("nbclient", reason="pip install -e '.[notebook]'")
    pytest.importorskip("ipykernel", reason="pip install -e '.[notebook]'")
    monkeypatch.syspath_prepend(str(root / "docs"))
    monkeypatch.setenv("PYTHONPATH", str(root / "workflow"))
    from execute import execute

    notebook = execute(root / "docs" / "explain-a-prediction.ipynb")
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in cells)
    shown = [output for cell in cells for output in cell.outputs if "data" in output]
    assert sum("image/png" in output["data"] for output in shown) == 1


def test_the_notebook_is_kept_with_what_it_shows(root):
    notebook = json.loads((root / "docs" / "explain-a-prediction.ipynb").read_text())
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["execution_count"] for cell in cells)
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert not any(output["output_type"] == "error" for output in outputs)
