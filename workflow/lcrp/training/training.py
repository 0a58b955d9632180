"""Trains a model from a seed and saves it."""

import json
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import torch
from safetensors.torch import save_file
from tqdm import trange

from lcrp.errors import InputError
from lcrp.models import build_model
from lcrp.training.batches import batches, load_examples
from lcrp.training.detection_loss import detection_loss
from lcrp.training.options import TrainingOptions
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


@contextmanager
def _whole(path):
    """A temporary path that takes its name when all is written, and goes if something fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        yield part
        part.rename(path)
    finally:
        part.unlink(missing_ok=True)


def fit(model, examples, options, progress=None):
    """Optimises a model's network by AdamW on a learning rate that rises and falls.

    Args:
        model: `lcrp.models.Model`; its network is changed and left in eval mode.
        examples: `Examples`.
        options: `TrainingOptions`.
        progress: show a bar; None shows it on terminals only.

    Returns:
        DataFrame, one row per step: step, learning_rate, loss and its parts.

    Raises:
        InputError: if the loss is not finite any more.
    """
    network = model.network.train()
    measure = segmentation_loss if model.task == "segmentation" else detection_loss
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=options.learning_rate, weight_decay=WEIGHT_DECAY
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, options.learning_rate, total_steps=max(options.steps, 2), pct_start=WARM_UP
    )
    random = torch.Generator().manual_seed(options.seed)
    chosen = batches(len(examples), options.batch_size, random)
    log = []
    with trange(
        options.steps,
        desc=f"Training {model.architecture}",
        disable=None if progress is None else not progress,
    ) as bar:
        for step in bar:
            mirrored = bool(torch.rand((), generator=random) < 0.5)
            inputs, targets = examples.batch(next(chosen), mirrored)
            parts = measure(model, network(inputs), targets, step / options.steps)
            if not torch.isfinite(parts["loss"]):
                raise InputError(
                    f"training.learning_rate: the loss is not finite at step {step}; "
                    f"choose less than {options.learning_rate}"
                )
            optimiser.zero_grad(set_to_none=True)
            parts["loss"].backward()
            optimiser.step()
            rate = schedule.get_last_lr()[0]
            schedule.step()
            parts = {name: part.item() for name, part in parts.items()}
            log.append({"step": step, "learning_rate": rate, **parts})
            if step % 20 == 0:
                bar.set_postfix_str(f"loss {parts['loss']:.3f}")
    network.eval()
    return pd.DataFrame(log)


def save_model(model, path, facts):
    """Writes a model as safetensors, under a temporary name that is changed when it is whole.

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
    with _whole(path) as part:
        save_file(state, part, metadata={"lcrp": json.dumps(described)})
    return path


def train_model(
    architecture, dataset, path, *, options=None, training=None, threads=1, progress=None
):
    """Trains a model on a dataset and saves it, with the losses beside it.

    The same seed and number of threads give the same bits.

    Args:
        architecture: a name that `lcrp.models.build_model` knows: "unet", or a YOLOv5.
        dataset: `lcrp.datasets.Dataset`, whose classes become the model's.
        path: the .safetensors to write; the losses go to the same name with .csv.
        options: of the architecture, for `build_model`.
        training: dict for `TrainingOptions.from_config`.
        threads: of torch. The operations are so short that more threads mostly wait for each
            other, on a busy machine many times longer: rather train two models side by side.
        progress: show bars; None shows them on terminals only.

    Returns:
        The trained `lcrp.models.Model`.

    Raises:
        InputError: for settings that cannot be used, or an architecture that cannot be trained.
    """
    if architecture != "unet" and not architecture.startswith("yolov5"):
        raise InputError(
            f"model.training: {architecture} cannot be trained here; "
            "choose unet or yolov5, or give a checkpoint"
        )
    task = "segmentation" if architecture == "unet" else "detection"
    settings = TrainingOptions.from_config(training or {}, task)
    with _reproducible(settings.seed, threads):
        model = build_model(architecture, dataset.classes, **(options or {}))
        log = fit(model, load_examples(model, dataset, progress), settings, progress)
    with _whole(Path(path).with_suffix(".csv")) as part:
        log.to_csv(part, index=False, float_format="%.6g")
    save_model(model, path, {"training": vars(settings)})
    return model
