"""Put the objects of the held-out scenes on swapped contexts, and see what the model says.

Per class: how often the prediction follows the context, and how often it stays with the object.
"""

import json

import matplotlib

from job import job, whole
from lcrp.datasets import open_dataset
from lcrp.models import load_model
from lcrp.swaps import choose_examples, swap_following

matplotlib.use("Agg")
from matplotlib import pyplot
from matplotlib.patches import Rectangle


def draw_example(row, before, after, path):
    """One object before and after its context was swapped, with what the model says of it."""
    figure, panels = pyplot.subplots(1, 2, figsize=(5.2, 3.1), layout="constrained")
    facts = ((before, row["from"], row["before"]), (after, row["to"], row["after"]))
    for panel, (image, context, said) in zip(panels, facts, strict=True):
        panel.imshow(image, interpolation="nearest")
        corner, size = (
            (row["x1"] - 2, row["y1"] - 2),
            (row["x2"] - row["x1"], row["y2"] - row["y1"]),
        )
        for colour, line in (("white", 3), ("black", 1.2)):
            box = Rectangle(corner, size[0] + 3, size[1] + 3, fill=False, ec=colour, lw=line)
            panel.add_patch(box)
        panel.set_title(f"on {context}: {said or 'nothing'}", fontsize=11)
        panel.set_axis_off()
    figure.suptitle(f"{row['class']}: {row['outcome']}", fontsize=12, weight="bold")
    figure.savefig(path, dpi=120, metadata={"Software": None})
    pyplot.close(figure)


def draw_examples(rows, test, swapped, folder):
    """A picture `<class>_<outcome>.png` for each of the chosen objects, one per class."""
    folder.mkdir()
    for row in rows.to_dict("records"):
        before, after = test[row["original"]].image(), swapped[row["image"]].image()
        draw_example(row, before, after, folder / f"{row['class']}_{row['outcome']}.png")


if __name__ == "__main__":
    with job(snakemake):
        model = load_model(snakemake.params.architecture, snakemake.input.weights)
        test, swapped = (
            open_dataset(source, classes=model.classes) for source in snakemake.params.sources
        )
        with open(snakemake.input.truth) as file:
            truth = json.load(file)
        table, objects = swap_following(
            model,
            test,
            swapped,
            truth,
            batch_size=snakemake.params.machine["batch_size"],
            progress=True,
        )
        with whole(snakemake.output.examples) as part:
            draw_examples(choose_examples(objects), test, swapped, part)
        with whole(snakemake.output.objects) as part:
            objects.to_csv(part, index=False, float_format="%.6g")
        with whole(snakemake.output.swaps) as part:
            table.to_csv(part, index=False, float_format="%.6g")
