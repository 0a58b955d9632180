"""The site of the documentation is built without a warning."""

import os
import subprocess
import sys

import pytest


def test_the_site_is_built_without_a_warning(root, tmp_path):
    pytest.importorskip("mkdocs", reason="pip install -e '.[docs]'")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    process = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    assert process.returncode == 0, process.stdout + process.stderr
    page = (tmp_path / "api" / "attribution" / "index.html").read_text()
    assert "lcrp.attribution.Explainer.explain" in page
    assert (tmp_path / "changelog" / "index.html").is_file()
    assert (tmp_path / "explain-a-prediction" / "index.html").is_file()
