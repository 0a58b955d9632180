"""What the tests of the workflow share."""

import sys
from pathlib import Path

# Scripts import each other by name, as they do when Snakemake runs them.
sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
