"""Plots of the context tables, scores by conditional heatmaps, and the verification.

The images are annotated with what the model predicts: then every prediction meets its object, and
has a score.
"""

import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import lcrp
from lcrp.context import open_tables
from lcrp.datasets import read_image
from lcrp.store import open_store
from lcrp.verification import HEATMAP_COLUMNS, METHODS, POINT_COLUMNS, VERIFICATION_COLUMNS
from support.projects import Project

RESULTS = "results/regions"
PLOTS = f"{RESULTS}/context/plots/matrix.png"
PAPER = f"{RESULTS}/context/paper_scores.csv"
VERIFICATION = f"{RESULTS}/verification/verification.csv"
LAYERS = [f"encoder.stages.{number}.conv2" for number in range(3)]
SETTINGS = {
    "analysis": {"images_per_shard": 8},
    "context": {"minimum_targets": 2},
    "paper_scores": {"layers": ["encoder.stages.[12].*"], "concepts": 5},
    "verification": {
        "samples": 6, "least_samples": 3, "least_pixels": 20, "concepts": 3, "references": 2,
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def scored(finished, tmp_path_factory):
    """A project whose context is plotted, scored by heatmaps and verified."""
    project = Project(tmp_path_factory.mktemp("scored") / "project")
    project.configure("regions")
    images = project / "images"
    shutil.copytree(finished / "resources/scenes/segmentation/test/images", images)
    trained = finished / "resources/training/segmentation/model.safetensors"
    shutil.copyfile(trained, project / "model.safetensors")
    model = lcrp.load_model("unet", trained)
    (project / "masks").mkdir()
    for path in sorted(images.iterdir()):
        with torch.no_grad():
            logits, *_ = model.network(model.preprocess(read_image(path))[0][None])
        labels = logits[0].argmax(dim=0).numpy().astype(np.uint8)
        Image.fromarray(labels).save(project / "masks" / path.name)
    experiment = {
        "title": "Annotated with what is predicted",
        "model": {"architecture": "unet", "checkpoint": "model.safetensors"},
        "dataset": {
            "format": "masks", "images": "images", "masks": "masks", "classes": list(model.classes),
        },
    }  # fmt: skip
    project.write("config/experiments/regions.yaml", experiment | SETTINGS)
    project.first_run = project.run(PLOTS, PAPER, VERIFICATION)
    return project


@pytest.fixture(scope="module")
def store(scored):
    with open_store(scored / RESULTS / "concepts.zarr.zip") as opened:
        assert (opened.targets["iou"] == 1).all() and opened.layers == LAYERS
        yield opened


@pytest.fixture(scope="module")
def tables(scored, store):
    with open_tables(scored / RESULTS / "context/context.zarr.zip", store) as opened:
        yield opened


def inches(path):
    """Size of a figure that has colours in it."""
    with Image.open(path) as figure:
        spread = np.ptp(np.asarray(figure.convert("RGB"), int), axis=-1)
        assert (spread > 25).sum() > 50, path
        return pytest.approx([side / 150 for side in figure.size], abs=0.02)


def test_each_is_one_job(scored):
    for rule in ("plot_context", "score_heatmaps", "verify_scores"):
        assert scored.first_run.done[rule] == 1
    assert not scored.plan(PLOTS, PAPER, VERIFICATION)


def test_plots_have_a_place_for_all_that_has_a_score(scored, tables):
    plots = scored / RESULTS / "context/plots"
    whole = tables.classes[tables.classes["layer"] == "all"]
    classes = int(whole["context_score"].notna().sum())
    known = tables.pairs.dropna(subset="share")
    assert classes == known["class"].nunique() > 4
    things = known["thing"].nunique()
    assert inches(plots / "matrix.png") == [2.4 + 0.42 * things, 1.6 + 0.3 * classes]
    assert inches(plots / "scores.png") == [2.6 * 4 + 1, 2.2 * np.ceil(classes / 4) + 0.8]
    assert inches(plots / "layers.png") == [2.5 + 0.28 * 6, 3.8]


def test_scores_by_heatmaps_are_those_of_the_tables(scored, store, tables):
    scores = pd.read_csv(scored / PAPER, keep_default_na=False, na_values=[""])
    assert list(scores.columns) == list(HEATMAP_COLUMNS)
    present = {store.classes[index] for index in store.targets["class"]}
    assert set(scores["class"]) == present and set(scores["layer"]) == set(LAYERS[1:])
    for (name, layer), own in scores.groupby(["class", "layer"]):
        top = store.top_concepts(layer, name, k=5)
        top = top[top["mean_relevance"] > 0]
        assert own["concept"].tolist() == top["concept"].tolist()
        assert own["rank"].tolist() == list(range(1, len(top) + 1))
        np.testing.assert_allclose(own["share"], top["mean_relevance"], rtol=1e-5)
    assert scores["targets"].between(1, 8).all() and scores["note"].isna().all()
    assert scores["context_score"].between(0, 1).all() and scores["context_score"].std() > 0.01
    # z+ on a network of ReLUs: no heatmap has negative relevance.
    assert (scores["kind"] == "exact").all()
    np.testing.assert_allclose(scores["transported"], scores["context_score"], atol=1e-5)
    np.testing.assert_allclose(scores["difference"], 0, atol=1e-5)
    # The same best targets, of which the tables know from the store alone.
    known = pd.concat([tables.concepts(name) for name in present])
    known = known.set_index(["class", "layer", "concept"])
    known = known.loc[list(zip(scores["class"], scores["layer"], scores["concept"], strict=True))]
    assert known["relmax_targets"].tolist() == scores["targets"].tolist()
    np.testing.assert_allclose(known["context_score_relmax"], scores["context_score"], atol=1e-3)


def test_verification_compares_every_method_with_what_was_measured(scored, store):
    found = pd.read_csv(scored / VERIFICATION)
    points = pd.read_csv(scored / RESULTS / "verification/points.csv")
    assert list(found.columns) == list(VERIFICATION_COLUMNS)
    assert list(points.columns) == list(POINT_COLUMNS)
    assert found["layer"].tolist() == [layer for layer in LAYERS for _ in METHODS]
    assert found["method"].tolist() == list(METHODS) * len(LAYERS)
    large = store.targets[store.targets["pixels"] >= 20]
    counts = large["class"].map(store.classes.__getitem__).value_counts()
    assert set(points["class"]) == set(counts.index[counts >= 3])
    assert (points["samples"] == points["class"].map(counts).clip(upper=6)).all()
    assert points.groupby(["layer", "class"]).size().between(1, 3).all()
    assert points["sensitivity"].between(0, 1).all() and points["sensitivity"].std() > 0.01
    for method in METHODS:
        scores = points[method].dropna()
        assert len(scores) > len(points) / 2 and scores.between(0, 1 + 1e-6).all()
    np.testing.assert_allclose(points["transported L-CRP"], points["L-CRP"], atol=1e-5)
    for _, row in found.iterrows():
        own = points[points["layer"] == row["layer"]].dropna(subset=row["method"])
        error = (own[row["method"]] - own["sensitivity"]) ** 2
        assert row["concepts"] == len(own) and row["classes"] == own["class"].nunique()
        assert row["rmse"] == pytest.approx(np.sqrt(error.mean()), rel=1e-4)
    density = scored / RESULTS / "verification/density.png"
    assert inches(density) == [1.9 * len(METHODS) + 0.6, 2.1 * len(LAYERS) + 0.5]


def test_what_is_wrong_is_said_in_one_line_each(scored, tmp_path):
    project = scored.copy(tmp_path / "project")
    tables = project / RESULTS / "context/context.zarr.zip"
    tables.write_bytes(tables.read_bytes()[:1000])
    project.change("regions", {"paper_scores.classes": ["boot"], "verification.least_samples": 99})
    assert project.plan(PLOTS, PAPER, VERIFICATION) == dict.fromkeys(
        ("plot_context", "score_heatmaps", "verify_scores"), 1
    )
    run = project.run("--keep-going", PLOTS, PAPER, VERIFICATION, check=False)
    line = project.complaint(run, "plot_context")
    assert line.startswith(f"{RESULTS}/context/context.zarr.zip: ")
    line = project.complaint(run, "score_heatmaps")
    assert "no class 'boot'" in line and "boat" in line
    line = project.complaint(run, "verify_scores")
    assert "no class has 99 annotated samples" in line and "verification.least_samples" in line
    assert not (project / PAPER).exists()
    assert not list((project / RESULTS / "context/plots").glob("*"))
    assert not list((project / RESULTS / "verification").glob("*"))
