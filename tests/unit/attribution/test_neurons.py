"""Where single neurons see."""

import pytest
import torch

from lcrp.attribution import Explainer
from lcrp.errors import InputError
from support.small_models import randomised, small_unet, small_yolov5


@pytest.mark.parametrize("build", [small_unet, small_yolov5])
def test_a_neuron_sees_what_any_target_finds_through_it_up_to_a_factor(build):
    model = build()
    randomised(model.network)
    explainer = Explainer(model, device="cpu", rows=3)
    size = explainer.model.input_size
    pictures = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(3))
    prediction = explainer.predict(pictures)
    targets = prediction.targets(threshold=0)
    layer = explainer.select("default")[0]
    asked, expected = [], []
    result = explainer.explain(targets, [layer])
    for target, relevance, positions in zip(
        targets, result.relevance[layer], result.positions[layer], strict=True
    ):
        for concept in relevance.abs().argsort(descending=True)[:2].tolist():
            place = int(positions[concept])
            (one,) = explainer.conditional(target, layer, [concept], positions=[place])
            asked.insert(0, (target.image, concept, place))  # in no order of the images
            expected.insert(0, one)
    found = explainer.neurons(prediction, layer, *zip(*asked, strict=True))
    assert len(found) > 3
    # A forward pass that ends at the layer is all that is needed.
    seen = explainer.forward(pictures, [layer])
    again = explainer.neurons(seen, layer, *zip(*asked, strict=True))
    torch.testing.assert_close(again, found)
    for one, other in zip(found, expected, strict=True):
        factor = (one * other).sum() / (one * one).sum()
        torch.testing.assert_close(factor * one, other, rtol=1e-3, atol=1e-4 * other.abs().max())


def test_a_concept_that_is_not_there():
    explainer = Explainer(small_unet(), device="cpu")
    prediction = explainer.predict(torch.zeros(1, 3, *explainer.model.input_size))
    layer = explainer.select("default")[0]
    with pytest.raises(InputError, match="concept 999: "):
        explainer.neurons(prediction, layer, [0], [999], [0])


def test_a_forward_pass_to_a_layer_ends_there():
    explainer = Explainer(small_unet(), device="cpu")
    pictures = torch.randn(1, 3, *explainer.model.input_size)
    names = list(explainer.layers)[:2]
    whole = explainer.predict(pictures, activations=names).record
    (last,) = explainer.forward(pictures, names).record.outputs
    torch.testing.assert_close(last.flatten(2).max(2).values, whole.activation[names[1]])
    with pytest.raises(InputError, match="NaN or infinite pixels"):
        explainer.forward(pictures * torch.nan, names)
