"""Images before and after the confirmed interventions."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import pandas as pd

from lcrp.datasets.sample import Sample
from lcrp.effect.effect_columns import EXAMPLE_COLUMNS
from lcrp.effect.measuring import Effects
from lcrp.files import write_table

INDEX = "index.csv"


def write_examples(effects: Effects, samples: Sequence[Sample], folder: Path) -> pd.DataFrame:
    """Write PNG images of every confirmed effect on pixels, and `index.csv` that lists them.

    The files show the whole input of the network; columns of the list as in `EXAMPLE_COLUMNS`.

    Args:
        effects: what was measured.
        samples: those that it was measured on.
        folder: is made.

    Returns:
        The list.
    """
    folder.mkdir(parents=True)
    rows = []
    for row, examples in enumerate(effects.examples):
        entry = effects.table.iloc[row]
        if not entry["confirmed"]:
            continue
        for place, example in enumerate(examples):
            subject = example.subject
            names = {}
            for moment in ("before", "after"):
                names[moment] = f"{row:03d}-{place}-{moment}.png"
                pixels = cv2.cvtColor(getattr(example, moment), cv2.COLOR_RGB2BGR)
                # cv2.imwrite does not say when the disk is full.
                (folder / names[moment]).write_bytes(cv2.imencode(".png", pixels)[1])
            rows.append(
                {
                    "class": entry["class"],
                    "thing": entry["thing"],
                    "intervention": entry["intervention"],
                    "image": samples[subject.number].id,
                    **names,
                    "probability_before": subject.before.probability,
                    "probability_after": example.probability,
                    **dict(zip(("x1", "y1", "x2", "y2"), subject.box, strict=True)),
                }
            )
    table = pd.DataFrame(rows, columns=list(EXAMPLE_COLUMNS))
    write_table(table, folder / INDEX)
    return table
