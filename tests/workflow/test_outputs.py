"""What a complete run leaves behind."""

import json
import shutil

import pandas as pd
import pytest
from PIL import Image

from lcrp.render import read_summary
from lcrp.store import open_store

TASKS = ("segmentation", "detection")


@pytest.fixture(params=TASKS)
def results(finished, request):
    return finished / "results" / request.param


def test_every_promised_file_is_there(results):
    for name in (
        "concepts.zarr.zip",
        "context/concepts.csv",
        "context/classes.csv",
        "context/instances.csv",
        "effect/effects.csv",
        "effect/examples/index.csv",
        "explanations/gallery.csv",
        "quality/quality.json",
        "quality/classes.csv",
        "report/index.html",
        "shards/0.zarr.zip",
        "shards/1.zarr.zip",
        "swaps/swaps.csv",
    ):
        assert (results / name).stat().st_size > 0, name


def test_nothing_half_written_is_left(finished):
    left = [path for path in finished.folder.rglob("*") if ".part" in path.name]
    assert not [path for path in left if ".snakemake" not in path.parts]


def test_every_job_leaves_log_and_benchmark_named_like_it(finished):
    done = finished.first_run.done
    assert done["draw_scenes"] >= 4 and done["analyse_shard"] == 4
    for rule, jobs in done.items():
        if rule == "all":
            continue
        logs = [path for path in (finished / "logs" / rule).rglob("*.log") if path.is_file()]
        tables = list((finished / "benchmarks/results" / rule).rglob("*.tsv"))
        assert len(logs) == len(tables) == jobs, rule
        names = {path.relative_to(finished / "logs" / rule).with_suffix("") for path in logs}
        assert names == {
            path.relative_to(finished / "benchmarks/results" / rule).with_suffix("")
            for path in tables
        }


def test_the_store_holds_every_image_once(results):
    with open_store(results / "concepts.zarr.zip") as store:
        assert len(store.images) == store.images["id"].nunique() == 8
        assert store.attrs["experiment"] == results.name
        assert store.layers


def test_the_gallery_lists_figures_that_are_there(results):
    gallery = pd.read_csv(results / "explanations/gallery.csv")
    assert gallery["image"].nunique() == 2
    drawn = gallery.dropna(subset="file")
    assert len(drawn)
    for file in drawn["file"]:
        with Image.open(results / "explanations" / file) as figure:
            assert figure.width == 800


def test_quality_is_a_number_and_in_the_report(results):
    quality = json.loads((results / "quality/quality.json").read_text())
    name = "mIoU" if results.name == "segmentation" else "mAP50"
    assert 0 <= quality[name] <= 1


def test_a_single_figure_can_be_asked_for_by_name(project):
    gallery = pd.read_csv(
        project / "results/segmentation/explanations/gallery.csv", dtype=str
    ).dropna(subset="file")
    wanted = gallery.iloc[0]
    name = f"results/segmentation/explanations/{wanted['image']}/{wanted['target']}.svg"
    run = project.run(name)
    assert run.done == {"render_explanation": 1}
    assert (project / name).read_text().startswith("<?xml")
    assert project.run(name).done == {}


def test_a_picture_from_elsewhere_and_the_published_example(project):
    gallery = pd.read_csv(
        project / "results/segmentation/explanations/gallery.csv", dtype=str
    ).dropna(subset="file")
    wanted = gallery.iloc[0]
    with open_store(project / "results/segmentation/concepts.zarr.zip") as store:
        ids, layer = store.images["id"].tolist(), store.layers[0]
    image = project / f"resources/scenes/segmentation/test/images/{wanted['image']}.png"
    shutil.copy(image, project / "holiday.png")
    published = {
        "sample": ids.index(wanted["image"]),
        "target": wanted["target"],
        "layer": layer,
        "concepts": 1,
        "references": 2,
    }
    project.change("segmentation", {"explanations.published": published})
    foreign = f"results/segmentation/explanations/holiday/{wanted['target']}.png"
    example = "results/segmentation/published-example.png"
    run = project.run(foreign, example, "--config", "pictures=[holiday.png]")
    assert run.done == {"render_explanation": 1, "render_published_example": 1}
    summary = read_summary(project / foreign)
    assert summary["image"] == "holiday" and summary["object_from"] == "prediction"
    summary = read_summary(project / example)
    assert summary["image"] == wanted["image"]
    assert [(part["layer"], len(part["references"])) for part in summary["concepts"]] == [
        (layer, 2)
    ]
    run = project.snakemake("--dry-run", foreign, "--config", "pictures=[gone.png]", check=False)
    assert run.code and "gone.png`: no such file in" in run.text


def test_a_deleted_figure_is_made_again_alone(project):
    figure = next((project / "results/detection/explanations").glob("*/*.png"))
    content = figure.read_bytes()
    figure.unlink()
    run = project.run(str(figure.relative_to(project.folder)))
    assert run.done == {"render_explanation": 1}
    assert figure.read_bytes() == content


@pytest.mark.parametrize(
    "task", ["detection", pytest.param("segmentation", marks=pytest.mark.proof)]
)
def test_the_same_settings_give_the_same_files(finished, project, task):
    for name in ("concepts.zarr.zip", "context/concepts.csv"):
        (project / "results" / task / name).unlink()
    for shard in (project / "results" / task / "shards").iterdir():
        shard.unlink()
    project.run(f"results/{task}/context/concepts.csv")
    for name in ("concepts.zarr.zip", "context/concepts.csv"):
        path = f"results/{task}/{name}"
        assert (project / path).read_bytes() == (finished / path).read_bytes(), name


def test_snakemakes_own_report_has_the_figures_and_tables(project):
    project.snakemake("--report", "report.zip")
    assert (project / "report.zip").stat().st_size > 100_000
