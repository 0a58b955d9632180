import numpy as np
import pytest
from PIL import Image

from lcrp.errors import InputError
from lcrp.render import Settings, parse_target
from lcrp.render.compose import chosen_concepts


def layer_of(world):
    return world.store.layers[-1]


def targets_of(world, image="scene0", **choice):
    images, geometry = world.model.preprocess(world.dataset[image].image())
    return world.explainer.predict(images[None]).targets(**choice), geometry


def test_segmentation_explanation_is_what_the_explainer_says(segmented):
    layer = layer_of(segmented)
    targets, geometry = targets_of(segmented)
    target = targets[0]
    explanation = segmented.composer().compose("scene0", target.class_name, Settings((layer,), 2))
    result = segmented.explainer.explain(targets[:1], [layer], heatmaps=True)
    np.testing.assert_allclose(
        explanation.heatmap, geometry.map_to_original(result.heatmaps[0].numpy()), atol=1e-6
    )
    relevance = result.relevance[layer][0].numpy()
    share = relevance / np.abs(relevance).sum()
    order = np.argsort(-share, kind="stable")[:2]
    assert [part.concept for part in explanation.concepts] == order.tolist()
    np.testing.assert_allclose(
        [part.relevance for part in explanation.concepts], share[order], rtol=1e-4
    )
    expected = segmented.explainer.conditional(target, layer, order.tolist()).numpy()
    for part, heatmap in zip(explanation.concepts, expected, strict=True):
        np.testing.assert_allclose(part.heatmap, geometry.map_to_original(heatmap), atol=1e-6)
    assert explanation.picture.shape[:2] == explanation.heatmap.shape == (80, 64)
    mask = next(m for m in explanation.predictions if m.explained).mask
    predicted = geometry.map_to_original(targets.mask(0).numpy().astype(np.float32)) > 0.5
    np.testing.assert_array_equal(mask, predicted)


def test_share_outside_is_measured_on_the_annotated_mask(segmented):
    targets, geometry = targets_of(segmented, classes=["disc"])
    assert len(targets), "choose another seed: the untrained network predicts no disc here"
    explanation = segmented.composer().compose("scene0", "disc", Settings((layer_of(segmented),)))
    assert explanation.object_from == "annotation"
    inside = geometry.mask_to_input(segmented.dataset["scene0"].labels()) == 1
    result = segmented.explainer.explain(targets, [], heatmaps=True)
    positive = result.heatmaps[0].numpy().clip(0)
    expected = positive[~inside].sum() / positive.sum()
    assert explanation.outside == pytest.approx(expected, rel=1e-4)
    truth = next(m for m in explanation.truth if m.explained).mask
    np.testing.assert_array_equal(truth, segmented.dataset["scene0"].labels() == 1)


def test_detection_explanation(detected):
    settings = Settings(tuple(detected.store.layers[:2]), concepts=(5, 3), references=2)
    explanation = detected.composer().compose("scene1", "disc", settings)
    assert explanation.layers == list(detected.store.layers[:2])
    assert [part.concept for part in explanation.concepts] == [5, 3, 5, 3]
    targets, geometry = targets_of(detected, "scene1", classes=["disc"])
    explained = [m for m in explanation.predictions if m.explained]
    assert len(explained) == 1
    expected = geometry.boxes_to_original(np.array([targets[0].box]))[0]
    np.testing.assert_allclose(explained[0].box, expected, atol=1e-3)
    # The explained box is drawn once: not again among the other predictions.
    others = [m.box for m in explanation.predictions if not m.explained and m.label == "disc"]
    assert all(np.abs(np.subtract(box, expected)).max() > 1e-3 for box in others)
    assert [m.explained for m in explanation.truth] == [
        m.label == "disc" for m in explanation.truth
    ]
    assert {m.label for m in explanation.truth} == {"disc", "traffic light"}
    for part in explanation.concepts:
        assert part.outside is None or 0 <= part.outside <= 1
        assert all(0 < share <= 1 and name == "traffic light" for name, share in part.lies_on)


def test_second_best_box_differs(detected):
    composer, settings = detected.composer(), Settings((layer_of(detected),), 1, 1)
    best, second = (
        next(m for m in composer.compose("scene1", name, settings).predictions if m.explained)
        for name in ("disc", "disc-2")
    )
    assert best.score >= second.score and best.box != second.box
    with pytest.raises(InputError, match="scene1: no disc number 999 is predicted; predicted: "):
        composer.compose("scene1", "disc-999", settings)


def test_instances_are_counted_over_the_image(detected):
    targets, geometry = targets_of(detected, "scene1", mode="instance")
    explanation = detected.composer().compose(
        "scene1", "instance-2", Settings((layer_of(detected),), 1, 1)
    )
    assert explanation.class_name == targets[1].class_name
    box = next(m for m in explanation.predictions if m.explained).box
    np.testing.assert_allclose(
        box, geometry.boxes_to_original(np.array([targets[1].box]))[0], atol=1e-3
    )


def test_an_image_from_outside_the_dataset(segmented, tmp_path):
    picture = segmented.dataset["scene2"].image()
    Image.fromarray(picture).save(tmp_path / "holiday.png")
    settings = Settings((layer_of(segmented),), 1)
    name = targets_of(segmented, "scene2")[0][0].class_name
    known = segmented.composer().compose("scene2", name, settings)
    foreign = segmented.composer().compose(str(tmp_path / "holiday.png"), name, settings)
    np.testing.assert_array_equal(known.heatmap, foreign.heatmap)
    assert foreign.truth is None and foreign.object_from == "prediction"
    assert foreign.image_id == "holiday"
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"broken\.png"):
        segmented.composer().compose(str(tmp_path / "broken.png"), name, settings)


def test_by_activation(segmented):
    layer = layer_of(segmented)
    name = targets_of(segmented)[0][0].class_name
    explanation = segmented.composer().compose(
        "scene0", name, Settings((layer,), 2, 3, by="activation")
    )
    images, _ = segmented.model.preprocess(segmented.dataset["scene0"].image())
    record = segmented.explainer.predict(images[None], activations=[layer]).record
    for part in explanation.concepts:
        assert part.activation == pytest.approx(float(record.activation[layer][0, part.concept]))
        values = [reference.value for reference in part.references]
        assert values == sorted(values, reverse=True)


@pytest.mark.parametrize(
    ("image", "target", "changes", "message"),
    [
        ("scene99", "disc", {}, "image scene99: neither in the dataset nor a file; give a path"),
        ("xyz", "disc", {}, "give a path, or an id such as"),
        ("scene0", "disk", {}, "class disk: unknown to the model; it knows 'disc'"),
        ("scene0", "disc", {"layers": ("encoder.stage",)}, "layer encoder.stage: not in the store"),
        ("scene0", "disc", {"concepts": (3, 700)}, "concept 700: layer .* has the concepts 0 to"),
        ("scene0", "disc", {"by": "magic"}, "by: 'magic'; use relevance or activation"),
    ],
)
def test_what_does_not_exist_is_named(detected, image, target, changes, message):
    settings = Settings(**{"layers": (layer_of(detected),), **changes})
    with pytest.raises(InputError, match=message) as caught:
        detected.composer().compose(image, target, settings)
    assert "\n" not in str(caught.value)


def test_a_class_that_is_not_predicted(detected):
    assert "background" not in {t.class_name for t in targets_of(detected)[0]}
    with pytest.raises(InputError, match=r"scene0: no background is predicted; predicted: .*disc"):
        detected.composer().compose("scene0", "background", Settings((layer_of(detected),)))


CLASSES = ("person", "traffic light", "car-2", "2", "Person")


@pytest.mark.parametrize(
    ("text", "class_index", "rank"),
    [
        ("person", 0, 1), ("Person", 4, 1), ("PERSON", 0, 1), ("traffic light", 1, 1),
        ("traffic_light", 1, 1), ("Traffic_Light-3", 1, 3), ("car-2", 2, 1), ("car-2-2", 2, 2),
        ("person-12", 0, 12), ("0", 0, 1), ("2", 3, 1), ("instance-4", None, 4),
    ],
)  # fmt: skip
def test_names_of_targets(text, class_index, rank):
    wanted = parse_target(text, CLASSES)
    assert (wanted.class_index, wanted.rank) == (class_index, rank)


@pytest.mark.parametrize("text", ["persn", "person-0", "person-", "99", "", "instance-0"])
def test_names_that_mean_nothing(text):
    with pytest.raises(InputError, match="unknown to the model"):
        parse_target(text, CLASSES)


def test_most_relevant_concepts_first_ties_by_number():
    relevance = np.array([0.1, -0.5, 0.3, 0.3])
    assert chosen_concepts(relevance, 3, "layer") == [2, 3, 0]
    assert chosen_concepts(relevance, 9, "layer") == [2, 3, 0, 1]
    assert chosen_concepts(relevance, (1, 0), "layer") == [1, 0]


def test_pictures_outside_the_dataset_have_names(segmented, tmp_path):
    Image.fromarray(segmented.dataset["scene2"].image()).save(tmp_path / "holiday.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    composer = segmented.composer(pictures=[tmp_path / "holiday.png", tmp_path / "broken.png"])
    names = composer.predicted("holiday")
    assert names and set(names) == set(composer.predicted("scene2"))
    assert composer.predicted("broken") == []
    by_name = composer.compose("holiday", names[0], Settings((layer_of(segmented),), 1))
    assert by_name.image_id == "holiday" and by_name.truth is None
    with pytest.raises(InputError, match="an id such as 'holiday'"):
        composer.compose("holidays", names[0], Settings((layer_of(segmented),), 1))
    Image.new("RGB", (9, 9)).save(tmp_path / "scene1.png")
    with pytest.raises(InputError, match="there is another image scene1; rename this file"):
        segmented.composer(pictures=[tmp_path / "scene1.png"])


def test_samples_are_counted_as_the_paper_counts_them(segmented):
    composer = segmented.composer()
    assert composer.numbered(3) == "scene3" == composer.numbered(3, "files")
    with pytest.raises(InputError, match="sample 5: the dataset has 5 images, counted from 0"):
        composer.numbered(5)
