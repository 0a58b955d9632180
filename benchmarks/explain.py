"""Measure one explanation beside zennit-crp's route to the same figure.

    python benchmarks/explain.py [--images N] [--figures N] [--size PIXELS] [--json FILE]

Of several predictions, each explained by three concepts with twelve reference images each, in
seconds; medians, both sides interleaved in one process on the same images, weights and threads:

- zennit-crp: one attribution for the heatmap and the layer's relevance, one for the conditional
  heatmaps, and `get_max_reference` with the heatmap of each reference's strongest neuron. It keeps
  nothing between figures (its cache keeps drawn pictures by their names, not heatmaps).
- cold: `Composer.compose` against a store whose references were never computed.
- warm: the same again, references read from the disk.

Both sides read the explained image and their reference images from disk and preprocess them.
Drawing is left out on both sides and printed beside. The glocal analysis that both need (the
store, FeatureVisualization's files) is made beforehand and not counted. Real weights and images
are read from ../shared; without it an untrained network explains drawn scenes.
"""

import argparse
import contextlib
import io
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import reference
import torch
from crp.attribution import CondAttribution
from crp.concepts import ChannelConcept
from crp.image import plot_grid, vis_opaque_img
from crp.visualization import FeatureVisualization

from lcrp.analysis.recording import analyse
from lcrp.attribution import Explainer, keep_freed_memory
from lcrp.configuration import Analysis, Scenes
from lcrp.datasets import open_dataset
from lcrp.models import build_model, load_model
from lcrp.render import Composer, Settings, figure_bytes
from lcrp.scenes import write_scenes
from lcrp.store import merge_shards, open_store, write_shard

SHARED = Path(__file__).parents[2] / "shared" / "real"
CONCEPTS, REFERENCES = 3, 12


def prepared(folder, size):
    """A model and the dataset that it explains."""
    if SHARED.is_dir():
        model = load_model("yolov5n", SHARED / "yolov5n-coco.pt", input_size=(size, size))
        coco = SHARED / "coco-mini"
        annotations = coco / "annotations" / "instances.json"
        spec = {"format": "coco", "images": coco / "images", "annotations": annotations}
        return model, open_dataset(spec)
    write_scenes(folder / "scenes", Scenes(test=80, size=size))
    spec = {
        "format": "coco",
        "images": folder / "scenes" / "images",
        "annotations": folder / "scenes" / "annotations.json",
    }
    dataset = open_dataset(spec)
    torch.manual_seed(0)
    model = build_model("unet", ["background", *dataset.classes], input_size=(size, size))
    return model, dataset


class _Samples:
    """The images that have targets, as a dataset of zennit-crp: read and preprocessed on access."""

    def __init__(self, model, dataset, ids):
        self.model, self.dataset, self.ids = model, dataset, ids

    def __len__(self):
        return len(self.ids)

    def __getitem__(self, place):
        return self.model.preprocess(self.dataset[self.ids[place]].image())[0], 0


class ZennitCrp:
    """zennit-crp's way to what a figure shows."""

    def __init__(self, model, dataset, images, targets, ids, layer, folder):
        self.model, self.dataset, self.layer = model, dataset, layer
        self.network = reference.reference_network(model, size=images.shape[2:])
        reference.feature_visualization(self.network, model.composite, images, targets, folder)
        self.composite = reference.reference_composite(model.composite)
        self.attribution = CondAttribution(self.network)
        places = sorted({target.image for target in targets})
        self.visualization = FeatureVisualization(
            self.attribution,
            _Samples(model, dataset, [ids[place] for place in places]),
            {layer: ChannelConcept()},
            path=str(folder),
        )

    def explain(self, image, target):
        """Heatmap, concepts, their conditional heatmaps and references of one prediction."""
        data = self.model.preprocess(self.dataset[image].image())[0][None]
        start = reference.initial_relevance([target])
        found = self.attribution(
            data.clone().requires_grad_(),
            [{}],
            self.composite,
            record_layer=[self.layer],
            init_rel=start,
        )
        relevance = found.relevances[self.layer].flatten(2).sum(2)[0]
        concepts = relevance.argsort(descending=True)[:CONCEPTS].tolist()
        conditional = self.attribution(
            data.clone().requires_grad_(),
            [{self.layer: [concept]} for concept in concepts],
            self.composite,
            mask_map=ChannelConcept.mask,
            init_rel=start.expand(CONCEPTS, -1),
        )
        with contextlib.redirect_stdout(io.StringIO()):
            references = self.visualization.get_max_reference(
                concepts,
                self.layer,
                "relevance",
                (0, REFERENCES),
                self.composite,
                rf=True,
                plot_fn=None,
            )
        return found.heatmap, conditional.heatmap, references

    def draw(self, references):
        """What zennit-crp draws of the references."""
        import matplotlib.pyplot as plt

        drawn = {
            concept: vis_opaque_img(pictures, heatmaps, rf=True)
            for concept, (pictures, heatmaps) in references.items()
        }
        plot_grid(drawn, figsize=(16, 6))
        plt.savefig(io.BytesIO(), format="png", dpi=100)
        plt.close("all")


def seconds(work):
    """What a call gives, and how long it takes."""
    start = time.perf_counter()
    found = work()
    return found, time.perf_counter() - start


def measure(images, figures, size):
    """{row: seconds of each figure}, and what was measured."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model, dataset = prepared(folder, size)
        keep_freed_memory()
        explainer = Explainer(model)
        layer = model.example_layer
        ids = list(dataset.ids)[:images]
        settings = Analysis(layers=[layer])
        write_shard(folder / "0.zarr.zip", analyse(explainer, dataset, ids, settings, {}))
        merge_shards([folder / "0.zarr.zip"], folder / "concepts.zarr.zip")
        inputs = torch.stack([model.preprocess(dataset[id].image())[0] for id in ids])
        with open_store(folder / "concepts.zarr.zip") as store:
            stored = list(zip(store.targets["image"], store.targets["class"], strict=True))
            found = explainer.predict(inputs).targets()
            wanted = set(stored)
            targets = found[[n for n, t in enumerate(found) if (t.image, t.class_index) in wanted]]
            other = ZennitCrp(model, dataset, inputs, targets, ids, layer, folder / "crp")
            chosen = np.linspace(0, len(targets) - 1, figures).round().astype(int)
            rows = {
                row: [] for row in ("zennit_crp", "cold", "warm", "drawing", "zennit_crp_drawing")
            }
            shown = Settings((layer,), CONCEPTS, REFERENCES)
            for n in [chosen[0], *chosen]:  # the first one twice: once to warm both sides up
                target = targets[int(n)]
                image, kept = ids[target.image], folder / f"references-{len(rows['cold'])}"
                composer = Composer(explainer, model, dataset, store, references=kept)
                measured = {}
                again = Composer(explainer, model, dataset, store, references=kept)
                work = lambda c: lambda: c.compose(image, target.class_index, shown)  # noqa: B023, E731
                theirs, measured["zennit_crp"] = seconds(lambda: other.explain(image, target))  # noqa: B023
                _, measured["cold"] = seconds(work(composer))
                explanation, measured["warm"] = seconds(work(again))
                _, measured["drawing"] = seconds(lambda: figure_bytes(explanation))  # noqa: B023
                _, measured["zennit_crp_drawing"] = seconds(lambda: other.draw(theirs[2]))  # noqa: B023
                for row, value in measured.items():
                    rows[row].append(value)
            facts = {
                "architecture": model.architecture,
                "layer": layer,
                "input": size,
                "images": len(ids),
                "targets": len(targets),
                "real": SHARED.is_dir(),
                "threads": torch.get_num_threads(),
                "torch": torch.__version__,
            }
    return {row: values[1:] for row, values in rows.items()}, facts


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--images", type=int, default=40, help="images in the store")
    parser.add_argument("--figures", type=int, default=7, help="explanations that are timed")
    parser.add_argument("--size", type=int, default=320, help="side of the input, pixels")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    arguments = parser.parse_args()
    rows, facts = measure(arguments.images, arguments.figures, arguments.size)
    medians = {row: statistics.median(values) for row, values in rows.items()}
    for row, value in medians.items():
        print(f"{row:20} {value:8.3f} s  ({min(rows[row]):.3f} to {max(rows[row]):.3f})")
    speedup = {row: medians["zennit_crp"] / medians[row] for row in ("cold", "warm")}
    print("zennit-crp / " + ", zennit-crp / ".join(f"{k} {v:.1f}" for k, v in speedup.items()))
    if arguments.json:
        report = {**facts, "seconds": rows, "medians": medians, "speedup": speedup}
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
