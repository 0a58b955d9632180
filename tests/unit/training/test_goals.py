"""The shipped demo models are worth explaining, and their bias is real, whatever the seed.

Settings were chosen on the training seeds 0, 100 and 101; these are others.
"""

import pytest
import yaml

from lcrp.configuration import Scenes, parse_entries
from lcrp.datasets import open_dataset
from lcrp.quality import measure_quality
from lcrp.scenes import truth, write_scenes
from lcrp.swaps import swap_following
from lcrp.training import train_model

GOALS = {"demo-segmentation": "mIoU", "demo-detection": "mAP50"}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Folder of the scenes with given settings, drawn once."""
    drawn = {}

    def draw(settings):
        options = parse_entries(Scenes, settings, "scenes")
        if options not in drawn:
            drawn[options] = write_scenes(options, tmp_path_factory.mktemp("scenes"), workers=2)
        return drawn[options], options

    return draw


@pytest.mark.proof
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("experiment", GOALS)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_quality_and_bias(root, scenes, tmp_path, experiment, seed):
    settings = yaml.safe_load((root / "config" / "experiments" / f"{experiment}.yaml").read_text())
    folder, options = scenes(settings["dataset"].get("scenes", {}))

    def split(name):
        return open_dataset(
            {
                "format": "coco",
                "images": str(folder / name / "images"),
                "annotations": str(folder / name / "annotations.json"),
                **({"with_background": True} if experiment == "demo-segmentation" else {}),
            }
        )

    model = train_model(
        settings["model"]["architecture"],
        split("train"),
        tmp_path / "model.safetensors",
        options=settings["model"]["options"],
        training=settings["model"]["training"] | {"seed": seed},
    )
    quality = measure_quality(model, split("test"))
    print(quality.summary)
    table, _ = swap_following(model, split("test"), split("swapped"), truth(options))
    print(table.to_string())
    assert quality.summary[GOALS[experiment]] >= 0.85
    table = table[table["swap"] == "context"].set_index("kind")
    assert (table["objects"] >= 20).all()
    assert (table.loc["context-dependent", "follows"] >= 0.9).all()
    assert (table.loc["shape", "stays"] >= 0.9).all()
