"""What holds for any network: tested on random graphs with skip connections and branches."""

import logging

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lcrp.attribution import Targets
from lcrp.attribution.walk import Walk
from support.random_graphs import COMPOSITES, SIDE, RandomGraph, few, many, steps
from support.small_models import difference, explained, randomised, targets_at


def made(graph_steps, seed, composite, images=3, **options):
    torch.manual_seed(seed)
    network = randomised(RandomGraph(graph_steps), seed).double()
    inputs = torch.randn(images, 3, SIDE, SIDE, dtype=torch.float64)
    explainer, prediction = explained(network, inputs, composite, **options)
    return explainer, prediction, inputs


PLACES = [(0, 3), (0, 90, 1), (1, 70), (1, 77, 1), (1, 20), (2, 31, 1)]


def check_adjoint(graph_steps, seed, composite):
    """Relevance in a mask: transported, and summed over explicit conditional heatmaps."""
    explainer, prediction, _ = made(graph_steps, seed, composite)
    targets = targets_at(prediction, PLACES[:3])
    masks = torch.randn(3, 2, SIDE, SIDE)
    result = explainer.explain(targets, layers="all", masks=masks)
    for layer, channels in explainer.layers.items():
        for i, target in enumerate(targets):
            maps = explainer.conditional(target, layer, range(channels)).double()
            slow = torch.einsum("khw,chw->kc", masks[i].double(), maps)
            scale = maps.abs().sum() + 1e-30
            assert (result.inside[layer][i] - slow).abs().max() <= 2e-6 * scale
            landed = result.landed[layer][i].double()
            assert (landed - maps.sum((1, 2))).abs().max() <= 2e-6 * scale


@given(steps, st.integers(0, 1000), st.sampled_from(COMPOSITES))
@few
def test_transported_masks_meet_conditional_heatmaps(graph_steps, seed, composite):
    check_adjoint(graph_steps, seed, composite)


@pytest.mark.proof
@given(steps, st.integers(0, 1000), st.sampled_from(COMPOSITES))
@many
def test_transported_masks_meet_conditional_heatmaps_in_many_graphs(graph_steps, seed, composite):
    check_adjoint(graph_steps, seed, composite)


def assert_alike(found, expected, row, other, tolerance=1e-6, positions=True):
    """A row of one result and a row of another, layer by layer.

    positions: of the strongest neurons too; a gradient may be alike at many positions.
    """
    for layer in expected.relevance:
        a, b = found.relevance[layer][row], expected.relevance[layer][other]
        if b.abs().sum() > 0 or a.abs().sum() > 0:
            assert difference(a, b) < tolerance
            places = found.positions[layer][row], expected.positions[layer][other]
            assert not positions or places[0].tolist() == places[1].tolist()
    if expected.heatmaps is not None:
        assert difference(found.heatmaps[row], expected.heatmaps[other]) < tolerance


def check_batches(graph_steps, seed, composite):
    """A target alone, in a batch with targets of other outputs, with or without other images."""
    explainer, prediction, images = made(graph_steps, seed, composite)
    ties = composite == "Gradient"
    together = explainer.explain(targets_at(prediction, PLACES), heatmaps=True)
    for row, (image, *place) in enumerate(PLACES):
        alone = targets_at(prediction, [(image, *place)])
        found = explainer.explain(alone, heatmaps=True)
        assert_alike(found, together, 0, row, positions=not ties)
        apart = explainer.predict(images[image : image + 1])
        one = targets_at(apart, [(0, *place)])
        found = explainer.explain(one, heatmaps=True)
        assert_alike(found, together, 0, row, positions=not ties)


@given(steps, st.integers(0, 1000), st.sampled_from(COMPOSITES))
@few
def test_a_target_does_not_depend_on_its_company(graph_steps, seed, composite):
    check_batches(graph_steps, seed, composite)


@pytest.mark.proof
@given(steps, st.integers(0, 1000), st.sampled_from(COMPOSITES))
@many
def test_a_target_does_not_depend_on_its_company_in_many_graphs(graph_steps, seed, composite):
    check_batches(graph_steps, seed, composite)


@given(steps, st.integers(0, 1000), st.sampled_from(COMPOSITES))
@few
def test_stopping_early_gives_the_same(graph_steps, seed, composite):
    explainer, prediction, _ = made(graph_steps, seed, composite)
    targets = targets_at(prediction, PLACES)
    whole = explainer.explain(targets, layers="all")
    for layer in explainer.layers:
        single = explainer.explain(targets, layers=[layer])
        assert list(single.relevance) == [layer]
        for row in range(len(PLACES)):
            assert_alike(single, whole_of(whole, layer), row, row, tolerance=1e-7)


def whole_of(result, layer):
    return type(result)(
        result.targets,
        relevance={layer: result.relevance[layer]},
        positions={layer: result.positions[layer]},
    )


def test_walk_visits_no_node_below_the_shallowest_layer():
    graph_steps = [("conv", 0, 0, "relu"), ("conv", 0, 0, "relu"), ("add", 0, 1, "relu")]
    explainer, prediction, _ = made(graph_steps, 0, "EpsilonPlusFlat")
    visited = []
    for i, operation in enumerate(prediction.record.program.operations):
        plain = operation.backward

        def noted(relevance, state, rows, i=i, plain=plain):
            visited.append(i)
            return plain(relevance, state, rows)

        operation.backward = noted
    layer = "network.parts.1.0"
    explainer.explain(targets_at(prediction, PLACES), layers=[layer])
    assert min(visited) > prediction.record.program.layers[layer]


def test_branch_without_relevance_is_not_walked():
    """A target that starts at the early output leaves out what lies above."""
    graph_steps = [("conv", 0, 0, "relu")] * 4
    explainer, prediction, _ = made(graph_steps, 0, "EpsilonPlusFlat")
    program = prediction.record.program
    late = program.layers["network.parts.3.0"]

    def never(*_):
        raise AssertionError("relevance was sent where none arrives")

    program.operations[late].backward = never
    explainer.explain(targets_at(prediction, [(0, 3, 1)]), layers="all", heatmaps=True)


@given(steps, st.integers(0, 1000))
@settings(few, max_examples=6)
def test_activations_are_the_maxima_of_the_convolutions(graph_steps, seed):
    explainer, _, images = made(graph_steps, seed, "Gradient")
    prediction = explainer.predict(images, activations=list(explainer.layers))
    targets = targets_at(prediction, PLACES)
    result = explainer.explain(targets, layers="all", activations=True)
    network = explainer.network.network
    for layer in ("network.stem", "network.heads.0", "network.heads.1"):
        module = network.get_submodule(layer.removeprefix("network."))
        seen = []
        handle = module.register_forward_hook(lambda m, i, o, seen=seen: seen.append(o))
        network(images)
        handle.remove()
        value, place = seen[0].flatten(2).max(2)
        torch.testing.assert_close(result.activation[layer].double(), value, rtol=1e-5, atol=1e-6)
        assert result.activation_positions[layer].tolist() == place.tolist()


def out_of_memory_at(monkeypatch, calls, error):
    """Let the walks with these numbers run out of memory; counts how many there were."""
    plain, count = Walk.run, []

    def run(self, *args, **options):
        count.append(1)
        if len(count) in calls:
            raise error
        return plain(self, *args, **options)

    monkeypatch.setattr(Walk, "run", run)
    return count


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ],
    ids=["gpu", "python", "cpu"],
)
def test_exhausted_memory_halves_the_batch_and_says_so_once(monkeypatch, caplog, error):
    graph_steps = [("conv", 0, 0, "relu"), ("add", 0, 1, "silu")]
    explainer, prediction, _ = made(graph_steps, 0, "EpsilonPlusFlat", rows=6)
    targets = targets_at(prediction, PLACES)
    whole = explainer.explain(targets, heatmaps=True)
    count = out_of_memory_at(monkeypatch, {1}, error)
    with caplog.at_level(logging.WARNING):
        halved = explainer.explain(targets, heatmaps=True)
        explainer.explain(targets)
    assert len(count) == 1 + 2 + 2
    assert len([r for r in caplog.records if "memory exhausted" in r.message]) == 1
    for row in range(len(PLACES)):
        assert_alike(halved, whole, row, row)


def test_exhausted_memory_is_said_once_though_it_takes_several_halvings(monkeypatch, caplog):
    explainer, prediction, _ = made([("conv", 0, 0, "relu")], 0, "EpsilonPlusFlat", rows=6)
    targets = targets_at(prediction, PLACES)
    out_of_memory_at(monkeypatch, {1, 2}, torch.OutOfMemoryError("CUDA out of memory"))
    with caplog.at_level(logging.WARNING):
        explainer.explain(targets)
    assert len([r for r in caplog.records if "memory exhausted" in r.message]) == 1


def test_memory_that_does_not_hold_one_target_stops(monkeypatch):
    explainer, prediction, _ = made([("conv", 0, 0, "relu")], 0, "EpsilonPlusFlat", rows=1)
    out_of_memory_at(monkeypatch, {1}, torch.OutOfMemoryError("CUDA out of memory"))
    with pytest.raises(torch.OutOfMemoryError):
        explainer.explain(targets_at(prediction, PLACES[:1]))


def test_another_runtime_error_is_not_taken_for_exhausted_memory(monkeypatch):
    explainer, prediction, _ = made([("conv", 0, 0, "relu")], 0, "EpsilonPlusFlat")
    out_of_memory_at(monkeypatch, {1}, RuntimeError("shapes do not fit"))
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        explainer.explain(targets_at(prediction, PLACES))


def test_no_targets_give_empty_results_of_the_same_form():
    explainer, prediction, _ = made([("conv", 0, 0, "relu")], 0, "EpsilonPlusFlat")
    result = explainer.explain(Targets(prediction, []), heatmaps=True)
    assert result.heatmaps.shape == (0, SIDE, SIDE)
    for layer, channels in explainer.layers.items():
        assert result.relevance[layer].shape == (0, channels)
        assert result.positions[layer].shape == (0, channels)
