"""Relevance that lands in the parts of an image, whatever travels together."""

import pytest
import torch

from lcrp.attribution import Explainer
from lcrp.attribution.seeds import seeds
from lcrp.attribution.transport import transport
from lcrp.errors import InputError
from support.small_models import difference, small_unet, targets_at

LAYERS = ["encoder.stages.1.conv2", "encoder.stages.0.conv1"]


@pytest.fixture(scope="module")
def unet():
    return Explainer(small_unet(), device="cpu")


@pytest.fixture(scope="module")
def targets(unet):
    pictures = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(3))
    return targets_at(unet.predict(pictures), [(0, 5), (0, 600), (1, 5), (1, 77), (1, 900)])


def cut(count, seed):
    """A partition of the input into so many parts."""
    number = torch.randint(count, (32, 32), generator=torch.Generator().manual_seed(seed))
    return torch.stack([number == part for part in range(count)])


@pytest.mark.parametrize("rows", [1, 2, 8])
def test_parts_of_an_image_are_like_masks_of_each_of_its_targets(unet, targets, rows):
    parts = {0: cut(3, 0), 1: cut(5, 1)}
    few = Explainer(unet.model, device="cpu", rows=rows)
    chosen = targets_at(
        few.predict(images_of(targets)), [(0, 5), (0, 600), (1, 5), (1, 77), (1, 900)]
    )
    found = few.explain(chosen, layers=LAYERS, parts=parts, heatmaps=True)
    plain = unet.explain(targets, layers=LAYERS, heatmaps=True)
    assert difference(found.heatmaps, plain.heatmaps) < 1e-5
    for layer in LAYERS:
        assert difference(found.relevance[layer], plain.relevance[layer]) < 1e-5
        assert torch.equal(found.positions[layer], plain.positions[layer])
        for i, target in enumerate(targets):
            own = parts[target.image].float()[None]
            single = unet.explain(targets[i : i + 1], layers=[layer], masks=own)
            assert found.parts[layer][i].shape == single.inside[layer][0].shape
            assert difference(found.parts[layer][i], single.inside[layer][0]) < 1e-5
            # The parts are all there is.
            landed = found.parts[layer][i].sum(dim=0)
            assert difference(landed, single.landed[layer][0]) < 1e-5


def images_of(targets):
    generator = torch.Generator().manual_seed(3)
    return torch.randn(len(targets.prediction), 3, 32, 32, generator=generator)


@pytest.mark.parametrize(
    "parts", [{0: torch.ones(1, 32, 32)}, {0: torch.ones(32, 32), 1: torch.ones(1, 32, 32)}]
)
def test_image_without_parts_of_its_size_is_refused(unet, targets, parts):
    with pytest.raises(InputError, match=r"parts of image \d: .*; give \(parts, 32, 32\)"):
        unet.explain(targets, layers=LAYERS, parts=parts)


@pytest.mark.parametrize("count", [1, 4])
def test_of_the_whole_prediction_lands_what_masks_at_the_outputs_say(unet, targets, count):
    parts = {0: cut(count, 2), 1: cut(count, 3)}
    found = unet.explain(targets, layers=LAYERS, parts=parts, heatmaps=True)
    record = targets.prediction.record
    started = seeds(targets.prediction, targets)
    for i, target in enumerate(targets):
        masks = parts[target.image].float()
        expected = torch.zeros(count)
        for node, share in transport(record, masks, [target.image] * count, list(started)):
            size = record.program.graph.nodes[node].shape[2:]
            own = started[node].whole(size).values[i]
            expected += (share.whole(size).values * own).sum(dim=(1, 2, 3))
        assert difference(found.on_parts[i], expected) < 1e-5
        assert found.on_parts[i].sum().item() == pytest.approx(
            found.heatmaps[i].sum().item(), rel=1e-4
        )


def test_on_parts_keep_the_order_of_targets(unet, targets):
    parts = {0: cut(3, 0), 1: cut(3, 1)}
    order = [4, 0, 3, 1, 2]
    one = unet.explain(targets, layers=LAYERS, parts=parts, heatmaps=True).on_parts
    other = unet.explain([targets[i] for i in order], LAYERS, parts=parts, heatmaps=True).on_parts
    for place, i in enumerate(order):
        assert difference(other[place], one[i]) < 1e-6
