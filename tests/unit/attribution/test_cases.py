"""The engine against the cases in the repository, which zennit-crp has made."""

from pathlib import Path

import numpy as np
import pytest

from lcrp.attribution import Explainer
from support.make_cases import COMPOSITES, COMPOSITES_OF, MODELS, images, targets
from support.small_models import difference

FOLDER = Path(__file__).parents[2] / "support" / "cases"


@pytest.fixture(scope="module", params=list(MODELS))
def case(request):
    """Name, model and arrays of a case."""
    model = MODELS[request.param][0]()
    return request.param, model, dict(np.load(FOLDER / f"{request.param}.npz"))


def explained(case, composite=None, count=None, precision="float32"):
    name, model, _ = case
    explainer = Explainer(model, composite, device="cpu", precision=precision)
    prediction = explainer.predict(images(name, model), activations=explainer.select("all"))
    chosen = targets(prediction, MODELS[name][2])[:count]
    return explainer, explainer.explain(chosen, heatmaps=True, activations=True)


def by_layer(arrays, entry):
    """{layer: its part of an array of all layers}."""
    parts = np.split(arrays[entry], np.cumsum(arrays["channels"])[:-1])
    return dict(zip(arrays["layers"].tolist(), parts, strict=True))


def assert_relevance(found, row, arrays, entry, tolerance):
    for layer, expected in by_layer(arrays, entry).items():
        relevance = found.relevance[layer][row]
        if np.abs(expected).sum() > 0:
            assert difference(relevance, expected) < tolerance, layer
        else:
            assert relevance.abs().sum() == 0, layer


def test_layers_and_activations(case):
    explainer, found = explained(case)
    arrays = case[2]
    widths = dict(zip(arrays["layers"].tolist(), arrays["channels"].tolist(), strict=True))
    assert explainer.layers == widths
    for layer, expected in by_layer(arrays, "activation_max").items():
        assert difference(found.activation[layer][0], expected) < 1e-5


def test_heatmaps_and_relevance(case):
    _, found = explained(case)
    arrays = case[2]
    for i in range(len(found.targets)):
        assert difference(found.heatmaps[i], arrays[f"{i}/heatmap"]) < 1e-3
        assert_relevance(found, i, arrays, f"{i}/relevance", 1e-3)


def test_results_in_float64_are_the_same_to_the_last_digits(case):
    _, found = explained(case, precision="float64")
    arrays = case[2]
    for i in range(len(found.targets)):
        assert difference(found.heatmaps[i], arrays[f"{i}/heatmap"]) < 1e-5
        assert_relevance(found, i, arrays, f"{i}/relevance", 1e-5)


def test_concepts_neurons_and_conditional_heatmaps(case):
    explainer, found = explained(case, precision="float64")
    arrays = case[2]
    layer = str(arrays["layer"])
    for i, target in enumerate(found.targets):
        concepts = arrays[f"{i}/concepts"].tolist()
        assert found.relevance[layer][i].argsort(descending=True)[:3].tolist() == concepts
        neurons = arrays[f"{i}/neuron"]
        some = found.relevance[layer][i] != 0
        assert found.positions[layer][i][some].tolist() == neurons[some].tolist()
        maps = explainer.conditional(target, layer, concepts)
        for one, expected in zip(maps, arrays[f"{i}/conditional"], strict=True):
            assert difference(one, expected) < 1e-3
        neuron = [int(neurons[concepts[0]])]
        (alone,) = explainer.conditional(target, layer, concepts[:1], positions=neuron)
        assert difference(alone, arrays[f"{i}/neuron_conditional"]) < 1e-3


@pytest.mark.parametrize("composite", COMPOSITES)
def test_other_composites(case, composite):
    arrays = case[2]
    if composite not in COMPOSITES_OF[case[0]]:
        return
    _, found = explained(case, composite, count=1, precision="float64")
    assert difference(found.heatmaps[0], arrays[f"{composite}/heatmap"]) < 1e-5
    assert_relevance(found, 0, arrays, f"{composite}/relevance", 1e-5)


def test_cases_are_small():
    sizes = {path.stem: path.stat().st_size for path in FOLDER.glob("*.npz")}
    assert sizes.keys() == MODELS.keys() and max(sizes.values()) < 140_000
