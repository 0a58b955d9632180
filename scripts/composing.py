"""What the scripts that draw figures have in common: the model, its images, and its store."""

import json
from contextlib import contextmanager
from pathlib import Path

from lcrp.attribution import Explainer
from lcrp.datasets import open_dataset
from lcrp.models import load_model
from lcrp.render import Composer, Settings
from lcrp.store import open_store


@contextmanager
def composer(snakemake):
    """A composer of explanations for the inputs of a job."""
    with open_store(snakemake.input.store) as store:
        model = load_model(store.attrs["architecture"], snakemake.input.weights)
        explainer = Explainer(
            model, store.attrs["composite"], device=snakemake.params.machine["device"]
        )
        yield Composer(
            explainer,
            model,
            open_dataset(snakemake.params.source, classes=model.classes),
            store,
            references=snakemake.params.references,
            experiment=snakemake.wildcards.experiment,
            pictures=snakemake.input.get("pictures", []),
        )


def figure_settings(snakemake, composer):
    """How figures are drawn, and how wide: what the settings file says, defaults resolved."""
    chosen = json.loads(Path(snakemake.input.settings).read_text())
    layers = shown_layers(composer, chosen["layer"])
    settings = Settings(
        layers,
        chosen["concepts"],
        chosen["references"],
        chosen["by"],
        threshold=composer.store.attrs["threshold"],
    )
    return settings, chosen["width"]


def shown_layers(composer, wanted):
    """Names of the layers that are shown; by default the example layer of the architecture."""
    if wanted != "default":
        return (wanted,) if isinstance(wanted, str) else tuple(wanted)
    example, recorded = composer.model.example_layer, composer.store.layers
    return (example if example in recorded else recorded[-1],)
