"""Print where the reports of the configured experiments are: the last thing of `make demo`."""

from pathlib import Path

from lcrp.configuration import read_configuration

if __name__ == "__main__":
    print("\nOpen in a browser:")
    for name in read_configuration().experiments:
        print(f"  {Path('results', name, 'report', 'index.html').resolve().as_uri()}")
