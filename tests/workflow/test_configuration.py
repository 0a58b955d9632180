"""Wrong entries stop the workflow before anything runs, with what is allowed and an example."""

import pytest

from support.projects import Project

EXPERIMENT = {
    "title": "Mine",
    "model": {"architecture": "yolov5n", "checkpoint": "weights.pt"},
    "dataset": {"format": "coco", "images": "images", "annotations": "instances.json"},
}


@pytest.fixture
def empty(tmp_path):
    project = Project(tmp_path)
    project.configure("mine")
    project.write("config/experiments/mine.yaml", EXPERIMENT)
    return project


def refused(project, *arguments):
    """What a run says that is refused before any job."""
    run = project.run(*arguments, check=False)
    assert run.code != 0 and not run.done
    assert "Traceback (most recent" not in run.text
    return run.text


def test_a_wrong_entry_is_shown_with_an_example(empty):
    empty.change("mine", {"analysis.targets.mode": "instances"})
    text = refused(empty)
    assert "config/experiments/mine.yaml: analysis.targets.mode: `instances`" in text
    assert "allowed: class, instance" in text
    assert "targets: {mode: instance}" in text


def test_an_experiment_without_a_file_names_the_nearest(empty):
    empty.configure("mina")
    text = refused(empty)
    assert "there is no experiment `mina`; did you mean mine?" in text


def test_a_wrong_experiment_does_not_disturb_the_others(empty):
    empty.write("config/experiments/other.yaml", {"title": 3})
    (empty / "images").mkdir()
    for file in ("weights.pt", "instances.json"):
        (empty / file).touch()
    assert empty.plan()["index_dataset"] == 1


def test_an_experiment_that_is_only_asked_for_is_checked_as_well(empty):
    empty.write("config/experiments/other.yaml", {**EXPERIMENT, "colour": "red"})
    run = empty.run("results/other/report/index.html", check=False)
    assert run.code != 0 and not run.done
    assert "config/experiments/other.yaml: colour: is no known entry" in run.text


def test_a_folder_of_images_that_is_not_there(empty):
    (empty / "weights.pt").touch()
    text = refused(empty)
    assert "config/experiments/mine.yaml: dataset.images: `images`: no such file" in text


def test_a_checkpoint_that_is_not_there(empty):
    (empty / "images").mkdir()
    (empty / "instances.json").touch()
    text = refused(empty)
    assert "weights.pt" in text


def test_the_shipped_configuration_is_planned_without_downloads(root, tmp_path):
    project = Project(tmp_path)
    (project / "config").symlink_to(root / "config")
    plan = project.plan()
    assert plan["train_model"] == 2 and plan["build_report"] == 2
    assert not [rule for rule in plan if "download" in rule]


def test_experiments_can_be_asked_for_by_name(root, tmp_path):
    project = Project(tmp_path)
    (project / "config").symlink_to(root / "config")
    assert project.plan("demo-detection")["train_model"] == 1


PAPER = (
    "unet-cityscapes",
    "deeplabv3plus-voc2012",
    "yolov5m-coco2017",
    "yolov6s-coco2017",
    "ssd512-coco2014",
)


@pytest.mark.parametrize("target", ["{}", "results/{}/report/index.html"], ids=["name", "file"])
def test_the_reference_pairs_are_planned_offline(root, tmp_path, target):
    project = Project(tmp_path)
    (project / "config").symlink_to(root / "config")
    plan = project.plan(*(target.format(name) for name in PAPER))
    # Two of them look at the same images.
    assert (plan["download_dataset"], plan["download_checkpoint"]) == (4, 5)
    for rule in ("convert_checkpoint", "measure_quality", "plan_shards", "build_report"):
        assert plan[rule] == 5
    assert not plan["train_model"]


def test_a_checkpoint_that_is_neither_file_nor_download(root, empty):
    for folder in ("images", "instances.json"):
        (empty / folder).mkdir()
    (empty / "config/checkpoints.csv").symlink_to(root / "config/checkpoints.csv")
    empty.change("mine", {"model.checkpoint": "yolov5m-coco"})
    assert "nearest: 'yolov5m-coco2017'" in refused(empty)


def test_files_that_cannot_be_asked_for_by_name_are_said_and_break_nothing(project):
    shipped = project.experiment("detection")
    for name in ("all.yaml", "train_model.yaml", "mine (copy).yaml", "other.yml"):
        project.write(f"config/experiments/{name}", shipped)
    run = project.run("--dry-run")
    assert "all.yaml: not read; a step of the workflow is called all: rename the file" in run.text
    assert "train_model.yaml: not read; a step of the workflow" in run.text
    assert "name it with letters, digits, `_`, `.` and `-` alone, as in mine_copy.yaml" in run.text
    assert "other.yml: not read; rename it to other.yaml" in run.text


@pytest.mark.parametrize(
    ("checkpoint", "said"),
    [
        ("https://host/model.pt", "is an address; fetch the file and give its path"),
        ("weights/none.pt", "no such file in"),
        ("config", "is a folder; give the file with the weights in it"),
        ("~/none-there.pt", "no such file in"),
    ],
)
def test_a_checkpoint_that_is_not_there_is_named_by_its_entry(project, checkpoint, said):
    project.change("detection", {"model.training": None, "model.checkpoint": checkpoint})
    run = project.run("--dry-run", "results/detection/quality/quality.json", check=False)
    assert run.code != 0
    assert "config/experiments/detection.yaml: model.checkpoint: `" in run.text and said in run.text
    assert "`~" not in run.text
