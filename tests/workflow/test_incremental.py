"""What is computed again after a change: read from what Snakemake would run, or ran."""

import os
import time
from pathlib import Path

TASKS = ("segmentation", "detection")
FIGURES = {"choose_figure_settings", "render_explanations", "build_report", "all"}


def rules(counts):
    """The rules of a plan or a run; `all` only gathers."""
    return set(counts)


def test_right_after_a_run_nothing_is_to_do(finished):
    assert not finished.plan()


def test_another_number_of_concepts_draws_figures_again(project):
    project.change("segmentation", {"explanations.concepts": 1})
    assert rules(project.plan()) == FIGURES


def test_other_images_draw_figures_again(project):
    project.change("segmentation", {"explanations.images": 1})
    assert rules(project.plan()) == FIGURES - {"choose_figure_settings"}


def test_a_figure_of_the_gallery_follows_its_settings(project):
    figure = next((project / "results/segmentation/explanations").glob("*/*.png"))
    name = str(figure.relative_to(project.folder))
    assert not project.plan(name)
    project.change("segmentation", {"explanations.concepts": 1})
    assert rules(project.plan(name)) == {"choose_figure_settings", "render_explanation"}


def test_an_edited_caption_builds_the_report_again(project):
    project.change("segmentation", {"report.caption": "Scenes of today."})
    assert rules(project.plan()) == {"build_report", "all"}
    project.run()
    page = (project / "results/segmentation/report/index.html").read_text()
    assert "Scenes of today." in page


def test_another_layer_list_analyses_again_without_training(project):
    layer = (project / "results/segmentation/explanations/settings.json").read_text()
    assert layer
    project.change("segmentation", {"analysis.layers": "all"})
    plan = project.plan()
    assert plan["analyse_shard"] == 2
    assert not rules(plan) & {
        "draw_scenes",
        "index_dataset",
        "plan_shards",
        "train_model",
        "measure_quality",
        "swap_contexts",
    }


def test_other_targets_and_another_composite_analyse_again_as_well(project):
    project.change("segmentation", {"analysis.targets.source": "predicted"})
    project.change("detection", {"analysis.composite": "EpsilonFlat"})
    plan = project.plan("results/segmentation/concepts.zarr.zip", "results/detection/crp")
    assert plan == {"analyse_shard": 4, "merge_shards": 2, "export_crp": 1}


def test_other_context_settings_aggregate_again(project):
    project.change("segmentation", {"context.minimum_targets": 2})
    # The tables propose the concepts whose effect is measured.
    assert rules(project.plan()) == {
        "aggregate_context",
        "measure_effect",
        "write_context_tables",
        "build_report",
        "all",
    }


def test_other_effect_settings_measure_effects_again(project):
    after = {"write_context_tables", "build_report", "all"}
    project.change("segmentation", {"effect.images": 3})
    assert rules(project.plan()) == {"measure_effect", *after}
    project.change("segmentation", {"effect.enabled": False})
    assert rules(project.plan()) == after


def test_how_it_is_computed_changes_nothing(project):
    project.change("segmentation", {"analysis.batch_size": 2, "analysis.device": "cpu"})
    assert not project.plan()


def test_another_seed_of_the_training_starts_there(project):
    project.change("detection", {"model.training.seed": 1})
    plan = project.plan()
    assert plan["train_model"] == 1 and plan["analyse_shard"] == 2
    assert not rules(plan) & {"draw_scenes", "index_dataset", "plan_shards"}


def test_more_images_analyse_the_new_shards_only(project):
    shards = project / "results/segmentation/shards"
    before = {path.name: path.stat().st_mtime_ns for path in shards.iterdir()}
    assert set(before) == {"0.zarr.zip", "1.zarr.zip"}
    project.change("segmentation", {"dataset.scenes.test": 12})
    done = project.run().done
    assert done["analyse_shard"] == 1
    assert done["merge_shards"] == done["build_report"] == done["aggregate_context"] == 1
    assert not done["train_model"]
    after = {path.name: path.stat().st_mtime_ns for path in shards.iterdir()}
    assert set(after) == {*before, "2.zarr.zip"}
    assert {name: after[name] for name in before} == before
    assert not project.plan()


MADE_OR_GIVEN = (
    "resources/scenes/*/*/annotations.json",
    "resources/datasets/*/*.csv",
    "resources/training/*/model.*",
    "results/*/shards/*",
    "results/*/concepts.zarr.zip",
    "results/*/context/*",
    "config/**/*.yaml",
)


def test_touched_but_identical_files_change_nothing(project):
    later = time.time() + 5
    for pattern in MADE_OR_GIVEN:
        found = list(Path(project.folder).glob(pattern))
        assert found, pattern
        for path in found:
            os.utime(path, (later, later))
    assert not project.plan()
