"""Folders in which the workflow is run for real, on a small configuration."""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
SNAKEMAKE = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]


class Run:
    """A finished call of Snakemake: exit code, what it said, and the jobs of each rule."""

    def __init__(self, code, text):
        self.code, self.text = code, text

    @property
    def done(self):
        """How many jobs of each rule were finished."""
        return Counter(re.findall(r"Finished jobid: \d+ \(Rule: ([\w-]+)\)", self.text))

    @property
    def planned(self):
        """How many jobs of each rule a dry run announces."""
        if "Nothing to be done" in self.text:
            return Counter()
        table = self.text.rsplit("Job stats:\n", 1)[1].split("\ntotal")[0]
        return Counter(
            {name: int(count) for name, count in re.findall(r"^([\w-]+) +(\d+)$", table, re.M)}
        )


class Project:
    """A folder with a configuration, in which Snakemake is run."""

    def __init__(self, folder):
        self.folder = Path(folder)

    def __truediv__(self, path):
        return self.folder / path

    def configure(self, *experiments):
        """Name the experiments in config/config.yaml."""
        self.write("config/config.yaml", {"experiments": list(experiments)})

    def write(self, path, content):
        """Write a YAML file."""
        path = self / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(content, sort_keys=False))

    def experiment(self, name):
        """The content of an experiment's file."""
        return yaml.safe_load((self / f"config/experiments/{name}.yaml").read_text())

    def change(self, name, changes):
        """Change entries of an experiment, given by dotted path."""
        content = self.experiment(name)
        for path, value in changes.items():
            *parents, last = path.split(".")
            entry = content
            for parent in parents:
                entry = entry.setdefault(parent, {})
            entry[last] = value
        self.write(f"config/experiments/{name}.yaml", content)

    def snakemake(self, *arguments, check=True):
        """Run Snakemake here."""
        process = subprocess.run(
            [*SNAKEMAKE, "--directory", str(self.folder), *arguments],
            capture_output=True,
            text=True,
            timeout=2400,
        )
        run = Run(process.returncode, process.stdout + process.stderr)
        assert run.code == 0 or not check, run.text[-8000:]
        return run

    def run(self, *arguments, check=True):
        """Run the workflow, on two cores unless CORES says otherwise."""
        return self.snakemake("--cores", os.environ.get("CORES", "2"), *arguments, check=check)

    def plan(self, *arguments):
        """What would be run: jobs by rule."""
        return self.snakemake("--dry-run", *arguments).planned

    def complaint(self, run, rule):
        """The one line that a failed job left in its log, and in what Snakemake shows."""
        assert run.code != 0 and not run.done[rule]
        (log,) = (self / "logs" / rule).rglob("*.log")
        lines = [line for line in log.read_text().splitlines() if "%|" not in line]
        assert len(lines) == 1, lines
        assert lines[0] in run.text
        left = [path for path in self.folder.rglob("*part*") if ".snakemake" not in path.parts]
        assert not left
        return lines[0]

    def copy(self, folder):
        """The same project elsewhere, with everything that was computed."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Project(folder)
