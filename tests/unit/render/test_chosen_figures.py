import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
from PIL import Image

from lcrp.render import (
    Settings,
    chosen_targets,
    draw_atlas,
    draw_explanations,
    figure_bytes,
    most_context_dependent,
    read_summary,
)
from lcrp.render.atlas import TILE
from lcrp.render.chosen_figures import _covering


def test_gallery_is_drawn_and_listed(segmented, tmp_path):
    wanted = [*chosen_targets(segmented.store, 2), ("scene77", "disc"), ("scene0", "")]
    settings = Settings((segmented.store.layers[0],), 1, 2)
    table = draw_explanations(segmented.composer(), wanted, tmp_path, settings, width=400)
    assert table[["image", "target"]].apply(tuple, axis=1).tolist() == wanted
    drawn = table[table["problem"] == ""]
    assert len(drawn) == len(wanted) - 2
    for row in drawn.to_dict("records"):
        summary = read_summary(tmp_path / row["file"])
        assert (summary["image"], summary["class_name"]) == (row["image"], row["class"])
    assert "scene77" in table["problem"].iloc[-2] and table["file"].iloc[-2] == ""
    assert "nothing was explained" in table["problem"].iloc[-1]


def test_a_corrupt_image_is_a_row_that_says_so(segmented, tmp_path):
    wanted = chosen_targets(segmented.store, 3)
    broken = wanted[len(wanted) // 2][0]
    path = segmented.dataset[broken].path
    content = path.read_bytes()
    settings = Settings((segmented.store.layers[0],), 1, 2)
    try:
        path.write_bytes(content[:60])
        table = draw_explanations(segmented.composer(), wanted, tmp_path, settings, width=400)
    finally:
        path.write_bytes(content)
    ill = table["image"] == broken
    assert table.loc[ill, "problem"].str.contains(f"{broken}.png: not a readable image").all()
    assert (table.loc[~ill, "problem"] == "").all() and table.loc[~ill, "file"].ne("").all()


def test_figures_drawn_together_are_those_drawn_alone(segmented, tmp_path):
    wanted = [pair for pair in chosen_targets(segmented.store, 2) if pair[1]]
    settings = Settings((segmented.store.layers[0],), 2, 3)
    table = draw_explanations(segmented.composer(), wanted, tmp_path, settings, width=400)
    for (image, target), file in zip(wanted, table["file"], strict=True):
        alone = segmented.composer().compose(image, target, settings)
        assert (tmp_path / file).read_bytes() == figure_bytes(alone, "png", 400)


def test_chosen_images_by_name_and_the_ones_without_targets(segmented):
    named = chosen_targets(segmented.store, ["scene3", "nowhere"])
    assert {image for image, _ in named} == {"scene3", "nowhere"}
    assert ("nowhere", "") in named


def test_predictions_that_rest_on_their_context_are_found():
    inside = np.array([[1.0, 1], [0, 0.5], [0, 0], [0.2, 0], [np.nan, np.nan], [0.0, 0.1]])
    recorded = {"inside": inside, "landed": np.ones((6, 2)), "absolute_sum": np.ones(6)}

    def read(layer, name, concepts=None):
        return recorded[name] if concepts is None else recorded[name][:, concepts]

    store = SimpleNamespace(
        attrs={"target_mode": "class"},
        classes=("disc", "traffic light", "boat"),
        images=pd.DataFrame({"id": list("abcdef")}),
        targets=pd.DataFrame(
            {"image": [0, 1, 2, 3, 4, 2], "class": [0, 1, 1, 2, 0, 0],
             "iou": [0.9, 0.8, 0.2, 0.7, np.nan, 0.9]}
        ),
        holds=lambda layer, name: True,
        read=read,
    )  # fmt: skip
    found = most_context_dependent(store, "layer", 3)
    assert found == [("c", "disc"), ("d", "boat"), ("b", "traffic_light")]
    assert most_context_dependent(store, "layer", 1, without=[("c", "disc")]) == [("d", "boat")]
    assert most_context_dependent(store, "layer", 0) == []


def test_few_images_show_many_classes():
    images = np.array([0, 0, 1, 2, 2, 3])
    classes = np.array([5, 6, 5, 7, 8, 5])
    assert _covering(images, classes, 2) == [0, 2]
    assert len(_covering(images, classes, 9)) == 4


def test_instance_mode_names_the_box():
    store = SimpleNamespace(
        attrs={"target_mode": "instance"},
        classes=("disc", "traffic light"),
        images=pd.DataFrame({"id": ["a"]}),
        targets=pd.DataFrame({"image": [0, 0, 0], "class": [0, 0, 1], "instance": [0, 1, 0]}),
    )
    names = [name for _, name in chosen_targets(store, 1)]
    assert names == ["disc-1", "disc-2", "traffic_light-1"]


def test_atlas_lists_its_strips(segmented, tmp_path):
    folder, layer = tmp_path / "atlas", segmented.store.layers[0]
    (folder / "stale").mkdir(parents=True)
    draw_atlas(
        segmented.composer().references, folder, layers=[layer], concepts=2, leading=1, count=3
    )
    facts = json.loads((folder / "atlas.json").read_text())
    strips = facts["strips"][layer]
    assert strips and not (folder / "stale").exists()
    for name, tiles in strips.items():
        with Image.open(folder / layer / f"{name}.webp") as picture:
            assert picture.size == (TILE * len(tiles), TILE)
        best = segmented.store.best(
            layer,
            int(name.split("-")[0]),
            k=3,
            class_index=int(name.split("-")[1]) if "-" in name else None,
        )
        assert [image for image, _ in tiles] == best["image_id"].tolist()[: len(tiles)]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["atlas"]
