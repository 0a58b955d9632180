"""Agreement with zennit-crp, computed on the fly on small random networks."""

import numpy as np
import pytest
import torch
from reference import (
    feature_visualization,
    reference_conditional,
    reference_explain,
    reference_network,
)
from torch import nn
from zennit import composites as zennit_composites
from zennit import rules as zennit_rules
from zennit.canonizers import SequentialMergeBatchNorm
from zennit.composites import LayerMapComposite, NameMapComposite, SpecialFirstLayerMapComposite
from zennit.layer import Sum
from zennit.types import Activation, AvgPool, Convolution, Linear

from lcrp.attribution import Explainer, composite_names
from lcrp.errors import InputError
from support.small_models import (
    difference,
    residual,
    small_unet,
    small_yolov5,
    small_yolov6,
    targets_at,
)

MODELS = {
    "relu": lambda: residual(nn.ReLU),
    "silu": lambda: residual(nn.SiLU),
    "unet": small_unet,
    "yolov5": small_yolov5,
    "yolov6": small_yolov6,
}
NAMES = composite_names()
LIBRARY = [name for name in NAMES if name[0].isupper()]
# zennit's own composites have no rule for batch norms that cannot be merged, as in YOLOv6.
PAIRS = [("relu", name) for name in NAMES]
PAIRS += [(model, name) for model in MODELS if model != "relu" for name in LIBRARY]
PAIRS += [("silu", "epsilon_alpha2_beta1_flat"), ("yolov5", "epsilon_plus_flat")]


def places(prediction):
    """Two targets in the first image and one in the second, of different outputs."""
    sizes = [output[0].numel() for output in prediction.outputs]
    last = len(sizes) - 1
    return targets_at(
        prediction, [(0, sizes[0] // 2), (0, [1, 2, 3], last, [0.5, 0.2, 0.3]), (1, sizes[0] - 1)]
    )


def compare(model, composite, tolerance=2e-5):
    """All that both give, in float64; returns how many layers carry relevance."""
    explainer = Explainer(model, composite=composite, device="cpu", precision="float64")
    images = torch.randn(2, 3, *model.input_size, dtype=torch.float64)
    prediction = explainer.predict(images)
    targets = places(prediction)
    network = reference_network(model, drop_merged=True, dtype=torch.float64)
    layers = list(explainer.layers)
    expected = reference_explain(network, composite, images, targets, layers)
    outputs = torch.cat([output.flatten(1) for output in prediction.outputs], dim=1)
    assert difference(outputs[[t.image for t in targets]], expected.outputs) < 1e-9
    found = explainer.explain(targets, layers="all", heatmaps=True)
    assert difference(found.heatmaps, expected.heatmaps) < tolerance
    for layer in layers:
        for row in range(len(targets)):
            relevance = expected.relevance[layer][row]
            if relevance.abs().sum() > 0:
                assert difference(found.relevance[layer][row], relevance) < tolerance
                same = found.positions[layer][row] == expected.positions[layer][row]
                assert same[relevance != 0].float().mean() > 0.95
            else:
                assert found.relevance[layer][row].abs().sum() == 0
    _compare_conditional(explainer, network, composite, images, targets, found, tolerance)


def _compare_conditional(explainer, network, composite, images, targets, found, tolerance):
    carrying = [name for name, r in found.relevance.items() if r[0].abs().sum() > 0]
    for layer in carrying[:: max(1, len(carrying) // 3)][:3]:
        concepts = found.relevance[layer][0].abs().argsort(descending=True)[:3].tolist()
        neurons = found.positions[layer][0][concepts].tolist()
        for chosen in (None, neurons):
            maps = explainer.conditional(targets[0], layer, concepts, positions=chosen)
            expected = reference_conditional(
                network, composite, images, targets[0], layer, concepts, chosen
            )
            for one, other in zip(maps, expected, strict=True):
                assert difference(one, other) < tolerance


@pytest.mark.parametrize(("model", "composite"), PAIRS)
def test_named_composite_agrees(model, composite):
    compare(MODELS[model](), composite)


LAYERS = [
    (Activation, zennit_rules.Pass()),
    (Sum, zennit_rules.Norm()),
    (AvgPool, zennit_rules.Norm()),
]
INSTANCES = {
    "z-box": lambda: zennit_composites.EpsilonGammaBox(-3.0, 3.0),
    "z-box-per-channel": lambda: zennit_composites.EpsilonGammaBox(
        torch.tensor([-3.0, -4.0, -5.0]).view(1, 3, 1, 1).double(),
        torch.tensor([3.0, 4.0, 5.0]).view(1, 3, 1, 1).double(),
    ),
    "alpha-beta": lambda: LayerMapComposite(
        [*LAYERS, (Linear, zennit_rules.AlphaBeta(alpha=3.0, beta=2.0))]
    ),
    "alpha1": lambda: LayerMapComposite([*LAYERS, (Linear, zennit_rules.AlphaBeta(1.0, 0.0))]),
    "gamma": lambda: LayerMapComposite([*LAYERS, (Linear, zennit_rules.Gamma(0.5))]),
    "epsilon": lambda: LayerMapComposite([*LAYERS, (Linear, zennit_rules.Epsilon(1e-2))]),
    "w-square-first": lambda: SpecialFirstLayerMapComposite(
        [*LAYERS, (Linear, zennit_rules.ZPlus())], [(Convolution, zennit_rules.WSquare())]
    ),
    "flat": lambda: LayerMapComposite([*LAYERS, (Linear, zennit_rules.Flat())]),
    "with-canonizer": lambda: zennit_composites.EpsilonPlusFlat(
        canonizers=[SequentialMergeBatchNorm()]
    ),
}


@pytest.mark.parametrize("name", INSTANCES)
def test_composite_of_zennit_agrees(name):
    compare(residual(nn.ReLU), INSTANCES[name]())


def test_name_map_agrees():
    named = {
        "stem": zennit_rules.Flat(),
        "block1.conv1": zennit_rules.Epsilon(1e-3),
        "block1.conv2": zennit_rules.AlphaBeta(2.0, 1.0),
        "block2.conv1": zennit_rules.WSquare(),
        "block2.conv2": zennit_rules.Gamma(0.1),
        "lateral": zennit_rules.ZPlus(),
        "up": zennit_rules.ZPlus(),
        "head": zennit_rules.Epsilon(),
        "classify": zennit_rules.Epsilon(),
    }
    activations = ("act", "act_up", *(f"block{i}.act{j}" for i in (1, 2) for j in (1, 2)))
    maps = [((name,), rule) for name, rule in named.items()]
    maps += [(activations, zennit_rules.Pass())]
    maps += [(("smooth", "average"), zennit_rules.Norm())]

    class Mixed(NameMapComposite):
        """Sums have no name in the network: they are told by their type."""

        def mapping(self, ctx, name, module):
            if isinstance(module, Sum):
                return zennit_rules.Norm()
            return super().mapping(ctx, name, module)

    compare(residual(nn.ReLU), Mixed(maps))


def test_unmergeable_batch_norm_without_a_rule_is_named():
    with pytest.raises(InputError, match="rbr_identity: BatchNorm2d has no rule"):
        Explainer(small_yolov6(), composite="epsilon_plus", device="cpu").predict(
            torch.zeros(1, 3, 64, 64)
        )


def test_unknown_hook_is_named():
    class Own(zennit_rules.ZPlus):
        """A subclass may do something else."""

    composite = LayerMapComposite([*LAYERS, (Linear, Own())])
    with pytest.raises(InputError, match=r"the hook Own of .*stem has no rule here"):
        Explainer(residual(nn.ReLU), composite=composite, device="cpu").predict(
            torch.zeros(1, 3, 16, 16)
        )


def test_merged_batch_norms_left_in_place_make_little_difference():
    """zennit keeps them, and the epsilon rule there takes some of the relevance."""
    model = small_unet()
    explainer = Explainer(model, device="cpu")
    images = torch.randn(1, 3, 32, 32)
    targets = targets_at(explainer.predict(images), [(0, 500)])
    found = explainer.explain(targets, heatmaps=True)
    network = reference_network(model)
    expected = reference_explain(network, model.composite, images, targets, explainer.layers)
    assert difference(found.heatmaps, expected.heatmaps) < 1e-3
    for layer in explainer.layers:
        assert difference(found.relevance[layer], expected.relevance[layer]) < 1e-3


def test_feature_visualization_finds_the_same_strongest_concepts(tmp_path):
    """RelMax: relevances of an image's concepts over their absolute sum, best first."""
    model = small_unet()
    explainer = Explainer(model, device="cpu")
    images = torch.randn(3, 3, 32, 32)
    prediction = explainer.predict(images)
    targets = places(prediction)
    feature_visualization(
        reference_network(model, drop_merged=True), model.composite, images, targets, tmp_path
    )
    result = explainer.explain(targets)
    for layer in explainer.layers:
        relevance = result.relevance[layer]
        normalised = relevance / (relevance.abs().sum(1, keepdim=True) + 1e-10)
        values, order = normalised.sort(dim=0, descending=True)
        folder = tmp_path / "RelMax_sum_normed"
        stored = np.load(folder / f"{layer}_rel.npy")
        assert difference(values, stored) < 1e-4
        where = torch.tensor([t.image for t in targets])[order]
        same = where == torch.from_numpy(np.load(folder / f"{layer}_data.npy"))
        assert same[values != 0].all()
