"""Maps of single layers: what flows through every neuron for a target, and what it says."""

import torch

from lcrp.attribution.engine import Walk


@torch.no_grad()
def relevance_maps(explainer, targets, layers):
    """{layer: (T, C, h, w)} relevance at the outputs of convolutions; zero where none arrives.

    targets: of one prediction. layers: names. On the device of the explainer.
    """
    prediction = targets.prediction
    program = prediction.record.program
    nodes = {program.layers[name]: name for name in layers}
    maps = {}
    for node, name in nodes.items():
        shape = program.graph.nodes[node].shape[1:]
        maps[name] = prediction.outputs[0].new_zeros(len(targets), *shape)

    def keep(name):
        def record(relevance, rows):
            maps[name][list(rows.members)] = relevance

        return record

    walk = Walk(prediction.record, needed=list(nodes))
    seeds = explainer._seeds(prediction, targets)
    walk.run(seeds, {node: keep(name) for node, name in nodes.items()})
    return maps


@torch.no_grad()
def feature_maps(explainer, images, layers):
    """{layer: (B, C, h, w)} outputs of convolutions, batch norms merged.

    images: (B, 3, H, W), normalised as the model wants. layers: names.
    """
    images = images.to(explainer.device, explainer.dtype)
    program = explainer.program(images.shape[2:])
    wanted = {program.layers[name]: name for name in layers}
    values, maps, left = {}, {}, list(program.reads)
    for i, (node, operation) in enumerate(
        zip(program.graph.nodes, program.operations, strict=True)
    ):
        inputs = [values[source] for source in node.inputs]
        values[i] = images if node.call is None else operation.forward(*inputs)
        if i in wanted:
            maps[wanted[i]] = values[i]
            if len(maps) == len(wanted):
                break
        for source in node.inputs:
            left[source] -= 1
            if not left[source]:
                del values[source]
    return maps
