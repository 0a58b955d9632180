"""`python -m lcrp.configuration` lists the architectures; with a folder, writes the schemas."""

import sys

from lcrp.configuration.architectures import ARCHITECTURES
from lcrp.configuration.schema import write_schemas

if __name__ == "__main__":
    if len(sys.argv) > 1:
        for path in write_schemas(sys.argv[1]):
            print(path)
    else:
        print("Architectures:", *ARCHITECTURES, sep="\n  ")
