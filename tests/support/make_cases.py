"""Make cases/*.npz: what zennit-crp gives on small networks, for anyone to check against.

    PYTHONPATH=tests:benchmarks python -m support.make_cases [NAME ...]

Weights and images come from `small_models.values`, which depends on names and shapes alone, so
no weight file is needed. zennit-crp runs in float64 (stored as float32), the batch norms that
merging leaves as identities taken out. Entries, with i the number of a target:

    layers, channels        all convolutions and their widths
    activation_max          maximum over positions of each, layers in order
    i/heatmap, i/relevance  (H, W); concepts of all layers in order
    layer, i/concepts       one layer, its three most relevant concepts
    i/conditional           (3, H, W) their conditional heatmaps
    i/neuron                strongest neuron of each channel of `layer`
    i/neuron_conditional    (H, W) the first concept restricted to its strongest neuron
    <composite>/heatmap, <composite>/relevance   of the first target
"""

import sys
from pathlib import Path

import numpy as np
import torch
from reference import reference_conditional, reference_explain, reference_network
from torch import nn

from lcrp.attribution import Explainer
from support.small_models import (
    random_model,
    residual,
    small_anchor_free,
    small_ssd,
    small_unet,
    small_yolov5,
    small_yolov6,
    targets_at,
    values,
)

HERE = Path(__file__).parent
MODELS = {  # model, layer, targets as (image, flat indices, output)
    "residual": (lambda: residual(nn.ReLU), "block1.conv2", [(0, 17), (0, 3, 1)]),
    "unet": (
        lambda: small_unet((32, 48)),
        "encoder.stages.1.conv2",
        [(0, 700), (0, [2000, 2001, 2050])],
    ),
    "yolov5": (lambda: small_yolov5((32, 64)), "model.8.cv3.conv", [(0, 170), (0, 11, 2)]),
    "yolov6": (
        lambda: small_yolov6((32, 64)),
        "backbone.ERBlock_5.0.rbr_dense.conv",
        [(0, 40)],
    ),
    "deeplabv3plus": (
        lambda: random_model("smp_deeplabv3plus", encoder="resnet18", input_size=(32, 64)),
        "encoder.layer4.0.conv2",
        [(0, [40, 41])],
    ),
    "ssd": (small_ssd, "second", [(0, 200), (0, 30)]),
    "yolov8": (lambda: small_anchor_free("yolov8", (32, 64)), "model.9.cv2.conv", [(0, 50, 1)]),
    "yolo11": (lambda: small_anchor_free("yolo11", (32, 64)), "model.10.cv2.conv", [(0, 4, 5)]),
}
COMPOSITES = ("EpsilonPlus", "EpsilonFlat", "Gradient", "GuidedBackprop")
COMPOSITES_OF = dict.fromkeys(MODELS, COMPOSITES) | {
    "yolov6": ("EpsilonFlat",),
    "deeplabv3plus": ("EpsilonPlus",),
    "yolov8": ("EpsilonFlat",),
    "yolo11": ("Gradient",),
}


def images(name, model):
    """The images of a case (1, 3, H, W)."""
    return values(f"images of {name}", (1, 3, *model.input_size))


def targets(prediction, places):
    """The targets of a case; several indices share the relevance alike."""
    shared = []
    for image, index, *output in places:
        count = len(index) if isinstance(index, list) else 1
        shared.append((image, index, output[0] if output else 0, [1 / count] * count))
    return targets_at(prediction, shared)


def case(name):
    """All entries of a case."""
    make, layer, places = MODELS[name]
    model = make()
    x = images(name, model).double()
    explainer = Explainer(model, device="cpu", precision="float64")
    prediction = explainer.predict(x)
    layers = list(explainer.layers)
    network = reference_network(model, drop_merged=True, dtype=torch.float64)
    chosen = targets(prediction, places)

    def explained(composite, rows):
        return reference_explain(network, composite, x, rows, layers)

    def joined(relevance, row):
        return torch.cat([relevance[each][row] for each in layers])

    found = explained(model.composite, chosen)
    entries = {
        "layers": np.array(layers),
        "channels": np.array([found.relevance[each].shape[1] for each in layers]),
        "activation_max": torch.cat(activation_maxima(network, x, layers)),
        "layer": np.array(layer),
    }
    for i, target in enumerate(chosen):
        concepts = found.relevance[layer][i].argsort(descending=True)[:3].tolist()
        neuron = [int(found.positions[layer][i, concepts[0]])]
        arguments = (network, model.composite, x, target, layer)
        entries |= {
            f"{i}/heatmap": found.heatmaps[i],
            f"{i}/relevance": joined(found.relevance, i),
            f"{i}/concepts": np.array(concepts),
            f"{i}/conditional": reference_conditional(*arguments, concepts),
            f"{i}/neuron": found.positions[layer][i].numpy(),
            f"{i}/neuron_conditional": reference_conditional(*arguments, concepts[:1], neuron)[0],
        }
    for composite in COMPOSITES_OF[name]:
        other = explained(composite, chosen[:1])
        entries[f"{composite}/heatmap"] = other.heatmaps[0]
        entries[f"{composite}/relevance"] = joined(other.relevance, 0)
    return {
        key: value.detach().float().numpy() if isinstance(value, torch.Tensor) else value
        for key, value in entries.items()
    }


def activation_maxima(network, x, layers):
    """Maximum over positions of the output of each layer, for the first image."""
    modules, maxima = dict(network.named_modules()), {}
    handles = [
        modules[name].register_forward_hook(
            lambda module, inputs, output, name=name: maxima.update({name: output[0].amax((1, 2))})
        )
        for name in layers
    ]
    network(x)
    for handle in handles:
        handle.remove()
    return [maxima[name] for name in layers]


if __name__ == "__main__":
    for name in sys.argv[1:] or MODELS:
        np.savez_compressed(HERE / "cases" / f"{name}.npz", **case(name))
