"""What the scripts that draw figures have in common: the model, its images, and its store."""

import json
from contextlib import contextmanager
from pathlib import Path

from lcrp.attribution import Explainer
from lcrp.datasets import open_dataset
from lcrp.layers import shown_layers
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
    settings = Settings(
        layers_of(composer, chosen["layer"]),
        chosen["concepts"],
        chosen["references"],
        chosen["by"],
        threshold=composer.store.attrs["threshold"],
    )
    return settings, chosen["width"]


def layers_of(composer, wanted):
    """Names of the layers that are shown of the composer's store."""
    return shown_layers(wanted, composer.store.layers, composer.model.example_layer)
