"""The habits: format and lint."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent
COMMANDS = {
    "ruff": [BIN / "ruff", "check", "--no-cache", "."],
    "ruff format": [BIN / "ruff", "format", "--no-cache", "--check", "."],
    "snakefmt": [BIN / "snakefmt", "--check", "Snakefile", "rules"],
    "snakemake": [BIN / "snakemake", "--lint"],
}


@pytest.mark.parametrize("tool", COMMANDS)
def test_nothing_to_complain_about(root, tool):
    command = COMMANDS[tool]
    if not shutil.which(command[0]):
        pytest.skip(f"{command[0].name} is not installed; pip install -e '.[test]'")
    process = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=300)
    assert process.returncode == 0, process.stdout + process.stderr


def test_the_conda_environment_is_in_step_with_the_package(root):
    import tomllib

    import yaml

    wanted = tomllib.loads((root / "pyproject.toml").read_text())["project"]["dependencies"]
    environment = yaml.safe_load((root / "workflow/envs/lcrp.yaml").read_text())
    assert environment["dependencies"][-1]["pip"] == wanted


def test_every_script_is_a_rule_and_says_what_it_makes(root):
    text = "".join(path.read_text() for path in sorted((root / "rules").glob("*.smk")))
    helpers = {"job", "composing", "where_to_look"}
    for script in sorted((root / "scripts").glob("*.py")):
        assert script.read_text().startswith('"""'), script
        if script.stem not in helpers:
            assert f" {script.stem}:\n" in text, f"no rule is called {script.stem}"
            assert f'"../scripts/{script.name}"' in text
