"""`python -m lcrp.configuration` lists the architectures.

With a folder and a Markdown file it writes the schemas into the one and the table of settings into
the other: `python -m lcrp.configuration workflow/schemas config/README.md`.
"""

import sys

from lcrp.configuration.architectures import ARCHITECTURES
from lcrp.configuration.schema import write_schemas
from lcrp.configuration.table import write_table

if __name__ == "__main__":
    if len(sys.argv) == 3:
        for path in [*write_schemas(sys.argv[1]), write_table(sys.argv[2])]:
            print(path)
    else:
        print("Architectures:", *ARCHITECTURES, sep="\n  ")
