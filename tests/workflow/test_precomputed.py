"""Reference samples are exchanged with zennit-crp as files: exported, and imported to a figure."""

import json
import random
import shutil

import pandas as pd
import pytest

from lcrp.render import read_summary
from lcrp.store import open_store

FIGURES = "results/authors/explanations"
IMPORTED = "results/authors/imported.zarr.zip"


@pytest.fixture
def authors(project):
    """The small detection once more, as of somebody who has its files but no analysis."""
    project.run("results/detection/crp")
    shutil.move(project / "results/detection/crp", project / "glocal/detection")
    experiment = project.experiment("detection")
    experiment["model"] = {
        "architecture": "yolov5",
        "checkpoint": "resources/training/detection/model.safetensors",
    }
    scenes = project / "resources/scenes/detection/test"
    content = json.loads((scenes / "annotations.json").read_text())
    random.Random(0).shuffle(content["images"])
    (project / "shuffled.json").write_text(json.dumps(content))
    experiment["dataset"] = {
        "format": "coco",
        "images": "resources/scenes/detection/test/images",
        "annotations": "shuffled.json",
    }
    experiment["analysis"]["precomputed"] = {"folder": "glocal", "order": "files"}
    project.write("config/experiments/authors.yaml", experiment)
    return project


def test_precomputed_files_lead_to_a_figure_without_analysis(authors):
    gallery = pd.read_csv(authors / "results/detection/explanations/gallery.csv", dtype=str)
    wanted = gallery.dropna(subset="file").iloc[0]
    figure = f"{FIGURES}/{wanted['file']}"
    done = authors.run(figure).done
    assert done["import_precomputed"] == done["render_explanation"] == 1
    assert not done["analyse_shard"] and not done["merge_shards"]
    assert (authors / figure).stat().st_size > 10_000
    with (
        open_store(authors / IMPORTED) as imported,
        open_store(authors / "results/detection/concepts.zarr.zip") as analysed,
    ):
        assert imported.layers == analysed.layers
        for layer in imported.layers:
            for concept in range(imported.layer(layer).channels):
                one, two = (s.best(layer, concept, k=5) for s in (imported, analysed))
                # Ranks that not every concept has are left out of the files.
                columns = ["image_id", "class", "position"]
                pd.testing.assert_frame_equal(one[columns], two[columns][: len(one)])
    # The same explanation as from the analysis, with the same reference images.
    analysed = read_summary(authors / f"results/detection/explanations/{wanted['file']}")
    assert read_summary(authors / figure)["concepts"] == analysed["concepts"]
    # By its name alone: the figures, and no analysis either.
    plan = authors.plan("authors")
    assert plan["render_explanations"] == 1 and not plan["analyse_shard"]


def test_files_of_another_order_or_model(authors):
    authors.change("authors", {"analysis.precomputed.order": "listed"})
    authors.run(IMPORTED)
    content = json.loads((authors / "shuffled.json").read_text())
    with open_store(authors / IMPORTED) as store:
        listed = [image["file_name"].removesuffix(".png") for image in content["images"]]
        assert store.images["id"].tolist() == listed
    authors.change(
        "authors", {"model.checkpoint": "resources/training/segmentation/model.safetensors"}
    )
    authors.change("authors", {"model.architecture": "unet"})
    run = authors.run(IMPORTED, check=False)
    assert run.code != 0 and "no such convolution" in run.text
    assert "give the files of this model" in run.text
