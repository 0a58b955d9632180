"""Train a model from a seed, and save it."""

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import torch
from safetensors.torch import save_file

from lcrp.configuration import Training, parse_entries
from lcrp.configuration.architectures import trained_task
from lcrp.datasets import Dataset
from lcrp.errors import InputError
from lcrp.files import whole
from lcrp.models import Model, build_model
from lcrp.training.batches import batches, load_examples
from lcrp.training.detection_loss import detection_loss
from lcrp.training.segmentation_loss import segmentation_loss

WARM_UP = 0.2
WEIGHT_DECAY = 1e-4


@contextmanager
def _reproducible(seed, threads):
    """Random numbers from a seed and a fixed number of threads; afterwards all as before."""
    before = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)


class Steps:
    """The steps of a training: AdamW on a learning rate that rises and falls.

    Each step is made when the iteration comes to it, and gives a row of the training's log:
    step, learning_rate, loss and its parts. The network is left in eval mode at the end.

    Args:
        model: `lcrp.models.Model`, whose network is changed.
        examples: `Examples`.
        options: `Training`.

    Raises:
        InputError: while it is iterated over, if the loss is not finite any more.
    """

    def __init__(self, model, examples, options):
        self.model, self.examples, self.options = model, examples, options

    def __len__(self):
        return self.options.steps

    def __iter__(self):
        options = self.options
        network = self.model.network.train()
        self._optimiser = torch.optim.AdamW(
            network.parameters(), lr=options.learning_rate, weight_decay=WEIGHT_DECAY
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimiser,
            options.learning_rate,
            total_steps=max(options.steps, 2),
            pct_start=WARM_UP,
        )
        random = torch.Generator().manual_seed(options.seed)
        chosen = batches(len(self.examples), options.batch_size, random)
        for step in range(options.steps):
            mirrored = bool(torch.rand((), generator=random) < 0.5)
            losses = self._step(step, *self.examples.batch(next(chosen), mirrored))
            rate = schedule.get_last_lr()[0]
            schedule.step()
            yield {"step": step, "learning_rate": rate, **losses}
        network.eval()

    def _step(self, step, inputs, targets):
        model, options = self.model, self.options
        measure = segmentation_loss if model.task == "segmentation" else detection_loss
        losses = measure(model, model.network(inputs), targets, step / options.steps)
        if not torch.isfinite(losses["loss"]):
            raise InputError(
                f"training.learning_rate: the loss is not finite at step {step}; "
                f"choose less than {options.learning_rate}"
            )
        self._optimiser.zero_grad(set_to_none=True)
        losses["loss"].backward()
        self._optimiser.step()
        return {name: loss.item() for name, loss in losses.items()}


def save_model(model, path, facts):
    """Write a model as safetensors, under a temporary name that is changed when it is whole.

    The metadata entry `lcrp` is JSON: architecture, options, classes and `facts`.
    """
    path = Path(path)
    described = {
        "architecture": model.architecture,
        "options": model.options,
        "classes": list(model.classes),
        **facts,
    }
    state = {
        name: (value.float() if value.is_floating_point() else value).contiguous()
        for name, value in model.network.state_dict().items()
    }
    with whole(path) as part:
        save_file(state, part, metadata={"lcrp": json.dumps(described)})
    return path


def train_model(
    architecture: str,
    dataset: Dataset,
    path: str | os.PathLike,
    *,
    options: Mapping | None = None,
    training: Mapping | None = None,
    threads: int = 1,
    reading: Callable[[Sequence], Iterable] = iter,
    progress: Callable[[Steps], Iterable] = iter,
) -> Model:
    """Train a model on a dataset and saves it, with the losses beside it.

    The same seed and number of threads give the same bits.

    Args:
        architecture: a name that `lcrp.models.build_model` knows: "unet", or a YOLOv5.
        dataset: `lcrp.datasets.Dataset`, whose classes become the model's.
        path: the .safetensors to write; the losses go to the same name with .csv.
        options: of the architecture, for `build_model`.
        training: `Training` or a dict of its settings; None for what suits the task.
        threads: of torch. The operations are so short that more threads mostly wait for each
            other, on a busy machine many times longer: rather train two models side by side.
        reading: wraps the samples while they are read, as tqdm does.
        progress: wraps the `Steps`, as tqdm does; the rows that they give tell the losses.

    Returns:
        The trained `lcrp.models.Model`.

    Raises:
        InputError: for settings that cannot be used, or an architecture that cannot be trained.
    """
    task = trained_task(architecture)
    if task is None:
        raise InputError(
            f"model.training: {architecture} cannot be trained here; "
            "choose unet or yolov5, or give a checkpoint"
        )
    settings = parse_entries(Training, training, "training").of_task(task)
    with _reproducible(settings.seed, threads):
        model = build_model(architecture, dataset.classes, **(options or {}))
        steps = Steps(model, load_examples(model, dataset, reading), settings)
        log = pd.DataFrame(progress(steps))
    with whole(Path(path).with_suffix(".csv")) as part:
        log.to_csv(part, index=False, float_format="%.6g")
    save_model(model, path, {"training": vars(settings)})
    return model
